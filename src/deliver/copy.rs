//! Files put into a container that was created and not yet started, for engines far away that cannot mount a part of
//! a volume.
//!
//! Such files are the container's own: they go with it, and unlike in every other delivery root in it may change them.

use std::collections::HashMap;

use super::Result;
use super::archive::{Layout, archive};
use crate::engine::Engine;
use crate::pull::{Artifact, Session};
use crate::reference::Reference;

/// One artifact to be put into a container.
#[derive(Clone, Debug)]
pub struct Copy {
    /// What was asked for.
    pub reference: Reference,
    /// Its blobs and layout.
    pub artifact: Artifact,
    /// Where in the container each wanted file goes, by its path in the artifact.
    pub targets: HashMap<String, String>,
}

/// Puts the files into `container`, verified on the way.
pub async fn copy(engine: &Engine, container: &str, session: &Session, job: Copy) -> Result<()> {
    let Copy { reference, artifact, targets } = job;
    let rename = move |path: &str| targets.get(path).map(|target| target.trim_start_matches('/').to_owned());
    let archive =
        archive(&reference, &artifact, session.opener(&reference, &artifact), Layout::Renamed(Box::new(rename)));
    archive.upload(engine, container, "/").await?;
    Ok(())
}

/// Puts all files below the directory `path` of `container`, verified on the way.
pub async fn copy_all(
    engine: &Engine,
    container: &str,
    path: &str,
    session: &Session,
    reference: &Reference,
    artifact: &Artifact,
) -> Result<()> {
    let archive = archive(reference, artifact, session.opener(reference, artifact), Layout::Plain);
    archive.upload(engine, container, path).await?;
    Ok(())
}
