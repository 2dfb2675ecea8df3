//! Making and recognising the directory of a store.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use serde::Deserialize;

use super::durable;
use super::error::{At, Error, Result};
use super::index;

const LAYOUT: &[u8] = b"{\"imageLayoutVersion\":\"1.0.0\"}";
const TEMPORARY: &str = ".oci-layout.tmp";
const DIRECTORIES: [&str; 6] = ["blobs", "blobs/sha256", "blobs/sha512", "ingest", "snapshots", "leases"];

#[derive(Deserialize)]
struct Layout {
    #[serde(rename = "imageLayoutVersion")]
    version: String,
}

/// Makes what is missing of the store at `root` and returns whether it is read-only for us.
pub(super) fn prepare(root: &Path) -> Result<bool> {
    let exists = has_layout(root)?;
    if exists {
        check_version(root)?;
    }
    if !is_complete(root) {
        match create(root) {
            Err(error) if exists && error.is_denied() => return Ok(true),
            result => result?,
        }
    }
    is_read_only(root)
}

fn has_layout(root: &Path) -> Result<bool> {
    let path = root.join("oci-layout");
    match fs::metadata(&path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Err(Error::NotAStore { path: root.to_owned() }),
        Err(error) => Err(error).at(&path),
    }
}

/// Whether the layout at `root` is of the version there is.
pub(super) fn check_version(root: &Path) -> Result<()> {
    let path = root.join("oci-layout");
    let bytes = fs::read(&path).at(&path)?;
    match serde_json::from_slice::<Layout>(&bytes) {
        Ok(layout) if layout.version == "1.0.0" => Ok(()),
        _ => Err(Error::LayoutVersion { path }),
    }
}

fn is_complete(root: &Path) -> bool {
    ["oci-layout", "lock"].iter().chain(&DIRECTORIES).all(|name| root.join(name).exists())
}

/// Makes the store; two processes do it one after the other, by a lock on the directory itself.
///
/// `index.json` is made only before `blobs`: in a store that was in use, a missing index is an error, not an empty one.
fn create(root: &Path) -> Result<()> {
    if let Some(parent) = root.parent() {
        fs::create_dir_all(parent).at(parent)?;
    }
    durable::create_dir(root)?;
    let directory = File::open(root).at(root)?;
    directory.lock().at(root)?;
    if !has_layout(root)? {
        refuse_foreign(root)?;
        durable::replace(&root.join("oci-layout"), &root.join(TEMPORARY), LAYOUT)?;
    }
    if !root.join("blobs").exists() && !root.join("index.json").exists() {
        index::create(root)?;
    }
    DIRECTORIES.iter().try_for_each(|name| durable::create_dir(&root.join(name)))?;
    durable::open_or_create(&root.join("lock"))?;
    durable::sync_dir(root)
}

fn refuse_foreign(root: &Path) -> Result<()> {
    for entry in fs::read_dir(root).at(root)? {
        if entry.at(root)?.file_name() != TEMPORARY {
            return Err(Error::NotAStore { path: root.to_owned() });
        }
    }
    Ok(())
}

fn is_read_only(root: &Path) -> Result<bool> {
    let path = root.join("lock");
    match File::options().read(true).write(true).open(&path).at(&path) {
        Err(error) if error.is_denied() => Ok(true),
        result => result.map(|_| false),
    }
}
