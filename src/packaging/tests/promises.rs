//! What producers say of the files in an archive: Cog's lists and OLOT's digests.

use super::*;

/// replicate/cog specs/draft-weights.md: two layers, their files as the config lists them.
struct Cog<'a> {
    bundle: Vec<u8>,
    weights: Vec<u8>,
    /// Path, layer (`bundle` or `weights`) and content.
    files: Vec<(&'a str, &'a str, &'a [u8])>,
}

impl Cog<'_> {
    fn new() -> Self {
        let bundle = gzip(&tar(&[In::File("config.json", b"{}"), In::File("tokenizer.json", b"{ }")]));
        let weights = tar(&[In::Folder("text_encoder/"), In::File("text_encoder/model.safetensors", b"some weights")]);
        let files = vec![
            ("config.json", "bundle", &b"{}"[..]),
            ("text_encoder/model.safetensors", "weights", b"some weights"),
            ("tokenizer.json", "bundle", b"{ }"),
        ];
        Self { bundle, weights, files }
    }

    fn config(&self) -> Vec<u8> {
        let files = self.files.iter().map(|(path, layer, content)| {
            let layer = match *layer {
                "bundle" => Digest::sha256(&self.bundle),
                "weights" => Digest::sha256(&self.weights),
                other => Digest::sha256(other.as_bytes()),
            };
            serde_json::json!({"path": path, "layer": layer, "size": content.len(), "digest": Digest::sha256(content)})
        });
        let files: Vec<_> = files.collect();
        let set = Digest::sha256(b"set");
        let config = serde_json::json!({"name": "z", "target": "/src/weights", "setDigest": set, "files": files});
        config.to_string().into_bytes()
    }

    fn artifact(&self) -> Artifact {
        let json = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
          "artifactType":"application/vnd.cog.weight.v1",
          "config":{"mediaType":"application/vnd.cog.weight.config.v1+json","digest":"@config"},
          "layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"@bundle",
            "annotations":{"run.cog.weight.size.uncompressed":"5"}},
           {"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"@weights",
            "annotations":{"run.cog.weight.size.uncompressed":"12"}}],
          "annotations":{"run.cog.weight.name":"z","run.cog.weight.target":"/src/weights"}}"#;
        Artifact::new(json, &[("config", &self.config()), ("bundle", &self.bundle), ("weights", &self.weights)])
    }
}

#[test]
fn cog_weights_are_held_against_the_list_of_their_config() {
    let (sink, listing) = Cog::new().artifact().files();
    assert_eq!(sink.paths(), ["config.json", "text_encoder/model.safetensors", "tokenizer.json"]);
    assert_eq!(listing.packaging, "Cog");
    let zipped = Cog { bundle: zstd(&tar(&[In::File("config.json", b"{}")])), ..Cog::new() };
    let files = zipped.files[..2].to_vec();
    assert_eq!(Cog { files, ..zipped }.artifact().files().0.paths().len(), 2);
}

