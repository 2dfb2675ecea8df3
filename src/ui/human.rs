//! Sizes and times as the engines write them (docker/go-units, which podman uses too).

use jiff::Timestamp;

const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

/// A number of bytes in decimal units with four digits: `3.006kB`, `67.11MB`.
pub fn size(bytes: u64) -> String {
    let mut number = bytes as f64;
    let mut unit = 0;
    while number >= 1000.0 && unit + 1 < UNITS.len() {
        number /= 1000.0;
        unit += 1;
    }
    format!("{}{}", four_digits(number), UNITS[unit])
}

/// C's `%.4g` for what is smaller than ten thousand.
fn four_digits(number: f64) -> String {
    let whole_digits = format!("{}", number as u64).len();
    let text = format!("{number:.*}", 4_usize.saturating_sub(whole_digits));
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A large number in the words of model cards: `270M`, `1.1B`, `8.03B`.
pub fn count(number: u64) -> String {
    let (unit, name) = match number {
        1_000_000_000_000.. => (1e12, "T"),
        1_000_000_000.. => (1e9, "B"),
        1_000_000.. => (1e6, "M"),
        1000.. => (1e3, "K"),
        _ => return number.to_string(),
    };
    let short = number as f64 / unit;
    let digits = if short < 10.0 { 2 } else { 0 };
    let text = format!("{short:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{name}")
}

/// How long ago an RFC 3339 time was; empty when the text is none, as a registry may hold any text there.
pub fn ago(created: &str, now: Timestamp) -> String {
    match created.parse::<Timestamp>() {
        Ok(then) => format!("{} ago", duration(now.duration_since(then).as_secs())),
        Err(_) => String::new(),
    }
}

/// An RFC 3339 time as podman's `{{.CreatedAt}}`, in UTC; empty when the text is none.
pub fn created_at(created: &str) -> String {
    match created.parse::<Timestamp>() {
        Ok(then) => then.strftime("%Y-%m-%d %H:%M:%S%.f +0000 UTC").to_string(),
        Err(_) => String::new(),
    }
}

/// A number of seconds in the largest unit that says enough: `22 seconds`, `About an hour`.
pub fn duration(seconds: i64) -> String {
    let minutes = seconds / 60;
    let hours = (seconds + 1800) / 3600;
    match (seconds, minutes, hours) {
        (..1, ..) => "Less than a second".to_owned(),
        (1, ..) => "1 second".to_owned(),
        (2..60, ..) => format!("{seconds} seconds"),
        (_, 1, _) => "About a minute".to_owned(),
        (_, 2..60, _) => format!("{minutes} minutes"),
        (_, _, 1) => "About an hour".to_owned(),
        (_, _, ..48) => format!("{hours} hours"),
        (_, _, 48..336) => format!("{} days", hours / 24),
        (_, _, 336..1440) => format!("{} weeks", hours / 24 / 7),
        (_, _, 1440..17520) => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_four_digits() {
        let cases = [
            (0, "0B"),
            (6, "6B"),
            (999, "999B"),
            (1000, "1kB"),
            (3006, "3.006kB"),
            (30_060, "30.06kB"),
            (999_949, "999.9kB"),
            (999_960, "1000kB"),
            (67_108_864, "67.11MB"),
            (253_000_000, "253MB"),
            (1_073_741_824, "1.074GB"),
            (9_999_600, "10MB"),
            (u64::MAX, "18.45EB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(size(bytes), text, "{bytes}");
        }
    }

    #[test]
    fn counts_are_as_short_as_on_model_cards() {
        let cases = [
            (999, "999"),
            (2100, "2.1K"),
            (268_098_176, "268M"),
            (1_100_048_384, "1.1B"),
            (8_030_261_312, "8.03B"),
            (70_000_000_000, "70B"),
            (u64::MAX, "18446744T"),
        ];
        for (number, text) in cases {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn durations_are_the_engines_words() {
        const HOUR: i64 = 3600;
        const DAY: i64 = 24 * HOUR;
        let cases = [
            (-5, "Less than a second"),
            (0, "Less than a second"),
            (1, "1 second"),
            (45, "45 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (3 * 60, "3 minutes"),
            (3599, "59 minutes"),
            (HOUR, "About an hour"),
            (HOUR + 29 * 60, "About an hour"),
            (HOUR + 31 * 60, "2 hours"),
            (47 * HOUR, "47 hours"),
            (2 * DAY, "2 days"),
            (13 * DAY, "13 days"),
            (14 * DAY, "2 weeks"),
            (35 * DAY, "5 weeks"),
            (60 * DAY, "2 months"),
            (364 * DAY, "12 months"),
            (2 * 365 * DAY, "2 years"),
        ];
        for (seconds, text) in cases {
            assert_eq!(duration(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn a_creation_time_that_is_none_is_left_out() {
        let now: Timestamp = "2026-11-23T16:11:16.9Z".parse().unwrap();
        assert_eq!(ago("2026-11-23T16:10:54.410585281Z", now), "22 seconds ago");
        assert_eq!(ago("2026-11-23T18:10:16+02:00", now), "About a minute ago");
        assert_eq!(created_at("2026-11-23T16:10:54.410585281Z"), "2026-11-23 16:10:54.410585281 +0000 UTC");
        assert_eq!(created_at("2026-11-23T18:10:54+02:00"), "2026-11-23 16:10:54 +0000 UTC");
        for text in ["yesterday", ""] {
            assert_eq!((ago(text, now), created_at(text)), (String::new(), String::new()));
        }
    }
}
