//! KitOps ModelKits of all ages, by their Kitfiles.

use super::*;

const CONFIG: &str = "application/vnd.kitops.modelkit.config.v1+json";

/// A ModelKit of layers `kind.v1.format` with their contents; `@n` in the Kitfile is the digest of the n-th.
fn modelkit(kitfile: &str, layers: &[(&str, &[u8])]) -> Artifact {
    let names: Vec<String> = (0..layers.len()).map(|index| index.to_string()).collect();
    let json: Vec<_> = layers
        .iter()
        .zip(&names)
        .map(|((kind, _), name)| {
            serde_json::json!({
                "mediaType": format!("application/vnd.kitops.modelkit.{kind}"), "digest": format!("@{name}")
            })
        })
        .collect();
    let json = serde_json::json!({
        "schemaVersion": 2, "config": {"mediaType": CONFIG, "digest": "@config"}, "layers": json,
        "annotations": {"ml.kitops.modelkit.cli-version": "1.0.0"}
    });
    let mut kitfile = kitfile.to_owned();
    for (name, (_, bytes)) in names.iter().zip(layers) {
        kitfile = kitfile.replace(&format!("@{name}"), &Digest::sha256(bytes).to_string());
    }
    let layers = names.iter().zip(layers).map(|(name, (_, bytes))| (name.as_str(), *bytes));
    let contents: Vec<(&str, &[u8])> = [("config", kitfile.as_bytes())].into_iter().chain(layers).collect();
    Artifact::new(&json.to_string(), &contents)
}

/// kitops pkg/cmd/unpack/unpack_test.go, all kinds of layers; prompts are layers of code.
#[test]
fn entries_with_a_digest_have_whole_paths_in_their_tars() {
    let model = gzip(&tar(&[In::Folder("model/"), In::File("model/llama.gguf", GGUF)]));
    let part = zstd(&tar(&[In::File("model/tokenizer.json", b"{}")]));
    let data = tar(&[In::Folder("data/"), In::Folder("data/train/"), In::File("data/train/a.csv", b"a")]);
    let (code, docs) = (tar(&[In::File("src/run.py", b"run")]), tar(&[In::File("README.md", b"# Llama")]));
    let prompt = tar(&[In::File("prompts/sys.txt", b"Be kind.")]);
    let kitfile = r#"{"manifestVersion":"1.0.0","package":{"name":"llama","authors":["me"]},
      "model":{"name":"llama","path":"./model/llama.gguf","digest":"@0","diffId":"sha256:any",
        "parameters":{"deep":[1,{"a":null}]},"parts":[{"name":"tok","path":"model/tokenizer.json","digest":"@1"}]},
      "datasets":[{"name":"far","path":"far","remotePath":"s3://bucket/key"},{"path":"data/train","digest":"@2"}],
      "code":[{"path":"src/","digest":"@3"}],"docs":[{"path":"README.md","digest":"@4"}],
      "prompts":[{"name":"sys","path":"prompts/sys.txt","digest":"@5"}]}"#;
    let artifact = modelkit(
        kitfile,
        &[
            ("model.v1.tar+gzip", &model),
            ("modelpart.v1.tar+zstd", &part),
            ("dataset.v1.tar", &data),
            ("code.v1.tar", &code),
            ("docs.v1.tar", &docs),
            ("code.v1.tar", &prompt),
        ],
    );
    let (sink, listing) = artifact.files();
    let files = [
        "Kitfile",
        "README.md",
        "data/train/a.csv",
        "model/llama.gguf",
        "model/tokenizer.json",
        "prompts/sys.txt",
        "src/run.py",
    ];
    assert_eq!(sink.paths(), files);
    assert_eq!(sink.content("Kitfile"), artifact.config);
    assert_eq!(listing.packaging, "KitOps");
    assert_eq!(listing.entry.as_deref(), Some("model/llama.gguf"));
}

