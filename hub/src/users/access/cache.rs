//! Answers of reviews, for a short time.
//!
//! In: hashed keys, values. Out: values that are young enough. Law: never older than its life, never more entries than
//! its bound. Not: what the values mean.

use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Longest time that an answer is believed: as long as a withdrawn right may live on.
pub const LIFE: Duration = Duration::from_secs(10);

/// Most answers at a time: about 1.5 MiB of hashes and small values.
pub const ENTRIES: usize = 10_000;

/// A key: SHA-256, so that no token is kept.
pub type Key = [u8; 32];

/// The key of these parts. Each part's length goes in, so that no two lists have one key.
pub fn key<'a>(parts: impl IntoIterator<Item = &'a str>) -> Key {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update((part.len() as u64).to_be_bytes());
        sha.update(part.as_bytes());
    }
    sha.finalize().into()
}

/// The cache.
#[derive(Debug)]
pub struct Cache<V> {
    entries: Mutex<HashMap<Key, (Instant, V)>>,
    bound: usize,
}

impl<V: Clone> Cache<V> {
    /// An empty one with at most this many entries.
    pub fn new(bound: usize) -> Self {
        Self {
            entries: Mutex::default(),
            bound,
        }
    }

    /// The value, if it is young enough.
    pub fn get(&self, key: &Key) -> Option<V> {
        let entries = self.entries();
        let (since, value) = entries.get(key)?;
        (since.elapsed() < LIFE).then(|| value.clone())
    }

    /// Keeps a value from now on.
    pub fn put(&self, key: Key, value: V) {
        let mut entries = self.entries();
        if entries.len() >= self.bound {
            entries.retain(|_, (since, _)| since.elapsed() < LIFE);
        }
        if entries.len() >= self.bound {
            // So many within seconds are guesses or a storm: asking again is cheap, remembering who was first is not.
            entries.clear();
        }
        entries.insert(key, (Instant::now(), value));
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Key, (Instant, V)>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_forgotten_after_its_life_and_the_bound_holds() {
        let cache = Cache::new(2);
        let name = |text| key([text]);
        cache.put(name("a"), 1);
        tokio::time::advance(LIFE / 2).await;
        assert_eq!(cache.get(&name("a")), Some(1));
        tokio::time::advance(LIFE / 2).await;
        assert_eq!(cache.get(&name("a")), None);
        for (text, value) in [("b", 2), ("c", 3), ("d", 4)] {
            cache.put(name(text), value);
        }
        assert_eq!(cache.get(&name("d")), Some(4));
        assert!(cache.entries().len() <= 2);
    }

    #[test]
    fn parts_are_told_apart() {
        assert_ne!(key(["ab", "c"]), key(["a", "bc"]));
        assert_ne!(key(["a"]), key(["a", ""]));
    }
}
