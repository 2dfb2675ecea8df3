//! The volume driver, asked as engines ask it, without any engine.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::registry::{Fault, Registry, What, digest};
use crate::common::{Home, assert_sound, bytes, modelpack};

const MODEL: &[u8] = b"GGUF a tiny model\n";

/// A driver on a store of its own, which ends with the test and takes what it shows with it.
struct Driver {
    home: Home,
    process: Option<Child>,
}

impl Driver {
    fn new() -> Self {
        let mut driver = Self { home: Home::new(), process: None };
        driver.start(&[]);
        driver
    }

    fn socket(&self) -> PathBuf {
        self.home.path("run/driver.sock")
    }

    fn start(&mut self, options: &[&str]) {
        let socket = self.socket();
        let line = [&["serve", "--socket", socket.to_str().unwrap()], options].concat();
        self.process = Some(self.home.spawn(&line));
        wait_until(|| UnixStream::connect(&socket).is_ok());
    }

    fn signal(&mut self, signal: rustix::process::Signal) -> std::process::Output {
        let process = self.process.take().unwrap();
        let pid = rustix::process::Pid::from_child(&process);
        rustix::process::kill_process(pid, signal).unwrap();
        process.wait_with_output().unwrap()
    }

    /// The status and the answer of one request.
    fn ask(&self, verb: &str, body: &Value) -> (u16, Value) {
        self.ask_as("", verb, &body.to_string())
    }

