use std::thread;

use super::*;

#[test]
fn a_tag_is_listed_found_and_taken_away() {
    let fixture = Fixture::new();
    let manifest = fixture.manifest(&[]);
    fixture.tag("quay.io/acme/llama:8b", &manifest);
    let entries = fixture.store.list().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].name.as_deref(), Some("quay.io/acme/llama:8b"));
    assert_eq!(entries[0].descriptor.media_type, media::OCI_MANIFEST);
    let found = fixture.store.find("quay.io/acme/llama:8b").unwrap();
    assert_eq!(found, entries[0]);
    assert!(fixture.store.manifest(&found.descriptor.digest).unwrap().1.layers.is_empty());
    fixture.store.untag(&fixture.store.exclusive().unwrap(), &found).unwrap();
    assert!(fixture.store.list().unwrap().is_empty());
    let again = fixture.store.untag(&fixture.store.exclusive().unwrap(), &found);
    assert!(matches!(again, Err(Error::NotFound { text }) if text == "quay.io/acme/llama:8b"));
}

#[test]
fn a_docker_manifest_keeps_its_own_media_type() {
    let fixture = Fixture::new();
    let manifest = Descriptor { media_type: media::DOCKER_MANIFEST.to_owned(), ..fixture.manifest(&[]) };
    fixture.tag("registry.ollama.ai/library/llama3:8B", &manifest);
    assert_eq!(fixture.store.list().unwrap()[0].descriptor.media_type, media::DOCKER_MANIFEST);
}

#[test]
fn a_manifest_that_is_not_here_gets_no_name() {
    let fixture = Fixture::new();
    let guard = fixture.store.exclusive().unwrap();
    let tagged = fixture.store.tag(&guard, &reference("quay.io/a:1"), describe(b"nowhere"));
    assert!(matches!(tagged, Err(Error::NoBlob { .. })));
    assert!(fixture.store.list().unwrap().is_empty());
}

#[test]
fn a_moved_tag_leaves_a_healthy_index() {
    let fixture = Fixture::new();
    let layer = fixture.put(b"layer");
    let (old, new) = (fixture.manifest(&[]), fixture.manifest(&[&layer]));
    fixture.tag("quay.io/a:1", &old);
    fixture.tag("quay.io/a:2", &old);
    fixture.tag("quay.io/a:1", &new);
    fixture.tag("quay.io/a:1", &new);
    assert_eq!(fixture.names(), ["quay.io/a:1", "quay.io/a:2"].map(str::to_owned).into());
    assert_eq!(fixture.store.list().unwrap().len(), 2);
    assert_eq!(fixture.store.find("quay.io/a:1").unwrap().descriptor.digest, new.digest);
    assert_eq!(fixture.store.find("quay.io/a:2").unwrap().descriptor.digest, old.digest);
    fixture.tag("quay.io/a:2", &new);
    assert!(fixture.store.list().unwrap().iter().all(|entry| entry.descriptor.digest == new.digest));
}

#[test]
fn eight_writers_at_once_lose_nothing() {
    let fixture = Fixture::new();
    let manifest = fixture.manifest(&[]);
    thread::scope(|scope| {
        for writer in 0..8 {
            let (fixture, manifest) = (&fixture, &manifest);
            scope.spawn(move || {
                let store = fixture.reopen();
                for tag in 0..10 {
                    let name = reference(&format!("quay.io/acme/w{writer}:{tag}"));
                    store.tag(&store.exclusive().unwrap(), &name, manifest.clone()).unwrap();
                    store.list().unwrap();
                }
            });
        }
    });
    assert_eq!(fixture.names().len(), 80);
}

#[test]
fn what_others_wrote_into_the_index_is_kept_and_breaks_nothing() {
    let fixture = Fixture::new();
    let manifest = fixture.manifest(&[]);
    let unnamed = serde_json::to_value(&manifest).unwrap();
    let strange = serde_json::json!({"mediaType": "x", "digest": "blake3:00", "size": 1});
    let index = serde_json::json!({
        "schemaVersion": 2, "annotations": {"a": "b"}, "manifests": [strange, unnamed, "nonsense"],
    });
    let path = fixture.store.root().join("index.json");
    fs::write(&path, index.to_string()).unwrap();
    fixture.tag("quay.io/a:1", &manifest);
    let entries = fixture.store.list().unwrap();
    assert_eq!(entries.iter().map(|entry| entry.name.as_deref()).collect::<Vec<_>>(), [None, Some("quay.io/a:1")]);
    fixture.store.untag(&fixture.store.exclusive().unwrap(), &entries[0]).unwrap();
    let written: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(written["annotations"]["a"], "b");
    assert_eq!(written["manifests"][0], strange);
    assert_eq!(written["manifests"][1], "nonsense");
    assert_eq!(fixture.names(), ["quay.io/a:1".to_owned()].into());
}

#[test]
fn a_missing_or_damaged_index_is_named_and_not_made_anew() {
    let fixture = Fixture::new();
    let path = fixture.store.root().join("index.json");
    fs::write(&path, "").unwrap();
    assert!(matches!(fixture.reopen().list(), Err(Error::Damaged { path: named, .. }) if named == path));
    fs::remove_file(&path).unwrap();
    assert!(matches!(fixture.reopen().list(), Err(Error::Io { path: named, .. }) if named == path));
}
