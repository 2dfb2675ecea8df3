//! Artifacts that are told apart and not laid out, and plans that are refused.

use super::*;

fn verdict(json: &str, config: &[u8]) -> Result<Packaging, Error> {
    let artifact = Artifact::new(json, &[("config", config), ("layer", b"x")]);
    recognise(&artifact.manifest(), config)
}

#[test]
fn what_is_no_model_is_named() {
    let image = br#"{"rootfs":{"type":"layers","diff_ids":["sha256:x"]}}"#;
    let oci = media::OCI_IMAGE_CONFIG;
    let cases: [(&str, &str, &str, &str); 7] = [
        (
            "",
            "application/vnd.cncf.helm.config.v1+json",
            "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
            "a Helm chart",
        ),
        ("", "application/vnd.wasm.config.v0+json", "application/wasm", "a WebAssembly module"),
        ("", oci, "application/vnd.dev.cosign.simplesigning.v1+json", "a signature"),
        (
            "application/vnd.dev.sigstore.bundle.v0.3+json",
            media::EMPTY,
            "application/vnd.dev.sigstore.bundle.v0.3+json",
            "a signature",
        ),
        ("application/vnd.cncf.notary.signature", media::EMPTY, "application/jose+json", "a signature"),
        ("", oci, "application/vnd.in-toto+json", "an attestation"),
        ("application/spdx+json", media::EMPTY, "application/spdx+json", "a bill of materials"),
    ];
    for (artifact_type, config, layer, what) in cases {
        let json = format!(
            r#"{{"artifactType":"{artifact_type}","config":{{"mediaType":"{config}","digest":"@config"}},"layers":[{{"mediaType":"{layer}","digest":"@layer"}}]}}"#
        );
        let error = verdict(&json, image).unwrap_err();
        assert_eq!(error.to_string(), format!("the artifact is {what}, not a model"));
    }
}

#[test]
fn a_model_with_a_bill_of_materials_is_a_model() {
    let artifact = Artifact::titled(&[("application/spdx+json", "sbom.json", b"{}"), ("x/y", "m.gguf", GGUF)]);
    assert_eq!(artifact.files().1.entry.as_deref(), Some("m.gguf"));
}

#[test]
fn ollamas_models_without_files_are_explained() {
    let json = |layers: &str| {
        format!(
            r#"{{"config":{{"mediaType":"{}","digest":"@config"}},"layers":[{layers}]}}"#,
            media::DOCKER_IMAGE_CONFIG
        )
    };
    let cloud = br#"{"model_format":"","remote_host":"https://ollama.com:443","remote_model":"gpt-oss:20b"}"#;
    let error = Artifact::new(&json(""), &[("config", cloud)]).plan().unwrap_err();
    assert_eq!(error.to_string(), "the model runs on \"https://ollama.com:443\" and has nothing to pull");
    let tensor = r#"{"mediaType":"application/vnd.ollama.image.tensor","digest":"@layer","name":"a/b.weight"}"#;
    let error = Artifact::new(&json(tensor), &[("config", b"{}"), ("layer", b"x")]).plan().unwrap_err();
    assert!(matches!(error, Error::Tensors));
}

#[test]
fn what_is_attached_to_another_artifact_is_never_the_model() {
    let json = |artifact_type: &str| {
        format!(
            r#"{{"schemaVersion":2,"artifactType":"{artifact_type}",
              "subject":{{"mediaType":"{}","digest":"@layer"}},
              "layers":[{{"mediaType":"application/octet-stream","digest":"@layer","annotations":{{"{}":"a"}}}}]}}"#,
            media::OCI_MANIFEST,
            media::TITLE
        )
    };
    let error = verdict(&json("application/vnd.example.report"), b"").unwrap_err();
    assert_eq!(error.to_string(), "the artifact is an attachment of another artifact, not a model");
    assert_eq!(verdict(&json(media::MODELPACK), b"").unwrap(), Packaging::ModelPack);
}

