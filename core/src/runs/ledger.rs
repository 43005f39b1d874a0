//! The ledger: the newest runs of each Segment on one cluster.
//!
//! In: runs as they are seen or missed. Out: the same, each once, with a sequence number that rises with each change.
//! Law: at most [`MAX_RUNS`] per Segment, the newest; what is dropped is counted; `seq = max(last + 1, now in µs)`, so that
//! numbers given after a crash that lost the last seconds are still higher than those that were told.
//! Not: where it is stored (the agent's `store`).

use super::look::Look;
use super::{LedgerRun, RunKey};
use crate::ids::{KeyHash, Uid};
use crate::report::RunResult;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Runs that are kept of one Segment: a month of nightly ones, and more than what a page shows.
pub const MAX_RUNS: usize = 40;
/// Runs that are kept of one Segment however small the store is.
pub const LEAST_RUNS: usize = 3;

/// A run with the number of its last change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Numbered {
    /// Number of its last change.
    pub seq: u64,
    /// The run.
    #[serde(flatten)]
    pub run: LedgerRun,
}

/// Runs of one Segment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SegmentRuns {
    /// The newest, oldest first.
    pub(super) runs: Vec<Numbered>,
    /// How many were dropped.
    pub(super) dropped: u64,
    /// When the newest of those that were dropped was due: whatever is not newer was counted.
    pub(super) floor: Option<Timestamp>,
    /// What was last looked for.
    pub(super) look: Look,
}

impl SegmentRuns {
    /// The runs, oldest first.
    pub fn runs(&self) -> impl DoubleEndedIterator<Item = &LedgerRun> {
        self.runs.iter().map(|numbered| &numbered.run)
    }

    /// How many were dropped.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// A run.
    pub fn get(&self, key: RunKey) -> Option<&LedgerRun> {
        self.runs().find(|run| run.key == key)
    }

    /// Whether a run that was due then would have been dropped by now.
    pub(super) fn is_below_floor(&self, scheduled: Timestamp) -> bool {
        self.floor.is_some_and(|floor| scheduled <= floor)
    }

    /// Keeps the newest `keep`, at least [`LEAST_RUNS`].
    pub fn shrink(&mut self, keep: usize) {
        let excess = self.runs.len().saturating_sub(keep.max(LEAST_RUNS));
        for dropped in self.runs.drain(..excess) {
            self.dropped += 1;
            self.floor = self.floor.max(Some(dropped.run.scheduled));
        }
    }

    /// Takes the words off all runs: the last thing to go.
    pub fn without_words(&mut self) {
        for numbered in &mut self.runs {
            numbered.run.message.clear();
        }
    }
}

/// What every run of a cluster came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    segments: BTreeMap<KeyHash, SegmentRuns>,
    last_seq: u64,
}

impl Ledger {
    /// With what the store held.
    pub fn new(segments: BTreeMap<KeyHash, SegmentRuns>) -> Self {
        let mut ledger = Self {
            segments,
            last_seq: 0,
        };
        for runs in ledger.segments.values_mut() {
            // The store is read by others, too: nothing depends on its order.
            runs.runs.sort_by_key(|numbered| numbered.run.place());
            runs.runs.dedup_by_key(|numbered| numbered.run.key);
            runs.shrink(MAX_RUNS);
            let newest = runs.runs.iter().map(|numbered| numbered.seq).max();
            ledger.last_seq = ledger.last_seq.max(newest.unwrap_or_default());
        }
        ledger
    }

    /// Number of the newest change; 0 where there was none.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Runs of a Segment.
    pub fn get(&self, key: KeyHash) -> Option<&SegmentRuns> {
        self.segments.get(&key)
    }

    /// All Segments that have runs.
    pub fn segments(&self) -> &BTreeMap<KeyHash, SegmentRuns> {
        &self.segments
    }

    /// How many runs were dropped in all.
    pub fn dropped(&self) -> u64 {
        self.segments.values().map(|runs| runs.dropped).sum()
    }

