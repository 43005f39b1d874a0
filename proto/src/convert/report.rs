//! Reports.

use super::error::{ConvertError, cut, known, required, unsaid};
use super::{ids, time};
use crate::agent::v1;
use crate::limits::{OBJECT_NAME_MAX_BYTES, REASON_MAX_BYTES};
use segment_core::report::{MAX_MESSAGE_BYTES, Report, Run, RunResult, Runs, State};

/// A report for the wire.
pub fn report_to_wire(report: Report) -> v1::Report {
    v1::Report {
        key: ids::bytes(report.key.as_bytes()),
        uid: ids::bytes(&report.uid.0),
        revision: ids::bytes(report.revision.as_bytes()),
        digest: ids::bytes(report.digest.as_bytes()),
        state: state_to_wire(report.state).into(),
        reason: cut(report.reason, REASON_MAX_BYTES),
        message: cut(report.message, MAX_MESSAGE_BYTES),
        since: Some(time::to_wire(report.since)),
        corrections: report.corrections,
        drifted_by: cut(report.drifted_by, REASON_MAX_BYTES),
        last_run: report.runs.last.map(run_to_wire),
        next_run: report.runs.next.map(time::to_wire),
        active: report.runs.active,
    }
}

/// A report from the wire. Text for people is cut to its limit; everything else must be right.
///
/// # Errors
/// Names the first field that can't be taken.
pub fn report_from_wire(report: v1::Report) -> Result<Report, ConvertError> {
    Ok(Report {
        key: ids::key_hash("key", &report.key)?,
        uid: ids::uid("uid", &report.uid)?,
        revision: ids::revision("revision", &report.revision)?,
        digest: ids::digest("digest", &report.digest)?,
        state: state_from_wire(report.state)?,
        reason: cut(report.reason, REASON_MAX_BYTES),
        message: cut(report.message, MAX_MESSAGE_BYTES),
        since: time::from_wire("since", required("since", report.since)?)?,
        corrections: report.corrections,
        drifted_by: cut(report.drifted_by, REASON_MAX_BYTES),
        runs: Runs {
            last: report
                .last_run
                .map(|run| run_from_wire(run).map_err(|error| error.within("last_run")))
                .transpose()?,
            next: time::maybe_from_wire("next_run", report.next_run)?,
            active: report.active,
        },
    })
}

fn run_to_wire(run: Run) -> v1::Run {
    v1::Run {
        job: cut(run.job, OBJECT_NAME_MAX_BYTES),
        scheduled: Some(time::to_wire(run.scheduled)),
        started: run.started.map(time::to_wire),
        finished: run.finished.map(time::to_wire),
        result: result_to_wire(run.result).into(),
        exit_code: run.exit_code,
        reason: cut(run.reason, REASON_MAX_BYTES),
        message: cut(run.message, MAX_MESSAGE_BYTES),
    }
}

fn run_from_wire(run: v1::Run) -> Result<Run, ConvertError> {
    Ok(Run {
        job: cut(run.job, OBJECT_NAME_MAX_BYTES),
        scheduled: time::from_wire("scheduled", required("scheduled", run.scheduled)?)?,
        started: time::maybe_from_wire("started", run.started)?,
        finished: time::maybe_from_wire("finished", run.finished)?,
        result: result_from_wire(run.result)?,
        exit_code: run.exit_code,
        reason: cut(run.reason, REASON_MAX_BYTES),
        message: cut(run.message, MAX_MESSAGE_BYTES),
    })
}

pub(super) fn result_to_wire(result: RunResult) -> v1::RunResult {
    match result {
        RunResult::Running => v1::RunResult::Running,
        RunResult::Succeeded => v1::RunResult::Succeeded,
        RunResult::Failed => v1::RunResult::Failed,
        RunResult::Missed => v1::RunResult::Missed,
        RunResult::Skipped => v1::RunResult::Skipped,
        RunResult::Stuck => v1::RunResult::Stuck,
        RunResult::Unknown => v1::RunResult::Unknown,
    }
}

pub(super) fn result_from_wire(result: i32) -> Result<RunResult, ConvertError> {
    Ok(match known("result", result)? {
        v1::RunResult::Unspecified => return Err(unsaid("result")),
        v1::RunResult::Running => RunResult::Running,
        v1::RunResult::Succeeded => RunResult::Succeeded,
        v1::RunResult::Failed => RunResult::Failed,
        v1::RunResult::Missed => RunResult::Missed,
        v1::RunResult::Skipped => RunResult::Skipped,
        v1::RunResult::Stuck => RunResult::Stuck,
        v1::RunResult::Unknown => RunResult::Unknown,
    })
}

fn state_to_wire(state: State) -> v1::State {
    match state {
        State::Pending => v1::State::Pending,
        State::Applied => v1::State::Applied,
        State::Failed => v1::State::Failed,
        State::Refused => v1::State::Refused,
        State::Contested => v1::State::Contested,
        State::NotOwned => v1::State::NotOwned,
        State::Held => v1::State::Held,
        State::Removing => v1::State::Removing,
        State::MoveBlocked => v1::State::MoveBlocked,
        State::Removed => v1::State::Removed,
    }
}

fn state_from_wire(state: i32) -> Result<State, ConvertError> {
    Ok(match known("state", state)? {
        v1::State::Unspecified => return Err(unsaid("state")),
        v1::State::Pending => State::Pending,
        v1::State::Applied => State::Applied,
        v1::State::Failed => State::Failed,
        v1::State::Refused => State::Refused,
        v1::State::Contested => State::Contested,
        v1::State::NotOwned => State::NotOwned,
        v1::State::Held => State::Held,
        v1::State::Removing => State::Removing,
        v1::State::MoveBlocked => State::MoveBlocked,
        v1::State::Removed => State::Removed,
    })
}
