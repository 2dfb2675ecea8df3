//! What the targets have in common: a sink that checks what it is promised, and rules for what a person is shown.

pub mod archive;
pub mod sink;

use std::error::Error;

use artishim::{cause, ui};

/// Checks that an error with its causes can be shown on a terminal, in one line, whatever the input was.
pub fn assert_harmless(error: &dyn Error) {
    let line = cause::one_line(error);
    let shown = ui::printable(&line);
    assert!(!shown.contains(|c: char| c.is_control() && c != '\t'), "a control character in {shown:?}");
}
