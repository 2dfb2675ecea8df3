//! What must hold of every pull, whatever went wrong in it.

use artishim::pull::Settings;

use super::CHUNK;
use super::rig::Rig;
use super::schedule::{Schedule, Target};
use crate::common::registry::{Auth, Fault, Request, Tags, What};

/// Checks the end of a pull by `schedule`.
#[track_caller]
pub fn judge(schedule: &Schedule, rig: &Rig, ended: &Result<(), String>) {
    match ended {
        Ok(()) => rig.assert_complete(),
        Err(error) => {
            rig.assert_invisible();
            assert!(is_named(schedule, error), "{error:?} names nothing that was done\n{}", rig.story());
            // One change is begun anew, as long as it does not cost more than the blob again.
            let spoiled = rig.requests().iter().filter(|request| request.spoiled).count();
            let keeps_changing = spoiled > 1 && error.contains("changed while it was being read");
            assert!(keeps_changing || !must_succeed(schedule), "this can be overcome: {error}\n{}", rig.story());
            assert!(!error.contains("secret"), "{error}");
        }
    }
    judge_bytes(schedule, rig);
    judge_requests(schedule, rig);
}

/// No more than twice the bytes, but for answers that no client can use.
#[track_caller]
fn judge_bytes(schedule: &Schedule, rig: &Rig) {
    let resends_all = schedule.faults.iter().any(|(_, fault)| is_about_ranges(&fault.what));
    let excused = |request: &Request| match request {
        // A registry that gives no ranges sends all again after a break.
        Request { broken: true, status: 200, .. } if resends_all => request.sent,
        // How much of it lies in the system's buffers when it is refused is not the client's choice.
        Request { spoiled: true, .. } => request.sent,
        _ => 0,
    };
    let requests = rig.requests();
    let (sent, excused): (u64, u64) = (rig.sent(), requests.iter().map(excused).sum());
    let most = 2 * rig.size() + excused;
    assert!(sent <= most, "{sent} bytes were sent for {}, {excused} excused\n{}", rig.size(), rig.story());
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
