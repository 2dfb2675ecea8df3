//! Where a registry's content is really fetched: containers-registries.conf(5). Text in, endpoints out.
//!
//! What concerns pulling is followed: `prefix` with wildcards, `location`, `insecure`, `blocked`, `mirror` with
//! `pull-from-mirror`, and `mirror-by-digest-only`; [`short_names`] has the rest. Two things are stricter than
//! containers/image and as the man page says: a blocked prefix is blocked wherever its `location` is, and IPv6 addresses
//! are registries.

pub mod docker;
mod file;
pub mod short_names;

use std::fmt;
use std::net::IpAddr;

use crate::reference::{self, Reference};

pub use self::docker::Docker;
pub use self::file::{Error, Registry};
use self::file::{Mirror, When};
use self::short_names::ShortNames;

/// What the files say, in the order in which they override each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistriesConf {
    /// Sorted by their prefixes.
    registries: Vec<Registry>,
    short_names: ShortNames,
    /// What counts where nothing else is said.
    docker: Docker,
    credential_helpers: Vec<String>,
}

/// One place to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// What it is called there.
    pub reference: Reference,
    /// Whether it may do without TLS, or with any certificate.
    pub insecure: bool,
    /// Whether it stands in for the registry: it is asked first, and left when it is no good.
    pub is_mirror: bool,
}

/// Why nobody is asked.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// `blocked`.
    #[error("registry {registry} is blocked in {file}")]
    Blocked {
        /// The prefix that is blocked.
        registry: String,
        /// The file that says so.
        file: String,
    },
    /// A hosts.toml of Docker's that cannot be followed.
    #[error("{registry} is not asked: {reason}")]
    Unfollowed {
        /// The registry that it is for.
        registry: String,
        /// The file, and what is wrong with it.
        reason: String,
    },
    /// A `location` that makes no reference.
    #[error("{location}, named in {file}, is no place of a registry")]
    Location {
        /// The location.
        location: String,
        /// The file that says so.
        file: String,
        /// Why it is none.
        #[source]
        source: reference::Reason,
    },
}

impl RegistriesConf {
    /// Adds what registries.conf says.
    pub fn add(&mut self, file: &str, text: &str) -> Result<(), Error> {
        self.extend(file::parse(file, text, false)?);
        Ok(())
    }

    /// Adds what a drop-in says; a registry of the same prefix is replaced.
    pub fn add_drop_in(&mut self, file: &str, text: &str) -> Result<(), Error> {
        self.extend(file::parse(file, text, true)?);
        Ok(())
    }

    /// The same with what Docker's own files say, where these say nothing.
    #[must_use]
    pub fn with_docker(self, docker: Docker) -> Self {
        Self { docker, ..self }
    }

    /// What Docker's own files say.
    pub const fn docker(&self) -> &Docker {
        &self.docker
    }

    /// What short names stand for.
    pub const fn short_names(&self) -> &ShortNames {
        &self.short_names
    }

    /// Who is asked for credentials, in order; empty where no file says.
    pub fn credential_helpers(&self) -> &[String] {
        &self.credential_helpers
    }

    fn extend(&mut self, file: file::File) {
        let mut registries = file.registries;
        registries.sort_by(|one, other| one.prefix.cmp(&other.prefix));
        // Within a file the first of a prefix counts, between files the last.
        registries.dedup_by(|one, other| one.prefix == other.prefix);
        self.registries.retain(|one| registries.iter().all(|other| one.prefix != other.prefix));
        self.registries.extend(registries);
        self.registries.sort_by(|one, other| one.prefix.cmp(&other.prefix));
        self.short_names.extend(file.short_names);
        if let Some(helpers) = file.credential_helpers {
            self.credential_helpers = helpers;
        }
    }

    /// Where `reference` is pushed to, as for containers/image: the registry of its name, whatever stands in for it.
    pub fn own(&self, reference: &Reference) -> Result<Endpoint, Refusal> {
        self.check(reference)?;
        let insecure = match self.find(&reference.name()) {
            Some((registry, _)) => registry.insecure,
            None => self.docker.is_insecure(reference.registry()),
        };
        Ok(Endpoint { reference: reference.clone(), insecure, is_mirror: false })
    }

