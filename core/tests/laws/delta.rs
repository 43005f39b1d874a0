//! delta ∘ apply = desired for every known key; what is not named is never touched.

use proptest::prelude::*;
use segment_core::assignment::{
    Assignment, Controls, Desired, DesiredSet, Entry, EntryId, Holdings, Modes, OrderNumber,
    Removal, RemoveOrder, Rendered,
};
use segment_core::delta::{Order, delta};
use segment_core::ids::{Digest, KeyHash, Revision, SegmentKey, Uid};
use segment_core::placement::ClusterView;
use segment_core::render::render;
use segment_core::segment::HouseDefaults;
use segment_core::testing::{parsed, view};
use std::sync::Arc;

fn rendered() -> Rendered {
    let cluster: ClusterView = view("c", &[]);
    render(
        &parsed("granary/a"),
        &HouseDefaults::from_env(std::iter::empty()).unwrap(),
        &cluster,
    )
    .unwrap()
}

fn key(i: u8) -> SegmentKey {
    format!("granary/s{i}").parse().unwrap()
}

fn entry(i: u8, revision: u8) -> Arc<Entry> {
    Arc::new(Entry {
        assignment: Assignment {
            key: key(i),
            uid: Uid([1; 16]),
            number: OrderNumber::default(),
            revision: Revision([revision; 8]),
            rendered: rendered(),
            modes: Modes::default(),
        },
        controls: Controls::default(),
        removing: None,
    })
}

fn desired() -> impl Strategy<Value = Vec<(u8, u8, u8)>> {
    prop::collection::vec((0..12_u8, 0..3_u8, 0..3_u8), 0..12)
}

fn apply(held: &Holdings, orders: &[Order]) -> Holdings {
    let mut held = held.clone();
    for order in orders {
        match order {
            Order::Put(entry) => {
                held.insert(order.key(), entry.id());
            }
            Order::Remove { key, .. } => {
                held.remove(key);
            }
        }
    }
    held
}

proptest! {
    #[test]
    fn applying_the_delta_gives_what_is_desired(wanted in desired(), have in desired()) {
        let held: Holdings = have.iter().map(|(i, revision, _)| {
            let id = entry(*i, *revision).id();
            (id.key, id)
        }).collect();
        let set = DesiredSet {
            items: wanted.iter().map(|(i, revision, kind)| {
                let want = match kind {
                    0 => Desired::Keep,
                    1 => Desired::Entry(entry(*i, *revision)),
                    _ => Desired::Remove(RemoveOrder {
                        uid: Uid([1; 16]),
                        number: OrderNumber::default(),
                        removal: Removal::default(),
                    }),
                };
                (key(*i).hash(), want)
            }).collect(),
        };
        let after = apply(&held, &delta(&held, &set));
        for (key, want) in &set.items {
            match want {
                Desired::Keep => prop_assert_eq!(after.get(key), held.get(key)),
                Desired::Entry(entry) => prop_assert_eq!(after.get(key), Some(&entry.id())),
                Desired::Remove(_) => prop_assert!(!after.contains_key(key)),
            }
        }
        for (key, id) in &held {
            if !set.items.contains_key(key) {
                prop_assert_eq!(after.get(key), Some(id), "an unknown entry is kept");
            }
        }
        prop_assert!(delta(&after, &set).is_empty(), "and then there is nothing to do");
    }

    #[test]
    fn an_inventory_entry_is_56_bytes_and_comes_back(bytes in prop::array::uniform32(any::<u8>()), rest in prop::array::uniform24(any::<u8>())) {
        let mut all = [0; EntryId::LEN];
        all[..32].copy_from_slice(&bytes);
        all[32..].copy_from_slice(&rest);
        prop_assert_eq!(EntryId::from_bytes(&all).to_bytes(), all);
    }
}

#[test]
fn a_removal_is_not_meant_for_an_entry_of_another_uid() {
    let held: Holdings = [(
        key(1).hash(),
        EntryId {
            key: key(1).hash(),
            uid: Uid([9; 16]),
            revision: Revision([1; 8]),
            digest: Digest([1; 16]),
        },
    )]
    .into();
    let order = RemoveOrder {
        uid: Uid([1; 16]),
        number: OrderNumber::default(),
        removal: Removal::default(),
    };
    let set = DesiredSet {
        items: [(KeyHash::of("granary/s1"), Desired::Remove(order))].into(),
    };
    assert_eq!(delta(&held, &set), []);
}
