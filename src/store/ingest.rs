//! One blob being written: staged bytes, the record of which are there, and the commit.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::claim::Hold;
use super::error::{At, Error, Result};
use super::lease::Lease;
use super::ranges::{self, Ranges};
use super::{Store, durable};
use crate::digest::{Mismatch, Verifier};
use crate::manifest::Descriptor;

/// How much is read back at once to be hashed.
const READ_BACK: usize = 256 * 1024;

/// How many bytes are read back and hashed for each byte written, while bytes that are there wait for it.
const CATCH_UP: u64 = 4;

/// The right to write one blob, and what is there of it.
///
/// Bytes come in any order from any number of threads. They are hashed in order by whichever thread finds the hash
/// free, so that [`Ingest::commit`] has little left to do. Dropped, it leaves what was recorded for the next claim, and
/// nothing at all where nothing was.
#[derive(Debug)]
pub struct Ingest {
    store: Store,
    blob: Descriptor,
    data: File,
    data_path: PathBuf,
    /// Set once the blocks of the whole blob are reserved; held while they are.
    is_allocated: Mutex<bool>,
    state: Mutex<State>,
    record: Mutex<Record>,
    /// Whether nothing staged is of use any more: the blob is in its place, or the bytes are wrong.
    is_over: bool,
    hold: Hold,
    // Dropping the caller's lease early must not let a sweep take what is being written.
    _lease: Lease,
}

#[derive(Default)]
struct State {
    /// Being written or written; a byte is written once, so that what was hashed is what is on disk.
    claimed: Ranges,
    written: Ranges,
    /// Has seen the bytes from the start; absent while a thread hashes, or before the first one does.
    verifier: Option<Verifier>,
    hashing: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("written", &self.written).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Record {
    file: File,
    recorded: Ranges,
}

impl Ingest {
    /// Opens what an earlier holder left, or begins; an error if there is no room for the blob.
    pub(super) fn open(store: &Store, lease: &Lease, blob: &Descriptor, hold: Hold) -> Result<Self> {
        let (data_path, record_path) = (hold.directory().join("data"), hold.directory().join("ranges"));
        let written = earlier(&data_path, &record_path, blob)?;
        // The record is made to agree with the data first: data that grows again must not bring old lines to life.
        durable::replace(&record_path, &hold.directory().join(".ranges.tmp"), written.to_record(blob).as_bytes())?;
        let data = durable::open_or_create(&data_path)?;
        durable::sync_dir(hold.directory())?;
        let record = File::options().append(true).open(&record_path).at(&record_path)?;
        Ok(Self {
            store: store.clone(),
            blob: blob.clone(),
            data,
            data_path,
            is_allocated: Mutex::default(),
            record: Mutex::new(Record { file: record, recorded: written.clone() }),
            state: Mutex::new(State { claimed: written.clone(), written, ..State::default() }),
            is_over: false,
            hold,
            _lease: lease.clone(),
        })
    }

    /// The blob being written.
    pub const fn blob(&self) -> &Descriptor {
        &self.blob
    }

    /// The bytes that were not written yet, in ascending order.
    pub fn missing(&self) -> Vec<Range<u64>> {
        self.state().written.gaps(&(0..self.blob.size))
    }

    /// How many bytes are written.
    pub fn present(&self) -> u64 {
        self.state().written.total()
    }

    /// Writes `bytes` at `offset`; callable from several threads at once.
    ///
    /// Bytes that are written already stay as they are. A byte beyond the blob's size is an error at once.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let range = self.range(offset, bytes.len())?;
        self.allocate()?;
        let gaps = {
            let mut state = self.state();
            let gaps = state.claimed.gaps(&range);
            state.claimed.insert(&range);
            gaps
        };
        for (index, gap) in gaps.iter().enumerate() {
            let written = self.data.write_all_at(slice(bytes, offset, gap), gap.start);
            let mut state = self.state();
            if written.is_err() {
                gaps[index..].iter().for_each(|gap| state.claimed.remove(gap));
                let needed = self.blob.size - state.written.total();
                return written.at_needing(&self.data_path, needed);
            }
            state.written.insert(gap);
        }
        self.hash_along(offset, bytes, &gaps)
    }

    /// Reserves the blob's blocks, once there is a byte for them: a size is only the word of whoever wrote the manifest.
    fn allocate(&self) -> Result<()> {
        let mut is_allocated = self.is_allocated.lock().unwrap_or_else(PoisonError::into_inner);
        if !*is_allocated {
            durable::preallocate(&self.data, &self.data_path, self.blob.size)?;
            *is_allocated = true;
        }
        Ok(())
    }

    /// Notes durably what is written so far, for whoever goes on after a crash.
    ///
    /// The data reaches the disk before the note does. Each call costs two flushes: every 16 MiB or so is enough.
    pub fn record(&self) -> Result<()> {
        let written = self.state().written.clone();
        self.data.sync_data().at_needing(&self.data_path, self.blob.size)?;
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let new = written.without(&record.recorded);
        if new.is_empty() {
            return Ok(());
        }
        let lines = ranges::to_lines(&new);
        record.file.write_all(lines.as_bytes()).at_needing(&self.data_path, lines.len() as u64)?;
        record.file.sync_data().at(&self.data_path)?;
        new.iter().for_each(|range| record.recorded.insert(range));
        Ok(())
    }

