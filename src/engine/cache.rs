use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// For what cannot change.
pub(super) const FOREVER: Duration = Duration::from_secs(365 * 86_400);
/// More answers than this are not kept; the oldest go.
const MOST: usize = 500;

/// Answers of engines that are worth a file, because asking costs a container.
///
/// It is only a cache: a file that cannot be read or written is as good as none, and a broken one is written anew.
#[derive(Clone, Debug)]
pub struct Cache {
    path: Option<PathBuf>,
}

#[derive(Serialize, Deserialize)]
struct Answer {
    value: String,
    /// Seconds since 1970.
    at: u64,
}

type Answers = BTreeMap<String, Answer>;

impl Cache {
    /// The cache in this file, which need not exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: Some(path.into()) }
    }

    /// A cache that forgets everything at once.
    pub const fn none() -> Self {
        Self { path: None }
    }

    /// The answer remembered under `key`, unless it is older than `age`.
    pub(super) fn recall(&self, key: &str, age: Duration) -> Option<String> {
        let answer = self.read().remove(key)?;
        let elapsed = now().checked_sub(answer.at)?;
        (elapsed < age.as_secs()).then_some(answer.value)
    }

    /// Remembers an answer from now on.
    pub(super) fn remember(&self, key: &str, value: &str) {
        let Some(path) = &self.path else { return };
        let mut answers = self.read();
        answers.insert(key.to_owned(), Answer { value: value.to_owned(), at: now() });
        while answers.len() > MOST {
            let oldest = answers.iter().min_by_key(|(_, answer)| answer.at).map(|(key, _)| key.clone());
            oldest.and_then(|key| answers.remove(&key));
        }
        if let Err(error) = write(path, &answers) {
            tracing::debug!(path = %path.display(), %error, "an engine's answer is not remembered");
        }
    }

    fn read(&self) -> Answers {
        let bytes = self.path.as_ref().and_then(|path| fs::read(path).ok());
        bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }
}

fn write(path: &Path, answers: &Answers) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(path, serde_json::to_vec(answers)?)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_answer_makes_the_directory() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let cache = Cache::new(directory.path().join("cache/engines.json"));
        cache.remember("key", "value");
        assert_eq!(cache.recall("key", FOREVER).as_deref(), Some("value"));
    }

    #[test]
    fn answers_are_kept_until_they_are_too_old() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let cache = Cache::new(directory.path().join("engines.json"));
        cache.remember("one", "yes");
        cache.remember("two", "no");
        assert_eq!(cache.recall("one", FOREVER).as_deref(), Some("yes"));
        assert_eq!(cache.recall("two", FOREVER).as_deref(), Some("no"));
        assert_eq!(cache.recall("one", Duration::ZERO), None);
        assert_eq!(cache.recall("three", FOREVER), None);
    }

    #[test]
    fn a_broken_cache_is_written_anew() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("engines.json");
        fs::write(&path, "{\"one\":").expect("writes");
        let cache = Cache::new(&path);
        assert_eq!(cache.recall("one", FOREVER), None);
        cache.remember("one", "yes");
        assert_eq!(cache.recall("one", FOREVER).as_deref(), Some("yes"));
    }

    #[test]
    fn an_answer_from_the_future_does_not_count() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("engines.json");
        fs::write(&path, format!(r#"{{"one":{{"value":"yes","at":{}}}}}"#, now() + 1000)).expect("writes");
        assert_eq!(Cache::new(&path).recall("one", FOREVER), None);
    }
}
