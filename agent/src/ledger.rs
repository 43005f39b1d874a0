//! The ledger, shared: fed by the watches, told to the hub, written to the store.
//!
//! In: what the cache shows of an entry's CronJob, the time. Out: batches when the session asks, content for the store,
//! runs that nothing explains. Law: core's; no lock is held over an await. Not: when to look (`ledger/check.rs`).

pub mod check;

use crate::observer::cache::Observed;
use crate::store::format::{Kind, LedgerContent};
use crate::store::ledger_shard_of;
use jiff::Timestamp;
use segment_core::assignment::Entry;
use segment_core::ids::KeyHash;
use segment_core::observe::PodSeen;
use segment_core::report::RunResult;
use segment_core::runs::{
    CronJobSeen, ExpectSettings, Feed, Found, Ledger, MAX_RUNS, RunBatch, RunKey, SeenSettings,
    explain, look, seen,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Periods of the ledger.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// When a run is missed.
    pub expect: ExpectSettings,
    /// When a run is stuck.
    pub seen: SeenSettings,
}

#[derive(Debug, Default)]
struct Inner {
    ledger: Ledger,
    /// How far the hub was told on the stream that is open.
    feed: Option<Feed>,
    dirty: BTreeSet<Kind>,
    /// Runs that nothing explains, and that the API server was not asked about yet.
    unexplained: BTreeMap<KeyHash, Vec<RunKey>>,
}

/// The ledger, shared by watches, timer, session and store.
#[derive(Debug, Default)]
pub struct Runs {
    inner: Mutex<Inner>,
    bell: Notify,
    settings: Settings,
}

impl Runs {
    /// With what the store held.
    pub fn new(ledger: Ledger, settings: Settings) -> Self {
        Self {
            inner: Mutex::new(Inner {
                ledger,
                ..Inner::default()
            }),
            bell: Notify::new(),
            settings,
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self, inner: &mut Inner, key: KeyHash, news: bool) {
        inner.dirty.insert(ledger_shard_of(key));
        if news {
            self.bell.notify_one();
        }
    }

    /// Looks at an entry's runs.
    pub fn look(&self, key: KeyHash, entry: &Entry, observed: &Observed, now: Timestamp) {
        let cronjob = CronJobSeen::new(entry, &observed.live);
        let jobs = observed
            .jobs
            .iter()
            .map(|(job, pods)| seen(job, pods, &self.settings.seen, now))
            .collect();
        let mut inner = self.inner();
        let Found {
            changed,
            news,
            unexplained,
        } = look(
            &mut inner.ledger,
            key,
            &cronjob,
            jobs,
            observed.watching,
            &self.settings.expect,
            now,
        );
        if changed {
            self.changed(&mut inner, key, news);
        }
        if !unexplained.is_empty() {
            // The ledger holds no more of them than of all runs.
            let waiting = inner.unexplained.entry(key).or_default();
            waiting.extend(unexplained);
            let excess = waiting.len().saturating_sub(MAX_RUNS);
            waiting.drain(..excess);
        }
    }

    /// Takes runs that nothing explains, of a few Segments.
    pub fn take_unexplained(&self, most: usize) -> Vec<(KeyHash, Vec<RunKey>)> {
        let mut inner = self.inner();
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some(first) = inner.unexplained.pop_first()
        {
            taken.push(first);
        }
        taken
    }

    /// A Pod was seen after its Job went: what it tells of the end belongs to the run all the same.
    pub fn late_pod(&self, pod: &PodSeen, now: Timestamp) {
        let mut inner = self.inner();
        let Some((key, run)) = inner.ledger.run_of_job(pod.job) else {
            return;
        };
        if run.result != RunResult::Failed || run.exit_code.is_some() || pod.exit_code.is_none() {
            return;
        }
        let mut run = run.clone();
        run.exit_code = pod.exit_code;
        if !pod.message.is_empty() {
            run.message = pod.message.to_string();
        }
        if inner.ledger.upsert(key, run, now) {
            self.changed(&mut inner, key, true);
        }
    }

    /// The API server's words about runs that nothing explained.
    pub fn explain(&self, key: KeyHash, keys: &[RunKey], words: &str, now: Timestamp) {
        let mut inner = self.inner();
        if explain(&mut inner.ledger, key, keys, words, now) {
            self.changed(&mut inner, key, true);
        }
    }

    /// The entry is gone: so are its runs.
    pub fn forget(&self, key: KeyHash) {
        let mut inner = self.inner();
        inner.unexplained.remove(&key);
        if inner.ledger.forget(key) {
            inner.dirty.insert(ledger_shard_of(key));
        }
    }

    // === the hub ===

    /// Number of the newest change.
    pub fn last_seq(&self) -> u64 {
        self.inner().ledger.last_seq()
    }

    /// A hub wants runs that changed after a number, now and as they change.
    pub fn wanted(&self, after: u64) {
        let mut inner = self.inner();
        inner.feed = Some(Feed::new(&inner.ledger, after));
        self.bell.notify_one();
    }

    /// The stream has ended.
    pub fn unwanted(&self) {
        self.inner().feed = None;
    }

    /// The next batch, when there is something to tell, and how far was told before.
    pub fn next_batch(&self) -> Option<(RunBatch, Feed)> {
        let mut inner = self.inner();
        let before = inner.feed?;
        let (batch, after) = before.next(&inner.ledger)?;
        inner.feed = Some(after);
        Some((batch, before))
    }

    /// A batch was not sent.
    pub fn not_sent(&self, before: Feed) {
        let mut inner = self.inner();
        if inner.feed.is_some() {
            inner.feed = Some(before);
        }
    }

    /// Waits until there may be something to tell.
    pub async fn news(&self) {
        loop {
            let bell = self.bell.notified();
            {
                let inner = self.inner();
                if inner.feed.is_some_and(|feed| feed.has_news(&inner.ledger)) {
                    return;
                }
            }
            bell.await;
        }
    }

    // === the store ===

    /// Shards that have to be written.
    pub fn take_dirty(&self) -> BTreeSet<Kind> {
        std::mem::take(&mut self.inner().dirty)
    }

    /// A shard was not written.
    pub fn not_written(&self, kind: Kind) {
        self.inner().dirty.insert(kind);
    }

    /// Content of a shard.
    pub fn content(&self, kind: Kind) -> LedgerContent {
        let inner = self.inner();
        let here = inner
            .ledger
            .segments()
            .iter()
            .filter(|(key, _)| ledger_shard_of(**key) == kind);
        LedgerContent {
            segments: here.map(|(key, runs)| (*key, runs.clone())).collect(),
        }
    }
}

/// The ledger of what the store held.
pub fn loaded(shards: Vec<LedgerContent>) -> Ledger {
    let segments: BTreeMap<_, _> = shards
        .into_iter()
        .flat_map(|content| content.segments)
        .collect();
    Ledger::new(segments)
}
