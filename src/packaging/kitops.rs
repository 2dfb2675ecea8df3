//! KitOps ModelKits: the config is the Kitfile as JSON, and says where the content of each layer belongs.
//!
//! An entry of the Kitfile with a digest is the layer of that digest, a tar with whole paths. Older entries have none:
//! the n-th layer of a kind is the n-th such entry of that kind, and its tar is relative to the folder the entry's path
//! is in (kitops pkg/cmd/unpack/unpack.go). JSON is YAML, so the config itself is laid out as the `Kitfile`.

use std::collections::{HashMap, HashSet};
use std::vec::IntoIter;

use serde::Deserialize;

use crate::manifest::{Descriptor, Manifest};
use crate::media;
use crate::reference::Reference;

use super::name;
use super::path;
use super::{Content, Error, Naming, Packaging, Piece, Promise};

/// The second is from before the project was renamed.
const CONFIGS: [&str; 2] =
    ["application/vnd.kitops.modelkit.config.v1+json", "application/vnd.jozu.model.config.v1+json"];
/// The starts of the layers' types; a kind, `.v1.` and a format follow.
const LAYERS: [&str; 2] = ["application/vnd.kitops.modelkit.", "application/vnd.jozu.model."];
/// The file the config becomes, as `kit unpack` names it.
const KITFILE: &str = "Kitfile";

/// What is needed of a Kitfile; lists may be `null`.
#[derive(Default, Deserialize)]
struct Kitfile {
    model: Option<Model>,
    code: Option<Vec<Part>>,
    datasets: Option<Vec<Part>>,
    docs: Option<Vec<Part>>,
    prompts: Option<Vec<Part>>,
}

#[derive(Deserialize)]
struct Model {
    #[serde(flatten)]
    main: Part,
    parts: Option<Vec<Part>>,
}

/// One entry; what the registry does not hold has a remote path.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Part {
    path: String,
    digest: String,
    remote_path: String,
}

pub(super) fn matches(manifest: &Manifest, _config: &[u8]) -> bool {
    CONFIGS.contains(&manifest.config_kind())
}

pub(super) fn pieces(manifest: &Manifest, config: &[u8]) -> Result<Vec<Piece>, Error> {
    let Some(descriptor) = &manifest.config else { return Ok(Vec::new()) };
    let (blob, packaging) = (&descriptor.digest, Packaging::KitOps);
    let kitfile: Kitfile =
        serde_json::from_slice(config).map_err(|source| Error::Config { blob: blob.clone(), packaging, source })?;
    if let Some(reference) = kitfile.parent() {
        return Err(Error::Parent { reference: reference.to_owned() });
    }
    let mut places = Places::new(&kitfile, manifest)?;
    let layers = manifest.layers.iter().filter(|layer| layer.kind() != media::EMPTY);
    let mut pieces = layers.map(|layer| piece(layer, &mut places)).collect::<Result<Vec<_>, _>>()?;
    pieces.push(name::file(descriptor, KITFILE.to_owned(), None));
    Ok(pieces)
}

/// Where the Kitfile says the model is, if that is a path: the file or folder to start a server with.
pub(super) fn model_path(kitfile: &[u8]) -> Option<String> {
    let kitfile: Kitfile = serde_json::from_slice(kitfile).ok()?;
    kitfile.model?.main.place().ok()?
}

fn piece(layer: &Descriptor, places: &mut Places<'_>) -> Result<Piece, Error> {
    let (kind, format) = kind_and_format(layer.kind());
    let (part, naming) = places.of(layer, kind);
    let place = part.map_or(Ok(None), Part::place);
    if !format.starts_with("tar") {
        let path = place?.or(name::annotated(layer)?).unwrap_or_else(|| layer.digest.file_name());
        return match format {
            "raw" | "" => Ok(name::file(layer, path, None)),
            _ => Err(Error::CompressedFile { blob: layer.digest.clone(), path }),
        };
    }
    // The names in the tar are whole, whatever the entry's path is.
    let path = if naming == Naming::Own { place.ok().flatten() } else { place? };
    let content = Content::Archive { path, naming };
    Ok(Piece { blob: layer.clone(), content, role: None, promise: Promise::default() })
}

