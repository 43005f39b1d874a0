//! Runs of the ledger: `run.proto` ↔ `segment_core::runs`.

use super::error::{ConvertError, at_most, cut, known, required, unsaid};
use super::{ids, report, time};
use crate::agent::v1;
use crate::limits::{OBJECT_NAME_MAX_BYTES, REASON_MAX_BYTES};
use bytes::Bytes;
use segment_core::ids::Revision;
use segment_core::report::MAX_MESSAGE_BYTES;
use segment_core::runs::{LedgerRun, RUNS_CHUNK, RunBatch, RunKey, RunKind, ToldRun};

/// A batch for the wire.
pub fn batch_to_wire(batch: RunBatch) -> v1::RunBatch {
    v1::RunBatch {
        upto: batch.upto,
        dropped: batch.dropped,
        runs: batch.runs.into_iter().map(run_to_wire).collect(),
    }
}

/// A batch from the wire. A run that can't be read is left out, and costs no other.
///
/// # Errors
/// When there are too many.
pub fn batch_from_wire(
    batch: v1::RunBatch,
    left_out: &mut Vec<ConvertError>,
) -> Result<RunBatch, ConvertError> {
    at_most("runs.runs", batch.runs.len(), RUNS_CHUNK)?;
    Ok(RunBatch {
        upto: batch.upto,
        dropped: batch.dropped,
        runs: super::frame::each("runs.runs", batch.runs, run_from_wire, left_out),
    })
}

fn run_to_wire(told: ToldRun) -> v1::LedgerRun {
    let run = told.run;
    v1::LedgerRun {
        key: ids::bytes(told.key.as_bytes()),
        id: match run.key {
            RunKey::Due(_) => Bytes::new(),
            RunKey::Id(id) => ids::bytes(id.as_bytes()),
        },
        kind: match run.kind {
            RunKind::Scheduled => v1::RunKind::Scheduled,
            RunKind::Proof => v1::RunKind::Proof,
            RunKind::Manual => v1::RunKind::Manual,
        }
        .into(),
        job: cut(run.job, OBJECT_NAME_MAX_BYTES),
        revision: run
            .revision
            .map(|revision| ids::bytes(revision.as_bytes()))
            .unwrap_or_default(),
        scheduled: Some(time::to_wire(run.scheduled)),
        started: run.started.map(time::to_wire),
        finished: run.finished.map(time::to_wire),
        result: report::result_to_wire(run.result).into(),
        exit_code: run.exit_code,
        reason: cut(run.reason, REASON_MAX_BYTES),
        message: cut(run.message, MAX_MESSAGE_BYTES),
        attempts: run.attempts,
    }
}

fn run_from_wire(run: v1::LedgerRun) -> Result<ToldRun, ConvertError> {
    let scheduled = time::from_wire("scheduled", required("scheduled", run.scheduled)?)?;
    let key = if run.id.is_empty() {
        RunKey::Due(scheduled)
    } else {
        RunKey::Id(ids::run("id", &run.id)?)
    };
    let revision: Option<Revision> = if run.revision.is_empty() {
        None
    } else {
        Some(ids::revision("revision", &run.revision)?)
    };
    Ok(ToldRun {
        key: ids::key_hash("key", &run.key)?,
        run: LedgerRun {
            key,
            kind: match known("kind", run.kind)? {
                v1::RunKind::Unspecified => return Err(unsaid("kind")),
                v1::RunKind::Scheduled => RunKind::Scheduled,
                v1::RunKind::Proof => RunKind::Proof,
                v1::RunKind::Manual => RunKind::Manual,
            },
            job: cut(run.job, OBJECT_NAME_MAX_BYTES),
            job_uid: None,
            revision,
            scheduled,
            started: time::maybe_from_wire("started", run.started)?,
            finished: time::maybe_from_wire("finished", run.finished)?,
            result: report::result_from_wire(run.result)?,
            exit_code: run.exit_code,
            reason: cut(run.reason, REASON_MAX_BYTES),
            message: cut(run.message, MAX_MESSAGE_BYTES),
            attempts: run.attempts,
        },
    })
}
