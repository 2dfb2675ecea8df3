//! Connections that bring nothing, or little, and registries that ask for time.

use std::time::{Duration, Instant};

use artishim::pull::Settings;

use super::rig::{Rig, assert_names, settings};
use super::{CHUNK, WINDOW};
use crate::common::registry::{Fault, Place, What};

const SIZE: usize = 16 * CHUNK + 1;
const LONG: Duration = Duration::from_secs(600);
/// What no test of these needs: a connection that was waited for to its end would take longer.
const SOON: Duration = Duration::from_secs(5);

#[track_caller]
fn within<T>(limit: Duration, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    assert!(start.elapsed() < limit, "it took {:?}", start.elapsed());
    result
}

#[test]
fn a_stalled_connection_is_dropped_and_its_rest_asked_for_again() {
    for connections in [1, 4] {
        let rig = Rig::one(SIZE);
        rig.registry.fault(Fault::once(rig.blob(), What::Stall { after: 10_000, pause: LONG }).times(2));
        within(SOON, || rig.pull_well(Settings { connections, ..settings() }));
        rig.assert_wasted(2 * 16 * 1024);
    }
}

#[test]
fn an_answer_that_does_not_begin_is_dropped_too() {
    let rig = Rig::one(SIZE);
    rig.registry.fault(Fault::once(rig.blob(), What::Late(LONG)).times(2).after(1));
    within(SOON, || rig.pull_well(settings()));
    rig.assert_wasted(0);
}

#[test]
fn a_registry_of_which_every_connection_stalls_is_given_up() {
    let rig = Rig::one(SIZE);
    rig.registry.fault(Fault::always(rig.blob(), What::Stall { after: 0, pause: LONG }));
    let error = within(2 * SOON, || rig.pull_badly(settings()));
    assert_names(&error, &["nothing came for"]);
    rig.recover();
}

#[test]
fn stalls_with_bytes_between_end_no_pull() {
    let rig = Rig::one(2 * CHUNK);
    rig.registry.fault(Fault::always(rig.blob(), What::Stall { after: 20_000, pause: LONG }));
    within(SOON, || rig.pull_well(Settings { failures: 2, stall: Duration::from_millis(150), ..settings() }));
}

#[test]
fn what_a_slow_connection_has_left_is_taken_over() {
    let rig = Rig::one(SIZE);
    // Its chunk alone would take 13 seconds.
    rig.registry.fault(Fault::once(rig.blob(), What::Slow(5_000)).after(2));
    within(SOON, || rig.pull_well(settings()));
    rig.assert_wasted(CHUNK as u64);
}

#[test]
fn the_slowest_part_of_a_blob_holds_nobody_up() {
    let rig = Rig::one(SIZE);
    let last = 15 * CHUNK as u64..SIZE as u64;
    rig.registry.fault(Fault::once(rig.blob(), What::Slow(5_000)).at(Place::StartsIn(last)));
    within(SOON, || rig.pull_well(settings()));
    rig.assert_wasted(CHUNK as u64);
}

#[test]
fn one_slow_connection_alone_is_borne() {
    let rig = Rig::one(CHUNK);
    rig.registry.fault(Fault::always(rig.blob(), What::Slow(100_000)));
    rig.pull_well(Settings { connections: 1, ..settings() });
    rig.assert_wasted(0);
}

/// Checks that after each answer with `status` no request for a blob came for `pause`, but for those under way.
#[track_caller]
fn assert_left_alone(rig: &Rig, status: u16, pause: Duration) {
    let requests = rig.requests();
    let asked: Vec<Instant> = requests.iter().filter(|request| request.status == status).map(|it| it.at).collect();
    assert!(!asked.is_empty());
    for start in asked {
        let under_way = start + Duration::from_millis(100);
        let early = requests.iter().filter(|request| request.at > under_way && request.at < start + pause);
        assert_eq!(early.count(), 0, "{}", rig.story());
    }
}

#[test]
fn a_registry_that_asks_for_time_is_left_alone_for_so_long() {
    for status in [429, 503] {
        for connections in [2, 4] {
            let rig = Rig::one(SIZE);
            rig.registry.fault(Fault::once(rig.blob(), What::busy(status, 1)).after(3));
            // Answers that take their time, so that there is something left to ask for.
            rig.registry.fault(Fault::always(rig.blob(), What::Late(Duration::from_millis(20))));
            rig.pull_well(Settings { connections, ..settings() });
            assert_left_alone(&rig, status, Duration::from_secs(1));
            rig.assert_wasted(0);
        }
    }
}

#[test]
fn two_slow_connections_of_four_cost_no_byte_twice_over() {
    let rig = Rig::new(&[SIZE, SIZE], 3);
    rig.registry.fault(Fault::once("/blobs/", What::Slow(20_000)).at(Place::Parts).times(2));
    within(2 * SOON, || rig.pull_well(settings()));
    rig.assert_wasted(2 * WINDOW);
}
