//! `artishim push` and what leads to it, with a registry in this process.

use std::fs;

use crate::common::registry::{Auth, Fault, Registry, What};
use crate::common::{Home, bytes};

/// A model of a few megabytes and its name in the registry.
fn added(home: &Home, registry: &Registry, length: usize) -> (String, Vec<u8>) {
    let (name, model) = (format!("{}/acme/model:1", registry.host()), bytes(7, length));
    fs::write(home.path("model.gguf"), &model).unwrap();
    fs::write(home.path("readme.md"), "read me").unwrap();
    let [model_file, readme] = ["model.gguf", "readme.md"].map(|file| home.path(file).display().to_string());
    home.artishim(&["add", &name, &model_file, &readme]).success();
    (name, model)
}

fn methods(registry: &Registry) -> Vec<String> {
    let requests = registry.requests();
    let method = |path: &str| match path {
        _ if path.contains("/blobs/uploads/") => "upload",
        _ if path.contains("/blobs/") => "blob",
        _ if path.contains("/manifests/") => "manifest",
        _ => "other",
    };
    let mut methods: Vec<_> =
        requests.iter().map(|asked| format!("{} {}", asked.method, method(&asked.path))).collect();
    methods.sort();
    methods
}

/// What another store gets of it.
fn assert_pulled(registry: &Registry, name: &str, model: &[u8]) {
    registry.clear_faults();
    let other = Home::new();
    other.artishim(&["pull", "--quiet", name]).success();
    let target = other.path("out.gguf");
    other.artishim(&["extract", name, target.to_str().unwrap(), "--title", "model.gguf"]).success();
    assert!(fs::read(target).unwrap() == model);
}

/// The same where the registry has all but the model, so that only this is sent.
fn added_beside_the_rest(home: &Home, registry: &Registry, length: usize) -> (String, Vec<u8>) {
    let added = added(home, registry, length);
    let rest = format!("{}/acme/rest:1", registry.host());
    home.artishim(&["add", &rest, home.path("readme.md").to_str().unwrap()]).success();
    home.artishim(&["push", "--quiet", &rest]).success();
    added
}

/// The parts of blobs that were sent behind a beginning which the registry had.
fn continued(registry: &Registry) -> Vec<String> {
    registry.requests().into_iter().filter_map(|request| request.content_range).collect()
}

#[test]
fn what_is_pushed_is_what_was_added() {
    let (home, registry) = (Home::new(), Registry::start());
    let (name, model) = added(&home, &registry, 1 << 20);
    let pushed = home.artishim(&["push", &name]);
    assert_eq!(pushed.stdout, "");
    assert!(pushed.stderr.contains("Sent model.gguf (1.049MB)"), "{pushed:?}");
    assert_pulled(&registry, &name, &model);
}

#[test]
fn what_the_registry_has_is_not_sent_again() {
    let (home, registry) = (Home::new(), Registry::start());
    let (name, _) = added(&home, &registry, 1 << 20);
    home.artishim(&["push", "--quiet", &name]).success();
    registry.clear_requests();
    home.artishim(&["push", "--quiet", &name]).success();
    assert_eq!(methods(&registry), ["HEAD blob", "HEAD blob", "HEAD blob", "PUT manifest"]);
}

#[test]
fn blobs_are_taken_from_another_repository_of_the_registry() {
    let (home, registry) = (Home::new(), Registry::start());
    registry.keep_repositories_apart();
    let (name, model) = added(&home, &registry, 1 << 20);
    home.artishim(&["push", "--quiet", &name]).success();
    let other = format!("{}/another/one:2", registry.host());
    registry.clear_requests();
    home.artishim(&["push", "--quiet", &name, &other]).success();
    assert!(!methods(&registry).iter().any(|method| method.starts_with("PATCH")), "{:?}", methods(&registry));
    assert_pulled(&registry, &other, &model);
}

#[test]
fn push_that_breaks_off_goes_on_where_the_registry_has_it() {
    let (home, registry) = (Home::new(), Registry::start());
    let (name, model) = added_beside_the_rest(&home, &registry, 4 << 20);
    registry.fault(Fault::once("/blobs/uploads/", What::TakeOnly(3 << 20)).after(1));
    home.artishim(&["push", "--quiet", &name]).success();
    assert_eq!(continued(&registry), ["3145728-4194303"]);
    assert_pulled(&registry, &name, &model);
}

#[test]
fn push_that_breaks_off_begins_anew_where_the_registry_has_forgotten_it() {
    let (home, registry) = (Home::new(), Registry::start());
    let (name, model) = added_beside_the_rest(&home, &registry, 4 << 20);
    registry.forget_broken_uploads();
    registry.fault(Fault::once("/blobs/uploads/", What::TakeOnly(3 << 20)).after(1));
    home.artishim(&["push", "--quiet", &name]).success();
    assert_eq!(continued(&registry), Vec::<String>::new());
    assert_pulled(&registry, &name, &model);
}

#[test]
fn registry_that_is_busy_is_asked_again_and_one_that_refuses_is_not() {
    let (home, registry) = (Home::new(), Registry::start());
    let (name, model) = added(&home, &registry, 1 << 20);
    registry.fault(Fault::always("/", What::status(503)).times(3));
    home.artishim(&["push", "--quiet", &name]).success();
    assert_pulled(&registry, &name, &model);
    let refused = Registry::start();
    refused.fault(Fault::always("/blobs/uploads/", What::status(405)));
    let said = home.artishim(&["push", "--quiet", &name, &format!("{}/a:1", refused.host())]).failure();
    assert!(said.contains("405"), "{said}");
    assert_eq!(methods(&refused).iter().filter(|method| *method == "PUT manifest").count(), 0);
}

