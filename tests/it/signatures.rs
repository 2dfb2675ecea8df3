//! Pulls of what must be signed, by policy.json or by the user's word.

use std::fs;

use serde_json::{Value, json};

use crate::common::registry::{Registry, digest};
use crate::common::signing::{Signer, payload};
use crate::common::{Home, MANIFEST, layer, modelpack};

const SIMPLE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const SIGNATURE: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const NOT_OURS: &str = "it is not by the key that is asked for";

/// A registry with an artifact `m:1`, and a home whose policy asks for a signature by a key.
struct Rig {
    home: Home,
    registry: Registry,
    signer: Signer,
    reference: String,
    digest: String,
    /// Bytes of its manifest.
    size: usize,
}

impl Rig {
    fn new() -> Self {
        let (home, registry, signer) = (Home::new(), Registry::start(), Signer::new());
        let reference = modelpack(&registry, "m", &[("m.gguf", b"GGUF")]);
        fs::write(home.path("key.pub"), signer.pem()).unwrap();
        let (digest, size) = described(&home, &reference);
        registry.clear_requests();
        let rig = Self { home, registry, signer, reference, digest, size };
        rig.ask_for(&json!({"keyPath": rig.home.path("key.pub")}));
        rig.attachments("docker", true);
        rig
    }

    /// Asks for a signature: `fields` are those of sigstoreSigned.
    fn ask_for(&self, fields: &Value) {
        let mut requirement = json!({"type": "sigstoreSigned"});
        requirement.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.policy(&json!([requirement]));
    }

    fn policy(&self, requirements: &Value) {
        let policy = json!({
            "default": [{"type": "insecureAcceptAnything"}],
            "transports": {"docker": {self.registry.host(): requirements}},
        });
        write(&self.home, ".config/containers/policy.json", &policy.to_string());
    }

    /// Whether registries.d lets signatures be looked for.
    fn attachments(&self, word: &str, is_on: bool) {
        let text = format!("{word}:\n  {}:\n    use-sigstore-attachments: {is_on}\n", self.registry.host());
        write(&self.home, ".config/containers/registries.d/a.yaml", &text);
    }

    /// Attaches a signature as cosign does, under a tag.
    fn sign(&self, payload: &Value) {
        self.attach(&self.signer, payload);
    }

    fn attach(&self, signer: &Signer, payload: &Value) {
        let text = payload.to_string();
        self.attach_bytes(&self.digest, text.as_bytes(), &signer.sign(text.as_bytes()));
    }

    fn attach_bytes(&self, subject: &str, payload: &[u8], signature: &str) {
        let manifest = self.simple(payload, signature);
        self.registry.push_manifest("m", &format!("{}.sig", subject.replace(':', "-")), manifest.to_string());
    }

    fn simple(&self, payload: &[u8], signature: &str) -> Value {
        let layer = layer(&self.registry, SIMPLE, payload, &json!({"dev.cosignproject.cosign/signature": signature}));
        let config = layer_of(&self.registry, "application/vnd.oci.image.config.v1+json", b"{}");
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]})
    }

    /// A manifest that refers to the artifact.
    fn referrer(&self, kind: &str, mut manifest: Value) -> Value {
        manifest["artifactType"] = json!(kind);
        manifest["subject"] = json!({"mediaType": MANIFEST, "digest": self.digest, "size": self.size});
        manifest
    }

    fn bundle(&self) -> Value {
        let layer = layer_of(&self.registry, BUNDLE, self.signer.bundle(&self.digest).to_string().as_bytes());
        let config = layer_of(&self.registry, "application/vnd.oci.empty.v1+json", b"{}");
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]});
        self.referrer(BUNDLE, manifest)
    }

    /// Adds to the index under the tag that stands for the API.
    fn push_referrer(&self, manifest: &Value) {
        let text = manifest.to_string();
        let pushed = self.registry.push_manifest("m", "unused", &text);
        let entry = json!({
            "mediaType": MANIFEST, "digest": pushed, "size": text.len(), "artifactType": manifest["artifactType"],
        });
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]});
        self.registry.push_manifest("m", &self.digest.replace(':', "-"), index.to_string());
    }

    #[track_caller]
    fn assert_pulled(&self, options: &[&str]) {
        self.home.artishim(&[&["pull", "--quiet"], options, &[&self.reference]].concat()).success();
        self.home.artishim(&["rm", "--all"]).success();
    }

    /// One line, and nothing to see: no blob was asked for and none is here.
    #[track_caller]
    fn assert_refused(&self, options: &[&str], words: &[&str]) {
        self.registry.clear_requests();
        let said = self.home.artishim(&[&["pull", "--quiet"], options, &[&self.reference]].concat()).failure();
        assert!(words.iter().all(|word| said.contains(word)), "{words:?}: {said}");
        assert_eq!(self.home.artishim(&["ls", "--quiet"]).success(), "");
        let model = digest(b"GGUF");
        assert!(self.registry.requests().iter().all(|request| !request.path.contains(&model)));
    }
}

