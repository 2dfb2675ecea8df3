//! Our link in podman's place where there is only Docker: podman's words.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::artifacts;
use crate::doors::Links;
use crate::scenarios::mount;
use crate::testbed::{Engine, IMAGE, registry, use_daemons};

const MODEL: &[u8] = b"GGUF a tiny model\n";

/// The calls of docker.md's list that RamaLama makes between a pull and a container's end, as it makes them.
fn podmans_words_are_done_with_docker(engine: &Engine) {
    let _running = use_daemons();
    let links = Links::new(engine);
    let podman = |words: &[&str]| links.as_podman(engine, "podman", words);
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
    let file = engine.store.path().join("made.gguf");
    std::fs::write(&file, MODEL).unwrap();
    let (made, file) = (format!("{}/{}:1", registry(), artifacts::repository("shim")), file.display().to_string());
    let filepath = "--annotation=org.cncf.model.filepath=made.gguf";
    let added = podman(&["artifact", "add", filepath, "--replace", "--type", "application/x", &made, &file]).success();
    podman(&["artifact", "push", "--tls-verify=false", &made]).success();
    assert_eq!(podman(&["artifact", "rm", "--ignore", &made]).success(), added);
    podman(&["artifact", "pull", "--quiet", "--tls-verify=false", &made]).success();
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
    let host = ["run", "--name", &name, "--label", "ai.ramalama", IMAGE, "sh", "-c", "exit 3"];
    assert_eq!((podman(&host).status, podman(&host).status), (3, 125));
    assert_eq!(podman(&[&["run", "--replace"], &host[1..]].concat()).status, 3);
    assert_eq!(podman(&["inspect", "--format", "{{ .Pod }}", &name]).success(), "\n");
    let state = podman(&["inspect", "--format", "{{.State.Status}}\n{{.State.ExitCode}}", &name]).success();
    assert_eq!(state, "exited\n3\n");
    let listed = podman(&["ps", "-a", "--filter", "label=ai.ramalama", "--noheading", "--no-trunc"]).success();
    assert!(listed.lines().any(|line| line.contains(&name)) && !listed.contains("CONTAINER ID"), "{listed}");
    assert_eq!(podman(&["logs", &name]).success(), "");
    podman(&["rm", "-f", "-t", "0", &name]).success();
    let network = format!("{name}-network");
    podman(&["network", "create", &network]).success();
    podman(&["network", "rm", "-f", &network]).success();
    podman(&["network", "rm", "-f", &network]).success();
    let info: Value = serde_json::from_str(&podman(&["info", "--format", "json"]).success()).unwrap();
    assert!(info["ServerVersion"].is_string(), "{info}");
    assert_eq!(podman(&["rmi", "localhost/not/here:1"]).status, 1);
    assert_eq!(podman(&["images", "--filter", "manifest=true"]).success(), "");
    let images = podman(&["images", "--format", "{{ .Repository }} {{ .VirtualSize }}"]).success();
    let base = images.lines().find(|line| line.starts_with("localhost/artishim-test/base")).unwrap();
    assert!(base.rsplit(' ').next().unwrap().parse::<u64>().is_ok_and(|size| size > 0), "{base}");
    let refused = podman(&["run", "--uidmap", "0:1:1", IMAGE, "true"]);
    assert!(refused.status == 125 && refused.stderr.contains("--uidmap"), "{refused:?}");
    podman(&["artifact", "rm", &reference]).success();
    assert_ne!(podman(&["artifact", "inspect", &reference]).status, 0);
}

/// Every flag of podman's own help is docker's too, put into docker's words, or refused by its name.
fn no_flag_of_podmans_run_is_passed_over(engine: &Engine) {
    let _running = use_daemons();
    let links = Links::new(engine);
    let flags = |help: &str| -> BTreeSet<String> {
        let words = help.lines().filter_map(|line| line.trim_start().strip_prefix('-').map(|_| line));
        let first = words.filter_map(|line| line.split_whitespace().find(|word| word.starts_with("--")));
        first.map(|flag| flag.trim_end_matches(',').to_owned()).collect()
    };
    let dockers = flags(&engine.own(&["run", "--help"]).success());
    let podmans = flags(&Engine::named("podman5").own(&["run", "--help"]).success());
    assert!(podmans.len() > 100 && podmans.contains("--uidmap"), "{podmans:?}");
    for flag in podmans.difference(&dockers) {
        // In the one case no docker is asked, in the other the image's name is what docker minds.
        let told = links.as_podman(engine, "podman", &["run", "--name=a", &format!("{flag}=1"), "No-Image"]);
        let lines: Vec<&str> = told.stderr.lines().collect();
        let is_refused = lines.len() == 1 && lines[0].contains(&format!("podman run {flag}"));
        let is_translated = matches!(flag.as_str(), "--replace" | "--tls-verify") && told.stderr.contains("lowercase");
        assert!(told.status == 125 && (is_refused || is_translated), "{flag}: {told:?}");
    }
}

on_engines! {
    podmans_words_on_docker20: podmans_words_are_done_with_docker("docker20"),
    podmans_words_on_docker28: podmans_words_are_done_with_docker("docker28"),
    podmans_words_on_docker28_far_away: podmans_words_are_done_with_docker("docker28-remote"),
    podmans_flags_on_docker28: no_flag_of_podmans_run_is_passed_over("docker28"),
}
