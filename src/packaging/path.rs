//! The one place where a producer's names become paths, and where paths are checked against each other.

use std::collections::HashMap;

use crate::listing::MARKER;

use super::Error;

/// What Linux, macOS and Windows all take for one component.
const MAX_COMPONENT_BYTES: usize = 255;
/// As much of a refused path as an error's line has room for.
const MAX_SHOWN_CHARACTERS: usize = 1000;
/// Linux's PATH_MAX, less room for the folder it is joined to.
pub(super) const MAX_PATH_BYTES: usize = 3072;
/// The most bytes of all paths together, those of folders among them: 160 for each of as many files as may be.
pub(super) const MAX_NAME_BYTES: usize = 32 * 1024 * 1024;

/// Turns a producer's name into a relative path that stays inside any folder it is joined to.
///
/// A leading `./` (any tar made of `.`) and leading `../` (what some producers write for an absolute path) are
/// dropped, and one trailing slash. Everything else that could leave the folder is refused.
pub(super) fn sanitise(raw: &str) -> Result<String, Error> {
    let path = trim(raw);
    match broken_rule(path) {
        Some(reason) => Err(Error::Path { path: raw.chars().take(MAX_SHOWN_CHARACTERS).collect(), reason }),
        None => Ok(path.to_owned()),
    }
}

/// As [`sanitise`], for the bytes of a tar header.
pub(super) fn sanitise_bytes(raw: &[u8]) -> Result<String, Error> {
    sanitise(text(raw)?)
}

/// The bytes of a tar header as text.
pub(super) fn text(raw: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(raw)
        .map_err(|_| Error::Path { path: String::from_utf8_lossy(raw).into_owned(), reason: "is not UTF-8" })
}

/// The last component.
pub(super) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Everything before the last component, without its slash; empty for a path of one component.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// `parent/name`, or `name` where the parent is the root.
pub(super) fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") }
}

/// The folders above `path`, outermost first.
pub(super) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(end, _)| &path[..end])
}

/// What of `path` is below `folder`; all of it for the root.
pub(super) fn below<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    if folder.is_empty() { Some(path) } else { path.strip_prefix(folder)?.strip_prefix('/') }
}

/// The target of a link at `link` that leads to `target`, both from the root.
pub(super) fn relative(link: &str, target: &str) -> String {
    let mut from: Vec<&str> = parent(link).split('/').filter(|component| !component.is_empty()).collect();
    let mut to: Vec<&str> = target.split('/').filter(|component| !component.is_empty()).collect();
    let common = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
    from.drain(..common);
    to.drain(..common);
    let steps: Vec<&str> = from.iter().map(|_| "..").chain(to).collect();
    if steps.is_empty() { String::from(".") } else { steps.join("/") }
}

fn trim(raw: &str) -> &str {
    let mut path = raw;
    while let Some(rest) = path.strip_prefix("./") {
        path = rest;
    }
    while let Some(rest) = path.strip_prefix("../") {
        path = rest;
    }
    path.strip_suffix('/').unwrap_or(path)
}

fn broken_rule(path: &str) -> Option<&'static str> {
    let bytes = path.as_bytes();
    if path.is_empty() {
        return Some("is empty");
    }
    if path.starts_with('/') {
        return Some("is absolute");
    }
    if path.len() > MAX_PATH_BYTES {
        return Some("is too long");
    }
    if bytes.len() > 1 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':' {
        return Some("starts with a drive letter");
    }
    path.split('/').find_map(broken_component)
}

fn broken_component(component: &str) -> Option<&'static str> {
    match component {
        "" => Some("has an empty component"),
        "." => Some("has a `.` component"),
        ".." => Some("has a `..` component"),
        _ if component.len() > MAX_COMPONENT_BYTES => Some("has a component of more than 255 bytes"),
        _ if component.contains('\\') => Some("has a backslash"),
        _ if component.contains(char::is_control) => Some("has a control character"),
        _ => None,
    }
}

