//! Reports: what the hub is told about one entry; the last value wins.
//!
//! In: what the applier did and the observer saw. Out: [`Report`].
//! Law: a report says what was true when it was made, with its time; silence is never a report.
//! Not: counting (`aggregate.rs`).

use crate::ids::{Digest, KeyHash, Revision, Uid};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Longest message that a report carries, in bytes: the server's words, cut at a character's end.
pub const MAX_MESSAGE_BYTES: usize = 1024;

/// What an agent has done with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum State {
    /// Accepted, not applied yet.
    Pending,
    /// The CronJob is what the entry says, as of the last look.
    Applied,
    /// The API server or the cluster refused; tried again with back-off.
    Failed,
    /// The local policy refuses it; nothing is written.
    Refused,
    /// Someone keeps changing it; corrected at most once a minute.
    Contested,
    /// A CronJob of that name is there and not ours.
    NotOwned,
    /// Suspended by a hold (hub's or on-call's).
    Held,
    /// Being removed.
    Removing,
    /// A move to another namespace or name can't be done yet; the old one runs on.
    MoveBlocked,
    /// Removed; the entry is gone.
    Removed,
}

impl State {
    /// As users see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Applied => "Applied",
            Self::Failed => "Failed",
            Self::Refused => "Refused",
            Self::Contested => "Contested",
            Self::NotOwned => "NotOwned",
            Self::Held => "Held",
            Self::Removing => "Removing",
            Self::MoveBlocked => "MoveBlocked",
            Self::Removed => "Removed",
        }
    }

    /// True where a human has to look: counts as failing.
    pub fn is_failing(self) -> bool {
        matches!(
            self,
            Self::Failed | Self::Refused | Self::Contested | Self::NotOwned | Self::MoveBlocked
        )
    }
}

/// How a run ended, or that it has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RunResult {
    /// A Job is active.
    Running,
    /// The Job completed.
    Succeeded,
    /// The Job failed.
    Failed,
    /// It was due, and nobody started it.
    Missed,
    /// It was due, and was left out for a reason that somebody chose: a hold, Forbid, a proof run.
    Skipped,
    /// A Job is active, and its Pod can't start, for longer than the limit.
    Stuck,
    /// It may have run: nobody was watching, or its Job went before it ended.
    Unknown,
}

impl RunResult {
    /// As users see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Missed => "Missed",
            Self::Skipped => "Skipped",
            Self::Stuck => "Stuck",
            Self::Unknown => "Unknown",
        }
    }

    /// True where a human has to look.
    pub fn is_bad(self) -> bool {
        matches!(self, Self::Failed | Self::Missed | Self::Stuck)
    }

    /// True where a Job of the run exists and has not ended.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Running | Self::Stuck)
    }
}

/// One run: a Job of this CronJob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Name of the Job.
    pub job: String,
    /// When it was due (`batch.kubernetes.io/cronjob-scheduled-timestamp`), else when the Job was made.
    pub scheduled: Timestamp,
    /// When the Job started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<Timestamp>,
    /// How it ended.
    pub result: RunResult,
    /// Exit code of the container, where a Pod told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The Job's or container's reason: `BackoffLimitExceeded`, `ImagePullBackOff`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The server's words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// What is seen of a CronJob's runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Runs {
    /// The newest run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Run>,
    /// When it is due next, by the agent's reading of the schedule; absent while suspended or never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
    /// Jobs that are active.
    #[serde(default)]
    pub active: u32,
}

/// What an agent says about one entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Which Segment.
    pub key: KeyHash,
    /// Of which uid.
    pub uid: Uid,
    /// Revision that this is about.
    pub revision: Revision,
    /// Digest of the rendered bytes that this is about.
    pub digest: Digest,
    /// What was done.
    pub state: State,
    /// Reason in one word: the policy's rule, Kubernetes' reason; empty when all is well.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The server's words, at most [`MAX_MESSAGE_BYTES`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Since when the state is so.
    pub since: Timestamp,
    /// Corrections of drift since the agent's store was made.
    #[serde(default)]
    pub corrections: u32,
    /// Field manager of the last change that was corrected.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub drifted_by: String,
    /// What its runs do.
    #[serde(default)]
    pub runs: Runs,
}

/// A run in words: `Job x: BackoffLimitExceeded, exit 1: …`.
pub fn run_words(run: &Run) -> String {
    let mut words = format!("Job {}", run.job);
    if !run.reason.is_empty() {
        words.extend([": ", &run.reason]);
    }
    if let Some(code) = run.exit_code {
        words.push_str(", exit ");
        words.push_str(&code.to_string());
    }
    if !run.message.is_empty() {
        words.extend([": ", &run.message]);
    }
    words
}

/// Cuts a message to [`MAX_MESSAGE_BYTES`] at a character's end.
pub fn cut_message(message: &str) -> String {
    cut(message, MAX_MESSAGE_BYTES)
}

/// Cuts a text to `limit` bytes (at least three) at a character's end.
pub fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit - '…'.len_utf8();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_at_a_characters_end() {
        assert_eq!(cut_message("short"), "short");
        let cut = cut_message(&"ä".repeat(2_000));
        assert!(cut.len() <= MAX_MESSAGE_BYTES && cut.ends_with('…'));
    }
}
