//! Runs as their Jobs and Pods show them.
//!
//! In: a CronJob's Jobs with their Pods, the time. Out: [`LedgerRun`]s, and Stuck where a Pod can't start for too long.
//! Law: a Job is one run; what is not shown is not said. Not: runs without a Job (`expected.rs`).

use super::{LedgerRun, MAX_REASON_BYTES, RunKey, RunKind};
use crate::ids::RunId;
use crate::observe::{JobSeen, PodSeen};
use crate::report::{RunResult, cut, cut_message};
use crate::run_order::RunPurpose;
use jiff::{SignedDuration, Timestamp};

/// Periods; each is a flag of the agent with this default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenSettings {
    /// A Pod that can't start for this long makes its run Stuck.
    pub stuck_after: SignedDuration,
}

impl Default for SeenSettings {
    fn default() -> Self {
        Self {
            stuck_after: SignedDuration::from_mins(5),
        }
    }
}

/// Reasons for which a Pod waits, and which time alone seldom mends. Any other is shown, and is not Stuck.
const STUCK: [&str; 11] = [
    "ImagePullBackOff",
    "ErrImagePull",
    "ErrImageNeverPull",
    "InvalidImageName",
    "RegistryUnavailable",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "CrashLoopBackOff",
    "Unschedulable",
    "SchedulingGated",
];

/// The run of a Job, with what its Pods tell.
pub fn seen<'a>(
    job: &JobSeen,
    pods: impl IntoIterator<Item = &'a PodSeen>,
    settings: &SeenSettings,
    now: Timestamp,
) -> LedgerRun {
    let (mut restarts, mut newest, mut count) = (0, None::<&PodSeen>, 0);
    for pod in pods {
        restarts = pod.restarts.max(restarts);
        count += 1;
        if newest.is_none_or(|known| (known.created, known.uid) < (pod.created, pod.uid)) {
            newest = Some(pod);
        }
    }
    let (key, kind) = match job.ordered {
        Some((id, RunPurpose::Proof)) => (RunKey::Id(id), RunKind::Proof),
        Some((id, RunPurpose::Manual)) => (RunKey::Id(id), RunKind::Manual),
        None if job.by_schedule => (RunKey::Due(job.scheduled), RunKind::Scheduled),
        None => (RunKey::Id(RunId::of(&job.uid.0)), RunKind::Manual),
    };
    let mut run = LedgerRun {
        key,
        kind,
        job: job.name.to_string(),
        job_uid: Some(job.uid),
        revision: job.revision,
        scheduled: job.scheduled,
        started: job.started.or(Some(job.created)),
        finished: job.finished,
        result: job.result,
        exit_code: newest.and_then(|pod| pod.exit_code),
        reason: job.reason.to_string(),
        message: job.message.to_string(),
        attempts: job.attempts.max(count).saturating_add(restarts),
    };
    match job.result {
        RunResult::Failed => {
            // The Job says that it failed, the Pod says why.
            if let Some(pod) = newest.filter(|pod| !pod.message.is_empty()) {
                run.message = pod.message.to_string();
            }
            if run.reason.is_empty() {
                run.reason = newest.map(|pod| pod.reason.to_string()).unwrap_or_default();
            }
        }
        RunResult::Running => waiting(&mut run, job, newest, settings, now),
        _ => {
            run.reason.clear();
            run.message.clear();
        }
    }
    run.reason = cut(&run.reason, MAX_REASON_BYTES);
    run.message = cut_message(&run.message);
    run
}

/// Of a run that has not ended: what it waits for, and whether that is for too long.
fn waiting(
    run: &mut LedgerRun,
    job: &JobSeen,
    newest: Option<&PodSeen>,
    settings: &SeenSettings,
    now: Timestamp,
) {
    let long =
        |since: Timestamp| now.duration_since(since.max(job.created)) >= settings.stuck_after;
    match newest {
        Some(pod) if pod.waits && !pod.reason.is_empty() => {
            run.reason = pod.reason.to_string();
            run.message = pod.message.to_string();
            if STUCK.contains(&&*pod.reason) && long(pod.created) {
                run.result = RunResult::Stuck;
            }
        }
        None if long(job.created) => {
            run.result = RunResult::Stuck;
            "NoPod".clone_into(&mut run.reason);
            // Whoever refuses the Pod (a quota, a webhook) says so in an Event, which the agent may not read.
            run.message = format!(
                "the Job has no Pod: kubectl describe job {} tells who refuses it",
                job.name
            );
        }
        _ => {}
    }
}
