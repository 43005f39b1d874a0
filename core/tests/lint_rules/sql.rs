//! SQL in variables and in the parts of lists.

use crate::table::{Row, With, e, w};
use segment_core::finding::Code::*;

const WHERE: &str = "env.SOURCE_WHERE_CLAUSE";
const QUERY: &str = "env.SOURCE_QUERY";
const INDEXES: &str = "env.TARGET_SEGMENT_INDEXES";
const FLEXIBLE: With = &[("env.TYPE", "flexible")];
const PIVOT: With = &[("env.TYPE", "pivot"), ("env.PIVOT_PATHS", "/a")];

#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    e(UnterminatedText, "spec.env.SOURCE_WHERE_CLAUSE:4", "the string that begins here", &[], (WHERE, "a = 'b", "a = 'b'")),
    e(UnterminatedText, "spec.env.SOURCE_WHERE_CLAUSE:4", "the string that begins here", &[], (WHERE, "a = e'b\\'", "a = e'b'")),
    e(UnterminatedText, "spec.env.SOURCE_WHERE_CLAUSE:0", "the quoted name that begins here", &[], (WHERE, "\"a = 1", "\"a\" = 1")),
    e(UnterminatedText, "spec.env.SOURCE_WHERE_CLAUSE:4", "the dollar-quoted string", &[], (WHERE, "a = $q$b", "a = $q$b$q$")),
    e(UnterminatedText, "spec.env.SOURCE_WHERE_CLAUSE:6", "the comment that begins here", &[], (WHERE, "a = 1 /* b", "a = 1 /* b */")),
    e(UnterminatedText, "spec.env.SOURCE_WHERE_CLAUSE:0", "the parenthesis that opens here", &[], (WHERE, "(a = 1", "(a = 1)")),
    e(SeveralStatements, "spec.env.SOURCE_WHERE_CLAUSE:5", "ends the statement", &[], (WHERE, "a = 1;", "a = ';'")),
    w(SqlComment, "spec.env.SOURCE_WHERE_CLAUSE:6", "begins a comment", &[], (WHERE, "a = 1 -- b", "a = '-- b'")),
    w(SqlComment, "spec.env.SOURCE_WHERE_CLAUSE:6", "begins a comment", &[], (WHERE, "a = 1 -- b\n and b", "a = 1 /* -- b */\n and b")),
    w(SqlSyntax, "spec.env.SOURCE_WHERE_CLAUSE:2", "no operator ==", &[], (WHERE, "a == 1", "a = 1")),
    w(SqlSyntax, "spec.env.SOURCE_WHERE_CLAUSE:5", "closes none that was opened", &[], (WHERE, "a = 1)", "a = 1")),
    w(SqlSyntax, "spec.env.SOURCE_WHERE_CLAUSE:9", "expected an expression after \"and\"", &[], (WHERE, "a = 1 and", "a = 1")),
    w(SqlSyntax, "spec.env.SOURCE_WHERE_CLAUSE:6", "expected the end of the condition", &[], (WHERE, "a = 1 b", "a = 1")),
    w(SqlSyntax, "spec.env.SOURCE_WHERE_CLAUSE:11", "invalid hex digit", &[], (WHERE, "a = u&'\\00z0'", "a = u&'\\00c0'")),
    w(SqlSyntax, "spec.env.SOURCE_QUERY:0", "a query begins with SELECT", FLEXIBLE, (QUERY, "delete from a", "select b from a")),
    w(SqlSyntax, "spec.env.SOURCE_QUERY:13", "expected identifier", FLEXIBLE, (QUERY, "select 1 from ", "select 1 from a")),
    e(SeveralStatements, "spec.env.SOURCE_QUERY:8", "ends the statement", FLEXIBLE, (QUERY, "select 1;", "select 1")),
    e(SeveralStatements, "spec.env.PIVOT_SEGMENT_WHERE_CLAUSE:4", "ends the statement", PIVOT,
        ("env.PIVOT_SEGMENT_WHERE_CLAUSE", "true; ", "true")),
    e(SeveralStatements, "spec.env.GENERIC_TRANSFORMATIONS:3", "ends the statement", &[],
        ("env.GENERIC_TRANSFORMATIONS", "x=a;::int", "x=a::int")),
    w(SqlSyntax, "spec.env.PIVOT_TRANSFORMATIONS:7", "expected the end of the expression", PIVOT,
        ("env.PIVOT_TRANSFORMATIONS", "/a=(?) ?::int", "/a=(?)::int")),
    e(SeveralStatements, "spec.env.TARGET_SEGMENT_VIEWS:6", "ends the statement", &[],
        ("env.TARGET_SEGMENT_VIEWS", "v:true;", "v:true")),
    e(SeveralStatements, "spec.env.TARGET_SEGMENT_INDEXES:12", "ends the statement", &[], (INDEXES, "i=(event_id);", "i=(event_id)")),
    e(InvalidIndex, "spec.env.TARGET_SEGMENT_INDEXES:2", "has no columns in parentheses", &[], (INDEXES, "i=event_id", "i=(event_id)")),
    e(InvalidIndex, "spec.env.TARGET_SEGMENT_INDEXES:2", "has a comma outside", &[],
        (INDEXES, "i=(event_id), (event_id)", "i=(event_id, event_id)")),

    e(WhereKeyword, "spec.env.SOURCE_WHERE_CLAUSE:1", "begins with the word WHERE", &[], (WHERE, " where a = 1", " a = 1")),
    e(WhereKeyword, "spec.env.PIVOT_SEGMENT_WHERE_CLAUSE:0", "begins with the word WHERE", PIVOT,
        ("env.PIVOT_SEGMENT_WHERE_CLAUSE", "WHERE(true)", "(true)")),
    w(LonePercent, "spec.env.SOURCE_QUERY:9", "a % in the query", FLEXIBLE, (QUERY, "select 1 %% 2", "select 1 %%%% 2")),
];
