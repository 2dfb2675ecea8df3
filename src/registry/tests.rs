//! The client against a registry in this process.

use std::io::{Read, Write};
use std::ops::Range;
use std::time::{Duration, Instant};

use super::test_registry::{Auth, Fault, Registry, What};
use super::*;

const MANIFEST: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[]}"#;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn settings() -> Settings {
    Settings { user_agent: String::from("artishim/test"), ..Settings::default() }
}

fn client() -> Client {
    Client::new(settings()).unwrap()
}

fn client_of(user: &str, password: &str) -> Client {
    let explicit = Some((user.to_owned(), password.to_owned()));
    let credentials = Credentials { explicit, ..Credentials::default() };
    Client::new(Settings { credentials, ..settings() }).unwrap()
}

/// A registry with the repository `acme/llama`, whose tag `8b` is [`MANIFEST`].
fn registry() -> (Registry, Reference) {
    let registry = Registry::start();
    registry.push_manifest("acme/llama", "8b", MANIFEST);
    let reference = format!("{}/acme/llama:8b", registry.host()).parse().unwrap();
    (registry, reference)
}

fn push_blob(registry: &Registry, bytes: &[u8]) -> Descriptor {
    let pushed = registry.push_blob(bytes);
    Descriptor::new("application/octet-stream", pushed.digest.parse().unwrap(), pushed.size)
}

/// The error with all its causes in one line, as the terminal shows it, and the port made constant.
fn line(error: &Error, reference: &Reference) -> String {
    let mut words = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        words = format!("{words}: {source}");
        next = source.source();
    }
    words.replace(reference.registry(), "HOST")
}

async fn read(body: &mut Body) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.chunk().await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

async fn read_blob(client: &Client, reference: &Reference, blob: &Descriptor, range: Range<u64>) -> Result<Vec<u8>> {
    read(&mut client.source(reference, blob).open(&range).await?).await
}

#[test]
fn a_manifest_comes_by_tag_and_by_digest_over_plain_http_on_loopback() {
    let (registry, reference) = registry();
    let client = client();
    let found = block_on(client.manifest(&reference)).unwrap();
    assert_eq!(found.bytes, MANIFEST.as_bytes());
    assert_eq!(found.digest, Digest::sha256(MANIFEST.as_bytes()));
    assert_eq!(found.media_type, media::OCI_MANIFEST);
    assert_eq!(block_on(client.manifest(&reference.at_digest(&found.digest))).unwrap(), found);
    let requests = registry.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].user_agent.as_deref(), Some("artishim/test"));
}

/// What `answers` brings on connections to a port of its own, one after the other, and the first byte of each request.
fn first_bytes(answers: &'static [&'static str]) -> (Reference, std::thread::JoinHandle<Vec<u8>>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let reference = format!("{}/acme/llama:8b", listener.local_addr().unwrap()).parse().unwrap();
    let asked = std::thread::spawn(move || {
        let serve = |answer: &&str| {
            let mut stream = listener.accept().unwrap().0;
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            request[..length][0]
        };
        answers.iter().map(serve).collect()
    });
    (reference, asked)
}

#[test]
fn a_server_on_loopback_that_wants_tls_is_asked_with_tls() {
    const TLS: u8 = 0x16;
    const BAD_REQUEST: &str = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let answers: [&[&str]; 2] = [&[BAD_REQUEST, ""], &["", ""]];
    for answers in answers {
        let (reference, asked) = first_bytes(answers);
        let patience = Patience { failures: 1, ..Patience::default() };
        let error =
            block_on(Client::new(Settings { patience, ..settings() }).unwrap().manifest(&reference)).unwrap_err();
        assert_eq!(asked.join().unwrap(), [b'G', TLS], "{error}");
        assert!(!error.to_string().contains("TLS"), "the error is of what was tried first: {error}");
    }
}

