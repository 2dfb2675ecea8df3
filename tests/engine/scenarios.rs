//! What must hold on every engine.

use std::path::Path;
use std::time::Duration;

use crate::artifacts;
use crate::faulty_registry::{Fault, Registry, What};
use crate::testbed::{Engine, IMAGE, outcome, own_daemons, registry, use_daemons};

const MODEL: &[u8] = b"GGUF a tiny model\n";
const PROJECTOR: &[u8] = b"GGUF a tiny projector\n";

pub fn mount(reference: &str, destination: &str) -> String {
    format!("type=artifact,src={reference},dst={destination}")
}

pub fn one_file_is_mounted_at_a_missing_destination(engine: &Engine) {
    let _running = use_daemons();
    let reference = artifacts::modelpack(&registry(), &[("tiny.gguf", MODEL)]);
    let seen = engine.run(&mount(&reference, "/models/it"), "test -f /models/it && cat /models/it").success();
    assert_eq!(seen.as_bytes(), MODEL);
}

pub fn several_files_lie_below_a_missing_destination(engine: &Engine) {
    let _running = use_daemons();
    let reference = artifacts::modelpack(&registry(), &[("tiny.gguf", MODEL), ("mmproj.gguf", PROJECTOR)]);
    let seen = engine.run(&mount(&reference, "/models"), "cat /models/tiny.gguf /models/mmproj.gguf").success();
    assert_eq!(seen.as_bytes(), [MODEL, PROJECTOR].concat());
}

pub fn part_that_was_pulled_is_what_containers_see_until_the_rest_is_pulled(engine: &Engine) {
    let _running = use_daemons();
    let files: [(&str, &[u8]); 3] = [("tiny-q4.gguf", MODEL), ("tiny-q8.gguf", PROJECTOR), ("notes/a.txt", b"a")];
    let reference = artifacts::modelpack(&registry(), &files);
    let list = || {
        let seen = engine
            .run(&mount(&reference, "/models"), "cd /models && find . -type f ! -name '.*' | sort && cat tiny-q4.gguf");
        seen.success().replace(&*String::from_utf8_lossy(MODEL), "")
    };
    engine.artishim(&["pull", "--include", "*q4*", "--include", "notes/", &reference]).success();
    assert_eq!(list(), "./notes/a.txt\n./tiny-q4.gguf\n");
    engine.artishim(&["pull", &reference]).success();
    assert_eq!(list(), "./notes/a.txt\n./tiny-q4.gguf\n./tiny-q8.gguf\n");
}

pub fn files_join_what_an_existing_directory_has(engine: &Engine) {
    let _running = use_daemons();
    let reference = artifacts::modelpack(&registry(), &[("tiny.gguf", MODEL)]);
    let seen = engine.run(&mount(&reference, "/data"), "ls /data && cat /data/beside /data/tiny.gguf").success();
    assert_eq!(seen, format!("beside\ntiny.gguf\nbeside\n{}", String::from_utf8_lossy(MODEL)));
}

pub fn one_file_replaces_an_existing_file(engine: &Engine) {
    let _running = use_daemons();
    let reference = artifacts::modelpack(&registry(), &[("tiny.gguf", MODEL)]);
    let seen = engine.run(&mount(&reference, "/etc/model.gguf"), "cat /etc/model.gguf").success();
    assert_eq!(seen.as_bytes(), MODEL);
}

pub fn image_packaged_model_is_mounted(engine: &Engine) {
    let _running = use_daemons();
    let reference = artifacts::image(&registry(), MODEL);
    let seen = engine.run(&mount(&reference, "/models"), "cat /models/model.file /models/tiny/tiny.gguf").success();
    assert_eq!(seen.as_bytes(), [MODEL, MODEL].concat());
}

