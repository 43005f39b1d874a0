//! What an agent remembers of ordered runs: the proof that none runs twice.
//!
//! In: how far each is. Out: what became of an id. Law: bounded; one that has not ended is never forgotten for a newer
//! one. Not: how it is stored (the agent's `store/format.rs`), when (`runs.rs` there).

use super::RunEvent;
use crate::apply::Suspension;
use crate::ids::{Namespace, RunId};
use crate::report::cut_message;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Runs that are remembered: those that ended longest ago are forgotten.
pub const KNOWN_RUNS: usize = 256;
/// Bytes of a message that are stored: all of them together stay a small part of the store's shard.
const STORED_MESSAGE_BYTES: usize = 256;

/// How far the agent has gone with a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Begun {
    /// Nothing was done.
    #[default]
    No,
    /// Its CronJob may be suspended for it.
    Suspending,
    /// Its Job may be there, or may have been.
    Creating,
}

/// A run that the agent knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KnownRun {
    /// What was told of it last.
    pub event: RunEvent,
    /// Where its Job is, or would be.
    pub namespace: Namespace,
    /// Name of its Job.
    pub job: String,
    /// How far it has gone.
    pub begun: Begun,
    /// The end of its CronJob's suspension, where it needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended_until: Option<Timestamp>,
}

impl KnownRun {
    /// Nothing more is done about it.
    pub fn is_over(&self) -> bool {
        self.event.phase.is_final()
    }

    /// What its CronJob is to be suspended for, while it is.
    pub fn suspension(&self) -> Option<Suspension> {
        let until = self.suspended_until.filter(|_| !self.is_over())?;
        Some(Suspension {
            job: self.job.clone(),
            until,
        })
    }
}

/// All that are remembered, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownRuns(Vec<KnownRun>);

impl KnownRuns {
    /// As they were stored.
    pub fn new(mut stored: Vec<KnownRun>) -> Self {
        let more = stored.len().saturating_sub(KNOWN_RUNS);
        stored.drain(..more);
        Self(stored)
    }

    /// What is known of a run.
    pub fn get(&self, id: RunId) -> Option<&KnownRun> {
        self.0.iter().find(|run| run.event.id == id)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &KnownRun> {
        self.0.iter()
    }

    /// Remembers how far a run is. False when there is no room, as none of the others has ended.
    pub fn put(&mut self, run: KnownRun) -> bool {
        if let Some(known) = self
            .0
            .iter_mut()
            .find(|known| known.event.id == run.event.id)
        {
            *known = run;
            return true;
        }
        if self.0.len() >= KNOWN_RUNS {
            let Some(oldest) = self.0.iter().position(KnownRun::is_over) else {
                return false;
            };
            self.0.remove(oldest);
        }
        self.0.push(run);
        true
    }

    /// As they are stored: those of which something was done, or that have ended.
    pub fn to_store(&self) -> Vec<KnownRun> {
        let stored = self
            .0
            .iter()
            .filter(|run| run.begun != Begun::No || run.is_over());
        stored
            .map(|run| {
                let mut run = run.clone();
                let mut end = run.event.message.len().min(STORED_MESSAGE_BYTES);
                while !run.event.message.is_char_boundary(end) {
                    end -= 1;
                }
                run.event.message.truncate(end);
                run.event.reason = cut_message(&run.event.reason);
                run
            })
            .collect()
    }
}
