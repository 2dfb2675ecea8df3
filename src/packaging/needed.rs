//! What an inference server needs of an artifact, told by names before anything is pulled.
//!
//! The rules are those of [`super::entry`], which tells files by their first bytes; here a name stands for them, and
//! only where names leave the entry open, blobs whose names tell nothing are looked into.

use std::collections::{BTreeSet, HashSet};

use crate::manifest::Descriptor;

use super::entry::{self, Known, Shard};
use super::path::{base_name, below, parent};
use super::telling::Heads;
use super::{Error, Piece, Plan, Role, Selection};

/// How many blobs are looked into, the largest ones: a model is large.
const MAX_LOOKS: usize = 16;
/// Weights that a loader of safetensors does not read.
const OTHER_WEIGHTS: [&str; 14] = [
    ".bin",
    ".ckpt",
    ".dduf",
    ".gguf",
    ".h5",
    ".mlmodel",
    ".msgpack",
    ".npz",
    ".onnx",
    ".onnx_data",
    ".ot",
    ".pt",
    ".pth",
    ".tflite",
];
/// Files for people, and data that a model was made of.
const FOR_PEOPLE: [&str; 11] =
    [".md", ".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".mp4", ".pdf", ".csv", ".parquet"];

/// What a user asks for of an artifact's files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The files that come into question.
    pub files: Selection,
    /// Of these, only what a server needs.
    pub entry_only: bool,
    /// The file or folder it is started with; else the one that stands out.
    pub entry: Option<String>,
}

/// The answer to a [`Request`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needed {
    /// These files.
    Files(Selection),
    /// It takes the first eight bytes of these blobs to tell.
    Look(Vec<Descriptor>),
}

impl Request {
    /// The files of `plan` that are asked for, as far as the first bytes in `heads` tell.
    pub fn needed(&self, plan: &Plan, heads: &Heads) -> Result<Needed, Error> {
        if !self.entry_only {
            return Ok(Needed::Files(self.files.clone()));
        }
        let plan = plan.clone().select(&self.files)?;
        let files = known(&plan, heads)?;
        let choice = entry::choose(&files, plan.packaging, plan.entry.as_deref());
        let looks = if self.entry.is_none() { looks(&plan, heads) } else { Vec::new() };
        if choice.entry.as_deref().is_none_or(entry::is_beside) && !looks.is_empty() {
            return Ok(Needed::Look(looks));
        }
        let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        let entry = match (&self.entry, &choice.entry) {
            (Some(text), _) => entry::find(&paths, text)?,
            (None, Some(entry)) => entry.clone(),
            (None, None) => entry::only(&paths)?.to_owned(),
        };
        let mut wanted = company(&entry, &files)?;
        wanted.extend([&choice.mmproj, &choice.chat_template].into_iter().flatten().map(String::as_str));
        Selection::of_paths(wanted).map(Needed::Files)
    }
}

fn ends_with_any(path: &str, endings: &[&str]) -> bool {
    endings.iter().any(|ending| path.ends_with(ending))
}

/// The files as if they were laid out.
fn known(plan: &Plan, heads: &Heads) -> Result<Vec<Known>, Error> {
    let known = |piece: &Piece| Ok(piece.presume(piece.presumed_path().ok_or(Error::Packed)?, heads));
    plan.pieces.iter().map(known).collect()
}

/// The blobs worth a look: files whose names and types tell nothing.
fn looks(plan: &Plan, heads: &Heads) -> Vec<Descriptor> {
    let untold = plan.pieces.iter().filter(|piece| piece.is_untold());
    let mut blobs: Vec<&Descriptor> = untold.map(|piece| &piece.blob).collect();
    blobs.sort_by_key(|blob| std::cmp::Reverse(blob.size));
    blobs.into_iter().take(MAX_LOOKS).filter(|blob| !heads.contains_key(&blob.digest)).cloned().collect()
}

/// The files that go with the entry: its parts, or what a loader reads in a folder.
fn company<'a>(entry: &str, files: &'a [Known]) -> Result<BTreeSet<&'a str>, Error> {
    let Some(file) = files.iter().find(|file| file.path == entry) else {
        return Ok(folder(entry, files));
    };
    let Some(shard) = Shard::parse(&file.path) else { return Ok([file.path.as_str()].into()) };
    (1..=shard.count)
        .map(|index| {
            let path = entry::shard_path(shard.stem, index, shard.count);
            let part = files.iter().find(|file| file.path == path);
            part.map(|file| file.path.as_str()).ok_or(Error::MissingShard { path })
        })
        .collect()
}

fn folder<'a>(entry: &str, files: &'a [Known]) -> BTreeSet<&'a str> {
    let root = if entry == "." { "" } else { entry };
    let inside: Vec<&Known> = files.iter().filter(|file| below(&file.path, root).is_some()).collect();
    let is_diffusers = inside.iter().any(|file| below(&file.path, root) == Some("model_index.json"));
    let weighted: HashSet<&str> =
        inside.iter().map(|file| file.path.as_str()).filter(|path| is_safetensors(path)).map(parent).collect();
    let is_read = |file: &Known| match file.path.as_str() {
        path if base_name(path).starts_with('.') || ends_with_any(path, &FOR_PEOPLE) => false,
        path if is_safetensors(path) => is_diffusers || parent(path) == root,
        // Diffusers takes other weights for a part of the pipeline that has no safetensors.
        path if ends_with_any(path, &OTHER_WEIGHTS) => is_diffusers && !weighted.contains(parent(path)),
        _ => file.role != Some(Role::Licence),
    };
    inside.into_iter().filter(|file| is_read(file)).map(|file| file.path.as_str()).collect()
}

fn is_safetensors(path: &str) -> bool {
    path.ends_with(".safetensors")
}
