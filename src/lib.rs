//! artishim gives every container engine read-only mounts of AI models kept as OCI artifacts in registries.
//!
//! # Parts
//!
//! Modules stand on four levels and use lower ones, and of their own what `tests/it/layers.rs` allows, which holds the arrows:
//!
//! 0. words, without I/O: [`reference`], [`digest`], [`media`], [`manifest`], [`listing`], [`progress`], [`mount`],
//!    [`gguf`], [`registries_conf`], [`registries_d`], [`policy`], [`signature`];
//! 1. one outside thing each: [`config`] (environment, files of settings), [`process`] (other programs),
//!    [`registry`] (HTTP), [`store`] (our disk), [`packaging`] (how producers lay out files), [`engine`] (Podman and
//!    Docker), [`rewrite`] (the engines' command lines);
//! 2. joins: [`pull`] (registry to store), [`checkout`] (store, or what arrives, to snapshot), [`deliver`] (files to
//!    containers), [`model`] (what an artifact is), [`add`] (files to artifacts), [`push`] (store to registry),
//!    [`oci_archive`] (store to file and back), [`doctor`] (what
//!    may hurt);
//! 3. the terminal: [`cmd`], [`ui`].
//!
//! The library never prints, exits or reads the environment; only level 3 and [`config`] do.

pub mod add;
pub mod cause;
pub mod checkout;
pub mod cmd;
pub mod config;
pub mod deliver;
pub mod digest;
pub mod doctor;
pub mod driver;
pub mod engine;
pub mod gguf;
pub mod listing;
pub mod manifest;
pub mod media;
pub mod model;
pub mod mount;
pub mod oci_archive;
pub mod packaging;
pub mod policy;
pub mod process;
pub mod progress;
pub mod pull;
pub mod push;
mod ranges;
pub mod reference;
pub mod registries_conf;
pub mod registries_d;
pub mod registry;
pub mod rewrite;
pub mod signature;
pub mod store;
mod strict;
pub mod template;
pub mod ui;
