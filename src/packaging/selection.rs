//! A part of an artifact: the files that patterns name.
//!
//! A pattern is read as in a `.gitignore`. One without `/` is compared with names at any depth, one with `/` with the
//! whole path; `*` and `?` stop at a `/`, `**` does not. A pattern that matches a folder matches all that is in it.

use std::collections::BTreeSet;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};

use super::{Error, Piece, Plan, path};

/// Which files are wanted: those that a pattern of `include` matches, or all where there is none, less those that one
/// of `exclude` matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    include: Patterns,
    exclude: Patterns,
}

/// The patterns as they were given, and ready for use.
#[derive(Clone, Debug, Default)]
struct Patterns {
    globs: BTreeSet<String>,
    set: GlobSet,
}

/// The text of a selection: the same for the same patterns, whatever their order.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Text {
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    exclude: BTreeSet<String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    include: BTreeSet<String>,
}

impl Selection {
    /// A selection by patterns; the error names one that cannot be read.
    pub fn new(
        include: impl IntoIterator<Item = String>,
        exclude: impl IntoIterator<Item = String>,
    ) -> Result<Self, Error> {
        Ok(Self {
            include: Patterns::new(include.into_iter().collect())?,
            exclude: Patterns::new(exclude.into_iter().collect())?,
        })
    }

    /// The selection of exactly these files.
    pub(super) fn of_paths<'a>(paths: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        Self::new(paths.into_iter().map(|path| format!("/{}", globset::escape(path))), [])
    }

    /// Reads what [`Selection::to_text`] wrote.
    pub fn from_text(text: &str) -> Result<Self, Error> {
        let Text { include, exclude } = serde_json::from_str(text).map_err(|source| Error::Selection { source })?;
        Self::new(include, exclude)
    }

    /// The patterns as JSON, for remembering.
    pub fn to_text(&self) -> String {
        let text = Text { include: self.include.globs.clone(), exclude: self.exclude.globs.clone() };
        serde_json::to_string(&text).expect("a map of lists of texts is JSON")
    }

    /// Whether it has no pattern at all.
    pub fn is_everything(&self) -> bool {
        self.include.globs.is_empty() && self.exclude.globs.is_empty()
    }

    /// Whether the file `path` is wanted.
    pub fn keeps(&self, path: &str) -> bool {
        (self.include.globs.is_empty() || self.include.matches(path)) && !self.exclude.matches(path)
    }
}

impl Patterns {
    fn new(globs: BTreeSet<String>) -> Result<Self, Error> {
        let refused = |pattern: &str, reason: String| Error::Pattern { pattern: pattern.to_owned(), reason };
        let mut set = GlobSetBuilder::new();
        for pattern in &globs {
            let glob = whole(pattern).ok_or_else(|| refused(pattern, String::from("it names nothing")))?;
            let glob = GlobBuilder::new(&glob).literal_separator(true).build();
            set.add(glob.map_err(|error| refused(pattern, error.kind().to_string()))?);
        }
        let set = set.build().map_err(|error| refused(error.glob().unwrap_or_default(), error.kind().to_string()))?;
        Ok(Self { globs, set })
    }

    fn matches(&self, path: &str) -> bool {
        self.set.is_match(path) || path::ancestors(path).any(|folder| self.set.is_match(folder))
    }
}

/// What the texts say is all there is to compare.
impl PartialEq for Patterns {
    fn eq(&self, other: &Self) -> bool {
        self.globs == other.globs
    }
}

impl Eq for Patterns {}

/// The pattern for whole paths that `pattern` stands for; none where nothing is left of it.
fn whole(pattern: &str) -> Option<String> {
    let trimmed = pattern.strip_prefix("./").unwrap_or(pattern);
    let (name, below) = trimmed.strip_suffix('/').map_or((trimmed, ""), |name| (name, "/**"));
    let anchored = name.trim_start_matches('/');
    if anchored.is_empty() {
        return None;
    }
    let anywhere = if name.contains('/') || trimmed.len() < pattern.len() { "" } else { "**/" };
    Some(format!("{anywhere}{anchored}{below}"))
}

impl Plan {
    /// The part of the plan that `selection` names.
    ///
    /// Archives and layers of images stay, as their files are not known before they are unpacked; [`super::lay_out`]
    /// leaves out what is not wanted of them. A selection that leaves nothing is an error, and one that leaves
    /// everything is none.
    pub fn select(mut self, selection: &Selection) -> Result<Self, Error> {
        let count = self.pieces.len();
        let (kept, left): (Vec<Piece>, Vec<Piece>) =
            self.pieces.into_iter().partition(|piece| piece.presumed_path().is_none_or(|path| selection.keeps(path)));
        if kept.is_empty() {
            let files = left.iter().filter_map(Piece::presumed_path).map(str::to_owned).collect();
            return Err(Error::NothingSelected { files });
        }
        self.pieces = kept;
        let is_all = self.pieces.len() == count && self.files().is_some();
        self.selection = (!is_all && !selection.is_everything()).then(|| selection.clone());
        Ok(self)
    }
}
