//! The files of containers-registries.conf(5) and containers-policy.json(5), where podman and skopeo look for them, and
//! Docker's own.
//!
//! podman and skopeo look below `$HOME/.config` whatever `XDG_CONFIG_HOME` says.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Environment, Error};

/// A file in place of registries.conf, as for podman.
pub const CONTAINERS_REGISTRIES_CONF: &str = "CONTAINERS_REGISTRIES_CONF";

/// A file with what it holds.
pub type Text = (PathBuf, String);

/// What containers-registries.conf(5) is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistriesFiles {
    /// The file itself, if there is one.
    pub main: Option<Text>,
    /// Its drop-ins, in the order in which they override each other.
    pub drop_ins: Vec<Text>,
}

/// What a Docker on this machine knows of registries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DockerFiles {
    /// daemon.json
    pub daemon: Option<Text>,
    /// Each hosts.toml; the first of a registry counts.
    pub hosts: Vec<Text>,
}

impl Environment {
    /// registries.conf and its drop-ins; an error where one is there and cannot be read, or was named and is not there.
    pub fn registries_conf(&self) -> Result<RegistriesFiles, Error> {
        self.registries_conf_below(Path::new("/etc/containers"))
    }

    /// The short names that podman and skopeo have been told the meaning of, if they have.
    pub fn short_name_aliases(&self) -> Result<Option<Text>, Error> {
        let cache = match self.is_root() {
            true => PathBuf::from("/var/cache"),
            false => self.path("XDG_CACHE_HOME").unwrap_or_else(|| self.home().join(".cache")),
        };
        read(cache.join("containers/short-name-aliases.conf"))
    }

    /// The policy for pulls with its file: the user's, else the system's, if there is one.
    pub fn policy(&self) -> Result<Option<Text>, Error> {
        match read(self.containers_home().join("policy.json"))? {
            Some(own) => Ok(Some(own)),
            None => read(PathBuf::from("/etc/containers/policy.json")),
        }
    }

    /// The files of containers-registries.d(5) with what they hold: the user's directory, or the system's where there is
    /// none.
    pub fn registries_d(&self) -> Result<Vec<Text>, Error> {
        self.registries_d_or(Path::new("/etc/containers/registries.d"))
    }

    fn registries_d_or(&self, system: &Path) -> Result<Vec<Text>, Error> {
        let own = self.containers_home().join("registries.d");
        let directory = if own.exists() { &own } else { system };
        files_of(directory, b".yaml")?.into_iter().map(read_existing).collect()
    }

    /// The user's own files of the containers tools.
    pub(super) fn containers_home(&self) -> PathBuf {
        self.home().join(".config/containers")
    }

    /// The files of the Docker on this machine, of the user's own one where it is `rootless`. What cannot be read is none:
    /// it is Docker's.
    pub fn docker_files(&self, rootless: bool) -> DockerFiles {
        let (daemon, certificates) = match rootless {
            true => {
                let own = self.config_home().join("docker");
                (own.join("daemon.json"), vec![own.join("certs.d")])
            }
            false => {
                let directories = ["/etc/docker/certs.d", "/etc/containerd/certs.d"];
                (PathBuf::from("/etc/docker/daemon.json"), directories.map(PathBuf::from).to_vec())
            }
        };
        let mut registries = Vec::new();
        for directory in certificates {
            let found = fs::read_dir(directory).into_iter().flatten().flatten();
            let mut found: Vec<PathBuf> = found.map(|entry| entry.path().join("hosts.toml")).collect();
            found.sort();
            registries.extend(found);
        }
        let read = |path: PathBuf| fs::read_to_string(&path).ok().map(|text| (path, text));
        DockerFiles { daemon: read(daemon), hosts: registries.into_iter().filter_map(read).collect() }
    }

