//! What may be pulled: containers-policy.json(5), as far as it can be told without signatures.
//!
//! `insecureAcceptAnything` and `reject` are followed. What asks for a signature is refused by name: nothing is passed that
//! was not checked.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::reference::Reference;

/// A policy, with the file it was read from.
#[derive(Clone, Debug)]
pub struct Policy {
    file: String,
    document: Document,
}

/// A file that is no policy.
#[derive(Debug, thiserror::Error)]
#[error("{file}")]
pub struct Error {
    /// The file.
    pub file: String,
    /// What is wrong with it.
    #[source]
    pub source: serde_json::Error,
}

/// Why nothing is pulled from a place.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// `reject`.
    #[error("{reference} is rejected by {file} ({scope})")]
    Rejected {
        /// What was to be pulled.
        reference: String,
        /// The file.
        file: String,
        /// The part of it that counts.
        scope: String,
    },
    /// A signature is asked for.
    #[error("{reference} needs a signature by {file} ({scope}: {kind}), which artishim cannot check")]
    Signature {
        /// What was to be pulled.
        reference: String,
        /// The file.
        file: String,
        /// The part of it that counts.
        scope: String,
        /// The type of the requirement.
        kind: String,
    },
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    default: Vec<Requirement>,
    #[serde(default)]
    transports: BTreeMap<String, BTreeMap<String, Vec<Requirement>>>,
}

#[derive(Clone, Debug, Deserialize)]
struct Requirement {
    #[serde(rename = "type")]
    kind: String,
}

impl Policy {
    /// Reads a policy.
    pub fn parse(file: &str, text: &str) -> Result<Self, Error> {
        let document = serde_json::from_str(text).map_err(|source| Error { file: file.to_owned(), source })?;
        Ok(Self { file: file.to_owned(), document })
    }

    /// The file it was read from.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Says whether the reference may be pulled.
    pub fn check(&self, reference: &Reference) -> Result<(), Refusal> {
        let (scope, requirements) = self.find(reference);
        let (file, reference) = (self.file.clone(), reference.to_string());
        // An empty list is a mistake, which containers/image refuses too.
        let bad = requirements.iter().find(|requirement| requirement.kind != "insecureAcceptAnything");
        match bad.map(|requirement| requirement.kind.as_str()) {
            None if !requirements.is_empty() => Ok(()),
            None | Some("reject") => Err(Refusal::Rejected { reference, file, scope }),
            Some(kind) => Err(Refusal::Signature { reference, file, scope, kind: kind.to_owned() }),
        }
    }

    /// The narrowest scope that has the reference, under docker's transport, and what it asks.
    fn find(&self, reference: &Reference) -> (String, &[Requirement]) {
        let scopes = self.document.transports.get("docker");
        let named = scopes.into_iter().flat_map(|scopes| {
            let find = |scope: String| scopes.get(&scope).map(|requirements| (scope, requirements.as_slice()));
            scopes_of(reference).into_iter().filter_map(find)
        });
        let found = named.into_iter().next();
        found.map_or_else(
            || (String::from("default"), self.document.default.as_slice()),
            |(scope, requirements)| (if scope.is_empty() { String::from("docker") } else { scope }, requirements),
        )
    }
}

/// `quay.io/a/b:1`, `quay.io/a/b`, `quay.io/a`, `quay.io`, `*.io`, and the transport's own.
fn scopes_of(reference: &Reference) -> Vec<String> {
    let name = reference.name();
    let version = reference.tag().map(|tag| format!("{name}:{tag}"));
    let pinned = reference.digest().map(|digest| format!("{name}@{digest}"));
    let mut scopes: Vec<String> = pinned.into_iter().chain(version).collect();
    let mut rest = name.as_str();
    loop {
        scopes.push(rest.to_owned());
        match rest.rsplit_once('/') {
            Some((parent, _)) => rest = parent,
            None => break,
        }
    }
    // A wildcard is for a host, whatever the port.
    let mut host = reference.registry().split(':').next().unwrap_or_default();
    while let Some((_, parent)) = host.split_once('.') {
        scopes.push(format!("*.{parent}"));
        host = parent;
    }
    scopes.push(String::new());
    scopes
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"{
        "default": [{"type": "reject"}],
        "transports": {
            "docker": {
                "quay.io/acme": [{"type": "insecureAcceptAnything"}],
                "quay.io/acme/secret": [{"type": "reject"}],
                "quay.io/acme/one:1": [{"type": "reject"}],
                "signed.io": [{"type": "sigstoreSigned", "keyPath": "/k"}],
                "old.io": [{"type": "insecureAcceptAnything"}, {"type": "signedBy", "keyType": "GPGKeys"}],
                "*.wild.io": [{"type": "insecureAcceptAnything"}],
                "empty.io": []
            },
            "dir": {"": [{"type": "insecureAcceptAnything"}]}
        }
    }"#;

    #[test]
    fn the_narrowest_scope_decides() {
        let policy = Policy::parse("p.json", POLICY).unwrap();
        let cases = [
            ("quay.io/acme/llama:8b", None),
            ("quay.io/acmes/llama:8b", Some("quay.io/acmes/llama:8b is rejected by p.json (default)")),
            ("quay.io/acme/secret:1", Some("rejected by p.json (quay.io/acme/secret)")),
            ("quay.io/acme/one:1", Some("rejected by p.json (quay.io/acme/one:1)")),
            ("quay.io/acme/one:2", None),
            ("signed.io/m:1", Some("needs a signature by p.json (signed.io: sigstoreSigned)")),
            ("old.io/m:1", Some("(old.io: signedBy), which artishim cannot check")),
            ("a.b.wild.io/m:1", None),
            ("a.wild.io:5000/m:1", None),
            ("wild.io/m:1", Some("(default)")),
            ("empty.io/m:1", Some("rejected by p.json (empty.io)")),
        ];
        for (reference, expected) in cases {
            let said = policy.check(&reference.parse().unwrap()).err().map(|refusal| refusal.to_string());
            match expected {
                None => assert_eq!(said, None, "{reference}"),
                Some(expected) => {
                    assert!(said.as_ref().is_some_and(|said| said.contains(expected)), "{reference}: {said:?}")
                }
            }
        }
        let all = r#"{"default": [{"type": "insecureAcceptAnything"}], "transports": {"docker": {"": [{"type": "reject"}]}}}"#;
        let policy = Policy::parse("p.json", all).unwrap();
        assert!(policy.check(&"a.io/b:1".parse().unwrap()).unwrap_err().to_string().ends_with("(docker)"));
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        for text in ["", "{}", r#"{"default": [{}]}"#, r#"{"default": [], "trnsports": {}}"#] {
            let error = Policy::parse("p.json", text).unwrap_err();
            assert!(crate::cause::one_line(&error).starts_with("p.json: "), "{text}");
        }
    }
}
