//! The only reader of the environment and of configuration files, and the places where settings and data are kept.
//!
//! Everything else is handed values: a test makes an [`Environment`] from pairs and sees no variable of its own. What
//! the command line leaves open, a variable says, else the user's configuration file, else the system's.

mod file;
mod registries;

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

pub use self::file::{CONNECTIONS, Config, Wrong};
pub use self::registries::{CONTAINERS_REGISTRIES_CONF, DockerFiles, RegistriesFiles, Text};

/// The system's configuration file.
const SYSTEM_FILE: &str = "/etc/artishim/config.toml";

/// The configuration file to use instead of the system's and the user's; it must exist when set.
pub const CONFIG: &str = "ARTISHIM_CONFIG";
/// Which engine to use: `auto`, `podman`, `docker`, `none`, a path or a URL.
pub const ENGINE: &str = "ARTISHIM_ENGINE";
/// The store's directory.
pub const STORE: &str = "ARTISHIM_STORE";
/// The directory of what may be lost: answers about engines, lock files.
pub const CACHE: &str = "ARTISHIM_CACHE";
/// The delivery to use instead of the one chosen: `artifact`, `bind`, `volume` or `copy`.
pub const DELIVER: &str = "ARTISHIM_DELIVER";
/// Whether our engine fetches what podman keeps, where it can: `true` or `false`.
pub const ACCELERATE: &str = "ARTISHIM_ACCELERATE";
/// What is logged on stderr, as for `--log-level`.
pub const LOG_LEVEL: &str = "ARTISHIM_LOG_LEVEL";
/// The credential file of the containers tools; it must exist when set (containers-auth.json(5)).
pub const REGISTRY_AUTH_FILE: &str = "REGISTRY_AUTH_FILE";
/// `USER:PASSWORD` for the registry, where nobody sees it who lists processes.
pub const CREDS: &str = "ARTISHIM_CREDS";
/// How often our links have handed a line on, so that one which comes back is seen.
pub const LINKS: &str = "ARTISHIM_LINKS";
/// The socket that docker closes when its plugins are to stop.
pub const DOCKER_CLI_PLUGIN_SOCKET: &str = "DOCKER_CLI_PLUGIN_SOCKET";
/// The directory of docker's `config.json` and contexts.
pub const DOCKER_CONFIG: &str = "DOCKER_CONFIG";
/// Docker's endpoint.
pub const DOCKER_HOST: &str = "DOCKER_HOST";
/// The name of docker's context.
pub const DOCKER_CONTEXT: &str = "DOCKER_CONTEXT";
/// Whether docker's TLS endpoint is verified.
pub const DOCKER_TLS_VERIFY: &str = "DOCKER_TLS_VERIFY";
/// The directory of docker's TLS certificates.
pub const DOCKER_CERT_PATH: &str = "DOCKER_CERT_PATH";
/// The URL of a remote Podman.
pub const CONTAINER_HOST: &str = "CONTAINER_HOST";

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A configuration file that exists cannot be read, or one that was named does not exist.
    #[error("configuration file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file of the containers tools that exists cannot be read, or one that was named does not exist.
    #[error("{}", path.display())]
    Containers {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A configuration file says what means nothing.
    #[error("{}:{}: {}", path.display(), wrong.line, wrong.reason)]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        wrong: Wrong,
    },
    /// A variable that is neither true nor false.
    #[error("{name} is {value}: expected true or false")]
    Variable {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: String,
    },
}

/// The variables of this process, or of a test, and what configuration files say.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: HashMap<String, OsString>,
    root: bool,
    program: Option<PathBuf>,
    config: Config,
}

impl Environment {
    /// What this process was started with.
    pub fn from_process() -> Self {
        let variables = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        Self {
            variables: variables.collect(),
            root: rustix::process::geteuid().is_root(),
            program: std::env::current_exe().ok(),
            config: Config::default(),
        }
    }

    /// An environment with nothing but `pairs`, for a user other than root unless `root` is set.
    pub fn from_pairs(pairs: &[(&str, &str)], root: bool) -> Self {
        let variables = pairs.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect();
        Self { variables, root, program: None, config: Config::default() }
    }

