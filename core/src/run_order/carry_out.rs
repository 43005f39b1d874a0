//! How an agent carries out one ordered run (rule 30): what to do next, by what is known of its Job and its CronJob.
//!
//! ```text
//! order ─► Refused | Expired | Waiting (run active, run due) ─► Suspend ─► Create ─► Running ─► Succeeded | Failed
//!                                                            (Forbid only)
//! ```
//! In: the order, how far it has gone, [`Found`]. Out: [`Next`]; the shell remembers durably before it suspends or
//! creates. Law: nothing is started that the policy refuses, after its time, while a run of that CronJob is active, or
//! shortly before one is due; a Job that may have been made is never made by another process.
//! Not: calls, the store (the agent's `runs.rs`); the suspension's write (`apply.rs`).

use super::known::{Begun, KnownRun};
use super::{RunEvent, RunOrder, RunPhase};
use crate::admit::Refusal;
use crate::assignment::ConcurrencyPolicy;
use crate::observe::{JobSeen, PodSeen, Siblings, run};
use crate::report::RunResult;
use jiff::{SignedDuration, Timestamp};

/// What a suspension has over the run's own deadline: for its Pod's way to a node.
const SLACK: SignedDuration = SignedDuration::from_secs(60);

/// Periods of ordered runs; each is a flag of the agent, so that tests shorten them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunSettings {
    /// How long a run takes where none was seen.
    pub usual: SignedDuration,
    /// Longest suspension of a CronJob for a run.
    pub suspended_at_most: SignedDuration,
}

impl Default for RunSettings {
    fn default() -> Self {
        Self {
            usual: SignedDuration::from_secs(60),
            suspended_at_most: SignedDuration::from_hours(24),
        }
    }
}

/// What a live read showed at the Job's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobLook {
    /// Nothing.
    Absent,
    /// A Job of that name that is not of this run.
    Other,
    /// The Job, and its newest Pod.
    Seen(Box<JobSeen>, Option<Box<PodSeen>>),
}

/// The Segment's CronJob on this cluster, by a live read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronJobFacts {
    /// How it treats a running Job.
    pub concurrency: ConcurrencyPolicy,
    /// When its next run is due; none while it is suspended.
    pub next: Option<Timestamp>,
    /// The Job that its annotation says it is suspended for.
    pub suspended_for: Option<String>,
    /// It is ours to suspend.
    pub held: bool,
}

/// What is known, all by live reads.
#[derive(Clone, Debug)]
pub struct Found {
    /// The API server's clock.
    pub now: Timestamp,
    /// What the policy says to the order.
    pub verdict: Result<(), Refusal>,
    /// What is at the Job's place.
    pub job: JobLook,
    /// The CronJob, where there is one.
    pub cronjob: Option<CronJobFacts>,
    /// Other runs of the Segment.
    pub siblings: Siblings,
}

/// What is told of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tell {
    /// How far it is.
    pub phase: RunPhase,
    /// Reason in one word.
    pub reason: String,
    /// For people.
    pub message: String,
    /// When the Job started.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// Exit code of the container.
    pub exit_code: Option<i32>,
}

impl Tell {
    /// Without a Job.
    pub fn new(phase: RunPhase, reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            phase,
            reason: reason.into(),
            message: message.into(),
            started: None,
            finished: None,
            exit_code: None,
        }
    }

    /// As the hub is told it.
    pub fn event(self, known: &KnownRun, at: Timestamp) -> RunEvent {
        let job = match self.phase {
            RunPhase::Running | RunPhase::Succeeded | RunPhase::Failed => known.job.clone(),
            _ => String::new(),
        };
        RunEvent {
            id: known.event.id,
            key: known.event.key,
            phase: self.phase,
            job,
            started: self.started.or(known.event.started),
            finished: self.finished,
            exit_code: self.exit_code,
            reason: self.reason,
            message: self.message,
            at,
        }
    }
}

/// What to do next about a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Tell this, and look again.
    Tell(Tell),
    /// Remember it, suspend the CronJob until then at the latest, and look again.
    Suspend(Timestamp),
    /// Remember it, and create the Job.
    Create,
}

/// What to do next about a run that may have a Job. `tried_here`: this very process has tried to create it, so that an
/// absent one was not made; any other may have been, and has been collected or deleted since.
pub fn follow(known: &KnownRun, job: &JobLook, tried_here: bool) -> Next {
    Next::Tell(match job {
        JobLook::Seen(job, pod) => of_job(job, pod.as_deref()),
        JobLook::Other => name_taken(&known.job),
        JobLook::Absent if known.event.phase == RunPhase::Running => Tell::new(
            RunPhase::Failed,
            "JobGone",
            "the Job was deleted before its result was seen",
        ),
        JobLook::Absent if tried_here => return Next::Create,
        JobLook::Absent => Tell::new(
            RunPhase::Failed,
            "Interrupted",
            "the agent ended while it made the Job, and none is there: it is not made again",
        ),
    })
}

