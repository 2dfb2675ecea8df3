//! What must hold of every pull, whatever went wrong in it.

use artishim::pull::Settings;

use super::rig::Rig;
use super::schedule::{Schedule, Target};
use super::stream::most_waiting;
use super::{CHUNK, UNDER_WAY};
use crate::common::registry::{Auth, Fault, Request, Tags, What};

/// What may lie in both systems of an answer that is refused for what its head says; they make more room on a busy machine.
const UNREAD: u64 = 256 * 1024;

/// Checks the end of a pull by `schedule`.
#[track_caller]
pub fn pull(schedule: &Schedule, rig: &Rig, ended: &Result<(), String>) {
    match ended {
        Ok(()) => rig.assert_complete(),
        Err(error) => {
            rig.assert_invisible();
            // One change is begun anew, as long as it does not cost more than the blob again.
            let spoiled = rig.requests().iter().filter(|request| request.spoiled).count();
            judge_error(schedule, rig, error, spoiled > 1);
        }
    }
    judge_bytes(schedule, rig);
    judge_requests(schedule, rig);
}

/// Checks the end of reading all files by `schedule`.
#[track_caller]
pub fn stream(schedule: &Schedule, settings: Settings, rig: &Rig, ended: &Result<(), String>) {
    if let Err(error) = ended {
        // What was read cannot be begun anew.
        judge_error(schedule, rig, error, schedule.tags == Tags::Unsteady);
    }
    let has_ranges = !schedule.faults.iter().any(|(_, fault)| is_about_ranges(&fault.what));
    rig.assert_streamed(most_waiting(&settings, has_ranges));
    judge_bytes(schedule, rig);
    judge_requests(schedule, rig);
}

#[track_caller]
fn judge_error(schedule: &Schedule, rig: &Rig, error: &str, may_change: bool) {
    assert!(is_named(schedule, error), "{error:?} names nothing that was done\n{}", rig.story());
    let has_changed = may_change && error.contains("changed while it was being read");
    // A registry that begins at the first byte after each break is left before it has sent the blob twice.
    let is_costly = error.contains("cannot resume") && schedule.faults.iter().any(|(_, it)| is_about_ranges(&it.what));
    let is_due = has_changed || is_costly || !must_succeed(schedule);
    assert!(is_due, "this can be overcome: {error}\n{}", rig.story());
    assert!(!error.contains("secret"), "{error}");
}

/// No more than twice the bytes of each file, but for those that the client never saw.
#[track_caller]
fn judge_bytes(schedule: &Schedule, rig: &Rig) {
    let requests = rig.requests();
    for file in &rig.files {
        let answers = || requests.iter().filter(|it| it.path.contains(&file.digest) && it.status < 300);
        let (sent, unseen): (u64, u64) = (answers().map(|it| it.sent).sum(), answers().map(unseen).sum());
        let (size, digest) = (file.content.len() as u64, &file.digest);
        // An answer that is refused for its tag may have left the registry whole.
        let refused = if schedule.tags == Tags::Unsteady { size } else { 0 };
        let most = 2 * size + unseen + refused;
        assert!(sent <= most, "{sent} bytes of {digest} were sent, {size} it has, {unseen} unseen\n{}", rig.story());
    }
}

/// What may have been in the system when an answer was hung up on, or broke off.
fn unseen(request: &Request) -> u64 {
    match request {
        Request { spoiled: true, sent, .. } => UNREAD.min(*sent),
        Request { broken: true, sent, .. } => UNDER_WAY.min(*sent),
        _ => 0,
    }
}

