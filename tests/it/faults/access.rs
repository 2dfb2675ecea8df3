//! Tokens that expire, and blobs that lie elsewhere behind URLs that expire.

use std::time::Duration;

use artishim::pull::Settings;

use super::rig::{Rig, USER, assert_names, settings};
use super::{CHUNK, WINDOW};
use crate::common::registry::{Auth, Expiry, Fault, What};

const SIZE: usize = 16 * CHUNK + 1;

fn basic() -> Auth {
    Auth::Basic { user: USER.0, password: USER.1 }
}

/// How often the registry itself was asked for a file.
fn asked_at_registry(rig: &Rig) -> usize {
    let requests = rig.registry.requests();
    requests.iter().filter(|request| request.path.contains(rig.blob()) && request.status == 307).count()
}

#[test]
fn tokens_that_expire_in_the_middle_of_a_blob_are_renewed() {
    // With five uses, four connections often use a token up before the request it was asked for comes to use it.
    for (connections, uses) in [(1, 10), (4, 10), (4, 5)] {
        let rig = Rig::one(SIZE);
        rig.registry.require(Auth::Bearer { user: Some(USER), refresh_token: None, uses });
        // Many more requests than one token is good for.
        rig.registry.fault(Fault::always(rig.blob(), What::Shorter(20_000)));
        rig.pull_well(Settings { connections, ..settings() });
        rig.assert_wasted(0);
        let requests = rig.registry.requests();
        let tokens = requests.iter().filter(|request| request.path.starts_with("/token")).count();
        assert!(tokens <= requests.len() / uses + 1, "{tokens} tokens\n{}", rig.story());
    }
}

#[test]
fn where_blobs_lie_elsewhere_nobody_is_shown_the_password() {
    for auth in [basic(), Auth::Bearer { user: Some(USER), refresh_token: None, uses: 100 }] {
        let rig = Rig::one(SIZE);
        rig.registry.require(auth);
        rig.registry.redirect_blobs();
        rig.pull_well(settings());
        rig.assert_wasted(0);
        let requests = rig.registry.requests();
        let elsewhere: Vec<_> = requests.iter().filter(|request| request.redirected).collect();
        assert!(elsewhere.len() >= SIZE / CHUNK, "{}", rig.story());
        assert!(elsewhere.iter().all(|request| request.authorization.is_none()));
    }
}

#[test]
fn the_registry_is_asked_once_where_a_blob_lies() {
    let rig = Rig::one(SIZE);
    rig.registry.redirect_blobs();
    rig.pull_well(settings());
    // Those that begin together each ask.
    let asked = asked_at_registry(&rig);
    assert!(asked <= settings().connections, "{asked} times\n{}", rig.story());
}

#[test]
fn urls_that_expire_after_some_uses_are_asked_for_anew() {
    for status in [400, 401, 403, 410] {
        let rig = Rig::one(SIZE);
        rig.registry.require(basic());
        rig.registry.redirect_blobs_until(Expiry { uses: 3, status, ..Expiry::NEVER });
        rig.pull_now(settings()).unwrap_or_else(|error| panic!("{status}: {error}\n{}", rig.story()));
        rig.assert_complete();
        rig.assert_wasted(0);
        let requests = rig.registry.requests();
        assert!(requests.iter().all(|request| !request.redirected || request.authorization.is_none()));
        assert!(requests.len() <= 3 * SIZE.div_ceil(CHUNK) + 10, "{} requests\n{}", requests.len(), rig.story());
    }
}

#[test]
fn urls_that_expire_after_some_time_are_asked_for_anew() {
    let rig = Rig::one(SIZE);
    rig.registry.redirect_blobs_until(Expiry { age: Duration::from_millis(60), ..Expiry::NEVER });
    rig.registry.fault(Fault::always("/cdn/", What::Late(Duration::from_millis(25))));
    rig.pull_well(settings());
    rig.assert_wasted(0);
}

#[test]
fn a_place_that_refuses_everything_is_named_without_its_signature() {
    for status in [401, 403, 410] {
        let rig = Rig::one(SIZE);
        rig.registry.redirect_blobs_until(Expiry { uses: 0, status, ..Expiry::NEVER });
        let error = rig.pull_badly(settings());
        assert_names(&error, &[&status.to_string()]);
        assert!(!error.contains("secret"), "{error}");
        assert!(rig.registry.requests().len() <= 6 * settings().connections, "{}", rig.story());
        rig.registry.redirect_blobs();
        rig.recover();
    }
}

#[test]
fn a_place_that_fails_half_way_is_asked_again() {
    for what in [What::Close, What::CutAfter(1000), What::status(503), What::Down(Duration::from_millis(50))] {
        let rig = Rig::one(SIZE);
        rig.registry.redirect_blobs();
        rig.registry.fault(Fault::once("/cdn/", what.clone()).times(3).after(5));
        let patient = Settings { pause: Duration::from_millis(20), ..settings() };
        rig.pull_now(patient).unwrap_or_else(|error| panic!("{what:?}: {error}\n{}", rig.story()));
        rig.assert_complete();
        rig.assert_wasted(3 * settings().connections as u64 * WINDOW);
    }
}

#[test]
fn a_place_that_fails_for_good_is_left_for_another_one() {
    for what in [What::Close, What::CutAfter(0), What::status(503), What::status(520)] {
        let rig = Rig::one(SIZE);
        rig.registry.redirect_blobs();
        rig.registry.fault(Fault::always("signature=secret-0", what.clone()).after(3));
        let one = Settings { connections: 1, ..settings() };
        rig.pull_now(one).unwrap_or_else(|error| panic!("{what:?}: {error}\n{}", rig.story()));
        rig.assert_complete();
    }
}

#[test]
fn a_place_whose_ranges_are_ignored_is_read_in_one_piece() {
    let rig = Rig::one(SIZE);
    rig.registry.redirect_blobs();
    rig.registry.fault(Fault::always("/cdn/", What::IgnoreRange));
    rig.pull_well(settings());
    rig.assert_wasted(settings().connections as u64 * WINDOW);
}

#[test]
fn a_name_that_cannot_be_found_in_mid_pull_is_borne_like_a_refused_connection() {
    // Nothing has this name, by RFC 6761.
    let headers = vec![("Location", String::from("https://registry.invalid/blob"))];
    let nowhere = What::Status { status: 307, headers, body: String::new() };
    let rig = Rig::one(SIZE);
    rig.registry.fault(Fault::once(rig.blob(), nowhere.clone()).times(5).after(3));
    rig.pull_well(settings());
    rig.assert_wasted(0);
    let rig = Rig::one(SIZE);
    rig.registry.fault(Fault::always(rig.blob(), nowhere));
    let error = rig.pull_badly(settings());
    assert_names(&error, &["no such host"]);
    assert!(rig.registry.requests().len() <= 2 + settings().connections, "it was asked again\n{}", rig.story());
    rig.recover();
}
