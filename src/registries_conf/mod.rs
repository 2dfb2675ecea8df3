//! Where a registry's content is really fetched: containers-registries.conf(5), version 2. Text in, endpoints out.
//!
//! What concerns pulling is followed: `prefix` with wildcards, `location`, `insecure`, `blocked`, `mirror` with
//! `pull-from-mirror`, and `mirror-by-digest-only`. Short names stay Docker Hub's, as they are for `podman artifact`.

mod file;

use std::fmt;

use crate::reference::{self, Reference};

pub use self::file::{Error, Registry};
use self::file::{Mirror, When};

/// What the files say, in the order in which they override each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistriesConf {
    registries: Vec<Registry>,
}

/// One place to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// What it is called there.
    pub reference: Reference,
    /// Whether it may do without TLS, or with any certificate.
    pub insecure: bool,
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
    /// Adds what a file says; a registry of the same prefix is replaced.
    pub fn add(&mut self, file: &str, text: &str) -> Result<(), Error> {
        for registry in file::parse(file, text)? {
            self.registries.retain(|other| other.prefix != registry.prefix);
            self.registries.push(registry);
        }
        Ok(())
    }

    /// Whether a place, as it is called there, may do without TLS, or with any certificate: all that is said of it must say
    /// so.
    pub fn is_insecure(&self, place: &Reference) -> bool {
        let name = place.name();
        let said = self.registries.iter().flat_map(|registry| {
            let own = [&registry.prefix, &registry.location].map(|place| (place, registry.insecure));
            registry.mirrors.iter().map(|mirror| (&mirror.location, mirror.insecure)).chain(own)
        });
        let mut said = said.filter(|(place, _)| !place.is_empty() && matched(place, &name).is_some()).peekable();
        said.peek().is_some() && said.all(|(_, insecure)| insecure)
    }

    /// What is said of a name, and how much of it that takes.
    fn find(&self, name: &str) -> Option<(&Registry, usize)> {
        let found = self.registries.iter().filter_map(|registry| Some((registry, matched(&registry.prefix, name)?)));
        found.max_by_key(|(registry, _)| registry.prefix.len())
    }

    fn check(&self, place: &Reference) -> Result<(), Refusal> {
        match self.find(&place.name()) {
            Some((Registry { blocked: true, prefix, file, .. }, _)) => {
                Err(Refusal::Blocked { registry: prefix.clone(), file: file.clone() })
            }
            _ => Ok(()),
        }
    }

    /// The places to ask for `reference` and all that belongs to it, mirrors first. Which mirrors those are is a question of
    /// whether it was asked for by its digest alone, as for containers/image.
    pub fn endpoints(&self, reference: &Reference) -> Result<Vec<Endpoint>, Refusal> {
        let (name, by_digest) = (reference.name(), reference.digest().is_some() && reference.tag().is_none());
        self.check(reference)?;
        let Some((registry, length)) = self.find(&name) else {
            return Ok(vec![Endpoint { reference: reference.clone(), insecure: false }]);
        };
        let rest = &name[length..];
        let mirrors = registry.mirrors.iter().filter(|mirror| mirror.serves(registry, by_digest));
        let mirrors = mirrors.map(|mirror| (mirror.location.as_str(), mirror.insecure));
        let own = std::iter::once((registry.location.as_str(), registry.insecure));
        let endpoint = |(location, insecure): (&str, bool)| {
            let reference = relocated(reference, location, rest).map_err(|source| Refusal::Location {
                location: location.to_owned(),
                file: registry.file.clone(),
                source,
            })?;
            Ok(Endpoint { reference, insecure })
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
        let mirrors = self.registries.iter().filter(|registry| !registry.mirrors.is_empty()).count();
        let blocked: Vec<&str> =
            self.registries.iter().filter(|one| one.blocked).map(|one| one.prefix.as_str()).collect();
        write!(f, "{} configured, {mirrors} with mirrors", self.registries.len())?;
        if blocked.is_empty() { Ok(()) } else { write!(f, ", blocked: {}", blocked.join(", ")) }
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

/// How much of a name the prefix takes, if it matches: up to a slash or a port. `*.example.com` takes the host.
fn matched(prefix: &str, name: &str) -> Option<usize> {
    if let Some(domain) = prefix.strip_prefix('*') {
        let end = name.find([':', '/']).unwrap_or(name.len());
        let host = &name[..end];
        return (host.ends_with(domain) && host.len() > domain.len()).then_some(end);
    }
    let rest = name.strip_prefix(prefix)?;
    (rest.is_empty() || rest.starts_with(['/', ':'])).then_some(prefix.len())
}

/// The reference with `location` in place of what was matched; an empty one changes nothing.
fn relocated(reference: &Reference, location: &str, rest: &str) -> Result<Reference, reference::Reason> {
    if location.is_empty() {
        return Ok(reference.clone());
    }
    let place = format!("{location}{rest}");
    let (registry, repository) = place.split_once('/').unwrap_or((&place, ""));
    reference.at(registry, repository)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            "#,
        );
        let cases: [(&str, &[&str]); 7] = [
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
        conf.add("b.conf", "[[registry]]\nlocation = \"a.io\"\n").unwrap();
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
        for name in ["blocked.io/x:1", "blocked.io:5000/x:1", "a.wild.io:5000/x:1", "b.io/x:1"] {
            assert!(conf.endpoints(&name.parse().unwrap()).is_err(), "{name}");
        }
        assert_eq!(asked(&conf, "a.io/x:1"), ["a.io/x:1"]);
        assert_eq!(asked(&conf, "a.io:5000/x:1"), ["a.io:5000/x:1"]);
    }

    #[test]
    fn place_is_insecure_only_where_all_say_so() {
        let conf = conf(
            r#"
            [[registry]]
            location = "a.io"
            [[registry.mirror]]
            location = "m.io"
            insecure = true
            [[registry]]
            location = "b.io"
            insecure = true
            [[registry.mirror]]
            location = "m.io"
            "#,
        );
        let insecure = |name: &str| conf.is_insecure(&name.parse().unwrap());
        assert_eq!(["a.io/x", "b.io/x", "m.io/x", "c.io/x"].map(insecure), [false, true, false, false]);
    }

    #[test]
    fn what_is_no_registries_conf_is_refused_with_its_file() {
        let cases = [
            ("= 1", "bad.conf"),
            ("[[registry]]\n", "a registry without prefix and location"),
            ("[[registry]]\nprefix = \"a.io\"\n", "a.io has no location"),
            ("[[registry]]\nlocation = \"https://a.io\"\n", "https://a.io has a scheme"),
            (
                "[[registry]]\nlocation = \"a.io\"\n[[registry.mirror]]\ninsecure = true\n",
                "a mirror of a.io has no location",
            ),
            ("[registries.search]\nregistries = ['a']\n", "is of version 1"),
        ];
        for (text, expected) in cases {
            let error = RegistriesConf::default().add("bad.conf", text).unwrap_err();
            let line = crate::cause::one_line(&error);
            assert!(line.contains(expected) && line.contains("bad.conf"), "{text}: {line}");
        }
    }
}