    /// What was last looked for of a Segment, to be changed by [`super::look()`].
    pub(super) fn entry(&mut self, key: KeyHash) -> &mut SegmentRuns {
        self.segments.entry(key).or_default()
    }

    /// Takes a run as it is seen now. True when that says something new.
    pub fn upsert(&mut self, key: KeyHash, run: LedgerRun, now: Timestamp) -> bool {
        let runs = self.segments.entry(key).or_default();
        let known = runs.runs.iter_mut().find(|known| known.run.key == run.key);
        let Some(known) = known else {
            if runs.is_below_floor(run.scheduled) {
                return false;
            }
            let seq = next_seq(&mut self.last_seq, now);
            let place = run.place();
            let at = runs
                .runs
                .partition_point(|known| known.run.place() <= place);
            runs.runs.insert(at, Numbered { seq, run });
            runs.shrink(MAX_RUNS);
            return true;
        };
        let Some(merged) = merge(&known.run, run) else {
            return false;
        };
        *known = Numbered {
            seq: next_seq(&mut self.last_seq, now),
            run: merged,
        };
        runs.runs.sort_by_key(|numbered| numbered.run.place());
        true
    }

    /// Whose Job this is, and which run: for a Pod that is seen after its Job went.
    pub fn run_of_job(&self, job: Uid) -> Option<(KeyHash, &LedgerRun)> {
        self.segments.iter().find_map(|(key, runs)| {
            let run = runs.runs().rev().find(|run| run.job_uid == Some(job))?;
            Some((*key, run))
        })
    }

    /// The Segment is gone here: so are its runs. True when there were any.
    pub fn forget(&mut self, key: KeyHash) -> bool {
        self.segments.remove(&key).is_some()
    }

    /// Runs whose last change has a higher number, by number. With `newest`, only so many of each Segment.
    pub fn changed_after(
        &self,
        seq: u64,
        newest: Option<usize>,
    ) -> BTreeMap<u64, (KeyHash, &LedgerRun)> {
        let mut changed = BTreeMap::new();
        for (key, runs) in &self.segments {
            let skip = newest.map_or(0, |newest| runs.runs.len().saturating_sub(newest));
            for numbered in runs.runs.iter().skip(skip) {
                if numbered.seq > seq {
                    changed.insert(numbered.seq, (*key, &numbered.run));
                }
            }
        }
        changed
    }
}

fn next_seq(last: &mut u64, now: Timestamp) -> u64 {
    let micros = u64::try_from(now.as_microsecond()).unwrap_or_default();
    *last = micros.max(last.saturating_add(1));
    *last
}

/// What is known of a run after it was seen again; nothing where that says nothing new.
fn merge(known: &LedgerRun, mut seen: LedgerRun) -> Option<LedgerRun> {
    let ended = |run: &LedgerRun| matches!(run.result, RunResult::Succeeded | RunResult::Failed);
    // What ended has ended; and a run that has a Job is not missed.
    let stale = ended(known) && !ended(&seen)
        || !known.job.is_empty() && seen.job.is_empty() && seen.result != RunResult::Unknown;
    if stale {
        return None;
    }
    if seen.job.is_empty() {
        seen.job.clone_from(&known.job);
    }
    seen.job_uid = seen.job_uid.or(known.job_uid);
    seen.revision = seen.revision.or(known.revision);
    seen.started = seen.started.or(known.started);
    seen.finished = seen.finished.or(known.finished);
    // Pods go before their Job does: what they told stays.
    let pods_went = seen.exit_code.is_none() && known.exit_code.is_some();
    if pods_went && seen.result == RunResult::Failed && known.result == RunResult::Failed {
        seen.reason.clone_from(&known.reason);
        seen.message.clone_from(&known.message);
    }
    seen.exit_code = seen.exit_code.or(known.exit_code);
    seen.attempts = seen.attempts.max(known.attempts);
    (seen != *known).then_some(seen)
}
