//! What moves at the foot of a terminal: a bar for each of a few files and a line over all of them.
//!
//! Whoever fetches only counts. A thread paints ten times a second, and the lines that stay are printed then too, as
//! two thousand small files would else paint everything two thousand times.

use std::cmp::Reverse;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use super::tally::{Blob, Tally};
use super::text::{File, State, frame, percent};
use super::told::Told;
use super::{Ui, Way, lock};
use crate::digest::Digest;
use crate::manifest::Descriptor;
use crate::progress::Progress;
use crate::ui::screen::Size;
use crate::ui::{NAME, SENTENCE, shortened};

/// How often is painted.
const PAINT_EVERY: Duration = Duration::from_millis(100);
/// What is done sooner is not worth a bar that comes and goes.
const SHOWN_AFTER: Duration = Duration::from_millis(300);
/// More bars are a wall.
const MOST_BARS: usize = 8;

/// A bar per file while it comes, and its line when it is done.
pub(super) struct Bars {
    board: Arc<Board>,
    painter: OnceLock<Option<Painter>>,
}

struct Board {
    ui: Ui,
    state: Mutex<Waiting>,
    /// Held while painting, so that an older picture never comes after a newer one.
    painting: Mutex<()>,
}

struct Waiting {
    told: Told,
    /// What is to be printed with the next picture.
    lines: Vec<String>,
}

impl Bars {
    pub(super) fn new(ui: Ui, way: Way) -> Self {
        let state = Mutex::new(Waiting { told: Told::new(way), lines: Vec::new() });
        let board = Board { ui, state, painting: Mutex::default() };
        Self { board: Arc::new(board), painter: OnceLock::new() }
    }

    fn tell(&self, lines: impl FnOnce(&mut Told) -> Vec<String>) {
        let mut state = lock(&self.board.state);
        let lines = lines(&mut state.told);
        state.lines.extend(lines);
        // Nothing may be left for the thread at the end, when an engine may take this process's place.
        let is_idle = state.told.tally.blobs.is_empty();
        let is_due = is_idle && (state.told.tally.is_over() || !state.lines.is_empty());
        drop(state);
        if is_due {
            self.board.paint(Instant::now());
        }
    }
}

impl Progress for Bars {
    fn planned(&self, blobs: usize, bytes: u64) {
        lock(&self.board.state).told.tally.planned(blobs, bytes);
    }

    fn connections(&self, open: usize) {
        lock(&self.board.state).told.tally.connections = open;
    }

    fn started(&self, blob: &Descriptor, name: &str, present: u64) {
        let mut state = lock(&self.board.state);
        let line = state.told.started(Instant::now(), blob, name, present);
        state.lines.extend(line);
        drop(state);
        self.painter.get_or_init(|| Painter::start(&self.board));
    }

    fn advanced(&self, blob: &Digest, bytes: u64) {
        lock(&self.board.state).told.tally.advanced(blob, bytes);
    }

    fn verifying(&self, blob: &Digest) {
        lock(&self.board.state).told.tally.verifying(blob);
    }

    fn finished(&self, blob: &Digest) {
        self.tell(|told| told.finished(blob));
    }

    fn skipped(&self, blob: &Descriptor, name: &str) {
        self.tell(|told| told.skipped(blob, name));
    }

    fn note(&self, text: &str) {
        self.tell(|_| vec![format!("Note: {}", shortened(text, SENTENCE))]);
    }
}

impl Drop for Bars {
    /// A pull that failed leaves bars that will never be done.
    fn drop(&mut self) {
        drop(self.painter.take());
        let mut state = lock(&self.board.state);
        let lines = state.told.close();
        state.lines.extend(lines);
        drop(state);
        self.board.paint(Instant::now());
    }
}

impl Board {
    fn paint(&self, now: Instant) {
        let _painting = lock(&self.painting);
        let mut state = lock(&self.state);
        state.told.tally.sample(now);
        let lines = std::mem::take(&mut state.lines);
        let picture = picture(&state.told.tally, now, self.ui.size());
        drop(state);
        if !lines.is_empty() {
            self.ui.status(&lines.join("\n"));
        }
        self.ui.draw(&picture);
    }
}

/// Nothing before the first file took its time, and nothing when all are done.
fn picture(tally: &Tally, now: Instant, size: Size) -> Vec<String> {
    if tally.age(now) < SHOWN_AFTER {
        return Vec::new();
    }
    let lasts = |blob: &&Blob| now.saturating_duration_since(blob.since) >= SHOWN_AFTER;
    let mut blobs: Vec<&Blob> = tally.blobs.values().filter(lasts).collect();
    // The largest, as those that stay, in the order they came.
    blobs.sort_by_key(|blob| (Reverse(blob.size), blob.order));
    blobs.truncate(MOST_BARS.min(size.rows.saturating_sub(2)));
    blobs.sort_by_key(|blob| blob.order);
    let files: Vec<File> = blobs.into_iter().map(file).collect();
    // A line that fills the last column makes some terminals go on to the next.
    frame(&files, &tally.total(), size.columns.saturating_sub(1))
}

