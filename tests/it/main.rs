//! Behaviour across modules, without network, root or engine.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]
#![allow(clippy::print_stdout, reason = "the harness shows it where a test fails")]

mod add;
mod archive;
mod commands;
mod common;
mod compose;
mod config;
mod doctor;
mod doors;
mod endless;
mod errors;
mod faults;
mod fixtures;
mod formats;
mod hubs;
mod inspect;
mod layers;
mod load;
mod login;
mod man;
mod mirrors;
mod packagings;
mod parts;
mod policy;
mod prefix;
mod proxies;
mod pull;
mod push;
mod serve;
mod short_names;
mod signatures;
mod unpacking;
mod untrusted;
