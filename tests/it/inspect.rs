//! `inspect --model`: what an artifact is, in the store and in a registry.

use serde_json::{Value, json};

use crate::common::gguf::Gguf;
use crate::common::registry::{Fault, Registry, Request, What};
use crate::common::{Home, MANIFEST, MODELPACK, layer, modelpack, outcome, push};

const MIB: usize = 1024 * 1024;
const RAW: &str = "application/vnd.cncf.model.weight.v1.raw";
const CONFIG: &str = "application/vnd.cncf.model.config.v1+json";
const FILEPATH: &str = "org.cncf.model.filepath";

fn gemma() -> Gguf {
    Gguf::new("gemma3")
        .text("general.name", "Gemma 3 270m")
        .text("general.size_label", "270M")
        .text("general.license", "gemma")
        .number("general.file_type", 15)
        .number("gemma3.context_length", 32_768)
}

/// A whole ModelPack of llmman's shape: no title, and a config that says little.
fn llmman(registry: &Registry, config: &Value, files: &[(&str, &[u8])]) -> String {
    let layers = files.iter().map(|(path, content)| layer(registry, RAW, content, &json!({FILEPATH: path})));
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": MODELPACK,
        "config": layer(registry, CONFIG, config.to_string().as_bytes(), &json!({})),
        "layers": layers.collect::<Vec<_>>(), "annotations": {"ai.model.repo": "unsloth/gemma-3-270m-GGUF"},
    });
    push(registry, "ai/gemma3", &manifest)
}

fn json_of(home: &Home, reference: &str) -> Value {
    serde_json::from_str(&home.artishim(&["inspect", "--model", "--json", reference]).success()).unwrap()
}

fn blob_requests(registry: &Registry) -> Vec<Request> {
    registry.requests().into_iter().filter(Request::is_blob).collect()
}

#[test]
fn a_model_is_described_in_plain_words() {
    let (home, registry) = (Home::new(), Registry::start());
    let model = gemma().text("tokenizer.chat_template", "{{ messages }}").with_weights(3000);
    let config = json!({"descriptor": {"licenses": ["gemma"]}, "config": {"format": "gguf"}});
    let files: [(&str, &[u8]); 3] =
        [("mmproj-F16.gguf", b"GGUF eyes"), ("gemma-3-270m-Q4_K_M.gguf", &model), ("LICENSE", b"terms")];
    let reference = llmman(&registry, &config, &files);
    let digest = json_of(&home, &reference)["digest"].as_str().unwrap().to_owned();
    let size = |bytes: usize| artishim::ui::size(bytes as u64);
    let expected = |stored: &str| {
        format!(
            "\
reference       {reference}
digest          {digest}
packaging       ModelPack
producer        llmman
name            Gemma 3 270m
architecture    gemma3
parameters      270M
quantization    Q4_K_M
context length  32768 tokens
format          gguf
licence         gemma
entry           gemma-3-270m-Q4_K_M.gguf
mmproj          mmproj-F16.gguf
chat template   in the entry's header
size            {}
stored          {stored}

FILE                      SIZE
mmproj-F16.gguf           9B
gemma-3-270m-Q4_K_M.gguf  {}
LICENSE                   5B
",
            size(model.len() + 14),
            size(model.len()),
        )
    };
    let inspect = || home.artishim(&["inspect", "--model", &reference]).success();
    assert_eq!(inspect(), expected("no"));
    home.artishim(&["pull", "--quiet", &reference]).success();
    registry.clear_requests();
    assert_eq!(inspect(), expected("yes"));
    home.artishim(&["path", &reference]).success();
    let from_snapshot = inspect();
    assert!(
        from_snapshot.contains("quantization    Q4_K_M\n") && from_snapshot.contains("mmproj-F16.gguf           9B\n")
    );
    assert_eq!(registry.requests().len(), 0, "what is stored is not asked for");
}

