//! The behaviours of `--mount type=artifact`.

use super::Front;
use crate::scenarios::mount;
use crate::testbed::IMAGE;
use artishim::digest::Digest;

pub fn b30_one_file_goes_where_the_rules_say(front: &Front) {
    let name = front.added(&[("testfile", "mRuO9ykak1Q2j\n")]);
    let digest = Digest::sha256(b"mRuO9ykak1Q2j\n");
    let cases = [
        (mount(&name, "/test"), "/test"),
        (mount(&name, "/etc/model.gguf"), "/etc/model.gguf"),
        (mount(&name, "/tmp,title=testfile"), "/tmp/testfile"),
        (mount(&name, &format!("/missing,digest={digest}")), "/missing"),
        (mount(&name, "/tmp,name=abcd"), "/tmp/abcd"),
    ];
    for (mount, path) in cases {
        assert_eq!(front.run(&[&mount], &format!("cat {path}")).success(), "mRuO9ykak1Q2j\n", "{mount}");
    }
}

pub fn b31_several_files_go_where_the_rules_say(front: &Front) {
    let name = front.added(&[("test1", "one\n"), ("test2", "two\n")]);
    let digest = Digest::sha256(b"two\n");
    let named = format!("cat /tmp/{}", digest.file_name());
    let cases = [
        (mount(&name, "/test"), "cat /test/test1 /test/test2", "one\ntwo\n"),
        (mount(&name, "/test,title=test2"), "cat /test", "two\n"),
        (mount(&name, "/tmp,title=test2"), "cat /tmp/test2", "two\n"),
        (mount(&name, &format!("/tmp,digest={digest}")), named.as_str(), "two\n"),
        (mount(&name, "/test,name=myname"), "cat /test/myname-0 /test/myname-1", "one\ntwo\n"),
    ];
    for (mount, script, expected) in cases {
        assert_eq!(front.run(&[&mount], script).success(), expected, "{mount}");
    }
}

pub fn b32_container_keeps_what_was_removed(front: &Front) {
    let name = front.added(&[("a", "one\n")]);
    let container = format!("conformance-{}-{}", front.choice.len(), std::process::id());
    let container = format!("{container}-{}-{}", front.engine.name, front.is_podman);
    let mount = mount(&name, "/m");
    let line = [
        "run",
        "--detach",
        "--name",
        &container,
        "--mount",
        &mount,
        IMAGE,
        "sh",
        "-c",
        "trap exit TERM; while :; do sleep 0.1; done",
    ];
    front.engine_words(&line).success();
    let read = || front.engine_words(&["exec", &container, "cat", "/m"]);
    assert_eq!(read().success(), "one\n");
    front.artifact(&["rm", &name]).success();
    assert_eq!(read().success(), "one\n");
    front.engine_words(&["rm", "--force", &container]);
}

pub fn b33_destination_is_taken_once(front: &Front) {
    let name = front.added(&[("a", "one\n")]);
    let mount = mount(&name, "/test");
    for other in ["type=tmpfs,dst=/test", &mount] {
        let refused = front.run(&[&mount, other], "true");
        assert!(
            refused.status == 125 && refused.stderr.to_lowercase().contains("duplicate mount"),
            "{other}: {refused:?}"
        );
    }
}