#[track_caller]
fn judge_requests(schedule: &Schedule, rig: &Rig) {
    let Settings { connections, failures, .. } = schedule.settings();
    let shortest = |fault: &Fault| match fault.what {
        What::Shorter(bytes) => bytes,
        What::CutAfter(bytes) if bytes > 0 && fault.times == usize::MAX => bytes,
        _ => CHUNK,
    };
    let part = schedule.faults.iter().map(|(_, fault)| shortest(fault)).min().unwrap_or(CHUNK);
    let parts: usize = schedule.sizes.iter().map(|size| 1 + size / part).sum();
    // Each part may be asked for twice, led elsewhere, and refused with a token or a URL that has expired.
    let most = 4 * parts + schedule.sizes.len() * 4 * connections * failures as usize;
    let requests = rig.registry.requests().iter().filter(|request| request.is_blob()).count();
    assert!(requests <= most, "{requests} requests, {most} at most\n{}", rig.story());
    let open = rig.watcher.most_connections.load(std::sync::atomic::Ordering::Relaxed);
    assert!(open <= connections, "{open} connections of {connections}");
}

/// Whether everything that goes wrong passes before the pull's patience does.
fn must_succeed(schedule: &Schedule) -> bool {
    let failures = schedule.faults.iter().map(|(target, fault)| cost(*target, fault)).fold(0, usize::saturating_add);
    failures < schedule.settings().failures as usize
}

/// How many failures in a row a fault may be.
fn cost(target: Target, fault: &Fault) -> usize {
    // Manifest and config are asked for with less patience.
    let times = fault.times.saturating_mul(if matches!(target, Target::File(_)) { 1 } else { 2 });
    match &fault.what {
        What::Shorter(_) | What::Unframed | What::Chunked | What::IgnoreRange | What::Slow(_) => 0,
        What::Late(pause) if pause.as_millis() < 100 => 0,
        // What came of the old object is fetched again, but not again and again.
        What::Changed => usize::MAX,
        what if is_about_ranges(what) => 1,
        What::Down(_) => times.saturating_mul(5),
        What::Close | What::CutAfter(_) | What::Stall { .. } | What::Late(_) => times,
        What::Status { status: 408 | 429 | 500 | 502..=504, .. } => times,
        _ => usize::MAX,
    }
}

/// Whether it makes ranges useless, so that the whole blob is asked for.
const fn is_about_ranges(what: &What) -> bool {
    matches!(
        what,
        What::IgnoreRange
            | What::StartLate(_)
            | What::EndLate(_)
            | What::Truncate(_)
            | What::ContentRange(_)
            | What::Multipart
            | What::Changed
            | What::Status { status: 416, .. }
    )
}

fn is_named(schedule: &Schedule, error: &str) -> bool {
    let of_faults = schedule.faults.iter().flat_map(|(_, fault)| words(&fault.what));
    let of_auth = match schedule.auth {
        Auth::Bearer { .. } => vec![String::from("refuses access")],
        _ => Vec::new(),
    };
    let of_place = schedule.redirect.iter().map(|expiry| format!(": {} ", expiry.status));
    let of_tags = (schedule.tags == Tags::Unsteady).then(|| String::from("changed"));
    of_faults.chain(of_auth).chain(of_place).chain(of_tags).any(|word| error.contains(&word))
}

/// The words by which a cause can be told.
fn words(what: &What) -> Vec<String> {
    let words: &[&str] = match what {
        What::Close => &["connection closed"],
        What::Down(_) => &["connection refused", "connection closed"],
        What::CutAfter(_) => &["connection closed", "ended after", "manifest"],
        What::Late(_) | What::Stall { .. } | What::Slow(_) => &["nothing came for"],
        What::WrongByte(_) => &["wrong content"],
        What::Changed => &["wrong content", "changed"],
        What::Gzip => &["encoded as gzip"],
        What::StartLate(_)
        | What::EndLate(_)
        | What::Truncate(_)
        | What::ContentRange(_)
        | What::Multipart
        | What::IgnoreRange => &["cannot be used"],
        What::Status { status, .. } => {
            let refused = (*status == 401).then(|| String::from("refuses access"));
            return [format!(": {status} ")].into_iter().chain(refused).collect();
        }
        _ => &[],
    };
    words.iter().map(|word| (*word).to_owned()).collect()
}
