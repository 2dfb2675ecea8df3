//! The words and lines progress is shown with, out of numbers alone.

use unicode_width::UnicodeWidthStr as _;

use super::Way;
use super::tally::Total;
use crate::ui::human;

/// `1.234GB / 3.006GB`.
const AMOUNTS: usize = 17;
/// `resumed at 43 %`.
const STATE: usize = 15;
/// A bar is worth showing from the one width on, and not worth more than the other.
const BAR: (usize, usize) = (10, 50);
/// A name is of use from this width on.
const SHORTEST_NAME: usize = 16;

/// A file on a line of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    pub name: String,
    pub size: u64,
    pub bytes: u64,
    pub state: State,
}

/// What is said of a file beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Coming,
    /// It began with so many percent.
    Resumed(u64),
    Verifying,
}

/// How many percent of `all` are `some`, rounded down.
pub(super) fn percent(some: u64, all: u64) -> u64 {
    let percent = (u128::from(some) * 100).checked_div(u128::from(all)).unwrap_or(100);
    u64::try_from(percent).unwrap_or(100).min(100)
}

/// Seconds in the two largest units: `12s`, `1m20s`, `2h05m`, `3d04h`.
pub(super) fn time(seconds: u64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match (minutes, hours) {
        (0, _) => format!("{seconds}s"),
        (_, 0) => format!("{minutes}m{:02}s", seconds % 60),
        (_, ..48) => format!("{hours}h{:02}m", minutes % 60),
        (_, ..2400) => format!("{}d{:02}h", hours / 24, hours % 24),
        _ => String::from("long"),
    }
}

/// `resumed at 43 %`.
pub(super) fn resumed(percent: u64) -> String {
    format!("resumed at {percent} %")
}

/// Where the pulls stand, as a sentence for a log.
pub(super) fn sentence(total: &Total, way: Way) -> String {
    let (bytes, size) = (human::size(total.bytes), human::size(total.size));
    let mut text = format!("{}: {bytes} of {size} ({} %)", way.doing(), percent(total.bytes, total.size));
    text += &format!(", {}/s", human::size(total.speed));
    if let Some(eta) = total.eta {
        text += &format!(", ETA {}", time(eta));
    }
    if total.blobs > 1 {
        text += &format!(", {} of {} files", total.blobs_done, total.blobs);
    }
    match total.connections {
        0 => text,
        open => format!("{text}, {}", connections(open)),
    }
}

fn connections(open: usize) -> String {
    if open == 1 { String::from("1 connection") } else { format!("{open} connections") }
}

/// A line per file and one over all; none is wider than `columns`.
pub(super) fn frame(files: &[File], total: &Total, columns: usize) -> Vec<String> {
    let longest = files.iter().map(|file| file.name.width()).max().unwrap_or_default();
    let mut lines: Vec<String> = files.iter().map(|file| file_line(file, longest, columns)).collect();
    // The line of a single file has its bytes already.
    let is_told = matches!(files, [file] if total.blobs == 1 && columns >= fixed(false) + file.name.width());
    lines.push(total_line(total, is_told, columns));
    lines
}

/// The columns of a line that are no name: state and amounts with a space before each, and the smallest bar.
const fn fixed(with_bar: bool) -> usize {
    let texts = 1 + AMOUNTS + 1 + STATE;
    if with_bar { texts + 1 + BAR.0 } else { texts }
}

/// What does not fit is left out: first the bar, then the bytes, then the state.
fn file_line(file: &File, longest: usize, columns: usize) -> String {
    let state = match file.state {
        // Where there is no room for the bytes, they are told in percent.
        State::Resumed(_) if columns < fixed(false) + longest.min(SHORTEST_NAME) => State::Coming,
        state => state,
    };
    let state = match state {
        State::Coming => format!("{} %", percent(file.bytes, file.size)),
        State::Resumed(percent) => resumed(percent),
        State::Verifying => String::from("verifying"),
    };
    let shortest = longest.min(SHORTEST_NAME);
    let amounts = format!("{:>7} / {:<7}", human::size(file.bytes), human::size(file.size));
    if columns >= fixed(true) + shortest {
        let name = padded(&file.name, longest.min(columns - fixed(true)));
        let bar = bar(file, (columns - fixed(true) - name.width() + BAR.0).min(BAR.1));
        format!("{name} {bar} {amounts} {state:>STATE$}")
    } else if columns >= fixed(false) + shortest {
        format!("{} {amounts} {state:>STATE$}", padded(&file.name, longest.min(columns - fixed(false))))
    } else if columns > STATE + shortest {
        format!("{} {state:>STATE$}", padded(&file.name, longest.min(columns - STATE - 1)))
    } else {
        padded(&file.name, longest.min(columns))
    }
}

