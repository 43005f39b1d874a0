//! Single variables of the script and of its owner.

use crate::table::{ABSENT, Row, With, e, w};
use segment_core::finding::Code::*;

const LONG: &str = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl";
const FLEXIBLE: With = &[("env.TYPE", "flexible"), ("env.SOURCE_QUERY", "select 1")];
const OLD: With = &[("image.tag", "0.9.0")];
const OLD_PIVOT: With = &[
    ("env.TYPE", "pivot"),
    ("env.PIVOT_PATHS", "/a"),
    ("env.PIVOT_ALIASES", "a"),
];

#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    e(RequiredVariable, "spec.env.TARGET_SEGMENT_NAME", "is required and must not be empty", &[],
        ("env.TARGET_SEGMENT_NAME", "", "demo")),
    e(RequiredVariable, "spec.env.SOURCE_WHERE_CLAUSE", "is required and must not be empty", &[],
        ("env.SOURCE_WHERE_CLAUSE", ABSENT, "true")),
    e(RequiredVariable, "spec.env.SOURCE_QUERY", "is required with TYPE flexible", &[("env.TYPE", "flexible")],
        ("env.SOURCE_QUERY", "", "select 1")),
    e(RequiredVariable, "spec.env.TARGET_SEGMENT_INDEXES", "may be empty", &[], ("env.TARGET_SEGMENT_INDEXES", ABSENT, "")),
    e(RequiredVariable, "spec.env.TARGET_SEGMENT_VIEWS", "may be empty", &[], ("env.TARGET_SEGMENT_VIEWS", ABSENT, "")),
    e(RequiredVariable, "spec.env.CITUS_DIST_COL", "may be empty where DB_TYPE is postgres", &[],
        ("env.CITUS_DIST_COL", ABSENT, "event_id")),
    e(RequiredVariable, "spec.env.CITUS_DIST_COL", "here it is citus", &[], ("env.CITUS_DIST_COL", "", "event_id")),
    e(RequiredVariable, "spec.env.CITUS_DIST_COL", "here it is aurora", &[("env.CITUS_DIST_COL", "")],
        ("env.DB_TYPE", "aurora", "postgres")),
    e(RequiredVariable, "spec.env.DB_HOST", "must not be empty", &[], ("env.DB_HOST", "", ABSENT)),
    e(RequiredVariable, "spec.cronjob.schedule", "is required", &[], ("cronjob", "{suspend: true}", "{schedule: 0 5 * * *}")),
    e(RequiredVariable, "spec.envFromSecrets.TOKEN.key", "has no default", &[],
        ("envFromSecrets", "{TOKEN: {secret: a}}", "{TOKEN: {secret: a, key: b}}")),

    e(RequiredVariable, "spec.env.TYPE", "is required", &[], ("env.TYPE", ABSENT, "generic")),
    e(InvalidValue, "spec.env.TYPE", "\"pivto\" is not one of pivot", &[], ("env.TYPE", "pivto", "generic")),
    e(InvalidValue, "spec.env.DB_TYPE", "\"mysql\" is not one of citus", &[], ("env.DB_TYPE", "mysql", "citus")),
    e(InvalidValue, "spec.env.DB_PORT", "not a port", &[], ("env.DB_PORT", "70000", "5432")),
    e(InvalidValue, "spec.extraEnv.A:1", "a NUL", &[("extraEnv", "{}")], ("extraEnv.A", "a\0", "a")),
    w(NotABoolean, "spec.env.DEBUG", "\"true\" is neither", &[], ("env.DEBUG", "true", "True")),
    e(InvalidName, "spec.env.TARGET_SEGMENT_NAME", "has 64 bytes", &[], ("env.TARGET_SEGMENT_NAME", LONG, "demo")),
    e(LongIdentifier, "spec.env.TARGET_SCHEMA_NAME", "64 bytes", &[], ("env.TARGET_SCHEMA_NAME", LONG, "a")),
    e(LongIdentifier, "spec.env.SOURCE_SCHEMA_NAME", "64 bytes", &[], ("env.SOURCE_SCHEMA_NAME", LONG, "a")),
    e(LongIdentifier, "spec.env.SOURCE_TABLE_NAME", "64 bytes", &[], ("env.SOURCE_TABLE_NAME", LONG, "a")),
    e(LongIdentifier, "spec.env.CITUS_DIST_COL", "64 bytes", &[("env.DB_TYPE", "postgres")], ("env.CITUS_DIST_COL", LONG, "a")),
    w(OddName, "spec.env.TARGET_SEGMENT_NAME:3", "'-' stands in a PostgreSQL name only", &[],
        ("env.TARGET_SEGMENT_NAME", "a_b-c", "a_b_c")),
    w(OddName, "spec.env.TARGET_SEGMENT_NAME:0", "'1' stands in a PostgreSQL name only", &[],
        ("env.TARGET_SEGMENT_NAME", "1a", "\"1a\"")),
    w(UnusedVariable, "spec.env.PIVOT_PATHS", "not read with TYPE generic", &[], ("env.PIVOT_PATHS", "/a", "")),
    w(UnusedVariable, "spec.env.SOURCE_WHERE_CLAUSE", "not read with TYPE flexible", FLEXIBLE,
        ("env.SOURCE_WHERE_CLAUSE", "true", ABSENT)),

    w(PlainSecret, "spec.env.DB_HOST", "a password or token", &[], ("env.DB_HOST", "a://b:c@d", "a://b:$(P)@d")),
    w(PlainSecret, "spec.extraEnv.API_TOKEN", "a password or token", &[("extraEnv", "{}")], ("extraEnv.API_TOKEN", "a", "$(A)")),
    w(PlainSecret, "spec.extraEnv.A", "a password or token", &[("extraEnv", "{}")],
        ("extraEnv.A", "-----BEGIN PRIVATE KEY-----", "-----BEGIN CERTIFICATE-----")),
    w(PlainSecret, "spec.extraEnv.A", "a password or token", &[("extraEnv", "{}")],
        ("extraEnv.A", "ghp_0123456789abcdef", "ghp_")),

    w(NewerImage, "spec.env.TYPE", "TYPE flexible needs image 0.9.1", FLEXIBLE, ("image.tag", "0.9.0", "0.9.1")),
    w(NewerImage, "spec.env.PIVOT_ALIASES", "PIVOT_ALIASES needs image 0.9.1", OLD_PIVOT, ("image.tag", "v0.8", "latest")),
    w(NewerImage, "spec.env.DB_PRESERVE_VIEWS", "DB_PRESERVE_VIEWS needs image 0.9.1", OLD,
        ("env.DB_PRESERVE_VIEWS", "True", "False")),

    e(DuplicateVariable, "spec.extraEnv.DEBUG", "belongs in spec.env", &[("extraEnv", "{}")], ("extraEnv.DEBUG", "True", ABSENT)),
    e(DuplicateVariable, "spec.extraEnv.DB_USER", "always comes from a Secret", &[("extraEnv", "{}")],
        ("extraEnv.DB_USER", "a", ABSENT)),
    e(DuplicateVariable, "spec.envFromSecrets.DB_HOST", "also stands in env", &[("env.DB_HOST", "a")],
        ("envFromSecrets", "{DB_HOST: {key: a}}", "{}")),
    e(DuplicateVariable, "spec.envFromSecrets.A", "also stands in extraEnv", &[("extraEnv", "{A: b}")],
        ("envFromSecrets", "{A: {key: a}}", "{}")),
    e(InvalidName, "spec.extraEnv.1", "\"1\" is not a variable's name", &[], ("extraEnv", "{'1': a}", "{A: a}")),
    e(InvalidName, "spec.envFromSecrets.1", "\"1\" is not a variable's name", &[],
        ("envFromSecrets", "{'1': {key: a}}", "{A: {key: a}}")),
    e(InvalidName, "spec.envFromSecrets.A.secret", "\"B\" is not the name of a Secret", &[],
        ("envFromSecrets", "{A: {secret: B, key: a}}", "{A: {secret: b, key: a}}")),
    e(InvalidName, "spec.envFromSecrets.A.key", "\"/\" is not a key of a Secret", &[],
        ("envFromSecrets", "{A: {key: /}}", "{A: {key: a}}")),
    e(SecretReference, "spec.env.PROMETHEUS_JOB", "$(DB_PASSWORD) would put a value from a Secret", &[],
        ("env.PROMETHEUS_JOB", "$(DB_PASSWORD)", "$$(DB_PASSWORD)")),
    e(SecretReference, "spec.extraEnv.A", "$(TOKEN) would put a value from a Secret",
        &[("extraEnv", "{}"), ("envFromSecrets", "{TOKEN: {key: a}}")], ("extraEnv.A", "$(TOKEN)", "$(DEBUG)")),
    e(UnknownReference, "spec.env.DB_HOST:2", "$(cluster.uid) is not a reference", &[],
        ("env.DB_HOST", "a-$(cluster.uid)", "a-$(cluster.name)")),
    e(UnknownReference, "spec.extraEnv.A:0", "$(cluster.uid) is not a reference", &[("extraEnv", "{}")],
        ("extraEnv.A", "$(cluster.uid)", "$$(cluster.uid)")),
];
