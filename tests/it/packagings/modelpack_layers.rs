//! ModelPack's layers: every codec, every place a name may stand, and types that lie.

use super::bytes::{In, dashed, gguf, gzip, manifest, safetensors, tar, zstd};
use super::fixture::Fixture;
use super::modelpack::{CONFIG, DOC, METADATA, PATH, RAW, TAR, TITLE, TYPE};

const TAR_GZIP: &str = "application/vnd.cncf.model.weight.v1.tar+gzip";
const TAR_ZSTD: &str = "application/vnd.cncf.model.weight.v1.tar+zstd";
const SPEC: &str = "modelpack/model-spec docs/spec.md";

pub fn fixtures() -> Vec<Fixture> {
    [codecs(), names(), entries(), sharing()].into_iter().flatten().collect()
}

/// One layer with one GGUF in it.
fn packed(name: &'static str, kind: &str, bytes: Vec<u8>) -> Fixture {
    Fixture::new(name, "ModelPack", SPEC)
        .blob("config", "{}")
        .blob("layer", bytes)
        .manifest(manifest(TYPE, CONFIG, &[(kind, "layer", &[])]))
        .file("m.gguf", gguf("m"))
        .entry("m.gguf")
}

fn codecs() -> Vec<Fixture> {
    let model = gguf("m");
    let plain = tar(&[In::File("m.gguf", &model)]);
    let not_a_tar = Fixture::new("modelpack-tar-that-is-none", "ModelPack", "section 2.2: the first bytes decide")
        .blob("config", "{}")
        .raw("layer", "sub/m.gguf", model.clone())
        .manifest(manifest(TYPE, CONFIG, &[(TAR, "layer", &[(PATH, "sub/m.gguf")])]))
        .entry("sub/m.gguf");
    let two_frames =
        [zstd(&plain[..700]), vec![0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3], zstd(&plain[700..])].concat();
    vec![
        packed("modelpack-tar", TAR, plain.clone()),
        packed("modelpack-tar-gzip", TAR_GZIP, gzip(&plain)),
        packed("modelpack-tar-zstd", TAR_ZSTD, zstd(&plain)),
        packed("modelpack-zstd-frames", TAR_ZSTD, two_frames),
        packed("modelpack-gzip-members", TAR_GZIP, [gzip(&plain[..700]), gzip(&plain[700..])].concat()),
        packed("modelpack-gzip-said-to-be-tar", TAR, gzip(&plain)),
        packed("modelpack-zstd-said-to-be-tar", TAR, zstd(&plain)),
        packed("modelpack-tar-said-to-be-gzip", TAR_GZIP, plain.clone()),
        packed("modelpack-gzip-said-to-be-zstd", TAR_ZSTD, gzip(&plain)),
        packed("modelpack-type-with-parameters", &format!("{TAR}; charset=binary"), plain),
        not_a_tar,
    ]
}

/// One raw layer whose annotations name it.
fn named(name: &'static str, source: &'static str, annotations: &[(&str, &str)], path: &str) -> Fixture {
    Fixture::new(name, "ModelPack", source)
        .blob("config", "{}")
        .raw("layer", path, gguf("m"))
        .manifest(manifest(TYPE, CONFIG, &[(RAW, "layer", annotations)]))
        .entry(path)
}

