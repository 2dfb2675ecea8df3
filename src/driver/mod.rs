//! A volume driver for Docker and Podman (VolumeDriver v1): volumes that show artifacts.
//!
//! A volume's record is on disk before its creation is answered; the pull follows in the background and goes on after a
//! restart. A tag is resolved once, so that all containers of a volume see the same. What is shown is a read-only view
//! of the snapshot, which stays from the first mount until the volume is removed: engines call Mount and Unmount in no
//! order to rely on. Removing a volume forgets it and leaves the bytes to the store's next sweep.

mod error;
mod http;
mod metrics;
mod options;
mod places;
mod pull;
mod tally;
mod view;
mod volume;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

pub use self::error::{Error, Result};
pub use self::http::{Settings, serve};
use self::metrics::Metrics;
pub use self::metrics::serve_metrics;
pub use self::options::Options;
use self::places::Places;
use self::volume::{Record, State, Volume, lock};
use crate::digest::Digest;
use crate::progress::Progress;
use crate::pull::{Interrupt, Policy, Session};
use crate::reference::Reference;
use crate::store::{Snapshot, Store};

/// How many volumes are pulled at once; each uses several connections.
const PULLS: usize = 4;

/// How long pulls may take to stop.
const CLOSING: Duration = Duration::from_secs(1);

/// Makes the session that a volume is pulled in.
pub type Sessions = Box<dyn Fn(&Options, Arc<dyn Progress>) -> Result<Session> + Send + Sync>;

/// The volumes, and what is needed to fill them; clones are the same.
#[derive(Clone)]
pub struct Driver(Arc<Inner>);

struct Inner {
    store: Store,
    sessions: Sessions,
    interrupt: Interrupt,
    pulls: Semaphore,
    volumes: Mutex<BTreeMap<String, Arc<Volume>>>,
    /// Held by who creates or removes a volume.
    changing: Mutex<()>,
    /// Who pulls which artifact.
    turns: Mutex<HashMap<Digest, Arc<tokio::sync::Mutex<()>>>>,
    metrics: Metrics,
    places: Places,
    /// Keeps other drivers away.
    _own: File,
}

/// What is told of a volume.
#[derive(Clone, Debug)]
pub struct Description {
    /// Its name.
    pub name: String,
    /// Where it is shown, if it is.
    pub place: Option<PathBuf>,
    /// When it was created.
    pub created: String,
    /// Its artifact and its pull, for people.
    pub status: serde_json::Value,
}

impl Driver {
    /// The volumes of a store, shown below `directory`; pulls that were under way go on.
    pub fn open(store: Store, directory: &Path, sessions: Sessions, interrupt: Interrupt) -> Result<Self> {
        let own = store.own_volumes()?.ok_or_else(|| Error::Driven(store.root().to_owned()))?;
        let places = Places::open(directory, &store.volumes())?;
        let records = store.volume_records::<Record>()?;
        let volumes = records.into_iter().map(|(name, record)| (name.clone(), Arc::new(Volume::new(&name, record))));
        let (volumes, pulls) = (Mutex::new(volumes.collect()), Semaphore::new(PULLS));
        let driver = Self(Arc::new(Inner {
            store,
            sessions,
            interrupt,
            pulls,
            volumes,
            changing: Mutex::default(),
            turns: Mutex::default(),
            metrics: Metrics::default(),
            places,
            _own: own,
        }));
        driver.sweep()?;
        driver.all().iter().for_each(|volume| driver.start(volume));
        Ok(driver)
    }

    /// Takes away what is shown of volumes that were forgotten when this process, or an earlier one, was killed.
    fn sweep(&self) -> Result<()> {
        for name in self.0.places.names()? {
            if self.find(&name).is_err()
                && let Err(error) = self.take_down(&name)
            {
                tracing::warn!(volume = name, error = crate::cause::one_line(&error), "what is shown of it stays");
            }
        }
        Ok(())
    }

    fn take_down(&self, name: &str) -> Result<()> {
        let place = self.0.places.of(name);
        view::hide(&place)?;
        view::clear(&place)
    }

    /// Waits, not long, until the pulls under way have heard of the wish to stop and noted how far they are.
    pub async fn close(&self) {
        let over = async {
            for volume in self.all() {
                let _ = volume.state.subscribe().wait_for(|state| !matches!(state, State::Pulling)).await;
            }
        };
        let _ = tokio::time::timeout(CLOSING, over).await;
    }

    /// Records a volume and begins to pull its artifact. Blocks for as long as the disk needs.
    pub fn create(&self, name: &str, given: &BTreeMap<String, String>) -> Result<()> {
        check_name(name)?;
        let options = Options::read(given)?;
        let _alone = lock(&self.0.changing);
        if let Ok(volume) = self.find(name) {
            let reference = volume.record().options.reference;
            return if volume.record().options == options {
                Ok(())
            } else {
                Err(Error::Taken { name: name.to_owned(), reference })
            };
        }
        self.check_stored(&options)?;
        let record = Record::new(options);
        self.0.store.save_volume(name, &record)?;
        self.add(name, record);
        Ok(())
    }

    /// What must not be asked of a registry has to be here.
    fn check_stored(&self, options: &Options) -> Result<()> {
        if Policy::from(options.pull) != Policy::Never {
            return Ok(());
        }
        let reference: Reference = options.reference.parse().map_err(Error::Reference)?;
        self.0.store.find(&reference.to_string()).map(drop).map_err(Error::Store)
    }

