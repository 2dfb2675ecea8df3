//! Which file an inference server is started with, and what belongs beside it.
//!
//! In order: `model.file` of an image; what the producer calls the model; the one GGUF; part 1 of a complete split GGUF; the folder a loader of
//! safetensors takes, nearest to the root; a single weights file. GGUF is told by content, not by name: images built
//! from Ollama's store hold it without any ending.

use std::collections::{BTreeSet, HashSet};

use crate::digest::Digest;
use crate::listing::Listing;

use super::path::{base_name, below, parent};
use super::{Error, Packaging, Role};

/// The name RamaLama and ai-lab-recipes give to the model in an image.
const MODEL_FILE: &str = "model.file";
/// GGUF files with these words in their name go with a model and are none.
const BESIDE: [&str; 5] = ["mmproj", "adapter", "lora", "draft", "imatrix"];
/// Files that are a whole model.
const SINGLE: [&str; 3] = [".safetensors", ".dduf", ".onnx"];
/// Jinja templates by name. `chat_template` alone may be Ollama's Go template, RamaLama puts its translation beside it.
/// `chat_template.json` is transformers' wrapping of one.
const TEMPLATES: [&str; 4] = ["chat_template.jinja", "template.jinja", "chat_template.json", "chat_template_converted"];

/// A laid-out file with what was seen of it as it went by.
pub(super) struct Known {
    pub(super) path: String,
    pub(super) size: u64,
    pub(super) blob: Digest,
    /// The first bytes; those of the target for a link.
    pub(super) head: Vec<u8>,
    pub(super) role: Option<Role>,
    /// The file or folder a link leads to, from the root.
    pub(super) target: Option<String>,
}

impl Known {
    fn is_gguf(&self) -> bool {
        self.head.starts_with(b"GGUF")
    }

    fn is_json(&self) -> bool {
        self.head.trim_ascii_start().starts_with(b"{")
    }
}

/// The entry and its company, as far as they can be told.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) entry: Option<String>,
    pub(super) mmproj: Option<String>,
    pub(super) chat_template: Option<String>,
}

/// The entry and its company; `model` is the path the producer calls the model, where he does.
pub(super) fn choose(files: &[Known], packaging: Packaging, model: Option<&str>) -> Choice {
    let named = named(files);
    Choice {
        entry: model_file(files, packaging)
            .or_else(|| model.and_then(|model| at(&named, model)))
            .or_else(|| by_content(&named)),
        mmproj: nearest(&named, |file| file.role == Some(Role::Mmproj))
            .or_else(|| nearest(&named, |file| file.is_gguf() && base_name(&file.path).contains("mmproj"))),
        chat_template: nearest(&named, |file| file.role == Some(Role::ChatTemplate))
            .or_else(|| TEMPLATES.iter().find_map(|name| nearest(&named, |file| base_name(&file.path) == *name))),
    }
}

/// The entry of a laid-out artifact: what the layout found, else its only file, else the reason why there is none.
pub fn entry(listing: &Listing) -> Result<&str, Error> {
    match &listing.entry {
        Some(entry) => Ok(entry),
        None => only(&paths(listing)),
    }
}

/// The file or folder of a laid-out artifact that `text` means: a path, else a file's name that only one has.
pub fn named_entry(listing: &Listing, text: &str) -> Result<String, Error> {
    find(&paths(listing), text)
}

/// The files that could be meant where a listing has no entry, by their names: GGUF, else other weights, else all.
pub fn entry_candidates(listing: &Listing) -> Vec<&str> {
    candidates(&paths(listing))
}

fn paths(listing: &Listing) -> Vec<&str> {
    listing.files.iter().map(|file| file.path.as_str()).collect()
}

/// The only one of `paths`, else the reason why none stands out.
pub(super) fn only<'a>(paths: &[&'a str]) -> Result<&'a str, Error> {
    if let Some(path) = missing_shard(paths) {
        return Err(Error::MissingShard { path });
    }
    match paths {
        [only] => Ok(only),
        _ => Err(Error::NoEntry { candidates: owned(&candidates(paths)) }),
    }
}

/// As [`named_entry`], of paths.
pub(super) fn find(paths: &[&str], text: &str) -> Result<String, Error> {
    let entry = text.strip_prefix("./").unwrap_or(text).trim_end_matches('/');
    let is_there = |path: &&str| *path == entry || below(path, entry).is_some();
    if matches!(entry, "" | ".") || paths.iter().any(is_there) {
        return Ok(if entry.is_empty() { String::from(".") } else { entry.to_owned() });
    }
    let same: Vec<&str> = paths.iter().copied().filter(|path| base_name(path) == entry).collect();
    match same.as_slice() {
        [only] => Ok((*only).to_owned()),
        [] => Err(Error::NoSuchEntry { entry: text.to_owned(), candidates: owned(&candidates(paths)) }),
        several => Err(Error::NoSuchEntry { entry: text.to_owned(), candidates: owned(several) }),
    }
}