    fn ask_as(&self, host: &str, verb: &str, body: &str) -> (u16, Value) {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        let length = body.len();
        let head =
            format!("POST /{verb} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        // An answer to which the body means nothing may come before it is written.
        let _ = stream.write_all((head + body).as_bytes());
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{verb}: {answer:?}"));
        (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
    }

    #[track_caller]
    fn done(&self, verb: &str, body: &Value) -> Value {
        let (status, answer) = self.ask(verb, body);
        assert_eq!(status, 200, "{verb} {body}: {answer}");
        answer
    }

    #[track_caller]
    fn refused(&self, verb: &str, body: &Value) -> String {
        let (status, answer) = self.ask(verb, body);
        assert_eq!(status, 500, "{verb} {body}: {answer}");
        answer["Err"].as_str().unwrap().to_owned()
    }

    fn create(&self, name: &str, reference: &str) {
        self.done("VolumeDriver.Create", &json!({"Name": name, "Opts": {"ref": reference}}));
    }

    fn mount(&self, name: &str) -> PathBuf {
        let answer = self.done("VolumeDriver.Mount", &json!({"Name": name, "ID": "1"}));
        answer["Mountpoint"].as_str().unwrap().into()
    }

    fn status(&self, name: &str) -> Value {
        self.done("VolumeDriver.Get", &json!({"Name": name}))["Volume"]["Status"].clone()
    }

    fn names(&self) -> Vec<String> {
        let answer = self.done("VolumeDriver.List", &json!({}));
        let volumes = answer["Volumes"].as_array().unwrap();
        volumes.iter().map(|volume| volume["Name"].as_str().unwrap().to_owned()).collect()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if self.process.is_none() {
            self.start(&[]);
        }
        for name in self.names() {
            self.ask("VolumeDriver.Remove", &json!({"Name": name}));
        }
        self.signal(rustix::process::Signal::TERM);
    }
}

#[track_caller]
fn wait_until(mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < Duration::from_secs(20), "it does not come about");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What containers are shown, which nobody can write where this user may mount.
fn read(place: &Path, file: &str) -> Vec<u8> {
    fs::read(place.join(file)).unwrap()
}

#[test]
fn a_volume_shows_its_artifact_until_it_is_removed() {
    let (driver, registry) = (Driver::new(), Registry::start());
    let reference = modelpack(&registry, "m", &[("q4/tiny.gguf", MODEL), ("readme.md", b"text")]);
    assert_eq!(driver.done("Plugin.Activate", &json!({}))["Implements"][0], "VolumeDriver");
    assert_eq!(driver.done("VolumeDriver.Capabilities", &json!({}))["Capabilities"]["Scope"], "local");
    assert!(driver.refused("VolumeDriver.Get", &json!({"Name": "v"})).contains("volume v is not known"));
    driver.create("v", &reference);
    driver.create("other", &reference);
    driver.mount("other");
    let place = driver.mount("v");
    assert_eq!((read(&place, "q4/tiny.gguf").as_slice(), driver.mount("v")), (MODEL, place.clone()));
    let status = driver.status("v");
    assert_eq!((status["state"].as_str(), status["ref"].as_str()), (Some("ready"), Some(reference.as_str())));
    assert!(status["digest"].as_str().is_some_and(|digest| digest.starts_with("sha256:")), "{status}");
    let path = driver.done("VolumeDriver.Path", &json!({"Name": "v"}));
    assert_eq!(path["Mountpoint"].as_str(), place.to_str());
    driver.done("VolumeDriver.Unmount", &json!({"Name": "v", "ID": "1"}));
    assert_eq!(read(&place, "readme.md"), b"text", "engines count in no way to rely on");
    for name in ["v", "v", "other"] {
        driver.done("VolumeDriver.Remove", &json!({"Name": name}));
    }
    assert!(!place.exists() && driver.names().is_empty());
    assert_sound(&driver.home.store());
    assert_eq!(driver.home.artishim(&["ls", "--quiet"]).success(), "", "nothing keeps its bytes from being swept");
}

#[test]
fn volume_that_cannot_be_removed_is_as_it_was() {
    let (driver, registry) = (Driver::new(), Registry::start());
    let reference = modelpack(&registry, "m", &[("tiny.gguf", MODEL)]);
    driver.create("a", &reference);
    let place = driver.mount("a");
    let record = driver.home.path("store/volumes/a.json");
    let kept = fs::read(&record).unwrap();
    fs::remove_file(&record).unwrap();
    fs::create_dir(&record).unwrap();
    assert!(driver.refused("VolumeDriver.Remove", &json!({"Name": "a"})).contains("a.json"));
    fs::remove_dir(&record).unwrap();
    fs::write(&record, kept).unwrap();
    assert_eq!(driver.mount("a"), place);
    assert_eq!(read(&place, "tiny.gguf"), MODEL);
}

#[test]
fn part_of_an_artifact_is_what_the_options_say() {
    let (driver, registry) = (Driver::new(), Registry::start());
    let reference =
        modelpack(&registry, "m", &[("a-Q4.gguf", MODEL), ("a-Q8.gguf", b"GGUF 8"), ("readme.md", b"text")]);
    for (name, options, expected) in [
        ("some", json!({"ref": reference, "include": "*Q4*,*.md"}), &["a-Q4.gguf", "readme.md"][..]),
        ("one", json!({"ref": reference, "include": "*Q8*", "entry-only": "true"}), &["a-Q8.gguf"]),
    ] {
        driver.done("VolumeDriver.Create", &json!({"Name": name, "Opts": options}));
        let place = driver.mount(name);
        let mut files: Vec<String> =
            fs::read_dir(place).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        files.retain(|file| !file.starts_with('.'));
        files.sort();
        assert_eq!(files, expected, "{name}");
    }
}

#[test]
fn what_cannot_be_is_refused_in_words() {
    let (driver, registry) = (Driver::new(), Registry::start());
    let reference = modelpack(&registry, "m", &[("tiny.gguf", MODEL)]);
    driver.create("v", &reference);
    let cases = [
        (json!({"Name": "a", "Opts": null}), "option ref is missing"),
        (json!({"Name": "a", "Opts": {"ref": reference, "size": "1"}}), "option size is not known"),
        (json!({"Name": "a", "Opts": {"ref": reference, "tls-verify": "maybe"}}), "expected true or false"),
        (json!({"Name": "../a", "Opts": {"ref": reference}}), "\"../a\" is no name"),
        (json!({"Name": "", "Opts": {"ref": reference}}), "\"\" is no name"),
        (json!({"Name": "v", "Opts": {"ref": reference, "pull": "always"}}), "volume v is there already"),
        (json!({"Name": "a", "Opts": {"ref": "127.0.0.1:1/none/here:1", "pull": "never"}}), "none/here:1"),
    ];
    for (body, expected) in cases {
        let told = driver.refused("VolumeDriver.Create", &body);
        assert!(told.contains(expected), "{body}: {told}");
    }
    driver.create("v", &reference);
    assert_eq!(driver.names(), ["v"]);
    let (status, told) = driver.ask_as("plugin", "VolumeDriver.Create", "{");
    assert!(status == 500 && told["Err"].as_str().unwrap().contains("not understood"), "{told}");
    let nix = reference.replace("/m:", "/nix:");
    driver.create("nix", &nix);
    let told = driver.refused("VolumeDriver.Mount", &json!({"Name": "nix"}));
    assert!(told.contains("/nix:") && told.contains("not in the registry"), "{told}");
    assert_eq!(driver.status("nix")["state"], "failed");
}

#[test]
fn mount_waits_no_longer_than_engines_do_and_the_pull_goes_on() {
    let (mut driver, registry) = (Driver::new(), Registry::start());
    let model = bytes(7, 3 << 20);
    let reference = modelpack(&registry, "m", &[("slow.gguf", &model)]);
    registry.limit_rate(512 << 10);
    driver.signal(rustix::process::Signal::TERM);
    driver.start(&["--mount-timeout", "1"]);
    let began = Instant::now();
    driver.create("v", &reference);
    assert!(began.elapsed() < Duration::from_secs(1), "it is answered at once");
    let told = driver.refused("VolumeDriver.Mount", &json!({"Name": "v"}));
    assert!(
        began.elapsed() < Duration::from_secs(3) && told.contains("pulling, ") && told.contains("try again"),
        "{told}"
    );
    let is_on_its_way = |status: &Value| status["state"] == "pulling" && status["bytes"].as_u64() > Some(0);
    wait_until(|| is_on_its_way(&driver.status("v")));
    wait_until(|| driver.status("v")["state"] == "ready");
    assert!(read(&driver.mount("v"), "slow.gguf") == model);
}

#[test]
fn volumes_and_their_pulls_outlive_a_kill() {
    let (mut driver, registry) = (Driver::new(), Registry::start());
    let model = bytes(8, 3 << 20);
    let (tiny, slow) =
        (modelpack(&registry, "tiny", &[("tiny.gguf", MODEL)]), modelpack(&registry, "slow", &[("slow.gguf", &model)]));
    driver.create("tiny", &tiny);
    let place = driver.mount("tiny");
    registry.limit_rate(1 << 20);
    driver.create("slow", &slow);
    wait_until(|| driver.status("slow")["bytes"].as_u64() > Some(0));
    driver.signal(rustix::process::Signal::KILL);
    assert!(driver.socket().exists(), "nobody took it away");
    assert_eq!(read(&place, "tiny.gguf"), MODEL, "running containers go on");
    driver.start(&[]);
    wait_until(|| driver.status("slow")["state"] == "ready");
    assert_eq!(driver.mount("tiny"), place);
    assert!(read(&driver.mount("slow"), "slow.gguf") == model);
    let output = driver.signal(rustix::process::Signal::TERM);
    assert!(output.status.success() && !driver.socket().exists(), "{output:?}");
}

#[test]
fn stop_in_mid_pull_is_prompt_and_keeps_what_arrived() {
    let (mut driver, registry) = (Driver::new(), Registry::start());
    let reference = modelpack(&registry, "m", &[("slow.gguf", &bytes(9, 4 << 20))]);
    registry.limit_rate(1 << 20);
    driver.create("v", &reference);
    wait_until(|| driver.status("v")["bytes"].as_u64() > Some(0));
    // A client that never ends its request.
    let mut half = UnixStream::connect(driver.socket()).unwrap();
    half.write_all(b"POST /VolumeDriver.List HTTP/1.1\r\nHos").unwrap();
    let began = Instant::now();
    let output = driver.signal(rustix::process::Signal::TERM);
    assert!(began.elapsed() < Duration::from_secs(4) && output.status.success(), "{output:?}");
    let records = fs::read_dir(driver.home.store().join("ingest")).unwrap();
    assert!(records.count() > 0, "what arrived is there for the next time");
}

#[test]
fn tag_is_resolved_once() {
    let (mut driver, registry) = (Driver::new(), Registry::start());
    let reference = modelpack(&registry, "m", &[("tiny.gguf", MODEL)]);
    driver.create("old", &reference);
    let old = driver.mount("old");
    assert_eq!(modelpack(&registry, "m", &[("tiny.gguf", b"GGUF another")]), reference);
    driver.done("VolumeDriver.Create", &json!({"Name": "new", "Opts": {"ref": reference, "pull": "always"}}));
    assert_eq!(read(&driver.mount("new"), "tiny.gguf"), b"GGUF another");
    driver.signal(rustix::process::Signal::TERM);
    driver.start(&[]);
    assert_eq!((driver.mount("old"), read(&old, "tiny.gguf").as_slice()), (old.clone(), MODEL));
    wait_until(|| driver.status("old")["moved"] == driver.status("new")["digest"]);
    assert!(driver.status("new")["moved"].is_null());
    driver.done("VolumeDriver.Remove", &json!({"Name": "new"}));
    sweep(&driver.home, &registry);
    assert_eq!(read(&old, "tiny.gguf"), MODEL, "a sweep spares what volumes show");
    driver.done("VolumeDriver.Remove", &json!({"Name": "old"}));
    sweep(&driver.home, &registry);
    assert_eq!(fs::read_dir(driver.home.store().join("blobs/sha256")).unwrap().count(), 0, "and nothing else");
}

#[test]
fn policy_is_asked_of_the_name_that_a_volume_has_and_not_of_its_digest() {
    let (mut driver, registry) = (Driver { home: Home::new(), process: None }, Registry::start());
    let reference = modelpack(&registry, "m", &[("tiny.gguf", MODEL)]);
    let policy = json!({
        "default": [{"type": "reject"}],
        "transports": {"docker": {&reference: [{"type": "insecureAcceptAnything"}]}},
    });
    fs::create_dir_all(driver.home.path(".config/containers")).unwrap();
    fs::write(driver.home.path(".config/containers/policy.json"), policy.to_string()).unwrap();
    driver.start(&[]);
    // The digest is known, and the model does not come.
    registry.fault(Fault::always(digest(MODEL), What::status(404)));
    driver.create("v", &reference);
    driver.refused("VolumeDriver.Mount", &json!({"Name": "v", "ID": "1"}));
    assert!(driver.status("v")["digest"].is_string(), "{}", driver.status("v"));
    registry.clear_faults();
    assert_eq!(read(&driver.mount("v"), "tiny.gguf"), MODEL);
}

/// Pulls something and removes it, which sweeps the store.
fn sweep(home: &Home, registry: &Registry) {
    let other = modelpack(registry, "other", &[("other.gguf", b"GGUF other")]);
    home.artishim(&["pull", "--quiet", &other]).success();
    home.artishim(&["rm", &other]).success();
}

#[test]
fn store_may_be_behind_a_link_and_a_volume_be_called_as_a_file() {
    let (mut driver, registry) = (Driver { home: Home::new(), process: None }, Registry::start());
    fs::create_dir(driver.home.path("disk")).unwrap();
    std::os::unix::fs::symlink(driver.home.path("disk"), driver.home.store()).unwrap();
    driver.start(&[]);
    let reference = modelpack(&registry, "m", &[("tiny.gguf", MODEL)]);
    for name in ["model.json", "model", "shown"] {
        driver.create(name, &reference);
        assert_eq!(driver.mount(name), driver.mount(name));
        assert_eq!(read(&driver.mount(name), "tiny.gguf"), MODEL, "{name}");
    }
    driver.signal(rustix::process::Signal::TERM);
    driver.start(&[]);
    assert_eq!(driver.names(), ["model", "model.json", "shown"]);
    for name in ["model.json", "model", "shown"] {
        let place = driver.mount(name);
        driver.done("VolumeDriver.Remove", &json!({"Name": name}));
        assert!(!place.exists(), "{name}");
    }
}

#[test]
fn five_hundred_at_once_are_answered() {
    let (driver, registry) = (Driver::new(), Registry::start());
    let reference = modelpack(&registry, "m", &[("tiny.gguf", MODEL)]);
    driver.create("shared", &reference);
    driver.mount("shared");
    let idle: Vec<UnixStream> = (0..50).map(|_| UnixStream::connect(driver.socket()).unwrap()).collect();
    std::thread::scope(|scope| {
        for worker in 0..50 {
            let (driver, reference) = (&driver, &reference);
            scope.spawn(move || {
                for round in 0..10 {
                    let name = format!("v-{worker}-{}", round % 2);
                    match round % 5 {
                        0 => driver.create(&name, reference),
                        1 => assert_eq!(read(&driver.mount("shared"), "tiny.gguf"), MODEL),
                        2 => drop(driver.names()),
                        3 => drop(driver.ask("VolumeDriver.Mount", &json!({"Name": name}))),
                        _ => drop(driver.done("VolumeDriver.Remove", &json!({"Name": name}))),
                    }
                }
            });
        }
    });
    drop(idle);
    assert_eq!(read(&driver.mount("shared"), "tiny.gguf"), MODEL);
}

#[test]
fn second_driver_on_a_socket_or_a_store_is_refused() {
    let driver = Driver::new();
    let socket = driver.socket();
    let told = driver.home.artishim(&["serve", "--socket", socket.to_str().unwrap()]).failure();
    assert!(told.contains("is served already"), "{told}");
    let other = driver.home.path("other.sock");
    let told = driver.home.artishim(&["serve", "--socket", other.to_str().unwrap()]).failure();
    assert!(told.contains("are served by another process") && !other.exists(), "{told}");
    assert_eq!(driver.names(), Vec::<String>::new());
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&socket).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn socket_that_systemd_opened_is_served_and_stays() {
    let mut driver = Driver { home: Home::new(), process: None };
    let socket = driver.socket();
    fs::create_dir_all(socket.parent().unwrap()).unwrap();
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let plain = driver.home.command(&["serve"]);
    let mut command = std::process::Command::new("/bin/sh");
    command.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.args(["-c", "exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" serve"]);
    command.arg(env!("CARGO_BIN_EXE_artishim")).stderr(std::process::Stdio::piped());
    command.stdin(std::os::fd::OwnedFd::from(listener.try_clone().unwrap()));
    driver.process = Some(command.spawn().unwrap());
    assert_eq!(driver.names(), Vec::<String>::new());
    let output = driver.signal(rustix::process::Signal::TERM);
    assert!(output.status.success() && socket.exists(), "{output:?}");
    fs::remove_file(socket).unwrap();
}

#[test]
fn units_name_what_the_program_takes() {
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/systemd");
    let unit = |file: &str| fs::read_to_string(units.join(file)).unwrap();
    let help = Home::new().artishim(&["serve", "--help"]).success();
    assert!(unit("artishim.socket").contains("ListenStream=/run/docker/plugins/artishim.sock\n"));
    assert!(help.contains("/run/docker/plugins/artishim.sock"), "{help}");
    let starts = |file: &str| unit(file).lines().find(|line| line.starts_with("ExecStart=")).unwrap().to_owned();
    assert_eq!(starts("artishim.service"), "ExecStart=/usr/local/bin/artishim serve");
    let user = starts("user/artishim.service");
    assert!(user.ends_with("/artishim --store %h/.local/share/artishim serve'"), "{user}");
}

#[test]
fn operators_are_told_in_metrics_and_in_a_log_of_json() {
    let (mut driver, registry) = (Driver::new(), Registry::start());
    let reference = modelpack(&registry, "m", &[("tiny.gguf", MODEL)]);
    driver.signal(rustix::process::Signal::TERM);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    driver.start(&["--metrics", &port.to_string(), "--log-format", "json", "--log-level", "info"]);
    driver.create("v", &reference);
    driver.mount("v");
    let mut stream = std::net::TcpStream::connect(port).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut told = String::new();
    stream.read_to_string(&mut told).unwrap();
    let received = format!("artishim_received_bytes_total {}", MODEL.len());
    for line in ["artishim_pulls_total{result=\"success\"} 1", "artishim_volumes 1", &received] {
        assert!(told.lines().any(|told| told == line), "{line} in {told}");
    }
    driver.done("VolumeDriver.Remove", &json!({"Name": "v"}));
    let output = driver.signal(rustix::process::Signal::TERM);
    let log = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(lines.iter().any(|line| line["fields"]["volume"] == "v" && line["fields"]["state"] == "ready"), "{log}");
}

/// As a user without root's rights; what a container does to its copy is undone by the next mount.
#[test]
fn without_the_right_to_mount_a_volume_is_a_copy() {
    const NOBODY: u32 = 65_534;
    let (mut driver, registry) = (Driver { home: Home::new(), process: None }, Registry::start());
    let reference = modelpack(&registry, "m", &[("q4/tiny.gguf", MODEL)]);
    let (home, program) = (driver.home.path(""), driver.home.path("artishim"));
    // This one's directory may be closed to others.
    fs::copy(env!("CARGO_BIN_EXE_artishim"), &program).unwrap();
    let socket = driver.socket();
    let plain = driver.home.command(&["serve", "--socket", socket.to_str().unwrap()]);
    let mut command = std::process::Command::new(&program);
    command.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?)))).args(plain.get_args());
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
        std::os::unix::process::CommandExt::uid(&mut command, NOBODY);
    }
    driver.process = Some(command.stdin(std::process::Stdio::null()).spawn().unwrap());
    wait_until(|| UnixStream::connect(&socket).is_ok());
    driver.create("v", &reference);
    let place = driver.mount("v");
    assert!(place.join(".artishim.json").exists() && read(&place, "q4/tiny.gguf") == MODEL);
    let changes: [&dyn Fn(); 3] = [
        &|| fs::write(place.join("cache"), "written by a container").unwrap(),
        &|| fs::remove_file(place.join("q4/tiny.gguf")).unwrap(),
        &|| {
            fs::remove_file(place.join(".artishim.json")).unwrap();
            let fifo = rustix::fs::FileType::Fifo;
            rustix::fs::mknodat(rustix::fs::CWD, place.join(".artishim.json"), fifo, 0o666.into(), 0).unwrap();
        },
    ];
    for change in changes {
        change();
        assert_eq!(driver.mount("v"), place);
        assert_eq!(read(&place, "q4/tiny.gguf"), MODEL);
        assert!(!place.join("cache").exists());
    }
    fs::write(place.join("cache"), "written by a container").unwrap();
    driver.done("VolumeDriver.Remove", &json!({"Name": "v"}));
    assert!(!place.exists());
    driver.signal(rustix::process::Signal::TERM);
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&home, Some(0), Some(0)).unwrap();
    }
}