    /// Whether a host is one of those that the files lead to.
    pub fn leads_to(&self, host: &str) -> bool {
        let locations = self
            .registries
            .iter()
            .flat_map(|registry| registry.mirrors.iter().map(|mirror| &mirror.location).chain([&registry.location]));
        locations.filter_map(|location| location.split('/').next()).any(|location| location == host)
            || self.docker.leads_to(host)
    }

    /// What is said of a name, and how much of it that takes.
    fn find(&self, name: &str) -> Option<(&Registry, usize)> {
        let found = self.registries.iter().filter_map(|registry| Some((registry, matched(&registry.prefix, name)?)));
        // Of prefixes of one length, *.b.io and a.b.io, the first.
        found.rev().max_by_key(|(registry, _)| registry.prefix.len())
    }

    fn check(&self, place: &Reference) -> Result<(), Refusal> {
        for name in [place.name(), format!("{}/{}", canonical(place.registry()), place.repository())] {
            if let Some((Registry { blocked: true, prefix, file, .. }, _)) = self.find(&name) {
                return Err(Refusal::Blocked { registry: prefix.clone(), file: file.clone() });
            }
        }
        Ok(())
    }

    /// The places to ask for `reference` and all that belongs to it, the registry itself last. Which mirrors there are is a
    /// question of whether it was asked for by its digest, as for containers/image.
    pub fn endpoints(&self, reference: &Reference) -> Result<Vec<Endpoint>, Refusal> {
        let (name, by_digest) = (reference.name(), reference.digest().is_some());
        self.check(reference)?;
        let Some((registry, length)) = self.find(&name) else {
            let is_open = |endpoint: &Endpoint| !endpoint.is_mirror || self.check(&endpoint.reference).is_ok();
            return Ok(self.docker.endpoints(reference)?.into_iter().filter(is_open).collect());
        };
        let rest = &name[length..];
        let mirrors = registry.mirrors.iter().filter(|mirror| mirror.serves(registry, by_digest));
        let mirrors = mirrors.map(|mirror| (mirror.location.as_str(), mirror.insecure, true));
        let own = std::iter::once((registry.location.as_str(), registry.insecure, false));
        let endpoint = |(location, insecure, is_mirror): (&str, bool, bool)| {
            let reference = relocated(reference, location, rest).map_err(|source| Refusal::Location {
                location: location.to_owned(),
                file: registry.file.clone(),
                source,
            })?;
            Ok(Endpoint { reference, insecure, is_mirror })
        };
        // What a name leads to may be blocked itself: a mirror is passed over then.
        let own = own.map(endpoint).map(|own| own.and_then(|own| self.check(&own.reference).map(|()| own)));
        let is_open = |mirror: &Result<Endpoint, Refusal>| {
            mirror.as_ref().map_or(true, |mirror| self.check(&mirror.reference).is_ok())
        };
        mirrors.map(endpoint).filter(is_open).chain(own).collect()
    }
}

impl fmt::Display for RegistriesConf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mirrors: usize = self.registries.iter().map(|registry| registry.mirrors.len()).sum();
        let blocked: Vec<&str> =
            self.registries.iter().filter(|one| one.blocked).map(|one| one.prefix.as_str()).collect();
        let (aliases, searched) = (self.short_names.aliases(), self.short_names.searched());
        write!(f, "{} configured, mirrors: {mirrors}, aliases: {aliases}", self.registries.len())?;
        for (what, which) in [("blocked", blocked.join(", ")), ("searched", searched.join(", "))] {
            if !which.is_empty() {
                write!(f, ", {what}: {which}")?;
            }
        }
        if self.docker != Docker::default() {
            write!(f, "; by Docker: {}", self.docker)?;
        }
        Ok(())
    }
}

