//! Indexes: which child is the model.

use super::bytes::{In, entry, gguf, gzip, image_config, index, manifest, tar};
use super::fixture::Fixture;
use super::modelpack::{CONFIG, PATH, RAW, TYPE};

const AMD64: &str = r#","platform":{"os":"linux","architecture":"amd64"}"#;
const ARM64: &str = r#","platform":{"os":"linux","architecture":"arm64"}"#;
const UNKNOWN: &str = r#","platform":{"os":"unknown","architecture":"unknown"}"#;
const MODEL: &str = r#","artifactType":"application/vnd.cncf.model.manifest.v1+json""#;
const ATTESTATION: &str = r#","platform":{"os":"unknown","architecture":"unknown"},"annotations":{"vnd.docker.reference.type":"attestation-manifest"}"#;
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const IMAGE: &str = "application/vnd.oci.image.config.v1+json";

pub fn fixtures() -> Vec<Fixture> {
    let mut fixtures =
        vec![ramalama(), olot(), cog_beside_image(), kitops(), untyped(), typed_by_child(), docker_list(), nested()];
    fixtures.extend(platforms());
    fixtures
}

/// A ModelPack child named `model`, of one GGUF.
fn with_model(fixture: Fixture) -> Fixture {
    fixture
        .blob("config", "{}")
        .raw("layer", "m.gguf", gguf("m"))
        .child("model", manifest(TYPE, CONFIG, &[(RAW, "layer", &[(PATH, "m.gguf")])]))
        .entry("m.gguf")
}

/// An image child of this name, whose only file says so.
fn with_image(fixture: Fixture, name: &str) -> Fixture {
    let layer = tar(&[In::File("models/m.gguf", &gguf(name))]);
    let (config, blob) = (format!("config-{name}"), format!("layer-{name}"));
    let json = manifest("", IMAGE, &[(LAYER, &blob, &[])]).replace("@config", &format!("@{config}"));
    fixture.blob(&config, image_config(&[&layer])).blob(&blob, layer).child(name, json)
}

