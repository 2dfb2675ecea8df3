//! Signatures by skopeo, podman and openssl, judged by us as by skopeo and podman with the same files.

use std::fs;

use serde_json::{Value, json};

use crate::testbed::{Engine, IMAGE};
use crate::workshop::{Workshop, adds_to_podman};

/// Makes keys and signed artifacts: `sign KEY SUFFIX NAME` signs by skopeo, `attach KEY SUFFIX PAYLOAD [SIGNED]` as cosign
/// does, by openssl.
const SIGNING: &str = r#"
    exec >log 2>&1
    mkdir -p .config/containers/registries.d home/.config/containers/registries.d
    printf 'default-docker:\n  use-sigstore-attachments: true\n' >.config/containers/registries.d/a.yaml
    : >pass
    for key in good other; do skopeo generate-sigstore-key --output-prefix $key --passphrase-file pass; done
    generate() { name=$1; shift; openssl genpkey -algorithm "$@" -out $name.key; openssl pkey -in $name.key -pubout -out $name.pub; }
    generate p256 EC -pkeyopt ec_paramgen_curve:P-256
    generate p384 EC -pkeyopt ec_paramgen_curve:P-384
    generate rsa RSA -pkeyopt rsa_keygen_bits:2048
    generate edwards ED25519
    push() { crane copy --insecure $REPO:1 $REPO$1:1; }
    sign() {
        skopeo --registries.d .config/containers/registries.d copy --src-tls-verify=false --dest-tls-verify=false \
            --sign-by-sigstore-private-key $1.private --sign-passphrase-file pass --sign-identity $3 \
            docker://$REPO:1 docker://$REPO$2:1
    }
    attach() {
        printf %s "$3" >payload.json
        printf %s "${4-$3}" >signed.json
        case $1 in
            edwards) openssl pkeyutl -sign -inkey $1.key -rawin -in signed.json -out signature;;
            *) openssl dgst -sha256 -sign $1.key -out signature signed.json;;
        esac
        printf '{"payload.json": {"dev.cosignproject.cosign/signature": "%s"}}' "$(base64 -w0 signature)" >annotations.json
        printf '{}' >config.json
        oras push --plain-http --annotation-file annotations.json --config config.json:application/vnd.oci.image.config.v1+json \
            $REPO$2:$(echo $DIGEST | tr : -).sig payload.json:application/vnd.dev.cosign.simplesigning.v1+json
    }
    payload() {
        printf '{"critical":{"identity":{"docker-reference":"%s"},"image":{"docker-manifest-digest":"%s"},"type":"%s"},"optional":%s}' \
            "$1" "$2" "${3-cosign container image signature}" "${4-null}"
    }
    oras push --plain-http $REPO:1 tiny.gguf && DIGEST=$(crane digest --insecure $REPO:1) && echo $DIGEST >digest
"#;

/// What skopeo and we do with `$REPO` and `suffix` by the workshop's policy: whether it is copied, and pulled.
fn judged(shop: &Workshop, policy: &Value, name: &str) -> (bool, bool) {
    shop.write("home/.config/containers/policy.json", policy.to_string().as_bytes());
    judged_by_file(shop, name)
}

fn judged_by_file(shop: &Workshop, name: &str) -> (bool, bool) {
    let skopeo = shop.try_run(&format!(
        "rm -rf copy
        skopeo --policy home/.config/containers/policy.json --registries.d home/.config/containers/registries.d \
            copy --quiet --src-tls-verify=false docker://{name} dir:copy"
    ));
    shop.artishim(&["rm", "--all"]).success();
    let ours = shop.artishim(&["pull", "--quiet", name]);
    assert!(matches!(ours.status, 0 | 125), "{ours:?}");
    let is_here = !shop.artishim(&["ls", "--quiet"]).success().is_empty();
    assert_eq!(ours.status == 0, is_here, "{ours:?}");
    (skopeo.status == 0, ours.status == 0)
}

fn attachments(shop: &Workshop, text: &str) {
    shop.write("home/.config/containers/registries.d/a.yaml", text.as_bytes());
}

