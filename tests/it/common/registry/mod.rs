//! A registry in this process, on loopback, over plain HTTP, which misbehaves as it is told.
//!
//! Plain strings and bytes only: the library's own unit tests and the integration tests both include this folder. What
//! it answers follows docker-registry where that matters: a manifest whose type is not in `Accept` is 404.
#![allow(dead_code, clippy::needless_pass_by_value, reason = "every test program uses another part")]
#![allow(clippy::unwrap_used, reason = "it exists in tests only")]
#![allow(unused_imports, reason = "every test program uses another part")]

mod answer;
mod auth;
mod delivery;
mod fault;
mod port;
mod request;
mod upload;

use std::collections::HashMap;
use std::io::{self, BufReader, Write};
use std::net::{IpAddr, Ipv6Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use sha2::Digest as _;

pub use self::auth::{Auth, Expiry};
pub use self::fault::{Fault, Place, What};
pub use self::request::Request;

use self::answer::{Answer, Object};
use self::auth::Signature;
use self::port::Port;

/// A running registry; its connections end with it.
pub struct Registry {
    shared: Arc<Shared>,
}

/// What a pushed blob is to be called in a manifest.
#[derive(Clone, Debug)]
pub struct Descriptor {
    pub digest: String,
    pub size: u64,
}

impl Descriptor {
    /// The descriptor as a JSON object, without annotations.
    pub fn json(&self, media_type: &str) -> String {
        format!(r#"{{"mediaType":"{media_type}","digest":"{}","size":{}}}"#, self.digest, self.size)
    }
}

/// The `ETag` that blobs have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tags {
    #[default]
    None,
    Strong,
    Weak,
    /// Another one in each answer, as from several servers that each make their own.
    Unsteady,
}

struct Shared {
    registry: Arc<Port>,
    cdn: Arc<Port>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    blobs: HashMap<String, Arc<Vec<u8>>>,
    /// `repository/tag` and `repository/digest` to the bytes.
    manifests: HashMap<String, Arc<Vec<u8>>>,
    faults: Vec<Fault>,
    requests: Vec<Request>,
    auth: Auth,
    /// Uses left of each token.
    tokens: HashMap<String, usize>,
    /// Where blobs are redirected, how long that is good for.
    redirect: Option<Expiry>,
    signatures: Vec<Signature>,
    uploads: upload::Uploads,
    /// Whether it tells what refers to a manifest.
    tells_referrers: bool,
    tags: Tags,
    tags_made: usize,
    /// Answers with a blob's bytes that are being sent now, and the most there were at once.
    open: usize,
    most_open: usize,
    /// Bytes a second of all bodies together, and when the line is free again.
    line_rate: Option<usize>,
    line_free: Option<Instant>,
}

impl Registry {
    pub fn start() -> Self {
        Self::serve(Port::open())
    }

    /// The same at `[::1]`; nothing where this machine has no such address.
    pub fn start_at_ipv6() -> Option<Self> {
        let address = IpAddr::V6(Ipv6Addr::LOCALHOST);
        TcpListener::bind((address, 0)).ok()?;
        Some(Self::serve(Port::open_at(address)))
    }

    fn serve(registry: Port) -> Self {
        let (registry, cdn) = (Arc::new(registry), Arc::new(Port::open()));
        let shared = Arc::new(Shared { registry, cdn, state: Mutex::default() });
        for (port, redirected) in [(&shared.registry, false), (&shared.cdn, true)] {
            let (port, shared) = (Arc::clone(port), Arc::clone(&shared));
            // Clients close connections as they like; a test that cares looks at the requests.
            std::thread::spawn(move || port.run(move |stream| drop(shared.serve(stream, redirected))));
        }
        Self { shared }
    }

    /// `127.0.0.1:PORT`, the registry part of references.
    pub fn host(&self) -> String {
        self.shared.registry.address.to_string()
    }

    pub fn push_blob(&self, bytes: impl Into<Vec<u8>>) -> Descriptor {
        let bytes = bytes.into();
        let descriptor = Descriptor { digest: digest(&bytes), size: bytes.len() as u64 };
        self.shared.state().blobs.insert(descriptor.digest.clone(), Arc::new(bytes));
        descriptor
    }

    /// Gives these bytes for a digest that need not be theirs.
    pub fn push_blob_as(&self, digest: &str, bytes: impl Into<Vec<u8>>) {
        self.shared.state().blobs.insert(digest.to_owned(), Arc::new(bytes.into()));
    }

    /// Returns the manifest's digest.
    pub fn push_manifest(&self, repository: &str, tag: &str, json: impl AsRef<[u8]>) -> String {
        let digest = digest(json.as_ref());
        let bytes = Arc::new(json.as_ref().to_vec());
        for version in [tag, &digest] {
            self.shared.state().manifests.insert(format!("{repository}/{version}"), Arc::clone(&bytes));
        }
        digest
    }

    /// What was pushed.
    pub fn manifest(&self, repository: &str, version: &str) -> Vec<u8> {
        self.shared.state().manifests[&format!("{repository}/{version}")].to_vec()
    }

    pub fn fault(&self, fault: Fault) {
        self.shared.state().faults.push(fault);
    }

    pub fn clear_faults(&self) {
        self.shared.state().faults.clear();
        for port in [&self.shared.registry, &self.shared.cdn] {
            port.reopen();
        }
    }

    pub fn require(&self, auth: Auth) {
        self.shared.state().auth = auth;
    }

    /// From now on blobs are redirected to another port, which refuses requests with `Authorization`.
    pub fn redirect_blobs(&self) {
        self.redirect_blobs_until(Expiry::NEVER);
    }

    /// The same by URLs that expire.
    pub fn redirect_blobs_until(&self, expiry: Expiry) {
        self.shared.state().redirect = Some(expiry);
    }

    /// From now on a blob is only in the repositories that it was sent to.
    pub fn keep_repositories_apart(&self) {
        self.shared.state().uploads.members = Some(std::collections::HashSet::new());
    }

    /// From now on it tells what refers to a manifest, as the distribution-spec has it since 1.1.
    pub fn tell_referrers(&self) {
        self.shared.state().tells_referrers = true;
    }

    /// From now on an upload that breaks off is forgotten.
    pub fn forget_broken_uploads(&self) {
        self.shared.state().uploads.are_forgotten = true;
    }

    /// From now on blobs have such an `ETag`.
    pub fn tag_blobs(&self, tags: Tags) {
        self.shared.state().tags = tags;
    }

    /// From now on all bodies together get so many bytes a second, however many connections there are.
    pub fn limit_rate(&self, bytes_per_second: usize) {
        self.shared.state().line_rate = Some(bytes_per_second);
    }

    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().requests.clone()
    }

    pub fn clear_requests(&self) {
        self.shared.state().requests.clear();
    }

    /// Bytes of bodies sent to requests whose path contains `path`.
    pub fn sent(&self, path: &str) -> u64 {
        let state = self.shared.state();
        state.requests.iter().filter(|request| request.path.contains(path)).map(|request| request.sent).sum()
    }

    /// How many connections were made to the registry, and to where it redirects blobs.
    pub fn connections(&self) -> (usize, usize) {
        (self.shared.registry.accepted(), self.shared.cdn.accepted())
    }

    /// The most connections to the registry that were open at once, those in use and others.
    pub fn most_connections(&self) -> usize {
        self.shared.registry.most_open()
    }

    /// How many blobs, or parts of blobs, are being sent now.
    pub fn open_now(&self) -> usize {
        self.shared.state().open
    }

    /// The most blobs, or parts of blobs, that were sent at once.
    pub fn most_at_once(&self) -> usize {
        self.shared.state().most_open
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.shared.registry.close();
        self.shared.cdn.close();
    }
}

