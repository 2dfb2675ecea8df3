//! One file of containers-registries.conf(5).

use serde::Deserialize;

/// A file that cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No TOML, or another type than the field has.
    #[error("{file}")]
    Toml {
        /// The file.
        file: String,
        /// What is wrong, with the line.
        #[source]
        source: Box<toml::de::Error>,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum When {
    #[default]
    All,
    DigestOnly,
    TagOnly,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    registry: Vec<Table>,
    /// Of version 1.
    registries: Option<toml::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Table {
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    location: String,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    mirror_by_digest_only: bool,
    #[serde(default)]
    mirror: Vec<MirrorTable>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct MirrorTable {
    #[serde(default)]
    location: String,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    pull_from_mirror: When,
}

pub(super) fn parse(file: &str, text: &str) -> Result<Vec<Registry>, Error> {
    let unreadable = |source| Error::Toml { file: file.to_owned(), source: Box::new(source) };
    let document: Document = toml::from_str(text).map_err(unreadable)?;
    let meaning = |reason: String| Error::Meaning { file: file.to_owned(), reason };
    if document.registries.is_some() {
        return Err(meaning(String::from("it is of version 1, which nothing reads any more")));
    }
    let registry = |table| registry(file, table).map_err(meaning);
    document.registry.into_iter().map(registry).collect()
}

fn registry(file: &str, table: Table) -> Result<Registry, String> {
    let is_wild = table.prefix.starts_with("*.");
    if table.prefix.is_empty() && table.location.is_empty() {
        return Err(String::from("a registry without prefix and location"));
    }
    if table.location.is_empty() && !is_wild && !table.blocked {
        return Err(format!("{} has no location", table.prefix));
    }
    let prefix = if table.prefix.is_empty() { &table.location } else { &table.prefix };
    let (prefix, location) = (plain(prefix)?, plain(&table.location)?);
    let mirror = |mirror: MirrorTable| {
        if mirror.location.is_empty() {
            return Err(format!("a mirror of {prefix} has no location"));
        }
        Ok(Mirror { location: plain(&mirror.location)?, insecure: mirror.insecure, when: mirror.pull_from_mirror })
    };
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

/// Without slashes at the end, as containers/image takes it; a URL is a mistake.
fn plain(location: &str) -> Result<String, String> {
    if location.contains("://") {
        return Err(format!("{location} has a scheme: expected a host and a path"));
    }
    Ok(location.trim_end_matches('/').to_owned())
}
