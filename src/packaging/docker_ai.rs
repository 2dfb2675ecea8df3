//! Docker Model Runner: names by rule in v0.1, an annotation per layer in v0.2 and late v0.1.
//!
//! The names without an annotation are those of its bundles (model-runner pkg/distribution/internal/bundle), so that
//! what is written for `docker model` finds the same files.

use std::collections::HashMap;

use crate::manifest::{Descriptor, Manifest};
use crate::media;

use super::name;
use super::{Error, Naming, Piece, Role};

pub(super) fn matches(manifest: &Manifest, _config: &[u8]) -> bool {
    let mut kinds = manifest.layers.iter().map(Descriptor::kind).chain([manifest.config_kind()]);
    kinds.any(|kind| kind.starts_with(media::DOCKER_AI_PREFIX))
}

pub(super) fn pieces(manifest: &Manifest, _config: &[u8]) -> Result<Vec<Piece>, Error> {
    let layers: Vec<&Descriptor> = manifest.layers.iter().filter(|layer| layer.kind() != media::EMPTY).collect();
    let mut counts: HashMap<Kind, Count> = HashMap::new();
    layers.iter().for_each(|layer| counts.entry(Kind::of(layer)).or_default().all += 1);
    layers.iter().map(|layer| piece(layer, &mut counts)).collect()
}

/// How many layers of one kind there are, and how many of them were seen.
#[derive(Default)]
struct Count {
    all: usize,
    seen: usize,
}

fn piece(layer: &Descriptor, counts: &mut HashMap<Kind, Count>) -> Result<Piece, Error> {
    let kind = Kind::of(layer);
    let count = counts.entry(kind).or_default();
    count.seen += 1;
    if matches!(kind, Kind::Tar) {
        return name::archive(layer, Naming::Own);
    }
    let path = match name::annotated(layer)? {
        Some(path) => path,
        None => name_by_rule(layer, kind, count.seen - 1, count.all),
    };
    Ok(name::file(layer, path, kind.role()))
}

/// The name of the `index`-th (from 0) of `count` layers of `kind`.
fn name_by_rule(layer: &Descriptor, kind: Kind, index: usize, count: usize) -> String {
    match kind {
        Kind::Gguf => name::part("model", ".gguf", index, count),
        Kind::Safetensors => name::part("model", ".safetensors", index, count),
        Kind::Lora => name::numbered("adapter", ".gguf", index),
        Kind::Mmproj => name::numbered("model", ".mmproj", index),
        Kind::Dduf => name::numbered("model", ".dduf", index),
        Kind::Template => name::numbered("template", ".jinja", index),
        Kind::Licence => name::numbered("LICENSE", "", index),
        Kind::Tar | Kind::Other => layer.digest.file_name(),
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Gguf,
    Lora,
    Mmproj,
    Safetensors,
    Dduf,
    Template,
    Licence,
    Tar,
    Other,
}

impl Kind {
    fn of(layer: &Descriptor) -> Self {
        let Some(name) = layer.kind().strip_prefix(media::DOCKER_AI_PREFIX) else { return Self::Other };
        match name {
            _ if name.ends_with(".tar") => Self::Tar,
            "gguf.v3.lora" => Self::Lora,
            "gguf.v3.mmproj" | "mmproj" => Self::Mmproj,
            // The second is the pre-release's (model-distribution#33).
            "gguf.v3" | "model.file.v1+gguf" => Self::Gguf,
            "safetensors" => Self::Safetensors,
            "dduf" => Self::Dduf,
            "chat.template.jinja" => Self::Template,
            "license" => Self::Licence,
            _ => Self::Other,
        }
    }

    const fn role(self) -> Option<Role> {
        match self {
            Self::Lora => Some(Role::Adapter),
            Self::Mmproj => Some(Role::Mmproj),
            Self::Template => Some(Role::ChatTemplate),
            Self::Licence => Some(Role::Licence),
            Self::Gguf | Self::Safetensors | Self::Dduf | Self::Tar | Self::Other => None,
        }
    }
}
