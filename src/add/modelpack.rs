//! ModelPack's own part: what a file is to the model, and the config that says what model it is (model-spec v0.0.7).

use serde_json::{Map, Value, json};

use super::error::{Error, Result};
use super::manifest::Draft;
use super::to_bytes;
use crate::digest::Digest;
use crate::manifest::{Descriptor, Manifest};
use crate::media;
use crate::model::{self, Model};
use crate::pull::{self, Session};
use crate::store::{Entry, Lease};

/// Endings of files that hold weights.
const WEIGHTS: [&str; 13] =
    ["gguf", "safetensors", "bin", "pt", "pth", "ckpt", "onnx", "ggml", "h5", "msgpack", "tflite", "npz", "engine"];
/// Endings of programs.
const CODE: [&str; 5] = ["py", "sh", "ipynb", "cpp", "js"];
/// Endings of what people read.
const DOCS: [&str; 7] = ["md", "pdf", "rst", "png", "jpg", "jpeg", "svg"];
/// Beginnings of names of what people read.
const READ: [&str; 5] = ["README", "LICENSE", "LICENCE", "NOTICE", "USE_POLICY"];

/// Gives a layer the type and the annotations of the model-spec.
pub(super) fn annotate(layer: &mut Descriptor, path: &str) {
    layer.media_type = format!("{}{}.v1.raw", media::MODELPACK_PREFIX, kind(path));
    let metadata = json!({"name": path, "mode": 420, "uid": 0, "gid": 0, "size": layer.size, "typeflag": 48});
    layer.annotations.insert(media::FILEPATH.to_owned(), path.to_owned());
    layer.annotations.insert(media::FILE_METADATA.to_owned(), metadata.to_string());
}

fn kind(path: &str) -> &'static str {
    let name = path.rsplit('/').next().unwrap_or_default();
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    let ending = ending.as_str();
    if WEIGHTS.contains(&ending) {
        "weight"
    } else if READ.iter().any(|start| name.to_ascii_uppercase().starts_with(start)) || DOCS.contains(&ending) {
        "doc"
    } else if CODE.contains(&ending) {
        "code"
    } else {
        "weight.config"
    }
}

/// The config of what was added, by the model's own files.
pub(super) async fn config(session: &Session, lease: &Lease, draft: &Draft) -> Result<Vec<u8>> {
    let bytes = draft.to_bytes()?;
    let digest = Digest::sha256(&bytes);
    let manifest = Manifest::parse(&bytes, &digest)?;
    // The one that a new manifest says.
    session.store.put_blob(lease, b"{}", &Digest::sha256(b"{}"))?;
    session.store.put_blob(lease, &bytes, &digest)?;
    let entry = Entry { name: None, descriptor: Descriptor::new(media::OCI_MANIFEST, digest, bytes.len() as u64) };
    let Some(artifact) = pull::load(&session.store, &entry)? else { return Err(Error::Stopped) };
    let model = model::describe(session, None, &artifact, false).await?;
    let created = manifest.annotations.get(media::CREATED).cloned();
    let diff_ids: Vec<&Digest> = manifest.layers.iter().map(|layer| &layer.digest).collect();
    Ok(to_bytes(&document(&model, created, &diff_ids)))
}

/// Fields that nobody knows are left out.
fn document(model: &Model, created: Option<String>, diff_ids: &[&Digest]) -> Value {
    let of = |fields: Vec<(&str, Option<Value>)>| {
        let known = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(known.collect::<Map<_, _>>())
    };
    let text = |text: &Option<String>| text.clone().map(Value::from);
    let licenses = Some(model.licenses.clone()).filter(|licenses| !licenses.is_empty()).map(Value::from);
    let descriptor = of(vec![
        ("createdAt", created.map(Value::from)),
        ("name", text(&model.name)),
        ("family", text(&model.family)),
        ("version", text(&model.version)),
        ("licenses", licenses),
    ]);
    let config = of(vec![
        ("architecture", text(&model.architecture)),
        ("format", text(&model.format)),
        ("paramSize", text(&model.parameters).or_else(|| model.parameter_count.map(billions).map(Value::from))),
        ("precision", text(&model.precision)),
        ("quantization", text(&model.quantization)),
    ]);
    json!({"descriptor": descriptor, "modelfs": {"type": "layers", "diffIds": diff_ids}, "config": config})
}

/// The spec's way to write a number of parameters: `8b`, `0.3b`.
fn billions(count: u64) -> String {
    let tenths = (count + 50_000_000) / 100_000_000;
    match (tenths / 10, tenths % 10) {
        (0, 0) => format!("{}m", count.div_ceil(1_000_000)),
        (whole, 0) => format!("{whole}b"),
        (whole, tenth) => format!("{whole}.{tenth}b"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_what_their_names_say() {
        let cases = [
            ("m-Q4.gguf", "weight"),
            ("a/model.SAFETENSORS", "weight"),
            ("model.safetensors.index.json", "weight.config"),
            ("tokenizer.json", "weight.config"),
            ("merges.txt", "weight.config"),
            ("README.md", "doc"),
            ("LICENSE", "doc"),
            ("License.txt", "doc"),
            ("modeling.py", "code"),
            ("chat_template.jinja", "weight.config"),
        ];
        for (path, expected) in cases {
            assert_eq!(kind(path), expected, "{path}");
        }
    }

    #[test]
    fn parameters_are_counted_in_billions() {
        let cases =
            [(8_030_000_000, "8b"), (268_000_000, "0.3b"), (1_500_000_000, "1.5b"), (7_000_000, "7m"), (0, "0m")];
        for (count, expected) in cases {
            assert_eq!(billions(count), expected, "{count}");
        }
    }
}
