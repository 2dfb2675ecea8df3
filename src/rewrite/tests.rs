use std::os::unix::ffi::OsStringExt as _;

use super::*;

const BOTH: [Dialect; 2] = [Dialect::Docker, Dialect::Podman];

/// Words at spaces, as a shell without quotes has them.
fn words(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(OsString::from).collect()
}

fn parse(dialect: Dialect, line: &str) -> CommandLine {
    CommandLine::parse(dialect, &words(line)).unwrap()
}

fn replaced(line: &str, values: &[&[&str]]) -> String {
    let values: Vec<Vec<String>> =
        values.iter().map(|list| list.iter().map(|&value| value.to_owned()).collect()).collect();
    let arguments = parse(Dialect::Docker, line).replace(&values);
    arguments.iter().map(|argument| argument.to_str().unwrap()).collect::<Vec<_>>().join(" ")
}

#[test]
fn an_artifact_mount_becomes_any_number_of_mounts_in_its_own_form() {
    let cases: [(&str, &[&[&str]], &str); 7] = [
        ("--rm --mount type=artifact,src=a,dst=/m img x", &[&["A"]], "--rm --mount A img x"),
        ("--mount=type=artifact,src=a,dst=/m img", &[&["A", "B"]], "--mount=A --mount=B img"),
        ("-it --mount type=artifact,src=a,dst=/m img", &[&["A", "B"]], "-it --mount A --mount B img"),
        ("--mount type=artifact,src=a,dst=/m -d img", &[&[]], "-d img"),
        (
            "--mount dst=/m,type=artifact,src=a --mount type=bind,src=/x,dst=/y --mount=type=artifact,src=b,dst=/n img",
            &[&["A"], &["B"]],
            "--mount A --mount type=bind,src=/x,dst=/y --mount=B img",
        ),
        (
            "--mount type=artifact,src=a,dst=/m img --mount type=artifact,src=b,dst=/m",
            &[&["A"]],
            "--mount A img --mount type=artifact,src=b,dst=/m",
        ),
        (
            "--mount type=artifact,src=a,dst=/m -itv /a:/b -- img",
            &[],
            "--mount type=artifact,src=a,dst=/m -itv /a:/b -- img",
        ),
    ];
    for (line, values, expected) in cases {
        assert_eq!(replaced(line, values), expected, "{line}");
    }
}

#[test]
fn only_mounts_before_the_image_are_artifacts() {
    let cases = [
        ("--mount type=artifact,src=a,dst=/m img", 1),
        ("img --mount type=artifact,src=a,dst=/m", 0),
        ("-- --mount type=artifact,src=a,dst=/m", 0),
        ("-e --mount type=artifact,src=a,dst=/m", 0),
        ("--env=--mount=type=artifact,src=a,dst=/m img", 0),
        ("--tty false --mount type=artifact,src=a,dst=/m", 0),
        ("--mount \"type=artifact\",\"src=a\",dst=/m --mount=type=artifact,src=a,dst=/n img", 2),
        ("--volume type=artifact,src=a,dst=/m img", 0),
        ("--mount", 0),
    ];
    for (line, count) in cases {
        for dialect in BOTH {
            assert_eq!(parse(dialect, line).mounts().len(), count, "{line}");
        }
    }
}

/// Every pair of flags with every kind of ending, with an argument that is no UTF-8 among them.
#[test]
fn a_line_without_artifacts_comes_out_as_it_went_in() {
    let pieces = [
        "--rm",
        "-it",
        "-d=false",
        "-v /a:/b",
        "-itv /a:/b",
        "-e=A=type=artifact",
        "--mount type=bind,src=/a,dst=/b",
        "--mount=type=volume,dst=/c",
        "--mount \"type=bind\",\"src=/a,b\",dst=/d",
        "--unknown value",
        "--tmpfs /t:size=1",
        "-",
        "--",
        "--mount",
        "--mount=",
        "-x",
        "---",
        "--=",
        "-=",
    ];
    let endings = ["", "img", "img -it --mount type=artifact,src=a,dst=/m", "-- img --rm", "-- --", "img\u{1F600}"];
    for first in pieces {
        for second in pieces {
            for ending in endings {
                let mut arguments = words(&format!("{first} {second}"));
                arguments.push(OsString::from_vec(b"--label=\xff\xfe".to_vec()));
                arguments.extend(words(ending));
                for dialect in BOTH {
                    let line = CommandLine::parse(dialect, &arguments).unwrap();
                    assert_eq!(line.mounts().len(), 0, "{arguments:?}");
                    assert_eq!(line.replace(&[]), arguments);
                }
            }
        }
    }
}

#[test]
fn the_flags_that_matter_are_read() {
    let line = "-dit=false --rm --pull newer --platform=linux/arm64 --name n -a stdout --attach=STDERR \
                --sig-proxy=false --detach-keys ctrl-x -q img --help";
    let flags = parse(Dialect::Podman, line).flags;
    let expected = Flags {
        pull: Some("newer".to_owned()),
        platform: Some("linux/arm64".to_owned()),
        name: Some("n".to_owned()),
        attach: vec!["stdout".to_owned(), "STDERR".to_owned()],
        detach_keys: Some("ctrl-x".to_owned()),
        detach: true,
        interactive: true,
        tty: false,
        quiet: true,
        remove: true,
        keeps_signals: true,
        rootfs: false,
        help: false,
    };
    assert_eq!(flags, expected);
    assert_eq!(parse(Dialect::Podman, "--rootfs /r").flags, Flags { rootfs: true, ..Flags::default() });
    assert!(parse(Dialect::Docker, "--help").flags.help);
}