impl Mirror {
    fn serves(&self, registry: &Registry, by_digest: bool) -> bool {
        match self.when {
            When::All => by_digest || !registry.mirror_by_digest_only,
            When::DigestOnly => by_digest,
            When::TagOnly => !by_digest,
        }
    }
}

/// A registry as most call it, so that what is blocked is not reached by another spelling.
fn canonical(registry: &str) -> String {
    let lower = registry.to_ascii_lowercase();
    match (lower.as_str(), reference::address(&lower)) {
        ("registry-1.docker.io" | "index.docker.io", _) => String::from("docker.io"),
        (name, Some(address @ IpAddr::V6(_))) => {
            format!("[{address}]{}", name.rsplit_once(']').map_or("", |(_, port)| port))
        }
        _ => lower,
    }
}

/// How much of a name the prefix takes, if it matches: up to a slash or a port. `*.example.com` takes the host.
fn matched(prefix: &str, name: &str) -> Option<usize> {
    let end = match prefix.strip_prefix('*').filter(|domain| domain.starts_with('.')) {
        // Containers/image looks at the first place where the domain stands, so not at a.b.io.b.io for *.b.io.
        Some(domain) => name.find(domain).filter(|at| !name[..*at].contains('/'))? + domain.len(),
        None => name.strip_prefix(prefix).map(|_| prefix.len())?,
    };
    let rest = &name[end..];
    (rest.is_empty() || rest.starts_with(['/', ':'])).then_some(end)
}

