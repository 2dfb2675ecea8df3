//! Policies of many kinds.

use super::*;

const POLICY: &str = r#"{
    "default": [{"type": "reject"}],
    "transports": {
        "docker": {
            "quay.io/acme": [{"type": "insecureAcceptAnything"}],
            "quay.io/acme/secret": [{"type": "reject"}],
            "quay.io/acme/one:1": [{"type": "reject"}],
            "signed.io": [{"type": "sigstoreSigned", "keyPath": "/k"}],
            "twice.io": [{"type": "sigstoreSigned", "keyPath": "/k"}, {"type": "sigstoreSigned", "keyPaths": ["/a", "/b"]}],
            "old.io": [{"type": "insecureAcceptAnything"}, {"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/g"}],
            "log.io": [{"type": "sigstoreSigned", "keyPath": "/k", "rekorPublicKeyPath": "/r"}],
            "base.io": [{"type": "signedBaseLayer", "baseLayerIdentity": {"type": "matchRepository"}}],
            "mixed.io": [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/g"}, {"type": "reject"}],
            "*.wild.io": [{"type": "insecureAcceptAnything"}]
        },
        "dir": {"": [{"type": "insecureAcceptAnything"}]}
    }
}"#;

#[test]
fn the_narrowest_scope_decides() {
    let policy = Policy::parse("p.json", POLICY).unwrap();
    let digest = format!("sha256:{}", "a".repeat(64));
    let (pinned, both) = (format!("quay.io/acme/one@{digest}"), format!("quay.io/acme/one:1@{digest}"));
    let cases = [
        ("quay.io/acme/llama:8b", Ok(0)),
        ("quay.io/acmes/llama:8b", Err("quay.io/acmes/llama:8b is rejected by p.json (default)")),
        ("quay.io/acme/secret:1", Err("rejected by p.json (quay.io/acme/secret)")),
        ("quay.io/acme/one:1", Err("rejected by p.json (quay.io/acme/one:1)")),
        ("quay.io/acme/one:2", Ok(0)),
        (pinned.as_str(), Ok(0)),
        (both.as_str(), Ok(0)),
        ("signed.io/m:1", Ok(1)),
        ("twice.io/m:1", Ok(2)),
        ("old.io/m:1", Err("old.io/m:1 needs a signature by p.json (old.io: signedBy), which artishim cannot check")),
        ("log.io/m:1", Err("(log.io: sigstoreSigned with rekorPublicKeyPath), which artishim cannot check")),
        ("base.io/m:1", Err("(base.io: signedBaseLayer), which artishim cannot check")),
        ("mixed.io/m:1", Err("mixed.io/m:1 is rejected by p.json (mixed.io)")),
        ("a.b.wild.io/m:1", Ok(0)),
        ("a.wild.io:5000/m:1", Ok(0)),
        ("wild.io/m:1", Err("(default)")),
    ];
    for (reference, expected) in cases {
        let said = policy.demands(&reference.parse().unwrap());
        let said = said.map(|demands| demands.len()).map_err(|refusal| refusal.to_string());
        match (&said, expected) {
            (Err(said), Err(expected)) => assert!(said.contains(expected), "{reference}: {said}"),
            _ => assert_eq!(said, expected.map_err(str::to_owned), "{reference}"),
        }
    }
    assert_eq!(policy.key_files(), ["/a", "/b", "/k"]);
    let all =
        r#"{"default": [{"type": "insecureAcceptAnything"}], "transports": {"docker": {"": [{"type": "reject"}]}}}"#;
    let policy = Policy::parse("p.json", all).unwrap();
    assert!(policy.demands(&"a.io/b:1".parse().unwrap()).unwrap_err().to_string().ends_with("(docker)"));
}

#[test]
fn who_lets_somebody_else_check_signatures_is_refused_what_is_rejected() {
    let policy = Policy::parse("p.json", POLICY).unwrap();
    for (reference, is_let) in
        [("old.io/m:1", true), ("signed.io/m:1", true), ("mixed.io/m:1", false), ("x.io/m:1", false)]
    {
        assert_eq!(policy.check(&reference.parse().unwrap()).is_ok(), is_let, "{reference}");
    }
}

