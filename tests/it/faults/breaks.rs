//! Connections that break, are refused, or bring an answer that means "later".

use std::time::Duration;

use artishim::pull::Settings;

use super::rig::{Rig, assert_names, settings};
use super::{CHUNK, UNDER_WAY};
use crate::common::registry::{Fault, What};

const SIZE: usize = 16 * CHUNK + 1;

#[test]
fn a_cut_connection_goes_on_where_it_was_cut() {
    for connections in [1, 4] {
        let rig = Rig::one(SIZE);
        rig.registry.fault(Fault::once(rig.blob(), What::CutAfter(20_000)).times(10));
        rig.pull_well(Settings { connections, ..settings() });
        rig.assert_wasted(10 * UNDER_WAY);
    }
}

#[test]
fn connections_closed_without_an_answer_are_asked_again() {
    let rig = Rig::one(SIZE);
    rig.registry.fault(Fault::once(rig.blob(), What::Close).times(3));
    rig.registry.fault(Fault::once(rig.blob(), What::Close).times(3).after(8));
    rig.pull_well(settings());
    rig.assert_wasted(0);
}

#[test]
fn a_registry_that_closes_every_connection_is_given_up_by_name() {
    let rig = Rig::one(SIZE);
    rig.registry.fault(Fault::always(rig.blob(), What::Close));
    let error = rig.pull_badly(settings());
    assert_names(&error, &["connection closed"]);
    assert_names(&error, &["part-0.gguf", rig.blob()]);
    let most = settings().failures as usize * settings().connections;
    assert!(rig.requests().len() <= most, "{} requests\n{}", rig.requests().len(), rig.story());
    rig.recover();
}

#[test]
fn failures_with_bytes_between_end_no_pull() {
    let rig = Rig::one(SIZE);
    rig.registry.fault(Fault::always(rig.blob(), What::CutAfter(30_000)));
    rig.pull_well(Settings { failures: 3, ..settings() });
    let cuts = rig.requests().len() as u64;
    assert!(cuts > 30, "{cuts} requests");
    rig.assert_wasted(cuts * 1024);
}

#[test]
fn what_came_before_a_pull_gave_up_is_not_fetched_again() {
    for connections in [1, 4] {
        let rig = Rig::one(SIZE);
        rig.registry.fault(Fault::always(rig.blob(), What::Close).after(8));
        rig.registry.fault(Fault::always(rig.blob(), What::CutAfter(CHUNK)));
        let error = rig.pull_badly(Settings { connections, ..settings() });
        assert_names(&error, &["connection closed"]);
        let first = rig.sent();
        assert!(first >= 8 * CHUNK as u64, "{first}");
        rig.recover();
        let all = first + rig.sent();
        assert!(all <= SIZE as u64 + 8 * UNDER_WAY, "{all} bytes were sent in both\n{}", rig.story());
    }
}

#[test]
fn bursts_of_errors_are_waited_out() {
    for status in [500, 502, 503, 504, 429, 408] {
        let rig = Rig::one(SIZE);
        rig.registry.fault(Fault::once(rig.blob(), What::status(status)).times(5).after(2));
        rig.pull_now(settings()).unwrap_or_else(|error| panic!("{status}: {error}\n{}", rig.story()));
        rig.assert_complete();
        rig.assert_wasted(0);
    }
}

#[test]
fn an_error_that_stays_is_named_and_not_asked_for_ever() {
    for (status, most) in [(503, settings().failures as usize), (403, 1), (404, 1), (501, 1)] {
        let rig = Rig::one(SIZE);
        rig.registry.fault(Fault::always(rig.blob(), What::status(status)));
        let error = rig.pull_badly(settings());
        assert_names(&error, &[&status.to_string()]);
        let requests = rig.requests().len();
        assert!(requests <= most * settings().connections, "{requests} requests for {status}\n{}", rig.story());
        rig.recover();
    }
}

#[test]
fn a_registry_that_is_away_for_a_while_is_waited_for() {
    for after in [0, 6] {
        let rig = Rig::one(SIZE);
        rig.registry.fault(Fault::once(rig.blob(), What::Down(Duration::from_millis(500))).after(after));
        // 0.02 s and its doubles are 1.3 s with the last.
        rig.pull_well(Settings { pause: Duration::from_millis(20), failures: 7, ..settings() });
        rig.assert_wasted(settings().connections as u64 * super::WINDOW);
    }
}

#[test]
fn every_connection_that_breaks_at_once_is_one_failure() {
    let rig = Rig::one(8 * 16 * CHUNK);
    // Eight connections break together, five times over, and each time before a byte has come.
    for burst in 0..5 {
        let what = What::Down(Duration::from_millis(1));
        rig.registry.fault(Fault::once(rig.blob(), what).after(burst));
    }
    rig.pull_well(Settings { connections: 8, pause: Duration::from_millis(5), ..settings() });
}

#[test]
fn a_registry_that_stays_away_is_named() {
    let rig = Rig::one(SIZE);
    rig.registry.fault(Fault::once(rig.blob(), What::Down(Duration::from_secs(600))).after(4));
    let error = rig.pull_badly(settings());
    assert_names(&error, &["connection refused"]);
    assert_names(&error, &[&rig.registry.host()]);
}

#[test]
fn config_and_manifest_are_asked_for_again_too() {
    for path in ["/manifests/", "/blobs/"] {
        for what in [What::Close, What::status(503), What::CutAfter(1)] {
            let rig = Rig::one(CHUNK);
            rig.registry.fault(Fault::once(path, what.clone()));
            rig.pull_now(settings()).unwrap_or_else(|error| panic!("{path} {what:?}: {error}\n{}", rig.story()));
            rig.assert_complete();
        }
    }
}

#[test]
#[ignore = "takes as long as the registry is away; tests/run runs it"]
fn ten_seconds_without_a_registry_are_survived_by_default() {
    let rig = Rig::one(SIZE);
    rig.registry.fault(Fault::once(rig.blob(), What::Down(Duration::from_secs(10))).after(1));
    rig.pull_well(Settings { chunk: CHUNK as u64, ..Settings::default() });
}
