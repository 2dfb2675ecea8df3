//! `login` and `logout`: what they keep, where, and that nobody else sees it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use serde_json::{Value, json};

use crate::common::registry::{Auth, Expiry, Registry};
use crate::common::{Home, Outcome, modelpack, outcome};

const BASIC: Auth = Auth::Basic { user: "ann", password: "secret-password" };
const TOKEN: Auth = Auth::Bearer { user: Some(("ann", "secret-password")), refresh_token: None, uses: usize::MAX };
/// `ann:secret-password`
const ENCODED: &str = "YW5uOnNlY3JldC1wYXNzd29yZA==";

/// A home, and a registry that ann may use.
struct Private {
    home: Home,
    registry: Registry,
}

impl Private {
    fn new(auth: Auth) -> Self {
        let private = Self { home: Home::new(), registry: Registry::start() };
        private.registry.require(auth);
        private
    }

    fn host(&self) -> String {
        self.registry.host()
    }

    /// Where podman keeps it, too.
    fn file(&self) -> PathBuf {
        self.home.path("run/containers/auth.json")
    }

    fn write(&self, content: &Value) {
        fs::create_dir_all(self.file().parent().unwrap()).unwrap();
        fs::write(self.file(), content.to_string()).unwrap();
    }

    fn content(&self) -> Value {
        serde_json::from_slice(&fs::read(self.file()).unwrap()).unwrap()
    }

    fn login(&self, password: &str) -> Outcome {
        run(self.command(&["login", "-u", "ann", "--password-stdin", &self.host()]), password)
    }

    /// With helpers in PATH that keep what they are told in files, and their arguments in a log.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command(arguments);
        command.env("PATH", format!("{}:/usr/bin:/bin", self.home.path("bin").display()));
        command.env("HELPER", self.home.path("helper"));
        command
    }

    fn artishim(&self, arguments: &[&str]) -> Outcome {
        run(self.command(arguments), "")
    }

    fn with_helper(self, name: &str) -> Self {
        fs::create_dir_all(self.home.path("bin")).unwrap();
        fs::create_dir_all(self.home.path("helper")).unwrap();
        let path = self.home.path("bin").join(format!("docker-credential-{name}"));
        fs::write(&path, HELPER).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    fn helper(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.home.path("helper").join(file)).ok()
    }

    fn reference(&self) -> String {
        modelpack(&self.registry, "acme/tiny", &[("tiny.gguf", b"GGUF tiny")])
    }
}

/// Keeps one credential, under whichever name.
const HELPER: &str = r#"#!/bin/sh
echo "$0 $@" >>"$HELPER/arguments"
case "$1" in
store) cat >"$HELPER/kept" ;;
get) [ -e "$HELPER/kept" ] && cat "$HELPER/kept" || { echo "credentials not found in native keychain"; exit 1; } ;;
erase) cat >"$HELPER/erased"; rm "$HELPER/kept" ;;
list) [ -e "$HELPER/kept" ] && echo '{"any.example": "ann"}' || echo '{}' ;;
esac
"#;

fn run(mut command: Command, stdin: &str) -> Outcome {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    // Who has ended before has read nothing.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    outcome(child.wait_with_output().unwrap())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn after_login_a_pull_works_and_after_logout_it_does_not() {
    for auth in [BASIC, TOKEN] {
        let private = Private::new(auth);
        let reference = private.reference();
        let refused = private.artishim(&["pull", "--quiet", &reference]).failure();
        assert!(refused.contains(&format!("`artishim login {}`", private.host())), "{refused}");
        assert_eq!(private.login("secret-password\n").success(), "Login Succeeded!\n");
        assert_eq!(private.content(), json!({"auths": {private.host(): {"auth": ENCODED}}}));
        assert_eq!((mode(&private.file()), mode(private.file().parent().unwrap())), (0o600, 0o700));
        assert_eq!(private.artishim(&["login", "--get-login", &private.host()]).success(), "ann\n");
        let again = private.artishim(&["login", &private.host()]).success();
        assert_eq!(again, format!("Existing credentials are valid. Already logged in to {}\n", private.host()));
        private.artishim(&["pull", "--quiet", &reference]).success();
        let removed = private.artishim(&["logout", &private.host()]).success();
        assert_eq!(removed, format!("Removed login credentials for {}\n", private.host()));
        assert_eq!(private.content(), json!({"auths": {}}));
        let words = format!("not logged into {}", private.host());
        assert_eq!(private.artishim(&["logout", &private.host()]).failure(), words);
        assert_eq!(private.artishim(&["login", "--get-login", &private.host()]).failure(), words);
        private.artishim(&["pull", "--quiet", "--pull", "always", &reference]).failure();
    }
}