/// kitops docs next-steps.md: neither media type nor digests in the Kitfile.
#[test]
fn entries_without_a_digest_are_counted_and_lie_beside_their_path() {
    let model = gzip(&tar(&[In::File("llama.gguf", GGUF)]));
    let (one, two) = (tar(&[In::Folder("train/"), In::File("train/a.csv", b"a")]), tar(&[In::File("b.csv", b"b")]));
    let code = tar(&[In::File("run.py", b"run")]);
    let kitfile = r#"{"manifestVersion":"1.0.0","model":{"path":"models/llama.gguf"},"docs":null,
      "datasets":[{"path":"far","remotePath":"s3://bucket/key"},{"path":"data/train"},{"path":"data/more/b.csv"}],
      "code":[{"path":"."}]}"#;
    let layers: [(&str, &[u8]); 4] = [
        ("code.v1.tar+gzip", &code),
        ("dataset.v1.tar+gzip", &one),
        ("dataset.v1.tar+gzip", &two),
        ("model.v1.tar+gzip", &model),
    ];
    let (sink, listing) = modelkit(kitfile, &layers).files();
    assert_eq!(sink.paths(), ["Kitfile", "data/more/b.csv", "data/train/a.csv", "models/llama.gguf", "run.py"]);
    assert_eq!(listing.entry.as_deref(), Some("models/llama.gguf"));
}