fn signed_by(shop: &Workshop, key: &str, identity: Option<&Value>) -> Value {
    let mut requirement = json!({"type": "sigstoreSigned", "keyPath": shop.path(key)});
    if let Some(identity) = identity {
        requirement["signedIdentity"] = identity.clone();
    }
    requirement
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn signatures_count_as_for_skopeo_with_the_same_files() {
    let shop = Workshop::new("signatures");
    shop.run(&format!(
        r#"{SIGNING}
        sign good "" $REPO:1
        push -unsigned
        sign other -others $REPO-others:1
        sign good -elsewhere quay.io/acme/m:1
        push -bare && attach p256 -bare "$(payload $REPO-bare $DIGEST)"
        for key in p384 rsa edwards; do push -$key && attach $key -$key "$(payload $REPO-$key:1 $DIGEST)"; done
        push -forged && attach p256 -forged "$(payload $REPO-forged:1 $DIGEST)" "$(payload $REPO-bare $DIGEST)"
        push -digest && attach p256 -digest "$(payload $REPO-digest:1 sha256:$(printf %064d 0))"
        push -type && attach p256 -type "$(payload $REPO-type:1 $DIGEST 'atomic container signature')"
        push -optional && attach p256 -optional "$(payload $REPO-optional:1 $DIGEST 'cosign container image signature' '{{"a": [1]}}')"
        push -odd && attach p256 -odd "$(payload $REPO-odd:1 $DIGEST 'cosign container image signature' '{{"creator": 7}}')"
        push -more && attach p256 -more "$(payload $REPO-more:1 $DIGEST | sed 's/"type"/"more":1,"type"/')"
        "#
    ));
    attachments(&shop, "default-docker:\n  use-sigstore-attachments: true\n");
    let repository = shop.run("echo $REPO").trim().to_owned();
    let digest = String::from_utf8(shop.read("digest")).unwrap();
    let pinned = format!("{repository}@{}", digest.trim());
    let own = |suffix: &str| format!("{repository}{suffix}:1");
    let [exact, usual, any] =
        ["matchExact", "matchRepoDigestOrExact", "matchRepository"].map(|kind| json!({"type": kind}));
    let reference = |name: &str| json!({"type": "exactReference", "dockerReference": name});
    let named = |name: &str| json!({"type": "exactRepository", "dockerRepository": name});
    let remap = |prefix: &str, signed: &str| json!({"type": "remapIdentity", "prefix": prefix, "signedPrefix": signed});
    let acme = named("quay.io/acme/m");
    let elsewhere = format!("{repository}-elsewhere");
    let cases = [
        (own(""), "good.pub", None, true),
        (own(""), "other.pub", None, false),
        (own(""), "good.pub", Some(&exact), true),
        (own(""), "good.pub", Some(&usual), true),
        (own(""), "good.pub", Some(&any), true),
        (own(""), "good.pub", Some(&acme), false),
        (own(""), "missing.pub", None, false),
        (own(""), "tiny.gguf", None, false),
        (pinned.clone(), "good.pub", None, true),
        (pinned.clone(), "good.pub", Some(&exact), false),
        (pinned, "good.pub", Some(&any), true),
        (own("-unsigned"), "good.pub", None, false),
        (own("-others"), "good.pub", None, false),
        (own("-others"), "other.pub", None, true),
        (own("-elsewhere"), "good.pub", None, false),
        (own("-elsewhere"), "good.pub", Some(&any), false),
        (own("-elsewhere"), "good.pub", Some(&acme), true),
        (own("-elsewhere"), "good.pub", Some(&reference("quay.io/acme/m:1")), true),
        (own("-elsewhere"), "good.pub", Some(&reference("quay.io/acme/m:2")), false),
        (own("-elsewhere"), "good.pub", Some(&remap(&elsewhere, "quay.io/acme/m")), true),
        (own("-elsewhere"), "good.pub", Some(&remap("quay.io", "quay.io/acme")), false),
        (own("-bare"), "p256.pub", None, false),
        (own("-bare"), "p256.pub", Some(&exact), false),
        (own("-bare"), "p256.pub", Some(&any), true),
        (own("-p384"), "p384.pub", None, true),
        (own("-rsa"), "rsa.pub", None, true),
        (own("-edwards"), "edwards.pub", None, true),
        (own("-edwards"), "rsa.pub", None, false),
        (own("-forged"), "p256.pub", None, false),
        (own("-digest"), "p256.pub", None, false),
        (own("-type"), "p256.pub", None, false),
        (own("-optional"), "p256.pub", None, true),
        (own("-odd"), "p256.pub", None, false),
        (own("-more"), "p256.pub", None, false),
    ];
    for (name, key, identity, expected) in cases {
        let policy = json!({"default": [signed_by(&shop, key, identity)]});
        assert_eq!(judged(&shop, &policy, &name), (expected, expected), "{name} by {policy}");
    }
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn scopes_requirements_and_registries_d_decide_as_for_skopeo() {
    let shop = Workshop::new("signatures");
    shop.run(&format!(r#"{SIGNING} sign good "" $REPO:1"#));
    let repository = shop.run("echo $REPO").trim().to_owned();
    let (host, name) = (repository.split_once('/').unwrap().0, format!("{repository}:1"));
    let (good, other) = (signed_by(&shop, "good.pub", None), signed_by(&shop, "other.pub", None));
    let (accept, reject) = (json!({"type": "insecureAcceptAnything"}), json!({"type": "reject"}));
    let keys = json!({"type": "sigstoreSigned", "keyPaths": [shop.path("other.pub"), shop.path("good.pub")]});
    let data = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, shop.read("good.pub"));
    let inline = json!({"type": "sigstoreSigned", "keyData": data});
    let several = json!({"type": "sigstoreSigned", "keyDatas": [data]});
    let of = |requirements: &Value| json!({"default": requirements});
    let policies = [
        (of(&json!([keys])), true),
        (of(&json!([inline])), true),
        (of(&json!([several])), true),
        (of(&json!([good, good])), true),
        (of(&json!([good, other])), false),
        (of(&json!([accept, good])), true),
        (of(&json!([accept, other])), false),
        (of(&json!([good, reject])), false),
        (json!({"default": [reject], "transports": {"docker": {host: [good]}}}), true),
        (json!({"default": [accept], "transports": {"docker": {host: [other]}}}), false),
        (json!({"default": [accept], "transports": {"docker": {host: [other], (&name): [good]}}}), true),
    ];
    attachments(&shop, "default-docker: {use-sigstore-attachments: true}");
    for (policy, expected) in policies {
        assert_eq!(judged(&shop, &policy, &name), (expected, expected), "{policy}");
    }
    let policy = of(&json!([good]));
    for (text, expected) in [
        (String::from("# nothing"), false),
        (format!("docker: {{{host}: {{use-sigstore-attachments: true}}}}"), true),
        (
            format!(
                "docker: {{'{name}': {{use-sigstore-attachments: true}}, {host}: {{use-sigstore-attachments: false}}}}"
            ),
            true,
        ),
        (
            format!(
                "docker: {{{repository}: {{use-sigstore-attachments: false}}, {host}: {{use-sigstore-attachments: true}}}}"
            ),
            false,
        ),
        (format!("docker: {{{repository}: {{}}, {host}: {{use-sigstore-attachments: true}}}}"), true),
        (String::from("default-docker: {use-sigstore-attachments: yes}"), true),
        (String::from("default-docker: {use-sigstore-attachments: maybe}"), false),
        (String::from("default-docker: ["), false),
    ] {
        attachments(&shop, &text);
        assert_eq!(judged(&shop, &policy, &name), (expected, expected), "{text}");
    }
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn policies_are_read_as_strictly_as_by_skopeo() {
    let shop = Workshop::new("signatures");
    shop.run("oras push --plain-http $REF tiny.gguf && mkdir -p home/.config/containers/registries.d");
    let name = shop.reference();
    let key = r#""type": "sigstoreSigned", "keyPath": "/k""#;
    let elsewhere = |text: &str| {
        format!(
            r#"{{"default": [{{"type": "insecureAcceptAnything"}}], "transports": {{"docker": {{"x.io": [{text}]}}}}}}"#
        )
    };
    let identity = |text: &str| elsewhere(&format!(r#"{{{key}, "signedIdentity": {text}}}"#));
    let (good, bad) = (true, false);
    let cases = [
        (elsewhere(&format!("{{{key}}}")), good),
        (elsewhere(""), bad),
        (elsewhere(r#"{"type": "signed"}"#), bad),
        (elsewhere(r#"{"type": "reject", "type": "reject"}"#), bad),
        (elsewhere(r#"{"type": "reject", "x": 1}"#), bad),
        (elsewhere(r#"{"Type": "reject"}"#), bad),
        (elsewhere(r#"{"type": "sigstoreSigned"}"#), bad),
        (elsewhere(&format!(r#"{{{key}, "keyData": "aaaa"}}"#)), bad),
        (elsewhere(&format!(r#"{{{key}, "keypath": "/k"}}"#)), bad),
        (elsewhere(r#"{"type": "sigstoreSigned", "keyPaths": []}"#), bad),
        (elsewhere(&format!(r#"{{{key}, "rekorPublicKeyPath": "/r"}}"#)), good),
        (
            elsewhere(
                r#"{"type": "sigstoreSigned", "fulcio": {"caPath": "/f", "oidcIssuer": "x", "subjectEmail": "a@b"}, "rekorPublicKeyPath": "/r"}"#,
            ),
            good,
        ),
        (
            elsewhere(
                r#"{"type": "sigstoreSigned", "fulcio": {"caPath": "/f", "oidcIssuer": "x", "subjectEmail": "a@b"}}"#,
            ),
            bad,
        ),
        (elsewhere(r#"{"type": "sigstoreSigned", "pki": {"caRootsPath": "/f", "subjectEmail": "a@b"}}"#), good),
        (elsewhere(r#"{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/k"}"#), good),
        (elsewhere(r#"{"type": "signedBy", "keyType": "GPG", "keyPath": "/k"}"#), bad),
        (elsewhere(r#"{"type": "signedBy", "keyType": "GPGKeys"}"#), bad),
        (elsewhere(r#"{"type": "signedBaseLayer", "baseLayerIdentity": {"type": "matchExact"}}"#), good),
        (elsewhere(r#"{"type": "signedBaseLayer"}"#), bad),
        (identity(r#"{"type": "matchRepository"}"#), good),
        (identity(r#"{"type": "matchRepository", "x": 1}"#), bad),
        (identity(r#"{"type": "match"}"#), bad),
        (identity(r#"{"type": "exactReference", "dockerReference": "a.io/b:1"}"#), good),
        (identity(r#"{"type": "exactReference", "dockerReference": "a.io/b"}"#), bad),
        (identity(r#"{"type": "exactRepository", "dockerRepository": "a.io/b"}"#), good),
        (identity(r#"{"type": "exactRepository", "dockerRepository": "A B"}"#), bad),
        (identity(r#"{"type": "remapIdentity", "prefix": "a.io", "signedPrefix": "b.io:5000/c"}"#), good),
        (identity(r#"{"type": "remapIdentity", "prefix": "a.io/b:1", "signedPrefix": "b.io"}"#), bad),
        (identity(r#"{"type": "remapIdentity", "prefix": "a.io"}"#), bad),
        (r#"{"default": []}"#.to_owned(), bad),
        (r#"{}"#.to_owned(), bad),
        (r#"{"default": [{"type": "insecureAcceptAnything"}], "x": 1}"#.to_owned(), bad),
        (
            r#"{"default": [{"type": "insecureAcceptAnything"}], "transports": {"docker": {}, "docker": {}}}"#
                .to_owned(),
            bad,
        ),
        (r#"{"default": [{"type": "insecureAcceptAnything"}]} {}"#.to_owned(), bad),
    ];
    for (policy, expected) in cases {
        shop.write("home/.config/containers/policy.json", policy.as_bytes());
        assert_eq!(judged_by_file(&shop, &name), (expected, expected), "{policy}");
    }
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn what_podman_signs_is_signed_for_us_by_policy_and_by_key() {
    let shop = Workshop::new("signatures");
    {
        let _turn = adds_to_podman();
        shop.run(&format!(
            r#"{SIGNING}
            podman artifact add $COPY tiny.gguf
            podman artifact push --tls-verify=false --sign-by-sigstore-private-key $PWD/good.private \
                --sign-passphrase-file $PWD/pass $COPY
            podman artifact rm $COPY"#
        ));
    }
    let name = shop.run("echo $COPY").trim().to_owned();
    attachments(&shop, "default-docker: {use-sigstore-attachments: true}");
    for (key, expected) in [("good.pub", true), ("other.pub", false)] {
        let policy = json!({"default": [signed_by(&shop, key, None)]});
        assert_eq!(judged(&shop, &policy, &name), (expected, expected), "{key}");
    }
    fs::remove_file(shop.path("home/.config/containers/policy.json")).unwrap();
    for (key, status) in [("good.pub", 0), ("other.pub", 125)] {
        let pulled = shop.artishim(&["pull", "--quiet", "--verify-key", shop.path(key).to_str().unwrap(), &name]);
        assert_eq!(pulled.status, status, "{key}: {pulled:?}");
    }
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn bundle_that_refers_to_an_artifact_counts_for_its_key_and_for_no_policy() {
    let shop = Workshop::new("signatures");
    shop.run(&format!(
        r#"{SIGNING}
        type=application/vnd.in-toto+json
        statement='{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"digest":{{"sha256":"'${{DIGEST#sha256:}}'"}}}}],'
        statement=$statement'"predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{{}}}}'
        printf 'DSSEv1 %d %s %d %s' ${{#type}} $type ${{#statement}} "$statement" >encoded
        openssl dgst -sha256 -sign p256.key -out signature encoded
        bundle=application/vnd.dev.sigstore.bundle.v0.3+json
        printf '{{"mediaType":"%s","verificationMaterial":{{"publicKey":{{}}}},"dsseEnvelope":{{"payload":"%s","payloadType":"%s",'             $bundle $(printf %s "$statement" | base64 -w0) $type >bundle.json
        printf '"signatures":[{{"sig":"%s"}}]}}}}' $(base64 -w0 signature) >>bundle.json
        oras attach --plain-http --artifact-type $bundle $REPO:1 bundle.json:$bundle
        "#
    ));
    attachments(&shop, "default-docker: {use-sigstore-attachments: true}");
    let name = shop.reference();
    for (key, status) in [("p256.pub", 0), ("rsa.pub", 125)] {
        let pulled = shop.artishim(&["pull", "--quiet", "--verify-key", shop.path(key).to_str().unwrap(), &name]);
        assert_eq!(pulled.status, status, "{key}: {pulled:?}");
    }
    let policy = json!({"default": [signed_by(&shop, "p256.pub", None)]});
    assert_eq!(judged(&shop, &policy, &name), (false, false));
}

/// Podman and artishim have a home of their own each, and so a policy.
#[test]
#[ignore = "needs root and contrib/testbed"]
fn podman_checks_what_podman_pulls_and_we_what_we_pull() {
    let (shop, engine) = (Workshop::new("signatures"), Engine::named("podman5"));
    shop.run("oras push --plain-http $REF tiny.gguf");
    let name = shop.reference();
    let (ours, podmans) = (engine.store.path().join("ours"), engine.store.path().to_owned());
    let policy = |home: &std::path::Path, requirement: &str| {
        fs::create_dir_all(home.join(".config/containers")).unwrap();
        fs::write(home.join(".config/containers/policy.json"), format!(r#"{{"default": [{requirement}]}}"#)).unwrap();
    };
    let pull = |options: &[&str]| engine.artishim_from(&ours, &[&["pull"], options, &[name.as_str()]].concat());
    let signed_by = r#"{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/k"}"#;
    policy(&podmans, r#"{"type": "insecureAcceptAnything"}"#);
    policy(&ours, r#"{"type": "reject"}"#);
    assert!(pull(&[]).stderr.contains("is rejected by"));
    // Podman refuses, and then we do not do it for podman.
    policy(&ours, signed_by);
    policy(&podmans, r#"{"type": "reject"}"#);
    let refused = pull(&[]);
    assert!(refused.status == 125 && refused.stderr.contains("which artishim cannot check"), "{refused:?}");
    assert_ne!(engine.own(&["artifact", "inspect", &name]).status, 0);
    // What we pull ourselves, we cannot check.
    policy(&podmans, r#"{"type": "insecureAcceptAnything"}"#);
    let whole = engine.artishim_from(&ours, &["--deliver", "bind", "pull", &name]);
    assert!(whole.status == 125 && whole.stderr.contains("which artishim cannot check"), "{whole:?}");
    let mount = format!("type=artifact,src={name},dst=/models");
    let bound = engine.artishim_from(&ours, &["--deliver", "bind", "run", "--rm", "--mount", &mount, IMAGE, "true"]);
    assert!(bound.status == 125 && bound.stderr.contains("which artishim cannot check"), "{bound:?}");
    // A podman elsewhere does not know our policy.
    let remote = Engine::named("podman5-remote").artishim_from(&ours, &["pull", &name]);
    assert!(remote.status == 125 && remote.stderr.contains("which artishim cannot check"), "{remote:?}");
    // What podman lets pass, it pulls.
    let _turn = adds_to_podman();
    assert_eq!(pull(&[]).status, 0);
    engine.own(&["artifact", "inspect", &name]).success();
    // Podman's store has it, and the key is asked for in ours.
    shop.write("k.pub", b"no key");
    let key = shop.path("k.pub");
    let refused = pull(&["--verify-key", key.to_str().unwrap()]);
    assert!(refused.status == 125 && refused.stderr.contains("no public key"), "{refused:?}");
    engine.own(&["artifact", "rm", &name]).success();
}
