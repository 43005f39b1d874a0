//! Strategies for property tests: values that may occur, small enough to collide often.

use crate::placement::ClusterView;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use segment_crds::{
    ConcurrencyPolicy, CronJobSettings, ImageSettings, Override, SecretRef, Segment, SegmentEnv,
    Unset,
};
use std::collections::BTreeMap;

const LABEL_KEYS: [&str; 3] = ["env", "region", "example.org/tier"];
const LABEL_VALUES: [&str; 4] = ["", "prod", "test", "eu-west"];

/// Variables that the strategies set; none is required.
const OPTIONAL: [&str; 6] = [
    "DB_HOST",
    "DB_PORT",
    "DEBUG",
    "PIVOT_PATHS",
    "PROMETHEUS_JOB",
    "TYPE_SEPARATOR",
];

fn text(value: &'static str) -> String {
    value.to_owned()
}

/// Labels over few keys and values.
pub fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(
        select(&LABEL_KEYS[..]).prop_map(text),
        select(&LABEL_VALUES[..]).prop_map(text),
        0..=LABEL_KEYS.len(),
    )
}

/// Valid selectors over the same keys and values.
pub fn label_selectors() -> impl Strategy<Value = LabelSelector> {
    let expression = (
        select(&LABEL_KEYS[..]),
        select(&["In", "NotIn", "Exists", "DoesNotExist"][..]),
        subsequence(&LABEL_VALUES[..], 1..=3),
    )
        .prop_map(|(key, operator, values)| LabelSelectorRequirement {
            key: text(key),
            operator: text(operator),
            values: matches!(operator, "In" | "NotIn")
                .then(|| values.into_iter().map(text).collect()),
        });
    (option::of(labels()), option::of(vec(expression, 0..3))).prop_map(
        |(match_labels, match_expressions)| LabelSelector {
            match_labels,
            match_expressions,
        },
    )
}

/// Clusters of few names, with labels and annotations whose values references may take.
pub fn cluster_views() -> impl Strategy<Value = ClusterView> {
    (select(&["eu-1", "eu-2", "us-1"][..]), labels(), labels()).prop_map(
        |(name, labels, annotations)| {
            let mut view = super::view(name, &[]);
            view.labels.extend(labels);
            view.annotations = annotations;
            view
        },
    )
}

/// Values of variables, with and without references, escapes, quotes and other alphabets.
pub fn template_values() -> impl Strategy<Value = String> {
    let pieces = select(
        &[
            "$(cluster.name)",
            "$(cluster.labels['env'])",
            "$(cluster.annotations['region'])",
            "$(OTHER)",
            "$$(cluster.name)",
            "$",
            "ä'\"\n",
            "x",
        ][..],
    );
    vec(pieces, 0..4).prop_map(|pieces| pieces.concat())
}

fn settings() -> impl Strategy<Value = CronJobSettings> {
    (
        option::of(select(
            &["0 3 * * *", "H H(1-5) * * *", "@hourly", "H/20 * * * MON"][..],
        )),
        option::of(select(ConcurrencyPolicy::ALL)),
        option::of(any::<bool>()),
        option::of(0..5i32),
        option::of(labels()),
    )
        .prop_map(
            |(schedule, concurrency_policy, suspend, backoff_limit, labels)| CronJobSettings {
                schedule: schedule.map(text),
                concurrency_policy,
                suspend,
                backoff_limit,
                labels,
                ..CronJobSettings::default()
            },
        )
}

fn image() -> impl Strategy<Value = ImageSettings> {
    let digest = format!("sha256:{}", "a1".repeat(32));
    (
        option::of(prop_oneof![Just("0.9.1".to_owned()), Just(digest)]),
        option::of(select(&["", "one", "one, two"][..])),
    )
        .prop_map(|(tag, pull_secrets)| ImageSettings {
            tag,
            pull_secrets: pull_secrets.map(text),
            ..ImageSettings::default()
        })
}

fn env() -> impl Strategy<Value = SegmentEnv> {
    btree_map(select(&OPTIONAL[..]), template_values(), 0..3).prop_map(|values| {
        let mut env = SegmentEnv::default();
        for (name, value) in values {
            env.set(name, Some(value));
        }
        env
    })
}

fn extra_env() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(
        select(&["A", "B_2"][..]).prop_map(text),
        template_values(),
        0..=2,
    )
}

fn secrets() -> impl Strategy<Value = BTreeMap<String, SecretRef>> {
    let reference = (
        option::of(Just("other-db".to_owned())),
        Just(Some("key".to_owned())),
    );
    btree_map(
        select(&["DB_USER", "DB_PASSWORD", "TOKEN"][..]).prop_map(text),
        reference.prop_map(|(secret, key)| SecretRef { secret, key }),
        0..3,
    )
}

fn overrides() -> impl Strategy<Value = Override> {
    (
        option::of(label_selectors()),
        settings(),
        env(),
        extra_env(),
        secrets(),
        image(),
        (subsequence(&OPTIONAL[..], 0..3), any::<bool>()),
    )
        .prop_map(
            |(
                cluster_selector,
                cronjob,
                env,
                extra_env,
                env_from_secrets,
                image,
                (unset, suspend),
            )| Override {
                cluster_selector,
                cronjob,
                env,
                extra_env,
                env_from_secrets,
                image,
                unset: Unset {
                    env: unset.into_iter().map(text).collect(),
                    cronjob: suspend.then(|| "suspend".to_owned()).into_iter().collect(),
                    ..Unset::default()
                },
            },
        )
}

/// Valid Segments of few names, with overrides that take nothing required away.
pub fn segments() -> impl Strategy<Value = Segment> {
    (
        (
            select(&["granary/demo", "granary/other", "crm/demo"][..]),
            option::of(label_selectors()),
        ),
        settings(),
        env(),
        extra_env(),
        secrets(),
        image(),
        vec(overrides(), 0..3),
    )
        .prop_map(
            |(
                (key, cluster_selector),
                cronjob,
                env,
                extra_env,
                env_from_secrets,
                image,
                overrides,
            )| {
                let mut segment = super::segment(key);
                let spec = &mut segment.spec;
                spec.cluster_selector = cluster_selector;
                spec.cronjob.overlay(&cronjob);
                spec.env.overlay(&env);
                spec.extra_env = extra_env;
                spec.env_from_secrets = env_from_secrets;
                spec.image = image;
                spec.overrides = overrides;
                segment
            },
        )
}
