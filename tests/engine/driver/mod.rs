//! The volume driver under real engines. Each test has the daemons for itself: an engine that knows a driver asks it for
//! every list of volumes, and waits long where nobody answers.

mod faults;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::artifacts;
use crate::doors::Links;
use crate::program::Outcome;
use crate::scenarios::{model, served_model};
use crate::testbed::{Engine, IMAGE, STATE, outcome, own_daemons, registry};

const MODEL: &[u8] = b"GGUF a tiny model\n";

/// `artishim serve` for one engine, which forgets it in the end.
struct Driver<'a> {
    engine: &'a Engine,
    /// The program that starts it, with its arguments.
    prefix: Vec<String>,
    process: Option<Child>,
}

impl<'a> Driver<'a> {
    fn new(engine: &'a Engine) -> Self {
        Self::started_by(engine, Vec::new())
    }

    fn started_by(engine: &'a Engine, prefix: Vec<String>) -> Self {
        let mut driver = Self { engine, prefix, process: None };
        driver.start(&[]);
        driver
    }

    fn socket(&self) -> PathBuf {
        Path::new(STATE).join("engines").join(self.engine.name).join("plugins/artishim.sock")
    }

    fn start(&mut self, options: &[&str]) {
        let socket = self.socket();
        let line = [&["serve", "--socket", socket.to_str().unwrap()], options].concat();
        self.process = Some(started_by(&self.prefix, self.engine.command(&line)).spawn().unwrap());
        wait_until(|| std::os::unix::net::UnixStream::connect(&socket).is_ok());
    }

    fn stop(&mut self, signal: rustix::process::Signal) -> Outcome {
        let process = self.process.take().unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_child(&process), signal).unwrap();
        outcome(process)
    }

    fn create(&self, name: &str, reference: &str) -> Outcome {
        self.engine.own(&["volume", "create", "--driver", "artishim", "--opt", &format!("ref={reference}"), name])
    }

    fn run(&self, volume: &str, script: &str) -> Outcome {
        self.engine.own(&["run", "--rm", "--volume", &format!("{volume}:/m"), IMAGE, "sh", "-c", script])
    }

    /// What is shown of volumes, as the kernel has it.
    fn shown(&self) -> usize {
        let store = self.engine.store.path().display().to_string();
        fs::read_to_string("/proc/mounts").unwrap().lines().filter(|line| line.contains(&store)).count()
    }

    fn restart_engine(&self) {
        self.engine.testbed(&["stop"]);
        self.engine.testbed(&["start"]);
    }
}

impl Drop for Driver<'_> {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.stop(rustix::process::Signal::TERM);
        }
        if self.engine.is_docker() && !std::thread::panicking() {
            self.restart_engine();
        }
    }
}

/// A command of the engine's user as the arguments of another.
fn started_by(prefix: &[String], command: Command) -> Command {
    let [program, arguments @ ..] = prefix else { return command };
    let mut outer = Command::new(program);
    outer.args(arguments).arg(command.get_program()).args(command.get_args()).env_clear();
    outer.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    outer.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    outer
}

#[track_caller]
fn wait_until(mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < Duration::from_secs(30), "it does not come about");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What starts a driver where a user's Docker sees its mounts, as the unit in `contrib/systemd/user` does.
fn dockers_namespaces(engine: &Engine) -> Vec<String> {
    let Some(id) = engine.user() else { return Vec::new() };
    let world = fs::read_to_string(Path::new(STATE).join("engines").join(engine.name).join("world.pid")).unwrap();
    let world = world.split(' ').next().unwrap();
    let child = format!("/proc/{world}/root/run/user/rootless/dockerd-rootless/child_pid");
    let child = fs::read_to_string(child).unwrap();
    let line = format!(
        "setpriv --reuid {id} --regid {id} --clear-groups nsenter --user --mount --preserve-credentials --target {child}"
    );
    line.split_whitespace().map(str::to_owned).collect()
}

/// A name for this process's test of an engine.
fn name(engine: &Engine, what: &str) -> String {
    format!("driver-{}-{what}-{}", engine.name, std::process::id())
}