#[test]
fn tokens_for_a_push_allow_writing_and_may_expire() {
    let (home, registry) = (Home::new(), Registry::start());
    let (name, model) = added(&home, &registry, 1 << 20);
    registry.require(Auth::Bearer { user: Some(("me", "secret")), refresh_token: None, uses: 8 });
    let refused = home.artishim(&["push", "--quiet", &name]).failure();
    assert!(refused.contains("refuses access"), "{refused}");
    registry.clear_requests();
    home.artishim(&["--creds", "me:secret", "push", "--quiet", &name]).success();
    let requests = registry.requests();
    let scope = requests.iter().find(|request| request.path.starts_with("/token")).unwrap();
    assert!(scope.path.contains("pull%2Cpush"), "{}", scope.path);
    registry.require(Auth::Open);
    assert_pulled(&registry, &name, &model);
}

#[test]
fn digest_is_written_to_a_file_and_a_wrong_destination_is_refused() {
    let (home, registry) = (Home::new(), Registry::start());
    let (name, _) = added(&home, &registry, 10);
    let file = home.path("digest");
    home.artishim(&["push", "--quiet", "--digestfile", file.to_str().unwrap(), &name]).success();
    let digest = fs::read_to_string(file).unwrap();
    assert_eq!(home.artishim(&["inspect", "--format", "{{.Digest}}", &name]).success().trim(), digest);
    let pinned = format!("{}/acme/model@{digest}", registry.host());
    home.artishim(&["push", "--quiet", &name, &pinned]).success();
    let wrong = format!("{}/acme/model@sha256:{}", registry.host(), "0".repeat(64));
    assert!(
        home.artishim(&["push", "--quiet", &name, &wrong]).failure().contains("is not the digest of what is pushed")
    );
    assert!(home.artishim(&["push", "nothing"]).failure().contains("nothing: artifact does not exist"));
}

#[test]
fn part_of_an_artifact_is_not_pushed() {
    let (home, registry) = (Home::new(), Registry::start());
    let (name, _) = added(&home, &registry, 10);
    home.artishim(&["push", "--quiet", &name]).success();
    let other = Home::new();
    other.artishim(&["pull", "--quiet", "--include", "*.gguf", &name]).success();
    let said = other.artishim(&["push", "--quiet", &name]).failure();
    assert!(said.contains("blobs are missing in the store") && said.contains("artishim pull"), "{said}");
}

/// A host that takes uploads for the registry, and asks for a password that it must never see.
#[test]
fn credentials_go_to_no_host_that_an_upload_leads_to() {
    let (home, registry, storage) = (Home::new(), Registry::start(), Registry::start());
    let (name, _) = added(&home, &registry, 1 << 20);
    registry.require(Auth::Basic { user: "me", password: "secret" });
    let elsewhere = vec![("Location", format!("http://{}/v2/x/blobs/uploads/1", storage.host()))];
    let leads = What::Status { status: 202, headers: elsewhere.clone(), body: String::new() };
    registry.fault(Fault::always("blobs/uploads/", leads));
    let challenge = vec![("WWW-Authenticate", String::from("Basic realm=\"x\""))];
    let answers = [
        What::Status { status: 202, headers: elsewhere, body: String::new() },
        What::Status { status: 401, headers: challenge, body: String::new() },
    ];
    for answer in answers {
        storage.clear_faults();
        storage.fault(Fault::always("blobs/uploads/", answer));
        home.artishim(&["--retry", "0", "--creds", "me:secret", "push", "--quiet", &name]);
        let asked = storage.requests();
        assert!(!asked.is_empty() && asked.iter().all(|request| request.authorization.is_none()), "{asked:?}");
    }
}

#[test]
fn repository_that_may_not_be_read_is_no_reason_to_fail() {
    let (home, registry) = (Home::new(), Registry::start());
    registry.keep_repositories_apart();
    let (name, model) = added(&home, &registry, 1 << 20);
    home.artishim(&["push", "--quiet", &name]).success();
    registry.fault(Fault::always("mount=", What::status(403)));
    registry.fault(Fault::always("/blobs/sha256", What::status(405)).times(3));
    let other = format!("{}/another/one:2", registry.host());
    home.artishim(&["push", "--quiet", &name, &other]).success();
    assert_pulled(&registry, &other, &model);
}

#[test]
fn upload_whose_end_was_not_heard_is_not_sent_again() {
    let (home, registry) = (Home::new(), Registry::start());
    let (name, model) = added(&home, &registry, 2 << 20);
    // The blob is there, and a gateway says otherwise.
    home.artishim(&["push", "--quiet", &name]).success();
    registry.clear_requests();
    registry.fault(Fault::once("/blobs/sha256", What::status(404)));
    registry.fault(Fault::once("digest=", What::status(504)));
    home.artishim(&["push", "--quiet", &name]).success();
    let sent: usize = registry.requests().iter().map(|request| request.bytes.len()).sum();
    assert!(sent < 3 << 20, "{sent}");
    assert_pulled(&registry, &name, &model);
}

#[test]
fn short_outage_costs_only_what_was_not_sent() {
    let (home, registry) = (Home::new(), Registry::start());
    let (name, model) = added_beside_the_rest(&home, &registry, 4 << 20);
    registry.fault(Fault::once("/blobs/uploads/", What::TakeOnly(3 << 20)).after(1));
    registry.fault(Fault::always("/blobs/uploads/", What::Close).after(2).times(2));
    home.artishim(&["push", "--quiet", &name]).success();
    assert_eq!(continued(&registry), ["3145728-4194303"]);
    assert_pulled(&registry, &name, &model);
}
