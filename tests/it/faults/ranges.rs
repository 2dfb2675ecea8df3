//! Answers to requests for a part: refused, ignored, or another part than the one asked for.

use std::time::Duration;

use super::rig::{Rig, assert_names, settings};
use super::{CHUNK, WINDOW};
use crate::common::registry::{Fault, Place, What};

const SIZE: usize = 16 * CHUNK + 1;

#[test]
fn without_faults_every_byte_is_sent_once_over_all_the_connections_allowed() {
    let rig = Rig::one(SIZE);
    rig.registry.fault(Fault::always(rig.blob(), What::Late(Duration::from_millis(20))));
    rig.pull_well(settings());
    rig.assert_wasted(0);
    assert!(rig.requests().len() <= SIZE.div_ceil(CHUNK) + settings().connections, "{}", rig.story());
    let most = rig.registry.most_at_once();
    assert!((2..=settings().connections).contains(&most), "{most} at once\n{}", rig.story());
}

#[test]
fn blobs_of_any_size_come_right() {
    let sizes = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 5 * CHUNK - 7];
    for connections in [1, 3, 8] {
        let rig = Rig::new(&sizes, 1);
        rig.pull_well(artishim::pull::Settings { connections, ..settings() });
        rig.assert_wasted(0);
    }
}

#[test]
fn a_registry_that_ignores_ranges_is_read_in_one_piece() {
    let rig = Rig::one(SIZE);
    rig.registry.fault(Fault::always(rig.blob(), What::IgnoreRange));
    rig.pull_well(settings());
    rig.assert_wasted(settings().connections as u64 * WINDOW);
    assert!(rig.requests().len() <= 2 * settings().connections, "{}", rig.story());
}

#[test]
fn a_registry_that_says_it_serves_ranges_and_does_not_costs_little() {
    let rig = Rig::one(SIZE);
    rig.registry.fault(Fault::always("/blobs/", What::Header("Accept-Ranges", String::from("bytes"))));
    rig.registry.fault(Fault::always(rig.blob(), What::IgnoreRange));
    rig.pull_well(settings());
    rig.assert_wasted(2 * settings().connections as u64 * WINDOW);
    assert!(rig.requests().len() <= 3 * settings().connections, "{}", rig.story());
}

#[test]
fn a_registry_that_ignores_ranges_and_breaks_off_costs_what_had_come() {
    let rig = Rig::one(SIZE);
    rig.registry.fault(Fault::always(rig.blob(), What::IgnoreRange));
    let cut = What::CutAfter(SIZE / 2);
    rig.registry.fault(Fault::once(rig.blob(), cut.clone()).after(settings().connections));
    rig.registry.fault(Fault::once(rig.blob(), cut));
    rig.pull_well(settings());
    rig.assert_wasted(SIZE as u64 + settings().connections as u64 * WINDOW);
}

#[test]
fn ranges_that_are_ignored_now_and_then_cost_little() {
    let rig = Rig::one(SIZE);
    for after in [0, 5, 9] {
        rig.registry.fault(Fault::once(rig.blob(), What::IgnoreRange).at(Place::Parts).after(after));
    }
    rig.pull_well(settings());
    rig.assert_wasted((settings().connections as u64 + 3) * WINDOW);
}

/// What may come instead of a range, so that no byte of it can be trusted.
fn wrong_answers() -> Vec<What> {
    vec![
        What::StartLate(1),
        What::EndLate(1000),
        What::Truncate(1000),
        What::ContentRange("bytes 0-9/10"),
        What::ContentRange("bytes */1048577"),
        What::Header("Content-Range", String::new()),
        What::Multipart,
        What::status(416),
    ]
}

#[test]
fn wrong_answers_to_ranges_lead_to_one_piece() {
    for what in wrong_answers() {
        let rig = Rig::one(SIZE);
        rig.registry.fault(Fault::always(rig.blob(), what.clone()).at(Place::Parts));
        rig.pull_now(settings()).unwrap_or_else(|error| panic!("{what:?}: {error}\n{}", rig.story()));
        rig.assert_complete();
        rig.assert_wasted(2 * settings().connections as u64 * WINDOW);
    }
}

#[test]
fn a_wrong_answer_to_one_range_costs_no_more_than_that_answer() {
    for what in wrong_answers() {
        let rig = Rig::one(SIZE);
        rig.registry.fault(Fault::once(rig.blob(), what.clone()).at(Place::Parts).after(3));
        rig.pull_now(settings()).unwrap_or_else(|error| panic!("{what:?}: {error}\n{}", rig.story()));
        rig.assert_complete();
        rig.assert_wasted((settings().connections as u64 + 1) * WINDOW);
    }
}

#[test]
fn a_registry_that_gives_no_bytes_at_all_for_416_is_named() {
    let rig = Rig::one(SIZE);
    rig.registry.fault(Fault::always(rig.blob(), What::status(416)));
    let error = rig.pull_badly(settings());
    assert_names(&error, &["416"]);
    assert!(rig.requests().len() <= 4 * settings().connections, "{}", rig.story());
    rig.recover();
}

#[test]
fn answers_shorter_than_asked_are_completed() {
    let rig = Rig::one(4 * CHUNK);
    rig.registry.fault(Fault::always(rig.blob(), What::Shorter(10_000)));
    rig.pull_well(settings());
    rig.assert_wasted(0);
}

#[test]
fn bodies_without_a_length_end_where_the_range_ends() {
    for what in [What::Unframed, What::Chunked] {
        let rig = Rig::one(SIZE);
        rig.registry.fault(Fault::always(rig.blob(), what.clone()));
        rig.registry.fault(Fault::once(rig.blob(), What::CutAfter(CHUNK / 2)).after(2));
        rig.pull_now(settings()).unwrap_or_else(|error| panic!("{what:?}: {error}\n{}", rig.story()));
        rig.assert_complete();
        rig.assert_wasted(16 * 1024);
    }
}
