//! What runs ask of the API server.
//!
//! In: places. Out: what is there, by live reads. Law: only lists are used, for which the agent has the right anyway, and
//! the create that `runNow` gives; every call has a deadline. Not: decisions.

use jiff::{SignedDuration, Timestamp};
use segment_core::apply::{Live, Place};
use segment_core::assignment::ConcurrencyPolicy;
use segment_core::ids::{CronJobName, KeyHash, Namespace, RunId, Uid};
use segment_core::names;
use segment_core::observe::{any_job_seen, pod_seen};
use segment_core::run_order::carry_out::{CronJobFacts, JobLook};
use segment_core::segment::schedule::next_after;
use segment_runtime::error::ApiError;
use segment_runtime::raw::{self, Answer, WriteOptions};
use serde_json::Value;
use std::time::Duration;

/// Jobs on one page of a list.
const PAGE: usize = 500;
/// Pods of one Job that are looked at: each of its tries made one.
const PODS: usize = 100;
/// A run by schedule that was due this long ago may still be made by the controller, which looks each 10 s.
const CONTROLLER_LAG: SignedDuration = SignedDuration::from_secs(15);

/// The API server, as far as runs need it.
#[derive(Clone)]
pub struct Calls {
    /// The client.
    pub client: kube::Client,
    /// Deadline of one call.
    pub limit: Duration,
}

impl std::fmt::Debug for Calls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Calls")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// The CronJob of a Segment, found live.
#[derive(Debug)]
pub struct CronJobFound {
    /// Its name.
    pub name: CronJobName,
    /// Its uid.
    pub uid: Uid,
    /// Where it is.
    pub namespace: Namespace,
    /// What decisions need.
    pub facts: CronJobFacts,
}

fn items(answer: &Answer) -> &[Value] {
    answer.body["items"]
        .as_array()
        .map_or(&[][..], Vec::as_slice)
}

impl Calls {
    /// What is at a Job's place, and the API server's clock.
    ///
    /// # Errors
    /// When the API server does not say.
    pub async fn job(
        &self,
        namespace: &Namespace,
        name: &str,
        id: RunId,
    ) -> Result<(JobLook, Option<Timestamp>), ApiError> {
        let jobs = raw::path("batch/v1", "jobs", Some(namespace.as_str()), None);
        let path = format!("{jobs}?fieldSelector=metadata.name%3D{name}");
        let answer = raw::get_json(&self.client, &path, self.limit).await?;
        let Some(job) = items(&answer).first() else {
            return Ok((JobLook::Absent, answer.date));
        };
        let run = job["metadata"]["annotations"][names::ANNOTATION_RUN].as_str();
        let seen = any_job_seen(job).filter(|_| run == Some(id.to_string().as_str()));
        let Some(seen) = seen else {
            return Ok((JobLook::Other, answer.date));
        };
        let pods = raw::path("v1", "pods", Some(namespace.as_str()), None);
        let path =
            format!("{pods}?labelSelector=batch.kubernetes.io%2Fjob-name%3D{name}&limit={PODS}");
        let of_job = raw::get_json(&self.client, &path, self.limit).await?;
        let pod = items(&of_job)
            .iter()
            .filter_map(pod_seen)
            .filter(|pod| pod.job == seen.uid)
            .max_by_key(|pod| (pod.created, pod.uid));
        Ok((
            JobLook::Seen(Box::new(seen), pod.map(Box::new)),
            answer.date,
        ))
    }

