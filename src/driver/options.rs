//! The options of a volume, as `docker volume create --opt` gives them. Pure.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Error, Result};
use crate::packaging::{Request, Selection};
use crate::pull::Policy;
use crate::reference::Reference;

/// What a volume holds, in the user's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// The artifact.
    #[serde(rename = "ref")]
    pub reference: String,
    /// When the registry is asked for it.
    #[serde(default)]
    pub pull: When,
    /// Patterns of the files that are wanted; all where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Whether only what an inference server needs is wanted.
    #[serde(default)]
    pub entry_only: bool,
    /// A credential file on the driver's machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authfile: Option<PathBuf>,
    /// Whether certificates are verified; where nothing is said, but for registries on the driver's machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_verify: Option<bool>,
}

/// When the registry is asked which manifest a tag means; a volume's is found out once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// If the tag is not in the store.
    #[default]
    Missing,
    /// In any case.
    Always,
    /// Never: it must be in the store.
    Never,
}

impl From<When> for Policy {
    fn from(when: When) -> Self {
        match when {
            When::Missing => Self::Missing,
            When::Always => Self::Always,
            When::Never => Self::Never,
        }
    }
}

impl Options {
    /// Reads what the engine was told; what nobody knows is an error.
    pub fn read(given: &BTreeMap<String, String>) -> Result<Self> {
        let reference = given.get("ref").filter(|reference| !reference.is_empty()).ok_or(Error::NoReference)?;
        reference.parse::<Reference>().map_err(Error::Reference)?;
        let mut options = Self {
            reference: reference.clone(),
            pull: When::default(),
            include: Vec::new(),
            entry_only: false,
            authfile: None,
            tls_verify: None,
        };
        for (name, value) in given {
            options.note(name, value)?;
        }
        options.request().map(|_| options)
    }

    fn note(&mut self, name: &str, value: &str) -> Result<()> {
        let wrong = |expected| Error::Value { name: name.to_owned(), value: value.to_owned(), expected };
        let boolean = || value.parse().map_err(|_| wrong("true or false"));
        match name {
            "ref" => {}
            "pull" => {
                let known = [("missing", When::Missing), ("always", When::Always), ("never", When::Never)];
                let found = known.into_iter().find(|(word, _)| *word == value);
                self.pull = found.ok_or_else(|| wrong("missing, always or never"))?.1;
            }
            "include" => self.include = patterns(value),
            "entry-only" => self.entry_only = boolean()?,
            "tls-verify" => self.tls_verify = Some(boolean()?),
            "authfile" if value.starts_with('/') => self.authfile = Some(value.into()),
            "authfile" => return Err(wrong("an absolute path on the driver's machine")),
            _ => return Err(Error::Option(name.to_owned())),
        }
        Ok(())
    }

    /// The part of the artifact that is wanted; nothing where all of it is.
    pub fn request(&self) -> Result<Option<Request>> {
        let files = Selection::new(self.include.clone(), Vec::<String>::new()).map_err(Error::Packaging)?;
        let request = Request { files, entry_only: self.entry_only, entry: None };
        Ok(Some(request).filter(|request| request.entry_only || !request.files.is_everything()))
    }
}

/// Patterns between commas that stand in no braces.
fn patterns(text: &str) -> Vec<String> {
    let mut depth = 0_usize;
    let mut split = vec![String::new()];
    for letter in text.chars() {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        match (letter, depth) {
            (',', 0) => split.push(String::new()),
            _ => split.last_mut().into_iter().for_each(|pattern| pattern.push(letter)),
        }
    }
    split.retain(|pattern| !pattern.is_empty());
    split
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: &[(&str, &str)]) -> Result<Options> {
        Options::read(&given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn every_option_is_understood() {
        let given = [
            ("ref", "quay.io/a/b:1"),
            ("pull", "always"),
            ("include", "*.gguf,{a,b}/*"),
            ("entry-only", "true"),
            ("authfile", "/run/auth.json"),
            ("tls-verify", "false"),
        ];
        let options = read(&given).unwrap();
        assert_eq!(
            (options.reference.as_str(), options.pull, options.entry_only),
            ("quay.io/a/b:1", When::Always, true)
        );
        assert_eq!(options.include, ["*.gguf", "{a,b}/*"]);
        assert_eq!((options.authfile, options.tls_verify), (Some("/run/auth.json".into()), Some(false)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases: [(&[(&str, &str)], &str); 6] = [
            (&[], "option ref is missing"),
            (&[("ref", "")], "option ref is missing"),
            (&[("ref", "A B")], "A B"),
            (&[("ref", "quay.io/a/b"), ("size", "1")], "option size is not known"),
            (&[("ref", "quay.io/a/b"), ("pull", "newer")], "option pull is newer: expected missing, always or never"),
            (&[("ref", "quay.io/a/b"), ("authfile", "auth")], "expected an absolute path"),
        ];
        for (given, expected) in cases {
            let error = crate::cause::one_line(&read(given).unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
    }
}
