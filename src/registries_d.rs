//! Where signatures are looked for: containers-registries.d(5), as far as it is about sigstore's.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::UserMessageFormatter;

use crate::policy::scopes_of;
use crate::reference::Reference;

/// What the files of the directory say together.
#[derive(Clone, Debug, Default)]
pub struct RegistriesD {
    default: Option<(String, Scope)>,
    scopes: BTreeMap<String, (String, Scope)>,
}

/// A file that cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No YAML, or another type than the field has.
    #[error("{file}: {reason}")]
    Yaml {
        /// The file.
        file: String,
        /// What is wrong, with the line.
        reason: String,
    },
    /// Two files about one thing.
    #[error("{file}: {scope} is in {other} already")]
    Twice {
        /// The file.
        file: String,
        /// The scope, or `default-docker`.
        scope: String,
        /// The file that was read before.
        other: String,
    },
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Document {
    default_docker: Option<Scope>,
    docker: Option<BTreeMap<String, Option<Scope>>>,
}

/// Where the signatures of other kinds lie is not read, as those are not checked.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Scope {
    use_sigstore_attachments: Option<bool>,
}

impl RegistriesD {
    /// Adds what a file says.
    pub fn add(&mut self, file: &str, text: &str) -> Result<(), Error> {
        let unreadable = |error: serde_saphyr::Error| {
            let reason = error.without_snippet().render_with_formatter(&UserMessageFormatter);
            Error::Yaml { file: file.to_owned(), reason }
        };
        let document: Option<Document> = serde_saphyr::from_str(text).map_err(unreadable)?;
        let Document { default_docker, docker } = document.unwrap_or_default();
        let twice = |scope: &str, (other, _): &(String, Scope)| {
            Err(Error::Twice { file: file.to_owned(), scope: scope.to_owned(), other: other.clone() })
        };
        if let Some(scope) = default_docker {
            if let Some(other) = &self.default {
                return twice("default-docker", other);
            }
            self.default = Some((file.to_owned(), scope));
        }
        for (name, scope) in docker.unwrap_or_default() {
            if let Some(other) = self.scopes.get(&name) {
                return twice(&name, other);
            }
            self.scopes.insert(name, (file.to_owned(), scope.unwrap_or_default()));
        }
        Ok(())
    }

    /// Whether sigstore's signatures are looked for beside what they sign: as the narrowest scope says that says anything.
    pub fn uses_attachments(&self, reference: &Reference) -> bool {
        let said = |(_, scope): &(String, Scope)| scope.use_sigstore_attachments;
        let scopes = scopes_of(reference);
        let narrowest = scopes.iter().filter_map(|scope| self.scopes.get(scope)).find_map(said);
        narrowest.or_else(|| self.default.as_ref().and_then(said)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
# as in the manual
default-docker:
  lookaside: file:///var/lib/containers/sigstore
docker:
  quay.io:
    use-sigstore-attachments: true
  quay.io/acme/old:
    use-sigstore-attachments: false
  quay.io/acme/old/new:
    lookaside: https://example.com/sigs
  quay.io/acme/one:1:
    use-sigstore-attachments: yes
  empty.io:
";

    #[test]
    fn the_narrowest_scope_that_says_anything_decides() {
        let mut files = RegistriesD::default();
        files.add("a.yaml", FILE).unwrap();
        for (name, expected) in [
            ("quay.io/acme/m:1", true),
            ("quay.io/acme/old:1", false),
            ("quay.io/acme/old/new:1", false),
            ("quay.io/acme/old/new/x:1", false),
            ("empty.io/m:1", false),
            ("other.io/m:1", false),
        ] {
            assert_eq!(files.uses_attachments(&name.parse().unwrap()), expected, "{name}");
        }
        files.add("b.yaml", "docker: {empty.io/a: {use-sigstore-attachments: true}}").unwrap();
        assert!(files.uses_attachments(&"empty.io/a/m:1".parse().unwrap()));
        let mut files = RegistriesD::default();
        files.add("a.yaml", "default-docker: {use-sigstore-attachments: true}").unwrap();
        assert!(files.uses_attachments(&"any.io/m:1".parse().unwrap()));
    }

    #[test]
    fn files_that_contradict_each_other_or_say_nothing_readable_are_errors() {
        for text in ["", "# nothing\n", "---\n", "docker:\n"] {
            RegistriesD::default().add("a.yaml", text).unwrap_or_else(|error| panic!("{text:?}: {error:?}"));
        }
        for text in [
            "docker: [",
            "docker: {a.io: {use-sigstore-attachments: 7}}",
            "docker: {a.io: {}, a.io: {}}",
            "docker: {quay.io: {}}",
            "default-docker: {}",
            "default-docker: &a [*a, *a]",
        ] {
            let mut files = RegistriesD::default();
            files.add("a.yaml", FILE).unwrap();
            let error = files.add("b.yaml", text).unwrap_err();
            let said = error.to_string();
            assert!(said.starts_with("b.yaml: ") && said.lines().count() == 1, "{said}");
        }
    }
}
