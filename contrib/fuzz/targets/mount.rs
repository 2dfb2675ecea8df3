//! The value of `--mount`, of ours and of other types.

#![no_main]

use artishim::digest::Digest;
use artishim::listing::File;
use artishim::mount::{ArtifactMount, DestinationState, Dialect, EngineMount, clean, destination_of};
use artishim_fuzz::assert_harmless;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|value: &str| {
    check_destination(value);
    match ArtifactMount::parse(value) {
        Ok(None) => {}
        Ok(Some(mount)) => check(&mount),
        Err(error) => assert_harmless(&error),
    }
});

fn check(mount: &ArtifactMount) {
    let value = mount.to_value();
    assert_eq!(ArtifactMount::parse(&value).as_ref(), Ok(&Some(mount.clone())), "{value:?} is read back");
    assert_eq!(destination_of(&value).as_deref(), Some(mount.destination.as_str()));
    assert_eq!(clean(&mount.destination), mount.destination);
    check_engine_mounts(mount);
    for files in [&[][..], &["m.gguf"], &["q4/m.gguf", "q8/m.gguf", "config.json"]] {
        let files: Vec<File> = files.iter().map(|path| file(path)).collect();
        for state in [DestinationState::Missing, DestinationState::File, DestinationState::Directory] {
            match mount.targets(&files, state) {
                Ok(targets) => targets.iter().for_each(|target| {
                    assert!(target.file < files.len());
                    assert!(is_at_or_below(&target.path, &mount.destination), "{target:?} of {mount:?}");
                }),
                Err(error) => assert_harmless(&error),
            }
        }
    }
}

fn check_engine_mounts(mount: &ArtifactMount) {
    let (source, destination) = (mount.source.clone(), mount.destination.clone());
    let subpath = mount.name.clone();
    let mounts = [
        EngineMount::Bind { source: source.clone(), destination: destination.clone() },
        EngineMount::Volume { name: source.clone(), destination: destination.clone(), subpath },
        EngineMount::Image { name: source.clone(), destination: destination.clone(), subpath: source },
    ];
    for engine_mount in mounts {
        for dialect in [Dialect::Docker, Dialect::Podman] {
            let value = engine_mount.to_value(dialect);
            assert_eq!(ArtifactMount::parse(&value), Ok(None), "{value:?}");
            assert_eq!(destination_of(&value).as_deref(), Some(destination.as_str()), "{value:?}");
        }
    }
}

fn check_destination(value: &str) {
    let Some(path) = destination_of(value) else { return };
    assert!(path.starts_with('/'));
    assert_eq!(clean(&path), path);
}

fn is_at_or_below(path: &str, folder: &str) -> bool {
    path == folder || path.strip_prefix(folder.trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/'))
}

fn file(path: &str) -> File {
    File { path: path.to_owned(), size: 1, blob: Digest::sha256(path.as_bytes()) }
}