/// What to do next about a run of which no Job was made.
pub fn begin(order: &RunOrder, known: &KnownRun, found: &Found, settings: &RunSettings) -> Next {
    match &found.job {
        // Made by a process whose store was lost.
        JobLook::Seen(job, pod) => return Next::Tell(of_job(job, pod.as_deref())),
        JobLook::Other => return Next::Tell(name_taken(&known.job)),
        JobLook::Absent => {}
    }
    if let Err(refusal) = &found.verdict {
        let told = Tell::new(RunPhase::Refused, refusal.rule, &refusal.message);
        return Next::Tell(told);
    }
    if found.now > order.start_before {
        return Next::Tell(expired(known, order.start_before));
    }
    let waiting =
        |reason: &str, message: String| Next::Tell(Tell::new(RunPhase::Waiting, reason, message));
    let Some(cronjob) = &found.cronjob else {
        if found.siblings.active > 0 {
            return waiting("RunActive", "another ordered run is active".to_owned());
        }
        return Next::Create;
    };
    if cronjob.concurrency == ConcurrencyPolicy::Allow {
        return Next::Create;
    }
    if found.siblings.active > 0 {
        let message = format!("{} other runs of it are active", found.siblings.active);
        return waiting("RunActive", message);
    }
    let usual = found.siblings.longest.unwrap_or(settings.usual);
    if let Some(next) = cronjob
        .next
        .filter(|next| next.duration_since(found.now) <= usual)
    {
        let message = format!("the run of {next} is due before this one would have ended");
        return waiting("RunDue", message);
    }
    let is_suspended = cronjob.suspended_for.as_deref() == Some(&known.job);
    if cronjob.concurrency == ConcurrencyPolicy::Forbid && cronjob.held && !is_suspended {
        return Next::Suspend(suspended_until(order, found.now, settings));
    }
    Next::Create
}

/// One that can't be started in time any more. What it waited for last is part of the answer.
pub fn expired(known: &KnownRun, start_before: Timestamp) -> Tell {
    let waited = match known.event.message.as_str() {
        "" => String::new(),
        words => format!(": {words}"),
    };
    let message = format!("not started before {start_before}{waited}");
    Tell::new(RunPhase::Expired, "StartDeadline", message)
}

fn suspended_until(order: &RunOrder, now: Timestamp, settings: &RunSettings) -> Timestamp {
    let of_template = order.rendered.template().active_deadline_seconds;
    let longest = order
        .deadline
        .or(of_template.map(SignedDuration::from_secs))
        .map_or(settings.suspended_at_most, |deadline| {
            deadline
                .saturating_add(SLACK)
                .min(settings.suspended_at_most)
        });
    let until = now.saturating_add(longest).unwrap_or(now);
    // In whole seconds: it stands in an annotation.
    Timestamp::from_second(until.as_second()).unwrap_or(until)
}

fn name_taken(job: &str) -> Tell {
    let message = format!("a Job {job} is there that is not of this run");
    Tell::new(RunPhase::Failed, "NameTaken", message)
}

fn of_job(job: &JobSeen, pod: Option<&PodSeen>) -> Tell {
    let run = run(job, pod);
    Tell {
        phase: match run.result {
            RunResult::Running | RunResult::Stuck => RunPhase::Running,
            RunResult::Succeeded => RunPhase::Succeeded,
            RunResult::Failed | RunResult::Missed | RunResult::Skipped | RunResult::Unknown => {
                RunPhase::Failed
            }
        },
        reason: run.reason,
        message: run.message,
        started: run.started,
        finished: run.finished,
        exit_code: run.exit_code,
    }
}

/// A run that was just ordered: nothing was done about it.
pub fn ordered(order: &RunOrder, now: Timestamp) -> KnownRun {
    let template = order.rendered.template();
    KnownRun {
        event: RunEvent {
            id: order.id,
            key: order.key.hash(),
            phase: RunPhase::Waiting,
            job: String::new(),
            started: None,
            finished: None,
            exit_code: None,
            reason: String::new(),
            message: String::new(),
            at: now,
        },
        namespace: template.namespace.clone(),
        job: super::job::job_name(&template.name, order.id),
        begun: Begun::No,
        suspended_until: None,
    }
}

#[cfg(test)]
mod tests;
