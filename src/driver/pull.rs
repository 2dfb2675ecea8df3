//! How a volume gets its artifact, and shows it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::volume::{Record, State, Volume, lock};
use super::{Driver, Error, Result, view};
use crate::cause::one_line;
use crate::checkout::fetch_and_check_out;
use crate::digest::Digest;
use crate::listing::{Extent, MARKER};
use crate::pull::{Artifact, Part, Policy, Session};
use crate::reference::Reference;
use crate::store::{self, Snapshot};

/// How often a registry is asked what a tag means.
const LOOK_EVERY: Duration = Duration::from_secs(600);

impl Driver {
    /// Begins to pull a volume's artifact, unless that is under way.
    pub(super) fn start(&self, volume: &Arc<Volume>) {
        let (driver, pulled) = (self.clone(), Arc::clone(volume));
        volume.start(|| {
            let task = tokio::spawn(async move {
                let state = match driver.pull(&pulled).await {
                    Ok(snapshot) => State::Ready(Arc::new(snapshot)),
                    Err(error) => State::Failed(one_line(&error)),
                };
                tracing::info!(volume = pulled.name, state = state.word(), "pulled");
                driver.0.metrics.pulled(matches!(state, State::Ready(_)), pulled.tally.take_arrived());
                pulled.state.send_replace(state);
            });
            task.abort_handle()
        });
    }

    async fn pull(&self, volume: &Volume) -> Result<Snapshot> {
        let record = volume.record();
        if let Some(snapshot) = self.stored(&record)? {
            return Ok(snapshot);
        }
        let session = (self.0.sessions)(&record.options, volume.tally.clone())?;
        let part = record.options.request()?.map_or(Part::Whole, Part::Asked);
        let typed = record.options.reference.parse().map_err(Error::Reference)?;
        let session = Session { part, typed: Some(typed), ..session };
        let artifact = find(&session, &record).await?;
        let extent = artifact.extent();
        let turn = self.turn(&extent.manifest);
        self.save(volume, |record| (record.digest, record.selection) = (Some(extent.manifest), extent.selection))?;
        // One volume's pull of an artifact is all volumes'.
        let _one = turn.lock().await;
        if let Some(snapshot) = self.stored(&volume.record())? {
            return Ok(snapshot);
        }
        let _permit = self.0.pulls.acquire().await.map_err(|_| Error::Stopping)?;
        let reference: Reference = record.options.reference.parse().map_err(Error::Reference)?;
        let pinned = reference.at_digest(&artifact.descriptor.digest);
        Ok(fetch_and_check_out(&session, &pinned, artifact).await?)
    }

    /// What was laid out for a volume before; no registry need be asked.
    fn stored(&self, record: &Record) -> Result<Option<Snapshot>> {
        let Some(manifest) = record.digest.clone() else { return Ok(None) };
        let extent = Extent { manifest, selection: record.selection.clone() };
        Ok(self.0.store.snapshot(&extent.key())?)
    }

    /// Held by the one that pulls an artifact.
    fn turn(&self, manifest: &Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = lock(&self.0.turns);
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(manifest.clone()).or_default())
    }

    /// Asks the registry, now and then and for no one to wait for, whether a volume's tag means something else by now.
    pub(super) fn look_for_move(&self, volume: &Arc<Volume>) {
        let mut looked = lock(&volume.looked);
        if looked.is_some_and(|looked| looked.elapsed() < LOOK_EVERY) {
            return;
        }
        *looked = Some(Instant::now());
        let (driver, volume) = (self.clone(), Arc::clone(volume));
        tokio::spawn(async move {
            if let Err(error) = driver.look(&volume).await {
                tracing::debug!(volume = volume.name, error = one_line(&error), "what its tag means is not known");
            }
        });
    }

    async fn look(&self, volume: &Volume) -> Result<()> {
        let options = volume.record().options;
        let reference: Reference = options.reference.parse().map_err(Error::Reference)?;
        if reference.digest().is_some() || Policy::from(options.pull) == Policy::Never {
            return Ok(());
        }
        let session = (self.0.sessions)(&options, Arc::new(crate::progress::Silent))?;
        let latest = session.resolve(&reference).await?.descriptor.digest;
        if volume.record().latest.as_ref() == Some(&latest) {
            return Ok(());
        }
        self.save(volume, |record| record.latest = Some(latest))
    }

    /// Changes a volume's record on disk, unless the volume is gone.
    fn save(&self, volume: &Volume, change: impl FnOnce(&mut Record)) -> Result<()> {
        tokio::task::block_in_place(|| {
            let is_removed = lock(&volume.removed);
            let record = volume.update(change);
            if *is_removed { Ok(()) } else { Ok(self.0.store.save_volume(&volume.name, &record)?) }
        })
    }
}

/// The artifact that a volume shows: what its reference meant when that was asked first.
async fn find(session: &Session, record: &Record) -> Result<Artifact> {
    let reference: Reference = record.options.reference.parse().map_err(Error::Reference)?;
    match (&record.digest, Policy::from(record.options.pull)) {
        (None, policy) => Ok(session.find(&reference, policy).await?),
        (Some(digest), Policy::Never) => Ok(session.find(&reference.at_digest(digest), Policy::Never).await?),
        (Some(digest), _) => Ok(session.find(&reference.at_digest(digest), Policy::Missing).await?),
    }
}

/// Shows a snapshot at `place`: by a view, or where this process, or this kernel, cannot make one by a copy.
pub(super) fn show(volume: &Volume, snapshot: &Snapshot, place: &Path, empty: &Path) -> Result<()> {
    match view::show(&snapshot.path, place, empty) {
        Err(error @ Error::Mount { .. }) => {
            tracing::info!(volume = volume.name, error = one_line(&error), "copied, as it cannot be mounted");
            copy(volume, snapshot, place)
        }
        shown => shown,
    }
}

/// A copy that a container has written to gives way: it is the volume's, and the volume the artifact's.
fn copy(volume: &Volume, snapshot: &Snapshot, place: &Path) -> Result<()> {
    match snapshot.copy_to(place, &owner(&volume.name)) {
        Err(store::Error::Occupied { .. }) => {
            view::clear(place)?;
            Ok(snapshot.copy_to(place, &owner(&volume.name))?)
        }
        copied => Ok(copied?),
    }
}

/// Whose a volume's copy is.
fn owner(volume: &str) -> String {
    format!("volume {volume}")
}

/// Whether the snapshot is shown at `place`, in either way.
pub(super) fn is_shown(snapshot: &Snapshot, place: &Path) -> bool {
    view::is_shown(&snapshot.path, place) || place.join(MARKER).exists()
}
