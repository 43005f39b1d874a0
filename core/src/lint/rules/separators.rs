//! Separators: each list has to be split in one way only.

use super::Usable;
use crate::finding::Code;
use crate::lint::report::{Report, shown};
use crate::lint::script::{Kind, Script};
use crate::segment::rules::Seen;

/// Every separator, with the variables of lists that it splits.
const TRANSFORMATIONS: [&str; 3] = [
    "TRANSFORMATION_SEPARATOR",
    "DEFINITION_SEPARATOR",
    "TYPE_SEPARATOR",
];
const INDEXES: [&str; 2] = ["TARGET_SEGMENT_INDEX_SEPARATOR", "DEFINITION_SEPARATOR"];
const VIEWS: [&str; 2] = [
    "TARGET_SEGMENT_VIEW_SEPARATOR",
    "TARGET_SEGMENT_VIEW_DEFINITION_SEPARATOR",
];

pub(super) fn check(script: &Script<'_>, report: &mut Report<'_>) -> Usable {
    for name in [
        "TRANSFORMATION_SEPARATOR",
        "DEFINITION_SEPARATOR",
        "TYPE_SEPARATOR",
        "TARGET_SEGMENT_INDEX_SEPARATOR",
        "TARGET_SEGMENT_VIEW_SEPARATOR",
        "TARGET_SEGMENT_VIEW_DEFINITION_SEPARATOR",
        "COLUMN_PLACEHOLDER",
    ] {
        blank(script, name, report);
    }
    let list = match script.kind {
        Some(Kind::Pivot) => "PIVOT_TRANSFORMATIONS",
        _ => "GENERIC_TRANSFORMATIONS",
    };
    let transformations = script.transformations.is_some()
        && apart(script, list, &TRANSFORMATIONS, report)
        && not_empty(script, &TRANSFORMATIONS);
    if script.kind == Some(Kind::Pivot) && transformations {
        placeholder(script, report);
    }
    Usable {
        transformations,
        indexes: apart(script, "TARGET_SEGMENT_INDEXES", &INDEXES, report)
            && not_empty(script, &INDEXES),
        views: apart(script, "TARGET_SEGMENT_VIEWS", &VIEWS, report) && not_empty(script, &VIEWS),
    }
}

fn blank(script: &Script<'_>, name: &str, report: &mut Report<'_>) {
    let Seen::Text(text) = script.own(name) else {
        return;
    };
    let help = "write a text that stands in none of the definitions, or remove the variable to get the default";
    if text.is_empty() {
        report.error(
            Code::EmptySeparator,
            name,
            None,
            "is empty, so that nothing can be told apart with it",
            help,
        );
    } else if text.trim().is_empty() && text.contains('\n') {
        report.warning(
            Code::EmptySeparator,
            name,
            None,
            "is a line break, so that each definition must stand on one line",
            help,
        );
    } else if text.trim().is_empty() {
        report.error(
            Code::EmptySeparator,
            name,
            None,
            "is only white space, which stands between the words of every definition",
            help,
        );
    }
}

fn not_empty(script: &Script<'_>, names: &[&str]) -> bool {
    names
        .iter()
        .all(|name| script.text(name).is_some_and(|text| !text.is_empty()))
}

/// Judges the separators of one list, the outermost first; only where the list has something in it.
fn apart(script: &Script<'_>, list: &str, names: &[&'static str], report: &mut Report<'_>) -> bool {
    if script.text(list).is_none_or(|text| text.trim().is_empty()) {
        return true;
    }
    let mut apart = true;
    for (index, outer) in names.iter().enumerate() {
        for inner in &names[index + 1..] {
            let (Some(a), Some(b)) = (script.text(outer), script.text(inner)) else {
                continue;
            };
            if a.is_empty() || b.is_empty() {
                continue;
            }
            // The one that the Segment itself sets is the one to change.
            let at = if matches!(script.own(outer), Seen::Text(_)) {
                *outer
            } else {
                *inner
            };
            let other = if at == *outer { *inner } else { *outer };
            if a == b {
                apart = false;
                report.error(
                    Code::AmbiguousSeparator,
                    at,
                    None,
                    format!("is {}, as {other} is: {list} can't be split", shown(a)),
                    format!("write another text, one that stands in no definition of {list}"),
                );
            } else if *outer != "DEFINITION_SEPARATOR" && b.contains(a) {
                apart = false;
                report.error(
                    Code::AmbiguousSeparator,
                    at,
                    None,
                    format!(
                        "{list} is split at {outer} {} first, which is part of {inner} {}",
                        shown(a),
                        shown(b)
                    ),
                    format!("write a text for {outer} that is no part of {}", shown(b)),
                );
            }
        }
    }
    apart
}

fn placeholder(script: &Script<'_>, report: &mut Report<'_>) {
    let Seen::Text(placeholder) = script.own("COLUMN_PLACEHOLDER") else {
        return;
    };
    for name in TRANSFORMATIONS {
        if let Some(separator) = script.text(name)
            && !placeholder.is_empty()
            && placeholder.contains(separator)
        {
            report.error(
                Code::AmbiguousSeparator,
                "COLUMN_PLACEHOLDER",
                None,
                format!("{} holds {name} {}", shown(placeholder), shown(separator)),
                "write another text, such as ?",
            );
        }
    }
}
