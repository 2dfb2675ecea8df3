//! Keys and signatures by openssl, and of the forms that cosign makes.

use serde_json::{Value, json};

use super::*;
use crate::cause::one_line;

#[path = "../../tests/it/common/signing.rs"]
#[allow(clippy::duplicate_mod, reason = "the integration tests have it, too")]
mod signing;

use signing::{Signer, payload};

/// By openssl, over `signed words`: each key and its signature.
const BY_OPENSSL: [(&str, &str); 4] = [
    (
        "-----BEGIN PUBLIC KEY-----\n\
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE2yVmQGmu1/+0uvBxX3NRpaDrL+Ev\n\
        ksH3r2yewrYlpDSJCrJYAxkfvCvtABsOUNzDtlQ7rsed1kfGFn5hJrb73Q==\n\
        -----END PUBLIC KEY-----",
        "MEUCIQDBFf4LQCQ70ekbja2Agy2dpxrk4RUZD5jRUlK5ckd3YAIgEPZuzWeVeSRaO9NQM73+SvytIzHeFrQJasjfm3alnZg=",
    ),
    (
        "-----BEGIN PUBLIC KEY-----\n\
        MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEOTzJm7kufEIvQOoI85Vsm+ZXS23W5Jxd\n\
        lM5Io0RjTj6rydYuYDiFuUFcszWQ6RahfP0IphNhAea0P3EOZAhp8CxS0iclA5LP\n\
        r6zt91+4FIMTLMu2OyiWAbdvdg9Tdxvq\n\
        -----END PUBLIC KEY-----",
        "MGUCMCx2xRhybwxvzq8g/rOlRAoJu4Ce22PDbDgWc3+fALgP6E6HoI5WIxcrPX7yRDr0cgIxAOli/axYpD+xzKq1+hlf7SVDcnwX\
        bpFNkfeS9kxOMfpENlflMU2ABqRp1nJqrZDdwg==",
    ),
    (
        "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAKoM630mSY39PQ9gJznQCHRCXOfomDYjwMdqPdD7zbes=\n\
        -----END PUBLIC KEY-----",
        "FUBrMG8YSZfWbevVnNERfjhNWThwSj8j+Kt/N/eC3AufPKYqW9zCv6gJW/5wU+IbwbXPkp7hH8pn5sn4EECtCA==",
    ),
    (
        "-----BEGIN PUBLIC KEY-----\n\
        MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAwEhohgXQZggDi09kQKkz\n\
        uUNyUE22pP8Jxd2v1FzOk924ezSaaHg4E1V7+gNuvFewzGuezoHPQIP3DuexRTij\n\
        TXow6EXuFyjLh2d6ao1uReyHjgx6uzxs1k2dYCbA+Fmjbpa2t4jOz7N39zUWbU7g\n\
        Yj2+fkLiZ7t55vVz9BrFddJuQ3qhCS+W8WEone0yrPrMyFI0pcHu1fvmNQoPZ1U8\n\
        /x5mqXv9+AXL1OfL2Y7SqwZ5R5qmY54EFxS/+JpxSCDhzxZXYjL5eebF6DnaeTc3\n\
        Qn2W3eA41PjcWGR4YYxMCn9beb3m7JFTW2o+VizRpobkb+fcKDAmI/wpyXngL8Ie\n\
        OQIDAQAB\n\
        -----END PUBLIC KEY-----",
        "fJMvbEy0BI6wSsxhxp6TOLT/UmwFfaGImCFnIT1lJKW9MhfP7VP/m9p6acrEtaBITOcnJu1w7nGZsLXMOotQ0jCgg2eSTRw/3MnO\
        WTKg8hrsAAp5zS9MVDsT7nzy5nWMaL8GK8rkLqeEFtn/jAwsTYJeL6iamOUZNDCQu3Lfl9g11DDtghSKE6P0p1Lny2BWV4auBY/m\
        DBxtoUf615KAEo7mNeTABRS0LCTQZJUMdGLFPqP0O6aiCjUJFCNOAXvAxgBMtkyVhmnicgZ04TXOYh+MyBuY057PASVQC6K3l1Bw\
        szBnergGd7fRvMGYuIWK81HE5/4C4EOyYLz+TZL6pA==",
    ),
];

