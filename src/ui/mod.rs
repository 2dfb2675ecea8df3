//! The terminal: data on stdout, everything else on stderr, and nothing printed anywhere else in the program.
//!
//! Names and texts come from registries, which may put escape sequences into them; on a terminal they are shown, not
//! obeyed, and on stderr always, as logs end on terminals. Into a file or a pipe data goes as it is: [`untrusted`] has
//! the rules. A reader that stops reading is no error of ours.

mod compose;
mod human;
mod json;
mod progress;
mod prompt;
mod screen;
mod table;
mod untrusted;

use std::borrow::Cow;
use std::io::{self, ErrorKind, IsTerminal as _, Write};
use std::sync::{Arc, Mutex, PoisonError};

use self::screen::{Screen, Size};
pub use compose::Kind;
pub use human::{ago, count, created_at, duration, size};
pub use json::to_json;
pub use progress::{ProgressMode, Way};
pub use prompt::Silence;
pub use table::columns;
pub use untrusted::{NAME, SENTENCE, in_json, in_line, printable, shortened};

/// Where the program's words go; clones share the same streams.
#[derive(Clone)]
pub struct Ui {
    stdout: Stream,
    stderr: Stream,
    screen: Arc<Screen>,
    quiet: bool,
    reader: Reader,
}

/// Who reads what is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    /// A person, or a log that one reads.
    Person,
    /// Docker Compose, on stdout.
    Compose,
}

/// What a [`Ui`] for tests was told.
#[derive(Clone, Default)]
pub struct Captured {
    stdout: Buffer,
    stderr: Buffer,
}

impl Ui {
    /// The streams of this process.
    pub fn new(quiet: bool) -> Self {
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let (data_terminal, status_terminal) = (stdout.is_terminal(), stderr.is_terminal());
        let (stdout, stderr) = (Stream::new(stdout, data_terminal), Stream::new(stderr, status_terminal));
        let screen = Arc::new(Screen::new(stderr.clone(), screen::stderr_size));
        Self { screen, stdout, stderr, quiet, reader: Reader::Person }
    }

    /// Drops everything.
    pub fn null() -> Self {
        Self::to(Stream::new(io::sink(), false), Stream::new(io::sink(), false))
    }

    /// Keeps everything, as if both streams went to files.
    pub fn captured() -> (Self, Captured) {
        let captured = Captured::default();
        let stream = |buffer: &Buffer| Stream::new(buffer.clone(), false);
        (Self::to(stream(&captured.stdout), stream(&captured.stderr)), captured)
    }

    fn to(stdout: Stream, stderr: Stream) -> Self {
        let screen = Arc::new(Screen::new(stderr.clone(), screen::usual_size));
        Self { screen, stdout, stderr, quiet: false, reader: Reader::Person }
    }

    /// The same for Docker Compose, whose provider we are: what is said are messages on stdout.
    pub fn for_compose(self) -> Self {
        Self { reader: Reader::Compose, ..self }
    }

    /// Whether Docker Compose is spoken to.
    pub fn is_for_compose(&self) -> bool {
        self.reader == Reader::Compose
    }

    /// The same with or without [`Self::status`] and [`Self::note`].
    pub fn with_quiet(self, quiet: bool) -> Self {
        Self { quiet, ..self }
    }

    /// Whether the user wants no status.
    pub const fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether data goes to a terminal.
    pub const fn stdout_is_terminal(&self) -> bool {
        self.stdout.terminal
    }

    /// Whether status goes to a terminal.
    pub const fn stderr_is_terminal(&self) -> bool {
        self.stderr.terminal
    }

    /// Prints one or more lines of data on stdout.
    pub fn data(&self, text: &str) -> io::Result<()> {
        self.screen.aside(|| self.stdout.line(text))
    }

    /// Prints bytes on stdout as they are, without a line end.
    pub fn data_bytes(&self, bytes: &[u8]) -> io::Result<()> {
        self.screen.aside(|| self.stdout.write(bytes))
    }

    /// Where bytes are written to stdout as they are; a reader that stops reading has not got all of them.
    pub fn output(&self) -> impl Write + Send + use<> {
        Output(self.clone())
    }

    /// Says what is being done.
    pub fn status(&self, text: &str) {
        if !self.quiet {
            self.say(text);
        }
    }

    /// Says something the user should know that is no problem, in one line.
    pub fn note(&self, text: &str) {
        self.status(&format!("Note: {}", shortened(text, SENTENCE)));
    }

    /// Says that something may not be as the user wants it, in one line.
    pub fn warning(&self, text: &str) {
        self.say(&format!("Warning: {}", shortened(text, SENTENCE)));
    }

    /// Says in one line why the command failed; nothing moves on the terminal any more.
    pub fn error(&self, text: &str) {
        self.screen.end();
        match self.reader {
            Reader::Person => self.say(&format!("Error: {}", in_line(text))),
            Reader::Compose => self.tell_compose(Kind::Error, &in_line(text)),
        }
    }

    /// Says a way out in one line, after [`Self::error`].
    pub fn hint(&self, text: &str) {
        self.say(&format!("Hint: {}", in_line(text)));
    }

