//! The `artishim` program: arguments in, exit status out.

use std::process::ExitCode;

fn main() -> ExitCode {
    artishim::cmd::main(std::env::args_os().collect())
}
