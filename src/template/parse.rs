//! From a template's text to its nodes.

use super::Error;

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Text(String),
    Show(Pipeline),
    Block { kind: Block, over: Pipeline, body: Vec<Self>, otherwise: Vec<Self> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Block {
    Range,
    If,
    With,
}

/// How many texts and actions there may be, each of which could begin a block in a block.
const MOST_TAGS: usize = 2000;
/// How deep parentheses may be.
const DEEPEST: usize = 50;

/// Commands, each of which is given the value of the one before as its last argument.
pub(super) type Pipeline = Vec<Vec<Word>>;

/// A word of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// `.A.B`, of what is looked at or, after `$`, of everything.
    Field {
        of_all: bool,
        path: String,
    },
    Text(String),
    Number(i64),
    Function(String),
    /// `(…).A`.
    Group(Pipeline, String),
}

/// What stands between the texts.
enum Tag {
    Text(String),
    Action(String),
}

pub(super) fn parse(template: &str) -> Result<Vec<Node>, Error> {
    let tags = split(template)?;
    if tags.len() > MOST_TAGS {
        return Err(Error::Block(template.chars().take(40).collect()));
    }
    let mut rest = tags.as_slice();
    let (nodes, end) = block(&mut rest, template)?;
    if end.is_some() { Err(Error::Block(template.to_owned())) } else { Ok(nodes) }
}

/// Texts and actions; the marks for white space are carried out, comments are gone.
fn split(template: &str) -> Result<Vec<Tag>, Error> {
    let (mut tags, mut rest, mut is_trimmed) = (Vec::new(), template, false);
    loop {
        let (text, behind) = rest.split_once("{{").map_or((rest, None), |(text, behind)| (text, Some(behind)));
        let text = if is_trimmed { text.trim_start() } else { text };
        let Some(behind) = behind else {
            tags.push(Tag::Text(text.to_owned()));
            return Ok(tags);
        };
        let trims = behind.starts_with("- ");
        tags.push(Tag::Text(if trims { text.trim_end() } else { text }.to_owned()));
        let end = end_of_action(behind).ok_or_else(|| Error::Open(template.to_owned()))?;
        let action = if trims { &behind[2..end] } else { &behind[..end] };
        is_trimmed = action.ends_with(" -");
        let action = action.strip_suffix(" -").unwrap_or(action).trim();
        if !action.starts_with("/*") {
            tags.push(Tag::Action(action.to_owned()));
        }
        rest = &behind[end + 2..];
    }
}

/// Where the `}}` is that does not stand in quotes.
fn end_of_action(text: &str) -> Option<usize> {
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("}}") {
            return Some(at);
        }
        at += match rest.chars().next() {
            Some(quote @ ('"' | '`')) => 1 + closing_quote(&rest[1..], quote)? + 1,
            Some(c) => c.len_utf8(),
            None => return None,
        };
    }
    None
}

/// Nodes up to the end of the block, and the action that ends it.
fn block<'a>(rest: &mut &'a [Tag], template: &str) -> Result<(Vec<Node>, Option<&'a str>), Error> {
    let mut nodes = Vec::new();
    while let Some((tag, behind)) = rest.split_first() {
        *rest = behind;
        match tag {
            Tag::Text(text) if text.is_empty() => {}
            Tag::Text(text) => nodes.push(Node::Text(text.clone())),
            Tag::Action(action) => {
                let (word, over) = action.split_once(char::is_whitespace).unwrap_or((action, ""));
                match word {
                    "range" => nodes.push(begun(Block::Range, over, rest, template)?),
                    "if" => nodes.push(begun(Block::If, over, rest, template)?),
                    "with" => nodes.push(begun(Block::With, over, rest, template)?),
                    "end" | "else" => return Ok((nodes, Some(action))),
                    _ => nodes.push(Node::Show(pipeline(action)?)),
                }
            }
        }
    }
    Ok((nodes, None))
}

fn begun(kind: Block, over: &str, rest: &mut &[Tag], template: &str) -> Result<Node, Error> {
    let over = pipeline(over)?;
    let (body, end) = block(rest, template)?;
    let otherwise = match end.and_then(|end| end.strip_prefix("else").map(str::trim)) {
        Some("") => {
            let (otherwise, end) = block(rest, template)?;
            if end != Some("end") {
                return Err(Error::Block(template.to_owned()));
            }
            otherwise
        }
        // `else if` has the end of both.
        Some(chained) => match chained.split_once(char::is_whitespace) {
            Some(("if", over)) => vec![begun(Block::If, over, rest, template)?],
            _ => return Err(Error::Action(chained.to_owned())),
        },
        None if end == Some("end") => Vec::new(),
        None => return Err(Error::Block(template.to_owned())),
    };
    Ok(Node::Block { kind, over, body, otherwise })
}

