//! Which entries are to be looked at: each at most once at a time, however often it is asked for.
//!
//! In: keys, at once or after a time. Out: one key per free worker. Law: a key that is asked for while it is worked on is
//! worked on again; the queue never holds more than one place per key. Not: what is done with it (`applier.rs`).

use segment_core::ids::KeyHash;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The queue.
#[derive(Debug, Default)]
pub struct Queue {
    inner: Mutex<Inner>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    ready: VecDeque<KeyHash>,
    queued: HashSet<KeyHash>,
    working: HashSet<KeyHash>,
    again: HashSet<KeyHash>,
    timers: BTreeSet<(Instant, KeyHash)>,
    timer_of: HashMap<KeyHash, Instant>,
}

impl Inner {
    fn push(&mut self, key: KeyHash) -> bool {
        self.cancel(key);
        if self.working.contains(&key) {
            self.again.insert(key);
            return false;
        }
        let new = self.queued.insert(key);
        if new {
            self.ready.push_back(key);
        }
        new
    }

    fn cancel(&mut self, key: KeyHash) {
        if let Some(at) = self.timer_of.remove(&key) {
            self.timers.remove(&(at, key));
        }
    }

    fn ring(&mut self, now: Instant) {
        while let Some(&(at, key)) = self.timers.first() {
            if at > now {
                break;
            }
            self.push(key);
        }
    }
}

impl Queue {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at an entry as soon as a worker is free.
    pub fn push(&self, key: KeyHash) {
        if self.inner().push(key) {
            self.wake.notify_one();
        }
    }

    /// Looks at entries as soon as workers are free.
    pub fn extend(&self, keys: impl IntoIterator<Item = KeyHash>) {
        for key in keys {
            self.push(key);
        }
    }

    /// Looks at an entry after a time, unless it is looked at before.
    pub fn push_after(&self, key: KeyHash, after: Duration) {
        let at = Instant::now() + after;
        let mut inner = self.inner();
        if inner.timer_of.get(&key).is_some_and(|old| *old <= at) {
            return;
        }
        inner.cancel(key);
        inner.timers.insert((at, key));
        inner.timer_of.insert(key, at);
        drop(inner);
        self.wake.notify_one();
    }

    /// The next entry to look at; [`Self::done`] has to follow.
    pub async fn next(&self) -> KeyHash {
        loop {
            let woken = self.wake.notified();
            let sleep = {
                let mut inner = self.inner();
                inner.ring(Instant::now());
                if let Some(key) = inner.ready.pop_front() {
                    inner.queued.remove(&key);
                    inner.working.insert(key);
                    // A wake-up may have been for more than one.
                    if !inner.ready.is_empty() {
                        self.wake.notify_one();
                    }
                    return key;
                }
                inner.timers.first().map(|(at, _)| *at)
            };
            match sleep {
                Some(at) => tokio::select! {
                    () = woken => {}
                    () = tokio::time::sleep_until(at) => {}
                },
                None => woken.await,
            }
        }
    }

    /// A look has ended.
    pub fn done(&self, key: KeyHash) {
        let mut inner = self.inner();
        inner.working.remove(&key);
        if inner.again.remove(&key) && inner.push(key) {
            drop(inner);
            self.wake.notify_one();
        }
    }

    /// Entries that wait for a worker.
    pub fn len(&self) -> usize {
        self.inner().ready.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Delays by key: doubled with each failure, forgotten with a success.
#[derive(Debug, Default)]
pub struct Backoffs(Mutex<BTreeMap<KeyHash, segment_runtime::backoff::Backoff>>);

impl Backoffs {
    /// The delay before the next try.
    pub fn failed(&self, key: KeyHash, retry_after: Option<Duration>) -> Duration {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(key)
            .or_insert_with(segment_runtime::backoff::Backoff::api)
            .delay(retry_after)
    }

    /// Whether the last try failed.
    pub fn has_failed(&self, key: KeyHash) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.contains_key(&key)
    }

    /// It went well.
    pub fn succeeded(&self, key: KeyHash) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> KeyHash {
        KeyHash([n; 16])
    }

    #[tokio::test]
    async fn a_key_is_worked_on_once_at_a_time_and_again_when_it_was_asked_for_meanwhile() {
        let queue = Queue::default();
        queue.extend([key(1), key(1), key(2)]);
        assert_eq!((queue.next().await, queue.next().await), (key(1), key(2)));
        queue.push(key(1));
        queue.push(key(1));
        assert!(queue.is_empty(), "not while it is worked on");
        queue.done(key(1));
        assert_eq!(queue.next().await, key(1));
        queue.done(key(1));
        assert!(queue.is_empty());
    }

    #[test]
    fn a_failure_is_known_until_it_goes_well() {
        let backoffs = Backoffs::default();
        assert!(!backoffs.has_failed(key(1)));
        backoffs.failed(key(1), None);
        assert!(backoffs.has_failed(key(1)) && !backoffs.has_failed(key(2)));
        backoffs.succeeded(key(1));
        assert!(!backoffs.has_failed(key(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_rings_once_and_an_earlier_look_cancels_it() {
        let queue = Queue::default();
        let start = Instant::now();
        queue.push_after(key(1), Duration::from_secs(5));
        queue.push_after(key(1), Duration::from_secs(9));
        assert_eq!(queue.next().await, key(1));
        assert_eq!(start.elapsed().as_secs(), 5, "the earlier one counts");
        queue.done(key(1));
        queue.push_after(key(1), Duration::from_secs(5));
        queue.push(key(1));
        assert_eq!(queue.next().await, key(1));
        queue.done(key(1));
        assert!(queue.inner().timers.is_empty());
    }
}