fn candidates<'a>(paths: &[&'a str]) -> Vec<&'a str> {
    let those =
        |test: &dyn Fn(&str) -> bool| -> Vec<&'a str> { paths.iter().copied().filter(|path| test(path)).collect() };
    let ggufs = those(&|path| path.ends_with(".gguf") && !is_beside(path));
    if !ggufs.is_empty() {
        return ggufs;
    }
    let weights = those(&|path| SINGLE.iter().any(|end| path.ends_with(end)));
    if weights.is_empty() { paths.to_vec() } else { weights }
}

fn owned(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|path| (*path).to_owned()).collect()
}

/// The files without those that a link gives a better name to, as in a Hugging Face cache.
fn named(files: &[Known]) -> Vec<&Known> {
    let targets: HashSet<&str> = files.iter().filter_map(|file| file.target.as_deref()).collect();
    files.iter().filter(|file| !targets.contains(file.path.as_str())).collect()
}

fn model_file(files: &[Known], packaging: Packaging) -> Option<String> {
    let file = files.iter().find(|file| file.path == MODEL_FILE && packaging == Packaging::Image)?;
    // llama.cpp finds the other parts by the name it is given, so a link to part 1 would not do.
    let target = file.target.as_deref().filter(|target| Shard::parse(target).is_some());
    Some(target.unwrap_or(MODEL_FILE).to_owned())
}

/// The file at `path`, or what stands out in the folder there; for a part of a split model all parts count.
fn at(files: &[&Known], path: &str) -> Option<String> {
    let is_whole = |path: &str| Shard::parse(path).is_none_or(|shard| shard.count == 1);
    if is_whole(path) && files.iter().any(|file| file.path == path) {
        return Some(path.to_owned());
    }
    let inside: Vec<&Known> = files.iter().copied().filter(|file| below(&file.path, path).is_some()).collect();
    by_content(&inside)
}

fn by_content(files: &[&Known]) -> Option<String> {
    let ggufs = files.iter().filter(|file| file.is_gguf() && file.role.is_none()).map(|file| file.path.as_str());
    let (beside, models): (Vec<&str>, Vec<&str>) = ggufs.partition(|path| is_beside(path));
    if models.is_empty() {
        // With nothing else there, even a file of such a name is the model.
        return folder(files).or_else(|| single(files)).or_else(|| gguf(&beside));
    }
    gguf(&models)
}

/// The only one, or part 1 of all parts.
fn gguf(paths: &[&str]) -> Option<String> {
    match paths {
        [one] if Shard::parse(one).is_none_or(|shard| shard.count == 1) => Some((*one).to_owned()),
        several => complete_shards(several),
    }
}

/// Whether the name is that of a file that goes with a model.
pub(super) fn is_beside(path: &str) -> bool {
    let name = base_name(path).to_lowercase();
    BESIDE.iter().any(|word| name.contains(word))
}

/// `NAME-00001-of-00003.gguf`, as llama.cpp splits.
#[derive(Clone, Copy)]
pub(super) struct Shard<'a> {
    /// The path before the numbers.
    pub(super) stem: &'a str,
    pub(super) index: u32,
    pub(super) count: u32,
}

impl<'a> Shard<'a> {
    pub(super) fn parse(path: &'a str) -> Option<Self> {
        let (rest, count) = path.strip_suffix(".gguf")?.rsplit_once("-of-")?;
        let (stem, index) = rest.rsplit_once('-')?;
        // A sign would be read as part of a number, and the part is looked for under the name without it.
        let is_number = |digits: &str| digits.len() == 5 && digits.bytes().all(|digit| digit.is_ascii_digit());
        let number = |digits: &str| digits.parse().ok().filter(|_| is_number(digits));
        Some(Self { stem, index: number(index)?, count: number(count)? })
    }
}

/// All `paths` as parts of one file: its name, the number of parts, and the parts there are.
fn shards<'a>(paths: impl Iterator<Item = &'a str>) -> Option<(&'a str, u32, BTreeSet<u32>)> {
    let shards: Vec<Shard<'_>> = paths.map(Shard::parse).collect::<Option<_>>()?;
    let first = shards.first()?;
    let is_one = shards.iter().all(|shard| shard.stem == first.stem && shard.count == first.count);
    is_one.then(|| (first.stem, first.count, shards.iter().map(|shard| shard.index).collect()))
}

fn complete_shards(paths: &[&str]) -> Option<String> {
    let (stem, count, present) = shards(paths.iter().copied())?;
    let is_complete = present.iter().copied().eq(1..=count);
    is_complete.then(|| shard_path(stem, 1, count))
}

