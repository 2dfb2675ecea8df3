//! ModelPack as its producers write it: the spec, modctl, llmman, Docker's converter, and the names it had before.

use super::bytes::{In, gguf, gzip, manifest, safetensors, tar};
use super::fixture::Fixture;

pub const TYPE: &str = "application/vnd.cncf.model.manifest.v1+json";
pub const CONFIG: &str = "application/vnd.cncf.model.config.v1+json";
pub const RAW: &str = "application/vnd.cncf.model.weight.v1.raw";
pub const TAR: &str = "application/vnd.cncf.model.weight.v1.tar";
pub const DOC: &str = "application/vnd.cncf.model.doc.v1.raw";
pub const PATH: &str = "org.cncf.model.filepath";
pub const METADATA: &str = "org.cncf.model.file.metadata+json";
pub const TITLE: &str = "org.opencontainers.image.title";

pub fn fixtures() -> Vec<Fixture> {
    [spec(), modctl(), llmman(), old_names(), converted()].into_iter().flatten().collect()
}

fn spec() -> Vec<Fixture> {
    let weights = [safetensors("a"), safetensors("b")];
    let tars = weights.each_ref().map(|bytes| bytes.as_slice());
    let example = Fixture::new("modelpack-spec", "ModelPack", "modelpack/model-spec docs/spec.md")
        .blob("config", r#"{"config":{"architecture":"transformer","format":"safetensors","paramSize":"8b"}}"#)
        .blob("one", tar(&[In::File("a.safetensors", tars[0])]))
        .blob("two", tar(&[In::File("b.safetensors", tars[1])]))
        .blob("settings", tar(&[In::File("./config.json", b"{\"a\":1}")]))
        .blob("doc", tar(&[In::Folder("docs/"), In::File("docs/README.md", b"# A")]))
        .manifest(
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
         "artifactType":"application/vnd.cncf.model.manifest.v1+json",
         "config":{"mediaType":"application/vnd.cncf.model.config.v1+json","digest":"@config"},
         "layers":[{"mediaType":"application/vnd.cncf.model.weight.v1.tar","digest":"@one"},
          {"mediaType":"application/vnd.cncf.model.weight.v1.tar","digest":"@two"},
          {"mediaType":"application/vnd.cncf.model.weight.config.v1.tar","digest":"@settings"},
          {"mediaType":"application/vnd.cncf.model.doc.v1.tar","digest":"@doc"}]}"#,
        )
        .files(&[("a.safetensors", tars[0]), ("b.safetensors", tars[1])])
        .files(&[("config.json", b"{\"a\":1}"), ("docs/README.md", b"# A")])
        .entry(".");
    // A registry that knows no artifact types drops it: modelpack/modctl issue 50, LocalAI issue 11788.
    let stripped = |name, artifact_type, config, layer| {
        Fixture::new(name, "ModelPack", "modelpack/modctl issue 50")
            .blob("config", "{}")
            .raw("model", "m.gguf", gguf("m"))
            .manifest(manifest(artifact_type, config, &[(layer, "model", &[(TITLE, "m.gguf")])]))
            .entry("m.gguf")
    };
    let empty = "application/vnd.oci.empty.v1+json";
    vec![
        example,
        stripped("modelpack-by-config-only", "", CONFIG, "application/octet-stream"),
        stripped("modelpack-by-layer-only", "", empty, RAW),
        stripped("modelpack-by-type-only", TYPE, empty, "application/octet-stream"),
    ]
}

fn modctl() -> Vec<Fixture> {
    let metadata = |name: &str, size: usize, flag: u8| {
        format!(
            r#"{{"name":"{name}","mode":420,"uid":0,"gid":0,"size":{size},"mtime":"2025-07-21T08:00:00Z","typeflag":{flag}}}"#
        )
    };
    let model = gguf("modctl");
    let (of_model, of_folder) = (metadata("m.gguf", model.len(), 0), metadata("docs", 4096, 5));
    let config =
        r#"{"descriptor":{"name":"m"},"modelfs":{"type":"layers","diff_ids":null},"config":{"format":"gguf"}}"#;
    let tars = Fixture::new("modctl-tars", "ModelPack", "modelpack/modctl pkg/backend/build.go")
        .blob("config", config)
        .blob("model", tar(&[In::File("m.gguf", &model)]))
        .blob("docs", tar(&[In::Folder("docs/"), In::File("docs/a.md", b"a")]))
        .manifest(manifest(
            TYPE,
            CONFIG,
            &[
                (
                    TAR,
                    "model",
                    &[(PATH, "m.gguf"), (METADATA, &of_model), ("org.cncf.model.file.mediatype.untested", "true")],
                ),
                ("application/vnd.cncf.model.doc.v1.tar", "docs", &[(PATH, "docs"), (METADATA, &of_folder)]),
            ],
        ))
        .files(&[("m.gguf", &model), ("docs/a.md", b"a")])
        .entry("m.gguf");
    let raw = Fixture::new("modctl-raw", "ModelPack", "modelpack/modctl cmd/build.go --raw")
        .blob("config", config)
        .raw("model", "q4/m.gguf", model.clone())
        .raw("licence", "LICENSE", "MIT")
        .manifest(manifest(
            TYPE,
            CONFIG,
            &[(RAW, "model", &[(PATH, "q4/m.gguf"), (METADATA, &of_model)]), (DOC, "licence", &[(PATH, "LICENSE")])],
        ))
        .entry("q4/m.gguf");
    // modctl packed absolute paths like this; Docker Model Runner strips what leads.
    let absolute =
        Fixture::new("modctl-absolute-source", "ModelPack", "docker/model-runner pkg/distribution/internal/bundle")
            .blob("config", "{}")
            .raw("model", "home/me/m.gguf", model)
            .manifest(manifest(TYPE, CONFIG, &[(RAW, "model", &[(PATH, "../../home/me/m.gguf")])]))
            .entry("home/me/m.gguf");
    vec![tars, raw, absolute]
}

