//! Ordered runs. One that can't be read is refused alone, by its id: the others of its frame stand.

use super::error::{ConvertError, Problem, cut, known, required, unsaid};
use super::frame::UnreadableRun;
use super::{ids, time};
use crate::agent::v1;
use crate::limits::{OBJECT_NAME_MAX_BYTES, REASON_MAX_BYTES};
use jiff::SignedDuration;
use segment_core::assignment::Rendered;
use segment_core::report::{MAX_MESSAGE_BYTES, cut_message};
use segment_core::run_order::{RunEvent, RunOrder, RunPhase, RunPurpose};

/// An order for the wire. The rendered bytes are shared, not copied.
pub fn order_to_wire(order: &RunOrder) -> v1::RunOrder {
    v1::RunOrder {
        id: ids::bytes(order.id.as_bytes()),
        purpose: match order.purpose {
            RunPurpose::Proof => v1::RunPurpose::Proof,
            RunPurpose::Manual => v1::RunPurpose::Manual,
        }
        .into(),
        key: Some(ids::segment_to_wire(&order.key)),
        uid: ids::bytes(&order.uid.0),
        revision: ids::bytes(order.revision.as_bytes()),
        rendered: order.rendered.bytes().clone(),
        start_before: Some(time::to_wire(order.start_before)),
        deadline_seconds: order.deadline.map_or(0, |deadline| {
            u32::try_from(deadline.as_secs()).unwrap_or(u32::MAX)
        }),
    }
}

/// An order from the wire: the order, or which one can't be read.
///
/// # Errors
/// When it can't even be said which it is.
pub fn order_from_wire(
    order: v1::RunOrder,
) -> Result<Result<RunOrder, UnreadableRun>, ConvertError> {
    let id = ids::run("id", &order.id)?;
    let key = ids::segment(
        "key",
        order
            .key
            .as_ref()
            .ok_or_else(|| ConvertError::missing("key"))?,
    )?;
    let hash = key.hash();
    let rest = || {
        Ok(RunOrder {
            id,
            purpose: match known("purpose", order.purpose)? {
                v1::RunPurpose::Unspecified => return Err(unsaid("purpose")),
                v1::RunPurpose::Proof => RunPurpose::Proof,
                v1::RunPurpose::Manual => RunPurpose::Manual,
            },
            key,
            uid: ids::uid("uid", &order.uid)?,
            revision: ids::revision("revision", &order.revision)?,
            rendered: Rendered::from_bytes(order.rendered).map_err(|error| {
                ConvertError::new("rendered", Problem::Rendered(error.to_string()))
            })?,
            start_before: time::from_wire(
                "start_before",
                required("start_before", order.start_before)?,
            )?,
            deadline: (order.deadline_seconds > 0)
                .then(|| SignedDuration::from_secs(i64::from(order.deadline_seconds))),
        })
    };
    Ok(rest().map_err(|error: ConvertError| UnreadableRun {
        id,
        key: hash,
        message: cut_message(&error.to_string()),
    }))
}

/// An event for the wire.
pub fn event_to_wire(event: RunEvent) -> v1::RunEvent {
    v1::RunEvent {
        id: ids::bytes(event.id.as_bytes()),
        key: ids::bytes(event.key.as_bytes()),
        phase: match event.phase {
            RunPhase::Waiting => v1::RunPhase::Waiting,
            RunPhase::Running => v1::RunPhase::Running,
            RunPhase::Succeeded => v1::RunPhase::Succeeded,
            RunPhase::Failed => v1::RunPhase::Failed,
            RunPhase::Refused => v1::RunPhase::Refused,
            RunPhase::Expired => v1::RunPhase::Expired,
        }
        .into(),
        job: cut(event.job, OBJECT_NAME_MAX_BYTES),
        started: event.started.map(time::to_wire),
        finished: event.finished.map(time::to_wire),
        exit_code: event.exit_code,
        reason: cut(event.reason, REASON_MAX_BYTES),
        message: cut(event.message, MAX_MESSAGE_BYTES),
        at: Some(time::to_wire(event.at)),
    }
}

/// An event from the wire. Text for people is cut to its limit; everything else must be right.
///
/// # Errors
/// Names the first field that can't be taken.
pub fn event_from_wire(event: v1::RunEvent) -> Result<RunEvent, ConvertError> {
    Ok(RunEvent {
        id: ids::run("id", &event.id)?,
        key: ids::key_hash("key", &event.key)?,
        phase: match known("phase", event.phase)? {
            v1::RunPhase::Unspecified => return Err(unsaid("phase")),
            v1::RunPhase::Waiting => RunPhase::Waiting,
            v1::RunPhase::Running => RunPhase::Running,
            v1::RunPhase::Succeeded => RunPhase::Succeeded,
            v1::RunPhase::Failed => RunPhase::Failed,
            v1::RunPhase::Refused => RunPhase::Refused,
            v1::RunPhase::Expired => RunPhase::Expired,
        },
        job: cut(event.job, OBJECT_NAME_MAX_BYTES),
        started: time::maybe_from_wire("started", event.started)?,
        finished: time::maybe_from_wire("finished", event.finished)?,
        exit_code: event.exit_code,
        reason: cut(event.reason, REASON_MAX_BYTES),
        message: cut(event.message, MAX_MESSAGE_BYTES),
        at: time::from_wire("at", required("at", event.at)?)?,
    })
}