fn missing_shard(paths: &[&str]) -> Option<String> {
    let ggufs = paths.iter().copied().filter(|path| path.ends_with(".gguf") && !is_beside(path));
    let (stem, count, present) = shards(ggufs)?;
    (1..=count).find(|index| !present.contains(index)).map(|index| shard_path(stem, index, count))
}

pub(super) fn shard_path(stem: &str, index: u32, count: u32) -> String {
    format!("{stem}-{index:05}-of-{count:05}.gguf")
}

/// The folder that diffusers, or else transformers and vLLM, take; `.` for the root.
fn folder(files: &[&Known]) -> Option<String> {
    let holders = |name: &str| -> BTreeSet<&str> {
        files
            .iter()
            .filter(|file| base_name(&file.path) == name && file.is_json())
            .map(|file| parent(&file.path))
            .collect()
    };
    let weighted: HashSet<&str> =
        files.iter().filter(|file| file.path.ends_with(".safetensors")).map(|file| parent(&file.path)).collect();
    let mut configured = holders("config.json");
    configured.retain(|folder| weighted.contains(folder));
    outermost(&holders("model_index.json")).or_else(|| outermost(&configured))
}

/// The one folder nearest to the root; none if several are equally near.
fn outermost(folders: &BTreeSet<&str>) -> Option<String> {
    let depth = |folder: &str| if folder.is_empty() { 0 } else { folder.split('/').count() };
    let least = folders.iter().map(|folder| depth(folder)).min()?;
    let mut nearest = folders.iter().filter(|folder| depth(folder) == least);
    let folder = nearest.next().filter(|_| nearest.next().is_none())?;
    Some(if folder.is_empty() { String::from(".") } else { (*folder).to_owned() })
}

fn single(files: &[&Known]) -> Option<String> {
    let mut weights = files.iter().filter(|file| SINGLE.iter().any(|end| file.path.ends_with(end)));
    weights.next().filter(|_| weights.next().is_none()).map(|file| file.path.clone())
}

