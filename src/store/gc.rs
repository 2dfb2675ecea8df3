//! The sweep: reads what is there, asks [`plan`] what goes, removes it.

use std::collections::HashSet;
use std::fs::{self, DirEntry, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::claim::Hold;
use super::error::{At, Error, Result};
use super::lock::Exclusive;
use super::plan::{self, Contents, References, Staged, Swept};
use super::{Entry, Store, claim, durable, index, lease};
use crate::digest::{Algorithm, Digest};

impl Store {
    /// Removes what neither the index nor a living lease needs.
    pub fn gc(&self, guard: &Exclusive) -> Result<Swept> {
        let leases = lease::read_all(self, guard)?;
        let contents = self.contents()?;
        let mut swept = self.plan(&contents, &leases, &[])?;
        leases.dead.iter().try_for_each(|path| durable::remove_file(path))?;
        self.remove_temporary(&plan::abandoned(&contents.temporary, &leases.ids))?;
        swept.snapshots.iter().try_for_each(|digest| self.remove_snapshot(digest))?;
        swept.ingests.retain(|digest| self.remove_ingest(digest));
        swept.blobs.iter().try_for_each(|digest| durable::remove_file(&self.blob_path(digest)))?;
        Ok(swept)
    }

    /// Tells what [`Store::gc`] would remove if `without` were not in the index.
    pub fn would_sweep(&self, guard: &Exclusive, without: &[Entry]) -> Result<Swept> {
        self.plan(&self.contents()?, &lease::read_all(self, guard)?, without)
    }

    fn plan(&self, contents: &Contents, leases: &lease::Found, without: &[Entry]) -> Result<Swept> {
        let mut roots = index::roots(self.root(), without)?;
        roots.extend(leases.digests.iter().cloned());
        roots.extend(self.volume_digests()?);
        let mut kept = plan::keep(roots, |digest| self.references(digest))?;
        self.keep_parts(contents, &mut kept)?;
        let mut swept = plan::sweep(contents, &kept);
        for name in plan::abandoned(&contents.temporary, &leases.ids) {
            let path = self.root().join(name);
            swept.bytes += if path.is_dir() { own_bytes(&path)? } else { fs::metadata(&path).at(&path)?.len() };
        }
        Ok(swept)
    }

    /// Keeps the snapshots of parts of what is kept: a container may use one that no name stands for.
    fn keep_parts(&self, contents: &Contents, kept: &mut HashSet<Digest>) -> Result<()> {
        for (key, _) in &contents.snapshots {
            let snapshot = if kept.contains(key) { None } else { self.snapshot(key)? };
            if snapshot.is_some_and(|snapshot| kept.contains(&snapshot.listing.digest)) {
                kept.insert(key.clone());
            }
        }
        Ok(())
    }

    /// What a root lists; nothing if it is no manifest, or is not here, or is damaged.
    fn references(&self, digest: &Digest) -> Result<References> {
        match self.manifest(digest) {
            Ok((_, manifest)) => Ok(References {
                blobs: manifest.blobs().into_iter().map(|blob| blob.digest.clone()).collect(),
                children: manifest.manifests.into_iter().flatten().map(|child| child.digest).collect(),
            }),
            Err(Error::NoBlob { .. } | Error::TooLarge { .. } | Error::Mismatch(_) | Error::Manifest(_)) => {
                Ok(References::default())
            }
            Err(error) => Err(error),
        }
    }

    fn contents(&self) -> Result<Contents> {
        let mut contents = Contents::default();
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            each(&self.root().join("blobs").join(algorithm.as_str()), |entry, name| {
                if let Ok(digest) = format!("{algorithm}:{name}").parse() {
                    contents.blobs.push((digest, entry.metadata().at(&entry.path())?.len()));
                }
                Ok(())
            })?;
        }
        each(&self.root().join("ingest"), |entry, name| {
            if name.starts_with('.') {
                contents.temporary.push(format!("ingest/{name}"));
                return Ok(());
            }
            // A record goes with its data; alone, it is what a crash has left.
            let path = entry.path().with_extension("");
            let digest = from_file_name(name.split('.').next().unwrap_or_default());
            let is_first = path == entry.path() || !path.exists();
            let staged = digest.filter(|_| is_first).map(|digest| staged(&path, digest));
            contents.ingests.extend(staged.transpose()?.flatten());
            Ok(())
        })?;
        self.add_snapshots(&mut contents)?;
        Ok(contents)
    }

    fn add_snapshots(&self, contents: &mut Contents) -> Result<()> {
        each(&self.root().join("snapshots"), |entry, name| {
            if name.starts_with('.') {
                contents.temporary.push(format!("snapshots/{name}"));
            } else if let Some(digest) = from_file_name(name) {
                contents.snapshots.push((digest, own_bytes(&entry.path())?));
            } else if let Some(digest) = name.strip_suffix(".json").and_then(from_file_name)
                && !self.snapshot_path(&digest).exists()
            {
                contents.snapshots.push((digest, 0));
            }
            Ok(())
        })
    }

    fn remove_temporary(&self, names: &[&str]) -> Result<()> {
        durable::remove_file(&self.root().join(".index.json.tmp"))?;
        names.iter().map(|name| self.root().join(name)).try_for_each(|path| {
            if path.is_dir() { durable::remove_dir_all(&path) } else { durable::remove_file(&path) }
        })
    }

    /// Takes the name away first: a snapshot is there whole or not at all.
    fn remove_snapshot(&self, digest: &Digest) -> Result<()> {
        let path = self.snapshot_path(digest);
        let trash = path.with_file_name(format!(".trash-{}", digest.file_name()));
        if path.exists() {
            durable::remove_dir_all(&trash)?;
            durable::publish(&path, &trash)?;
        }
        durable::remove_file(&self.listing_path(digest))?;
        durable::remove_dir_all(&trash)
    }

    /// Whether the ingest was removed: not if somebody holds it by now.
    fn remove_ingest(&self, digest: &Digest) -> bool {
        match Hold::find(self.ingest_path(digest)) {
            Ok(Some(hold)) => {
                hold.clear();
                true
            }
            Ok(None) => false,
            Err(error) => {
                tracing::debug!(%error, "an ingest stays for the next sweep");
                false
            }
        }
    }
}

