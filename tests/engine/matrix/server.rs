//! Other people's servers, each as a process of its own on a port of its own, for as long as a test needs it.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long a server may take to listen.
const BEGIN: Duration = Duration::from_secs(20);

/// A process that listens; it ends with the test, however that ends.
pub struct Server {
    child: Child,
    pub address: String,
}

impl Server {
    /// Starts what `command` makes for an address, on another port where somebody was there first.
    fn start(log: &Path, command: impl Fn(&str) -> Command) -> Self {
        for _ in 0..5 {
            let address = format!("127.0.0.1:{}", free_port());
            let file = fs::File::create(log).unwrap();
            let mut started = command(&address);
            started.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
            let mut server = Self { child: started.spawn().unwrap(), address };
            if server.listens() {
                return server;
            }
        }
        panic!("{}: {}", log.display(), fs::read_to_string(log).unwrap_or_default());
    }

    fn listens(&mut self) -> bool {
        let start = Instant::now();
        while start.elapsed() < BEGIN {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if TcpStream::connect(&self.address).is_ok() {
                // Perhaps it was another one that listens here, and ours is about to end.
                thread::sleep(Duration::from_millis(50));
                return self.child.try_wait().unwrap().is_none();
            }
            thread::sleep(Duration::from_millis(10));
        }
        false
    }

    /// Debian's docker-registry in `directory`, its blobs in `data` below; `settings` go into its file, `http` into that part.
    pub fn registry(directory: &Path, http: &str, settings: &str) -> Self {
        fs::create_dir_all(directory.join("data")).unwrap();
        let file = directory.join("registry.yml");
        Self::start(&directory.join("registry.log"), |address| {
            let data = directory.join("data");
            let text = format!(
                "version: 0.1\nlog: {{level: warn, accesslog: {{disabled: true}}}}\n\
                 storage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\n\
                 http:\n  addr: {address}\n  secret: artishim\n{http}\n{settings}\n",
                data.display()
            );
            fs::write(&file, text).unwrap();
            program("docker-registry", &["serve", file.to_str().unwrap()])
        })
    }

    /// nginx with one `server` block of these lines, in which `ADDRESS` is where it is to listen.
    pub fn nginx(directory: &Path, server: &str) -> Self {
        fs::create_dir_all(directory).unwrap();
        let (here, file) = (directory.display(), directory.join("nginx.conf"));
        let places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let places: String = places.iter().map(|place| format!("{place}_temp_path {here}/{place};\n")).collect();
        Self::start(&directory.join("nginx.log"), |address| {
            let server = server.replace("ADDRESS", address);
            let text = format!(
                "daemon off;\nmaster_process off;\nuser root;\npid {here}/nginx.pid;\nerror_log stderr;\nevents {{}}\n\
                 http {{\naccess_log off;\nclient_max_body_size 0;\n{places}server {{\n{server}\n}}\n}}\n"
            );
            fs::write(&file, text).unwrap();
            program("nginx", &["-e", "stderr", "-c", file.to_str().unwrap()])
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A program that does not outlive the thread of the test.
fn program(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", name]).args(arguments).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

/// One from below the range that the kernel takes ports for connections from.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let own = u16::try_from(std::process::id() % 900).unwrap() * 10;
        let port = 21_000 + (own + NEXT.fetch_add(1, Ordering::Relaxed)) % 9_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Where a registry keeps the bytes of a blob.
pub fn blob_file(directory: &Path, hex: &str) -> PathBuf {
    let blobs = directory.join("data/docker/registry/v2/blobs/sha256");
    blobs.join(&hex[..2]).join(hex).join("data")
}

/// An authority `ca.pem`, and certificates `server.pem` for 127.0.0.1 and registry.test and `client.pem`, with their keys.
pub fn make_certificates(directory: &Path) {
    const SCRIPT: &str = r#"
        new() { openssl req "$@" -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes; }
        sign() { openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -set_serial $2 -days 2 -extfile $1.ext -out $1.pem; }
        new -x509 -keyout ca.key -subj /CN=authority -days 2 -out ca.pem
        echo subjectAltName=IP:127.0.0.1,DNS:registry.test >server.ext
        echo extendedKeyUsage=clientAuth >client.ext
        new -keyout server.key -subj /CN=server -out server.csr && sign server 1
        new -keyout client.key -subj /CN=client -out client.csr && sign client 2
    "#;
    fs::create_dir_all(directory).unwrap();
    shell(directory, SCRIPT, b"");
}

/// What shell lines print that are given `input`.
pub fn shell(directory: &Path, script: &str, input: &[u8]) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), input).unwrap();
    let mut command = Command::new("sh");
    command.args(["-euc", script]).current_dir(directory).stdin(fs::File::open(file.path()).unwrap());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