#[test]
fn a_modelkit_without_a_model_of_its_own_names_the_other() {
    let json =
        r#"{"config":{"mediaType":"application/vnd.kitops.modelkit.config.v1+json","digest":"@config"},"layers":[]}"#;
    let plan = |kitfile: &str| Artifact::new(json, &[("config", kitfile.as_bytes())]).plan();
    let error = plan(r#"{"model":{"path":"ghcr.io/acme/base:v1","parts":[]}}"#).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the ModelKit takes its model from another one, \"ghcr.io/acme/base:v1\", which is not supported"
    );
    assert!(plan(r#"{"model":{"path":"Some: Odd/Name.gguf"}}"#).is_ok(), "no reference");
}

#[test]
fn an_artifact_without_files_is_refused() {
    let json = r#"{"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"@config"},
        "layers":[{"mediaType":"application/vnd.oci.empty.v1+json","digest":"@config"}]}"#;
    assert!(matches!(Artifact::new(json, &[("config", b"{}")]).plan(), Err(Error::NoFiles)));
}

#[test]
fn hostile_titles_are_refused_in_the_plan() {
    for title in ["/etc/passwd", "a/../../b", "..", "a\\b", "C:x", "a\u{1b}[2J", "a//b", ".artishim.json"] {
        let error = Artifact::titled(&[("text/plain", title, b"x")]).plan().unwrap_err();
        assert!(matches!(error, Error::Path { .. } | Error::Collision { .. }), "{title:?} {error:?}");
    }
    let stripped = Artifact::titled(&[("text/plain", "../../home/me/m.gguf", GGUF)]);
    assert_eq!(stripped.files().0.paths(), ["home/me/m.gguf"]);
}

/// Where a layer has no name, ModelPack's category becomes one.
#[test]
fn a_media_type_makes_no_path_that_leads_outside() {
    for category in ["../../../etc/cron.d/x", "/etc/passwd", "a/../../b", "a\\b", "C:x"] {
        let json = format!(
            r#"{{"layers":[{{"mediaType":"{}{}.v1.raw","digest":"@layer"}}]}}"#,
            media::MODELPACK_PREFIX,
            category.replace('\\', "\\\\")
        );
        let error = Artifact::new(&json, &[("layer", b"x")]).plan().unwrap_err();
        assert!(matches!(error, Error::Path { .. }), "{category:?} {error:?}");
    }
}

/// 4 MiB of manifest would become gigabytes of folders.
#[test]
fn a_plan_with_endless_folders_is_refused() {
    let titles: Vec<String> = (0..40).map(|index| format!("{index}/{}f", "d/".repeat(1500))).collect();
    let layers: Vec<(&str, &str, &[u8])> = titles.iter().map(|title| ("x/y", title.as_str(), &b"x"[..])).collect();
    let error = Artifact::titled(&layers).plan().unwrap_err();
    assert!(matches!(error, Error::TooManyNames { .. }), "{error:?}");
}

#[test]
fn as_many_layers_as_a_manifest_can_list_are_named_soon() {
    let layer =
        format!(r#"{{"mediaType":"application/vnd.docker.ai.license","digest":"{}","size":1}}"#, Digest::sha256(b""));
    let json = format!(r#"{{"layers":[{}]}}"#, vec![layer; 25_000].join(","));
    let start = std::time::Instant::now();
    let manifest = Manifest::parse(json.as_bytes(), &Digest::sha256(b"")).unwrap();
    assert_eq!(plan(&manifest, b"").unwrap().pieces.len(), 25_000);
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

#[test]
fn titles_that_meet_are_refused_in_the_plan() {
    for (one, other) in [("a", "a"), ("a", "A"), ("a", "a/b"), ("a/b", "a"), ("d/x", "D/y")] {
        let artifact = Artifact::titled(&[("text/plain", one, b"1"), ("text/plain", other, b"2")]);
        assert!(matches!(artifact.plan(), Err(Error::Collision { .. })), "{one} {other}");
    }
    let twice = Artifact::titled(&[("text/plain", "a", b"1"), ("text/plain", "a", b"1")]);
    assert_eq!(twice.files().0.paths(), ["a"], "one blob listed twice is one file");
}

#[test]
fn a_plan_knows_its_blobs_and_their_names() {
    let artifact = Artifact::titled(&[("x/y", "a", b"1"), ("x/y", "copy", b"1"), ("x/y", "d/b", b"2")]);
    let plan = artifact.plan().unwrap();
    assert_eq!(plan.blobs().len(), 2);
    assert_eq!(plan.name_of(&Digest::sha256(b"1")), "a");
    assert_eq!(plan.name_of(&Digest::sha256(b"2")), "d/b");
    let unknown = Digest::sha256(b"3");
    assert_eq!(plan.name_of(&unknown), unknown.short());
    assert!(!plan.is_named_as_by_podman(), "podman refuses a title with a slash");
}

#[test]
fn the_config_is_needed_only_where_it_tells_something() {
    let reads = |config: &str| {
        let json = format!(r#"{{"config":{{"mediaType":"{config}","digest":"@config"}},"layers":[]}}"#);
        reads_config(&Artifact::new(&json, &[("config", b"{}")]).manifest())
    };
    assert!(reads(media::OCI_IMAGE_CONFIG) && reads(media::DOCKER_IMAGE_CONFIG) && reads(media::MODELPACK_CONFIG));
    assert!(
        reads("application/vnd.kitops.modelkit.config.v1+json") && reads("application/vnd.jozu.model.config.v1+json")
    );
    assert!(reads("application/vnd.cog.weight.config.v1+json"));
    assert!(!reads(media::EMPTY) && !reads("application/vnd.docker.ai.model.config.v0.1+json"));
}