fn names() -> Vec<Fixture> {
    let metadata = r#"{"name":"by/metadata.gguf","mode":420,"size":1,"typeflag":48}"#;
    let (digest, go) = (dashed(&gguf("m")), r#"{"name":"m.gguf","mode":2147484141,"typeflag":0}"#);
    let ramalama = "containers/ramalama ramalama/oci_artifact.py";
    vec![
        named("name-filepath-before-title", SPEC, &[(PATH, "a.gguf"), (TITLE, "b.gguf")], "a.gguf"),
        named("name-old-filepath", SPEC, &[("org.cnai.model.filepath", "a.gguf"), (TITLE, "b.gguf")], "a.gguf"),
        named(
            "name-new-filepath-before-old",
            SPEC,
            &[("org.cnai.model.filepath", "b.gguf"), (PATH, "a.gguf")],
            "a.gguf",
        ),
        named("name-metadata", ramalama, &[(METADATA, metadata)], "by/metadata.gguf"),
        named("name-old-metadata", ramalama, &[("org.cnai.model.file.metadata+json", metadata)], "by/metadata.gguf"),
        named("name-oldest-metadata", ramalama, &[("org.cnai.model.file.metadata", metadata)], "by/metadata.gguf"),
        named("name-metadata-before-title", ramalama, &[(METADATA, metadata), (TITLE, "t.gguf")], "by/metadata.gguf"),
        named("name-title-digest", ramalama, &[(PATH, "m.gguf"), (TITLE, &digest)], "m.gguf"),
        named("name-title-only-digest", ramalama, &[(METADATA, metadata), (TITLE, &digest)], "by/metadata.gguf"),
        named("name-broken-metadata", ramalama, &[(METADATA, "{oops"), (TITLE, "t.gguf")], "t.gguf"),
        named(
            "name-go-mode",
            "kitops-ml/kitops, typeflag of Go's mode bits",
            &[(PATH, "m.gguf"), (METADATA, go)],
            "m.gguf",
        ),
    ]
}

fn raw_files(name: &'static str, files: &[(&str, &[u8])]) -> Fixture {
    let paths: Vec<_> = files.iter().map(|(path, _)| [(PATH, *path)]).collect();
    let layers: Vec<_> = files.iter().zip(&paths).map(|((path, _), named)| (RAW, *path, named.as_slice())).collect();
    let fixture =
        Fixture::new(name, "ModelPack", "section 2.3").blob("config", "{}").manifest(manifest(TYPE, CONFIG, &layers));
    files.iter().fold(fixture, |fixture, (path, bytes)| fixture.raw(path, path, *bytes))
}

fn entries() -> Vec<Fixture> {
    let (model, other, tensors) = (gguf("m"), gguf("other"), safetensors("w"));
    let (model, other, tensors): (&[u8], &[u8], &[u8]) = (&model, &other, &tensors);
    let weights: &[u8] = b"{\"architectures\":[]}";
    vec![
        raw_files("entry-by-content", &[("tinyllama", model), ("notes.gguf.txt", b"text")]).entry("tinyllama"),
        raw_files("entry-beside", &[("draft-m.gguf", other), ("m.gguf", model), ("x-lora.gguf", b"GGUF lora")])
            .entry("m.gguf"),
        raw_files("entry-gguf-by-name-only", &[("m.gguf", b"text, no GGUF"), ("real.bin", model)]).entry("real.bin"),
        raw_files("entry-several", &[("a.gguf", model), ("b.gguf", other)])
            .complains("the artifact does not say which file is the model, name one of: \"a.gguf\", \"b.gguf\""),
        raw_files("entry-shard-missing", &[("m-00001-of-00003.gguf", model), ("m-00003-of-00003.gguf", other)])
            .complains("\"m-00002-of-00003.gguf\" is missing, the model is split into parts"),
        raw_files("entry-two-sets-of-shards", &[("m-00001-of-00001.gguf", model), ("n-00001-of-00001.gguf", other)])
            .complains("name one of: \"m-00001-of-00001.gguf\", \"n-00001-of-00001.gguf\""),
        raw_files(
            "entry-folder",
            &[
                ("deep/er/config.json", b"{}"),
                ("deep/er/w.safetensors", b"x"),
                ("q/config.json", weights),
                ("q/w.safetensors", tensors),
            ],
        )
        .entry("q"),
        raw_files(
            "entry-diffusers",
            &[("model_index.json", b"{}"), ("unet/config.json", weights), ("unet/w.safetensors", tensors)],
        )
        .entry("."),
        raw_files("entry-single-onnx", &[("model.onnx", b"onnx"), ("README.md", b"# A")]).entry("model.onnx"),
        raw_files("entry-single-dduf", &[("model.dduf", b"PK"), ("LICENSE", b"MIT")]).entry("model.dduf"),
        raw_files("template-jinja", &[("m.gguf", model), ("template.jinja", b"{{ a }}")])
            .entry("m.gguf")
            .template("template.jinja"),
        raw_files("template-json", &[("m.gguf", model), ("chat_template.json", b"{\"chat_template\":\"{{ a }}\"}")])
            .entry("m.gguf")
            .template("chat_template.json"),
        raw_files("mmproj-by-name", &[("model-mmproj-f16.gguf", other), ("model.gguf", model)])
            .entry("model.gguf")
            .mmproj("model-mmproj-f16.gguf"),
    ]
}

fn sharing() -> Vec<Fixture> {
    let model = gguf("m");
    // Section 2.2: in ModelPack only equal paths with unequal content are an error.
    let same_twice = Fixture::new("modelpack-same-file-twice", "ModelPack", "section 2.2")
        .blob("config", "{}")
        .blob("one", tar(&[In::File("m.gguf", &model), In::File("LICENSE", b"MIT")]))
        .blob("two", tar(&[In::File("config.json", b"{}"), In::File("LICENSE", b"MIT")]))
        .manifest(manifest(TYPE, CONFIG, &[(TAR, "one", &[]), (TAR, "two", &[])]))
        .files(&[("m.gguf", &model), ("LICENSE", b"MIT"), ("config.json", b"{}")])
        .entry("m.gguf");
    let one_blob = Fixture::new("modelpack-one-blob-two-names", "ModelPack", SPEC)
        .blob("config", "{}")
        .blob("layer", model.clone())
        .manifest(manifest(TYPE, CONFIG, &[(RAW, "layer", &[(PATH, "m.gguf")]), (DOC, "layer", &[(PATH, "copy.txt")])]))
        .files(&[("m.gguf", &model), ("copy.txt", &model)])
        .complains("name one of: \"m.gguf\"");
    let listed_twice = Fixture::new(
        "modelpack-layer-listed-twice",
        "ModelPack",
        "docker/model-runner: the same annotation twice is skipped",
    )
    .blob("config", "{}")
    .raw("layer", "m.gguf", model.clone())
    .manifest(manifest(TYPE, CONFIG, &[(RAW, "layer", &[(PATH, "m.gguf")]), (RAW, "layer", &[(PATH, "m.gguf")])]))
    .entry("m.gguf");
    let programs = Fixture::new("modelpack-modes", "ModelPack", "section 7: 0644 or 0755 and no setuid")
        .blob("config", "{}")
        .blob("layer", tar(&[In::File("m.gguf", &model), In::Program("run.sh", b"#!/bin/sh")]))
        .manifest(manifest(TYPE, CONFIG, &[(TAR, "layer", &[])]))
        .file("m.gguf", model)
        .program("run.sh", "#!/bin/sh")
        .entry("m.gguf");
    vec![same_twice, one_blob, listed_twice, programs]
}
