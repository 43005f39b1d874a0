//! The other fields: names, image, selectors, sizes, and what this version does not serve.

use crate::table::{Row, e};
use segment_core::finding::Code::*;

const TOLERATIONS: &str = "clusterTolerations";
const LABELS: &str = "clusterSelector.matchLabels";
const EXPRESSIONS: &str = "clusterSelector.matchExpressions";

#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    e(InvalidName, "metadata.name", "", &[], ("metadata.name", "A", "a")),
    e(InvalidName, "metadata.namespace", "", &[], ("metadata.namespace", "A", "a")),
    e(InvalidName, "metadata.uid", "", &[], ("metadata.uid", "x", "5b1c4f0e-0000-4000-8000-000000000001")),
    e(InvalidName, "spec.targetNamespace", "", &[], ("targetNamespace", "A", "a")),

    e(InvalidValue, "spec.image.repository", "\"A\" is not an image's registry and path", &[], ("image.repository", "A", "a")),
    e(InvalidValue, "spec.image.tag", "\"a b\" is neither a tag nor", &[], ("image.tag", "a b", "ab")),
    e(InvalidName, "spec.image.pullSecrets", "\"A\" is not the name of a Secret", &[], ("image.pullSecrets", "A", "a")),
    e(InvalidValue, "spec.overrides[0].envFromSecrets.TYPE", "it can't come from a Secret", &[],
        ("overrides", "[{envFromSecrets: {TYPE: {key: a}}}]", "[{envFromSecrets: {DEBUG: {key: a}}}]")),

    e(InvalidValue, "spec.clusterTolerations[0].operator", "must be Exists where no key", &[], (TOLERATIONS, "[{operator: Equal}]", "[{operator: Exists}]")),
    e(InvalidValue, "spec.clusterTolerations[0].key", "\"-\" is not a taint's key", &[], (TOLERATIONS, "[{key: '-'}]", "[{key: a}]")),
    e(InvalidValue, "spec.clusterTolerations[0].value", "must be absent with operator Exists", &[],
        (TOLERATIONS, "[{key: a, operator: Exists, value: b}]", "[{key: a, operator: Exists}]")),

    e(InvalidSelector, "spec.clusterSelector.matchLabels.-", "\"-\" is not a label's key", &[("clusterSelector", "{}")], (LABELS, "{'-': a}", "{a: a}")),
    e(InvalidSelector, "spec.clusterSelector.matchLabels.a", "\"-\" is not a label's value", &[("clusterSelector", "{}")], (LABELS, "{a: '-'}", "{a: a}")),
    e(InvalidSelector, "spec.clusterSelector.matchExpressions[0]", "\"Is\" is not one of In", &[("clusterSelector", "{}")],
        (EXPRESSIONS, "[{key: a, operator: Is, values: [b]}]", "[{key: a, operator: In, values: [b]}]")),
    e(InvalidSelector, "spec.clusterSelector.matchExpressions[0]", "at least one value", &[("clusterSelector", "{}")],
        (EXPRESSIONS, "[{key: a, operator: In}]", "[{key: a, operator: Exists}]")),
    e(InvalidSelector, "spec.clusterSelector.matchExpressions[0]", "DoesNotExist takes no values", &[("clusterSelector", "{}")],
        (EXPRESSIONS, "[{key: a, operator: DoesNotExist, values: [b]}]", "[{key: a, operator: NotIn, values: [b]}]")),
    e(InvalidSelector, "spec.overrides[0].clusterSelector.matchLabels.-", "\"-\" is not a label's key", &[],
        ("overrides", "[{clusterSelector: {matchLabels: {'-': a}}}]", "[{clusterSelector: {matchLabels: {a: a}}}]")),
    e(InvalidValue, "spec.overrides[0].unset.env[0]", "\"A\" is not a field of spec.env", &[],
        ("overrides", "[{unset: {env: [A]}}]", "[{unset: {env: [DEBUG]}}]")),
    e(InvalidValue, "spec.overrides[0].unset.cronjob[0]", "\"a\" is not a field of spec.cronjob", &[],
        ("overrides", "[{unset: {cronjob: [a]}}]", "[{unset: {cronjob: [suspend]}}]")),

    e(NotYet, "spec.adoption", "Always is not supported yet", &[], ("adoption", "Always", "IfSame")),
    e(NotYet, "spec.drift", "Report is not supported yet", &[], ("drift", "Report", "Correct")),
    e(InvalidValue, "spec.rollout.maxConcurrent", "must be a number of clusters, or a percentage", &[], ("rollout", r#"{"maxConcurrent": "120%"}"#, r#"{"maxConcurrent": "100%"}"#)),
    e(InvalidValue, "spec.rollout.waves[0].name", "is the name of the implicit last wave", &[], ("rollout", r#"{"waves": [{"name": "rest"}]}"#, r#"{"waves": [{"name": "first"}]}"#)),
    e(InvalidSchedule, "spec.rollout.windows[0].start", "@every has no time of its own", &[], ("rollout", r#"{"windows": [{"start": "@every 1h", "durationSeconds": 60}]}"#, r#"{"windows": [{"start": "0 22 * * *", "durationSeconds": 60}]}"#)),
    e(UnknownTimeZone, "spec.rollout.windows[0].timeZone", "unknown time zone", &[], ("rollout", r#"{"windows": [{"start": "0 1 * * *", "durationSeconds": 60, "timeZone": "Mars/Olympus"}]}"#, r#"{"windows": [{"start": "0 1 * * *", "durationSeconds": 60, "timeZone": "Cluster"}]}"#)),
];
