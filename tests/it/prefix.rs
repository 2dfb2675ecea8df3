//! The first bytes of a blob, as others in the program ask for them.

use std::sync::Arc;

use artishim::manifest::Descriptor;
use artishim::progress::Silent;
use artishim::pull::{Interrupter, Policy, Session, Settings};
use artishim::reference::Reference;
use artishim::registry::{self, Client};
use artishim::store::Store;

use crate::common::registry::{Fault, Registry, Tags, What};
use crate::common::{Home, bytes, modelpack};

fn session(home: &Home) -> Session {
    Session {
        client: Client::new(registry::Settings::default()).unwrap(),
        store: Store::open(&home.store()).unwrap(),
        progress: Arc::new(Silent),
        settings: Settings { pause: std::time::Duration::from_millis(1), ..Settings::default() },
        platform: None,
        part: artishim::pull::Part::default(),
        names: true,
        short_names: Default::default(),
        gate: Arc::default(),
        typed: None,
        interrupt: Interrupter::new().1,
    }
}

/// An artifact of one file, asked for and not pulled.
async fn resolved(home: &Home, registry: &Registry, content: &[u8]) -> (Session, Reference, Descriptor) {
    let (session, reference) = (session(home), modelpack(registry, "acme/tiny", &[("m.gguf", content)]));
    let reference: Reference = reference.parse().unwrap();
    let artifact = session.resolve(&reference).await.unwrap();
    let blob = artifact.manifest.layers[0].clone();
    registry.clear_requests();
    (session, reference, blob)
}

#[tokio::test]
async fn a_prefix_is_one_request_of_its_range() {
    let (home, registry, content) = (Home::new(), Registry::start(), bytes(1, 100_000));
    registry.redirect_blobs();
    registry.tag_blobs(Tags::Strong);
    let (session, reference, blob) = resolved(&home, &registry, &content).await;
    let cases = [(8, Some("bytes=0-7")), (99_999, Some("bytes=0-99998")), (100_000, None), (1 << 40, None)];
    for (length, range) in cases {
        let prefix = session.prefix(&reference, &blob, length).await.unwrap();
        assert!(prefix == content[..content.len().min(length as usize)], "{length}");
        let asked: Vec<_> = registry.requests().into_iter().filter(|request| request.redirected).collect();
        let ranges: Vec<_> = asked.iter().map(|request| request.range.as_deref()).collect();
        assert_eq!(ranges, [range]);
        registry.clear_requests();
    }
    assert!(session.prefix(&reference, &blob, 0).await.unwrap().is_empty());
    assert!(registry.requests().is_empty(), "nothing is not asked for");
}

#[tokio::test]
async fn a_stored_blob_is_read_without_the_registry() {
    let (home, registry, content) = (Home::new(), Registry::start(), bytes(2, 1000));
    let (session, reference, ..) = resolved(&home, &registry, &content).await;
    let artifact = session.pull(&reference, Policy::Always).await.unwrap();
    registry.clear_requests();
    let blob = &artifact.manifest.layers[0];
    for length in [0, 8, 1000, 5000] {
        let prefix = session.prefix(&reference, blob, length).await.unwrap();
        assert_eq!(prefix, content[..content.len().min(length as usize)]);
    }
    assert_eq!(session.range(&reference, blob, 990..2000).await.unwrap(), content[990..]);
    assert!(registry.requests().is_empty());
}

#[tokio::test]
async fn answers_that_break_off_are_asked_for_again() {
    let (home, registry, content) = (Home::new(), Registry::start(), bytes(3, 2_000_000));
    let (session, reference, blob) = resolved(&home, &registry, &content).await;
    registry.fault(Fault::once("/blobs/", What::status(503)));
    registry.fault(Fault::once("/blobs/", What::CutAfter(300_000)).after(1));
    let prefix = session.prefix(&reference, &blob, 1_000_000).await.unwrap();
    assert!(prefix == content[..1_000_000]);
    assert!(registry.sent("/blobs/") <= 1_000_000, "{}", registry.sent("/blobs/"));
}

#[tokio::test]
async fn of_a_registry_that_sends_everything_only_the_range_is_kept() {
    let (home, registry, content) = (Home::new(), Registry::start(), bytes(4, 3_000_000));
    let (session, reference, blob) = resolved(&home, &registry, &content).await;
    registry.fault(Fault::always("/blobs/", What::IgnoreRange));
    assert!(session.prefix(&reference, &blob, 8).await.unwrap() == content[..8]);
    let part = session.range(&reference, &blob, 1_000_000..1_500_000).await.unwrap();
    assert!(part == content[1_000_000..1_500_000]);
}

#[tokio::test]
async fn ranges_that_are_answered_wrongly_are_not_believed() {
    let (home, registry, content) = (Home::new(), Registry::start(), bytes(5, 100_000));
    let (session, reference, blob) = resolved(&home, &registry, &content).await;
    for what in [What::StartLate(10), What::ContentRange("bytes 5-9/100000"), What::Multipart] {
        registry.clear_faults();
        registry.fault(Fault::always("/blobs/", what.clone()));
        let prefix = session.prefix(&reference, &blob, 1000).await.unwrap();
        assert!(prefix == content[..1000], "{what:?}");
    }
}
