//! Lines that move at the foot of a terminal, and everything else above them.
//!
//! The lines are painted over in one write each time, so that nothing flickers. Whoever prints goes through here: what
//! moves is taken away before and put back behind it.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use unicode_width::UnicodeWidthStr as _;

use super::{Stream, printable};

/// How much of a terminal there is to paint on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub columns: usize,
    pub rows: usize,
}

/// What a terminal has that does not tell.
const USUAL: Size = Size { columns: 80, rows: 24 };

/// The foot of the terminal behind stderr.
pub(super) struct Screen {
    stderr: Stream,
    /// Painted now; `None` when nothing will be painted any more.
    shown: Mutex<Option<Vec<String>>>,
    size: fn() -> Size,
}

impl Screen {
    pub(super) fn new(stderr: Stream, size: fn() -> Size) -> Self {
        Self { stderr, shown: Mutex::new(Some(Vec::new())), size }
    }

    pub(super) fn size(&self) -> Size {
        (self.size)()
    }

    /// Shows `lines`, none wider than the terminal, in place of those before. On what is no terminal nothing is shown.
    pub(super) fn draw(&self, lines: &[String]) {
        let mut shown = self.lock();
        let is_other = |before: &&mut Vec<String>| before.as_slice() != lines;
        let Some(before) = shown.as_mut().filter(is_other).filter(|_| self.stderr.terminal) else { return };
        // Each line is painted over and cleared behind its end; clearing all first would flicker.
        let text: String = lines.iter().map(|line| format!("{line}\x1b[K\n")).collect();
        // A terminal that is gone has nobody watching it.
        let _ = self.stderr.write(format!("{}{text}\x1b[J", self.back(before)).as_bytes());
        *before = lines.to_vec();
    }

    /// Prints a line on stderr above what moves.
    pub(super) fn say(&self, text: &str) {
        let shown = self.lock();
        let text = printable(text);
        // A stderr that cannot be written to leaves nobody to tell.
        let _ = match shown.as_deref() {
            None | Some([]) => self.stderr.write(format!("{text}\n").as_bytes()),
            Some(lines) => {
                let moving: String = lines.iter().map(|line| format!("{line}\n")).collect();
                self.stderr.write(format!("{}\x1b[J{text}\n{moving}", self.back(lines)).as_bytes())
            }
        };
    }

    /// Does what prints on something else than stderr, which may be the same terminal.
    pub(super) fn aside(&self, print: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut shown = self.lock();
        if let Some(lines) = shown.as_mut().filter(|lines| !lines.is_empty()) {
            // The next picture comes soon.
            let _ = self.stderr.write(format!("{}\x1b[J", self.back(lines)).as_bytes());
            lines.clear();
        }
        print()
    }

    /// Nothing moves from now on.
    pub(super) fn end(&self) {
        self.draw(&[]);
        *self.lock() = None;
    }

    /// The way from below `lines` to their first column; a terminal that is narrower by now has broken them.
    fn back(&self, lines: &[String]) -> String {
        let columns = self.size().columns.max(1);
        match lines.iter().map(|line| line.width().div_ceil(columns).max(1)).sum::<usize>() {
            0 => String::new(),
            rows => format!("\r\x1b[{rows}A"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<String>>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The size of the terminal behind the process's stderr.
pub(super) fn stderr_size() -> Size {
    match rustix::termios::tcgetwinsize(io::stderr()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
            Size { columns: size.ws_col.into(), rows: size.ws_row.into() }
        }
        _ => USUAL,
    }
}

/// What tests paint on.
pub(super) const fn usual_size() -> Size {
    USUAL
}
