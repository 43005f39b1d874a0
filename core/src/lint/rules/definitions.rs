//! Indexes and views: each has a name of its own and says what it is.

use super::Usable;
use super::columns::{empty, long, twice};
use super::transformations::inside;
use super::values::begins_with_where;
use crate::finding::{Code, Severity};
use crate::lint::grammar::{Definition, Span, is_name, unquoted};
use crate::lint::report::{Report, shown};
use crate::lint::script::{List, Script};
use std::collections::HashMap;

const INDEXES: &str = "TARGET_SEGMENT_INDEXES";
const VIEWS: &str = "TARGET_SEGMENT_VIEWS";

pub(super) fn check(script: &Script<'_>, usable: Usable, report: &mut Report<'_>) {
    if usable.indexes
        && let Some(list) = &script.indexes
    {
        indexes(script, list, report);
    }
    if usable.views
        && let Some(list) = &script.views
    {
        views(list, report);
    }
    collisions(script, usable, report);
}

/// The names of the definitions that have a usable one.
fn names<'a>(list: &List<'a, Definition<'a>>) -> Vec<Span<'a>> {
    list.items.iter().filter_map(name).collect()
}

fn name<'a>(item: &Definition<'a>) -> Option<Span<'a>> {
    item.name.filter(|name| is_name(name.text))
}

fn indexes(script: &Script<'_>, list: &List<'_, Definition<'_>>, report: &mut Report<'_>) {
    if let Some(first) = list.raw.members.first()
        && script.is_view()
    {
        report.error(
            Code::IndexOnView,
            INDEXES,
            first.offset,
            "DB_USE_VIEWS is True, so that the segment is a view, and a view cannot have indexes",
            "leave TARGET_SEGMENT_INDEXES empty, or set DB_USE_VIEWS to False",
        );
    }
    empty(&list.raw, INDEXES, report);
    inside(list, "TARGET_SEGMENT_INDEX_SEPARATOR", ";;", report);
    let form = format!("name{}(column, …)", list.definition);
    for item in &list.items {
        let Some(name) = name(item) else {
            report.error(
                Code::UnnamedIndex,
                INDEXES,
                item.whole.offset,
                format!("index {} has no name", shown(item.whole.text)),
                format!("write {form}"),
            );
            continue;
        };
        long(name, INDEXES, "write a shorter name", report);
        let problem = if !item.body.text.contains('(') {
            Some("has no columns in parentheses")
        } else if has_comma_outside(item.body.text) {
            Some("has a comma outside of the parentheses")
        } else {
            None
        };
        if let Some(problem) = problem {
            report.error(
                Code::InvalidIndex,
                INDEXES,
                if item.body.text.is_empty() {
                    item.whole.offset
                } else {
                    item.body.offset
                },
                format!("index {} {problem}", shown(name.text)),
                format!(
                    "write {form}, or name{}USING method (column, …), and {} between indexes",
                    list.definition,
                    shown(list.separator)
                ),
            );
        }
    }
    twice(&names(list), |again, first| {
        report.error(
            Code::DuplicateIndex,
            INDEXES,
            again.offset,
            format!(
                "index {} is defined again, first at {first}",
                shown(again.text)
            ),
            "give each index a name of its own",
        );
    });
}

/// A comma between parentheses joins columns; outside of them nothing.
fn has_comma_outside(body: &str) -> bool {
    let mut depth = 0_usize;
    let mut quote = None;
    for byte in body.bytes() {
        match (quote, byte) {
            (Some(open), _) if open == byte => quote = None,
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'(') => depth += 1,
            (None, b')') => depth = depth.saturating_sub(1),
            (None, b',') if depth == 0 => return true,
            _ => {}
        }
    }
    false
}

fn views(list: &List<'_, Definition<'_>>, report: &mut Report<'_>) {
    empty(&list.raw, VIEWS, report);
    inside(list, "TARGET_SEGMENT_VIEW_SEPARATOR", ";", report);
    let form = format!("name{}condition", list.definition);
    for item in &list.items {
        view(list, item, &form, report);
    }
    twice(&names(list), |again, first| {
        report.error(
            Code::DuplicateView,
            VIEWS,
            again.offset,
            format!(
                "view {} is defined again, first at {first}",
                shown(again.text)
            ),
            "give each view a name of its own",
        );
    });
}

fn view(
    list: &List<'_, Definition<'_>>,
    item: &Definition<'_>,
    form: &str,
    report: &mut Report<'_>,
) {
    let whole = item.whole;
    let other = format!(
        "write {form}; where {} is part of a condition, set TARGET_SEGMENT_VIEW_SEPARATOR to another text",
        shown(list.separator)
    );
    let Some(name) = name(item) else {
        if item.name.is_none() && is_name(whole.text) {
            report.error(
                Code::ViewWithoutCondition,
                VIEWS,
                whole.offset,
                format!("view {} has no condition", shown(whole.text)),
                other,
            );
        } else {
            report.error(
                Code::UnnamedView,
                VIEWS,
                whole.offset,
                format!("view {} has no name", shown(whole.text)),
                other,
            );
        }
        return;
    };
    long(name, VIEWS, "write a shorter name", report);
    let condition = item.body;
    if condition.text.is_empty() {
        report.error(
            Code::ViewWithoutCondition,
            VIEWS,
            whole.offset,
            format!("view {} has no condition", shown(name.text)),
            other,
        );
        return;
    }
    if begins_with_where(condition.text) {
        report.error(
            Code::WhereKeyword,
            VIEWS,
            condition.offset,
            format!(
                "the condition of view {} begins with the word WHERE, which the script writes itself",
                shown(name.text)
            ),
            "leave the word out",
        );
    }
    if let Some(at) = condition.text.find(list.definition) {
        report.warning(
            Code::SeparatorInText,
            VIEWS,
            condition.offset + at,
            format!(
                "the condition of view {} has {} in it, which also stands between a view's name and its condition",
                shown(name.text),
                shown(list.definition)
            ),
            "set TARGET_SEGMENT_VIEW_DEFINITION_SEPARATOR to a text that stands in no condition, such as =>",
        );
    }
}

/// Tables, views and indexes of one schema share their names.
fn collisions(script: &Script<'_>, usable: Usable, report: &mut Report<'_>) {
    let segment = script
        .text("TARGET_SEGMENT_NAME")
        .map(|name| unquoted(name.trim()))
        .filter(|name| !name.is_empty());
    let views: Vec<Span<'_>> = script
        .views
        .iter()
        .filter(|_| usable.views)
        .flat_map(names)
        .collect();
    let indexes: Vec<Span<'_>> = script
        .indexes
        .iter()
        .filter(|_| usable.indexes)
        .flat_map(names)
        .collect();
    let by_index: HashMap<&str, usize> = indexes
        .iter()
        .map(|index| (unquoted(index.text), index.offset))
        .collect();
    let mut taken = |variable: &str, name: &Span<'_>, by: &str| {
        report.add(
            Code::NameCollision,
            Severity::Error,
            variable,
            Some(name.offset),
            format!("{} is the name of {by}, too", shown(name.text)),
            "tables, views and indexes of one schema share their names: write another",
        );
    };
    for view in &views {
        if segment == Some(unquoted(view.text)) {
            taken(VIEWS, view, "the segment");
        } else if by_index.contains_key(unquoted(view.text)) {
            taken(VIEWS, view, "an index");
        }
    }
    for index in &indexes {
        if segment == Some(unquoted(index.text)) {
            taken(INDEXES, index, "the segment");
        }
    }
}
