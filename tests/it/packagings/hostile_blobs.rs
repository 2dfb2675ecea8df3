//! Blobs that are not what was promised: other bytes, another size, other digests inside.

use super::artifact::Artifact;
use super::bytes::{In, digest, gguf, gzip, manifest, sha512, tar};
use super::fixture::{Hostile, Stage};
use super::modelpack::{CONFIG, PATH, RAW, TITLE, TYPE};
use super::others::{COG_CONFIG, COG_TYPE, cog_config, cog_layer};

const TAR: &str = "application/vnd.oci.image.layer.v1.tar";
const TAR_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

pub fn refused() -> Vec<Hostile> {
    [layers(), cog(), promised()].into_iter().flatten().collect()
}

fn raw(name: &'static str, words: &str, artifact: Artifact) -> Hostile {
    let json = manifest(TYPE, CONFIG, &[(RAW, "layer", &[(PATH, "m.gguf")])]);
    Hostile::with(name, Stage::Fetch, words, artifact.blob("config", "{}").manifest(json))
}

fn layers() -> Vec<Hostile> {
    let bytes = gguf("m");
    let size = bytes.len() as u64;
    let sized = |size| Artifact::default().blob_of_size("layer", size, bytes.clone());
    vec![
        raw(
            "layer-of-other-bytes",
            "wrong content",
            Artifact::default().blob_as("layer", &digest(b"other"), bytes.clone()),
        ),
        raw(
            "layer-of-other-bytes-sha512",
            "wrong content",
            Artifact::default().blob_as("layer", &sha512(b"other"), bytes.clone()),
        ),
        raw("layer-absent", "404", Artifact::default().absent("layer", "GGUF nowhere")),
        // registry:2 takes such manifests, and OLOT's create_oci_artifact_from_model wrote them.
        raw("layer-longer-by-one", "@layer", sized(size - 1)),
        raw("layer-shorter-by-one", "@layer", sized(size + 1)),
        raw("layer-that-is-not-empty", "@layer", sized(0)),
        raw("layer-that-is-empty", "@layer", Artifact::default().blob_of_size("layer", 4, "")),
        olot_wrong_size(),
    ]
}

/// The size of the file stands where that of its tar should.
fn olot_wrong_size() -> Hostile {
    let artifact = Artifact::default()
        .blob("config", "{}")
        .blob_of_size("layer", 50, tar(&[In::File("models/m.gguf", &gguf("m"))]))
        .manifest(manifest("application/x-mlmodel", EMPTY, &[(TAR, "layer", &[(TITLE, "m.gguf")])]));
    Hostile::with("olot-wrong-size", Stage::Fetch, "@layer", artifact)
}

/// What Cog's config promises of each file, changed by one word.
fn cog() -> Vec<Hostile> {
    let (model, layer) = cog_layer();
    let good = cog_config(&layer, &[("m.gguf", &model)]);
    let with = |name, stage, words: &str, config: String| {
        let artifact = Artifact::default().blob("config", config).blob("layer", layer.clone());
        Hostile::with(name, stage, words, artifact.manifest(manifest(COG_TYPE, COG_CONFIG, &[(TAR, "layer", &[])])))
    };
    let size = format!(r#""size":{}"#, model.len());
    vec![
        with("cog-file-of-other-bytes", Stage::Unpack, "m.gguf", good.replace(&digest(&model), &digest(b"other"))),
        with("cog-file-of-another-size", Stage::Unpack, "m.gguf", good.replace(&size, r#""size":1"#)),
        with("cog-file-missing", Stage::Unpack, "n.gguf", cog_config(&layer, &[("m.gguf", &model), ("n.gguf", b"n")])),
        with("cog-file-not-promised", Stage::Unpack, "m.gguf", cog_config(&layer, &[("n.gguf", &model)])),
        with("cog-file-in-no-layer", Stage::Plan, "m.gguf", good.replace(&digest(&layer), &digest(b"no layer"))),
        with("cog-path-up", Stage::Plan, "is refused", cog_config(&layer, &[("a/../../evil", &model)])),
    ]
}

/// Digests of what is inside a compressed layer, or of the file in a tar.
fn promised() -> Vec<Hostile> {
    let folder = gzip(&tar(&[In::Folder("data/"), In::File("data/m.gguf", &gguf("m"))]));
    let lie = digest(b"other");
    let oras = Artifact::default().blob("config", "{}").blob("layer", folder).manifest(manifest(
        "",
        EMPTY,
        &[(
            TAR_GZIP,
            "layer",
            &[(TITLE, "data"), ("io.deis.oras.content.unpack", "true"), ("io.deis.oras.content.digest", &lie)],
        )],
    ));
    let olot = Artifact::default()
        .blob("config", super::bytes::image_config(&[]))
        .blob("layer", tar(&[In::File("models/m.gguf", &gguf("m"))]))
        .manifest(manifest(
            "",
            "application/vnd.oci.image.config.v1+json",
            &[(
                TAR,
                "layer",
                &[
                    (TITLE, "m.gguf"),
                    ("olot.layer.content.digest", &lie),
                    ("olot.layer.content.type", "file"),
                    ("olot.layer.content.inlayerpath", "/models/m.gguf"),
                    ("olot.layer.content.name", "m.gguf"),
                ],
            )],
        ));
    vec![
        Hostile::with("oras-folder-of-other-bytes", Stage::Unpack, "@layer", oras),
        Hostile::with("olot-file-of-other-bytes", Stage::Unpack, "m.gguf", olot),
    ]
}
