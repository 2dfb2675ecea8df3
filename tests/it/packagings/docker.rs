//! Docker Model Runner's own packaging: names by rule, by annotation, and before its release.

use super::bytes::{In, Layer, gguf, manifest, safetensors, tar};
use super::fixture::Fixture;
use super::modelpack::PATH;

const V01: &str = "application/vnd.docker.ai.model.config.v0.1+json";
const V02: &str = "application/vnd.docker.ai.model.config.v0.2+json";
const GGUF: &str = "application/vnd.docker.ai.gguf.v3";
const BUNDLE: &str = "docker/model-runner pkg/distribution/internal/bundle/unpack.go";
/// docker/model-distribution pull request 33.
const CONFIG: &str = r#"{"config":{"format":"gguf","quantization":"Unknown","parameters":"183","architecture":"llama","size":"864 B"},"descriptor":{"created":"2025-03-20T13:56:32.316196-04:00"},"rootfs":{"type":"rootfs","diff_ids":[]}}"#;

pub fn fixtures() -> Vec<Fixture> {
    vec![
        spec(),
        by_rule("docker-shards", &[(GGUF, "one", &[]), (GGUF, "two", &[])])
            .raw("one", "model-00001-of-00002.gguf", gguf("one"))
            .raw("two", "model-00002-of-00002.gguf", gguf("two"))
            .entry("model-00001-of-00002.gguf"),
        everything(),
        safetensors_parts(),
        by_rule("docker-dduf", &[("application/vnd.docker.ai.dduf", "model", &[])])
            .raw("model", "model.dduf", "PK dduf")
            .entry("model.dduf"),
        by_layer_only(),
        with_filepaths("docker-v01-filepaths", V01),
        with_filepaths("docker-v02", V02),
        folders(),
        before_release(),
    ]
}

fn by_rule(name: &'static str, layers: &[Layer<'_>]) -> Fixture {
    Fixture::new(name, "Docker AI", BUNDLE).blob("config", CONFIG).manifest(manifest("", V01, layers))
}

fn spec() -> Fixture {
    Fixture::new("docker-v01", "Docker AI", "docker/model-spec spec.md")
        .blob("config", CONFIG)
        .raw("model", "model.gguf", gguf("m"))
        .raw("licence", "LICENSE", "Apache")
        .manifest(
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
         "config":{"mediaType":"application/vnd.docker.ai.model.config.v0.1+json","digest":"@config"},
         "layers":[{"mediaType":"application/vnd.docker.ai.gguf.v3","digest":"@model"},
          {"mediaType":"application/vnd.docker.ai.license","digest":"@licence"}]}"#,
        )
        .entry("model.gguf")
}

fn everything() -> Fixture {
    let files = tar(&[In::File("tokenizer.json", b"{}"), In::File("sub/vocab.txt", b"a")]);
    by_rule(
        "docker-all-layers",
        &[
            (GGUF, "model", &[]),
            ("application/vnd.docker.ai.gguf.v3.lora", "lora", &[]),
            ("application/vnd.docker.ai.gguf.v3.mmproj", "mmproj", &[]),
            ("application/vnd.docker.ai.chat.template.jinja", "template", &[]),
            ("application/vnd.docker.ai.vllm.config.tar", "tar", &[]),
            ("application/vnd.docker.ai.license", "mit", &[]),
            ("application/vnd.docker.ai.license", "gemma", &[]),
        ],
    )
    .raw("model", "model.gguf", gguf("m"))
    .raw("lora", "adapter.gguf", gguf("lora"))
    .raw("mmproj", "model.mmproj", gguf("eyes"))
    .raw("template", "template.jinja", "{{ messages }}")
    .blob("tar", files)
    .raw("mit", "LICENSE", "MIT")
    .raw("gemma", "LICENSE.1", "Gemma")
    .files(&[("tokenizer.json", b"{}"), ("sub/vocab.txt", b"a")])
    .entry("model.gguf")
    .mmproj("model.mmproj")
    .template("template.jinja")
}

fn safetensors_parts() -> Fixture {
    let kind = "application/vnd.docker.ai.safetensors";
    by_rule(
        "docker-safetensors",
        &[
            (kind, "one", &[]),
            (kind, "two", &[]),
            ("application/vnd.docker.ai.vllm.config.tar", "settings", &[]),
            ("application/vnd.docker.ai.mmproj", "mmproj", &[]),
        ],
    )
    .raw("one", "model-00001-of-00002.safetensors", safetensors("one"))
    .raw("two", "model-00002-of-00002.safetensors", safetensors("two"))
    .blob("settings", tar(&[In::File("config.json", b"{\"a\":1}")]))
    .file("config.json", "{\"a\":1}")
    .raw("mmproj", "model.mmproj", "no GGUF")
    .entry(".")
    .mmproj("model.mmproj")
}

/// A registry or a tool that gave it another config.
fn by_layer_only() -> Fixture {
    Fixture::new("docker-by-layer-only", "Docker AI", "section 1, row 3")
        .blob("config", "{}")
        .raw("model", "model.gguf", gguf("m"))
        .manifest(manifest("", "application/vnd.oci.empty.v1+json", &[(GGUF, "model", &[])]))
        .entry("model.gguf")
}

fn with_filepaths(name: &'static str, config: &str) -> Fixture {
    let file = "application/vnd.docker.ai.model.file";
    let untested = ("org.cncf.model.file.mediatype.untested", "false");
    Fixture::new(name, "Docker AI", "docker/model-runner pull request 402")
        .blob("config", CONFIG)
        .raw("model", "text/model.safetensors", safetensors("w"))
        .raw("settings", "text/config.json", "{\"a\":1}")
        .manifest(manifest(
            "",
            config,
            &[
                ("application/vnd.docker.ai.safetensors", "model", &[(PATH, "text/model.safetensors"), untested]),
                (file, "settings", &[(PATH, "text/config.json")]),
            ],
        ))
        .entry("text")
}

fn folders() -> Fixture {
    let members = [In::Folder("text/"), In::File("text/config.json", b"{}"), In::File("text/w.safetensors", b"w")];
    Fixture::new("docker-dir-tar", "Docker AI", "docker/model-runner pkg/distribution/types/config.go")
        .blob("config", CONFIG)
        .blob("folder", tar(&members))
        .manifest(manifest("", V02, &[("application/vnd.docker.ai.dir.tar", "folder", &[(PATH, "text")])]))
        .files(&[("text/config.json", b"{}"), ("text/w.safetensors", b"w")])
        .entry("text")
}

fn before_release() -> Fixture {
    Fixture::new("docker-pre-release", "Docker AI", "docker/model-distribution pull request 33")
        .blob("config", CONFIG)
        .raw("model", "model.gguf", gguf("m"))
        .raw("licence", "LICENSE", "MIT")
        .manifest(manifest(
            "",
            "application/vnd.docker.ai.model.config.v1+json",
            &[
                ("application/vnd.docker.ai.model.file.v1+gguf", "model", &[]),
                ("application/vnd.docker.ai.license", "licence", &[]),
            ],
        ))
        .entry("model.gguf")
}