#[test]
fn a_file_of_cog_that_is_not_as_listed_is_named() {
    type Case<'a> = (&'a [(&'a str, &'a str, &'a [u8])], &'a str, &'a str);
    let cases: [Case<'_>; 5] = [
        (&[("config.json", "bundle", b"{}")], "tokenizer.json", "is not among the files"),
        (
            &[("config.json", "bundle", b"[]"), ("tokenizer.json", "bundle", b"{ }")],
            "config.json",
            "has the wrong content: its digest is sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        ),
        (&[("config.json", "bundle", b"{   }")], "config.json", "is 2 bytes, the artifact lists 5"),
        (
            &[
                ("config.json", "bundle", b"{}"),
                ("tokenizer.json", "bundle", b"{ }"),
                ("vocab.txt", "bundle", b"x"),
                ("text_encoder/model.safetensors", "weights", b"some weights"),
            ],
            "vocab.txt",
            "is missing, though the artifact lists it",
        ),
        (&[("config.json", "nowhere", b"{}")], "config.json", "which the manifest does not have"),
    ];
    for (files, path, words) in cases {
        let cog = Cog { files: files.to_vec(), ..Cog::new() };
        let text = cog.artifact().error().to_string();
        assert!(text.contains(&format!("{path:?}")) && text.contains(words), "{text}");
    }
}

#[test]
fn a_list_of_cog_that_cannot_be_right_is_refused_before_anything_is_opened() {
    let twice = Cog { files: vec![("a", "bundle", b"{}"), ("A", "weights", b"{}")], ..Cog::new() };
    assert!(matches!(twice.artifact().plan(), Err(Error::Collision { .. })));
    let outside = Cog { files: vec![("../../etc/../passwd", "bundle", b"{}")], ..Cog::new() };
    assert!(matches!(outside.artifact().plan(), Err(Error::Path { .. })));
    let deep = format!(r#"{{"files":{}"#, "[".repeat(100_000));
    for config in [&deep, r#"{"files":[{"path":"a"}]}"#, r#"{"files":{}}"#, "not JSON"] {
        let json = r#"{"config":{"mediaType":"application/vnd.cog.weight.config.v1+json","digest":"@config"},
          "layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"@config"}]}"#;
        let error = Artifact::new(json, &[("config", config.as_bytes())]).plan().unwrap_err();
        let digest = Digest::sha256(config.as_bytes());
        assert_eq!(error.to_string(), format!("config {digest} cannot be read as Cog's"));
    }
}

#[test]
fn a_layer_of_cog_unpacks_to_what_it_says_at_most() {
    let json = r#"{"artifactType":"application/vnd.cog.weight.v1","layers":[
      {"mediaType":"application/vnd.oci.image.layer.v1.tar+zstd","digest":"@layer",
       "annotations":{"run.cog.weight.size.uncompressed":"99"}}]}"#;
    let artifact = |size| Artifact::new(json, &[("layer", &zstd(&tar(&[In::File("a", &vec![0; size])])))]);
    artifact(99).files();
    assert!(matches!(artifact(100).error(), Error::Larger { limit: 99, .. }));
}

/// cog pkg/model before 2026: a layer is a plain file.
#[test]
fn early_cog_weights_are_plain_files() {
    let json = r#"{"artifactType":"application/vnd.cog.weight.v1",
      "config":{"mediaType":"application/vnd.cog.weight.config.v1+json","digest":"@config"},
      "layers":[{"mediaType":"application/vnd.cog.weight.layer.v1","digest":"@model",
        "annotations":{"vnd.cog.weight.name":"model-v1","vnd.cog.weight.dest":"/cache/model.safetensors"}}]}"#;
    let config =
        br#"{"schemaVersion":"1.0","cogVersion":"0.15.0","name":"model-v1","target":"/cache/model.safetensors"}"#;
    let contents: [(&str, &[u8]); 2] = [("config", config), ("model", b"weights")];
    let (sink, listing) = Artifact::new(json, &contents).files();
    assert_eq!(sink.paths(), ["cache/model.safetensors"]);
    assert_eq!(listing.entry.as_deref(), Some("cache/model.safetensors"));
    let zipped = Artifact::new(&json.replace("layer.v1\"", "layer.v1+gzip\""), &contents).plan().unwrap_err();
    assert!(zipped.to_string().contains("\"cache/model.safetensors\""), "{zipped}");
}

/// containers/olot docs/feat-152: a modelcar's layer with the digest of its one file.
fn modelcar(digest: &str, kind: &str) -> Artifact {
    let layer = tar(&[In::File("models/model.joblib", b"joblib")]);
    let config = br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:x"]}}"#;
    let annotations = serde_json::json!({
        "org.opencontainers.image.title": "model.joblib", "olot.layer.content.digest": digest,
        "olot.layer.content.type": kind, "olot.layer.content.inlayerpath": "/models/model.joblib",
        "olot.layer.content.name": "model.joblib"
    });
    let json = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"{}","digest":"@config"}},
          "layers":[{{"mediaType":"{}","digest":"@layer","annotations":{annotations}}}]}}"#,
        media::OCI_IMAGE_CONFIG,
        media::OCI_LAYER_TAR
    );
    Artifact::new(&json, &[("config", config), ("layer", &layer)])
}

#[test]
fn a_file_of_olot_is_held_against_its_digest() {
    let digest = Digest::sha256(b"joblib").to_string();
    assert_eq!(modelcar(&digest, "file").files().0.paths(), ["model.joblib"]);
    let wrong = Digest::sha256(b"other").to_string();
    let Error::Unlike { path, difference, .. } = modelcar(&wrong, "file").error() else { panic!() };
    assert_eq!(path, "models/model.joblib");
    assert!(matches!(*difference, Difference::Content { .. }));
    // A folder has no digest, whatever stands there, and what is none says nothing.
    modelcar(&wrong, "directory").files();
    modelcar("md5:x", "file").files();
}

#[test]
fn a_layer_listed_again_and_again_takes_its_files_once() {
    let cog = Cog::new();
    let artifact = cog.artifact();
    let mut manifest = artifact.manifest();
    let again = manifest.layers[0].clone();
    manifest.layers.extend(std::iter::repeat_n(again, 1000));
    assert_eq!(cog::pieces(&manifest, &cog.config()).unwrap().len(), 2);
}