/// `model` and `tar+gzip` of `application/vnd.kitops.modelkit.model.v1.tar+gzip`; nothing of other types.
fn kind_and_format(media_type: &str) -> (&str, &str) {
    let rest = LAYERS.iter().find_map(|start| media_type.strip_prefix(start));
    rest.and_then(|rest| rest.split_once(".v1.")).unwrap_or_default()
}

/// The entries of a Kitfile as layers ask for them.
struct Places<'a> {
    by_digest: HashMap<&'a str, &'a Part>,
    /// Those without a digest, for each kind of layer in their order.
    older: HashMap<&'static str, IntoIter<&'a Part>>,
}

impl<'a> Places<'a> {
    /// An error for an entry whose layer is not in the manifest.
    fn new(kitfile: &'a Kitfile, manifest: &Manifest) -> Result<Self, Error> {
        let layers: HashSet<String> = manifest.layers.iter().map(|layer| layer.digest.to_string()).collect();
        let (mut by_digest, mut older) = (HashMap::new(), HashMap::new());
        for (kind, parts) in kitfile.lists() {
            let (with, without): (Vec<&Part>, Vec<&Part>) = parts.into_iter().partition(|part| !part.digest.is_empty());
            if let Some(part) = with.iter().find(|part| !layers.contains(&part.digest)) {
                return Err(Error::NoLayer { path: part.path.clone(), layer: part.digest.clone() });
            }
            by_digest.extend(with.into_iter().map(|part| (part.digest.as_str(), part)));
            let without: Vec<&Part> = without.into_iter().filter(|part| part.is_here()).collect();
            older.insert(kind, without.into_iter());
        }
        Ok(Self { by_digest, older })
    }

    /// The entry of the next layer and how its tar names the files; none where the Kitfile says nothing of it.
    fn of(&mut self, layer: &Descriptor, kind: &str) -> (Option<&'a Part>, Naming) {
        if let Some(part) = self.by_digest.get(layer.digest.to_string().as_str()) {
            return (Some(part), Naming::Own);
        }
        match self.older.get_mut(kind).and_then(Iterator::next) {
            Some(part) => (Some(part), Naming::Below),
            None => (None, Naming::Own),
        }
    }
}

impl Kitfile {
    /// The entries for each kind of layer; prompts have a digest always, and layers of the kind of code.
    fn lists(&self) -> [(&'static str, Vec<&Part>); 6] {
        fn all(list: &Option<Vec<Part>>) -> Vec<&Part> {
            list.iter().flatten().collect()
        }
        let model = self.model.as_ref();
        [
            ("model", model.map(|model| &model.main).into_iter().collect()),
            ("modelpart", model.map_or_else(Vec::new, |model| all(&model.parts))),
            ("code", all(&self.code)),
            ("dataset", all(&self.datasets)),
            ("docs", all(&self.docs)),
            ("prompt", all(&self.prompts)),
        ]
    }

    /// The ModelKit whose model this one takes.
    fn parent(&self) -> Option<&str> {
        let main = &self.model.as_ref()?.main;
        (main.digest.is_empty() && main.is_reference()).then_some(main.path.as_str())
    }
}

impl Part {
    /// The path, sanitised; none for the root.
    fn place(&self) -> Result<Option<String>, Error> {
        match self.path.trim() {
            "" | "." | "./" => Ok(None),
            path => path::sanitise(path).map(Some),
        }
    }

    fn is_here(&self) -> bool {
        self.remote_path.is_empty() && !self.is_reference()
    }

    /// kitops pkg/artifact/reference.go: what has a tag or digest and reads as a reference is one.
    fn is_reference(&self) -> bool {
        self.path.contains([':', '@']) && self.path.parse::<Reference>().is_ok()
    }
}
