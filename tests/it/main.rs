//! Behaviour across modules, without network, root or engine.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod commands;
mod common;
mod errors;
mod layers;
mod man;
mod pull;
