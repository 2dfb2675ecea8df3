//! What a pull looks like: bars on a terminal, one line per file elsewhere, JSON lines for programs. All on stderr.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use serde::Serialize;

use super::{Ui, human, printable};
use crate::digest::Digest;
use crate::manifest::Descriptor;
use crate::progress::{Progress, Silent};

/// JSON lines say of one blob that it advanced at most this often.
const ADVANCED_EVERY: Duration = Duration::from_millis(200);

const TEMPLATE: &str = "{prefix:24!} [{wide_bar}] {done:>7} / {all:<7} {speed:>7}/s {eta:>4}";

/// How the progress of a pull is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ProgressMode {
    /// Bars on a terminal, else plain; nothing when quiet
    #[default]
    Auto,
    /// A moving bar per file, on a terminal
    Bars,
    /// A line per file
    Plain,
    /// A JSON object per event and line
    Json,
    /// Nothing
    Quiet,
}

impl Ui {
    /// The watcher for a pull.
    pub fn progress(&self, mode: ProgressMode) -> Arc<dyn Progress> {
        match self.chosen(mode) {
            ProgressMode::Bars => Arc::new(Bars { ui: self.clone(), shown: Blobs::default() }),
            ProgressMode::Json => Arc::new(Events { ui: self.clone(), blobs: Blobs::default() }),
            ProgressMode::Quiet => Arc::new(Silent),
            ProgressMode::Auto | ProgressMode::Plain => Arc::new(Lines { ui: self.clone(), blobs: Blobs::default() }),
        }
    }

    fn chosen(&self, mode: ProgressMode) -> ProgressMode {
        let terminal = self.stderr_is_terminal();
        match mode {
            ProgressMode::Auto if self.is_quiet() => ProgressMode::Quiet,
            ProgressMode::Auto if terminal => ProgressMode::Bars,
            ProgressMode::Bars if !terminal => ProgressMode::Plain,
            other => other,
        }
    }

    fn say_fetched(&self, name: &str, size: u64) {
        self.status(&format!("Fetched {name} ({})", human::size(size)));
    }

    fn say_present(&self, name: &str) {
        self.status(&format!("{name}: already present"));
    }
}

/// The started blobs and what an implementation remembers of each.
struct Blobs<T>(Mutex<HashMap<Digest, T>>);

impl<T> Default for Blobs<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Blobs<T> {
    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One line per file, when it is done.
struct Lines {
    ui: Ui,
    blobs: Blobs<(String, u64)>,
}

impl Progress for Lines {
    fn planned(&self, _: usize, _: u64) {}

    fn connections(&self, _: usize) {}

    fn verifying(&self, _: &Digest) {}

    fn started(&self, blob: &Descriptor, name: &str, _: u64) {
        self.blobs.lock().insert(blob.digest.clone(), (name.to_owned(), blob.size));
    }

    fn advanced(&self, _: &Digest, _: u64) {}

    fn finished(&self, blob: &Digest) {
        let done = self.blobs.lock().remove(blob);
        if let Some((name, size)) = done {
            self.ui.say_fetched(&name, size);
        }
    }

    fn skipped(&self, _: &Descriptor, name: &str) {
        self.ui.say_present(name);
    }

    fn note(&self, text: &str) {
        self.ui.note(text);
    }
}

/// A bar per file while it comes, and its line when it is done.
struct Bars {
    ui: Ui,
    shown: Blobs<(ProgressBar, String)>,
}

impl Progress for Bars {
    fn planned(&self, _: usize, _: u64) {}

    fn connections(&self, _: usize) {}

    fn verifying(&self, _: &Digest) {}

    fn started(&self, blob: &Descriptor, name: &str, present: u64) {
        // Complete before it is added, as adding paints it.
        let bar = ProgressBar::with_draw_target(Some(blob.size), ProgressDrawTarget::hidden())
            .with_style(style())
            .with_prefix(printable(name).into_owned())
            .with_position(present);
        // What was here before says nothing about the speed: the estimate takes note of it and starts anew.
        bar.tick();
        bar.reset_eta();
        let bar = self.ui.bars.add(bar);
        let before = self.shown.lock().insert(blob.digest.clone(), (bar, name.to_owned()));
        self.take_down(before.map(|(bar, _)| bar));
    }

