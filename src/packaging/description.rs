//! What a manifest and its config say of the model, for people: every word is the producer's, and any may be missing.
//!
//! Producers disagree on types (a size is a number here and a text there), so each field is taken if it is a text or a
//! number and passed over if it is anything else. Ollama's `from` is a path on the publisher's machine and is not read.

use serde_json::Value;

use crate::manifest::{Descriptor, Manifest};
use crate::media;

use super::{Packaging, producer};

/// The longest text that is passed on.
const MAX_CHARS: usize = 500;
/// More licences than any model has.
const MAX_LICENCES: usize = 16;

/// What the producer says of the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// The program that made the artifact, with its version where it tells.
    pub producer: Option<String>,
    /// The model's name.
    pub name: Option<String>,
    /// The family it belongs to.
    pub family: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// The format of its files, such as `gguf`.
    pub format: Option<String>,
    /// Its architecture, such as `llama`.
    pub architecture: Option<String>,
    /// How many parameters it has, as the producer writes it: `8B`, `361.82 M`.
    pub parameters: Option<String>,
    /// The type of its numbers, such as `bfloat16`.
    pub precision: Option<String>,
    /// How it was quantized, such as `Q4_K_M`.
    pub quantization: Option<String>,
    /// The most tokens it was made for.
    pub context_length: Option<u64>,
    /// Its licences.
    pub licences: Vec<String>,
}

/// Describes the artifact of `manifest`; `config` holds the bytes of its config, which may be anything.
pub fn describe(packaging: Packaging, manifest: &Manifest, config: &[u8]) -> Description {
    let config: Value = serde_json::from_slice(config).unwrap_or_default();
    let mut description = match packaging {
        Packaging::KitOps => kitops(&config),
        Packaging::ModelPack => modelpack(&config),
        Packaging::DockerAi => docker_ai(&config),
        Packaging::Ollama => ollama(&config),
        Packaging::Cog => Description { name: text(&config, "/name"), ..Description::default() },
        Packaging::Image => image(&config),
        Packaging::Oras => omlmd(manifest),
    };
    let annotation = |key| manifest.annotations.get(key).and_then(|text| shown(text));
    description.version = description.version.or_else(|| annotation(media::VERSION));
    if description.licences.is_empty() {
        description.licences.extend(annotation(media::LICENCES));
    }
    description.producer = producer::of(packaging, manifest, &config);
    description
}

/// model-spec docs/config.md; `parameterSize` is v0.0.1's.
fn modelpack(config: &Value) -> Description {
    Description {
        name: text(config, "/descriptor/name").or_else(|| text(config, "/descriptor/title")),
        family: text(config, "/descriptor/family"),
        version: text(config, "/descriptor/version"),
        format: text(config, "/config/format"),
        architecture: text(config, "/config/architecture"),
        parameters: text(config, "/config/paramSize").or_else(|| text(config, "/config/parameterSize")),
        precision: text(config, "/config/precision"),
        quantization: text(config, "/config/quantization"),
        licences: texts(config, "/descriptor/licenses"),
        ..Description::default()
    }
}

/// model-runner pkg/distribution/types; `gguf` repeats the header of the file.
fn docker_ai(config: &Value) -> Description {
    let gguf = |key: &str| config.pointer("/config/gguf").and_then(|gguf| gguf.get(key)).and_then(word);
    Description {
        name: gguf("general.name"),
        format: text(config, "/config/format"),
        architecture: text(config, "/config/architecture").or_else(|| gguf("general.architecture")),
        parameters: text(config, "/config/parameters"),
        quantization: text(config, "/config/quantization"),
        context_length: number(config, "/config/context_size"),
        licences: gguf("general.license").into_iter().collect(),
        ..Description::default()
    }
}

/// ollama types/model/config.go: its `model_type` is the number of parameters, its `file_type` the quantization.
fn ollama(config: &Value) -> Description {
    Description {
        family: text(config, "/model_family"),
        format: text(config, "/model_format"),
        architecture: text(config, "/model_family"),
        parameters: text(config, "/model_type"),
        quantization: text(config, "/file_type"),
        context_length: number(config, "/context_length"),
        ..Description::default()
    }
}

