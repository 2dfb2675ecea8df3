//! Who fetches which bytes of one blob. Pure: it is told what happened and what time it is, and says what is next.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::ranges::Ranges;

/// How long a connection is watched before it is called slow.
const WATCH: Duration = Duration::from_secs(2);
/// How many times slower than the others a connection is whose bytes an idle one takes over.
const SLOW: f64 = 4.0;
/// How many answers that are not the range asked for are borne from a registry that has served ranges.
const MAX_REFUSALS: u32 = 3;

/// How a blob is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// One range, to see whether the registry serves ranges.
    Probe,
    /// Several ranges at once.
    Ranges,
    /// Everything from the first missing byte on, on one connection.
    OneStream,
    /// The same for a registry that answers ranges wrongly: from the first byte, without asking for a range.
    Whole,
}

/// A range that one connection is fetching.
#[derive(Debug)]
pub(super) struct Chunk {
    /// The first byte asked for.
    pub start: u64,
    /// How it is asked for.
    pub mode: Mode,
    /// Whether it is the rest of a slower connection's chunk.
    is_rest: bool,
    /// When it was begun, as [`super::failures::Failures`] counts.
    pub round: u32,
    /// Up to where bytes were taken.
    position: AtomicU64,
    end: AtomicU64,
    /// Told when another connection does the rest, or when it is to be asked for elsewhere.
    pub taken: Notify,
}

impl Chunk {
    /// Behind the last byte to be fetched.
    pub fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// The answer brings more than was asked for, all of it welcome.
    pub fn extend(&self, end: u64) {
        self.end.store(end, Ordering::Release);
    }

    /// Up to where bytes were taken.
    pub fn position(&self) -> u64 {
        self.position.load(Ordering::Acquire)
    }

    /// Bytes were taken.
    pub fn advance(&self, position: u64) {
        self.position.fetch_max(position, Ordering::AcqRel);
    }
}

/// The next thing for a connection to do.
#[derive(Debug)]
pub(super) enum Step {
    /// Fetch this.
    Ask(Arc<Chunk>),
    /// Nothing now; perhaps when others have ended.
    Wait,
    /// Nothing any more.
    Done,
}

/// The bytes of a blob that are not here yet, and who fetches them.
#[derive(Debug)]
pub(super) struct Work {
    size: u64,
    mode: Mode,
    /// Nobody fetches these.
    pending: Ranges,
    running: Vec<Running>,
    /// Whether a range was answered with that range.
    has_served: bool,
    /// Answers in a row that were not the range asked for.
    refusals: u32,
}

#[derive(Debug)]
struct Running {
    chunk: Arc<Chunk>,
    began: Instant,
    /// The position at the last look, and when that was.
    seen: (u64, Instant),
}

impl Work {
    pub fn new(size: u64, mode: Mode, missing: Vec<Range>) -> Self {
        let pending = missing.into_iter().collect();
        Self { size, mode, pending, running: Vec::new(), has_served: false, refusals: 0 }
    }

    /// Nothing is wanted from `end` on.
    pub const fn end_at(&mut self, end: u64) {
        self.size = end;
    }

    /// What the next connection is to do: at most `most` bytes, none beyond `horizon`. `usual` is how many bytes a
    /// second one connection brings, if that is known.
    pub fn next(&mut self, most: u64, horizon: u64, usual: Option<f64>, round: u32, now: Instant) -> Step {
        let is_alone = self.running.is_empty();
        let Some(first) = self.pending.first() else {
            return if is_alone { Step::Done } else { self.take_over(horizon, usual, round, now) };
        };
        let range = match self.mode {
            Mode::Probe | Mode::Ranges if first.start >= horizon => return self.take_over(horizon, usual, round, now),
            // None that the sink would hold up half-way: it could be waiting for what another connection has to bring.
            Mode::Probe if is_alone => first.start..first.end.min(first.start.saturating_add(most)).min(horizon),
            Mode::Ranges => first.start..first.end.min(first.start.saturating_add(most)).min(horizon),
            Mode::OneStream if is_alone => first.start..self.size,
            Mode::Whole if is_alone => 0..self.size,
            _ => return Step::Wait,
        };
        self.begin(range, false, round, now)
    }

    fn begin(&mut self, range: Range, is_rest: bool, round: u32, now: Instant) -> Step {
        self.pending.remove(&range);
        let chunk = Arc::new(Chunk {
            start: range.start,
            mode: self.mode,
            is_rest,
            round,
            position: AtomicU64::new(range.start),
            end: AtomicU64::new(range.end),
            taken: Notify::new(),
        });
        self.running.push(Running { chunk: Arc::clone(&chunk), began: now, seen: (range.start, now) });
        Step::Ask(chunk)
    }

