use std::time::{Duration, SystemTime};

use super::*;
use crate::listing::Extent;

fn gc(store: &Store) -> Swept {
    store.gc(&store.exclusive().unwrap()).unwrap()
}

/// A fixture whose own lease holds nothing, so that only the test's do.
fn fixture() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.renew();
    fixture
}

impl Fixture {
    /// Drops the lease and all it held, as at the end of a pull.
    fn renew(&mut self) {
        self.lease = self.store.lease(&[]).unwrap();
    }

    fn age_ingest(&self, blob: &Descriptor) {
        let then = SystemTime::now() - Duration::from_secs(8 * 24 * 60 * 60);
        let data = self.store.ingest_path(&blob.digest);
        let record = crate::store::claim::record_path(&data);
        // Before anything is noted there is no record.
        for path in [data, record].iter().filter(|path| path.exists()) {
            File::open(path).unwrap().set_modified(then).unwrap();
        }
    }
}

#[test]
fn what_is_tagged_stays_and_what_is_not_goes() {
    let mut fixture = fixture();
    let (shared, mine, theirs) = (fixture.put(b"shared"), fixture.put(b"mine"), fixture.put(b"theirs"));
    let (kept, gone) = (fixture.manifest(&[&shared, &mine]), fixture.manifest(&[&shared, &theirs]));
    fixture.tag("quay.io/a:1", &kept);
    fixture.tag("quay.io/a:2", &gone);
    fixture.renew();
    assert_eq!(gc(&fixture.store), Swept::default());
    let entry = fixture.store.find("quay.io/a:2").unwrap();
    fixture.store.untag(&fixture.store.exclusive().unwrap(), &entry).unwrap();
    let told = fixture.store.would_sweep(&fixture.store.exclusive().unwrap(), &[]).unwrap();
    assert!(fixture.store.has_blob(&theirs).unwrap());
    let swept = gc(&fixture.reopen());
    assert_eq!(swept, told);
    assert_eq!(swept.bytes, theirs.size + gone.size);
    let exists = |blob| fixture.store.has_blob(blob).unwrap();
    assert_eq!([&shared, &mine, &kept, &theirs, &gone].map(exists), [true, true, true, false, false]);
}

#[test]
fn an_index_keeps_its_children_and_their_blobs() {
    let mut fixture = fixture();
    let layer = fixture.put(b"layer");
    let child = fixture.manifest(&[&layer]);
    let absent = describe(b"another platform");
    let json = serde_json::json!({"schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": [child, absent]});
    let index = Descriptor { media_type: media::OCI_INDEX.to_owned(), ..fixture.put(json.to_string().as_bytes()) };
    fixture.tag("quay.io/a:1", &index);
    fixture.renew();
    assert_eq!(gc(&fixture.store), Swept::default());
}

#[test]
fn a_lease_protects_blobs_until_it_is_dropped() {
    let mut fixture = fixture();
    let layer = fixture.put(b"layer");
    let manifest = fixture.manifest(&[&layer]);
    let lease = fixture.reopen().lease(std::slice::from_ref(&manifest.digest)).unwrap();
    fixture.renew();
    assert_eq!(gc(&fixture.store), Swept::default());
    let extended = fixture.store.lease(&[]).unwrap();
    extended.add(std::slice::from_ref(&layer.digest)).unwrap();
    drop(lease);
    assert_eq!(gc(&fixture.store).blobs, [manifest.digest]);
    drop(extended);
    assert_eq!(gc(&fixture.store).blobs, [layer.digest]);
}

#[test]
fn the_lease_of_a_dead_process_protects_nothing_and_is_removed() {
    let mut fixture = fixture();
    let blob = fixture.put(b"layer");
    fixture.renew();
    let dead = fixture.store.root().join("leases/1-0.json");
    fs::write(&dead, format!("[\"{}\"]", blob.digest)).unwrap();
    assert_eq!(gc(&fixture.store).blobs, [blob.digest]);
    assert!(!dead.exists());
    assert_eq!(fs::read_dir(fixture.store.root().join("leases")).unwrap().count(), 1);
}

#[test]
fn a_committed_blob_survives_a_sweep_between_commit_and_tag() {
    let fixture = fixture();
    let lease = fixture.store.lease(&[]).unwrap();
    let layer = describe(b"layer");
    fixture.store.put_blob(&lease, b"layer", &layer.digest).unwrap();
    assert_eq!(gc(&fixture.reopen()), Swept::default());
    assert!(fixture.store.has_blob(&layer).unwrap());
}

#[test]
fn an_ingest_in_progress_is_left_alone_even_if_it_is_old() {
    let mut fixture = fixture();
    let blob = describe(b"hello");
    let ingest = fixture.fetch(&blob);
    fixture.age_ingest(&blob);
    fixture.renew();
    assert_eq!(gc(&fixture.store), Swept::default());
    ingest.write_at(0, &[b"hello"]).unwrap();
    ingest.commit().unwrap();
    assert!(fixture.store.has_blob(&blob).unwrap());
}

#[test]
fn an_abandoned_ingest_is_kept_for_a_week() {
    let mut fixture = fixture();
    let blob = describe(b"hello");
    let ingest = fixture.fetch(&blob);
    ingest.write_at(0, &[b"hel"]).unwrap();
    ingest.record().unwrap();
    drop(ingest);
    fixture.renew();
    assert_eq!(gc(&fixture.store), Swept::default());
    assert_eq!(fixture.fetch(&blob).present(), 3);
    fixture.renew();
    fixture.age_ingest(&blob);
    assert_eq!(gc(&fixture.store).ingests, [blob.digest]);
    assert!(is_empty(&fixture.store.root().join("ingest")));
}

