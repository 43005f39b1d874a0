//! Ordered runs: one Job of one Segment on one cluster, for a proof or because somebody asked for it.
//!
//! In: what the hub decides. Out: [`RunOrder`], which an agent carries out once, and [`RunEvent`], which it tells about it.
//! Law: an ordered run is an event with an id of its own, never desired state: sent twice it runs once, and a Job that is
//! collected is not made again. Not: runs by schedule; when a proof is wanted (`rollout`).

pub mod campaign;
pub mod carry_out;
pub mod job;
pub mod known;
pub mod with_env;

use crate::assignment::Rendered;
use crate::ids::{KeyHash, Revision, RunId, SegmentKey, Uid};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// What an ordered run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RunPurpose {
    /// A rollout wants to see the revision run before the schedule is trusted with it.
    Proof,
    /// Somebody asked for it.
    Manual,
}

impl RunPurpose {
    /// As the Job's annotation has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proof => "proof",
            Self::Manual => "manual",
        }
    }
}

/// An order to run one Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOrder {
    /// Which run.
    pub id: RunId,
    /// What for.
    pub purpose: RunPurpose,
    /// Of which Segment.
    pub key: SegmentKey,
    /// Its uid.
    pub uid: Uid,
    /// The revision that runs.
    pub revision: Revision,
    /// The CronJob whose Job is run, variables of this run included. It may be another than the one that is held.
    pub rendered: Rendered,
    /// Not started after this time: it has expired then.
    pub start_before: Timestamp,
    /// Longest that it may take (the Job's `activeDeadlineSeconds`), where it is not the template's.
    pub deadline: Option<SignedDuration>,
}

/// How far an ordered run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RunPhase {
    /// Not started yet: the message says what it waits for.
    Waiting,
    /// Its Job is there.
    Running,
    /// Its Job completed.
    Succeeded,
    /// Its Job failed, is gone without a result, or could not be made.
    Failed,
    /// The cluster's own policy does not admit it.
    Refused,
    /// It could not be started in time.
    Expired,
}

impl RunPhase {
    /// As users see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "Waiting",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Refused => "Refused",
            Self::Expired => "Expired",
        }
    }

    /// Nothing more comes.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }
}

/// What an agent says about an ordered run; the last one wins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunEvent {
    /// Which run.
    pub id: RunId,
    /// Of which Segment.
    pub key: KeyHash,
    /// How far it is.
    pub phase: RunPhase,
    /// Name of its Job; empty before there is one.
    pub job: String,
    /// When the Job started.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// Exit code of the container, where a Pod told it.
    pub exit_code: Option<i32>,
    /// Reason in one word; empty when all is well.
    pub reason: String,
    /// The server's words, or what is waited for.
    pub message: String,
    /// When this was so.
    pub at: Timestamp,
}