/// `sha256:` and the hex.
pub fn digest(bytes: &[u8]) -> String {
    let hex: String = sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn serve(&self, mut stream: &TcpStream, redirected: bool) -> io::Result<()> {
        let mut reader = BufReader::new(stream);
        while let Some(mut request) = Request::read(&mut reader)? {
            request.redirected = redirected;
            let faults = self.state().take_faults(&request);
            if !self.serve_one(stream, request, &faults).unwrap_or(false) {
                return stream.shutdown(Shutdown::Both);
            }
        }
        // A TLS greeting gets what Go's servers answer to it.
        stream.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n")?;
        stream.shutdown(Shutdown::Both)
    }

    /// Answers one request; false when the connection is to be closed.
    fn serve_one(&self, stream: &TcpStream, mut request: Request, faults: &[What]) -> io::Result<bool> {
        let shut = faults.iter().find_map(|what| if let What::Down(pause) = what { Some(*pause) } else { None });
        let is_torn = self.take_part(&request, faults);
        if is_torn || shut.is_some() || faults.iter().any(|what| matches!(what, What::Close)) {
            request.broken = true;
            let port = if request.redirected { &self.cdn } else { &self.registry };
            self.state().log(request);
            shut.inspect(|pause| port.shut(*pause));
            return Ok(false);
        }
        let answer = self.answer(&request, faults);
        (request.status, request.spoiled) = (answer.status, answer.spoiled);
        let is_open = request.is_blob() && matches!(answer.status, 200 | 206);
        let index = self.state().begin(&request, is_open);
        let sent = self.send(stream, &request, &answer, faults, index);
        let is_broken = !matches!(sent, Ok(is_whole) if is_whole || answer.framing == answer::Framing::Unframed);
        self.state().end(index, is_open, is_broken);
        sent
    }

    fn answer(&self, request: &Request, faults: &[What]) -> Answer {
        let scripted = faults.iter().find_map(|what| match what {
            What::Status { status, headers, body } => Some((*status, headers, body)),
            _ => None,
        });
        let mut answer = match scripted {
            Some((status, headers, body)) => {
                let answer = Answer::new(status, body.as_bytes());
                headers.iter().fold(answer, |answer, (name, value)| answer.header(name, value))
            }
            None if request.path.starts_with("/token") => self.token(request),
            None => self.refuse(request).unwrap_or_else(|| self.content(request, faults)),
        };
        answer.apply(faults);
        answer
    }

    fn content(&self, request: &Request, faults: &[What]) -> Answer {
        if let Some(answer) = self.take(request) {
            return answer;
        }
        let path = request.path.split('?').next().unwrap_or_default();
        let mut state = self.state();
        if let Some((repository, digest)) = path.rsplit_once("/blobs/") {
            if !state.has_blob(repository.trim_start_matches("/v2/"), digest) && !request.redirected {
                return Answer::not_found("BLOB_UNKNOWN");
            }
            if state.redirect.is_some() && !request.redirected {
                let target = format!("http://{}/cdn/blobs/{digest}?{}", self.cdn.address, state.sign());
                return Answer::new(307, b"").header("Location", &target);
            }
            let Some(object) = state.object(digest, faults) else { return Answer::not_found("BLOB_UNKNOWN") };
            return Answer::object(object, request, faults.iter().any(|what| matches!(what, What::IgnoreRange)));
        }
        if path == "/v2/" {
            // Podman asks this first, and we never do.
            return Answer::new(200, b"{}");
        }
        if let Some((repository, digest)) = path.rsplit_once("/referrers/")
            && state.tells_referrers
        {
            return Answer::manifest(&state.referrers(repository.trim_start_matches("/v2/"), digest), &request.accept);
        }
        let name = path.trim_start_matches("/v2/").replacen("/manifests/", "/", 1);
        match state.manifests.get(&name) {
            Some(bytes) => Answer::manifest(bytes, &request.accept),
            None => Answer::not_found("MANIFEST_UNKNOWN"),
        }
    }
}

