//! What Docker's own files say of where it pulls from: daemon.json, and the hosts.toml of its certs.d and containerd's.
//! Text in, endpoints out; registries.conf goes before all of it.
//!
//! Followed is what has the same meaning for us: mirrors, other servers, which of them may do without TLS, and their
//! certificates. A host that is to be asked in another way (`override_path`, `header`, a path) is passed over, and
//! [`Docker::passed_over`] tells so. As for Docker, names count with their ports; a network of `insecure-registries`
//! covers addresses, and of names nobody asks here what address they have.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::file::When;
use super::{Endpoint, Refusal};
use crate::reference::{self, Reference};

const HUB: &str = "docker.io";

/// The files' words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Docker {
    /// `registry-mirrors`: of Docker Hub only.
    mirrors: Vec<Host>,
    insecure: Vec<Insecure>,
    /// By the names of their directories.
    hosts: BTreeMap<String, Hosts>,
    passed_over: Vec<String>,
}

/// An entry of `insecure-registries`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Insecure {
    Name(String),
    Network { address: IpAddr, bits: u8 },
}

/// A hosts.toml.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Hosts {
    mirrors: Vec<Host>,
    server: Option<Host>,
    /// Why the registry is not asked.
    refusal: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Host {
    name: String,
    insecure: bool,
    when: When,
    certificates: CertificateFiles,
}

