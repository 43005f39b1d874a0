//! Incremental equals from scratch: any order of events gives the index built from the final objects.

use crate::world::{at, index, seen};
use proptest::prelude::*;
use segment_core::ids::{ClusterName, SegmentKey};
use segment_core::index::FleetIndex;
use segment_core::testing::{label_selector, segment, view};
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Event {
    Segment { i: u8, prod: bool, schedule: u8 },
    SegmentGone(u8),
    Cluster { i: u8, prod: bool },
    ClusterGone(u8),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        3 => (0..4_u8, any::<bool>(), 0..50_u8).prop_map(|(i, prod, schedule)| Event::Segment { i, prod, schedule }),
        1 => (0..4_u8).prop_map(Event::SegmentGone),
        3 => (0..4_u8, any::<bool>()).prop_map(|(i, prod)| Event::Cluster { i, prod }),
        1 => (0..4_u8).prop_map(Event::ClusterGone),
    ];
    prop::collection::vec(event, 0..40)
}

fn object(i: u8, prod: bool, schedule: u8, generation: i64) -> segment_crds::Segment {
    let mut object = segment(&format!("granary/s{i}"));
    object.metadata.generation = Some(generation);
    object.spec.cronjob.schedule = Some(format!("{schedule} * * * *"));
    object.spec.cluster_selector = prod.then(|| label_selector(&[("env", "prod")]));
    object
}

fn cluster(i: u8, prod: bool) -> segment_core::placement::ClusterView {
    view(
        &format!("c{i}"),
        &[("env", if prod { "prod" } else { "test" })],
    )
}

/// What of an index must not depend on the way it came about.
fn shape(index: &FleetIndex) -> BTreeMap<(SegmentKey, ClusterName), String> {
    index
        .segments()
        .iter()
        .flat_map(|(key, segment)| {
            segment.members.iter().map(move |(name, member)| {
                let digest = member.entry.as_ref().map(|entry| entry.id().digest);
                (
                    (key.clone(), name.clone()),
                    format!("{:?} {digest:?} {:?}", member.placement, segment.revision()),
                )
            })
        })
        .collect()
}

proptest! {
    #[test]
    fn any_order_of_events_gives_the_index_of_the_final_objects(events in events()) {
        let mut incremental = index(0);
        let mut segments = BTreeMap::new();
        let mut clusters = BTreeMap::new();
        for (n, event) in events.iter().enumerate() {
            let generation = i64::try_from(n).unwrap() + 1;
            match event {
                Event::Segment { i, prod, schedule } => {
                    let object = object(*i, *prod, *schedule, generation);
                    incremental.apply_segment(seen(&object, false), at(0));
                    segments.insert(*i, object);
                }
                Event::SegmentGone(i) => {
                    if let Some(object) = segments.remove(i) {
                        let seen = seen(&object, false);
                        incremental.delete_segment(&seen.key, seen.uid);
                    }
                }
                Event::Cluster { i, prod } => {
                    incremental.apply_cluster(cluster(*i, *prod), 1, None, None, at(0));
                    clusters.insert(*i, *prod);
                }
                Event::ClusterGone(i) => {
                    clusters.remove(i);
                    incremental.delete_cluster(&ClusterName::new(format!("c{i}")).unwrap());
                }
            }
            incremental.settle(at(0));
        }
        let mut scratch = index(0);
        scratch.reset_segments(segments.values().map(|object| seen(object, false)).collect(), at(0));
        scratch.reset_clusters(
            clusters.iter().map(|(i, prod)| (cluster(*i, *prod), 1, None, None)).collect(),
            at(0),
        );
        scratch.settle(at(0));
        // A member that was selected and is not stays until the inventory says that it is gone: not in a fresh index.
        let mut grown = shape(&incremental);
        grown.retain(|(key, name), _| incremental.segments()[key].members[name].is_selected());
        let mut fresh = shape(&scratch);
        fresh.retain(|(key, name), _| scratch.segments()[key].members[name].is_selected());
        prop_assert_eq!(grown, fresh);
    }
}