fn with_attestation(fixture: Fixture) -> Fixture {
    let json =
        manifest("", IMAGE, &[("application/vnd.in-toto+json", "statement", &[])]).replace("@config", "@config-of-it");
    fixture
        .blob("statement", r#"{"_type":"https://in-toto.io/Statement/v0.1"}"#)
        .blob("config-of-it", image_config(&[]))
        .child("attestation", json)
}

/// podman pushes RamaLama's image inside an index of one.
fn ramalama() -> Fixture {
    let layer = tar(&[In::Symlink("models/model.file", "tiny/tiny"), In::File("models/tiny/tiny", &gguf("tiny"))]);
    let annotations = r#","annotations":{"org.cncf.model.model":"true","org.containers.type":"ai.image.model.raw","org.opencontainers.image.title":"ollama://tiny"}"#;
    Fixture::new("index-ramalama", "image", "containers/ramalama ramalama/oci.py")
        .blob("config", image_config(&[&layer]))
        .blob("layer", gzip(&layer))
        .child("image", manifest("", IMAGE, &[("application/vnd.oci.image.layer.v1.tar+gzip", "layer", &[])]))
        .manifest(index(&[&entry("image", annotations)]))
        .file("tiny/tiny", gguf("tiny"))
        .link("model.file", "tiny/tiny")
        .entry("model.file")
}

/// OLOT lists the layers of its modelcar again as a ModelPack of no platform.
fn olot() -> Fixture {
    let model = gguf("olot");
    let layer = tar(&[In::File("models/m.gguf", &model)]);
    let card = tar(&[In::File("models/README.md", b"# Card")]);
    let title = "org.opencontainers.image.title";
    let model_pack = manifest(
        TYPE,
        CONFIG,
        &[
            ("application/vnd.cncf.model.weight.v1.tar", "layer", &[(title, "m.gguf")]),
            ("application/vnd.cncf.model.doc.v1.tar+gzip", "card", &[(title, "README.md")]),
        ],
    );
    let marked = r#","platform":{"os":"unknown","architecture":"unknown"},"annotations":{"io.opendatahub.author":"olot","io.opendatahub.modelcar.manifest.type":"modelpack"}"#;
    with_image(
        with_image(Fixture::new("index-olot-modelpack", "ModelPack", "containers/olot olot/basics.py"), "amd64"),
        "arm64",
    )
    .blob("config", "{}")
    .blob("layer", layer)
    .blob("card", gzip(&card))
    .child("modelpack", model_pack)
    .manifest(index(&[&entry("amd64", AMD64), &entry("arm64", ARM64), &entry("modelpack", marked)]))
    .files(&[("m.gguf", &model), ("README.md", b"# Card")])
    .entry("m.gguf")
}

fn cog_beside_image() -> Fixture {
    let (model, layer) = super::others::cog_layer();
    let fixture =
        with_image(Fixture::new("index-cog", "Cog", "replicate/cog specs/weights.md, section 2.6"), "program");
    let weights = format!(
        r#"{UNKNOWN},"artifactType":"application/vnd.cog.weight.v1","annotations":{{"run.cog.weight.name":"w","run.cog.weight.set-digest":"{}"}}"#,
        super::bytes::digest(b"set")
    );
    fixture
        .blob("config", super::others::cog_config(&layer, &[("m.gguf", &model)]))
        .blob("layer", layer)
        .child(
            "weights",
            manifest("application/vnd.cog.weight.v1", super::others::COG_CONFIG, &[(LAYER, "layer", &[])]),
        )
        .manifest(index(&[&entry("program", AMD64), &entry("weights", &weights)]))
        .file("m.gguf", model)
        .entry("m.gguf")
}

/// Entries carry a descriptor field of KitOps' own; there is one left to choose.
fn kitops() -> Fixture {
    let kit = super::kitops::raw_kit(
        Fixture::new("index-kitops", "KitOps", "kitops-ml/kitops pkg/lib/constants/mediatype/artifacttype.go"),
        "kit",
    );
    let more = r#","artifactType":"application/vnd.kitops.modelkit.manifest.v1+json","modelMetadata":{"tags":["q4"],"parameters":{"deep":[1,2]}}"#;
    kit.manifest(index(&[&entry("kit", more)]).replacen(
        r#""manifests""#,
        r#""artifactType":"application/vnd.kitops.modelkit.index.v1+json","manifests""#,
        1,
    ))
}

/// Section 1: a child is fetched where its entry does not say what it is.
fn untyped() -> Fixture {
    let signature = "application/vnd.dev.sigstore.bundle.v0.3+json";
    let json = manifest(signature, "application/vnd.oci.empty.v1+json", &[(signature, "bundle", &[])]);
    with_model(Fixture::new(
        "index-of-untyped-entries",
        "ModelPack",
        "opencontainers/image-spec descriptor.md: artifactType is optional",
    ))
    .blob("bundle", r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}"#)
    .child("signature", json)
    .manifest(index(&[&entry("signature", ""), &entry("model", "")]))
}

/// The same beside an image of the wanted platform: the model comes first, whatever its entry says.
fn typed_by_child() -> Fixture {
    with_image(with_model(Fixture::new("index-of-untyped-model-and-image", "ModelPack", "section 1")), "image")
        .option(&["--platform", "linux/amd64"])
        .manifest(index(&[&entry("image", AMD64), &entry("model", UNKNOWN)]))
}

fn docker_list() -> Fixture {
    let list = "application/vnd.docker.distribution.manifest.list.v2+json";
    let json = format!(
        r#"{{"schemaVersion":2,"mediaType":"{list}","manifests":[{},{}]}}"#,
        entry("amd64", AMD64),
        entry("arm64", ARM64)
    );
    with_image(
        with_image(
            Fixture::new("index-of-docker", "image", "distribution/distribution manifest/manifestlist"),
            "amd64",
        ),
        "arm64",
    )
    .option(&["--platform", "linux/arm64"])
    .manifest(json)
    .file("m.gguf", gguf("arm64"))
    .entry("m.gguf")
}

/// As deep as is allowed.
fn nested() -> Fixture {
    with_model(Fixture::new("index-four-deep", "ModelPack", "section 1: at most 4 deep"))
        .child("third", index(&[&index_entry("model")]))
        .child("second", index(&[&index_entry("third")]))
        .child("first", index(&[&index_entry("second")]))
        .manifest(index(&[&index_entry("first")]))
}

pub fn index_entry(name: &str) -> String {
    let kind = if name == "model" { super::artifact::OCI } else { "application/vnd.oci.image.index.v1+json" };
    format!(r#"{{"mediaType":"{kind}","digest":"@{name}"}}"#)
}

fn platforms() -> Vec<Fixture> {
    let two = |name| {
        with_image(
            with_image(Fixture::new(name, "image", "opencontainers/image-spec image-index.md"), "amd64"),
            "arm64",
        )
    };
    let host = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let chosen = |fixture: Fixture, name: &str| fixture.file("m.gguf", gguf(name)).entry("m.gguf");
    let buildkit = with_attestation(with_image(
        Fixture::new("index-buildkit", "image", "moby/buildkit docs/attestations"),
        "s390x",
    ))
    .manifest(index(&[
        &entry("s390x", r#","platform":{"os":"linux","architecture":"s390x"}"#),
        &entry("attestation", ATTESTATION),
    ]));
    let model_of_unknown =
        with_image(with_model(Fixture::new("index-modelpack-of-no-platform", "ModelPack", "section 1")), "image")
            .manifest(index(&[&entry("image", AMD64), &entry("model", &format!("{UNKNOWN}{MODEL}"))]));
    let referrers = with_model(Fixture::new("index-with-signature", "ModelPack", "sigstore/cosign, OCI 1.1 mode"))
        .blob("signature-blob", "{}")
        .child(
            "signature",
            manifest(
                "application/vnd.dev.cosign.artifact.sig.v1+json",
                "application/vnd.oci.empty.v1+json",
                &[("application/vnd.dev.cosign.simplesigning.v1+json", "signature-blob", &[])],
            ),
        )
        .manifest(index(&[
            &entry("signature", r#","artifactType":"application/vnd.dev.cosign.artifact.sig.v1+json""#),
            &entry("model", MODEL),
        ]));
    vec![
        chosen(two("index-of-this-machine").manifest(index(&[&entry("amd64", AMD64), &entry("arm64", ARM64)])), host),
        chosen(
            two("index-of-a-platform")
                .option(&["--platform", "linux/arm64"])
                .manifest(index(&[&entry("amd64", AMD64), &entry("arm64", ARM64)])),
            "arm64",
        ),
        chosen(buildkit, "s390x"),
        model_of_unknown,
        referrers,
    ]
}