#[test]
fn wrong_password_is_refused_and_nothing_is_written() {
    for auth in [BASIC, TOKEN] {
        let private = Private::new(auth);
        let refused = private.login("guess").failure();
        let words = format!("{} refuses the user name or the password: GET http://{}", private.host(), private.host());
        assert!(refused.starts_with(&words) && !refused.contains("guess"), "{refused}");
        assert!(!private.file().exists());
        private.write(&json!({"auths": {private.host(): {"auth": "YW5uOm9sZA=="}}}));
        let before = fs::read(private.file()).unwrap();
        private.login("guess").failure();
        assert_eq!(fs::read(private.file()).unwrap(), before);
        let old = private.artishim(&["login", &private.host()]).failure();
        assert!(old.contains("refuses the user name or the password"), "{old}");
    }
}

#[test]
fn registry_that_asks_nobody_is_logged_into_with_a_note() {
    let private = Private::new(Auth::Open);
    let said = private.login("anything");
    assert_eq!(said.status, 0, "{said:?}");
    assert!(said.stderr.contains("the password was not checked"), "{said:?}");
}

#[test]
fn what_others_wrote_stays_and_a_link_stays_a_link() {
    let private = Private::new(BASIC);
    private.write(&json!({
        "currentContext": "far", "auths": {"quay.io": {"auth": "eDp5", "email": "x@y"}}, "plugins": {"a": {"b": 1.5}},
    }));
    let real = private.home.path("dotfiles.json");
    fs::rename(private.file(), &real).unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o644)).unwrap();
    symlink(&real, private.file()).unwrap();
    private.login("secret-password").success();
    let expected = json!({
        "currentContext": "far",
        "auths": {"quay.io": {"auth": "eDp5", "email": "x@y"}, private.host(): {"auth": ENCODED}},
        "plugins": {"a": {"b": 1.5}},
    });
    assert_eq!(fs::read_to_string(&real).unwrap().split_whitespace().collect::<String>(), expected.to_string());
    assert_eq!((private.content(), mode(&real)), (expected, 0o600));
    assert!(fs::symlink_metadata(private.file()).unwrap().is_symlink());
    private.artishim(&["logout", "--all"]).success();
    let rest = json!({"currentContext": "far", "auths": {}, "plugins": {"a": {"b": 1.5}}});
    assert_eq!(private.content(), rest);
    let names = fs::read_dir(private.file().parent().unwrap()).unwrap().count();
    assert_eq!(names, 1, "a temporary file is left");
}

#[test]
fn file_that_cannot_be_read_is_left_alone() {
    for content in ["{\"auths\": {\"x\": 7}}", "not json", "[]"] {
        let private = Private::new(BASIC);
        fs::create_dir_all(private.file().parent().unwrap()).unwrap();
        fs::write(private.file(), content).unwrap();
        let words = format!("credential file {} cannot be read (line 1)", private.file().display());
        assert_eq!(private.login("secret-password").failure(), words);
        assert_eq!(private.artishim(&["logout", "quay.io"]).failure(), words);
        assert_eq!(fs::read_to_string(private.file()).unwrap(), content);
    }
    let private = Private::new(BASIC);
    let file = private.home.path("pipe").display().to_string();
    symlink("/dev/null", &file).unwrap();
    let line = ["--authfile", &file, "login", "-u", "ann", "--password-stdin", &private.host()];
    let refused = run(private.command(&line), "secret-password").failure();
    assert_eq!(refused, format!("credential file {file} cannot be written: it is no regular file"));
}

#[test]
fn logins_at_once_lose_nothing() {
    let private = Private::new(Auth::Open);
    let keys: Vec<String> = (0..8).map(|number| format!("{}/team-{number}", private.host())).collect();
    let logins = keys.iter().map(|key| {
        let mut command = private.command(&["login", "-u", "ann", "--password-stdin", key]);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"secret-password\n").unwrap();
        child
    });
    let logins: Vec<_> = logins.collect();
    logins.into_iter().for_each(|login| drop(outcome(login.wait_with_output().unwrap()).success()));
    let content = private.content();
    let mut found: Vec<&String> = content["auths"].as_object().unwrap().keys().collect();
    found.sort();
    assert_eq!(found, keys.iter().collect::<Vec<_>>());
}