/// The reference with `location` in place of what was matched; an empty one changes nothing.
fn relocated(reference: &Reference, location: &str, rest: &str) -> Result<Reference, reference::Reason> {
    if location.is_empty() {
        return Ok(reference.clone());
    }
    let place = format!("{location}{rest}");
    // A location is a full name, or containers/image does not take it.
    if reference::short_name(&place).is_some() {
        return Err(reference::Reason::Registry(place));
    }
    let (registry, repository) = place.split_once('/').unwrap_or((&place, ""));
    if registry == "docker.io" && !repository.contains('/') {
        return Err(reference::Reason::Repository(repository.to_owned()));
    }
    reference.at(registry, repository)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_file_that_names_credential_helpers_says_who_is_asked() {
        let mut conf = RegistriesConf::default();
        assert!(conf.credential_helpers().is_empty());
        for (text, expected) in [
            ("credential-helpers = ['containers-auth.json', 'pass']", &["containers-auth.json", "pass"][..]),
            ("unqualified-search-registries = ['docker.io']", &["containers-auth.json", "pass"]),
            ("credential-helpers = ['secretservice']", &["secretservice"]),
        ] {
            conf.add("x", text).unwrap();
            assert_eq!(conf.credential_helpers(), expected, "{text}");
        }
        assert!(conf.add("x", "credential-helpers = 'pass'").is_err());
    }

    fn conf(text: &str) -> RegistriesConf {
        let mut conf = RegistriesConf::default();
        conf.add("a.conf", text).unwrap();
        conf
    }

    fn asked(conf: &RegistriesConf, reference: &str) -> Vec<String> {
        let endpoints = conf.endpoints(&reference.parse().unwrap()).unwrap();
        let shown = |endpoint: Endpoint| format!("{}{}", endpoint.reference, if endpoint.insecure { "!" } else { "" });
        endpoints.into_iter().map(shown).collect()
    }

    /// The examples of the man page among them.
    #[test]
    fn the_longest_prefix_says_where_content_is() {
        let conf = conf(
            r#"
            [[registry]]
            prefix = "example.com/foo"
            location = "internal-registry-for-example.com/bar"
            insecure = true
            [[registry.mirror]]
            location = "example-mirror-0.local/mirror-for-foo"
            [[registry.mirror]]
            location = "example-mirror-1.local/mirrors/foo"
            insecure = true
            [[registry]]
            location = "registry.com"
            [[registry.mirror]]
            location = "mirror.registry.com:5000"
            [[registry]]
            prefix = "*.wild.io"
            location = "one.place/wild"
            [[registry]]
            prefix = "*.as.is"
            insecure = true
            [[registry]]
            prefix = "docker.io"
            location = "hub.local"
            [[registry]]
            prefix = "b.wild.io"
            location = "never.io"
            [[registry]]
            prefix = "first.io"
            location = "one.io"
            [[registry]]
            prefix = "first.io"
            location = "other.io"
            "#,
        );
        let cases: [(&str, &[&str]); 10] = [
            ("plain.io/a/b:1", &["plain.io/a/b:1"]),
            (
                "example.com/foo/myimage:latest",
                &[
                    "example-mirror-0.local/mirror-for-foo/myimage:latest",
                    "example-mirror-1.local/mirrors/foo/myimage:latest!",
                    "internal-registry-for-example.com/bar/myimage:latest!",
                ],
            ),
            ("example.com/foobar/x:1", &["example.com/foobar/x:1"]),
            ("registry.com/image:1", &["mirror.registry.com:5000/image:1", "registry.com/image:1"]),
            ("a.wild.io/x/y:1", &["one.place/wild/x/y:1"]),
            ("b.as.is/x:1", &["b.as.is/x:1!"]),
            ("alpine", &["hub.local/library/alpine:latest"]),
            ("a.wild.io.wild.io/x:1", &["a.wild.io.wild.io/x:1"]),
            ("b.wild.io/x:1", &["one.place/wild/x:1"]),
            ("first.io/x:1", &["one.io/x:1"]),
        ];
        for (reference, expected) in cases {
            assert_eq!(asked(&conf, reference), expected, "{reference}");
        }
    }

    #[test]
    fn mirrors_serve_what_they_may() {
        let conf = conf(
            r#"
            [[registry]]
            location = "a.io"
            [[registry.mirror]]
            location = "tags.io"
            pull-from-mirror = "tag-only"
            [[registry.mirror]]
            location = "digests.io"
            pull-from-mirror = "digest-only"
            [[registry.mirror]]
            location = "all.io"
            [[registry]]
            location = "b.io"
            mirror-by-digest-only = true
            [[registry.mirror]]
            location = "m.io"
            "#,
        );
        let digest = format!("@sha256:{}", "a".repeat(64));
        let pinned = |name: &str| format!("{name}{digest}");
        assert_eq!(asked(&conf, &pinned("a.io/x:1")), ["digests.io/x:1", "all.io/x:1", "a.io/x:1"].map(pinned));
        assert_eq!(asked(&conf, "a.io/x:1"), ["tags.io/x:1", "all.io/x:1", "a.io/x:1"]);
        assert_eq!(asked(&conf, &pinned("a.io/x")), ["digests.io/x", "all.io/x", "a.io/x"].map(pinned));
        assert_eq!(asked(&conf, "b.io/x:1"), ["b.io/x:1"]);
        assert_eq!(asked(&conf, &pinned("b.io/x")), ["m.io/x", "b.io/x"].map(pinned));
    }

    #[test]
    fn later_files_replace_registries_and_blocked_ones_are_named() {
        let mut conf = conf("[[registry]]\nlocation = \"a.io\"\nblocked = true\n");
        let reference: Reference = "a.io/x:1".parse().unwrap();
        let refused = conf.endpoints(&reference).unwrap_err();
        assert_eq!(refused.to_string(), "registry a.io is blocked in a.conf");
        conf.add_drop_in("b.conf", "[[registry]]\nlocation = \"a.io\"\n").unwrap();
        assert_eq!(asked(&conf, "a.io/x:1"), ["a.io/x:1"]);
    }

    #[test]
    fn blocked_places_are_reached_neither_by_their_ports_nor_through_others() {
        let conf = conf(
            r#"
            [[registry]]
            location = "blocked.io"
            blocked = true
            [[registry]]
            location = "docker.io"
            blocked = true
            [[registry]]
            location = "[fd00::1]"
            blocked = true
            [[registry]]
            prefix = "*.wild.io"
            blocked = true
            [[registry]]
            location = "a.io"
            [[registry.mirror]]
            location = "m.wild.io"
            [[registry]]
            prefix = "b.io"
            location = "blocked.io/b"
            "#,
        );
        for name in [
            "blocked.io/x:1",
            "blocked.io:5000/x:1",
            "BLOCKED.io/x:1",
            "registry-1.docker.io/a/b:1",
            "[fd00:0::1]/x:1",
            "a.wild.io:5000/x:1",
            "b.io/x:1",
        ] {
            assert!(conf.endpoints(&name.parse().unwrap()).is_err(), "{name}");
        }
        assert_eq!(asked(&conf, "a.io/x:1"), ["a.io/x:1"]);
        assert_eq!(asked(&conf, "a.io:5000/x:1"), ["a.io:5000/x:1"]);
    }

    #[test]
    fn what_is_said_of_a_mirror_holds_for_the_mirror_alone() {
        let conf = conf(
            r#"
            [[registry]]
            location = "a.io"
            [[registry.mirror]]
            location = "m.io/deep"
            insecure = true
            [[registry]]
            location = "b.io"
            insecure = true
            "#,
        );
        assert_eq!(asked(&conf, "a.io/x:1"), ["m.io/deep/x:1!", "a.io/x:1"]);
        assert_eq!(asked(&conf, "m.io/deep/x:1"), ["m.io/deep/x:1"]);
        let own = |name: &str| conf.own(&name.parse().unwrap()).unwrap().insecure;
        assert_eq!(["a.io/x", "b.io/x", "m.io/deep/x", "c.io/x"].map(own), [false, true, false, false]);
        assert_eq!(["a.io", "m.io", "c.io"].map(|host| conf.leads_to(host)), [true, true, false]);
    }

    #[test]
    fn version_1_is_read_but_not_in_a_drop_in() {
        let text = "[registries.search]\nregistries = ['s.io']\n[registries.block]\nregistries = ['b.io']\n\
            [registries.insecure]\nregistries = ['i.io', 'b.io/']\n";
        let conf = conf(text);
        assert_eq!(asked(&conf, "i.io/x:1"), ["i.io/x:1!"]);
        assert!(conf.endpoints(&"b.io/x:1".parse().unwrap()).is_err());
        assert_eq!(conf.short_names().searched(), ["s.io"]);
        let error = RegistriesConf::default().add_drop_in("drop-in.conf", text).unwrap_err();
        assert_eq!(error.to_string(), "drop-in.conf: a drop-in cannot be of version 1");
    }

    #[test]
    fn dockers_files_count_where_these_say_nothing() {
        let mut docker = Docker::default();
        docker.add_daemon(
            "daemon.json",
            r#"{"registry-mirrors": ["https://m.io", "https://n.io"], "insecure-registries": ["a.io", "b.io"]}"#,
        );
        let conf = conf("[[registry]]\nlocation = 'a.io'\n[[registry]]\nlocation = 'm.io'\nblocked = true\n");
        let conf = conf.with_docker(docker.clone());
        assert_eq!(asked(&conf, "x/y:1"), ["n.io/x/y:1", "docker.io/x/y:1"]);
        assert_eq!(["a.io/x:1", "b.io/x:1"].map(|name| asked(&conf, name)), [["a.io/x:1"], ["b.io/x:1!"]]);
        let own = |name: &str| conf.own(&name.parse().unwrap()).unwrap().insecure;
        assert_eq!(["a.io/x:1", "b.io/x:1"].map(own), [false, true]);
        let mut hub = RegistriesConf::default();
        hub.add("a.conf", "[[registry]]\nlocation = 'docker.io'\n").unwrap();
        assert_eq!(asked(&hub.with_docker(docker), "x/y:1"), ["docker.io/x/y:1"]);
    }

    #[test]
    fn locations_must_make_full_names() {
        for location in ["plainhost", "docker.io", "a.io/UP", "ftp://a.io", "a.io/x:1"] {
            let conf = conf(&format!("[[registry]]\nprefix = 'x.io'\nlocation = '{location}'\n"));
            assert!(
                matches!(conf.endpoints(&"x.io/m:1".parse().unwrap()), Err(Refusal::Location { .. })),
                "{location}"
            );
            assert!(conf.endpoints(&"y.io/m:1".parse().unwrap()).is_ok(), "{location}");
        }
    }

    #[test]
    fn what_is_no_registries_conf_is_refused_with_its_file() {
        let cases = [
            ("= 1", "bad.conf:1: "),
            ("[[registry]]\n[[registry]\n", "bad.conf:2: "),
            ("[[registry]]\nlocation = 1\n", "bad.conf:2: invalid type"),
            ("[[registry]]\n", "a registry without prefix and location"),
            ("[[registry]]\nprefix = \"a.io\"\n", "a.io has no location"),
            ("[[registry]]\nlocation = \"https://a.io\"\n", "https://a.io has a scheme"),
            (
                "[[registry]]\nlocation = \"a.io\"\n[[registry.mirror]]\ninsecure = true\n",
                "a mirror of a.io has no location",
            ),
            ("[registries.search]\nregistries = []\n[[registry]]\nlocation = 'a.io'\n", "mixes versions 1 and 2"),
            ("[registries.block]\nregistries = ['https://a.io']\n", "https://a.io has a scheme"),
            ("[[registry]]\nprefix = 'a.io'\nblocked = true\n", "a.io has no location"),
            ("[[registry]]\nprefix = '*.a.io/b'\n", "*.a.io/b: expected only a host after *"),
            ("[[registry]]\nprefix = '*a.io'\n", "*a.io has no location"),
            ("[[registry]]\nlocation = 'a.io'\npull-from-mirror = 'all'\n", "which is for mirrors"),
            (
                "[[registry]]\nlocation = 'a.io'\n[[registry.mirror]]\nlocation = 'b.io'\npull-from-mirror = 'x'\n",
                "pull-from-mirror \"x\" of b.io: expected all",
            ),
            (
                "[[registry]]\nlocation = 'a.io'\nmirror-by-digest-only = true\n[[registry.mirror]]\n\
                location = 'b.io'\npull-from-mirror = 'all'\n",
                "a.io has mirror-by-digest-only, and its mirror b.io pull-from-mirror",
            ),
            (
                "[[registry]]\nlocation = 'a.io'\n[[registry]]\nprefix = 'b.io'\nlocation = 'a.io'\ninsecure = true\n",
                "a.io is named twice, once insecure and once not",
            ),
            (
                "[[registry]]\nprefix = '*.a.io'\n[[registry]]\nprefix = '*.a.io'\nblocked = true\n",
                "*.a.io is named twice, once blocked and once not",
            ),
            ("short-name-mode = 'maybe'\n", "short-name-mode \"maybe\": expected enforcing"),
            ("unqualified-search-registries = ['a.io/b']\n", "\"a.io/b\" in unqualified-search-registries"),
            ("unqualified-search-registries = ['']\n", "\"\" in unqualified-search-registries"),
            ("[aliases]\n'a:1' = 'a.io/b'\n", "the alias \"a:1\": expected a name without registry"),
            ("[aliases]\n'a.io/b' = 'a.io/b'\n", "the alias \"a.io/b\": expected a name without registry"),
            ("[aliases]\nA = 'a.io/b'\n", "the alias \"A\": expected a name without registry"),
            ("[aliases]\na = 'b/c'\n", "the alias \"a\" for \"b/c\": expected a name with registry"),
            ("[aliases]\na = 'oci://b.io/c'\n", "for \"oci://b.io/c\": expected a name with registry"),
        ];
        for (text, expected) in cases {
            let error = RegistriesConf::default().add("bad.conf", text).unwrap_err();
            let line = crate::cause::one_line(&error);
            assert!(line.contains(expected) && line.contains("bad.conf"), "{text}: {line}");
        }
    }
}
