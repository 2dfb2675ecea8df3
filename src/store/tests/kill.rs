//! Real processes, killed at any moment.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use super::*;

const LENGTH: usize = 8 << 20;
const CHUNK: usize = 64 * 1024;

/// Not a test: what the other process runs, at the store whose path comes on standard input.
#[test]
#[ignore = "run by the tests below as a process of its own"]
fn child() {
    let mut root = String::new();
    io::stdin().read_line(&mut root).unwrap();
    if root.is_empty() {
        return;
    }
    let store = Store::open(Path::new(root.trim())).unwrap();
    let bytes = content(1, LENGTH);
    let blob = describe(&bytes);
    let lease = store.lease(&[]).unwrap();
    if let Claim::Fetch(ingest) = store.ingest(&lease, &blob).unwrap() {
        println!("claimed {}", ingest.present());
        // Out of order, so that the data has holes.
        for index in (0..LENGTH / CHUNK).rev().step_by(2).chain((0..LENGTH / CHUNK).step_by(2)) {
            let start = index * CHUNK;
            ingest.write_at(start as u64, &[&bytes[start..start + CHUNK]]).unwrap();
            ingest.record().unwrap();
        }
        ingest.commit().unwrap();
    }
    let json = serde_json::json!({"schemaVersion": 2, "layers": [blob]}).to_string();
    let manifest = describe(json.as_bytes());
    store.put_blob(&lease, json.as_bytes(), &manifest.digest).unwrap();
    for tag in 0..20 {
        let name = reference(&format!("quay.io/acme/kill:{tag}"));
        store.tag(&store.exclusive().unwrap(), &name, manifest.clone()).unwrap();
    }
    println!("done");
}

fn spawn(root: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::kill::child", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{}", root.display()).unwrap();
    child
}

/// Waits until the child says something that begins so, and returns the rest.
fn wait_for(child: &mut Child, word: &str) -> String {
    let output = BufReader::new(child.stdout.as_mut().unwrap());
    let lines = output.lines().map_while(io::Result::ok);
    // The harness may print the test's name before it on the same line.
    lines.filter_map(|line| line.split_once(word).map(|(_, rest)| rest.to_owned())).next().unwrap()
}

/// What must hold whenever somebody looks.
fn check(store: &Store, bytes: &[u8]) {
    let blob = store.blob_path(&Digest::sha256(bytes));
    assert!(!blob.exists() || fs::read(blob).unwrap() == bytes);
    for entry in store.list().unwrap() {
        store.manifest(&entry.descriptor.digest).unwrap();
    }
}

#[test]
fn a_process_killed_at_any_moment_leaves_a_store_where_the_next_goes_on() {
    let fixture = Fixture::new();
    let bytes = content(1, LENGTH);
    let blob = describe(&bytes);
    for milliseconds in [0, 1, 3, 10, 30, 60, 100] {
        let mut child = spawn(fixture.store.root());
        thread::sleep(Duration::from_millis(30 + milliseconds));
        child.kill().unwrap();
        child.wait().unwrap();
        check(&fixture.store, &bytes);
        fixture.store.gc(&fixture.store.exclusive().unwrap()).unwrap();
        assert!(fs::read_dir(fixture.store.root().join("leases")).unwrap().count() <= 1);
        if let Some(Claim::Fetch(ingest)) = fixture.store.try_ingest(&fixture.lease, &blob).unwrap() {
            assert_eq!(ingest.present() % CHUNK as u64, 0);
            let data = fs::read(fixture.store.ingest_path(&blob.digest)).unwrap();
            let mut start = 0;
            for gap in ingest.missing() {
                let gap = usize::try_from(gap.start).unwrap()..usize::try_from(gap.end).unwrap();
                assert!(data[start..gap.start] == bytes[start..gap.start]);
                start = gap.end;
            }
            assert!(start >= data.len() || data[start..] == bytes[start..data.len()]);
        }
    }
    let mut child = spawn(fixture.store.root());
    wait_for(&mut child, "done");
    assert!(child.wait().unwrap().success());
    assert_eq!(fs::read(fixture.store.blob_path(&blob.digest)).unwrap(), bytes);
    assert_eq!(fixture.names().len(), 20);
}

#[test]
fn a_waiting_process_takes_over_from_a_killed_one() {
    let fixture = Fixture::new();
    let mut first = spawn(fixture.store.root());
    wait_for(&mut first, "claimed ");
    let mut second = spawn(fixture.store.root());
    thread::sleep(Duration::from_millis(100));
    first.kill().unwrap();
    first.wait().unwrap();
    wait_for(&mut second, "done");
    assert!(second.wait().unwrap().success());
    check(&fixture.store, &content(1, LENGTH));
    assert_eq!(fixture.names().len(), 20);
}

#[test]
fn two_processes_fetch_a_blob_once() {
    let fixture = Fixture::new();
    let children = [spawn(fixture.store.root()), spawn(fixture.store.root())];
    let outputs = children.map(|child| String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap());
    assert_eq!(outputs.iter().filter(|output| output.contains("claimed 0")).count(), 1, "{outputs:?}");
    assert!(outputs.iter().all(|output| output.contains("done")));
}
