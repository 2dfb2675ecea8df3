//! How fast bytes come, so that the number can be read and trusted.

use std::time::{Duration, Instant};

/// A shorter time says nothing about the speed.
const SAMPLE: Duration = Duration::from_millis(200);
/// How long ago bytes count about a third of those that come now.
const MEMORY: Duration = Duration::from_secs(5);

/// An average over the last seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    began: Instant,
    sampled: Instant,
    bytes: u64,
    smooth: f64,
}

impl Rate {
    pub(super) const fn new(now: Instant) -> Self {
        Self { began: now, sampled: now, bytes: 0, smooth: 0.0 }
    }

    /// Takes note that `bytes` in all have come until `now`.
    pub(super) fn sample(&mut self, now: Instant, bytes: u64) {
        let time = now.saturating_duration_since(self.sampled);
        if time < SAMPLE {
            return;
        }
        let old = weight(time);
        let speed = bytes.saturating_sub(self.bytes) as f64 / time.as_secs_f64();
        self.smooth = self.smooth.mul_add(old, speed * (1.0 - old));
        (self.sampled, self.bytes) = (now, bytes);
    }

    /// Bytes per second. What lies before the start counts for nothing, not for a standstill.
    pub(super) fn per_second(&self) -> u64 {
        let known = 1.0 - weight(self.sampled.saturating_duration_since(self.began));
        if known > 0.0 { (self.smooth / known).round() as u64 } else { 0 }
    }
}

fn weight(time: Duration) -> f64 {
    (-time.as_secs_f64() / MEMORY.as_secs_f64()).exp()
}

/// Seconds until `bytes` more are here; `None` when nothing comes.
pub(super) fn eta(bytes: u64, per_second: u64) -> Option<u64> {
    match (bytes, per_second) {
        (0, _) => Some(0),
        (_, 0) => None,
        _ => Some((bytes.saturating_add(per_second / 2) / per_second).max(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `(milliseconds, bytes more)` and gives the speed after each.
    fn speeds(samples: &[(u64, u64)]) -> Vec<u64> {
        let mut now = Instant::now();
        let (mut rate, mut bytes) = (Rate::new(now), 0);
        let mut feed = |&(milliseconds, more): &(u64, u64)| {
            now += Duration::from_millis(milliseconds);
            bytes += more;
            rate.sample(now, bytes);
            rate.per_second()
        };
        samples.iter().map(&mut feed).collect()
    }

    fn about(speed: u64, expected: u64) -> bool {
        speed.abs_diff(expected) <= expected / 50 + 1
    }

    #[test]
    fn a_steady_flow_is_known_from_the_first_sample() {
        let steady = speeds(&[(200, 200_000); 50]);
        assert!(steady.iter().all(|&speed| about(speed, 1_000_000)), "{steady:?}");
    }

    #[test]
    fn a_short_time_says_nothing_and_loses_nothing() {
        let burst = speeds(&[(1, 1000), (1, 1000), (198, 198_000)]);
        assert_eq!(burst[..2], [0, 0]);
        assert!(about(burst[2], 1_000_000), "{burst:?}");
    }

    #[test]
    fn a_change_is_followed_within_seconds_and_without_jumps() {
        let mut samples = vec![(200, 200_000); 100];
        samples.extend([(200, 0); 100]);
        let speeds = speeds(&samples);
        let stall = &speeds[99..];
        assert!(stall.windows(2).all(|pair| pair[1] <= pair[0] && pair[0] - pair[1] < 50_000), "{stall:?}");
        assert!(about(stall[25], 368_000), "{}", stall[25]);
        assert!(*stall.last().unwrap() < 20_000);
        // Bursts of a second give nearly one number.
        let bursts: Vec<(u64, u64)> = (0..100).map(|sample| (200, u64::from(sample % 5 == 0) * 1_000_000)).collect();
        let late = &self::speeds(&bursts)[60..];
        assert!(late.iter().all(|&speed| (850_000..1_150_000).contains(&speed)), "{late:?}");
    }

    #[test]
    fn eta_is_what_is_left_at_this_speed() {
        let cases = [(0, 0, Some(0)), (0, 10, Some(0)), (1, 0, None), (1, 10, Some(1)), (96, 10, Some(10))];
        for (bytes, speed, expected) in cases {
            assert_eq!(eta(bytes, speed), expected, "{bytes} at {speed}");
        }
    }
}
