//! The model's folder out of the layers of an image.
//!
//! Layers are read from the top down, so that nothing sent ever has to be undone: what an upper layer holds, or marks
//! as removed, hides what lower ones have under that name. `/models` is taken as the root; only if no layer has a file
//! there, the layers are read a second time: for `/model`, or for all there is where there are weights and no system, as
//! in LocalAI's images.
//!
//! Symbolic links are made after all files, relative and straight to the file they end at. One that ends outside the
//! folder, or nowhere, is left out: with only the folder taken it can lead to nothing, and images have many such. A
//! hard link becomes a symbolic one; one to content outside the folder is an error, because a file would be missing.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::manifest::Descriptor;

use super::archive::{self, Member};
use super::error::At;
use super::layout::Open;
use super::output::{Entry, Output};
use super::promise::Account;
use super::{Error, Piece, path};

/// image-spec, layer.md: a file of this prefix removes its namesake in lower layers.
const WHITEOUT: &str = ".wh.";
/// image-spec, layer.md: everything in the folder is removed in lower layers.
const OPAQUE: &str = ".wh..wh..opq";
/// As many links after each other as Linux follows.
const MAX_HOPS: usize = 40;
/// The most bytes of paths that are looked up to find where all links end: 300 for each of as many links as may be.
const MAX_FOLLOWED_BYTES: usize = 64 * 1024 * 1024;

const ROOTS: [&str; 2] = ["models", "model"];
/// The root of an image that holds nothing but a model.
const ALL: &str = "";
/// Folders that tell an image with a system.
const SYSTEM: [&str; 6] = ["bin", "etc", "lib", "sbin", "usr", "var"];
/// Names that tell a model in an image without one.
const WEIGHTS: [&str; 4] = [".gguf", ".safetensors", ".onnx", ".dduf"];

pub(super) fn lay_out(pieces: &[Piece], open: Open<'_>, output: &mut Output<'_>) -> Result<(), Error> {
    let mut root = ROOTS[0];
    loop {
        let mut walk = Walk::new(root);
        for (index, piece) in pieces.iter().enumerate().rev() {
            let blob = open(&piece.blob).reading(&piece.blob)?;
            let (format, blob) = archive::peek(blob).reading(&piece.blob)?;
            let mut account = Account::of_layer(piece);
            let mut visit = |member: &mut Member<'_>| walk.member(member, index, &mut account, output);
            archive::read(&piece.blob, None, format, blob, &mut visit)?;
            walk.shadow.finish_layer();
        }
        if !walk.files.is_empty() {
            return walk.make_links(output);
        }
        root = match root {
            "models" if walk.has_other_root => ROOTS[1],
            "models" | "model" if walk.has_weights && !walk.has_system => ALL,
            _ => return Err(Error::NoModels),
        };
    }
}

/// One reading of all layers.
struct Walk<'a> {
    root: &'static str,
    shadow: Shadow,
    /// Files sent and links kept, by path in the image, with the layer they are from.
    files: HashMap<String, usize>,
    links: Vec<Link<'a>>,
    has_other_root: bool,
    has_system: bool,
    has_weights: bool,
}

/// A link below the root, both ends from the root.
struct Link<'a> {
    path: String,
    target: String,
    layer: &'a Descriptor,
}

impl<'a> Walk<'a> {
    fn new(root: &'static str) -> Self {
        let (shadow, files, links) = (Shadow::default(), HashMap::new(), Vec::new());
        Self { root, shadow, files, links, has_other_root: false, has_system: false, has_weights: false }
    }

