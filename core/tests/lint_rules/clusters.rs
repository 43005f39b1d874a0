//! What is found on one cluster: after overrides and references. It has `region=eu-west` and `cut=a--b`, and an owner
//! whose name has a blank.

use crate::table::{Row, With, e, on, w};
use segment_core::finding::Code::*;

const WHERE: &str = "env.SOURCE_WHERE_CLAUSE";
const INDEXES: &str = "env.TARGET_SEGMENT_INDEXES";
const OVERRIDES: &str = "overrides";
const ALIASED: With = &[("env.TYPE", "pivot"), ("env.PIVOT_PATHS", "/a,/b")];

#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    on(e(UnknownReference, "spec.env.DB_HOST:2", "names something that this cluster does not have", &[],
        ("env.DB_HOST", "a-$(cluster.labels['zone'])", "a-$(cluster.labels['region'])"))),
    on(e(UnsafeReference, "spec.env.DB_HOST:0", "may not stand in a variable", &[],
        ("env.DB_HOST", "$(cluster.annotations['owner'])", "$(cluster.name)"))),
    on(e(SqlComment, "spec.env.SOURCE_WHERE_CLAUSE:4", "begins a comment", &[],
        (WHERE, "a = $(cluster.labels['cut'])", "a = '$(cluster.labels['cut'])'"))),
    on(w(UnknownColumn, "spec.env.TARGET_SEGMENT_INDEXES:3", "\"eu-1\" is not a column", &[],
        (INDEXES, "i=(\"$(cluster.name)\")", "i=(event_id)"))),
    on(e(DuplicateAlias, "spec.env.PIVOT_ALIASES:16", "alias of two paths", ALIASED,
        ("env.PIVOT_ALIASES", "$(cluster.name),eu-1", "$(cluster.name),eu-2"))),
    on(e(RequiredVariable, "spec.cronjob.schedule", "an override takes it away", &[],
        (OVERRIDES, "[{unset: {cronjob: [schedule]}}]", "[{unset: {cronjob: [suspend]}}]"))),
    on(e(RequiredVariable, "spec.env.TARGET_SEGMENT_NAME", "is required", &[],
        (OVERRIDES, "[{unset: {env: [TARGET_SEGMENT_NAME]}}]", "[{unset: {env: [DEBUG]}}]"))),
    on(e(DuplicateVariable, "spec.overrides[0].envFromSecrets.DB_HOST", "also stands in env", &[("env.DB_HOST", "a")],
        (OVERRIDES, "[{envFromSecrets: {DB_HOST: {key: a}}}]", "[{envFromSecrets: {DB_HOST: {key: a}}, unset: {env: [DB_HOST]}}]"))),
    on(e(OutOfRange, "spec.overrides[0].cronjob.resources.requests.cpu", "is more than the limit", &[("cronjob.resources", "{limits: {cpu: '1'}}")],
        (OVERRIDES, "[{cronjob: {resources: {requests: {cpu: '2'}}}}]", "[{cronjob: {resources: {requests: {cpu: '1'}}}}]"))),
    e(UnnamedIndex, "spec.overrides[0].env.TARGET_SEGMENT_INDEXES:0", "has no name", &[],
        (OVERRIDES, "[{env: {TARGET_SEGMENT_INDEXES: (event_id)}}]", "[{env: {TARGET_SEGMENT_INDEXES: i=(event_id)}}]")),
    on(e(UnnamedIndex, "spec.overrides[0].env.TARGET_SEGMENT_INDEXES:0", "\"(event_id)\" has no name", &[],
        (OVERRIDES, "[{env: {TARGET_SEGMENT_INDEXES: (event_id)}}, {env: {GENERIC_COLUMNS: 'event_id,b'}}]",
            "[{env: {TARGET_SEGMENT_INDEXES: i=(event_id)}}, {env: {GENERIC_COLUMNS: 'event_id,b'}}]"))),
    e(WhereKeyword, "spec.overrides[0].env.SOURCE_WHERE_CLAUSE:0", "begins with the word WHERE", &[],
        (OVERRIDES, "[{env: {SOURCE_WHERE_CLAUSE: where true}}]", "[{env: {SOURCE_WHERE_CLAUSE: 'true'}}]")),
    w(PlainSecret, "spec.overrides[0].extraEnv.TOKEN", "a password or token", &[],
        (OVERRIDES, "[{extraEnv: {TOKEN: a}}]", "[{extraEnv: {TOKEN: $(A)}}]")),
    on(e(SecretReference, "spec.overrides[0].env.PROMETHEUS_JOB", "$(DB_USER) would put a value from a Secret", &[],
        (OVERRIDES, "[{env: {PROMETHEUS_JOB: $(DB_USER)}}]", "[{env: {PROMETHEUS_JOB: $$(DB_USER)}}]"))),
];
