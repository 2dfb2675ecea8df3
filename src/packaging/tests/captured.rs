//! Manifests as the producers' sources, tests and documentation show them, with true digests.

use super::*;

struct Case<'a> {
    packaging: Packaging,
    json: &'a str,
    contents: &'a [(&'a str, &'a [u8])],
    files: &'a [&'a str],
    entry: Option<&'a str>,
}

fn check(case: &Case<'_>) -> Listing {
    let artifact = Artifact::new(case.json, case.contents);
    let plan = artifact.plan().unwrap_or_else(|error| panic!("{error:?} {}", case.json));
    assert_eq!(plan.packaging, case.packaging, "{}", case.json);
    let (sink, listing) = artifact.files();
    assert_eq!(sink.paths(), case.files, "{}", case.json);
    assert_eq!(listing.entry.as_deref(), case.entry, "{}", case.json);
    assert_eq!(listing.packaging, case.packaging.to_string());
    assert_eq!(listing.digest, artifact.digest());
    listing
}

fn dashed(content: &[u8]) -> String {
    Digest::sha256(content).file_name()
}

/// model-spec docs/spec.md: no annotation anywhere.
#[test]
fn modelpack_of_the_spec_has_tars_and_no_annotations() {
    let weights = tar(&[In::File("a.safetensors", b"one"), In::File("b.safetensors", b"two")]);
    let config = tar(&[In::File("./config.json", b"{}")]);
    let doc = gzip(&tar(&[In::Folder("docs/"), In::File("docs/README.md", b"# A")]));
    check(&Case {
        packaging: Packaging::ModelPack,
        json: r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
         "artifactType":"application/vnd.cncf.model.manifest.v1+json",
         "config":{"mediaType":"application/vnd.cncf.model.config.v1+json","digest":"@config"},
         "layers":[{"mediaType":"application/vnd.cncf.model.weight.v1.tar","digest":"@weights"},
          {"mediaType":"application/vnd.cncf.model.weight.config.v1.tar","digest":"@weight.config"},
          {"mediaType":"application/vnd.cncf.model.doc.v1.tar+gzip","digest":"@doc"}]}"#,
        contents: &[("config", b"{}"), ("weights", &weights), ("weight.config", &config), ("doc", &doc)],
        files: &["a.safetensors", "b.safetensors", "config.json", "docs/README.md"],
        entry: Some("."),
    });
}

/// llmman go-shim/hf.go, what today's Docker Hub `ai/` holds: filepaths and no titles.
#[test]
fn modelpack_of_llmman_has_raw_layers_with_filepaths() {
    let listing = check(&Case {
        packaging: Packaging::ModelPack,
        json: r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/vnd.cncf.model.manifest.v1+json",
         "config":{"mediaType":"application/vnd.cncf.model.config.v1+json","digest":"@config"},
         "layers":[{"mediaType":"application/vnd.cncf.model.weight.v1.raw","digest":"@mmproj","annotations":{"org.cncf.model.filepath":"mmproj-F16.gguf"}},
          {"mediaType":"application/vnd.cncf.model.weight.v1.raw","digest":"@model","annotations":{"org.cncf.model.filepath":"NAME-Q4_K_M.gguf"}},
          {"mediaType":"application/vnd.cncf.model.doc.v1.raw","digest":"@doc","annotations":{"org.cncf.model.filepath":"LICENSE"}}],
         "annotations":{"ai.model.repo":"unsloth/NAME-GGUF","org.cncf.model.filepath":"NAME-Q4_K_M.gguf"}}"#,
        contents: &[("config", b"{}"), ("model", GGUF), ("mmproj", b"GGUF\x03\0\0\0 eyes"), ("doc", b"MIT")],
        files: &["LICENSE", "NAME-Q4_K_M.gguf", "mmproj-F16.gguf"],
        entry: Some("NAME-Q4_K_M.gguf"),
    });
    assert_eq!(listing.mmproj.as_deref(), Some("mmproj-F16.gguf"));
}

