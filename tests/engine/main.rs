//! The main job on real engines and a real registry, both started by `contrib/testbed up`.
//!
//! Run by `tests/run`; by hand: `cargo test --test engine -- --ignored`.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod artifacts;
#[path = "../it/common/registry.rs"]
mod faulty_registry;
mod scenarios;
mod stores;
mod testbed;

/// Makes a test of every scenario for every engine.
macro_rules! engines {
    ($($engine:ident => $name:literal: [$($scenario:ident),* $(,)?];)*) => {
        $(mod $engine {
            $(#[test]
            #[ignore = "needs the engines of contrib/testbed"]
            fn $scenario() {
                crate::scenarios::$scenario(&crate::testbed::Engine::named($name));
            })*
        })*
    };
}

engines! {
    docker20 => "docker20": [
        one_file_is_mounted_at_a_missing_destination, several_files_lie_below_a_missing_destination,
        files_join_what_an_existing_directory_has, one_file_replaces_an_existing_file, image_packaged_model_is_mounted,
        two_containers_at_once_share_one_pull, pull_never_fails_before_anything_starts, wrong_digest_starts_nothing,
        create_then_start_shows_the_files, mount_argument_works_in_the_engines_own_line, copied_files_are_in_the_container,
        status_output_and_terminal_are_the_engines_own, files_cannot_be_written,
        line_without_artifacts_is_untouched,
    ];
    docker28 => "docker28": [
        one_file_is_mounted_at_a_missing_destination, several_files_lie_below_a_missing_destination,
        files_join_what_an_existing_directory_has, one_file_replaces_an_existing_file, image_packaged_model_is_mounted,
        two_containers_at_once_share_one_pull, pull_never_fails_before_anything_starts, wrong_digest_starts_nothing,
        create_then_start_shows_the_files, mount_argument_works_in_the_engines_own_line, copied_files_are_in_the_container,
        status_output_and_terminal_are_the_engines_own, files_cannot_be_written,
        line_without_artifacts_is_untouched,
    ];
    podman4 => "podman4": [
        one_file_is_mounted_at_a_missing_destination, several_files_lie_below_a_missing_destination,
        files_join_what_an_existing_directory_has, one_file_replaces_an_existing_file, image_packaged_model_is_mounted,
        two_containers_at_once_share_one_pull, pull_never_fails_before_anything_starts, wrong_digest_starts_nothing,
        create_then_start_shows_the_files, mount_argument_works_in_the_engines_own_line, copied_files_are_in_the_container,
        status_output_and_terminal_are_the_engines_own, files_cannot_be_written,
        line_without_artifacts_is_untouched,
    ];
    podman5 => "podman5": [
        one_file_is_mounted_at_a_missing_destination, several_files_lie_below_a_missing_destination,
        files_join_what_an_existing_directory_has, one_file_replaces_an_existing_file, image_packaged_model_is_mounted,
        two_containers_at_once_share_one_pull, pull_never_fails_before_anything_starts, wrong_digest_starts_nothing,
        create_then_start_shows_the_files, mount_argument_works_in_the_engines_own_line, copied_files_are_in_the_container,
        status_output_and_terminal_are_the_engines_own, files_cannot_be_written,
        line_without_artifacts_is_untouched, plain_artifact_is_pulled_by_podman, untitled_artifact_is_pulled_by_us,
    ];
    docker20_remote => "docker20-remote": [
        one_file_is_mounted_at_a_missing_destination, several_files_lie_below_a_missing_destination,
        files_join_what_an_existing_directory_has, one_file_replaces_an_existing_file, image_packaged_model_is_mounted,
        two_containers_at_once_share_one_pull, pull_never_fails_before_anything_starts, wrong_digest_starts_nothing,
        create_then_start_shows_the_files, mount_argument_works_in_the_engines_own_line, copied_files_are_in_the_container,
        status_output_and_terminal_are_the_engines_own,
        interrupted_fill_is_started_over, nothing_is_staged_for_a_volume, volume_of_somebody_else_is_not_touched,
    ];
    docker28_remote => "docker28-remote": [
        one_file_is_mounted_at_a_missing_destination, several_files_lie_below_a_missing_destination,
        files_join_what_an_existing_directory_has, one_file_replaces_an_existing_file, image_packaged_model_is_mounted,
        two_containers_at_once_share_one_pull, pull_never_fails_before_anything_starts, wrong_digest_starts_nothing,
        create_then_start_shows_the_files, mount_argument_works_in_the_engines_own_line, copied_files_are_in_the_container,
        status_output_and_terminal_are_the_engines_own, files_cannot_be_written,
        interrupted_fill_is_started_over, nothing_is_staged_for_a_volume, volume_of_somebody_else_is_not_touched,
        filled_volume_needs_no_registry, fill_that_is_asked_to_stop_leaves_nothing,
    ];
    podman4_remote => "podman4-remote": [
        one_file_is_mounted_at_a_missing_destination, several_files_lie_below_a_missing_destination,
        files_join_what_an_existing_directory_has, one_file_replaces_an_existing_file, image_packaged_model_is_mounted,
        two_containers_at_once_share_one_pull, pull_never_fails_before_anything_starts, wrong_digest_starts_nothing,
        create_then_start_shows_the_files, mount_argument_works_in_the_engines_own_line, copied_files_are_in_the_container,
        interrupted_fill_is_started_over, nothing_is_staged_for_a_volume, volume_of_somebody_else_is_not_touched,
    ];
    podman5_remote => "podman5-remote": [
        one_file_is_mounted_at_a_missing_destination, several_files_lie_below_a_missing_destination,
        files_join_what_an_existing_directory_has, one_file_replaces_an_existing_file, image_packaged_model_is_mounted,
        two_containers_at_once_share_one_pull, pull_never_fails_before_anything_starts, wrong_digest_starts_nothing,
        create_then_start_shows_the_files,
    ];
}
