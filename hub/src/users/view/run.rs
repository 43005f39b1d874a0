//! A run of the ledger.

use super::result;
use segment_core::ids::{ClusterName, SegmentKey, cronjob_name};
use segment_core::report::RunResult;
use segment_core::runs::{KeptRun, LedgerRun, RunKey, RunKind, fingerprint};
use segment_proto::convert::time::to_wire;
use segment_proto::v1;

/// A run, and where it was.
pub fn record(key: &SegmentKey, cluster: &ClusterName, kept: &KeptRun) -> v1::RunRecord {
    let run = kept.run(&cronjob_name(&key.name));
    v1::RunRecord {
        segment: key.to_string(),
        cluster: cluster.to_string(),
        id: match run.key {
            RunKey::Due(_) => String::new(),
            RunKey::Id(id) => id.to_string(),
        },
        cause: if run.result == RunResult::Succeeded {
            String::new()
        } else {
            cause(key, cluster, &run)
        },
        run: Some(shown(&run)),
    }
}

/// The cause of a run without what differs from place to place.
pub fn cause(key: &SegmentKey, cluster: &ClusterName, run: &LedgerRun) -> String {
    let cronjob = cronjob_name(&key.name);
    let names = [cluster.as_str(), cronjob.as_str(), &run.job];
    fingerprint::cause(run.result, run.exit_code, &run.reason, &run.message, &names)
}

fn shown(run: &LedgerRun) -> v1::Run {
    let kind = match run.kind {
        RunKind::Scheduled => v1::RunKind::Scheduled,
        RunKind::Proof => v1::RunKind::Proof,
        RunKind::Manual => v1::RunKind::Manual,
    };
    v1::Run {
        job: run.job.clone(),
        scheduled: Some(to_wire(run.scheduled)),
        started: run.started.map(to_wire),
        finished: run.finished.map(to_wire),
        result: result(run.result).into(),
        exit_code: run.exit_code,
        reason: run.reason.clone(),
        message: run.message.clone(),
        kind: kind.into(),
        revision: run
            .revision
            .map(|revision| revision.to_string())
            .unwrap_or_default(),
        attempts: Some(run.attempts),
        late_seconds: run
            .lateness()
            .filter(|_| run.is_late())
            .map(|late| late.as_secs()),
    }
}