impl State {
    fn take_faults(&mut self, request: &Request) -> Vec<What> {
        let happens = |fault: &mut Fault| fault.happens(request).then(|| fault.what.clone());
        self.faults.iter_mut().filter_map(happens).collect()
    }

    fn object(&mut self, digest: &str, faults: &[What]) -> Option<Object> {
        let content = Arc::clone(self.blobs.get(digest)?);
        let is_changed = faults.iter().any(|what| matches!(what, What::Changed));
        self.tags_made += 1;
        let name = if is_changed { "changed" } else { &digest[..16] };
        let tag = match self.tags {
            Tags::None => None,
            Tags::Strong => Some(format!("\"{name}\"")),
            Tags::Weak => Some(format!("W/\"{name}\"")),
            Tags::Unsteady => Some(format!("\"{name}-{}\"", self.tags_made)),
        };
        let changed = |content: &Vec<u8>| Arc::new(content.iter().map(|byte| byte ^ 0x55).collect());
        Some(Object { content: if is_changed { changed(&content) } else { content }, tag })
    }

    /// The index of the repository's manifests whose subject has this digest.
    fn referrers(&self, repository: &str, subject: &str) -> Arc<Vec<u8>> {
        let prefix = format!("{repository}/sha256:");
        let entry = |(name, bytes): (&String, &Arc<Vec<u8>>)| {
            let json: serde_json::Value = serde_json::from_slice(bytes).ok().filter(|_| name.starts_with(&prefix))?;
            (json["subject"]["digest"] == subject).then(|| {
                serde_json::json!({
                    "mediaType": json["mediaType"], "digest": digest(bytes), "size": bytes.len(),
                    "artifactType": json["artifactType"],
                })
            })
        };
        let entries: Vec<_> = self.manifests.iter().filter_map(entry).collect();
        let kind = "application/vnd.oci.image.index.v1+json";
        let index = serde_json::json!({"schemaVersion": 2, "mediaType": kind, "manifests": entries});
        Arc::new(index.to_string().into_bytes())
    }

    fn log(&mut self, request: Request) -> usize {
        self.requests.push(request);
        self.requests.len() - 1
    }

    fn begin(&mut self, request: &Request, is_open: bool) -> usize {
        self.open += usize::from(is_open);
        self.most_open = self.most_open.max(self.open);
        self.log(request.clone())
    }

    fn end(&mut self, index: usize, is_open: bool, is_broken: bool) {
        self.open -= usize::from(is_open);
        if let Some(request) = self.requests.get_mut(index) {
            request.broken = is_broken;
        }
    }

    /// A test may have cleared the log in the middle of an answer.
    fn count(&mut self, index: usize, bytes: usize) {
        if let Some(request) = self.requests.get_mut(index) {
            request.sent += bytes as u64;
        }
    }
}