/// modctl pkg/backend/inspect_test.go, as Harbor holds them.
#[test]
fn modelpack_under_its_old_names() {
    let licence = tar(&[In::File("LICENSE", b"MIT")]);
    let config = tar(&[In::File("foo/bar.json", b"{}")]);
    check(&Case {
        packaging: Packaging::ModelPack,
        json: r#"{"schemaVersion":2,"artifactType":"application/vnd.cnai.model.manifest.v1+json",
         "config":{"mediaType":"application/vnd.cnai.model.config.v1+json","digest":"@config"},
         "layers":[{"mediaType":"application/vnd.cnai.model.doc.v1.tar","digest":"@doc","annotations":{"org.cnai.model.filepath":"LICENSE"}},
          {"mediaType":"application/vnd.cnai.model.weight.v1.raw","digest":"@model","annotations":{"org.cnai.model.filepath":"foo/model.gguf"}},
          {"mediaType":"application/vnd.cnai.model.weight.config.v1.tar","digest":"@weight.config","annotations":{"org.cnai.model.filepath":"foo/bar.json"}}]}"#,
        contents: &[("config", b"{}"), ("doc", &licence), ("model", GGUF), ("weight.config", &config)],
        files: &["LICENSE", "foo/bar.json", "foo/model.gguf"],
        entry: Some("foo/model.gguf"),
    });
    // The first cnai spec put the type into the manifest's own media type.
    let layer = tar(&[In::File("m.gguf", GGUF)]);
    check(&Case {
        packaging: Packaging::ModelPack,
        json: r#"{"schemaVersion":2,"mediaType":"application/vnd.cnai.model.manifest.v1+json",
         "layers":[{"mediaType":"application/vnd.cnai.model.layer.v1.tar","digest":"@layer"}]}"#,
        contents: &[("layer", &layer)],
        files: &["m.gguf"],
        entry: Some("m.gguf"),
    });
}

/// model-runner pkg/distribution/modelpack: converted from v0.1, raw and nameless.
#[test]
fn modelpack_without_names_is_named_by_the_config() {
    let json = r#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.cncf.model.config.v1+json","digest":"@config"},
         "layers":[{"mediaType":"application/vnd.cncf.model.weight.v1.raw","digest":"@one"},
          {"mediaType":"application/vnd.cncf.model.weight.v1.raw","digest":"@two"},
          {"mediaType":"application/vnd.cncf.model.doc.v1.raw","digest":"@doc"}]}"#;
    check(&Case {
        packaging: Packaging::ModelPack,
        json,
        contents: &[
            ("config", br#"{"config":{"format":"gguf"}}"#),
            ("one", GGUF),
            ("two", b"GGUF, the other half"),
            ("doc", b"MIT"),
        ],
        files: &["doc-1", "model-00001-of-00002.gguf", "model-00002-of-00002.gguf"],
        entry: Some("model-00001-of-00002.gguf"),
    });
    check(&Case {
        packaging: Packaging::ModelPack,
        json,
        contents: &[("config", b"{}"), ("one", GGUF), ("two", b"text"), ("doc", b"MIT")],
        files: &["doc-3", "weight-1", "weight-2"],
        entry: Some("weight-1"),
    });
}

