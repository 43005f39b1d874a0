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
    let comments = comments(span.text);
    for found in sql::check(what, span.text, placeholder) {
        // A comment is said below, with what may have put it there.
        if found.code != Code::SqlSyntax || !comments.contains(&found.offset) {
            let offset = Some(span.offset + found.offset);
            report.add(
                found.code,
                found.severity,
                variable,
                offset,
                found.message,
                found.help,
            );
        }
    }
    for at in comments {
        let offset = span.offset + at;
        let (severity, help) = if (0..2).any(|i| report.is_from_cluster(variable, offset + i)) {
            (
                Severity::Error,
                "put the reference into quotes, or set another value on the Cluster",
            )
        } else {
            (
                Severity::Warning,
                "remove it: the script may write the SQL on one line, and then all behind it is left out",
            )
        };
        report.add(
            Code::SqlComment,
            severity,
            variable,
            Some(offset),
            "-- begins a comment: what follows is not executed",
            help,
        );
    }
}

/// Offsets of `--` outside of quotes.
fn comments(text: &str) -> Vec<usize> {
    let mut found = Vec::new();
    if !text.contains("--") {
        return found;
    }
    let mut quote = None;
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Some(open), byte) if open == byte => quote = None,
            (None, byte @ (b'\'' | b'"')) => quote = Some(byte),
            (None, b'-') if bytes.get(at + 1) == Some(&b'-') => {
                found.push(at);
                // The rest of the line is the comment.
                at += text[at..].find('\n').unwrap_or(text.len() - at);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::comments;

    #[test]
    fn comments_are_found_outside_of_quotes() {
        for (text, expected) in [
            ("a = 'x--y' -- why", vec![11]),
            ("a --b\n and 'c' -- d", vec![2, 15]),
            ("\"a--b\" - - 1", vec![]),
            ("'a", vec![]),
        ] {
            assert_eq!(comments(text), expected, "{text:?}");
        }
    }
}
