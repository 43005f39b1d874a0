//! Reports out: core's reporter, shared, with a bell for the session.
//!
//! In: reports as they are made. Out: batches when the session asks. Law: core's. Not: what a report says (`applier.rs`).

use segment_core::ids::{KeyHash, Revision, RootDigest};
use segment_core::report::{Report, State};
use segment_core::reporter::Reporter;
use segment_core::sync::frame::ReportBatch;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The reporter, shared by workers and session.
#[derive(Clone, Debug)]
pub struct Reports {
    reporter: Arc<Mutex<Reporter>>,
    bell: Arc<Notify>,
}

fn token() -> RootDigest {
    RootDigest(rand::random())
}

impl Default for Reports {
    fn default() -> Self {
        Self {
            reporter: Arc::new(Mutex::new(Reporter::new(token()))),
            bell: Arc::default(),
        }
    }
}

impl Reports {
    fn reporter(&self) -> MutexGuard<'_, Reporter> {
        self.reporter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a report, made from the one before under the lock: workers and observer write the same ones. True when it
    /// says something new.
    pub fn update(
        &self,
        key: KeyHash,
        make: impl FnOnce(Option<Report>) -> Option<Report>,
    ) -> bool {
        let mut reporter = self.reporter();
        let old = reporter.get(key).cloned();
        let news = make(old).is_some_and(|report| reporter.set(report));
        drop(reporter);
        if news {
            self.bell.notify_one();
        }
        news
    }

    /// An entry was taken in place of one of another revision. Where the last report was about this very one, from before
    /// that other, it is not true any more: the hub would take it for the confirmation that is still to come.
    pub fn taken(&self, key: KeyHash, revision: Revision) {
        self.update(key, |old| {
            let old = old.filter(|old| old.revision == revision)?;
            Some(Report {
                state: State::Pending,
                reason: String::new(),
                message: String::new(),
                ..old
            })
        });
    }

    /// The newest report of an entry.
    pub fn get(&self, key: KeyHash) -> Option<Report> {
        self.reporter().get(key).cloned()
    }

    /// The entry is gone.
    pub fn forget(&self, key: KeyHash) {
        self.reporter().forget(key);
    }

    /// All reports are wanted.
    pub fn all(&self) {
        self.reporter().all();
        self.bell.notify_one();
    }

    /// Token of the last batch.
    pub fn token(&self) -> RootDigest {
        self.reporter().token()
    }

    /// The next batch, when there is something to tell.
    pub fn next_batch(&self) -> Option<ReportBatch> {
        self.reporter().next_batch(token())
    }

    /// A batch was not sent.
    pub fn not_sent(&self, batch: &ReportBatch) {
        self.reporter().not_sent(batch);
    }

    /// Waits until there may be something to tell.
    pub async fn news(&self) {
        let bell = self.bell.notified();
        if self.reporter().has_news() {
            return;
        }
        bell.await;
    }
}
