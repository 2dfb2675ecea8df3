//! Our link in podman's place where there is only Docker: podman's words, and RamaLama as it is on PyPI.

use serde_json::Value;

use crate::artifacts;
use crate::doors::Links;
use crate::scenarios::mount;
use crate::testbed::{Engine, IMAGE, registry, use_daemons};

const MODEL: &[u8] = b"GGUF a tiny model\n";
const RAMALAMA: &str = "/run/artishim-testbed/tools/ramalama";

/// The calls of docker.md's list that RamaLama makes between a pull and a container's end, as it makes them.
fn podmans_words_are_done_with_docker(engine: &Engine) {
    let _running = use_daemons();
    let links = Links::new(engine);
    let podman = |words: &[&str]| links.without_podman(engine, "podman", words);
    let reference = artifacts::titled(&registry(), &[("tiny.gguf", MODEL)]);
    assert_eq!(podman(&["version", "--format", "{{ .Client.Version }}"]).success(), "5.8.0\n");
    assert_ne!(podman(&["artifact", "inspect", &reference]).status, 0);
    podman(&["artifact", "pull", "--quiet", "--tls-verify=false", &reference]).success();
    let manifest = podman(&["artifact", "inspect", "--format", "{{json .Manifest}}", &reference]).success();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["layers"][0]["annotations"]["org.cncf.model.filepath"], "tiny.gguf");
    let listed = podman(&["artifact", "ls", "--format", "{{ .Repository }}:{{ .Tag }} {{ .Digest }}"]).success();
    let (name, digest) = listed.trim_end().split_once(' ').unwrap();
    assert_eq!(name, reference);
    podman(&["artifact", "inspect", digest]).success();
    let name = format!("shim-{}-{}", engine.name, std::process::id());
    let value = mount(&reference, "/mnt/models");
    let line = ["run", "--rm", "--label", "ai.ramalama", "--security-opt=label=disable", "--cap-drop=all", "--pull"];
    let line =
        [&line[..], &["newer", "--name", &name, "--init", "--mount", &value, IMAGE, "cat", "/mnt/models"]].concat();
    assert_eq!(podman(&line).success().as_bytes(), MODEL);
    let plain = podman(&["run", "--rm", "--pull", "newer", "--group-add", "keep-groups", IMAGE, "echo", "plain"]);
    assert_eq!(plain.success(), "plain\n");
    podman(&["stop", "-t=0", "--ignore", "True", &name]).success();
    podman(&["rm", "--ignore", &name]).success();
    assert_eq!(podman(&["images", "--filter", "manifest=true"]).success(), "");
    let images = podman(&["images", "--format", "{{ .Repository }} {{ .VirtualSize }}"]).success();
    let base = images.lines().find(|line| line.starts_with("localhost/artishim-test/base")).unwrap();
    assert!(base.rsplit(' ').next().unwrap().parse::<u64>().is_ok_and(|size| size > 0), "{base}");
    let refused = podman(&["run", "--uidmap", "0:1:1", IMAGE, "true"]);
    assert!(refused.status == 125 && refused.stderr.contains("--uidmap"), "{refused:?}");
    podman(&["artifact", "rm", &reference]).success();
    assert_ne!(podman(&["artifact", "inspect", &reference]).status, 0);
}

fn ramalama_renews_lists_serves_and_removes(engine: &Engine) {
    let _running = use_daemons();
    let links = Links::new(engine);
    let store = engine.store.path().join("ramalama");
    let ramalama = |words: &[&str]| {
        let options = ["--engine", "podman", "--store", store.to_str().unwrap()];
        links.without_podman(engine, RAMALAMA, &[&options, words].concat())
    };
    let image = server_image(engine);
    let shapes = [
        artifacts::modelpack(&registry(), &[("tiny.gguf", MODEL)]),
        artifacts::modelpack(&registry(), &[("tiny.gguf", MODEL), ("mmproj.gguf", b"GGUF p")]),
    ];
    for reference in shapes {
        let name = format!("oci://{reference}");
        // RamaLama asks a registry by HTTPS only whether it has an artifact; what podman has it does not ask for.
        links.without_podman(engine, "podman", &["artifact", "pull", "--quiet", &reference]).success();
        ramalama(&["pull", "--tls-verify=false", &name]).success();
        let listed = ramalama(&["ls", "--noheading"]).success();
        assert!(listed.contains(&name), "{listed}");
        let port = format!("{}", 20_000 + std::process::id() % 10_000);
        let served = ramalama(&["serve", "--image", &image, "--pull", "never", "--port", &port, &name]);
        // Of several files RamaLama takes the first by its own order.
        assert!(served.status == 0 && served.stdout.contains("GGUF"), "{served:?}");
        ramalama(&["rm", &name]).success();
        assert!(!ramalama(&["ls", "--noheading"]).success().contains(&name));
    }
    engine.own(&["rmi", &image]).success();
}

/// An image in which `llama-server` shows the model it is started with, and ends.
fn server_image(engine: &Engine) -> String {
    let script = engine.store.path().join("llama-server");
    let show = "#!/bin/sh\nwhile [ $# -gt 0 ]; do [ \"$1\" != --model ] || exec cat \"$2\"; shift; done\n";
    std::fs::write(&script, show).unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let id = engine.own(&["create", IMAGE, "true"]).success();
    engine.own(&["cp", script.to_str().unwrap(), &format!("{}:/bin/llama-server", id.trim())]).success();
    let image = format!("localhost/artishim-test/{}-server-{}:1", engine.name, std::process::id());
    engine.own(&["commit", id.trim(), &image]).success();
    engine.own(&["rm", id.trim()]).success();
    image
}

macro_rules! shim {
    ($($test:ident: $scenario:ident($engine:literal),)*) => {
        $(#[test]
        #[ignore = "needs the engines of contrib/testbed"]
        fn $test() {
            $scenario(&Engine::named($engine));
        })*
    };
}

shim! {
    podmans_words_on_docker20: podmans_words_are_done_with_docker("docker20"),
    podmans_words_on_docker28: podmans_words_are_done_with_docker("docker28"),
    podmans_words_on_docker28_far_away: podmans_words_are_done_with_docker("docker28-remote"),
    ramalama_on_docker20: ramalama_renews_lists_serves_and_removes("docker20"),
    ramalama_on_docker28: ramalama_renews_lists_serves_and_removes("docker28"),
    ramalama_on_docker28_far_away: ramalama_renews_lists_serves_and_removes("docker28-remote"),
}
