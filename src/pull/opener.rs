//! The blobs of an artifact as readers, one after the other; the next ones are asked for while one is read.
//!
//! A blob is begun before its turn only where all of it fits into the window beside what is not read yet. So no more
//! than a window is ever held, and a blob whose turn it is never waits for a connection that one behind it holds.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;

use tokio::runtime::Handle;

use super::connections::Connections;
use super::download::Download;
use super::stream::{CHUNK, Ordered, Reader, verified};
use super::{Artifact, Session};
use crate::manifest::{self, Descriptor};
use crate::packaging::Plan;
use crate::reference::Reference;

impl Session {
    /// Opens blobs of `artifact` one after the other; to be called on a thread that may block.
    ///
    /// Each blob is to be read, or let go, before the next is opened.
    pub fn opener(
        &self,
        reference: &Reference,
        artifact: &Artifact,
    ) -> impl FnMut(&Descriptor) -> io::Result<Box<dyn Read + Send>> + use<> {
        let mut opener = Opener::new(self, reference, artifact);
        move |blob| opener.open(blob)
    }
}

struct Opener {
    session: Session,
    connections: Arc<Connections>,
    reference: Reference,
    plan: Plan,
    runtime: Handle,
    /// What the store does not have, in the order it will be read.
    expected: VecDeque<Expected>,
}

struct Expected {
    blob: Descriptor,
    begun: Option<Reader>,
}

impl Opener {
    fn new(session: &Session, reference: &Reference, artifact: &Artifact) -> Self {
        let mut session = session.clone();
        session.settings.chunk = session.settings.chunk.min(CHUNK);
        let plan = artifact.plan.clone();
        let is_missing = |blob: &&Descriptor| !session.store.has_blob(blob).unwrap_or(false);
        let missing: Vec<&Descriptor> = plan.blobs().into_iter().filter(is_missing).collect();
        let bytes = manifest::total(missing.iter().copied());
        if !missing.is_empty() {
            session.progress.planned(missing.len(), bytes);
        }
        let expected = plan.reading_order().into_iter().filter(is_missing);
        let expected = expected.map(|blob| Expected { blob: blob.clone(), begun: None }).collect();
        Self {
            connections: Connections::new(&session, reference, 1, bytes),
            reference: reference.clone(),
            runtime: Handle::current(),
            session,
            plan,
            expected,
        }
    }

    fn open(&mut self, blob: &Descriptor) -> io::Result<Box<dyn Read + Send>> {
        let turn = self.expected.iter().position(|expected| expected.blob.digest == blob.digest);
        // Those before it were passed over, and are not fetched any further.
        let begun = turn.and_then(|turn| self.expected.drain(..=turn).next_back()?.begun);
        if begun.is_none() && self.session.store.has_blob(blob).map_err(io::Error::other)? {
            let file = self.session.store.open_blob(blob).map_err(io::Error::other)?;
            return Ok(Box::new(verified(file, blob)));
        }
        let reader = begun.unwrap_or_else(|| self.begin(blob));
        self.begin_next(blob);
        let (progress, digest) = (Arc::clone(&self.session.progress), blob.digest.clone());
        Ok(Box::new(verified(reader, blob).when_good(move || progress.finished(&digest))))
    }

    /// Begins what comes after `blob`, which is about to be read: no more blobs at once than connections, as what is
    /// begun is to be finished.
    fn begin_next(&mut self, blob: &Descriptor) {
        let mut room = self.session.settings.window.saturating_sub(blob.size);
        for turn in 0..self.expected.len().min(self.session.settings.connections.saturating_sub(1)) {
            let next = &self.expected[turn];
            let Some(rest) = room.checked_sub(next.blob.size) else { return };
            room = rest;
            if next.begun.is_none() {
                self.expected[turn].begun = Some(self.begin(&next.blob));
            }
        }
    }

