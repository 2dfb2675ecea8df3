//! What a terminal shows in the end, seen by one that knows just the codes we use.

use std::io;

use super::screen::{Screen, Size};
use super::{Buffer, Stream, Ui};

/// A ui whose streams both go to one terminal, and what was written to that.
pub(super) fn terminal() -> (Ui, Written) {
    let buffer = Buffer::default();
    let stream = || Stream::new(buffer.clone(), true);
    (Ui::to(stream(), stream()), Written(buffer))
}

pub(super) struct Written(Buffer);

impl Written {
    /// The lines on the terminal, without those that are empty at the end.
    pub(super) fn seen(&self) -> Vec<String> {
        seen(&self.0.text())
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.text().len()
    }
}

fn seen(text: &str) -> Vec<String> {
    let mut lines: Vec<Vec<char>> = vec![Vec::new()];
    let (mut row, mut column) = (0, 0);
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\r' => column = 0,
            '\n' => {
                (row, column) = (row + 1, 0);
                lines.resize(lines.len().max(row + 1), Vec::new());
            }
            '\x1b' => {
                assert_eq!(rest.next(), Some('['));
                let mut digits = String::new();
                while let Some(digit) = rest.next_if(char::is_ascii_digit) {
                    digits.push(digit);
                }
                match rest.next().unwrap() {
                    'A' => row -= digits.parse::<usize>().unwrap(),
                    'K' => lines[row].truncate(column),
                    'J' => {
                        lines[row].truncate(column);
                        lines.truncate(row + 1);
                    }
                    other => panic!("{other:?}"),
                }
            }
            other => {
                match lines[row].get_mut(column) {
                    Some(old) => *old = other,
                    None => lines[row].push(other),
                }
                column += 1;
            }
        }
    }
    while lines.last().is_some_and(Vec::is_empty) {
        lines.pop();
    }
    lines.into_iter().map(String::from_iter).collect()
}

fn lines(text: &[&str]) -> Vec<String> {
    text.iter().map(|&line| line.to_owned()).collect()
}

#[test]
fn what_moves_stays_below_what_is_said() {
    let (ui, written) = terminal();
    ui.status("first");
    ui.draw(&lines(&["one moves", "two moves"]));
    assert_eq!(written.seen(), ["first", "one moves", "two moves"]);
    ui.status("second");
    ui.warning("careful");
    assert_eq!(written.seen(), ["first", "second", "Warning: careful", "one moves", "two moves"]);
    ui.draw(&lines(&["less", "longer than before", "and more"]));
    assert_eq!(written.seen()[3..], ["less", "longer than before", "and more"]);
    ui.draw(&lines(&["last"]));
    assert_eq!(written.seen()[3..], ["last"]);
    ui.data("data").unwrap();
    assert_eq!(written.seen()[3..], ["data"]);
    ui.draw(&lines(&["last"]));
    assert_eq!(written.seen()[3..], ["data", "last"]);
    ui.draw(&[]);
    assert_eq!(written.seen(), ["first", "second", "Warning: careful", "data"]);
}

#[test]
fn the_same_picture_is_painted_once() {
    let (ui, written) = terminal();
    ui.draw(&[]);
    assert_eq!(written.bytes(), 0);
    ui.draw(&lines(&["same"]));
    let once = written.bytes();
    ui.draw(&lines(&["same"]));
    assert_eq!(written.bytes(), once);
}

#[test]
fn after_an_error_nothing_moves() {
    let (ui, written) = terminal();
    ui.draw(&lines(&["moves"]));
    ui.error("broken");
    ui.draw(&lines(&["moves"]));
    ui.hint("mend it");
    assert_eq!(written.seen(), ["Error: broken", "Hint: mend it"]);
}

#[test]
fn lines_that_a_narrower_terminal_broke_are_painted_over() {
    let buffer = Buffer::default();
    let screen = Screen::new(Stream::new(buffer.clone(), true), || Size { columns: 10, rows: 24 });
    screen.draw(&lines(&["fits here", "does not fit in there"]));
    screen.draw(&[]);
    assert!(buffer.text().ends_with("\r\x1b[4A\x1b[J"), "{:?}", buffer.text());
}

#[test]
fn nothing_moves_in_a_file() {
    let buffer = Buffer::default();
    let ui = Ui::to(Stream::new(io::sink(), false), Stream::new(buffer.clone(), false));
    ui.draw(&lines(&["moves"]));
    ui.status("stays");
    assert_eq!(buffer.text(), "stays\n");
}