/// Keys that are not taken, and why.
const REFUSED: [(&str, &str); 4] = [
    (
        "-----BEGIN PUBLIC KEY-----\n\
        MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQAHgVy2y0aLydytvZvqWmZo7Kyfvx4\n\
        j+fAysb+cW33zDqtXg6uR4BMbgRjMcwEQBHUIARXgygYLXsJQd5t4ZI2NowA0kPp\n\
        dMbZi3rNtrcaxnpQhWnHQqbcJcXFaYl8FXRrzAfEFJuDTqeWklSKNkiJKC7o7Wa8\n\
        /c14a8LGOU0PkakbcLU=\n\
        -----END PUBLIC KEY-----",
        "a key of the algorithm 1.3.132.0.35",
    ),
    (
        "-----BEGIN PUBLIC KEY-----\n\
        MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDJaG20jB31/nf43iWY2Y7VdHlL\n\
        iXtpLfc6BrnJbLZDAy+Wa38mbPhRgNDVz1nW4+cAvjM/uFX3yRGuUOh56kmPUYcf\n\
        U0qYVPT4gM2NWj3vuqlu2TCzTVxHaf5i3YyancWa+UzxFidTl40yRWEu18iO952F\n\
        VDG5RICHOje9Ff6wIwIDAQAB\n\
        -----END PUBLIC KEY-----",
        "fewer than 2048 bits",
    ),
    ("not a key", "no public key in PEM"),
    ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "its content is no public key"),
];

fn signature(signer: &Signer, payload: &Value) -> Signature {
    let text = payload.to_string();
    let signature = signer.sign(text.as_bytes());
    Signature::Simple { payload: text.into_bytes().into(), signature }
}

fn bundle(bundle: &Value) -> Signature {
    Signature::Bundle(bundle.to_string().into_bytes().into())
}

fn key(signer: &Signer) -> PublicKey {
    PublicKey::parse(signer.pem().as_bytes()).unwrap()
}

#[test]
fn a_key_of_each_kind_verifies_what_openssl_signed_by_it() {
    use base64::Engine as _;
    for (pem, signature) in BY_OPENSSL {
        let key = PublicKey::parse(format!("a word before\n{pem}\n").as_bytes()).unwrap();
        let mut signature = base64::engine::general_purpose::STANDARD.decode(signature).unwrap();
        assert!(key.has_signed(b"signed words", &signature), "{pem}");
        assert!(!key.has_signed(b"signed word", &signature), "{pem}");
        let middle = signature.len() / 2;
        signature[middle] ^= 1;
        assert!(!key.has_signed(b"signed words", &signature), "{pem}");
    }
}

#[test]
fn what_is_no_key_for_signatures_is_told() {
    for (pem, why) in REFUSED {
        let error = PublicKey::parse(pem.as_bytes()).unwrap_err();
        assert!(one_line(&error).contains(why), "{pem}: {}", one_line(&error));
    }
}