fn bar(file: &File, width: usize) -> String {
    let inner = width.saturating_sub(2);
    let full = u128::from(file.bytes) * inner as u128 / u128::from(file.size.max(1));
    let full = usize::try_from(full).unwrap_or(inner).min(inner);
    let (head, rest) = if full < inner { (">", inner - full - 1) } else { ("", 0) };
    format!("[{}{head}{}]", "=".repeat(full), "-".repeat(rest))
}

/// `name` in exactly `width` columns; of a longer one the end of its stem stays, where the parts of a model differ.
fn padded(name: &str, width: usize) -> String {
    let cut = if name.width() > width { end(stem(name), width) } else { name.to_owned() };
    let missing = width.saturating_sub(cut.width());
    cut + &" ".repeat(missing)
}

fn stem(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, extension)) if extension.chars().all(char::is_alphanumeric) => stem,
        _ => name,
    }
}

fn end(name: &str, width: usize) -> String {
    if name.width() <= width {
        return name.to_owned();
    }
    let mark = if width > 5 { ".." } else { "" };
    let starts = name.char_indices().map(|(start, _)| start);
    let fitting = starts.map(|start| &name[start..]).find(|rest| rest.width() + mark.len() <= width);
    format!("{mark}{}", fitting.unwrap_or_default())
}

