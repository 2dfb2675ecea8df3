//! Parts of artifacts: what is asked of the registry for them, and what their names stand for afterwards.

use std::fs;

use serde_json::{Value, json};

use crate::common::registry::{Fault, Registry, What, digest};
use crate::common::{Home, assert_sound, layer, modelpack, push};

const Q4: &[u8] = b"GGUF a small model";
const Q8: &[u8] = b"GGUF a model that is twice as large";
const MMPROJ: &[u8] = b"GGUF eyes";
const README: &[u8] = b"for people";

const QUANTS: [(&str, &[u8]); 4] =
    [("a-Q4_K_M.gguf", Q4), ("q8/a-Q8_0.gguf", Q8), ("mmproj-F16.gguf", MMPROJ), ("README.md", README)];

/// Which of [`QUANTS`] were asked for since the log was cleared.
fn asked(registry: &Registry) -> Vec<&'static str> {
    let requests = registry.requests();
    let is_asked = |content: &[u8]| requests.iter().any(|request| request.path.ends_with(&digest(content)));
    let asked = QUANTS.iter().filter(|(_, content)| is_asked(content)).map(|(name, _)| *name).collect();
    registry.clear_requests();
    asked
}

fn quants(registry: &Registry) -> String {
    modelpack(registry, "acme/quants", &QUANTS)
}

/// The only line of `ls`.
fn listed(home: &Home) -> Value {
    let lines: Value = serde_json::from_str(&home.artishim(&["ls", "--format", "json"]).success()).unwrap();
    assert_eq!(lines.as_array().unwrap().len(), 1, "{lines}");
    lines[0].clone()
}

fn snapshots(home: &Home) -> usize {
    fs::read_dir(home.store().join("snapshots")).unwrap().count()
}

#[test]
fn a_part_is_pulled_and_remembered_until_the_rest_is_pulled() {
    let (home, registry) = (Home::new(), Registry::start());
    let reference = quants(&registry);
    home.artishim(&["pull", "--include", "*Q4_K_M*", &reference]).success();
    assert_eq!(asked(&registry), ["a-Q4_K_M.gguf"]);
    assert_sound(&home.store());

    let entry = home.artishim(&["path", &reference]).success();
    assert_eq!(fs::read(entry.trim_end()).unwrap(), Q4);
    home.artishim(&["pull", "--pull", "missing", "--include", "*Q4_K_M*", &reference]).success();
    assert!(registry.requests().is_empty(), "all that is wanted is here");
    assert_eq!(listed(&home)["Size"], Q4.len());
    assert_eq!(listed(&home)["Selection"], json!({"include": ["*Q4_K_M*"]}));
    assert!(home.artishim(&["ls"]).success().contains(" (part)"));
    fs::create_dir(home.path("files")).unwrap();
    home.artishim(&["extract", &reference, home.path("files").to_str().unwrap()]).success();
    assert_eq!(fs::read_dir(home.path("files")).unwrap().count(), 1);

    home.artishim(&["pull", &reference]).success();
    assert_eq!(asked(&registry), ["q8/a-Q8_0.gguf", "mmproj-F16.gguf", "README.md"]);
    assert_eq!(listed(&home).get("Selection"), None);
    let error = home.artishim(&["path", "--pull", "never", &reference]).failure();
    assert_eq!(
        error,
        "the artifact does not say which file is the model, name one of: \"a-Q4_K_M.gguf\", \"q8/a-Q8_0.gguf\" \
         (--entry PATH chooses one)"
    );
    let entry = home.artishim(&["path", "--pull", "never", "--entry", "a-Q8_0.gguf", &reference]).success();
    assert!(entry.ends_with("/q8/a-Q8_0.gguf\n"), "{entry}");
    assert_eq!(fs::read(entry.trim_end()).unwrap(), Q8);
}