    fn begin(&self, blob: &Descriptor) -> Reader {
        let name = self.plan.name_of(&blob.digest);
        self.session.progress.started(blob, name, 0);
        let ordered = Arc::new(Ordered::new(blob.size, &self.session.settings));
        let source = Arc::new(self.session.client.source(&self.reference, blob));
        let download = Download::new(&self.session, &self.connections, source, name, &ordered, ordered.changed());
        let (interrupt, sink) = (self.session.interrupt.clone(), Arc::clone(&ordered));
        self.runtime.spawn(async move { sink.end(download.run(&interrupt).await) });
        Reader(ordered)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use bytes::Bytes;

    use super::*;
    use crate::manifest::Manifest;
    use crate::progress::Progress;
    use crate::pull::{Interrupter, Settings};
    use crate::registry::test_registry::{Fault, Registry, What};
    use crate::registry::{self, Client};
    use crate::store::Store;

    /// How long a request that must not come is waited for.
    const QUIET: Duration = Duration::from_millis(100);

    struct Rig {
        registry: Registry,
        planned: Arc<Planned>,
        opener: Opener,
        blobs: Vec<Descriptor>,
        _store: tempfile::TempDir,
    }

    impl Rig {
        /// An artifact of files of these sizes, each of which has its own byte.
        fn new(sizes: &[usize], window: u64, connections: usize) -> Self {
            Self::with_stored(sizes, window, connections, &[])
        }

        /// The same with some of the files in the store.
        fn with_stored(sizes: &[usize], window: u64, connections: usize, stored: &[usize]) -> Self {
            let registry = Registry::start();
            let contents = (0_u8..).zip(sizes).map(|(byte, size)| vec![byte; *size]);
            let pushed: Vec<_> = contents.map(|content| registry.push_blob(content)).collect();
            let layers: Vec<String> = pushed.iter().map(|blob| blob.json("application/octet-stream")).collect();
            let kind = "application/vnd.oci.image.manifest.v1+json";
            let json = format!(r#"{{"schemaVersion":2,"mediaType":"{kind}","layers":[{}]}}"#, layers.join(","));
            let digest = registry.push_manifest("acme/model", "1", &json).parse().unwrap();
            let manifest = Manifest::parse(json.as_bytes(), &digest).unwrap();
            let (directory, planned) = (tempfile::tempdir().unwrap(), Arc::new(Planned::default()));
            let store = Store::open(directory.path()).unwrap();
            for index in stored {
                let digest = manifest.layers[*index].digest.clone();
                let lease = store.lease(std::slice::from_ref(&digest)).unwrap();
                store.put_blob(&lease, &vec![u8::try_from(*index).unwrap(); sizes[*index]], &digest).unwrap();
            }
            let session = Session {
                client: Client::new(registry::Settings::default()).unwrap(),
                store,
                progress: Arc::clone(&planned) as Arc<dyn Progress>,
                settings: Settings { connections, window, ..Settings::default() },
                platform: None,
                part: crate::pull::Part::default(),
                names: true,
                short_names: Default::default(),
                gate: Arc::default(),
                typed: None,
                interrupt: Interrupter::new().1,
            };
            let reference = format!("{}/acme/model:1", registry.host()).parse().unwrap();
            let artifact = Artifact {
                descriptor: Descriptor::new(kind, digest, json.len() as u64),
                plan: crate::packaging::plan(&manifest, &[]).unwrap(),
                bytes: Bytes::from(json),
                manifest,
                config: Bytes::new(),
                is_stored: false,
                is_child: false,
            };
            let blobs = artifact.manifest.layers.clone();
            let opener = Opener::new(&session, &reference, &artifact);
            Self { registry, planned, opener, blobs, _store: directory }
        }

        /// Waits until so many blobs were asked for, and a while longer; none but those is.
        #[track_caller]
        fn assert_asked(&self, blobs: usize) {
            let since = Instant::now();
            while self.registry.requests().len() < blobs && since.elapsed() < Duration::from_secs(20) {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(QUIET);
            let asked: Vec<String> = self.registry.requests().into_iter().map(|request| request.path).collect();
            assert_eq!(asked.len(), blobs, "{asked:?}");
            for blob in &self.blobs[..blobs] {
                let digest = blob.digest.to_string();
                assert!(asked.iter().any(|path| path.ends_with(&digest)), "{digest} is not among {asked:?}");
            }
        }

        #[track_caller]
        fn read(&mut self, index: usize) {
            let blob = self.blobs[index].clone();
            let mut content = Vec::new();
            self.opener.open(&blob).unwrap().read_to_end(&mut content).unwrap();
            assert!(content.len() as u64 == blob.size && content.iter().all(|byte| usize::from(*byte) == index));
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn blobs_are_asked_for_before_their_turn_as_far_as_they_fit_into_the_window() {
        let mut rig = Rig::new(&[30_000, 30_000, 30_000, 30_000, 30_000, 30_000], 100_000, 8);
        let first = rig.opener.open(&rig.blobs[0].clone()).unwrap();
        rig.assert_asked(3);
        drop(first);
        rig.assert_asked(3);
        for index in 1..6 {
            rig.read(index);
            rig.assert_asked((index + 3).min(6));
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_blob_that_does_not_fit_waits_for_its_turn_and_none_overtakes_it() {
        let mut rig = Rig::new(&[10, 200_000, 10, 10], 100_000, 8);
        for (index, asked) in [1, 2, 4, 4].into_iter().enumerate() {
            rig.read(index);
            rig.assert_asked(asked);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn no_more_blobs_are_begun_than_there_are_connections() {
        let mut rig = Rig::new(&[10; 6], 100_000, 2);
        for (index, asked) in [2, 3, 4, 5, 6, 6].into_iter().enumerate() {
            rig.read(index);
            rig.assert_asked(asked);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn late_answers_are_waited_for_together() {
        let mut rig = Rig::new(&[1000; 6], 100_000, 8);
        rig.registry.fault(Fault::always("/blobs/", What::Late(Duration::from_millis(500))));
        (0..6).for_each(|index| rig.read(index));
        assert!(rig.registry.most_at_once() > 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn blobs_may_be_passed_over_and_opened_again() {
        let mut rig = Rig::new(&[1000; 4], 100_000, 8);
        for index in [0, 2, 0, 3, 1] {
            rig.read(index);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_error_of_a_blob_begun_early_is_told_when_it_is_read() {
        let mut rig = Rig::new(&[1000, 2000, 1000], 100_000, 8);
        let path = rig.blobs[1].digest.to_string();
        rig.registry.fault(Fault::always(path.clone(), What::status(404)));
        rig.read(0);
        let error = rig.opener.open(&rig.blobs[1].clone()).unwrap().read_to_end(&mut Vec::new()).unwrap_err();
        assert!(crate::cause::one_line(&error).contains(&path), "{error}");
        rig.read(2);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_the_store_lacks_is_planned_once() {
        let mut rig = Rig::with_stored(&[1000, 2000, 4000], 100_000, 8, &[1]);
        (0..3).for_each(|index| rig.read(index));
        assert_eq!(*rig.planned.0.lock().unwrap(), [(2, 5000)]);
        assert_eq!(rig.registry.requests().len(), 2);
    }

    /// Remembers what was planned.
    #[derive(Default)]
    struct Planned(std::sync::Mutex<Vec<(usize, u64)>>);

    impl Progress for Planned {
        fn planned(&self, blobs: usize, bytes: u64) {
            self.0.lock().unwrap().push((blobs, bytes));
        }
        fn connections(&self, _: usize) {}
        fn started(&self, _: &Descriptor, _: &str, _: u64) {}
        fn advanced(&self, _: &crate::digest::Digest, _: u64) {}
        fn verifying(&self, _: &crate::digest::Digest) {}
        fn finished(&self, _: &crate::digest::Digest) {}
        fn skipped(&self, _: &Descriptor, _: &str) {}
        fn note(&self, _: &str) {}
    }
}