    fn advanced(&self, blob: &Digest, bytes: u64) {
        if let Some((bar, _)) = self.shown.lock().get(blob) {
            bar.inc(bytes);
        }
    }

    fn finished(&self, blob: &Digest) {
        let Some((bar, name)) = self.shown.lock().remove(blob) else { return };
        let size = bar.length().unwrap_or_default();
        self.take_down(Some(bar));
        self.ui.say_fetched(&name, size);
    }

    fn skipped(&self, _: &Descriptor, name: &str) {
        self.ui.say_present(name);
    }

    fn note(&self, text: &str) {
        self.ui.note(text);
    }
}

impl Bars {
    fn take_down(&self, bar: Option<ProgressBar>) {
        if let Some(bar) = bar {
            bar.finish_and_clear();
            self.ui.bars.remove(&bar);
        }
    }
}

impl Drop for Bars {
    /// A pull that failed leaves bars that will never be done.
    fn drop(&mut self) {
        let left: Vec<ProgressBar> = self.shown.lock().drain().map(|(_, (bar, _))| bar).collect();
        left.into_iter().for_each(|bar| self.take_down(Some(bar)));
    }
}

fn style() -> ProgressStyle {
    let write = |out: &mut dyn fmt::Write, bytes: u64| {
        // Writing into a line that is kept in memory does not fail.
        let _ = out.write_str(&human::size(bytes));
    };
    let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
    style
        .progress_chars("=>-")
        .with_key("done", move |state: &ProgressState, out: &mut dyn fmt::Write| write(out, state.pos()))
        .with_key("all", move |state: &ProgressState, out: &mut dyn fmt::Write| {
            write(out, state.len().unwrap_or_default());
        })
        .with_key("speed", move |state: &ProgressState, out: &mut dyn fmt::Write| write(out, state.per_sec() as u64))
}

/// One JSON object per line.
struct Events {
    ui: Ui,
    blobs: Blobs<Seen>,
}

struct Seen {
    name: String,
    size: u64,
    bytes: u64,
    told: Instant,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Event<'a> {
    Started(Blob<'a>),
    Advanced(Blob<'a>),
    Finished(Blob<'a>),
    Skipped(Blob<'a>),
    Note { text: &'a str },
}

/// `bytes` are all that are here, also those of an earlier try.
#[derive(Serialize)]
struct Blob<'a> {
    digest: &'a Digest,
    name: &'a str,
    size: u64,
    bytes: u64,
}

impl Events {
    fn tell(&self, event: &Event<'_>) {
        if let Ok(line) = serde_json::to_string(event) {
            self.ui.say(&line);
        }
    }
}

impl Progress for Events {
    fn planned(&self, _: usize, _: u64) {}

    fn connections(&self, _: usize) {}

    fn verifying(&self, _: &Digest) {}

    fn started(&self, blob: &Descriptor, name: &str, present: u64) {
        let seen = Seen { name: name.to_owned(), size: blob.size, bytes: present, told: Instant::now() };
        self.tell(&Event::Started(seen.blob(&blob.digest)));
        self.blobs.lock().insert(blob.digest.clone(), seen);
    }

    fn advanced(&self, blob: &Digest, bytes: u64) {
        let mut blobs = self.blobs.lock();
        let Some(seen) = blobs.get_mut(blob) else { return };
        seen.bytes += bytes;
        if seen.told.elapsed() >= ADVANCED_EVERY {
            seen.told = Instant::now();
            self.tell(&Event::Advanced(seen.blob(blob)));
        }
    }

    fn finished(&self, blob: &Digest) {
        if let Some(mut seen) = self.blobs.lock().remove(blob) {
            seen.bytes = seen.size;
            self.tell(&Event::Finished(seen.blob(blob)));
        }
    }

    fn skipped(&self, blob: &Descriptor, name: &str) {
        self.tell(&Event::Skipped(Blob { digest: &blob.digest, name, size: blob.size, bytes: blob.size }));
    }

    fn note(&self, text: &str) {
        self.tell(&Event::Note { text });
    }
}

impl Seen {
    fn blob<'a>(&'a self, digest: &'a Digest) -> Blob<'a> {
        Blob { digest, name: &self.name, size: self.size, bytes: self.bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(content: &[u8]) -> Descriptor {
        let text = format!(r#"{{"digest":"{}","size":{}}}"#, Digest::sha256(content), content.len());
        serde_json::from_str(&text).unwrap()
    }

    fn pull(mode: ProgressMode, quiet: bool) -> String {
        let (ui, captured) = Ui::captured();
        let progress = ui.with_quiet(quiet).progress(mode);
        let (new, old) = (descriptor(&[b'x'; 3006]), descriptor(b"old"));
        progress.started(&new, "model.gguf", 6);
        progress.skipped(&old, "README.md");
        progress.advanced(&new.digest, 3000);
        progress.note("from a mirror");
        progress.finished(&new.digest);
        progress.finished(&new.digest);
        progress.advanced(&old.digest, 1);
        assert_eq!(captured.stdout(), "");
        captured.stderr()
    }

    #[test]
    fn a_file_gets_a_line_per_blob() {
        let lines = "README.md: already present\nNote: from a mirror\nFetched model.gguf (3.006kB)\n";
        for mode in [ProgressMode::Auto, ProgressMode::Plain, ProgressMode::Bars] {
            assert_eq!(pull(mode, false), lines, "{mode:?}");
        }
    }

    #[test]
    fn quiet_says_nothing() {
        assert_eq!(pull(ProgressMode::Quiet, false), "");
        assert_eq!(pull(ProgressMode::Auto, true), "");
        assert_eq!(pull(ProgressMode::Plain, true), "");
    }

    #[test]
    fn json_has_a_line_per_event_also_when_quiet() {
        let new = Digest::sha256(&[b'x'; 3006]);
        let old = Digest::sha256(b"old");
        let expected = format!(
            r#"{{"event":"started","digest":"{new}","name":"model.gguf","size":3006,"bytes":6}}
{{"event":"skipped","digest":"{old}","name":"README.md","size":3,"bytes":3}}
{{"event":"note","text":"from a mirror"}}
{{"event":"finished","digest":"{new}","name":"model.gguf","size":3006,"bytes":3006}}
"#
        );
        assert_eq!(pull(ProgressMode::Json, true), expected);
    }

    #[test]
    fn json_tells_of_an_advance_at_most_five_times_a_second() {
        let (ui, captured) = Ui::captured();
        let progress = ui.progress(ProgressMode::Json);
        let blob = descriptor(&[b'x'; 1000]);
        progress.started(&blob, "a", 0);
        std::thread::sleep(ADVANCED_EVERY);
        (0..100).for_each(|_| progress.advanced(&blob.digest, 10));
        let lines = captured.stderr();
        assert!(lines.contains(r#""event":"advanced""#), "{lines}");
        assert!(lines.lines().count() < 5, "{lines}");
    }

    #[test]
    fn bars_are_cleared_and_leave_a_line() {
        let (ui, captured) = Ui::captured();
        let bars = Bars { ui, shown: Blobs::default() };
        let blob = descriptor(&[b'x'; 3006]);
        bars.started(&blob, "model\u{1b}.gguf", 6);
        bars.started(&blob, "model.gguf", 100);
        bars.advanced(&blob.digest, 2906);
        assert_eq!(bars.shown.lock()[&blob.digest].0.position(), 3006);
        bars.finished(&blob.digest);
        assert!(bars.shown.lock().is_empty());
        assert_eq!(captured.stderr(), "Fetched model.gguf (3.006kB)\n");
    }

    #[test]
    fn what_was_here_before_is_no_speed() {
        let bars = Bars { ui: Ui::null(), shown: Blobs::default() };
        let mut blob = descriptor(b"large");
        blob.size = 2_000_000_000_000;
        bars.started(&blob, "model.gguf", 1_000_000_000_000);
        std::thread::sleep(Duration::from_millis(20));
        bars.advanced(&blob.digest, 1000);
        let speed = bars.shown.lock()[&blob.digest].0.per_sec();
        assert!(speed < 1_000_000.0, "{speed}");
    }

    #[test]
    fn the_template_is_valid() {
        ProgressStyle::with_template(TEMPLATE).unwrap();
    }
}
