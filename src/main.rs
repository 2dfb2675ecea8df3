//! The `artishim` program.

fn main() {}
