//! One file of containers-registries.conf(5): as strict as containers/image, which podman and skopeo read it with.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::short_names::{self, Mode, ShortNames};

/// A file that cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No TOML, or another type than the field has.
    #[error("{file}:{line}: {reason}")]
    Toml {
        /// The file.
        file: String,
        /// The line, from 1 on.
        line: usize,
        /// What is wrong, in the parser's words without the picture it draws of the place.
        reason: String,
    },
    /// TOML that means nothing.
    #[error("{file}: {reason}")]
    Meaning {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
}

impl Error {
    pub(super) fn toml(file: &str, text: &str, error: &toml::de::Error) -> Self {
        let before = text.get(..error.span().map_or(0, |span| span.start)).unwrap_or_default();
        let (line, reason) = (before.matches('\n').count() + 1, error.message().replace('\n', " "));
        Self::Toml { file: file.to_owned(), line, reason }
    }
}

/// What one file says.
#[derive(Debug)]
pub(super) struct File {
    pub registries: Vec<Registry>,
    pub short_names: ShortNames,
    /// `credential-helpers`, where the file says some.
    pub credential_helpers: Option<Vec<String>>,
}

/// What is said of a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    /// The file that says so.
    pub(super) file: String,
    pub(super) prefix: String,
    /// Empty where nothing is replaced.
    pub(super) location: String,
    pub(super) insecure: bool,
    pub(super) blocked: bool,
    pub(super) mirror_by_digest_only: bool,
    pub(super) mirrors: Vec<Mirror>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mirror {
    pub location: String,
    pub insecure: bool,
    pub when: When,
}

/// `pull-from-mirror`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    All,
    DigestOnly,
    TagOnly,
}

/// Keys that are not here are not looked at, as by podman.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    registry: Option<Vec<Table>>,
    unqualified_search_registries: Option<Vec<String>>,
    #[serde(default)]
    short_name_mode: String,
    aliases: Option<BTreeMap<String, String>>,
    credential_helpers: Option<Vec<String>>,
    /// Of version 1.
    registries: Option<Version1>,
}

