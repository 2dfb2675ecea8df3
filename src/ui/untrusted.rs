//! Text of producers and registries on its way to people: shown, not obeyed, and no longer than anybody reads.
//!
//! Dangerous are control characters, which terminals obey, characters that turn the direction of what follows, so that
//! a name looks like another one, and line separators that are none of ours.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The most characters of a name or a cell of a table.
pub const NAME: usize = 300;
/// The most characters of a sentence; the longest honest ones are errors with several digests.
pub const SENTENCE: usize = 4000;
/// Stands for the rest of a text that is longer.
const CUT: &str = "..";

/// Shows dangerous characters as escapes (`\u{1b}`); line ends and tabs stay.
pub fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, |character| is_dangerous(character) && !matches!(character, '\n' | '\t'))
}

/// The same for a text that must stay in one line: line ends and tabs are shown, too.
pub fn in_line(text: &str) -> Cow<'_, str> {
    escaped(text, is_dangerous)
}

/// The same with at most so many characters of the text.
pub fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => in_line(text),
        Some((end, _)) => Cow::Owned(format!("{}{CUT}", in_line(&text[..end]))),
    }
}

/// Writes the dangerous characters of a JSON text as JSON's escapes (`\u001b`), which mean the same.
///
/// Outside of its strings such a text has line ends only, which stay.
pub fn in_json(text: &str) -> Cow<'_, str> {
    let is_meant = |character: char| is_dangerous(character) && !matches!(character, '\n' | '\t');
    if !text.contains(is_meant) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if is_meant(character) {
            // None of them needs two units of UTF-16.
            let _ = write!(safe, "\\u{:04x}", u32::from(character));
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

fn escaped(text: &str, is_meant: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_meant) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' if is_meant(character) => shown.extend(character.escape_default()),
            _ if is_meant(character) => shown.extend(character.escape_unicode()),
            _ => shown.push(character),
        }
    }
    Cow::Owned(shown)
}

fn is_dangerous(character: char) -> bool {
    let turns_text = matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    turns_text || matches!(character, '\u{2028}' | '\u{2029}') || character.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_terminals_obey_is_shown() {
        let cases = [
            ("plain \u{e4}\u{1f600}\n\ttext", "plain \u{e4}\u{1f600}\n\ttext", "plain \u{e4}\u{1f600}\\n\\ttext"),
            ("\u{1b}[2Jgone", "\\u{1b}[2Jgone", "\\u{1b}[2Jgone"),
            ("a\rb\u{7}\0", "a\\u{d}b\\u{7}\\u{0}", "a\\u{d}b\\u{7}\\u{0}"),
            ("\u{9b}1m\u{7f}", "\\u{9b}1m\\u{7f}", "\\u{9b}1m\\u{7f}"),
            ("gnp\u{202e}exe.\u{2066}", "gnp\\u{202e}exe.\\u{2066}", "gnp\\u{202e}exe.\\u{2066}"),
            ("\u{200f}\u{61c}\u{2028}", "\\u{200f}\\u{61c}\\u{2028}", "\\u{200f}\\u{61c}\\u{2028}"),
        ];
        for (text, shown, line) in cases {
            assert_eq!((&*printable(text), &*in_line(text)), (shown, line));
            let json = serde_json::to_string(text).unwrap();
            let safe = in_json(&json);
            assert_eq!(printable(&safe), safe, "{text:?}");
            assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), text);
        }
    }

    #[test]
    fn a_name_is_no_longer_than_anybody_reads() {
        let exact = "\u{e4}".repeat(NAME);
        assert_eq!(shortened(&exact, NAME), exact);
        assert_eq!(shortened(&"\u{e4}".repeat(1_000_000), NAME), format!("{exact}{CUT}"));
        assert_eq!(shortened("a\nb", 2), "a\\n..");
    }
}
