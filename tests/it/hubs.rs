//! Ollama's registry and Hugging Face as they are: no `/v2/`, no HEAD, manifests that are called text, names with upper
//! case, and blobs elsewhere by URLs that are soon over.

use std::fs;
use std::time::Duration;

use crate::common::registry::{Expiry, Fault, Place, Registry, What};
use crate::common::{Home, Outcome, bytes, outcome};

const CONFIG: &str = r#"{"model_format":"gguf","model_family":"llama","model_families":["llama"],"model_type":"1B","file_type":"Q4_0","architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;

/// One of the two, found under its own name.
struct Hub {
    home: Home,
    registry: Registry,
    model: Vec<u8>,
}

impl Hub {
    fn new(name: &str) -> Self {
        let (home, registry) = (Home::new(), Registry::start());
        let model = [b"GGUF".as_slice(), &bytes(1, 20 << 20)].concat();
        let conf = format!("[[registry]]\nprefix = \"{name}\"\nlocation = \"{}\"\ninsecure = true\n", registry.host());
        fs::write(home.path("registries.conf"), conf).unwrap();
        let gone = String::from("404 page not found");
        let refused = What::Status { status: 405, headers: vec![("Allow", String::from("GET"))], body: String::new() };
        registry.fault(Fault::always("/", refused).at(Place::Method("HEAD")));
        for path in ["/tags/list", "/_catalog"] {
            registry.fault(Fault::always(path, What::Status { status: 404, headers: Vec::new(), body: gone.clone() }));
        }
        let text = String::from("text/plain; charset=utf-8");
        registry.fault(Fault::always("/manifests/", What::Header("Content-Type", text)));
        registry.fault(Fault::always("/manifests/", What::Header("Docker-Content-Digest", String::new())));
        registry.redirect_blobs_until(Expiry { uses: 3, age: Duration::from_secs(600), status: 403 });
        Self { home, registry, model }
    }

    /// A model as both have it.
    fn push(&self, repository: &str, tag: &str) {
        let layer = |kind: &str, bytes: &[u8]| {
            self.registry.push_blob(bytes).json(&format!("application/vnd.ollama.image.{kind}"))
        };
        let layers = [layer("model", &self.model), layer("template", b"{{ .Prompt }}"), layer("params", b"{}")];
        let config = self.registry.push_blob(CONFIG).json("application/vnd.docker.container.image.v1+json");
        let kind = "application/vnd.docker.distribution.manifest.v2+json";
        let layers = layers.join(",");
        let json = format!(r#"{{"schemaVersion":2,"mediaType":"{kind}","config":{config},"layers":[{layers}]}}"#);
        self.registry.push_manifest(repository, tag, json);
    }

    fn artishim(&self, line: &[&str]) -> Outcome {
        let mut command = self.home.command(line);
        let child = command.env("CONTAINERS_REGISTRIES_CONF", self.home.path("registries.conf")).spawn().unwrap();
        outcome(child.wait_with_output().unwrap())
    }

    #[track_caller]
    fn assert_pulled(&self, reference: &str) {
        self.artishim(&["pull", "--quiet", reference]).success();
        let entry = self.artishim(&["path", reference]).success();
        assert!(fs::read(entry.trim_end()).unwrap() == self.model, "{entry}");
        let asked = self.registry.requests();
        assert!(asked.iter().all(|request| request.path != "/v2/"), "{asked:?}");
        let elsewhere = asked.iter().filter(|request| request.redirected);
        assert!(elsewhere.clone().count() > 3 && elsewhere.clone().all(|request| request.authorization.is_none()));
        let again = self.model.len() as u64 + (1 << 20);
        assert!(self.registry.sent("/blobs/") <= again, "{} bytes sent", self.registry.sent("/blobs/"));
    }

    fn refuse(&self, status: u16, headers: Vec<(&'static str, String)>, body: &str) {
        self.registry.clear_faults();
        let body = body.to_owned();
        self.registry.fault(Fault::always("/manifests/", What::Status { status, headers, body }));
    }
}

#[test]
fn ollamas_registry() {
    let hub = Hub::new("registry.ollama.ai");
    hub.push("library/tinyllama", "1B-Q4_0");
    hub.assert_pulled("ollama://tinyllama:1B-Q4_0");
    hub.push("Me/Mine", "latest");
    hub.artishim(&["pull", "--quiet", "registry.ollama.ai/Me/Mine"]).success();
    // Asked again without HEAD.
    hub.registry.clear_requests();
    hub.artishim(&["pull", "--quiet", "--pull", "always", "registry.ollama.ai/Me/Mine"]).success();
    assert_eq!(hub.registry.sent("/cdn/"), 0);
}

#[test]
fn hugging_face() {
    let hub = Hub::new("hf.co");
    hub.push("Unsloth/Gemma-GGUF", "Q4_K_M");
    hub.assert_pulled("hf://Unsloth/Gemma-GGUF:Q4_K_M");
    let named = hub.artishim(&["ls", "--format", "{{.Repository}}:{{.Tag}}"]).success();
    assert_eq!(named.trim(), "hf.co/Unsloth/Gemma-GGUF:Q4_K_M");
}

/// ollama issue 5245 and pull request 17743, hub-docs issues 1451 and 2702.
#[test]
fn hugging_faces_refusals_say_what_to_do_instead() {
    let hub = Hub::new("hf.co");
    let files = "fetch the files with `hf download` and keep them with `artishim add`";
    let cases = [
        ("The specified repository contains sharded GGUF. Ollama does not support this yet.", "one file by its tag"),
        ("The specified tag is a sharded GGUF. Please use another tag or \\\"latest\\\".", "one file by its tag"),
        ("This repository only contains sharded GGUF files.", "one file by its tag"),
        ("Repository is not GGUF or is not compatible with llama.cpp", "name a repository that has GGUF files"),
    ];
    for (message, instead) in cases {
        hub.refuse(400, Vec::new(), &format!(r#"{{"error":"{message}"}}"#));
        let error = hub.artishim(&["pull", "hf.co/ubergarm/Kimi-K2-Thinking-GGUF:Q2_K"]).failure();
        let said = message.replace('\\', "");
        for words in ["400", &said, instead, files] {
            assert!(error.contains(words), "{error:?} does not say {words:?}");
        }
    }
}

/// A challenge that names no token server asks for what only its own clients have.
#[test]
fn private_repository_of_hugging_face() {
    let hub = Hub::new("hf.co");
    let challenge = String::from(r#"Bearer realm="Authentication required", charset="UTF-8""#);
    hub.refuse(401, vec![("WWW-Authenticate", challenge)], r#"{"error":"Invalid username or password."}"#);
    let error = hub.artishim(&["pull", "hf.co/me/Private-GGUF"]).failure();
    for words in ["refuses access to me/Private-GGUF", "Invalid username or password", "login"] {
        assert!(error.contains(words), "{error:?} does not say {words:?}");
    }
}