    /// The same with variables of these values.
    #[must_use]
    pub fn with_variables(mut self, variables: Vec<(&'static str, OsString)>) -> Self {
        self.variables.extend(variables.into_iter().map(|(name, value)| (name.to_owned(), value)));
        self
    }

    /// The same with what the configuration files say: the user's over the system's, key by key, or the one named.
    pub fn with_config_files(self) -> Result<Self, Error> {
        self.with_config_files_and(Path::new(SYSTEM_FILE))
    }

    fn with_config_files_and(mut self, system: &Path) -> Result<Self, Error> {
        self.config = match self.path(CONFIG) {
            Some(named) => read(&named)?,
            None => {
                let users = self.user_file().map_or_else(|| Ok(Config::default()), |path| read_any(&path))?;
                users.or(read_any(system)?)
            }
        };
        Ok(self)
    }

    /// The user's configuration file; root has one only where `XDG_CONFIG_HOME` is set.
    fn user_file(&self) -> Option<PathBuf> {
        let is_named = !self.root || self.path("XDG_CONFIG_HOME").is_some();
        is_named.then(|| self.config_home().join("artishim/config.toml"))
    }

    fn config_home(&self) -> PathBuf {
        self.path("XDG_CONFIG_HOME").unwrap_or_else(|| self.home().join(".config"))
    }

    /// Whether the user is root.
    pub const fn is_root(&self) -> bool {
        self.root
    }

    /// The file this process runs, so that a link to it is not taken for an engine.
    pub fn own_program(&self) -> Option<PathBuf> {
        self.program.clone()
    }

    /// A variable's text; an empty one counts as unset, one that is not UTF-8 too.
    pub fn text(&self, name: &str) -> Option<String> {
        self.os(name)?.into_string().ok()
    }

    /// A variable as a path; an empty one counts as unset.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.os(name).map(PathBuf::from)
    }

    /// A variable as it is; an empty one counts as unset.
    pub fn os(&self, name: &str) -> Option<OsString> {
        self.variables.get(name).filter(|value| !value.is_empty()).cloned()
    }

    /// The user's home; `/` where there is none.
    pub fn home(&self) -> PathBuf {
        self.path("HOME").unwrap_or_else(|| PathBuf::from("/"))
    }

    /// The directory of docker's configuration.
    pub fn docker_config(&self) -> PathBuf {
        self.path(DOCKER_CONFIG).unwrap_or_else(|| self.home().join(".docker"))
    }

    /// `ARTISHIM_ENGINE`, else `engine` of a configuration file.
    pub fn engine(&self) -> Option<String> {
        self.text(ENGINE).or_else(|| self.config.engine.clone())
    }

    /// `ARTISHIM_DELIVER`, else `deliver` of a configuration file.
    pub fn deliver(&self) -> Option<String> {
        self.text(DELIVER).or_else(|| self.config.deliver.clone())
    }

    /// `ARTISHIM_ACCELERATE`, else `accelerate` of a configuration file.
    pub fn accelerate(&self) -> Result<Option<bool>, Error> {
        match self.text(ACCELERATE).as_deref() {
            Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(other) => Err(Error::Variable { name: ACCELERATE, value: other.to_owned() }),
            None => Ok(self.config.accelerate),
        }
    }

    /// `connections` of a configuration file.
    pub const fn connections(&self) -> Option<usize> {
        self.config.connections
    }

    /// The credential file that must exist: `REGISTRY_AUTH_FILE`, else `authfile` of a configuration file.
    pub fn authfile(&self) -> Option<PathBuf> {
        self.path(REGISTRY_AUTH_FILE).or_else(|| self.config.authfile.clone())
    }

    /// The file that `login` writes: [`Self::authfile`], else podman's own.
    ///
    /// Without a directory for the session, podman makes one in `/run` or `/tmp`; we take the file in the home, which podman reads.
    pub fn login_file(&self) -> PathBuf {
        let own = || self.credential_files().into_iter().next().unwrap_or_default();
        self.authfile().unwrap_or_else(own)
    }

    /// The store: `ARTISHIM_STORE`, else `store` of a configuration file, else `/var/lib/artishim` for root, else
    /// `$XDG_DATA_HOME/artishim`.
    pub fn store(&self) -> PathBuf {
        let named = self.path(STORE).or_else(|| self.config.store.clone());
        named.unwrap_or_else(|| self.place("/var/lib", "XDG_DATA_HOME", ".local/share"))
    }

    /// What may be lost: `ARTISHIM_CACHE`, else `/var/cache/artishim` for root, else `$XDG_CACHE_HOME/artishim`.
    pub fn cache(&self) -> PathBuf {
        self.path(CACHE).unwrap_or_else(|| self.place("/var/cache", "XDG_CACHE_HOME", ".cache"))
    }

