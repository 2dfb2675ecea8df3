//! The language in which a provider speaks to Compose: a JSON object per line (docker/compose, docs/extension.md).

use serde::Serialize;

use super::in_json;

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Where things stand; Compose shows the last one.
    Info,
    /// Why it did not work; Compose reads no further.
    Error,
    /// A variable for the services that depend on this one, `NAME=VALUE`.
    SetEnv,
}

#[derive(Serialize)]
struct Message<'a> {
    #[serde(rename = "type")]
    kind: Kind,
    message: &'a str,
}

/// One message, without a line end.
pub(super) fn message(kind: Kind, text: &str) -> String {
    let json = serde_json::to_string(&Message { kind, message: text });
    // Words and text are all there is in it.
    in_json(&json.unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_of_json() {
        assert_eq!(message(Kind::Info, "a \"b\""), r#"{"type":"info","message":"a \"b\""}"#);
        assert_eq!(message(Kind::SetEnv, "A=b\nc"), r#"{"type":"setenv","message":"A=b\nc"}"#);
        assert_eq!(message(Kind::Error, "x\u{1b}[2J"), r#"{"type":"error","message":"x\u001b[2J"}"#);
    }
}
