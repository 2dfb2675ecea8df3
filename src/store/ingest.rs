//! One blob being written: staged bytes, the record of which are there, and the commit.

use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::iter;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::claim::Hold;
use super::error::{At, Error, Result};
use super::hashing::Hashing;
use super::lease::Lease;
use super::pieces::{slices, write_all_at};
use super::{Store, durable, record};
use crate::digest::{Mismatch, Verifier};
use crate::manifest::Descriptor;
use crate::ranges::Ranges;

/// How much is read back at once to be hashed.
const READ_BACK: usize = 256 * 1024;

/// How many bytes one [`Ingest::catch_up`] hashes at most: some hundredths of a second.
const CATCH_UP: u64 = 32 * 1024 * 1024;

/// How many bytes may wait to be hashed before whoever brings more is to wait for the hash.
const MAX_BACKLOG: u64 = 32 * 1024 * 1024;

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
    /// Set once the blocks of the whole blob are reserved; held while they are.
    is_allocated: Mutex<bool>,
    /// What an earlier holder left.
    earlier: Ranges,
    state: Mutex<State>,
    /// Held during a write: the system lets nobody else write to the file then, and who waits there uses a processor.
    writing: Mutex<()>,
    hashing: Hashing,
    record: Mutex<Record>,
    /// Set for ever by a failed flush, and held during one: the system tells of lost bytes once, and whoever flushes
    /// next is told all is well.
    has_lost_bytes: Mutex<bool>,
    end: End,
    hold: Hold,
    // Dropping the caller's lease early must not let a sweep take what is being written.
    _lease: Lease,
}

/// What became of an ingest.
#[derive(Clone, Copy, Debug)]
enum End {
    /// Nothing yet: what was noted stays for the next claim.
    Open,
    /// The blob is in its place, and the staged file is no more.
    Committed,
    /// The bytes are wrong.
    Wrong,
}

#[derive(Debug, Default)]
struct State {
    /// Being written or written; a byte is written once, so that what was hashed is what is on disk.
    claimed: Ranges,
    written: Ranges,
}

/// What is noted durably; a small blob is over before there is anything to note, and never gets a file for it.
#[derive(Debug, Default)]
struct Record {
    file: Option<File>,
    recorded: Ranges,
}