/// ramalama/oci_artifact.py: podman's artifact with ModelPack's type, empty config, digests as titles.
#[test]
fn ramalama_artifacts_have_their_names_in_filepath() {
    let title = dashed(GGUF);
    let json = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
         "artifactType":"application/vnd.cncf.model.manifest.v1+json",
         "config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"@config","data":"e30="},
         "layers":[{"mediaType":"application/octet-stream","digest":"@model","annotations":{
           "org.cncf.model.filepath":"gemma.gguf","org.opencontainers.image.title":"TITLE",
           "org.cncf.model.file.metadata+json":"{\"name\":\"gemma.gguf\",\"mode\":420,\"typeflag\":48}"}},
          {"mediaType":"text/plain; charset=utf-8","digest":"@template","annotations":{
           "org.cncf.model.file.metadata+json":"{\"name\":\"chat_template.jinja\"}","org.opencontainers.image.title":"TITLE"}}]}"#;
    let listing = check(&Case {
        packaging: Packaging::ModelPack,
        json: &json.replace("TITLE", &title),
        contents: &[("config", b"{}"), ("model", GGUF), ("template", b"{{ messages }}")],
        files: &["chat_template.jinja", "gemma.gguf"],
        entry: Some("gemma.gguf"),
    });
    assert_eq!(listing.chat_template.as_deref(), Some("chat_template.jinja"));
}

/// docker/model-spec spec.md, and the names of model-runner's bundles.
#[test]
fn docker_ai_v01_is_named_by_rule() {
    check(&Case {
        packaging: Packaging::DockerAi,
        json: r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
         "config":{"mediaType":"application/vnd.docker.ai.model.config.v0.1+json","digest":"@config"},
         "layers":[{"mediaType":"application/vnd.docker.ai.gguf.v3","digest":"@model"},
          {"mediaType":"application/vnd.docker.ai.license","digest":"@licence"}]}"#,
        contents: &[("config", b"{}"), ("model", GGUF), ("licence", b"MIT")],
        files: &["LICENSE", "model.gguf"],
        entry: Some("model.gguf"),
    });
    let files = tar(&[In::File("config.json", b"{}"), In::File("tokenizer.json", b"{}")]);
    let folder = tar(&[In::Folder("1_Pooling/"), In::File("1_Pooling/config.json", b"{}")]);
    let listing = check(&Case {
        packaging: Packaging::DockerAi,
        json: r#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.docker.ai.model.config.v0.1+json","digest":"@config"},
         "layers":[{"mediaType":"application/vnd.docker.ai.gguf.v3","digest":"@one"},
          {"mediaType":"application/vnd.docker.ai.gguf.v3","digest":"@two"},
          {"mediaType":"application/vnd.docker.ai.gguf.v3.lora","digest":"@lora"},
          {"mediaType":"application/vnd.docker.ai.mmproj","digest":"@mmproj"},
          {"mediaType":"application/vnd.docker.ai.chat.template.jinja","digest":"@template"},
          {"mediaType":"application/vnd.docker.ai.vllm.config.tar","digest":"@tar"},
          {"mediaType":"application/vnd.docker.ai.dir.tar","digest":"@folder"},
          {"mediaType":"application/vnd.docker.ai.license","digest":"@mit"},
          {"mediaType":"application/vnd.docker.ai.license","digest":"@gemma"}]}"#,
        contents: &[
            ("config", b"{}"),
            ("one", GGUF),
            ("two", b"GGUF two"),
            ("lora", b"GGUF lora"),
            ("mmproj", b"GGUF eyes"),
            ("template", b"{{ messages }}"),
            ("tar", &files),
            ("folder", &folder),
            ("mit", b"MIT"),
            ("gemma", b"Gemma"),
        ],
        files: &[
            "1_Pooling/config.json",
            "LICENSE",
            "LICENSE.1",
            "adapter.gguf",
            "config.json",
            "model-00001-of-00002.gguf",
            "model-00002-of-00002.gguf",
            "model.mmproj",
            "template.jinja",
            "tokenizer.json",
        ],
        entry: Some("model-00001-of-00002.gguf"),
    });
    assert_eq!(listing.mmproj.as_deref(), Some("model.mmproj"));
    assert_eq!(listing.chat_template.as_deref(), Some("template.jinja"));
}

