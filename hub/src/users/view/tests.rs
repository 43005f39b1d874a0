//! What is shown of a small fleet.

use super::assignment::{assignment, clusters_of, state};
use super::cluster::{Orphans, cluster, fleet};
use super::conditions;
use super::segment::segment;
use super::why::why;
use crate::users::access::Sight;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use segment_core::ids::{ClusterName, SegmentKey};
use segment_core::index::{FleetIndex, SeenSegment, Settings};
use segment_core::segment::HouseDefaults;
use segment_core::testing;
use segment_crds::conditions::condition;
use segment_crds::{
    Access, ConditionStatus, Override, Reason, Segment, SegmentCondition, Taint, TaintEffect,
};
use segment_proto::v1::AssignmentState;
use std::collections::BTreeSet;

const START: Timestamp = Timestamp::UNIX_EPOCH;

fn key(text: &str) -> SegmentKey {
    text.parse().unwrap()
}

fn name(text: &str) -> ClusterName {
    text.parse().unwrap()
}

fn seen(segment: &Segment) -> SeenSegment {
    SeenSegment {
        created: Some(START),
        ..testing::seen(segment)
    }
}

/// Segment granary/demo wants env=prod and has an override for region=eu; other/bad was refused from the start.
/// eu-1: prod, in region eu. dev-1: not. gone-1: drained. off-1: no access.
fn small_fleet() -> FleetIndex {
    let hub = "hub-00000000".parse().unwrap();
    let mut index = FleetIndex::new(hub, HouseDefaults::default(), Settings::default(), START);
    index.apply_cluster(
        testing::view("eu-1", &[("env", "prod"), ("region", "eu")]),
        1,
        Some(START),
        None,
        START,
    );
    index.apply_cluster(
        testing::view("dev-1", &[("env", "dev")]),
        1,
        None,
        None,
        START,
    );
    let mut drained = testing::view("gone-1", &[("env", "prod")]);
    drained.taints = vec![Taint {
        key: "drain".into(),
        value: Some("now".into()),
        effect: TaintEffect::NoSelect,
    }];
    index.apply_cluster(drained, 1, None, None, START);
    let mut revoked = testing::view("off-1", &[("env", "prod")]);
    revoked.access = Access::Revoked;
    index.apply_cluster(revoked, 1, None, None, START);
    let mut demo = testing::segment("granary/demo");
    demo.spec.cluster_selector = Some(testing::label_selector(&[("env", "prod")]));
    demo.spec.display_name = Some("Demo".into());
    demo.spec.overrides = vec![
        Override {
            cluster_selector: Some(testing::label_selector(&[("region", "eu")])),
            ..Override::default()
        },
        Override {
            cluster_selector: Some(testing::label_selector(&[("region", "us")])),
            ..Override::default()
        },
        Override::default(),
    ];
    index.apply_segment(seen(&demo), START);
    let mut bad = testing::segment("other/bad");
    bad.spec.cronjob.schedule = Some("often".into());
    index.apply_segment(seen(&bad), START);
    index.settle(START);
    index
}

fn later(seconds: i64) -> Timestamp {
    START + SignedDuration::from_secs(seconds)
}

