//! A sink that keeps nothing and checks everything.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read};

use artishim::listing::Listing;
use artishim::packaging::{Entry, Sink};

/// More files, folders and links than any layout may give.
const MAX_MEMBERS: usize = 200_000;

/// Panics where a promise to a [`Sink`] is broken.
#[derive(Default)]
pub struct Checked {
    limit: Option<u64>,
    written: u64,
    /// Every path with its case folded, and whether it is a folder.
    folded: HashMap<String, bool>,
    folders: HashSet<String>,
    files: HashMap<String, u64>,
    links: HashMap<String, String>,
    /// Takes whole blobs without reading them, as a sink with hard links.
    is_linking: bool,
}

impl Checked {
    /// A sink for a layout that may write `limit` bytes.
    pub fn new(limit: Option<u64>, is_linking: bool) -> Self {
        Self { limit, is_linking, ..Self::default() }
    }

    /// Checks the listing of a layout that came to its end.
    pub fn finish(&self, listing: &Listing) {
        assert_eq!(listing.files.len(), self.files.len() + self.links.len());
        for file in &listing.files {
            assert!(self.is_there(&file.path), "{:?} is listed and not there", file.path);
        }
        let chosen = [&listing.entry, &listing.mmproj, &listing.chat_template];
        for path in chosen.into_iter().flatten() {
            let is_folder = path == "." || self.folders.contains(path);
            assert!(is_folder || self.is_there(path), "{path:?} is chosen and not there");
        }
    }

    fn is_there(&self, path: &str) -> bool {
        self.files.contains_key(path) || self.links.contains_key(path)
    }

    fn take(&mut self, path: &str, is_folder: bool) {
        assert_clean(path);
        assert_ne!(fold(path), ".artishim.json", "the marker is nobody's");
        if let Some((parent, _)) = path.rsplit_once('/') {
            assert!(self.folders.contains(parent), "{path:?} comes before its folder");
        }
        assert!(self.folded.insert(fold(path), is_folder).is_none(), "{path:?} is there, perhaps in another case");
        assert!(self.folded.len() <= MAX_MEMBERS);
    }
}

impl Sink for Checked {
    fn directory(&mut self, path: &str) -> io::Result<()> {
        self.take(path, true);
        self.folders.insert(path.to_owned());
        Ok(())
    }

    fn file(&mut self, file: &Entry<'_>, content: &mut dyn Read) -> io::Result<()> {
        assert!(self.links.is_empty(), "{:?} comes after a link", file.path);
        assert!(matches!(file.mode, 0o644 | 0o755), "{:o}", file.mode);
        self.take(file.path, false);
        self.files.insert(file.path.to_owned(), file.size);
        // What is a blob by itself is bounded by its descriptor, and may cost nothing.
        let size = if file.whole { 0 } else { file.size };
        self.written = self.written.checked_add(size).expect("sizes are bounded before they are added");
        assert!(self.limit.is_none_or(|limit| self.written <= limit), "more is written than may be");
        if self.is_linking && file.whole {
            return Ok(());
        }
        let count = io::copy(content, &mut io::sink())?;
        assert_eq!(count, file.size, "{:?}", file.path);
        Ok(())
    }

    fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        self.take(path, false);
        let end = resolve(path, target);
        assert!(self.folders.contains(&end) || self.files.contains_key(&end), "{path:?} leads to {target:?}");
        assert!(!path.starts_with(&format!("{end}/")), "{path:?} leads round to {target:?}");
        self.links.insert(path.to_owned(), target.to_owned());
        Ok(())
    }
}

/// Checks that a path stays inside any folder it is joined to, and harms no terminal.
pub fn assert_clean(path: &str) {
    assert!(path.len() <= 4096, "{} bytes", path.len());
    for component in path.split('/') {
        assert!(!matches!(component, "" | "." | ".."), "{path:?}");
        assert!(component.len() <= 255, "{path:?}");
        assert!(!component.contains(|c: char| c.is_control() || c == '\\'), "{path:?}");
    }
    let drive = path.as_bytes().get(1) == Some(&b':') && path.as_bytes()[0].is_ascii_alphabetic();
    assert!(!drive, "{path:?}");
}

/// Without case, by the mapping of single characters, which file systems use.
pub fn fold(path: &str) -> String {
    path.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

/// Where a link at `path` leads, from the root; every step must stay below it.
fn resolve(path: &str, target: &str) -> String {
    let mut components: Vec<&str> = path.split('/').collect();
    components.pop();
    for component in target.split('/') {
        match component {
            "." => {}
            ".." => assert!(components.pop().is_some(), "{path:?} leads outside: {target:?}"),
            "" => panic!("{path:?} leads to {target:?}"),
            name => components.push(name),
        }
    }
    components.join("/")
}
