//! Questions to a person at the terminal.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::os::fd::AsFd as _;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::Ui;

/// A terminal that shows nothing of what is typed, until this is dropped.
///
/// It is for whoever waits for the answer to hold, not for who reads it: a read ends with a line only.
pub struct Silence(Termios);

impl Silence {
    /// Silences the terminal that is stdin.
    pub fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin().as_fd())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        silent.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(io::stdin().as_fd(), OptionalActions::Flush, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // A terminal that is gone shows nothing anyway.
        let _ = tcsetattr(io::stdin().as_fd(), OptionalActions::Flush, &self.0);
    }
}

impl Ui {
    /// Whether somebody is there to be asked.
    pub fn can_ask(&self) -> bool {
        self.stderr_is_terminal() && io::stdin().is_terminal()
    }

    /// Asks, on stderr, without a line end.
    pub fn ask(&self, question: &str) -> io::Result<()> {
        self.screen.aside(|| self.stderr.write(self.stderr.shown(question).as_bytes()))
    }

    /// The line that is typed as an answer, without its end. It blocks.
    pub fn answer(&self) -> io::Result<String> {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line)?;
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}
