//! The main job on real engines and a real registry, both started by `contrib/testbed up`.
//!
//! Run by `tests/run`; by hand: `cargo test --test engine -- --ignored`.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

/// Makes a test of a scenario with an engine, and with what else the scenario is told.
macro_rules! on_engines {
    ($($test:ident: $scenario:ident($engine:literal $(, $argument:literal)?),)*) => {
        $(#[test]
        #[ignore = "needs the engines of contrib/testbed"]
        fn $test() {
            $scenario(&crate::testbed::Engine::named($engine) $(, $argument)?);
        })*
    };
}

mod accelerate;
mod artifacts;
mod compose;
mod conformance;
mod consumers;
mod disk;
mod doors;
mod driver;
#[path = "../it/common/registry/mod.rs"]
mod faulty_registry;
mod fixtures;
mod login;
mod matrix;
#[path = "../it/packagings/mod.rs"]
#[allow(unused_imports, reason = "the hostile ones are for the other tests")]
mod packagings;
mod power;
mod producers;
#[path = "../it/common/outcome.rs"]
mod program;
mod ramalama;
mod registries;
mod registries_conf;
mod scenarios;
mod shim;
mod signatures;
#[path = "../it/fixtures/snapshot.rs"]
mod snapshot;
mod stores;
mod testbed;
mod workshop;

/// Makes a test of what must hold on every engine, and of each scenario named besides, for one engine.
macro_rules! engine {
    ($engine:ident, $name:literal, [$($scenario:ident),* $(,)?]) => {
        engine! { @tests $engine, $name, [
            one_file_is_mounted_at_a_missing_destination, several_files_lie_below_a_missing_destination,
            files_join_what_an_existing_directory_has, one_file_replaces_an_existing_file,
            image_packaged_model_is_mounted, two_containers_at_once_share_one_pull,
            part_that_was_pulled_is_what_containers_see_until_the_rest_is_pulled,
            pull_never_fails_before_anything_starts, wrong_digest_starts_nothing, create_then_start_shows_the_files,
            $($scenario),*
        ] }
    };
    (@tests $engine:ident, $name:literal, [$($scenario:ident),* $(,)?]) => {
        mod $engine {
            $(#[test]
            #[ignore = "needs the engines of contrib/testbed"]
            fn $scenario() {
                crate::scenarios::$scenario(&crate::testbed::Engine::named($name));
            })*
        }
    };
}

/// The same for an engine on this machine.
macro_rules! near {
    ($engine:ident, $name:literal, [$($scenario:ident),*]) => {
        engine! { $engine, $name, [
            mount_argument_works_in_the_engines_own_line, copied_files_are_in_the_container,
            status_and_output_are_the_engines_own, terminal_is_the_engines_own, files_cannot_be_written,
            line_without_artifacts_is_untouched,
            $($scenario),*
        ] }
    };
}

/// The same for an engine far away that is given volumes.
macro_rules! far {
    ($engine:ident, $name:literal, [$($scenario:ident),*]) => {
        engine! { $engine, $name, [
            mount_argument_works_in_the_engines_own_line, copied_files_are_in_the_container,
            interrupted_fill_is_started_over, nothing_is_staged_for_a_volume, volume_of_somebody_else_is_not_touched,
            $($scenario),*
        ] }
    };
}

near! { docker20, "docker20", [] }
near! { docker28, "docker28", [] }
near! { docker28_rootless, "docker28-rootless", [] }
near! { podman4, "podman4", [] }
near! { podman5, "podman5", [plain_artifact_is_pulled_by_podman, untitled_artifact_is_pulled_by_us] }
far! { docker20_remote, "docker20-remote", [status_and_output_are_the_engines_own, terminal_is_the_engines_own] }
far! { docker28_remote, "docker28-remote", [
    status_and_output_are_the_engines_own,
    terminal_is_the_engines_own,
    files_cannot_be_written,
    filled_volume_needs_no_registry,
    fill_that_is_asked_to_stop_leaves_nothing
] }
far! { podman4_remote, "podman4-remote", [] }
engine! { podman5_remote, "podman5-remote", [] }
