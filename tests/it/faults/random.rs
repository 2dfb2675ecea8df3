//! Random schedules of faults, each judged by the same few rules.

use std::sync::Arc;
use std::time::Duration;

use artishim::pull::Settings;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::judge;
use super::schedule::{Schedule, Throw, throws};
use super::stream::{Reader, window};
use crate::common::registry::Tags;

/// How many schedules run at once; most of them wait most of the time.
const AT_ONCE: usize = 24;
/// Longer than the slowest schedule by far.
const HANGS: Duration = Duration::from_secs(60);

/// Runs all throws, and tells those that failed so that they can be thrown again.
#[track_caller]
fn run_all<F>(throws: Vec<Throw>, run: impl Fn(Throw) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let failed = runtime.block_on(failures(throws, run));
    runtime.shutdown_background();
    for (Throw { seed, index }, reason) in &failed {
        println!("{reason}\nfailed: ARTISHIM_FAULT_SEED={seed}/{index}");
    }
    let named: Vec<_> = failed.iter().map(|(Throw { seed, index }, _)| format!("{seed}/{index}")).collect();
    assert!(failed.is_empty(), "{} schedules failed: ARTISHIM_FAULT_SEED={}", named.len(), named.join(", "));
}

/// The throws that failed, and what was found.
async fn failures<F>(throws: Vec<Throw>, run: impl Fn(Throw) -> F) -> Vec<(Throw, String)>
where
    F: Future<Output = ()> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for throw in throws {
        let slot = Arc::clone(&slots).acquire_owned().await.unwrap();
        // A task of its own: its panic is told again behind all traces.
        let running = tokio::spawn(run(throw));
        tasks.spawn(async move {
            let _slot = slot;
            let panic = running.await.err()?.into_panic();
            let reason = panic.downcast_ref::<String>().cloned().unwrap_or_else(|| String::from("see above"));
            let schedule = Schedule::throw(&mut throw.dice());
            Some((throw, format!("{schedule:#?}\n{reason}")))
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

async fn pull(throw: Throw) {
    let mut dice = throw.dice();
    let schedule = Schedule::throw(&mut dice);
    let rig = schedule.rig(u32::try_from(dice.below(1 << 30)).unwrap());
    let pull = tokio::time::timeout(HANGS, rig.pull(schedule.settings())).await;
    let ended = pull.unwrap_or_else(|_| panic!("{throw:?} hangs\n{}", rig.story()));
    judge::pull(&schedule, &rig, &ended);
    if ended.is_err() {
        rig.registry.clear_faults();
        let pulled = tokio::time::timeout(HANGS, rig.pull(schedule.settings())).await;
        pulled.unwrap_or_else(|_| panic!("{throw:?} hangs the next pull\n{}", rig.story())).unwrap();
        rig.assert_complete();
    }
}

/// The same without a store, by a reader that takes its time or does not.
async fn stream(throw: Throw) {
    let mut dice = throw.dice();
    let schedule = Schedule::throw(&mut dice).enlarged();
    let rig = schedule.rig(u32::try_from(dice.below(1 << 30)).unwrap());
    let reader = Reader::throw(&mut dice);
    let settings = Settings { window: window(&mut dice), ..schedule.settings() };
    let read = tokio::time::timeout(HANGS, rig.read(settings, reader)).await;
    let ended = read.unwrap_or_else(|_| panic!("{throw:?} hangs for {reader:?}\n{}", rig.story()));
    judge::stream(&schedule, settings, &rig, &ended);
    if ended.is_err() {
        rig.registry.clear_faults();
        rig.registry.tag_blobs(Tags::None);
        let read = tokio::time::timeout(HANGS, rig.read(settings, reader)).await;
        read.unwrap_or_else(|_| panic!("{throw:?} hangs the next time\n{}", rig.story())).unwrap();
    }
}

#[test]
fn random_faults_end_with_the_right_bytes_or_an_error_that_names_the_cause() {
    run_all(throws(60), pull);
}

#[test]
#[ignore = "takes half a minute; tests/run runs it"]
fn a_thousand_random_faults_end_with_the_right_bytes_or_an_error_that_names_the_cause() {
    run_all(throws(250), pull);
}

#[test]
fn streams_with_random_faults_end_with_the_right_bytes_or_an_error_that_names_the_cause() {
    run_all(throws(10), stream);
}

#[test]
#[ignore = "takes half a minute; tests/run runs it"]
fn three_hundred_streams_with_random_faults_end_with_the_right_bytes_or_an_error_that_names_the_cause() {
    run_all(throws(75), stream);
}
