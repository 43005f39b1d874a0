//! A table of what is wrong in one field.

use super::{codes, segment};
use crate::finding::Code;
use crate::render::parse;
use serde_json::{Value, json};

#[track_caller]
fn refused(pointer: &str, value: &Value, code: Code, field: &str) {
    let findings = parse(&segment(&[(pointer, value.clone())])).unwrap_err();
    assert_eq!(
        codes(&findings),
        [(code, field)],
        "{pointer} = {value}: {findings:?}"
    );
}

#[test]
#[allow(clippy::too_many_lines, reason = "one table")]
fn a_field_is_refused_with_its_path() {
    use Code::{
        DuplicateVariable, InvalidName, InvalidSchedule, InvalidSelector, InvalidValue, NotYet,
        OutOfRange, RequiredVariable, UnknownReference, UnknownTimeZone,
    };
    let big = "x".repeat(64);
    for (pointer, value, code, field) in [
        (
            "targetNamespace",
            json!("a.b"),
            InvalidName,
            "spec.targetNamespace",
        ),
        ("drift", json!("Report"), NotYet, "spec.drift"),
        (
            "clusterSelector",
            json!({"matchExpressions": [{"key": "a", "operator": "Like"}]}),
            InvalidSelector,
            "spec.clusterSelector.matchExpressions[0]",
        ),
        (
            "clusterTolerations",
            json!([{"value": "x"}]),
            InvalidValue,
            "spec.clusterTolerations[0].operator",
        ),
        (
            "clusterTolerations",
            json!([{"key": "a", "operator": "Exists", "value": "x"}]),
            InvalidValue,
            "spec.clusterTolerations[0].value",
        ),
        (
            "cronjob/schedule",
            Value::Null,
            RequiredVariable,
            "spec.cronjob.schedule",
        ),
        (
            "cronjob/schedule",
            json!("0 0 * * 7"),
            InvalidSchedule,
            "spec.cronjob.schedule",
        ),
        (
            "cronjob/timeZone",
            json!("Mars/Base"),
            UnknownTimeZone,
            "spec.cronjob.timeZone",
        ),
        (
            "cronjob/backoffLimit",
            json!(-1),
            OutOfRange,
            "spec.cronjob.backoffLimit",
        ),
        (
            "cronjob/activeDeadlineSeconds",
            json!(0),
            OutOfRange,
            "spec.cronjob.activeDeadlineSeconds",
        ),
        (
            "cronjob/serviceAccountName",
            json!("A"),
            InvalidName,
            "spec.cronjob.serviceAccountName",
        ),
        (
            "cronjob/resources/limits/cpu",
            json!("much"),
            OutOfRange,
            "spec.cronjob.resources.limits.cpu",
        ),
        (
            "cronjob/resources/limits/cpu",
            json!("-1"),
            OutOfRange,
            "spec.cronjob.resources.limits.cpu",
        ),
        (
            "cronjob/resources/limits/gpu",
            json!("1"),
            InvalidName,
            "spec.cronjob.resources.limits.gpu",
        ),
        (
            "cronjob/resources",
            json!({"requests": {"cpu": "2"}, "limits": {"cpu": "1500m"}}),
            OutOfRange,
            "spec.cronjob.resources.requests.cpu",
        ),
        (
            "cronjob/resources",
            json!({"requests": {"example.org/gpu": "1"}}),
            OutOfRange,
            "spec.cronjob.resources.requests.example.org/gpu",
        ),
        (
            "cronjob/labels",
            json!({"a b": "c"}),
            InvalidValue,
            "spec.cronjob.labels.a b",
        ),
        (
            "cronjob/labels",
            json!({"a": "b c"}),
            InvalidValue,
            "spec.cronjob.labels.a",
        ),
        (
            "cronjob/labels",
            json!({"segment.grnry.io/x": ""}),
            InvalidValue,
            "spec.cronjob.labels.segment.grnry.io/x",
        ),
        (
            "cronjob/labels",
            json!({"app.kubernetes.io/name": "x"}),
            InvalidValue,
            "spec.cronjob.labels.app.kubernetes.io/name",
        ),
        (
            "cronjob/annotations",
            json!({"segment.grnry.io/uid": ""}),
            InvalidValue,
            "spec.cronjob.annotations.segment.grnry.io/uid",
        ),
        (
            "cronjob/nodeSelector",
            json!({"a": "b/c"}),
            InvalidValue,
            "spec.cronjob.nodeSelector.a",
        ),
        (
            "cronjob/tolerations",
            json!([{"key": "a", "operator": "Gt"}]),
            InvalidValue,
            "spec.cronjob.tolerations[0].operator",
        ),
        (
            "cronjob/tolerations",
            json!([{"key": "a", "tolerationSeconds": 5}]),
            InvalidValue,
            "spec.cronjob.tolerations[0].tolerationSeconds",
        ),
        (
            "image/repository",
            json!("r.io/x:1"),
            InvalidValue,
            "spec.image.repository",
        ),
        ("image/tag", json!("a b"), InvalidValue, "spec.image.tag"),
        (
            "image/pullSecrets",
            json!("ok, Not"),
            InvalidName,
            "spec.image.pullSecrets",
        ),
        ("env/TYPE", Value::Null, RequiredVariable, "spec.env.TYPE"),
        ("env/TYPE", json!("Pivot"), InvalidValue, "spec.env.TYPE"),
        (
            "env/TARGET_SEGMENT_NAME",
            Value::Null,
            RequiredVariable,
            "spec.env.TARGET_SEGMENT_NAME",
        ),
        (
            "env/TARGET_SEGMENT_NAME",
            json!(""),
            RequiredVariable,
            "spec.env.TARGET_SEGMENT_NAME",
        ),
        (
            "env/TARGET_SEGMENT_NAME",
            json!(big),
            InvalidName,
            "spec.env.TARGET_SEGMENT_NAME",
        ),
        (
            "env/SOURCE_WHERE_CLAUSE",
            json!(" \n"),
            RequiredVariable,
            "spec.env.SOURCE_WHERE_CLAUSE",
        ),
        (
            "env/TARGET_SEGMENT_INDEXES",
            Value::Null,
            RequiredVariable,
            "spec.env.TARGET_SEGMENT_INDEXES",
        ),
        (
            "env/TARGET_SEGMENT_VIEWS",
            Value::Null,
            RequiredVariable,
            "spec.env.TARGET_SEGMENT_VIEWS",
        ),
        (
            "env/CITUS_DIST_COL",
            Value::Null,
            RequiredVariable,
            "spec.env.CITUS_DIST_COL",
        ),
        (
            "env/DB_TYPE",
            json!("mysql"),
            InvalidValue,
            "spec.env.DB_TYPE",
        ),
        (
            "env/DB_HOST",
            json!("x\0"),
            InvalidValue,
            "spec.env.DB_HOST",
        ),
        (
            "env/DB_HOST",
            json!("$(cluster.zone)"),
            UnknownReference,
            "spec.env.DB_HOST",
        ),
        (
            "extraEnv",
            json!({"1A": ""}),
            InvalidName,
            "spec.extraEnv.1A",
        ),
        (
            "extraEnv",
            json!({"DEBUG": "True"}),
            DuplicateVariable,
            "spec.extraEnv.DEBUG",
        ),
        (
            "extraEnv",
            json!({"DB_PASSWORD": "x"}),
            DuplicateVariable,
            "spec.extraEnv.DB_PASSWORD",
        ),
        (
            "envFromSecrets",
            json!({"TOKEN": {"secret": "a"}}),
            RequiredVariable,
            "spec.envFromSecrets.TOKEN.key",
        ),
        (
            "envFromSecrets",
            json!({"DB_USER": {"secret": "A"}}),
            InvalidName,
            "spec.envFromSecrets.DB_USER.secret",
        ),
        (
            "envFromSecrets",
            json!({"DB_USER": {"key": "a/b"}}),
            InvalidName,
            "spec.envFromSecrets.DB_USER.key",
        ),
        (
            "envFromSecrets",
            json!({"TARGET_SEGMENT_NAME": {"key": "a"}}),
            DuplicateVariable,
            "spec.envFromSecrets.TARGET_SEGMENT_NAME",
        ),
        (
            "overrides",
            json!([{"cronjob": {"schedule": "x"}}]),
            InvalidSchedule,
            "spec.overrides[0].cronjob.schedule",
        ),
        (
            "overrides",
            json!([{}, {"unset": {"env": ["DBHOST"]}}]),
            InvalidValue,
            "spec.overrides[1].unset.env[0]",
        ),
        (
            "overrides",
            json!([{"unset": {"cronjob": ["x"]}}]),
            InvalidValue,
            "spec.overrides[0].unset.cronjob[0]",
        ),
    ] {
        refused(pointer, &value, code, field);
    }
}