/// The certificates of one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateFiles {
    /// `ca`
    pub authorities: Vec<PathBuf>,
    /// `client`: certificates with their keys, which may lie in the same file.
    pub clients: Vec<(PathBuf, Option<PathBuf>)>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Daemon {
    registry_mirrors: Vec<String>,
    insecure_registries: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct HostsToml {
    server: String,
    #[serde(flatten)]
    own: HostTable,
    host: BTreeMap<String, Spanned<HostTable>>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct HostTable {
    capabilities: Option<Vec<String>>,
    skip_verify: bool,
    ca: Option<Files>,
    client: Option<Clients>,
    override_path: bool,
    header: Option<toml::Table>,
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Files {
    One(PathBuf),
    Several(Vec<PathBuf>),
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Clients {
    One(PathBuf),
    Several(Vec<Files>),
}

impl Docker {
    /// Adds what daemon.json says; Docker does not start with one that is wrong, so nothing is lost without it.
    pub fn add_daemon(&mut self, file: &str, text: &str) {
        let daemon: Daemon = match serde_json::from_str(text) {
            Ok(daemon) => daemon,
            Err(error) => return self.passed_over.push(format!("{file}: {error}")),
        };
        for mirror in daemon.registry_mirrors {
            let host = host(&mirror, HostTable::default(), Path::new(""));
            let taken = self.taken(file, host);
            self.mirrors.extend(taken);
        }
        self.insecure.extend(daemon.insecure_registries.iter().map(|entry| Insecure::new(entry)));
    }

    /// Adds a hosts.toml, whose directory says for which registry it is; the first for one counts.
    pub fn add_hosts(&mut self, file: &Path, text: &str) {
        let directory = file.parent().unwrap_or(file);
        let Some(name) = directory.file_name().and_then(|name| name.to_str()) else { return };
        let shown = file.display().to_string();
        let parsed: HostsToml = match toml::from_str(text) {
            Ok(parsed) => parsed,
            Err(error) => return self.refuse(name, format!("{shown}: {}", error.message())),
        };
        let mut tables: Vec<_> = parsed.host.into_iter().collect();
        tables.sort_by_key(|(_, table)| table.span().start);
        // It would let what the host leads to do without TLS, too.
        for (url, _) in tables.iter().filter(|(_, table)| table.get_ref().skip_verify) {
            self.passed_over.push(format!("{shown}: skip_verify of {url} is not followed"));
        }
        let mirrors = tables.into_iter().map(|(url, table)| host(&url, table.into_inner(), directory));
        let mirrors = mirrors.filter_map(|host| self.taken(&shown, host)).collect();
        let server = match parsed.server.as_str() {
            "" => format!("https://{}", registry_of(name)),
            server => server.to_owned(),
        };
        let has_own = !parsed.server.is_empty() || name != "_default";
        let server = match has_own.then(|| host(&server, parsed.own, directory)).transpose() {
            Ok(server) => server,
            Err(reason) => return self.refuse(name, format!("{shown}: {reason}")),
        };
        self.hosts.entry(name.to_owned()).or_insert(Hosts { mirrors, server, refusal: None });
    }

    /// The registry of that name is not asked: what stands for it is known to be another place, and not where.
    fn refuse(&mut self, name: &str, reason: String) {
        self.passed_over.push(reason.clone());
        let hosts = Hosts { refusal: Some(reason), ..Hosts::default() };
        self.hosts.entry(name.to_owned()).or_insert(hosts);
    }

    fn taken(&mut self, file: &str, host: Result<Host, String>) -> Option<Host> {
        host.map_err(|reason| self.passed_over.push(format!("{file}: {reason}"))).ok()
    }

    /// What is not followed, each with its file.
    pub fn passed_over(&self) -> &[String] {
        &self.passed_over
    }

    /// The certificates of single hosts.
    pub fn certificates(&self) -> impl Iterator<Item = (&str, &CertificateFiles)> {
        let hosts = self.hosts.values().flat_map(|hosts| hosts.mirrors.iter().chain(&hosts.server));
        let hosts = hosts.filter(|host| host.certificates != CertificateFiles::default());
        hosts.map(|host| (host.name.as_str(), &host.certificates))
    }

    /// Whether a host is one of those that the files lead to.
    pub(super) fn leads_to(&self, name: &str) -> bool {
        let hosts = self.hosts.values().flat_map(|hosts| hosts.mirrors.iter().chain(&hosts.server));
        hosts.chain(&self.mirrors).any(|host| host.name == name)
    }

    /// The places to ask for `reference`, the registry itself last.
    pub(super) fn endpoints(&self, reference: &Reference) -> Result<Vec<Endpoint>, Refusal> {
        let registry = reference.registry();
        let hosts = self.hosts(registry);
        if let Some(reason) = hosts.and_then(|hosts| hosts.refusal.clone()) {
            return Err(Refusal::Unfollowed { registry: registry.to_owned(), reason });
        }
        let mirrors = match hosts {
            Some(hosts) if !hosts.mirrors.is_empty() => &hosts.mirrors,
            _ if registry == HUB => &self.mirrors,
            _ => return Ok(vec![self.own(reference)]),
        };
        let serves = |host: &&Host| host.when == When::All || reference.digest().is_some();
        let mirror = |host: &Host| {
            let reference = reference.at(&host.name, reference.repository()).ok()?;
            Some(Endpoint { reference, insecure: host.insecure || self.is_insecure(&host.name), is_mirror: true })
        };
        Ok(mirrors.iter().filter(serves).filter_map(mirror).chain([self.own(reference)]).collect())
    }

    /// The registry itself, or the server that stands for it.
    fn own(&self, reference: &Reference) -> Endpoint {
        let registry = reference.registry();
        let server = self.hosts(registry).and_then(|hosts| hosts.server.as_ref());
        let is_hub = |name: &str| name == HUB || name.ends_with(".docker.io");
        let is_other = |server: &&Host| server.name != registry && !(registry == HUB && is_hub(&server.name));
        let moved = server.filter(is_other).and_then(|server| reference.at(&server.name, reference.repository()).ok());
        let reference = moved.unwrap_or_else(|| reference.clone());
        let insecure = server.is_some_and(|server| server.insecure) || self.is_insecure(reference.registry());
        Endpoint { reference, insecure, is_mirror: false }
    }

    /// Whether a registry may do without TLS.
    pub(super) fn is_insecure(&self, registry: &str) -> bool {
        self.insecure.iter().any(|entry| entry.covers(registry))
    }

    /// What is said of a registry: containerd looks for `host_5000_` before `host:5000`.
    fn hosts(&self, registry: &str) -> Option<&Hosts> {
        let plain = registry.rsplit_once(':').map(|(host, port)| format!("{host}_{port}_"));
        let names = [plain.as_deref(), Some(registry), Some("_default")];
        names.into_iter().flatten().find_map(|name| self.hosts.get(name))
    }
}

impl fmt::Display for Docker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mirrors, insecure, hosts) = (self.mirrors.len(), self.insecure.len(), self.hosts.len());
        write!(f, "mirrors: {mirrors}, insecure: {insecure}, hosts.toml: {hosts}")
    }
}

impl Insecure {
    /// An address range, else a name as it is.
    fn new(entry: &str) -> Self {
        let network =
            entry.split_once('/').and_then(|(address, bits)| Some((address.parse().ok()?, bits.parse().ok()?)));
        match network {
            Some((address, bits)) => Self::Network { address, bits },
            None => Self::Name(entry.to_owned()),
        }
    }

    fn covers(&self, registry: &str) -> bool {
        match self {
            Self::Name(name) => name == registry,
            Self::Network { address, bits } => {
                reference::address(registry).is_some_and(|other| is_within(other, *address, *bits))
            }
        }
    }
}

fn is_within(one: IpAddr, network: IpAddr, bits: u8) -> bool {
    let same = |one: u128, other: u128, width: u32| {
        let rest = width.saturating_sub(u32::from(bits));
        one.checked_shr(rest).unwrap_or(0) == other.checked_shr(rest).unwrap_or(0)
    };
    match (one, network) {
        (IpAddr::V4(one), IpAddr::V4(other)) => same(u32::from(one).into(), u32::from(other).into(), 32),
        (IpAddr::V6(one), IpAddr::V6(other)) => same(one.into(), other.into(), 128),
        _ => false,
    }
}

/// The registry that a directory is for: containerd writes `host_5000_` where a colon is not wanted.
fn registry_of(directory: &str) -> String {
    let plain = directory.strip_suffix('_').and_then(|rest| rest.rsplit_once('_'));
    plain.map_or_else(|| directory.to_owned(), |(host, port)| format!("{host}:{port}"))
}

/// A host of a URL, or why it cannot be asked as it wants.
fn host(url: &str, table: HostTable, directory: &Path) -> Result<Host, String> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let name = rest.trim_end_matches('/').trim_end_matches("/v2");
    if !matches!(scheme, "http" | "https") || !reference::is_registry(name) {
        return Err(format!("{url} is passed over, as it is more than a host"));
    }
    if table.override_path || table.header.is_some() {
        return Err(format!("{url} is passed over, as it wants override_path or header"));
    }
    let may = |what: &str| table.capabilities.as_ref().is_none_or(|all| all.iter().any(|one| one == what));
    let when = match (may("pull"), may("resolve")) {
        (true, true) => When::All,
        (true, false) => When::DigestOnly,
        (false, _) => return Err(format!("{url} is passed over, as it is not for pulls")),
    };
    let insecure = scheme == "http";
    Ok(Host { name: name.to_owned(), insecure, when, certificates: table.certificates(directory) })
}

