//! The ledger of runs: what every run of a Segment on a cluster came to, also those that never began.
//!
//! In: Jobs, Pods and CronJobs as watches show them, schedules, the time. Out: [`LedgerRun`]s, kept in a [`Ledger`] that
//! outlives their Jobs, and told to the hub by sequence number.
//! Law: one run, one record, whatever is seen of it and how often; what ended does not end otherwise; everything is
//! bounded, and what is dropped is counted.
//! Not: what Kubernetes shows of a Job (`observe.rs`); ordering runs (`run_order.rs`).
//!
//! ```text
//! watches ─► seen ─────┐
//! schedule ─► expected ─┴─► Ledger ─(seq)─► RunBatch ─► hub: kept ─► aggregate, fingerprint, groups
//! ```

mod batch;
mod cluster;
mod expected;
pub mod fingerprint;
mod group;
mod kept;
mod ledger;
mod look;
mod seen;

pub use batch::{FIRST_RUNS, Feed, RUNS_CHUNK, RunBatch, ToldRun};
pub use cluster::{ClusterRuns, Texts, newest_verdict};
pub use expected::{ExpectSettings, MAX_EXPECTED, Missing, Watch, expected};
pub use group::{Group, Groups, MAX_GROUPS};
pub use kept::{KEPT_RUNS, KeptRun, Words};
pub use ledger::{LEAST_RUNS, Ledger, MAX_RUNS, Numbered, SegmentRuns};
pub use look::{CronJobSeen, Found, Look, NEEDS_WORDS, Phase, Suspension, explain, look};
pub use seen::{SeenSettings, seen};

use crate::ids::{Revision, RunId, Uid};
use crate::report::{RunResult, cut, cut_message};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// A run that starts this long after it was due is late. The controller takes a second or two.
pub const LATE_AFTER: SignedDuration = SignedDuration::from_secs(60);
/// Longest reason, in bytes: one word, as on the wire.
pub const MAX_REASON_BYTES: usize = 256;

/// Why a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RunKind {
    /// The schedule said so.
    Scheduled,
    /// A rollout wanted to see the revision run.
    Proof,
    /// Somebody asked for it.
    Manual,
}

impl RunKind {
    /// As users see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "Scheduled",
            Self::Proof => "Proof",
            Self::Manual => "Manual",
        }
    }
}

/// Which run of a Segment on a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RunKey {
    /// The one that was due then.
    Due(Timestamp),
    /// An ordered one, or one that was made by hand (then: of the Job's uid).
    Id(RunId),
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LedgerRun {
    /// Which.
    pub key: RunKey,
    /// Why.
    pub kind: RunKind,
    /// Name of its Job; empty where there was none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub job: String,
    /// Uid of its Job, for Pods that are seen after it went. It stays on the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_uid: Option<Uid>,
    /// Revision that ran, where the Job told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    /// When it was due; for a run without a schedule, when its Job was made.
    pub scheduled: Timestamp,
    /// When its Job started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// When its Job ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<Timestamp>,
    /// What it came to.
    pub result: RunResult,
    /// Exit code of the container, where a Pod told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The cause in one word: `BackoffLimitExceeded`, `ImagePullBackOff`, `Forbid`; empty when all is well.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The cause in words: the server's own, where there are any.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Pods and containers that were started for it.
    #[serde(default)]
    pub attempts: u32,
}

impl LedgerRun {
    /// A run that was due and has no Job.
    pub fn without_job(due: Timestamp, result: RunResult, reason: &str, message: &str) -> Self {
        Self {
            key: RunKey::Due(due),
            kind: RunKind::Scheduled,
            job: String::new(),
            job_uid: None,
            revision: None,
            scheduled: due,
            started: None,
            finished: None,
            result,
            exit_code: None,
            reason: cut(reason, MAX_REASON_BYTES),
            message: cut_message(message),
            attempts: 0,
        }
    }

    /// How long after it was due it started; for one of the schedule only.
    pub fn lateness(&self) -> Option<SignedDuration> {
        let started = self.started.filter(|_| self.kind == RunKind::Scheduled)?;
        Some(started.duration_since(self.scheduled))
    }

    /// Whether it started later than is usual.
    pub fn is_late(&self) -> bool {
        self.lateness().is_some_and(|late| late > LATE_AFTER)
    }

    /// Order in which runs are told: by time, then by key.
    fn place(&self) -> (Timestamp, RunKey) {
        (self.scheduled, self.key)
    }
}

#[cfg(test)]
mod tests;
