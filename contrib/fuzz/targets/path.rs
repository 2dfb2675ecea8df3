//! A producer's name for a file becomes a path.

#![no_main]

use std::path::Path;

use artishim::packaging::fuzzing::{sanitise, sanitise_bytes};
use artishim_fuzz::assert_harmless;
use artishim_fuzz::sink::assert_clean;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let path = match sanitise_bytes(bytes) {
        Ok(path) => path,
        Err(error) => return assert_harmless(&error),
    };
    assert_clean(&path);
    assert_eq!(sanitise(&path).ok().as_ref(), Some(&path), "a clean path stays as it is");
    for folder in ["/", "/srv/models", "relative", ""] {
        let joined = Path::new(folder).join(&path);
        assert!(joined.starts_with(folder));
        let below = joined.strip_prefix(folder).expect("it starts with the folder");
        assert!(below.components().all(|component| matches!(component, std::path::Component::Normal(_))));
    }
    // Nothing is invented: the path is what the producer wrote, less what stood around it.
    assert!(bytes.windows(path.len()).any(|window| window == path.as_bytes()));
});
