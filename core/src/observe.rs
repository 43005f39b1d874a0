//! What a CronJob's runs do, from what the API server shows of its Jobs and their Pods.
//!
//! In: untyped JSON of Jobs and Pods, as compact values ([`JobSeen`], [`PodSeen`]); the live CronJob. Out: [`Runs`].
//! Law: a Job counts for the CronJob that controls it, by uid; a value that can't be read is left out, never guessed.
//! Not: watching (the agent's `observer.rs`); missed and late runs, which need the ledger (`runs`).

use crate::apply::Live;
use crate::ids::{KeyHash, Revision, RunId, Uid};
use crate::names;
use crate::report::{Run, RunResult, Runs, cut_message};
use crate::run_order::RunPurpose;
use crate::segment::schedule::next_after;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// When the controller made the Job for: an RFC 3339 time.
const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/// Waiting reasons that tell nothing: the Pod is on its way.
const ON_ITS_WAY: [&str; 2] = ["ContainerCreating", "PodInitializing"];

/// A Job of a CronJob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobSeen {
    /// Its uid.
    pub uid: Uid,
    /// Its name.
    pub name: Box<str>,
    /// The CronJob that controls it, or that an ordered run is of.
    pub cronjob: Uid,
    /// Set for a Job that was ordered: the CronJob does not control it, and does not count it.
    pub ordered: Option<(RunId, RunPurpose)>,
    /// False for a Job that no schedule made: by hand, or ordered.
    pub by_schedule: bool,
    /// Revision that it runs, where it carries one.
    pub revision: Option<Revision>,
    /// When it was made.
    pub created: Timestamp,
    /// Pods that it has started so far.
    pub attempts: u32,
    /// When it was due, else when it was made.
    pub scheduled: Timestamp,
    /// When it started.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// How it ended.
    pub result: RunResult,
    /// The failing condition's reason.
    pub reason: Box<str>,
    /// The failing condition's message.
    pub message: Box<str>,
}

/// A Pod of a Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodSeen {
    /// Its uid.
    pub uid: Uid,
    /// The Job that controls it.
    pub job: Uid,
    /// When it was made.
    pub created: Timestamp,
    /// Exit code of its container's last end.
    pub exit_code: Option<i32>,
    /// How often its container was started again.
    pub restarts: u32,
    /// Its container waits, or no node takes it.
    pub waits: bool,
    /// Why the container waits or ended, or the Pod can't be scheduled.
    pub reason: Box<str>,
    /// The words beside the reason.
    pub message: Box<str>,
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

fn text(value: &Value) -> Box<str> {
    value.as_str().map(cut_message).unwrap_or_default().into()
}

fn uid(object: &Value) -> Option<Uid> {
    object["metadata"]["uid"].as_str()?.parse().ok()
}

/// The uid of the owner that controls an object, if it is of this kind.
fn controller(object: &Value, kind: &str) -> Option<Uid> {
    let owners = object["metadata"]["ownerReferences"].as_array()?;
    let owner = owners
        .iter()
        .find(|owner| owner["controller"].as_bool() == Some(true))?;
    (owner["kind"].as_str() == Some(kind)).then(|| owner["uid"].as_str()?.parse().ok())?
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = object["status"]["conditions"].as_array()?;
    conditions.iter().find(|condition| {
        condition["type"].as_str() == Some(kind) && condition["status"].as_str() == Some("True")
    })
}

/// True for a Job that has neither completed nor failed: what a removal waits for.
pub fn is_unfinished(job: &Value) -> bool {
    condition(job, "Complete").is_none() && condition(job, "Failed").is_none()
}

/// How many of these Jobs are unfinished and controlled by this CronJob.
pub fn unfinished_jobs(jobs: &[Value], cronjob: Uid) -> u32 {
    let count = jobs
        .iter()
        .filter(|job| controller(job, "CronJob") == Some(cronjob) && is_unfinished(job))
        .count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// What the Jobs of a namespace say of one Segment's runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Siblings {
    /// Unfinished ones, by schedule or by order.
    pub active: u32,
    /// Longest that a finished one took.
    pub longest: Option<SignedDuration>,
}