fn write(home: &Home, name: &str, text: &str) {
    let path = home.path(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn layer_of(registry: &Registry, kind: &str, content: &[u8]) -> Value {
    layer(registry, kind, content, &json!({}))
}

/// Digest and size of a manifest.
fn described(home: &Home, reference: &str) -> (String, usize) {
    home.artishim(&["pull", "--quiet", reference]).success();
    let digest = home.artishim(&["inspect", "--format", "{{.Digest}}", reference]).success().trim().to_owned();
    let blob = home.store().join("blobs").join(digest.replace(':', "/"));
    let size = fs::read(blob).unwrap().len();
    home.artishim(&["rm", "--all"]).success();
    (digest, size)
}

#[test]
fn what_is_signed_for_its_name_and_digest_is_pulled_and_nothing_else() {
    let rig = Rig::new();
    let good = payload(&rig.reference, &rig.digest);
    let scope = format!("policy.json ({}: sigstoreSigned)", rig.registry.host());
    rig.assert_refused(&[], &["needs a signature by", &scope, "it has none"]);
    rig.sign(&good);
    rig.assert_pulled(&[]);
    rig.attach(&Signer::new(), &good);
    rig.assert_refused(&[], &[&scope, NOT_OURS]);
    let text = good.to_string();
    rig.attach_bytes(&rig.digest, text.replace("tests", "pests").as_bytes(), &rig.signer.sign(text.as_bytes()));
    rig.assert_refused(&[], &[&scope, NOT_OURS]);
    rig.sign(&payload(&rig.reference, &digest(b"other")));
    rig.assert_refused(&[], &[&scope, "it is for another digest"]);
    rig.sign(&payload("quay.io/other:1", &rig.digest));
    rig.assert_refused(&[], &[&scope, "it is for the name \"quay.io/other:1\"", "signedIdentity"]);
    rig.ask_for(&json!({
        "keyPath": rig.home.path("key.pub"),
        "signedIdentity": {"type": "exactReference", "dockerReference": "quay.io/other:1"},
    }));
    rig.assert_pulled(&[]);
}

#[test]
fn every_way_to_read_an_artifact_asks_for_its_signature() {
    let rig = Rig::new();
    let lines: [&[&str]; 3] = [&["pull"], &["path"], &["inspect", "--model"]];
    for line in lines {
        let said = rig.home.artishim(&[line, &[&rig.reference]].concat()).failure();
        assert!(said.contains("it has none"), "{said}");
    }
    assert_eq!(rig.registry.sent("/blobs/"), 0);
    rig.sign(&payload(&rig.reference, &rig.digest));
    for line in lines {
        rig.home.artishim(&[line, &[&rig.reference]].concat()).success();
    }
}

#[test]
fn signatures_are_looked_for_only_where_registries_d_says_so() {
    let rig = Rig::new();
    rig.sign(&payload(&rig.reference, &rig.digest));
    rig.attachments("docker", false);
    rig.assert_refused(&[], &["none is looked for", "set use-sigstore-attachments: true"]);
    assert!(rig.registry.requests().is_empty());
    fs::remove_dir_all(rig.home.path(".config/containers/registries.d")).unwrap();
    write(&rig.home, ".config/containers/registries.d/a.yaml", "default-docker: {use-sigstore-attachments: true}");
    rig.assert_pulled(&[]);
    write(&rig.home, ".config/containers/registries.d/a.yaml", "docker: [");
    rig.assert_refused(&[], &["registries.d/a.yaml: "]);
    assert!(rig.home.artishim(&["doctor"]).stdout.contains("problem  signatures"));
}

#[test]
fn all_requirements_must_hold_and_one_of_several_keys_is_enough() {
    let rig = Rig::new();
    let other = Signer::new_edwards();
    fs::write(rig.home.path("other.pub"), other.pem()).unwrap();
    let key = |name: &str| json!({"type": "sigstoreSigned", "keyPath": rig.home.path(name)});
    rig.sign(&payload(&rig.reference, &rig.digest));
    rig.policy(&json!([key("key.pub"), key("other.pub")]));
    rig.assert_refused(&[], &[NOT_OURS]);
    let text = payload(&rig.reference, &rig.digest).to_string();
    let mut both = rig.simple(text.as_bytes(), &rig.signer.sign(text.as_bytes()));
    let second = rig.simple(text.as_bytes(), &other.sign(text.as_bytes()));
    both["layers"].as_array_mut().unwrap().push(second["layers"][0].clone());
    rig.registry.push_manifest("m", &format!("{}.sig", rig.digest.replace(':', "-")), both.to_string());
    rig.assert_pulled(&[]);
    rig.attach(&other, &payload(&rig.reference, &rig.digest));
    rig.ask_for(&json!({"keyPaths": [rig.home.path("key.pub"), rig.home.path("other.pub")]}));
    rig.assert_pulled(&[]);
}

#[test]
fn key_that_cannot_be_used_is_named_before_anybody_is_asked() {
    let rig = Rig::new();
    let missing = rig.home.path("missing.pub");
    fs::write(rig.home.path("junk.pub"), "junk").unwrap();
    for (path, why) in [(missing, "No such file"), (rig.home.path("junk.pub"), "no public key in PEM")] {
        rig.ask_for(&json!({"keyPath": path}));
        rig.assert_refused(&[], &["policy.json", "sigstoreSigned", path.to_str().unwrap(), why]);
        assert!(rig.registry.requests().is_empty());
        let doctor = rig.home.artishim(&["doctor"]);
        assert_eq!(doctor.status, 125);
        let line = doctor.stdout.lines().find(|line| line.starts_with("problem  policy")).expect("it is a problem");
        assert!(line.contains(path.to_str().unwrap()) && line.contains(why), "{line}");
    }
}

#[test]
fn signature_of_the_index_counts_for_what_is_chosen_from_it() {
    let rig = Rig::new();
    let child = json!({"mediaType": MANIFEST, "digest": rig.digest, "size": rig.size});
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [child]}).to_string();
    let index_digest = rig.registry.push_manifest("m", "1", &index);
    rig.assert_refused(&[], &["it has none"]);
    let text = payload(&rig.reference, &index_digest).to_string();
    rig.attach_bytes(&index_digest, text.as_bytes(), &rig.signer.sign(text.as_bytes()));
    rig.assert_pulled(&[]);
    rig.attach_bytes(&index_digest, b"{}", "");
    rig.assert_refused(&[], &[NOT_OURS]);
    rig.sign(&payload(&rig.reference, &rig.digest));
    rig.assert_pulled(&[]);
}

