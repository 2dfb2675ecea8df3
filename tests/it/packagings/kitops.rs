//! KitOps ModelKits: the Kitfile names the layers' files, and there are several ways in which it does.

use super::bytes::{In, Layer, digest, gguf, gzip, manifest, tar, zstd};
use super::fixture::Fixture;
use super::modelpack::{PATH, RAW, TYPE};

pub const CONFIG: &str = "application/vnd.kitops.modelkit.config.v1+json";
const KIT: &str = "application/vnd.kitops.modelkit.manifest.v1+json";
const SOURCE: &str = "kitops-ml/kitops pkg/lib/kitfile, pkg/artifact/kitfile.go";

pub fn fixtures(host: &str) -> Vec<Fixture> {
    vec![
        documentation(),
        with_digests("kit-digests-gzip", "tar+gzip", gzip),
        with_digests("kit-digests-zstd", "tar+zstd", zstd),
        with_digests("kit-digests-tar", "tar", <[u8]>::to_vec),
        raw_kit(Fixture::new("kit-raw", "KitOps", SOURCE), "unused").manifest(raw_manifest()),
        compressed_raw(),
        all_kinds(),
        several_of_a_kind(),
        oldest(),
        remote_dataset(),
        modelpack_mode(),
        chained(host),
    ]
}

/// The config, which is the Kitfile as JSON, and the Kitfile that is written.
fn kitfile(fixture: Fixture, json: &str) -> Fixture {
    fixture.blob("config", json).file("Kitfile", json)
}

/// docs/next-steps.md: no digests, no media type, and each tar is relative to the folder its path is in.
fn documentation() -> Fixture {
    let json = r#"{"manifestVersion":"1.0.0","package":{"name":"m","version":"1","license":"Apache-2.0","authors":["A"]},"model":{"name":"m","path":"./models/m.gguf","framework":"llama.cpp","license":"MIT"},"code":[{"path":"src"}],"datasets":[{"name":"d","path":"data/train.csv"}]}"#;
    kitfile(Fixture::new("kit-documentation", "KitOps", "kitops-ml/kitops docs/src/docs/next-steps.md"), json)
        .blob("code", gzip(&tar(&[In::Folder("src/"), In::File("src/train.py", b"print()")])))
        .blob("dataset", gzip(&tar(&[In::File("train.csv", b"a,b")])))
        .blob("model", gzip(&tar(&[In::File("m.gguf", &gguf("m"))])))
        .manifest(r#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.kitops.modelkit.config.v1+json","digest":"@config"},
         "layers":[{"mediaType":"application/vnd.kitops.modelkit.code.v1.tar+gzip","digest":"@code"},
          {"mediaType":"application/vnd.kitops.modelkit.dataset.v1.tar+gzip","digest":"@dataset"},
          {"mediaType":"application/vnd.kitops.modelkit.model.v1.tar+gzip","digest":"@model"}],
         "annotations":{"ml.kitops.modelkit.cli-version":"0.2.1"}}"#)
        .files(&[("src/train.py", b"print()"), ("data/train.csv", b"a,b"), ("models/m.gguf", &gguf("m"))])
        .entry("models/m.gguf")
}

/// Today's: entries name their layers, and the tars have whole paths, with the folders above them.
fn with_digests(name: &'static str, codec: &str, pack: fn(&[u8]) -> Vec<u8>) -> Fixture {
    let inner = tar(&[In::Folder("models/"), In::File("models/m.gguf", &gguf("m"))]);
    let docs = tar(&[In::File("README.md", b"# A")]);
    let (model, docs) = (pack(&inner), pack(&docs));
    let json = format!(
        r#"{{"manifestVersion":"1.0.0","package":{{"name":"m"}},"model":{{"name":"m","path":"models/m.gguf","digest":"{}","diffId":"{}"}},"docs":[{{"path":"README.md","digest":"{}"}}]}}"#,
        digest(&model),
        digest(&inner),
        digest(&docs)
    );
    let kind = |kind: &str| format!("application/vnd.kitops.modelkit.{kind}.v1.{codec}");
    let (of_model, of_docs) = (kind("model"), kind("docs"));
    kitfile(Fixture::new(name, "KitOps", SOURCE), &json)
        .blob("model", model)
        .blob("docs", docs)
        .manifest(manifest(KIT, CONFIG, &[(&of_docs, "docs", &[]), (&of_model, "model", &[])]))
        .files(&[("models/m.gguf", &gguf("m")), ("README.md", b"# A")])
        .entry("models/m.gguf")
}

