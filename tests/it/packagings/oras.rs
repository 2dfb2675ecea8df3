//! Files with titles: ORAS of all versions, podman, KEP-4639, and the manifest that OCI dropped.

use super::bytes::{In, dashed, digest, gguf, gzip, manifest, tar, zstd};
use super::fixture::Fixture;

const UNKNOWN: &str = "application/vnd.unknown.config.v1+json";
const ARTIFACT: &str = "application/vnd.unknown.artifact.v1";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const IMAGE: &str = "application/vnd.oci.image.config.v1+json";
const TAR: &str = "application/vnd.oci.image.layer.v1.tar";
const TAR_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const TITLE: &str = "org.opencontainers.image.title";
const PUSH: &str = "oras-project/oras cmd/oras/root/push.go";

pub fn fixtures() -> Vec<Fixture> {
    [files(), folders(), titles(), podman(), platforms()].into_iter().flatten().collect()
}

fn files() -> Vec<Fixture> {
    let archive = tar(&[In::File("inside", b"x")]);
    let first = Fixture::new("oras-1.0", "ORAS", "oras-project/oras cmd/oras/internal/manifest/manifest_test.go")
        .blob("config", "{}")
        .raw("hello", "hello.txt", "hello\n")
        .manifest(r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.unknown.config.v1+json","digest":"@config"},
         "layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"@hello","annotations":{"org.opencontainers.image.title":"hello.txt"}}]}"#);
    let second = Fixture::new("oras-1.1", "ORAS", PUSH)
        .blob("config", "{}")
        .raw("model", "weights/m.gguf", gguf("m"))
        .raw("tar", "data/a.tar", archive.clone())
        .raw("zipped", "data/b.bin", gzip(&archive))
        .raw("text", "README.md", "# A")
        .manifest(manifest(
            ARTIFACT,
            EMPTY,
            &[
                (TAR, "model", &[(TITLE, "weights/m.gguf")]),
                (TAR, "tar", &[(TITLE, "data/a.tar")]),
                (TAR_GZIP, "zipped", &[(TITLE, "data/b.bin")]),
                ("text/markdown", "text", &[(TITLE, "README.md")]),
            ],
        ))
        .entry("weights/m.gguf");
    let config = Fixture::new("oras-own-config", "ORAS", PUSH)
        .blob("config", r#"{"any":1}"#)
        .raw("model", "m.bin", gguf("m"))
        .manifest(manifest("", "application/vnd.acme.rocket.config", &[(TAR, "model", &[(TITLE, "m.bin")])]))
        .entry("m.bin");
    let deprecated = Fixture::new("artifact-manifest", "ORAS", "opencontainers/image-spec v1.1.0-rc2 artifact.md")
        .raw("model", "m.bin", gguf("m"))
        .manifest(r#"{"mediaType":"application/vnd.oci.artifact.manifest.v1+json","artifactType":"application/x-model",
         "blobs":[{"mediaType":"application/octet-stream","digest":"@model","annotations":{"org.opencontainers.image.title":"m.bin"}}],
         "annotations":{"org.opencontainers.artifact.created":"2022-10-01T00:00:00Z"}}"#)
        .entry("m.bin");
    // section 6: sha512 is registered too.
    let model = gguf("sha512");
    let sha512 = Fixture::new("oras-sha512", "ORAS", "opencontainers/image-spec descriptor.md")
        .blob("config", "{}")
        .blob_as("model", &super::bytes::sha512(&model), model.clone())
        .manifest(manifest(ARTIFACT, EMPTY, &[("application/octet-stream", "model", &[(TITLE, "m.gguf")])]))
        .file("m.gguf", model)
        .entry("m.gguf");
    vec![first, second, config, deprecated, sha512]
}

fn folders() -> Vec<Fixture> {
    let members = [
        In::Folder("data/"),
        In::File("data/config.json", b"{\"a\":1}"),
        In::File("data/w.safetensors", b"w"),
        In::Folder("data/empty/"),
        In::Program("data/sub/run.sh", b"#!"),
    ];
    let plain = tar(&members);
    let folder = |name, kind, title: &str, bytes: Vec<u8>| {
        Fixture::new(name, "ORAS", "oras-project/oras-go content/file/utils.go")
            .blob("config", "{}")
            .blob("folder", bytes)
            .manifest(manifest(
                ARTIFACT,
                EMPTY,
                &[(
                    kind,
                    "folder",
                    &[
                        (TITLE, title),
                        ("io.deis.oras.content.unpack", "true"),
                        ("io.deis.oras.content.digest", &digest(&plain)),
                    ],
                )],
            ))
            .files(&[("data/config.json", b"{\"a\":1}"), ("data/w.safetensors", b"w")])
            .program("data/sub/run.sh", "#!")
            .entry("data")
    };
    // NVIDIA/aicr issue 1794: the whole working directory.
    vec![
        folder("oras-folder", TAR_GZIP, "data", gzip(&plain)),
        folder("oras-folder-dot", TAR_GZIP, ".", gzip(&plain)),
        folder("oras-folder-own-type", "application/vnd.acme.folder", "data", gzip(&plain)),
        folder("oras-folder-zstd", "application/vnd.oci.image.layer.v1.tar+zstd", "data", zstd(&plain)),
    ]
}

fn titles() -> Vec<Fixture> {
    let bytes = gzip(&tar(&[In::File("in/m.gguf", &gguf("m"))]));
    let titled = |name, kind, title, bytes: &[u8]| {
        Fixture::new(name, "ORAS", "section 2.2: unpacked where type and title agree")
            .blob("config", "{}")
            .blob("layer", bytes)
            .manifest(manifest(ARTIFACT, EMPTY, &[(kind, "layer", &[(TITLE, title)])]))
    };
    // oras-py says of a folder no more than its type and its name.
    let folder = gzip(&tar(&[In::Folder("data/"), In::File("data/m.gguf", &gguf("m"))]));
    let unpacked = |fixture: Fixture| fixture.file("in/m.gguf", gguf("m")).entry("in/m.gguf");
    vec![
        unpacked(titled("oras-title-tar-gz", TAR_GZIP, "all.tar.gz", &bytes)),
        unpacked(titled("oras-title-tgz", TAR_GZIP, "all.tgz", &bytes)),
        unpacked(titled(
            "oras-title-tar-zst",
            "application/vnd.oci.image.layer.v1.tar+zstd",
            "all.tar.zst",
            &zstd(&tar(&[In::File("in/m.gguf", &gguf("m"))])),
        )),
        titled("oras-py-folder", TAR_GZIP, "data", &folder).file("data/m.gguf", gguf("m")).entry("data/m.gguf"),
        titled("oras-gzip-without-such-a-title", TAR_GZIP, "model.bin", &bytes).file("model.bin", bytes.clone()),
        titled("oras-such-a-title-without-the-type", "application/gzip", "all.tar.gz", &bytes)
            .file("all.tar.gz", bytes.clone()),
    ]
}

fn podman() -> Vec<Fixture> {
    let untitled = gguf("no title");
    let name = dashed(&untitled);
    let example = Fixture::new("podman-artifact", "ORAS", "containers/podman docs/source/markdown/podman-artifact-inspect.1.md")
        .blob("config", "{}")
        .raw("file", "foobar.txt", "text\n")
        .manifest(r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
         "config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"@config","data":"e30="},
         "layers":[{"mediaType":"text/plain; charset=utf-8","digest":"@file","annotations":{"org.opencontainers.image.title":"foobar.txt"}}]}"#);
    let digests =
        Fixture::new("podman-untitled", "ORAS", "containers/podman pkg/libartifact/store: a file without a title")
            .blob("config", "{}")
            .raw("model", &name, untitled)
            .raw("file", "foobar.txt", "text\n")
            .manifest(manifest(
                "application/vnd.acme.model",
                EMPTY,
                &[
                    ("application/octet-stream", "model", &[]),
                    ("text/plain; charset=utf-8", "file", &[(TITLE, "foobar.txt")]),
                ],
            ))
            .entry(&name);
    let ramalama = Fixture::new("ramalama-artifact", "ModelPack", "containers/ramalama ramalama/oci_artifact.py")
        .blob("config", "{}")
        .raw("model", "gemma.gguf", gguf("gemma"))
        .raw("template", "chat_template.jinja", "{{ messages }}")
        .manifest(r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
         "artifactType":"application/vnd.cncf.model.manifest.v1+json",
         "config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"@config","data":"e30="},
         "layers":[{"mediaType":"application/octet-stream","digest":"@model","annotations":{
           "org.cncf.model.filepath":"gemma.gguf","org.opencontainers.image.title":"sha256-cfe21da457a108815d015dff95bed59c34a6f170fde7e4f99fa0c3f809251df3",
           "org.cncf.model.file.metadata+json":"{\"name\":\"gemma.gguf\",\"mode\":420,\"typeflag\":48}","org.cncf.model.file.mediatype.untested":"true"}},
          {"mediaType":"text/plain; charset=utf-8","digest":"@template","annotations":{
           "org.cncf.model.file.metadata+json":"{\"name\":\"chat_template.jinja\"}","org.opencontainers.image.title":"sha256-2af3b81862c6be03c769683af18efdadb2c33f60ff32ab6f83e42c043d6c7816"}}],
         "annotations":{"org.cncf.model.filepath":"gemma.gguf","org.opencontainers.image.created":"2026-08-21T10:00:00Z"}}"#)
        .entry("gemma.gguf")
        .template("chat_template.jinja");
    vec![example, digests, ramalama]
}

/// An image config that is none, and a model in an image with an artifact type.
fn platforms() -> Vec<Fixture> {
    let bare = r#"{"architecture":"amd64","os":"linux"}"#;
    let layer = tar(&[In::File("dir/file", b"1"), In::File("file", b"2")]);
    let upper = tar(&[In::File("m.gguf", &gguf("m"))]);
    let platform =
        Fixture::new("oras-artifact-platform", "ORAS", "oras-project/oras cmd/oras/root/push.go --artifact-platform")
            .blob("config", bare)
            .raw("model", "m.gguf", gguf("m"))
            .manifest(manifest("", IMAGE, &[("application/octet-stream", "model", &[(TITLE, "m.gguf")])]))
            .entry("m.gguf");
    let kep =
        Fixture::new("kep-4639", "ORAS", "kubernetes/enhancements keps/sig-node/4639-oci-volume-source/README.md")
            .blob("config", bare)
            .blob("one", gzip(&layer))
            .blob("two", gzip(&upper))
            .manifest(manifest(
                "",
                IMAGE,
                &[(TAR_GZIP, "one", &[(TITLE, "layer0.tar")]), (TAR_GZIP, "two", &[(TITLE, "layer1.tar")])],
            ))
            .files(&[("dir/file", b"1"), ("file", b"2"), ("m.gguf", &gguf("m"))])
            .entry("m.gguf");
    let typed = Fixture::new("image-config-with-artifact-type", "ORAS", "section 1, row 8")
        .blob("config", super::bytes::image_config(&[]))
        .raw("model", "m.gguf", gguf("m"))
        .manifest(manifest(
            "application/vnd.acme.model",
            IMAGE,
            &[("application/octet-stream", "model", &[(TITLE, "m.gguf")])],
        ))
        .entry("m.gguf");
    let unknown = Fixture::new("oras-1.0-folder", "ORAS", PUSH)
        .blob("config", "{}")
        .blob("folder", gzip(&layer))
        .manifest(manifest(
            "",
            UNKNOWN,
            &[(TAR_GZIP, "folder", &[(TITLE, "dir"), ("io.deis.oras.content.unpack", "true")])],
        ))
        .files(&[("dir/file", b"1"), ("file", b"2")]);
    vec![platform, kep, typed, unknown]
}
