//! A store for the time of one pull whose blobs go somewhere else afterwards.
//!
//! ```text
//! BASE/<alg>-<hex>.lock   held by whoever pulls the manifest <alg>:<hex>; changed when it was last begun
//! BASE/<alg>-<hex>/       a [`Store`], so that a killed pull goes on where it was
//! ```
//!
//! Nothing of it stays after [`Staging::remove`]. What nobody went on with for seven days is removed by the next pull.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::claim::Hold;
use super::error::{At, Error, Result};
use super::{Store, durable, plan};
use crate::digest::Digest;

/// The store of one pull, which nobody else uses meanwhile.
#[derive(Debug)]
pub struct Staging {
    hold: Hold,
    store: Store,
}

impl Staging {
    /// Opens what an earlier pull of `manifest` left below `base`, or begins; waits while another one is under way, and
    /// calls `wait` before.
    pub fn open(base: &Path, manifest: &Digest, wait: impl FnOnce()) -> Result<Self> {
        remove_abandoned(base);
        let lock = base.join(manifest.file_name()).with_extension("lock");
        if let Some(hold) = Self::take(base, &lock, Hold::attempt)? {
            return Self::begin(hold);
        }
        wait();
        loop {
            if let Some(hold) = Self::take(base, &lock, Hold::wait)? {
                return Self::begin(hold);
            }
        }
    }

    /// Whether somebody pulls `manifest`, or did not come to an end with it.
    pub fn is_there(base: &Path, manifest: &Digest) -> bool {
        base.join(manifest.file_name()).is_dir()
    }

    fn take(base: &Path, lock: &Path, take: fn(PathBuf) -> Result<Option<Hold>>) -> Result<Option<Hold>> {
        durable::create_dir(base)?;
        match take(lock.to_owned()) {
            // Its last user has just removed the base, too.
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            taken => taken,
        }
    }

    fn begin(hold: Hold) -> Result<Self> {
        let lock = File::options().write(true).open(hold.path()).at(hold.path())?;
        lock.set_modified(SystemTime::now()).at(hold.path())?;
        let store = Store::open(&store_of(&hold))?;
        Ok(Self { hold, store })
    }

    /// Where the blobs are.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Removes it with all that is in it.
    pub fn remove(self) -> Result<()> {
        let base = self.hold.path().parent().map(Path::to_owned);
        clear(&self.hold)?;
        base.map_or(Ok(()), |base| match fs::remove_dir(&base) {
            // Others are under way, or have done the same.
            Err(error) if [io::ErrorKind::DirectoryNotEmpty, io::ErrorKind::NotFound].contains(&error.kind()) => Ok(()),
            removed => removed.at(&base),
        })
    }
}

fn store_of(hold: &Hold) -> PathBuf {
    hold.path().with_extension("")
}

fn clear(hold: &Hold) -> Result<()> {
    durable::remove_dir_all(&store_of(hold))?;
    hold.clear();
    Ok(())
}

/// Removes what pulls left that nobody went on with.
fn remove_abandoned(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else { return };
    let locks =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "lock"));
    for lock in locks.filter(|lock| is_old(lock)) {
        match Hold::find(lock.clone()).and_then(|hold| hold.as_ref().map_or(Ok(()), clear)) {
            Ok(()) => tracing::info!(lock = %lock.display(), "an abandoned pull was removed"),
            Err(error) => tracing::warn!(%error, "an abandoned pull stays"),
        }
    }
}

fn is_old(lock: &Path) -> bool {
    let changed = fs::metadata(lock).and_then(|lock| lock.modified());
    let age = changed.map(|changed| SystemTime::now().duration_since(changed).unwrap_or_default());
    age.is_ok_and(|age| age > plan::RESUMABLE)
}
