//! An error with its causes, as people read it.

use std::error::Error;

/// The error and its causes in one line, each said once.
pub fn one_line(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // A wrapper that shows its cause already would otherwise say it twice.
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read it")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn causes_follow_their_effect_in_one_line() {
        let error = Outer(std::io::Error::other("two\nlines, \u{1b}[2Jgone"));
        assert_eq!(one_line(&error), "cannot read it: two lines,  [2Jgone");
    }
}
