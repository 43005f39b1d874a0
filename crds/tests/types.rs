//! The types read what users write.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use segment_crds::conditions::{condition, find_condition, remove_condition, set_condition};
use segment_crds::{
    Adoption, Cluster, ClusterStatus, ConcurrencyPolicy, ConditionStatus, CronJobSettings,
    ImageSettings, REQUIRED_VARIABLES, Reason, Segment, SegmentCondition, SegmentEnv, SegmentSpec,
    SegmentStatus,
};

const PIVOT: &str = r#"
apiVersion: segment.grnry.io/v1alpha1
kind: Segment
metadata: {name: newsletter-readers, namespace: granary}
spec:
  displayName: Newsletter readers
  clusterSelector:
    matchExpressions: [{key: region, operator: In, values: [eu-west]}]
  cronjob:
    schedule: "H 3 * * *"
    concurrencyPolicy: Forbid
    resources: {limits: {cpu: 1, memory: 64Mi}}
  env:
    TARGET_SEGMENT_NAME: newsletter_readers
    TYPE: pivot
  envFromSecrets:
    DB_USER: {secret: shop-db}
  somethingNewer: {from: "a later version"}
"#;

#[test]
fn a_segment_is_read_and_what_it_does_not_know_is_left_out() {
    let segment: Segment = serde_saphyr::from_str(PIVOT).unwrap();
    assert_eq!(segment.spec.cronjob.schedule.as_deref(), Some("H 3 * * *"));
    assert_eq!(
        segment.spec.cronjob.concurrency_policy,
        Some(ConcurrencyPolicy::Forbid)
    );
    assert_eq!(
        segment.spec.cronjob.resources.as_ref().unwrap().limits["cpu"].0,
        "1"
    );
    assert_eq!(
        segment.spec.env.get("TARGET_SEGMENT_NAME"),
        Some("newsletter_readers")
    );
    assert_eq!(segment.spec.env_from_secrets["DB_USER"].key, None);
    assert_eq!(segment.spec.adoption(), Adoption::IfSame);
    assert_eq!(segment.status, None);
}

#[test]
fn what_is_absent_is_not_written() {
    let spec = serde_json::to_value(SegmentSpec::default()).unwrap();
    assert_eq!(spec, serde_json::json!({ "cronjob": {}, "env": {} }));
}

#[test]
fn a_new_status_says_that_nobody_has_looked_yet() {
    let never = serde_json::json!({ "observedGeneration": -1 });
    assert_eq!(
        serde_json::to_value(SegmentStatus::default()).unwrap(),
        never
    );
    assert_eq!(
        serde_json::to_value(ClusterStatus::default()).unwrap(),
        never
    );
    assert_eq!(
        serde_json::from_str::<SegmentStatus>("{}").unwrap(),
        SegmentStatus::default()
    );
    assert_eq!(
        serde_json::from_str::<ClusterStatus>("{}").unwrap(),
        ClusterStatus::default()
    );
}

#[test]
fn a_cluster_is_read() {
    let cluster: Cluster = serde_saphyr::from_str(
        "apiVersion: segment.grnry.io/v1alpha1\nkind: Cluster\nmetadata: {name: eu-1}\nspec: {taints: [{key: gone, effect: NoSelect}], reenrol: \"2026-11-25T10:00:00Z\"}",
    )
    .unwrap();
    assert_eq!(cluster.spec.taints[0].key, "gone");
    assert!(cluster.spec.reenrol.is_some());
}

#[test]
fn the_table_of_variables_is_sorted_and_holds_what_is_required() {
    assert!(
        SegmentEnv::NAMES.is_sorted_by(|a, b| a < b),
        "{:?}",
        SegmentEnv::NAMES
    );
    assert!(
        REQUIRED_VARIABLES
            .iter()
            .all(|name| SegmentEnv::is_known(name))
    );
}

