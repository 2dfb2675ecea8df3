//! What the volume driver keeps beside the artifacts: a record of each volume.

use std::fs::{self, File, TryLockError};
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{At, Error, Result};
use super::{Store, durable};
use crate::digest::Digest;

impl Store {
    /// Keeps a volume's record, durably; one of this name is replaced in one step.
    pub fn save_volume(&self, name: &str, record: &impl Serialize) -> Result<()> {
        self.check_writable()?;
        durable::create_dir(&self.volumes())?;
        let path = self.volume_record(name);
        let json = serde_json::to_vec(record).map_err(|source| Error::Damaged { path: path.clone(), source })?;
        durable::replace(&path, &self.volumes().join(format!(".{name}.json")), &json)
    }

    /// All records that can be read, with the volumes' names.
    pub fn volume_records<T: DeserializeOwned>(&self) -> Result<Vec<(String, T)>> {
        let directory = self.volumes();
        if !directory.exists() {
            return Ok(Vec::new());
        }
        let mut records = Vec::new();
        for entry in fs::read_dir(&directory).at(&directory)? {
            let file = entry.at(&directory)?.file_name();
            let name = file.to_str().and_then(|file| file.strip_suffix(".json")).filter(|name| !name.starts_with('.'));
            let Some(name) = name else { continue };
            match fs::read(self.volume_record(name)).map(|bytes| serde_json::from_slice(&bytes)) {
                Ok(Ok(record)) => records.push((name.to_owned(), record)),
                Ok(Err(error)) => tracing::warn!(volume = name, %error, "its record cannot be read"),
                Err(error) => tracing::warn!(volume = name, %error, "its record cannot be read"),
            }
        }
        Ok(records)
    }

    /// The manifests that volumes show.
    pub(super) fn volume_digests(&self) -> Result<Vec<Digest>> {
        let records = self.volume_records::<serde_json::Value>()?;
        Ok(records.iter().filter_map(|(_, record)| record.get("digest")?.as_str()?.parse().ok()).collect())
    }

    /// Keeps other drivers from the volumes, for as long as what is returned lives; nothing where one is there.
    pub fn own_volumes(&self) -> Result<Option<File>> {
        self.check_writable()?;
        durable::create_dir(&self.volumes())?;
        let path = self.volumes().join(".lock");
        let file = File::options().create(true).append(true).open(&path).at(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).at(&path),
        }
    }

    /// Forgets a volume's record; one that is not there is forgotten.
    pub fn remove_volume(&self, name: &str) -> Result<()> {
        durable::remove_file(&self.volume_record(name))?;
        durable::sync_dir(&self.volumes())
    }

    /// The directory of the records, and of what is shown of volumes unless that is elsewhere.
    pub fn volumes(&self) -> PathBuf {
        self.root().join("volumes")
    }

    fn volume_record(&self, name: &str) -> PathBuf {
        self.volumes().join(format!("{name}.json"))
    }
}
