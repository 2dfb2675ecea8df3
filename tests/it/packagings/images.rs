//! Models in container images: RamaLama, Modelcar, OLOT, ai-lab-recipes, and what layers do to each other.

use super::bytes::{In, gguf, gzip, image_config, tar, zstd};
use super::fixture::Fixture;

const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

pub fn fixtures() -> Vec<Fixture> {
    [ramalama(), modelcars(), layers(), links()].into_iter().flatten().collect()
}

/// An image of these layers, the lowest first, each compressed by `pack` under its type.
pub fn image(fixture: Fixture, layers: &[Vec<u8>], codec: &str, pack: fn(&[u8]) -> Vec<u8>) -> Fixture {
    let plain: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    let mut fixture = fixture.blob("config", image_config(&plain));
    let mut entries = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        fixture = fixture.blob(&format!("layer{index}"), pack(layer));
        entries.push(format!(r#"{{"mediaType":"{LAYER}{codec}","digest":"@layer{index}"}}"#));
    }
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"{OCI_CONFIG}","digest":"@config"}},"layers":[{}]}}"#,
        entries.join(",")
    );
    fixture.manifest(manifest)
}

fn plain(name: &'static str, source: &'static str, layers: &[Vec<u8>]) -> Fixture {
    image(Fixture::new(name, "image", source), layers, "", <[u8]>::to_vec)
}

/// What RamaLama puts below /models for a model that came from Ollama.
fn car_layer() -> Vec<u8> {
    tar(&[
        In::Folder("models/"),
        In::Symlink("models/model.file", "tinyllama/tinyllama"),
        In::Folder("models/tinyllama/"),
        In::File("models/tinyllama/tinyllama", &gguf("tinyllama")),
        In::File("models/tinyllama/config.json", b"{}"),
        In::File("models/tinyllama/chat_template", b"{{ .Prompt }}"),
        In::File("models/tinyllama/chat_template_converted", b"{{ prompt }}"),
    ])
}

fn car(name: &'static str) -> Fixture {
    Fixture::new(name, "image", "containers/ramalama test/unit/data/test_oci/ollama-type-car")
        .files(&[("tinyllama/tinyllama", &gguf("tinyllama")), ("tinyllama/config.json", b"{}")])
        .files(&[("tinyllama/chat_template", b"{{ .Prompt }}"), ("tinyllama/chat_template_converted", b"{{ prompt }}")])
        .link("model.file", "tinyllama/tinyllama")
        .entry("model.file")
        .template("tinyllama/chat_template_converted")
}

fn ramalama() -> Vec<Fixture> {
    let base = tar(&[In::File("etc/os-release", b"ID=ubi"), In::Symlink("bin", "usr/bin"), In::Folder("models/")]);
    let raw = plain(
        "ramalama-raw",
        "containers/ramalama test/unit/data/test_oci/url-simple",
        &[
            tar(&[In::Folder("models/"), In::Symlink("models/model.file", "aimodel/aimodel")]),
            tar(&[
                In::Folder("models/"),
                In::Folder("models/aimodel/"),
                In::File("models/aimodel/aimodel", &gguf("url")),
            ]),
        ],
    )
    .file("aimodel/aimodel", gguf("url"))
    .link("model.file", "aimodel/aimodel")
    .entry("model.file");
    // The link is absolute, and what it was made from is removed again.
    let quantised = plain(
        "ramalama-car-gguf",
        "containers/ramalama test/unit/data/test_oci/ollama-type-car-gguf",
        &[
            base.clone(),
            tar(&[
                In::File("models/tinyllama/tinyllama", &gguf("f16")),
                In::File("models/tinyllama/config.json", b"{}"),
            ]),
            tar(&[In::File("models/tinyllama-Q3_K_L.gguf", &gguf("q3"))]),
            tar(&[In::Symlink("models/model.file", "/models/tinyllama-Q3_K_L.gguf")]),
            tar(&[In::File("models/.wh.tinyllama", b"")]),
        ],
    )
    .file("tinyllama-Q3_K_L.gguf", gguf("q3"))
    .link("model.file", "tinyllama-Q3_K_L.gguf")
    .entry("model.file");
    vec![
        raw,
        quantised,
        image(car("ramalama-car"), &[base.clone(), car_layer()], "+gzip", gzip),
        image(car("ramalama-car-zstd"), &[base, car_layer()], "+zstd", zstd),
    ]
}

fn modelcars() -> Vec<Fixture> {
    let lab = |name, config: &str, manifest_type: &str, layer_type: &str| {
        let layer = tar(&[In::Folder("model/"), In::File("model/model.file", &gguf("lab"))]);
        Fixture::new(name, "image", "containers/ai-lab-recipes models/Containerfile")
            .blob("config", image_config(&[&layer]))
            .blob("layer", gzip(&layer))
            .manifest(format!(
                r#"{{"schemaVersion":2,"mediaType":"{manifest_type}","config":{{"mediaType":"{config}","digest":"@config"}},"layers":[{{"mediaType":"{layer_type}","digest":"@layer"}}]}}"#
            ))
            .file("model.file", gguf("lab"))
            .entry("model.file")
    };
    let safetensors = tar(&[
        In::Folder("models/"),
        In::File("models/config.json", b"{\"a\":1}"),
        In::File("models/model-00001-of-00001.safetensors", b"w"),
        In::File("models/tokenizer.json", b"{}"),
    ]);
    let modelcar = plain(
        "kserve-modelcar",
        "kserve/kserve docs/modelcars",
        &[tar(&[In::File("etc/passwd", b"root")]), safetensors],
    )
    .files(&[("config.json", b"{\"a\":1}"), ("model-00001-of-00001.safetensors", b"w"), ("tokenizer.json", b"{}")])
    .entry(".");
    let docker = "application/vnd.docker.distribution.manifest.v2+json";
    // Nothing but the model, at the root of an image made from scratch.
    let scratch = plain(
        "localai-image",
        "mudler/LocalAI docs, OCI images",
        &[tar(&[In::File("m.gguf", &gguf("localai")), In::File("config.yaml", b"name: m")])],
    )
    .files(&[("m.gguf", &gguf("localai")), ("config.yaml", b"name: m")])
    .entry("m.gguf");
    vec![
        modelcar,
        scratch,
        lab(
            "ai-lab-recipes",
            OCI_CONFIG,
            "application/vnd.oci.image.manifest.v1+json",
            "application/vnd.oci.image.layer.v1.tar+gzip",
        ),
        lab(
            "image-of-docker",
            "application/vnd.docker.container.image.v1+json",
            docker,
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
        ),
    ]
}