#[test]
fn an_ingest_whose_blob_is_there_goes_at_once() {
    let fixture = fixture();
    let blob = fixture.put(b"hello");
    fs::write(fixture.store.ingest_path(&blob.digest), "").unwrap();
    assert_eq!(gc(&fixture.store).ingests, [blob.digest]);
    assert!(is_empty(&fixture.store.root().join("ingest")));
}

#[test]
fn a_record_without_its_data_goes() {
    let fixture = fixture();
    let blob = describe(b"hello");
    let ingest = fixture.fetch(&blob);
    ingest.write_at(0, &[b"hel"]).unwrap();
    ingest.record().unwrap();
    drop(ingest);
    fs::remove_file(fixture.store.ingest_path(&blob.digest)).unwrap();
    fixture.age_ingest(&blob);
    let mut fixture = fixture;
    fixture.renew();
    assert_eq!(gc(&fixture.store).ingests, [blob.digest]);
    assert!(is_empty(&fixture.store.root().join("ingest")));
}

#[test]
fn a_snapshot_goes_with_its_manifest_and_what_dead_makers_left_goes_too() {
    let mut fixture = fixture();
    let layer = fixture.put(b"layer");
    let manifest = fixture.manifest(&[&layer]);
    fixture.tag("quay.io/a:1", &manifest);
    fixture.make_snapshot(&manifest, &layer);
    let snapshots = fixture.store.root().join("snapshots");
    fs::create_dir_all(snapshots.join(".1-0-0/deep")).unwrap();
    fs::write(snapshots.join(".1-0-0.json"), "torn").unwrap();
    let staged = fixture.store.stage_snapshot(&fixture.lease, &Digest::sha256(b"another")).unwrap();
    assert_eq!(gc(&fixture.store), Swept { bytes: 4, ..Swept::default() });
    assert_eq!(fs::read_dir(&snapshots).unwrap().count(), 3);
    drop(staged);
    fixture.renew();
    let entry = fixture.store.find("quay.io/a:1").unwrap();
    fixture.store.untag(&fixture.store.exclusive().unwrap(), &entry).unwrap();
    let swept = gc(&fixture.store);
    assert_eq!((swept.snapshots, swept.blobs.len()), (vec![manifest.digest], 2));
    assert!(is_empty(&snapshots));
}

#[test]
fn an_entry_that_cannot_be_read_does_not_stop_a_sweep_and_keeps_its_manifest() {
    let mut fixture = fixture();
    let (odd, gone) = (fixture.put(b"odd"), fixture.put(b"gone"));
    fixture.renew();
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [
        {"digest": odd.digest, "size": -1}, {"digest": Digest::sha256(b"nowhere"), "size": 1}, 7,
    ]});
    fs::write(fixture.store.root().join("index.json"), index.to_string()).unwrap();
    assert_eq!(gc(&fixture.store).blobs, [gone.digest]);
}

#[test]
fn pulls_and_sweeps_at_once_break_nothing() {
    let mut fixture = fixture();
    fixture.renew();
    std::thread::scope(|scope| {
        for puller in 0..4 {
            let fixture = &fixture;
            scope.spawn(move || {
                let store = fixture.reopen();
                for round in 0..10 {
                    let lease = store.lease(&[]).unwrap();
                    let bytes = content(puller * 100 + round, 10_000);
                    let layer = describe(&bytes);
                    store.put_blob(&lease, &bytes, &layer.digest).unwrap();
                    let json = serde_json::json!({"schemaVersion": 2, "layers": [layer]}).to_string();
                    let manifest = describe(json.as_bytes());
                    store.put_blob(&lease, json.as_bytes(), &manifest.digest).unwrap();
                    let name = reference(&format!("quay.io/p{puller}:{}", round % 2));
                    store.tag(&store.exclusive().unwrap(), &name, manifest).unwrap();
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| (0..20).for_each(|_| drop(gc(&fixture.reopen()))));
        }
    });
    gc(&fixture.store);
    let entries = fixture.store.list().unwrap();
    assert_eq!(entries.len(), 8);
    for entry in entries {
        let (_, manifest) = fixture.store.manifest(&entry.descriptor.digest).unwrap();
        assert!(fixture.store.has_blob(&manifest.layers[0]).unwrap());
    }
    assert_eq!(fs::read_dir(fixture.store.root().join("blobs/sha256")).unwrap().count(), 16);
}

#[test]
fn the_snapshot_of_a_part_stays_while_its_manifest_or_a_lease_does() {
    let mut fixture = fixture();
    let theirs = fixture.put(b"theirs");
    let (kept, gone) = (fixture.manifest(&[]), fixture.manifest(&[&theirs]));
    let part = |manifest: &Descriptor, text: &str| Extent {
        manifest: manifest.digest.clone(),
        selection: Some(text.to_owned()),
    };
    let parts = [part(&kept, "one"), part(&gone, "leased"), part(&gone, "one")];
    let mut leases = vec![];
    for extent in &parts {
        let lease = fixture.store.lease(&[]).unwrap();
        let listing = super::snapshot::listing(&extent.manifest);
        fixture.store.stage_snapshot(&lease, &extent.key()).unwrap().commit(&listing).unwrap();
        leases.push(lease);
    }
    let _lease = leases.swap_remove(1);
    drop(leases);
    fixture.tag("quay.io/a:1", &kept);
    fixture.renew();
    assert_eq!(gc(&fixture.store).snapshots, [parts[2].key()]);
    let exists = |extent: &Extent| fixture.store.snapshot(&extent.key()).unwrap().is_some();
    assert_eq!(parts.each_ref().map(exists), [true, true, false]);
}
