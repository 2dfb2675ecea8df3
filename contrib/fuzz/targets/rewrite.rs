//! A command line of docker or podman; arguments are parted by NUL or by newline.

#![no_main]

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use artishim::mount::{ArtifactMount, Dialect};
use artishim::rewrite::{CommandLine, create_and_start, mentions_artifact, set_pull};
use artishim_fuzz::assert_harmless;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let words = bytes.split(|byte| matches!(byte, 0 | b'\n'));
    let arguments: Vec<OsString> = words.map(|word| OsStr::from_bytes(word).to_owned()).collect();
    for dialect in [Dialect::Docker, Dialect::Podman] {
        check_line(dialect, &arguments);
        check_split(dialect, &arguments);
        check_pull(dialect, &arguments);
    }
});

fn check_line(dialect: Dialect, arguments: &[OsString]) {
    let line = match CommandLine::parse(dialect, arguments) {
        Ok(line) => line,
        Err(error) => {
            assert!(mentions_artifact(arguments), "{error} in a line without artifacts");
            return assert_harmless(&error);
        }
    };
    assert_eq!(line.arguments(), arguments);
    assert_eq!(line.replace(&[]), arguments);
    assert!(line.image.is_none_or(|at| at < arguments.len()));
    let mounts: Vec<ArtifactMount> = line.mounts().cloned().collect();
    assert!(mounts.is_empty() || mentions_artifact(arguments), "{mounts:?} in a line without artifacts");
    check_replaced(dialect, &line, &mounts);
}

/// With its mounts written anew the line means the same; without them, it has none.
fn check_replaced(dialect: Dialect, line: &CommandLine, mounts: &[ArtifactMount]) {
    let values: Vec<Vec<String>> = mounts.iter().map(|mount| vec![mount.to_value()]).collect();
    let same = CommandLine::parse(dialect, &line.replace(&values)).expect("the same mounts are as right as before");
    assert!(same.mounts().eq(line.mounts()));
    assert_eq!((same.image(), &same.flags, &same.destinations), (line.image(), &line.flags, &line.destinations));
    let removed = line.replace(&vec![Vec::new(); mounts.len()]);
    let without = CommandLine::parse(dialect, &removed).expect("what is left was right before");
    assert_eq!(without.mounts().len(), 0);
    assert_eq!((without.image(), &without.flags), (line.image(), &line.flags));
}

/// Arguments are only ever left out, or letters out of a bundle of flags.
fn check_split(dialect: Dialect, arguments: &[OsString]) {
    let split = create_and_start(dialect, arguments);
    let mut rest = arguments.iter();
    for argument in &split.create {
        let is_from = |whole: &OsString| whole == argument || is_bundle_of(argument, whole);
        assert!(rest.any(is_from), "{argument:?} is none of {arguments:?}");
    }
    let again = create_and_start(dialect, &split.create);
    assert_eq!(again.create, split.create);
    assert!(again.lost.is_empty());
    if let (Ok(line), Ok(create)) = (CommandLine::parse(dialect, arguments), CommandLine::parse(dialect, &split.create))
    {
        assert_eq!(line.image(), create.image(), "{:?}", split.create);
        assert!(line.mounts().eq(create.mounts()));
    }
}

/// Whether `argument` is the bundle `whole` with some letters left out.
fn is_bundle_of(argument: &OsStr, whole: &OsStr) -> bool {
    let is_bundle = |text: &OsStr| text.as_bytes().starts_with(b"-") && !text.as_bytes().starts_with(b"--");
    let mut bytes = whole.as_bytes().iter();
    is_bundle(argument) && is_bundle(whole) && argument.as_bytes().iter().all(|byte| bytes.any(|other| other == byte))
}

fn check_pull(dialect: Dialect, arguments: &[OsString]) {
    let mut changed = arguments.to_vec();
    set_pull(dialect, &mut changed, "newer");
    assert_eq!(changed.len(), arguments.len());
    let (Ok(before), Ok(after)) = (CommandLine::parse(dialect, arguments), CommandLine::parse(dialect, &changed))
    else {
        return;
    };
    assert_eq!(after.image, before.image);
    if before.flags.pull.is_some() {
        assert_eq!(after.flags.pull.as_deref(), Some("newer"));
    }
}
