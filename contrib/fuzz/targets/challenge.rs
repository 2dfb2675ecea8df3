//! The `WWW-Authenticate` header of any server.

#![no_main]

use artishim::registry::fuzzing::challenges;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|header: &str| {
    let found = challenges(header);
    let written: Vec<String> = found.iter().map(|(scheme, parameters)| write(scheme, parameters)).collect();
    for (scheme, parameters) in &found {
        for word in [scheme].into_iter().chain(parameters.iter().map(|(name, _)| name)) {
            assert!(!word.is_empty() && !word.contains([' ', '\t', ',', '=', '"']), "{word:?}");
            assert!(!word.contains(|c: char| c.is_ascii_uppercase()), "{word:?}");
        }
    }
    assert_eq!(challenges(&written.join(", ")), found, "{written:?} is read back");
});

fn write(scheme: &str, parameters: &[(String, String)]) -> String {
    let quoted = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"");
    let parameters: Vec<String> =
        parameters.iter().map(|(name, value)| format!("{name}=\"{}\"", quoted(value))).collect();
    format!("{scheme} {}", parameters.join(", "))
}
