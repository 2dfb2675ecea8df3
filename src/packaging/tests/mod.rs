//! Whole artifacts, from the manifest to the files in a sink in memory.

mod archives;
mod captured;
mod images;
mod index;
mod kitops;
mod parts;
mod promises;
mod refused;

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Cursor, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::digest::Verifier;
use crate::listing::Listing;

pub(super) const GGUF: &[u8] = b"GGUF\x03\0\0\0 a model";

/// A sink that keeps everything, and checks what the trait promises.
#[derive(Default)]
pub(super) struct Memory {
    directories: Vec<String>,
    files: BTreeMap<String, (Vec<u8>, u32)>,
    links: BTreeMap<String, String>,
    /// Takes whole blobs without reading them, as a sink with hard links.
    is_linking: bool,
    linked: Vec<String>,
}

impl Sink for Memory {
    fn directory(&mut self, path: &str) -> io::Result<()> {
        assert!(!self.directories.contains(&path.to_owned()), "{path} twice");
        assert!(path::parent(path).is_empty() || self.directories.contains(&path::parent(path).to_owned()));
        self.directories.push(path.to_owned());
        Ok(())
    }

    fn file(&mut self, file: &Entry<'_>, content: &mut dyn Read) -> io::Result<()> {
        assert!(self.links.is_empty(), "links come after files");
        assert!(path::parent(file.path).is_empty() || self.directories.contains(&path::parent(file.path).to_owned()));
        if self.is_linking && file.whole {
            self.linked.push(file.path.to_owned());
            return Ok(());
        }
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        assert_eq!(bytes.len() as u64, file.size);
        assert!(self.files.insert(file.path.to_owned(), (bytes, file.mode)).is_none());
        Ok(())
    }

    fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        assert!(self.links.insert(path.to_owned(), target.to_owned()).is_none());
        Ok(())
    }
}

impl Memory {
    fn paths(&self) -> Vec<&str> {
        self.files.keys().map(String::as_str).collect()
    }

    fn content(&self, path: &str) -> &[u8] {
        &self.files[path].0
    }
}

/// A manifest with its blobs.
#[derive(Default)]
pub(super) struct Artifact {
    json: String,
    config: Vec<u8>,
    blobs: HashMap<Digest, Vec<u8>>,
    opened: Arc<AtomicUsize>,
    verified: Arc<AtomicUsize>,
}

impl Artifact {
    /// The manifest `json` in which `"@name"` stands for the digest and size of a content.
    pub(super) fn new(json: &str, contents: &[(&str, &[u8])]) -> Self {
        let mut artifact = Self { json: json.to_owned(), ..Self::default() };
        for (name, bytes) in contents {
            let digest = Digest::sha256(bytes);
            let described = format!(r#""{digest}","size":{}"#, bytes.len());
            artifact.json = artifact.json.replace(&format!(r#""@{name}""#), &described);
            if *name == "config" {
                artifact.config = bytes.to_vec();
            }
            artifact.blobs.insert(digest, bytes.to_vec());
        }
        artifact
    }

    /// Layers of one type each with a title, under an empty config.
    pub(super) fn titled(layers: &[(&str, &str, &[u8])]) -> Self {
        let layer = |(index, (kind, title, _)): (usize, &(&str, &str, &[u8]))| serde_json::json!({"mediaType": kind, "digest": format!("@{index}"), "annotations": {media::TITLE: title}});
        let layers_json: Vec<_> = layers.iter().enumerate().map(layer).collect();
        let json = serde_json::json!({"schemaVersion": 2, "layers": layers_json}).to_string();
        let names: Vec<String> = (0..layers.len()).map(|index| index.to_string()).collect();
        let contents: Vec<(&str, &[u8])> =
            names.iter().zip(layers).map(|(name, (_, _, bytes))| (name.as_str(), *bytes)).collect();
        Self::new(&json, &contents)
    }

    /// An image of `layers`, the lowest first.
    pub(super) fn image(layers: &[Vec<u8>]) -> Self {
        let config = br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
        let mut contents: Vec<(String, &[u8])> = vec![(String::from("config"), config)];
        contents.extend(layers.iter().enumerate().map(|(index, layer)| (index.to_string(), layer.as_slice())));
        let descriptors: Vec<String> = (0..layers.len())
            .map(|index| format!(r#"{{"mediaType":"{}+gzip","digest":"@{index}"}}"#, media::OCI_LAYER_TAR))
            .collect();
        let json = format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"{}","digest":"@config"}},"layers":[{}]}}"#,
            media::OCI_IMAGE_CONFIG,
            descriptors.join(",")
        );
        let contents: Vec<(&str, &[u8])> = contents.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
        Self::new(&json, &contents)
    }

