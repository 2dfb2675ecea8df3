//! Filesystems of a test's own, which only root can mount, and artishim with a store there.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::program::Outcome;
use crate::testbed::{WORK, outcome};

/// A mounted filesystem that goes with the test.
pub struct Mounted(TempDir);

impl Mounted {
    pub fn new(arguments: &[&str]) -> Self {
        // Where near engines see it.
        let directory = TempDir::new_in(WORK).unwrap();
        let status = Command::new("mount").args(arguments).arg(directory.path()).status().unwrap();
        assert!(status.success(), "mount {arguments:?}");
        Self(directory)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn store(&self) -> PathBuf {
        self.path().join("store")
    }

    /// Takes all the space but `rest` bytes, until the file is removed.
    pub fn fill(&self, rest: u64) -> PathBuf {
        let path = self.path().join("filler");
        let mut file = File::create(&path).unwrap();
        while self.free() > rest {
            let length = usize::try_from((self.free() - rest).min(1 << 20)).unwrap();
            match file.write_all(&vec![b'f'; length]).and_then(|()| file.sync_all()) {
                Err(error) if error.kind() == io::ErrorKind::StorageFull => break,
                written => written.unwrap(),
            }
        }
        path
    }

    fn free(&self) -> u64 {
        let space = rustix::fs::statvfs(self.path()).unwrap();
        space.f_bavail * space.f_frsize
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

/// A file with a filesystem in it.
pub struct Image(TempDir);

impl Image {
    /// An empty one of a kind that `mke2fs` makes.
    pub fn new(kind: &str, bytes: u64) -> Self {
        let image = Self(TempDir::new().unwrap());
        File::create(image.path()).unwrap().set_len(bytes).unwrap();
        // All of the space is for the test.
        let arguments = ["-q", "-F", "-m", "0", "-t", kind];
        let status = Command::new("mke2fs").args(arguments).arg(image.path()).status().unwrap();
        assert!(status.success(), "mke2fs {arguments:?}");
        image
    }

    /// What is in the file now, which is what a disk has when its power is cut.
    pub fn copy(&self) -> Self {
        let image = Self(TempDir::new().unwrap());
        fs::copy(self.path(), image.path()).unwrap();
        image
    }

    /// `options` beside the loop device.
    pub fn mount(&self, options: &str) -> Mounted {
        Mounted::new(&["-o", &format!("loop{options}"), self.path().to_str().unwrap()])
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("image")
    }
}

/// artishim without an engine, started.
pub fn spawn(store: &Path, arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_artishim"));
    command.args(["--engine", "none", "--store"]).arg(store).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The same, waited for.
pub fn artishim(store: &Path, arguments: &[&str]) -> Outcome {
    outcome(spawn(store, arguments))
}