pub fn two_containers_at_once_share_one_pull(engine: &Engine) {
    let _running = use_daemons();
    let (reference, served) = served_model(64 * 1024);
    let value = mount(&reference, "/m");
    let arguments = ["run", "--rm", "--mount", &value, IMAGE, "sha256sum", "/m"];
    let both = [engine.spawn(&arguments), engine.spawn(&arguments)].map(|child| outcome(child).success());
    assert_eq!(both[0], both[1]);
    assert!(both[0].starts_with(artishim::digest::Digest::sha256(&model(64 * 1024)).hex()), "{}", both[0]);
    if !engine.name.starts_with("podman5") {
        let blobs = served.requests().into_iter().filter(|request| request.path.contains("/blobs/"));
        // Podman 5 pulls by itself. Everywhere else the config of two bytes is asked for by each to know the packaging,
        // and the model once; but by each where it is copied into the container itself.
        let most = if engine.copies_single_files() { 4 } else { 3 };
        assert!(blobs.count() <= most, "{:?}", served.requests());
    }
}

pub fn pull_never_fails_before_anything_starts(engine: &Engine) {
    let _running = use_daemons();
    let reference = artifacts::modelpack(&registry(), &[("tiny.gguf", MODEL)]);
    let value = mount(&reference, "/m");
    let ran = engine.artishim(&["run", "--rm", "--pull", "never", "--mount", &value, IMAGE, "cat", "/m"]);
    assert_eq!(ran.status, 125, "{ran:?}");
    assert!(ran.stderr.contains(&reference), "{ran:?}");
    assert_eq!(ran.stdout, "");
}

pub fn wrong_digest_starts_nothing(engine: &Engine) {
    let _running = use_daemons();
    let (reference, served) = served_model(100_000);
    served.fault(Fault::always("/blobs/", What::WrongByte(70_000)));
    let ran = engine.run(&mount(&reference, "/m"), "echo started");
    assert_eq!(ran.status, 125, "{ran:?}");
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.contains("sha256:") || ran.stderr.contains("igest"), "{ran:?}");
    // The next try, with the right bytes, works: nothing wrong was kept.
    served.clear_faults();
    let seen = engine.run(&mount(&reference, "/m"), "sha256sum /m").success();
    assert!(seen.starts_with(artishim::digest::Digest::sha256(&model(100_000)).hex()), "{seen}");
}

pub fn create_then_start_shows_the_files(engine: &Engine) {
    let _running = use_daemons();
    let reference = artifacts::modelpack(&registry(), &[("tiny.gguf", MODEL)]);
    let value = mount(&reference, "/m");
    let id = engine.artishim(&["create", "--mount", &value, IMAGE, "cat", "/m"]).success();
    let started = engine.own(&["start", "--attach", id.trim()]);
    engine.own(&["rm", "--force", id.trim()]).success();
    assert_eq!(started.success().as_bytes(), MODEL);
}

pub fn mount_argument_works_in_the_engines_own_line(engine: &Engine) {
    let _running = use_daemons();
    let reference = artifacts::modelpack(&registry(), &[("tiny.gguf", MODEL), ("mmproj.gguf", PROJECTOR)]);
    let argument = engine.artishim(&["mount", &format!("{reference}:/models")]).success();
    let command = [IMAGE, "cat", "/models/tiny.gguf", "/models/mmproj.gguf"];
    let line: Vec<&str> = ["run", "--rm"].into_iter().chain(argument.split_whitespace()).chain(command).collect();
    let seen = engine.own(&line);
    assert_eq!(seen.success().as_bytes(), [MODEL, PROJECTOR].concat());
}

/// Podman here has no API socket in its command line; everywhere else files can be copied.
pub fn copied_files_are_in_the_container(engine: &Engine) {
    let _running = use_daemons();
    let reference = artifacts::modelpack(&registry(), &[("tiny.gguf", MODEL), ("sub/mmproj.gguf", PROJECTOR)]);
    let script = "cat /data/tiny.gguf /data/sub/mmproj.gguf /data/beside";
    let id = engine.own(&["create", IMAGE, "sh", "-c", script]).success();
    let id = id.trim();
    let copied = engine.artishim_at(&engine.socket(), &["cp", &reference, &format!("{id}:/data")]);
    let started = engine.own(&["start", "--attach", id]);
    engine.own(&["rm", "--force", id]).success();
    copied.success();
    assert_eq!(started.success().as_bytes(), [MODEL, PROJECTOR, b"beside\n"].concat());
}