    /// Forgets everything written so far.
    pub fn discard(&mut self) -> Result<()> {
        let directory = self.hold.directory();
        let (path, temporary) = (directory.join("ranges"), directory.join(".ranges.tmp"));
        durable::replace(&path, &temporary, Ranges::default().to_record(&self.blob).as_bytes())?;
        let file = File::options().append(true).open(&path).at(&path)?;
        self.record = Mutex::new(Record { file, recorded: Ranges::default() });
        self.state = Mutex::default();
        Ok(())
    }

    /// Makes the blob visible, if it is complete and is what its digest and size promise.
    ///
    /// Incomplete bytes stay for the next claim; wrong ones are removed.
    pub fn commit(mut self) -> Result<()> {
        let missing = self.blob.size - self.present();
        if missing > 0 {
            return Err(Error::Incomplete { digest: self.blob.digest.clone(), missing });
        }
        if let Err(mismatch) = self.verify()? {
            self.is_over = true;
            return Err(mismatch.into());
        }
        self.data.set_permissions(Permissions::from_mode(durable::READ_ONLY)).at(&self.data_path)?;
        self.data.sync_all().at_needing(&self.data_path, self.blob.size)?;
        durable::publish(&self.data_path, &self.store.blob_path(&self.blob.digest))?;
        self.is_over = true;
        Ok(())
    }

    /// Hashes what was not hashed on the way; also cuts off what another size had put behind the end.
    fn verify(&self) -> Result<Result<(), Mismatch>> {
        self.data.set_len(self.blob.size).at(&self.data_path)?;
        let mut verifier = self.state().verifier.take().unwrap_or_else(|| self.blob.verifier());
        self.read_back(&mut verifier, self.blob.size)?;
        Ok(verifier.finish())
    }

    /// Hashes the bytes just written if they are next in order, then some of those that waited for them.
    fn hash_along(&self, offset: u64, bytes: &[u8], gaps: &[Range<u64>]) -> Result<()> {
        let Some(mut verifier) = self.take_verifier() else { return Ok(()) };
        if let Some(gap) = gaps.iter().find(|gap| gap.contains(&verifier.seen())) {
            verifier.update(slice(bytes, offset, &(verifier.seen()..gap.end)))?;
        }
        let end = self.state().written.end_after(verifier.seen());
        let budget = verifier.seen().saturating_add(CATCH_UP.saturating_mul(bytes.len() as u64));
        self.read_back(&mut verifier, end.min(budget))?;
        let mut state = self.state();
        state.verifier = Some(verifier);
        state.hashing = false;
        Ok(())
    }

    /// The hash, unless another thread has it; after an error in that thread, only the commit hashes, from the start.
    fn take_verifier(&self) -> Option<Verifier> {
        let mut state = self.state();
        if state.hashing {
            return None;
        }
        state.hashing = true;
        Some(state.verifier.take().unwrap_or_else(|| self.blob.verifier()))
    }

    fn read_back(&self, verifier: &mut Verifier, end: u64) -> Result<()> {
        let mut buffer = vec![0; READ_BACK.min(usize::try_from(end - verifier.seen().min(end)).unwrap_or(READ_BACK))];
        while verifier.seen() < end {
            let length = buffer.len().min(usize::try_from(end - verifier.seen()).unwrap_or(READ_BACK));
            self.data.read_exact_at(&mut buffer[..length], verifier.seen()).at(&self.data_path)?;
            verifier.update(&buffer[..length])?;
        }
        Ok(())
    }

    fn range(&self, offset: u64, length: usize) -> Result<Range<u64>> {
        let end = offset.saturating_add(length as u64);
        if end > self.blob.size {
            return Err(Mismatch::Size { digest: self.blob.digest.clone(), size: self.blob.size, seen: end }.into());
        }
        Ok(offset..end)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        let record = self.record.get_mut().unwrap_or_else(PoisonError::into_inner);
        if self.is_over || record.recorded.total() == 0 {
            self.hold.clear();
        }
    }
}

/// What an earlier holder left of `blob`, made writable; an error if there is no room for the rest.
fn earlier(data_path: &Path, record_path: &Path, blob: &Descriptor) -> Result<Ranges> {
    let data = match fs::metadata(data_path) {
        Ok(metadata) => Some(metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).at(data_path),
    };
    let allocated = data.as_ref().map_or(0, |data| data.blocks().saturating_mul(512));
    durable::check_space(record_path.parent().unwrap_or(record_path), blob.size, allocated)?;
    let Some(data) = data else { return Ok(Ranges::default()) };
    // A crash just before the rename leaves data that only root may open for writing.
    fs::set_permissions(data_path, Permissions::from_mode(durable::WRITABLE)).at(data_path)?;
    let text = durable::read_if_present(record_path)?.unwrap_or_default();
    Ok(Ranges::from_record(&String::from_utf8_lossy(&text), blob, data.len()))
}

/// The part of `bytes`, which begin at `offset`, that lies in `range`.
fn slice<'a>(bytes: &'a [u8], offset: u64, range: &Range<u64>) -> &'a [u8] {
    let index = |position: u64| usize::try_from(position - offset).unwrap_or(bytes.len());
    &bytes[index(range.start)..index(range.end)]
}
