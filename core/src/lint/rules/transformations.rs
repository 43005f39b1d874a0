//! Transformations: a column, the SQL that makes it, its type.

use super::columns::{empty, long, twice};
use crate::finding::Code;
use crate::lint::grammar::{Span, Transformation, is_name, unquoted};
use crate::lint::report::{Report, shown};
use crate::lint::script::{Kind, List, Script};
use crate::lint::types::{Judged, judge};
use std::collections::HashMap;

pub(super) fn check(script: &Script<'_>, report: &mut Report<'_>) {
    let Some(list) = &script.transformations else {
        return;
    };
    let result = script.text("TYPE_SEPARATOR").unwrap_or_default();
    empty(&list.raw, list.variable, report);
    inside(list, "TRANSFORMATION_SEPARATOR", ";;", report);
    for item in &list.items {
        parts(list, item, result, report);
    }
    let names: Vec<Span<'_>> = list.items.iter().filter_map(named).collect();
    match script.kind {
        Some(Kind::Pivot) => {
            twice(&names, |again, first| {
                report.error(
                    Code::DuplicateTransformation,
                    list.variable,
                    again.offset,
                    format!(
                        "{} is transformed again, first at {first}",
                        shown(again.text)
                    ),
                    "write one transformation for each column",
                );
            });
            listed(script, &names, report);
            placeholder(script, list, report);
        }
        _ => generic(script, list, &names, report),
    }
}

/// A list separator inside a member, where the script would split.
pub(super) fn inside<T>(
    list: &List<'_, T>,
    separator: &str,
    instead: &str,
    report: &mut Report<'_>,
) {
    for offset in &list.raw.inside {
        report.error(
            Code::SeparatorInText,
            list.variable,
            *offset,
            format!(
                "the script ends the definition at this {}, though it is part of the SQL",
                shown(list.separator)
            ),
            format!(
                "set {separator} to a text that stands in none of the definitions, such as {instead}, and write it \
                 between them"
            ),
        );
    }
}

fn named<'a>(item: &Transformation<'a>) -> Option<Span<'a>> {
    item.name.filter(|name| !name.text.is_empty())
}

fn parts(
    list: &List<'_, Transformation<'_>>,
    item: &Transformation<'_>,
    result: &str,
    report: &mut Report<'_>,
) {
    let variable = list.variable;
    let form = format!("name{}SQL{result}type", list.definition);
    let whole = item.whole;
    let pivot = variable == "PIVOT_TRANSFORMATIONS";
    let name = named(item).filter(|name| pivot || is_name(name.text));
    if name.is_none() {
        report.error(
            Code::MissingDefinition,
            variable,
            whole.offset,
            format!(
                "{} does not begin with a column's name and {}",
                shown(whole.text),
                shown(list.definition)
            ),
            format!("write {form}"),
        );
    }
    if let Some(name) = name
        && !pivot
    {
        long(name, variable, "write a shorter name", report);
    }
    if name.is_some() && item.sql.text.is_empty() {
        report.error(
            Code::MissingDefinition,
            variable,
            item.sql.offset.min(whole.end()),
            format!("{} has no SQL", shown(whole.text)),
            format!("write {form}"),
        );
    }
    let Some(kind) = item.result.filter(|kind| !kind.text.is_empty()) else {
        let offset = item.result.map_or(whole.offset, |kind| kind.offset);
        report.error(
            Code::MissingType,
            variable,
            offset.min(whole.end()),
            format!(
                "{} does not end with {} and a result type",
                shown(whole.text),
                shown(result)
            ),
            format!("write {form}, for example {result}text"),
        );
        return;
    };
    match judge(kind.text) {
        Judged::Type => {}
        Judged::Unknown(meant) => report.warning(
            Code::UnknownType,
            variable,
            kind.offset,
            format!("{} is not a type that PostgreSQL has", shown(kind.text)),
            meant.map_or_else(
                || "write a type such as text, or schema.type for one of your own".to_owned(),
                |meant| format!("did you mean {meant}?"),
            ),
        ),
        Judged::NotAType => report.error(
            Code::UnknownType,
            variable,
            kind.offset,
            format!(
                "what stands behind the last {} is the result type, and {} is none",
                shown(result),
                shown(kind.text)
            ),
            format!("end the transformation with {result} and a type, for example {result}text"),
        ),
    }
}

