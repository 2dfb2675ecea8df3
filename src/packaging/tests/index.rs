//! Choosing a child of an index.

use super::*;
use crate::manifest::Platform;

/// An index of entries, each `os/architecture` and further JSON fields; sizes tell them apart.
fn index(entries: &[(&str, &str)]) -> Manifest {
    let entry = |(number, (platform, more)): (usize, &(&str, &str))| {
        let digest = Digest::sha256(&[u8::try_from(number).unwrap()]);
        let platform = platform.split_once('/').map_or(String::new(), |(os, architecture)| {
            format!(r#","platform":{{"os":"{os}","architecture":"{architecture}"}}"#)
        });
        format!(r#"{{"mediaType":"{}","digest":"{digest}","size":{number}{platform}{more}}}"#, media::OCI_MANIFEST)
    };
    let entries: Vec<String> = entries.iter().enumerate().map(entry).collect();
    let json = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(","));
    Manifest::parse(json.as_bytes(), &Digest::sha256(b"")).unwrap()
}

fn arm() -> Platform {
    Platform { os: String::from("linux"), architecture: String::from("arm64"), variant: None }
}

const ATTESTATION: &str = r#","annotations":{"vnd.docker.reference.type":"attestation-manifest"}"#;
const SIGNATURE: &str = r#","artifactType":"application/vnd.dev.cosign.artifact.sig.v1+json""#;
const MODELPACK: &str = r#","artifactType":"application/vnd.cncf.model.manifest.v1+json""#;
const OLOT: &str = r#","annotations":{"io.opendatahub.modelcar.manifest.type":"modelpack"}"#;

#[test]
fn the_child_is_the_model_else_of_the_platform_else_the_only_one() {
    let cases: [(&[(&str, &str)], u64); 9] = [
        (&[("", "")], 0),
        (&[("linux/amd64", "")], 0),
        (&[("linux/amd64", ""), ("linux/arm64", "")], 1),
        (&[("linux/arm64", ""), ("unknown/unknown", ATTESTATION)], 0),
        (&[("linux/s390x", ""), ("unknown/unknown", ATTESTATION), ("", SIGNATURE)], 0),
        (&[("linux/arm64", ""), ("unknown/unknown", MODELPACK)], 1),
        (&[("linux/arm64", ""), ("linux/amd64", ""), ("unknown/unknown", OLOT)], 2),
        (&[("linux/amd64", MODELPACK), ("linux/arm64", MODELPACK), ("", "")], 1),
        (&[("linux/arm64", ""), ("", r#","artifactType":"application/vnd.cog.weight.v1""#)], 1),
    ];
    for (entries, chosen) in cases {
        assert_eq!(choose_child(&index(entries), Some(&arm())).unwrap().size, chosen, "{entries:?}");
    }
}

#[test]
fn several_children_are_listed_and_none_is_taken() {
    let q4 = r#","annotations":{"org.opencontainers.image.ref.name":"q4\u001b[2J"}"#;
    let index = index(&[("linux/amd64", ""), ("", q4), ("linux/riscv64", SIGNATURE)]);
    let error = choose_child(&index, Some(&arm())).unwrap_err();
    let (one, two) = (Digest::sha256(&[0]), Digest::sha256(&[1]));
    assert_eq!(
        error.to_string(),
        format!(
            "the index has 2 children, name one by its digest or platform: {one} linux/amd64, {two} q4\\u{{1b}}[2J"
        )
    );
    let Error::SeveralChildren { children } = error else { panic!() };
    assert_eq!(children[0].platform.as_deref(), Some("linux/amd64"));
    assert_eq!(children[1].digest, two);
}

/// kitops pkg/cmd/index: an entry for each quantization.
#[test]
fn children_of_a_modelkit_are_shown_with_what_kitops_says_of_them() {
    let kit = |metadata: &str| {
        format!(r#","artifactType":"application/vnd.kitops.modelkit.manifest.v1+json","modelMetadata":{metadata}"#)
    };
    let (q4, q8) = (kit(r#"{"quantization":"q4_0","tags":["small"]}"#), kit(r#"{"quantization":"\u001b[2J"}"#));
    let text = choose_child(&index(&[("", &q4), ("", &q8)]), None).unwrap_err().to_string();
    assert!(text.contains(r#"{\"quantization\":\"q4_0\",\"tags\":[\"small\"]}"#), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
    let long = kit(&format!("{:?}", "x".repeat(10_000)));
    let many: Vec<(&str, &str)> = (0..200).map(|_| ("", long.as_str())).collect();
    let text = choose_child(&index(&many), None).unwrap_err().to_string();
    assert!(text.len() < 5000 && text.ends_with("and 190 more"), "{text}");
}

#[test]
fn several_weights_of_cog_are_told_by_their_names() {
    let weight = |name: &str| {
        format!(r#","artifactType":"application/vnd.cog.weight.v1","annotations":{{"run.cog.weight.name":"{name}"}}"#)
    };
    let (base, lora) = (weight("base"), weight("lora"));
    let entries = [("linux/amd64", ""), ("unknown/unknown", base.as_str()), ("unknown/unknown", &lora)];
    let text = choose_child(&index(&entries), None).unwrap_err().to_string();
    assert!(text.contains(" base, ") && text.ends_with(" lora"), "{text}");
}

#[test]
fn a_child_of_which_the_index_says_nothing_is_asked() {
    let digests = |entries: &[(&str, &str)]| untold_children(&index(entries)).len();
    assert_eq!(digests(&[("", "")]), 0, "there is no other");
    assert_eq!(digests(&[("linux/amd64", ""), ("", ""), ("unknown/unknown", "")]), 2);
    assert_eq!(digests(&[("linux/amd64", ""), ("linux/arm64", ""), ("unknown/unknown", ATTESTATION)]), 0);
    assert_eq!(digests(&[("linux/amd64", ""), ("unknown/unknown", OLOT), ("", MODELPACK), ("", SIGNATURE)]), 0);

    let mut index = index(&[("linux/arm64", ""), ("unknown/unknown", "")]);
    assert_eq!(choose_child(&index, Some(&arm())).unwrap().size, 0);
    let children = [
        r#"{"artifactType":"application/vnd.cog.weight.v1","layers":[]}"#,
        r#"{"config":{"mediaType":"application/vnd.kitops.modelkit.config.v1+json","digest":"@x"},"layers":[]}"#,
        r#"{"config":{"mediaType":"application/vnd.docker.ai.model.config.v0.1+json","digest":"@x"},"layers":[]}"#,
    ];
    for child in children {
        let child = Artifact::new(child, &[("x", b"x")]).manifest();
        tell_child(&mut index, &Digest::sha256(&[1]), &child);
        assert_eq!(choose_child(&index, Some(&arm())).unwrap().size, 1);
    }
}

#[test]
fn an_index_of_attestations_has_no_child() {
    let none = index(&[("unknown/unknown", ATTESTATION)]);
    assert!(matches!(choose_child(&none, None), Err(Error::NoChild)));
    assert!(matches!(plan(&none, b""), Err(Error::Index)));
}