fn volumes_show_artifacts(engine: &Engine) {
    let _alone = own_daemons();
    let driver = Driver::started_by(engine, dockers_namespaces(engine));
    let (reference, volume) = (artifacts::modelpack(&registry(), &[("q4/tiny.gguf", MODEL)]), name(engine, "a"));
    driver.create(&volume, &reference).success();
    assert_eq!(driver.run(&volume, "cat /m/q4/tiny.gguf").success().as_bytes(), MODEL);
    let inspected = engine.own(&["volume", "inspect", &volume]).success();
    assert!(inspected.contains("artishim") && inspected.contains(&reference), "{inspected}");
    let attacks = "cd /m; for attack in 'echo x >new' 'echo x >q4/tiny.gguf' 'truncate -s 0 q4/tiny.gguf' \
        'rm -f q4/tiny.gguf' 'chmod 777 q4/tiny.gguf' 'mv q4 q5' 'mount -o remount,rw,bind /m'; \
        do ! eval \"$attack\" 2>/dev/null || echo \"$attack\"; done";
    assert_eq!(driver.run(&volume, attacks).success(), "");
    assert_eq!(driver.run(&volume, "cat /m/q4/tiny.gguf; ls /m").success(), "GGUF a tiny model\nq4\n");
    let named = format!("--opt=ref={reference}");
    let wrong = [
        (named.as_str(), "--opt=size=1", "option size is not known"),
        ("--opt=pull=never", "--opt=size=1", "ref is missing"),
    ];
    for (option, other, expected) in wrong {
        let refused = engine.own(&["volume", "create", "--driver", "artishim", option, other, "refused"]);
        assert!(refused.status != 0 && refused.stderr.contains(expected), "{refused:?}");
    }
    let nix = name(engine, "nix");
    driver.create(&nix, &format!("{}/not/here:1", registry())).success();
    let refused = driver.run(&nix, "true");
    assert!(refused.status != 0 && refused.stderr.contains("not in the registry"), "{refused:?}");
    engine.own(&["volume", "rm", &volume, &nix]).success();
    assert_eq!(driver.shown(), 0);
}

fn containers_outlive_the_driver_and_the_volumes_both(engine: &Engine) {
    let _alone = own_daemons();
    let mut driver = Driver::new(engine);
    let (reference, volume) = (artifacts::modelpack(&registry(), &[("tiny.gguf", MODEL)]), name(engine, "b"));
    driver.create(&volume, &reference).success();
    let (running, bind) = (name(engine, "running"), format!("{volume}:/m"));
    let line = ["run", "--detach", "--init=false", "--name", &running, "--volume", &bind, IMAGE];
    engine.own(&[&line[..], &["sh", "-c", "trap exit TERM; while :; do sleep 0.1; done"]].concat()).success();
    let read = || engine.own(&["exec", &running, "cat", "/m/tiny.gguf"]).success();
    assert_eq!(read().as_bytes(), MODEL);
    driver.stop(rustix::process::Signal::KILL);
    assert_eq!(read().as_bytes(), MODEL);
    driver.start(&[]);
    assert_eq!(read().as_bytes(), MODEL);
    assert_eq!(driver.run(&volume, "cat /m/tiny.gguf").success().as_bytes(), MODEL);
    assert_ne!(engine.own(&["volume", "rm", &volume]).status, 0, "it is in use");
    let copy = engine.store.path().join("copied");
    if engine.is_docker() {
        engine.own(&["cp", &format!("{running}:/m/tiny.gguf"), copy.to_str().unwrap()]).success();
        assert_eq!(fs::read(&copy).unwrap(), MODEL);
    }
    driver.restart_engine();
    engine.own(&["rm", "--force", &running]).success();
    assert_eq!(driver.run(&volume, "cat /m/tiny.gguf").success().as_bytes(), MODEL);
    engine.own(&["volume", "rm", &volume]).success();
    assert_eq!(driver.shown(), 0);
}

fn slow_pull_is_told_and_goes_on(engine: &Engine) {
    let _alone = own_daemons();
    let mut driver = Driver::new(engine);
    let length = 8 << 20;
    let (reference, served) = served_model(length);
    served.limit_rate(1 << 20);
    driver.stop(rustix::process::Signal::TERM);
    // Podman hangs up after 5 s, whatever is said here.
    driver.start(&["--mount-timeout", if engine.is_docker() { "2" } else { "100" }]);
    let volume = name(engine, "slow");
    driver.create(&volume, &reference).success();
    let refused = driver.run(&volume, "true");
    assert!(refused.status != 0 && refused.stderr.contains("pulling, "), "{refused:?}");
    std::thread::sleep(Duration::from_secs(8));
    let sum = artishim::digest::Digest::sha256(&model(length)).to_string();
    let seen = driver.run(&volume, "sha256sum /m/*").success();
    assert!(seen.starts_with(sum.trim_start_matches("sha256:")), "{seen}");
    engine.own(&["volume", "rm", &volume]).success();
}

/// What only Docker has: volumes without a name, Compose's `driver_opts`.
fn docker_has_further_ways(engine: &Engine) {
    let _alone = own_daemons();
    let driver = Driver::new(engine);
    let reference = artifacts::modelpack(&registry(), &[("tiny.gguf", MODEL)]);
    let mount = format!("type=volume,dst=/m,volume-driver=artishim,volume-opt=ref={reference}");
    let seen = engine.own(&["run", "--rm", "--mount", &mount, IMAGE, "cat", "/m/tiny.gguf"]).success();
    assert_eq!((seen.as_bytes(), driver.shown()), (MODEL, 0));
    let (links, file, project) = (Links::new(engine), engine.store.path().join("compose.yml"), name(engine, "project"));
    let yaml = format!(
        "services:\n  app:\n    image: {IMAGE}\n    network_mode: none\n    command: [cat, /models/tiny.gguf]\n    \
        volumes: [\"model:/models\"]\nvolumes:\n  model: {{driver: artishim, driver_opts: {{ref: \"{reference}\"}}}}\n"
    );
    fs::write(&file, yaml).unwrap();
    let options = ["--project-name", &project, "--file", file.to_str().unwrap(), "--ansi", "never"];
    let compose = |words: &[&str]| links.compose(engine, &[&options, words].concat()).success();
    compose(&["up", "--attach", "app", "--abort-on-container-exit"]);
    assert_eq!(compose(&["logs", "--no-log-prefix", "app"]).as_bytes(), MODEL);
    compose(&["down", "--volumes"]);
    assert_eq!(driver.shown(), 0);
}