#[test]
fn layers_without_an_entry_are_laid_out_as_their_tars_say() {
    let more = tar(&[In::File("more/b.csv", b"b")]);
    let layers: [(&str, &[u8]); 3] = [
        ("dataset.v1.tar", &tar(&[In::File("a.csv", b"a")])),
        ("dataset.v1.tar", &more),
        ("mcpb.v1.tar+gzip", &gzip(&tar(&[In::File("server.mcpb", b"x")]))),
    ];
    let (sink, _) = modelkit(r#"{"datasets":[{"path":"data/a.csv"}]}"#, &layers).files();
    assert_eq!(sink.paths(), ["Kitfile", "data/a.csv", "more/b.csv", "server.mcpb"]);
}

#[test]
fn one_tar_for_two_entries_is_at_both_paths() {
    let data = tar(&[In::File("a.csv", b"a")]);
    let layers: [(&str, &[u8]); 2] = [("dataset.v1.tar", &data), ("dataset.v1.tar", &data)];
    let (sink, _) = modelkit(r#"{"datasets":[{"path":"one/a.csv"},{"path":"two/a.csv"}]}"#, &layers).files();
    assert_eq!(sink.paths(), ["Kitfile", "one/a.csv", "two/a.csv"]);
}

#[test]
fn raw_layers_go_to_the_path_of_their_entry() {
    let kitfile = r#"{"model":{"path":"model/m.gguf","digest":"@0"},"docs":[{"path":"LICENSE"}]}"#;
    let layers: [(&str, &[u8]); 2] = [("model.v1.raw", GGUF), ("docs.v1.raw", b"MIT")];
    let artifact = modelkit(kitfile, &layers);
    let (sink, listing) = artifact.files();
    assert_eq!(sink.paths(), ["Kitfile", "LICENSE", "model/m.gguf"]);
    assert_eq!(listing.entry.as_deref(), Some("model/m.gguf"));
    let mut sink = Memory { is_linking: true, ..Memory::default() };
    artifact.lay_out(&mut sink).unwrap();
    assert_eq!(sink.linked, ["model/m.gguf", "LICENSE", "Kitfile"]);
    let zipped = modelkit(kitfile, &[("model.v1.raw+gzip", GGUF), ("docs.v1.raw", b"MIT")]).plan().unwrap_err();
    assert!(zipped.to_string().contains("\"model/m.gguf\""), "{zipped}");
}

/// kitops pkg/lib/constants before its renaming: one layer with everything.
#[test]
fn the_oldest_modelkits_are_of_jozu() {
    let content = gzip(&tar(&[In::File("model/llama.gguf", GGUF), In::File("src/run.py", b"run")]));
    let json = r#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.jozu.model.config.v1+json","digest":"@config"},
      "layers":[{"mediaType":"application/vnd.jozu.model.content.v1.tar+gzip","digest":"@content"}]}"#;
    let config = br#"{"manifestVersion":"v1.0","model":{"path":"model"},"code":[{"path":"src"}]}"#;
    let (sink, listing) = Artifact::new(json, &[("config", config), ("content", &content)]).files();
    assert_eq!(sink.paths(), ["Kitfile", "model/llama.gguf", "src/run.py"]);
    assert_eq!(listing.entry.as_deref(), Some("model/llama.gguf"));
}

#[test]
fn an_entry_that_is_nowhere_leaves_the_choice_to_the_rules() {
    let model = tar(&[In::File("llama.gguf", GGUF)]);
    for path in ["nowhere.gguf", ".", "", "/etc/passwd", "a/../../b"] {
        let kitfile = format!(r#"{{"model":{{"path":"{path}","digest":"@0"}}}}"#);
        let (_, listing) = modelkit(&kitfile, &[("model.v1.tar", &model)]).files();
        assert_eq!(listing.entry.as_deref(), Some("llama.gguf"), "{path}");
    }
}

#[test]
fn hostile_kitfiles_are_refused_in_the_plan() {
    let bytes = tar(&[In::File("a", b"a")]);
    let refused = |kitfile: &str, kind: &str| modelkit(kitfile, &[(kind, &bytes)]).plan().unwrap_err();
    for path in ["a/../../b", "/etc/passwd", "..", r"a\\b"] {
        let kitfile = format!(r#"{{"docs":[{{"path":"{path}"}}]}}"#);
        for kind in ["docs.v1.tar", "docs.v1.raw"] {
            assert!(matches!(refused(&kitfile, kind), Error::Path { .. }), "{path} {kind}");
        }
    }
    let listed = format!(r#"{{"code":[{{"path":"src","digest":"{}"}}]}}"#, Digest::sha256(b"elsewhere"));
    let text = refused(&listed, "code.v1.tar").to_string();
    assert!(text.starts_with("\"src\" is listed in layer \"sha256:"), "{text}");
    let deep = format!(r#"{{"model":{{"parameters":{}"#, "[".repeat(100_000));
    for kitfile in [&deep, "", "[1]", r#"{"model":"m"}"#, r#"{"code":[{"path":1}]}"#] {
        let error = refused(kitfile, "code.v1.tar");
        assert!(matches!(error, Error::Config { packaging: Packaging::KitOps, .. }), "{error:?}");
    }
    let taken = modelkit(r#"{"docs":[{"path":"kitfile"}]}"#, &[("docs.v1.raw", b"mine")]);
    assert!(matches!(taken.plan(), Err(Error::Collision { .. })));
}

#[test]
fn many_entries_and_layers_are_matched_soon() {
    let kitfile = format!(r#"{{"docs":[{}{{}}]}}"#, "{},".repeat(300_000));
    let layers: Vec<(&str, &[u8])> = vec![("docs.v1.tar", b"x"); 500];
    let start = std::time::Instant::now();
    modelkit(&kitfile, &layers).plan().unwrap();
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

/// kitops 1.10 as a ModelPack: the Kitfile is an annotation of the manifest.
#[test]
fn a_modelpack_of_kitops_takes_its_entry_from_the_kitfile() {
    let json = |kitfile: &str| {
        let annotations = serde_json::json!({"ml.kitops.modelkit.kitfile": kitfile});
        format!(
            r#"{{"schemaVersion":2,"artifactType":"{}","annotations":{annotations},"layers":[
              {{"mediaType":"application/vnd.cncf.model.weight.v1.raw","digest":"@a","annotations":{{"org.cncf.model.filepath":"a.gguf"}}}},
              {{"mediaType":"application/vnd.cncf.model.weight.v1.raw","digest":"@b","annotations":{{"org.cncf.model.filepath":"b.gguf"}}}}]}}"#,
            media::MODELPACK
        )
    };
    let entry = |kitfile: &str| {
        let contents: [(&str, &[u8]); 2] = [("a", GGUF), ("b", b"GGUF, another")];
        Artifact::new(&json(kitfile), &contents).files().1.entry
    };
    assert_eq!(entry(r#"{"model":{"path":"b.gguf"}}"#).as_deref(), Some("b.gguf"));
    assert_eq!(entry("model:\n  path: b.gguf\n"), None, "YAML is not read");
}