/// The paths of one layout, compared without case, so that a snapshot is the same on every file system.
pub(super) struct Tree {
    nodes: HashMap<String, Node>,
    name_bytes: usize,
}

struct Node {
    path: String,
    is_directory: bool,
}

impl Tree {
    /// A tree that holds only the name of our own marker, which no artifact may take.
    pub(super) fn new() -> Self {
        let marker = Node { path: MARKER.to_owned(), is_directory: false };
        Self { nodes: HashMap::from([(fold(MARKER), marker)]), name_bytes: 0 }
    }

    /// Takes the file `path`; the folders that are new with it, outermost first.
    ///
    /// No path comes to a sink but through here, so this is where it is looked at last: it may have been put together
    /// from parts that were sanitised, or from a media type.
    pub(super) fn add(&mut self, path: &str) -> Result<Vec<String>, Error> {
        if let Some(reason) = broken_rule(path) {
            return Err(Error::Path { path: path.to_owned(), reason });
        }
        let mut directories = Vec::new();
        // Most files lie beside another one; to look up each folder of a deep path takes as long as the path squared.
        let is_new = !self.is_directory(parent(path));
        for directory in ancestors(path).filter(|_| is_new) {
            match self.nodes.get(&fold(directory)) {
                None => {
                    self.insert(directory, true)?;
                    directories.push(directory.to_owned());
                }
                Some(node) if node.is_directory && node.path == directory => {}
                Some(node) => return Err(collision(path, node)),
            }
        }
        if let Some(node) = self.nodes.get(&fold(path)) {
            return Err(collision(path, node));
        }
        self.insert(path, false)?;
        Ok(directories)
    }

    /// Whether `path` is a folder here.
    pub(super) fn is_directory(&self, path: &str) -> bool {
        self.nodes.get(&fold(path)).is_some_and(|node| node.is_directory && node.path == path)
    }

    /// Whether `path` is a file here.
    pub(super) fn is_file(&self, path: &str) -> bool {
        self.nodes.get(&fold(path)).is_some_and(|node| !node.is_directory && node.path == path)
    }

    fn insert(&mut self, path: &str, is_directory: bool) -> Result<(), Error> {
        self.name_bytes += path.len();
        if self.name_bytes > MAX_NAME_BYTES {
            return Err(Error::TooManyNames { limit: MAX_NAME_BYTES });
        }
        self.nodes.insert(fold(path), Node { path: path.to_owned(), is_directory });
        Ok(())
    }
}

