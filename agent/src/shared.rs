//! What the agent's tasks share.
//!
//! In, Out: values behind short locks. Law: no lock is held over an await; only `held.rs` writes entries and hub.
//! Not: decisions.

use crate::health::Health;
use crate::ledger::Runs;
use crate::logs::LogRequests;
use crate::metrics::Metrics;
use crate::observer::cache::Cache;
use crate::policy::PolicyState;
use crate::queue::{Backoffs, Queue};
use crate::reporter::Reports;
use crate::runs::SharedRuns;
use jiff::Timestamp;
use segment_core::apply::{Record, held_place};
use segment_core::assignment::Entry;
use segment_core::ids::{HubId, KeyHash, Namespace};
use segment_core::report::State;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long after the start lists are waited for.
const LISTS_DEADLINE: Duration = Duration::from_secs(10);

/// What the agent's tasks share.
#[derive(Debug)]
pub struct Shared {
    entries: RwLock<BTreeMap<KeyHash, Arc<Entry>>>,
    hub: RwLock<Option<HubId>>,
    records: Mutex<HashMap<KeyHash, Record>>,
    waiting: Mutex<HashMap<KeyHash, Timestamp>>,
    started: Instant,
    /// What the watches show.
    pub cache: Cache,
    /// Entries to be looked at.
    pub queue: Queue,
    /// Delays after failures.
    pub backoffs: Backoffs,
    /// Reports.
    pub reports: Reports,
    /// Ordered runs.
    pub runs: SharedRuns,
    /// Logs that are asked for.
    pub logs: LogRequests,
    /// The ledger of runs.
    pub ledger: Runs,
    /// The agent's own faults.
    pub health: Health,
    /// The local policy.
    pub policy: watch::Receiver<PolicyState>,
    /// Metrics.
    pub metrics: Metrics,
}

impl Shared {
    /// With what the store held.
    #[allow(
        clippy::too_many_arguments,
        reason = "the parts that only the composition root has"
    )]
    pub fn new(
        entries: BTreeMap<KeyHash, Arc<Entry>>,
        hub: Option<HubId>,
        records: impl IntoIterator<Item = (KeyHash, Record)>,
        ledger: Runs,
        policy: watch::Receiver<PolicyState>,
        health: Health,
        metrics: Metrics,
    ) -> Self {
        metrics
            .entries
            .set(i64::try_from(entries.len()).unwrap_or(i64::MAX));
        Self {
            entries: RwLock::new(entries),
            hub: RwLock::new(hub),
            records: Mutex::new(records.into_iter().collect()),
            waiting: Mutex::default(),
            started: Instant::now(),
            cache: Cache::default(),
            queue: Queue::default(),
            backoffs: Backoffs::default(),
            reports: Reports::default(),
            runs: SharedRuns::default(),
            logs: LogRequests::default(),
            ledger,
            health,
            policy,
            metrics,
        }
    }

    /// An entry.
    pub fn entry(&self, key: KeyHash) -> Option<Arc<Entry>> {
        self.entries
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            .cloned()
    }

    /// Whether a look at an entry has to wait: nothing is remembered of it, and where its CronJob may be is not known
    /// before all lists are there. One list that never comes holds nobody up for long.
    pub fn is_too_early(&self, record: &Record) -> bool {
        record.applied.is_none()
            && self.started.elapsed() < LISTS_DEADLINE
            && self
                .policy
                .borrow()
                .policy()
                .is_ok_and(|policy| !self.cache.all_listed(policy.namespaces.keys()))
    }

    /// All keys.
    pub fn keys(&self) -> Vec<KeyHash> {
        self.entries
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .keys()
            .copied()
            .collect()
    }

    /// Keys of entries whose CronJob is to be in a namespace.
    pub fn keys_in(&self, namespace: &Namespace) -> Vec<KeyHash> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let here = entries
            .iter()
            .filter(|(_, entry)| entry.assignment.rendered.template().namespace == *namespace);
        here.map(|(key, _)| *key).collect()
    }

    /// Sets or (with `None`) takes out an entry.
    pub fn set_entry(&self, key: KeyHash, entry: Option<Arc<Entry>>) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        match entry {
            Some(entry) => {
                entries.insert(key, entry);
            }
            None => {
                entries.remove(&key);
            }
        }
        self.metrics
            .entries
            .set(i64::try_from(entries.len()).unwrap_or(i64::MAX));
    }

    /// The hub whose orders are obeyed.
    pub fn hub(&self) -> Option<HubId> {
        self.hub
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// True when it is another than before.
    pub fn set_hub(&self, hub: Option<&HubId>) -> bool {
        let mut known = self.hub.write().unwrap_or_else(PoisonError::into_inner);
        let changed = known.as_ref() != hub;
        if changed {
            *known = hub.cloned();
        }
        changed
    }

    fn records(&self) -> MutexGuard<'_, HashMap<KeyHash, Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was done with an entry.
    pub fn record(&self, key: KeyHash) -> Record {
        self.records().get(&key).cloned().unwrap_or_default()
    }

    /// Remembers what was done. True when it is something else than before.
    pub fn set_record(&self, key: KeyHash, record: Record) -> bool {
        let mut records = self.records();
        let changed = records.get(&key) != Some(&record);
        if changed {
            records.insert(key, record);
        }
        changed
    }

    /// The entry is gone: so is everything that was remembered of it.
    pub fn forget(&self, key: KeyHash) {
        self.set_entry(key, None);
        self.records().remove(&key);
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&key);
        self.backoffs.succeeded(key);
        self.reports.forget(key);
        self.ledger.forget(key);
    }

    /// Looks at an entry's runs, where all that is needed is watched and the CronJob stays where it is.
    pub fn look_at_runs(&self, key: KeyHash) {
        let Some(entry) = self.entry(key).filter(|entry| entry.removing.is_none()) else {
            return;
        };
        let record = self.record(key);
        if record.leaving.is_some() {
            return;
        }
        let place = held_place(&entry, &record, None);
        if let Some(observed) = self.cache.observed(&place) {
            self.ledger.look(key, &entry, &observed, Timestamp::now());
        }
    }

    /// Since when an entry waits for a due run.
    pub fn waiting_since(&self, key: KeyHash) -> Option<Timestamp> {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            .copied()
    }

    /// An entry waits for a due run since now, or does not any more.
    pub fn set_waiting(&self, key: KeyHash, waits: bool, now: Timestamp) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waits {
            waiting.entry(key).or_insert(now);
        } else {
            waiting.remove(&key);
        }
    }

    /// Tells the runs of an entry anew. False when a look is needed instead: nothing was reported yet, or a removal
    /// waits for Jobs.
    pub fn refresh_runs(&self, key: KeyHash) -> bool {
        let Some(entry) = self.entry(key) else {
            return false;
        };
        let place = held_place(&entry, &self.record(key), None);
        let mut refreshed = false;
        self.reports.update(key, |old| {
            let mut report = old.filter(|report| report.state != State::Removing)?;
            refreshed = true;
            report.runs = self.cache.runs(&place, Timestamp::now());
            Some(report)
        });
        refreshed
    }
}
