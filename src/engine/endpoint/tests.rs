use super::*;

/// The directory docker names after the context `far`: `printf far | sha256sum`.
fn add_context(config_dir: &Path, name: &str, json: &str) -> PathBuf {
    let hex = Digest::sha256(name.as_bytes()).hex().to_owned();
    let meta = config_dir.join("contexts/meta").join(&hex);
    fs::create_dir_all(&meta).expect("temporary directory");
    fs::write(meta.join("meta.json"), json).expect("temporary directory");
    config_dir.join("contexts/tls").join(hex).join("docker")
}

fn meta(name: &str, host: &str) -> String {
    format!(r#"{{"Name":"{name}","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"{host}","SkipTLSVerify":false}}}}}}"#)
}

#[test]
fn the_order_is_dockers() {
    let home = tempfile::tempdir().expect("temporary directory");
    for name in ["flag", "variable", "current"] {
        add_context(home.path(), name, &meta(name, &format!("unix:///{name}-context.sock")));
    }
    fs::write(home.path().join("config.json"), r#"{"auths":{},"currentContext":"current"}"#).expect("written");
    let text = |value: &str| (!value.is_empty()).then(|| value.to_owned());
    // --context, -H, DOCKER_HOST, DOCKER_CONTEXT
    let cases = [
        (["flag", "unix:///h", "unix:///v", "variable"], "unix:///flag-context.sock"),
        (["", "unix:///h", "unix:///v", "variable"], "unix:///h"),
        (["", "", "unix:///v", "variable"], "unix:///v"),
        (["", "", "", "variable"], "unix:///variable-context.sock"),
        (["", "", "", ""], "unix:///current-context.sock"),
        (["default", "", "unix:///v", "variable"], "unix:///v"),
        (["default", "", "", "variable"], DEFAULT_SOCKET),
        (["", "", "", "default"], DEFAULT_SOCKET),
    ];
    for ([context, host, docker_host, docker_context], expected) in cases {
        let flags = DockerEndpointFlags { context: text(context), host: text(host), others: Vec::new() };
        let environment = Environment {
            docker_host: text(docker_host),
            docker_context: text(docker_context),
            docker_config_dir: home.path().to_owned(),
            ..Environment::default()
        };
        let endpoint = resolve(&flags, &environment).expect("resolves");
        assert_eq!(endpoint.host, expected, "{context:?} {host:?} {docker_host:?} {docker_context:?}");
        assert_eq!(endpoint.is_default, expected == DEFAULT_SOCKET);
    }
}

#[test]
fn without_settings_it_is_the_default_socket() {
    let environment = Environment { docker_config_dir: "/nonexistent".into(), ..Environment::default() };
    let endpoint = resolve(&DockerEndpointFlags::default(), &environment).expect("resolves");
    assert_eq!(endpoint, Endpoint { host: DEFAULT_SOCKET.to_owned(), tls: None, is_default: true });
}

#[test]
fn a_missing_context_is_named() {
    let flags = DockerEndpointFlags { context: Some("far".to_owned()), ..DockerEndpointFlags::default() };
    let error = resolve(&flags, &Environment::default()).expect_err("there is none");
    assert_eq!(error.to_string(), "docker context \"far\" does not exist");
}

#[test]
fn a_context_brings_its_certificates() {
    let home = tempfile::tempdir().expect("temporary directory");
    let tls = add_context(home.path(), "far", &meta("far", "tcp://10.0.0.1"));
    fs::create_dir_all(&tls).expect("temporary directory");
    let flags = DockerEndpointFlags { context: Some("far".to_owned()), ..DockerEndpointFlags::default() };
    let environment = Environment { docker_config_dir: home.path().to_owned(), ..Environment::default() };
    let endpoint = resolve(&flags, &environment).expect("resolves");
    assert_eq!(endpoint.host, "tcp://10.0.0.1:2376");
    assert_eq!(endpoint.tls, Some(Tls::in_directory(&tls)));
}

#[test]
fn the_environment_asks_for_tls() {
    let environment =
        Environment { docker_tls_verify: true, docker_cert_path: Some("/certs".into()), ..Environment::default() };
    let endpoint = Endpoint::new("tcp://far:2376", &environment);
    assert_eq!(endpoint.tls.expect("uses TLS").authority, Path::new("/certs/ca.pem"));
    assert_eq!(Endpoint::new("unix:///x", &environment).tls, None);
}

#[test]
fn hosts_are_written_as_docker_lets_them() {
    let cases = [
        ("unix://", "unix:///var/run/docker.sock"),
        ("/run/x.sock", "unix:///run/x.sock"),
        ("far:2375", "tcp://far:2375"),
        ("tcp://far", "tcp://far:2375"),
        ("tcp://[::1]:99/", "tcp://[::1]:99/"),
        ("ssh://me@far", "ssh://me@far"),
    ];
    for (typed, expected) in cases {
        assert_eq!(Endpoint::new(typed, &Environment::default()).host, expected, "{typed}");
    }
}

#[test]
fn an_inspected_context_is_understood() {
    let json = r#"{"Name":"default","Metadata":{},"Endpoints":{"docker":{"Host":"unix:///run/wrapped.sock",
        "SkipTLSVerify":false}},"TLSMaterial":{},"Storage":{"MetadataPath":"<IN MEMORY>","TLSPath":"<IN MEMORY>"}}"#;
    let endpoint = parse_inspected(json.as_bytes()).expect("is a context");
    assert_eq!(endpoint, Endpoint { host: "unix:///run/wrapped.sock".to_owned(), tls: None, is_default: false });
}

#[test]
fn rootless_sockets_are_below_the_runtime_directory() {
    let environment = Environment { xdg_runtime_dir: Some("/run/user/7".into()), ..Environment::default() };
    let docker = environment.rootless_docker().map(|endpoint| endpoint.host);
    assert_eq!(docker.as_deref(), Some("unix:///run/user/7/docker.sock"));
    let podman: Vec<_> = environment.podman_sockets().into_iter().map(|endpoint| endpoint.host).collect();
    assert_eq!(podman, ["unix:///run/user/7/podman/podman.sock", "unix:///run/podman/podman.sock"]);
}

#[test]
fn flags_reach_the_command_line_in_its_own_words() {
    let flags = DockerEndpointFlags {
        host: Some("unix:///x".to_owned()),
        others: vec!["--log-level=debug".to_owned()],
        ..DockerEndpointFlags::default()
    };
    assert_eq!(flags.arguments(), ["-H", "unix:///x", "--log-level=debug"]);
    assert_eq!(flags.podman_arguments(), ["--url", "unix:///x", "--log-level=debug"]);
}