#[test]
fn file_is_the_one_that_is_named() {
    let private = Private::new(BASIC);
    let named = private.home.path("new/named.json");
    let line = ["login", "--authfile", named.to_str().unwrap(), "-u", "ann", "-p", "secret-password", "-v"];
    let said = private.artishim(&[&line[..], &[&private.host()]].concat()).success();
    assert_eq!(said, format!("Used: {}\nLogin Succeeded!\n", named.display()));
    let variable = private.home.path("variable.json");
    let mut command = private.command(&["login", "-u", "ann", "-p", "secret-password", &private.host()]);
    command.env("REGISTRY_AUTH_FILE", &variable);
    run(command, "").success();
    assert_eq!(fs::read(named).unwrap(), fs::read(variable).unwrap());
    assert!(!private.file().exists());
}

#[test]
fn namespace_has_credentials_of_its_own() {
    let private = Private::new(BASIC);
    let key = format!("{}/acme", private.host());
    run(private.command(&["login", "-u", "ann", "--password-stdin", &key]), "secret-password").success();
    assert_eq!(private.content(), json!({"auths": {&key: {"auth": ENCODED}}}));
    private.artishim(&["pull", "--quiet", &private.reference()]).success();
    private.artishim(&["logout", &private.host()]).failure();
    private.artishim(&["logout", &key]).success();
}

#[test]
fn helper_that_the_file_names_gets_the_secret_by_stdin_and_nothing_is_in_the_file() {
    for is_store in [false, true] {
        let private = Private::new(BASIC).with_helper("test");
        let host = private.host();
        let settings =
            if is_store { json!({"credsStore": "test"}) } else { json!({"credHelpers": {host.clone(): "test"}}) };
        let mut before = settings.clone();
        let legacy = format!("https://{host}/v1/");
        before["auths"] = json!({host.clone(): {"auth": "YW5uOm9sZA=="}, legacy: {"auth": "YW5uOm9sZA=="}});
        private.write(&before);
        let line = ["login", "-v", "-u", "ann", "--password-stdin", &host];
        let said = run(private.command(&line), "secret-password").success();
        assert_eq!(said, "Used: docker-credential-test\nLogin Succeeded!\n");
        let kept: Value = serde_json::from_str(&private.helper("kept").unwrap()).unwrap();
        assert_eq!(kept, json!({"ServerURL": host, "Username": "ann", "Secret": "secret-password"}));
        let file = fs::read_to_string(private.file()).unwrap();
        assert!(!file.contains(ENCODED) && !file.contains("YW5uOm9sZA=="), "an old password is found first: {file}");
        private.artishim(&["pull", "--quiet", &private.reference()]).success();
        private.artishim(&["logout", &host]).success();
        assert_eq!((private.helper("kept"), private.helper("erased")), (None, Some(host.clone())));
        let mut after = settings;
        after["auths"] = json!({});
        assert_eq!(private.content(), after);
        let arguments = private.helper("arguments").unwrap();
        assert!(arguments.contains("store\n") && !arguments.contains("secret-password"), "{arguments}");
        let words =
            format!("docker-credential-test keeps credentials of whole registries, and not those of {host}/acme");
        let part = ["login", "-u", "ann", "-p", "secret-password", &format!("{host}/acme")];
        assert_eq!(private.artishim(&part).failure(), words);
    }
}

/// In place of what a helper says.
const HIDDEN: &str = "it fails, and its words may hold a secret";

#[test]
fn one_helper_that_fails_keeps_nothing_else_from_being_forgotten() {
    let private = Private::new(BASIC);
    let others = json!({"r.io": {"auth": ENCODED}, "x.io": {}});
    private.write(&json!({"auths": others, "credHelpers": {"q.io": "absent", "x.io": ""}}));
    let said = private.artishim(&["logout", "--all"]).failure();
    assert!(said.contains("docker-credential-absent") && !said.contains("x.io"), "{said}");
    assert_eq!(private.content()["auths"], json!({}));
}

