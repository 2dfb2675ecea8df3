//! certs.d: the certificates that a registry is trusted by, and those that it wants to see (containers-certs.d(5)).

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::error::{Error, Result};
use crate::registries_conf::Docker;
use crate::registries_conf::docker::CertificateFiles;

/// Directories with a directory for each registry, called as in references: `docker.io`, `quay.io:443`.
#[derive(Clone, Debug, Default)]
pub struct Certificates {
    /// Where directories named after registries are, the first that has one wins.
    directories: Vec<PathBuf>,
    /// The directory of all registries, instead of those.
    only: Option<PathBuf>,
    /// What a hosts.toml names, for who has no directory.
    files: HashMap<String, CertificateFiles>,
    /// What was found for a registry and a host that it leads to.
    found: Arc<Mutex<HashMap<Way, Option<Arc<Found>>>>>,
}

/// A registry and a host that it leads to.
type Way = (String, String);

/// What was found for a host, as PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Found {
    /// Authorities, beside those of the system.
    pub authorities: Vec<Vec<u8>>,
    /// Our own certificates, each with its key.
    pub identities: Vec<Vec<u8>>,
}

impl Certificates {
    /// Certificates of directories, or of `only` one for all registries (`--cert-dir`), or of Docker's own.
    pub fn new(directories: Vec<PathBuf>, only: Option<PathBuf>, docker: &Docker) -> Self {
        let files = docker.certificates().map(|(host, files)| (host.to_owned(), files.clone())).collect();
        Self { directories, only, files, found: Arc::default() }
    }

    /// What there is for `host` when a request for `registry` goes there; it is read once.
    ///
    /// As in containers/image, the registry's authorities are good for the hosts that it leads to. Our own certificates
    /// are shown to a host only where they are kept for it.
    pub(super) fn find(&self, registry: &str, host: &str) -> Result<Option<Arc<Found>>> {
        let key = (registry.to_owned(), host.to_owned());
        if let Some(found) = self.found.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(found.clone());
        }
        let found = Some(self.look(registry, host)?).filter(|found| *found != Found::default()).map(Arc::new);
        self.found.lock().unwrap_or_else(PoisonError::into_inner).insert(key, found.clone());
        Ok(found)
    }

    fn look(&self, registry: &str, host: &str) -> Result<Found> {
        // A URL does not tell the usual port.
        let is_own = [":443", ":80", ""].iter().any(|port| registry.strip_suffix(port) == Some(host));
        let mut found = match &self.only {
            Some(only) => read(only)?,
            None => self.named(called(registry))?,
        };
        if !is_own {
            let hosts = if self.only.is_some() { Found::default() } else { self.named(called(host))? };
            found.authorities.extend(hosts.authorities);
            found.identities = hosts.identities;
        }
        Ok(found)
    }

    fn named(&self, name: &str) -> Result<Found> {
        let mut directories = self.directories.iter().map(|directory| directory.join(name));
        match (directories.find(|directory| directory.exists()), self.files.get(name)) {
            (Some(directory), _) => read(&directory),
            (None, Some(files)) => read_files(files),
            (None, None) => Ok(Found::default()),
        }
    }
}

/// What a registry is called in references, of the host that stands for it.
fn called(host: &str) -> &str {
    if host == "registry-1.docker.io" { "docker.io" } else { host }
}

fn bytes(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| failed(path, error))
}

fn failed(path: &Path, source: io::Error) -> Error {
    Error::Certificate { path: path.to_owned(), source }
}

fn identity(certificate: &Path, key: &Path) -> Result<Vec<u8>> {
    Ok([bytes(certificate)?, bytes(key)?].join(&b'\n'))
}

fn read_files(files: &CertificateFiles) -> Result<Found> {
    let client = |(certificate, key): &(PathBuf, Option<PathBuf>)| match key {
        Some(key) => identity(certificate, key),
        None => bytes(certificate),
    };
    Ok(Found {
        authorities: files.authorities.iter().map(|path| bytes(path)).collect::<Result<_>>()?,
        identities: files.clients.iter().map(client).collect::<Result<_>>()?,
    })
}

