//! Archives and the layers of images. The first byte of an input says how the rest is read.
//!
//! | bits | |
//! | --- | --- |
//! | 0, 1 | the manifest: a folder of ORAS, ModelPack with a path, a modelcar as ModelPack, an image |
//! | 2, 3 | the wrapper: none, gzip, Zstandard; in turn with the fourth value |
//! | 4 | the rest is text for [`archive::build`], not a tar |
//! | 5 | the tar is read as it is, without mending it |
//! | 6 | the sink takes whole blobs without reading |

#![no_main]

use std::collections::HashMap;
use std::io::{self, Cursor, Read};

use artishim::digest::Digest;
use artishim::manifest::{Descriptor, Manifest};
use artishim::packaging;
use artishim_fuzz::archive::{self, Wrapper};
use artishim_fuzz::assert_harmless;
use artishim_fuzz::sink::Checked;
use libfuzzer_sys::fuzz_target;

/// Less than some inputs hold, more than most.
const LIMIT: u64 = 2048;
const IMAGE_CONFIG: &[u8] = br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;

fuzz_target!(|bytes: &[u8]| {
    let Some((options, rest)) = bytes.split_first() else { return };
    let tars = match (options & 0x10 != 0, options & 0x20 != 0) {
        (true, _) => archive::build(rest),
        (false, false) => archive::mend(rest.to_vec()),
        (false, true) => vec![rest.to_vec()],
    };
    let wrapped: Vec<Vec<u8>> =
        tars.iter().enumerate().map(|(index, tar)| archive::wrap(tar, wrapper(options >> 2, index))).collect();
    let blobs: HashMap<Digest, &[u8]> = wrapped.iter().map(|bytes| (Digest::sha256(bytes), bytes.as_slice())).collect();
    lay_out(&manifest(options & 3, &wrapped), &blobs, options & 0x40 != 0);
});

fn wrapper(bits: u8, index: usize) -> Wrapper {
    match (bits & 3, index % 3) {
        (0, _) | (3, 0) => Wrapper::None,
        (1, _) | (3, 1) => Wrapper::Gzip,
        _ => Wrapper::Zstd,
    }
}

fn manifest(kind: u8, layers: &[Vec<u8>]) -> String {
    let (artifact_type, layer, annotations) = match kind {
        0 => ("", "application/vnd.oci.image.layer.v1.tar+gzip", r#""io.deis.oras.content.unpack":"true""#),
        1 => (
            "application/vnd.cncf.model.manifest.v1+json",
            "application/vnd.cncf.model.weight.v1.tar",
            r#""org.cncf.model.filepath":"unet/model.safetensors""#,
        ),
        2 => (
            "application/vnd.cncf.model.manifest.v1+json",
            "application/vnd.oci.image.layer.v1.tar",
            r#""org.opencontainers.image.title":"m.gguf""#,
        ),
        _ => ("", "application/vnd.oci.image.layer.v1.tar", ""),
    };
    let describe = |bytes: &Vec<u8>| {
        let (digest, size) = (Digest::sha256(bytes), bytes.len());
        format!(r#"{{"mediaType":"{layer}","digest":"{digest}","size":{size},"annotations":{{{annotations}}}}}"#)
    };
    let layers: Vec<String> = layers.iter().map(describe).collect();
    let config = match kind {
        3 => format!(
            r#","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":{}}}"#,
            Digest::sha256(IMAGE_CONFIG),
            IMAGE_CONFIG.len()
        ),
        _ => String::new(),
    };
    format!(r#"{{"schemaVersion":2,"artifactType":"{artifact_type}"{config},"layers":[{}]}}"#, layers.join(","))
}

fn lay_out(json: &str, blobs: &HashMap<Digest, &[u8]>, is_linking: bool) {
    let digest = Digest::sha256(json.as_bytes());
    let manifest = Manifest::parse(json.as_bytes(), &digest).expect("the manifest is ours");
    let plan = match packaging::plan(&manifest, IMAGE_CONFIG) {
        Ok(plan) => plan,
        Err(error) => return assert_harmless(&error),
    };
    let mut sink = Checked::new(Some(LIMIT), is_linking);
    let mut open = |blob: &Descriptor| {
        let bytes = blobs.get(&blob.digest).expect("only what the manifest lists is opened");
        Ok::<_, io::Error>(Box::new(Cursor::new(bytes.to_vec())) as Box<dyn Read + Send>)
    };
    match packaging::lay_out(&plan, &digest, Some(LIMIT), &mut open, &mut sink) {
        Ok(listing) => {
            sink.finish(&listing);
            if let Err(error) = packaging::entry(&listing) {
                assert_harmless(&error);
            }
        }
        Err(error) => assert_harmless(&error),
    }
}
