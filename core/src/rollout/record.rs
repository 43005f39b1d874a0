//! What must last of a Segment's rollout and holds: decided by humans or by time, and not to be found again in any cluster.
//!
//! In: [`Command`]s of users, facts of the rollout. Out: [`Operations`], kept in one ConfigMap per Segment that has any.
//! Law: whatever loosens (a wave done, an approval, an end of a halt) counts only once it is stored; whatever tightens
//! counts at once. A record of another revision than the one that goes out is as good as none.
//! Not: which clusters have it (inventories say that); the store (hub).

use crate::ids::{ClusterName, Revision, SegmentKey, Uid, sha256_16};
use jiff::{SignedDuration, Timestamp};
use segment_crds::rollout::OnFailure;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Longest reason that is kept, in bytes.
pub const MAX_REASON_BYTES: usize = 512;
/// Over how long a release is spread where each cluster may start a past run.
pub(super) const RELEASE_SPREAD: SignedDuration = SignedDuration::from_mins(10);

/// Who did it, why and when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct By {
    /// Name of the user, as the API server knows it; empty for the hub itself.
    pub who: String,
    /// Why, in the user's words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

impl By {
    /// In words: `by alice "reason"`.
    pub fn words(&self) -> String {
        let mut words = String::new();
        if !self.who.is_empty() {
            words.push_str("by ");
            words.push_str(&self.who);
        }
        if !self.reason.is_empty() {
            if !words.is_empty() {
                words.push(' ');
            }
            words.push('"');
            words.push_str(&self.reason);
            words.push('"');
        }
        words
    }
}

/// A rollout that was stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Halt {
    /// What was done about it.
    pub kind: OnFailure,
    /// Why: which clusters, and what they said.
    pub cause: String,
    /// Who and when; nobody where failures did it.
    pub by: By,
}

/// The way back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Undo {
    /// The revision of the spec that is not wanted. Once the spec has another one, the undo is over.
    pub of: Revision,
    /// The revision that goes out instead.
    pub to: Revision,
    /// Who, why, when.
    pub by: By,
    /// The cause, where failures did it (`onFailure: Rollback`).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cause: String,
}

/// A hold of the schedules of one Segment on all its clusters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// Ends by itself then; absent: only `release` ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// It is released, and where a past run may start (`onScheduleChange: RunOnce`) each cluster goes on at a time of its
    /// own between then and `until`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<Timestamp>,
    /// Who, why, when.
    pub by: By,
}

impl Held {
    /// Until when one cluster is held: all until the same time, but for a release that is spread.
    pub fn until_on(&self, cluster: &ClusterName) -> Option<Timestamp> {
        let (Some(from), Some(until)) = (self.released, self.until) else {
            return self.until;
        };
        let seconds = u64::try_from(until.duration_since(from).as_secs()).unwrap_or_default();
        let hash = sha256_16(cluster.as_str().as_bytes());
        let mut number = [0; 8];
        number.copy_from_slice(&hash[..8]);
        let after = u64::from_be_bytes(number) % seconds.max(1);
        from.checked_add(SignedDuration::from_secs(
            i64::try_from(after).unwrap_or_default(),
        ))
        .ok()
    }
}

/// How far the rollout of one revision is, as far as clusters can't tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Progressed {
    /// Of which revision; the rest counts for this one only.
    pub target: Option<Revision>,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Waves that are done, since when: their soak counts from there.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub done: BTreeMap<String, Timestamp>,
    /// What was approved: `before/WAVE`, `after/WAVE`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub approved: BTreeMap<String, By>,
    /// Paused by a user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<By>,
    /// Stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub halted: Option<Halt>,
    /// Failures are forgiven once more from this time on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retried: Option<Timestamp>,
    /// How often.
    pub retries: u32,
}

impl Progressed {
    fn is_empty(&self) -> bool {
        *self
            == Self {
                target: self.target,
                since: self.since,
                ..Self::default()
            }
    }
}