/// model-runner after PR 402, both versions, and the pre-release of March 2025.
#[test]
fn docker_ai_with_filepaths_and_before_its_release() {
    for version in ["v0.1", "v0.2"] {
        let json = r#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.docker.ai.model.config.VERSION+json","digest":"@config"},
         "layers":[{"mediaType":"application/vnd.docker.ai.safetensors","digest":"@model","annotations":{"org.cncf.model.filepath":"text/model.safetensors"}},
          {"mediaType":"application/vnd.docker.ai.model.file","digest":"@json","annotations":{"org.cncf.model.filepath":"text/config.json"}}]}"#;
        check(&Case {
            packaging: Packaging::DockerAi,
            json: &json.replace("VERSION", version),
            contents: &[("config", b"{}"), ("model", b"weights"), ("json", b"{\"a\":1}")],
            files: &["text/config.json", "text/model.safetensors"],
            entry: Some("text"),
        });
    }
    check(&Case {
        packaging: Packaging::DockerAi,
        json: r#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.docker.ai.model.config.v1+json","digest":"@config"},
         "layers":[{"mediaType":"application/vnd.docker.ai.model.file.v1+gguf","digest":"@model"}]}"#,
        contents: &[("config", b"{}"), ("model", GGUF)],
        files: &["model.gguf"],
        entry: Some("model.gguf"),
    });
}

/// library/llama3:8b, with two licences and what vision models add.
#[test]
fn ollama_is_named_by_media_types() {
    let listing = check(&Case {
        packaging: Packaging::Ollama,
        json: r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json",
         "config":{"mediaType":"application/vnd.docker.container.image.v1+json","digest":"@config"},
         "layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"@model"},
          {"mediaType":"application/vnd.ollama.image.projector","digest":"@projector"},
          {"mediaType":"application/vnd.ollama.image.license","digest":"@llama"},
          {"mediaType":"application/vnd.ollama.image.license","digest":"@mit"},
          {"mediaType":"application/vnd.ollama.image.template","digest":"@template"},
          {"mediaType":"application/vnd.ollama.image.system","digest":"@system"},
          {"mediaType":"application/vnd.ollama.image.messages","digest":"@messages"},
          {"mediaType":"application/vnd.ollama.image.adapter","digest":"@adapter"},
          {"mediaType":"application/vnd.ollama.image.params","digest":"@params"}]}"#,
        contents: &[
            ("config", br#"{"model_format":"gguf","rootfs":{"type":"layers","diff_ids":[]}}"#),
            ("model", GGUF),
            ("projector", b"GGUF eyes"),
            ("llama", b"Llama"),
            ("mit", b"MIT"),
            ("template", b"{{ .Prompt }}"),
            ("system", b"Be kind."),
            ("messages", b"[]"),
            ("adapter", b"GGUF lora"),
            ("params", b"{\"stop\":[]}"),
        ],
        files: &[
            "LICENSE",
            "LICENSE.1",
            "adapter.gguf",
            "messages.json",
            "mmproj.gguf",
            "model.gguf",
            "params.json",
            "system",
            "template",
        ],
        entry: Some("model.gguf"),
    });
    assert_eq!(listing.mmproj.as_deref(), Some("mmproj.gguf"));
    assert_eq!(listing.chat_template, None, "a Go template is no Jinja template");
}

/// podman-artifact-inspect(1), and a file added without a title.
#[test]
fn podman_artifacts_are_named_by_title_or_digest() {
    let untitled = dashed(b"no title");
    let case = Case {
        packaging: Packaging::Oras,
        json: r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
         "config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"@config","data":"e30="},
         "layers":[{"mediaType":"text/plain; charset=utf-8","digest":"@file","annotations":{"org.opencontainers.image.title":"foobar.txt"}},
          {"mediaType":"application/octet-stream","digest":"@untitled"}]}"#,
        contents: &[("config", b"{}"), ("file", b"text"), ("untitled", b"no title")],
        files: &["foobar.txt", &untitled],
        entry: None,
    };
    check(&case);
    assert!(Artifact::new(case.json, case.contents).plan().unwrap().is_named_as_by_podman());
}