fn nearest(files: &[&Known], test: impl Fn(&Known) -> bool) -> Option<String> {
    let found = files.iter().filter(|file| test(file)).min_by_key(|file| file.path.matches('/').count());
    found.map(|file| file.path.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing::File;

    fn known(path: &str) -> Known {
        let head = match path {
            _ if path.ends_with(".gguf") || path == MODEL_FILE || path == "bare" => &b"GGUF\x03\0\0\0"[..],
            _ if path.ends_with(".json") => b"{\n  \"a\"",
            _ => b"text....",
        };
        let path = path.to_owned();
        Known { path, size: 8, blob: Digest::sha256(b"x"), head: head.to_vec(), role: None, target: None }
    }

    fn listing(paths: &[&str]) -> Listing {
        let file = |path: &&str| File { path: (*path).to_owned(), size: 8, blob: Digest::sha256(b"x") };
        Listing {
            digest: Digest::sha256(b"m"),
            packaging: String::from("ORAS"),
            files: paths.iter().map(file).collect(),
            selection: None,
            entry: None,
            mmproj: None,
            chat_template: None,
        }
    }

    fn chosen(paths: &[&str], packaging: Packaging) -> Option<String> {
        choose(&paths.iter().map(|path| known(path)).collect::<Vec<_>>(), packaging, None).entry
    }

    #[test]
    fn the_entry_is_chosen_in_the_order_of_the_rules() {
        let cases: [(&[&str], Option<&str>); 24] = [
            (&["model.gguf", "LICENSE"], Some("model.gguf")),
            (&["bare", "LICENSE"], Some("bare")),
            (&["mmproj-F16.gguf", "gemma.gguf"], Some("gemma.gguf")),
            (&["Some-LoRA.gguf", "x-imatrix.gguf", "draft.gguf", "gemma.gguf"], Some("gemma.gguf")),
            (&["explorara.gguf"], Some("explorara.gguf")),
            (&["explorara.gguf", "config.json"], Some("explorara.gguf")),
            (&["mmproj.gguf", "config.json", "model.safetensors"], Some(".")),
            (&["a.gguf", "b.gguf"], None),
            (&["m-00002-of-00002.gguf", "m-00001-of-00002.gguf"], Some("m-00001-of-00002.gguf")),
            (&["q4/m-00001-of-00001.gguf"], Some("q4/m-00001-of-00001.gguf")),
            (&["m-00001-of-00002.gguf"], None),
            (&["m-00001-of-00003.gguf", "m-00003-of-00003.gguf"], None),
            (&["m-+0001-of-00002.gguf", "m-00002-of-00002.gguf"], None),
            (&["m-00001-of-00002.gguf", "n-00002-of-00002.gguf"], None),
            (&["m-00001-of-00002.gguf", "m-00002-of-00002.gguf", "whole.gguf"], None),
            (&["config.json", "model.safetensors"], Some(".")),
            (&["q4/config.json", "q4/model.safetensors", "README.md"], Some("q4")),
            (&["a/config.json", "a/m.safetensors", "b/config.json", "b/m.safetensors"], None),
            (&["model_index.json", "unet/config.json", "unet/m.safetensors"], Some(".")),
            (&["x.safetensors", "README.md"], Some("x.safetensors")),
            (&["model.onnx"], Some("model.onnx")),
            (&["a.onnx", "b.dduf"], None),
            (&["model.file"], Some("model.file")),
            (&["hello.txt"], None),
        ];
        for (paths, expected) in cases {
            assert_eq!(chosen(paths, Packaging::Oras).as_deref(), expected, "{paths:?}");
        }
        let image = ["model.file", "other.gguf"];
        assert_eq!(chosen(&image, Packaging::Image).as_deref(), Some("model.file"));
        assert_eq!(chosen(&image, Packaging::Oras), None);
    }

    #[test]
    fn a_link_named_model_file_gives_way_to_part_one_of_a_split_model() {
        let mut files = vec![known("m-00001-of-00002.gguf"), known("m-00002-of-00002.gguf"), known(MODEL_FILE)];
        files[2].target = Some(String::from("m-00001-of-00002.gguf"));
        assert_eq!(choose(&files, Packaging::Image, None).entry.as_deref(), Some("m-00001-of-00002.gguf"));
    }

    #[test]
    fn what_the_producer_calls_the_model_is_the_entry_where_it_is_there() {
        let cases: [(&[&str], &str, Option<&str>); 8] = [
            (&["a.gguf", "b.gguf"], "b.gguf", Some("b.gguf")),
            (&["a.gguf", "model.pkl"], "model.pkl", Some("model.pkl")),
            (&["a.gguf", "b.gguf"], "c.gguf", None),
            (&["a.gguf", "x/config.json", "x/m.safetensors"], "x", Some("x")),
            (&["a.gguf", "x/b.gguf", "x/README.md"], "x", Some("x/b.gguf")),
            (&["a.gguf", "x/notes"], "x", Some("a.gguf")),
            (
                &["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"],
                "m-00002-of-00002.gguf",
                Some("m-00001-of-00002.gguf"),
            ),
            (&["m-00001-of-00002.gguf"], "m-00001-of-00002.gguf", None),
        ];
        for (paths, model, expected) in cases {
            let files: Vec<Known> = paths.iter().map(|path| known(path)).collect();
            assert_eq!(
                choose(&files, Packaging::KitOps, Some(model)).entry.as_deref(),
                expected,
                "{model} of {paths:?}"
            );
        }
    }

    #[test]
    fn links_name_what_they_lead_to() {
        let mut files =
            vec![known("blobs/1"), known("blobs/2"), known("main/config.json"), known("main/m.safetensors")];
        files[2].target = Some(String::from("blobs/1"));
        files[3].target = Some(String::from("blobs/2"));
        assert_eq!(choose(&files, Packaging::Image, None).entry.as_deref(), Some("main"));
    }

    #[test]
    fn roles_come_before_names() {
        let mut files = vec![known("model.gguf"), known("vision.gguf"), known("x.jinja"), known("template.jinja")];
        assert_eq!(choose(&files, Packaging::DockerAi, None).entry, None);
        files[1].role = Some(Role::Mmproj);
        files[2].role = Some(Role::ChatTemplate);
        let choice = choose(&files, Packaging::DockerAi, None);
        assert_eq!(choice.entry.as_deref(), Some("model.gguf"));
        assert_eq!(choice.mmproj.as_deref(), Some("vision.gguf"));
        assert_eq!(choice.chat_template.as_deref(), Some("x.jinja"));
        let by_name = [known("sub/template.jinja"), known("mmproj-a.gguf"), known("template.jinja")];
        let choice = choose(&by_name, Packaging::ModelPack, None);
        assert_eq!(choice.mmproj.as_deref(), Some("mmproj-a.gguf"));
        assert_eq!(choice.chat_template.as_deref(), Some("template.jinja"));
    }

    #[test]
    fn a_listing_without_an_entry_says_why() {
        assert_eq!(entry(&listing(&["hello.txt"])).unwrap(), "hello.txt");
        let missing = entry(&listing(&["d/m-00001-of-00003.gguf", "d/m-00003-of-00003.gguf"])).unwrap_err();
        assert_eq!(missing.to_string(), "\"d/m-00002-of-00003.gguf\" is missing, the model is split into parts");
        let several = entry(&listing(&["a.gguf", "b.gguf", "mmproj.gguf", "LICENSE"])).unwrap_err();
        assert_eq!(
            several.to_string(),
            "the artifact does not say which file is the model, name one of: \"a.gguf\", \"b.gguf\""
        );
    }
}
