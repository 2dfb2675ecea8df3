//! Many pulls at once through one store.

use std::fs;
use std::process::Child;
use std::time::{Duration, Instant};

use crate::common::registry::{Fault, Registry, What};
use crate::common::{Home, assert_sound, bytes, modelpack, outcome};

/// How many connections all pulls of a store share, beside one for each.
const SHARED: usize = 32;

/// Waits for all of them; each ends well.
fn join(pulls: Vec<Child>) {
    for pull in pulls {
        outcome(pull.wait_with_output().unwrap()).success();
    }
}

/// What is left of downloads.
fn unfinished(home: &Home) -> Vec<std::ffi::OsString> {
    let entries = fs::read_dir(home.store().join("ingest")).unwrap();
    entries.map(|entry| entry.unwrap().file_name()).collect()
}

/// What a container would see under the name.
#[track_caller]
fn assert_file(home: &Home, reference: &str, file: &str, expected: &[u8]) {
    let folder = home.path("out");
    fs::create_dir(&folder).unwrap();
    home.artishim(&["extract", reference, folder.to_str().unwrap()]).success();
    assert!(fs::read(folder.join(file)).unwrap() == expected, "{reference} {file}");
    fs::remove_dir_all(folder).unwrap();
}

/// So many processes pull one model of three files.
fn pull_one_model(processes: usize) {
    let (home, registry) = (Home::new(), Registry::start());
    let files = [("a.gguf", 8 << 20), ("b.bin", 4 << 20), ("c.bin", 100_000)];
    let contents: Vec<Vec<u8>> = (0..).zip(files).map(|(seed, (_, size))| bytes(seed, size)).collect();
    let named = files.iter().zip(&contents).map(|((name, _), content)| (*name, content.as_slice()));
    let reference = modelpack(&registry, "acme/wanted", &named.clone().collect::<Vec<_>>());
    // Slow enough for all to have begun before the first has ended.
    registry.limit_rate(6 << 20);
    join((0..processes).map(|_| home.spawn(&["pull", "--quiet", &reference])).collect());
    let size: usize = contents.iter().map(Vec::len).sum();
    // The config of two bytes is read by each to know the packaging.
    let most = size + processes * 2;
    let sent = registry.sent("/blobs/");
    assert!(sent <= most as u64, "{sent} bytes were sent for {size}");
    assert!(registry.requests().iter().filter(|request| request.path.contains("/manifests/")).count() <= 2 * processes);
    assert_eq!(unfinished(&home), Vec::<std::ffi::OsString>::new());
    assert_sound(&home.store());
    for (name, content) in named {
        assert_file(&home, &reference, name, content);
    }
}

/// So many processes pull as many models at once, each of files enough for all the connections that a pull may have.
fn pull_many_models(processes: usize) {
    let (home, registry) = (Home::new(), Registry::start());
    let content = |model: usize, file: usize| bytes(u32::try_from(model * 100 + file).unwrap(), 64 * 1024);
    let names: Vec<String> = (0..24).map(|file| format!("{file}.bin")).collect();
    let references: Vec<String> = (0..processes)
        .map(|model| {
            let contents: Vec<Vec<u8>> = (0..names.len()).map(|file| content(model, file)).collect();
            let files = names.iter().zip(&contents).map(|(name, content)| (name.as_str(), content.as_slice()));
            modelpack(&registry, &format!("acme/m{model}"), &files.collect::<Vec<_>>())
        })
        .collect();
    registry.fault(Fault::always("/blobs/", What::Late(Duration::from_millis(300))));
    join(references.iter().map(|reference| home.spawn(&["pull", "--quiet", reference])).collect());
    println!("at most {} answers and {} connections at once", registry.most_at_once(), registry.most_connections());
    assert!(registry.most_at_once() <= processes + SHARED, "{} answers at once", registry.most_at_once());
    // One that has gone back to the others may be open for a little while.
    let most = 2 * (processes + SHARED);
    assert!(registry.most_connections() <= most, "{} connections at once", registry.most_connections());
    assert_eq!(unfinished(&home), Vec::<std::ffi::OsString>::new());
    assert_sound(&home.store());
    for (model, reference) in references.iter().enumerate() {
        assert_file(&home, reference, "7.bin", &content(model, 7));
    }
}

#[test]
fn ten_pulls_of_one_model_at_once_fetch_it_once() {
    pull_one_model(10);
}

#[test]
#[ignore = "takes some ten seconds; tests/run runs it"]
fn two_hundred_pulls_of_one_model_at_once_fetch_it_once() {
    pull_one_model(200);
}

#[test]
#[ignore = "takes some ten seconds; tests/run runs it"]
fn fifty_pulls_of_fifty_models_at_once_share_their_connections() {
    pull_many_models(50);
}

/// Processes that hold shared connections are killed, and others are not held up by what those had.
#[test]
fn connections_of_killed_pulls_are_free_again() {
    let (home, registry) = (Home::new(), Registry::start());
    let names: Vec<String> = (0..24).map(|file| format!("{file}.bin")).collect();
    let references = [0, 1, 2, 3, 4, 5].map(|model| {
        let contents: Vec<Vec<u8>> = (0..24).map(|file| bytes(model * 100 + file, 64 * 1024)).collect();
        let files = names.iter().zip(&contents).map(|(name, content)| (name.as_str(), content.as_slice()));
        modelpack(&registry, &format!("acme/m{model}"), &files.collect::<Vec<_>>())
    });
    registry.fault(Fault::always("/blobs/", What::Stall { after: 10, pause: Duration::from_secs(600) }));
    let mut pulls: Vec<Child> =
        references.iter().map(|reference| home.spawn(&["pull", "--quiet", reference])).collect();
    let began = Instant::now();
    while registry.open_now() < references.len() + SHARED {
        assert!(began.elapsed() < Duration::from_secs(10), "{} answers at once", registry.open_now());
        std::thread::sleep(Duration::from_millis(10));
    }
    for pull in &mut pulls {
        pull.kill().unwrap();
        pull.wait().unwrap();
    }
    registry.clear_faults();
    registry.fault(Fault::always("/blobs/", What::Late(Duration::from_millis(100))));
    let (before, _) = registry.connections();
    home.artishim(&["pull", "--quiet", &references[5]]).success();
    let made = registry.connections().0 - before;
    assert!(made >= 6, "{made} connections were made");
}