/// kitops pkg/artifact/kitfile.go, as JSON.
fn kitops(config: &Value) -> Description {
    let licences = [text(config, "/model/license"), text(config, "/package/license")];
    let mut licences: Vec<String> = licences.into_iter().flatten().collect();
    licences.dedup();
    Description {
        name: text(config, "/model/name").or_else(|| text(config, "/package/name")),
        version: text(config, "/model/version").or_else(|| text(config, "/package/version")),
        format: text(config, "/model/format"),
        architecture: text(config, "/model/framework"),
        // Free YAML in general, the number in some.
        parameters: text(config, "/model/parameters"),
        licences,
        ..Description::default()
    }
}

/// The labels of the image-spec.
fn image(config: &Value) -> Description {
    let label = |key: &str| config.pointer("/config/Labels").and_then(|labels| labels.get(key)).and_then(word);
    Description {
        version: label(media::VERSION),
        licences: label(media::LICENCES).into_iter().collect(),
        ..Description::default()
    }
}

/// omlmd/model_metadata.py: the model's properties are annotations without a prefix.
fn omlmd(manifest: &Manifest) -> Description {
    let annotation = |key: &str| manifest.annotations.get(key).and_then(|text| shown(text));
    let is_omlmd = manifest.layers.iter().map(Descriptor::kind).any(|kind| kind == producer::OMLMD_LAYER);
    if !is_omlmd {
        return Description::default();
    }
    Description {
        name: annotation("name"),
        version: annotation("version"),
        format: annotation("model_format_name"),
        licences: annotation("license").into_iter().collect(),
        ..Description::default()
    }
}

/// The text or number at a JSON pointer, as text.
fn text(config: &Value, pointer: &str) -> Option<String> {
    config.pointer(pointer).and_then(word)
}

pub(super) fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => shown(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The number at a JSON pointer, also where it is written as a text.
fn number(config: &Value, pointer: &str) -> Option<u64> {
    let value = config.pointer(pointer)?;
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|number| *number > 0)
}

/// A list of texts, or one text where a list should be.
fn texts(config: &Value, pointer: &str) -> Vec<String> {
    match config.pointer(pointer) {
        Some(Value::Array(list)) => list.iter().take(MAX_LICENCES).filter_map(word).collect(),
        Some(value) => word(value).into_iter().collect(),
        None => Vec::new(),
    }
}

