//! Registries as their users have them: docker-registry with passwords, tokens and certificates, behind nginx and
//! proxies. A model of some MiB goes to each and comes back, once more after a kill in the middle.

mod answerer;
mod client;
mod link;
mod mirror;
mod server;
mod signed;
mod token;

use std::fs;
use std::time::Duration;

use self::client::Client;
use self::link::Link;
use self::server::{Server, make_certificates, shell};

#[test]
#[ignore = "needs root and contrib/testbed"]
fn registry_with_passwords() {
    let client = Client::new();
    fs::create_dir(client.path("registry")).unwrap();
    let users = client.path("registry/htpasswd");
    fs::write(&users, shell(&client.path(""), "htpasswd -Bbn ann secret", b"")).unwrap();
    let settings = format!("auth: {{htpasswd: {{realm: matrix, path: {}}}}}", users.display());
    let registry = Server::registry(&client.path("registry"), "", &settings);
    let link = Link::to(&registry.address);
    let name = format!("{}/acme/m:1", link.address());
    client.assert_refused(&["pull", &name], &[link.address(), "login"]);
    client.assert_refused(&["--creds", "ann:wrong", "pull", &name], &[link.address()]);
    client.option(&["--creds", "ann:secret"]).round_trip(&name, &[&link]);
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn registry_with_tokens_that_are_soon_over() {
    // Two connections, so that there are several requests one after the other.
    let client = Client::new().option(&["--connections", "2"]);
    let (registry, tokens) = token::start(&client, Duration::from_secs(1));
    let link = Link::to(&registry.address);
    let name = format!("{}/acme/m:1", link.address());
    client.assert_refused(&["pull", &name], &[link.address(), "login"]);
    let client = client.option(&["--creds", &[token::USER.0, token::USER.1].join(":")]);
    link.limit(Some(5 << 20));
    let before = tokens.answered();
    client.push(&name);
    assert!(tokens.answered() - before >= 2, "the first token was not over at the end of the push");
    client.pull_in_two("two", &name, &[&link]);
    link.limit(Some(5 << 20));
    let before = (tokens.answered(), link.sent());
    client.pull("slow", &name);
    let (renewed, sent) = (tokens.answered() - before.0, link.sent() - before.1);
    assert!((2..=8).contains(&renewed), "{renewed} tokens");
    assert!(sent <= client.model.len() as u64 + (1 << 20), "{sent} bytes sent");
}

/// A registry by TLS, which wants certificates of its clients where `settings` say so, and the line to it.
fn by_tls(client: &Client, settings: &str) -> (Server, Link) {
    let place = client.path("registry");
    make_certificates(&place);
    let http = format!("  tls: {{certificate: {0}/server.pem, key: {0}/server.key{settings}}}", place.display());
    let registry = Server::registry(&place, &http.replace("PLACE", place.to_str().unwrap()), "");
    let link = Link::to(&registry.address);
    (registry, link)
}

/// Lays certificates where both podman and we look for those of a registry.
fn lay_certificates(client: &Client, host: &str, files: &[(&str, &str)]) {
    let folder = client.home().join(".config/containers/certs.d").join(host);
    fs::create_dir_all(&folder).unwrap();
    for (name, source) in files {
        fs::copy(client.path("registry").join(source), folder.join(name)).unwrap();
    }
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn registry_with_an_authority_of_its_own() {
    let client = Client::new().option(&["--tls-verify=true"]);
    let (_registry, link) = by_tls(&client, "");
    let name = format!("{}/acme/m:1", link.address());
    client.assert_refused(&["pull", &name], &[link.address(), "certificate"]);
    lay_certificates(&client, link.address(), &[("ca.crt", "ca.pem")]);
    client.round_trip(&name, &[&link]);
    fs::rename(client.home().join(".config/containers/certs.d").join(link.address()), client.path("mine")).unwrap();
    client.assert_refused(&["pull", &name], &[link.address(), "certificate"]);
    let mine = client.path("mine").display().to_string();
    client.option(&["--cert-dir", &mine]).pull("three", &name);
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn registry_that_wants_certificates() {
    let client = Client::new().option(&["--tls-verify=true"]);
    let (_registry, link) = by_tls(&client, ", clientcas: [PLACE/ca.pem]");
    let name = format!("{}/acme/m:1", link.address());
    lay_certificates(&client, link.address(), &[("ca.crt", "ca.pem")]);
    // Now and then the HTTP library sees the connection end before it sees why.
    let refused: Vec<_> = (0..6).map(|_| client.artishim("refused", &["pull", "--quiet", &name])).collect();
    let says = |words| refused.iter().any(|refused| refused.stderr.contains(words));
    assert!(says("certificate that it trusts") && says("--cert-dir") && !says("400"), "{refused:?}");
    assert!(refused.iter().all(|refused| refused.status == 125 && refused.stderr.lines().count() == 1), "{refused:?}");
    lay_certificates(&client, link.address(), &[("me.cert", "client.pem"), ("me.key", "client.key")]);
    client.round_trip(&name, &[&link]);
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn nginx_that_speaks_http_2() {
    let client = Client::new().option(&["--tls-verify=true"]);
    let registry = Server::registry(&client.path("plain"), "", "");
    let place = client.path("registry");
    make_certificates(&place);
    let server = format!(
        "listen ADDRESS ssl http2;\nssl_certificate {0}/server.pem;\nssl_certificate_key {0}/server.key;\n\
         location / {{ proxy_pass http://{1}; proxy_set_header Host $http_host;\n\
         proxy_set_header X-Forwarded-Proto $scheme; proxy_request_buffering off; proxy_http_version 1.1; }}",
        place.display(),
        registry.address
    );
    let nginx = Server::nginx(&client.path("nginx"), &server);
    let script = format!("openssl s_client -connect {} -alpn h2,http/1.1 2>/dev/null", nginx.address);
    let greeting = String::from_utf8_lossy(&shell(&place, &script, b"")).into_owned();
    assert!(greeting.contains("ALPN protocol: h2"), "{greeting}");
    let link = Link::to(&nginx.address);
    lay_certificates(&client, link.address(), &[("ca.crt", "ca.pem")]);
    client.round_trip(&format!("{}/acme/m:1", link.address()), &[&link]);
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn registry_whose_name_only_the_proxy_knows() {
    let client = Client::new();
    let (registry, _) = by_tls(&client, "");
    lay_certificates(&client, "registry.test", &[("ca.crt", "ca.pem")]);
    let proxy = Link::proxy(&[("registry.test:443", &registry.address)]);
    let name = "registry.test/acme/m:1";
    client.assert_refused(&["pull", name], &["registry.test", "no such host"]);
    let client = client.variable("HTTPS_PROXY", &format!("http://{}", proxy.address()));
    client.round_trip(name, &[&proxy]);
    let asked = proxy.asked();
    assert!(!asked.is_empty() && asked.iter().all(|name| name == "registry.test:443"), "{asked:?}");
    client.assert_refused(&["pull", "other.test/acme/m:1"], &["other.test"]);
    let (before, client) = (proxy.asked().len(), client.variable("NO_PROXY", "127.0.0.1,.test"));
    client.assert_refused(&["pull", name], &["registry.test", "no such host"]);
    assert_eq!(proxy.asked().len(), before, "{:?}", proxy.asked());
}