#[test]
fn signatures_among_the_referrers_count_where_the_registry_tells_them_and_where_a_tag_does() {
    let rig = Rig::new();
    let text = payload(&rig.reference, &rig.digest).to_string();
    let simple = rig.simple(text.as_bytes(), &rig.signer.sign(text.as_bytes()));
    rig.push_referrer(&rig.referrer("application/spdx+json", simple.clone()));
    rig.assert_refused(&[], &["it has none"]);
    rig.push_referrer(&rig.referrer(SIGNATURE, simple.clone()));
    rig.assert_pulled(&[]);
    let told = Rig::new();
    told.registry.tell_referrers();
    told.assert_refused(&[], &["it has none"]);
    let text = payload(&told.reference, &told.digest).to_string();
    let simple = told.simple(text.as_bytes(), &told.signer.sign(text.as_bytes()));
    told.registry.push_manifest("m", "unused", told.referrer(SIGNATURE, simple).to_string());
    told.assert_pulled(&[]);
}

#[test]
fn signatures_are_looked_for_where_the_manifest_comes_from() {
    let rig = Rig::new();
    let mirror = Registry::start();
    modelpack(&mirror, "m", &[("m.gguf", b"GGUF")]);
    let conf = format!(
        "[[registry]]\nlocation = \"{}\"\n[[registry.mirror]]\nlocation = \"{}\"\n",
        rig.registry.host(),
        mirror.host()
    );
    write(&rig.home, ".config/containers/registries.conf", &conf);
    let text = payload(&rig.reference, &rig.digest).to_string();
    let at_mirror = Rig { registry: mirror, ..rig };
    at_mirror.attach_bytes(&at_mirror.digest, text.as_bytes(), &at_mirror.signer.sign(text.as_bytes()));
    at_mirror.home.artishim(&["pull", "--quiet", &at_mirror.reference]).success();
}

