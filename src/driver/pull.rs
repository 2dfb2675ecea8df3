//! How a volume gets its artifact, and shows it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::volume::{Record, State, Volume, lock};
use super::{Driver, Error, Result, view};
use crate::cause::one_line;
use crate::checkout::fetch_and_check_out;
use crate::listing::MARKER;
use crate::pull::{Artifact, Part, Policy, Session};
use crate::reference::Reference;
use crate::store::Snapshot;

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
        let _turn = self.0.pulls.acquire().await.map_err(|_| Error::Stopping)?;
        let record = volume.record();
        let session = (self.0.sessions)(&record.options, volume.tally.clone())?;
        let part = record.options.request()?.map_or(Part::Whole, Part::Asked);
        let session = Session { part, ..session };
        let (pinned, artifact) = self.resolve(&session, volume, &record).await?;
        self.note_name(volume, &pinned)?;
        let snapshot = fetch_and_check_out(&session, &pinned, artifact.clone()).await?;
        self.pin(&session, &pinned, &artifact).await?;
        Ok(snapshot)
    }

    /// What the reference means, found out once.
    async fn resolve(&self, session: &Session, volume: &Volume, record: &Record) -> Result<(Reference, Artifact)> {
        let policy = Policy::from(record.options.pull);
        if let Some(pinned) = pinned(record)? {
            let again = if policy == Policy::Never { Policy::Never } else { Policy::Missing };
            return Ok((pinned.clone(), session.find(&pinned, again).await?));
        }
        let reference: Reference = record.options.reference.parse().map_err(Error::Reference)?;
        let artifact = session.find(&reference, policy).await?;
        let digest = artifact.descriptor.digest.clone();
        self.save(volume, |record| record.digest = Some(digest.clone()))?;
        Ok((reference.at_digest(&digest), artifact))
    }

    /// Notes, before it is so, that the manifest has a name because of this volume; unless somebody else named it.
    fn note_name(&self, volume: &Volume, pinned: &Reference) -> Result<()> {
        let name = pinned.to_string();
        if self.0.store.list()?.iter().any(|entry| entry.name.as_deref() == Some(&name)) {
            return Ok(());
        }
        self.save(volume, |record| record.is_named = true)
    }

    /// Gives the manifest a name that no tag takes from it.
    async fn pin(&self, session: &Session, pinned: &Reference, artifact: &Artifact) -> Result<()> {
        let lease = Arc::new(self.0.store.lease(std::slice::from_ref(&artifact.descriptor.digest))?);
        Ok(session.name(pinned, artifact, &lease).await?)
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
    pub(super) fn save(&self, volume: &Volume, change: impl FnOnce(&mut Record)) -> Result<()> {
        let is_removed = lock(&volume.shown);
        let record = volume.update(change);
        if *is_removed { Ok(()) } else { Ok(self.0.store.save_volume(&volume.name, &record)?) }
    }
}

/// The reference by the digest that was found out.
pub(super) fn pinned(record: &Record) -> Result<Option<Reference>> {
    let reference: Reference = record.options.reference.parse().map_err(Error::Reference)?;
    Ok(record.digest.as_ref().map(|digest| reference.at_digest(digest)))
}

/// Shows a snapshot at `place`: by a view, or where this process, or this kernel, cannot make one by a copy.
pub(super) fn show(volume: &Volume, snapshot: &Snapshot, place: &Path, empty: &Path) -> Result<()> {
    match view::show(&snapshot.path, place, empty) {
        Err(error @ Error::Mount { .. }) => {
            tracing::info!(volume = volume.name, error = one_line(&error), "copied, as it cannot be mounted");
            Ok(snapshot.copy_to(place, &owner(&volume.name))?)
        }
        shown => shown,
    }
}

/// Whose a volume's copy is.
pub(super) fn owner(volume: &str) -> String {
    format!("volume {volume}")
}

/// Whether the snapshot is shown at `place`, in either way.
pub(super) fn is_shown(snapshot: &Snapshot, place: &Path) -> bool {
    view::is_shown(&snapshot.path, place) || place.join(MARKER).exists()
}
