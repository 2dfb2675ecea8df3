//! What a sweep keeps and removes; pure.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use super::error::Result;
use crate::digest::Digest;

/// How long an ingest nobody wants is kept for whoever pulls again.
pub(super) const RESUMABLE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What a manifest or an index lists.
#[derive(Clone, Debug, Default)]
pub(super) struct References {
    /// Blobs that list nothing.
    pub(super) blobs: Vec<Digest>,
    /// Manifests.
    pub(super) children: Vec<Digest>,
}

/// What a sweep finds in the store.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// All blobs with their sizes.
    pub(super) blobs: Vec<(Digest, u64)>,
    /// All snapshots, also half made and half removed ones, with the bytes that are theirs alone.
    pub(super) snapshots: Vec<(Digest, u64)>,
    /// The ingests nobody holds.
    pub(super) ingests: Vec<Staged>,
    /// Names with a leading dot, below the store's root.
    pub(super) temporary: Vec<String>,
}

/// An ingest nobody holds.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) digest: Digest,
    /// The bytes it takes on disk.
    pub(super) bytes: u64,
    /// The time since its last change.
    pub(super) age: Duration,
}

/// What a sweep removed, or would remove.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Blobs that nothing lists.
    pub blobs: Vec<Digest>,
    /// Snapshots, by the digest of their manifest.
    pub snapshots: Vec<Digest>,
    /// Blobs that were fetched in part and that nobody went on with.
    pub ingests: Vec<Digest>,
    /// The bytes of all of them, and of what dead processes left.
    pub bytes: u64,
}

/// All that the roots list, and the roots.
pub(super) fn keep(
    mut roots: Vec<Digest>,
    mut references: impl FnMut(&Digest) -> Result<References>,
) -> Result<HashSet<Digest>> {
    let mut manifests = HashSet::new();
    let mut kept = HashSet::new();
    while let Some(digest) = roots.pop() {
        if manifests.contains(&digest) {
            continue;
        }
        let listed = references(&digest)?;
        kept.extend(listed.blobs);
        roots.extend(listed.children);
        manifests.insert(digest);
    }
    kept.extend(manifests);
    Ok(kept)
}

/// What is to go of `contents`.
pub(super) fn sweep(contents: &Contents, kept: &HashSet<Digest>) -> Swept {
    let present: BTreeSet<&Digest> = contents.blobs.iter().map(|(digest, _)| digest).collect();
    let mut swept = Swept::default();
    for (digest, bytes) in contents.blobs.iter().filter(|(digest, _)| !kept.contains(digest)) {
        swept.blobs.push(digest.clone());
        swept.bytes += bytes;
    }
    for (digest, bytes) in contents.snapshots.iter().filter(|(digest, _)| !kept.contains(digest)) {
        swept.snapshots.push(digest.clone());
        swept.bytes += bytes;
    }
    for staged in &contents.ingests {
        let is_wanted = kept.contains(&staged.digest) || staged.age < RESUMABLE;
        if present.contains(&staged.digest) || !is_wanted {
            swept.ingests.push(staged.digest.clone());
            swept.bytes += staged.bytes;
        }
    }
    swept
}

/// The temporary names that no living lease stands behind.
pub(super) fn abandoned<'a>(temporary: &'a [String], leases: &[String]) -> Vec<&'a str> {
    let is_alive = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or_default();
        leases.iter().any(|id| name.starts_with(&format!(".{id}-")))
    };
    temporary.iter().map(String::as_str).filter(|name| !is_alive(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn digest(name: &str) -> Digest {
        Digest::sha256(name.as_bytes())
    }

    fn digests(names: &str) -> Vec<Digest> {
        names.split_whitespace().map(digest).collect()
    }

    #[test]
    fn roots_keep_what_they_list_and_nothing_else() {
        let table: HashMap<Digest, References> = [
            ("index", "", "m1 m2 absent"),
            ("m1", "config layer1 shared", ""),
            ("m2", "config shared", ""),
            ("m3", "layer3 shared", ""),
            ("loop", "", "loop"),
        ]
        .map(|(name, blobs, children)| {
            (digest(name), References { blobs: digests(blobs), children: digests(children) })
        })
        .into();
        let cases = [
            ("", ""),
            ("m1", "m1 config layer1 shared"),
            ("m1 m3", "m1 m3 config layer1 layer3 shared"),
            ("index", "index m1 m2 absent config layer1 shared"),
            ("plain", "plain"),
            ("plain plain m2", "plain m2 config shared"),
            ("loop", "loop"),
        ];
        for (roots, expected) in cases {
            let kept = keep(digests(roots), |digest| Ok(table.get(digest).cloned().unwrap_or_default())).unwrap();
            assert_eq!(kept, digests(expected).into_iter().collect(), "{roots}");
        }
    }

    #[test]
    fn an_ingest_is_kept_while_it_is_wanted_or_young() {
        let (young, old) = (Duration::from_secs(1), RESUMABLE);
        let cases = [
            ("other", "", young, false),
            ("other", "", old, true),
            ("other", "wanted", old, true),
            ("other wanted", "wanted", old, false),
            ("here", "here", young, true),
        ];
        for (present_and_kept, kept, age, goes) in cases {
            let name = present_and_kept.split(' ').next_back().unwrap();
            let contents = Contents {
                blobs: vec![(digest("here"), 1)],
                ingests: vec![Staged { digest: digest(name), bytes: 5, age }],
                ..Contents::default()
            };
            let kept = digests(&format!("{kept} here")).into_iter().collect();
            let swept = sweep(&contents, &kept);
            assert_eq!(!swept.ingests.is_empty(), goes, "{present_and_kept} {kept:?}");
            assert_eq!(swept.bytes, if goes { 5 } else { 0 });
        }
    }

    #[test]
    fn the_temporary_files_of_living_processes_stay() {
        let names = ["a/.12-3-0", "b/.12-3-1.json", "a/.1-3-0", "a/.12-30-0", "a/.trash-x"].map(str::to_owned);
        assert_eq!(abandoned(&names, &["12-3".to_owned()]), ["a/.1-3-0", "a/.12-30-0", "a/.trash-x"]);
    }
}
