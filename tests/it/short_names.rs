//! Names without a registry, as containers-registries.conf(5) says.

use std::fs;

use crate::common::registry::Registry;
use crate::common::{Home, Outcome, modelpack, outcome};

/// Two registries, of which the second has `acme/m`, and a home whose registries.conf says what a test needs.
struct Named {
    home: Home,
    first: Registry,
    second: Registry,
    full: String,
}

impl Named {
    fn new(mode: &str) -> Self {
        let (home, first, second) = (Home::new(), Registry::start(), Registry::start());
        let full = modelpack(&second, "acme/m", &[("m.gguf", b"model")]);
        let named = Self { home, first, second, full };
        let search = format!("unqualified-search-registries = ['{}', '{}']\n", named.first.host(), named.second.host());
        named.configure(&format!("{search}short-name-mode = '{mode}'\n"));
        named
    }

    fn configure(&self, text: &str) {
        fs::create_dir_all(self.home.path(".config/containers")).unwrap();
        fs::write(self.home.path(".config/containers/registries.conf"), text).unwrap();
    }

    fn artishim(&self, line: &[&str]) -> Outcome {
        outcome(self.home.command(line).args(["--retry", "0"]).spawn().unwrap().wait_with_output().unwrap())
    }

    fn names(&self) -> String {
        self.artishim(&["ls", "--noheading", "--format", "{{.Repository}}:{{.Tag}}"]).success()
    }
}

#[test]
fn search_registries_are_asked_in_their_order() {
    let named = Named::new("permissive");
    named.artishim(&["pull", "--quiet", "acme/m:1"]).success();
    assert_eq!(named.names(), format!("{}\n", named.full));
    assert!(!named.first.requests().is_empty());
    named.first.clear_requests();
    named.second.clear_requests();
    let path = named.artishim(&["path", "acme/m:1"]).success();
    assert!(path.trim_end().ends_with("m.gguf"), "{path}");
    assert!(named.first.requests().is_empty() && named.second.requests().is_empty(), "the store knows it");
}

#[test]
fn stored_artifacts_are_found_by_their_short_names() {
    let named = Named::new("disabled");
    named.artishim(&["pull", "--quiet", "acme/m:1"]).success();
    assert_eq!(
        named.artishim(&["inspect", "--format", "{{.Name}}", "acme/m:1"]).success(),
        format!("{}\n", named.full)
    );
    let other = format!("{}/acme/n:1", named.second.host());
    named.artishim(&["tag", "acme/m:1", &other]).success();
    named.artishim(&["push", "--quiet", "acme/n:1"]).success();
    named.artishim(&["untag", "acme/n:1"]).success();
    let target = named.home.path("out");
    named.artishim(&["extract", "acme/m:1", target.to_str().unwrap()]).success();
    assert_eq!(fs::read(target).unwrap(), b"model");
    named.artishim(&["rm", "acme/m:1"]).success();
    assert_eq!(named.names(), "");
}

#[test]
fn nobody_chooses_where_the_file_forbids_it() {
    let named = Named::new("enforcing");
    let said = named.artishim(&["pull", "acme/m:1"]).failure();
    let expected = format!("acme/m:1 could be {}/acme/m:1, {} (type one of these", named.first.host(), named.full);
    assert!(said.starts_with(&expected), "{said}");
    assert!(named.first.requests().is_empty() && named.second.requests().is_empty());
}

#[test]
fn name_that_nobody_has_is_told_with_all_that_was_tried() {
    let named = Named::new("permissive");
    let said = named.artishim(&["pull", "acme/other:1"]).failure();
    let tried = [&named.first, &named.second].map(|registry| format!("{}/acme/other:1", registry.host())).join(", ");
    assert!(said.starts_with(&format!("acme/other:1 is none of {tried}: ")), "{said}");
    let said = named.artishim(&["path", "--pull", "never", "acme/m:1"]).failure();
    assert!(said.contains("artifact does not exist in the store"), "{said}");
}

#[test]
fn aliases_of_the_user_and_of_what_was_noted_down_are_followed() {
    let named = Named::new("enforcing");
    let alias = named.full.trim_end_matches(":1");
    named.configure(&format!("[aliases]\nmodel = '{alias}'\nwrong = 'quay.example/never'\n"));
    named.artishim(&["pull", "--quiet", "model:1"]).success();
    assert_eq!(named.names(), format!("{}\n", named.full));
    fs::create_dir_all(named.home.path(".cache/containers")).unwrap();
    // Root's is elsewhere, and a test has no business there.
    if !rustix::process::geteuid().is_root() {
        let noted = named.home.path(".cache/containers/short-name-aliases.conf");
        fs::write(noted, format!("[aliases]\nwrong = '{alias}'\n")).unwrap();
        named.artishim(&["path", "wrong:1"]).success();
    }
}

#[test]
fn what_was_docker_hubs_stays_findable() {
    let named = Named::new("permissive");
    fs::write(named.home.path("a.gguf"), "x").unwrap();
    let file = named.home.path("a.gguf").display().to_string();
    named.artishim(&["add", "docker.io/acme/old:1", &file]).success();
    assert!(named.artishim(&["inspect", "acme/old:1"]).success().contains("docker.io/acme/old:1"));
    assert!(named.artishim(&["path", "acme/old:1"]).success().contains("a.gguf"));
    assert!(named.first.requests().is_empty());
}

#[test]
fn doctor_tells_what_is_configured() {
    let named = Named::new("permissive");
    named.configure(
        "unqualified-search-registries = ['a.io', 'b.io']\n[aliases]\nx = 'a.io/x'\n\
        [[registry]]\nlocation = 'bad.io'\nblocked = true\n\
        [[registry]]\nlocation = 'c.io'\n[[registry.mirror]]\nlocation = 'm.io'\n[[registry.mirror]]\nlocation = 'n.io'\n",
    );
    let said = named.artishim(&["doctor"]).success();
    let line = said.lines().find(|line| line.contains("registries")).unwrap();
    assert_eq!(
        line,
        "ok       registries  2 configured, mirrors: 2, aliases: 1, blocked: bad.io, searched: a.io, b.io"
    );
}
