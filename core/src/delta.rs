//! What to send: the difference between what a cluster holds and what it should hold.
//!
//! In: [`Holdings`] (the mirror of an inventory) and [`DesiredSet`]. Out: [`Order`]s.
//! Law: applying the delta to the holdings gives the desired set for every known key; `delta(d, d)` is empty; a key that
//! the desired set does not name is never touched (`tests/laws.rs`).
//! Not: when it is sent and acknowledged (`sync/`).

use crate::assignment::{Desired, DesiredSet, Entry, EntryId, Holdings, OrderNumber, RemoveOrder};
use crate::ids::{KeyHash, Uid};
use std::sync::Arc;

/// One order for one Segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Hold this.
    Put(Arc<Entry>),
    /// Remove what you hold.
    Remove {
        /// Which Segment.
        key: KeyHash,
        /// The order.
        order: RemoveOrder,
    },
}

impl Order {
    /// Which Segment.
    pub fn key(&self) -> KeyHash {
        match self {
            Self::Put(entry) => entry.assignment.key.hash(),
            Self::Remove { key, .. } => *key,
        }
    }

    /// Of which uid.
    pub fn uid(&self) -> Uid {
        match self {
            Self::Put(entry) => entry.assignment.uid,
            Self::Remove { order, .. } => order.uid,
        }
    }

    /// Its place among orders for that uid.
    pub fn number(&self) -> OrderNumber {
        match self {
            Self::Put(entry) => entry.assignment.number,
            Self::Remove { order, .. } => order.number,
        }
    }
}

/// The orders that make `desired` of `held`.
pub fn delta(held: &Holdings, desired: &DesiredSet) -> Vec<Order> {
    desired
        .items
        .iter()
        .filter_map(|(key, want)| order_for(held.get(key), *key, want))
        .collect()
}

/// The order for one key, if one is needed.
pub fn order_for(held: Option<&EntryId>, key: KeyHash, want: &Desired) -> Option<Order> {
    match want {
        Desired::Keep => None,
        Desired::Entry(entry) => (held != Some(&entry.id())).then(|| Order::Put(Arc::clone(entry))),
        // An entry of another uid is not the one that goes: a namesake was made and took its place.
        Desired::Remove(order) => held
            .filter(|held| held.uid == order.uid)
            .map(|_| Order::Remove { key, order: *order }),
    }
}
