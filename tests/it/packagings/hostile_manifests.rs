//! Manifests that lie about themselves: two readings, digests that are paths, sizes that cannot be, and depth.

use super::artifact::Artifact;
use super::bytes::{digest, manifest, sha512};
use super::fixture::{Hostile, Stage};
use super::modelpack::{CONFIG, PATH, RAW, TYPE};

pub fn refused() -> Vec<Hostile> {
    [shapes(), digests(), sizes(), configs()].into_iter().flatten().collect()
}

fn whole(name: &'static str, words: &str, json: impl Into<Vec<u8>>) -> Hostile {
    let artifact = Artifact::default().blob("config", "{}").blob("layer", "GGUF").manifest(json);
    Hostile::with(name, Stage::Plan, words, artifact)
}

/// A ModelPack with this for a layer's digest and size.
fn layer(name: &'static str, words: &str, described: &str) -> Hostile {
    let json = format!(
        r#"{{"schemaVersion":2,"artifactType":"{TYPE}","config":{{"mediaType":"{CONFIG}","digest":"@config"}},"layers":[{{"mediaType":"{RAW}",{described},"annotations":{{"{PATH}":"m.gguf"}}}}]}}"#
    );
    whole(name, words, json)
}

fn shapes() -> Vec<Hostile> {
    let one = r#"{"mediaType":"application/octet-stream","digest":"@layer"}"#;
    let deep = |count: usize| format!("{}{}", "[".repeat(count), "]".repeat(count));
    let large =
        format!(r#"{{"schemaVersion":2,"layers":[{one}],"annotations":{{"a":"{}"}}}}"#, "a".repeat(5 * 1024 * 1024));
    vec![
        whole(
            "layers-and-manifests",
            "has both layers and manifests and could be read in two ways",
            format!(r#"{{"schemaVersion":2,"layers":[{one}],"manifests":[{one}]}}"#),
        ),
        whole(
            "layers-and-no-manifests",
            "has both layers and manifests and could be read in two ways",
            format!(r#"{{"schemaVersion":2,"layers":[{one}],"manifests":[]}}"#),
        ),
        whole(
            "layers-and-blobs",
            "duplicate field",
            format!(r#"{{"schemaVersion":2,"layers":[{one}],"blobs":[{one}]}}"#),
        ),
        whole("layers-twice", "duplicate field", format!(r#"{{"schemaVersion":2,"layers":[],"layers":[{one}]}}"#)),
        whole("manifest-no-json", "cannot be read", "<html>\u{1b}[2Jnot here</html>"),
        whole("manifest-empty", "cannot be read", ""),
        whole("manifest-null", "cannot be read", "null"),
        whole("manifest-number", "cannot be read", "1e999"),
        whole("manifest-not-utf8", "cannot be read", b"{\"schemaVersion\":2,\"layers\":\"\xff\xfe\"}".to_vec()),
        whole("manifest-nul", "cannot be read", "{\"schemaVersion\":2,\0\"layers\":[]}"),
        whole("manifest-cut", "cannot be read", r#"{"schemaVersion":2,"layers":[{"mediaType":"applic"#),
        whole("manifest-too-large", "larger than 4194304 bytes", large),
        whole("manifest-too-deep", "cannot be read", format!(r#"{{"schemaVersion":2,"layers":{}}}"#, deep(500_000))),
        whole(
            "annotations-too-deep",
            "cannot be read",
            format!(r#"{{"schemaVersion":2,"layers":[{one}],"annotations":{{"a":{}}}}}"#, deep(100_000)),
        ),
        whole("layers-no-list", "cannot be read", r#"{"schemaVersion":2,"layers":{"0":1}}"#),
        whole(
            "annotation-no-text",
            "cannot be read",
            format!(
                r#"{{"schemaVersion":2,"layers":[{}]}}"#,
                one.replace('}', r#","annotations":{"org.opencontainers.image.title":["a"]}}"#)
            ),
        ),
    ]
}

fn digests() -> Vec<Hostile> {
    let hex = digest(b"GGUF").trim_start_matches("sha256:").to_owned();
    let with = |digest: &str| format!(r#""digest":"{digest}","size":4"#);
    let config = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"{CONFIG}","digest":"sha256:../../../../evil","size":2}},"layers":[]}}"#
    );
    vec![
        // ollama/ollama CVE-2024-37032 and CVE-2026-7020.
        layer(
            "digest-is-a-path",
            "is not lower-case hex of the right length",
            &with("sha256:../../../../../../../../../../tmp/artishim-evil"),
        ),
        layer("digest-is-an-absolute-path", "is neither sha256 nor sha512", &with("/tmp/artishim-evil")),
        layer(
            "digest-path-of-right-length",
            "is not lower-case hex",
            &with(&format!("sha256:{:/<64}", "../../../../evil")),
        ),
        layer("digest-algorithm-is-a-path", "is neither sha256 nor sha512", &with(&format!("../../evil:{hex}"))),
        layer("digest-upper-case", "is not lower-case hex", &with(&format!("sha256:{}", hex.to_uppercase()))),
        layer("digest-too-short", "is not lower-case hex", &with("sha256:abcdef")),
        layer("digest-too-long", "is not lower-case hex", &with(&format!("sha256:{hex}00"))),
        layer("digest-of-sha512-length", "is not lower-case hex", &with(&format!("sha256:{}", &sha512(b"x")[7..]))),
        layer("digest-md5", "is neither sha256 nor sha512", &with("md5:d41d8cd98f00b204e9800998ecf8427e")),
        layer("digest-blake3", "is neither sha256 nor sha512", &with(&format!("blake3:{hex}"))),
        layer("digest-with-nul", "is not lower-case hex", &with(&format!("sha256:{}\\u0000", &hex[1..]))),
        layer("digest-with-escape", "is neither sha256 nor sha512", &with("\\u001b[2J:\\u202e")),
        layer("digest-empty", "is neither sha256 nor sha512", &with("")),
        layer("digest-missing", "missing field `digest`", r#""size":4"#),
        layer("digest-a-number", "cannot be read", r#""digest":4,"size":4"#),
        whole("config-digest-is-a-path", "is not lower-case hex", config),
    ]
}

fn sizes() -> Vec<Hostile> {
    let with = |size: &str| format!(r#""digest":"{}","size":{size}"#, digest(b"GGUF"));
    let two = format!(
        r#"{{"schemaVersion":2,"artifactType":"{TYPE}","layers":[{{"mediaType":"{RAW}",{},"annotations":{{"{PATH}":"a"}}}},{{"mediaType":"{RAW}",{},"annotations":{{"{PATH}":"b"}}}}]}}"#,
        with("18446744073709551615"),
        with("18446744073709551615").replace(&digest(b"GGUF"), &digest(b"other"))
    );
    vec![
        layer("size-negative", "cannot be read", &with("-1")),
        layer("size-fraction", "cannot be read", &with("4.5")),
        layer("size-text", "cannot be read", &with("\"4\"")),
        layer("size-beyond-64-bits", "cannot be read", &with("18446744073709551616")),
        layer("size-missing", "missing field `size`", &format!(r#""digest":"{}""#, digest(b"GGUF"))),
        layer("size-of-everything", "are said to have more than 2^63 bytes", &with("18446744073709551615")),
        layer("size-of-an-exabyte", "no space left", &with("1152921504606846976")),
        whole("sizes-that-overflow", "are said to have more than 2^63 bytes", two),
    ]
}

fn configs() -> Vec<Hostile> {
    let raw = |config: &str| manifest(TYPE, config, &[(RAW, "layer", &[(PATH, "m.gguf")])]);
    let huge = Artifact::default().blob("config", " ".repeat(4 * 1024 * 1024 + 1)).blob("layer", "GGUF");
    let lying = Artifact::default().blob_of_size("config", 1 << 40, "{}").blob("layer", "GGUF");
    let wrong = Artifact::default().blob_as("config", &digest(b"other"), "{}").blob("layer", "GGUF");
    let short = Artifact::default().blob_of_size("config", 3, "{}").blob("layer", "GGUF");
    let absent = Artifact::default().absent("config", r#"{"nowhere":1}"#).blob("layer", "GGUF");
    let refused =
        |name, words, artifact: Artifact| Hostile::with(name, Stage::Plan, words, artifact.manifest(raw(CONFIG)));
    vec![
        refused("config-too-large", "is larger than 4194304 bytes", huge),
        refused("config-size-of-a-terabyte", "is larger than 4194304 bytes", lying),
        refused("config-of-other-bytes", "wrong content", wrong),
        refused("config-of-another-size", "@config", short),
        refused("config-absent", "404", absent),
    ]
}