#[test]
fn a_segment_has_counts_that_add_up_and_what_is_most_worth_knowing() {
    let index = small_fleet();
    let shown = segment(&index, &key("granary/demo"), None, later(1)).unwrap();
    let counts = shown.clusters.unwrap();
    assert_eq!(
        (counts.selected, counts.rolling, counts.failing),
        (Some(1), Some(1), Some(0))
    );
    assert_eq!(
        (shown.ready, shown.suspended, shown.schedule.as_str()),
        (Some(false), Some(false), "0 3 * * *")
    );
    assert_eq!(
        (shown.revision.len(), shown.display_name.as_str()),
        (16, ""),
        "the name is told with view FULL"
    );
    let full = segment(&index, &key("granary/demo"), Some(None), later(61)).unwrap();
    assert_eq!(
        (full.display_name.as_str(), full.clusters.unwrap().stale),
        ("Demo", Some(1))
    );
    assert!(
        full.conditions
            .iter()
            .any(|condition| condition.r#type == "Accepted" && condition.status == "True")
    );
    assert!(
        full.conditions
            .iter()
            .all(|condition| condition.since.is_none()),
        "nothing is stored yet"
    );

    let bad = segment(&index, &key("other/bad"), None, later(1)).unwrap();
    assert_eq!(
        (bad.ready, bad.suspended),
        (Some(false), None),
        "what a refused spec says is not known"
    );
    assert!(
        bad.message.contains("spec.cronjob.schedule"),
        "{}",
        bad.message
    );
    assert_eq!(segment(&index, &key("granary/none"), None, later(1)), None);
}

#[test]
fn an_assignment_is_where_the_segment_is_placed_and_nowhere_else() {
    let index = small_fleet();
    let demo = key("granary/demo");
    let names: Vec<_> = clusters_of(&index, &demo)
        .into_iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(names, ["eu-1"]);
    assert_eq!(
        state(&index, &demo, &name("eu-1"), later(1)),
        Some(AssignmentState::Rolling)
    );
    assert_eq!(
        state(&index, &demo, &name("eu-1"), later(60)),
        Some(AssignmentState::Stale)
    );
    assert_eq!(state(&index, &demo, &name("dev-1"), later(1)), None);
    let shown = assignment(&index, &demo, &name("eu-1"), true, later(60)).unwrap();
    assert_eq!(
        (shown.reason.as_str(), shown.connected, shown.updated),
        ("NeverConnected", Some(false), Some(false))
    );
    assert_eq!(
        (shown.cron_job.as_str(), shown.digest.len()),
        ("granary/demo", 32)
    );
    assert!(
        shown
            .cron_job_yaml
            .starts_with("apiVersion: batch/v1\nkind: CronJob\n"),
        "{}",
        shown.cron_job_yaml
    );
    let basic = assignment(&index, &demo, &name("eu-1"), false, later(60)).unwrap();
    assert_eq!(
        (basic.digest.as_str(), basic.cron_job_yaml.as_str()),
        ("", "")
    );
}

#[test]
fn why_gives_one_reason_for_each_cluster() {
    let index = small_fleet();
    for (segment, cluster, placed, reason, message) in [
        (
            "granary/demo",
            "eu-1",
            true,
            "Progressing",
            "selected; waits for its turn",
        ),
        (
            "granary/demo",
            "dev-1",
            false,
            "SelectorMismatch",
            "label env is \"dev\"; selector wants env=prod",
        ),
        (
            "granary/demo",
            "gone-1",
            false,
            "TaintNotTolerated",
            "taint drain=now:NoSelect is not tolerated: add to spec.clusterTolerations, or take the taint off the Cluster",
        ),
        (
            "granary/demo",
            "off-1",
            false,
            "NoAccess",
            "access is Revoked: spec.access of the Cluster must be Accepted",
        ),
    ] {
        let answer = why(&index, &key(segment), &name(cluster), later(1)).unwrap();
        assert_eq!(
            (
                answer.placed,
                answer.reason.as_str(),
                answer.message.as_str()
            ),
            (Some(placed), reason, message),
            "{segment} on {cluster}"
        );
    }
    let eu = why(&index, &key("granary/demo"), &name("eu-1"), later(1)).unwrap();
    assert_eq!(eu.overrides, ["region=eu", "every cluster"]);
    let refused = why(&index, &key("other/bad"), &name("eu-1"), later(1)).unwrap();
    assert_eq!(
        (refused.placed, refused.reason.as_str()),
        (Some(false), "Refused")
    );
    assert_eq!(
        why(&index, &key("granary/none"), &name("eu-1"), later(1)),
        None
    );
    assert_eq!(
        why(&index, &key("granary/demo"), &name("none"), later(1)),
        None
    );
}

#[test]
fn a_clusters_segments_are_counted_as_far_as_the_caller_may_see() {
    let index = small_fleet();
    let shown = |cluster_name: &str, sight: &Sight| {
        cluster(
            &index,
            &name(cluster_name),
            sight,
            &Orphans::new(),
            None,
            later(1),
        )
        .unwrap()
    };
    let all = shown("eu-1", &Sight::All);
    assert_eq!(all.segments.unwrap().placed, Some(1));
    assert_eq!(
        (all.labels.len(), all.labels["env"].as_str()),
        (2, "prod"),
        "the implicit label is nobody's"
    );
    let other = Sight::Some(BTreeSet::from(["other".parse().unwrap()]));
    assert_eq!(
        shown("eu-1", &other).segments.unwrap().placed,
        Some(0),
        "zero is said"
    );
    assert_eq!(
        shown("eu-1", &Sight::none()).segments,
        None,
        "what may not be seen is absent"
    );
    assert_eq!(shown("gone-1", &Sight::All).taints, ["drain=now:NoSelect"]);
    let known = cluster(
        &index,
        &name("eu-1"),
        &Sight::All,
        &[(name("eu-1"), 3)].into(),
        Some(None),
        later(1),
    )
    .unwrap();
    assert_eq!(
        (known.orphans, known.conditions.is_empty()),
        (Some(3), false)
    );
}

#[test]
fn the_names_of_quiet_clusters_are_told_to_those_who_may_list_them() {
    let index = small_fleet();
    let all = fleet(&index, true, later(60));
    assert_eq!(
        (all.clusters, all.connected, all.quiet_count),
        (Some(3), Some(0), Some(3)),
        "no access, not counted"
    );
    assert_eq!(all.quiet, ["dev-1", "eu-1", "gone-1"]);
    let counted = fleet(&index, false, later(60));
    assert_eq!((counted.quiet_count, counted.quiet.len()), (Some(3), 0));
    assert_eq!(fleet(&index, true, later(1)).quiet_count, Some(0));
}

#[test]
fn a_condition_is_as_old_as_the_stored_one_that_says_the_same() {
    let made = |status, second| {
        let at = Time(Timestamp::from_second(second).unwrap());
        condition(
            SegmentCondition::Ready.as_str(),
            status,
            Reason::AllReady,
            "",
            1,
            at,
        )
    };
    let fresh = [made(ConditionStatus::True, 100)];
    let shown = conditions(&fresh, &[made(ConditionStatus::True, 7)]);
    assert_eq!(shown[0].since.unwrap().seconds, 7);
    let shown = conditions(&fresh, &[made(ConditionStatus::False, 7)]);
    assert_eq!(
        (shown[0].since, shown[0].status.as_str()),
        (None, "True"),
        "not stored yet: not known"
    );
}
