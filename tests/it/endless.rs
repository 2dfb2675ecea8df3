//! Answers that never end: a pull takes so much of them and no more, and ends in one line.

use std::time::{Duration, Instant};

use artishim::digest::Digest;

use crate::common::registry::{Auth, Fault, Registry, What};
use crate::common::{Home, bytes, modelpack};

/// What may come of one answer, what the system holds for both sides beside.
const ENOUGH: u64 = 6 << 20;

#[test]
fn answers_that_never_end_are_left_in_time() {
    let status = |status| What::Status { status, headers: Vec::new(), body: String::from(r#"{"error": "no, "#) };
    let cases: [(&str, &[What], &str); 9] = [
        ("/manifests/", &[What::EndlessHead], "127.0.0.1"),
        ("/manifests/", &[What::Endless], "is larger than 4194304 bytes"),
        ("/manifests/", &[status(403), What::Endless], "403 Forbidden"),
        ("/manifests/", &[status(404), What::Endless], "404 Not Found"),
        ("/token", &[What::EndlessHead], "127.0.0.1"),
        ("/token", &[What::Endless], "is larger than 1048576 bytes"),
        ("/token", &[status(401), What::Endless], "refuses access"),
        ("/blobs/", &[What::EndlessHead], "127.0.0.1"),
        ("/blobs/", &[status(403), What::Endless], "403 Forbidden"),
    ];
    for (path, faults, words) in cases {
        let (home, registry, began) = (Home::new(), Registry::start(), Instant::now());
        let reference = modelpack(&registry, "acme/endless", &[("model.gguf", &bytes(1, 3000))]);
        registry.require(Auth::Bearer { user: None, refresh_token: None, uses: usize::MAX });
        faults.iter().for_each(|what| registry.fault(Fault::always(path, what.clone())));
        let pulled = home.artishim(&["--retry", "1", "pull", "--quiet", &reference]);
        assert!(pulled.stderr.contains(words), "{path} {faults:?}: {pulled:?}");
        pulled.failure();
        let answers = registry.requests().iter().filter(|request| request.path.contains(path)).count() as u64;
        assert!(registry.sent(path) <= answers * ENOUGH, "{} bytes of {answers} answers", registry.sent(path));
        assert!(answers <= 8 && began.elapsed() < Duration::from_secs(20), "{answers} answers, {:?}", began.elapsed());
    }
}

#[test]
fn blob_that_never_ends_is_left_where_it_should_end() {
    let (home, registry) = (Home::new(), Registry::start());
    let model = bytes(1, 3 << 20);
    let reference = modelpack(&registry, "acme/endless", &[("model.gguf", &model)]);
    registry.fault(Fault::always(Digest::sha256(&model).to_string(), What::Endless));
    let error = home.artishim(&["--retry", "1", "pull", "--quiet", &reference]).failure();
    assert!(error.contains("more bytes than it promises"), "{error}");
    assert!(registry.sent("/blobs/") <= 2 * ENOUGH, "{}", registry.sent("/blobs/"));
}
