//! The `WWW-Authenticate` header of a 401 (RFC 9110, section 11.6.1).

/// One way the registry offers to authenticate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    /// `basic`, `bearer` or another scheme, in lower case.
    pub scheme: String,
    /// Names are in lower case, values without their quotes.
    pub parameters: Vec<(String, String)>,
}

impl Challenge {
    /// The value of a parameter, unless it is empty.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

/// Reads a header that may hold several challenges; what cannot be read is skipped.
///
/// A comma parts both parameters and challenges, so a word is a parameter exactly if `=` follows it.
pub(super) fn parse(header: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    let mut rest = skip_separators(header);
    while let Some(first) = rest.chars().next() {
        let (word, after) = split_before(rest, &[' ', '\t', ',', '=', '"']);
        rest = if word.is_empty() {
            &rest[first.len_utf8()..]
        } else if let (Some(value), Some(challenge)) = (skip_blanks(after).strip_prefix('='), challenges.last_mut()) {
            let (value, after) = take_value(skip_blanks(value));
            challenge.parameters.push((word.to_ascii_lowercase(), value));
            after
        } else {
            challenges.push(Challenge { scheme: word.to_ascii_lowercase(), parameters: Vec::new() });
            after
        };
        rest = skip_separators(rest);
    }
    challenges
}

fn skip_separators(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', ','])
}

/// RFC 9110, section 5.6.3; what else is white is part of a word.
fn skip_blanks(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

fn split_before<'a>(text: &'a str, ends: &[char]) -> (&'a str, &'a str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

fn take_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = split_before(text, &[' ', '\t', ',']);
        return (value.to_owned(), rest);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[index + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(header: &str) -> String {
        let each = |challenge: &Challenge| {
            let parameters: Vec<String> = challenge.parameters.iter().map(|(k, v)| format!("{k}<{v}>")).collect();
            format!("{}({})", challenge.scheme, parameters.join(" "))
        };
        parse(header).iter().map(each).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn challenges_of_registries_are_read() {
        let cases = [
            (
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#,
                "bearer(realm<https://auth.docker.io/token> service<registry.docker.io> scope<repository:a/b:pull,push>)",
            ),
            (r#"Basic realm="Registry Realm""#, "basic(realm<Registry Realm>)"),
            (r#"BEARER Realm = "r" , Service=s"#, "bearer(realm<r> service<s>)"),
            (r#"Basic realm="a", Bearer realm="b",service="c""#, "basic(realm<a>) bearer(realm<b> service<c>)"),
            (r#"Negotiate, Basic realm="a""#, "negotiate() basic(realm<a>)"),
            (r#"Basic realm="say \"hi\"""#, r#"basic(realm<say "hi">)"#),
            (r#"Basic realm="open"#, "basic(realm<open>)"),
            ("Basic", "basic()"),
            ("", ""),
            (r#"="x", ,, "é""#, "x() é()"),
            ("Basic a\u{b}\u{b} \u{b}=b", "basic() a\u{b}\u{b}(\u{b}<b>)"),
        ];
        for (header, expected) in cases {
            assert_eq!(shown(header), expected, "{header}");
        }
    }

    #[test]
    fn an_empty_parameter_counts_as_absent() {
        assert_eq!(parse(r#"Bearer realm="""#)[0].parameter("realm"), None);
    }
}
