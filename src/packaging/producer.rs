//! Which program made an artifact, by what only that program writes.

use serde_json::Value;

use crate::manifest::{Descriptor, Manifest};
use crate::media;

use super::description::shown;
use super::{Packaging, modelpack, name};

/// omlmd's own layer type.
pub(super) const OMLMD_LAYER: &str = "application/x-mlmodel";

/// llmman go-shim/hf.go: the repository a model was taken from.
const LLMMAN: &str = "ai.model.repo";
/// modctl pkg/backend: what it was built from.
const MODCTL: &str = "org.cncf.modctl.";
/// kitops pkg/lib/constants: the version of its command line.
const KITOPS: &str = "ml.kitops.modelkit.cli-version";
/// olot: on every layer that it adds.
const OLOT: &str = "olot.layer.content.";
/// RamaLama's labels, the first in the images it builds, the second in those of its registry.
const RAMALAMA: [&str; 2] = ["org.containers.type", "com.ramalama.model.file.location"];
/// oras internal/graph and pack: what a manifest without a type of its own gets.
const ORAS: [&str; 2] = ["application/vnd.unknown.artifact.v1", "application/vnd.unknown.config.v1+json"];
/// The words AIKit writes where others write a path.
const AIKIT: [&str; 4] = ["config", "docs", "code", "dataset"];

/// The program, where the artifact gives it away.
pub(super) fn of(packaging: Packaging, manifest: &Manifest, config: &Value) -> Option<String> {
    let by_annotation = kitops(manifest).or_else(|| by_annotation(manifest).map(str::to_owned));
    by_annotation.or_else(|| by_packaging(packaging, manifest, config).map(str::to_owned))
}

fn kitops(manifest: &Manifest) -> Option<String> {
    let version = manifest.annotations.get(KITOPS)?;
    Some(shown(version).map_or_else(|| String::from("KitOps"), |version| format!("KitOps {version}")))
}

fn by_annotation(manifest: &Manifest) -> Option<&'static str> {
    let on_manifest = |start: &str| manifest.annotations.keys().any(|key| key.starts_with(start));
    let on_layers =
        |start: &str| manifest.layers.iter().any(|layer| layer.annotations.keys().any(|key| key.starts_with(start)));
    match () {
        () if on_manifest(LLMMAN) => Some("llmman"),
        () if on_manifest(MODCTL) => Some("modctl"),
        () if on_layers(OLOT) => Some("OLOT"),
        () => None,
    }
}

fn by_packaging(packaging: Packaging, manifest: &Manifest, config: &Value) -> Option<&'static str> {
    match packaging {
        Packaging::KitOps => Some("KitOps"),
        Packaging::DockerAi => Some("docker model"),
        Packaging::Ollama => Some("Ollama"),
        Packaging::Cog => Some("Cog"),
        Packaging::ModelPack if is_ramalama(manifest) => Some("RamaLama"),
        Packaging::ModelPack if is_aikit(manifest) => Some("AIKit"),
        Packaging::Image if has_label(config) => Some("RamaLama"),
        Packaging::ModelPack | Packaging::Image => None,
        Packaging::Oras => generic(manifest),
    }
}

/// It takes the artifact type of the model-spec and nothing else of it.
fn is_ramalama(manifest: &Manifest) -> bool {
    let has_model_layer = manifest.layers.iter().any(|layer| modelpack::is_model_type(layer.kind()));
    manifest.artifact_kind() == Some(media::MODELPACK) && manifest.config_kind() == media::EMPTY && !has_model_layer
}

fn is_aikit(manifest: &Manifest) -> bool {
    manifest.layers.iter().any(|layer| name::filepath(layer).is_some_and(|path| AIKIT.contains(&path.as_str())))
}

fn has_label(config: &Value) -> bool {
    let labels = config.pointer("/config/Labels");
    let label = |key: &str| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str);
    label(RAMALAMA[0]).is_some_and(|kind| kind.starts_with("ai.image.model")) || label(RAMALAMA[1]).is_some()
}