/// The plugin of `contrib/docker-plugin`, which Docker itself keeps running.
fn managed_plugin_shows_artifacts(engine: &Engine) {
    let _alone = own_daemons();
    let (plugin, volume) = (name(engine, "plugin"), name(engine, "managed"));
    let store = engine.store.path().join("plugin");
    let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/docker-plugin/build");
    let programs = [engine.program(), env!("CARGO_BIN_EXE_artishim").into()];
    let directories = programs.map(|program| program.parent().unwrap().display().to_string()).join(":");
    let mut command = Command::new(build);
    command.env("PATH", format!("{directories}:/usr/bin:/bin")).args(["--enable", "--store"]).arg(&store).arg(&plugin);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    outcome(command.spawn().unwrap()).success();
    let reference = artifacts::modelpack(&registry(), &[("tiny.gguf", MODEL)]);
    engine.own(&["volume", "create", "--driver", &plugin, "--opt", &format!("ref={reference}"), &volume]).success();
    let mount = format!("{volume}:/m");
    let ran = engine.own(&["run", "--rm", "--volume", &mount, IMAGE, "sh", "-c", "cat /m/tiny.gguf; echo >/m/new"]);
    assert!(ran.stdout.as_bytes() == MODEL && ran.stderr.contains("Read-only"), "{ran:?}");
    engine.own(&["volume", "rm", &volume]).success();
    engine.own(&["plugin", "disable", &plugin]).success();
    engine.own(&["plugin", "rm", &plugin]).success();
}

/// Sixteen at once, again and again, and nothing is left.
fn many_cycles_leave_nothing(engine: &Engine) {
    let _alone = own_daemons();
    let mut driver = Driver::new(engine);
    let reference = artifacts::modelpack(&registry(), &[("tiny.gguf", MODEL)]);
    let pid = driver.process.as_ref().unwrap().id();
    let memory = || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let cycles = |rounds: usize| {
        std::thread::scope(|scope| {
            for worker in 0..16 {
                let (driver, reference) = (&driver, &reference);
                scope.spawn(move || {
                    for round in 0..rounds {
                        let volume = name(driver.engine, &format!("{worker}-{round}"));
                        driver.create(&volume, reference).success();
                        let mount = format!("{volume}:/m");
                        let id = driver.engine.own(&["create", "--volume", &mount, IMAGE, "true"]).success();
                        driver.engine.own(&["cp", &format!("{}:/m/tiny.gguf", id.trim()), "-"]).success();
                        driver.engine.own(&["rm", id.trim()]).success();
                        driver.engine.own(&["volume", "rm", &volume]).success();
                    }
                });
            }
        });
    };
    cycles(3);
    let before = memory();
    cycles(10);
    let grown = memory().saturating_sub(before);
    assert!(grown < 10 * 1024, "{before} KiB have grown by {grown}");
    assert_eq!(driver.shown(), 0);
    let store = engine.store.path().join("store");
    let left: Vec<_> =
        fs::read_dir(store.join("volumes/shown")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, Vec::<std::ffi::OsString>::new());
    assert!(driver.stop(rustix::process::Signal::TERM).status == 0 && !driver.socket().exists());
    assert_eq!(fs::read_dir(store.join("leases")).unwrap().count(), 0);
}

on_engines! {
    volumes_on_docker20: volumes_show_artifacts("docker20"),
    volumes_on_docker28: volumes_show_artifacts("docker28"),
    volumes_on_rootless_docker28: volumes_show_artifacts("docker28-rootless"),
    volumes_on_podman4: volumes_show_artifacts("podman4"),
    volumes_on_podman5: volumes_show_artifacts("podman5"),
    restarts_on_docker20: containers_outlive_the_driver_and_the_volumes_both("docker20"),
    restarts_on_docker28: containers_outlive_the_driver_and_the_volumes_both("docker28"),
    restarts_on_rootless_docker28: containers_outlive_the_driver_and_the_volumes_both("docker28-rootless"),
    slow_pull_on_docker28: slow_pull_is_told_and_goes_on("docker28"),
    slow_pull_on_podman4: slow_pull_is_told_and_goes_on("podman4"),
    slow_pull_on_podman5: slow_pull_is_told_and_goes_on("podman5"),
    further_ways_on_docker20: docker_has_further_ways("docker20"),
    further_ways_on_docker28: docker_has_further_ways("docker28"),
    managed_plugin_on_docker20: managed_plugin_shows_artifacts("docker20"),
    managed_plugin_on_docker28: managed_plugin_shows_artifacts("docker28"),
    cycles_on_docker28: many_cycles_leave_nothing("docker28"),
}
