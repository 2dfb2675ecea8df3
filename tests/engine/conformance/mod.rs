//! What podman's own tests ask of `podman artifact` (test/e2e/artifact_test.go, artifact_mount_test.go and
//! test/system/702-artifact.bats), reduced to what a user sees, and asked of podman 5.8 and of us on four engines.
//!
//! Where podman's words and ours differ in more than the name of the program, or where podman is wrong, the behaviour says
//! so with [`Front::is_podman`].

mod behaviours;
mod containers;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use crate::artifacts;
use crate::program::Outcome;
use crate::testbed::{Engine, IMAGE, STATE, outcome, registry, use_daemons};

/// One way to keep artifacts: podman's own, or ours on an engine, with nothing in it.
pub struct Front {
    engine: Engine,
    /// What `--engine` says for us.
    choice: String,
    is_podman: bool,
    host: String,
}

impl Front {
    fn new(engine: &'static str, is_podman: bool) -> Self {
        let engine = Engine::named(engine);
        let mut front = Self { choice: engine.choice(), engine, is_podman, host: registry() };
        if front.engine.name == "podman5" {
            front.choice = front.podman_of_its_own();
        }
        front
    }

    /// Podman with a root of its own, as `rm --all` would take everybody's artifacts.
    fn podman_of_its_own(&self) -> String {
        let (script, root) = (self.path("podman"), self.path("root"));
        let program = self.engine.program();
        let line = format!(
            "#!/bin/sh\nexec {} --root {} --runroot {} \"$@\"\n",
            program.display(),
            root.display(),
            self.path("runroot").display()
        );
        fs::write(&script, line).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        script.display().to_string()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.engine.store.path().join(name)
    }

    /// A file with this content, as an argument.
    fn file(&self, name: &str, content: &str) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    /// A name of the registry that nobody else has.
    fn name(&self) -> String {
        format!("{}/{}:1", self.host, artifacts::repository("conformance"))
    }

    /// `podman artifact …`, or the same of ours.
    fn artifact(&self, words: &[&str]) -> Outcome {
        if self.is_podman {
            let mut command = std::process::Command::new(&self.choice);
            command.arg("artifact").args(words).stdin(std::process::Stdio::null());
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            return outcome(command.spawn().unwrap());
        }
        self.engine.artishim_at(&self.choice, words)
    }

    /// The same, which fails with 125 and these words.
    #[track_caller]
    fn refused(&self, words: &[&str], expected: &str) {
        let refused = self.artifact(words);
        assert!(refused.status == 125 && refused.stderr.contains(expected), "{words:?}: {refused:?}");
    }

    /// An artifact of these files, already there; its name.
    fn added(&self, files: &[(&str, &str)]) -> String {
        let name = self.name();
        let paths: Vec<String> = files.iter().map(|(file, content)| self.file(file, content)).collect();
        let words = ["add", &name].into_iter().chain(paths.iter().map(String::as_str)).collect::<Vec<_>>();
        self.artifact(&words).success();
        name
    }

    fn shown(&self, template: &str, name: &str) -> String {
        self.artifact(&["inspect", "--format", template, name]).success().trim_end().to_owned()
    }

    /// A container with these mounts, which says something.
    fn run(&self, mounts: &[&str], script: &str) -> Outcome {
        let mounts = mounts.iter().flat_map(|mount| ["--mount", mount]);
        let words = ["run", "--rm"].into_iter().chain(mounts).chain([IMAGE, "sh", "-c", script]);
        self.engine_words(&words.collect::<Vec<_>>())
    }

    /// A line of the engine's own.
    fn engine_words(&self, words: &[&str]) -> Outcome {
        if self.engine.name == "podman5" && !self.path("imported").exists() {
            let mut import = std::process::Command::new(&self.choice);
            import.args(["import", "-", IMAGE]).stdin(fs::File::open(format!("{STATE}/base.tar")).unwrap());
            import.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            outcome(import.spawn().unwrap()).success();
            fs::write(self.path("imported"), "").unwrap();
        }
        let is_ours = !self.is_podman && ["run", "create"].contains(&words[0]);
        if is_ours {
            return self.engine.artishim_at(&self.choice, words);
        }
        let program = if self.engine.is_remote() || self.engine.is_docker() || self.engine.name == "podman4" {
            self.engine.program()
        } else {
            PathBuf::from(&self.choice)
        };
        let mut command = std::process::Command::new(program);
        command.args(words).stdin(std::process::Stdio::null());
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        outcome(command.spawn().unwrap())
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        if self.engine.name == "podman5" {
            // Its layers are mounts and files of other users, which a directory's removal would stumble over.
            self.engine_words(&["rm", "--all", "--force"]);
            self.engine_words(&["rmi", "--all", "--force"]);
        }
    }
}

/// A test of each behaviour for each front.
macro_rules! fronts {
    ($($file:ident: [$($behaviour:ident),* $(,)?]),* $(,)?) => {
        fronts! { @front podman5_itself, "podman5", true, [$([$file [$($behaviour)*]])*] }
        fronts! { @front docker28, "docker28", false, [$([$file [$($behaviour)*]])*] }
        fronts! { @front docker20, "docker20", false, [$([$file [$($behaviour)*]])*] }
        fronts! { @front podman4, "podman4", false, [$([$file [$($behaviour)*]])*] }
        fronts! { @front podman5, "podman5", false, [$([$file [$($behaviour)*]])*] }
    };
    (@front $front:ident, $engine:literal, $is_podman:literal, [$([$file:ident [$($behaviour:ident)*]])*]) => {
        mod $front {
            $($(#[test]
            #[ignore = "needs the engines of contrib/testbed"]
            fn $behaviour() {
                let _running = super::use_daemons();
                super::$file::$behaviour(&super::Front::new($engine, $is_podman));
            })*)*
        }
    };
}

fronts! {
    behaviours: [
        b01_02_04_lists_have_a_line_for_each_and_a_heading, b03_digests_are_short_unless_asked_for,
        b05_06_lists_are_filled_by_templates, b07_second_add_is_refused, b08_types_and_annotations_are_kept,
        b09_title_may_be_given_and_is_once, b10_two_files_are_two_layers, b11_dead_registry_is_told,
        b12_pushed_artifact_comes_back, b13_14_credentials_are_what_counts, b15_removal_prints_the_digest,
        b16_removal_of_all_or_of_what_is_not_there, b17_digests_and_their_beginnings_are_names,
        b18_19_single_file_is_extracted, b20_several_files_are_extracted, b21_evil_title_does_no_harm,
        b22_23_files_are_appended, b24_25_26_no_file_is_added_twice, b27_type_stays_over_an_append,
        b28_29_time_of_creation_stays, b34_artifact_is_replaced,
    ],
    containers: [
        b30_one_file_goes_where_the_rules_say, b31_several_files_go_where_the_rules_say,
        b32_container_keeps_what_was_removed, b33_destination_is_taken_once,
    ],
}
