//! Go templates as far as podman's users write them: literals, `{{ .A.B }}`, `{{json .A}}`. Data in, text out.

use serde_json::Value;

/// A template that cannot be filled.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// An action without its end.
    #[error("template {0:?} has a {{{{ without its }}}}")]
    Open(String),
    /// An action of Go that is not known here.
    #[error("template action {0:?} is not known: expected {{{{.FIELD}}}} or {{{{json .FIELD}}}}")]
    Action(String),
    /// A field that is not there.
    #[error("template field {0:?} is not there")]
    Field(String),
}

/// Fills `template` with `value`; `\n` and `\t` in it are what they stand for, as podman has it.
pub fn render(template: &str, value: &Value) -> Result<String, Error> {
    let template = template.replace(r"\n", "\n").replace(r"\t", "\t");
    let (mut text, mut rest) = (String::new(), template.as_str());
    while let Some((literal, behind)) = rest.split_once("{{") {
        let (action, behind) = behind.split_once("}}").ok_or_else(|| Error::Open(template.clone()))?;
        text.push_str(literal);
        text.push_str(&act(action.trim(), value)?);
        rest = behind;
    }
    text.push_str(rest);
    Ok(text)
}

fn act(action: &str, value: &Value) -> Result<String, Error> {
    match *action.split_whitespace().collect::<Vec<_>>() {
        [path] if path.starts_with('.') => Ok(plain(find(path, value)?)),
        ["json", path] if path.starts_with('.') => Ok(find(path, value)?.to_string()),
        _ => Err(Error::Action(action.to_owned())),
    }
}

fn find<'a>(path: &str, value: &'a Value) -> Result<&'a Value, Error> {
    let mut names = path.split('.').filter(|name| !name.is_empty());
    names.try_fold(value, |value, name| value.get(name)).ok_or_else(|| Error::Field(path.to_owned()))
}

/// As Go prints it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::from("<no value>"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_podmans_users_write_is_filled() {
        let value = json!({"Tag": "1", "Client": {"Version": "5.8.0"}, "Manifest": {"a": [1, "b"]}, "Size": 7});
        let cases = [
            ("{{ .Client.Version }}", "5.8.0"),
            ("{{.Tag}}:{{.Size}}", "1:7"),
            (r#"{"tag":"{{ .Tag }}"},"#, r#"{"tag":"1"},"#),
            ("{{json .Manifest}}", r#"{"a":[1,"b"]}"#),
            (r"{{.Tag}}\n\t{{.Tag}}", "1\n\t1"),
            ("plain }} text", "plain }} text"),
            ("", ""),
        ];
        for (template, text) in cases {
            assert_eq!(render(template, &value).as_deref(), Ok(text), "{template}");
        }
    }

    #[test]
    fn what_is_not_known_is_named() {
        let value = json!({"Tag": "1"});
        let cases = [
            ("{{.Tag", Error::Open(String::from("{{.Tag"))),
            ("{{range .Tag}}", Error::Action(String::from("range .Tag"))),
            ("{{.Other.Name}}", Error::Field(String::from(".Other.Name"))),
        ];
        for (template, error) in cases {
            assert_eq!(render(template, &value), Err(error), "{template}");
        }
    }
}
