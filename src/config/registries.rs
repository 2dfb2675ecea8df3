//! The files of containers-registries.conf(5), where podman and skopeo look for them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Environment, Error};

/// A file in place of registries.conf, as for podman.
pub const CONTAINERS_REGISTRIES_CONF: &str = "CONTAINERS_REGISTRIES_CONF";

impl Environment {
    /// The files with what they hold, in the order in which they override each other; those that are not there are not.
    pub fn registries_conf(&self) -> Result<Vec<(PathBuf, String)>, Error> {
        self.registries_conf_below(Path::new("/etc/containers"))
    }

    /// The policy for pulls with its file: the user's, else the system's, if there is one.
    pub fn policy(&self) -> Result<Option<(PathBuf, String)>, Error> {
        let paths = [self.config_home().join("containers/policy.json"), PathBuf::from("/etc/containers/policy.json")];
        paths.into_iter().find_map(read).transpose()
    }

    fn registries_conf_below(&self, system: &Path) -> Result<Vec<(PathBuf, String)>, Error> {
        let own = self.config_home().join("containers");
        let main = match self.path(CONTAINERS_REGISTRIES_CONF) {
            Some(named) => named,
            None if own.join("registries.conf").exists() => own.join("registries.conf"),
            None => system.join("registries.conf"),
        };
        let mut paths = vec![main];
        for directory in [system, &own] {
            paths.extend(drop_ins(&directory.join("registries.conf.d")));
        }
        paths.into_iter().filter_map(read).collect()
    }
}

fn read(path: PathBuf) -> Option<Result<(PathBuf, String), Error>> {
    match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(source) => Some(Err(Error::Read { path, source })),
        Ok(text) => Some(Ok((path, text))),
    }
}

fn drop_ins(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut paths: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "conf")).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_file_stands_in_place_of_the_systems_and_drop_ins_come_after_both() {
        let root = tempfile::tempdir().unwrap();
        let (system, home) = (root.path().join("etc"), root.path().join("home"));
        let write = |path: &Path, name: &str| {
            fs::create_dir_all(path.join(name).parent().unwrap()).unwrap();
            fs::write(path.join(name), name).unwrap();
        };
        let own = home.join(".config/containers");
        let environment = Environment::from_pairs(&[("HOME", home.to_str().unwrap())], false);
        let found = |environment: &Environment| {
            let files = environment.registries_conf_below(&system).unwrap();
            files
                .into_iter()
                .map(|(path, _)| path.strip_prefix(root.path()).unwrap().display().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(found(&environment), Vec::<String>::new());
        for name in
            ["registries.conf", "registries.conf.d/b.conf", "registries.conf.d/a.conf", "registries.conf.d/c.txt"]
        {
            write(&system, name);
        }
        assert_eq!(found(&environment)[0], "etc/registries.conf");
        write(&own, "registries.conf");
        write(&own, "registries.conf.d/own.conf");
        let expected = [
            "home/.config/containers/registries.conf",
            "etc/registries.conf.d/a.conf",
            "etc/registries.conf.d/b.conf",
            "home/.config/containers/registries.conf.d/own.conf",
        ];
        assert_eq!(found(&environment), expected);
        let named = root.path().join("named.conf");
        fs::write(&named, "").unwrap();
        let pairs = [("HOME", home.to_str().unwrap()), (CONTAINERS_REGISTRIES_CONF, named.to_str().unwrap())];
        assert_eq!(found(&Environment::from_pairs(&pairs, false))[0], "named.conf");
    }
}
