//! Logins of ours for podman, skopeo and oras, and theirs for us, in one file.

use crate::workshop::Workshop;

/// `$AUTH` is the registry that wants a password, `$NAME` an artifact in it that each can read, with `auth.json`, or cannot.
const BEGIN: &str = r#"
    read -r AUTH USER PASSWORD </run/artishim-testbed/registry-auth
    NAME=$AUTH/${REPO#*/}:1 FILE=$PWD/auth.json
    export HOME=$PWD/home REGISTRY_AUTH_FILE=$FILE
    artishim() { ARTISHIM --engine none --store $PWD/store "$@"; }
    by_artishim() { artishim pull --quiet --pull always $NAME; }
    by_podman() { podman artifact pull --quiet --authfile $FILE --tls-verify=false $NAME; }
    by_skopeo() { skopeo inspect --raw --authfile $FILE --tls-verify=false docker://$NAME; }
    by_oras() { oras manifest fetch --plain-http --registry-config $FILE $NAME; }
    readers() { for who in artishim podman skopeo oras; do if by_$who >log 2>&1; then echo $who; fi; done; }
"#;

fn script(lines: &str) -> String {
    format!("{}\n{lines}", BEGIN.replace("ARTISHIM", env!("CARGO_BIN_EXE_artishim")))
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn podman_skopeo_and_oras_use_what_we_keep_and_see_that_it_is_gone() {
    let shop = Workshop::new("login");
    let said = shop.run(&script(
        "! echo guess | artishim login -u $USER --password-stdin $AUTH 2>/dev/null
        test ! -e $FILE && echo nothing is kept
        echo $PASSWORD | artishim login -u $USER --password-stdin $AUTH
        oras push --plain-http --registry-config $FILE $NAME tiny.gguf >/dev/null
        podman login --authfile $FILE --get-login $AUTH
        skopeo login --authfile $FILE --get-login $AUTH
        readers
        artishim logout $AUTH | sed s/$AUTH/it/
        readers
        podman login --authfile $FILE --get-login $AUTH 2>&1 | sed s/$AUTH/it/",
    ));
    let expected = "nothing is kept\nLogin Succeeded!\nartishim\nartishim\nartishim\npodman\nskopeo\noras\n\
        Removed login credentials for it\nError: not logged into it\n";
    assert_eq!(said, expected);
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn we_use_what_podman_skopeo_and_oras_keep_and_see_that_it_is_gone() {
    let shop = Workshop::new("login");
    let logins = [
        ("podman login --authfile $FILE --tls-verify=false", "podman logout --authfile $FILE"),
        ("skopeo login --authfile $FILE --tls-verify=false", "skopeo logout --authfile $FILE"),
        ("oras login --plain-http --registry-config $FILE", "oras logout --registry-config $FILE"),
    ];
    let known = "Existing credentials are valid. Already logged in to it\nartishim\n";
    for (login, logout) in logins {
        let said = shop.run(&script(&format!(
            "echo $PASSWORD | {login} -u $USER --password-stdin $AUTH >/dev/null 2>&1
            artishim login $AUTH | sed s/$AUTH/it/
            artishim login --get-login $AUTH
            oras push --plain-http --registry-config $FILE $NAME tiny.gguf >/dev/null
            by_artishim >/dev/null
            {logout} $AUTH >/dev/null
            artishim login --get-login $AUTH 2>&1 | sed s/$AUTH/it/"
        )));
        assert_eq!(said, format!("{known}Error: not logged into it\n"), "{login}");
    }
}