#[test]
fn what_is_no_policy_is_refused() {
    for text in [
        "",
        "{}",
        "[]",
        r#"{"default": []}"#,
        r#"{"default": [{}]}"#,
        r#"{"default": [{"type": "reject"}], "trnsports": {}}"#,
        r#"{"default": [{"type": "reject"}], "default": [{"type": "reject"}]}"#,
        r#"{"default": [{"type": "reject"}], "transports": {"docker": {}, "docker": {}}}"#,
        r#"{"default": [{"type": "reject"}], "transports": {"docker": {"a.io": []}}}"#,
        r#"{"default": [{"type": "reject"}]} {}"#,
    ] {
        let error = Policy::parse("p.json", text).unwrap_err();
        assert!(crate::cause::one_line(&error).starts_with("p.json: "), "{text}");
    }
    let twice = r#"{"default": [{"type": "reject"}], "transports": {"docker": {"a": [{"type": "reject"}], "a": [{"type": "reject"}]}}}"#;
    let error = Policy::parse("p.json", twice).unwrap_err();
    assert!(crate::cause::one_line(&error).contains("duplicate key \"a\""), "{error:?}");
}

#[test]
fn requirements_that_nobody_understands_are_refused() {
    let key = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, "key");
    let good = [
        r#"{"type": "sigstoreSigned", "keyPath": "/k"}"#.to_owned(),
        format!(r#"{{"type": "sigstoreSigned", "keyData": "{key}"}}"#),
        format!(r#"{{"type": "sigstoreSigned", "keyDatas": ["{key}"], "signedIdentity": {{"type": "matchExact"}}}}"#),
        r#"{"type": "sigstoreSigned", "fulcio": {"caPath": "/f"}, "rekorPublicKeyPath": "/r"}"#.to_owned(),
        r#"{"type": "sigstoreSigned", "pki": {"caRootsPath": "/f", "subjectEmail": "a@b"}}"#.to_owned(),
    ];
    let bad = [
        r#"{"type": "signed"}"#,
        r#"{"type": "reject", "type": "reject"}"#,
        r#"{"type": "reject", "keyPath": "/k"}"#,
        r#"{"type": "insecureAcceptAnything", "x": 1}"#,
        r#"{"Type": "reject"}"#,
        r#"{"type": "sigstoreSigned"}"#,
        r#"{"type": "sigstoreSigned", "keyPath": "/k", "keyPath": "/l"}"#,
        r#"{"type": "sigstoreSigned", "keyPath": "/k", "keyData": ""}"#,
        r#"{"type": "sigstoreSigned", "keyPaths": []}"#,
        r#"{"type": "sigstoreSigned", "keyPath": 7}"#,
        r#"{"type": "sigstoreSigned", "keyData": "?"}"#,
        r#"{"type": "sigstoreSigned", "keyPath": "/k", "keypath": "/k"}"#,
        r#"{"type": "sigstoreSigned", "fulcio": {"caPath": "/f"}}"#,
        r#"{"type": "sigstoreSigned", "fulcio": {"ca": "/f"}, "rekorPublicKeyPath": "/r"}"#,
        r#"{"type": "sigstoreSigned", "pki": {}, "rekorPublicKeyPath": "/r"}"#,
        r#"{"type": "sigstoreSigned", "keyPath": "/k", "signedIdentity": {"type": "matchAny"}}"#,
        r#"{"type": "sigstoreSigned", "keyPath": "/k", "signedIdentity": {"type": "matchExact", "x": 1}}"#,
        r#"{"type": "sigstoreSigned", "keyPath": "/k", "signedIdentity": {"type": "exactReference"}}"#,
        r#"{"type": "sigstoreSigned", "keyPath": "/k", "signedIdentity": {"type": "exactReference", "dockerReference": "a.io/b"}}"#,
        r#"{"type": "sigstoreSigned", "keyPath": "/k", "signedIdentity": {"type": "exactRepository", "dockerRepository": "A B"}}"#,
        r#"{"type": "sigstoreSigned", "keyPath": "/k", "signedIdentity": {"type": "remapIdentity", "prefix": "a.io", "signedPrefix": "a.io/b:1"}}"#,
        r#"{"type": "sigstoreSigned", "keyPath": "/k", "signedIdentity": {"type": "remapIdentity", "prefix": "a.io"}}"#,
        r#"{"type": "signedBy", "keyType": "GPGKeys"}"#,
        r#"{"type": "signedBy", "keyType": "GPG", "keyPath": "/k"}"#,
        r#"{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/k", "x": 1}"#,
        r#"{"type": "signedBaseLayer"}"#,
    ];
    let parse = |text: &str| Policy::parse("p.json", &format!(r#"{{"default": [{text}]}}"#));
    for text in good {
        parse(&text).unwrap_or_else(|error| panic!("{text}: {}", crate::cause::one_line(&error)));
    }
    for text in bad {
        assert!(parse(text).is_err(), "{text}");
    }
}