#[test]
fn helper_that_fails_is_named_without_the_secret_it_repeats() {
    let private = Private::new(BASIC).with_helper("test");
    fs::write(private.home.path("bin/docker-credential-test"), "#!/bin/sh\n/bin/cat\nexit 1\n").unwrap();
    private.write(&json!({"credsStore": "test"}));
    let words = format!("docker-credential-test keeps no credentials for {}: {HIDDEN}", private.host());
    assert_eq!(private.login("secret-password").failure(), words);
    private.write(&json!({"credsStore": "absent"}));
    let words = format!("docker-credential-absent keeps no credentials for {}: it cannot be run", private.host());
    assert_eq!(private.login("secret-password").failure(), words);
}

#[test]
fn helpers_of_registries_conf_are_asked_in_their_order() {
    let private = Private::new(BASIC).with_helper("test");
    let (conf, reference) = (private.home.path("registries.conf"), private.reference());
    let with = |helpers: &[&str], line: &[&str], stdin: &str| {
        fs::write(&conf, format!("credential-helpers = {helpers:?}\n")).unwrap();
        let mut command = private.command(line);
        command.env("CONTAINERS_REGISTRIES_CONF", &conf);
        run(command, stdin)
    };
    let host = private.host();
    let login = ["login", "-u", "ann", "--password-stdin", &host];
    let pull = ["pull", "--quiet", "--pull", "always", &reference];
    let (first, last) = (["test", "containers-auth.json"], ["containers-auth.json", "test"]);
    with(&first, &login, "secret-password").success();
    assert!(!private.file().exists());
    with(&first, &pull, "").success();
    with(&last, &pull, "").success();
    with(&["containers-auth.json"], &pull, "").failure();
    private.write(&json!({"auths": {private.host(): {"auth": "YW5uOm9sZA=="}}}));
    with(&last, &pull, "").failure();
    with(&first, &pull, "").success();
    with(&["absent", "test"], &pull, "").success();
    let broken = with(&["absent"], &pull, "").failure();
    assert!(broken.contains("docker-credential-absent gives no credentials"), "{broken}");
    with(&first, &["logout", &host], "").success();
    assert_eq!((private.helper("kept"), private.content()), (None, json!({"auths": {}})));
    with(&first, &login, "secret-password").success();
    with(&first, &["logout", "--all"], "").success();
    assert_eq!(private.helper("kept"), None);
}

#[test]
fn credentials_that_docker_keeps_are_told_of() {
    let private = Private::new(BASIC);
    private.login("secret-password").success();
    let docker = private.home.path(".docker/config.json");
    fs::create_dir_all(docker.parent().unwrap()).unwrap();
    fs::copy(private.file(), &docker).unwrap();
    let out = private.artishim(&["logout", &private.host()]);
    let note = format!("Note: {} has credentials for {}, too, and they are used\n", docker.display(), private.host());
    assert_eq!((out.status, out.stderr.as_str()), (0, note.as_str()));
    let words = format!("not logged into {}; {} has credentials for it", private.host(), docker.display());
    assert_eq!(private.artishim(&["logout", &private.host()]).failure(), words);
    assert!(fs::read_to_string(docker).unwrap().contains(ENCODED));
}

#[test]
fn what_cannot_be_meant_is_refused_in_one_line() {
    let private = Private::new(BASIC);
    let expected = "expected HOST[:PORT][/NAMESPACE[/REPOSITORY]]";
    let host = private.host();
    let cases: [(&[&str], &str); 9] = [
        (&["login", "quay.io/acme/m:1"], &format!("quay.io/acme/m:1 has a tag: {expected}")),
        (&["login", "https://me:hidden@quay.io"], &format!("https://quay.io has a scheme: {expected}")),
        (&["logout", "acme"], &format!("acme names no registry: {expected}")),
        (&["login", &host], "no terminal to ask for the user name on: give it with --username"),
        (&["login", "-u", "ann", &host], "no terminal to ask for the password on: give it with --password-stdin"),
        (&["login", "-u", "a:b", "-p", "hidden", &host], "a user name is not empty and has no colon"),
        (&["login", "-u", "ann", "--password-stdin", &host], "the password is empty"),
        (&["--creds", "me:hidden", "login", &host], "--creds is not for login: use --username and --password-stdin"),
        (&["logout"], "the following required arguments were not provided: <REGISTRY>"),
    ];
    for (line, words) in cases {
        assert_eq!(private.artishim(line).failure(), words, "{line:?}");
    }
    let both = private.artishim(&["login", "-u", "ann", "-p", "hidden", "--password-stdin", &host]).failure();
    assert!(both.contains("cannot be used with") && !both.contains("hidden"), "{both}");
    assert!(private.artishim(&["login", "--password-stdin", &host]).failure().contains("--username"));
    assert!(private.registry.requests().is_empty(), "somebody was asked");
}