pub fn volume_of_somebody_else_is_not_touched(engine: &Engine) {
    let _running = use_daemons();
    let reference = artifacts::modelpack(&registry(), &[("tiny.gguf", MODEL)]);
    let name = format!("precious-{}", std::process::id());
    engine.own(&["volume", "create", &name]).success();
    let filled = engine.artishim(&["volume", &reference, &name]);
    let kept = engine.own(&["volume", "inspect", &name]);
    engine.own(&["volume", "rm", &name]).success();
    assert_eq!(filled.status, 125, "{filled:?}");
    assert!(filled.stderr.contains(&name) && filled.stderr.contains("not made by artishim"), "{filled:?}");
    kept.success();
}

pub fn filled_volume_needs_no_registry(engine: &Engine) {
    let _running = use_daemons();
    let (reference, served) = served_model(5_000);
    engine.artishim(&["volume", &reference]).success();
    drop(served);
    let value = mount(&reference, "/models/it");
    let run = ["run", "--rm", "--pull", "never", "--mount", &value, IMAGE, "sha256sum", "/models/it"];
    let seen = engine.artishim(&run).success();
    assert!(seen.starts_with(artishim::digest::Digest::sha256(&model(5_000)).hex()), "{seen}");
}

pub fn terminal_is_the_engines_own(engine: &Engine) {
    let _running = use_daemons();
    let reference = artifacts::modelpack(&registry(), &[("tiny.gguf", MODEL)]);
    let mount = mount(&reference, "/m");
    let run = engine.command(&["run", "--rm", "--tty", "--mount", &mount, IMAGE, "sh", "-c", "'test -t 1 && exit 9'"]);
    let words = std::iter::once(run.get_program()).chain(run.get_args()).map(|word| word.to_str().unwrap());
    // script(1) gives the line a terminal, which the container must find at its own end.
    let mut in_terminal = std::process::Command::new("script");
    in_terminal.args(["--quiet", "--return", "--command", &words.collect::<Vec<_>>().join(" "), "/dev/null"]);
    in_terminal.env_clear().envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let status = in_terminal.stdin(std::process::Stdio::null()).output().unwrap().status;
    assert_eq!(status.code(), Some(9));
}

pub fn status_and_output_are_the_engines_own(engine: &Engine) {
    let _running = use_daemons();
    let reference = artifacts::modelpack(&registry(), &[("tiny.gguf", MODEL)]);
    let ran = engine.run(&mount(&reference, "/m"), "echo out; echo err >&2; exit 7");
    assert_eq!((ran.status, ran.stdout.as_str()), (7, "out\n"), "{ran:?}");
    assert!(ran.stderr.contains("err\n"), "{ran:?}");
}

pub fn files_cannot_be_written(engine: &Engine) {
    let _running = use_daemons();
    let reference = artifacts::modelpack(&registry(), &[("tiny.gguf", MODEL)]);
    let ran = engine.run(&mount(&reference, "/m"), "echo x > /m");
    assert_ne!(ran.status, 0);
    assert!(ran.stderr.contains("Read-only file system"), "{ran:?}");
}

pub fn line_without_artifacts_is_untouched(engine: &Engine) {
    let _running = use_daemons();
    let ran = engine.artishim(&["run", "--rm", "-e", "A=b c", IMAGE, "sh", "-c", "echo \"$A\""]);
    assert_eq!(ran.success(), "b c\n");
}

pub fn plain_artifact_is_pulled_by_podman(engine: &Engine) {
    let _running = use_daemons();
    let reference = artifacts::modelpack(&registry(), &[("tiny.gguf", MODEL)]);
    engine.run(&mount(&reference, "/m"), "cat /m").success();
    engine.own(&["artifact", "inspect", &reference]).success();
    assert_eq!(size_below(&engine.store.path().join("store/blobs")), 0, "the model is stored twice");
}

pub fn untitled_artifact_is_pulled_by_us(engine: &Engine) {
    let _running = use_daemons();
    let reference = artifacts::untitled(&registry(), &[("tiny.gguf", MODEL), ("sub/other.gguf", PROJECTOR)]);
    let ran = engine.run(&mount(&reference, "/models"), "cat /models/tiny.gguf /models/sub/other.gguf");
    assert!(ran.stderr.lines().any(|line| line.contains(&reference)), "{ran:?}");
    assert_eq!(ran.success().as_bytes(), [MODEL, PROJECTOR].concat());
}

