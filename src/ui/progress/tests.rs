use super::events::ADVANCED_EVERY;
use super::*;
use crate::digest::Digest;
use crate::manifest::Descriptor;

pub(super) fn digest(name: &str) -> Digest {
    Digest::sha256(name.as_bytes())
}

/// A blob of some size whose digest is that of its name.
pub(super) fn sized(name: &str, size: u64) -> Descriptor {
    serde_json::from_value(serde_json::json!({ "digest": digest(name).to_string(), "size": size })).unwrap()
}

fn pull(mode: ProgressMode, quiet: bool) -> String {
    let (ui, captured) = Ui::captured();
    let progress = ui.with_quiet(quiet).progress(mode, Way::Here);
    let (new, old) = (sized("new", 3006), sized("old", 3));
    progress.planned(2, 3009);
    progress.connections(1);
    progress.started(&new, "model.gguf", 1293);
    progress.skipped(&old, "README.md");
    progress.advanced(&new.digest, 1713);
    progress.note("from a mirror");
    progress.verifying(&new.digest);
    progress.finished(&new.digest);
    progress.finished(&new.digest);
    progress.advanced(&old.digest, 1);
    progress.verifying(&old.digest);
    assert_eq!(captured.stdout(), "");
    captured.stderr()
}

#[test]
fn a_file_gets_a_line_per_blob() {
    let lines = "\
model.gguf: resumed at 43 %
README.md: already present
Note: from a mirror
Fetched model.gguf (3.006kB)
";
    for mode in [ProgressMode::Auto, ProgressMode::Plain, ProgressMode::Bars] {
        assert_eq!(pull(mode, false), lines, "{mode:?}");
    }
}

#[test]
fn quiet_says_nothing() {
    assert_eq!(pull(ProgressMode::Quiet, false), "");
    assert_eq!(pull(ProgressMode::Auto, true), "");
    assert_eq!(pull(ProgressMode::Plain, true), "");
}

#[test]
fn json_has_a_line_per_event_also_when_quiet() {
    let (new, old) = (digest("new"), digest("old"));
    let file = format!(r#""digest":"{new}","name":"model.gguf","size":3006,"bytes""#);
    let expected = format!(
        r#"{{"event":"planned","blobs":2,"bytes":3009}}
{{"event":"started",{file}:1293}}
{{"event":"skipped","digest":"{old}","name":"README.md","size":3,"bytes":3}}
{{"event":"note","text":"from a mirror"}}
{{"event":"verifying",{file}:3006}}
{{"event":"finished",{file}:3006,"total":{{"blobs":2,"blobs_done":2,"size":3009,"bytes":3009,"speed":0,"eta":0}}}}
"#
    );
    assert_eq!(pull(ProgressMode::Json, true), expected);
}

#[test]
fn json_tells_of_an_advance_how_fast_it_goes() {
    let (ui, captured) = Ui::captured();
    let progress = ui.progress(ProgressMode::Json, Way::Here);
    let blob = sized("a", 1_000_000);
    progress.planned(2, 3_000_000);
    progress.connections(4);
    progress.started(&blob, "a", 100_000);
    std::thread::sleep(ADVANCED_EVERY);
    progress.advanced(&blob.digest, 100_000);
    let lines = captured.stderr();
    let event: serde_json::Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&event["event"], &event["bytes"], &event["connections"]),
        (&"advanced".into(), &200_000.into(), &4.into())
    );
    assert!((1000..=500_000).contains(&event["speed"].as_u64().unwrap()), "{event}");
    assert!(event["eta"].as_u64().unwrap() >= 1, "{event}");
    let total = &event["total"];
    assert_eq!((&total["bytes"], &total["size"]), (&200_000.into(), &3_000_000.into()), "{event}");
    assert!(total["eta"].as_u64() > event["eta"].as_u64(), "{event}");
}

#[test]
fn json_tells_of_an_advance_at_most_five_times_a_second() {
    let (ui, captured) = Ui::captured();
    let progress = ui.progress(ProgressMode::Json, Way::Here);
    let blobs: Vec<Descriptor> = (0..100).map(|number| sized(&number.to_string(), 1000)).collect();
    blobs.iter().for_each(|blob| progress.started(blob, "a", 0));
    std::thread::sleep(ADVANCED_EVERY);
    (0..50).for_each(|_| blobs.iter().for_each(|blob| progress.advanced(&blob.digest, 10)));
    let lines = captured.stderr();
    let advances = lines.lines().filter(|line| line.contains(r#""event":"advanced""#)).count();
    assert!((1..50).contains(&advances), "{lines}");
}

#[test]
fn of_many_files_the_small_ones_are_counted() {
    let (ui, captured) = Ui::captured();
    let progress = ui.progress(ProgressMode::Plain, Way::Here);
    progress.planned(2000, 0);
    for number in 0..1999 {
        let blob = sized(&number.to_string(), 1000);
        if number < 100 {
            progress.skipped(&blob, "small");
        } else {
            progress.started(&blob, "small", 500);
            progress.finished(&blob.digest);
        }
    }
    assert_eq!(captured.stderr(), "");
    let large = sized("large", 5_000_000_000);
    progress.started(&large, "large", 2_500_000_000);
    progress.started(&large, "large", 0);
    progress.finished(&large.digest);
    let expected = "\
large: resumed at 50 %
large: from the start again
Fetched large (5GB)
Fetched 1899 small files (1.899MB)
100 small files (100kB): already present
";
    assert_eq!(captured.stderr(), expected);
    progress.started(&large, "next", 0);
    progress.finished(&large.digest);
    assert_eq!(captured.stderr(), format!("{expected}Fetched next (5GB)\n"));
}

#[test]
fn what_a_failed_pull_counted_is_said_in_the_end() {
    let (ui, captured) = Ui::captured();
    let progress = ui.progress(ProgressMode::Plain, Way::Here);
    progress.planned(40, 4000);
    progress.started(&sized("a", 100), "a", 0);
    progress.finished(&digest("a"));
    progress.started(&sized("b", 100), "b", 0);
    assert_eq!(captured.stderr(), "");
    drop(progress);
    assert_eq!(captured.stderr(), "Fetched 1 small file (100B)\n");
}
