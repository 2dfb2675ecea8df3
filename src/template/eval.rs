//! From nodes and a value to text.

use serde_json::Value;

use super::Error;
use super::parse::{Block, Node, Pipeline, Word};

/// How many fields an error names.
const MOST_NAMED: usize = 12;
/// How much of a value an error shows.
const MOST_SHOWN: usize = 60;

/// What is looked at, and everything.
#[derive(Clone, Copy)]
struct Scope<'a> {
    all: &'a Value,
    here: &'a Value,
}

pub(super) fn fill(nodes: &[Node], value: &Value) -> Result<String, Error> {
    let mut text = String::new();
    write(nodes, Scope { all: value, here: value }, &mut text)?;
    Ok(text)
}

fn write(nodes: &[Node], scope: Scope<'_>, text: &mut String) -> Result<(), Error> {
    for node in nodes {
        match node {
            Node::Text(plain) => *text += plain,
            Node::Show(pipeline) => *text += &shown(&run(pipeline, scope)?),
            Node::Block { kind, over, body, otherwise } => {
                let value = run(over, scope)?;
                let here = |here| Scope { here, ..scope };
                match kind {
                    _ if !is_true(&value) => write(otherwise, scope, text)?,
                    Block::If => write(body, scope, text)?,
                    Block::With => write(body, here(&value), text)?,
                    Block::Range => elements(&value)?.into_iter().try_for_each(|one| write(body, here(one), text))?,
                }
            }
        }
    }
    Ok(())
}

fn elements(value: &Value) -> Result<Vec<&Value>, Error> {
    match value {
        Value::Array(list) => Ok(list.iter().collect()),
        Value::Object(map) => Ok(map.values().collect()),
        other => Err(Error::Value(String::from("range"), other.to_string())),
    }
}

/// As Go has it: nothing, zero and what is empty are false.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(is_so) => *is_so,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

fn run(pipeline: &Pipeline, scope: Scope<'_>) -> Result<Value, Error> {
    let mut before = None;
    for command in pipeline {
        before = Some(call(command, before, scope)?);
    }
    Ok(before.unwrap_or_default())
}

fn call(command: &[Word], before: Option<Value>, scope: Scope<'_>) -> Result<Value, Error> {
    let [first, others @ ..] = command else { return Ok(Value::Null) };
    let Word::Function(name) = first else {
        return if others.is_empty() && before.is_none() {
            evaluate(first, scope)
        } else {
            Err(Error::Action(String::from("a value with arguments")))
        };
    };
    let mut arguments = others.iter().map(|word| evaluate(word, scope)).collect::<Result<Vec<_>, _>>()?;
    arguments.extend(before);
    function(name, &arguments)
}

fn evaluate(word: &Word, scope: Scope<'_>) -> Result<Value, Error> {
    match word {
        Word::Field { of_all, path } => find(path, if *of_all { scope.all } else { scope.here }),
        Word::Text(text) => Ok(Value::from(text.as_str())),
        Word::Number(number) => Ok(Value::from(*number)),
        Word::Group(pipeline, path) => find(path, &run(pipeline, scope)?),
        Word::Function(name) => match name.as_str() {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            "nil" => Ok(Value::Null),
            _ => function(name, &[]),
        },
    }
}

/// A field of a field; of what is not there is nothing known.
fn find(path: &str, value: &Value) -> Result<Value, Error> {
    let mut found = value;
    for name in path.split('.').filter(|name| !name.is_empty()) {
        found = field(found, name).ok_or_else(|| {
            let fields = found.as_object().into_iter().flat_map(|map| map.keys().take(MOST_NAMED).cloned());
            Error::Field { path: path.to_owned(), fields: fields.collect() }
        })?;
    }
    Ok(found.clone())
}

fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let map = value.as_object()?;
    map.get(name).or_else(|| map.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

fn function(name: &str, arguments: &[Value]) -> Result<Value, Error> {
    let refused = || {
        let given: String =
            arguments.iter().map(shown).collect::<Vec<_>>().join(" ").chars().take(MOST_SHOWN).collect();
        Error::Value(name.to_owned(), if given.is_empty() { String::from("nothing") } else { given })
    };
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(refused);
    Ok(match (name, arguments) {
        ("json", [value]) => Value::from(value.to_string()),
        ("len", [Value::String(text)]) => Value::from(text.len()),
        ("len", [Value::Array(list)]) => Value::from(list.len()),
        ("len", [Value::Object(map)]) => Value::from(map.len()),
        ("index", [value, key]) => index(value, key).ok_or_else(refused)?,
        ("eq", [one, other]) => Value::Bool(one == other),
        ("ne", [one, other]) => Value::Bool(one != other),
        ("not", [value]) => Value::Bool(!is_true(value)),
        ("and", [.., last]) => arguments.iter().find(|value| !is_true(value)).unwrap_or(last).clone(),
        ("or", [.., last]) => arguments.iter().find(|value| is_true(value)).unwrap_or(last).clone(),
        // As podman and docker: the list first, or last at the end of a pipe.
        ("join", [Value::Array(list), Value::String(between)] | [Value::String(between), Value::Array(list)]) => {
            Value::from(list.iter().map(shown).collect::<Vec<_>>().join(between))
        }
        ("split", [Value::String(whole), Value::String(between)]) => whole.split(between.as_str()).collect(),
        ("lower", [value]) => Value::from(text(value)?.to_lowercase()),
        ("upper", [value]) => Value::from(text(value)?.to_uppercase()),
        ("truncate", [value, Value::Number(length)]) => {
            let length = length.as_u64().and_then(|length| usize::try_from(length).ok()).ok_or_else(refused)?;
            Value::from(text(value)?.chars().take(length).collect::<String>())
        }
        ("print", values) => Value::from(print(values)),
        ("println", values) => Value::from(values.iter().map(shown).collect::<Vec<_>>().join(" ") + "\n"),
        ("printf", [Value::String(format), values @ ..]) => Value::from(printf(format, values).ok_or_else(refused)?),
        (
            "json" | "len" | "index" | "eq" | "ne" | "not" | "and" | "or" | "join" | "split" | "lower" | "upper"
            | "truncate" | "printf",
            _,
        ) => return Err(refused()),
        _ => return Err(Error::Function(name.to_owned())),
    })
}

fn index(value: &Value, key: &Value) -> Option<Value> {
    match key {
        Value::Number(at) => value.get(usize::try_from(at.as_u64()?).ok()?).cloned(),
        // Of a map, what is not there is empty.
        Value::String(key) => Some(value.as_object()?.get(key).cloned().unwrap_or_else(|| Value::from(""))),
        _ => None,
    }
}

/// Between two values of which neither is text Go puts a space.
fn print(values: &[Value]) -> String {
    let mut text = String::new();
    for (at, value) in values.iter().enumerate() {
        let is_apart = at > 0 && !value.is_string() && !values[at - 1].is_string();
        text += if is_apart { " " } else { "" };
        text += &shown(value);
    }
    text
}

/// `%s`, `%v`, `%d`, `%q` and `%%`, with a width, a number of characters, and `-`; nothing of what else Go knows.
fn printf(format: &str, values: &[Value]) -> Option<String> {
    let (mut text, mut values, mut rest) = (String::new(), values.iter(), format);
    while let Some((plain, behind)) = rest.split_once('%') {
        text += plain;
        let end = behind.find(|c: char| !c.is_ascii_digit() && c != '-' && c != '.')?;
        let (how, verb) = (&behind[..end], &behind[end..]);
        rest = &verb[1..];
        let value = match verb.as_bytes()[0] {
            b'%' => String::from("%"),
            b's' | b'v' | b'd' => shown(values.next()?),
            b'q' => Value::from(shown(values.next()?)).to_string(),
            _ => return None,
        };
        text += &fitted(&value, how)?;
    }
    Some(text + rest)
}

/// The text cut and filled up as `-40.12` says: at most 12 characters, at least 40 with what is missing behind.
fn fitted(text: &str, how: &str) -> Option<String> {
    let (width, precision) = how.split_once('.').map_or((how, None), |(width, precision)| (width, Some(precision)));
    let most = precision.map_or(Some(usize::MAX), |precision| precision.parse().ok())?;
    let text: String = text.chars().take(most).collect();
    let (is_left, width) = width.strip_prefix('-').map_or((false, width), |width| (true, width));
    let width: u16 = if width.is_empty() { 0 } else { width.parse().ok()? };
    let width = usize::from(width);
    Some(if is_left { format!("{text:<width$}") } else { format!("{text:>width$}") })
}

/// As Go prints it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::from("<no value>"),
        other => other.to_string(),
    }
}