/// A text that says something: `Unknown` is what docker and Ollama write when they do not know.
pub(super) fn shown(text: &str) -> Option<String> {
    let text = text.trim();
    let says_nothing = text.is_empty() || text.eq_ignore_ascii_case("unknown");
    (!says_nothing).then(|| text.chars().take(MAX_CHARS).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::digest::Digest;

    fn manifest(json: &Value) -> Manifest {
        let bytes = json.to_string();
        Manifest::parse(bytes.as_bytes(), &Digest::sha256(bytes.as_bytes())).unwrap()
    }

    fn described(packaging: Packaging, config: &Value) -> Description {
        describe(packaging, &manifest(&json!({})), config.to_string().as_bytes())
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn modelpacks_say_it_in_two_objects() {
        let config = json!({
            "descriptor": {"name": "xyz-3-8B", "family": "xyz3", "version": "3.1", "licenses": ["Apache-2.0", 7]},
            "config": {"architecture": "transformer", "format": "gguf", "paramSize": "8b", "precision": "float16",
                       "quantization": "Q4_0"},
            "modelfs": {"type": "layers", "diffIds": null},
        });
        let expected = Description {
            name: some("xyz-3-8B"),
            family: some("xyz3"),
            version: some("3.1"),
            format: some("gguf"),
            architecture: some("transformer"),
            parameters: some("8b"),
            precision: some("float16"),
            quantization: some("Q4_0"),
            licences: vec![String::from("Apache-2.0"), String::from("7")],
            ..Description::default()
        };
        assert_eq!(described(Packaging::ModelPack, &config), expected);
        let first = json!({"config": {"parameterSize": 8_000_000_000_u64}});
        assert_eq!(described(Packaging::ModelPack, &first).parameters, some("8000000000"));
    }

    #[test]
    fn docker_says_unknown_for_what_it_does_not_know() {
        let config = json!({"config": {
            "format": "gguf", "quantization": "Unknown", "parameters": "361.82 M", "architecture": "llama",
            "size": "256.35 MiB", "context_size": 8192, "gguf": {"general.name": "Smol", "general.license": "mit"},
        }});
        let expected = Description {
            producer: some("docker model"),
            name: some("Smol"),
            format: some("gguf"),
            architecture: some("llama"),
            parameters: some("361.82 M"),
            context_length: Some(8192),
            licences: vec![String::from("mit")],
            ..Description::default()
        };
        assert_eq!(described(Packaging::DockerAi, &config), expected);
    }

    #[test]
    fn ollamas_types_are_numbers_of_parameters_and_quantizations_and_its_paths_stay_unsaid() {
        let config = json!({
            "model_format": "gguf", "model_family": "llama", "model_families": ["llama"], "model_type": "8.0B",
            "file_type": "Q4_0", "context_length": "8192", "from": "/home/alice/secret", "rootfs": {"diff_ids": []},
        });
        let description = described(Packaging::Ollama, &config);
        let expected = Description {
            producer: some("Ollama"),
            family: some("llama"),
            format: some("gguf"),
            architecture: some("llama"),
            parameters: some("8.0B"),
            quantization: some("Q4_0"),
            context_length: Some(8192),
            ..Description::default()
        };
        assert_eq!(description, expected);
        assert!(!format!("{description:?}").contains("alice"));
    }

    #[test]
    fn kitfiles_describe_the_model_or_else_the_package() {
        let config = json!({
            "package": {"name": "kit", "version": "1.0.0", "license": "MIT", "authors": ["A"]},
            "model": {"name": "m", "framework": "pytorch", "format": "onnx", "license": "MIT",
                      "parameters": {"epochs": 3}},
        });
        let expected = Description {
            producer: some("KitOps"),
            name: some("m"),
            version: some("1.0.0"),
            format: some("onnx"),
            architecture: some("pytorch"),
            licences: vec![String::from("MIT")],
            ..Description::default()
        };
        assert_eq!(described(Packaging::KitOps, &config), expected);
    }

    #[test]
    fn images_and_manifests_say_it_in_labels_and_annotations() {
        let config = json!({"config": {"Labels": {media::VERSION: "2", media::LICENCES: "MIT"}}});
        let description = described(Packaging::Image, &config);
        assert_eq!((description.version, description.licences), (some("2"), vec![String::from("MIT")]));
        let annotated = manifest(&json!({"annotations": {media::VERSION: "3", media::LICENCES: "BSD", "name": "x"}}));
        let description = describe(Packaging::Oras, &annotated, b"");
        assert_eq!((description.version, description.licences), (some("3"), vec![String::from("BSD")]));
        assert_eq!(description.name, None);
    }

    #[test]
    fn configs_of_any_shape_are_borne() {
        let long = "x".repeat(100_000);
        let shapes = [json!(null), json!([]), json!("x"), json!({"config": []}), json!({"config": {"format": {}}})];
        for packaging in [
            Packaging::KitOps,
            Packaging::ModelPack,
            Packaging::DockerAi,
            Packaging::Ollama,
            Packaging::Cog,
            Packaging::Image,
            Packaging::Oras,
        ] {
            for shape in &shapes {
                let description = Description { producer: None, ..described(packaging, shape) };
                assert_eq!(description, Description::default(), "{packaging} {shape}");
            }
            assert_eq!(describe(packaging, &manifest(&json!({})), b"\xff{").name, None);
        }
        let long = described(Packaging::ModelPack, &json!({"config": {"format": long}}));
        assert_eq!(long.format.map(|format| format.len()), Some(MAX_CHARS));
    }
}
