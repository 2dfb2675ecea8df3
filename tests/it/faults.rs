//! Pulls from a registry that misbehaves: every one ends with the right bytes, or with an error that names the cause.
//!
//! Bytes are counted where they leave the registry, with at most 16 KiB of each connection still in the system. What
//! has left and is then refused by the client, because it is not what was asked for, is at most [`WINDOW`] an answer.

mod access;
mod breaks;
mod content;
mod judge;
mod kept;
mod kill;
mod random;
mod ranges;
mod rig;
mod schedule;
mod stream;
mod waits;

/// What one request asks for at most.
const CHUNK: usize = 64 * 1024;
/// What can be on the way in one connection: the client's window, and what the registry's system keeps.
const WINDOW: u64 = 96 * 1024;
/// What may be in the system of a connection that the registry closes.
const UNDER_WAY: u64 = 16 * 1024;