fn llmman() -> Vec<Fixture> {
    let source = "llmmanorg/llmman go-shim/hf.go";
    let (model, eyes) = (gguf("model"), gguf("eyes"));
    let hub = Fixture::new("llmman-hub", "ModelPack", source)
        .blob("config", r#"{"config":{"format":"gguf","capabilities":{}},"descriptor":{"licenses":["MIT"]}}"#)
        .raw("model", "NAME-Q4_K_M.gguf", model.clone())
        .raw("mmproj", "mmproj-F16.gguf", eyes)
        .raw("doc", "LICENSE", "MIT")
        .manifest(r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/vnd.cncf.model.manifest.v1+json",
         "config":{"mediaType":"application/vnd.cncf.model.config.v1+json","digest":"@config"},
         "layers":[{"mediaType":"application/vnd.cncf.model.weight.v1.raw","digest":"@mmproj","annotations":{"org.cncf.model.filepath":"mmproj-F16.gguf"}},
          {"mediaType":"application/vnd.cncf.model.weight.v1.raw","digest":"@model","annotations":{"org.cncf.model.filepath":"NAME-Q4_K_M.gguf"}},
          {"mediaType":"application/vnd.cncf.model.doc.v1.raw","digest":"@doc","annotations":{"org.cncf.model.filepath":"LICENSE"}}],
         "annotations":{"ai.model.repo":"unsloth/NAME-GGUF","org.cncf.model.filepath":"NAME-Q4_K_M.gguf"}}"#)
        .entry("NAME-Q4_K_M.gguf")
        .mmproj("mmproj-F16.gguf");
    let parts = ["M-00002-of-00003.gguf", "M-00003-of-00003.gguf", "M-00001-of-00003.gguf"];
    let shards =
        parts.iter().fold(Fixture::new("llmman-shards", "ModelPack", source).blob("config", "{}"), |fixture, part| {
            fixture.raw(part, part, gguf(part))
        });
    let layers = parts.map(|part| [(PATH, part)]);
    let layers: Vec<_> = parts.iter().zip(&layers).map(|(part, path)| (RAW, *part, path.as_slice())).collect();
    let shards = shards.manifest(manifest(TYPE, CONFIG, &layers)).entry(parts[2]);
    let folder = Fixture::new("llmman-safetensors", "ModelPack", source)
        .blob("config", r#"{"config":{"format":"safetensors"}}"#)
        .raw("model", "text/model.safetensors", safetensors("w"))
        .raw("settings", "text/config.json", r#"{"model_type":"llama"}"#)
        .raw("template", "text/chat_template.jinja", "{{ messages }}")
        .manifest(manifest(
            TYPE,
            CONFIG,
            &[
                (RAW, "model", &[(PATH, "text/model.safetensors")]),
                (RAW, "settings", &[(PATH, "text/config.json")]),
                (RAW, "template", &[(PATH, "text/chat_template.jinja")]),
            ],
        ))
        .entry("text")
        .template("text/chat_template.jinja");
    let built = Fixture::new("llmman-build", "ModelPack", "llmmanorg/llmman go-shim/build.go")
        .blob("config", "{}")
        .blob("model", tar(&[In::File("m.gguf", &model)]))
        .manifest(manifest(TYPE, CONFIG, &[(TAR, "model", &[(PATH, "sub/m.gguf"), (TITLE, "sub/m.gguf")])]))
        .file("sub/m.gguf", model)
        .entry("sub/m.gguf");
    vec![hub, shards, folder, built]
}

fn old_names() -> Vec<Fixture> {
    let model = gguf("old");
    let harbor = Fixture::new("cnai-harbor", "ModelPack", "modelpack/modctl pkg/backend/inspect_test.go")
        .blob("config", r#"{"config":{"parameterSize":8000000000}}"#)
        .blob("doc", tar(&[In::File("LICENSE", b"MIT")]))
        .raw("model", "foo/model.gguf", model.clone())
        .blob("settings", tar(&[In::File("foo/bar.json", b"{}")]))
        .manifest(r#"{"schemaVersion":2,"artifactType":"application/vnd.cnai.model.manifest.v1+json",
         "config":{"mediaType":"application/vnd.cnai.model.config.v1+json","digest":"@config"},
         "layers":[{"mediaType":"application/vnd.cnai.model.doc.v1.tar","digest":"@doc","annotations":{"org.cnai.model.filepath":"LICENSE"}},
          {"mediaType":"application/vnd.cnai.model.weight.v1.raw","digest":"@model","annotations":{"org.cnai.model.filepath":"foo/model.gguf"}},
          {"mediaType":"application/vnd.cnai.model.weight.config.v1.tar","digest":"@settings","annotations":{"org.cnai.model.filepath":"foo/bar.json"}}]}"#)
        .files(&[("LICENSE", b"MIT"), ("foo/bar.json", b"{}")])
        .entry("foo/model.gguf");
    let layer_type = Fixture::new("cnai-first-layers", "ModelPack", "CloudNativeAI/model-spec docs/spec.md, 2025-01")
        .blob("config", "{}")
        .blob("layer", gzip(&tar(&[In::File("m.gguf", &model)])))
        .blob("readme", tar(&[In::File("README.md", b"# A")]))
        .manifest(r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
         "config":{"mediaType":"application/vnd.cnai.model.config.v1+json","digest":"@config"},
         "layers":[{"mediaType":"application/vnd.cnai.model.layer.v1.tar+gzip","digest":"@layer"},
          {"mediaType":"application/vnd.cnai.model.layer.v1.tar","digest":"@readme","annotations":{"org.cnai.model.readme":"true"}}]}"#)
        .files(&[("m.gguf", &model), ("README.md", b"# A")])
        .entry("m.gguf");
    let manifest_type = Fixture::new("cnai-manifest-type", "ModelPack", "CloudNativeAI/model-spec c4d98c5")
        .blob("config", "{}")
        .blob("layer", tar(&[In::File("m.gguf", &model)]))
        .manifest(
            r#"{"schemaVersion":2,"mediaType":"application/vnd.cnai.model.manifest.v1+json",
         "config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"@config"},
         "layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"@layer"}]}"#,
        )
        .file("m.gguf", model)
        .entry("m.gguf");
    vec![harbor, layer_type, manifest_type]
}

/// docker/model-runner: a v0.1 model converted to ModelPack has raw layers without any name.
fn converted() -> Vec<Fixture> {
    let source = "docker/model-runner pkg/distribution/modelpack";
    let (one, two) = (gguf("one"), gguf("two"));
    let named = "application/vnd.cncf.model.weight.v1.gguf";
    let single = Fixture::new("docker-converted", "ModelPack", source)
        .blob("config", r#"{"config":{"format":"gguf","architecture":"llama"}}"#)
        .raw("model", "model.gguf", one.clone())
        .manifest(manifest("", CONFIG, &[(RAW, "model", &[])]))
        .entry("model.gguf");
    let parts = Fixture::new("docker-converted-parts", "ModelPack", source)
        .blob("config", r#"{"config":{"format":"gguf"}}"#)
        .raw("one", "model-00001-of-00002.gguf", one.clone())
        .raw("two", "model-00002-of-00002.gguf", two)
        .manifest(manifest("", CONFIG, &[(RAW, "one", &[]), (RAW, "two", &[])]))
        .entry("model-00001-of-00002.gguf");
    let typed =
        Fixture::new("docker-own-weight-types", "ModelPack", "docker/model-runner pkg/distribution/modelpack/types.go")
            .blob("config", "{}")
            .raw("model", "model.gguf", one.clone())
            .manifest(manifest(TYPE, CONFIG, &[(named, "model", &[])]))
            .entry("model.gguf");
    // Nothing names the file, so its content does: section 2.1, rule 5.
    let by_content = Fixture::new(
        "modelpack-nameless",
        "ModelPack",
        "modelpack/model-spec docs/spec.md: every annotation is optional",
    )
    .blob("config", "{}")
    .raw("model", "model.gguf", one)
    .manifest(manifest(TYPE, CONFIG, &[(RAW, "model", &[])]))
    .entry("model.gguf");
    // The converter gives a tar the raw type.
    let files = tar(&[In::File("config.json", b"{}")]);
    let relabelled = Fixture::new("docker-relabelled-tar", "ModelPack", source)
        .blob("config", "{}")
        .raw("model", "m.safetensors", safetensors("w"))
        .raw("tar", "vllm.config.tar", files)
        .manifest(manifest(
            TYPE,
            CONFIG,
            &[
                (RAW, "model", &[(PATH, "m.safetensors")]),
                ("application/vnd.cncf.model.weight.config.v1.raw", "tar", &[(PATH, "vllm.config.tar")]),
            ],
        ))
        .entry("m.safetensors");
    vec![single, parts, typed, by_content, relabelled]
}
