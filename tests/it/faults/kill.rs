//! The program itself, killed at any moment of one pull.

use std::process::Child;
use std::time::{Duration, Instant};

use artishim::pull::Settings;

use super::schedule::Dice;
use crate::common::registry::Registry;
use crate::common::{Home, assert_sound, bytes, modelpack};

const MIB: usize = 1 << 20;
const CONNECTIONS: usize = 4;

/// Kills one pull of `size` bytes up to `kills` times, each after at most `longest`, and lets it end then.
fn kill(size: usize, bytes_per_second: usize, kills: u64, longest: Duration) {
    let seed = std::env::var("ARTISHIM_FAULT_SEED").map_or(11, |seed| seed.split('/').next().unwrap().parse().unwrap());
    let mut dice = Dice::new(seed, 0);
    let (home, registry) = (Home::new(), Registry::start());
    let model = model(size);
    let reference = modelpack(&registry, "acme/killed", &[("killed.gguf", &model)]);
    registry.limit_rate(bytes_per_second);
    let arguments = ["pull", "--quiet", "--connections", &CONNECTIONS.to_string(), &reference];
    let mut killed = 0;
    while killed < kills {
        let micros = dice.below(usize::try_from(longest.as_micros()).unwrap());
        if !lives_until(home.spawn(&arguments), Duration::from_micros(micros as u64)) {
            break;
        }
        killed += 1;
    }
    assert_sound(&home.store());
    home.artishim(&arguments).success();
    assert_sound(&home.store());
    let entry = home.artishim(&["path", &reference]).success();
    assert!(std::fs::read(entry.trim_end()).unwrap() == model, "the bytes are wrong");
    let sent = registry.sent("/blobs/");
    let ratio = sent as f64 / size as f64;
    println!("seed {seed}: {killed} kills, {sent} bytes sent for {size}, {ratio:.2} times");
    let most = size as u64 + killed * CONNECTIONS as u64 * Settings::default().chunk;
    assert!(killed >= kills / 4 && sent <= most, "{killed} kills, {sent} bytes sent, {most} at most");
}

/// Kills the program then; false if it had ended.
fn lives_until(mut pull: Child, age: Duration) -> bool {
    let end = Instant::now() + age;
    while Instant::now() < end {
        if let Some(status) = pull.try_wait().unwrap() {
            assert!(status.success(), "a pull ended badly: {status}");
            return false;
        }
        std::thread::sleep(Duration::from_millis(1).min(age));
    }
    pull.kill().unwrap();
    // It may have ended between the two.
    let status = pull.wait().unwrap();
    assert!(status.success() || status.code().is_none(), "{status}");
    true
}

/// Bytes no two blocks of which are alike.
fn model(size: usize) -> Vec<u8> {
    let block = bytes(7, 4096);
    let mut model: Vec<u8> = block.iter().copied().cycle().take(size).collect();
    for (number, block) in model.chunks_exact_mut(4096).enumerate() {
        block[..8].copy_from_slice(&number.to_le_bytes());
    }
    model
}

#[test]
fn a_pull_killed_again_and_again_ends_right() {
    kill(64 * MIB, 100 * MIB, 12, Duration::from_millis(400));
}

#[test]
#[ignore = "takes a minute; tests/run runs it"]
fn two_hundred_kills_of_one_pull_end_right() {
    kill(256 * MIB, 20 * MIB, 200, Duration::from_millis(100));
}