fn pipeline(action: &str) -> Result<Pipeline, Error> {
    let mut rest = action;
    let pipeline = commands(&mut rest, action, 0)?;
    if rest.is_empty() { Ok(pipeline) } else { Err(Error::Action(action.to_owned())) }
}

/// Commands up to the end of the action, or of the parenthesis.
fn commands(rest: &mut &str, action: &str, depth: usize) -> Result<Pipeline, Error> {
    let unreadable = || Error::Action(action.to_owned());
    if depth > DEEPEST {
        return Err(unreadable());
    }
    let mut commands: Pipeline = vec![Vec::new()];
    loop {
        *rest = rest.trim_start();
        match rest.chars().next() {
            None | Some(')') => break,
            Some('|') => {
                *rest = &rest[1..];
                commands.push(Vec::new());
            }
            Some(_) => {
                let word = word(rest, action, depth)?;
                commands.last_mut().ok_or_else(unreadable)?.push(word);
            }
        }
    }
    if commands.iter().any(Vec::is_empty) { Err(unreadable()) } else { Ok(commands) }
}

fn word(rest: &mut &str, action: &str, depth: usize) -> Result<Word, Error> {
    let unreadable = || Error::Action(action.to_owned());
    if let Some(text) = rest.strip_prefix('"') {
        let end = closing_quote(text, '"').ok_or_else(unreadable)?;
        *rest = &text[end + 1..];
        // Those of the shell's words are characters by now.
        let quoted = text[..end].replace('\n', "\\n").replace('\t', "\\t");
        return serde_json::from_str(&format!("\"{quoted}\"")).map(Word::Text).map_err(|_| unreadable());
    }
    if let Some(text) = rest.strip_prefix('`') {
        let end = closing_quote(text, '`').ok_or_else(unreadable)?;
        *rest = &text[end + 1..];
        return Ok(Word::Text(text[..end].to_owned()));
    }
    if let Some(group) = rest.strip_prefix('(') {
        let mut inner = group;
        let pipeline = commands(&mut inner, action, depth + 1)?;
        *rest = inner.strip_prefix(')').ok_or_else(unreadable)?;
        return Ok(Word::Group(pipeline, bare(rest).to_owned()));
    }
    let text = bare(rest);
    Ok(match text {
        "" => return Err(unreadable()),
        _ if text.starts_with('.') => Word::Field { of_all: false, path: text.to_owned() },
        _ if text.starts_with('$') => Word::Field { of_all: true, path: text[1..].to_owned() },
        _ => text.parse().map_or_else(|_| Word::Function(text.to_owned()), Word::Number),
    })
}

/// The next characters up to one that ends a word.
fn bare<'a>(rest: &mut &'a str) -> &'a str {
    let end = rest.find(|c: char| c.is_whitespace() || "|()\"".contains(c)).unwrap_or(rest.len());
    let (text, behind) = rest.split_at(end);
    *rest = behind;
    text
}

/// Where the text ends that began with `quote`; what stands behind a backslash ends no text, but in raw ones.
fn closing_quote(text: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        if c == quote && !is_escaped {
            return Some(at);
        }
        is_escaped = c == '\\' && !is_escaped && quote == '"';
    }
    None
}

/// Whether a template goes over everything itself.
pub(super) fn ranges_over_all(nodes: &[Node]) -> bool {
    let all = Word::Field { of_all: false, path: String::from(".") };
    nodes.iter().any(|node| matches!(node, Node::Block { kind: Block::Range, over, .. } if *over == [[all.clone()]]))
}

/// The texts as they are, and for each value the name of its field.
pub(super) fn heading(nodes: &[Node]) -> String {
    let mut heading = String::new();
    for node in nodes {
        match node {
            Node::Text(text) => heading += text,
            Node::Show(pipeline) => heading += &field_name(pipeline).to_ascii_uppercase(),
            Node::Block { body, .. } => heading += &self::heading(body),
        }
    }
    heading
}

fn field_name(pipeline: &Pipeline) -> &str {
    let mut words = pipeline.iter().flatten();
    words
        .find_map(|word| if let Word::Field { path, .. } = word { path.rsplit('.').next() } else { None })
        .unwrap_or("")
}
