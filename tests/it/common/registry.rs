//! A registry in this process, on loopback, over plain HTTP, which misbehaves as it is told.
//!
//! Plain strings and bytes only: the library's own unit tests and the integration tests both include this file. What
//! it answers follows docker-registry where that matters: a manifest whose type is not in `Accept` is 404.
#![allow(dead_code, clippy::needless_pass_by_value, reason = "every test program uses another part")]
#![allow(clippy::unwrap_used, reason = "it exists in tests only")]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use base64::Engine as _;
use sha2::Digest as _;

/// A running registry; its threads end with the test program.
pub struct Registry {
    address: SocketAddr,
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

/// Misbehaviour for the next `times` requests whose path contains `path`; several at once add up.
#[derive(Clone, Debug)]
pub struct Fault {
    pub path: &'static str,
    pub times: usize,
    pub what: What,
}

impl Fault {
    /// A fault that happens once.
    pub fn once(path: &'static str, what: What) -> Self {
        Self { path, times: 1, what }
    }

    /// A fault that happens every time.
    pub fn always(path: &'static str, what: What) -> Self {
        Self { path, times: usize::MAX, what }
    }
}

#[derive(Clone, Debug)]
pub enum What {
    /// Closes the connection instead of answering.
    Close,
    /// Closes the connection after so many bytes of the body.
    CutAfter(usize),
    /// Promises and sends only so many bytes of the body.
    Truncate(usize),
    /// Sends nothing for a while after so many bytes of the body.
    Stall { after: usize, pause: Duration },
    /// Sends so many bytes a second on this connection.
    Slow(usize),
    /// Flips the byte at this offset of the blob.
    WrongByte(usize),
    /// Answers 200 and everything.
    IgnoreRange,
    /// Says something else in `Content-Range`.
    ContentRange(&'static str),
    /// Adds a header.
    Header(&'static str, String),
    /// Answers this and nothing else.
    Status { status: u16, headers: Vec<(&'static str, String)>, body: String },
}

/// What a client must show.
#[derive(Clone, Debug, Default)]
pub enum Auth {
    #[default]
    Open,
    Basic {
        user: &'static str,
        password: &'static str,
    },
    /// Tokens from `/token`, each good for `uses` requests; for all, or for a user or a refresh token only.
    Bearer {
        user: Option<(&'static str, &'static str)>,
        refresh_token: Option<&'static str>,
        uses: usize,
    },
}

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    /// With the query.
    pub path: String,
    pub range: Option<String>,
    pub authorization: Option<String>,
    pub user_agent: Option<String>,
    accept: String,
    pub body: String,
    /// Whether it came to the port that blobs are redirected to.
    pub redirected: bool,
    /// Bytes of the answer's body that were handed to the system.
    pub sent: u64,
}

struct Shared {
    authority: String,
    cdn: String,
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
    redirect_blobs: bool,
}

struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    content: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl Registry {
    pub fn start() -> Self {
        let (main, cdn) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let address = main.local_addr().unwrap();
        let cdn_address = cdn.local_addr().unwrap().to_string();
        let shared = Shared { authority: address.to_string(), cdn: cdn_address, state: Mutex::default() };
        let shared = Arc::new(shared);
        for (listener, redirected) in [(main, false), (cdn, true)] {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || accept(&listener, &shared, redirected));
        }
        Self { address, shared }
    }

    /// `127.0.0.1:PORT`, the registry part of references.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    pub fn push_blob(&self, bytes: impl Into<Vec<u8>>) -> Descriptor {
        let bytes = bytes.into();
        let descriptor = Descriptor { digest: digest(&bytes), size: bytes.len() as u64 };
        self.shared.state().blobs.insert(descriptor.digest.clone(), Arc::new(bytes));
        descriptor
    }

    /// Returns the manifest's digest.
    pub fn push_manifest(&self, repository: &str, tag: &str, json: &str) -> String {
        let digest = digest(json.as_bytes());
        let bytes = Arc::new(json.as_bytes().to_vec());
        for version in [tag, &digest] {
            self.shared.state().manifests.insert(format!("{repository}/{version}"), Arc::clone(&bytes));
        }
        digest
    }

    pub fn fault(&self, fault: Fault) {
        self.shared.state().faults.push(fault);
    }

    pub fn clear_faults(&self) {
        self.shared.state().faults.clear();
    }

    pub fn require(&self, auth: Auth) {
        self.shared.state().auth = auth;
    }

    /// From now on blobs are redirected to another port, which refuses requests with `Authorization`.
    pub fn redirect_blobs(&self) {
        self.shared.state().redirect_blobs = true;
    }

    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().requests.clone()
    }

