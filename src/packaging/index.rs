//! Which child of an index is the model.

use crate::digest::Digest;
use crate::manifest::{Descriptor, Manifest, Platform};
use crate::media;

use super::error::{Child, Error};
use super::{foreign, modelpack};

/// The starts of models' types, of artifacts and of configs; ModelPack has its own test.
const MODELS: [&str; 4] = [
    media::DOCKER_AI_PREFIX,
    "application/vnd.kitops.modelkit.",
    "application/vnd.jozu.model.",
    "application/vnd.cog.weight.",
];

/// The child that holds the model; `platform` is the wanted one, this machine's where there is none.
///
/// Signatures and attestations are no candidates. Of the others, those that say they are models come first, then those
/// of the platform. `unknown/unknown` does not count against a child: Cog and OLOT mark their models so on purpose.
/// The first of several is never taken.
pub fn choose_child<'a>(index: &'a Manifest, platform: Option<&Platform>) -> Result<&'a Descriptor, Error> {
    let host = host_platform();
    let wanted = platform.unwrap_or(&host);
    let children: Vec<&Descriptor> =
        index.manifests.iter().flatten().filter(|entry| !foreign::is_about_another(entry)).collect();
    let children = narrow(children, is_model);
    let children = narrow(children, |entry| is_for(entry, wanted));
    match children.as_slice() {
        [] => Err(Error::NoChild),
        [child] => Ok(child),
        several => Err(Error::SeveralChildren { children: several.iter().map(|child| Child::from(*child)).collect() }),
    }
}

/// The children of which the index says neither type nor platform, where there are others: only their own manifests
/// tell what they are.
pub fn untold_children(index: &Manifest) -> Vec<Digest> {
    let children: Vec<&Descriptor> =
        index.manifests.iter().flatten().filter(|entry| !foreign::is_about_another(entry)).collect();
    let is_untold = |entry: &&&Descriptor| {
        let is_placed =
            entry.platform.as_ref().is_some_and(|platform| platform.os != "unknown" && !platform.os.is_empty());
        entry.artifact_type.is_none() && !is_placed && !is_model(entry)
    };
    let untold: Vec<Digest> = children.iter().filter(is_untold).map(|entry| entry.digest.clone()).collect();
    if children.len() > 1 { untold } else { Vec::new() }
}

/// Notes in `index` what the manifest of one of its children says it is: by its artifact type, or its config's.
pub fn tell_child(index: &mut Manifest, digest: &Digest, child: &Manifest) {
    let kind = child.artifact_kind().unwrap_or_else(|| child.config_kind());
    for entry in index.manifests.iter_mut().flatten().filter(|entry| entry.digest == *digest) {
        entry.artifact_type = Some(kind.to_owned()).filter(|kind| !kind.is_empty());
    }
}

/// Those of `children` that pass `test`, or all of them if none does.
fn narrow(children: Vec<&Descriptor>, test: impl Fn(&Descriptor) -> bool) -> Vec<&Descriptor> {
    if children.iter().any(|child| test(child)) {
        return children.into_iter().filter(|child| test(child)).collect();
    }
    children
}

fn is_model(entry: &Descriptor) -> bool {
    let kind = entry.artifact_type.as_deref().unwrap_or_default();
    modelpack::is_model_type(kind)
        || MODELS.iter().any(|start| kind.starts_with(start))
        || entry.annotation(media::MODELCAR_TYPE) == Some("modelpack")
}

fn is_for(entry: &Descriptor, wanted: &Platform) -> bool {
    entry.platform.as_ref().is_some_and(|platform| {
        platform.os == wanted.os
            && platform.architecture == wanted.architecture
            && (wanted.variant.is_none() || platform.variant == wanted.variant)
    })
}

/// Linux on this machine's processor, in Go's words: containers run Linux whatever the host is.
fn host_platform() -> Platform {
    let architecture = oci_spec::image::Arch::default().to_string();
    Platform { architecture, os: String::from("linux"), variant: None }
}
