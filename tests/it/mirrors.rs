//! Pulls as containers-registries.conf(5) says: mirrors, other places, registries that are blocked.

use std::fs;
use std::time::Duration;

use crate::common::registry::{Auth, Fault, Registry, What};
use crate::common::{Home, Outcome, bytes, modelpack, outcome};

/// A registry with a model, a mirror of it, and a home whose registries.conf tells of both.
struct Mirrored {
    home: Home,
    registry: Registry,
    mirror: Registry,
    model: Vec<u8>,
    reference: String,
}

impl Mirrored {
    fn new(length: usize) -> Self {
        let (home, registry, mirror, model) = (Home::new(), Registry::start(), Registry::start(), bytes(5, length));
        modelpack(&mirror, "m", &[("m.gguf", &model)]);
        let reference = modelpack(&registry, "m", &[("m.gguf", &model)]);
        let mirrored = Self { home, registry, mirror, model, reference };
        mirrored.configure(&format!(
            "[[registry]]\nlocation = \"{}\"\n[[registry.mirror]]\nlocation = \"{}\"\n",
            mirrored.registry.host(),
            mirrored.mirror.host()
        ));
        mirrored
    }

    /// Has `first` asked before the other mirror.
    fn put_first(&self, first: &Registry) {
        let mirror = |registry: &Registry| format!("[[registry.mirror]]\nlocation = \"{}\"\n", registry.host());
        let both = mirror(first) + &mirror(&self.mirror);
        self.configure(&format!("[[registry]]\nlocation = \"{}\"\n{both}", self.registry.host()));
    }

    fn configure(&self, text: &str) {
        fs::write(self.home.path("registries.conf"), text).unwrap();
    }

    fn artishim(&self, line: &[&str]) -> Outcome {
        let mut command = self.home.command(line);
        let child = command.env("CONTAINERS_REGISTRIES_CONF", self.home.path("registries.conf")).spawn().unwrap();
        outcome(child.wait_with_output().unwrap())
    }

    #[track_caller]
    fn assert_pulled(&self) {
        self.artishim(&["pull", "--quiet", &self.reference]).success();
        let target = self.home.path("out");
        self.artishim(&["extract", &self.reference, target.to_str().unwrap()]).success();
        assert!(fs::read(target).unwrap() == self.model);
    }
}

#[test]
fn mirror_serves_what_it_has() {
    let mirrored = Mirrored::new(3 << 20);
    mirrored.assert_pulled();
    assert!(mirrored.registry.requests().is_empty(), "{:?}", mirrored.registry.requests());
    assert_eq!(mirrored.artishim(&["ls", "--format", "{{.Repository}}:{{.Tag}}"]).success().trim(), mirrored.reference);
}

#[test]
fn mirror_that_is_down_is_asked_once() {
    let mirrored = Mirrored::new(3 << 20);
    mirrored.mirror.fault(Fault::always("/", What::Down(Duration::from_secs(600))));
    mirrored.assert_pulled();
    assert!(mirrored.mirror.requests().len() <= 2, "{:?}", mirrored.mirror.requests());
}

#[test]
fn mirror_that_was_wiped_is_passed_over() {
    let mirrored = Mirrored::new(3 << 20);
    mirrored.mirror.fault(Fault::always("/blobs/", What::status(404)));
    mirrored.assert_pulled();
}

#[test]
fn mirror_that_breaks_off_is_left_in_the_middle_of_a_blob() {
    let mirrored = Mirrored::new(40 << 20);
    mirrored.mirror.fault(Fault::always("/blobs/", What::CutAfter(200 << 10)));
    mirrored.assert_pulled();
    let (first, rest) = (mirrored.mirror.sent("/blobs/"), mirrored.registry.sent("/blobs/"));
    assert!(first > 0 && rest > 0 && rest < 40 << 20, "{first} {rest}");
}

#[test]
fn slow_mirror_is_left_for_a_faster_place() {
    let mirrored = Mirrored::new(20 << 20);
    mirrored.mirror.fault(Fault::always("/blobs/", What::Slow(20_000)));
    mirrored.assert_pulled();
    let (slow, fast) = (mirrored.mirror.sent("/blobs/"), mirrored.registry.sent("/blobs/"));
    assert!(slow > 0 && slow < 5 << 20 && fast < 22 << 20, "{slow} {fast}");
}

