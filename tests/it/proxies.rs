//! Proxies by the environment, and registries out there, which in these tests are behind one.

use std::fs;

use crate::common::registry::{Auth, Registry};
use crate::common::{Home, Outcome, modelpack, outcome};

/// A registry which is the proxy for all hosts, and so is every registry out there.
struct Outside {
    home: Home,
    registry: Registry,
}

const NAME: &str = "models.example.com:5000/m:1";

impl Outside {
    fn new() -> Self {
        let outside = Self { home: Home::new(), registry: Registry::start() };
        modelpack(&outside.registry, "m", &[("m.gguf", &[7; 5000])]);
        outside
    }

    fn pull(&self, variables: &[(&str, &str)]) -> Outcome {
        let proxy = format!("http://{}", self.registry.host());
        let mut command = self.home.command(&["--retry", "0", "--tls-verify=false", "pull", "--quiet", NAME]);
        command.env("HTTP_PROXY", &proxy).env("HTTPS_PROXY", &proxy).envs(variables.iter().copied());
        outcome(command.spawn().unwrap().wait_with_output().unwrap())
    }
}

#[test]
fn registries_are_asked_through_the_proxy_of_the_environment() {
    let outside = Outside::new();
    outside.pull(&[]).success();
    let asked = outside.registry.requests();
    let proxied = |host: &&str| *host == "models.example.com:5000";
    assert!(asked.iter().filter_map(|request| request.proxied_for.as_deref()).filter(proxied).count() > 2, "{asked:?}");
}

#[test]
fn hosts_of_no_proxy_are_asked_themselves() {
    let outside = Outside::new();
    let said = outside.pull(&[("NO_PROXY", "example.com")]).failure();
    assert!(said.contains("models.example.com"), "{said}");
    assert!(outside.registry.requests().is_empty());
}

#[test]
fn registry_out_there_leads_nobody_to_this_machine() {
    let outside = Outside::new();
    outside.registry.redirect_blobs();
    let said = outside.pull(&[]).failure();
    assert!(said.contains("models.example.com:5000 leads to 127.0.0.1:"), "{said}");
    assert!(outside.registry.requests().iter().all(|request| !request.redirected));
    let place = said.split("leads to ").nth(1).and_then(|rest| rest.split(',').next()).unwrap();
    fs::write(outside.home.path("registries.conf"), format!("[[registry]]\nlocation = \"{place}\"\n")).unwrap();
    let conf = outside.home.path("registries.conf");
    outside.pull(&[("CONTAINERS_REGISTRIES_CONF", conf.to_str().unwrap())]).success();
}

#[test]
fn realm_of_a_registry_out_there_is_not_on_this_machine() {
    let outside = Outside::new();
    outside.registry.require(Auth::Bearer { user: None, refresh_token: None, uses: 100 });
    let said = outside.pull(&[]).failure();
    assert!(said.contains("models.example.com:5000 leads to 127.0.0.1:"), "{said}");
    assert!(outside.registry.requests().iter().all(|request| !request.path.starts_with("/token")));
}
