//! Transformations: a column, its SQL, its type, and the separators between them.

use crate::table::{ABSENT, Row, With, e, w};
use segment_core::finding::Code::*;

const FIELD: &str = "env.GENERIC_TRANSFORMATIONS";
const PIVOT: &str = "env.PIVOT_TRANSFORMATIONS";
const PATH: With = &[("env.TYPE", "pivot"), ("env.PIVOT_PATHS", "/mail/topic")];
const ALIAS: With = &[
    ("env.TYPE", "pivot"),
    ("env.PIVOT_PATHS", "/a"),
    ("env.PIVOT_ALIASES", "topic"),
];
const ONE: With = &[(FIELD, "x=a::int")];
const NESTED: With = &[(FIELD, "x=f('|')::int")];
const JOINED: With = &[(FIELD, "x=a||b::text")];

#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    e(EmptyMember, "spec.env.GENERIC_TRANSFORMATIONS:9", "nothing between", &[], (FIELD, "x=a::int|", "x=a::int")),
    e(SeparatorInText, "spec.env.GENERIC_TRANSFORMATIONS:5", "ends the definition at this \"|\"", NESTED,
        ("env.TRANSFORMATION_SEPARATOR", ABSENT, ";;")),
    e(SeparatorInText, "spec.env.GENERIC_TRANSFORMATIONS:3", "ends the definition at this \"|\"", JOINED,
        ("env.TRANSFORMATION_SEPARATOR", ABSENT, ";;")),
    e(MissingDefinition, "spec.env.GENERIC_TRANSFORMATIONS:0", "does not begin with a column's name", &[],
        (FIELD, "a::int", "x=a::int")),
    e(MissingDefinition, "spec.env.GENERIC_TRANSFORMATIONS:0", "does not begin with a column's name", &[],
        (FIELD, "lower(x)=a::int", "x=a::int")),
    e(MissingDefinition, "spec.env.PIVOT_TRANSFORMATIONS:0", "does not begin with a column's name", PATH,
        (PIVOT, "=?::int", "/mail/topic=?::int")),
    e(MissingDefinition, "spec.env.GENERIC_TRANSFORMATIONS:2", "has no SQL", &[], (FIELD, "x=::int", "x=a::int")),
    e(MissingType, "spec.env.GENERIC_TRANSFORMATIONS:0", "does not end with \"::\" and a result type", &[],
        (FIELD, "x=a", "x=a::int")),
    e(MissingType, "spec.env.GENERIC_TRANSFORMATIONS:5", "does not end with \"::\" and a result type", &[],
        (FIELD, "x=a::", "x=a::int")),
    e(LongIdentifier, "spec.env.GENERIC_TRANSFORMATIONS:0", "64 bytes", &[],
        (FIELD, "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl=a::int", "x=a::int")),
    w(UnknownType, "spec.env.GENERIC_TRANSFORMATIONS:5", "\"string\" is not a type", &[], (FIELD, "x=a::string", "x=a::text")),
    w(UnknownType, "spec.env.GENERIC_TRANSFORMATIONS:5", "\"level\" is not a type", &[], (FIELD, "x=a::level", "x=a::crm.level")),
    e(UnknownType, "spec.env.GENERIC_TRANSFORMATIONS:5", "is the result type, and \"1\" is none", &[], (FIELD, "x=a::1", "x=a::int")),
    e(DuplicateColumn, "spec.env.GENERIC_TRANSFORMATIONS:0", "stands in GENERIC_COLUMNS, too", &[],
        (FIELD, "event_id=a::int", "x=a::int")),
    e(DuplicateColumn, "spec.env.GENERIC_TRANSFORMATIONS:9", "defined again, first at 0", &[],
        (FIELD, "x=a::int|x=b::int", "x=a::int|y=b::int")),
    e(DuplicateTransformation, "spec.env.PIVOT_TRANSFORMATIONS:19", "transformed again, first at 0", PATH,
        (PIVOT, "/mail/topic=?::int|/mail/topic=?::int", "/mail/topic=?::int")),
    e(UnlistedPath, "spec.env.PIVOT_TRANSFORMATIONS:0", "not listed in PIVOT_PATHS", PATH,
        (PIVOT, "/sms=?::int", "/mail/topic=?::int")),
    e(UnlistedPath, "spec.env.PIVOT_TRANSFORMATIONS:0", "\"/Mail/topic\" is not listed in PIVOT_PATHS", PATH,
        (PIVOT, "/Mail/topic=?::int", "/mail/topic=?::int")),
    e(UnlistedPath, "spec.env.PIVOT_TRANSFORMATIONS:0", "not listed in PIVOT_ALIASES", ALIAS,
        (PIVOT, "/a=?::int", "topic=?::int")),
    e(UnlistedPath, "spec.env.PIVOT_TRANSFORMATIONS:0", "\"y\" is not listed in PIVOT_ALIASES", ALIAS,
        (PIVOT, "y=?::int", "topic=?::int")),
    w(NoPlaceholder, "spec.env.PIVOT_TRANSFORMATIONS:12", "does not use ?", PATH,
        (PIVOT, "/mail/topic=a::int", "/mail/topic=?::int")),

    e(EmptySeparator, "spec.env.DEFINITION_SEPARATOR", "is empty", &[], ("env.DEFINITION_SEPARATOR", "", "=")),
    e(EmptySeparator, "spec.env.COLUMN_PLACEHOLDER", "is empty", PATH, ("env.COLUMN_PLACEHOLDER", "", "?")),
    e(EmptySeparator, "spec.env.TYPE_SEPARATOR", "only white space", &[], ("env.TYPE_SEPARATOR", " ", "::")),
    w(EmptySeparator, "spec.env.TARGET_SEGMENT_VIEW_SEPARATOR", "is a line break", &[],
        ("env.TARGET_SEGMENT_VIEW_SEPARATOR", "\n", ";")),
    e(AmbiguousSeparator, "spec.env.TRANSFORMATION_SEPARATOR", "is \"=\", as DEFINITION_SEPARATOR is", ONE,
        ("env.TRANSFORMATION_SEPARATOR", "=", "|")),
    e(AmbiguousSeparator, "spec.env.TRANSFORMATION_SEPARATOR", "which is part of TYPE_SEPARATOR \"::\"", ONE,
        ("env.TRANSFORMATION_SEPARATOR", ":", "|")),
    e(AmbiguousSeparator, "spec.env.TYPE_SEPARATOR", "which is part of TYPE_SEPARATOR \"|:\"", ONE,
        ("env.TYPE_SEPARATOR", "|:", "::")),
    e(AmbiguousSeparator, "spec.env.COLUMN_PLACEHOLDER", "holds TRANSFORMATION_SEPARATOR \"|\"",
        &[("env.TYPE", "pivot"), ("env.PIVOT_PATHS", "/a"), (PIVOT, "")],
        ("env.COLUMN_PLACEHOLDER", "?|", "?")),
];
