//! Names that would leave the snapshot, harm a terminal, or meet each other: refused before the first byte.

use super::artifact::Artifact;
use super::bytes::{Layer, manifest};
use super::fixture::{Hostile, Stage};
use super::modelpack::{CONFIG, METADATA, PATH, RAW, TITLE, TYPE};

pub fn refused() -> Vec<Hostile> {
    [by_title(), by_other_names(), collisions()].into_iter().flatten().collect()
}

fn titled(name: &'static str, words: &str, title: &str) -> Hostile {
    let layers: [Layer<'_>; 1] = [("application/octet-stream", "layer", &[(TITLE, title)])];
    let artifact = Artifact::default().blob("config", "{}").blob("layer", "GGUF evil").manifest(manifest(
        "application/vnd.unknown.artifact.v1",
        "application/vnd.oci.empty.v1+json",
        &layers,
    ));
    Hostile::with(name, Stage::Plan, words, artifact)
}

fn by_title() -> Vec<Hostile> {
    let long = "x".repeat(256);
    let deep = "d/".repeat(2000) + "f";
    let megabytes = "m".repeat(3 * 1024 * 1024);
    vec![
        titled("title-absolute", "\"/tmp/artishim-evil\" is refused: it is absolute", "/tmp/artishim-evil"),
        titled("title-twice-absolute", "is absolute", "//tmp/artishim-evil"),
        titled("title-absolute-behind-dots", "is absolute", "..//tmp/artishim-evil"),
        titled("title-up-in-the-middle", "\"a/../../../evil\" is refused: it has a `..` component", "a/../../../evil"),
        titled("title-up-behind-strip", "has a `..` component", "../../a/../../../../evil"),
        titled("title-up-only", "has a `..` component", ".."),
        titled("title-up-at-the-end", "has a `..` component", "a/.."),
        titled("title-dot-in-the-middle", "has a `.` component", "a/./evil"),
        titled("title-dots-then-up", "is refused", ".././../evil"),
        titled("title-empty-component", "has an empty component", "a//evil"),
        titled("title-slash", "is refused", "/"),
        titled("title-strip-to-nothing", "is empty", "../../"),
        titled("title-backslash", "has a backslash", "..\\..\\evil"),
        titled("title-drive", "starts with a drive letter", "C:evil"),
        titled("title-drive-slash", "starts with a drive letter", "c:/evil"),
        titled("title-nul", "\"evil\\0.gguf\" is refused: it has a control character", "evil\0.gguf"),
        titled("title-newline", "has a control character", "a\nError: all is well"),
        titled("title-escape", "has a control character", "a\u{1b}[2J\u{1b}]0;evil\u{7}"),
        titled("title-c1", "has a control character", "a\u{9b}2Jb"),
        titled("title-delete", "has a control character", "a\u{7f}b"),
        titled("title-carriage-return", "has a control character", "a\rb"),
        titled("title-long-component", "has a component of more than 255 bytes", &long),
        titled("title-long-path", "is too long", &deep),
        titled("title-of-megabytes", "is too long", &megabytes),
        titled("title-is-our-marker", "collide", ".artishim.json"),
        titled("title-is-our-marker-in-capitals", "collide", ".ARTISHIM.json"),
        titled("title-below-our-marker", "collide", ".artishim.json/evil"),
    ]
}

/// The same rules, whatever the name comes from.
fn by_other_names() -> Vec<Hostile> {
    let packed = |name, kind, config, annotations: &[(&str, &str)], artifact_type| {
        let artifact = Artifact::default().blob("config", "{}").blob("layer", "GGUF evil");
        Hostile::with(
            name,
            Stage::Plan,
            "is refused",
            artifact.manifest(manifest(artifact_type, config, &[(kind, "layer", annotations)])),
        )
    };
    let raw = |name, annotations: &[(&str, &str)]| packed(name, RAW, CONFIG, annotations, TYPE);
    let (go, docker) = (r#"{"name":"../a/../../evil"}"#, "application/vnd.docker.ai.model.config.v0.2+json");
    let json = r#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.docker.container.image.v1+json","digest":"@config"},"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"@layer"},{"mediaType":"application/vnd.ollama.image.json","digest":"@layer","name":"a/../../../evil"}]}"#;
    let kind = json.replace(
        r#"image.json","digest":"@layer","name":"a/../../../evil""#,
        r#"image.a/../../evil","digest":"@layer""#,
    );
    let ollama = |name, json: &str| {
        Hostile::with(
            name,
            Stage::Plan,
            "is refused",
            Artifact::default().blob("config", "{}").blob("layer", "GGUF").manifest(json),
        )
    };
    vec![
        raw("filepath-up", &[(PATH, "a/../../evil")]),
        raw("filepath-absolute", &[(PATH, "/tmp/artishim-evil"), (TITLE, "good")]),
        raw("old-filepath-up", &[("org.cnai.model.filepath", "a/../../evil")]),
        raw("metadata-up", &[(METADATA, go)]),
        raw("metadata-nul", &[(METADATA, r#"{"name":"a\u0000b"}"#)]),
        packed("docker-filepath-up", "application/vnd.docker.ai.gguf.v3", docker, &[(PATH, "a/../../evil")], ""),
        packed("tar-title-up", "application/vnd.cncf.model.weight.v1.tar", CONFIG, &[(TITLE, "a/../../evil")], TYPE),
        ollama("ollama-json-name-up", json),
        ollama("ollama-kind-is-a-path", &kind),
    ]
}

/// Two files of unequal content with these paths.
fn pair(name: &'static str, [one, other]: [&str; 2], words: &str) -> Hostile {
    let artifact = Artifact::default().blob("config", "{}").blob("one", "GGUF one").blob("other", "GGUF other");
    let layers: [Layer<'_>; 2] = [(RAW, "one", &[(PATH, one)]), (RAW, "other", &[(PATH, other)])];
    Hostile::with(name, Stage::Plan, words, artifact.manifest(manifest(TYPE, CONFIG, &layers)))
}

fn collisions() -> Vec<Hostile> {
    vec![
        pair("same-path-twice", ["m.gguf", "m.gguf"], r#"paths "m.gguf" and "m.gguf" collide"#),
        pair("same-path-after-strip", ["m.gguf", "../m.gguf"], r#"paths "m.gguf" and "m.gguf" collide"#),
        pair("same-path-by-case", ["m.gguf", "M.GGUF"], r#"paths "M.GGUF" and "m.gguf" collide"#),
        pair("same-path-by-case-of-umlauts", ["\u{e4}.gguf", "\u{c4}.gguf"], "collide"),
        pair("same-folder-by-case", ["d/one", "D/other"], r#"paths "D/other" and "d" collide"#),
        pair("file-then-folder", ["a", "a/b"], r#"paths "a/b" and "a" collide"#),
        pair("folder-then-file", ["a/b", "a"], r#"paths "a" and "a" collide"#),
        pair("file-then-folder-by-case", ["a", "A/b"], r#"paths "A/b" and "a" collide"#),
    ]
}
