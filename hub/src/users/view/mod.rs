//! What is shown of each thing: core's values as messages.
//!
//! In: the index, the time. Out: messages of the users' API. Law: a state is core's own verdict (`core::aggregate`), so
//! that this API, `kubectl get seg` and the next hub say the same; every state has its age; what is not known is absent,
//! and a count of zero is said. Not: who may see it.

pub mod assignment;
pub mod cluster;
pub mod ordered_run;
pub mod plan;
pub mod rollout;
pub mod run;
pub mod segment;
pub mod why;

use crate::handle::HubHandle;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use segment_core::report;
use segment_proto::convert::time::to_wire;
use segment_proto::v1;

/// Who answers, and when.
pub fn source(handle: &HubHandle, now: Timestamp) -> v1::Source {
    v1::Source {
        as_of: Some(to_wire(now)),
        hub: handle.pod.clone(),
        // Only the leader serves this API.
        leader: Some(true),
    }
}

/// Conditions. A status as it is computed now has the times of now; those of the stored status say since when it is so.
fn conditions(fresh: &[meta::Condition], stored: &[meta::Condition]) -> Vec<v1::Condition> {
    fresh
        .iter()
        .map(|condition| {
            let since = stored
                .iter()
                .find(|old| old.type_ == condition.type_ && old.status == condition.status)
                .map(|old| to_wire(old.last_transition_time.0));
            v1::Condition {
                r#type: condition.type_.clone(),
                status: condition.status.clone(),
                reason: condition.reason.clone(),
                message: condition.message.clone(),
                since,
            }
        })
        .collect()
}

/// A run.
fn run(run: &report::Run) -> v1::Run {
    let result = result(run.result);
    v1::Run {
        job: run.job.clone(),
        scheduled: Some(to_wire(run.scheduled)),
        started: run.started.map(to_wire),
        finished: run.finished.map(to_wire),
        result: result.into(),
        exit_code: run.exit_code,
        reason: run.reason.clone(),
        message: run.message.clone(),
        ..v1::Run::default()
    }
}

/// How a run ended.
fn result(result: report::RunResult) -> v1::RunResult {
    match result {
        report::RunResult::Running => v1::RunResult::Running,
        report::RunResult::Succeeded => v1::RunResult::Succeeded,
        report::RunResult::Failed => v1::RunResult::Failed,
        report::RunResult::Missed => v1::RunResult::Missed,
        report::RunResult::Skipped => v1::RunResult::Skipped,
        report::RunResult::Stuck => v1::RunResult::Stuck,
        report::RunResult::Unknown => v1::RunResult::Unknown,
    }
}

/// Lengths as the wire counts them.
pub fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// A total as the wire counts it.
pub fn total(length: u32) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests;
