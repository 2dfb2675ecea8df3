//! What Compose reads of us without any engine: the options there are, and why a service does not come up.

use std::fs;

use serde_json::Value;

use crate::common::registry::Registry;
use crate::common::{Home, Outcome, modelpack};

/// What is said to Compose, as types and messages.
fn messages(outcome: &Outcome) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let lines = outcome.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| (text(&line["type"]), text(&line["message"]))).collect()
}

#[test]
fn every_option_that_compose_is_told_of_is_taken() {
    let home = Home::new();
    let metadata: Value = serde_json::from_str(&home.artishim(&["compose", "metadata"]).success()).unwrap();
    let parameters = metadata["up"]["parameters"].as_array().unwrap();
    let names: Vec<&str> = parameters.iter().map(|parameter| parameter["name"].as_str().unwrap()).collect();
    for expected in ["ref", "volume", "directory", "target", "pull", "include", "entry-only", "authfile", "tls-verify"]
    {
        assert!(names.contains(&expected), "{expected} in {names:?}");
    }
    for parameter in parameters {
        let (name, is_boolean) = (parameter["name"].as_str().unwrap(), parameter["type"] == "boolean");
        let value = parameter["enum"].as_str().and_then(|values| values.split(',').next());
        let value = value.unwrap_or(if is_boolean { "true" } else { "1" });
        let option = format!("--{name}={value}");
        let told = home.artishim(&["compose", "--project-name=p", "up", &option, "--wrong=1", "model"]);
        let [(kind, text)] = &messages(&told)[..] else { panic!("{told:?}") };
        assert!(kind == "error" && (text.contains("--wrong") || text.contains("OS/ARCH")), "{option}: {told:?}");
        assert_eq!((told.stderr.as_str(), told.status), ("", 125));
    }
}

#[test]
fn reason_why_a_service_does_not_come_up_is_one_message() {
    let home = Home::new();
    let cases: [(&[&str], &str); 6] = [
        (&["--volume=models"], "the following required arguments were not provided: --ref <REF>"),
        (&["--ref=a/b"], "--volume <NAME>"),
        (&["--ref=a/b", "--volume=v", "--directory=/d"], "'--directory <DIR>'"),
        (&["--ref=a/b", "--volume=v", "--pull=sometimes"], "[possible values: missing, always, newer, never]"),
        (&["--ref=A b", "--volume=v"], "A b"),
        (&["--ref=a/b", "--directory=./models"], "directory ./models is not absolute: write ${PWD}/models"),
    ];
    for (options, expected) in cases {
        let told = home.artishim(&[&["compose", "--project-name=p", "up"], options, &["model"]].concat());
        let [(kind, text)] = &messages(&told)[..] else { panic!("{told:?}") };
        assert!(kind == "error" && text.contains(expected), "{options:?}: {told:?}");
        assert_eq!((told.stderr.as_str(), told.status), ("", 125));
    }
}

#[test]
fn directory_is_filled_once_and_goes_when_the_service_does() {
    let (home, registry) = (Home::new(), Registry::start());
    let reference = modelpack(&registry, "m", &[("q4/tiny.gguf", b"GGUF tiny"), ("readme.md", b"text")]);
    let directory = home.path("project/models");
    let step = |step: &str, options: &[&str]| {
        let place = format!("--directory={}", directory.display());
        home.artishim(&[&["compose", "--project-name=p", step, &place], options, &["model"]].concat())
    };
    let named = format!("--ref={reference}");
    let up = [named.as_str(), "--target=/mnt/", "--include=*.gguf"];
    for is_first in [true, false] {
        registry.clear_requests();
        let told = step("up", &up);
        assert_eq!((told.status, told.stderr.as_str()), (0, ""), "{told:?}");
        let variables: Vec<String> =
            messages(&told).into_iter().filter(|(kind, _)| kind == "setenv").map(|(_, text)| text).collect();
        assert_eq!(variables, ["DIRECTORY=/mnt", "MODEL=/mnt/q4/tiny.gguf"]);
        assert_eq!(fs::read(directory.join("q4/tiny.gguf")).unwrap(), b"GGUF tiny");
        assert!(!directory.join("readme.md").exists());
        assert_eq!(registry.requests().is_empty(), !is_first);
    }
    fs::write(directory.join("mine"), "mine").unwrap();
    step("down", &[]).success();
    assert!(directory.join("q4/tiny.gguf").exists(), "somebody's file is beside it");
    fs::remove_file(directory.join("mine")).unwrap();
    step("down", &[]).success();
    step("down", &[]).success();
    assert!(!directory.exists());
}
