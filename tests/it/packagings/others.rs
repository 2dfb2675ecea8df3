//! Producers of one format each: Cog, OLOT, omlmd, modelbar.

use serde_json::{Value, json};

use super::bytes::{In, digest, gguf, gzip, image_config, manifest, safetensors, tar, zstd};
use super::fixture::Fixture;

pub const COG_TYPE: &str = "application/vnd.cog.weight.v1";
pub const COG_CONFIG: &str = "application/vnd.cog.weight.config.v1+json";
const TAR: &str = "application/vnd.oci.image.layer.v1.tar";
const TITLE: &str = "org.opencontainers.image.title";

pub fn fixtures() -> Vec<Fixture> {
    [cog(), olot(), titled()].into_iter().flatten().collect()
}

/// A model, and the tar that Cog makes of it.
pub fn cog_layer() -> (Vec<u8>, Vec<u8>) {
    let model = gguf("cog");
    (model.clone(), tar(&[In::File("m.gguf", &model)]))
}

/// Cog's config for files that all lie in one layer.
pub fn cog_config(layer: &[u8], files: &[(&str, &[u8])]) -> String {
    let files: Vec<(&str, &[u8], &[u8])> = files.iter().map(|(path, bytes)| (*path, layer, *bytes)).collect();
    cog_index(&files)
}

/// The config lists every file, by its path, with the layer it is in.
fn cog_index(files: &[(&str, &[u8], &[u8])]) -> String {
    let set: Vec<String> = files.iter().map(|(path, _, bytes)| format!("{}  {path}", &digest(bytes)[7..])).collect();
    let entry = |(path, layer, bytes): &(&str, &[u8], &[u8])| json!({"path": path, "layer": digest(layer), "size": bytes.len(), "digest": digest(bytes)});
    let files: Vec<Value> = files.iter().map(entry).collect();
    json!({"name": "w", "target": "/src/weights", "setDigest": digest(set_text(set).as_bytes()), "files": files})
        .to_string()
}

fn set_text(mut lines: Vec<String>) -> String {
    lines.sort();
    lines.join("\n")
}

fn cog() -> Vec<Fixture> {
    let (weights, settings): (Vec<u8>, &[u8]) = (safetensors("cog"), b"{\"a\":1}");
    let big = tar(&[In::File("text_encoder/model.safetensors", &weights)]);
    let bundle = gzip(&tar(&[
        In::File("README.md", b"# A"),
        In::Folder("text_encoder/"),
        In::File("text_encoder/config.json", settings),
    ]));
    let config = cog_index(&[
        ("README.md", &bundle, b"# A"),
        ("text_encoder/config.json", &bundle, settings),
        ("text_encoder/model.safetensors", &big, &weights),
    ]);
    let size = "run.cog.weight.size.uncompressed";
    let spec = Fixture::new("cog-weights", "Cog", "replicate/cog specs/weights.md")
        .blob("config", config)
        .blob("big", big.clone())
        .blob("bundle", bundle.clone())
        .manifest(manifest(
            COG_TYPE,
            COG_CONFIG,
            &[
                (
                    "application/vnd.oci.image.layer.v1.tar+gzip",
                    "bundle",
                    &[("run.cog.weight.content", "bundle"), (size, "10240")],
                ),
                (
                    TAR,
                    "big",
                    &[
                        ("run.cog.weight.content", "file"),
                        ("run.cog.weight.file", "text_encoder/model.safetensors"),
                        (size, "10240"),
                    ],
                ),
            ],
        ))
        .files(&[
            ("README.md", b"# A"),
            ("text_encoder/config.json", settings),
            ("text_encoder/model.safetensors", &weights),
        ])
        .entry("text_encoder");
    let (model, layer) = cog_layer();
    let packed = zstd(&layer);
    let config_only = Fixture::new("cog-by-config-only", "Cog", "section 1, row 5")
        .blob("config", cog_config(&packed, &[("m.gguf", &model)]))
        .blob("layer", packed)
        .manifest(manifest("", COG_CONFIG, &[("application/vnd.oci.image.layer.v1.tar+zstd", "layer", &[])]))
        .file("m.gguf", model.clone())
        .entry("m.gguf");
    // The first draft: an empty config and everything in annotations.
    let draft = Fixture::new("cog-first-draft", "Cog", "replicate/cog specs/weights.md, April 2026")
        .blob("config", "{}")
        .blob("layer", layer)
        .manifest(manifest(
            COG_TYPE,
            "application/vnd.oci.empty.v1+json",
            &[(TAR, "layer", &[("run.cog.weight.content", "file"), ("run.cog.weight.file", "m.gguf")])],
        ))
        .file("m.gguf", model)
        .entry("m.gguf");
    vec![spec, config_only, draft]
}