/// Names of pivot transformations are paths that are listed, or their aliases.
fn listed(script: &Script<'_>, names: &[Span<'_>], report: &mut Report<'_>) {
    let (Some(paths), Some(aliases)) = (&script.paths, &script.aliases) else {
        return;
    };
    let has_aliases = !aliases.members.is_empty();
    let (known, variable) = if has_aliases {
        (aliases, "PIVOT_ALIASES")
    } else {
        (paths, "PIVOT_PATHS")
    };
    if known.members.is_empty() {
        return;
    }
    let exact: HashMap<&str, usize> = (0..)
        .zip(&known.members)
        .map(|(index, member)| (unquoted(member.text), index))
        .collect();
    let loose: HashMap<String, &str> = known
        .members
        .iter()
        .map(|member| (loosely(member.text), member.text))
        .collect();
    let by_path: HashMap<&str, usize> = (0..)
        .zip(&paths.members)
        .map(|(index, member)| (member.text, index))
        .collect();
    for name in names {
        if exact.contains_key(unquoted(name.text)) {
            continue;
        }
        let alias = by_path
            .get(name.text)
            .filter(|_| has_aliases)
            .and_then(|index| aliases.members.get(*index));
        let help = match (alias, loose.get(&loosely(name.text))) {
            (Some(alias), _) => format!("write the path's alias {}", shown(alias.text)),
            (None, Some(near)) => format!("did you mean {}?", shown(near)),
            (None, None) if has_aliases => {
                "write an alias from PIVOT_ALIASES, or list path and alias".to_owned()
            }
            (None, None) => "write a path from PIVOT_PATHS, or list this one there".to_owned(),
        };
        report.error(
            Code::UnlistedPath,
            "PIVOT_TRANSFORMATIONS",
            name.offset,
            format!("{} is not listed in {variable}", shown(name.text)),
            help,
        );
    }
}

/// What is left of a path when what people get wrong is left out.
fn loosely(path: &str) -> String {
    path.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

fn placeholder(script: &Script<'_>, list: &List<'_, Transformation<'_>>, report: &mut Report<'_>) {
    let Some(placeholder) = script
        .text("COLUMN_PLACEHOLDER")
        .filter(|text| !text.is_empty())
    else {
        return;
    };
    for item in &list.items {
        if named(item).is_some()
            && !item.sql.text.is_empty()
            && !item.sql.text.contains(placeholder)
        {
            report.warning(
                Code::NoPlaceholder,
                list.variable,
                item.sql.offset,
                format!("the SQL does not use {placeholder}, which stands for the path's column"),
                format!("write {placeholder} where the column's value belongs"),
            );
        }
    }
}

fn generic(
    script: &Script<'_>,
    list: &List<'_, Transformation<'_>>,
    names: &[Span<'_>],
    report: &mut Report<'_>,
) {
    let columns: HashMap<&str, usize> = script
        .columns
        .iter()
        .flat_map(|columns| &columns.members)
        .map(|column| (unquoted(column.text), column.offset))
        .collect();
    for name in names {
        if columns.contains_key(unquoted(name.text)) {
            report.error(
                Code::DuplicateColumn,
                list.variable,
                name.offset,
                format!("column {} stands in GENERIC_COLUMNS, too", shown(name.text)),
                "take it out of one of the two, or give the computed one another name",
            );
        }
    }
    twice(names, |again, first| {
        report.error(
            Code::DuplicateColumn,
            list.variable,
            again.offset,
            format!(
                "column {} is defined again, first at {first}",
                shown(again.text)
            ),
            "give each column a name of its own",
        );
    });
}