#[test]
fn variables_are_set_read_and_removed_by_name() {
    let mut env = SegmentEnv::default();
    for name in SegmentEnv::NAMES {
        assert!(env.set(name, Some(format!("value of {name}"))));
    }
    let all: Vec<_> = env
        .iter()
        .map(|(name, value)| (name, value.unwrap().to_owned()))
        .collect();
    let wanted: Vec<_> = SegmentEnv::NAMES
        .iter()
        .map(|name| (*name, format!("value of {name}")))
        .collect();
    assert_eq!(all, wanted);
    let written = serde_json::to_value(&env).unwrap();
    assert_eq!(written.as_object().unwrap().len(), SegmentEnv::NAMES.len());
    assert_eq!(written["TYPE"], "value of TYPE");
    for name in SegmentEnv::NAMES {
        assert!(env.unset(name));
    }
    assert!(env.is_empty());
    assert!(!env.set("SOURCE_WHERE", Some(String::new())) && env.is_empty());
    assert_eq!(env.get("SOURCE_WHERE"), None);
}

#[test]
fn a_later_setting_wins_field_by_field_and_key_by_key() {
    let mut base: CronJobSettings = serde_saphyr::from_str(
        "{schedule: '1 * * * *', suspend: true, labels: {a: '1', b: '1'}, resources: {limits: {cpu: 1, memory: 64Mi}}}",
    )
    .unwrap();
    let later: CronJobSettings = serde_saphyr::from_str(
        "{suspend: false, labels: {b: '2'}, resources: {limits: {memory: 128Mi}}, timeZone: UTC}",
    )
    .unwrap();
    base.overlay(&later);
    let wanted: CronJobSettings = serde_saphyr::from_str(
        "{schedule: '1 * * * *', suspend: false, labels: {a: '1', b: '2'}, resources: {limits: {cpu: 1, memory: 128Mi}}, timeZone: UTC}",
    )
    .unwrap();
    assert_eq!(base, wanted);
}

#[test]
fn every_field_can_be_unset_by_its_name() {
    for name in CronJobSettings::FIELDS {
        assert!(CronJobSettings::default().unset(name), "{name}");
    }
    let mut image = ImageSettings {
        tag: Some("0.9.1".to_owned()),
        ..ImageSettings::default()
    };
    assert!(image.unset("tag") && image.is_empty());
    assert!(!image.unset("Tag"));
}

#[test]
fn a_closed_word_reads_what_it_writes() {
    for policy in ConcurrencyPolicy::ALL {
        assert_eq!(serde_json::to_value(policy).unwrap(), policy.as_str());
        assert_eq!(ConcurrencyPolicy::parse(policy.as_str()), Some(*policy));
    }
    for reason in Reason::ALL {
        // The pattern of metav1.Condition.reason.
        assert!(
            reason.as_str().chars().all(|c| c.is_ascii_alphanumeric()),
            "{reason}"
        );
    }
    assert_eq!(ConcurrencyPolicy::parse("forbid"), None);
}

#[test]
fn a_condition_keeps_its_time_until_its_status_changes() {
    let at = |seconds: i64| Time(k8s_openapi::jiff::Timestamp::from_second(seconds).unwrap());
    let ready = SegmentCondition::Ready.as_str();
    let make =
        |status, reason, message: &str, time| condition(ready, status, reason, message, 7, time);
    let mut list = Vec::new();
    assert!(set_condition(
        &mut list,
        make(ConditionStatus::False, Reason::RollingOut, "0/2", at(10))
    ));
    assert!(!set_condition(
        &mut list,
        make(ConditionStatus::False, Reason::RollingOut, "0/2", at(20))
    ));
    assert!(set_condition(
        &mut list,
        make(ConditionStatus::False, Reason::RollingOut, "1/2", at(30))
    ));
    assert_eq!(
        list,
        [make(
            ConditionStatus::False,
            Reason::RollingOut,
            "1/2",
            at(10)
        )]
    );
    assert!(set_condition(
        &mut list,
        make(ConditionStatus::True, Reason::AllReady, "2/2", at(40))
    ));
    assert_eq!(
        list,
        [make(ConditionStatus::True, Reason::AllReady, "2/2", at(40))]
    );
    assert_eq!(find_condition(&list, ready), list.first());
    assert!(
        remove_condition(&mut list, ready)
            && list.is_empty()
            && !remove_condition(&mut list, ready)
    );
}
