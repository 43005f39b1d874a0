//! SQL fragments: each is handed to the judge of SQL, with its place.
//!
//! In: conditions, queries, and the parts of lists that are SQL. Out: findings with offsets in the variable's value.
//! Law: what a reference to the cluster has put there is never a comment. Not: the grammar of SQL (`lint/sql.rs`).

use super::Usable;
use crate::finding::{Code, Severity};
use crate::lint::grammar::Span;
use crate::lint::report::Report;
use crate::lint::script::{Kind, Script};
use crate::lint::sql::{self, Fragment};

/// The SQL of the lists.
pub(super) fn check(script: &Script<'_>, usable: Usable, report: &mut Report<'_>) {
    if usable.transformations
        && let Some(list) = &script.transformations
        && script.text("COLUMN_PLACEHOLDER").is_some()
    {
        let placeholder = script
            .text("COLUMN_PLACEHOLDER")
            .filter(|_| script.kind == Some(Kind::Pivot));
        for item in &list.items {
            fragment(
                Fragment::Expression,
                list.variable,
                item.sql,
                placeholder,
                report,
            );
        }
    }
    if usable.indexes
        && let Some(list) = &script.indexes
    {
        for item in list.items.iter().filter(|item| item.name.is_some()) {
            fragment(
                Fragment::IndexDefinition,
                list.variable,
                item.body,
                None,
                report,
            );
        }
    }
    if usable.views
        && let Some(list) = &script.views
    {
        for item in list.items.iter().filter(|item| item.name.is_some()) {
            fragment(Fragment::Condition, list.variable, item.body, None, report);
        }
    }
}

/// The SQL that is the whole of a variable.
pub(super) fn part(name: &str, text: &str, report: &mut Report<'_>) {
    let what = match name {
        "SOURCE_WHERE_CLAUSE" | "PIVOT_SEGMENT_WHERE_CLAUSE" => Fragment::Condition,
        "SOURCE_QUERY" => Fragment::Query,
        _ => return,
    };
    fragment(what, name, Span { text, offset: 0 }, None, report);
}

fn fragment(
    what: Fragment,
    variable: &str,
    span: Span<'_>,
    placeholder: Option<&str>,
    report: &mut Report<'_>,
) {
    for found in sql::check(what, span.text, placeholder) {
        let offset = span.offset + found.offset;
        let comment = found.code == Code::SqlComment;
        let (severity, help) =
            if comment && (0..2).any(|i| report.is_from_cluster(variable, offset + i)) {
                (
                    Severity::Error,
                    "put the reference into quotes, or set another value on the Cluster",
                )
            } else {
                (found.severity, found.help)
            };
        report.add(
            found.code,
            severity,
            variable,
            Some(offset),
            found.message,
            help,
        );
    }
}
