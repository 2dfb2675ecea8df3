//! Which child of an index is the model.

use crate::manifest::{Descriptor, Manifest, Platform};
use crate::media;

use super::error::{Child, Error};
use super::{foreign, modelpack};

/// Artifact types of models; ModelPack's are told by their start.
const MODELS: [&str; 2] = ["application/vnd.kitops.modelkit.manifest.v1+json", "application/vnd.cog.weight.v1"];

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
        || MODELS.contains(&kind)
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
