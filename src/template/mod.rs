//! Go templates as far as users of podman and docker write them. Data in, text out.
//!
//! Fields, `range`, `if`, `with`, pipes, and the functions of podman's reports and of text/template that make text. A field
//! is found whatever its case: Go's names of fields are not those of the JSON that is filled in here.

mod eval;
mod parse;

use serde_json::Value;

/// A template that cannot be filled.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// An action without its end.
    #[error("template {0:?} has a {{{{ without its }}}}")]
    Open(String),
    /// A block without its end, or an end without its block.
    #[error("template {0:?} has a block without its {{{{end}}}}, or an {{{{end}}}} too many")]
    Block(String),
    /// What is no action.
    #[error("template action {0:?} cannot be read")]
    Action(String),
    /// A function that there is none of here.
    #[error("template function {0:?} is not known")]
    Function(String),
    /// A function of other values.
    #[error("template function {0} is not for {1}")]
    Value(String, String),
    /// A field that is not there.
    #[error("template field {path:?} is not there{}", known(.fields))]
    Field {
        /// The field.
        path: String,
        /// Those that are there.
        fields: Vec<String>,
    },
}

fn known(fields: &[String]) -> String {
    if fields.is_empty() { String::new() } else { format!(": there are {}", fields.join(", ")) }
}

/// What a template begins with that shall have a heading.
const TABLE: &str = "table ";

/// Fills `template` with `value`; `\n` and `\t` in it are what they stand for, as podman has it.
pub fn render(template: &str, value: &Value) -> Result<String, Error> {
    eval::fill(&parse::parse(&plain(template))?, value)
}

/// Fills `template` with each of `values`, a line for each; one that ranges over `.` is given all of them at once.
pub fn render_list(template: &str, values: &[Value]) -> Result<Vec<String>, Error> {
    let template = plain(template.strip_prefix(TABLE).unwrap_or(template));
    let nodes = parse::parse(&template)?;
    if parse::ranges_over_all(&nodes) {
        let text = eval::fill(&nodes, &Value::Array(values.to_vec()))?;
        return Ok(text.lines().map(str::to_owned).collect());
    }
    values.iter().map(|value| eval::fill(&nodes, value)).collect()
}

/// The heading of a template that is to have one: the names of its fields in capitals.
pub fn heading(template: &str) -> Result<Option<String>, Error> {
    let Some(columns) = template.strip_prefix(TABLE) else { return Ok(None) };
    Ok(Some(parse::heading(&parse::parse(&plain(columns))?)))
}

fn plain(template: &str) -> String {
    template.replace(r"\n", "\n").replace(r"\t", "\t")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filled(template: &str) -> Result<String, Error> {
        let value = json!({
            "Name": "quay.io/acme/llama:8b", "Digest": "sha256:12", "Count": 3, "None": null, "Tags": ["a", "b"],
            "Manifest": {"schemaVersion": 2, "layers": [{"size": 1, "digest": "x"}, {"size": 2, "digest": "y"}],
                         "annotations": {"org.a/b": "c"}},
        });
        render(template, &value)
    }

    #[test]
    fn templates_say_what_go_would_say() {
        let cases = [
            ("plain", "plain"),
            (r"a\tb\n", "a\tb\n"),
            ("{{.Name}} {{ .Digest }}", "quay.io/acme/llama:8b sha256:12"),
            ("{{.Manifest.SchemaVersion}}", "2"),
            ("{{json .Manifest.annotations}}", r#"{"org.a/b":"c"}"#),
            ("{{.Manifest.Annotations | json}}", r#"{"org.a/b":"c"}"#),
            ("{{json .Name}} {{.None}}", r#""quay.io/acme/llama:8b" <no value>"#),
            ("{{range .Manifest.Layers}}{{.Digest}}={{.Size}};{{end}}", "x=1;y=2;"),
            ("{{range $.Tags}}{{.}}{{else}}none{{end}}", "ab"),
            ("{{range .None}}{{.}}{{else}}none{{end}}", "none"),
            ("{{if .None}}a{{else}}b{{end}}{{if .Count}}c{{end}}", "bc"),
            ("{{if eq .Count 3}}three{{else if .Name}}named{{end}}", "three"),
            ("{{if ne .Digest \"x\"}}{{with .Manifest}}{{.schemaVersion}}{{end}}{{end}}", "2"),
            ("{{len .Tags}} {{len .Digest}}", "2 9"),
            ("{{index .Tags 1}} {{index .Manifest.annotations \"org.a/b\"}}", "b c"),
            ("{{(index .Manifest.layers 0).digest}}", "x"),
            ("{{join .Tags \", \"}} {{.Tags | join \"\"}}", "a, b ab"),
            ("{{upper .Digest}} {{lower \"ABC\"}} {{truncate .Name 4}}", "SHA256:12 abc quay"),
            ("{{printf \"%s-%d %q\" .Digest .Count \"x\"}}", "sha256:12-3 \"x\""),
            ("a {{- .Count -}} b", "a3b"),
            ("{{printf \"%.6s|%-4d|%4s|%%\" .Digest .Count \"x\"}}", "sha256|3   |   x|%"),
            ("{{print \"a\" \"b\"}}{{print 1 2}}{{println .Count}}", "ab1 23\n"),
            ("{{`raw \\`}} {{\"\\\\\"}}", "raw \\ \\"),
            ("{{/* nothing */}}{{\"{{\"}}", "{{"),
            (r#"{{.Count}}{{"\n"}}{{"a\tb"}}"#, "3\na\tb"),
        ];
        for (template, expected) in cases {
            assert_eq!(filled(template).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn what_cannot_be_filled_is_named() {
        let cases = [
            ("{{.Name", "has a {{ without its }}"),
            ("{{range .Tags}}", "without its {{end}}"),
            ("{{end}}", "an {{end}} too many"),
            ("{{.Nothing}}", "template field \".Nothing\" is not there: there are Name, Digest, Count"),
            ("{{.Name.Nothing}}", "template field \".Name.Nothing\" is not there"),
            ("{{frobnicate .Name}}", "template function \"frobnicate\" is not known"),
            ("{{join .Count \",\"}}", "template function join is not for"),
            ("{{}}", "cannot be read"),
            ("{{printf \"%x\" .Count}}", "template function printf is not for"),
            (&format!("{{{{{}1{}}}}}", "(".repeat(9999), ")".repeat(9999)), "cannot be read"),
        ];
        for (template, expected) in cases {
            let error = filled(template).unwrap_err().to_string();
            assert!(error.contains(expected), "{template}: {error}");
        }
    }

    #[test]
    fn lists_are_filled_line_by_line_or_at_once_and_may_have_a_heading() {
        let values = [json!({"A": 1, "B": "x"}), json!({"A": 2, "B": "y"})];
        assert_eq!(render_list("{{.A}} {{.B}}", &values).unwrap(), ["1 x", "2 y"]);
        assert_eq!(render_list(r"{{range .}}{{.A}}\n{{end}}", &values).unwrap(), ["1", "2"]);
        assert_eq!(render_list(r"table {{.A}}\t{{.B}}", &values).unwrap(), ["1\tx", "2\ty"]);
        assert_eq!(heading(r"table {{.A}}\t{{json .B}}").unwrap().as_deref(), Some("A\tB"));
        assert_eq!(heading("{{.A}}").unwrap(), None);
    }
}