    /// The registry has answered a range with that range: further connections may ask for others.
    pub fn serves_ranges(&mut self) {
        (self.has_served, self.refusals) = (true, 0);
        if self.mode == Mode::Probe {
            self.mode = Mode::Ranges;
        }
    }

    /// A chunk has ended, well or not; `missing` are the bytes that are not here. Says how long it took.
    pub fn end(&mut self, chunk: &Arc<Chunk>, missing: Vec<Range>, now: Instant) -> Duration {
        let mut took = Duration::ZERO;
        if let Some(index) = self.running.iter().position(|running| Arc::ptr_eq(&running.chunk, chunk)) {
            took = now.duration_since(self.running.swap_remove(index).began);
        }
        self.pending = missing.into_iter().collect();
        for running in &self.running {
            // Not from its position on: that may have moved since `missing` was true.
            self.pending.remove(&(running.chunk.start..running.chunk.end()));
        }
        took
    }

    /// What was found out of ranges is forgotten, as it was found out of a place that is asked no more.
    pub const fn begin_anew(&mut self) {
        (self.mode, self.has_served, self.refusals) = (Mode::Probe, false, 0);
    }

    /// Has all connections begin anew with what is missing, as there is a better place to ask.
    pub fn interrupt(&self) {
        self.running.iter().for_each(|running| running.chunk.taken.notify_one());
    }

    /// The registry has answered a range with something else; from now on it is asked for less.
    pub fn refused(&mut self, chunk: &Chunk) {
        self.refusals += 1;
        self.mode = match chunk.mode {
            Mode::Ranges if self.has_served && self.refusals < MAX_REFUSALS => self.mode,
            Mode::Probe | Mode::Ranges => Mode::OneStream,
            Mode::OneStream | Mode::Whole => Mode::Whole,
        };
    }

    /// The rest of the chunk whose connection is much slower than the others, for one that has nothing to do.
    fn take_over(&mut self, horizon: u64, usual: Option<f64>, round: u32, now: Instant) -> Step {
        let Some(usual) = usual else { return Step::Wait };
        // Once is enough: where everything is slow, asking over and over brings nothing.
        let first_hand =
            |running: &&mut Running| matches!(running.chunk.mode, Mode::Probe | Mode::Ranges) && !running.chunk.is_rest;
        let slow = self.running.iter_mut().filter(first_hand).find_map(|running| {
            let (seen, since) = running.seen;
            let watched = now.duration_since(since);
            if watched < WATCH {
                return None;
            }
            let position = running.chunk.position();
            // What waits at the horizon is held up by us.
            if position >= horizon {
                return None;
            }
            running.seen = (position, now);
            let is_slow = as_f64(position - seen) / watched.as_secs_f64() * SLOW <= usual;
            is_slow.then(|| Arc::clone(&running.chunk))
        });
        let Some(slow) = slow else { return Step::Wait };
        let rest = slow.position()..slow.end();
        slow.end.store(rest.start, Ordering::Release);
        slow.taken.notify_one();
        if rest.is_empty() { Step::Wait } else { self.begin(rest, true, round, now) }
    }
}

type Range = std::ops::Range<u64>;

/// Sizes of blobs are far from where f64 is not exact enough for a speed.
#[allow(clippy::cast_precision_loss)]
const fn as_f64(bytes: u64) -> f64 {
    bytes as f64
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init, reason = "a list of one range is what is meant")]
mod tests {
    use super::*;

    const SIZE: u64 = 100;

    fn asked(step: Step) -> Arc<Chunk> {
        match step {
            Step::Ask(chunk) => chunk,
            other => panic!("nothing is asked: {other:?}"),
        }
    }

    fn range(chunk: &Chunk) -> Range {
        chunk.start..chunk.end()
    }

    fn next(work: &mut Work, now: Instant) -> Step {
        work.next(10, u64::MAX, Some(10.0), 0, now)
    }

    #[test]
    fn one_connection_finds_out_whether_ranges_are_served() {
        let now = Instant::now();
        let mut work = Work::new(SIZE, Mode::Probe, vec![0..SIZE]);
        assert_eq!(range(&asked(next(&mut work, now))), 0..10);
        assert!(matches!(next(&mut work, now), Step::Wait));
        work.serves_ranges();
        assert_eq!(range(&asked(next(&mut work, now))), 10..20);
        assert_eq!(range(&asked(next(&mut work, now))), 20..30);
    }