impl Ingest {
    /// Opens what an earlier holder left, or begins; an error if there is no room for the blob.
    pub(super) fn open(store: &Store, lease: &Lease, blob: &Descriptor, hold: Hold) -> Result<Self> {
        let (written, has_record) = earlier(&hold, blob)?;
        let data = hold.open()?;
        // The record is made to agree with the data first: data that grows again must not bring old lines to life.
        let file = if has_record { Some(begin_record(&hold, &written, blob)?) } else { None };
        Ok(Self {
            store: store.clone(),
            blob: blob.clone(),
            data,
            is_allocated: Mutex::default(),
            earlier: written.clone(),
            record: Mutex::new(Record { file, recorded: written.clone() }),
            has_lost_bytes: Mutex::default(),
            state: Mutex::new(State { claimed: written.clone(), written }),
            writing: Mutex::default(),
            hashing: Hashing::default(),
            end: End::Open,
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

    /// Up to where the blob is written without a gap.
    pub fn frontier(&self) -> u64 {
        self.state().written.end_after(0)
    }

    /// The staged file, for reading what is written; after the commit it is the blob.
    pub fn reader(&self) -> Result<Arc<File>> {
        self.data.try_clone().map(Arc::new).at(self.hold.path())
    }

    /// Writes `pieces`, one behind the other, at `offset`; callable from several threads at once. Returns how many
    /// bytes are new.
    ///
    /// Bytes that are written already stay as they are. A byte beyond the blob's size is an error at once.
    pub fn write_at(&self, offset: u64, pieces: &[impl AsRef<[u8]>]) -> Result<u64> {
        let length: usize = pieces.iter().map(|piece| piece.as_ref().len()).sum();
        let range = self.range(offset, length)?;
        self.allocate()?;
        let gaps = {
            let mut state = self.state();
            let gaps = state.claimed.gaps(&range);
            state.claimed.insert(&range);
            gaps
        };
        for (index, gap) in gaps.iter().enumerate() {
            let written = {
                let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
                write_all_at(&self.data, gap.start, slices(pieces, offset, gap))
            };
            let mut state = self.state();
            if written.is_err() {
                gaps[index..].iter().for_each(|gap| state.claimed.remove(gap));
                let needed = self.blob.size - state.written.total();
                return written.map(|()| 0).at_needing(self.hold.path(), needed);
            }
            state.written.insert(gap);
        }
        self.hash_along(offset, pieces, &gaps)?;
        Ok(gaps.iter().map(|gap| gap.end - gap.start).sum())
    }

    /// Reserves the blob's blocks, once there is a byte for them: a size is only the word of whoever wrote the manifest.
    fn allocate(&self) -> Result<()> {
        let mut is_allocated = self.is_allocated.lock().unwrap_or_else(PoisonError::into_inner);
        if !*is_allocated {
            durable::preallocate(&self.data, self.hold.path(), self.blob.size)?;
            *is_allocated = true;
        }
        Ok(())
    }

    /// Notes durably what is written so far, for whoever goes on after a crash.
    ///
    /// The data reaches the disk before the note is made, so the note needs no flush of its own: one that is lost costs
    /// time and tells no lie. Each call costs a flush of the data, so the caller decides how often.
    pub fn record(&self) -> Result<()> {
        let written = self.state().written.clone();
        self.flush(File::sync_data)?;
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let new = written.without(&record.recorded);
        if new.is_empty() {
            return Ok(());
        }
        if record.file.is_none() {
            record.file = Some(begin_record(&self.hold, &Ranges::default(), &self.blob)?);
        }
        let lines = record::to_lines(&new);
        let file = record.file.as_mut().expect("it was made just now");
        file.write_all(lines.as_bytes()).at_needing(self.hold.path(), lines.len() as u64)?;
        new.iter().for_each(|range| record.recorded.insert(range));
        Ok(())
    }

    /// Forgets everything written so far.
    pub fn discard(&mut self) -> Result<()> {
        let record = self.record.get_mut().unwrap_or_else(PoisonError::into_inner);
        let had_file = record.file.is_some();
        *record = Record::default();
        if had_file {
            record.file = Some(begin_record(&self.hold, &Ranges::default(), &self.blob)?);
        }
        (self.earlier, self.state, self.hashing) = (Ranges::default(), Mutex::default(), Hashing::default());
        Ok(())
    }

    /// Makes the blob visible, if it is complete and is what its digest and size promise.
    ///
    /// Its bytes are durable then; its name is when [`Store::tag`] has named a manifest after it.
    /// Incomplete bytes stay for the next claim; wrong ones are removed.
    pub fn commit(mut self) -> Result<()> {
        let missing = self.blob.size - self.present();
        if missing > 0 {
            return Err(Error::Incomplete { digest: self.blob.digest.clone(), missing });
        }
        if let Err(mismatch) = self.verify()? {
            self.end = End::Wrong;
            return Err(mismatch.into());
        }
        self.data.set_permissions(Permissions::from_mode(durable::READ_ONLY)).at(self.hold.path())?;
        self.flush(File::sync_all)?;
        // From the rename on, the path may be somebody else's.
        self.hold.forget()?;
        self.store.show_blob(self.hold.path(), &self.blob.digest)?;
        self.end = End::Committed;
        Ok(())
    }

    /// Brings the data to the disk, or says for ever after that some of it did not get there.
    fn flush(&self, sync: fn(&File) -> io::Result<()>) -> Result<()> {
        let mut has_lost_bytes = self.has_lost_bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let synced = match sync(&self.data) {
            Ok(()) if *has_lost_bytes => Err(io::Error::other("written bytes were lost")),
            synced => synced,
        };
        *has_lost_bytes = synced.is_err();
        synced.at_needing(self.hold.path(), self.blob.size)
    }

    /// Hashes what was not hashed on the way; also cuts off what another size had put behind the end.
    fn verify(&self) -> Result<Result<(), Mismatch>> {
        self.data.set_len(self.blob.size).at(self.hold.path())?;
        let mut verifier = self.hashing.take(|| self.blob.verifier()).unwrap_or_else(|| self.blob.verifier());
        self.read_back(&mut verifier, self.blob.size)?;
        Ok(verifier.finish())
    }

    /// Whether bytes that are next in order wait to be hashed and nobody does it.
    pub fn is_behind(&self) -> bool {
        !self.hashing.is_taken() && !self.backlog().is_empty()
    }

    /// Hashes some of the bytes that were written out of order, so that [`Ingest::commit`] has little left to do.
    pub fn catch_up(&self) -> Result<()> {
        self.hash(|verifier| {
            let end = self.state().written.end_after(verifier.seen());
            let budget = verifier.seen().saturating_add(CATCH_UP);
            self.read_back(verifier, end.min(budget))
        })
    }

    /// Hashes, or waits for who does, while too many bytes wait for it: the hash is one thread's work, and is not to be
    /// left over when nothing else is to be done. While it is at what was here before anything came nobody waits: that may
    /// be most of a large blob, and is no reason to let connections rest.
    pub fn keep_up(&self) -> Result<()> {
        let is_far_behind = || {
            let backlog = self.backlog();
            let is_new = self.earlier.gaps(&backlog) == [backlog.clone()];
            is_new && backlog.end - backlog.start > MAX_BACKLOG
        };
        // Looked at again: who had the hash in the meantime may have done it.
        while is_far_behind() && self.hashing.wait() && is_far_behind() {
            self.catch_up()?;
        }
        Ok(())
    }

    /// The bytes that are next in order and were not hashed yet.
    pub(super) fn backlog(&self) -> Range<u64> {
        let seen = self.hashing.seen();
        seen..self.state().written.end_after(seen).max(seen)
    }

    /// Hashes the bytes just written, from memory, if they are next in order.
    fn hash_along(&self, offset: u64, pieces: &[impl AsRef<[u8]>], gaps: &[Range<u64>]) -> Result<()> {
        self.hash(|verifier| {
            if let Some(gap) = gaps.iter().find(|gap| gap.contains(&verifier.seen())) {
                for slice in slices(pieces, offset, &(verifier.seen()..gap.end)) {
                    verifier.update(&slice)?;
                }
            }
            Ok(())
        })
    }

    /// Takes the hash along, unless another thread does.
    fn hash(&self, along: impl FnOnce(&mut Verifier) -> Result<()>) -> Result<()> {
        let Some(mut verifier) = self.hashing.take(|| self.blob.verifier()) else { return Ok(()) };
        let hashed = along(&mut verifier);
        self.hashing.give_back(hashed.is_ok().then_some(verifier));
        hashed
    }

    fn read_back(&self, verifier: &mut Verifier, end: u64) -> Result<()> {
        let mut buffer = vec![0; READ_BACK.min(usize::try_from(end - verifier.seen().min(end)).unwrap_or(READ_BACK))];
        while verifier.seen() < end {
            let length = buffer.len().min(usize::try_from(end - verifier.seen()).unwrap_or(READ_BACK));
            self.data.read_exact_at(&mut buffer[..length], verifier.seen()).at(self.hold.path())?;
            verifier.update(&buffer[..length])?;
        }
        Ok(())
    }

    /// Frees the blocks that were reserved for bytes which did not come; perhaps nobody pulls again for days.
    fn give_back_space(&self) {
        for gap in self.missing() {
            if let Err(error) = durable::free(&self.data, &gap) {
                tracing::debug!(%error, path = %self.hold.path().display(), "reserved blocks stay reserved");
                return;
            }
        }
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
        match self.end {
            End::Committed => {}
            End::Open if record.recorded.total() > 0 => self.give_back_space(),
            End::Open | End::Wrong => self.hold.clear(),
        }
    }
}

/// Writes a record anew and opens it for more lines.
fn begin_record(hold: &Hold, ranges: &Ranges, blob: &Descriptor) -> Result<File> {
    let path = hold.record_path();
    durable::replace(&path, &hold.temporary_path(), record::to_text(ranges, blob).as_bytes())?;
    File::options().append(true).open(&path).at(&path)
}

/// What an earlier holder left of `blob`, and whether there is to be a record; an error if there is no room for the rest.
fn earlier(hold: &Hold, blob: &Descriptor) -> Result<(Ranges, bool)> {
    let data = hold.metadata()?;
    durable::check_space(hold.path(), blob.size, data.blocks().saturating_mul(512)).inspect_err(|_| {
        if data.len() == 0 {
            hold.clear();
        }
    })?;
    // A commit takes the record away when the data is read-only and flushed; perhaps it was stopped before the rename.
    let is_sealed = data.permissions().readonly() && data.len() == blob.size;
    match durable::read_if_present(&hold.record_path())? {
        Some(text) => Ok((record::from_text(&String::from_utf8_lossy(&text), blob, data.len()), true)),
        None if is_sealed => Ok((iter::once(0..blob.size).collect(), true)),
        None => Ok((Ranges::default(), false)),
    }
}
