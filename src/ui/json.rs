//! JSON for people.

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::PrettyFormatter;

/// Pretty JSON without a line end; podman indents `inspect` by five spaces and lists by four.
pub fn to_json(value: &impl Serialize, indent: usize) -> serde_json::Result<String> {
    let spaces = vec![b' '; indent];
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(&spaces)))?;
    // The serialiser writes nothing but UTF-8.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
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
}
