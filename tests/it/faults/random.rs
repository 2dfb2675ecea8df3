//! Random schedules of faults, each judged by the same few rules.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::judge::judge;
use super::schedule::{Dice, Schedule};

/// What a plain `cargo test` throws, so that it says the same every time.
const SEED: u64 = 3;
/// How many schedules run at once; most of them wait most of the time.
const AT_ONCE: usize = 24;
/// Longer than the slowest schedule by far.
const HANGS: Duration = Duration::from_secs(60);

/// `ARTISHIM_FAULT_SEED=SEED` throws that seed's schedules, `ARTISHIM_FAULT_SEED=SEED/INDEX` only that one.
fn chosen(count: u64) -> (u64, std::ops::Range<u64>) {
    let Ok(text) = std::env::var("ARTISHIM_FAULT_SEED") else { return (SEED, 0..count) };
    match text.split_once('/') {
        Some((seed, index)) => {
            let index = index.parse().unwrap();
            (seed.parse().unwrap(), index..index + 1)
        }
        None => (text.parse().unwrap(), 0..count),
    }
}

#[track_caller]
fn throw(count: u64) {
    let (seed, indexes) = chosen(count);
    println!("fault schedules of ARTISHIM_FAULT_SEED={seed}");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let failed = runtime.block_on(run_all(seed, indexes));
    runtime.shutdown_background();
    for (index, reason) in &failed {
        let schedule = Schedule::throw(&mut Dice::new(seed, *index));
        println!("{schedule:#?}\n{reason}\nfailed: ARTISHIM_FAULT_SEED={seed}/{index}");
    }
    assert!(failed.is_empty(), "{} schedules of seed {seed} failed", failed.len());
}

/// The schedules that failed, and what was found.
async fn run_all(seed: u64, indexes: std::ops::Range<u64>) -> BTreeMap<u64, String> {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for index in indexes {
        let slot = Arc::clone(&slots).acquire_owned().await.unwrap();
        tasks.spawn(async move {
            let _slot = slot;
            // A task of its own: its panic is told again behind all traces.
            let panic = tokio::spawn(run(seed, index)).await.err()?.into_panic();
            let reason = panic.downcast_ref::<String>().cloned();
            Some((index, reason.unwrap_or_else(|| String::from("see above"))))
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

async fn run(seed: u64, index: u64) {
    let mut dice = Dice::new(seed, index);
    let schedule = Schedule::throw(&mut dice);
    let rig = schedule.rig(u32::try_from(dice.below(1 << 30)).unwrap());
    let pull = tokio::time::timeout(HANGS, rig.pull(schedule.settings())).await;
    let ended = pull.unwrap_or_else(|_| panic!("{seed}/{index} hangs\n{}", rig.story()));
    judge(&schedule, &rig, &ended);
    if ended.is_err() {
        rig.registry.clear_faults();
        let pulled = tokio::time::timeout(HANGS, rig.pull(schedule.settings())).await;
        pulled.unwrap_or_else(|_| panic!("{seed}/{index} hangs the next pull\n{}", rig.story())).unwrap();
        rig.assert_complete();
    }
}

#[test]
fn random_faults_end_with_the_right_bytes_or_an_error_that_names_the_cause() {
    throw(250);
}

#[test]
#[ignore = "takes half a minute; tests/run runs it"]
fn a_thousand_random_faults_end_with_the_right_bytes_or_an_error_that_names_the_cause() {
    throw(1000);
}