fn generic(manifest: &Manifest) -> Option<&'static str> {
    let any = |test: &dyn Fn(&Descriptor) -> bool| manifest.layers.iter().any(test);
    if any(&|layer| layer.kind() == OMLMD_LAYER) {
        return Some("omlmd");
    }
    let is_default =
        ORAS.contains(&manifest.artifact_kind().unwrap_or_default()) || ORAS.contains(&manifest.config_kind());
    if is_default || any(&|layer| layer.annotation(media::ORAS_UNPACK).is_some()) {
        return Some("ORAS");
    }
    // Podman writes down what Go takes the content for, with its parameters.
    let is_sniffed = any(&|layer| layer.media_type.contains("; charset="));
    (is_sniffed && manifest.config_kind() == media::EMPTY).then_some("podman")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::digest::Digest;

    #[test]
    fn each_program_is_known_by_its_own_marks() {
        let layer = |kind: &str, annotations: Value| json!({"mediaType": kind, "digest": Digest::sha256(b"x"), "size": 1, "annotations": annotations});
        let plain = |kind: &str| vec![layer(kind, json!({}))];
        let config = |kind: &str| json!({"mediaType": kind, "digest": Digest::sha256(b"{}"), "size": 2});
        let model_config = config(media::MODELPACK_CONFIG);
        let weight = "application/vnd.cncf.model.weight.v1.raw";
        let cases = [
            (json!({"config": model_config, "annotations": {"ai.model.repo": "a/b"}}), "", Some("llmman")),
            (json!({"config": model_config, "annotations": {"org.cncf.modctl.modelfile": "x"}}), "", Some("modctl")),
            (json!({"config": model_config, "layers": plain(weight)}), "", None),
            (json!({"config": model_config, "annotations": {KITOPS: "1.15.0"}}), "", Some("KitOps 1.15.0")),
            (
                json!({"config": model_config, "layers": [layer(weight, json!({media::FILEPATH: "docs"}))]}),
                "",
                Some("AIKit"),
            ),
            (
                json!({"artifactType": media::MODELPACK, "config": config(media::EMPTY), "layers": plain("text/plain")}),
                "",
                Some("RamaLama"),
            ),
            (
                json!({"artifactType": media::MODELPACK, "config": config(media::EMPTY), "layers": plain(weight)}),
                "",
                None,
            ),
            (json!({"layers": plain("application/vnd.ollama.image.model")}), "", Some("Ollama")),
            (json!({"layers": plain("application/vnd.docker.ai.gguf.v3")}), "", Some("docker model")),
            (json!({"config": config("application/vnd.unknown.config.v1+json")}), "", Some("ORAS")),
            (json!({"artifactType": "application/vnd.unknown.artifact.v1"}), "", Some("ORAS")),
            (json!({"layers": plain(OMLMD_LAYER)}), "", Some("omlmd")),
            (json!({"config": config(media::EMPTY), "layers": plain("text/plain; charset=utf-8")}), "", Some("podman")),
            (json!({"config": config(media::EMPTY), "layers": plain("application/octet-stream")}), "", None),
            (
                json!({"layers": [layer(media::OCI_LAYER_TAR, json!({"olot.layer.content.name": "x"}))]}),
                "",
                Some("OLOT"),
            ),
            (
                json!({"config": config(media::OCI_IMAGE_CONFIG)}),
                r#"{"rootfs":{"diff_ids":[]},"config":{"Labels":{"org.containers.type":"ai.image.model.car"}}}"#,
                Some("RamaLama"),
            ),
            (json!({"config": config(media::OCI_IMAGE_CONFIG)}), r#"{"rootfs":{"diff_ids":[]}}"#, None),
        ];
        for (json, config, expected) in cases {
            let bytes = json.to_string();
            let manifest = Manifest::parse(bytes.as_bytes(), &Digest::sha256(bytes.as_bytes())).unwrap();
            let packaging = super::super::recognise(&manifest, config.as_bytes()).unwrap();
            let config = serde_json::from_str(config).unwrap_or_default();
            assert_eq!(of(packaging, &manifest, &config).as_deref(), expected, "{json}");
        }
    }
}
