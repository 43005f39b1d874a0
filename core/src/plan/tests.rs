#![allow(clippy::unwrap_used, reason = "a test says what broke by panicking")]

use super::*;
use crate::admit::Policy;
use crate::ids::HubId;
use crate::index::{FleetIndex, Settings};
use crate::testing::{label_selector, seen, segment, view};
use segment_crds::{
    ClusterToleration, Override, SegmentEnv, Taint, TaintEffect, TolerationOperator,
};
use std::collections::BTreeMap;

const NOW: &str = "2026-07-01T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn live(index: &mut FleetIndex, segment: &Segment) {
    index.apply_segment(seen(segment), now());
}

/// `clusters` of which each tenth is a test cluster and each hundredth in region ap.
fn fleet(clusters: usize) -> FleetIndex {
    let mut index = FleetIndex::new(
        HubId::new("hub-plan-1").unwrap(),
        HouseDefaults::default(),
        Settings::default(),
        now(),
    );
    for at in 0..clusters {
        let env = if at % 10 == 9 { "test" } else { "prod" };
        let region = if at % 100 == 0 { "ap" } else { "eu" };
        let view = view(&format!("c-{at:05}"), &[("env", env), ("region", region)]);
        index.apply_cluster(view, 1, None, None, now());
    }
    index
}

fn planned(index: &FleetIndex, edited: Vec<Segment>) -> Plan {
    let drafts: Vec<Draft> = edited
        .into_iter()
        .map(|segment| Draft::put(segment, "granary", index.defaults(), now()).unwrap())
        .collect();
    plan(&Snapshot::of(index, &drafts), &drafts, now())
}

fn one(index: &FleetIndex, edited: Segment) -> SegmentPlan {
    planned(index, vec![edited]).segments.remove(0)
}

#[test]
fn nothing_changes_nothing() {
    let mut index = fleet(20);
    let demo = segment("granary/demo");
    live(&mut index, &demo);
    let plan = planned(&index, vec![demo]);
    assert!(!plan.has_changes());
    let segment = &plan.segments[0];
    assert_eq!(segment.action, Action::Unchanged);
    assert_eq!((segment.unchanged, segment.rollout.clusters), (20, 0));
    assert_eq!(segment.before, segment.after);
    // All of them start at 03:00.
    assert_eq!(segment.peak.unwrap().starts, 20);
    assert_eq!(segment.agents.unknown.count, 20);
}

#[test]
fn who_joins_and_who_leaves_is_told_with_the_reason() {
    let mut index = fleet(20);
    let mut demo = segment("granary/demo");
    demo.spec.cluster_selector = Some(label_selector(&[("env", "test")]));
    live(&mut index, &demo);
    demo.spec.cluster_selector = Some(label_selector(&[("region", "eu")]));
    let told = one(&index, demo.clone());
    assert_eq!((told.selected_before, told.selected_after), (2, 19));
    assert_eq!(told.action, Action::Update);
    let (reason, names) = told.joins.largest_first()[0];
    assert_eq!(
        reason,
        "until now: label env is \"prod\"; selector wants env=test"
    );
    assert_eq!(names.count, 17);
    assert_eq!(told.leaves.count(), 0);
    assert_eq!(told.before, told.after, "a selector makes no revision");

    demo.spec.cluster_selector = Some(label_selector(&[("env", "none")]));
    let told = one(&index, demo);
    let (reason, names) = told.leaves.largest_first()[0];
    assert_eq!(reason, "label env is \"test\"; selector wants env=none");
    assert_eq!(names.some[0].as_str(), "c-00009");
    assert_eq!(told.selected_after, 0);
}

#[test]
fn taints_decide_too() {
    let mut index = fleet(4);
    let mut tainted = view("c-00001", &[]);
    tainted.taints = vec![Taint {
        key: "gone".to_owned(),
        value: None,
        effect: TaintEffect::NoSelect,
    }];
    index.apply_cluster(tainted, 2, None, None, now());
    let mut demo = segment("granary/demo");
    demo.spec.cluster_tolerations = vec![ClusterToleration {
        key: Some("gone".to_owned()),
        operator: Some(TolerationOperator::Exists),
        ..ClusterToleration::default()
    }];
    live(&mut index, &demo);
    demo.spec.cluster_tolerations.clear();
    let told = one(&index, demo);
    let (reason, names) = told.leaves.largest_first()[0];
    assert_eq!(reason, "taint gone:NoSelect is not tolerated");
    assert_eq!(names.count, 1);
}

#[test]
fn equal_changes_are_one_group_whatever_h_becomes() {
    let mut index = fleet(500);
    let mut demo = segment("granary/demo");
    live(&mut index, &demo);
    demo.spec.cronjob.schedule = Some("H 3 * * *".to_owned());
    demo.spec.overrides = vec![Override {
        cluster_selector: Some(label_selector(&[("region", "ap")])),
        env: SegmentEnv {
            db_host: Some("db.$(cluster.name)".to_owned()),
            ..SegmentEnv::default()
        },
        ..Override::default()
    }];
    let told = one(&index, demo);
    assert_eq!(told.diffs.len(), 2);
    let (most, few) = (&told.diffs[0], &told.diffs[1]);
    assert_eq!((most.clusters.count, few.clusters.count), (495, 5));
    let schedule = Change {
        path: "spec.schedule".to_owned(),
        before: Some("\"0 3 * * *\"".to_owned()),
        after: Some("\"H 3 * * *\"".to_owned()),
    };
    assert_eq!(most.changes, [schedule]);
    assert_eq!(few.overrides, ["spec.overrides[0] (region=ap)"]);
    let host = &few.changes[0];
    assert_eq!(host.path, "env DB_HOST");
    assert_eq!(host.after.as_deref(), Some("\"db.$(cluster.name)\""));
    assert!(told.peak.unwrap().starts < 40, "H spreads: {:?}", told.peak);
    // At 12:00 the run of 03:00 has been; one of 03:xx was missed wherever xx is not 0.
    assert!(told.starts.would > 400, "{:?}", told.starts);
    assert_eq!(told.starts.will, 0);
    assert_eq!((told.rollout.at_once, told.rollout.steps), (125, 4));
}