#[test]
fn another_part_takes_the_place_of_the_first() {
    let (home, registry) = (Home::new(), Registry::start());
    let reference = quants(&registry);
    home.artishim(&["pull", "--include", "*Q4*", "--include", "README.md", &reference]).success();
    home.artishim(&["path", &reference]).success();
    registry.clear_requests();
    home.artishim(&["pull", "--exclude", "*Q4*", &reference]).success();
    assert_eq!(asked(&registry), ["q8/a-Q8_0.gguf", "mmproj-F16.gguf"]);
    let answer = home.artishim(&["path", "--pull", "never", "--json", &reference]).success();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["entry"], "q8/a-Q8_0.gguf");
    let snapshot = fs::read_dir(answer["snapshot"].as_str().unwrap()).unwrap();
    assert_eq!(snapshot.count(), 3, "README.md, mmproj-F16.gguf and q8");
    assert_ne!(
        answer["snapshot"].as_str().unwrap().rsplit('-').next(),
        answer["digest"].as_str().unwrap().split(':').next_back()
    );
}

#[test]
fn the_snapshot_of_a_part_goes_with_its_artifact() {
    let (home, registry) = (Home::new(), Registry::start());
    let (first, second) = (quants(&registry), modelpack(&registry, "acme/other", &[("other.gguf", b"GGUF other")]));
    let sweep = || {
        home.artishim(&["pull", &second]).success();
        home.artishim(&["rm", &second]).success();
    };
    home.artishim(&["pull", &first]).success();
    let entry = home.artishim(&["path", "--include", "*Q4*", &first]).success();
    sweep();
    assert!(fs::exists(entry.trim_end()).unwrap(), "no name stands for the part, and a container may use it");
    home.artishim(&["pull", "--include", "*Q8*", &first]).success();
    sweep();
    assert!(fs::exists(entry.trim_end()).unwrap());
    home.artishim(&["rm", &first]).success();
    assert_eq!(snapshots(&home), 0);
    assert_eq!(fs::read_dir(home.store().join("blobs/sha256")).unwrap().count(), 0);
}

#[test]
fn what_a_server_needs_is_told_by_names_before_anything_is_pulled() {
    let (home, registry) = (Home::new(), Registry::start());
    let reference = quants(&registry);
    let error = home.artishim(&["pull", "--entry-only", &reference]).failure();
    assert!(error.ends_with("\"a-Q4_K_M.gguf\", \"q8/a-Q8_0.gguf\" (--entry PATH chooses one)"), "{error}");
    assert_eq!(asked(&registry), Vec::<&str>::new());
    home.artishim(&["pull", "--entry-only", "--entry", "q8/a-Q8_0.gguf", &reference]).success();
    assert_eq!(asked(&registry), ["q8/a-Q8_0.gguf", "mmproj-F16.gguf"]);
    let answer: Value = serde_json::from_str(&home.artishim(&["path", "--json", &reference]).success()).unwrap();
    assert_eq!([&answer["entry"], &answer["mmproj"]], ["q8/a-Q8_0.gguf", "mmproj-F16.gguf"]);
    // Also by the command that needs the entry, and only what is not here.
    registry.clear_requests();
    home.artishim(&["path", "--entry-only", "--include", "*Q4*", &reference]).success();
    assert_eq!(asked(&registry), ["a-Q4_K_M.gguf"]);
}

#[test]
fn a_blob_whose_name_tells_nothing_is_looked_into() {
    let (home, registry) = (Home::new(), Registry::start());
    let (model, notes) = ([b"GGUF".as_slice(), &[7; 50_000]].concat(), [b'n'; 100_000]);
    let reference = modelpack(&registry, "acme/bare", &[("model", &model), ("notes", &notes)]);
    home.artishim(&["pull", "--entry-only", &reference]).success();
    let of_notes = registry.sent(&digest(&notes));
    assert!((8..100_000).contains(&of_notes), "{of_notes}");
    assert_eq!(listed(&home)["Size"], model.len());
    // What is known by then needs no registry.
    registry.fault(Fault::always("/v2/", What::Close));
    let entry = home.artishim(&["path", "--pull", "never", &reference]).success();
    assert!(entry.ends_with("/model\n"), "{entry}");
}