fn layers() -> Vec<Fixture> {
    let lower = tar(&[In::File("models/a", b"low"), In::File("models/d/x", b"low"), In::File("models/d/y", b"low")]);
    let over = |name, upper: &[In<'_>]| plain(name, "opencontainers/image-spec layer.md", &[lower.clone(), tar(upper)]);
    vec![
        over("image-upper-file", &[In::File("models/a", b"GGUF up")])
            .files(&[("a", b"GGUF up"), ("d/x", b"low"), ("d/y", b"low")])
            .entry("a"),
        over("image-whiteout-file", &[In::File("models/.wh.a", b""), In::File("models/m", b"GGUF")])
            .files(&[("d/x", b"low"), ("d/y", b"low"), ("m", b"GGUF")])
            .entry("m"),
        over("image-whiteout-folder", &[In::File("models/.wh.d", b"")]).file("a", "low"),
        over("image-opaque-folder", &[In::File("models/d/.wh..wh..opq", b""), In::File("models/d/n", b"GGUF n")])
            .files(&[("a", b"low"), ("d/n", b"GGUF n")])
            .entry("d/n"),
        over("image-folder-over-file", &[In::Folder("models/a/"), In::File("models/a/m", b"GGUF")])
            .files(&[("a/m", b"GGUF"), ("d/x", b"low"), ("d/y", b"low")])
            .entry("a/m"),
        over("image-whiteout-of-everything", &[In::File(".wh.models", b""), In::File("models/m", b"GGUF")])
            .file("m", "GGUF")
            .entry("m"),
        // A name of nothing is removed, which hides nothing.
        over(
            "image-whiteout-of-dots",
            &[In::File("models/.wh...", b""), In::File("models/.wh.", b""), In::File("models/m", b"GGUF")],
        )
        .files(&[("a", b"low"), ("d/x", b"low"), ("d/y", b"low"), ("m", b"GGUF")])
        .entry("m"),
    ]
}

fn links() -> Vec<Fixture> {
    let model = gguf("m");
    let layer = tar(&[
        In::File("models/v/m.gguf", &model),
        In::Symlink("models/absolute", "/models/v/m.gguf"),
        In::Symlink("models/latest", "v"),
        In::Symlink("models/x/round", "../../models/latest/m.gguf"),
        In::HardLink("models/hard", "models/v/m.gguf"),
        In::Symlink("models/out", "/etc/passwd"),
        In::Symlink("models/out2", "../../../../etc/passwd"),
        In::Symlink("models/dangling", "nowhere"),
        In::Symlink("models/one", "two"),
        In::Symlink("models/two", "one"),
        In::Symlink("models/root", "/models"),
    ]);
    let inside = plain("image-links", "section 2.2: links resolved inside the root", &[layer])
        .file("v/m.gguf", model.clone())
        .link("absolute", "v/m.gguf")
        .link("latest", "v")
        .link("x/round", "../v/m.gguf")
        .link("hard", "v/m.gguf");
    // As Hugging Face's cache lies on a disk, copied into an image.
    let cache = plain(
        "image-of-hf-cache",
        "huggingface/huggingface_hub docs, cache layout",
        &[tar(&[
            In::File("models/blobs/1", b"{\"a\":1}"),
            In::File("models/blobs/2", b"w"),
            In::Symlink("models/snapshots/abc/config.json", "../../blobs/1"),
            In::Symlink("models/snapshots/abc/model.safetensors", "../../blobs/2"),
        ])],
    )
    .files(&[("blobs/1", b"{\"a\":1}"), ("blobs/2", b"w")])
    .link("snapshots/abc/config.json", "../../blobs/1")
    .link("snapshots/abc/model.safetensors", "../../blobs/2")
    .entry("snapshots/abc");
    let shards = plain(
        "image-shards",
        "containers/ramalama ramalama/oci.py",
        &[tar(&[
            In::File("models/m-00001-of-00002.gguf", &model),
            In::File("models/m-00002-of-00002.gguf", b"GGUF two"),
            In::Symlink("models/model.file", "m-00001-of-00002.gguf"),
        ])],
    )
    .files(&[("m-00001-of-00002.gguf", &model), ("m-00002-of-00002.gguf", b"GGUF two")])
    .link("model.file", "m-00001-of-00002.gguf")
    .entry("m-00001-of-00002.gguf");
    let special = plain(
        "image-devices-elsewhere",
        "section 3.9: only /models is taken",
        &[tar(&[
            In::Other("dev/null", tar::EntryType::Char),
            In::HardLink("bin/sh", "bin/busybox"),
            In::File("../../etc/shadow", b"x"),
            In::File("models/m.gguf", &model),
        ])],
    )
    .file("m.gguf", model)
    .entry("m.gguf");
    vec![inside, cache, shards, special]
}
