//! Connections are made once and kept: a handshake for each blob would cost more than a small blob.

use artishim::pull::Settings;

use super::CHUNK;
use super::rig::{Rig, settings};

/// Checks how many connections one pull makes.
///
/// One that ends an answer is free a moment later, so that for each that is allowed another one may be made meanwhile, once;
/// one more speaks TLS, to see whether the registry does.
#[track_caller]
fn assert_kept(rig: &Rig, is_redirected: bool) {
    let most = 2 * settings().connections;
    let (registry, elsewhere) = rig.registry.connections();
    let requests = rig.registry.requests().len();
    assert!(requests > 8 * most, "{requests} requests say nothing");
    assert!(registry <= most + 1, "{registry} connections for {requests} requests\n{}", rig.story());
    let most = if is_redirected { most } else { 0 };
    assert!(elsewhere <= most, "{elsewhere} connections elsewhere for {requests} requests\n{}", rig.story());
}

#[test]
fn many_blobs_come_over_the_connections_there_may_be() {
    for is_redirected in [false, true] {
        let rig = Rig::new(&[1000; 80], 1);
        if is_redirected {
            rig.registry.redirect_blobs();
        }
        rig.pull_well(settings());
        assert_kept(&rig, is_redirected);
    }
}

#[test]
fn many_ranges_come_over_the_connections_there_may_be() {
    for is_redirected in [false, true] {
        let rig = Rig::one(80 * CHUNK + 1);
        if is_redirected {
            rig.registry.redirect_blobs();
        }
        rig.pull_well(Settings { chunk: CHUNK as u64, ..settings() });
        assert_kept(&rig, is_redirected);
    }
}