/// oras cmd/oras/internal/manifest/manifest_test.go: the type of a tar on a plain file; and an old artifact manifest.
#[test]
fn oras_files_are_raw_whatever_their_type_says() {
    let archive = tar(&[In::File("inside", b"x")]);
    check(&Case {
        packaging: Packaging::Oras,
        json: r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.unknown.config.v1+json","digest":"@config"},
         "layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"@hello","annotations":{"org.opencontainers.image.title":"hello.txt"}},
          {"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"@tar","annotations":{"org.opencontainers.image.title":"data/a.tar"}}]}"#,
        contents: &[("config", b"{}"), ("hello", b"hello\n"), ("tar", &archive)],
        files: &["data/a.tar", "hello.txt"],
        entry: None,
    });
    check(&Case {
        packaging: Packaging::Oras,
        json: r#"{"mediaType":"application/vnd.oci.artifact.manifest.v1+json","artifactType":"application/x-model",
         "blobs":[{"mediaType":"application/octet-stream","digest":"@model","annotations":{"org.opencontainers.image.title":"m.bin"}}]}"#,
        contents: &[("model", GGUF)],
        files: &["m.bin"],
        entry: Some("m.bin"),
    });
}

/// omlmd: the config is one of the layers, and `--artifact-platform`'s config is no image's.
#[test]
fn other_artifacts_are_oras_too() {
    check(&Case {
        packaging: Packaging::Oras,
        json: r#"{"schemaVersion":2,"config":{"mediaType":"application/x-config","digest":"@config"},
         "layers":[{"mediaType":"application/x-mlmodel","digest":"@model","annotations":{"org.opencontainers.image.title":"model.joblib"}},
          {"mediaType":"application/x-config","digest":"@config","annotations":{"org.opencontainers.image.title":"model_metadata.omlmd.json"}}]}"#,
        contents: &[("config", b"{\"name\":\"m\"}"), ("model", b"joblib")],
        files: &["model.joblib", "model_metadata.omlmd.json"],
        entry: None,
    });
    check(&Case {
        packaging: Packaging::Oras,
        json: r#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"@config"},
         "layers":[{"mediaType":"application/octet-stream","digest":"@model","annotations":{"org.opencontainers.image.title":"m.gguf"}}]}"#,
        contents: &[("config", br#"{"architecture":"amd64","os":"linux"}"#), ("model", GGUF)],
        files: &["m.gguf"],
        entry: Some("m.gguf"),
    });
}

