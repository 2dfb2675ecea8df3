//! The name a layer carries in its annotations, and the names given to layers that carry none.

use serde::Deserialize;
use serde_json::Value;

use crate::digest::Digest;
use crate::manifest::Descriptor;
use crate::media;

use super::path;
use super::{Content, Error, Naming, Piece, Promise, Role};

/// The path a producer wrote on a layer; sanitised.
///
/// The model-spec's annotation stands before the title, because RamaLama's artifacts have the blob's own file name as
/// title and the true one as filepath (ramalama/oci_artifact.py).
pub(super) fn annotated(blob: &Descriptor) -> Result<Option<String>, Error> {
    let raw = filepath(blob).or_else(|| title(blob).map(str::to_owned));
    raw.as_deref().map(path::sanitise).transpose()
}

/// The path in the annotations of the model-spec, as written.
pub(super) fn filepath(blob: &Descriptor) -> Option<String> {
    let plain = [media::FILEPATH, media::CNAI_FILEPATH];
    plain
        .iter()
        .find_map(|key| blob.annotation(key).map(str::to_owned))
        .or_else(|| metadata(blob).map(|metadata| metadata.name).filter(|name| !name.is_empty()))
}

/// The bytes of the file a layer was made of, or of all files where AIKit packs several.
fn file_size(blob: &Descriptor) -> Option<u64> {
    let metadata = metadata(blob)?;
    let is_regular = metadata.typeflag.as_u64().is_some_and(|flag| REGULAR.contains(&flag));
    metadata.size.as_u64().filter(|_| is_regular)
}

/// The title, unless it is a place (`.`) or only repeats a digest.
pub(super) fn title(blob: &Descriptor) -> Option<&str> {
    blob.annotation(media::TITLE).filter(|title| *title != "." && !is_digest(title))
}

/// The piece for a layer that is one file.
pub(super) fn file(blob: &Descriptor, path: String, role: Option<Role>) -> Piece {
    Piece { blob: blob.clone(), content: Content::File { path }, role, promise: Promise::default() }
}

/// The piece for a layer that is a tar, whose own names are the files'.
pub(super) fn archive(blob: &Descriptor, naming: Naming) -> Result<Piece, Error> {
    let content = Content::Archive { path: annotated(blob)?, naming };
    let promise = Promise { size: file_size(blob), ..Promise::default() };
    Ok(Piece { blob: blob.clone(), content, role: None, promise })
}

/// The `index`-th (from 0) of `count` parts, in the numbering that llama.cpp and transformers share.
pub(super) fn part(stem: &str, extension: &str, index: usize, count: usize) -> String {
    if count == 1 {
        return format!("{stem}{extension}");
    }
    format!("{stem}-{:05}-of-{count:05}{extension}", index + 1)
}

/// The `index`-th (from 0) of files that are not parts of one: `LICENSE`, `LICENSE.1`.
pub(super) fn numbered(stem: &str, extension: &str, index: usize) -> String {
    match index {
        0 => format!("{stem}{extension}"),
        _ => format!("{stem}.{index}{extension}"),
    }
}

/// The file's metadata as the model-spec has it; a wrong or missing field spoils only itself.
#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    size: Value,
    #[serde(default)]
    typeflag: Value,
}

/// How producers write that it is a regular file: tar's own number, or the letter `0` as one.
const REGULAR: [u64; 2] = [0, 48];

fn metadata(blob: &Descriptor) -> Option<Metadata> {
    let keys = [media::FILE_METADATA, media::CNAI_FILE_METADATA, media::CNAI_FILE_METADATA_OLD];
    keys.iter().find_map(|key| serde_json::from_str(blob.annotation(key)?).ok())
}

fn is_digest(title: &str) -> bool {
    title.replacen('-', ":", 1).parse::<Digest>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(annotations: &[(&str, &str)]) -> Descriptor {
        let mut blob = Descriptor::new("application/octet-stream", Digest::sha256(b"x"), 1);
        blob.annotations = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        blob
    }

    #[test]
    fn the_first_annotation_that_is_a_name_wins() {
        let digest = Digest::sha256(b"x");
        let dashed = digest.file_name();
        let colon = digest.to_string();
        let metadata = r#"{"name":"from/metadata","mode":420}"#;
        type Case<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>);
        let cases: [Case<'_>; 10] = [
            (&[(media::FILEPATH, "a"), (media::TITLE, "b")], Some("a")),
            (&[(media::CNAI_FILEPATH, "a"), (media::TITLE, "b")], Some("a")),
            (&[(media::FILEPATH, "a/b"), (media::TITLE, &dashed)], Some("a/b")),
            (&[(media::FILE_METADATA, metadata), (media::TITLE, "b")], Some("from/metadata")),
            (&[(media::CNAI_FILE_METADATA_OLD, metadata)], Some("from/metadata")),
            (&[(media::FILE_METADATA, "not json"), (media::TITLE, "b")], Some("b")),
            (&[(media::TITLE, ".")], None),
            (&[(media::TITLE, &dashed)], None),
            (&[(media::TITLE, &colon)], None),
            (&[(media::FILEPATH, "")], None),
        ];
        for (annotations, expected) in cases {
            assert_eq!(annotated(&layer(annotations)).unwrap().as_deref(), expected, "{annotations:?}");
        }
    }

    #[test]
    fn parts_and_copies_are_numbered() {
        assert_eq!(part("model", ".gguf", 0, 1), "model.gguf");
        assert_eq!(part("model", ".gguf", 1, 3), "model-00002-of-00003.gguf");
        assert_eq!(numbered("LICENSE", "", 0), "LICENSE");
        assert_eq!(numbered("LICENSE", "", 1), "LICENSE.1");
        assert_eq!(numbered("adapter", ".gguf", 2), "adapter.2.gguf");
    }
}
