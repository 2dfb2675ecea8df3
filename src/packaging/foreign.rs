//! Artifacts that are no model, told by media types, so that an error can say what they are.

use crate::manifest::{Descriptor, Manifest};

const HELM: &str = "a Helm chart";
const WASM: &str = "a WebAssembly module";
const SIGNATURE: &str = "a signature";
const ATTESTATION: &str = "an attestation";
const SBOM: &str = "a bill of materials";
const REFERRER: &str = "an attachment of another artifact";

/// The start of a media type and what it tells.
const KINDS: [(&str, &str); 14] = [
    ("application/vnd.cncf.helm.", HELM),
    ("application/vnd.wasm.", WASM),
    ("application/wasm", WASM),
    ("application/vnd.dev.cosign.", SIGNATURE),
    ("application/vnd.dev.sigstore.", SIGNATURE),
    ("application/vnd.cncf.notary.", SIGNATURE),
    ("application/jose+json", SIGNATURE),
    ("application/cose", SIGNATURE),
    ("application/vnd.in-toto", ATTESTATION),
    ("application/vnd.docker.attestation.", ATTESTATION),
    ("application/spdx+json", SBOM),
    ("text/spdx", SBOM),
    ("application/vnd.cyclonedx", SBOM),
    ("application/vnd.syft+json", SBOM),
];

/// What `manifest` is, if it is certainly no model.
///
/// The layers tell only if all agree: a model may come with a bill of materials.
pub(super) fn what(manifest: &Manifest) -> Option<&'static str> {
    let by_layers = || {
        let mut kinds = manifest.layers.iter().map(|layer| kind(layer.kind()));
        let first = kinds.next().flatten()?;
        kinds.all(|kind| kind.is_some()).then_some(first)
    };
    let by_type = manifest.artifact_kind().and_then(kind).or_else(|| kind(manifest.config_kind())).or_else(by_layers);
    by_type.or_else(|| manifest.subject.is_some().then_some(REFERRER))
}

/// Whether an entry of an index describes another one instead of being a model.
pub(super) fn is_about_another(entry: &Descriptor) -> bool {
    entry.annotation(crate::media::DOCKER_REFERENCE_TYPE).is_some()
        || entry.artifact_type.as_deref().and_then(kind).is_some()
}

fn kind(media_type: &str) -> Option<&'static str> {
    KINDS.iter().find(|(start, _)| media_type.starts_with(start)).map(|(_, what)| *what)
}
