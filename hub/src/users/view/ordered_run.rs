//! Ordered runs as users see them.

use crate::users::runs::Running;
use segment_core::ids::ClusterName;
use segment_core::run_order::RunPhase;
use segment_core::run_order::campaign::{Campaign, Counts, Turn};
use segment_proto::convert::time::to_wire;
use segment_proto::v1::run_response::Part;
use segment_proto::v1::{
    OrderedRun, OrderedRunState, RunChange, RunCounts, RunResponse, RunStarted, RunSummary,
};

/// Runs in one summary: with messages of 1 KiB they stay under the limit of a message.
const LISTED: usize = 1_000;

fn part(part: Part) -> RunResponse {
    RunResponse { part: Some(part) }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// What was asked for.
pub fn started(running: &Running, campaign: &Campaign, attached: bool) -> RunResponse {
    part(Part::Started(RunStarted {
        request_id: running.wish.request_id.clone(),
        segment: running.wish.key.to_string(),
        clusters: Some(number(campaign.turns().len())),
        attached: Some(attached),
    }))
}

/// One cluster's run is another now.
pub fn change(
    running: &Running,
    campaign: &Campaign,
    name: &ClusterName,
    turn: &Turn,
) -> RunResponse {
    part(Part::Change(RunChange {
        run: Some(run(running, name, turn)),
        counts: Some(counts(&campaign.counts())),
    }))
}

/// What came of it, worst first.
pub fn summary(running: &Running, campaign: &Campaign) -> RunResponse {
    let mut turns: Vec<_> = campaign.turns().iter().collect();
    turns.sort_by_key(|(name, turn)| (weight(turn.phase), *name));
    let listed = turns
        .iter()
        .take(LISTED)
        .map(|(name, turn)| run(running, name, turn));
    part(Part::Summary(RunSummary {
        request_id: running.wish.request_id.clone(),
        counts: Some(counts(&campaign.counts())),
        runs: listed.collect(),
        not_listed: Some(number(turns.len().saturating_sub(LISTED))),
    }))
}

fn weight(phase: Option<RunPhase>) -> u8 {
    match phase {
        Some(RunPhase::Failed) => 0,
        Some(RunPhase::Refused) => 1,
        Some(RunPhase::Expired) => 2,
        None => 3,
        Some(RunPhase::Waiting) => 4,
        Some(RunPhase::Running) => 5,
        Some(RunPhase::Succeeded) => 6,
    }
}

fn run(running: &Running, name: &ClusterName, turn: &Turn) -> OrderedRun {
    OrderedRun {
        id: turn.id.to_string(),
        cluster: name.to_string(),
        state: match turn.phase {
            None => OrderedRunState::Pending,
            Some(RunPhase::Waiting) => OrderedRunState::Waiting,
            Some(RunPhase::Running) => OrderedRunState::Running,
            Some(RunPhase::Succeeded) => OrderedRunState::Succeeded,
            Some(RunPhase::Failed) => OrderedRunState::Failed,
            Some(RunPhase::Refused) => OrderedRunState::Refused,
            Some(RunPhase::Expired) => OrderedRunState::Expired,
        }
        .into(),
        namespace: running.wish.namespace.to_string(),
        job: turn.job.clone(),
        reason: turn.reason.clone(),
        message: turn.message.clone(),
        exit_code: turn.exit_code,
        started: turn.started.map(to_wire),
        finished: turn.finished.map(to_wire),
    }
}

fn counts(counts: &Counts) -> RunCounts {
    RunCounts {
        pending: Some(counts.pending),
        waiting: Some(counts.waiting),
        running: Some(counts.running),
        succeeded: Some(counts.succeeded),
        failed: Some(counts.failed),
        refused: Some(counts.refused),
        expired: Some(counts.expired),
    }
}
