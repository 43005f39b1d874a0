//! Orders. One that can't be read is refused alone, by name: the others of its frame stand.

use super::error::{ConvertError, Problem, required};
use super::{assignment, ids};
use crate::agent::v1;
use segment_core::assignment::{OrderNumber, RemoveOrder};
use segment_core::delta::Order;
use segment_core::ids::{KeyHash, Uid};
use segment_core::report::cut_message;
use segment_core::sync::frame::{Ack, AckVerdict};
use std::sync::Arc;

/// An order for the wire.
pub fn order_to_wire(order: &Order) -> v1::Order {
    let order = match order {
        Order::Put(entry) => v1::order::Order::Put(assignment::entry_to_wire(entry)),
        Order::Remove { key, order } => v1::order::Order::Remove(v1::Remove {
            key: ids::bytes(key.as_bytes()),
            uid: ids::bytes(&order.uid.0),
            number: Some(assignment::number_to_wire(order.number)),
            removal: Some(assignment::removal_to_wire(order.removal)),
        }),
    };
    v1::Order { order: Some(order) }
}

/// An order from the wire: the order, or the refusal to be sent back for one that can't be read.
///
/// # Errors
/// When it can't even be said what it is about.
pub fn order_from_wire(order: v1::Order) -> Result<Result<Order, Ack>, ConvertError> {
    match required("order", order.order)? {
        v1::order::Order::Put(entry) => put_from_wire(entry).map_err(|error| error.within("put")),
        v1::order::Order::Remove(remove) => {
            remove_from_wire(&remove).map_err(|error| error.within("remove"))
        }
    }
}

fn put_from_wire(entry: v1::Entry) -> Result<Result<Order, Ack>, ConvertError> {
    let key = ids::segment(
        "key",
        entry
            .key
            .as_ref()
            .ok_or_else(|| ConvertError::missing("key"))?,
    )?
    .hash();
    let uid = ids::uid("uid", &entry.uid)?;
    let number = assignment::number_from_wire(required("number", entry.number)?);
    if entry.removing.is_some() {
        // A removal has an order of its own.
        let error = ConvertError::new("removing", Problem::Unexpected);
        return Ok(Err(unreadable(key, uid, number, &error)));
    }
    Ok(assignment::entry_from_wire(entry)
        .map(|entry| Order::Put(Arc::new(entry)))
        .map_err(|error| unreadable(key, uid, number, &error)))
}

fn remove_from_wire(remove: &v1::Remove) -> Result<Result<Order, Ack>, ConvertError> {
    let key = ids::key_hash("key", &remove.key)?;
    let uid = ids::uid("uid", &remove.uid)?;
    let number = assignment::number_from_wire(required("number", remove.number)?);
    let removal = required("removal", remove.removal).and_then(|removal| {
        assignment::removal_from_wire(&removal).map_err(|error| error.within("removal"))
    });
    Ok(removal
        .map(|removal| Order::Remove {
            key,
            order: RemoveOrder {
                uid,
                number,
                removal,
            },
        })
        .map_err(|error| unreadable(key, uid, number, &error)))
}

fn unreadable(key: KeyHash, uid: Uid, number: OrderNumber, error: &ConvertError) -> Ack {
    Ack {
        key,
        uid,
        number,
        verdict: AckVerdict::Refused {
            reason: "Unreadable".to_owned(),
            message: cut_message(&error.to_string()),
        },
    }
}