#[test]
fn mirror_that_is_as_slow_as_everything_is_kept() {
    let mirrored = Mirrored::new(700_000);
    for registry in [&mirrored.mirror, &mirrored.registry] {
        registry.fault(Fault::always("/blobs/", What::Slow(60_000)));
    }
    mirrored.artishim(&["--connections", "1", "pull", "--quiet", &mirrored.reference]).success();
    let (slow, sample) = (mirrored.mirror.sent("/blobs/"), mirrored.registry.sent("/blobs/"));
    assert!(slow >= 700_000 && sample > 0, "{slow} {sample}");
}

#[test]
fn wrong_bytes_of_a_mirror_are_fetched_elsewhere() {
    let mirrored = Mirrored::new(3 << 20);
    mirrored.mirror.fault(Fault::always("/blobs/", What::WrongByte(1 << 20)));
    mirrored.assert_pulled();
}

#[test]
fn mirror_that_is_down_is_asked_once_also_behind_one_that_only_lacks_the_blobs() {
    let (mirrored, empty) = (Mirrored::new(100), Registry::start());
    let files: Vec<(String, Vec<u8>)> = (0..12).map(|at| (format!("{at}.gguf"), bytes(at, 1000))).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    for registry in [&mirrored.registry, &mirrored.mirror, &empty] {
        modelpack(registry, "m", &files);
    }
    empty.fault(Fault::always("/blobs/", What::status(404)));
    mirrored.mirror.fault(Fault::always("/blobs/", What::Close));
    mirrored.put_first(&empty);
    mirrored.artishim(&["--connections", "1", "pull", "--quiet", &mirrored.reference]).success();
    let asked = |registry: &Registry| registry.requests().len();
    assert!(asked(&mirrored.mirror) <= 2 && asked(&empty) > 12, "{} {}", asked(&mirrored.mirror), asked(&empty));
}

#[test]
fn connections_that_fail_together_leave_one_mirror_and_not_the_next() {
    let (mirrored, bad) = (Mirrored::new(80 << 20), Registry::start());
    modelpack(&bad, "m", &[("m.gguf", &mirrored.model)]);
    bad.fault(Fault::always("/blobs/", What::CutAfter(1 << 20)));
    mirrored.put_first(&bad);
    mirrored.assert_pulled();
    assert!(mirrored.registry.requests().is_empty(), "{:?}", mirrored.registry.requests());
    assert!(mirrored.mirror.sent("/blobs/") > 0);
}

#[test]
fn mirror_that_serves_no_ranges_is_kept() {
    let mirrored = Mirrored::new(40 << 20);
    mirrored.mirror.fault(Fault::always("/blobs/", What::IgnoreRange));
    mirrored.assert_pulled();
    assert!(mirrored.registry.requests().is_empty(), "{:?}", mirrored.registry.requests());
}

#[test]
fn mirror_that_fails_by_accident_is_kept() {
    let mirrored = Mirrored::new(40 << 20);
    mirrored.mirror.fault(Fault::once("/manifests/", What::Close));
    mirrored.mirror.fault(Fault::once("/blobs/", What::CutAfter(1 << 20)));
    mirrored.assert_pulled();
    assert!(mirrored.registry.requests().is_empty(), "{:?}", mirrored.registry.requests());
}

