//! What ordered runs share with the agent's other tasks.
//!
//! In: orders and requests of the stream, changes that the observer saw. Out: all that waits for the task of runs; to the
//! applier, which CronJobs are suspended for a run. Law: bounded: one that finds no room is refused. Not: decisions.

use segment_core::apply::Suspension;
use segment_core::ids::{KeyHash, RunId};
use segment_core::run_order::RunOrder;
use segment_core::run_order::known::KNOWN_RUNS;
use segment_proto::convert::frame::UnreadableRun;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// What waits for the task of runs.
#[derive(Debug, Default)]
pub struct Waiting {
    /// Orders, each once.
    pub orders: BTreeMap<RunId, Arc<RunOrder>>,
    /// Orders that can't be read.
    pub unreadable: Vec<UnreadableRun>,
    /// A hub is obeyed anew: it may not know how the runs are.
    pub tell: bool,
}

#[derive(Debug, Default)]
struct Suspensions {
    now: HashMap<KeyHash, Suspension>,
    over: Arc<BTreeSet<String>>,
}

/// What is shared.
#[derive(Debug, Default)]
pub struct SharedRuns {
    waiting: Mutex<Waiting>,
    suspensions: Mutex<Suspensions>,
    notify: Notify,
    obeying: AtomicBool,
    open: AtomicBool,
}

impl SharedRuns {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn suspensions(&self) -> MutexGuard<'_, Suspensions> {
        self.suspensions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Orders came. What finds no room is not taken: the hub sends it again on its next stream, or it expires.
    pub fn put(&self, orders: Vec<Arc<RunOrder>>, unreadable: Vec<UnreadableRun>) {
        let mut waiting = self.waiting();
        for order in orders {
            if waiting.orders.len() < KNOWN_RUNS {
                waiting.orders.insert(order.id, order);
            } else {
                tracing::warn!(run = %order.id, "too many orders to run at once");
            }
        }
        let room = KNOWN_RUNS.saturating_sub(waiting.unreadable.len());
        waiting.unreadable.extend(unreadable.into_iter().take(room));
        drop(waiting);
        self.notify.notify_one();
    }

    /// A hub is obeyed on a new stream, or on none any more.
    pub fn obeying(&self, obeying: bool) {
        self.obeying.store(obeying, Ordering::Relaxed);
        if obeying {
            self.waiting().tell = true;
            self.notify.notify_one();
        }
    }

    /// What is told now reaches a hub.
    pub fn is_obeying(&self) -> bool {
        self.obeying.load(Ordering::Relaxed)
    }

    /// Something of a CronJob, a Job or a Pod changed.
    pub fn changed(&self) {
        if self.open.load(Ordering::Relaxed) {
            self.notify.notify_one();
        }
    }

    /// Whether there is a run that changes matter to.
    pub fn set_open(&self, open: bool) {
        self.open.store(open, Ordering::Relaxed);
    }

    /// Waits for news.
    pub async fn news(&self) {
        self.notify.notified().await;
    }

    /// All that waits.
    pub fn take(&self) -> Waiting {
        std::mem::take(&mut *self.waiting())
    }

    /// The run that a CronJob is to be suspended for, and the Jobs that are known to be over.
    pub fn suspension(&self, key: KeyHash) -> (Option<Suspension>, Arc<BTreeSet<String>>) {
        let suspensions = self.suspensions();
        (
            suspensions.now.get(&key).cloned(),
            Arc::clone(&suspensions.over),
        )
    }

    /// The CronJob of an entry is suspended for a run from now on.
    pub fn suspend(&self, key: KeyHash, suspension: Suspension) {
        let mut suspensions = self.suspensions();
        if suspensions.over.contains(&suspension.job) {
            Arc::make_mut(&mut suspensions.over).remove(&suspension.job);
        }
        suspensions.now.insert(key, suspension);
    }

    /// The suspension for this Job is over. True where the entry is to be looked at.
    pub fn resume(&self, key: KeyHash, job: &str) -> bool {
        let mut suspensions = self.suspensions();
        if suspensions.over.contains(job) {
            return false;
        }
        let over = Arc::make_mut(&mut suspensions.over);
        // Of runs that are not remembered any more: their annotations have gone long ago.
        if over.len() >= 2 * KNOWN_RUNS {
            over.clear();
        }
        over.insert(job.to_owned());
        if suspensions
            .now
            .get(&key)
            .is_some_and(|suspension| suspension.job == job)
        {
            suspensions.now.remove(&key);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suspension(job: &str) -> Suspension {
        Suspension {
            job: job.to_owned(),
            until: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn the_end_of_one_run_is_not_the_end_of_the_next_ones_suspension() {
        let runs = SharedRuns::default();
        let key = KeyHash([1; 16]);
        runs.suspend(key, suspension("a"));
        assert!(runs.resume(key, "a") && !runs.resume(key, "a"), "once");
        assert_eq!(runs.suspension(key).0, None);
        runs.suspend(key, suspension("b"));
        runs.resume(key, "a");
        let (now, over) = runs.suspension(key);
        assert_eq!(now, Some(suspension("b")));
        assert!(over.contains("a") && !over.contains("b"));
        runs.suspend(key, suspension("a"));
        assert!(!runs.suspension(key).1.contains("a"), "it begins anew");
    }
}