    pub fn clear_requests(&self) {
        self.shared.state().requests.clear();
    }

    /// Bytes of bodies sent to requests whose path contains `path`.
    pub fn sent(&self, path: &str) -> u64 {
        self.requests().iter().filter(|request| request.path.contains(path)).map(|request| request.sent).sum()
    }
}

/// `sha256:` and the hex.
pub fn digest(bytes: &[u8]) -> String {
    let hex: String = sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>, redirected: bool) {
    for stream in listener.incoming().flatten() {
        let shared = Arc::clone(shared);
        // Clients close connections as they like; a test that cares looks at the requests.
        std::thread::spawn(move || shared.serve(&stream, redirected).ok());
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.fill_buf()?.first().is_none_or(|byte| !byte.is_ascii_uppercase()) {
        return Ok(None);
    }
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut request = Request { method, path, ..Request::default() };
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "range" => request.range = Some(value.to_owned()),
            "authorization" => request.authorization = Some(value.to_owned()),
            "user-agent" => request.user_agent = Some(value.to_owned()),
            // Podman sends one header for each type.
            "accept" => request.accept += &format!("{value},"),
            "content-length" => length = value.parse().unwrap(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    request.body = String::from_utf8_lossy(&body).into_owned();
    Ok(Some(request))
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn serve(&self, mut stream: &TcpStream, redirected: bool) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        while let Some(mut request) = read_request(&mut reader)? {
            request.redirected = redirected;
            let faults = self.state().take_faults(&request.path);
            let index = self.state().log(&request);
            let answer = self.answer(&request, &faults);
            if faults.iter().any(|what| matches!(what, What::Close))
                || !self.send(stream, &request, &answer, &faults, index)?
            {
                return stream.shutdown(Shutdown::Both);
            }
        }
        // A TLS greeting gets what Go's servers answer to it.
        stream.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n")?;
        stream.shutdown(Shutdown::Both)
    }

    fn answer(&self, request: &Request, faults: &[What]) -> Answer {
        let scripted = faults.iter().find_map(|what| match what {
            What::Status { status, headers, body } => Some((*status, headers, body)),
            _ => None,
        });
        let mut answer = match scripted {
            Some((status, headers, body)) => {
                let mut answer = Answer::new(status, body.as_bytes());
                answer.headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
                answer
            }
            None if request.path.starts_with("/token") => self.token(request),
            None => self.refuse(request).unwrap_or_else(|| self.content(request, faults)),
        };
        answer.apply(faults);
        answer
    }

    fn refuse(&self, request: &Request) -> Option<Answer> {
        let shown = request.authorization.as_deref();
        if request.redirected {
            return shown.map(|_| Answer::new(400, b"only one way of authorization is allowed"));
        }
        let mut state = self.state();
        let challenge = match state.auth.clone() {
            Auth::Open => return None,
            Auth::Basic { user, password } if shown == Some(&basic(user, password)) => return None,
            Auth::Basic { .. } => String::from("Basic realm=\"test\""),
            Auth::Bearer { .. } => {
                let token = shown.and_then(|value| value.strip_prefix("Bearer "));
                if state.use_token(token.unwrap_or_default()) {
                    return None;
                }
                format!("Bearer realm=\"http://{}/token\",service=\"test\",scope=\"x:y,z\"", self.authority)
            }
        };
        let errors = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":null}]}"#;
        Some(Answer::new(401, errors.as_bytes()).header("WWW-Authenticate", &challenge))
    }

    fn token(&self, request: &Request) -> Answer {
        let mut state = self.state();
        let Auth::Bearer { user, refresh_token, uses } = state.auth.clone() else { return Answer::new(404, b"") };
        let shown = request.authorization.as_deref();
        let by_user = user.is_some_and(|(user, password)| shown == Some(&basic(user, password)));
        let by_token = refresh_token.is_some_and(|token| request.body.contains(&format!("refresh_token={token}")));
        let open = user.is_none() && refresh_token.is_none();
        if !(open || by_user || by_token) {
            return Answer::new(401, br#"{"errors":[{"code":"UNAUTHORIZED","message":"wrong user"}]}"#);
        }
        let token = format!("token-{}", state.tokens.len());
        state.tokens.insert(token.clone(), uses);
        let name = if by_token { "access_token" } else { "token" };
        Answer::new(200, format!(r#"{{"{name}":"{token}"}}"#).as_bytes())
    }

    fn content(&self, request: &Request, faults: &[What]) -> Answer {
        let path = request.path.split('?').next().unwrap_or_default();
        let state = self.state();
        if let Some((_, digest)) = path.rsplit_once("/blobs/") {
            if state.redirect_blobs && !request.redirected {
                let target = format!("http://{}/cdn/blobs/{digest}?signature=secret", self.cdn);
                return Answer::new(307, b"").header("Location", &target);
            }
            let ignore_range = faults.iter().any(|what| matches!(what, What::IgnoreRange));
            let range = request.range.as_deref().filter(|_| !ignore_range);
            return state.blobs.get(digest).map_or_else(|| not_found("BLOB_UNKNOWN"), |blob| Answer::blob(blob, range));
        }
        if path == "/v2/" {
            // Podman asks this first, and we never do.
            return Answer::new(200, b"{}");
        }
        let name = path.trim_start_matches("/v2/").replacen("/manifests/", "/", 1);
        match state.manifests.get(&name) {
            Some(bytes) => Answer::manifest(bytes, &request.accept),
            None => not_found("MANIFEST_UNKNOWN"),
        }
    }

    /// Sends the answer; false when the connection is to be closed.
    fn send(
        &self,
        mut stream: &TcpStream,
        request: &Request,
        answer: &Answer,
        faults: &[What],
        index: usize,
    ) -> std::io::Result<bool> {
        stream.write_all(answer.head().as_bytes())?;
        let body = &answer.content[answer.range.clone()];
        let body = if request.method == "HEAD" { &[] } else { body };
        let delivery = Delivery::new(faults);
        let mut sent = 0;
        while sent < body.len() || delivery.cut == Some(sent) {
            if delivery.cut == Some(sent) {
                return Ok(false);
            }
            let pause = delivery.stall.filter(|(after, _)| *after == sent).map(|(_, pause)| pause);
            std::thread::sleep(pause.unwrap_or_default());
            let size = delivery.step(sent).min(body.len() - sent);
            let mut chunk = body[sent..sent + size].to_vec();
            if let Some(at) = delivery.flip.and_then(|at| at.checked_sub(answer.range.start + sent)) {
                chunk.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 0xff);
            }
            stream.write_all(&chunk)?;
            sent += size;
            self.state().count(index, size);
        }
        Ok(true)
    }
}

impl State {
    fn take_faults(&mut self, path: &str) -> Vec<What> {
        let active = self.faults.iter_mut().filter(|fault| fault.times > 0 && path.contains(fault.path));
        let taken = active.map(|fault| {
            fault.times -= 1;
            fault.what.clone()
        });
        taken.collect()
    }

    fn log(&mut self, request: &Request) -> usize {
        self.requests.push(request.clone());
        self.requests.len() - 1
    }

    /// A test may have cleared the log in the middle of an answer.
    fn count(&mut self, index: usize, bytes: usize) {
        if let Some(request) = self.requests.get_mut(index) {
            request.sent += bytes as u64;
        }
    }

    fn use_token(&mut self, token: &str) -> bool {
        match self.tokens.get_mut(token) {
            Some(uses) if *uses > 0 => {
                *uses -= 1;
                true
            }
            _ => false,
        }
    }
}

impl Answer {
    fn new(status: u16, body: &[u8]) -> Self {
        Self { status, headers: Vec::new(), content: Arc::new(body.to_vec()), range: 0..body.len() }
    }

    fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(present, _)| present != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn manifest(bytes: &Arc<Vec<u8>>, accept: &str) -> Self {
        let json: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
        let media_type = json["mediaType"].as_str().unwrap_or("application/vnd.oci.image.manifest.v1+json");
        if !accept.contains(media_type) {
            return not_found("MANIFEST_UNKNOWN");
        }
        let answer = Self::new(200, bytes).header("Content-Type", media_type);
        answer.header("Docker-Content-Digest", &digest(bytes))
    }

    fn blob(blob: &Arc<Vec<u8>>, range: Option<&str>) -> Self {
        let mut answer = Self { status: 200, headers: Vec::new(), content: Arc::clone(blob), range: 0..blob.len() };
        let Some((first, last)) = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) else {
            return answer;
        };
        let first: usize = first.parse().unwrap();
        let end = last.parse().map_or(blob.len(), |last: usize| blob.len().min(last + 1));
        if first >= end {
            return Self::new(416, b"").header("Content-Range", &format!("bytes */{}", blob.len()));
        }
        (answer.status, answer.range) = (206, first..end);
        answer.header("Content-Range", &format!("bytes {first}-{}/{}", end - 1, blob.len()))
    }

    fn apply(&mut self, faults: &[What]) {
        for what in faults {
            let (name, value) = match what {
                What::Truncate(length) => {
                    self.range.end = self.range.end.min(self.range.start + length);
                    continue;
                }
                What::ContentRange(value) => ("Content-Range", *value),
                What::Header(name, value) => (*name, value.as_str()),
                _ => continue,
            };
            self.headers.retain(|(present, _)| present != name);
            self.headers.push((name.to_owned(), value.to_owned()));
        }
    }

    fn head(&self) -> String {
        let lines: String = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("HTTP/1.1 {} Test\r\n{lines}Content-Length: {}\r\n\r\n", self.status, self.range.len())
    }
}

/// How the bytes of a body are handed out.
struct Delivery {
    cut: Option<usize>,
    stall: Option<(usize, Duration)>,
    rate: Option<usize>,
    flip: Option<usize>,
}

impl Delivery {
    fn new(faults: &[What]) -> Self {
        let mut delivery = Self { cut: None, stall: None, rate: None, flip: None };
        for what in faults {
            match what {
                What::CutAfter(bytes) => delivery.cut = Some(*bytes),
                What::Stall { after, pause } => delivery.stall = Some((*after, *pause)),
                What::Slow(rate) => delivery.rate = Some(*rate),
                What::WrongByte(at) => delivery.flip = Some(*at),
                _ => {}
            }
        }
        delivery
    }

    /// The size of the next write, after the pause that the rate asks for.
    fn step(&self, sent: usize) -> usize {
        const PAUSE: Duration = Duration::from_millis(20);
        let mut size = 64 * 1024;
        if let Some(rate) = self.rate {
            std::thread::sleep(PAUSE);
            size = (rate / 50).max(1);
        }
        let stops = [self.cut, self.stall.map(|(after, _)| after)];
        stops.into_iter().flatten().filter(|stop| *stop > sent).fold(size, |size, stop| size.min(stop - sent))
    }
}

fn not_found(code: &str) -> Answer {
    Answer::new(404, format!(r#"{{"errors":[{{"code":"{code}","message":"unknown here"}}]}}"#).as_bytes())
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}