    fn registries_conf_below(&self, system: &Path) -> Result<RegistriesFiles, Error> {
        let (own, named) = (self.containers_home(), self.path(CONTAINERS_REGISTRIES_CONF));
        let is_own = named.is_none() && own.join("registries.conf").exists();
        let main = match &named {
            Some(named) => Some(read_existing(named.clone())?),
            None => read(if is_own { &own } else { system }.join("registries.conf"))?,
        };
        // The user's file stands for all of the system's, a named one for the file alone.
        let directories = [Some(system).filter(|_| !is_own), Some(&own)];
        let mut drop_ins = Vec::new();
        for directory in directories.into_iter().flatten() {
            for path in files_of(&directory.join("registries.conf.d"), b".conf")? {
                drop_ins.extend(read(path)?);
            }
        }
        Ok(RegistriesFiles { main, drop_ins })
    }
}

fn read_existing(path: PathBuf) -> Result<Text, Error> {
    match fs::read_to_string(&path) {
        Ok(text) => Ok((path, text)),
        Err(source) => Err(Error::Containers { path, source }),
    }
}

/// The same for a file that may be missing.
fn read(path: PathBuf) -> Result<Option<Text>, Error> {
    match read_existing(path) {
        Err(Error::Containers { source, .. }) if is_missing(&source) => Ok(None),
        read => read.map(Some),
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The files of a directory with such an ending, in the order of their names; as containers/image does, a link to a directory is none.
fn files_of(directory: &Path, ending: &[u8]) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::Containers { path: directory.to_owned(), source };
    match fs::symlink_metadata(directory) {
        Ok(metadata) if metadata.is_dir() => {}
        Err(error) if !is_missing(&error) => return Err(failed(error)),
        _ => return Ok(Vec::new()),
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let is_directory = entry.file_type().map_err(failed)?.is_dir();
        if !is_directory && entry.file_name().as_encoded_bytes().ends_with(ending) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A home and a system's directory with these files, each of which holds its own name.
    struct Files(tempfile::TempDir);

    impl Files {
        fn new(names: &[&str]) -> Self {
            let files = Self(tempfile::tempdir().unwrap());
            for name in names {
                fs::create_dir_all(files.path(name).parent().unwrap()).unwrap();
                fs::write(files.path(name), name).unwrap();
            }
            files
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn environment(&self, pairs: &[(&str, &str)]) -> Environment {
            let home = self.path("home").display().to_string();
            Environment::from_pairs(&[&[("HOME", home.as_str())], pairs].concat(), false)
        }

        fn read(&self, pairs: &[(&str, &str)]) -> Result<Vec<String>, Error> {
            let RegistriesFiles { main, drop_ins } =
                self.environment(pairs).registries_conf_below(&self.path("etc"))?;
            Ok(main.into_iter().chain(drop_ins).map(|(_, text)| text).collect())
        }
    }

    #[test]
    fn files_are_those_that_skopeo_opens() {
        let system = ["etc/registries.conf.d/a.conf", "etc/registries.conf.d/b.conf"];
        let own = "home/.config/containers/registries.conf.d/own.conf";
        let others = ["etc/registries.conf.d/c.txt", "etc/registries.conf.d/d.conf/e.conf", "xdg/registries.conf"];
        let all = [&["etc/registries.conf", own][..], &system, &others].concat();
        let files = Files::new(&all);
        let xdg = files.path("xdg").display().to_string();
        let pairs = [("XDG_CONFIG_HOME", xdg.as_str())];
        assert_eq!(files.read(&pairs).unwrap(), [&["etc/registries.conf"], &system[..], &[own]].concat());
        let users = "home/.config/containers/registries.conf";
        let files = Files::new(&[&all[..], &[users]].concat());
        assert_eq!(files.read(&pairs).unwrap(), [users, own], "the user's file stands for all of the system's");
        let named = files.path("etc/registries.conf").display().to_string();
        let read = files.read(&[(CONTAINERS_REGISTRIES_CONF, &named)]).unwrap();
        assert_eq!(read, [&["etc/registries.conf"], &system[..], &[own]].concat(), "a named one does not");
    }

    #[test]
    fn what_need_not_be_there_may_be_missing_and_what_is_there_must_be_read() {
        let files = Files::new(&["etc/other", "home/other", "link/a.conf"]);
        assert_eq!(files.read(&[]).unwrap(), Vec::<String>::new());
        let error = |error: Result<_, Error>| crate::cause::one_line(&error.unwrap_err());
        let missing = files.read(&[(CONTAINERS_REGISTRIES_CONF, "/absent.conf")]);
        assert_eq!(error(missing), "/absent.conf: No such file or directory (os error 2)");
        std::os::unix::fs::symlink(files.path("link"), files.path("etc/registries.conf.d")).unwrap();
        assert_eq!(files.read(&[]).unwrap(), Vec::<String>::new(), "a link is no directory for containers/image");
        fs::create_dir_all(files.path("etc/registries.conf")).unwrap();
        assert!(error(files.read(&[])).contains("etc/registries.conf: Is a directory"));
    }

    #[test]
    fn rootless_dockers_files_are_the_users() {
        let files = Files::new(&[
            "xdg/docker/daemon.json",
            "xdg/docker/certs.d/b.io/hosts.toml",
            "xdg/docker/certs.d/a.io/hosts.toml",
            "xdg/docker/certs.d/a.io/ca.crt",
        ]);
        let xdg = files.path("xdg").display().to_string();
        let DockerFiles { daemon, hosts } = files.environment(&[("XDG_CONFIG_HOME", &xdg)]).docker_files(true);
        let texts: Vec<String> = daemon.into_iter().chain(hosts).map(|(_, text)| text).collect();
        let expected =
            ["xdg/docker/daemon.json", "xdg/docker/certs.d/a.io/hosts.toml", "xdg/docker/certs.d/b.io/hosts.toml"];
        assert_eq!(texts, expected);
    }

    #[test]
    fn policy_and_aliases_are_the_users() {
        let files = Files::new(&[
            "home/.config/containers/policy.json",
            "home/.cache/containers/short-name-aliases.conf",
            "cache/containers/short-name-aliases.conf",
            "xdg/containers/policy.json",
        ]);
        let (xdg, cache) = (files.path("xdg").display().to_string(), files.path("cache").display().to_string());
        let environment = files.environment(&[("XDG_CONFIG_HOME", &xdg)]);
        assert_eq!(environment.policy().unwrap().unwrap().1, "home/.config/containers/policy.json");
        let aliases = |pairs: &[(&str, &str)]| files.environment(pairs).short_name_aliases().unwrap().unwrap().1;
        assert_eq!(aliases(&[]), "home/.cache/containers/short-name-aliases.conf");
        assert_eq!(aliases(&[("XDG_CACHE_HOME", &cache)]), "cache/containers/short-name-aliases.conf");
    }

    #[test]
    fn the_users_registries_d_stands_in_place_of_the_systems() {
        let root = tempfile::tempdir().unwrap();
        let (system, home) = (root.path().join("etc"), root.path().join("home"));
        let own = home.join(".config/containers/registries.d");
        // Where other settings are does not matter here.
        let pairs = [("HOME", home.to_str().unwrap()), ("XDG_CONFIG_HOME", "/elsewhere")];
        let environment = Environment::from_pairs(&pairs, false);
        let found = || {
            let files = environment.registries_d_or(&system).unwrap().into_iter();
            files.map(|(path, _)| path.strip_prefix(root.path()).unwrap().display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(found(), Vec::<String>::new());
        fs::create_dir_all(&system).unwrap();
        for name in ["b.yaml", "a.yaml", "c.yml"] {
            fs::write(system.join(name), "").unwrap();
        }
        assert_eq!(found(), ["etc/a.yaml", "etc/b.yaml"]);
        fs::create_dir_all(&own).unwrap();
        assert_eq!(found(), Vec::<String>::new());
        fs::write(own.join("own.yaml"), "").unwrap();
        assert_eq!(found(), ["home/.config/containers/registries.d/own.yaml"]);
    }
}