/// Without case, character by character: a lower-case text has two small sigmas, which file systems take for one.
fn fold(path: &str) -> String {
    if path.is_ascii() {
        return path.to_ascii_lowercase();
    }
    path.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

fn collision(path: &str, node: &Node) -> Error {
    Error::Collision { path: path.to_owned(), other: node.path.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_stay_inside_are_taken() {
        let deep = "d/".repeat(1000) + "f";
        let cases = [
            ("model.gguf", "model.gguf"),
            ("unet/model.safetensors", "unet/model.safetensors"),
            ("./a/b", "a/b"),
            ("././a", "a"),
            ("../../home/me/model.gguf", "home/me/model.gguf"),
            ("folder/", "folder"),
            ("a..b", "a..b"),
            ("..a/...", "..a/..."),
            ("ein Modell äöü.gguf", "ein Modell äöü.gguf"),
            (deep.as_str(), deep.as_str()),
        ];
        for (raw, path) in cases {
            assert_eq!(sanitise(raw).unwrap(), path, "{raw}");
        }
    }

    #[test]
    fn paths_that_could_do_harm_are_refused() {
        let long = "x".repeat(256);
        let deep = "d/".repeat(2000) + "f";
        let cases = [
            ("", "is empty"),
            ("./", "is empty"),
            ("../", "is empty"),
            (".", "has a `.` component"),
            ("..", "has a `..` component"),
            ("/etc/passwd", "is absolute"),
            ("..//etc/passwd", "is absolute"),
            ("a/../../etc/passwd", "has a `..` component"),
            (".././../etc", "has a `.` component"),
            ("a/..", "has a `..` component"),
            ("a/./b", "has a `.` component"),
            ("a//b", "has an empty component"),
            ("a\\b", "has a backslash"),
            ("C:model", "starts with a drive letter"),
            ("c:/x", "starts with a drive letter"),
            ("a\0b", "has a control character"),
            ("a\nb", "has a control character"),
            ("a\u{1b}[2Jb", "has a control character"),
            ("a\u{9b}2Jb", "has a control character"),
            (long.as_str(), "has a component of more than 255 bytes"),
            (deep.as_str(), "is too long"),
        ];
        for (raw, expected) in cases {
            let Err(Error::Path { reason, .. }) = sanitise(raw) else { panic!("{raw:?} was taken") };
            assert_eq!(reason, expected, "{raw:?}");
        }
        assert!(matches!(sanitise_bytes(b"a\xff"), Err(Error::Path { reason: "is not UTF-8", .. })));
    }

    #[test]
    fn files_that_cannot_stand_side_by_side_collide() {
        let cases: [(&[&str], bool); 11] = [
            (&["a", "b", "c/a", "c/b"], true),
            (&["a", "a"], false),
            (&["a", "A"], false),
            (&["a", "a/b"], false),
            (&["a/b", "a"], false),
            (&["a/b", "A/c"], false),
            (&["Ä", "ä"], false),
            (&["ΛΟΓΟΣ", "λογοσ"], false),
            (&["ſ", "s"], false),
            (&[".artishim.json"], false),
            (&["sub/.artishim.json"], true),
        ];
        for (paths, fits) in cases {
            let mut tree = Tree::new();
            let result: Result<Vec<_>, _> = paths.iter().map(|path| tree.add(path)).collect();
            assert_eq!(result.is_ok(), fits, "{paths:?}");
        }
    }

    #[test]
    fn every_path_is_looked_at_where_it_joins_the_others() {
        for path in ["", "/etc/x", "../x", "a/../x", "a/", "C:x", "a\nb"] {
            assert!(matches!(Tree::new().add(path), Err(Error::Path { .. })), "{path:?}");
        }
    }

    #[test]
    fn the_names_of_all_folders_together_are_bounded() {
        let mut tree = Tree::new();
        let deep = "d/".repeat(1500);
        let mut results = (0..100).map(|index| tree.add(&format!("{index}/{deep}f")));
        assert!(results.by_ref().take(2).all(|result| result.is_ok()));
        assert!(results.any(|result| matches!(result, Err(Error::TooManyNames { .. }))));
    }

    #[test]
    fn many_files_in_one_deep_folder_are_taken_soon() {
        let mut tree = Tree::new();
        let deep = "ä/".repeat(1000);
        let start = std::time::Instant::now();
        for index in 0..2_000 {
            tree.add(&format!("{deep}{index}")).unwrap();
        }
        assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    }

    #[test]
    fn links_are_written_relative_to_their_folder() {
        let cases = [
            ("model.file", "tiny/tiny", "tiny/tiny"),
            ("a/b/link", "a/c", "../c"),
            ("a/b/link", "x", "../../x"),
            ("a/link", "a/file", "file"),
            ("link", "file", "file"),
        ];
        for (link, target, written) in cases {
            assert_eq!(relative(link, target), written, "{link} -> {target}");
        }
    }

    #[test]
    fn new_folders_are_named_once_and_outermost_first() {
        let mut tree = Tree::new();
        assert_eq!(tree.add("a/b/c").unwrap(), ["a", "a/b"]);
        assert!(tree.add("a/b/d").unwrap().is_empty());
        assert!(tree.is_directory("a/b") && !tree.is_directory("a/b/c"));
    }
}
