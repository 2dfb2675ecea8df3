//! A registry whose blobs are elsewhere, by URLs that are signed and soon over, as with object stores and CDNs.

use std::path::Path;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::answerer::{Answer, Answerer, Asked};
use super::client::Client;
use super::link::Link;
use super::server::{Server, shell};

/// How long a URL is good for.
const LIFE: Duration = Duration::from_secs(2);

/// nginx that gives the files of a registry to who has a URL that is signed and not over (module secure_link).
fn start_store(client: &Client) -> Server {
    let blobs = client.path("registry/data/docker/registry/v2/blobs/sha256");
    let server = format!(
        r#"listen ADDRESS;
        location ~ ^/blob/sha256:((..).*)$ {{
            secure_link $arg_md5,$arg_expires;
            secure_link_md5 "$secure_link_expires$uri secret";
            if ($secure_link = "") {{ return 403; }}
            if ($secure_link = "0") {{ return 410; }}
            if ($http_authorization) {{ return 400; }}
            alias {}/$2/$1/data;
        }}"#,
        blobs.display()
    );
    Server::nginx(&client.path("store"), &server)
}

/// Leads from a blob of the registry to where the store has it.
fn redirect(place: &Path, store: &str, asked: &Asked) -> Answer {
    let digest = asked.path.rsplit_once('/').unwrap().1;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let expires = (now + LIFE).as_secs();
    let signed = format!("{expires}/blob/{digest} secret");
    let md5 = URL_SAFE_NO_PAD.encode(shell(place, "openssl dgst -md5 -binary", signed.as_bytes()));
    let header = format!("Location: http://{store}/blob/{digest}?md5={md5}&expires={expires}");
    Answer { status: 307, header, text: String::new() }
}

/// nginx before the registry: who reads a blob is sent to the one who signs.
fn start_front(client: &Client, registry: &str, signer: &str) -> Server {
    let server = format!(
        r#"listen ADDRESS;
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_request_buffering off;
        location / {{ proxy_pass http://{registry}; }}
        location ~ /blobs/sha256: {{
            if ($request_method = GET) {{ proxy_pass http://{signer}; }}
            if ($request_method != GET) {{ proxy_pass http://{registry}; }}
        }}"#
    );
    Server::nginx(&client.path("front"), &server)
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn urls_that_are_over_before_the_pull_are_asked_for_again() {
    let client = Client::new().option(&["--connections", "2"]);
    let registry = Server::registry(&client.path("registry"), "", "");
    let store = start_store(&client);
    let to_store = Link::to(&store.address);
    let (place, address) = (client.path(""), to_store.address().to_owned());
    let signer = Answerer::start(move |asked| redirect(&place, &address, asked));
    let front = start_front(&client, &registry.address, &signer.address);
    let name = format!("{}/acme/m:1", front.address);
    client.round_trip(&name, &[&to_store]);
    // Slow enough for the first URL to be over in the middle.
    let before = (signer.answered(), to_store.sent());
    to_store.limit(Some(4 << 20));
    client.pull("slow", &name);
    let (urls, sent) = (signer.answered() - before.0, to_store.sent() - before.1);
    assert!(urls >= 2, "one URL was enough");
    assert!(sent <= client.model.len() as u64 + (1 << 20), "{sent} bytes sent");
}