    pub(super) fn manifest(&self) -> Manifest {
        Manifest::parse(self.json.as_bytes(), &self.digest()).unwrap_or_else(|error| panic!("{error:?} {}", self.json))
    }

    pub(super) fn plan(&self) -> Result<Plan, Error> {
        plan(&self.manifest(), &self.config)
    }

    pub(super) fn lay_out(&self, sink: &mut Memory) -> Result<Listing, Error> {
        self.lay_out_within(None, sink)
    }

    pub(super) fn lay_out_within(&self, limit: Option<u64>, sink: &mut Memory) -> Result<Listing, Error> {
        self.lay_out_plan(&self.plan()?, limit, sink)
    }

    pub(super) fn lay_out_plan(&self, plan: &Plan, limit: Option<u64>, sink: &mut Memory) -> Result<Listing, Error> {
        let mut open = |blob: &Descriptor| {
            self.opened.fetch_add(1, Ordering::Relaxed);
            let bytes = self.blobs.get(&blob.digest).ok_or(io::ErrorKind::NotFound)?;
            Ok(Box::new(Verified {
                bytes: Cursor::new(bytes.clone()),
                verifier: Some(blob.verifier()),
                verified: Arc::clone(&self.verified),
            }) as Box<dyn Read + Send>)
        };
        lay_out(plan, &self.digest(), limit, &mut open, sink)
    }

    /// Lays out and checks that every blob was read to its verified end.
    pub(super) fn files(&self) -> (Memory, Listing) {
        let mut sink = Memory::default();
        let listing = self.lay_out(&mut sink).unwrap_or_else(|error| panic!("{error:?} {}", self.json));
        assert_eq!(self.verified.load(Ordering::Relaxed), self.opened.load(Ordering::Relaxed), "blobs read to the end");
        (sink, listing)
    }

    pub(super) fn error(&self) -> Error {
        self.lay_out(&mut Memory::default()).map(|listing| listing.files).unwrap_err()
    }

    fn digest(&self) -> Digest {
        Digest::sha256(self.json.as_bytes())
    }
}

struct Verified {
    bytes: Cursor<Vec<u8>>,
    verifier: Option<Verifier>,
    verified: Arc<AtomicUsize>,
}

impl Read for Verified {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Few bytes at a time, so that nothing relies on a full buffer.
        let few = buffer.len().min(7);
        let count = self.bytes.read(&mut buffer[..few])?;
        if let Some(verifier) = &mut self.verifier {
            verifier.update(&buffer[..count]).map_err(io::Error::other)?;
        }
        let is_end = few > 0 && count == 0;
        if let Some(verifier) = self.verifier.take_if(|_| is_end) {
            verifier.finish().map_err(io::Error::other)?;
            self.verified.fetch_add(1, Ordering::Relaxed);
        }
        Ok(count)
    }
}

/// A member for [`tar()`]; names go into the header as they are.
pub(super) enum In<'a> {
    File(&'a str, &'a [u8]),
    Program(&'a str, &'a [u8]),
    Folder(&'a str),
    Symlink(&'a str, &'a str),
    HardLink(&'a str, &'a str),
    Other(&'a str, tar::EntryType),
}

pub(super) fn tar(members: &[In<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for member in members {
        let (name, kind, content, target) = match *member {
            In::File(name, content) | In::Program(name, content) => (name, tar::EntryType::Regular, content, ""),
            In::Folder(name) => (name, tar::EntryType::Directory, &b""[..], ""),
            In::Symlink(name, target) => (name, tar::EntryType::Symlink, &b""[..], target),
            In::HardLink(name, target) => (name, tar::EntryType::Link, &b""[..], target),
            In::Other(name, kind) => (name, kind, &b""[..], ""),
        };
        let mut header = tar::Header::new_ustar();
        header.as_ustar_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_ustar_mut().unwrap().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(if matches!(member, In::Program(..)) { 0o4777 } else { 0o600 });
        header.set_cksum();
        builder.append(&header, content).unwrap();
    }
    builder.into_inner().unwrap()
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}
