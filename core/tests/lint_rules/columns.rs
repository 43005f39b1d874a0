//! Columns that are listed: paths, aliases, columns taken as they are, and what refers to them.

use crate::table::{Row, With, e, w};
use segment_core::finding::Code::*;

const PIVOT: With = &[("env.TYPE", "pivot")];
const PATH: With = &[("env.TYPE", "pivot"), ("env.PIVOT_PATHS", "/a")];
const PATHS: With = &[("env.TYPE", "pivot"), ("env.PIVOT_PATHS", "/a,/b")];
const ALIASES: With = &[("env.TYPE", "pivot"), ("env.PIVOT_ALIASES", "x,y")];
const LONG: &str = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl";

#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    e(EmptyMember, "spec.env.PIVOT_PATHS:3", "nothing between", PIVOT, ("env.PIVOT_PATHS", "/a,", "/a")),
    e(DuplicateColumn, "spec.env.PIVOT_PATHS:3", "listed again", PIVOT, ("env.PIVOT_PATHS", "/a,/a", "/a,/b")),
    w(DuplicateColumn, "spec.env.PIVOT_PATHS:3", "listed again", ALIASES, ("env.PIVOT_PATHS", "/a,/a", "/a,/b")),
    e(LongIdentifier, "spec.env.PIVOT_PATHS:3", "64 bytes", PIVOT,
        ("env.PIVOT_PATHS", "/a,/abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk", "/a")),
    e(EmptyMember, "spec.env.PIVOT_ALIASES:2", "nothing between", PATHS, ("env.PIVOT_ALIASES", "x,", "x,y")),
    e(DuplicateAlias, "spec.env.PIVOT_ALIASES:2", "alias of two paths", PATHS, ("env.PIVOT_ALIASES", "x,x", "x,y")),
    e(LongIdentifier, "spec.env.PIVOT_ALIASES:0", "64 bytes", PATH, ("env.PIVOT_ALIASES", LONG, "x")),
    e(AliasesWithoutPaths, "spec.env.PIVOT_ALIASES", "lists none", PIVOT, ("env.PIVOT_ALIASES", "x", "")),
    e(AliasCount, "spec.env.PIVOT_ALIASES", "1 aliases for 2 paths", PATHS, ("env.PIVOT_ALIASES", "x", "x,y")),
    e(NoColumns, "spec.env.GENERIC_COLUMNS", "names a column", &[], ("env.GENERIC_COLUMNS", "", "a")),
    e(EmptyMember, "spec.env.GENERIC_COLUMNS:2", "nothing between", &[], ("env.GENERIC_COLUMNS", "a,,b", "a,b")),
    e(DuplicateColumn, "spec.env.GENERIC_COLUMNS:2", "listed again", &[], ("env.GENERIC_COLUMNS", "a,a", "a,b")),
    e(LongIdentifier, "spec.env.GENERIC_COLUMNS:0", "64 bytes", &[], ("env.GENERIC_COLUMNS", LONG, "a")),
    w(OddName, "spec.env.GENERIC_COLUMNS:2", "not the name of a column", &[], ("env.GENERIC_COLUMNS", "a,lower(b)", "a,b")),

    w(UnknownColumn, "spec.env.TARGET_SEGMENT_INDEXES:3", "\"b\" is not a column", &[],
        ("env.TARGET_SEGMENT_INDEXES", "i=(b)", "i=(event_id)")),
    w(UnknownColumn, "spec.env.TARGET_SEGMENT_INDEXES:6", "\"/A\" is not a column", PATH,
        ("env.TARGET_SEGMENT_INDEXES", "i=(id,\"/A\" desc)", "i=(id,\"/a\" desc)")),
    w(UnknownColumn, "spec.env.TARGET_SEGMENT_VIEWS:2", "\"b\" is not a column", &[],
        ("env.TARGET_SEGMENT_VIEWS", "v:\"b\" > 1", "v:\"event_id\" > 1")),
    w(UnknownColumn, "spec.env.PIVOT_SEGMENT_WHERE_CLAUSE:0", "\"/b\" is not a column", PATH,
        ("env.PIVOT_SEGMENT_WHERE_CLAUSE", "\"/b\" = '\"/c\"'", "\"/a\" = '\"/c\"'")),
    w(UnknownColumn, "spec.env.CITUS_DIST_COL:1", "\"b\" is not a column", &[("env.DB_TYPE", "citus")],
        ("env.CITUS_DIST_COL", " b", " event_id")),
    w(UnknownColumn, "spec.env.CITUS_DIST_COL:0", "\"b\" is not a column", &[],
        ("env.CITUS_DIST_COL", "b", "event_id")),
];
