//! Columns that are listed: paths, aliases, and columns taken as they are.

use crate::finding::{Code, Severity};
use crate::lint::grammar::{Members, Span, is_name, unquoted};
use crate::lint::report::{Report, shown};
use crate::lint::script::{Kind, Script};
use segment_crds::limits::IDENTIFIER_MAX_BYTES;
use std::collections::HashMap;

pub(super) fn check(script: &Script<'_>, report: &mut Report<'_>) {
    match script.kind {
        Some(Kind::Pivot) => pivot(script, report),
        Some(Kind::Generic) => generic(script, report),
        Some(Kind::Flexible) | None => {}
    }
}

fn pivot(script: &Script<'_>, report: &mut Report<'_>) {
    if let Some(paths) = &script.paths {
        empty(paths, "PIVOT_PATHS", report);
        let aliased = script
            .aliases
            .as_ref()
            .is_none_or(|aliases| !aliases.members.is_empty());
        // With an alias for each, one path may make two columns.
        let severity = if aliased {
            Severity::Warning
        } else {
            Severity::Error
        };
        twice(&paths.members, |again, first| {
            report.add(
                Code::DuplicateColumn,
                severity,
                "PIVOT_PATHS",
                Some(again.offset),
                format!(
                    "{} is listed again, it stands at {first} already",
                    shown(again.text)
                ),
                "list each path once",
            );
        });
        if !aliased {
            for path in &paths.members {
                long(
                    *path,
                    "PIVOT_PATHS",
                    "give every path an alias in PIVOT_ALIASES (image 0.9.1 or newer)",
                    report,
                );
            }
        }
    }
    if let Some(aliases) = &script.aliases {
        empty(aliases, "PIVOT_ALIASES", report);
        twice(&aliases.members, |again, first| {
            report.error(
                Code::DuplicateAlias,
                "PIVOT_ALIASES",
                again.offset,
                format!(
                    "{} is the alias of two paths, it stands at {first} already",
                    shown(again.text)
                ),
                "give each path an alias of its own",
            );
        });
        for alias in &aliases.members {
            long(*alias, "PIVOT_ALIASES", "write a shorter alias", report);
        }
    }
    count(script, report);
}

fn count(script: &Script<'_>, report: &mut Report<'_>) {
    let (Some(paths), Some(aliases)) = (&script.paths, &script.aliases) else {
        return;
    };
    let number = |list: &Members<'_>| list.members.len() + list.empty.len();
    let (paths, aliases) = (number(paths), number(aliases));
    if aliases == 0 || aliases == paths {
        return;
    }
    if paths == 0 {
        report.error(
            Code::AliasesWithoutPaths,
            "PIVOT_ALIASES",
            None,
            "aliases are for the paths in PIVOT_PATHS, which lists none",
            "list the paths in PIVOT_PATHS, in the order of the aliases, or remove the aliases",
        );
    } else {
        report.error(
            Code::AliasCount,
            "PIVOT_ALIASES",
            None,
            format!("{aliases} aliases for {paths} paths"),
            "write one alias for every path in PIVOT_PATHS, in their order",
        );
    }
}

fn generic(script: &Script<'_>, report: &mut Report<'_>) {
    if let (Some(columns), Some(transformations)) = (&script.columns, &script.transformations)
        && columns.members.is_empty()
        && columns.empty.is_empty()
        && transformations.items.is_empty()
        && transformations.raw.empty.is_empty()
    {
        report.error(
            Code::NoColumns,
            "GENERIC_COLUMNS",
            None,
            "neither GENERIC_COLUMNS nor GENERIC_TRANSFORMATIONS names a column, so that the segment has none",
            "list the columns that are taken as they are, such as event_id,inserted",
        );
    }
    let Some(columns) = &script.columns else {
        return;
    };
    empty(columns, "GENERIC_COLUMNS", report);
    twice(&columns.members, |again, first| {
        report.error(
            Code::DuplicateColumn,
            "GENERIC_COLUMNS",
            again.offset,
            format!(
                "column {} is listed again, it stands at {first} already",
                shown(again.text)
            ),
            "list each column once",
        );
    });
    for column in &columns.members {
        if is_name(column.text) {
            long(
                *column,
                "GENERIC_COLUMNS",
                "take it in GENERIC_TRANSFORMATIONS under a shorter name",
                report,
            );
        } else {
            report.warning(
                Code::OddName,
                "GENERIC_COLUMNS",
                column.offset,
                format!("{} is not the name of a column", shown(column.text)),
                "columns are taken as they are; what is computed belongs in GENERIC_TRANSFORMATIONS, such as name=SQL::type",
            );
        }
    }
}

/// Members with nothing in them.
pub(super) fn empty(list: &Members<'_>, variable: &str, report: &mut Report<'_>) {
    for offset in &list.empty {
        report.error(
            Code::EmptyMember,
            variable,
            *offset,
            "there is nothing between two separators, or behind the last one",
            "remove the separator that is too many",
        );
    }
}

/// Calls `found` for every span whose text was there before, with the offset of the first.
pub(super) fn twice<'a>(spans: &[Span<'a>], mut found: impl FnMut(&Span<'a>, usize)) {
    let mut seen = HashMap::with_capacity(spans.len());
    for span in spans {
        if let Some(first) = seen.get(unquoted(span.text)) {
            found(span, *first);
        } else {
            seen.insert(unquoted(span.text), span.offset);
        }
    }
}

/// A name that `PostgreSQL` would cut.
pub(super) fn long(name: Span<'_>, variable: &str, help: &str, report: &mut Report<'_>) {
    let bytes = unquoted(name.text).len();
    if bytes > IDENTIFIER_MAX_BYTES {
        report.error(
            Code::LongIdentifier,
            variable,
            name.offset,
            format!(
                "{} has {bytes} bytes, PostgreSQL keeps {IDENTIFIER_MAX_BYTES} of a name",
                shown(name.text)
            ),
            help,
        );
    }
}