#[test]
fn what_is_wrong_on_one_cluster_is_told_there_only() {
    let mut index = fleet(10);
    let mut demo = segment("granary/demo");
    live(&mut index, &demo);
    demo.spec.env.db_host = Some("$(cluster.annotations['db'])".to_owned());
    let mut with = view("c-00003", &[]);
    with.annotations.insert("db".to_owned(), "db-3".to_owned());
    index.apply_cluster(with, 2, None, None, now());
    let told = one(&index, demo);
    let errors: usize = told
        .problems
        .groups
        .iter()
        .filter(|(problem, _)| problem.error)
        .map(|(_, names)| names.count)
        .sum();
    assert_eq!(errors, 9, "{:?}", told.problems);
    assert_eq!(told.diffs.len(), 1);
    assert_eq!(told.diffs[0].clusters.some[0].as_str(), "c-00003");
}

#[test]
fn a_refused_draft_changes_nothing_and_says_why() {
    let index = fleet(10);
    let mut demo = segment("granary/demo");
    demo.spec.cronjob.schedule = Some("0 0 * * 7".to_owned());
    let told = one(&index, demo);
    assert_eq!(told.action, Action::Refused);
    assert_eq!(told.findings[0].field, "spec.cronjob.schedule");
    assert_eq!(told.joins.count(), 0);
}

#[test]
fn policies_are_asked_and_the_rule_is_named() {
    let mut index = fleet(3);
    let demo = segment("granary/demo");
    let data = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()))
            .collect()
    };
    let deny = Policy::from_data(&data(&[("namespaces", "granary: {}")])).unwrap();
    let drafts = vec![Draft::put(demo, "granary", index.defaults(), now()).unwrap()];
    let mut snapshot = Snapshot::of(&index, &drafts);
    snapshot.clusters[1].policy = Some(Arc::new(deny));
    let told = plan(&snapshot, &drafts, now()).segments.remove(0);
    let (refused, names) = told.agents.refuse.largest_first()[0];
    assert_eq!(refused.rule, "images");
    assert_eq!(names.some[0].as_str(), "c-00001");
    assert_eq!((told.agents.admit, told.agents.unknown.count), (0, 2));
    index.delete_cluster(&names.some[0].clone());
}

#[test]
fn brakes_are_judged_for_hub_and_agents() {
    let mut index = fleet(20);
    let many: Vec<Segment> = (0..6)
        .map(|i| segment(&format!("granary/demo-{i}")))
        .collect();
    for segment in &many {
        live(&mut index, segment);
    }
    let edited = many
        .into_iter()
        .map(|mut segment| {
            segment.spec.cluster_selector = Some(label_selector(&[("env", "test")]));
            segment
        })
        .collect();
    let told = planned(&index, edited);
    let over = told.segments[0].brake.unwrap();
    assert_eq!((over.count, over.limit), (18, 3));
    assert_eq!(told.agent_brakes_total, 18, "six removals are over five");
    assert_eq!(told.agent_brakes[0].over.count, 6);
}

#[test]
fn two_segments_that_want_one_cronjob_are_named() {
    let mut index = fleet(4);
    live(&mut index, &segment("granary/demo"));
    let mut other = segment("reports/demo");
    other.spec.target_namespace = Some("granary".to_owned());
    let mut third = segment("third/demo");
    third.spec.target_namespace = Some("granary".to_owned());
    let told = planned(&index, vec![other, third]);
    let keys: Vec<String> = told.segments[0]
        .collisions
        .groups
        .keys()
        .map(ToString::to_string)
        .collect();
    assert_eq!(keys, ["granary/demo", "third/demo"]);
}

#[test]
fn a_deletion_leaves_everywhere() {
    let mut index = fleet(10);
    let demo = segment("granary/demo");
    live(&mut index, &demo);
    let drafts = vec![Draft::delete("granary/demo".parse().unwrap())];
    let told = plan(&Snapshot::of(&index, &drafts), &drafts, now());
    assert_eq!(told.segments[0].leaves.count(), 10);
    assert_eq!(told.segments[0].action, Action::Delete);
}

#[test]
fn the_id_says_what_was_planned_against_what() {
    let mut index = fleet(2);
    let mut demo = segment("granary/demo");
    live(&mut index, &demo);
    let first = planned(&index, vec![demo.clone()]).id;
    assert_eq!(first, planned(&index, vec![demo.clone()]).id);
    demo.metadata.generation = Some(2);
    live(&mut index, &demo);
    let moved = planned(&index, vec![demo.clone()]).id;
    assert_eq!(
        first.split_once('-').unwrap().0,
        moved.split_once('-').unwrap().0
    );
    assert_ne!(first, moved);
}

/// Not timed: what is rendered is counted in groups, and every cluster with a policy of its own kind is asked once.
#[test]
fn clusters_alike_are_rendered_once() {
    let mut index = fleet(3000);
    let mut demo = segment("granary/demo");
    live(&mut index, &demo);
    demo.spec.cronjob.schedule = Some("H H * * *".to_owned());
    let told = one(&index, demo);
    assert_eq!(told.diffs.len(), 1);
    assert_eq!(told.diffs[0].clusters.count, 3000);
    assert_eq!(told.diffs[0].clusters.some.len(), 20);
}
