//! The formats that blobs have, made of few words: the same bytes every time.

use std::io::Write as _;

use artishim::digest::{Algorithm, Digest};
use serde_json::{Value, json};

/// A GGUF of no tensors: magic, version 3, no tensors, one key.
pub fn gguf(name: &str) -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let string_type = 8u32.to_le_bytes();
    let head = [&b"GGUF"[..], &3u32.to_le_bytes(), &0u64.to_le_bytes(), &1u64.to_le_bytes()].concat();
    [head, text("general.name"), string_type.to_vec(), text(name)].concat()
}

/// A safetensors of one tensor of four bytes.
pub fn safetensors(name: &str) -> Vec<u8> {
    let header = json!({name: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).to_string();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), b"\0\0\x80\x3f"].concat()
}

pub fn digest(bytes: &[u8]) -> String {
    Digest::sha256(bytes).to_string()
}

pub fn sha512(bytes: &[u8]) -> String {
    Digest::of(Algorithm::Sha512, bytes).to_string()
}

/// `sha256-<hex>`, the name of a blob in RamaLama's and Ollama's stores and of an untitled file in podman.
pub fn dashed(bytes: &[u8]) -> String {
    Digest::sha256(bytes).file_name()
}

/// A member of a tar; names and targets go into the header as they are.
#[derive(Clone, Copy)]
pub enum In<'a> {
    File(&'a str, &'a [u8]),
    Program(&'a str, &'a [u8]),
    Folder(&'a str),
    Symlink(&'a str, &'a str),
    HardLink(&'a str, &'a str),
    Other(&'a str, tar::EntryType),
}

pub fn tar(members: &[In<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for member in members {
        let (name, kind, content, target) = match *member {
            In::File(name, content) | In::Program(name, content) => (name, tar::EntryType::Regular, content, ""),
            In::Folder(name) => (name, tar::EntryType::Directory, &b""[..], ""),
            In::Symlink(name, target) => (name, tar::EntryType::Symlink, &b""[..], target),
            In::HardLink(name, target) => (name, tar::EntryType::Link, &b""[..], target),
            In::Other(name, kind) => (name, kind, &b""[..], ""),
        };
        let mut header = header(name, kind, content.len() as u64);
        header.as_ustar_mut().unwrap().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_mode(if matches!(member, In::Program(..)) { 0o4755 } else { 0o644 });
        header.set_cksum();
        builder.append(&header, content).unwrap();
    }
    builder.into_inner().unwrap()
}

/// A header as it is, whatever the name.
pub fn header(name: &str, kind: tar::EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.as_ustar_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    header
}

/// A tar of one file behind an extended header of POSIX with these keys.
pub fn pax(keys: &[(&str, &[u8])], name: &str, content: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_pax_extensions(keys.iter().copied()).unwrap();
    builder.append(&header(name, tar::EntryType::Regular, content.len() as u64), content).unwrap();
    builder.into_inner().unwrap()
}

/// A tar of one file whose name GNU tar puts before it.
pub fn gnu_long(long: &[u8], content: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    builder.append(&header("././@LongLink", tar::EntryType::GNULongName, long.len() as u64), long).unwrap();
    builder.append(&header("short", tar::EntryType::Regular, content.len() as u64), content).unwrap();
    builder.into_inner().unwrap()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(bytes, 3).unwrap()
}

/// Zstandard (RFC 8878) in blocks that are stored as they are, to be spoiled byte by byte.
pub fn zstd_stored(bytes: &[u8]) -> Vec<u8> {
    // No checksum, no size, a window of 128 KiB, which is also the largest block.
    let mut frame = [&ZSTD_MAGIC[..], &[0, 7 << 3]].concat();
    let mut blocks = bytes.chunks(ZSTD_BLOCK).peekable();
    while let Some(block) = blocks.next() {
        frame.extend(zstd_block(block.len(), 0, u32::from(blocks.peek().is_none())));
        frame.extend(block);
    }
    frame
}

/// The same of `count` blocks of 128 KiB of zeros, four bytes each.
pub fn zstd_zeros(count: usize) -> Vec<u8> {
    let mut frame = [&ZSTD_MAGIC[..], &[0, 7 << 3]].concat();
    for index in 1..=count {
        frame.extend(zstd_block(ZSTD_BLOCK, 1, u32::from(index == count)));
        frame.push(0);
    }
    frame
}

pub const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const ZSTD_BLOCK: usize = 128 * 1024;

fn zstd_block(length: usize, kind: u32, is_last: u32) -> [u8; 3] {
    let header = (u32::try_from(length).unwrap() << 3 | kind << 1 | is_last).to_le_bytes();
    [header[0], header[1], header[2]]
}

/// Type, name of the blob, annotations.
pub type Layer<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

/// A manifest as OCI 1.1 has it; an empty artifact type, or config type, is left out. The config is `@config`.
pub fn manifest(artifact_type: &str, config: &str, layers: &[Layer<'_>]) -> String {
    let layers: Vec<Value> = layers.iter().map(layer).collect();
    let mut json = json!({"schemaVersion": 2, "mediaType": super::artifact::OCI, "layers": layers});
    if !artifact_type.is_empty() {
        json["artifactType"] = artifact_type.into();
    }
    if !config.is_empty() {
        json["config"] = json!({"mediaType": config, "digest": "@config"});
    }
    json.to_string()
}

fn layer((kind, name, annotations): &Layer<'_>) -> Value {
    let mut layer = json!({"mediaType": kind, "digest": format!("@{name}")});
    if !annotations.is_empty() {
        layer["annotations"] =
            annotations.iter().map(|(key, value)| ((*key).to_owned(), Value::from(*value))).collect();
    }
    layer
}

/// An index of these entries, each a whole descriptor.
pub fn index(entries: &[&str]) -> String {
    let kind = "application/vnd.oci.image.index.v1+json";
    format!(r#"{{"schemaVersion":2,"mediaType":"{kind}","manifests":[{}]}}"#, entries.join(","))
}

/// An index entry for a child, with further fields.
pub fn entry(name: &str, more: &str) -> String {
    format!(r#"{{"mediaType":"{}","digest":"@{name}"{more}}}"#, super::artifact::OCI)
}

/// The config of an image whose layers are these, none of them compressed.
pub fn image_config(layers: &[&[u8]]) -> String {
    let diff_ids: Vec<String> = layers.iter().map(|layer| digest(layer)).collect();
    json!({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}})
        .to_string()
}