fn raw_manifest() -> String {
    manifest(KIT, CONFIG, &[("application/vnd.kitops.modelkit.model.v1.raw", "model", &[])])
}

/// A ModelKit of one raw layer, also as the child `child` of an index.
pub fn raw_kit(fixture: Fixture, child: &str) -> Fixture {
    let model = gguf("kit");
    let json =
        format!(r#"{{"manifestVersion":"1.0.0","model":{{"path":"models/kit.gguf","digest":"{}"}}}}"#, digest(&model));
    kitfile(fixture, &json).raw("model", "models/kit.gguf", model).child(child, raw_manifest()).entry("models/kit.gguf")
}

fn compressed_raw() -> Fixture {
    let packed = gzip(&gguf("m"));
    let json = format!(
        r#"{{"manifestVersion":"1.0.0","model":{{"path":"m.gguf","digest":"{}","diffId":"{}"}}}}"#,
        digest(&packed),
        digest(&gguf("m"))
    );
    kitfile(Fixture::new("kit-raw-gzip", "KitOps", "kitops-ml/kitops pkg/lib/constants/mediatype/kitops.go"), &json)
        .blob("model", packed)
        .manifest(manifest(KIT, CONFIG, &[("application/vnd.kitops.modelkit.model.v1.raw+gzip", "model", &[])]))
        .file("m.gguf", gguf("m"))
        .entry("m.gguf")
}

fn all_kinds() -> Fixture {
    let member = |path: &str, bytes: &[u8]| tar(&[In::File(path, bytes)]);
    let json = r#"{"manifestVersion":"1.0.0","model":{"path":"model","parts":[{"name":"lora","path":"parts/lora.gguf","type":"lora"}]},"code":[{"path":"run.py"},{"path":"prompts/system.prompt.md"}],"datasets":[{"path":"data/a.csv"}],"docs":[{"path":"LICENSE"}]}"#;
    let layers: [Layer<'_>; 6] = [
        ("application/vnd.kitops.modelkit.model.v1.tar", "model", &[]),
        ("application/vnd.kitops.modelkit.modelpart.v1.tar", "part", &[]),
        ("application/vnd.kitops.modelkit.code.v1.tar", "code", &[]),
        ("application/vnd.kitops.modelkit.code.v1.tar", "prompt", &[("ml.kitops.modelkit.layer-subtype", "prompt")]),
        ("application/vnd.kitops.modelkit.dataset.v1.tar", "data", &[]),
        ("application/vnd.kitops.modelkit.docs.v1.tar", "docs", &[]),
    ];
    kitfile(Fixture::new("kit-all-kinds", "KitOps", SOURCE), json)
        .blob(
            "model",
            tar(&[
                In::Folder("model/"),
                In::File("model/config.json", b"{\"a\":1}"),
                In::File("model/w.safetensors", b"w"),
            ]),
        )
        .blob("part", member("lora.gguf", &gguf("lora")))
        .blob("code", member("run.py", b"1"))
        .blob("prompt", member("system.prompt.md", b"Be kind."))
        .blob("data", member("a.csv", b"a"))
        .blob("docs", member("LICENSE", b"MIT"))
        .manifest(manifest(KIT, CONFIG, &layers))
        .files(&[
            ("model/config.json", b"{\"a\":1}"),
            ("model/w.safetensors", b"w"),
            ("parts/lora.gguf", &gguf("lora")),
        ])
        .files(&[
            ("run.py", b"1"),
            ("prompts/system.prompt.md", b"Be kind."),
            ("data/a.csv", b"a"),
            ("LICENSE", b"MIT"),
        ])
        .entry("model")
}

/// The n-th layer of a type is the n-th entry, whatever stands between them.
fn several_of_a_kind() -> Fixture {
    let json =
        r#"{"manifestVersion":"1.0.0","datasets":[{"path":"a/x.csv"},{"path":"b/x.csv"}],"model":{"path":"m.gguf"}}"#;
    let kind = "application/vnd.kitops.modelkit.dataset.v1.tar";
    kitfile(Fixture::new("kit-several-of-a-kind", "KitOps", SOURCE), json)
        .blob("one", tar(&[In::File("x.csv", b"one")]))
        .blob("two", tar(&[In::File("x.csv", b"two")]))
        .blob("model", tar(&[In::File("m.gguf", &gguf("m"))]))
        .manifest(manifest(
            KIT,
            CONFIG,
            &[(kind, "one", &[]), ("application/vnd.kitops.modelkit.model.v1.tar", "model", &[]), (kind, "two", &[])],
        ))
        .files(&[("a/x.csv", b"one"), ("b/x.csv", b"two"), ("m.gguf", &gguf("m"))])
        .entry("m.gguf")
}

/// Before the project had its name.
fn oldest() -> Fixture {
    let json = r#"{"manifestVersion":"v1.0.0","package":{"name":"m"},"model":{"name":"m","path":"m.gguf"}}"#;
    kitfile(Fixture::new("kit-of-jozu", "KitOps", "kitops-ml/kitops, first commits of 2024"), json)
        .blob("model", gzip(&tar(&[In::File("m.gguf", &gguf("m"))])))
        .manifest(
            r#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.jozu.model.config.v1+json","digest":"@config"},
         "layers":[{"mediaType":"application/vnd.jozu.model.content.v1.tar+gzip","digest":"@model"}]}"#,
        )
        .file("m.gguf", gguf("m"))
        .entry("m.gguf")
}

