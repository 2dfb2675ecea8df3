//! Indexes that lead nowhere, too deep, to several places, or to something else than they say.

use super::artifact::Artifact;
use super::bytes::{digest, entry, image_config, index, manifest};
use super::fixture::{Hostile, Stage};
use super::index::index_entry;
use super::modelpack::{CONFIG, PATH, RAW, TYPE};

const MODEL: &str = r#","artifactType":"application/vnd.cncf.model.manifest.v1+json""#;
const KIT: &str = r#","artifactType":"application/vnd.kitops.modelkit.manifest.v1+json""#;

pub fn refused() -> Vec<Hostile> {
    vec![
        too_deep(),
        itself(),
        refused_index("index-empty", "no child that could be a model", &index(&[])),
        refused_index("index-no-list", "cannot be read", r#"{"schemaVersion":2,"manifests":{"0":{}}}"#),
        attestations_only(),
        several(),
        several_kits(),
        ten_thousand(),
        escapes(),
        wrong_bytes(),
        wrong_size(),
        refused_index("index-child-absent", "404", &index(&[&absent_entry()])),
        refused_index(
            "index-child-digest-is-a-path",
            "is not lower-case hex",
            &index(&[r#"{"digest":"sha256:../../../../tmp/artishim-evil","size":1}"#]),
        ),
        refused_index(
            "index-child-of-negative-size",
            "cannot be read",
            &index(&[&format!(r#"{{"digest":"{}","size":-1}}"#, digest(b"x"))]),
        ),
    ]
}

fn refused_index(name: &'static str, words: &str, json: &str) -> Hostile {
    Hostile::with(name, Stage::Plan, words, Artifact::default().manifest(json))
}

fn model() -> Artifact {
    Artifact::default()
        .blob("config", "{}")
        .blob("layer", "GGUF m")
        .child("model", manifest(TYPE, CONFIG, &[(RAW, "layer", &[(PATH, "m.gguf")])]))
}

fn absent_entry() -> String {
    format!(r#"{{"mediaType":"{}","digest":"{}","size":100}}"#, super::artifact::OCI, digest(b"nowhere"))
}

fn too_deep() -> Hostile {
    let artifact = ["fourth", "third", "second", "first"].iter().zip(["model", "fourth", "third", "second"]);
    let artifact =
        artifact.fold(model(), |artifact, (name, child)| artifact.child(name, index(&[&index_entry(child)])));
    Hostile::with(
        "index-too-deep",
        Stage::Plan,
        "indexes are nested more than 4 deep",
        artifact.manifest(index(&[&index_entry("first")])),
    )
}

/// No index can hold its own digest, but a registry can serve one for it.
fn itself() -> Hostile {
    let claimed = digest(b"the index itself");
    let json = index(&[&format!(
        r#"{{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"{claimed}","size":200}}"#
    )]);
    let artifact = Artifact::default().child_as(&claimed, json.clone()).manifest(json);
    Hostile::with("index-of-itself", Stage::Plan, "has the wrong content", artifact).says(&claimed)
}

fn attestations_only() -> Hostile {
    let more = r#","platform":{"os":"unknown","architecture":"unknown"},"annotations":{"vnd.docker.reference.type":"attestation-manifest"}"#;
    let artifact = Artifact::default()
        .blob("config", image_config(&[]))
        .blob("layer", "{}")
        .child(
            "it",
            manifest("", "application/vnd.oci.image.config.v1+json", &[("application/vnd.in-toto+json", "layer", &[])]),
        )
        .manifest(index(&[&entry("it", more)]));
    Hostile::with("index-of-attestations", Stage::Plan, "no child that could be a model", artifact)
}

fn two_models() -> Artifact {
    model().blob("other", "GGUF other").child("second", manifest(TYPE, CONFIG, &[(RAW, "other", &[(PATH, "m.gguf")])]))
}

fn several() -> Hostile {
    let named = |name: &str| format!(r#"{MODEL},"annotations":{{"org.opencontainers.image.ref.name":"{name}"}}"#);
    let json = index(&[&entry("model", &named("q4")), &entry("second", &named("q8"))]);
    Hostile::with("index-of-two-models", Stage::Plan, "the index has 2 children", two_models().manifest(json))
        .says("@model application/vnd.cncf.model.manifest.v1+json q4")
        .says("@second application/vnd.cncf.model.manifest.v1+json q8")
        .says("@DIGEST")
}

/// KitOps tells its children apart by a field of its own: section 1.
fn several_kits() -> Hostile {
    let tagged = |tag: &str| format!(r#"{KIT},"modelMetadata":{{"tags":["{tag}"]}}"#);
    let json = index(&[&entry("model", &tagged("q4")), &entry("second", &tagged("q8"))]);
    Hostile::with("index-of-two-modelkits", Stage::Plan, "the index has 2 children", two_models().manifest(json))
        .says("q4")
        .says("q8")
}

/// More children than a person reads.
fn ten_thousand() -> Hostile {
    let entries: Vec<String> = (0..10_000u32)
        .map(|number| {
            format!(
                r#"{{"mediaType":"{}","digest":"{}","size":1}}"#,
                super::artifact::OCI,
                digest(&number.to_be_bytes())
            )
        })
        .collect();
    let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
    refused_index("index-of-ten-thousand", "the index has 10000 children", &index(&entries))
}

fn escapes() -> Hostile {
    let evil = r#","artifactType":"application/vnd.cncf.model.\u001b]0;evil\u0007","platform":{"os":"\u001b[2J","architecture":"\u202e"}"#;
    let json = index(&[&entry("model", evil), &entry("second", evil)]);
    Hostile::with("index-of-escapes", Stage::Plan, "the index has 2 children", two_models().manifest(json))
}

fn wrong_bytes() -> Hostile {
    let claimed = digest(b"a good manifest");
    let json = index(&[&format!(r#"{{"mediaType":"{}","digest":"{claimed}","size":200}}"#, super::artifact::OCI)]);
    let child = manifest(TYPE, CONFIG, &[(RAW, "layer", &[(PATH, "m.gguf")])]);
    let artifact =
        Artifact::default().blob("config", "{}").blob("layer", "GGUF").child_as(&claimed, child).manifest(json);
    Hostile::with("index-child-of-other-bytes", Stage::Plan, "has the wrong content", artifact).says(&claimed)
}

/// Section 6: a size is checked before and while reading.
fn wrong_size() -> Hostile {
    let json = index(&[&format!(r#"{{"mediaType":"{}","digest":"DIGEST","size":7}}"#, super::artifact::OCI)]);
    let json = json.replace("DIGEST", &model().digest_of("model"));
    Hostile::with("index-child-of-another-size", Stage::Plan, "@model", model().manifest(json))
}
