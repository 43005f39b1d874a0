//! The values of the plan: what is ordered, what is known, what to do next, how it stands.
//!
//! In, Out: values. Law: none of them refers to a client or a clock. Not: decisions (`apply.rs`).

use super::{Live, Record};
use crate::admit::Refusal;
use crate::assignment::{Adoption, Entry, Owner};
use crate::ids::{CronJobName, Digest, Namespace, Uid};
use crate::report::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Where a CronJob is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name.
    pub name: CronJobName,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Periods of the plan; each is a flag of the agent, so that tests shorten them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Between suspending a CronJob and trusting a list of its Jobs: `status.active` is no proof (rule 10).
    pub finish_wait: Duration,
    /// Longest wait for running Jobs before a CronJob is deleted (rule 10).
    pub finish_limit: Duration,
    /// A run due within this time either way is waited for before its schedule changes (rule 18).
    pub guard: Duration,
    /// Longest such wait (rule 18).
    pub guard_limit: Duration,
    /// Corrections within [`Self::contested_window`] that make a CronJob contested (rule 20).
    pub contested_after: usize,
    /// See [`Self::contested_after`].
    pub contested_window: Duration,
    /// Between two corrections of a contested CronJob (rule 20).
    pub contested_pause: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            finish_wait: Duration::from_secs(10),
            finish_limit: Duration::from_hours(24),
            guard: Duration::from_secs(10),
            guard_limit: Duration::from_mins(1),
            contested_after: 5,
            contested_window: Duration::from_mins(10),
            contested_pause: Duration::from_mins(1),
        }
    }
}

/// What is ordered, and what the policy says to it.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    /// The entry.
    pub entry: &'a Entry,
    /// Whose orders these are.
    pub owner: &'a Owner,
    /// Whether the policy admits the template (or everything is refused because the policy can't be read).
    pub verdict: Result<(), Refusal>,
    /// How a CronJob that is not ours may be adopted: as the entry says, as far as the policy lets it.
    pub adoption: Adoption,
    /// Whether one more CronJob may be made.
    pub room: Result<(), Refusal>,
    /// Whether the policy admits orders in the namespace where the CronJob is now, for removals and moves.
    pub held_namespace: Result<(), Refusal>,
}

/// What is known of one place.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Look {
    /// Nothing.
    #[default]
    Unknown,
    /// There is no CronJob of that name. `read`: a live read said so, not a watch.
    Absent {
        /// Whether it was a live read.
        read: bool,
    },
    /// This one.
    Seen(Box<Live>),
}

/// What a dry-run replacement was answered.
#[derive(Clone, Debug, PartialEq)]
pub struct DryRun {
    /// The version of the live object that it was about.
    pub resource_version: String,
    /// The answer; `None` when a webhook does not support dry-runs.
    pub answer: Option<Value>,
}

/// A suspension for an ordered run (rule 30): what its annotation says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspension {
    /// Name of the run's Job.
    pub job: String,
    /// It ends then at the latest.
    pub until: Timestamp,
}

impl Suspension {
    /// Reads the annotation; `None` for what is none.
    pub fn read(text: &str) -> Option<Self> {
        let (job, until) = text.rsplit_once('/')?;
        Some(Self {
            job: job.to_owned(),
            until: until.parse().ok()?,
        })
    }
}

impl std::fmt::Display for Suspension {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.job, self.until)
    }
}

/// What the shell has gathered since it began to look at this entry.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// By place.
    pub looks: BTreeMap<Place, Look>,
    /// Another CronJob of ours for this Segment, found by the observer: the old place, when the record was lost.
    pub stray: Option<Place>,
    /// The last dry-run replacement.
    pub dry_run: Option<DryRun>,
    /// A dry-run create in the new place succeeded.
    pub create_would_succeed: bool,
    /// Why a create in the new place failed, when it did.
    pub create_failed: Option<(String, String)>,
    /// Unfinished Jobs of a CronJob, by a live list.
    pub unfinished_jobs: BTreeMap<Uid, u32>,
    /// The ordered run that the CronJob is to be suspended for.
    pub suspension: Option<Suspension>,
    /// Jobs of ordered runs that are known to be over: an annotation that names one suspends no longer.
    pub runs_over: Arc<BTreeSet<String>>,
    /// Since when a due run is waited for.
    pub waiting_since: Option<Timestamp>,
    /// The agent's clock. Where the API server's clock counts, the live read's date is taken.
    pub now: Timestamp,
}

