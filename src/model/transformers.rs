//! What the `config.json` beside safetensors says, as transformers and diffusers write it.

use serde_json::Value;

use super::Model;
use crate::listing::{File, Listing};

/// The longest text that is passed on.
const MAX_CHARS: usize = 500;

/// Adds what a file says to what is known.
type Add = fn(&mut Model, &Value);

/// The file beside `entry`, or in it where it is a folder, that describes the model.
pub(super) fn find<'a>(listing: &'a Listing, entry: &str) -> Option<(&'a File, Add)> {
    let folder = match entry {
        "." => "",
        _ if entry.ends_with(".safetensors") => entry.rsplit_once('/').map_or("", |(folder, _)| folder),
        _ if listing.files.iter().any(|file| file.path == entry) => return None,
        folder => folder,
    };
    let find = |name: &str| {
        let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
        listing.files.iter().find(|file| file.path == path)
    };
    find("model_index.json")
        .map(|file| (file, add_diffusers as Add))
        .or_else(|| find("config.json").map(|file| (file, add_transformers as Add)))
}

/// diffusers names the pipeline's class and has the rest in its parts.
fn add_diffusers(model: &mut Model, index: &Value) {
    add(&mut model.format, Some(String::from("safetensors")));
    add(&mut model.architecture, text(index, "/_class_name"));
}

/// Models of several kinds of input have the language model's part in `text_config`.
fn add_transformers(model: &mut Model, config: &Value) {
    let first = |pointers: &[&str]| pointers.iter().find_map(|pointer| text(config, pointer));
    add(&mut model.format, Some(String::from("safetensors")));
    add(&mut model.architecture, first(&["/model_type", "/architectures/0"]));
    let dtypes = ["/dtype", "/torch_dtype", "/text_config/dtype", "/text_config/torch_dtype"];
    add(&mut model.precision, first(&dtypes));
    add(&mut model.quantization, quantization(config));
    let lengths = ["/max_position_embeddings", "/text_config/max_position_embeddings", "/n_positions"];
    let length = lengths.iter().find_map(|pointer| config.pointer(pointer).and_then(Value::as_u64));
    model.context_length = model.context_length.or(length);
}

/// `awq 4-bit`: the method, and the bits where it has them.
fn quantization(config: &Value) -> Option<String> {
    let method = text(config, "/quantization_config/quant_method")?;
    let bits = config.pointer("/quantization_config/bits").and_then(Value::as_u64);
    Some(bits.map_or_else(|| method.clone(), |bits| format!("{method} {bits}-bit")))
}

fn text(config: &Value, pointer: &str) -> Option<String> {
    let text = config.pointer(pointer)?.as_str()?.trim();
    (!text.is_empty()).then(|| text.chars().take(MAX_CHARS).collect())
}

fn add(said: &mut Option<String>, own: Option<String>) {
    *said = said.take().or(own);
}
