//! A pull and all that goes wrong in it, as data thrown by a die that a seed sets.

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::time::Duration;

use artishim::pull::Settings;

use super::CHUNK;
use super::rig::{Rig, USER};
use crate::common::registry::{Auth, Expiry, Fault, Place, Tags, What};

/// Longer than any pull waits.
const LONG: Duration = Duration::from_secs(600);
const FAILURES: u32 = 8;
/// The seeds that are thrown every time; what failed once and was mended is among them.
const SEEDS: [u64; 4] = [3, 11, 1963, 662_486];

/// Splitmix64: every number is as good as any other, and the same seed gives the same ones.
pub struct Dice(u64);

impl Dice {
    /// The dice of one throw.
    pub fn new(seed: u64, index: u64) -> Self {
        Self(seed ^ Self(index).next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    /// True in so many of a hundred throws.
    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// A number of the range.
    pub fn within(&mut self, range: &Range<usize>) -> usize {
        range.start + self.below(range.end - range.start)
    }

    /// A time of the range.
    pub fn time(&mut self, range: &Range<Duration>) -> Duration {
        let micros = |time: Duration| usize::try_from(time.as_micros()).unwrap();
        Duration::from_micros(self.within(&(micros(range.start)..micros(range.end))) as u64)
    }

    pub fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }
}

/// One throw among many of a seed.
#[derive(Clone, Copy, Debug)]
pub struct Throw {
    pub seed: u64,
    pub index: u64,
}

impl Throw {
    pub fn dice(self) -> Dice {
        Dice::new(self.seed, self.index)
    }
}

/// `count` throws of each seed that is thrown every time.
///
/// `ARTISHIM_FAULT_SEED=SEED` throws that seed's, `ARTISHIM_FAULT_SEED=SEED/INDEX` only that one, and
/// `ARTISHIM_FAULT_SEED=new` those of a seed that never was before.
pub fn throws(count: u64) -> Vec<Throw> {
    let seeds = match named() {
        Some((seed, Some(index))) => return vec![Throw { seed, index }],
        Some((seed, None)) => vec![seed],
        None => SEEDS.to_vec(),
    };
    println!("throws {count} times each: ARTISHIM_FAULT_SEED={seeds:?}");
    seeds.into_iter().flat_map(|seed| (0..count).map(move |index| Throw { seed, index })).collect()
}

/// The seed that is named, or a new one.
pub fn seed() -> u64 {
    named().map_or_else(new_seed, |(seed, _)| seed)
}

fn named() -> Option<(u64, Option<u64>)> {
    let text = std::env::var("ARTISHIM_FAULT_SEED").ok()?;
    if text == "new" {
        return Some((new_seed(), None));
    }
    let (seed, index) = text.split_once('/').map_or((text.as_str(), None), |(seed, index)| (seed, Some(index)));
    Some((seed.parse().unwrap(), index.map(|index| index.parse().unwrap())))
}

/// One that can be typed.
fn new_seed() -> u64 {
    RandomState::new().hash_one(()) % 1_000_000
}

/// Which requests a fault is for.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// Those for one file, at the registry and elsewhere.
    File(usize),
    /// Those for any file or the config.
    Blobs,
    /// Those at the place blobs are redirected to.
    Elsewhere,
    Manifests,
}

#[derive(Debug)]
pub struct Schedule {
    pub sizes: Vec<usize>,
    pub connections: usize,
    /// How many bytes are written before they are noted.
    pub note: u64,
    pub auth: Auth,
    pub redirect: Option<Expiry>,
    pub tags: Tags,
    /// The path of each fault is that of its target.
    pub faults: Vec<(Target, Fault)>,
}

impl Schedule {
    pub fn throw(dice: &mut Dice) -> Self {
        let sizes: Vec<usize> = (0..=dice.below(4)).map(|_| size(dice)).collect();
        let faults = (0..dice.below(7)).map(|_| fault(dice, &sizes)).collect();
        Self {
            connections: 1 + dice.below(8),
            note: if dice.chance(25) { CHUNK as u64 } else { Settings::default().note },
            auth: auth(dice),
            redirect: dice.chance(40).then(|| expiry(dice)),
            tags: dice.pick(&[Tags::None, Tags::None, Tags::Strong, Tags::Strong, Tags::Weak, Tags::Unsteady]),
            sizes,
            faults,
        }
    }

    /// The same with files that are larger than what a reader may be behind.
    pub fn enlarged(mut self) -> Self {
        for size in self.sizes.iter_mut().filter(|size| **size > CHUNK) {
            *size *= 4;
        }
        self
    }

    pub fn settings(&self) -> Settings {
        Settings {
            connections: self.connections,
            chunk: CHUNK as u64,
            note: self.note,
            stall: Duration::from_millis(300),
            pause: Duration::from_millis(4),
            failures: FAILURES,
            ..Settings::default()
        }
    }