pub fn nothing_is_staged_for_a_volume(engine: &Engine) {
    let _running = use_daemons();
    let reference = artifacts::modelpack(&registry(), &[("a.gguf", &model(300_000)), ("b.gguf", PROJECTOR)]);
    engine.run(&mount(&reference, "/models"), "ls /models").success();
    let blobs = engine.store.path().join("store/blobs/sha256");
    let staged = size_below(&blobs) + size_below(&engine.store.path().join("store/ingest"));
    assert!(staged < 10_000, "{staged} bytes were staged in the store");
}

pub fn interrupted_fill_is_started_over(engine: &Engine) {
    let _running = own_daemons();
    let (reference, served) = served_model(8 * 1024 * 1024);
    served.fault(Fault::always("/blobs/", What::Slow(2 * 1024 * 1024)));
    let value = mount(&reference, "/models/it");
    let arguments = ["run", "--rm", "--mount", &value, IMAGE, "sha256sum", "/models/it"];
    let interrupted = engine.spawn(&arguments);
    std::thread::sleep(Duration::from_millis(2000));
    engine.testbed(&["stop", "--kill"]);
    let interrupted = outcome(interrupted);
    engine.testbed(&["start"]);
    served.clear_faults();
    assert_eq!(interrupted.status, 125, "{interrupted:?}");
    let seen = engine.artishim(&arguments).success();
    assert!(seen.starts_with(artishim::digest::Digest::sha256(&model(8 * 1024 * 1024)).hex()), "{seen}");
}

pub fn fill_that_is_asked_to_stop_leaves_nothing(engine: &Engine) {
    let _running = use_daemons();
    let (reference, served) = served_model(6 * 1024 * 1024);
    served.fault(Fault::always("/blobs/", What::Slow(2 * 1024 * 1024)));
    let name = format!("stopped-{}", std::process::id());
    let filling = engine.spawn(&["volume", &reference, &name]);
    std::thread::sleep(Duration::from_millis(1500));
    let is_filling = engine.own(&["ps", "--all", "--format", "{{.Names}}"]).success().contains(&name);
    std::process::Command::new("kill").arg(filling.id().to_string()).status().unwrap();
    let stopped = outcome(filling);
    assert!(is_filling && stopped.status == 130, "{stopped:?}");
    let containers = engine.own(&["ps", "--all", "--format", "{{.Names}}"]).success();
    let volumes = engine.own(&["volume", "ls", "--format", "{{.Name}}"]).success();
    assert!(!containers.contains(&name) && !volumes.contains(&name), "{containers}\n{volumes}");
}

/// Bytes that look like a model and differ everywhere.
pub fn model(length: usize) -> Vec<u8> {
    // Of this run alone: a volume that an earlier one filled would not be filled again.
    let mut state = std::process::id().wrapping_mul(u32::try_from(length).unwrap_or(1));
    let mut bytes = b"GGUF".to_vec();
    bytes.extend((4..length).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    }));
    bytes
}

/// A one-file artifact in a registry of our own, whose faults can be chosen.
pub fn served_model(length: usize) -> (String, Registry) {
    let served = Registry::start();
    let repository = artifacts::repository("served");
    served.push_manifest(&repository, "1", served_manifest(&served, length));
    (format!("{}/{repository}:1", served.host()), served)
}

/// Its manifest, to be pushed by the caller.
pub fn served_manifest(served: &Registry, length: usize) -> String {
    let layer = served.push_blob(model(length)).digest;
    let config = served.push_blob(*b"{}").digest;
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": "application/vnd.cncf.model.manifest.v1+json",
        "config": {"mediaType": "application/vnd.cncf.model.config.v1+json", "digest": config, "size": 2},
        "layers": [{
            "mediaType": "application/vnd.cncf.model.weight.v1.raw", "digest": layer, "size": length,
            "annotations": {"org.cncf.model.filepath": "m.gguf", "org.opencontainers.image.title": "m.gguf"},
        }],
    });
    manifest.to_string()
}

fn size_below(directory: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    let sizes = entries.map(|entry| {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() { size_below(&entry.path()) } else { metadata.len() }
    });
    sizes.sum()
}
