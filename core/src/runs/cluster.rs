//! The newest runs of a cluster, as the hub keeps them.
//!
//! In: batches of its agent. Out: the newest few of each Segment, and how far this hub was told.
//! Law: told twice is one run; at most [`KEPT_RUNS`] per Segment and [`MAX_ENTRIES`] Segments per cluster.
//! Not: what they mean for a Segment (`aggregate.rs`).

use super::kept::Words;
use super::{KEPT_RUNS, KeptRun, RunBatch};
use crate::ids::{CronJobName, KeyHash};
use crate::report::RunResult;
use crate::sync::frame::MAX_ENTRIES;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Words of all runs, each once.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    texts: HashSet<Arc<Words>>,
    /// At how many the next look is for those that nobody has any more.
    sweep_at: usize,
}

/// Texts before the first sweep.
const SWEEP_FROM: usize = 1024;

impl Texts {
    /// The one of equal words.
    pub fn share(&mut self, words: Words) -> Arc<Words> {
        if let Some(known) = self.texts.get(&words) {
            return Arc::clone(known);
        }
        if self.texts.len() >= self.sweep_at.max(SWEEP_FROM) {
            self.texts.retain(|text| Arc::strong_count(text) > 1);
            // Twice what is in use: sweeping costs a constant for each new text.
            self.sweep_at = self.texts.len() * 2;
        }
        let shared = Arc::new(words);
        self.texts.insert(Arc::clone(&shared));
        shared
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }
}

/// Runs of one cluster.
#[derive(Clone, Debug, Default)]
pub struct ClusterRuns {
    /// Everything up to this number was told.
    pub told: u64,
    /// Runs that the cluster has dropped from its ledger.
    pub dropped: u64,
    segments: BTreeMap<KeyHash, Box<[KeptRun]>>,
}

impl ClusterRuns {
    /// The newest runs of a Segment, oldest first.
    pub fn of(&self, key: KeyHash) -> &[KeptRun] {
        self.segments.get(&key).map_or(&[], |runs| runs)
    }

    /// Whether anything was told.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Takes a batch. `names` tells the name of a Segment's CronJob. Answers whose runs changed.
    pub fn take(
        &mut self,
        batch: RunBatch,
        texts: &mut Texts,
        names: impl Fn(KeyHash) -> Option<CronJobName>,
    ) -> Vec<KeyHash> {
        let mut changed = Vec::new();
        self.told = batch.upto;
        self.dropped = batch.dropped;
        for told in batch.runs {
            let full = self.segments.len() >= MAX_ENTRIES;
            if full && !self.segments.contains_key(&told.key) {
                continue;
            }
            let name = names(told.key);
            let kept = KeptRun::new(&told.run, name.as_ref(), |words| texts.share(words));
            if self.put(told.key, kept) {
                changed.push(told.key);
            }
        }
        changed.sort_unstable();
        changed.dedup();
        changed
    }

    fn put(&mut self, key: KeyHash, kept: KeptRun) -> bool {
        let runs = self.segments.entry(key).or_default();
        let mut list: Vec<KeptRun> = std::mem::take(runs).into_vec();
        let mut changed = true;
        if let Some(known) = list.iter_mut().find(|known| known.key() == kept.key()) {
            changed = *known != kept;
            *known = kept;
        } else {
            list.push(kept);
        }
        list.sort_by_key(|run| (run.scheduled(), run.key()));
        let excess = list.len().saturating_sub(KEPT_RUNS);
        list.drain(..excess);
        *runs = list.into_boxed_slice();
        changed
    }

    /// Forgets Segments that the cluster neither holds nor is to hold.
    pub fn retain(&mut self, keep: impl Fn(KeyHash) -> bool) {
        self.segments.retain(|key, _| keep(*key));
    }
}

/// The newest run that was good or bad: what a Segment's condition is about. One that goes on says nothing yet, one
/// that was left out on purpose, or that nobody saw, never will.
pub fn newest_verdict(runs: &[KeptRun]) -> Option<&KeptRun> {
    runs.iter().rev().find(|run| {
        matches!(
            run.result(),
            RunResult::Succeeded | RunResult::Failed | RunResult::Missed | RunResult::Stuck
        )
    })
}