fn olot() -> Vec<Fixture> {
    let model = gguf("olot");
    let (base, own) = (tar(&[In::File("etc/passwd", b"root")]), tar(&[In::File("models/onnx/m.gguf", &model)]));
    let card = tar(&[In::File("models/README.md", b"# Card")]);
    let of = digest(&model);
    let names = [
        (TITLE, "m.gguf"),
        ("olot.layer.content.digest", of.as_str()),
        ("olot.layer.content.type", "file"),
        ("olot.layer.content.inlayerpath", "/models/onnx/m.gguf"),
        ("olot.layer.content.name", "m.gguf"),
    ];
    let of_card = digest(b"# Card");
    let names_of_card = [
        (TITLE, "README.md"),
        ("io.opendatahub.modelcar.layer.type", "modelcard"),
        ("olot.layer.content.digest", of_card.as_str()),
        ("olot.layer.content.type", "file"),
        ("olot.layer.content.inlayerpath", "/models/README.md"),
        ("olot.layer.content.name", "README.md"),
    ];
    let car = Fixture::new("olot-modelcar", "image", "containers/olot olot/basics.py")
        .blob("config", image_config(&[&base, &own, &card]))
        .blob("base", gzip(&base))
        .blob("own", own)
        .blob("card", gzip(&card))
        .manifest(manifest(
            "",
            "application/vnd.oci.image.config.v1+json",
            &[
                ("application/vnd.oci.image.layer.v1.tar+gzip", "base", &[]),
                (TAR, "own", &names),
                ("application/vnd.oci.image.layer.v1.tar+gzip", "card", &names_of_card),
            ],
        ))
        .files(&[("onnx/m.gguf", &model), ("README.md", b"# Card")])
        .entry("onnx/m.gguf");
    let (one, two) = (tar(&[In::File("config.json", b"{}")]), tar(&[In::File("sub/m.gguf", &model)]));
    let gzip_type = "application/vnd.oci.image.layer.v1.tar+gzip";
    let simple = |name, artifact_type| {
        Fixture::new(name, "ORAS", "containers/olot olot/oci_artifact.py create_simple_oci_artifact")
            .blob("config", image_config(&[&one, &two]))
            .blob("one", gzip(&one))
            .blob("two", gzip(&two))
            .manifest(manifest(
                artifact_type,
                "application/vnd.oci.image.config.v1+json",
                &[
                    (gzip_type, "one", &[("olot.layer.content.name", "config.json")]),
                    (gzip_type, "two", &[("olot.layer.content.name", "sub/m.gguf")]),
                ],
            ))
            .files(&[("config.json", b"{}"), ("sub/m.gguf", &model)])
            .entry("sub/m.gguf")
    };
    vec![car, simple("olot-simple", "application/x-mlmodel"), simple("olot-simple-without-type", "")]
}

fn titled() -> Vec<Fixture> {
    let omlmd = Fixture::new("omlmd", "ORAS", "containers/omlmd omlmd/helpers.py")
        .raw("config", "model_metadata.omlmd.json", r#"{"name":"m","accuracy":0.9}"#)
        .raw("model", "model.joblib", "joblib")
        .raw("yaml", "model_metadata.omlmd.yaml", "name: m")
        .manifest(r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
         "config":{"mediaType":"application/x-config","digest":"@config"},
         "layers":[{"mediaType":"application/x-mlmodel","digest":"@model","annotations":{"org.opencontainers.image.title":"model.joblib"}},
          {"mediaType":"application/x-config","digest":"@config","annotations":{"org.opencontainers.image.title":"model_metadata.omlmd.json"}},
          {"mediaType":"application/x-config","digest":"@yaml","annotations":{"org.opencontainers.image.title":"model_metadata.omlmd.yaml"}}],
         "annotations":{"name":"m","accuracy":"0.9"}}"#);
    let modelbar = Fixture::new("modelbar", "ORAS", "section 3.11: a title for each file of a Hugging Face repository")
        .blob("config", "{}")
        .raw("model", "onnx/model.onnx", "onnx")
        .raw("settings", "config.json", "{}")
        .raw("readme", "README.md", "# A")
        .manifest(manifest(
            "application/vnd.huggingface.model",
            "application/vnd.oci.empty.v1+json",
            &[
                ("application/octet-stream", "model", &[(TITLE, "onnx/model.onnx")]),
                ("application/json", "settings", &[(TITLE, "config.json")]),
                ("text/markdown", "readme", &[(TITLE, "README.md")]),
            ],
        ))
        .entry("onnx/model.onnx");
    let sbom = Fixture::new("model-with-bill-of-materials", "ORAS", "section 3.12: a model may come with one")
        .blob("config", "{}")
        .raw("model", "m.gguf", gguf("m"))
        .raw("sbom", "sbom.json", "{}")
        .manifest(manifest(
            "application/vnd.acme.model",
            "application/vnd.oci.empty.v1+json",
            &[
                ("application/spdx+json", "sbom", &[(TITLE, "sbom.json")]),
                ("application/octet-stream", "model", &[(TITLE, "m.gguf")]),
            ],
        ))
        .entry("m.gguf");
    vec![omlmd, modelbar, sbom]
}
