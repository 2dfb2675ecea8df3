//! AIKit's archives, whose annotations are half paths and half words of its own.

use super::bytes::{In, Layer, gguf, gzip, manifest, safetensors, tar, zstd};
use super::fixture::Fixture;
use super::modelpack::{CONFIG, METADATA, PATH, TITLE, TYPE};

const MODELPACK: &str = "kaito-project/aikit pkg/packager/scripts/modelpack.sh";
const GENERIC: &str = "kaito-project/aikit pkg/packager/scripts/generic.sh";

pub fn fixtures() -> Vec<Fixture> {
    vec![
        archives("aikit-tar", ".tar", <[u8]>::to_vec),
        archives("aikit-tar-gzip", ".tar+gzip", gzip),
        archives("aikit-tar-zstd", ".tar+zstd", zstd),
        raw(),
        generic("aikit-generic-tar", "allfiles.tar", <[u8]>::to_vec),
        generic("aikit-generic-gzip", "allfiles.tar.gz", gzip),
        generic("aikit-generic-zstd", "allfiles.tar.zst", zstd),
        generic_raw(),
    ]
}

/// Weights are packed one by one from their own folder, the others in bundles that are annotated with a word.
fn archives(name: &'static str, codec: &str, pack: fn(&[u8]) -> Vec<u8>) -> Fixture {
    let weights = safetensors("unet");
    let kind = |kind: &str| format!("application/vnd.cncf.model.{kind}.v1{codec}");
    let (weight, settings, doc) = (kind("weight"), kind("weight.config"), kind("doc"));
    let of_weight = format!(
        r#"{{"name":"unet/model.safetensors","mode":420,"uid":0,"gid":0,"size":{},"mtime":"1970-01-01T00:00:00Z","typeflag":0}}"#,
        weights.len()
    );
    let of_bundle = r#"{"name":"config","mode":420,"uid":0,"gid":0,"size":9,"mtime":"1970-01-01T00:00:00Z","typeflag":0,"files":2}"#;
    let bundle =
        tar(&[In::File("model_index.json", b"{\"a\":1}"), In::File("unet/config.json", b"{}"), In::Folder("./")]);
    Fixture::new(name, "ModelPack", MODELPACK)
        .blob("config", "{}")
        .blob("weights", pack(&tar(&[In::File("model.safetensors", &weights)])))
        .blob("bundle", pack(&bundle))
        .blob("docs", pack(&tar(&[In::File("README.md", b"# A"), In::File("LICENSE", b"MIT")])))
        .manifest(manifest(
            TYPE,
            CONFIG,
            &[
                (
                    &weight,
                    "weights",
                    &[(TITLE, "unet/model.safetensors"), (PATH, "unet/model.safetensors"), (METADATA, &of_weight)],
                ),
                (&settings, "bundle", &[(TITLE, "config"), (PATH, "config"), (METADATA, of_bundle)]),
                (&doc, "docs", &[(TITLE, "docs"), (PATH, "docs")]),
            ],
        ))
        .files(&[("unet/model.safetensors", &weights), ("unet/config.json", b"{}"), ("model_index.json", b"{\"a\":1}")])
        .files(&[("README.md", b"# A"), ("LICENSE", b"MIT")])
        .entry(".")
}

fn raw() -> Fixture {
    let metadata =
        r#"{"name":"sub/m.gguf","mode":420,"uid":0,"gid":0,"size":50,"mtime":"1970-01-01T00:00:00Z","typeflag":0}"#;
    let layer: Layer<'_> = (
        "application/vnd.cncf.model.weight.v1.raw",
        "model",
        &[(TITLE, "sub/m.gguf"), (PATH, "sub/m.gguf"), (METADATA, metadata)],
    );
    Fixture::new("aikit-raw", "ModelPack", MODELPACK)
        .blob("config", "{}")
        .raw("model", "sub/m.gguf", gguf("m"))
        .manifest(manifest(TYPE, CONFIG, &[layer]))
        .entry("sub/m.gguf")
}

/// One archive of everything under the type of a plain tar, and only its title says that it is compressed.
fn generic(name: &'static str, title: &'static str, pack: fn(&[u8]) -> Vec<u8>) -> Fixture {
    let all = pack(&tar(&[In::File("a/m.gguf", &gguf("m")), In::File("README.md", b"# A")]));
    // Section 2.2 unpacks `tar+gzip` of a title like this; a plain tar's type means any file.
    Fixture::new(name, "ORAS", GENERIC).blob("config", "{}").raw("all", title, all).manifest(manifest(
        "application/vnd.unknown.artifact.v1",
        "application/vnd.oci.empty.v1+json",
        &[("application/vnd.oci.image.layer.v1.tar", "all", &[(TITLE, title)])],
    ))
}

fn generic_raw() -> Fixture {
    Fixture::new("aikit-generic-raw", "ORAS", GENERIC)
        .blob("config", "{}")
        .raw("model", "a/m.gguf", gguf("m"))
        .manifest(manifest(
            "application/vnd.unknown.artifact.v1",
            "application/vnd.oci.empty.v1+json",
            &[("application/octet-stream", "model", &[(TITLE, "a/m.gguf")])],
        ))
        .entry("a/m.gguf")
}