/// Calls `visit` with the entries of a directory whose names are text.
fn each(directory: &Path, mut visit: impl FnMut(&DirEntry, &str) -> Result<()>) -> Result<()> {
    for entry in fs::read_dir(directory).at(directory)? {
        let entry = entry.at(directory)?;
        if let Some(name) = entry.file_name().to_str() {
            visit(&entry, name)?;
        }
    }
    Ok(())
}

fn from_file_name(name: &str) -> Option<Digest> {
    name.replacen('-', ":", 1).parse().ok()
}

/// The ingest at `path`, unless somebody holds it.
fn staged(path: &Path, digest: Digest) -> Result<Option<Staged>> {
    match File::open(path).map(|file| file.try_lock()) {
        Ok(Err(TryLockError::WouldBlock)) => return Ok(None),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).at(path),
        _ => {}
    }
    let (mut bytes, mut age) = (0, Duration::MAX);
    for path in [path.to_owned(), claim::record_path(path)] {
        let Ok(metadata) = fs::metadata(&path) else { continue };
        let changed = metadata.modified().at(&path)?;
        // A clock set back makes files of the future: they are new.
        age = age.min(SystemTime::now().duration_since(changed).unwrap_or_default());
        bytes += metadata.blocks().saturating_mul(512);
    }
    Ok(Some(Staged { digest, bytes, age }))
}

/// The bytes of the files below `directory` that have no other name.
fn own_bytes(directory: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory).at(directory)? {
        let entry = entry.at(directory)?;
        let metadata = entry.metadata().at(&entry.path())?;
        if metadata.is_dir() {
            bytes += own_bytes(&entry.path())?;
        } else if metadata.is_file() && metadata.nlink() == 1 {
            bytes += metadata.len();
        }
    }
    Ok(bytes)
}