#[test]
fn a_signature_counts_for_the_digest_and_the_name_that_are_signed() {
    let (signer, other) = (Signer::new(), Signer::new_edwards());
    let digest = Digest::sha256(b"manifest");
    let good = payload("q.io/a/m:1", &digest.to_string());
    let with = |pointer: &str, value: Value| {
        let mut payload = good.clone();
        *payload.pointer_mut(pointer).unwrap() = value;
        payload
    };
    let plus = |pointer: &str| {
        let mut payload = good.clone();
        payload.pointer_mut(pointer).unwrap().as_object_mut().unwrap().insert(String::from("more"), json!(1));
        payload
    };
    let name = Ok(Some(String::from("q.io/a/m:1")));
    let cases = [
        (good.clone(), name.clone()),
        (with("/optional", json!(null)), name.clone()),
        (with("/optional", json!({})), name.clone()),
        (plus("/optional"), name.clone()),
        (with("/optional/creator", json!(7)), Err(Flaw::Payload)),
        (with("/optional/timestamp", json!(1.5)), Err(Flaw::Payload)),
        (with("/optional", json!([])), Err(Flaw::Payload)),
        (with("/critical/type", json!("atomic container signature")), Err(Flaw::Payload)),
        (with("/critical/image/docker-manifest-digest", json!(Digest::sha256(b"x"))), Err(Flaw::Digest)),
        (with("/critical/identity/docker-reference", json!(7)), Err(Flaw::Payload)),
        (with("/critical/image", json!({})), Err(Flaw::Payload)),
        (plus("/critical"), Err(Flaw::Payload)),
        (plus("/critical/image"), Err(Flaw::Payload)),
        (plus(""), Err(Flaw::Payload)),
        (json!({"critical": good["critical"]}), Err(Flaw::Payload)),
    ];
    for (payload, expected) in cases {
        let found = signature(&signer, &payload).verify(&[key(&other), key(&signer)], &digest);
        assert_eq!(found, expected, "{payload}");
        assert_eq!(signature(&other, &payload).verify(&[key(&signer)], &digest), Err(Flaw::Key), "{payload}");
    }
    let edwards = signature(&other, &good).verify(&[key(&other)], &digest);
    assert_eq!(edwards, name);
    assert_eq!(signature(&signer, &good).verify(&[], &digest), Err(Flaw::Key));
    let Signature::Simple { payload, .. } = signature(&signer, &good) else { unreachable!() };
    for signature in ["", "?"] {
        let found = Signature::Simple { payload: payload.clone(), signature: signature.to_owned() };
        assert!(found.verify(&[key(&signer)], &digest).is_err());
    }
    let twice = good.to_string().replacen("\"type\"", "\"type\": \"x\", \"type\"", 1);
    let twice = Signature::Simple { signature: signer.sign(twice.as_bytes()), payload: twice.into_bytes().into() };
    assert_eq!(twice.verify(&[key(&signer)], &digest), Err(Flaw::Payload));
}

#[test]
fn a_bundle_counts_for_the_digest_that_is_signed_in_it() {
    const IN_TOTO: &str = "application/vnd.in-toto+json";
    let signer = Signer::new();
    let digest = Digest::sha256(b"manifest");
    let statement = |kind: &str, predicate: &str, hex: &str| json!({"_type": kind, "predicateType": predicate, "subject": [{"digest": {"sha256": hex}}]});
    let (v1, sign) = ("https://in-toto.io/Statement/v1", "https://sigstore.dev/cosign/sign/v1");
    let other_type = signer.bundle_of(&statement(v1, sign, digest.hex()), "text/plain");
    let mut relabelled = other_type.clone();
    relabelled["dsseEnvelope"]["payloadType"] = json!(IN_TOTO);
    let mut unsigned = signer.bundle(&digest.to_string());
    unsigned["dsseEnvelope"]["signatures"] = json!([]);
    let mut old = signer.bundle(&digest.to_string());
    old["mediaType"] = json!("application/vnd.dev.sigstore.bundle+json;version=0.2");
    let none = "0".repeat(64);
    let cases = [
        (signer.bundle(&digest.to_string()), Ok(None)),
        (signer.bundle(&format!("sha256:{none}")), Err(Flaw::Digest)),
        (Signer::new().bundle(&digest.to_string()), Err(Flaw::Key)),
        (signer.bundle_of(&statement(v1, sign, digest.hex()), IN_TOTO), Ok(None)),
        (signer.bundle_of(&statement(v1, "https://slsa.dev/provenance/v1", digest.hex()), IN_TOTO), Err(Flaw::Payload)),
        (signer.bundle_of(&statement("https://x", sign, digest.hex()), IN_TOTO), Err(Flaw::Payload)),
        (other_type, Err(Flaw::Payload)),
        (relabelled, Err(Flaw::Key)),
        (unsigned, Err(Flaw::Payload)),
        (old, Err(Flaw::Payload)),
        (json!({}), Err(Flaw::Payload)),
    ];
    for (case, expected) in cases {
        assert_eq!(bundle(&case).verify(&[key(&signer)], &digest), expected, "{case}");
    }
}

#[test]
fn reasons_are_told_once_each_and_not_without_end() {
    let flaws = vec![Flaw::Key, Flaw::Digest, Flaw::Key, Flaw::Name(String::from("a")), Flaw::Nameless, Flaw::Encoding];
    let said = Unsigned::Flawed(flaws).to_string();
    assert!(
        said.starts_with("of 6 found, none counts: it is not by the key that is asked for; it is for another digest; ")
    );
    assert!(said.ends_with("and 2 reasons more"), "{said}");
}