/// Which Jobs are runs of one Segment: those that its CronJob controls, and those that were ordered (by their label). The
/// one named `own` is left out.
pub fn siblings(jobs: &[Value], cronjob: Option<Uid>, segment: KeyHash, own: &str) -> Siblings {
    let segment = segment.to_string();
    let mut siblings = Siblings::default();
    for job in jobs {
        let metadata = &job["metadata"];
        let ordered = metadata["annotations"][names::ANNOTATION_RUN].is_string()
            && metadata["labels"][names::LABEL_SEGMENT_HASH].as_str() == Some(&segment);
        let controlled = cronjob.is_some() && controller(job, "CronJob") == cronjob;
        if !(ordered || controlled) || metadata["name"].as_str() == Some(own) {
            continue;
        }
        if is_unfinished(job) {
            siblings.active = siblings.active.saturating_add(1);
        } else if let Some(JobSeen {
            started: Some(started),
            finished: Some(finished),
            ..
        }) = any_job_seen(job)
        {
            siblings.longest = siblings.longest.max(Some(finished.duration_since(started)));
        }
    }
    siblings
}

/// The uid of an owner of this kind that does not control the object.
fn owner(object: &Value, kind: &str) -> Option<Uid> {
    let owners = object["metadata"]["ownerReferences"].as_array()?;
    let owner = owners
        .iter()
        .find(|owner| owner["kind"].as_str() == Some(kind))?;
    owner["uid"].as_str()?.parse().ok()
}

/// Which ordered run a Job is, by its annotations.
fn ordered_run(job: &Value) -> Option<(RunId, RunPurpose)> {
    let annotation = |name: &str| job["metadata"]["annotations"][name].as_str();
    let id = annotation(names::ANNOTATION_RUN)?.parse().ok()?;
    let purpose = match annotation(names::ANNOTATION_RUN_PURPOSE)? {
        "proof" => RunPurpose::Proof,
        "manual" => RunPurpose::Manual,
        _ => return None,
    };
    Some((id, purpose))
}

/// A Job that a CronJob controls, or that was ordered of one; `None` for all others.
pub fn job_seen(job: &Value) -> Option<JobSeen> {
    let cronjob = controller(job, "CronJob")
        .or_else(|| ordered_run(job).and_then(|_| owner(job, "CronJob")))?;
    job_of(job, cronjob)
}

/// A Job whoever made it, as that of an ordered run is: no CronJob controls it.
pub fn any_job_seen(job: &Value) -> Option<JobSeen> {
    job_of(job, Uid::default())
}

fn job_of(job: &Value, cronjob: Uid) -> Option<JobSeen> {
    let metadata = &job["metadata"];
    let created = time(&metadata["creationTimestamp"])?;
    let failed = condition(job, "Failed");
    let complete = condition(job, "Complete");
    let result = match (&failed, &complete) {
        (Some(_), _) => RunResult::Failed,
        (None, Some(_)) => RunResult::Succeeded,
        (None, None) => RunResult::Running,
    };
    let finished = time(&job["status"]["completionTime"]).or_else(|| {
        failed
            .or(complete)
            .and_then(|condition| time(&condition["lastTransitionTime"]))
    });
    let annotation = |name: &str| metadata["annotations"][name].as_str();
    let ordered = ordered_run(job).filter(|_| controller(job, "CronJob").is_none());
    let due = time(&metadata["annotations"][SCHEDULED]);
    let count = |field: &str| job["status"][field].as_u64().unwrap_or_default();
    let attempts = count("active") + count("succeeded") + count("failed");
    Some(JobSeen {
        uid: uid(job)?,
        name: text(&metadata["name"]),
        cronjob,
        ordered,
        by_schedule: ordered.is_none() && due.is_some(),
        revision: annotation(names::ANNOTATION_REVISION).and_then(|text| text.parse().ok()),
        created,
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
        scheduled: due.filter(|_| ordered.is_none()).unwrap_or(created),
        started: time(&job["status"]["startTime"]),
        finished,
        result,
        reason: failed
            .map(|condition| text(&condition["reason"]))
            .unwrap_or_default(),
        message: failed
            .map(|condition| text(&condition["message"]))
            .unwrap_or_default(),
    })
}

