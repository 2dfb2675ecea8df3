//! The only reader of the environment, and the places where settings and data are kept.
//!
//! Everything else is handed values: a test makes an [`Environment`] from pairs and sees no variable of its own.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;

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

/// The variables of this process, or of a test.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: HashMap<String, OsString>,
    root: bool,
    program: Option<PathBuf>,
}

impl Environment {
    /// What this process was started with.
    pub fn from_process() -> Self {
        let variables = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        Self {
            variables: variables.collect(),
            root: rustix::process::geteuid().is_root(),
            program: std::env::current_exe().ok(),
        }
    }

    /// An environment with nothing but `pairs`, for a user other than root unless `root` is set.
    pub fn from_pairs(pairs: &[(&str, &str)], root: bool) -> Self {
        let variables = pairs.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect();
        Self { variables, root, program: None }
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

    /// The store: `ARTISHIM_STORE`, else `/var/lib/artishim` for root, else `$XDG_DATA_HOME/artishim`.
    pub fn store(&self) -> PathBuf {
        self.path(STORE).unwrap_or_else(|| self.place("/var/lib", "XDG_DATA_HOME", ".local/share"))
    }

    /// What may be lost: `ARTISHIM_CACHE`, else `/var/cache/artishim` for root, else `$XDG_CACHE_HOME/artishim`.
    pub fn cache(&self) -> PathBuf {
        self.path(CACHE).unwrap_or_else(|| self.place("/var/cache", "XDG_CACHE_HOME", ".cache"))
    }

    /// The credential files that may be missing, first wins (containers-auth.json(5)).
    pub fn credential_files(&self) -> Vec<PathBuf> {
        let runtime = self.path("XDG_RUNTIME_DIR").or_else(|| self.root.then(|| PathBuf::from("/run")));
        let runtime = runtime.map(|directory| match self.path("XDG_RUNTIME_DIR") {
            Some(_) => directory.join("containers/auth.json"),
            None => directory.join("containers/0/auth.json"),
        });
        let config = self.path("XDG_CONFIG_HOME").unwrap_or_else(|| self.home().join(".config"));
        let others = [config.join("containers/auth.json"), self.docker_config().join("config.json")];
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
}