#[derive(Default, Deserialize)]
struct Version1 {
    search: Option<List>,
    insecure: Option<List>,
    block: Option<List>,
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    registries: Vec<String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Table {
    prefix: String,
    location: String,
    insecure: bool,
    blocked: bool,
    mirror_by_digest_only: bool,
    mirror: Vec<MirrorTable>,
    /// For mirrors only.
    pull_from_mirror: String,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct MirrorTable {
    location: String,
    insecure: bool,
    pull_from_mirror: String,
}

/// Reads a file; only registries.conf itself may be of version 1, a drop-in may not.
pub(super) fn parse(file: &str, text: &str, is_drop_in: bool) -> Result<File, Error> {
    let document: Document = toml::from_str(text).map_err(|error| Error::toml(file, text, &error))?;
    read(file, document, is_drop_in).map_err(|reason| Error::Meaning { file: file.to_owned(), reason })
}

fn read(file: &str, document: Document, is_drop_in: bool) -> Result<File, String> {
    let document = match document.version_1() {
        Some(_) if is_drop_in => return Err(String::from("a drop-in cannot be of version 1")),
        Some(_) if document.has_version_2() => return Err(String::from("it mixes versions 1 and 2")),
        Some(version_1) => version_1.converted()?,
        None => document,
    };
    let registry = |table| registry(file, table);
    let registries = document.registry.into_iter().flatten().map(registry).collect::<Result<Vec<_>, _>>()?;
    check_conflicts(&registries)?;
    let search = document.unqualified_search_registries;
    let search = search.map(|search| search.iter().map(|one| short_names::searched(&plain(one)?)).collect());
    let short_names = ShortNames {
        search: search.transpose()?,
        mode: Mode::named(&document.short_name_mode)?,
        aliases: short_names::aliases(document.aliases.unwrap_or_default())?,
        file: file.to_owned(),
    };
    Ok(File { registries, short_names, credential_helpers: document.credential_helpers })
}

impl Document {
    fn version_1(&self) -> Option<&Version1> {
        let is_used = |one: &&Version1| one.search.is_some() || one.insecure.is_some() || one.block.is_some();
        self.registries.as_ref().filter(is_used)
    }

    const fn has_version_2(&self) -> bool {
        let has_names = self.unqualified_search_registries.is_some() || !self.short_name_mode.is_empty();
        self.registry.is_some() || has_names || self.aliases.is_some() || self.credential_helpers.is_some()
    }
}

impl Version1 {
    /// The same in version 2.
    fn converted(&self) -> Result<Document, String> {
        let list = |list: &Option<List>| list.as_ref().map(|list| list.registries.clone());
        let plain = |of: &Option<List>| list(of).into_iter().flatten().map(|one| plain(&one)).collect();
        let (blocked, insecure): (Vec<String>, Vec<String>) = match (plain(&self.block), plain(&self.insecure)) {
            (Ok(blocked), Ok(insecure)) => (blocked, insecure),
            (Err(reason), _) | (_, Err(reason)) => return Err(reason),
        };
        let table = |location: &String| Table {
            location: location.clone(),
            blocked: blocked.contains(location),
            insecure: insecure.contains(location),
            ..Table::default()
        };
        Ok(Document {
            registry: Some(blocked.iter().chain(&insecure).map(table).collect()),
            unqualified_search_registries: list(&self.search),
            short_name_mode: String::new(),
            aliases: None,
            credential_helpers: None,
            registries: None,
        })
    }
}

fn registry(file: &str, table: Table) -> Result<Registry, String> {
    let (given, location) = (plain(&table.prefix)?, plain(&table.location)?);
    let prefix = if given.is_empty() { location.clone() } else { given };
    let is_wild = prefix.starts_with("*.");
    if prefix.is_empty() {
        return Err(String::from("a registry without prefix and location"));
    }
    if location.is_empty() && !is_wild {
        return Err(format!("{prefix} has no location"));
    }
    if is_wild && prefix.contains(['/', '@', ':']) {
        return Err(format!("{prefix}: expected only a host after *, as in *.example.com"));
    }
    if !table.pull_from_mirror.is_empty() {
        return Err(format!("{prefix} has pull-from-mirror, which is for mirrors"));
    }
    let mirror = |mirror: MirrorTable| mirror.read(&prefix, table.mirror_by_digest_only);
    Ok(Registry {
        file: file.to_owned(),
        mirrors: table.mirror.into_iter().map(mirror).collect::<Result<_, _>>()?,
        prefix: prefix.clone(),
        location,
        insecure: table.insecure,
        blocked: table.blocked,
        mirror_by_digest_only: table.mirror_by_digest_only,
    })
}

impl MirrorTable {
    fn read(self, prefix: &str, by_digest_only: bool) -> Result<Mirror, String> {
        let location = plain(&self.location)?;
        if location.is_empty() {
            return Err(format!("a mirror of {prefix} has no location"));
        }
        let when = match self.pull_from_mirror.as_str() {
            "" => When::All,
            _ if by_digest_only => {
                return Err(format!("{prefix} has mirror-by-digest-only, and its mirror {location} pull-from-mirror"));
            }
            "all" => When::All,
            "digest-only" => When::DigestOnly,
            "tag-only" => When::TagOnly,
            other => {
                return Err(format!("pull-from-mirror {other:?} of {location}: expected all, digest-only or tag-only"));
            }
        };
        Ok(Mirror { location, insecure: self.insecure, when })
    }
}

/// Two tables of one place must agree on what it is.
fn check_conflicts(registries: &[Registry]) -> Result<(), String> {
    let place = |registry: &Registry| match registry.location.as_str() {
        "" => registry.prefix.clone(),
        location => location.to_owned(),
    };
    let mut said = BTreeMap::new();
    for registry in registries {
        let (insecure, blocked) = *said.entry(place(registry)).or_insert((registry.insecure, registry.blocked));
        let key = match () {
            () if insecure != registry.insecure => "insecure",
            () if blocked != registry.blocked => "blocked",
            () => continue,
        };
        return Err(format!("{} is named twice, once {key} and once not", place(registry)));
    }
    Ok(())
}

/// Without slashes at the end, as containers/image takes it; a URL is a mistake.
fn plain(location: &str) -> Result<String, String> {
    if location.starts_with("http://") || location.starts_with("https://") {
        return Err(format!("{location} has a scheme: expected a host and a path"));
    }
    Ok(location.trim_end_matches('/').to_owned())
}
