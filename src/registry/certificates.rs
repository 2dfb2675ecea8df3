//! certs.d: the certificates that a registry is trusted by, and those that it wants to see (containers-certs.d(5)).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::{Error, Result};

/// Directories with a directory for each host and port.
#[derive(Clone, Debug, Default)]
pub struct Certificates {
    /// Where directories named after registries are, the first that has one wins.
    pub directories: Vec<PathBuf>,
    /// The directory of all registries, instead of those.
    pub only: Option<PathBuf>,
}

/// What was found for a registry, as PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Authorities, beside those of the system.
    pub authorities: Vec<Vec<u8>>,
    /// Our own certificate with its key.
    pub identity: Option<Vec<u8>>,
}

impl Certificates {
    /// Whether there is anything for `host`.
    pub(super) fn are_there(&self, host: &str) -> bool {
        self.directory(host).is_some()
    }

    /// What there is for `host`, which has its port.
    pub(super) fn find(&self, host: &str) -> Result<Found> {
        self.directory(host).map_or_else(|| Ok(Found::default()), |directory| read(&directory))
    }

    fn directory(&self, host: &str) -> Option<PathBuf> {
        let mut named = self.directories.iter().map(|directory| directory.join(host));
        self.only.clone().or_else(|| named.find(|directory| directory.is_dir()))
    }
}

/// `*.crt` are authorities; `*.cert` is a client's certificate and has its key beside it, as `*.key`.
fn read(directory: &Path) -> Result<Found> {
    let failed = |path: &Path, source: io::Error| Error::Certificate { path: path.to_owned(), source };
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(directory).map_err(|error| failed(directory, error))? {
        paths.push(entry.map_err(|error| failed(directory, error))?.path());
    }
    paths.sort();
    let mut found = Found::default();
    for path in paths {
        let bytes = || fs::read(&path).map_err(|error| failed(&path, error));
        match path.extension().and_then(|end| end.to_str()) {
            Some("crt") => found.authorities.push(bytes()?),
            Some("cert") => {
                let key = path.with_extension("key");
                let mut identity = bytes()?;
                identity.push(b'\n');
                identity.extend(fs::read(&key).map_err(|error| failed(&key, error))?);
                found.identity = Some(identity);
            }
            Some("key") if !path.with_extension("cert").exists() => {
                return Err(failed(&path.with_extension("cert"), io::ErrorKind::NotFound.into()));
            }
            _ => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_those_of_the_host_and_its_port() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("a/quay.io/ca.crt", "CA");
        write("b/quay.io/other.crt", "OTHER");
        write("b/local:5000/client.cert", "CERT");
        write("b/local:5000/client.key", "KEY");
        write("b/broken:1/client.cert", "CERT");
        let directories = vec![root.path().join("a"), root.path().join("b"), root.path().join("none")];
        let certificates = Certificates { directories, only: None };
        assert_eq!(certificates.find("quay.io").unwrap().authorities, [b"CA".to_vec()]);
        assert_eq!(certificates.find("local:5000").unwrap().identity.unwrap(), b"CERT\nKEY");
        assert_eq!(certificates.find("local:5001").unwrap(), Found::default());
        assert!(crate::cause::one_line(&certificates.find("broken:1").unwrap_err()).contains("client.key"));
        let only = Certificates { only: Some(root.path().join("b/quay.io")), ..certificates };
        assert_eq!(only.find("anything").unwrap().authorities, [b"OTHER".to_vec()]);
    }
}