    fn member(
        &mut self,
        member: &mut Member<'_>,
        index: usize,
        account: &mut Account<'a>,
        output: &mut Output<'_>,
    ) -> Result<(), Error> {
        let layer = account.blob;
        let Some(path) = self.place(&member.path)? else { return Ok(()) };
        let is_hidden = self.shadow.take_marker(&path) || self.shadow.hides(&path, member.kind.is_dir());
        // A file is counted when it is sent; all else is kept here, or takes time to be found hidden.
        if is_hidden || !member.kind.is_file() {
            output.keep(path.len() + member.target.len())?;
        }
        if is_hidden {
            return Ok(());
        }
        match member.kind {
            tar::EntryType::Directory => self.shadow.found.push(Found::Directory(path)),
            _ if path == self.root => self.shadow.found.push(Found::Other(path)),
            tar::EntryType::Regular | tar::EntryType::Continuous => self.file(path, index, member, account, output)?,
            tar::EntryType::Symlink => {
                let target = self.resolve(path::parent(&path), &member.target);
                self.keep_link(path, target, layer);
            }
            tar::EntryType::Link => self.hard_link(path, index, member, layer)?,
            kind => {
                let kind = archive::name_of(kind);
                return Err(Error::Special { blob: layer.digest.clone(), path, kind });
            }
        }
        Ok(())
    }

    /// The path in the image, without a leading slash; none for what is neither the root nor below it.
    fn place(&mut self, raw: &[u8]) -> Result<Option<String>, Error> {
        let text = String::from_utf8_lossy(raw);
        let path = clean(&text);
        let is_ours = match path.split_once('/') {
            _ if self.root == ALL => !path.is_empty(),
            Some((first, _)) => first == self.root,
            None => path == self.root || path == OPAQUE || path.strip_prefix(WHITEOUT) == Some(self.root),
        };
        if is_ours {
            path::text(raw)?;
            return path::sanitise(path).map(Some);
        }
        self.has_other_root |= ROOTS.iter().any(|root| path::below(path, root).is_some());
        self.has_system |= SYSTEM.iter().any(|folder| path::below(path, folder).is_some());
        self.has_weights |= WEIGHTS.iter().any(|end| path.ends_with(end));
        Ok(None)
    }

    fn file(
        &mut self,
        path: String,
        index: usize,
        member: &mut Member<'_>,
        account: &mut Account<'_>,
        output: &mut Output<'_>,
    ) -> Result<(), Error> {
        let below = path::below(&path, self.root).unwrap_or(&path);
        let file = Entry { path: below, size: member.size, mode: member.mode, blob: account.blob, whole: false };
        let mut content = account.take(&path, member.size, &mut *member.content)?;
        output.file(&file, None, &mut content)?;
        account.settle(&path, content)?;
        self.shadow.found.push(Found::Other(path.clone()));
        self.files.insert(path, index);
        Ok(())
    }

    /// Takes a link to a path from the root; none leads outside, and only hides what is below.
    fn keep_link(&mut self, path: String, target: Option<String>, layer: &'a Descriptor) {
        if let (Some(below), Some(target)) = (path::below(&path, self.root), target) {
            self.links.push(Link { path: below.to_owned(), target, layer });
        }
        self.shadow.found.push(Found::Other(path));
    }

    /// A hard link's target stands before it in the same layer: the same path from a higher layer is another file.
    fn hard_link(
        &mut self,
        path: String,
        index: usize,
        member: &Member<'_>,
        layer: &'a Descriptor,
    ) -> Result<(), Error> {
        let target = String::from_utf8_lossy(&member.target);
        let target = clean(&target);
        if self.files.get(target) != Some(&index) {
            return Err(Error::HardLink { blob: layer.digest.clone(), path, target: target.to_owned() });
        }
        let target = path::below(target, self.root).map(str::to_owned);
        self.files.insert(path.clone(), index);
        self.keep_link(path, target, layer);
        Ok(())
    }

    /// The target of a link in `folder` of the image, from our root; none if it is not below, or no path by its length.
    fn resolve(&self, folder: &str, target: &[u8]) -> Option<String> {
        let target = std::str::from_utf8(target).ok().filter(|target| target.len() <= path::MAX_PATH_BYTES)?;
        let mut components: Vec<&str> = if target.starts_with('/') { Vec::new() } else { folder.split('/').collect() };
        for component in target.split('/') {
            match component {
                "" | "." => {}
                ".." => drop(components.pop()),
                name => components.push(name),
            }
        }
        match components.split_first() {
            _ if self.root == ALL => Some(components.join("/")),
            Some((first, below)) if *first == self.root => Some(below.join("/")),
            _ => None,
        }
    }