    /// Shows a volume, once its artifact is here; waits for that at most so long.
    pub async fn mount(&self, name: &str, patience: Duration) -> Result<PathBuf> {
        let mounted = self.wait_and_show(name, patience).await;
        self.0.metrics.mounted(mounted.is_ok());
        mounted
    }

    async fn wait_and_show(&self, name: &str, patience: Duration) -> Result<PathBuf> {
        let volume = self.find(name)?;
        let is_here = matches!(&*volume.state.borrow(), State::Ready(snapshot) if snapshot.path.is_dir());
        if !is_here {
            self.start(&volume);
        }
        let (mut watch, since) = (volume.state.subscribe(), Instant::now());
        let state = tokio::select! {
            state = watch.wait_for(State::is_over) => state.map(|state| state.clone()).unwrap_or(State::Waiting),
            () = tokio::time::sleep(patience) => State::Pulling,
            () = self.0.interrupt.heard() => return Err(Error::Stopping),
        };
        match state {
            State::Ready(snapshot) => {
                self.look_for_move(&volume);
                let reference = volume.record().options.reference;
                let shown = tokio::time::timeout(patience.saturating_sub(since.elapsed()), self.show(volume, snapshot));
                let copying = |_| Error::Pulling { reference, progress: String::from("copying") };
                shown.await.map_err(copying).flatten()
            }
            State::Failed(reason) => Err(Error::Failed(reason)),
            State::Waiting | State::Pulling => {
                let reference = volume.record().options.reference;
                Err(Error::Pulling { reference, progress: progress(volume.tally.bytes()) })
            }
        }
    }

    async fn show(&self, volume: Arc<Volume>, snapshot: Arc<Snapshot>) -> Result<PathBuf> {
        let (driver, name) = (self.clone(), volume.name.clone());
        let shown = tokio::task::spawn_blocking(move || {
            let _shown = lock(&volume.shown);
            if volume.is_removed() {
                return Err(Error::Unknown(name));
            }
            let place = driver.0.places.make(&name)?;
            pull::show(&volume, &snapshot, &place, &driver.0.places.empty).map(|()| place)
        });
        shown.await.unwrap_or_else(|_| Err(Error::Stopping))
    }

    /// Forgets a volume; one that is not known is forgotten. Blocks for as long as the disk needs.
    pub fn remove(&self, name: &str) -> Result<()> {
        let _alone = lock(&self.0.changing);
        let Ok(volume) = self.find(name) else { return Ok(()) };
        volume.stop();
        let _shown = lock(&volume.shown);
        let removed = self.take_down(name).and_then(|()| self.0.store.remove_volume(name).map_err(Error::Store));
        lock(&self.0.volumes).remove(name);
        if removed.is_err() {
            self.add(name, volume.record());
        }
        removed
    }

    /// Adds a volume whose record is on disk, and begins to pull.
    fn add(&self, name: &str, record: Record) {
        let volume = Arc::new(Volume::new(name, record));
        lock(&self.0.volumes).insert(name.to_owned(), Arc::clone(&volume));
        self.start(&volume);
    }

    /// Tells of one volume, without asking anybody.
    pub fn get(&self, name: &str) -> Result<Description> {
        self.find(name).map(|volume| self.describe(&volume))
    }

    /// Tells of all volumes.
    pub fn list(&self) -> Vec<Description> {
        self.all().iter().map(|volume| self.describe(volume)).collect()
    }

    fn describe(&self, volume: &Volume) -> Description {
        let (record, state, (bytes, total)) = (volume.record(), volume.state.borrow().clone(), volume.tally.bytes());
        let place = self.0.places.of(&volume.name);
        let is_shown = matches!(&state, State::Ready(snapshot) if pull::is_shown(snapshot, &place));
        let error = if let State::Failed(reason) = &state { Some(reason.as_str()) } else { None };
        let moved = record.latest.as_ref().filter(|latest| record.digest.as_ref() != Some(latest));
        let status = serde_json::json!({
            "ref": record.options.reference,
            "digest": record.digest,
            "state": state.word(),
            "bytes": bytes,
            "total": total,
            "error": error,
            "moved": moved,
        });
        let place = Some(place).filter(|_| is_shown);
        Description { name: volume.name.clone(), place, created: record.created, status }
    }

    fn find(&self, name: &str) -> Result<Arc<Volume>> {
        lock(&self.0.volumes).get(name).cloned().ok_or_else(|| Error::Unknown(name.to_owned()))
    }

    fn all(&self) -> Vec<Arc<Volume>> {
        lock(&self.0.volumes).values().cloned().collect()
    }
}

/// As Docker's own rule for volumes; what is no name must not become a path.
fn check_name(name: &str) -> Result<()> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let is_name = name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(is_plain);
    if is_name && name.len() <= 200 { Ok(()) } else { Err(Error::Name(name.to_owned())) }
}

fn progress((bytes, total): (u64, u64)) -> String {
    match (u128::from(bytes) * 100).checked_div(u128::from(total)) {
        Some(percent) => format!("pulling, {percent} % of {} MB", total / 1_000_000),
        None => String::from("pulling"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_docker_gives() {
        for name in ["a", "models_1.2-x", "0", &"a".repeat(200)] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", ".", "..", ".a", "-a", "a/b", "../a", "a b", "ä", "a\0", &"a".repeat(201)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_pull_is_told_in_percent() {
        assert_eq!(progress((43_000_000, 100_000_000)), "pulling, 43 % of 100 MB");
        assert_eq!(progress((0, 0)), "pulling");
    }
}