    /// Where a log writes its lines, each at once.
    pub fn log(&self) -> impl Write + use<> {
        Log(Self { reader: Reader::Person, ..self.clone() })
    }

    fn say(&self, text: &str) {
        match self.reader {
            Reader::Person => self.screen.say(text),
            Reader::Compose => self.tell_compose(Kind::Info, text),
        }
    }

    /// Gives Compose a message.
    pub fn tell_compose(&self, kind: Kind, text: &str) {
        // A Compose that is gone will not start anything either.
        let _ = self.data(&compose::message(kind, text));
    }

    /// Shows `lines` at the foot of the terminal, below what was said, in place of those shown there before.
    fn draw(&self, lines: &[String]) {
        self.screen.draw(lines);
    }

    fn size(&self) -> Size {
        self.screen.size()
    }
}

struct Output(Ui);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.screen.aside(|| self.0.stdout.write_whole(bytes)).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Log(Ui);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.say(String::from_utf8_lossy(bytes).trim_end());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Captured {
    /// What went to stdout.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What went to stderr.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }
}

#[derive(Clone)]
struct Stream {
    writer: Arc<Mutex<dyn Write + Send>>,
    terminal: bool,
}

impl Stream {
    fn new(writer: impl Write + Send + 'static, terminal: bool) -> Self {
        Self { writer: Arc::new(Mutex::new(writer)), terminal }
    }

    /// One write for the whole line, so that lines of several threads do not mix.
    fn line(&self, text: &str) -> io::Result<()> {
        self.write(format!("{}\n", self.shown(text)).as_bytes())
    }

    /// The text as it may go out here.
    fn shown<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.terminal { printable(text) } else { Cow::Borrowed(text) }
    }

    fn write_whole(&self, bytes: &[u8]) -> io::Result<()> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.write_all(bytes).and_then(|()| writer.flush())
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        match self.write_whole(bytes) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            result => result,
        }
    }
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod screen_tests;

#[cfg(test)]
mod tests {
    use super::*;

    struct Failing(ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn data_goes_to_stdout_and_words_to_stderr() {
        let (ui, captured) = Ui::captured();
        ui.data("one\ntwo").unwrap();
        ui.data_bytes(b"\x00raw").unwrap();
        ui.status("working");
        ui.note("a thing");
        ui.warning("careful");
        ui.error("broken");
        ui.hint("mend it");
        assert_eq!(captured.stdout(), "one\ntwo\n\0raw");
        assert_eq!(captured.stderr(), "working\nNote: a thing\nWarning: careful\nError: broken\nHint: mend it\n");
    }

    #[test]
    fn what_is_said_is_harmless_and_in_one_line_wherever_it_goes() {
        let (ui, captured) = Ui::captured();
        ui.status("name\u{1b}[2J");
        ui.note("one\ntwo");
        ui.error("\u{202e}broken\r\n\tWarning: all is well");
        ui.log().write_all(b"an answer\x1b]0;title\x07\n").unwrap();
        let expected = "name\\u{1b}[2J\nNote: one\\ntwo\nError: \\u{202e}broken\\u{d}\\n\\tWarning: all is well\n\
            an answer\\u{1b}]0;title\\u{7}\n";
        assert_eq!(captured.stderr(), expected);
    }

    #[test]
    fn quiet_leaves_warnings_and_errors() {
        let (ui, captured) = Ui::captured();
        let ui = ui.with_quiet(true);
        ui.status("working");
        ui.note("a thing");
        ui.warning("careful");
        ui.error("broken");
        assert_eq!(captured.stderr(), "Warning: careful\nError: broken\n");
    }

    #[test]
    fn a_closed_pipe_is_success_and_a_full_disk_is_not() {
        let ui = |kind| Ui::to(Stream::new(Failing(kind), false), Stream::new(Failing(kind), false));
        ui(ErrorKind::BrokenPipe).data("x").unwrap();
        ui(ErrorKind::StorageFull).data("x").unwrap_err();
        ui(ErrorKind::StorageFull).warning("x");
        Ui::null().data("x").unwrap();
    }

    #[test]
    fn a_terminal_shows_control_characters_and_a_file_gets_them() {
        let cases = [
            ("plain \u{e4}\u{1f600}\n\ttext", "plain \u{e4}\u{1f600}\n\ttext"),
            ("\u{1b}[2Jgone", "\\u{1b}[2Jgone"),
            ("a\rb\u{7}", "a\\u{d}b\\u{7}"),
            ("\u{9b}1m", "\\u{9b}1m"),
            ("gnp\u{202e}exe.\u{2066}", "gnp\\u{202e}exe.\\u{2066}"),
        ];
        for (text, shown) in cases {
            assert_eq!(printable(text), shown);
            for (terminal, expected) in [(true, shown), (false, text)] {
                let buffer = Buffer::default();
                Stream::new(buffer.clone(), terminal).line(text).unwrap();
                assert_eq!(buffer.text(), format!("{expected}\n"));
            }
        }
    }
}
