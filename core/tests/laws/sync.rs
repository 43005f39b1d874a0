//! Sessions converge: both ends over a pipe that drops, with kills of hub and agents; nothing is removed that no order
//! named.

use crate::world::World;
use proptest::prelude::*;
use segment_core::admit::PolicyText;
use segment_core::aggregate::aggregate;
use segment_core::ids::SegmentKey;
use segment_core::testing::{label_selector, segment};
use std::sync::Arc;

#[derive(Clone, Debug)]
enum Step {
    Edit {
        segment: usize,
        schedule: u8,
        prod_only: bool,
    },
    Delete(usize),
    MakeAgain(usize),
    Relabel {
        cluster: usize,
        prod: bool,
    },
    Connect(usize),
    Cut(usize),
    Deliver {
        cluster: usize,
        up: bool,
        times: u8,
    },
    Pass(u8),
    Policy {
        cluster: usize,
        which: u8,
    },
    RestartHub,
    RestartAgent(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let segment = 0..3_usize;
    let cluster = 0..3_usize;
    let step = prop_oneof![
        4 => (segment.clone(), 0..60_u8, any::<bool>())
            .prop_map(|(segment, schedule, prod_only)| Step::Edit { segment, schedule, prod_only }),
        1 => segment.clone().prop_map(Step::Delete),
        1 => segment.prop_map(Step::MakeAgain),
        2 => (cluster.clone(), any::<bool>()).prop_map(|(cluster, prod)| Step::Relabel { cluster, prod }),
        3 => cluster.clone().prop_map(Step::Connect),
        2 => cluster.clone().prop_map(Step::Cut),
        8 => (cluster.clone(), any::<bool>(), 1..6_u8)
            .prop_map(|(cluster, up, times)| Step::Deliver { cluster, up, times }),
        2 => (1..70_u8).prop_map(Step::Pass),
        2 => (cluster.clone(), 0..4_u8).prop_map(|(cluster, which)| Step::Policy { cluster, which }),
        1 => Just(Step::RestartHub),
        1 => cluster.prop_map(Step::RestartAgent),
    ];
    prop::collection::vec(step, 1..60)
}

fn name(i: usize) -> String {
    format!("granary/s{i}")
}

/// None, one that no hub can read, and two that it can.
fn policy(which: u8) -> Option<Arc<PolicyText>> {
    let key = match which {
        0 => return None,
        1 => "noSuchRule",
        _ => "namespaces",
    };
    let data = [(key.to_owned(), format!("granary-{which}: {{}}"))];
    Some(Arc::new(PolicyText::new(data.into()).unwrap()))
}

fn run(steps: &[Step]) -> World {
    let mut world = World::new(3);
    let clusters = world.clusters();
    let mut generations = [1_i64; 3];
    let mut lives = [0_u8; 3];
    for step in steps {
        match step {
            Step::Edit {
                segment: i,
                schedule,
                prod_only,
            } => {
                generations[*i] += 1;
                let mut object = segment(&name(*i));
                object.metadata.generation = Some(generations[*i]);
                object.metadata.uid =
                    Some(crate::world::uid(u8::try_from(*i).unwrap() * 50 + lives[*i]).to_string());
                object.spec.cronjob.schedule = Some(format!("{schedule} 3 * * *"));
                object.spec.cluster_selector =
                    prod_only.then(|| label_selector(&[("env", "prod")]));
                world.apply(object);
            }
            Step::Delete(i) => {
                let key: SegmentKey = name(*i).parse().unwrap();
                if world.segments.contains_key(&key) {
                    world.delete(&key);
                    lives[*i] = (lives[*i] + 1) % 40;
                    generations[*i] = 1;
                }
            }
            // A spec does not change without its generation: only what is gone is made again.
            Step::MakeAgain(i) if world.segments.contains_key(&name(*i).parse().unwrap()) => {}
            Step::MakeAgain(i) => {
                let mut object = segment(&name(*i));
                object.metadata.generation = Some(generations[*i]);
                object.metadata.uid =
                    Some(crate::world::uid(u8::try_from(*i).unwrap() * 50 + lives[*i]).to_string());
                world.apply(object);
            }
            Step::Relabel { cluster, prod } => {
                world.relabel(
                    &clusters[*cluster],
                    &[("env", if *prod { "prod" } else { "test" })],
                );
            }
            Step::Connect(cluster) => world.connect(&clusters[*cluster]),
            Step::Cut(cluster) => world.cut(&clusters[*cluster]),
            Step::Deliver { cluster, up, times } => {
                for _ in 0..*times {
                    world.deliver(&clusters[*cluster], *up);
                }
            }
            Step::Pass(seconds) => world.pass(i64::from(*seconds)),
            Step::Policy { cluster, which } => {
                world.set_policy(&clusters[*cluster], policy(*which));
            }
            Step::RestartHub => world.restart_hub(),
            Step::RestartAgent(cluster) => world.restart_agent(&clusters[*cluster]),
        }
    }
    world
}

/// What each cluster must hold in the end, computed from the objects alone.
fn expected(world: &World, cluster: &segment_core::ids::ClusterName) -> Vec<(SegmentKey, String)> {
    let prod = world.labels[cluster].get("env").map(String::as_str) == Some("prod");
    world
        .segments
        .iter()
        .filter(|(_, segment)| segment.spec.cluster_selector.is_none() || prod)
        .map(|(key, segment)| (key.clone(), segment.metadata.uid.clone().unwrap()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn sessions_converge_whatever_is_cut_or_killed(steps in steps()) {
        let mut world = run(&steps);
        world.heal();
        for cluster in world.clusters() {
            let held = world.held(&cluster);
            let expected = expected(&world, &cluster);
            let got: Vec<_> = held.values().map(|id| (id.key, id.uid.to_string())).collect();
            let mut want: Vec<_> = expected.iter().map(|(key, uid)| (key.hash(), uid.clone())).collect();
            want.sort();
            prop_assert_eq!(got, want, "cluster {}", cluster);
            for (key, desired) in world.index().desired_set(&cluster).items {
                if let segment_core::assignment::Desired::Entry(entry) = desired {
                    prop_assert_eq!(held.get(&key), Some(&entry.id()), "the newest revision of {} on {}", key, &cluster);
                }
            }
            let known = &world.index().clusters()[&cluster];
            let text = world.policy(&cluster);
            let policy = text.and_then(|text| text.policy().ok());
            prop_assert_eq!(known.policy_digest, text.map(PolicyText::digest), "cluster {}", cluster);
            prop_assert_eq!(known.policy.as_deref(), policy.as_ref(), "the policy of {}", cluster);
        }
        for key in world.segments.keys() {
            let sum = aggregate(world.index(), key, crate::world::at(world.now)).unwrap();
            prop_assert!(sum.counts.adds_up());
            prop_assert_eq!(sum.counts.ready, sum.counts.selected, "{:?}", sum);
        }
        prop_assert!(world.tombstones.is_empty(), "nothing is owed: {:?}", world.tombstones);
        let unordered: Vec<_> = world.removed.difference(&world.ordered_away).collect();
        prop_assert!(unordered.is_empty(), "removed without an order: {unordered:?}");
    }
}

#[test]
fn an_empty_hub_removes_nothing() {
    let mut world = run(&[Step::MakeAgain(0), Step::MakeAgain(1)]);
    world.heal();
    let cluster = world.clusters()[0].clone();
    let before = world.held(&cluster);
    assert_eq!(before.len(), 2);
    // Its data is lost: no Segments, no tombstones; only identity and CA came back, under a higher term.
    world.segments.clear();
    world.restart_hub();
    world.heal();
    assert_eq!(world.held(&cluster), before, "kept");
    let orphans: Vec<_> = world
        .index()
        .orphans()
        .filter(|(name, _, _)| **name == cluster)
        .collect();
    assert_eq!(orphans.len(), 2, "and listed");
    assert!(
        orphans.iter().all(|(_, _, name)| name.is_some()),
        "by name: {orphans:?}"
    );
}

#[test]
fn a_namesake_with_a_new_uid_is_updated_in_place() {
    let mut world = run(&[Step::MakeAgain(0)]);
    world.heal();
    let key: SegmentKey = name(0).parse().unwrap();
    world.cut(&world.clusters()[0].clone());
    world.delete(&key);
    let mut again = segment(&name(0));
    again.metadata.uid = Some(crate::world::uid(33).to_string());
    world.apply(again);
    world.heal();
    let cluster = world.clusters()[0].clone();
    assert_eq!(
        world
            .held(&cluster)
            .values()
            .map(|id| id.uid)
            .collect::<Vec<_>>(),
        [crate::world::uid(33)]
    );
    assert!(
        !world.removed.iter().any(|(name, _, _)| *name == cluster),
        "no gap: it was never removed"
    );
    assert!(
        world.tombstones.is_empty(),
        "and nothing is owed: {:?}",
        world.tombstones
    );
}