impl HostTable {
    fn certificates(self, directory: &Path) -> CertificateFiles {
        let list = |files: Files| match files {
            Files::One(file) => vec![file],
            Files::Several(files) => files,
        };
        let pair = |files: Files| {
            let mut files = list(files).into_iter().map(|file| directory.join(file));
            Some((files.next()?, files.next()))
        };
        let clients = match self.client {
            Some(Clients::One(file)) => vec![Files::One(file)],
            Some(Clients::Several(pairs)) => pairs,
            None => Vec::new(),
        };
        CertificateFiles {
            authorities: self.ca.map(list).unwrap_or_default().iter().map(|file| directory.join(file)).collect(),
            clients: clients.into_iter().filter_map(pair).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(docker: &Docker, name: &str) -> Vec<String> {
        let shown = |endpoint: Endpoint| format!("{}{}", endpoint.reference, if endpoint.insecure { "!" } else { "" });
        docker.endpoints(&name.parse().unwrap()).unwrap().into_iter().map(shown).collect()
    }

    #[test]
    fn mirrors_of_daemon_json_are_docker_hubs() {
        let mut docker = Docker::default();
        docker.add_daemon(
            "daemon.json",
            r#"{"registry-mirrors": ["https://m.io/", "http://n.io:5000", "https://o.io/path"], "log-level": "info"}"#,
        );
        assert_eq!(
            asked(&docker, "x"),
            ["m.io/library/x:latest", "n.io:5000/library/x:latest!", "docker.io/library/x:latest"]
        );
        assert_eq!(asked(&docker, "quay.io/x:1"), ["quay.io/x:1"]);
        assert_eq!(docker.passed_over(), ["daemon.json: https://o.io/path is passed over, as it is more than a host"]);
        docker.add_daemon("daemon.json", "{");
        assert!(docker.passed_over()[1].starts_with("daemon.json: EOF"), "{:?}", docker.passed_over());
    }

    #[test]
    fn insecure_registries_are_names_with_their_ports_and_networks() {
        let mut docker = Docker::default();
        docker.add_daemon(
            "daemon.json",
            r#"{"insecure-registries": ["a.io:5000", "10.1.0.0/16", "fd00::/8", "192.0.2.7", "0.0.0.0/99"]}"#,
        );
        let cases = [
            ("a.io:5000", true),
            ("a.io", false),
            ("a.io:5001", false),
            ("10.1.2.3", true),
            ("10.1.2.3:5000", true),
            ("10.2.2.3:5000", false),
            ("[fd12::1]:5000", true),
            ("[fe80::1]:5000", false),
            ("192.0.2.7", true),
            ("192.0.2.7:80", false),
        ];
        for (registry, expected) in cases {
            assert_eq!(docker.is_insecure(registry), expected, "{registry}");
        }
    }

    const HOSTS: &str = r#"
        server = "https://up.io"
        ca = "up.crt"
        [host."https://z.io"]
        capabilities = ["pull", "resolve"]
        skip_verify = true
        [host."https://a.io/v2"]
        capabilities = ["pull"]
        ca = ["/a.crt", "b.crt"]
        client = [["c.cert", "c.key"], "both.pem"]
        [host."https://proxied.io/v2/hub"]
        override_path = true
        [host."https://token.io"]
        [host."https://token.io".header]
        x-token = "secret"
        [host."https://up.io"]
        capabilities = ["push"]
    "#;

    #[test]
    fn hosts_toml_is_followed_in_its_order_as_far_as_it_has_our_meaning() {
        let mut docker = Docker::default();
        docker.add_hosts(Path::new("/d/r.io/hosts.toml"), HOSTS);
        docker.add_hosts(Path::new("/d/q.io_5000_/hosts.toml"), "[host.\"http://m.io\"]");
        docker.add_hosts(Path::new("/e/r.io/hosts.toml"), "server = 'https://later.io'");
        let pinned = format!("r.io/x@sha256:{}", "a".repeat(64));
        let at = |host: &str| pinned.replacen("r.io", host, 1);
        assert_eq!(asked(&docker, "r.io/x:1"), ["z.io/x:1", "up.io/x:1"]);
        assert_eq!(asked(&docker, &pinned), [at("z.io"), at("a.io"), at("up.io")]);
        assert_eq!(asked(&docker, "q.io:5000/x:1"), ["m.io/x:1!", "q.io:5000/x:1"]);
        assert_eq!(asked(&docker, "other.io/x:1"), ["other.io/x:1"]);
        assert_eq!(docker.passed_over().len(), 4, "{:?}", docker.passed_over());
        docker.add_hosts(Path::new("/d/_default/hosts.toml"), "[host.\"https://all.io\"]");
        assert_eq!(asked(&docker, "other.io/x:1"), ["all.io/x:1", "other.io/x:1"]);
        docker.add_hosts(Path::new("/d/docker.io/hosts.toml"), "server = 'https://registry-1.docker.io'");
        assert_eq!(asked(&docker, "x/y:1"), ["docker.io/x/y:1"]);
        assert!(docker.leads_to("up.io") && docker.leads_to("z.io") && !docker.leads_to("later.io"));
    }

    #[test]
    fn registry_whose_hosts_toml_cannot_be_followed_is_not_asked() {
        for text in
            ["server = ", "server = 'https://proxy.io/v2/hub'", "server = 'https://up.io'\noverride_path = true"]
        {
            let mut docker = Docker::default();
            docker.add_hosts(Path::new("/d/r.io/hosts.toml"), text);
            docker.add_hosts(Path::new("/e/r.io/hosts.toml"), "server = 'https://later.io'");
            let refusal = docker.endpoints(&"r.io/x:1".parse().unwrap()).unwrap_err().to_string();
            assert!(refusal.starts_with("r.io is not asked: /d/r.io/hosts.toml: "), "{refusal}");
            assert_eq!(asked(&docker, "other.io/x:1"), ["other.io/x:1"]);
        }
    }

    #[test]
    fn certificates_of_hosts_toml_lie_beside_it() {
        let mut docker = Docker::default();
        docker.add_hosts(Path::new("/d/r.io/hosts.toml"), HOSTS);
        let found: BTreeMap<_, _> = docker.certificates().collect();
        let a = CertificateFiles {
            authorities: ["/a.crt", "/d/r.io/b.crt"].map(PathBuf::from).to_vec(),
            clients: vec![("/d/r.io/c.cert".into(), Some("/d/r.io/c.key".into())), ("/d/r.io/both.pem".into(), None)],
        };
        let up = CertificateFiles { authorities: vec!["/d/r.io/up.crt".into()], clients: Vec::new() };
        assert_eq!(found, BTreeMap::from([("a.io", &a), ("up.io", &up)]));
    }
}
