//! JSON for people.

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::PrettyFormatter;

use super::in_json;

/// Pretty JSON without a line end; podman indents `inspect` by five spaces and lists by four.
///
/// What a terminal might obey is written as JSON's own escapes, so that it can go to one as it is.
pub fn to_json(value: &impl Serialize, indent: usize) -> serde_json::Result<String> {
    let spaces = vec![b' '; indent];
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(&spaces)))?;
    // The serialiser writes nothing but UTF-8.
    Ok(in_json(&String::from_utf8_lossy(&bytes)).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_indent_is_the_callers() {
        let value = serde_json::json!({"Name": "a", "Layers": [1], "None": []});
        let expected = "{\n     \"Name\": \"a\",\n     \"Layers\": [\n          1\n     ],\n     \"None\": []\n}";
        assert_eq!(to_json(&value, 5).unwrap(), expected);
        assert_eq!(to_json(&[1], 4).unwrap(), "[\n    1\n]");
    }

    #[test]
    fn json_is_harmless_and_means_the_same() {
        let value = serde_json::json!({"a\u{202e}b": "\u{1b}[2J\u{7f}\u{9b}\n\u{2066}\u{e4}"});
        let text = to_json(&value, 2).unwrap();
        assert_eq!(text, super::super::printable(&text));
        assert!(text.contains("\\u202e") && text.contains("\\u007f") && text.contains("\u{e4}"), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