impl Facts {
    /// What is known of a place.
    pub fn look(&self, place: &Place) -> &Look {
        self.looks.get(place).unwrap_or(&Look::Unknown)
    }
}

/// Why a CronJob is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The order changed.
    Update,
    /// Someone changed it.
    Drift,
    /// It was there before us.
    Adopt,
    /// It is suspended until its Jobs have finished, to be deleted.
    Suspend,
    /// A move failed: the old one runs on.
    Resume,
    /// Our marks are taken off.
    Orphan,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Read it live.
    Read(Place),
    /// Replace as a dry-run and tell the answer.
    Compare {
        /// Which.
        place: Place,
        /// The body.
        body: Value,
    },
    /// Create it.
    Create {
        /// Where.
        place: Place,
        /// The body.
        body: Value,
        /// Digest of what we ask for.
        wrote: Digest,
        /// Only ask whether it would succeed.
        dry_run: bool,
        /// The second half of a move: the CronJob in this place is to go once the new one is there.
        moves_from: Option<Place>,
    },
    /// Replace it.
    Put {
        /// Which.
        place: Place,
        /// The body, with uid and resourceVersion.
        body: Value,
        /// Digest of what we ask for.
        wrote: Digest,
        /// The whole body of a status write that goes first; its answer's resourceVersion goes into `body`.
        status_first: Option<Value>,
        /// Why.
        why: Why,
    },
    /// Delete it, with these preconditions, in the background.
    Delete {
        /// Which.
        place: Place,
        /// Precondition.
        uid: Uid,
        /// Precondition.
        resource_version: String,
    },
    /// List the Jobs of its namespace live and count the unfinished ones that it controls.
    CountJobs {
        /// Which CronJob.
        place: Place,
        /// Its uid.
        uid: Uid,
    },
    /// Remember this instead of the record, and ask again.
    Note(Box<Record>),
    /// Nothing more for now.
    Done(Outcome),
    /// The removal is carried out: the entry may go.
    Removed,
}

/// How it stands when there is nothing more to do for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// State for the report.
    pub state: State,
    /// Reason in one word.
    pub reason: String,
    /// For people.
    pub message: String,
    /// Look again after this time, if nothing happens before.
    pub again: Option<Duration>,
    /// The wait is for a due run (rule 18).
    pub waits_for_run: bool,
}

impl Outcome {
    pub(super) fn new(state: State) -> Self {
        Self {
            state,
            reason: String::new(),
            message: String::new(),
            again: None,
            waits_for_run: false,
        }
    }

    pub(super) fn because(mut self, reason: impl Into<String>, message: impl Into<String>) -> Self {
        self.reason = reason.into();
        self.message = message.into();
        self
    }

    pub(super) fn again(mut self, after: Duration) -> Self {
        self.again = Some(after);
        self
    }

    pub(super) fn done(self) -> Step {
        Step::Done(self)
    }
}

/// What the API server (or the way to it) said when a step failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure<'a> {
    /// HTTP status; absent when there was no answer.
    pub code: Option<u16>,
    /// Kubernetes' reason in one word.
    pub reason: &'a str,
    /// The server's words.
    pub message: &'a str,
}

/// The report of a failed step: the server's own words under a reason that programs can match.
pub fn failed(failure: &Failure<'_>) -> Outcome {
    let words = failure.message.to_ascii_lowercase();
    let reason = match failure.code {
        None => "ApiUnavailable",
        Some(403) if words.contains("being terminated") => "NamespaceTerminating",
        Some(403) if words.contains("exceeded quota") => "QuotaExceeded",
        Some(403) if is_missing_right(failure) => "NoRights",
        Some(404) if words.contains("namespaces \"") => "NamespaceMissing",
        _ if words.contains("admission webhook") => "WebhookDenied",
        _ if failure.reason.is_empty() => "Failed",
        _ => failure.reason,
    };
    Outcome::new(State::Failed).because(reason, failure.message)
}

/// Whether the API server refused for lack of a right: for the agent's health, not for the object.
pub fn is_missing_right(failure: &Failure<'_>) -> bool {
    failure.code == Some(403) && failure.message.contains(" is forbidden: User \"")
}
