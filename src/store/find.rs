//! Which entry of the index a text means; pure.

use std::collections::BTreeSet;

use super::error::{Error, Result};
use super::index::Entry;
use crate::digest::Digest;
use crate::manifest::Descriptor;
use crate::media;
use crate::reference::Reference;

/// The shortest piece of a digest that is taken for one, as in podman and docker.
pub const SHORTEST_PREFIX: usize = 4;

/// The entry that `text` means, the most literal reading first.
pub(super) fn find(entries: &[Entry], text: &str) -> Result<Entry> {
    let by_name =
        |name: &str| entries.iter().find(|entry| entry.name.as_deref() == Some(name) && is_honest(entry, name));
    if let Some(entry) = by_name(text) {
        return Ok(entry.clone());
    }
    if let Ok(reference) = text.parse::<Reference>() {
        let pinned = || reference.digest().and_then(|digest| by_pin(entries, &reference, digest));
        if let Some(entry) = by_name(&reference.to_string()).or_else(pinned) {
            return Ok(entry.clone());
        }
    }
    by_digest(entries, text)
}

/// Whether a name that has a digest stands for that: other programs may have written it.
fn is_honest(entry: &Entry, name: &str) -> bool {
    let pinned = name.parse::<Reference>().ok().and_then(|reference| reference.digest().cloned());
    pinned.is_none_or(|digest| stands_for(&entry.descriptor, &digest))
}

/// Whether a digest is the manifest's own, or of the index that it was chosen from.
pub(super) fn stands_for(manifest: &Descriptor, digest: &Digest) -> bool {
    manifest.digest == *digest || manifest.annotation(media::CHOSEN_FROM) == Some(digest.to_string().as_str())
}

/// The entry of the reference's repository at `digest`, whatever its tag; the same tag is preferred.
fn by_pin<'a>(entries: &'a [Entry], wanted: &Reference, digest: &Digest) -> Option<&'a Entry> {
    let named: Vec<(Reference, &Entry)> = entries
        .iter()
        .filter(|entry| entry.descriptor.digest == *digest)
        .filter_map(|entry| Some((entry.name.as_deref()?.parse().ok()?, entry)))
        .filter(|(name, _): &(Reference, _)| name.name() == wanted.name())
        .collect();
    let same_tag = named.iter().find(|(name, _)| name.tag() == wanted.tag());
    same_tag.or(named.first()).map(|(_, entry)| *entry)
}

fn by_digest(entries: &[Entry], text: &str) -> Result<Entry> {
    let not_found = || Error::NotFound { text: text.to_owned() };
    let (algorithm, hex) = text.split_once(':').map_or((None, text), |(algorithm, hex)| (Some(algorithm), hex));
    let is_hex = hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if hex.len() < SHORTEST_PREFIX || !is_hex {
        return Err(not_found());
    }
    let is_meant = |digest: &Digest| {
        algorithm.is_none_or(|algorithm| algorithm == digest.algorithm().as_str()) && digest.hex().starts_with(hex)
    };
    let meant: Vec<&Entry> = entries.iter().filter(|entry| is_meant(&entry.descriptor.digest)).collect();
    let digests: BTreeSet<&Digest> = meant.iter().map(|entry| &entry.descriptor.digest).collect();
    if digests.len() > 1 {
        let show = |entry: &&Entry| entry.name.clone().unwrap_or_else(|| entry.descriptor.digest.to_string());
        return Err(Error::Ambiguous { text: text.to_owned(), names: meant.iter().map(show).collect() });
    }
    meant.first().map(|&entry| entry.clone()).ok_or_else(not_found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, digest: &Digest) -> Entry {
        let name = Some(name.to_owned()).filter(|name| !name.is_empty());
        Entry { name, descriptor: Descriptor::new(media::OCI_MANIFEST, digest.clone(), 1) }
    }

    fn digest(hex: &str) -> Digest {
        format!("sha256:{hex:0<64}").parse().unwrap()
    }

    #[test]
    fn the_most_literal_reading_wins() {
        let (one, two, three) = (digest("abcd1"), digest("abcd2"), digest("beef"));
        let entries = [
            entry("quay.io/acme/llama:8b", &one),
            entry("docker.io/library/gemma:latest", &two),
            entry("beef", &two),
            entry("", &three),
            entry("quay.io/acme/llama:also", &one),
            entry("docker.io/library/abcd:latest", &three),
        ];
        let pinned = |name: &str, digest: &Digest| format!("{name}@{digest}");
        let cases = [
            (String::from("quay.io/acme/llama:8b"), Some(0)),
            (String::from("oci://quay.io/acme/llama:8b"), Some(0)),
            (String::from("gemma"), Some(1)),
            (String::from("gemma:latest"), Some(1)),
            (String::from("beef"), Some(2)),
            (pinned("quay.io/acme/llama", &one), Some(0)),
            (pinned("quay.io/acme/llama:also", &one), Some(4)),
            (pinned("quay.io/acme/llama:gone", &one), Some(0)),
            (pinned("quay.io/acme/llama:8b", &two), None),
            (one.to_string(), Some(0)),
            (three.to_string(), Some(3)),
            (String::from("abcd1"), Some(0)),
            (String::from("sha256:abcd2"), Some(1)),
            (String::from("sha512:abcd2"), None),
            (String::from("abcd"), Some(5)),
            (String::from("bee"), None),
            (String::from("ABCD1"), None),
            (String::from("quay.io/acme/other:8b"), None),
            (String::new(), None),
        ];
        for (text, expected) in cases {
            let found = find(&entries, &text).ok();
            assert_eq!(found.as_ref(), expected.map(|index: usize| &entries[index]), "{text}");
        }
    }

    #[test]
    fn a_prefix_of_several_digests_names_them_all() {
        let entries = [entry("quay.io/a:1", &digest("abcd1")), entry("", &digest("abcd2"))];
        let error = find(&entries, "abcd").unwrap_err();
        let text = format!("abcd could be any of quay.io/a:1, {}", digest("abcd2"));
        assert_eq!(error.to_string(), text);
        assert_eq!(find(&entries, "nothing").unwrap_err().to_string(), "nothing: artifact does not exist");
    }
}
