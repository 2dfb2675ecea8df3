//! What must become of an artifact.

use std::collections::{BTreeMap, BTreeSet};

use super::artifact::Artifact;

/// An artifact that must be laid out.
#[derive(Clone)]
pub struct Fixture {
    /// Also its repository.
    pub name: &'static str,
    /// The project, and the file there that shows the artifact to be like this.
    pub source: &'static str,
    pub artifact: Artifact,
    pub expected: Expected,
    /// Options of the program.
    pub options: Vec<&'static str>,
    /// What the registry calls its manifests, where it lies.
    pub content_type: Option<&'static str>,
}

/// Everything that is below the snapshot, and what the program says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    pub packaging: String,
    pub files: BTreeMap<String, Vec<u8>>,
    /// Symbolic links with their targets.
    pub links: BTreeMap<String, String>,
    /// Those of `files` that can be executed.
    pub programs: BTreeSet<String>,
    pub entry: Option<String>,
    pub mmproj: Option<String>,
    pub chat_template: Option<String>,
    /// What `path` says where there is no entry.
    pub complaint: Option<&'static str>,
}

impl Fixture {
    pub fn new(name: &'static str, packaging: &str, source: &'static str) -> Self {
        Self {
            name,
            source,
            artifact: Artifact::default(),
            expected: Expected { packaging: packaging.to_owned(), ..Expected::default() },
            options: Vec::new(),
            content_type: None,
        }
    }

    /// The same artifact under another name, to be changed.
    pub fn like(&self, name: &'static str) -> Self {
        Self { name, ..self.clone() }
    }

    pub fn blob(self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { artifact: self.artifact.blob(name, bytes), ..self }
    }

    /// A blob that is the file `path`, byte for byte.
    pub fn raw(self, name: &str, path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        self.blob(name, bytes.clone()).file(path, bytes)
    }

    pub fn blob_as(self, name: &str, digest: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { artifact: self.artifact.blob_as(name, digest, bytes), ..self }
    }

    pub fn manifest(self, json: impl Into<Vec<u8>>) -> Self {
        Self { artifact: self.artifact.manifest(json), ..self }
    }

    pub fn tagged(self, tag: &str, json: impl Into<Vec<u8>>) -> Self {
        Self { artifact: self.artifact.tagged(tag, json), ..self }
    }

    pub fn child(self, name: &str, json: impl Into<Vec<u8>>) -> Self {
        Self { artifact: self.artifact.child(name, json), ..self }
    }

    pub fn option(mut self, words: &[&'static str]) -> Self {
        self.options.extend(words);
        self
    }

    pub fn served_as(self, content_type: &'static str) -> Self {
        Self { content_type: Some(content_type), ..self }
    }

    pub fn file(mut self, path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        let replaced = self.expected.files.insert(path.to_owned(), bytes.into());
        assert!(replaced.is_none(), "{}: {path} twice", self.name);
        self
    }

    pub fn files(self, files: &[(&str, &[u8])]) -> Self {
        files.iter().fold(self, |fixture, (path, bytes)| fixture.file(path, *bytes))
    }

    pub fn program(mut self, path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.expected.programs.insert(path.to_owned());
        self.file(path, bytes)
    }

    pub fn link(mut self, path: &str, target: &str) -> Self {
        self.expected.links.insert(path.to_owned(), target.to_owned());
        self
    }

    pub fn entry(mut self, path: &str) -> Self {
        self.expected.entry = Some(path.to_owned());
        self
    }

    pub fn mmproj(mut self, path: &str) -> Self {
        self.expected.mmproj = Some(path.to_owned());
        self
    }

    pub fn template(mut self, path: &str) -> Self {
        self.expected.chat_template = Some(path.to_owned());
        self
    }

    /// There is no entry, and this is what `path` says of it.
    pub fn complains(mut self, words: &'static str) -> Self {
        self.expected.complaint = Some(words);
        self
    }
}

/// When an artifact is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Before a layer is asked for: all that is wrong stands in the manifests or the config.
    Plan,
    /// While layers are fetched.
    Fetch,
    /// While layers are unpacked.
    Unpack,
}

/// An artifact that must be refused in one line.
#[derive(Clone)]
pub struct Hostile {
    /// Also its repository.
    pub name: &'static str,
    pub artifact: Artifact,
    pub stage: Stage,
    /// What the line says; `@name` is a digest.
    pub words: Vec<String>,
    /// What the registry answers for manifests instead.
    pub answer: Option<(u16, &'static str)>,
    /// Whether it takes seconds.
    pub is_slow: bool,
}

impl Hostile {
    pub fn new(name: &'static str, stage: Stage, words: &str) -> Self {
        Self { name, artifact: Artifact::default(), stage, words: vec![words.to_owned()], answer: None, is_slow: false }
    }

    pub fn with(name: &'static str, stage: Stage, words: &str, artifact: Artifact) -> Self {
        Self { artifact, ..Self::new(name, stage, words) }
    }

    pub fn says(mut self, words: &str) -> Self {
        self.words.push(words.to_owned());
        self
    }

    pub fn slow(self) -> Self {
        Self { is_slow: true, ..self }
    }

    pub fn answers(self, status: u16, body: &'static str) -> Self {
        Self { answer: Some((status, body)), ..self }
    }
}
