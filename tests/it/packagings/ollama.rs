//! Ollama's models, from its own registry, a private one and Hugging Face.

use super::bytes::gguf;
use super::fixture::Fixture;

const CONFIG: &str = r#"{"model_format":"gguf","model_family":"llama","model_families":["llama"],"model_type":"8.0B","file_type":"Q4_0","architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:6a0746a1ec1aef3e7ec53868f220ff6e389f6f8ef87a01d77c96807de94ca2aa"]}}"#;
const SOURCE: &str = "ollama/ollama server/images.go";

pub fn fixtures() -> Vec<Fixture> {
    vec![llama(), everything(), named_json(), bare_config(), hugging_face()]
}

/// A docker manifest of these kinds, each in a blob of its name.
fn manifest(layers: &[(&str, &str)]) -> String {
    let layer = |(kind, more): &(&str, &str)| {
        let name = kind.trim_end_matches(|c: char| c.is_ascii_digit());
        format!(r#"{{"mediaType":"application/vnd.ollama.image.{name}","digest":"@{kind}"{more}}}"#)
    };
    let layers: Vec<String> = layers.iter().map(layer).collect();
    format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{{"mediaType":"application/vnd.docker.container.image.v1+json","digest":"@config"}},"layers":[{}]}}"#,
        layers.join(",")
    )
}

/// library/llama3:8b, whose manifest the registry calls text.
fn llama() -> Fixture {
    Fixture::new("ollama-llama3", "Ollama", "registry.ollama.ai library/llama3:8b; ollama/ollama issue 6470")
        .blob("config", CONFIG)
        .raw("model", "model.gguf", gguf("llama3"))
        .raw("license", "LICENSE", "META LLAMA 3")
        .raw("template", "template", "{{ .System }}{{ .Prompt }}")
        .raw("params", "params.json", r#"{"stop":["<|eot_id|>"]}"#)
        .manifest(manifest(&[("model", ""), ("license", ""), ("template", ""), ("params", "")]))
        .served_as("text/plain; charset=utf-8")
        .entry("model.gguf")
}

fn everything() -> Fixture {
    Fixture::new("ollama-all-layers", "Ollama", SOURCE)
        .blob("config", CONFIG)
        .raw("model", "model.gguf", gguf("m"))
        .raw("projector", "mmproj.gguf", gguf("eyes"))
        .raw("adapter", "adapter.gguf", gguf("lora"))
        .raw("draft", "draft.gguf", gguf("draft"))
        .raw("license1", "LICENSE", "Llama")
        .raw("license2", "LICENSE.1", "MIT")
        .raw("template", "template", "{{ .Prompt }}")
        .raw("system", "system", "Be kind.")
        .raw("params", "params.json", "{}")
        .raw("messages", "messages.json", "[]")
        .raw("prompt", "prompt", "old")
        .raw("embed", "embed", "dead")
        .manifest(manifest(&[
            ("model", r#","from":"/home/me/.ollama/models/blobs/sha256-1""#),
            ("projector", ""),
            ("adapter", ""),
            ("draft", ""),
            ("license1", ""),
            ("license2", ""),
            ("template", ""),
            ("system", ""),
            ("params", ""),
            ("messages", ""),
            ("prompt", ""),
            ("embed", ""),
        ]))
        .entry("model.gguf")
        .mmproj("mmproj.gguf")
}

/// Files of a json layer have a name in the descriptor.
fn named_json() -> Fixture {
    Fixture::new("ollama-json-layers", "Ollama", "ollama/ollama x/transfer, descriptor field name")
        .blob("config", CONFIG)
        .raw("model", "model.gguf", gguf("m"))
        .raw("json1", "config.json", "{}")
        .raw("json2", "text_encoder/config.json", r#"{"a":1}"#)
        .manifest(manifest(&[
            ("model", ""),
            ("json1", r#","name":"config.json""#),
            ("json2", r#","name":"text_encoder/config.json""#),
        ]))
        .entry("model.gguf")
}

/// Only the config tells, and the layer has a type of nobody's.
fn bare_config() -> Fixture {
    let content = gguf("m");
    Fixture::new("ollama-by-config-only", "Ollama", "section 1, row 4")
        .blob("config", CONFIG)
        .raw("layer", &super::bytes::dashed(&content), content.clone())
        .manifest(
            r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json",
         "config":{"mediaType":"application/vnd.docker.container.image.v1+json","digest":"@config"},
         "layers":[{"mediaType":"application/octet-stream","digest":"@layer"}]}"#,
        )
        .entry(&super::bytes::dashed(&content))
}

/// hf.co/v2 answers as Ollama's registry does, with other configs.
fn hugging_face() -> Fixture {
    let config = r#"{"model_format":"gguf","model_family":"gemma3","model_families":["gemma3"],"model_type":"268M","file_type":"Q4_K_M","architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
    Fixture::new("hf-as-ollama", "Ollama", "huggingface/hub-docs docs/hub/ollama.md")
        .blob("config", config)
        .raw("model", "model.gguf", gguf("gemma"))
        .raw("projector", "mmproj.gguf", gguf("eyes"))
        .raw("template", "template", "{{ .Prompt }}")
        .raw("params", "params.json", r#"{"temperature":1}"#)
        .manifest(manifest(&[("model", ""), ("projector", ""), ("template", ""), ("params", "")]))
        .entry("model.gguf")
        .mmproj("mmproj.gguf")
}
