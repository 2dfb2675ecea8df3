//! Artifacts that are no model, or none that can be pulled: refused by what they are.

use super::artifact::Artifact;
use super::bytes::{image_config, manifest};
use super::fixture::{Hostile, Stage};

const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const IMAGE: &str = "application/vnd.oci.image.config.v1+json";

pub fn refused() -> Vec<Hostile> {
    [foreign(), ollama(), nothing()].into_iter().flatten().collect()
}

/// Artifact type, config type, layer type, and what it is.
fn one(name: &'static str, artifact_type: &str, config: &str, layer: &str, what: &str) -> Hostile {
    let artifact = Artifact::default().blob("config", image_config(&[])).blob("layer", "{}").manifest(manifest(
        artifact_type,
        config,
        &[(layer, "layer", &[])],
    ));
    let hostile = Hostile::with(name, Stage::Plan, &format!("the artifact is {what}, not a model"), artifact);
    hostile.says("name an artifact or image that holds a model")
}

fn foreign() -> Vec<Hostile> {
    let chart = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
    let bundle = "application/vnd.dev.sigstore.bundle.v0.3+json";
    let referrer = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/vnd.acme.report",
        "config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"@config"},
        "layers":[{"mediaType":"application/json","digest":"@layer"}],
        "subject":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"@layer"}}"#;
    vec![
        one("helm", "", "application/vnd.cncf.helm.config.v1+json", chart, "a Helm chart"),
        one("wasm", "", "application/vnd.wasm.config.v0+json", "application/wasm", "a WebAssembly module"),
        one(
            "wasm-1",
            "",
            "application/vnd.wasm.config.v1+json",
            "application/vnd.wasm.content.layer.v1+wasm",
            "a WebAssembly module",
        ),
        one("cosign", "", IMAGE, "application/vnd.dev.cosign.simplesigning.v1+json", "a signature"),
        one("sigstore", bundle, EMPTY, bundle, "a signature"),
        one("notation-jws", "", "application/vnd.cncf.notary.signature", "application/jose+json", "a signature"),
        one("notation-cose", "application/vnd.cncf.notary.signature", EMPTY, "application/cose", "a signature"),
        one("in-toto", "", IMAGE, "application/vnd.in-toto+json", "an attestation"),
        one(
            "buildkit",
            "application/vnd.docker.attestation.manifest.v1+json",
            EMPTY,
            "application/vnd.in-toto+json",
            "an attestation",
        ),
        one("sbom", "application/spdx+json", EMPTY, "application/spdx+json", "a bill of materials"),
        // Section 3.12: a referrer with a subject is never the model.
        Hostile::with(
            "referrer",
            Stage::Plan,
            "not a model",
            Artifact::default().blob("config", "{}").blob("layer", "{}").manifest(referrer),
        ),
    ]
}

fn ollama() -> Vec<Hostile> {
    let manifest = |layers: &str| {
        format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{{"mediaType":"application/vnd.docker.container.image.v1+json","digest":"@config"}},"layers":[{layers}]}}"#
        )
    };
    let cloud = r#"{"model_format":"","remote_host":"https://ollama.com:443","remote_model":"gpt-oss:20b"}"#;
    let license = r#"{"mediaType":"application/vnd.ollama.image.license","digest":"@layer"}"#;
    let tensor = r#"{"mediaType":"application/vnd.ollama.image.tensor","digest":"@layer","name":"text_encoder/model.embed_tokens.weight"}"#;
    let cloudy = Artifact::default().blob("config", cloud).blob("layer", "MIT");
    let tensors = Artifact::default().blob("config", r#"{"model_format":"safetensors"}"#).blob("layer", "x");
    vec![
        Hostile::with(
            "ollama-cloud",
            Stage::Plan,
            "the model runs on \"https://ollama.com:443\" and has nothing to pull",
            cloudy.manifest(manifest(license)),
        ),
        Hostile::with("ollama-tensors", Stage::Plan, "single tensors", tensors.manifest(manifest(tensor))),
        // hf.co's answer for a repository of split files: huggingface/hub-docs issue 2702.
        Hostile::new("hf-sharded", Stage::Plan, "sharded GGUF")
            .answers(400, r#"{"error":"The specified tag is a sharded GGUF. Ollama does not support this yet."}"#),
        Hostile::new("registry-error", Stage::Plan, "TOOMANYREQUESTS: slow [2J down please")
            .answers(403, r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow\u001b[2J down\nplease"}]}"#),
    ]
}

fn nothing() -> Vec<Hostile> {
    let no_layers = Artifact::default().blob("config", "{}").manifest(manifest("", EMPTY, &[]));
    let only_empty = Artifact::default().blob("config", "{}").manifest(manifest("", EMPTY, &[(EMPTY, "config", &[])]));
    // Schema 1 of Docker, which OCI never had.
    let schema_1 = r#"{"schemaVersion":1,"name":"a","tag":"1","architecture":"amd64","fsLayers":[{"blobSum":"@layer"}],"history":[{"v1Compatibility":"{}"}]}"#;
    vec![
        Hostile::with("no-layers", Stage::Plan, "the artifact holds no files", no_layers),
        Hostile::with("only-the-empty-layer", Stage::Plan, "the artifact holds no files", only_empty),
        Hostile::with(
            "docker-schema-1",
            Stage::Plan,
            "the artifact holds no files",
            Artifact::default().blob("layer", "x").manifest(schema_1),
        ),
    ]
}