#[test]
fn manifests_of_no_use_are_fetched_elsewhere() {
    let html = What::Status { status: 200, headers: Vec::new(), body: String::from("<html>Log in</html>") };
    let json = What::Status { status: 200, headers: Vec::new(), body: String::from(r#"{"errors": []}"#) };
    for fault in [What::CutAfter(50), html, json, What::status(500), What::status(304), What::Gzip] {
        let mirrored = Mirrored::new(100);
        mirrored.mirror.fault(Fault::always("/manifests/", fault.clone()));
        mirrored.assert_pulled();
        assert!(!mirrored.registry.requests().is_empty(), "{fault:?}");
    }
}

#[test]
fn blobs_of_no_use_are_fetched_elsewhere() {
    let html = What::Status { status: 200, headers: Vec::new(), body: String::from("<html>Log in</html>") };
    for fault in [html, What::status(304), What::Gzip] {
        let mirrored = Mirrored::new(9 << 20);
        mirrored.mirror.fault(Fault::always("/blobs/", fault.clone()));
        mirrored.assert_pulled();
        assert!(!mirrored.registry.requests().is_empty(), "{fault:?}");
    }
}

#[test]
fn short_copy_of_a_mirror_is_fetched_elsewhere() {
    let mirrored = Mirrored::new(9 << 20);
    let manifest: serde_json::Value = serde_json::from_slice(&mirrored.registry.manifest("m", "1")).unwrap();
    let digest = manifest["layers"][0]["digest"].as_str().unwrap();
    mirrored.mirror.push_blob_as(digest, &mirrored.model[..4 << 20]);
    mirrored.assert_pulled();
}

#[test]
fn slow_mirror_is_left_for_all_blobs_at_once() {
    let mirrored = Mirrored::new(100);
    let models = [bytes(1, 3 << 20), bytes(2, 3 << 20)];
    for registry in [&mirrored.registry, &mirrored.mirror] {
        modelpack(registry, "m", &[("a.gguf", &models[0]), ("b.gguf", &models[1])]);
    }
    mirrored.mirror.fault(Fault::always("/blobs/", What::Slow(2000)));
    let began = std::time::Instant::now();
    mirrored.artishim(&["pull", "--quiet", &mirrored.reference]).success();
    assert!(began.elapsed() < Duration::from_secs(60) && mirrored.mirror.sent("/blobs/") < 1 << 20);
}

#[test]
fn slow_mirror_is_left_also_behind_one_that_lacks_the_blobs() {
    let (mirrored, empty) = (Mirrored::new(9 << 20), Registry::start());
    modelpack(&empty, "m", &[("m.gguf", &mirrored.model)]);
    empty.fault(Fault::always("/blobs/", What::status(404)));
    mirrored.mirror.fault(Fault::always("/blobs/", What::Slow(20_000)));
    mirrored.put_first(&empty);
    mirrored.assert_pulled();
    assert!(mirrored.mirror.sent("/blobs/") < 3 << 20 && mirrored.registry.sent("/blobs/") > 5 << 20);
}

#[test]
fn wrong_config_of_a_mirror_is_fetched_elsewhere() {
    let mirrored = Mirrored::new(100);
    let manifest = mirrored.registry.manifest("m", "1");
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let (digest, size) = (manifest["config"]["digest"].as_str().unwrap(), manifest["config"]["size"].as_u64().unwrap());
    mirrored.mirror.push_blob_as(digest, vec![b' '; usize::try_from(size).unwrap()]);
    mirrored.assert_pulled();
}

#[test]
fn other_manifest_under_a_pinned_name_is_fetched_elsewhere() {
    let mirrored = Mirrored::new(100);
    mirrored.artishim(&["pull", "--quiet", &mirrored.reference]).success();
    let digest = mirrored.artishim(&["inspect", "--format", "{{.Digest}}", &mirrored.reference]).success();
    let pinned = format!("{}@{}", mirrored.reference.rsplit_once(':').unwrap().0, digest.trim());
    mirrored.artishim(&["rm", "--all"]).success();
    mirrored.mirror.push_manifest("m", digest.trim(), r#"{"schemaVersion": 2, "layers": []}"#);
    mirrored.artishim(&["pull", "--quiet", &pinned]).success();
    assert_eq!(mirrored.artishim(&["inspect", "--format", "{{.Digest}}", &pinned]).success(), digest);
}

#[test]
fn nothing_is_sent_to_a_mirror() {
    let mirrored = Mirrored::new(100);
    mirrored.assert_pulled();
    mirrored.mirror.clear_requests();
    let other = format!("{}/other:1", mirrored.registry.host());
    mirrored.artishim(&["push", "--quiet", &mirrored.reference, &other]).success();
    assert!(mirrored.mirror.requests().is_empty());
}

#[test]
fn names_lead_where_the_file_says() {
    let mirrored = Mirrored::new(100);
    let host = mirrored.registry.host();
    mirrored.configure(&format!("[[registry]]\nprefix = \"models.example.com/acme\"\nlocation = \"{host}\"\n"));
    mirrored.artishim(&["pull", "--quiet", "models.example.com/acme/m:1"]).success();
    assert_eq!(mirrored.artishim(&["ls", "--format", "{{.Repository}}"]).success(), "models.example.com/acme/m\n");
}

#[test]
fn blocked_registries_and_wrong_files_stop_a_pull_in_one_line() {
    let mirrored = Mirrored::new(100);
    mirrored.configure(&format!("[[registry]]\nlocation = \"{}\"\nblocked = true\n", mirrored.registry.host()));
    let said = mirrored.artishim(&["pull", &mirrored.reference]).failure();
    assert!(said.contains("is blocked in") && said.contains("registries.conf"), "{said}");
    assert!(mirrored.registry.requests().is_empty());
    mirrored.configure("[[registry]\n");
    let said = mirrored.artishim(&["pull", &mirrored.reference]).failure();
    assert!(said.contains("registries.conf"), "{said}");
    let doctor = mirrored.artishim(&["doctor"]);
    assert!(doctor.status == 125 && doctor.stdout.contains("problem  registries"), "{doctor:?}");
}

#[test]
fn password_that_was_typed_for_a_registry_is_not_its_mirrors() {
    let mirrored = Mirrored::new(100);
    for registry in [&mirrored.registry, &mirrored.mirror] {
        registry.require(Auth::Basic { user: "me", password: "secret" });
    }
    mirrored.artishim(&["--creds", "me:secret", "pull", "--quiet", &mirrored.reference]).success();
    let asked = mirrored.mirror.requests();
    assert!(!asked.is_empty() && asked.iter().all(|request| request.authorization.is_none()), "{asked:?}");
}

#[test]
fn registries_at_ipv6_addresses_are_named_like_others() {
    let Some(registry) = Registry::start_at_ipv6() else {
        println!("skipped: this machine has no IPv6 loopback");
        return;
    };
    let (home, model) = (Home::new(), bytes(7, 100_000));
    let reference = modelpack(&registry, "acme/m", &[("m.gguf", &model)]);
    assert!(reference.starts_with("[::1]:"), "{reference}");
    registry.require(Auth::Basic { user: "me", password: "secret" });
    fs::create_dir_all(home.path("config/containers")).unwrap();
    let auth = format!(r#"{{"auths": {{"{}": {{"auth": "bWU6c2VjcmV0"}}}}}}"#, registry.host());
    fs::write(home.path("config/containers/auth.json"), auth).unwrap();
    home.artishim(&["pull", "--quiet", &reference]).success();
    let target = home.path("out");
    home.artishim(&["extract", &reference, target.to_str().unwrap()]).success();
    assert!(fs::read(target).unwrap() == model);
    fs::create_dir_all(home.path(".config/containers")).unwrap();
    let conf =
        format!("[[registry]]\nprefix = \"{0}/acme\"\nlocation = \"{0}/acme\"\nblocked = true\n", registry.host());
    fs::write(home.path(".config/containers/registries.conf"), conf).unwrap();
    assert!(home.artishim(&["pull", &reference]).failure().contains("/acme is blocked in"));
}

/// A home that has no engine and a rootless Docker's files.
fn with_docker(file: &str, text: &str) -> Home {
    let home = Home::new();
    let path = home.path("config/docker").join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    home
}

fn by_docker(home: &Home, line: &[&str]) -> Outcome {
    let socket = format!("unix://{}", home.path("run/docker.sock").display());
    let mut command = home.command(line);
    outcome(command.env("DOCKER_HOST", socket).args(["--retry", "0"]).spawn().unwrap().wait_with_output().unwrap())
}

#[test]
fn dockers_mirrors_of_docker_hub_are_asked() {
    let mirror = Registry::start();
    modelpack(&mirror, "acme/m", &[("m.gguf", b"model")]);
    let home = with_docker("daemon.json", &format!(r#"{{"registry-mirrors": ["http://{}"]}}"#, mirror.host()));
    by_docker(&home, &["pull", "--quiet", "acme/m:1"]).success();
    let listed = home.artishim(&["ls", "--noheading", "--format", "{{.Repository}}"]).success();
    assert_eq!(listed, "docker.io/acme/m\n");
    let doctor = by_docker(&home, &["doctor"]).success();
    assert!(doctor.contains("by Docker: mirrors: 1"), "{doctor}");
}

#[test]
fn hosts_toml_of_docker_leads_elsewhere_and_podman_does_not_care() {
    let mirror = Registry::start();
    modelpack(&mirror, "acme/m", &[("m.gguf", b"model")]);
    let text = format!("[host.\"http://{}\"]\n", mirror.host());
    let home = with_docker("certs.d/models.example/hosts.toml", &text);
    by_docker(&home, &["pull", "--quiet", "models.example/acme/m:1"]).success();
    by_docker(&home, &["rm", "--all"]).success();
    mirror.clear_requests();
    by_docker(&home, &["--engine", "podman", "inspect", "--model", "models.example/acme/m:1"]).failure();
    assert!(mirror.requests().is_empty());
}
