//! A manifest and its config become a plan, and the plan files. A NUL parts the two: no JSON has one.

#![no_main]

use std::collections::HashSet;
use std::io::{self, Cursor, Read};

use artishim::digest::Digest;
use artishim::manifest::{Descriptor, Manifest};
use artishim::packaging::{self, Content, Plan};
use artishim_fuzz::archive;
use artishim_fuzz::assert_harmless;
use artishim_fuzz::sink::{Checked, assert_clean, fold};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let (json, config) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let manifest = match Manifest::parse(json, &Digest::sha256(json)) {
        Ok(manifest) => manifest,
        Err(error) => return assert_harmless(&error),
    };
    if let Err(error) = packaging::choose_child(&manifest, None) {
        assert_harmless(&error);
    }
    // What is read of the config may decide only where we say that it does.
    let config = if packaging::reads_config(&manifest) { config } else { b"" };
    match packaging::plan(&manifest, config) {
        Ok(plan) => check(&manifest, config, &plan),
        Err(error) => assert_harmless(&error),
    }
});

fn check(manifest: &Manifest, config: &[u8], plan: &Plan) {
    assert_eq!(packaging::recognise(manifest, config).ok(), Some(plan.packaging));
    let mut paths = HashSet::new();
    for piece in &plan.pieces {
        // A Kitfile is the config of its ModelKit.
        assert!(manifest.layers.contains(&piece.blob) || manifest.config.as_ref() == Some(&piece.blob));
        match &piece.content {
            Content::File { path } => {
                assert_clean(path);
                assert!(paths.insert(fold(path)), "{path:?} is there twice");
            }
            Content::Archive { path: Some(path), .. } => assert_clean(path),
            _ => {}
        }
    }
    let blobs: Vec<&Digest> = plan.blobs().into_iter().map(|blob| &blob.digest).collect();
    assert_eq!(blobs.iter().collect::<HashSet<_>>().len(), blobs.len());
    assert!(blobs.iter().all(|digest| !plan.name_of(digest).contains(char::is_control)));
    assert!(plan.files().is_none_or(|files| files.len() == plan.pieces.len()));
    plan.is_named_as_by_podman();
    lay_out(plan);
}

fn lay_out(plan: &Plan) {
    let mut sink = Checked::new(None, true);
    let mut open = |blob: &Descriptor| Ok::<_, io::Error>(Box::new(Cursor::new(content(blob))) as Box<dyn Read + Send>);
    match packaging::lay_out(plan, &Digest::sha256(b"manifest"), None, &mut open, &mut sink) {
        Ok(listing) => {
            sink.finish(&listing);
            if let Err(error) = packaging::entry(&listing) {
                assert_harmless(&error);
            }
        }
        Err(error) => assert_harmless(&error),
    }
}

/// One of a few contents, by the first digit of the digest; files are not read, so that any size may be promised.
fn content(blob: &Descriptor) -> Vec<u8> {
    let tar = |text: &str| archive::build(text.as_bytes()).concat();
    match blob.digest.hex().as_bytes()[0] {
        b'0'..=b'3' => b"GGUF\x03\0\0\0 a model".to_vec(),
        b'4'..=b'6' => b"{\"a\": 1}".to_vec(),
        b'7'..=b'9' => tar("f models/m.gguf=GGUF\nf models/config.json={}"),
        b'a'..=b'c' => archive::wrap(&tar("f a/m.safetensors=x\nf a/config.json={}"), archive::Wrapper::Gzip),
        _ => b"text of some length".to_vec(),
    }
}
