//! How many connections bring the most. Pure: it is told what came, and says how many there should be.
//!
//! A link that is limited per connection, by a server's own limit or by the time of a round trip, gets faster with each
//! one; a link that is full, or a machine that is busy, does not, and then fewer are kinder to both. So the number is
//! doubled while that makes the bytes come faster, taken back where it does not, and tried again after a while.

use std::time::Duration;

/// How often the bytes that came are looked at.
pub(super) const TICK: Duration = Duration::from_millis(50);
/// How many connections a pull begins with.
const START: usize = 8;
/// The same where a round trip takes so long that one connection brings little for the first half second.
const START_FAR: usize = 16;
/// Such a round trip.
const FAR: Duration = Duration::from_millis(20);
/// How much faster twice the connections must be.
const GROWTH: f64 = 1.25;
/// How many ticks further connections are given to show it: some round trips.
const TRIAL: u32 = 10;
/// How many ticks pass before more are tried again.
const REST: u32 = 100;

/// Finds the number of connections.
pub(super) struct Ramp {
    max: usize,
    level: usize,
    /// The level before the last step up.
    from: usize,
    /// Bytes a tick, before the last step up.
    before: f64,
    /// Bytes a tick now, the last ticks counting most.
    now: f64,
    /// Ticks on this level.
    ticks: u32,
    /// The next tick says nothing: in it connections are made.
    is_beginning: bool,
    /// Whether the level has shown its worth.
    is_settled: bool,
}

impl Ramp {
    /// Begins with a few connections to a registry that answers in `latency`, never more than `max`.
    pub fn new(max: usize, latency: Option<Duration>) -> Self {
        let max = max.max(1);
        let start = if latency.is_some_and(|latency| latency >= FAR) { START_FAR } else { START };
        let level = start.min(max);
        Self { max, level, from: level, before: 0.0, now: 0.0, ticks: 0, is_beginning: true, is_settled: true }
    }

    /// How many connections there should be.
    pub const fn level(&self) -> usize {
        self.level
    }

    /// Takes the bytes of one tick; `is_full` says that all connections there may be were in use.
    pub fn tick(&mut self, bytes: u64, is_full: bool) -> usize {
        if bytes > 0 && std::mem::take(&mut self.is_beginning) {
            return self.level;
        }
        // The bytes of one tick are a small number, far from where f64 is not exact.
        #[allow(clippy::cast_precision_loss)]
        let bytes = bytes as f64;
        self.now = if self.now == 0.0 { bytes } else { (self.now + bytes) / 2.0 };
        if self.now == 0.0 || !is_full {
            return self.level;
        }
        self.ticks += 1;
        if !self.is_settled && self.now > self.before * GROWTH {
            self.is_settled = true;
        }
        let rest = if self.before == 0.0 || self.now > self.before * GROWTH { 1 } else { REST };
        if self.is_settled && self.ticks >= rest {
            self.step_up();
        } else if !self.is_settled && self.ticks >= TRIAL {
            self.step_down();
        }
        self.level
    }

    /// Halves the number, as asked by the registry.
    pub fn back_off(&mut self) -> usize {
        self.level = (self.level / 2).max(1);
        (self.before, self.ticks, self.is_settled) = (self.now.max(self.before), 0, true);
        self.level
    }

    fn step_up(&mut self) {
        if self.level < self.max {
            self.from = self.level;
            self.level = (self.level * 2).min(self.max);
            (self.before, self.ticks, self.is_settled) = (self.now, 0, false);
            // What came over fewer connections must not pass for growth.
            (self.now, self.is_beginning) = (0.0, true);
        }
    }

    fn step_down(&mut self) {
        self.level = self.from.min(self.level);
        (self.before, self.ticks, self.is_settled) = (self.now, 0, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The level after so many ticks on a link that brings `rate(connections)` bytes a tick.
    fn settle(max: usize, ticks: u32, rate: impl Fn(usize) -> u64) -> Vec<usize> {
        let mut ramp = Ramp::new(max, None);
        (0..ticks).map(|_| ramp.tick(rate(ramp.level()), true)).collect()
    }

    #[test]
    fn a_limit_per_connection_is_met_with_all_connections_within_half_a_second() {
        let levels = settle(16, 10, |connections| connections as u64 * 2_500_000);
        assert_eq!(levels.last(), Some(&16), "{levels:?}");
        assert_eq!(settle(3, 10, |connections| connections as u64).last(), Some(&3));
        assert_eq!(settle(0, 10, |connections| connections as u64).last(), Some(&1));
    }

    #[test]
    fn a_link_that_is_full_keeps_few_connections() {
        let levels = settle(16, 300, |_| 50_000_000);
        let most = levels.iter().filter(|level| **level > START).count();
        assert!(most <= 3 * (TRIAL as usize + 2), "{levels:?}");
        assert_eq!(levels.iter().max(), Some(&(2 * START)));
    }

    #[test]
    fn a_step_that_brought_little_is_taken_back_whole() {
        // The greatest number is no power of two: half of it is less than what was there before.
        let levels = settle(24, 100, |connections| connections.min(18) as u64 * 2_500_000);
        assert_eq!((levels.iter().max(), levels.last()), (Some(&24), Some(&16)), "{levels:?}");
    }

    #[test]
    fn a_link_that_is_full_at_eight_stays_near_eight() {
        let levels = settle(64, 300, |connections| connections.min(8) as u64 * 2_500_000);
        assert!(levels[20..].iter().all(|level| (8..=16).contains(level)), "{levels:?}");
    }

    #[test]
    fn a_registry_that_is_far_is_asked_for_more_at_once() {
        let begins = |max, milliseconds| Ramp::new(max, Some(Duration::from_millis(milliseconds))).level();
        assert_eq!([begins(24, 1), begins(24, 40), begins(4, 40)], [START, START_FAR, 4]);
    }

    #[test]
    fn what_is_not_in_use_says_nothing() {
        let mut ramp = Ramp::new(16, None);
        for _ in 0..100 {
            assert_eq!(ramp.tick(1_000_000, false), START);
            assert_eq!(ramp.tick(0, false), START);
        }
    }

    #[test]
    fn a_registry_that_has_enough_is_given_less() {
        let mut ramp = Ramp::new(16, None);
        let levels = [ramp.back_off(), ramp.back_off(), ramp.back_off(), ramp.back_off()];
        assert_eq!(levels, [START / 2, START / 4, 1, 1]);
    }
}