#[test]
fn credentials_come_by_a_line_of_stdin_or_by_a_variable() {
    let private = Private::new(BASIC);
    let reference = private.reference();
    let pull = ["pull", "--quiet", "--pull", "always", &reference];
    let by_stdin = [&["--creds", "-"], &pull[..]].concat();
    run(private.command(&by_stdin), "ann:secret-password\nrest").success();
    assert!(run(private.command(&by_stdin), "ann").failure().starts_with("--creds - has no password: expected USER"));
    let by_variable = |value: &str| {
        let mut command = private.command(&pull);
        command.env("ARTISHIM_CREDS", value);
        run(command, "")
    };
    by_variable("ann:secret-password").success();
    let wrong = by_variable("hidden").failure();
    assert!(wrong.starts_with("ARTISHIM_CREDS has no password") && !wrong.contains("hidden"), "{wrong}");
    let none = private.artishim(&[&["--creds", "hidden"], &pull[..]].concat()).failure();
    let ways = ["--creds -", "ARTISHIM_CREDS", "artishim login"];
    assert!(ways.iter().all(|way| none.contains(way)) && !none.contains("hidden"), "{none}");
}

/// A podman that has an artifact and notes how it was called.
const PODMAN: &str = r#"#!/bin/sh
echo "$@" >>"$HELPER/arguments"
case "$*" in
*version*) echo '{"Client":{"Version":"5.8.0"},"Server":{"Version":"5.8.0"}}' ;;
system*) echo '[]' ;;
info*) echo '{"host":{"hostname":"h","security":{"rootless":false},"remoteSocket":{}},"store":{"graphRoot":"/nowhere"}}' ;;
*"artifact ls"*) printf 'quay.io/acme/m\t1\tsha256:%064d\t2026-01-01T00:00:00Z\t10\n' 1 ;;
*"artifact push"*) for word; do case $word in --authfile=*) cat "${word#*=}" >"$HELPER/seen" ;; esac; done; exit 3 ;;
esac
"#;

#[test]
fn podman_that_pushes_gets_the_password_in_a_file_that_goes() {
    let private = Private::new(BASIC).with_helper("test");
    let podman = private.home.path("bin/podman");
    fs::write(&podman, PODMAN).unwrap();
    fs::set_permissions(&podman, fs::Permissions::from_mode(0o755)).unwrap();
    let line = ["--engine", podman.to_str().unwrap(), "--creds", "ann:secret-password", "push", "quay.io/acme/m:1"];
    let pushed = private.artishim(&line);
    assert_eq!((pushed.status, pushed.stderr.as_str()), (3, ""), "{pushed:?}");
    let seen: Value = serde_json::from_str(&private.helper("seen").unwrap()).unwrap();
    assert_eq!(seen, json!({"auths": {"quay.io": {"auth": ENCODED}}}));
    let arguments = private.helper("arguments").unwrap();
    assert!(arguments.contains("artifact push") && !arguments.contains("secret-password"), "{arguments}");
    let file = arguments.split_once("--authfile=").unwrap().1.split_whitespace().next().unwrap();
    assert!(!Path::new(file).exists(), "{file} stays");
}

/// A login with both ends of a terminal: ours, and that of the person.
fn at_terminal(private: &Private, arguments: &[&str]) -> (Child, fs::File) {
    let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&person).unwrap();
    unlockpt(&person).unwrap();
    let name = ptsname(&person, Vec::new()).unwrap().into_string().unwrap();
    let terminal = || fs::File::options().read(true).write(true).open(&name).unwrap();
    let mut command = private.command(arguments);
    command.stdin(terminal()).stderr(terminal());
    (command.spawn().unwrap(), person.into())
}

/// What is on the terminal until `end` is.
fn shown_until(terminal: &mut fs::File, end: &str) -> String {
    let mut shown = String::new();
    let mut byte = [0];
    while !shown.ends_with(end) {
        assert_eq!(terminal.read(&mut byte).unwrap(), 1, "{shown}");
        shown.push(byte[0].into());
    }
    shown
}

