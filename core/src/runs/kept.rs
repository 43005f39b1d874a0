//! A run as the hub keeps it: a hub has a million assignments with a few runs each.
//!
//! In, Out: [`LedgerRun`]s of whole seconds. Law: what is kept is what was told, to the second; texts that say the same
//! are one. Not: which are kept (`cluster.rs`).

use super::{LedgerRun, RunKey, RunKind};
use crate::ids::{CronJobName, Revision, RunId};
use crate::report::RunResult;
use jiff::Timestamp;
use std::sync::Arc;

/// Runs that a hub keeps of one Segment on one cluster.
pub const KEPT_RUNS: usize = 8;

/// Words of a run; many runs fail for one cause.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Words {
    /// The cause in one word.
    pub reason: String,
    /// The cause in words.
    pub message: String,
    /// The Job, where its name is not the one that follows from the time it was due.
    pub job: String,
}

/// No such time.
const NEVER: i32 = i32::MIN;

/// A run, in some 56 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptRun {
    scheduled: i64,
    words: Option<Arc<Words>>,
    id: RunId,
    revision: Revision,
    /// Seconds after it was due.
    started: i32,
    finished: i32,
    exit_code: i32,
    attempts: u16,
    kind: RunKind,
    result: RunResult,
    flags: u8,
}

const HAS_ID: u8 = 1;
const HAS_REVISION: u8 = 2;
const HAS_EXIT_CODE: u8 = 4;
/// The Job has the name that the controller gives it.
const USUAL_JOB: u8 = 8;

/// As the controller names a Job: the CronJob's name and the minute that it was due.
fn usual_job(name: &CronJobName, scheduled: i64) -> String {
    format!("{name}-{}", scheduled.div_euclid(60))
}

impl KeptRun {
    /// Of a run of this CronJob, where it is known. `share` gives the one that is kept of equal words.
    pub fn new(
        run: &LedgerRun,
        name: Option<&CronJobName>,
        share: impl FnOnce(Words) -> Arc<Words>,
    ) -> Self {
        let scheduled = run.scheduled.as_second();
        let offset = |time: Option<Timestamp>| {
            time.and_then(|time| i32::try_from(time.as_second() - scheduled).ok())
                .unwrap_or(NEVER)
        };
        let usual = name.is_some_and(|name| run.job == usual_job(name, scheduled));
        let words = Words {
            reason: run.reason.clone(),
            message: run.message.clone(),
            job: if usual {
                String::new()
            } else {
                run.job.clone()
            },
        };
        let (id, mut flags) = match run.key {
            RunKey::Due(_) => (RunId::default(), 0),
            RunKey::Id(id) => (id, HAS_ID),
        };
        for (has, flag) in [
            (run.revision.is_some(), HAS_REVISION),
            (run.exit_code.is_some(), HAS_EXIT_CODE),
            (usual, USUAL_JOB),
        ] {
            if has {
                flags |= flag;
            }
        }
        Self {
            scheduled,
            words: (words != Words::default()).then(|| share(words)),
            id,
            revision: run.revision.unwrap_or_default(),
            started: offset(run.started),
            finished: offset(run.finished),
            exit_code: run.exit_code.unwrap_or_default(),
            attempts: u16::try_from(run.attempts).unwrap_or(u16::MAX),
            kind: run.kind,
            result: run.result,
            flags,
        }
    }

    /// The run, whole.
    pub fn run(&self, name: &CronJobName) -> LedgerRun {
        let at = |offset: i32| {
            (offset != NEVER)
                .then(|| Timestamp::from_second(self.scheduled + i64::from(offset)).ok())?
        };
        let words = self.words.as_deref().cloned().unwrap_or_default();
        let has = |flag: u8| self.flags & flag != 0;
        LedgerRun {
            key: self.key(),
            kind: self.kind,
            job: if has(USUAL_JOB) {
                usual_job(name, self.scheduled)
            } else {
                words.job
            },
            job_uid: None,
            revision: has(HAS_REVISION).then_some(self.revision),
            scheduled: self.scheduled(),
            started: at(self.started),
            finished: at(self.finished),
            result: self.result,
            exit_code: has(HAS_EXIT_CODE).then_some(self.exit_code),
            reason: words.reason,
            message: words.message,
            attempts: self.attempts.into(),
        }
    }

    /// Which run.
    pub fn key(&self) -> RunKey {
        if self.flags & HAS_ID != 0 {
            RunKey::Id(self.id)
        } else {
            RunKey::Due(self.scheduled())
        }
    }

    /// When it was due.
    pub fn scheduled(&self) -> Timestamp {
        Timestamp::from_second(self.scheduled).unwrap_or_default()
    }

    /// When it started, else when it was due.
    pub fn begun(&self) -> Timestamp {
        let offset = if self.started == NEVER {
            0
        } else {
            self.started
        };
        Timestamp::from_second(self.scheduled + i64::from(offset)).unwrap_or_default()
    }

    /// Whether it started.
    pub fn has_started(&self) -> bool {
        self.started != NEVER
    }

    /// What it came to.
    pub fn result(&self) -> RunResult {
        self.result
    }

    /// Why it is.
    pub fn kind(&self) -> RunKind {
        self.kind
    }

    /// Revision that ran.
    pub fn revision(&self) -> Option<Revision> {
        (self.flags & HAS_REVISION != 0).then_some(self.revision)
    }

    /// Its words, shared.
    pub fn words(&self) -> Option<&Arc<Words>> {
        self.words.as_ref()
    }
}