fn file(blob: &Blob) -> File {
    let resumed = percent(blob.present, blob.size);
    let state = match resumed {
        _ if blob.is_verifying => State::Verifying,
        1.. if blob.present > 0 => State::Resumed(resumed),
        _ => State::Coming,
    };
    File { name: shortened(&blob.name, NAME).into_owned(), size: blob.size, bytes: blob.bytes, state }
}

/// The thread that paints, until this is dropped.
struct Painter {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Painter {
    /// Without a thread, only the lines that stay are seen.
    fn start(board: &Arc<Board>) -> Option<Self> {
        let (stop, stopped) = channel();
        let board = Arc::clone(board);
        let paint = move || {
            while stopped.recv_timeout(PAINT_EVERY) == Err(RecvTimeoutError::Timeout) {
                board.paint(Instant::now());
            }
        };
        let thread = Builder::new().name(String::from("progress")).spawn(paint).ok()?;
        Some(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Painter {
    fn drop(&mut self) {
        drop(self.stop.take());
        // A painter that panicked has nothing more to say.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{digest, sized};
    use super::*;
    use crate::ui::screen_tests::{Written, terminal};

    /// Bars that are painted only when a test does so.
    fn bars() -> (Bars, Written) {
        let (ui, written) = terminal();
        let bars = Bars::new(ui, Way::Here);
        bars.painter.get_or_init(|| None);
        (bars, written)
    }

    fn paint(bars: &Bars, milliseconds: u64) {
        bars.board.paint(Instant::now() + Duration::from_millis(milliseconds));
    }

    #[test]
    fn bars_move_and_leave_lines() {
        let (bars, written) = bars();
        bars.planned(3, 3_000_000);
        bars.connections(2);
        bars.skipped(&sized("c", 500_000), "c");
        bars.started(&sized("a", 2_000_000), "model\u{1b}.gguf", 900_000);
        bars.started(&sized("b", 500_000), "b", 0);
        paint(&bars, 0);
        assert_eq!(written.seen(), ["c: already present", "model\\u{1b}.gguf: resumed at 45 %"]);
        bars.advanced(&digest("a"), 100_000);
        bars.verifying(&digest("b"));
        paint(&bars, 1000);
        let seen = written.seen();
        assert_eq!(seen.len(), 5);
        assert!(seen[2].starts_with("model\\u{1b}.gguf [="), "{seen:#?}");
        assert!(seen[2].ends_with("]     1MB / 2MB     resumed at 45 %"), "{seen:#?}");
        assert!(seen[3].starts_with("b                [="), "{seen:#?}");
        assert!(seen[3].ends_with("]   500kB / 500kB         verifying"), "{seen:#?}");
        assert!(seen[4].starts_with("    2MB / 3MB   66 %  "), "{seen:#?}");
        assert!(seen[4].ends_with("  1/3 files  2 connections"), "{seen:#?}");
        bars.finished(&digest("b"));
        assert_eq!(written.seen(), seen);
        bars.finished(&digest("a"));
        assert_eq!(written.seen()[2..], ["Fetched b (500kB)", "Fetched model\\u{1b}.gguf (2MB)"]);
    }

    #[test]
    fn a_few_of_many_files_get_bars() {
        let (ui, _) = terminal();
        let mut told = Told::default();
        told.tally.planned(2000, 2_000_000);
        let start = Instant::now();
        for number in 0..100 {
            told.started(start + Duration::from_millis(number), &sized(&number.to_string(), number), "n", 0);
        }
        let at = |milliseconds| picture(&told.tally, start + Duration::from_millis(milliseconds), ui.size());
        assert_eq!(at(299).len(), 0);
        assert_eq!(at(302).len(), 3 + 1);
        let all = at(500);
        assert_eq!(all.len(), MOST_BARS + 1);
        assert!(all[0].contains(" / 92B ") && all[7].contains(" / 99B "), "{all:#?}");
        let low = picture(&told.tally, start + Duration::from_secs(1), Size { columns: 80, rows: 4 });
        assert_eq!(low.len(), 3);
    }

    #[test]
    fn the_thread_paints_and_is_gone_with_the_bars() {
        let (ui, written) = terminal();
        let bars = Bars::new(ui, Way::Here);
        bars.planned(2, 2000);
        bars.started(&sized("a", 1000), "a", 500);
        let start = Instant::now();
        while written.seen().len() < 3 {
            assert!(start.elapsed() < Duration::from_secs(20), "{:?}", written.seen());
            std::thread::sleep(PAINT_EVERY);
        }
        drop(bars);
        assert_eq!(written.seen(), ["a: resumed at 50 %"]);
    }
}
