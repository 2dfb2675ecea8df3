//! Blobs made of what the user has: their digest is known when all of their bytes have been seen.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

use super::error::{At, Result};
use super::{Lease, Store, durable};
use crate::digest::{Algorithm, Hasher};
use crate::manifest::Descriptor;

/// How much is read at once.
const PIECE: usize = 512 * 1024;
/// How many pieces may wait to be hashed.
const WAITING: usize = 8;
/// How much is written before the disk is to begin with it.
const FLUSH: usize = 16 * 1024 * 1024;

/// Where the bytes of a new blob come from.
pub enum Incoming {
    /// A file, whose blocks are shared where the filesystem can.
    File(File),
    /// Anything else that can be read.
    Stream(Box<dyn Read + Send>),
}

/// Asked now and then whether to go on.
pub type Stop<'a> = &'a (dyn Fn() -> bool + Sync);

/// What is written before it has its name; removed unless it gets it.
struct Draft {
    path: PathBuf,
    file: File,
}

impl Store {
    /// Puts what is read into the store and tells what it is; the lease keeps it. The media type is left empty.
    ///
    /// The digest is of the bytes that were written, so a file that changes meanwhile becomes some blob, and a whole one.
    pub fn add_blob(&self, lease: &Lease, incoming: Incoming, stop: Stop<'_>) -> Result<Descriptor> {
        self.check_writable()?;
        let draft = self.draft(lease)?;
        let hasher = match incoming {
            Incoming::File(file) if rustix::fs::ioctl_ficlone(&draft.file, &file).is_ok() => hash(&draft.file, stop),
            Incoming::File(mut file) => {
                let size = file.metadata().at(&draft.path)?.len();
                durable::preallocate(&draft.file, &draft.path, size)?;
                copy(&mut file, &draft.file, stop)
            }
            Incoming::Stream(mut stream) => copy(&mut stream, &draft.file, stop),
        };
        let digest = hasher.at(&draft.path)?.finish();
        let size = draft.file.metadata().at(&draft.path)?.len();
        lease.add(std::slice::from_ref(&digest))?;
        let blob = Descriptor::new("", digest, size);
        if !self.has_blob(&blob)? {
            draft.file.set_permissions(Permissions::from_mode(durable::READ_ONLY)).at(&draft.path)?;
            draft.file.sync_all().at_needing(&draft.path, size)?;
            self.show_blob(&draft.path, &blob.digest)?;
        }
        Ok(blob)
    }

    fn draft(&self, lease: &Lease) -> Result<Draft> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!(".{}-{}", lease.id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = self.root().join("ingest").join(name);
        durable::remove_file(&path)?;
        let file = durable::create(&path)?;
        Ok(Draft { path, file })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::debug!(%error, path = %self.path.display(), "a draft stays for the next sweep");
            }
            _ => {}
        }
    }
}

fn hash(file: &File, stop: Stop<'_>) -> io::Result<Hasher> {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let (mut file, mut buffer) = (file, vec![0; PIECE]);
    loop {
        go_on(stop)?;
        match file.read(&mut buffer)? {
            0 => return Ok(hasher),
            length => hasher.update(&buffer[..length]),
        };
    }
}

fn go_on(stop: Stop<'_>) -> io::Result<()> {
    if stop() { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
}

/// Writes, hashes and flushes at once, each on a thread of its own: what is left in the end is the last few pieces.
fn copy(from: &mut impl Read, mut to: &File, stop: Stop<'_>) -> io::Result<Hasher> {
    let (send, receive) = mpsc::sync_channel::<Vec<u8>>(WAITING);
    let (give_back, spare) = mpsc::channel::<Vec<u8>>();
    let (flush, wanted) = mpsc::sync_channel::<()>(1);
    thread::scope(|scope| {
        let hashing = scope.spawn(move || {
            let mut hasher = Hasher::new(Algorithm::Sha256);
            for piece in receive {
                hasher.update(&piece);
                // Who writes has perhaps come to the end, and needs no more.
                let _ = give_back.send(piece);
            }
            hasher
        });
        // The disk is to begin early. It tells of lost bytes once, so no flush may go unheard.
        let flushing = scope.spawn(move || wanted.iter().try_for_each(|()| to.sync_data()));
        let mut unflushed = 0;
        loop {
            let mut piece = spare.try_recv().unwrap_or_else(|_| Vec::with_capacity(PIECE));
            piece.clear();
            go_on(stop)?;
            if from.by_ref().take(PIECE as u64).read_to_end(&mut piece)? == 0 {
                break;
            }
            to.write_all(&piece)?;
            unflushed += piece.len();
            if unflushed >= FLUSH && flush.try_send(()).is_ok() {
                unflushed = 0;
            }
            // It is received for as long as there is a sender.
            let _ = send.send(piece);
        }
        drop((send, flush));
        flushing.join().map_err(|_| io::Error::other("the disk was not written"))??;
        hashing.join().map_err(|_| io::Error::other("the hash was not finished"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    fn store() -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store")).unwrap();
        (directory, store)
    }

    fn drafts(store: &Store) -> usize {
        fs::read_dir(store.root().join("ingest")).unwrap().count()
    }

    #[test]
    fn what_is_read_becomes_a_blob_under_its_digest() {
        let (directory, store) = store();
        let lease = store.lease(&[]).unwrap();
        for length in [0, 1, PIECE - 1, PIECE, PIECE * 9 + 7] {
            let bytes: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let path = directory.path().join("file");
            fs::write(&path, &bytes).unwrap();
            let from_file = store.add_blob(&lease, Incoming::File(File::open(&path).unwrap()), &|| false).unwrap();
            let from_stream =
                store.add_blob(&lease, Incoming::Stream(Box::new(io::Cursor::new(bytes.clone()))), &|| false).unwrap();
            assert_eq!((&from_file.digest, from_file.size), (&Digest::sha256(&bytes), length as u64));
            assert_eq!(from_file, from_stream);
            assert_eq!(fs::read(store.blob_path(&from_file.digest)).unwrap(), bytes);
        }
        assert_eq!(drafts(&store), 0);
    }

    #[test]
    fn what_cannot_be_read_to_the_end_becomes_nothing() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("torn"))
            }
        }
        let (_directory, store) = store();
        let lease = store.lease(&[]).unwrap();
        let stream = io::Cursor::new(vec![b'x'; PIECE * 2]).chain(Broken);
        assert!(store.add_blob(&lease, Incoming::Stream(Box::new(stream)), &|| false).is_err());
        assert_eq!(drafts(&store), 0);
        assert_eq!(fs::read_dir(store.root().join("blobs/sha256")).unwrap().count(), 0);
    }

    #[test]
    fn drafts_of_dead_processes_are_swept_and_those_of_living_ones_are_not() {
        let (_directory, store) = store();
        let lease = store.lease(&[]).unwrap();
        let draft = store.draft(&lease).unwrap();
        let dead = store.root().join("ingest/.999999999-0-0");
        fs::write(&dead, b"x").unwrap();
        store.gc(&store.exclusive().unwrap()).unwrap();
        assert!(draft.path.exists() && !dead.exists());
    }
}
