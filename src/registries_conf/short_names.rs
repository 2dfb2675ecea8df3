//! What a name without a registry stands for: `[aliases]`, `unqualified-search-registries` and `short-name-mode` of
//! containers-registries.conf(5). Where nothing is said of it, it is Docker Hub's, as for docker.

use std::collections::BTreeMap;

use super::file::Error;
use crate::reference::{self, ParseError, Reference};

/// What files say of short names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShortNames {
    /// `unqualified-search-registries`; an empty list takes an earlier file's away.
    pub(super) search: Option<Vec<String>>,
    /// `short-name-mode`
    pub(super) mode: Option<Mode>,
    /// `[aliases]`; one to nothing takes an earlier one away.
    pub(super) aliases: BTreeMap<String, Option<String>>,
    /// Which file speaks of search registries.
    pub(super) file: String,
}

/// `short-name-mode`: whether several registries are asked one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Enforcing,
    Permissive,
    Disabled,
}

/// The full names that a text may stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// This one.
    One(Reference),
    /// The first of these that is there.
    FirstOf(Vec<Reference>),
    /// One of these, and nobody may guess which (`short-name-mode = "enforcing"`).
    Unclear(Vec<Reference>),
}

impl Meaning {
    /// All names it may be.
    pub fn names(&self) -> &[Reference] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::FirstOf(names) | Self::Unclear(names) => names,
        }
    }
}

#[derive(serde::Deserialize)]
struct Cache {
    #[serde(default)]
    aliases: BTreeMap<String, String>,
}

impl ShortNames {
    /// Takes what a file says that comes later.
    pub(super) fn extend(&mut self, later: Self) {
        if later.search.is_some() {
            (self.search, self.file) = (later.search, later.file);
        }
        self.mode = later.mode.or(self.mode);
        self.aliases.extend(later.aliases);
    }

    /// Adds what podman and skopeo noted down when they asked the user, which goes before what files say.
    pub fn add_noted(&mut self, file: &str, text: &str) -> Result<(), Error> {
        let cache: Cache = toml::from_str(text).map_err(|error| Error::toml(file, text, &error))?;
        let meaning = |reason| Error::Meaning { file: file.to_owned(), reason };
        self.aliases.extend(aliases(cache.aliases).map_err(meaning)?);
        Ok(())
    }

    /// How many aliases there are.
    pub fn aliases(&self) -> usize {
        self.aliases.values().flatten().count()
    }

    /// The registries that are searched.
    pub fn searched(&self) -> &[String] {
        self.search.as_deref().unwrap_or_default()
    }

    /// What a text stands for: a full name for itself.
    pub fn meaning(&self, text: &str) -> Result<Meaning, ParseError> {
        let Some(short) = reference::short_name(text) else { return Ok(Meaning::One(text.parse()?)) };
        if let Some(Some(full)) = self.aliases.get(short.path) {
            return Ok(Meaning::One(format!("{full}{}", short.version).parse()?));
        }
        let full = |registry: &String| format!("{registry}/{text}").parse();
        let mut names = self.searched().iter().map(full).collect::<Result<Vec<Reference>, _>>()?;
        Ok(match (names.len(), self.mode) {
            (0, _) => Meaning::One(text.parse()?),
            (1, _) => Meaning::One(names.remove(0)),
            (_, Some(Mode::Enforcing)) => Meaning::Unclear(names),
            (_, Some(Mode::Permissive | Mode::Disabled) | None) => Meaning::FirstOf(names),
        })
    }
}

impl ShortNames {
    /// The names that something here may have which was asked for by a short name, best first: Docker Hub's is the last,
    /// as it was meant before the files said more. None for a name that is not short.
    pub fn local(&self, text: &str) -> Vec<Reference> {
        let (Some(_), Ok(meaning)) = (reference::short_name(text), self.meaning(text)) else { return Vec::new() };
        let mut names = meaning.names().to_vec();
        names.extend(text.parse().ok().filter(|hub| !names.contains(hub)));
        names
    }
}

impl Mode {
    pub(super) fn named(name: &str) -> Result<Option<Self>, String> {
        match name {
            "" => Ok(None),
            "enforcing" => Ok(Some(Self::Enforcing)),
            "permissive" => Ok(Some(Self::Permissive)),
            "disabled" => Ok(Some(Self::Disabled)),
            other => Err(format!("short-name-mode {other:?}: expected enforcing, permissive or disabled")),
        }
    }
}

/// A search registry, which is a host and a port without a path.
pub(super) fn searched(registry: &str) -> Result<String, String> {
    match reference::is_registry(registry) {
        true => Ok(registry.to_owned()),
        false => Err(format!("{registry:?} in unqualified-search-registries is no host and port")),
    }
}

/// Aliases: names without a registry for names with one, both without tag and digest.
pub(super) fn aliases(table: BTreeMap<String, String>) -> Result<BTreeMap<String, Option<String>>, String> {
    let checked = |(name, full): (String, String)| {
        if !reference::short_name(&name).is_some_and(|short| short.version.is_empty()) {
            return Err(format!("the alias {name:?}: expected a name without registry, tag and digest"));
        }
        match is_full(&full) {
            _ if full.is_empty() => Ok((name, None)),
            true => Ok((name, Some(full))),
            false => {
                Err(format!("the alias {name:?} for {full:?}: expected a name with registry, without tag and digest"))
            }
        }
    };
    table.into_iter().map(checked).collect()
}

