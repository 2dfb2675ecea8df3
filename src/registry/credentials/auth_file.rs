//! Changes of a credential file: whole or not at all, one after the other, with all that others wrote there.

use std::fs::{self, File as Handle};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize as _;
use serde_json::{Map, Value};

use super::{Error, File, missing_is_none, parse, read};

/// As many links as Linux follows.
const MAX_LINKS: usize = 40;

/// What is in the file: what of it counts, and everything.
#[derive(Clone)]
pub(super) struct Document {
    pub file: File,
    fields: Map<String, Value>,
}

impl Document {
    fn parse(path: &Path, text: &[u8]) -> Result<Self, Error> {
        let malformed = |error: serde_json::Error| Error::Malformed { path: path.to_owned(), line: error.line() };
        let file = parse(path, text)?;
        let is_empty = text.trim_ascii().is_empty();
        let fields = if is_empty { Map::new() } else { serde_json::from_slice(text).map_err(malformed)? };
        Ok(Self { file, fields })
    }

    /// The entries. Where the file has some it is known that they are an object.
    pub fn entries(&mut self) -> Option<&mut Map<String, Value>> {
        self.fields.get_mut("auths").and_then(Value::as_object_mut)
    }

    /// Puts an entry in the place of what stands under the key.
    pub fn set(&mut self, key: String, entry: Value) {
        let entries = self.fields.entry("auths").or_insert_with(|| Value::Object(Map::new()));
        if let Some(entries) = entries.as_object_mut() {
            entries.insert(key, entry);
        }
    }

    /// As podman and docker write it.
    fn to_text(&self) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        let format = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        self.fields.serialize(&mut serde_json::Serializer::with_formatter(&mut text, format))?;
        Ok(text)
    }
}

/// Makes the file's directory, for its owner alone.
pub(super) fn create_directory(path: &Path) -> Result<(), Error> {
    let created = linked(path).and_then(|file| {
        let directory = file.parent().unwrap_or(&file);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
    });
    created.map_err(|source| Error::Unwritable { path: path.to_owned(), source })
}

/// Changes the file, which stays as it is where there is an error or nothing to change.
///
/// Who changes it by this function waits for who does so now; podman and docker wait for nobody.
pub(super) fn edit<T>(path: &Path, change: impl FnOnce(&mut Document) -> Result<T, Error>) -> Result<T, Error> {
    let unwritable = |source| Error::Unwritable { path: path.to_owned(), source };
    let file = linked(path).map_err(unwritable)?;
    let directory = file.parent().unwrap_or(&file);
    let _turn = turn(directory);
    let text = missing_is_none(read(&file))?.unwrap_or_default();
    let mut document = Document::parse(path, &text)?;
    let before = document.fields.clone();
    let changed = change(&mut document)?;
    if document.fields != before {
        document.to_text().and_then(|text| replace(&file, directory, &text)).map_err(unwritable)?;
    }
    Ok(changed)
}

/// The file itself: who made it a link, as into a home that is kept elsewhere, keeps the link.
fn linked(path: &Path) -> io::Result<PathBuf> {
    let mut file = std::path::absolute(path)?;
    for _ in 0..MAX_LINKS {
        match fs::read_link(&file) {
            Ok(target) => file = file.parent().unwrap_or(&file).join(target),
            Err(_) => return Ok(file),
        }
    }
    Err(io::Error::other("it is a link without end"))
}

/// The turn to change a file in the directory, for as long as the handle is open.
///
/// The file is replaced, so its own lock would be the old file's; a lock file beside it would stay for ever.
fn turn(directory: &Path) -> Option<Handle> {
    let handle = Handle::open(directory).ok()?;
    match handle.lock() {
        Ok(()) => Some(handle),
        // As on NFS. podman and docker have no turns at all.
        Err(error) => {
            tracing::debug!(%error, directory = %directory.display(), "the directory cannot be locked");
            None
        }
    }
}

fn replace(file: &Path, directory: &Path, text: &[u8]) -> io::Result<()> {
    if fs::metadata(file).is_ok_and(|found| !found.is_file()) {
        return Err(io::Error::other("it is no regular file"));
    }
    // Only its owner may read it, from the first moment on.
    let mut temporary = tempfile::Builder::new().prefix(".auth-").tempfile_in(directory)?;
    temporary.write_all(text)?;
    temporary.as_file().sync_all()?;
    temporary.persist(file)?;
    // What is there after a power loss is the old file or the new one.
    let _ = Handle::open(directory).and_then(|directory| directory.sync_all());
    Ok(())
}
