//! Artifacts of every producer, what must become of each, and hostile ones: data, without any registry or program.
//!
//! The hermetic tests push them to the registry in this process, those on real engines to a real one; both include
//! this folder. Everything is made anew from the same words each time, so digests never change.
#![allow(dead_code, reason = "every test program uses another part")]
#![allow(clippy::unwrap_used, reason = "it exists in tests only")]

mod aikit;
pub mod artifact;
mod bytes;
mod docker;
mod fixture;
mod foreign;
mod hostile_archives;
mod hostile_blobs;
mod hostile_images;
mod hostile_indexes;
mod hostile_manifests;
mod hostile_paths;
mod images;
mod index;
mod kitops;
mod modelpack;
mod modelpack_layers;
mod odd;
mod ollama;
mod oras;
mod others;

pub use artifact::{Artifact, Target};
pub use fixture::{Expected, Fixture, Hostile, Stage};

/// What the program does not do yet, and what it does instead.
pub const NOT_YET: [(&str, &str); 3] = [
    ("modelpack-nameless", "the file is weight-1: its content is not looked at for a name"),
    ("kit-raw-gzip", "a single compressed file is refused"),
    ("kit-chained", "a ModelKit without a model of its own is refused"),
];

/// The same of hostile ones.
pub const NOT_YET_REFUSED: [(&str, &str); 0] = [];

/// Every artifact that must be laid out; `host` is the registry's, which chained ModelKits name.
pub fn benign(host: &str) -> Vec<Fixture> {
    let families = [
        modelpack::fixtures(),
        modelpack_layers::fixtures(),
        aikit::fixtures(),
        docker::fixtures(),
        ollama::fixtures(),
        kitops::fixtures(host),
        images::fixtures(),
        index::fixtures(),
        oras::fixtures(),
        others::fixtures(),
        odd::fixtures(),
    ];
    families.into_iter().flatten().collect()
}

/// Every artifact that must be refused: those that are no model, and those that mean harm.
pub fn hostile() -> Vec<Hostile> {
    let families = [
        foreign::refused(),
        hostile_manifests::refused(),
        hostile_indexes::refused(),
        hostile_paths::refused(),
        hostile_blobs::refused(),
        hostile_archives::refused(),
        hostile_images::refused(),
    ];
    families.into_iter().flatten().collect()
}