/// A data set that stays where it is.
fn remote_dataset() -> Fixture {
    let model = tar(&[In::File("m.gguf", &gguf("m"))]);
    let json = format!(
        r#"{{"manifestVersion":"1.0.0","model":{{"path":"m.gguf","digest":"{}"}},"datasets":[{{"name":"d","path":"data","remotePath":"s3://bucket/data"}}]}}"#,
        digest(&model)
    );
    kitfile(
        Fixture::new(
            "kit-remote-dataset",
            "KitOps",
            "kitops-ml/kitops pkg/artifact/testdata/validation/remote-datasets-supported.yaml",
        ),
        &json,
    )
    .blob("model", model)
    .manifest(manifest(KIT, CONFIG, &[("application/vnd.kitops.modelkit.model.v1.tar", "model", &[])]))
    .file("m.gguf", gguf("m"))
    .entry("m.gguf")
}

/// `kit pack --use-model-pack`: a ModelPack whose Kitfile stands in an annotation.
fn modelpack_mode() -> Fixture {
    let model = tar(&[In::File("models/m.gguf", &gguf("m"))]);
    let json = manifest(
        TYPE,
        super::modelpack::CONFIG,
        &[
            ("application/vnd.cncf.model.weight.v1.tar", "model", &[(PATH, "models/m.gguf")]),
            (RAW, "settings", &[(PATH, "config.json")]),
        ],
    );
    let annotations = serde_json::json!({"ml.kitops.modelkit.kitfile": r#"{"manifestVersion":"1.0.0","model":{"path":"models/m.gguf"}}"#});
    Fixture::new("kit-in-modelpack-mode", "ModelPack", "kitops-ml/kitops pkg/lib/constants/mediatype/modelpack.go")
        .blob(
            "config",
            r#"{"descriptor":{"name":"m"},"modelfs":{"type":"layers","diffIds":[]},"config":{"format":"gguf"}}"#,
        )
        .blob("model", model)
        .raw("settings", "config.json", "{}")
        .manifest(json.replacen(r#""layers""#, &format!(r#""annotations":{annotations},"layers""#), 1))
        .file("models/m.gguf", gguf("m"))
        .entry("models/m.gguf")
}

/// `model.path` is another ModelKit, which contributes its model and nothing else.
fn chained(host: &str) -> Fixture {
    let kind = |kind: &str| format!("application/vnd.kitops.modelkit.{kind}.v1.tar");
    let (model, docs, code) = (kind("model"), kind("docs"), kind("code"));
    let parent =
        r#"{"manifestVersion":"1.0.0","model":{"name":"base","path":"models/base.gguf"},"docs":[{"path":"BASE.md"}]}"#;
    let json = format!(
        r#"{{"manifestVersion":"1.0.0","model":{{"name":"tuned","path":"{host}/fixtures/kit-chained:base"}},"code":[{{"path":"run.py"}}]}}"#
    );
    kitfile(Fixture::new("kit-chained", "KitOps", "kitops-ml/kitops pkg/lib/kitfile/resolve.go"), &json)
        .blob("base", parent)
        .blob("model", tar(&[In::File("base.gguf", &gguf("base"))]))
        .blob("docs", tar(&[In::File("BASE.md", b"base")]))
        .blob("code", tar(&[In::File("run.py", b"1")]))
        .tagged(
            "base",
            manifest(KIT, CONFIG, &[(&model, "model", &[]), (&docs, "docs", &[])]).replace("@config", "@base"),
        )
        .manifest(manifest(KIT, CONFIG, &[(&code, "code", &[])]))
        .files(&[("models/base.gguf", &gguf("base")), ("run.py", b"1")])
        .entry("models/base.gguf")
}
