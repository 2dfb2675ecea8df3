//! Bytes that are not those of the digest, and the signs by which that is known early.

use super::CHUNK;
use super::rig::{Rig, assert_names, settings};
use crate::common::registry::{Fault, Place, Tags, What};

const SIZE: usize = 16 * CHUNK + 1;

#[test]
fn a_wrong_byte_in_the_middle_is_never_visible() {
    for connections in [1, 4] {
        let rig = Rig::one(SIZE);
        rig.registry.fault(Fault::always(rig.blob(), What::WrongByte(SIZE / 2)));
        let error = rig.pull_badly(artishim::pull::Settings { connections, ..settings() });
        assert_names(&error, &["wrong content"]);
        assert_names(&error, &[rig.blob()]);
        rig.assert_wasted(SIZE as u64);
        rig.recover();
    }
}

#[test]
fn a_byte_that_is_wrong_once_spoils_nothing_for_good() {
    let rig = Rig::one(SIZE);
    let middle = SIZE as u64 / 2;
    rig.registry.fault(Fault::once(rig.blob(), What::WrongByte(SIZE / 2)).at(Place::Covers(middle)));
    match rig.pull_now(settings()) {
        Ok(()) => rig.assert_complete(),
        Err(error) => {
            assert_names(&error, &["wrong content"]);
            rig.assert_invisible();
        }
    }
    rig.assert_wasted(SIZE as u64);
    rig.recover();
}

#[test]
fn a_registry_that_changes_for_ever_and_sends_nothing_is_given_up() {
    let rig = Rig::one(SIZE);
    rig.registry.tag_blobs(Tags::Unsteady);
    rig.registry.fault(Fault::always(rig.blob(), What::CutAfter(0)));
    rig.pull_badly(settings());
    let (asked, settings) = (rig.requests().len(), settings());
    let most = (settings.failures as usize + 1) * settings.failures as usize * settings.connections;
    assert!(asked <= most, "{asked} requests\n{}", rig.story());
}

#[test]
fn a_wrong_byte_in_one_file_leaves_the_others_to_the_next_pull() {
    let rig = Rig::new(&[SIZE, CHUNK, 10], 7);
    rig.registry.fault(Fault::always(rig.blob(), What::WrongByte(5)));
    assert_names(&rig.pull_badly(settings()), &["wrong content"]);
    rig.recover();
}

#[test]
fn an_object_that_changes_for_good_between_two_ranges_is_refused() {
    for tags in [Tags::None, Tags::Weak, Tags::Strong] {
        let rig = Rig::one(SIZE);
        rig.registry.tag_blobs(tags);
        rig.registry.fault(Fault::always(rig.blob(), What::Changed).after(8));
        let error = rig.pull_badly(settings());
        assert_names(&error, &["wrong content", "changed"]);
        rig.assert_wasted(SIZE as u64);
        rig.recover();
    }
}

#[test]
fn one_answer_of_another_object_is_known_by_its_tag() {
    for after in [0, 1, 8] {
        let rig = Rig::one(SIZE);
        rig.registry.tag_blobs(Tags::Strong);
        rig.registry.fault(Fault::once(rig.blob(), What::Changed).after(after));
        rig.pull_well(settings());
        // Hung up on at its head, but its registry fills the socket first.
        let unread: u64 = rig.requests().iter().filter(|request| request.spoiled).map(|request| request.sent).sum();
        rig.assert_wasted(SIZE as u64 + unread);
    }
}

#[test]
fn what_was_staged_of_another_object_is_fetched_anew_by_the_next_pull() {
    let rig = Rig::one(SIZE);
    rig.registry.fault(Fault::once(rig.blob(), What::Changed).times(6));
    rig.registry.fault(Fault::always(rig.blob(), What::Close).after(6));
    assert_names(&rig.pull_badly(settings()), &["connection closed"]);
    rig.recover();
}

#[test]
fn tags_that_are_no_help_do_no_harm() {
    for tags in [Tags::Strong, Tags::Weak, Tags::Unsteady] {
        let rig = Rig::one(SIZE);
        rig.registry.tag_blobs(tags);
        rig.pull_now(settings()).unwrap_or_else(|error| panic!("{tags:?}: {error}\n{}", rig.story()));
        rig.assert_complete();
        rig.assert_wasted(SIZE as u64);
    }
}

#[test]
fn a_stream_that_breaks_goes_on_though_each_answer_has_another_tag() {
    let rig = Rig::one(SIZE);
    rig.registry.tag_blobs(Tags::Unsteady);
    rig.registry.fault(Fault::once(rig.blob(), What::CutAfter(2 * CHUNK)).times(3).after(3));
    rig.pull_now(settings()).unwrap_or_else(|error| panic!("{error}\n{}", rig.story()));
    rig.assert_complete();
    rig.assert_wasted(SIZE as u64);
}

#[test]
fn a_compressed_answer_is_named_and_not_stored() {
    let rig = Rig::one(SIZE);
    rig.registry.fault(Fault::always(rig.blob(), What::Gzip));
    let error = rig.pull_badly(settings());
    assert_names(&error, &["gzip"]);
    rig.assert_wasted(0);
    rig.recover();
}

#[test]
fn one_compressed_answer_is_named_or_asked_for_again() {
    let rig = Rig::one(SIZE);
    rig.registry.fault(Fault::once(rig.blob(), What::Gzip).after(5));
    match rig.pull_now(settings()) {
        Ok(()) => rig.assert_complete(),
        Err(error) => {
            assert_names(&error, &["gzip"]);
            rig.assert_invisible();
        }
    }
    rig.recover();
}