    /// Where the volume driver answers: where Docker looks for it, or for other users than root a place of their own.
    pub fn plugin_socket(&self) -> PathBuf {
        if self.root {
            return PathBuf::from("/run/docker/plugins/artishim.sock");
        }
        let runtime = self.path("XDG_RUNTIME_DIR").unwrap_or_else(|| self.home().join(".cache"));
        runtime.join("artishim/plugin.sock")
    }

    /// The hosts of the proxies for HTTP.
    pub fn proxy_hosts(&self) -> Vec<String> {
        let names = ["http_proxy", "https_proxy", "all_proxy"].into_iter();
        let values = names.flat_map(|name| [self.text(name), self.text(&name.to_uppercase())]).flatten();
        values.map(|value| host_of(&value).to_owned()).collect()
    }

    /// The directories of containers-certs.d(5), and docker's own; those that are not there are passed over.
    pub fn certificate_directories(&self) -> Vec<PathBuf> {
        let system = ["/etc/containers/certs.d", "/etc/docker/certs.d"].map(PathBuf::from);
        std::iter::once(self.containers_home().join("certs.d")).chain(system).collect()
    }

    /// The credential files that may be missing, first wins (containers-auth.json(5)).
    pub fn credential_files(&self) -> Vec<PathBuf> {
        let runtime = self.path("XDG_RUNTIME_DIR").or_else(|| self.root.then(|| PathBuf::from("/run")));
        let runtime = runtime.map(|directory| match self.path("XDG_RUNTIME_DIR") {
            Some(_) => directory.join("containers/auth.json"),
            None => directory.join("containers/0/auth.json"),
        });
        let others = [self.config_home().join("containers/auth.json"), self.docker_config().join("config.json")];
        runtime.into_iter().chain(others).collect()
    }

    fn place(&self, system: &str, variable: &str, below_home: &str) -> PathBuf {
        let base = match self.path(variable) {
            _ if self.root => PathBuf::from(system),
            Some(directory) => directory,
            None => self.home().join(below_home),
        };
        base.join("artishim")
    }
}

/// The host of `http://user:password@host:port/`, of which only the host need be there.
fn host_of(proxy: &str) -> &str {
    let rest = proxy.split_once("://").map_or(proxy, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host.rsplit_once(':').map_or(host, |(host, _)| host)
}

fn read(path: &Path) -> Result<Config, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    Config::parse(&text).map_err(|wrong| Error::Wrong { path: path.to_owned(), wrong })
}