    /// The Segment's CronJob in a place; `None` where there is none, or one that is not its.
    ///
    /// # Errors
    /// When the API server does not say.
    pub async fn cronjob(
        &self,
        place: &Place,
        segment: KeyHash,
        held: bool,
    ) -> Result<Option<CronJobFound>, ApiError> {
        let path = raw::path(
            "batch/v1",
            "cronjobs",
            Some(place.namespace.as_str()),
            Some(place.name.as_str()),
        );
        let answer = match raw::get_json(&self.client, &path, self.limit).await {
            Ok(answer) => answer,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let now = answer.date.unwrap_or_else(Timestamp::now);
        let concurrency = match answer.body["spec"]["concurrencyPolicy"].as_str() {
            Some("Allow") => ConcurrencyPolicy::Allow,
            Some("Replace") => ConcurrencyPolicy::Replace,
            // What a later Kubernetes may add forbids more rather than less.
            _ => ConcurrencyPolicy::Forbid,
        };
        let Ok(live) = Live::read(answer.body, answer.date) else {
            return Ok(None);
        };
        if live.segment.as_deref().map(KeyHash::of) != Some(segment) || live.deleting {
            return Ok(None);
        }
        Ok(Some(CronJobFound {
            name: live.place.name.clone(),
            uid: live.uid,
            namespace: live.place.namespace.clone(),
            facts: CronJobFacts {
                concurrency,
                next: next_due(&live, now),
                suspended_for: live
                    .suspended_for
                    .filter(|_| live.suspend)
                    .map(|suspension| suspension.job),
                held,
            },
        }))
    }

    /// All Jobs of a namespace.
    ///
    /// # Errors
    /// When the API server does not say.
    pub async fn jobs(&self, namespace: &Namespace) -> Result<Vec<Value>, ApiError> {
        let jobs = raw::path("batch/v1", "jobs", Some(namespace.as_str()), None);
        let first = format!("{jobs}?limit={PAGE}");
        let mut page = first.clone();
        let mut all = Vec::new();
        loop {
            let answer = raw::get_json(&self.client, &page, self.limit).await?;
            all.extend(items(&answer).iter().cloned());
            match answer.body["metadata"]["continue"].as_str() {
                Some(next) if !next.is_empty() => page = format!("{first}&continue={next}"),
                _ => return Ok(all),
            }
        }
    }

    /// Creates a Job.
    ///
    /// # Errors
    /// As the API server refuses; one of that name may be there.
    pub async fn create(&self, namespace: &Namespace, body: &Value) -> Result<Answer, ApiError> {
        let jobs = raw::path("batch/v1", "jobs", Some(namespace.as_str()), None);
        let options = WriteOptions {
            dry_run: false,
            strict: true,
            field_manager: Some(names::MANAGER_AGENT),
        };
        raw::post_json(&self.client, &jobs, options, body, self.limit).await
    }
}

/// When a run by schedule is due next, one that the controller has not made yet included.
fn next_due(live: &Live, now: Timestamp) -> Option<Timestamp> {
    if live.suspend {
        return None;
    }
    let last = live.last_schedule.max(live.created);
    let lag = now.checked_sub(CONTROLLER_LAG).unwrap_or(now);
    let from = match last {
        // It counts from the last run.
        Some(last) if live.schedule.starts_with("@every") => last,
        Some(last) => last.max(lag),
        None => lag,
    };
    next_after(&live.schedule, live.time_zone.as_deref(), from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_run_that_was_due_and_is_not_made_yet_is_due() {
        let live = |suspend: bool, last: &str| {
            let object = json!({
                "metadata": {"namespace": "a", "name": "x", "uid": Uid([1; 16]).to_string()},
                "spec": {"schedule": "0 3 * * *", "suspend": suspend},
                "status": {"lastScheduleTime": last},
            });
            Live::watched(&object).unwrap()
        };
        let now = |text: &str| text.parse::<Timestamp>().unwrap();
        let before = live(false, "2026-01-01T03:00:00Z");
        let due = next_due(&before, now("2026-01-02T03:00:10Z"));
        assert_eq!(due, Some(now("2026-01-02T03:00:00Z")));
        let made = live(false, "2026-01-02T03:00:00Z");
        let due = next_due(&made, now("2026-01-02T03:00:10Z"));
        assert_eq!(due, Some(now("2026-01-03T03:00:00Z")));
        let suspended = live(true, "2026-01-01T03:00:00Z");
        assert_eq!(next_due(&suspended, now("2026-01-02T03:00:10Z")), None);
    }
}
