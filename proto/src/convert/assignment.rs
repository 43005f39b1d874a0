//! Entries: what an agent shall hold.

use super::error::{ConvertError, Problem, cut, known, required, unsaid};
use super::{ids, time};
use crate::agent::v1;
use segment_core::assignment::{
    Adoption, Assignment, Controls, Drift, Entry, EntryId, Hold, Modes, OnScheduleChange,
    OrderNumber, Removal, RemovalPolicy, Rendered, RunningJobs,
};
use segment_core::report::MAX_MESSAGE_BYTES;

/// An entry for the wire. The rendered bytes are shared, not copied.
pub fn entry_to_wire(entry: &Entry) -> v1::Entry {
    let assignment = &entry.assignment;
    v1::Entry {
        key: Some(ids::segment_to_wire(&assignment.key)),
        uid: ids::bytes(&assignment.uid.0),
        number: Some(number_to_wire(assignment.number)),
        revision: ids::bytes(assignment.revision.as_bytes()),
        rendered: assignment.rendered.bytes().clone(),
        drift: match assignment.modes.drift {
            Drift::Correct => v1::Drift::Correct,
            Drift::Report => v1::Drift::Report,
            Drift::IfNotDrifted => v1::Drift::IfNotDrifted,
        }
        .into(),
        adoption: match assignment.modes.adoption {
            Adoption::Never => v1::Adoption::Never,
            Adoption::IfSame => v1::Adoption::IfSame,
            Adoption::Always => v1::Adoption::Always,
        }
        .into(),
        on_schedule_change: match assignment.modes.on_schedule_change {
            OnScheduleChange::Skip => v1::OnScheduleChange::Skip,
            OnScheduleChange::RunOnce => v1::OnScheduleChange::RunOnce,
        }
        .into(),
        hold: entry.controls.hold.as_ref().map(|hold| v1::Hold {
            until: hold.until.map(time::to_wire),
            reason: hold.reason.clone(),
        }),
        removing: entry.removing.map(removal_to_wire),
    }
}

/// An entry from the wire.
///
/// # Errors
/// Names the first field that can't be taken; a rendered CronJob with a field that this version does not know is one.
pub fn entry_from_wire(entry: v1::Entry) -> Result<Entry, ConvertError> {
    let key = required("key", entry.key)?;
    let modes = Modes {
        drift: match known("drift", entry.drift)? {
            v1::Drift::Unspecified => return Err(unsaid("drift")),
            v1::Drift::Correct => Drift::Correct,
            v1::Drift::Report => Drift::Report,
            v1::Drift::IfNotDrifted => Drift::IfNotDrifted,
        },
        adoption: match known("adoption", entry.adoption)? {
            v1::Adoption::Unspecified => return Err(unsaid("adoption")),
            v1::Adoption::Never => Adoption::Never,
            v1::Adoption::IfSame => Adoption::IfSame,
            v1::Adoption::Always => Adoption::Always,
        },
        on_schedule_change: match known("on_schedule_change", entry.on_schedule_change)? {
            v1::OnScheduleChange::Unspecified => return Err(unsaid("on_schedule_change")),
            v1::OnScheduleChange::Skip => OnScheduleChange::Skip,
            v1::OnScheduleChange::RunOnce => OnScheduleChange::RunOnce,
        },
    };
    let assignment = Assignment {
        key: ids::segment("key", &key)?,
        uid: ids::uid("uid", &entry.uid)?,
        number: number_from_wire(required("number", entry.number)?),
        revision: ids::revision("revision", &entry.revision)?,
        rendered: Rendered::from_bytes(entry.rendered)
            .map_err(|error| ConvertError::new("rendered", Problem::Rendered(error.to_string())))?,
        modes,
    };
    let hold = entry
        .hold
        .map(|hold| {
            Ok(Hold {
                until: time::maybe_from_wire("hold.until", hold.until)?,
                reason: cut(hold.reason, MAX_MESSAGE_BYTES),
            })
        })
        .transpose()?;
    let removing = entry
        .removing
        .map(|removal| removal_from_wire(&removal).map_err(|error| error.within("removing")))
        .transpose()?;
    Ok(Entry {
        assignment,
        controls: Controls { hold },
        removing,
    })
}

/// An order's place for the wire.
pub fn number_to_wire(number: OrderNumber) -> v1::OrderNumber {
    v1::OrderNumber {
        generation: number.generation,
        order: number.order,
    }
}

/// An order's place from the wire.
pub fn number_from_wire(number: v1::OrderNumber) -> OrderNumber {
    OrderNumber {
        generation: number.generation,
        order: number.order,
    }
}

/// A removal for the wire.
pub fn removal_to_wire(removal: Removal) -> v1::Removal {
    v1::Removal {
        policy: match removal.policy {
            RemovalPolicy::Delete => v1::RemovalPolicy::Delete,
            RemovalPolicy::Orphan => v1::RemovalPolicy::Orphan,
        }
        .into(),
        running_jobs: match removal.running_jobs {
            RunningJobs::Finish => v1::RunningJobs::Finish,
            RunningJobs::Kill => v1::RunningJobs::Kill,
        }
        .into(),
    }
}

/// A removal from the wire. Nothing is taken for granted: what is not said is refused.
///
/// # Errors
/// When a field is not said or not known.
pub fn removal_from_wire(removal: &v1::Removal) -> Result<Removal, ConvertError> {
    Ok(Removal {
        policy: match known("policy", removal.policy)? {
            v1::RemovalPolicy::Unspecified => return Err(unsaid("policy")),
            v1::RemovalPolicy::Delete => RemovalPolicy::Delete,
            v1::RemovalPolicy::Orphan => RemovalPolicy::Orphan,
        },
        running_jobs: match known("running_jobs", removal.running_jobs)? {
            v1::RunningJobs::Unspecified => return Err(unsaid("running_jobs")),
            v1::RunningJobs::Finish => RunningJobs::Finish,
            v1::RunningJobs::Kill => RunningJobs::Kill,
        },
    })
}

/// Packs entries of an inventory.
pub fn entry_ids_to_wire(entries: &[EntryId]) -> bytes::Bytes {
    let mut packed = bytes::BytesMut::with_capacity(entries.len() * EntryId::LEN);
    for entry in entries {
        packed.extend_from_slice(&entry.to_bytes());
    }
    packed.freeze()
}

/// Unpacks entries of an inventory, at most `limit`.
///
/// # Errors
/// When there are more, or a part of one.
pub fn entry_ids_from_wire(
    field: &str,
    packed: &[u8],
    limit: usize,
) -> Result<Vec<EntryId>, ConvertError> {
    let (items, rest) = packed.as_chunks::<{ EntryId::LEN }>();
    if !rest.is_empty() {
        let problem = Problem::Ragged {
            bytes: packed.len(),
            item: EntryId::LEN,
        };
        return Err(ConvertError::new(field, problem));
    }
    super::error::at_most(field, items.len(), limit)?;
    Ok(items.iter().map(EntryId::from_bytes).collect())
}