/// A Pod that a Job controls; `None` for all others.
pub fn pod_seen(pod: &Value) -> Option<PodSeen> {
    let job = controller(pod, "Job")?;
    let status = &pod["status"];
    let container = status["containerStatuses"]
        .as_array()
        .and_then(|all| all.first())
        .unwrap_or(&Value::Null);
    let (state, last) = (&container["state"], &container["lastState"]);
    let ended = [&state["terminated"], &last["terminated"]]
        .into_iter()
        .find(|ended| ended.is_object());
    let exit_code = ended
        .and_then(|ended| ended["exitCode"].as_i64())
        .and_then(|code| i32::try_from(code).ok());
    let waiting = &state["waiting"];
    let restarts = container["restartCount"].as_u64().unwrap_or_default();
    let waits =
        waiting.is_object() || (state.is_null() && status["phase"].as_str() == Some("Pending"));
    let (reason, message) = if waiting["reason"]
        .as_str()
        .is_some_and(|reason| !ON_ITS_WAY.contains(&reason))
    {
        (text(&waiting["reason"]), text(&waiting["message"]))
    } else if let Some(ended) = ended.filter(|_| exit_code != Some(0)) {
        (text(&ended["reason"]), text(&ended["message"]))
    } else if status["phase"].as_str() == Some("Pending") {
        unschedulable(status)
    } else {
        (text(&status["reason"]), text(&status["message"]))
    };
    Some(PodSeen {
        uid: uid(pod)?,
        job,
        created: time(&pod["metadata"]["creationTimestamp"])?,
        exit_code,
        restarts: u32::try_from(restarts).unwrap_or(u32::MAX),
        waits,
        reason,
        message,
    })
}

fn unschedulable(status: &Value) -> (Box<str>, Box<str>) {
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let mut unscheduled = conditions.filter(|condition| {
        condition["type"].as_str() == Some("PodScheduled")
            && condition["status"].as_str() == Some("False")
    });
    unscheduled
        .next()
        .map(|condition| (text(&condition["reason"]), text(&condition["message"])))
        .unwrap_or_default()
}

/// What a CronJob's runs do.
///
/// `jobs` are all Jobs of its namespace or only its own; `pods` likewise.
pub fn runs<'a>(
    cronjob: &Live,
    jobs: impl IntoIterator<Item = &'a JobSeen>,
    pods: impl IntoIterator<Item = &'a PodSeen>,
    now: Timestamp,
) -> Runs {
    let mut active = 0;
    let mut newest: Option<&JobSeen> = None;
    let own = |job: &&JobSeen| job.cronjob == cronjob.uid && job.ordered.is_none();
    for job in jobs.into_iter().filter(own) {
        active += u32::from(job.result == RunResult::Running);
        let later = |job: &JobSeen| (job.scheduled, job.started, job.name.clone());
        if newest.is_none_or(|newest| later(newest) < later(job)) {
            newest = Some(job);
        }
    }
    let last = newest.map(|job| {
        let pod = pods
            .into_iter()
            .filter(|pod| pod.job == job.uid)
            .max_by_key(|pod| (pod.created, pod.uid));
        run(job, pod)
    });
    // `@every` counts from the last run: from now on it would be another time in each report.
    let from = match cronjob.last_schedule.or(cronjob.created) {
        Some(last) if cronjob.schedule.starts_with("@every") => last,
        _ => now,
    };
    let next = next_after(&cronjob.schedule, cronjob.time_zone.as_deref(), from)
        .filter(|_| !cronjob.suspend);
    Runs { last, next, active }
}

/// A Job's run, with what its newest Pod says of it.
pub fn run(job: &JobSeen, pod: Option<&PodSeen>) -> Run {
    // Of a run that succeeded, what an earlier try of its said is history.
    let pod = pod.filter(|_| job.result != RunResult::Succeeded || job.reason.is_empty());
    let of_pod = pod.filter(|pod| job.result != RunResult::Succeeded && !pod.reason.is_empty());
    let (reason, message) = match (job.reason.is_empty(), of_pod) {
        (true, Some(pod)) => (&pod.reason, &pod.message),
        (false, Some(pod)) if job.message.is_empty() => (&job.reason, &pod.message),
        _ => (&job.reason, &job.message),
    };
    Run {
        job: job.name.to_string(),
        scheduled: job.scheduled,
        started: job.started,
        finished: job.finished,
        result: job.result,
        exit_code: pod.and_then(|pod| pod.exit_code),
        reason: reason.to_string(),
        message: message.to_string(),
    }
}

#[cfg(test)]
mod tests;
