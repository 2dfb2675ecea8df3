//! A pull-through mirror that registries.conf names, from cold to broken.

use std::fs;
use std::thread;
use std::time::Duration;

use super::client::Client;
use super::link::Link;
use super::server::{Server, blob_file};

/// A registry with a model, a mirror of it, and a client who is told to ask the mirror first.
struct Ladder {
    client: Client,
    upstream: Option<Server>,
    _mirror: Server,
    /// From the client to the registry, and to its mirror.
    to_upstream: Link,
    to_mirror: Link,
    name: String,
}

impl Ladder {
    fn new() -> Self {
        let client = Client::new();
        let upstream = Server::registry(&client.path("upstream"), "", "");
        let remote = format!("proxy: {{remoteurl: 'http://{}'}}", upstream.address);
        let mirror = Server::registry(&client.path("mirror"), "", &remote);
        let (to_upstream, to_mirror) = (Link::to(&upstream.address), Link::to(&mirror.address));
        let name = format!("{}/acme/m:1", to_upstream.address());
        client.push(&name);
        let conf = format!(
            "[[registry]]\nlocation = \"{}\"\ninsecure = true\n[[registry.mirror]]\nlocation = \"{}\"\ninsecure = true\n",
            to_upstream.address(),
            to_mirror.address()
        );
        fs::write(client.path("registries.conf"), conf).unwrap();
        let conf = client.path("registries.conf").display().to_string();
        let client = client.variable("CONTAINERS_REGISTRIES_CONF", &conf);
        Self { client, upstream: Some(upstream), _mirror: mirror, to_upstream, to_mirror, name }
    }

    /// Pulls, and says how many bytes came from the registry and from its mirror.
    #[track_caller]
    fn pull(&self, store: &str) -> (u64, u64) {
        let before = (self.to_upstream.sent(), self.to_mirror.sent());
        self.client.pull(store, &self.name);
        (self.to_upstream.sent() - before.0, self.to_mirror.sent() - before.1)
    }

    /// Takes away all that the mirror has on its disk, which it may be about to write the last of.
    fn wipe(&self) {
        fs::rename(self.client.path("mirror/data/docker"), self.client.path("gone")).unwrap();
    }

    /// Makes one byte wrong on the mirror's disk.
    fn damage(&self) {
        let file = blob_file(&self.client.path("mirror"), self.client.blob().hex());
        while !file.exists() {
            thread::sleep(Duration::from_millis(10));
        }
        let mut bytes = fs::read(&file).unwrap();
        bytes[1_000_000] ^= 1;
        fs::write(file, bytes).unwrap();
    }
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn pull_through_mirror_is_used_as_far_as_it_is_good() {
    let mut ladder = Ladder::new();
    let size = ladder.client.model.len() as u64;
    let (upstream, mirror) = ladder.pull("cold");
    assert!(upstream == 0 && mirror >= size, "cold: {upstream} {mirror}");
    let links = [&ladder.to_upstream, &ladder.to_mirror];
    ladder.client.pull_in_two("warm", &ladder.name, &links);
    // What it has is enough without the registry.
    ladder.upstream = None;
    let (upstream, mirror) = ladder.pull("alone");
    assert!(upstream == 0 && mirror >= size, "alone: {upstream} {mirror}");
    ladder.damage();
    let host = ladder.to_upstream.address();
    ladder.client.assert_refused(&["pull", "--quiet", &ladder.name], &[host, "try again"]);
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn wiped_mirror_is_filled_again_and_a_damaged_one_passed_over() {
    let ladder = Ladder::new();
    let size = ladder.client.model.len() as u64;
    ladder.pull("cold");
    ladder.wipe();
    let (upstream, mirror) = ladder.pull("wiped");
    assert!(upstream + mirror >= size, "wiped: {upstream} {mirror}");
    ladder.damage();
    let (upstream, mirror) = ladder.pull("damaged");
    assert!(upstream >= size && mirror <= 2 * size, "damaged: {upstream} {mirror}");
}