/// ollama server/images.go and the older ones before it: every kind of layer has a file.
#[test]
fn ollama_has_a_file_for_every_kind_of_layer() {
    let kinds = ["model", "draft", "template", "prompt", "system", "params", "messages", "license", "embed", "json"];
    let contents: Vec<(&str, &[u8])> =
        kinds.iter().map(|kind| (*kind, if *kind == "model" { GGUF } else { kind.as_bytes() })).collect();
    let layer = |kind: &&str| {
        let name = if *kind == "json" { r#","name":"config.json""# } else { "" };
        format!(r#"{{"mediaType":"application/vnd.ollama.image.{kind}","digest":"@{kind}"{name}}}"#)
    };
    check(&Case {
        packaging: Packaging::Ollama,
        json: &format!(r#"{{"schemaVersion":2,"layers":[{}]}}"#, kinds.iter().map(layer).collect::<Vec<_>>().join(",")),
        contents: &contents,
        files: &[
            "LICENSE",
            "config.json",
            "draft.gguf",
            "embed",
            "messages.json",
            "model.gguf",
            "params.json",
            "prompt",
            "system",
            "template",
        ],
        entry: Some("model.gguf"),
    });
}

/// KEP-4639: images in the shape of artifacts; the contents of their tars lie in one folder.
#[test]
fn layers_titled_as_tars_are_merged() {
    let (one, two) =
        (gzip(&tar(&[In::File("dir/a", b"a")])), zstd(&tar(&[In::Folder("dir/"), In::File("dir/b", b"b")])));
    let json = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
         "config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"@config"},
         "layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"@one","annotations":{"org.opencontainers.image.title":"layer0.tar"}},
          {"mediaType":"application/vnd.oci.image.layer.v1.tar+zstd","digest":"@two","annotations":{"org.opencontainers.image.title":"layer1.tar"}}]}"#;
    check(&Case {
        packaging: Packaging::Oras,
        json,
        contents: &[("config", br#"{"architecture":"amd64","os":"linux"}"#), ("one", &one), ("two", &two)],
        files: &["dir/a", "dir/b"],
        entry: None,
    });
}

/// olot/oci_artifact.py: the config of an image, folders as they were, no titles; with and without an artifact type.
#[test]
fn simple_artifacts_of_olot_are_no_images() {
    let model = gzip(&tar(&[In::File("m.gguf", GGUF)]));
    let card = gzip(&tar(&[In::File("docs/README.md", b"# M")]));
    let nested = gzip(&tar(&[In::File("models/x.json", b"{}")]));
    let json = r#"{"schemaVersion":2,TYPE"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"@config"},
         "layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"@card","annotations":{"olot.layer.content.name":"docs/README.md"}},
          {"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"@model","annotations":{"olot.layer.content.name":"m.gguf"}},
          {"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"@nested","annotations":{"olot.layer.content.name":"models/x.json"}}]}"#;
    for artifact_type in ["", r#""artifactType":"application/x-mlmodel","#] {
        check(&Case {
            packaging: Packaging::Oras,
            json: &json.replace("TYPE", artifact_type),
            contents: &[
                ("config", br#"{"architecture":"unknown","os":"unknown","rootfs":{"type":"layers","diff_ids":[]}}"#),
                ("card", &card),
                ("model", &model),
                ("nested", &nested),
            ],
            files: &["docs/README.md", "m.gguf", "models/x.json"],
            entry: Some("m.gguf"),
        });
    }
}

/// kaito-project/aikit pkg/packager/scripts/modelpack.sh in tar+zstd: weights by base name, the rest in bundles called by
/// their category, sizes of all files together.
#[test]
fn aikits_archives_are_named_by_category() {
    let weights = zstd(&tar(&[In::File("model.safetensors", b"unet")]));
    let config = zstd(&tar(&[In::File("model_index.json", b"{}"), In::File("unet/config.json", b"{}")]));
    let metadata = |name: &str, size: u32, more: &str| {
        let text = format!(
            r#"{{"name":"{name}","mode":420,"uid":0,"gid":0,"size":{size},"mtime":"1970-01-01T00:00:00Z","typeflag":0{more}}}"#
        );
        serde_json::json!({
            "org.opencontainers.image.title": name, "org.cncf.model.filepath": name,
            "org.cncf.model.file.metadata+json": text, "org.cncf.model.file.mediatype.untested": "true"
        })
    };
    let json = format!(
        r#"{{"schemaVersion":2,"artifactType":"application/vnd.cncf.model.manifest.v1+json",
         "config":{{"mediaType":"application/vnd.cncf.model.config.v1+json","digest":"@empty"}},
         "layers":[{{"mediaType":"application/vnd.cncf.model.weight.v1.tar+zstd","digest":"@weights","annotations":{}}},
          {{"mediaType":"application/vnd.cncf.model.weight.config.v1.tar+zstd","digest":"@bundle","annotations":{}}}]}}"#,
        metadata("unet/model.safetensors", 4, ""),
        metadata("config", 4, r#","files":2"#)
    );
    check(&Case {
        packaging: Packaging::ModelPack,
        json: &json,
        contents: &[("empty", b"{}"), ("weights", &weights), ("bundle", &config)],
        files: &["model_index.json", "unet/config.json", "unet/model.safetensors"],
        entry: Some("."),
    });
}