#[test]
fn bundle_counts_for_a_key_and_not_for_a_policy_as_it_says_no_name() {
    let rig = Rig::new();
    let key = rig.home.path("key.pub");
    let key = key.to_str().unwrap();
    rig.push_referrer(&rig.bundle());
    rig.assert_refused(&[], &["it is a sigstore bundle, which says no name"]);
    rig.policy(&json!([{"type": "insecureAcceptAnything"}]));
    rig.assert_pulled(&["--verify-key", key]);
    fs::write(rig.home.path("other.pub"), Signer::new().pem()).unwrap();
    let other = rig.home.path("other.pub");
    rig.assert_refused(&["--verify-key", other.to_str().unwrap()], &["has no signature by", "other.pub", NOT_OURS]);
}

#[test]
fn verify_key_asks_for_a_signature_of_the_digest_whatever_name_it_is_for_and_whatever_is_here() {
    let rig = Rig::new();
    rig.policy(&json!([{"type": "insecureAcceptAnything"}]));
    fs::remove_dir_all(rig.home.path(".config/containers/registries.d")).unwrap();
    let key = rig.home.path("key.pub");
    let options = ["--verify-key", key.to_str().unwrap()];
    rig.assert_refused(&options, &["has no signature by", "key.pub: it has none"]);
    // What is here already is no better.
    rig.home.artishim(&["pull", "--quiet", &rig.reference]).success();
    for when in ["always", "missing", "newer"] {
        let line = [&["pull", "--quiet", "--pull", when], &options[..], &[&rig.reference]].concat();
        let said = rig.home.artishim(&line).failure();
        assert!(said.contains("it has none"), "{when}: {said}");
    }
    let said = rig.home.artishim(&[&["pull", "--pull", "never"], &options[..], &[&rig.reference]].concat()).failure();
    assert!(said.contains("--verify-key asks the registry"), "{said}");
    rig.sign(&payload("quay.io/other", &rig.digest));
    rig.assert_pulled(&options);
    let said = rig.home.artishim(&["pull", "--verify-key", "/no/such.pub", &rig.reference]).failure();
    assert!(said.contains("key /no/such.pub: No such file"), "{said}");
}

#[test]
fn name_that_the_user_typed_counts_whatever_it_is_pinned_to() {
    let rig = Rig::new();
    rig.sign(&payload(&rig.reference, &rig.digest));
    let pinned = |tag: &str| format!("{}:{tag}@{}", rig.reference.rsplit_once(':').unwrap().0, rig.digest);
    // As for podman, the digest is what is meant where there is one.
    rig.home.artishim(&["pull", "--quiet", &pinned("7")]).success();
    rig.ask_for(&json!({"keyPath": rig.home.path("key.pub"), "signedIdentity": {"type": "matchExact"}}));
    let said = rig.home.artishim(&["pull", "--quiet", &pinned("1")]).failure();
    assert!(said.contains("it is for the name"), "{said}");
    rig.assert_pulled(&[]);
}