/// What does not fit is left out, the time to wait last.
fn total_line(total: &Total, is_told: bool, columns: usize) -> String {
    let digits = total.blobs.to_string().len();
    let is_counted = total.blobs > 1;
    let eta = total.eta.map_or_else(|| String::from("--"), time);
    // Each with the order in which they go.
    let mut parts = vec![
        (4, format!("{:>7} / {}", human::size(total.bytes), human::size(total.size))),
        (1, format!("{:>3} %", percent(total.bytes, total.size))),
        (5, format!("{:>9}", format!("{}/s", human::size(total.speed)))),
        (6, format!("ETA {eta:<6}")),
        (2, format!("{:>digits$}/{} files", total.blobs_done, total.blobs)),
        (3, connections(total.connections)),
    ];
    parts.retain(|(order, _)| match order {
        4 | 1 => !is_told,
        2 => is_counted,
        3 => total.connections > 0,
        _ => true,
    });
    loop {
        let line = parts.iter().map(|(_, part)| part.as_str()).collect::<Vec<_>>().join("  ");
        let line = line.trim_end().to_owned();
        if line.width() <= columns {
            return line;
        }
        match parts.iter().map(|(order, _)| *order).min() {
            Some(least) => parts.retain(|(order, _)| *order != least),
            None => return String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total() -> Total {
        Total {
            blobs: 3,
            blobs_done: 1,
            size: 8_006_000_000,
            bytes: 2_402_000_000,
            speed: 104_300_000,
            eta: Some(54),
            connections: 8,
        }
    }

    fn file(name: &str, bytes: u64, state: State) -> File {
        File { name: name.to_owned(), size: 3_006_000_000, bytes, state }
    }

    fn files() -> [File; 3] {
        [
            file("model-00001-of-00002.safetensors", 1_234_000_000, State::Resumed(25)),
            file("model-00002-of-00002.safetensors", 0, State::Coming),
            file("mmproj.gguf", 3_006_000_000, State::Verifying),
        ]
    }

    #[test]
    fn percent_is_rounded_down_and_never_too_much() {
        let cases = [(0, 0, 100), (0, 3, 0), (2, 3, 66), (3, 3, 100), (9, 3, 100), (u64::MAX - 1, u64::MAX, 99)];
        for (some, all, expected) in cases {
            assert_eq!(percent(some, all), expected, "{some} of {all}");
        }
    }

    #[test]
    fn times_have_two_units() {
        let cases = [
            (0, "0s"),
            (59, "59s"),
            (80, "1m20s"),
            (3599, "59m59s"),
            (7500, "2h05m"),
            (172_799, "47h59m"),
            (273_600, "3d04h"),
            (8_640_000, "long"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(time(seconds), expected);
            assert!(time(seconds).len() <= 6);
        }
    }

    #[test]
    fn a_sentence_says_what_is_known() {
        let all = "Fetching: 2.402GB of 8.006GB (30 %), 104.3MB/s, ETA 54s, 1 of 3 files, 8 connections";
        assert_eq!(sentence(&total(), Way::Here), all);
        let one = Total { blobs: 1, eta: None, speed: 0, connections: 1, ..total() };
        assert_eq!(sentence(&one, Way::Here), "Fetching: 2.402GB of 8.006GB (30 %), 0B/s, 1 connection");
        let unknown = Total { connections: 0, ..one };
        assert_eq!(sentence(&unknown, Way::Here), "Fetching: 2.402GB of 8.006GB (30 %), 0B/s");
    }

    #[test]
    fn a_frame_is_cut_to_the_terminal() {
        let cases = [
            (
                79,
                "\
model-00001-of-00002.safetensors [====>-----] 1.234GB / 3.006GB resumed at 25 %
model-00002-of-00002.safetensors [>---------]      0B / 3.006GB             0 %
mmproj.gguf                      [==========] 3.006GB / 3.006GB       verifying
2.402GB / 8.006GB   30 %  104.3MB/s  ETA 54s     1/3 files  8 connections",
            ),
            (
                64,
                "\
..el-00001-of-00002 [===>----] 1.234GB / 3.006GB resumed at 25 %
..el-00002-of-00002 [>-------]      0B / 3.006GB             0 %
mmproj.gguf         [========] 3.006GB / 3.006GB       verifying
2.402GB / 8.006GB  104.3MB/s  ETA 54s     8 connections",
            ),
            (
                54,
                "\
model-00001-of-00002 1.234GB / 3.006GB resumed at 25 %
model-00002-of-00002      0B / 3.006GB             0 %
mmproj.gguf          3.006GB / 3.006GB       verifying
2.402GB / 8.006GB  104.3MB/s  ETA 54s",
            ),
            (
                40,
                "\
model-00001-of-00002                41 %
model-00002-of-00002                 0 %
mmproj.gguf                    verifying
2.402GB / 8.006GB  104.3MB/s  ETA 54s",
            ),
            (20, "model-00001-of-00002\nmodel-00002-of-00002\nmmproj.gguf\n104.3MB/s  ETA 54s"),
        ];
        let trimmed = |line: &String| line.trim_end().to_owned();
        for (columns, expected) in cases {
            let lines: Vec<String> = frame(&files(), &total(), columns).iter().map(trimmed).collect();
            assert_eq!(lines.join("\n"), expected, "{columns}");
        }
    }

    #[test]
    fn of_a_long_name_the_end_of_the_stem_stays() {
        let cases = [
            ("short.gguf", 12, "short.gguf  "),
            ("model-00001.gguf", 12, "model-00001 "),
            ("a/model-00001-of-00002.safetensors", 16, "..00001-of-00002"),
            ("a/no.extension-here", 16, "..extension-here"),
            ("\u{6a21}\u{578b}\u{6a21}\u{578b}", 7, "..\u{6a21}\u{578b} "),
            ("name", 3, "ame"),
            ("name", 0, ""),
        ];
        for (name, width, expected) in cases {
            assert_eq!(padded(name, width), expected);
        }
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let odd = file("\u{6a21}\u{578b}/\u{1f600}-e\u{301}.gguf", 1, State::Coming);
        for columns in 0..300 {
            for line in frame(&[files().as_slice(), std::slice::from_ref(&odd)].concat(), &total(), columns) {
                assert!(line.width() <= columns, "{columns}: {line}");
            }
        }
    }

    #[test]
    fn a_single_file_is_told_once() {
        let one = Total { blobs: 1, blobs_done: 0, size: 3_006_000_000, bytes: 1_503_000_000, eta: None, ..total() };
        let lines = frame(&[file("m.gguf", 1_503_000_000, State::Coming)], &one, 79);
        let expected = "\
m.gguf [==================>-----------------] 1.503GB / 3.006GB            50 %
104.3MB/s  ETA --      8 connections";
        assert_eq!(lines.join("\n"), expected);
    }
}