    fn make_links(&self, output: &mut Output<'_>) -> Result<(), Error> {
        let targets: HashMap<&str, &str> =
            self.links.iter().map(|link| (link.path.as_str(), link.target.as_str())).collect();
        let mut followed = 0;
        for link in &self.links {
            let end = follow(&link.target, &targets, &mut followed);
            if followed > MAX_FOLLOWED_BYTES {
                return Err(Error::TooManyLinks);
            }
            let Some(end) = end else { continue };
            // A link to a folder it is in would make every walk through the files endless.
            if output.has(&end) && path::below(&link.path, &end).is_none() {
                output.link(&link.path, &end, link.layer)?;
            }
        }
        Ok(())
    }
}

/// Without the leading `./` and `/` and the trailing slash that tars of images have.
fn clean(raw: &str) -> &str {
    let mut path = raw;
    while let Some(rest) = path.strip_prefix("./").or_else(|| path.strip_prefix('/')) {
        path = rest;
    }
    path.trim_end_matches('/')
}

/// Where `start` ends if every link on the way is followed; none for a circle. `followed` grows by the bytes looked up.
fn follow(start: &str, links: &HashMap<&str, &str>, followed: &mut usize) -> Option<String> {
    let mut end = String::new();
    let mut rest: Vec<&str> = start.rsplit('/').collect();
    let mut hops = 0;
    while let Some(component) = rest.pop() {
        let here = path::join(&end, component);
        *followed += here.len();
        let Some(target) = links.get(here.as_str()) else {
            end = here;
            continue;
        };
        hops += 1;
        if hops > MAX_HOPS {
            return None;
        }
        end.clear();
        rest.extend(target.rsplit('/').filter(|component| !component.is_empty()));
    }
    Some(end)
}

/// What upper layers hide of lower ones; all paths are from the root of the image.
#[derive(Default)]
struct Shadow {
    /// Found in the layer being read; a layer hides nothing of itself.
    found: Vec<Found>,
    /// Folders that were members; those above what is covered are folders, too.
    directories: HashSet<String>,
    /// Files, links and removed names: nothing at or below them shows through.
    covered: BTreeSet<String>,
    /// Nothing below these shows through.
    opaque: HashSet<String>,
}

enum Found {
    Directory(String),
    Other(String),
    Opaque(String),
}

impl Shadow {
    /// Takes `path` if it is a marker of removal.
    fn take_marker(&mut self, path: &str) -> bool {
        let (parent, name) = (path::parent(path), path::base_name(path));
        if name == OPAQUE {
            self.found.push(Found::Opaque(parent.to_owned()));
            return true;
        }
        let Some(removed) = name.strip_prefix(WHITEOUT) else { return false };
        self.found.push(Found::Other(path::join(parent, removed)));
        true
    }

    fn hides(&self, path: &str, is_directory: bool) -> bool {
        self.opaque.contains("")
            || self.covered.contains(path)
            || (!is_directory && self.has_directory(path))
            || path::ancestors(path).any(|folder| self.covered.contains(folder) || self.opaque.contains(folder))
    }

    fn has_directory(&self, path: &str) -> bool {
        let covered = self.covered.range(format!("{path}/")..).next();
        self.directories.contains(path) || covered.is_some_and(|covered| path::below(covered, path).is_some())
    }

    fn finish_layer(&mut self) {
        for found in self.found.drain(..) {
            match found {
                Found::Opaque(path) => drop(self.opaque.insert(path)),
                Found::Directory(path) => drop(self.directories.insert(path)),
                Found::Other(path) => drop(self.covered.insert(path)),
            }
        }
    }
}