#[test]
fn the_image_is_the_first_argument_that_is_no_flag() {
    assert_eq!(parse(Dialect::Docker, "-it --name n img cmd").image(), Some(OsStr::new("img")));
    assert_eq!(parse(Dialect::Podman, "--replace -- img").image, Some(2));
    assert_eq!(parse(Dialect::Docker, "--rm").image(), None);
}

#[test]
fn two_mounts_at_an_artifacts_destination_are_refused() {
    let others = [
        "-v /a:/test",
        "-v /a:/test/:O",
        "--volume=vol:/test",
        "-v /test",
        "--mount type=bind,src=/a,dst=/test",
        "--mount type=image,src=i,destination=/x/../test",
        "--tmpfs /test:size=1m",
        "--tmpfs=/test",
        "--mount type=artifact,src=b,dst=/test/",
    ];
    for other in others {
        for line in [
            format!("--mount type=artifact,src=a,dst=/test {other} i"),
            format!("{other} --mount=type=artifact,src=a,dst=/test i"),
        ] {
            let error = CommandLine::parse(Dialect::Podman, &words(&line)).unwrap_err();
            assert_eq!(error.to_string(), "/test: duplicate mount destination", "{line}");
        }
    }
    parse(Dialect::Docker, "--mount type=artifact,src=a,dst=/test -v /a:/test/sub -v /b:/b -v /c:/b i");
}

#[test]
fn errors_are_podmans() {
    let error = CommandLine::parse(Dialect::Docker, &words("--mount type=artifact,src=a,dst=/m,rw i")).unwrap_err();
    assert_eq!(error.to_string(), "rw: invalid mount option");
}

#[test]
fn a_mount_that_is_no_utf8_is_ours_only_if_it_is_an_artifact() {
    let arguments = |kind: &str| {
        let value = [kind.as_bytes(), b",src=\xff,dst=/m"].concat();
        [OsString::from("--mount"), OsString::from_vec(value), OsString::from("img")]
    };
    let bind = arguments("type=bind");
    assert_eq!(CommandLine::parse(Dialect::Docker, &bind).unwrap().replace(&[]), bind);
    let error = CommandLine::parse(Dialect::Docker, &arguments("type=artifact")).unwrap_err();
    assert!(matches!(error, Error::Encoding(_)), "{error}");
}

#[test]
fn a_line_that_does_not_mention_artifacts_is_known_cheaply() {
    let cases = [
        ("run --mount type=artifact,src=a,dst=/m i", true),
        ("run --mount=src=a,\"type=artifact\",dst=/m i", true),
        ("run --mount=src=a,\"type=\"artifact,dst=/m i", true),
        ("run i echo type=artifact", true),
        ("run --mount type=bind,src=/artifact,dst=/m i", false),
        ("", false),
    ];
    for (line, expected) in cases {
        assert_eq!(mentions_artifact(&words(line)), expected, "{line}");
    }
}

#[test]
fn a_run_is_split_into_create_and_start() {
    let cases = [
        ("img cmd -d", "img cmd -d", "--attach", ""),
        ("-it --rm img", "-it --rm img", "--attach --interactive", ""),
        ("-d img", "img", "", ""),
        ("-ditv /a:/b img -d", "-itv /a:/b img -d", "", ""),
        ("-itd=true img", "-it img", "", ""),
        ("-dd img", "img", "", ""),
        ("-d-rm img", "-d-rm img", "", ""),
        ("--detach --name d img", "--name d img", "", ""),
        ("--detach=false -i img", "-i img", "--attach --interactive", ""),
        ("--detach-keys ctrl-x,x -- img", "-- img", "--attach --detach-keys=ctrl-x,x", ""),
        ("--detach-keys ctrl-p,ctrl-q,x img", "img", "--attach --detach-keys=ctrl-p,ctrl-q,x", ""),
        ("-i -a stdout img", "-i -a stdout img", "--attach", ""),
        ("-i -a STDIN img", "-i -a STDIN img", "--attach --interactive", ""),
        ("--sig-proxy=true img", "img", "--attach", ""),
    ];
    for dialect in BOTH {
        for (line, create, start, lost) in cases {
            assert_split(dialect, line, create, start, lost);
        }
    }
    assert_split(Dialect::Docker, "--sig-proxy=false img", "img", "--attach", "sig-proxy");
    assert_split(Dialect::Podman, "--sig-proxy=false img", "img", "--attach --sig-proxy=false", "");
    assert_split(
        Dialect::Podman,
        "--rmi --passwd=false --preserve-fds 2 img",
        "img",
        "--attach",
        "passwd preserve-fds rmi",
    );
}

fn assert_split(dialect: Dialect, line: &str, create: &str, start: &str, lost: &str) {
    let split = create_and_start(dialect, &words(line));
    let lost = lost.split_whitespace().map(str::to_owned).collect();
    assert_eq!(split, Split { create: words(create), start: words(start), lost }, "{line}");
}

#[test]
fn pull_gets_another_value_wherever_it_stands_before_the_image() {
    let cases = [
        ("--pull newer x --pull newer", "--pull missing x --pull newer"),
        ("--pull=newer x", "--pull=missing x"),
        ("-e pull=newer x", "-e pull=newer x"),
    ];
    for (line, expected) in cases {
        let mut arguments = words(line);
        super::set_pull(Dialect::Docker, &mut arguments, "missing");
        assert_eq!(arguments, words(expected));
    }
}