    #[test]
    fn only_what_is_missing_is_asked_for_and_nothing_twice() {
        let now = Instant::now();
        let mut work = Work::new(SIZE, Mode::Ranges, vec![5..8, 40..55]);
        let parts = [asked(next(&mut work, now)), asked(next(&mut work, now)), asked(next(&mut work, now))];
        assert_eq!(parts.each_ref().map(|chunk| range(chunk)), [5..8, 40..50, 50..55]);
        assert!(matches!(next(&mut work, now), Step::Wait));
        parts[1].advance(44);
        work.end(&parts[1], vec![5..8, 44..55], now);
        assert_eq!(range(&asked(next(&mut work, now))), 44..50);
        work.end(&parts[0], vec![], now);
        work.end(&parts[2], vec![], now);
        assert!(matches!(next(&mut work, now), Step::Wait), "one is still running");
    }

    #[test]
    fn what_comes_while_another_part_ends_is_not_asked_for_again() {
        let now = Instant::now();
        let mut work = Work::new(20, Mode::Ranges, vec![0..20]);
        let (first, second) = (asked(next(&mut work, now)), asked(next(&mut work, now)));
        second.advance(20);
        work.end(&first, vec![10..20], now);
        assert!(matches!(next(&mut work, now), Step::Wait));
    }

    #[test]
    fn a_registry_that_ignores_ranges_is_asked_for_the_rest_at_once() {
        let now = Instant::now();
        let mut work = Work::new(SIZE, Mode::Probe, vec![30..SIZE]);
        let probe = asked(next(&mut work, now));
        work.refused(&probe);
        work.end(&probe, vec![50..SIZE], now);
        let stream = asked(next(&mut work, now));
        assert_eq!((range(&stream), stream.mode), (50..SIZE, Mode::OneStream));
        assert!(matches!(next(&mut work, now), Step::Wait));
        work.refused(&stream);
        work.end(&stream, vec![70..SIZE], now);
        assert_eq!(range(&asked(next(&mut work, now))), 0..SIZE);
    }

    #[test]
    fn a_registry_that_only_says_it_serves_ranges_is_believed_until_it_does_not() {
        let now = Instant::now();
        let mut work = Work::new(SIZE, Mode::Ranges, vec![0..SIZE]);
        let chunk = asked(next(&mut work, now));
        work.refused(&chunk);
        work.end(&chunk, vec![0..SIZE], now);
        assert_eq!(work.mode, Mode::OneStream);
    }

    #[test]
    fn a_single_wrong_answer_does_not_end_the_use_of_ranges() {
        let now = Instant::now();
        let mut work = Work::new(SIZE, Mode::Ranges, vec![0..SIZE]);
        work.serves_ranges();
        for _ in 0..10 {
            let chunk = asked(next(&mut work, now));
            work.refused(&chunk);
            work.end(&chunk, vec![0..SIZE], now);
            assert_eq!(work.mode, Mode::Ranges);
            work.serves_ranges();
        }
        for _ in 0..MAX_REFUSALS {
            let chunk = asked(next(&mut work, now));
            work.refused(&chunk);
            work.end(&chunk, vec![0..SIZE], now);
        }
        assert_eq!(work.mode, Mode::OneStream);
    }

    #[test]
    fn nothing_is_asked_beyond_the_horizon() {
        let now = Instant::now();
        let mut work = Work::new(SIZE, Mode::Ranges, vec![0..SIZE]);
        let first = asked(work.next(10, 15, None, 0, now));
        let second = asked(work.next(10, 15, None, 0, now));
        assert_eq!([range(&first), range(&second)], [0..10, 10..15]);
        assert!(matches!(work.next(10, 15, None, 0, now), Step::Wait));
        assert_eq!(range(&asked(work.next(10, 25, None, 0, now))), 15..25);
        let mut probe = Work::new(SIZE, Mode::Probe, vec![20..SIZE]);
        assert!(matches!(probe.next(10, 20, None, 0, now), Step::Wait));
        assert_eq!(range(&asked(probe.next(10, 22, None, 0, now))), 20..22);
    }

    #[test]
    fn the_rest_of_a_connection_that_stands_still_is_taken_over_once() {
        let now = Instant::now();
        let mut work = Work::new(20, Mode::Ranges, vec![0..20]);
        let (slow, quick) = (asked(next(&mut work, now)), asked(next(&mut work, now)));
        slow.advance(3);
        quick.advance(20);
        work.end(&quick, vec![3..10], now + Duration::from_secs(1));
        assert!(matches!(next(&mut work, now + WATCH / 2), Step::Wait), "it is too early");
        let rest = asked(next(&mut work, now + WATCH));
        assert_eq!((range(&rest), slow.end()), (3..10, 3));
        work.end(&slow, vec![3..10], now + WATCH);
        assert!(matches!(next(&mut work, now + WATCH * 4), Step::Wait), "not a second time");
        rest.advance(10);
        work.end(&rest, vec![], now + WATCH * 4);
        assert!(matches!(next(&mut work, now + WATCH * 4), Step::Done));
    }
}