#[test]
fn person_at_a_terminal_is_asked_and_the_password_is_not_shown() {
    let private = Private::new(BASIC);
    let (login, mut terminal) = at_terminal(&private, &["login", &private.host()]);
    shown_until(&mut terminal, "Username: ");
    terminal.write_all(b"ann\n").unwrap();
    shown_until(&mut terminal, "Password: ");
    terminal.write_all(b"secret-password\n").unwrap();
    assert_eq!(shown_until(&mut terminal, "\n"), "\r\n");
    assert_eq!(outcome(login.wait_with_output().unwrap()).stdout, "Login Succeeded!\n");
    private.write(&json!({"auths": {private.host(): {"auth": "YW5uOm9sZA=="}}}));
    let (login, mut terminal) = at_terminal(&private, &["login", &private.host()]);
    let shown = shown_until(&mut terminal, "Username (ann): ");
    assert!(shown.contains("Existing credentials are invalid"), "{shown}");
    terminal.write_all(b"\n").unwrap();
    shown_until(&mut terminal, "Password: ");
    terminal.write_all(b"secret-password\n").unwrap();
    assert_eq!(outcome(login.wait_with_output().unwrap()).stdout, "Login Succeeded!\n");
    assert_eq!(private.content()["auths"][private.host()]["auth"], ENCODED);
}

#[test]
fn terminal_shows_again_what_is_typed_after_an_interrupt() {
    let private = Private::new(BASIC);
    let (login, mut terminal) = at_terminal(&private, &["login", "-u", "ann", &private.host()]);
    shown_until(&mut terminal, "Password: ");
    let shows = |terminal: &fs::File| tcgetattr(terminal).unwrap().local_modes.contains(LocalModes::ECHO);
    assert!(!shows(&terminal));
    let process = rustix::process::Pid::from_child(&login);
    rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    assert_eq!(outcome(login.wait_with_output().unwrap()).status, 130);
    assert!(shows(&terminal));
    assert!(!private.file().exists());
}

/// All that a registry was shown, and what it gave us to show.
fn secrets(registry: &Registry) -> Vec<String> {
    let shown = registry.requests().into_iter().filter_map(|request| request.authorization);
    let shown = shown.filter_map(|value| value.split_once(' ').map(|(_, secret)| secret.to_owned()));
    let signed = registry.requests().into_iter().filter_map(|request| {
        request.path.split_once("signature=").map(|(_, value)| value.to_owned()).filter(|_| request.redirected)
    });
    let mut secrets: Vec<String> = shown.chain(signed).collect();
    secrets.extend([String::from("secret-password"), String::from("guessed-password")]);
    secrets.sort();
    secrets.dedup();
    secrets
}

#[test]
fn no_log_and_no_error_shows_a_secret() {
    for auth in [BASIC, TOKEN] {
        let private = Private::new(auth).with_helper("test");
        private.registry.redirect_blobs();
        let reference = private.reference();
        let said = |line: &[&str], stdin: &str| {
            let said = run(private.command(&[&["--log-level", "trace"], line].concat()), stdin);
            assert!(said.stderr.contains("DEBUG") && said.stderr.contains("TRACE"), "{said:?}");
            format!("{}{}", said.stdout, said.stderr)
        };
        let host = private.host();
        let login = ["login", "-v", "-u", "ann", "--password-stdin", &host];
        let pull = ["pull", "--pull", "always", &reference];
        let mut all = said(&login, "guessed-password");
        all += &said(&login, "secret-password");
        all += &said(&["login", &host], "");
        all += &said(&pull, "");
        all += &said(&[&["--creds", "-"], &pull[..]].concat(), "ann:secret-password");
        all += &said(&[&["--creds", "ann:guessed-password"], &pull[..]].concat(), "");
        private.write(&json!({"credHelpers": {host.clone(): "test"}}));
        all += &said(&login, "secret-password");
        all += &said(&pull, "");
        private.registry.redirect_blobs_until(Expiry { uses: 0, ..Expiry::NEVER });
        all += &said(&[&["--retry", "0"], &pull[..]].concat(), "");
        let secrets = secrets(&private.registry);
        assert!(secrets.iter().any(|secret| secret.starts_with("secret-0")), "nothing was signed: {secrets:?}");
        assert!(secrets.len() > 4, "{secrets:?}");
        for secret in secrets {
            assert!(!all.contains(&secret), "{secret} in {all}");
        }
    }
}