    /// A registry that behaves so.
    pub fn rig(&self, seed: u32) -> Rig {
        let rig = Rig::new(&self.sizes, seed);
        rig.registry.require(self.auth.clone());
        rig.registry.tag_blobs(self.tags);
        if let Some(expiry) = self.redirect {
            rig.registry.redirect_blobs_until(expiry);
        }
        for (target, fault) in &self.faults {
            let path = match target {
                Target::File(number) => rig.files[*number].digest.clone(),
                Target::Blobs => String::from("/blobs/"),
                Target::Elsewhere => String::from("/cdn/"),
                Target::Manifests => String::from("/manifests/"),
            };
            rig.registry.fault(Fault { path, ..fault.clone() });
        }
        rig
    }
}

fn size(dice: &mut Dice) -> usize {
    match dice.below(8) {
        0 => dice.pick(&[0, 1]),
        1 => dice.below(CHUNK),
        2 => dice.pick(&[CHUNK - 1, CHUNK, CHUNK + 1]),
        3 => CHUNK * (2 + dice.below(6)),
        _ => CHUNK * (1 + dice.below(6)) + dice.below(CHUNK),
    }
}

fn auth(dice: &mut Dice) -> Auth {
    match dice.below(4) {
        0 => Auth::Basic { user: USER.0, password: USER.1 },
        1 => Auth::Bearer { user: Some(USER), refresh_token: None, uses: 20 + dice.below(20) },
        2 => Auth::Bearer { user: None, refresh_token: None, uses: 20 + dice.below(20) },
        _ => Auth::Open,
    }
}

fn expiry(dice: &mut Dice) -> Expiry {
    let status = dice.pick(&[400, 401, 403, 410]);
    match dice.below(3) {
        0 => Expiry { uses: 2 + dice.below(8), status, ..Expiry::NEVER },
        1 => Expiry { age: Duration::from_millis(600 + dice.below(300) as u64), status, ..Expiry::NEVER },
        _ => Expiry::NEVER,
    }
}

fn fault(dice: &mut Dice, sizes: &[usize]) -> (Target, Fault) {
    let number = dice.below(sizes.len());
    let (target, what) = match dice.below(20) {
        0 => (Target::Manifests, dice.pick(&[What::Close, What::status(503), What::CutAfter(5)])),
        1 => (Target::Blobs, passing(dice)),
        2 | 3 => (Target::Elsewhere, passing(dice)),
        4..=6 => (Target::File(number), lasting(dice, sizes[number])),
        7..=10 => (Target::File(number), misleading(dice)),
        _ => (Target::File(number), passing(dice)),
    };
    let always = dice.chance(10) && !matches!(what, What::Down(_) | What::Late(_) | What::Stall { .. });
    let times = if always { usize::MAX } else { 1 + dice.below(3) };
    let place = place(dice, &what, sizes[number]);
    let after = if dice.chance(50) { 0 } else { dice.below(8) };
    let times = if matches!(target, Target::Manifests) { times.min(2) } else { times };
    (target, Fault::once("", what).times(times).after(after).at(place))
}

fn place(dice: &mut Dice, what: &What, size: usize) -> Place {
    match what {
        // What is wrong with a whole blob is another thing, which no other way round leads to.
        What::Truncate(_) | What::Status { status: 416, .. } => Place::Parts,
        What::WrongByte(at) => Place::Covers(*at as u64),
        _ if dice.chance(20) => Place::Covers(dice.below(size.max(1)) as u64),
        _ if dice.chance(10) => Place::StartsIn(dice.below(size.max(1)) as u64..u64::MAX),
        _ => Place::Anywhere,
    }
}

/// What a later try does not meet again.
fn passing(dice: &mut Dice) -> What {
    match dice.below(12) {
        0 | 1 => What::Close,
        2..=4 => What::CutAfter(dice.below(CHUNK)),
        5 => What::Down(Duration::from_millis(1 + dice.below(60) as u64)),
        6 => What::Stall { after: dice.below(CHUNK), pause: LONG },
        7 => What::Late(LONG),
        8 => What::Slow(2_000 + dice.below(200_000)),
        9 if dice.chance(20) => What::busy(dice.pick(&[429, 503]), 1),
        _ => What::status(dice.pick(&[408, 429, 500, 502, 503, 504])),
    }
}

/// What is allowed, or leads to another way of asking.
fn misleading(dice: &mut Dice) -> What {
    match dice.below(12) {
        0 | 1 => What::IgnoreRange,
        2 => What::StartLate(1 + dice.below(CHUNK)),
        3 => What::EndLate(1 + dice.below(CHUNK)),
        4 => What::Truncate(dice.below(CHUNK)),
        5 => What::Shorter(5_000 + dice.below(CHUNK)),
        6 => What::Unframed,
        7 => What::Chunked,
        8 => What::Multipart,
        9 => What::ContentRange("bytes 7-9/10"),
        10 => What::Late(Duration::from_millis(dice.below(60) as u64)),
        _ => What::status(416),
    }
}

/// What may end a pull.
fn lasting(dice: &mut Dice, size: usize) -> What {
    match dice.below(5) {
        0 => What::WrongByte(dice.below(size.max(1))),
        1 => What::Changed,
        2 => What::Gzip,
        _ => What::status(dice.pick(&[400, 401, 403, 404, 410, 501])),
    }
}