/// All that must last of one Segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Operations {
    /// Which Segment.
    pub key: SegmentKey,
    /// Of which uid all but the hold is: a re-created Segment inherits only its hold.
    pub uid: Uid,
    /// Counts orders under one generation: raised by each undo.
    #[serde(default)]
    pub order: u64,
    /// The hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Held>,
    /// The last revision that went out to everyone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed: Option<Revision>,
    /// The way back that is being gone, or has been.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Undo>,
    /// How far the rollout is.
    #[serde(default)]
    pub rollout: Progressed,
}

/// What a user does to a rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Nothing new goes out.
    Pause,
    /// It goes on.
    Resume,
    /// The wave that waits may go on; by name, where one is given.
    Approve(Option<String>),
    /// It ends: clusters keep what they have.
    Abort,
    /// What failed is tried again, and the rollout goes on.
    Retry,
    /// Back to a revision: the one given, else the last that was complete.
    Undo(Option<Revision>),
    /// Schedules stop; until then, or until released.
    Hold(Option<Timestamp>),
    /// Schedules go on; spread over the clusters, where each may start a past run.
    Release {
        /// Whether it is spread.
        spread: bool,
    },
}

impl Command {
    /// Its word, as in the audit line.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Approve(_) => "approve",
            Self::Abort => "abort",
            Self::Retry => "retry",
            Self::Undo(_) => "undo",
            Self::Hold(_) => "hold",
            Self::Release { .. } => "release",
        }
    }
}

/// Why a command can't be carried out: what stands against it, and what to do instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    /// There is nothing to pause, resume or release.
    #[error("{0}")]
    NothingToDo(String),
    /// It was stopped by failures or by an abort.
    #[error(
        "the rollout is halted ({0}): retry what failed (rollout retry), go back (rollout undo), or change the Segment"
    )]
    Halted(String),
    /// No wave waits for an approval.
    #[error("no wave waits for an approval{0}")]
    NothingToApprove(String),
    /// There is no revision to go back to.
    #[error("{0}")]
    NoRevision(String),
    /// The Segment has no accepted spec, or is being deleted.
    #[error("{0}")]
    NoTarget(String),
}

impl Operations {
    /// Nothing recorded yet.
    pub fn new(key: SegmentKey, uid: Uid) -> Self {
        Self {
            key,
            uid,
            order: 0,
            hold: None,
            completed: None,
            undo: None,
            rollout: Progressed::default(),
        }
    }

    /// Whether there is anything worth keeping.
    pub fn is_empty(&self) -> bool {
        self.order == 0
            && self.hold.is_none()
            && self.completed.is_none()
            && self.undo.is_none()
            && self.rollout.is_empty()
    }

    /// The Segment was made anew under its name: only its hold is inherited.
    pub fn inherit(&mut self, uid: Uid) {
        if self.uid != uid {
            *self = Self {
                hold: self.hold.take(),
                ..Self::new(self.key.clone(), uid)
            };
        }
    }

    /// The undo that is in force while the spec has this revision.
    pub fn undo_of(&self, spec: Revision) -> Option<&Undo> {
        self.undo.as_ref().filter(|undo| undo.of == spec)
    }

    /// Makes the record one of this revision; true where it was another's and had something in it.
    pub fn aim(&mut self, target: Revision, now: Timestamp) -> bool {
        if self.rollout.target == Some(target) {
            return false;
        }
        let had = !self.rollout.is_empty();
        self.rollout = Progressed {
            target: Some(target),
            since: Some(now),
            ..Progressed::default()
        };
        had
    }

    /// The hold that is in force.
    pub fn held(&self, now: Timestamp) -> Option<&Held> {
        self.hold
            .as_ref()
            .filter(|hold| hold.until.is_none_or(|until| until > now))
    }

    /// Carries out a command that needs to know nothing but this record. `waiting` are the approvals that are waited for
    /// (`before/WAVE`, `after/WAVE`).
    ///
    /// # Errors
    /// When it makes no sense now; nothing is changed then.
    pub fn command(
        &mut self,
        command: &Command,
        by: By,
        waiting: &BTreeSet<String>,
        completed: bool,
    ) -> Result<(), NotNow> {
        match command {
            Command::Pause => self.pause(by, completed),
            Command::Resume => self.resume(),
            Command::Approve(name) => self.approve(name.as_deref(), by, waiting),
            Command::Abort => self.abort(by, completed),
            Command::Retry => self.retry(&by, completed),
            Command::Undo(_) => Err(NotNow::NoRevision("an undo names a revision".to_owned())),
            Command::Hold(until) => {
                self.hold = Some(Held {
                    until: *until,
                    released: None,
                    by,
                });
                Ok(())
            }
            Command::Release { spread } => self.release(by, *spread),
        }
    }

