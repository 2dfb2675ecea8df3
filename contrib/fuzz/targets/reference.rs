//! What a user types as a reference, or a registry's index holds as a name.

#![no_main]

use artishim::digest::Digest;
use artishim::reference::Reference;
use artishim_fuzz::assert_harmless;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let reference: Reference = match text.parse() {
        Ok(reference) => reference,
        Err(error) => return assert_harmless(&error),
    };
    let full = reference.to_string();
    assert_eq!(full.parse::<Reference>().as_ref().ok(), Some(&reference), "{full:?} is read back");
    assert!(reference.tag().is_some() || reference.digest().is_some());
    // These become a URL and file names.
    let parts = [reference.registry(), reference.repository(), &reference.version(), &reference.name()];
    for part in parts {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-:/".contains(c);
        assert!(!part.is_empty() && part.chars().all(is_plain), "{part:?}");
        assert!(!part.split('/').any(|component| matches!(component, "" | "." | "..")), "{part:?}");
    }
    let digest = Digest::sha256(b"x");
    let pinned = reference.at_digest(&digest);
    assert_eq!(pinned.version(), digest.to_string());
    assert_eq!(pinned.name(), reference.name());
});