#[test]
fn a_path_in_a_part_leaves_alone_what_is_here_whole() {
    let (home, registry) = (Home::new(), Registry::start());
    let reference = quants(&registry);
    home.artishim(&["pull", &reference]).success();
    registry.clear_requests();
    let entry = home.artishim(&["path", "--include", "*Q4*", &reference]).success();
    assert!(entry.ends_with("/a-Q4_K_M.gguf\n"), "{entry}");
    assert!(registry.requests().is_empty());
    assert_eq!(listed(&home).get("Selection"), None);
}

#[test]
fn a_part_follows_its_tag() {
    let (home, registry) = (Home::new(), Registry::start());
    let reference = quants(&registry);
    home.artishim(&["pull", "--include", "*Q4*", &reference]).success();
    modelpack(&registry, "acme/quants", &[("b-Q4_0.gguf", b"GGUF new"), ("b-Q8_0.gguf", b"GGUF new and large")]);
    let entry = home.artishim(&["path", "--pull", "always", &reference]).success();
    assert!(entry.ends_with("/b-Q4_0.gguf\n"), "{entry}");
    assert_eq!(listed(&home)["Selection"], json!({"include": ["*Q4*"]}));
}

#[test]
fn progress_counts_what_is_wanted_only() {
    let (home, registry) = (Home::new(), Registry::start());
    let reference = quants(&registry);
    let pulled = home.artishim(&["--progress", "json", "pull", "--include", "*.gguf", "--exclude", "*Q8*", &reference]);
    let planned = pulled.stderr.lines().find(|line| line.contains("\"planned\"")).unwrap();
    let planned: Value = serde_json::from_str(planned).unwrap();
    assert_eq!((&planned["blobs"], &planned["bytes"]), (&json!(2), &json!(Q4.len() + MMPROJ.len())));
}

#[test]
fn what_cannot_be_pulled_in_part_is_told_in_one_line() {
    let (home, registry) = (Home::new(), Registry::start());
    let reference = quants(&registry);
    let tar = layer(
        &registry,
        "application/vnd.oci.image.layer.v1.tar+gzip",
        b"any bytes",
        &json!({"org.opencontainers.image.title": "data", "io.deis.oras.content.unpack": "true"}),
    );
    let packed = push(&registry, "acme/packed", &json!({"schemaVersion": 2, "layers": [tar]}));
    let cases: [(&[&str], &str); 5] = [
        (
            &["--include", "*.onnx", &reference],
            "QUANTS: none of the artifact's files is selected, there are: \"a-Q4_K_M.gguf\", \"q8/a-Q8_0.gguf\", \
             \"mmproj-F16.gguf\", \"README.md\" (name some of them with --include, or pull all of it without options)",
        ),
        (&["--include", "a[", &reference], "pattern \"a[\" is refused: unclosed character class; missing ']'"),
        (
            &["--entry", "a-Q4_K_M.gguf", &reference],
            "--entry goes with --entry-only; `artishim path --entry` chooses among what is here",
        ),
        (
            &["--entry-only", "--entry", "b.gguf", &reference],
            "QUANTS: the artifact has no file \"b.gguf\" to start a server with, name one of: \"a-Q4_K_M.gguf\", \
             \"q8/a-Q8_0.gguf\"",
        ),
        (
            &["--entry-only", &packed],
            "PACKED: the files are packed in archives, so what a server needs of them is not known before all are pulled \
             (leave --entry-only out)",
        ),
    ];
    for (arguments, expected) in cases {
        let arguments: Vec<&str> = ["pull", "--quiet"].iter().chain(arguments).copied().collect();
        let expected = expected.replace("QUANTS", &reference).replace("PACKED", &packed);
        assert_eq!(home.artishim(&arguments).failure(), expected, "{arguments:?}");
    }
    assert_eq!(home.artishim(&["ls", "--noheading"]).success(), "");
}
