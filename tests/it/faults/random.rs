//! Random schedules of faults, each judged by the same few rules.

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
    for index in &failed {
        let schedule = Schedule::throw(&mut Dice::new(seed, *index));
        println!("failed: ARTISHIM_FAULT_SEED={seed}/{index}\n{schedule:#?}");
    }
    assert!(failed.is_empty(), "{} schedules of seed {seed} failed: {failed:?}", failed.len());
}

async fn run_all(seed: u64, indexes: std::ops::Range<u64>) -> Vec<u64> {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for index in indexes {
        let slot = Arc::clone(&slots).acquire_owned().await.unwrap();
        tasks.spawn(async move {
            let _slot = slot;
            // A task of its own: a panic has been printed, and is only counted here.
            let run = tokio::spawn(run(seed, index)).await;
            run.is_err().then_some(index)
        });
    }
    let mut failed: Vec<u64> = tasks.join_all().await.into_iter().flatten().collect();
    failed.sort_unstable();
    failed
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
