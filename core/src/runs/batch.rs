//! Telling the hub: which runs changed since it was told last.
//!
//! In: the ledger, and how far the hub was told. Out: [`RunBatch`]es, in the order of numbers.
//! Law: everything that changed after the hub's cursor is told in some batch; to a hub without a memory the newest few of
//! each Segment; a batch that was not sent is sent again. Told twice is one run (`cluster.rs`). Not: when (the session).

use super::kept::KEPT_RUNS;
use super::{Ledger, LedgerRun};
use crate::ids::KeyHash;

/// Runs in one batch: 128 × about 1.8 KiB stay under the 256 KiB that a hub takes in one message.
pub const RUNS_CHUNK: usize = 128;
/// Runs of each Segment that a hub without a memory is told: as many as it keeps.
pub const FIRST_RUNS: usize = KEPT_RUNS;

/// A run, and of which Segment it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldRun {
    /// Which Segment.
    pub key: KeyHash,
    /// The run. Its Job's uid is not told.
    pub run: LedgerRun,
}

/// A batch of runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunBatch {
    /// The hub was told everything up to this number: it keeps it, and says it in its next Welcome.
    pub upto: u64,
    /// How many runs this cluster has dropped from its ledger in all.
    pub dropped: u64,
    /// The runs, at most [`RUNS_CHUNK`].
    pub runs: Vec<ToldRun>,
}

/// How far a hub was told on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feed {
    after: u64,
    /// Until this number only the newest of each Segment are told: what was before is history.
    history: u64,
}

impl Feed {
    /// A stream whose hub says that it was told until `after`; 0: it remembers nothing.
    pub fn new(ledger: &Ledger, after: u64) -> Self {
        let history = if after == 0 { ledger.last_seq() } else { 0 };
        Self { after, history }
    }

    /// The next batch, and the feed once it is sent; nothing when there is nothing to tell.
    pub fn next(self, ledger: &Ledger) -> Option<(RunBatch, Self)> {
        if ledger.last_seq() <= self.after {
            return None;
        }
        let newest = (self.after < self.history).then_some(FIRST_RUNS);
        let changed = ledger.changed_after(self.after, newest);
        let all = changed.len();
        let mut runs = Vec::with_capacity(all.min(RUNS_CHUNK));
        // Where all is told, the hub is told until the newest number, whoever has it.
        let mut upto = ledger.last_seq();
        for (at, (seq, (key, run))) in changed.into_iter().take(RUNS_CHUNK).enumerate() {
            if at + 1 == RUNS_CHUNK && all > RUNS_CHUNK {
                upto = seq;
            }
            let mut run = run.clone();
            run.job_uid = None;
            runs.push(ToldRun { key, run });
        }
        let batch = RunBatch {
            upto,
            dropped: ledger.dropped(),
            runs,
        };
        Some((
            batch,
            Self {
                after: upto,
                ..self
            },
        ))
    }

    /// Whether there is something to tell.
    pub fn has_news(self, ledger: &Ledger) -> bool {
        ledger.last_seq() > self.after
    }
}
