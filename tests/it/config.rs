//! What a configuration file says, and what goes before it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::common::registry::Registry;
use crate::common::{Home, Outcome, bytes, modelpack, outcome};

/// artishim with the user's own configuration file.
fn command(home: &Home, config: &str, arguments: &[&str]) -> Command {
    fs::create_dir_all(home.path("config/artishim")).unwrap();
    fs::write(home.path("config/artishim/config.toml"), config).unwrap();
    let mut command = home.command(arguments);
    command.env_remove("ARTISHIM_CONFIG");
    command
}

fn run(command: &mut Command) -> Outcome {
    outcome(command.output().unwrap())
}

#[test]
fn flag_variable_and_file_count_in_this_order() {
    let home = Home::new();
    fs::write(home.path("named.toml"), "engine = '/named/podman'").unwrap();
    let named = home.path("named.toml");
    let user = "engine = '/user/podman'";
    let engines = |flag: &[&str], variables: &[(&str, &str)]| {
        let mut command = command(&home, user, &[flag, &["engines"]].concat());
        run(command.env_remove("ARTISHIM_ENGINE").envs(variables.iter().copied())).failure()
    };
    let (named, variable) = (("ARTISHIM_CONFIG", named.to_str().unwrap()), ("ARTISHIM_ENGINE", "/variable/podman"));
    let flag = ["--engine", "/flag/podman"];
    let cases = [
        (&[][..], &[][..], "/user/podman"),
        (&[], &[named], "/named/podman"),
        (&[], &[named, variable], "/variable/podman"),
        (&flag, &[named, variable], "/flag/podman"),
    ];
    for (flag, variables, expected) in cases {
        let error = engines(flag, variables);
        assert!(error.contains(expected), "{flag:?} {variables:?}: {error}");
    }
}

#[test]
fn a_file_may_name_the_store() {
    let (home, registry) = (Home::new(), Registry::start());
    let reference = modelpack(&registry, "acme/tiny", &[("tiny.gguf", b"GGUF tiny")]);
    let config = format!("store = {:?}", home.path("elsewhere"));
    run(command(&home, &config, &["pull", "-q", &reference]).env_remove("ARTISHIM_STORE")).success();
    assert!(home.path("elsewhere/index.json").exists());
    assert!(!home.store().exists());
}

#[test]
fn connections_of_a_file_are_the_most_there_are() {
    let (home, registry) = (Home::new(), Registry::start());
    let files: Vec<(String, Vec<u8>)> = (0..6).map(|i| (format!("{i}.gguf"), bytes(i, 300_000))).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
    let reference = modelpack(&registry, "acme/many", &files);
    run(&mut command(&home, "connections = 1", &["pull", "-q", &reference])).success();
    assert_eq!(registry.most_at_once(), 1);
}

#[test]
fn the_credential_file_of_a_file_must_exist() {
    let home = Home::new();
    let error = run(&mut command(&home, "authfile = '/nowhere/auth.json'", &["pull", "127.0.0.1:1/a/b:1"])).failure();
    assert!(error.contains("/nowhere/auth.json"), "{error}");
}

#[test]
fn to_accelerate_by_a_file_is_a_wish_and_by_a_flag_an_order() {
    let (home, registry) = (Home::new(), Registry::start());
    let reference = modelpack(&registry, "acme/tiny", &[("tiny.gguf", b"GGUF tiny")]);
    // It has artifacts, but says nothing more of itself.
    let podman = home.path("podman");
    let version = r#"{"Client":{"Version":"5.8.0"}}"#;
    fs::write(&podman, format!("#!/bin/sh\n[ \"$1\" = version ] && echo '{version}'\n")).unwrap();
    fs::set_permissions(&podman, fs::Permissions::from_mode(0o755)).unwrap();
    let pull = |config: &str, flag: &[&str]| {
        let arguments = [flag, &["--engine", podman.to_str().unwrap(), "pull", &reference]].concat();
        run(&mut command(&home, config, &arguments))
    };
    let cases: [(&str, &[&str], bool); 3] =
        [("accelerate = true", &[], true), ("accelerate = true", &["--accelerate=false"], false), ("", &[], false)];
    for (config, flag, is_wished) in cases {
        let pulled = pull(config, flag);
        assert_eq!(pulled.status, 0, "{pulled:?}");
        assert_eq!(pulled.stderr.contains("not accelerated"), is_wished, "{config:?} {flag:?}: {pulled:?}");
    }
    let ordered = pull("accelerate = false", &["--accelerate"]).failure();
    assert!(ordered.contains("cannot accelerate"), "{ordered}");
}

#[test]
fn a_file_that_is_no_good_is_refused_in_one_line() {
    let home = Home::new();
    let file = home.path("config/artishim/config.toml").display().to_string();
    let known = "expected accelerate, authfile, connections, deliver, engine or store";
    let cases = [
        ("# mine\nconections = 8\n", format!("{file}:2: conections: there is no such key, {known}")),
        ("accelerate = 'yes'", format!("{file}:1: accelerate: expected true or false")),
        ("connections = 0", format!("{file}:1: connections: expected a number from 1 to 1000")),
    ];
    for (config, expected) in cases {
        assert_eq!(run(&mut command(&home, config, &["ls"])).failure(), expected);
    }
    let syntax = run(&mut command(&home, "\n\nengine podman", &["ls"])).failure();
    assert!(syntax.starts_with(&format!("{file}:3: ")), "{syntax}");
}

#[test]
fn a_named_file_must_be_there_and_readable() {
    let home = Home::new();
    let absent = home.path("absent.toml").display().to_string();
    let directory = home.path("").display().to_string();
    let create = "No such file or directory (os error 2) (create it, or unset ARTISHIM_CONFIG)";
    let name = "Is a directory (os error 21) (make it readable, or name another one with ARTISHIM_CONFIG)";
    for (path, reason) in [(&absent, create), (&directory, name)] {
        let error = run(home.command(&["ls"]).env("ARTISHIM_CONFIG", path)).failure();
        assert_eq!(error, format!("configuration file {path}: {reason}"));
    }
}