    fn pause(&mut self, by: By, completed: bool) -> Result<(), NotNow> {
        if completed {
            return nothing("the rollout is complete: there is nothing to pause");
        }
        if let Some(halt) = &self.rollout.halted {
            return Err(NotNow::Halted(halt.cause.clone()));
        }
        if let Some(paused) = &self.rollout.paused {
            return nothing(&format!(
                "the rollout is paused already, {}",
                paused.words()
            ));
        }
        self.rollout.paused = Some(by);
        Ok(())
    }

    fn resume(&mut self) -> Result<(), NotNow> {
        if let Some(halt) = &self.rollout.halted {
            return Err(NotNow::Halted(halt.cause.clone()));
        }
        if self.rollout.paused.take().is_none() {
            return nothing("the rollout is not paused (spec.paused is set back in the Segment)");
        }
        Ok(())
    }

    fn approve(
        &mut self,
        wave: Option<&str>,
        by: By,
        waiting: &BTreeSet<String>,
    ) -> Result<(), NotNow> {
        let is_meant = |waiting: &&String| {
            wave.is_none_or(|wave| {
                waiting
                    .split_once('/')
                    .is_some_and(|(_, name)| name == wave)
            })
        };
        // One wave waits at a time.
        let Some(approval) = waiting.iter().find(is_meant) else {
            let words = match (waiting.iter().next(), wave) {
                (Some(other), Some(wave)) => format!(" under the name {wave}; {other} does"),
                _ => String::new(),
            };
            return Err(NotNow::NothingToApprove(words));
        };
        self.rollout.approved.insert(approval.clone(), by);
        Ok(())
    }

    fn abort(&mut self, by: By, completed: bool) -> Result<(), NotNow> {
        if completed {
            return nothing(
                "the rollout is complete: there is nothing to abort (rollout undo goes back)",
            );
        }
        if let Some(halt) = self
            .rollout
            .halted
            .as_ref()
            .filter(|halt| halt.kind == OnFailure::Abort)
        {
            return nothing(&format!("the rollout is aborted already ({})", halt.cause));
        }
        self.rollout.halted = Some(Halt {
            kind: OnFailure::Abort,
            cause: format!("aborted {}", by.words()).trim_end().to_owned(),
            by,
        });
        Ok(())
    }

    fn retry(&mut self, by: &By, completed: bool) -> Result<(), NotNow> {
        if self.rollout.halted.take().is_none() && completed {
            return nothing("the rollout is complete: there is nothing to try again");
        }
        self.rollout.retried = Some(by.at);
        self.rollout.retries += 1;
        Ok(())
    }

    fn release(&mut self, by: By, spread: bool) -> Result<(), NotNow> {
        let held = self
            .hold
            .take()
            .filter(|hold| hold.released.is_none() && hold.until.is_none_or(|until| until > by.at));
        if held.is_none() {
            return nothing(
                "the Segment is not held on the hub (a hold-until on a spoke ends there)",
            );
        }
        if spread {
            self.hold = Some(Held {
                until: by.at.checked_add(RELEASE_SPREAD).ok(),
                released: Some(by.at),
                by,
            });
        }
        Ok(())
    }

    /// Turns back: `to` goes out instead of `of`, as a new order.
    pub fn go_back(&mut self, of: Revision, to: Revision, by: By, cause: String) {
        self.order += 1;
        let at = by.at;
        self.undo = (of != to).then_some(Undo { of, to, by, cause });
        self.rollout = Progressed {
            target: Some(to),
            since: Some(at),
            ..Progressed::default()
        };
    }
}

fn nothing(what: &str) -> Result<(), NotNow> {
    Err(NotNow::NothingToDo(what.to_owned()))
}