/// The same for a file that may be missing.
fn read_any(path: &Path) -> Result<Config, Error> {
    let is_missing = |error: &io::Error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory);
    match read(path) {
        Err(Error::Read { source, .. }) if is_missing(&source) => Ok(Config::default()),
        read => read,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_is_where_the_user_says_else_where_his_data_is() {
        let cases = [
            (&[("HOME", "/home/u")][..], false, "/home/u/.local/share/artishim"),
            (&[("HOME", "/home/u"), ("XDG_DATA_HOME", "/data")], false, "/data/artishim"),
            (&[("HOME", "/root"), ("XDG_DATA_HOME", "/data")], true, "/var/lib/artishim"),
            (&[("HOME", "/root"), (STORE, "/models")], true, "/models"),
            (&[("HOME", "/home/u"), (STORE, "")], false, "/home/u/.local/share/artishim"),
        ];
        for (pairs, root, expected) in cases {
            assert_eq!(Environment::from_pairs(pairs, root).store(), PathBuf::from(expected), "{pairs:?}");
        }
    }

    #[test]
    fn credential_files_come_in_the_order_of_the_containers_tools() {
        let user = Environment::from_pairs(&[("HOME", "/home/u"), ("XDG_RUNTIME_DIR", "/run/user/7")], false);
        let expected =
            ["/run/user/7/containers/auth.json", "/home/u/.config/containers/auth.json", "/home/u/.docker/config.json"];
        assert_eq!(user.credential_files(), expected.map(PathBuf::from));
        let root = Environment::from_pairs(&[("HOME", "/root"), (DOCKER_CONFIG, "/d")], true);
        let expected = ["/run/containers/0/auth.json", "/root/.config/containers/auth.json", "/d/config.json"];
        assert_eq!(root.credential_files(), expected.map(PathBuf::from));
    }

    #[test]
    fn login_writes_where_podman_does_unless_it_is_told() {
        let cases = [
            (&[("XDG_RUNTIME_DIR", "/run/user/7")][..], false, "/run/user/7/containers/auth.json"),
            (&[("XDG_RUNTIME_DIR", "/run/user/0")], true, "/run/user/0/containers/auth.json"),
            (&[], true, "/run/containers/0/auth.json"),
            (&[("HOME", "/home/u")], false, "/home/u/.config/containers/auth.json"),
            (&[("XDG_RUNTIME_DIR", "/run/user/7"), (REGISTRY_AUTH_FILE, "/a.json")], false, "/a.json"),
        ];
        for (pairs, root, expected) in cases {
            assert_eq!(Environment::from_pairs(pairs, root).login_file(), PathBuf::from(expected), "{pairs:?}");
        }
    }

    #[test]
    fn proxies_are_those_of_the_usual_variables() {
        let pairs =
            [("HTTPS_PROXY", "http://me:secret@proxy.local:3128/"), ("all_proxy", "localhost:80"), ("NO_PROXY", "a")];
        assert_eq!(Environment::from_pairs(&pairs, false).proxy_hosts(), ["proxy.local", "localhost"]);
    }

    /// A system's file, a user's file and a named one, each with its own number of connections.
    fn files() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join("home/.config/artishim")).unwrap();
        let files = [
            ("system.toml", "connections = 1\nengine = 'docker'\nstore = '/system'\nauthfile = '/system.json'\n"),
            ("home/.config/artishim/config.toml", "connections = 2\nstore = '/user'\naccelerate = true\n"),
            ("named.toml", "connections = 3\n"),
        ];
        files.iter().for_each(|(name, text)| std::fs::write(directory.path().join(name), text).unwrap());
        directory
    }

    #[test]
    fn a_variable_goes_before_the_users_file_and_that_before_the_systems() {
        let files = files();
        let path = |name: &str| files.path().join(name).to_str().unwrap().to_owned();
        let home = path("home");
        let system = files.path().join("system.toml");
        let read = |pairs: &[(&str, &str)], root| {
            let pairs = [&[("HOME", home.as_str())], pairs].concat();
            Environment::from_pairs(&pairs, root).with_config_files_and(&system).unwrap()
        };
        let user = read(&[], false);
        assert_eq!((user.connections(), user.engine().as_deref()), (Some(2), Some("docker")));
        assert_eq!((user.store(), user.authfile()), (PathBuf::from("/user"), Some(PathBuf::from("/system.json"))));
        assert_eq!((user.accelerate().unwrap(), user.deliver()), (Some(true), None));
        let pairs = [(STORE, "/v"), (ENGINE, "none"), (ACCELERATE, "0"), (REGISTRY_AUTH_FILE, "/v.json")];
        let variables = read(&pairs, false);
        assert_eq!((variables.store(), variables.engine().as_deref()), (PathBuf::from("/v"), Some("none")));
        assert_eq!(variables.accelerate().unwrap(), Some(false));
        assert_eq!(variables.authfile(), Some(PathBuf::from("/v.json")));
        assert_eq!(read(&[(CONFIG, &path("named.toml"))], false).config, Config::parse("connections = 3").unwrap());
        assert_eq!(read(&[], true).connections(), Some(1), "root has no file of his own");
        assert_eq!(read(&[("XDG_CONFIG_HOME", &path("home/.config"))], true).connections(), Some(2), "unless he says");
        assert_eq!(read(&[("XDG_CONFIG_HOME", &path("named.toml"))], false).connections(), Some(1), "none is there");
    }

    #[test]
    fn a_file_that_is_there_and_no_good_is_an_error() {
        let files = files();
        let system = files.path().join("home");
        let error = |pairs: &[(&str, &str)]| {
            let environment = Environment::from_pairs(pairs, true);
            crate::cause::one_line(&environment.with_config_files_and(&system).unwrap_err())
        };
        let directory = format!("configuration file {}: Is a directory (os error 21)", system.display());
        assert_eq!(error(&[]), directory);
        let absent = files.path().join("absent").display().to_string();
        let missing = format!("configuration file {absent}: No such file or directory (os error 2)");
        assert_eq!(error(&[(CONFIG, &absent)]), missing);
        let named = files.path().join("named.toml");
        std::fs::write(&named, "\nstores = '/'").unwrap();
        let named = named.to_str().unwrap();
        assert!(error(&[(CONFIG, named)]).starts_with(&format!("{named}:2: stores: there is no such key")));
    }
}