fn is_full(name: &str) -> bool {
    let is_versioned = name.contains('@') || name.rsplit('/').next().is_some_and(|end| end.contains(':'));
    !is_versioned && !name.contains("://") && reference::short_name(name).is_none() && name.parse::<Reference>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::RegistriesConf;
    use super::*;

    fn names(texts: &[&str]) -> ShortNames {
        let mut conf = RegistriesConf::default();
        conf.add("a.conf", texts[0]).unwrap();
        texts[1..].iter().for_each(|text| conf.add_drop_in("b.conf", text).unwrap());
        conf.short_names().clone()
    }

    /// The names, with `?` before those that nobody may choose among.
    fn meaning(names: &ShortNames, text: &str) -> String {
        let meaning = names.meaning(text).unwrap();
        let listed: Vec<String> = meaning.names().iter().map(ToString::to_string).collect();
        let mark = if matches!(meaning, Meaning::Unclear(_)) { "? " } else { "" };
        format!("{mark}{}", listed.join(" "))
    }

    #[test]
    fn short_names_stand_for_what_the_files_say() {
        let digest = format!("@sha256:{}", "a".repeat(64));
        let (pinned, full) = (format!("llama{digest}"), format!("quay.io/acme/llama{digest}"));
        let aliases = "[aliases]\nllama = 'quay.io/acme/llama'\n'me/x' = 'localhost:5000/x'\nhub = 'docker.io/h'\n";
        let one = "unqualified-search-registries = ['a.io:5000/']\n";
        let two = "unqualified-search-registries = ['a.io', 'docker.io']\n";
        let with = |mode: &str| format!("{two}short-name-mode = '{mode}'\n");
        let cases: [(&[&str], &str, &str); 18] = [
            (&[""], "llama", "docker.io/library/llama:latest"),
            (&["unqualified-search-registries = []"], "ai/x:1", "docker.io/ai/x:1"),
            (&[aliases], "llama", "quay.io/acme/llama:latest"),
            (&[aliases], "llama:8b", "quay.io/acme/llama:8b"),
            (&[aliases], &pinned, &full),
            (&[aliases], "me/x:1", "localhost:5000/x:1"),
            (&[aliases], "hub", "docker.io/library/h:latest"),
            (&[aliases], "other/llama", "docker.io/other/llama:latest"),
            (&[aliases], "quay.io/llama", "quay.io/llama:latest"),
            (&[aliases], "oci://quay.io/llama", "quay.io/llama:latest"),
            (&[aliases, "[aliases]\nllama = ''\n"], "llama", "docker.io/library/llama:latest"),
            (&[aliases, "[aliases]\nllama = 'b.io/l'\n", one], "llama", "b.io/l:latest"),
            (&[one], "x/y:2", "a.io:5000/x/y:2"),
            (&[two, one], "x", "a.io:5000/x:latest"),
            (&[one, "unqualified-search-registries = []"], "x", "docker.io/library/x:latest"),
            (&[two], "x", "a.io/x:latest docker.io/library/x:latest"),
            (&[&with("enforcing")], "x", "? a.io/x:latest docker.io/library/x:latest"),
            (&[&with("enforcing"), "short-name-mode = 'disabled'"], "x", "a.io/x:latest docker.io/library/x:latest"),
        ];
        for (texts, text, expected) in cases {
            assert_eq!(meaning(&names(texts), text), expected, "{text} by {texts:?}");
        }
    }

    #[test]
    fn what_was_pulled_before_the_files_said_more_is_found() {
        let names = names(&["unqualified-search-registries = ['a.io', 'b.io']\n[aliases]\nx = 'c.io/x'\n"]);
        let local = |text: &str| names.local(text).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(local("x"), ["c.io/x:latest", "docker.io/library/x:latest"]);
        assert_eq!(local("y:1"), ["a.io/y:1", "b.io/y:1", "docker.io/library/y:1"]);
        assert_eq!(local("a.io/x"), Vec::<String>::new());
        assert_eq!(ShortNames::default().local("x"), ["docker.io/library/x:latest".parse().unwrap()]);
    }

    #[test]
    fn what_was_noted_down_goes_before_the_files() {
        let mut names = names(&["[aliases]\nx = 'a.io/x'\ny = 'a.io/y'\n"]);
        names.add_noted("noted.conf", "[aliases]\nx = 'b.io/x'\n").unwrap();
        assert_eq!(["x", "y"].map(|text| meaning(&names, text)), ["b.io/x:latest", "a.io/y:latest"]);
        assert_eq!(names.aliases(), 2);
        let error = names.add_noted("noted.conf", "[aliases]\nx = 'b.io/x:1'\n").unwrap_err();
        assert!(error.to_string().starts_with("noted.conf: the alias \"x\" for \"b.io/x:1\""), "{error}");
    }
}