#[test]
fn a_remote_model_is_not_pulled() {
    let (home, registry) = (Home::new(), Registry::start());
    let model = gemma().with_weights(8 * MIB);
    let reference = llmman(&registry, &json!({}), &[("m.gguf", &model), ("other.bin", &vec![7; 4 * MIB])]);
    let described = json_of(&home, &reference);
    assert_eq!(described["architecture"], "gemma3");
    assert_eq!(described["stored"], false);
    let kinds: Vec<(bool, Option<String>)> =
        registry.requests().into_iter().map(|request| (request.is_blob(), request.range)).collect();
    // The first request is one of TLS and is no request; then the manifest, the config, and the model's beginning.
    assert_eq!(kinds, [(false, None), (true, None), (true, Some(String::from("bytes=0-1048575")))]);
    assert!(registry.sent("/blobs/") <= MIB as u64 + 2, "{}", registry.sent("/blobs/"));
    assert_eq!(home.artishim(&["ls", "-q"]).success(), "");
}

#[test]
fn what_comes_after_a_large_tokenizer_is_fetched_bit_by_bit() {
    let (home, registry) = (Home::new(), Registry::start());
    let model = gemma().texts("tokenizer.ggml.tokens", 262_144).text("tokenizer.chat_template", "{{ bos_token }}");
    let model = model.with_weights(20 * MIB);
    let reference = llmman(&registry, &json!({}), &[("m.gguf", &model)]);
    let described = json_of(&home, &reference);
    assert_eq!(described["chat_template_text"], "{{ bos_token }}");
    assert_eq!((&described["chat_template"], &described["has_own_template"]), (&Value::Null, &json!(true)));
    let ranges: Vec<_> = blob_requests(&registry).into_iter().filter_map(|request| request.range).collect();
    assert_eq!(ranges, ["bytes=0-1048575", "bytes=1048576-4194303", "bytes=4194304-16777215"]);
}

#[test]
fn a_registry_without_ranges_is_read_only_so_far() {
    let (home, registry) = (Home::new(), Registry::start());
    let reference = llmman(&registry, &json!({}), &[("m.gguf", &gemma().with_weights(64 * MIB))]);
    registry.fault(Fault::always("/blobs/", What::IgnoreRange));
    assert_eq!(json_of(&home, &reference)["quantization"], "Q4_K_M");
    // What the sockets hold is sent and never read.
    assert!(registry.sent("/blobs/") < 32 * MIB as u64, "{}", registry.sent("/blobs/"));
}

#[test]
fn files_whose_names_say_nothing_are_looked_into() {
    let (home, registry) = (Home::new(), Registry::start());
    let model = gemma().with_weights(100);
    let files: [(&str, &[u8]); 3] = [("tinyllama", &model), ("notes", b"nothing of interest"), ("LICENSE", b"MIT")];
    let reference = modelpack(&registry, "acme/bare", &files);
    let described = json_of(&home, &reference);
    assert_eq!((&described["entry"], &described["format"]), (&json!("tinyllama"), &json!("gguf")));
    let mut ranges: Vec<_> = blob_requests(&registry).into_iter().map(|request| request.range).collect();
    ranges.sort();
    let head = Some(String::from("bytes=0-7"));
    assert_eq!(ranges, [None, None, head.clone(), head], "the config, the model, and two first looks");
}