/// `*.crt` are authorities; `*.cert` is a client's certificate and has its key beside it, as `*.key`.
fn read(directory: &Path) -> Result<Found> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(directory).map_err(|error| failed(directory, error))? {
        paths.push(entry.map_err(|error| failed(directory, error))?.path());
    }
    paths.sort();
    let mut found = Found::default();
    for path in paths {
        match path.extension().and_then(|end| end.to_str()) {
            Some("crt") => found.authorities.push(bytes(&path)?),
            Some("cert") => found.identities.push(identity(&path, &path.with_extension("key"))?),
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

    /// Directories `a` and `b` with these files, each of which holds its own name.
    fn certificates(names: &[&str], docker: &Docker) -> (tempfile::TempDir, Certificates) {
        let root = tempfile::tempdir().unwrap();
        for name in names {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        let directories = ["a", "b", "none"].map(|name| root.path().join(name)).to_vec();
        (root, Certificates::new(directories, None, docker))
    }

    /// Authorities and identities, in words.
    fn found(certificates: &Certificates, registry: &str, host: &str) -> String {
        let text = |pems: &[Vec<u8>]| {
            pems.iter().map(|pem| String::from_utf8_lossy(pem).replace('\n', "+")).collect::<Vec<_>>().join(" ")
        };
        let found = certificates.find(registry, host).unwrap().unwrap_or_default();
        format!("{}|{}", text(&found.authorities), text(&found.identities))
    }

    #[test]
    fn certificates_are_those_of_the_registry_as_it_is_called() {
        let names = [
            "a/quay.io/ca.crt",
            "b/quay.io/other.crt",
            "b/local:5000/1.cert",
            "b/local:5000/1.key",
            "b/local:5000/2.cert",
            "b/local:5000/2.key",
            "b/docker.io/hub.crt",
            "b/port.io:443/port.crt",
            "b/[::1]:5000/six.crt",
            "b/broken:1/client.cert",
        ];
        let (_root, certificates) = certificates(&names, &Docker::default());
        let cases = [
            ("quay.io", "quay.io", "a/quay.io/ca.crt|"),
            (
                "local:5000",
                "local:5000",
                "|b/local:5000/1.cert+b/local:5000/1.key b/local:5000/2.cert+b/local:5000/2.key",
            ),
            ("local:5001", "local:5001", "|"),
            ("registry-1.docker.io", "registry-1.docker.io", "b/docker.io/hub.crt|"),
            ("port.io:443", "port.io", "b/port.io:443/port.crt|"),
            ("port.io", "port.io", "|"),
            ("[::1]:5000", "[::1]:5000", "b/[::1]:5000/six.crt|"),
        ];
        for (registry, host, expected) in cases {
            assert_eq!(found(&certificates, registry, host), expected, "{registry} at {host}");
        }
        let broken = certificates.find("broken:1", "broken:1").unwrap_err();
        assert!(crate::cause::one_line(&broken).contains("client.key"));
    }

    #[test]
    fn our_certificate_is_shown_to_no_host_that_it_is_not_kept_for() {
        let names = ["a/r.io/ca.crt", "a/r.io/own.cert", "a/r.io/own.key", "a/cdn.io/cdn.cert", "a/cdn.io/cdn.key"];
        let (root, certificates) = certificates(&names, &Docker::default());
        assert_eq!(found(&certificates, "r.io", "r.io"), "a/r.io/ca.crt|a/r.io/own.cert+a/r.io/own.key");
        assert_eq!(found(&certificates, "r.io", "other.io"), "a/r.io/ca.crt|");
        assert_eq!(found(&certificates, "r.io", "r.io:8443"), "a/r.io/ca.crt|");
        assert_eq!(found(&certificates, "r.io", "cdn.io"), "a/r.io/ca.crt|a/cdn.io/cdn.cert+a/cdn.io/cdn.key");
        let only = Certificates::new(Vec::new(), Some(root.path().join("a/r.io")), &Docker::default());
        assert_eq!(found(&only, "any.io", "any.io"), "a/r.io/ca.crt|a/r.io/own.cert+a/r.io/own.key");
        assert_eq!(found(&only, "any.io", "cdn.io"), "a/r.io/ca.crt|");
    }

    #[test]
    fn what_is_found_is_read_once() {
        let (root, certificates) = certificates(&["a/r.io/ca.crt"], &Docker::default());
        assert_eq!(found(&certificates, "r.io", "r.io"), "a/r.io/ca.crt|");
        fs::remove_dir_all(root.path().join("a")).unwrap();
        assert_eq!(found(&certificates.clone(), "r.io", "r.io"), "a/r.io/ca.crt|");
    }

    #[test]
    fn hosts_toml_speaks_for_who_has_no_directory() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("r.io/hosts.toml");
        for name in ["c.pem", "k.pem"] {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file.with_file_name(name), name).unwrap();
        }
        let mut docker = Docker::default();
        docker.add_hosts(&file, "[host.'https://m.io']\nca = 'c.pem'\nclient = [['c.pem', 'k.pem']]\n");
        let (_root, certificates) = certificates(&["a/other.io/ca.crt"], &docker);
        assert_eq!(found(&certificates, "m.io", "m.io"), "c.pem|c.pem+k.pem");
    }
}