#[test]
fn every_kind_of_manifest_is_accepted() {
    let (registry, reference) = registry();
    for media_type in media::MANIFESTS {
        registry.push_manifest("acme/llama", "8b", format!(r#"{{"mediaType":"{media_type}"}}"#));
        assert_eq!(block_on(client().manifest(&reference)).unwrap().media_type, media_type);
    }
}

#[test]
fn a_digest_is_asked_by_head_and_by_get_where_head_says_nothing() {
    let (registry, reference) = registry();
    let digest = Digest::sha256(MANIFEST.as_bytes());
    assert_eq!(block_on(client().digest(&reference)).unwrap(), digest);
    registry.fault(Fault::once("manifests", What::Header("Docker-Content-Digest", String::new())));
    assert_eq!(block_on(client().digest(&reference)).unwrap(), digest);
    registry.fault(Fault::once("manifests", What::Status { status: 405, headers: Vec::new(), body: String::new() }));
    assert_eq!(block_on(client().digest(&reference)).unwrap(), digest);
    let methods: Vec<String> = registry.requests().into_iter().map(|request| request.method).collect();
    assert_eq!(methods, ["HEAD", "HEAD", "GET", "HEAD", "GET"]);
}

#[test]
fn wrong_manifests_are_refused() {
    let (registry, reference) = registry();
    let pinned = reference.at_digest(&Digest::sha256(MANIFEST.as_bytes()));
    registry.fault(Fault::once("manifests", What::WrongByte(3)));
    let error = block_on(client().manifest(&pinned)).unwrap_err();
    assert!(matches!(error, Error::Manifest { .. }) && !error.is_transient(), "{error:?}");
    registry.fault(Fault::once("manifests", What::WrongByte(3)));
    let error = block_on(client().manifest(&reference)).unwrap_err();
    assert!(matches!(error, Error::Manifest { .. }), "the registry's own digest disagrees: {error:?}");
    registry.push_manifest("acme/llama", "8b", " ".repeat(manifest::MAX_BYTES as usize + 1));
    let error = block_on(client().manifest(&reference)).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error:?}");
}

#[test]
fn a_blob_comes_whole_and_in_ranges() {
    let (registry, reference) = registry();
    let (client, blob, empty) = (client(), push_blob(&registry, b"0123456789"), push_blob(&registry, b""));
    for (range, expected) in [(0..10, &b"0123456789"[..]), (4..10, b"456789"), (0..3, b"012"), (4..5, b"4")] {
        assert_eq!(block_on(read_blob(&client, &reference, &blob, range)).unwrap(), expected);
    }
    assert_eq!(block_on(read_blob(&client, &reference, &empty, 0..0)).unwrap(), b"");
    let ranges: Vec<Option<String>> = registry.requests().into_iter().map(|request| request.range).collect();
    let asked = |text: &str| Some(text.to_owned());
    assert_eq!(ranges, [None, asked("bytes=4-9"), asked("bytes=0-2"), asked("bytes=4-4"), None]);
}

#[test]
fn an_ignored_range_starts_at_zero() {
    let (registry, reference) = registry();
    let blob = push_blob(&registry, b"0123456789");
    registry.fault(Fault::once("blobs", What::IgnoreRange));
    block_on(async {
        let mut body = client().source(&reference, &blob).open(&(4..10)).await.unwrap();
        assert_eq!((body.start(), body.end()), (0, 10));
        assert_eq!(read(&mut body).await.unwrap(), b"0123456789");
    });
}

#[test]
fn answers_that_do_not_fit_the_request_are_refused() {
    let (registry, reference) = registry();
    let blob = push_blob(&registry, b"0123456789");
    let cases = [
        What::ContentRange("bytes 3-9/10"),
        What::ContentRange("bytes 4-9/11"),
        What::Header("Content-Encoding", String::from("gzip")),
        What::Truncate(2),
        What::Status { status: 204, headers: Vec::new(), body: String::new() },
    ];
    for what in cases {
        registry.fault(Fault::once("blobs", what.clone()));
        let error = block_on(read_blob(&client(), &reference, &blob, 4..10)).unwrap_err();
        let is_named = matches!(error, Error::Protocol { .. } | Error::Range { .. });
        assert!(is_named && !error.is_transient(), "{what:?}: {error:?}");
    }
    registry.fault(Fault::once("blobs", What::Truncate(2)));
    let error = block_on(read_blob(&client(), &reference, &blob, 0..10)).unwrap_err();
    assert!(matches!(error, Error::Blob(_)), "{error:?}");
}

#[test]
fn a_body_that_breaks_off_may_be_asked_for_again() {
    let (registry, reference) = registry();
    let blob = push_blob(&registry, b"0123456789");
    registry.fault(Fault::once("blobs", What::CutAfter(4)));
    block_on(async {
        let client = client();
        let mut body = client.source(&reference, &blob).open(&(0..10)).await.unwrap();
        assert_eq!(body.chunk().await.unwrap().unwrap(), "0123");
        let error = body.chunk().await.unwrap_err();
        assert!(matches!(error, Error::Interrupted { .. }) && error.is_transient(), "{error:?}");
        assert_eq!(read_blob(&client, &reference, &blob, 4..10).await.unwrap(), b"456789");
    });
}

#[test]
fn redirected_blobs_are_asked_without_authorization_and_with_range() {
    let (registry, reference) = registry();
    let blob = push_blob(&registry, b"0123456789");
    registry.require(Auth::Basic { user: "me", password: "secret" });
    registry.redirect_blobs();
    let found = block_on(read_blob(&client_of("me", "secret"), &reference, &blob, 4..10)).unwrap();
    assert_eq!(found, b"456789");
    let last = registry.requests().pop().unwrap();
    assert_eq!((last.redirected, last.authorization, last.range), (true, None, Some(String::from("bytes=4-9"))));
}

#[test]
fn redirects_do_not_go_on_for_ever() {
    let (registry, reference) = registry();
    let headers = vec![("Location", String::from("/v2/acme/llama/blobs/again?signature=secret"))];
    registry.fault(Fault::always("blobs", What::Status { status: 302, headers, body: String::new() }));
    let blob = push_blob(&registry, b"x");
    let error = block_on(read_blob(&client(), &reference, &blob, 0..1)).unwrap_err();
    assert!(line(&error, &reference).ends_with("more than 5 redirects"), "{error}");
    assert_eq!(registry.requests().len(), 6);
}

#[test]
fn one_token_serves_until_it_is_refused() {
    let (registry, reference) = registry();
    let blob = push_blob(&registry, b"0123456789");
    registry.require(Auth::Bearer { user: None, refresh_token: None, uses: 3 });
    block_on(async {
        let client = client();
        client.manifest(&reference).await.unwrap();
        for _ in 0..4 {
            read_blob(&client, &reference, &blob, 0..10).await.unwrap();
        }
    });
    let requests = registry.requests();
    let asked: Vec<&str> =
        requests.iter().map(|request| request.path.as_str()).filter(|path| path.starts_with("/token")).collect();
    assert_eq!(asked, ["/token?scope=repository%3Aacme%2Fllama%3Apull&service=test"; 2]);
    assert_eq!(requests.len(), 5 + 2 + 2, "five answers, two refusals, two tokens");
}

#[test]
fn many_requests_at_once_ask_for_one_token() {
    let (registry, reference) = registry();
    registry.require(Auth::Bearer { user: None, refresh_token: None, uses: 100 });
    let client = client();
    block_on(async {
        let all = (0..8).map(|_| client.manifest(&reference));
        for found in futures_util::future::join_all(all).await {
            found.unwrap();
        }
    });
    assert_eq!(registry.requests().iter().filter(|request| request.path.starts_with("/token")).count(), 1);
}

#[test]
fn a_password_is_traded_for_a_token() {
    let (registry, reference) = registry();
    registry.require(Auth::Bearer { user: Some(("me", "secret")), refresh_token: None, uses: 1 });
    block_on(client_of("me", "secret").manifest(&reference)).unwrap();
    let token = &registry.requests()[1];
    assert!(token.method == "GET" && token.path.ends_with("&account=me"), "{token:?}");
}

#[test]
fn an_identity_token_is_traded_for_a_token_by_post() {
    let (registry, reference) = registry();
    registry.require(Auth::Bearer { user: None, refresh_token: Some("refresh"), uses: 1 });
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("auth.json");
    let auths = format!(r#"{{"auths":{{"{}":{{"identitytoken":"refresh"}}}}}}"#, registry.host());
    std::fs::write(&file, auths).unwrap();
    let credentials = Credentials { required_file: Some(file), ..Credentials::default() };
    let client = Client::new(Settings { credentials, ..settings() }).unwrap();
    block_on(client.manifest(&reference)).unwrap();
    let token = &registry.requests()[1];
    assert_eq!((token.method.as_str(), token.path.as_str()), ("POST", "/token"));
    let form = "scope=repository%3Aacme%2Fllama%3Apull&service=test&grant_type=refresh_token&client_id=artishim&refresh_token=refresh";
    assert_eq!(token.body, form);
}

#[test]
fn refusals_say_whether_there_were_credentials() {
    let (registry, reference) = registry();
    let basic = Auth::Basic { user: "me", password: "secret" };
    let bearer = Auth::Bearer { user: Some(("me", "secret")), refresh_token: None, uses: 1 };
    let manifest =
        "GET http://HOST/v2/acme/llama/manifests/8b: 401 Unauthorized: UNAUTHORIZED: authentication required";
    let token = "GET http://HOST/token?scope=...&service=...: 401 Unauthorized: UNAUTHORIZED: wrong user";
    let token_of_user = token.replace(": 401", "&account=...: 401");
    let cases = [
        (basic.clone(), client(), "without credentials", manifest),
        (basic, client_of("me", "wrong"), "with the credentials given", manifest),
        (bearer.clone(), client(), "without credentials", token),
        (bearer, client_of("me", "wrong"), "with the credentials given", token_of_user.as_str()),
    ];
    for (auth, client, how, source) in cases {
        registry.require(auth);
        let error = block_on(client.manifest(&reference)).unwrap_err();
        assert_eq!(line(&error, &reference), format!("HOST refuses access to acme/llama {how}: {source}"));
        assert!(!error.is_transient());
    }
}

#[test]
fn passwords_and_tokens_do_not_go_where_they_can_be_read() {
    let (registry, reference) = registry();
    let challenge = String::from(r#"Bearer realm="http://auth.example/token""#);
    let headers = vec![("WWW-Authenticate", challenge)];
    registry.fault(Fault::always("manifests", What::Status { status: 401, headers, body: String::new() }));
    for client in [client_of("me", "secret"), client()] {
        let error = block_on(client.manifest(&reference)).unwrap_err();
        assert_eq!(line(&error, &reference), "HOST leads to http://auth.example/token, which is not encrypted");
    }
}

#[test]
fn a_registry_on_loopback_does_not_lead_out_of_encryption() {
    let (registry, reference) = registry();
    let headers = vec![("Location", String::from("http://cdn.example/manifest"))];
    registry.fault(Fault::always("manifests", What::Status { status: 307, headers, body: String::new() }));
    let error = block_on(client().manifest(&reference)).unwrap_err();
    assert_eq!(line(&error, &reference), "HOST leads to http://cdn.example/manifest, which is not encrypted");
}

#[test]
fn explicit_credentials_go_to_one_registry_only() {
    let ((first, first_reference), (second, second_reference)) = (registry(), registry());
    let client = client_of("me", "secret");
    block_on(client.manifest(&second_reference)).unwrap();
    for registry in [&first, &second] {
        registry.require(Auth::Basic { user: "me", password: "secret" });
    }
    block_on(client.manifest(&first_reference)).unwrap();
    let error = block_on(client.manifest(&second_reference)).unwrap_err();
    assert!(matches!(error, Error::Unauthorized { had_credentials: false, .. }), "{error:?}");
    assert!(second.requests().iter().all(|request| request.authorization.is_none()));
    block_on(client.manifest(&first_reference)).unwrap();
}

#[test]
fn a_helper_that_fails_is_told_only_where_it_matters() {
    let (registry, reference) = registry();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.json");
    std::fs::write(&file, r#"{"credsStore":"artishim-absent"}"#).unwrap();
    let credentials = Credentials { files: vec![file], ..Credentials::default() };
    let client = Client::new(Settings { credentials, ..settings() }).unwrap();
    registry.require(Auth::Bearer { user: None, refresh_token: None, uses: 1 });
    block_on(client.manifest(&reference)).unwrap();
    registry.require(Auth::Bearer { user: Some(("me", "secret")), refresh_token: None, uses: 1 });
    let error = block_on(client.manifest(&reference)).unwrap_err();
    let words = "docker-credential-artishim-absent gives no credentials for HOST: it cannot be run";
    assert_eq!(line(&error, &reference), format!("HOST refuses access to acme/llama without credentials: {words}"));
    // Docker Hub grants anybody a token and refuses it afterwards.
    registry.require(Auth::Bearer { user: None, refresh_token: None, uses: 0 });
    let error = block_on(client.manifest(&reference)).unwrap_err();
    assert!(line(&error, &reference).ends_with(words), "{error:?}");
}

#[test]
fn what_is_not_there_is_named() {
    let (registry, _) = registry();
    let reference: Reference = format!("{}/acme/llama:9", registry.host()).parse().unwrap();
    let error = block_on(client().manifest(&reference)).unwrap_err();
    let answer = "GET http://HOST/v2/acme/llama/manifests/9: 404 Not Found: MANIFEST_UNKNOWN: unknown here";
    assert_eq!(line(&error, &reference), format!("HOST/acme/llama:9 is not in the registry: {answer}"));
    assert!(matches!(block_on(client().digest(&reference)), Err(Error::NotFound { .. })));
    let absent = Descriptor::new("", Digest::sha256(b"absent"), 6);
    let error = block_on(read_blob(&client(), &reference, &absent, 0..6)).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
}

#[test]
fn busy_registries_are_asked_again_and_stubborn_ones_are_not() {
    let (registry, reference) = registry();
    let status =
        |status| What::Status { status, headers: vec![("Retry-After", String::from("0"))], body: String::new() };
    registry.fault(Fault::once("manifests", status(503)));
    registry.fault(Fault::once("manifests", What::Close));
    block_on(client().manifest(&reference)).unwrap();
    registry.clear_requests();
    registry.fault(Fault::always("manifests", status(400)));
    let error = block_on(client().manifest(&reference)).unwrap_err();
    assert_eq!((error.status(), registry.requests().len()), (Some(400), 1));
}

#[test]
fn hosts_that_do_not_answer_are_told_soon_and_in_one_line() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let reference: Reference = format!("{free}/acme/llama:8b").parse().unwrap();
    let start = Instant::now();
    let error = block_on(client().manifest(&reference)).unwrap_err();
    let line = line(&error, &reference);
    let (given_up, spent) = line.split_once(" s: ").unwrap();
    assert!(given_up.starts_with("gave up after 4 attempts in "), "{line}");
    assert_eq!(spent, "cannot reach HOST: connection refused");
    assert!(error.is_transient() && start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

/// A client that waits some milliseconds only, and what it tells of its waits.
fn quick_client(failures: u32) -> Client {
    let patience = Patience { pause: Duration::from_millis(2), failures };
    Client::new(Settings { patience, ..settings() }).unwrap()
}

#[test]
fn a_registry_that_has_answered_is_borne_with_as_long_as_for_blobs() {
    let (registry, reference) = registry();
    let busy = || What::status(503);
    // Even where its first answer is that it is busy.
    registry.fault(Fault::once("manifests", busy()).times(7));
    block_on(quick_client(8).manifest(&reference)).unwrap();
    registry.clear_requests();
    registry.fault(Fault::always("manifests", busy()));
    let error = block_on(quick_client(8).manifest(&reference)).unwrap_err();
    assert_eq!((error.status(), registry.requests().len()), (Some(503), 8));
    assert!(line(&error, &reference).starts_with("gave up after 8 attempts in "), "{error}");
    registry.clear_faults();
    let client = quick_client(8);
    block_on(client.manifest(&reference)).unwrap();
    registry.fault(Fault::once("manifests", What::Close).times(7));
    block_on(client.manifest(&reference)).unwrap();
}

#[test]
fn a_registry_that_never_answered_is_asked_four_times() {
    let (registry, reference) = registry();
    registry.fault(Fault::always("manifests", What::Close));
    let error = block_on(quick_client(8).manifest(&reference)).unwrap_err();
    assert!(matches!(error, Error::Exhausted { attempts: 4, .. }), "{error:?}");
    assert_eq!(registry.requests().len(), 4);
}

#[test]
fn long_waits_are_told() {
    let (registry, reference) = registry();
    let told: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
    let hear = Arc::clone(&told);
    let waiting = Waiting::new(move |text| hear.lock().unwrap().push(text.to_owned()));
    registry.fault(Fault::once("manifests", What::busy(429, 3)));
    block_on(Client::new(Settings { waiting, ..settings() }).unwrap().manifest(&reference)).unwrap();
    let told = told.lock().unwrap().join("\n");
    assert!(told.contains(": 429 ") && told.ends_with("; asking again in 3 s"), "{told}");
}

#[test]
fn a_credential_file_that_was_named_must_exist() {
    let credentials = Credentials { required_file: Some("/absent/auth.json".into()), ..Credentials::default() };
    let error = Client::new(Settings { credentials, ..settings() }).err().unwrap();
    assert_eq!(error.to_string(), "credential file /absent/auth.json is not accessible");
}

#[test]
fn a_client_is_shared_between_threads_and_its_requests_move_between_them() {
    const fn sendable<T: Send>(_: &T) {}
    const fn shared<T: Send + Sync + Clone>() {}
    shared::<Client>();
    let (_registry, reference) = registry();
    let client = client();
    sendable(&client.manifest(&reference));
    let source = client.source(&reference, &Descriptor::new("", Digest::sha256(b""), 0));
    sendable(&source.open(&(0..0)));
}