#[test]
fn safetensors_are_described_by_the_config_beside_them() {
    let (home, registry) = (Home::new(), Registry::start());
    let config = json!({
        "model_type": "qwen2", "torch_dtype": "bfloat16", "max_position_embeddings": 32_768,
        "quantization_config": {"quant_method": "awq", "bits": 4},
    });
    let config = config.to_string();
    let template: &[u8] = b"{% for message in messages %}";
    let files: [(&str, &[u8]); 3] =
        [("config.json", config.as_bytes()), ("model.safetensors", b"weights"), ("chat_template.jinja", template)];
    let described = json_of(&home, &modelpack(&registry, "acme/qwen", &files));
    let expected = json!({
        "entry": ".", "architecture": "qwen2", "precision": "bfloat16", "quantization": "awq 4-bit",
        "context_length": 32_768, "format": "safetensors", "chat_template": "chat_template.jinja",
        "chat_template_text": "{% for message in messages %}", "parameters": null, "parameter_count": null,
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(described[key], *value, "{key}");
    }
}

#[test]
fn the_configs_word_goes_before_the_files() {
    let (home, registry) = (Home::new(), Registry::start());
    let config = json!({
        "descriptor": {"name": "mine", "family": "gemma", "licenses": ["MIT", "Apache-2.0"]},
        "config": {"architecture": "transformer", "quantization": "Q8_0", "paramSize": 270},
    });
    let described = json_of(&home, &llmman(&registry, &config, &[("m.gguf", &gemma().tensor("a", &[9, 9]).bytes())]));
    let keys = ["name", "family", "architecture", "quantization", "parameters", "licenses", "parameter_count"];
    let expected = json!(["mine", "gemma", "transformer", "Q8_0", "270", ["MIT", "Apache-2.0"], 81]);
    assert_eq!(json!(keys.map(|key| described[key].clone())), expected);
}

#[test]
fn archives_are_named_and_not_opened() {
    let (home, registry) = (Home::new(), Registry::start());
    let weights = layer(
        &registry,
        "application/vnd.cncf.model.weight.v1.tar",
        &vec![0; 4096],
        &json!({FILEPATH: "model.safetensors"}),
    );
    let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": MODELPACK, "layers": [weights]});
    let reference = push(&registry, "acme/tar", &manifest);
    let text = home.artishim(&["inspect", "--model", &reference]).success();
    assert!(text.contains("entry       not known before the archives are unpacked\n"), "{text}");
    assert!(text.ends_with("\nmodel.safetensors  4.096kB     archive, listed when unpacked\n"), "{text}");
    assert_eq!(blob_requests(&registry).len(), 0);
}

#[test]
fn what_producers_write_is_shown_and_not_obeyed() {
    let (home, registry) = (Home::new(), Registry::start());
    let evil = "\u{1b}]0;pwned\u{7}\u{202e}cod\u{9b}2J\nlicence         MIT";
    let config = json!({"descriptor": {"name": evil, "licenses": ["x".repeat(100_000)]}});
    let model = Gguf::new(evil).text("general.size_label", "\r8B").bytes();
    let reference = llmman(&registry, &config, &[("m.gguf", &model)]);
    let text = home.artishim(&["inspect", "--model", &reference]).success();
    assert!(!text.contains(|c: char| c != '\n' && (c.is_control() || c == '\u{202e}')), "{text:?}");
    assert!(
        text.contains("name          \\u{1b}]0;pwned\\u{7}\\u{202e}cod\\u{9b}2J\\nlicence         MIT\n"),
        "{text:?}"
    );
    assert!(text.lines().all(|line| line.len() < 1000), "{text}");
    let described = json_of(&home, &reference);
    assert_eq!((&described["name"], &described["parameters"]), (&json!(evil), &json!("\r8B")));
}

#[test]
fn headers_that_are_none_leave_what_the_manifest_says() {
    let (home, registry) = (Home::new(), Registry::start());
    let cut = &gemma().bytes()[..80];
    let cases: [(&[u8], &str, &str); 3] = [
        (b"GGUF\0\0\0\x03 big-endian", "Note: m.gguf: the GGUF header is malformed: it is big-endian\n", "null"),
        (b"no model at all", "", "null"),
        (cut, "", "\"gemma3\""),
    ];
    for (model, note, architecture) in cases {
        let reference = llmman(&registry, &json!({"config": {"format": "gguf"}}), &[("m.gguf", model)]);
        let inspected = home.artishim(&["inspect", "--model", "--json", &reference]);
        assert_eq!(inspected.stderr, note);
        let described: Value = serde_json::from_str(&inspected.success()).unwrap();
        assert_eq!(described["architecture"].to_string(), architecture);
        assert_eq!(described["entry"], "m.gguf");
    }
}

#[test]
fn json_is_of_the_model_only() {
    let wrong = Home::new().artishim(&["inspect", "--json", "acme/tiny:1"]);
    assert_eq!((wrong.status, wrong.stdout.as_str()), (125, ""));
    assert!(wrong.stderr.contains("--model"), "{wrong:?}");
    let mut missing = Home::new().command(&["inspect", "--model", "127.0.0.1:1/acme/none:1"]);
    let missing = outcome(missing.output().unwrap()).failure();
    assert!(missing.contains("connection refused"), "{missing}");
}
