//! Explanations for people.
//!
//! In: the core's entries and outcomes. Out: text. Law: what is not known says so. Not: finding them.

use crate::text::{count, one_line};
use segment_core::lint::catalog::Entry;
use segment_core::lint::variables::VariableHelp;
use segment_core::outcome::{Made, Outcome};
use std::fmt::Write as _;

/// With which values of TYPE a variable is read.
pub(crate) fn types(variable: &VariableHelp) -> String {
    if variable.types.is_empty() {
        "all".to_owned()
    } else {
        variable.types.join(", ")
    }
}

/// What stands where a Segment says nothing.
pub(crate) fn default(variable: &VariableHelp) -> String {
    match variable.default {
        _ if variable.required => "(required)".to_owned(),
        Some("") => "(empty)".to_owned(),
        Some(text) => text.to_owned(),
        None => "(left out)".to_owned(),
    }
}

/// A variable.
pub(crate) fn variable(variable: &VariableHelp) -> String {
    let mut out = format!("{}: {}\n", variable.name, variable.meaning);
    let mut line = |key: &str, value: &str| {
        let _ = writeln!(out, "  {:14}{value}", format!("{key}:"));
    };
    line("TYPE", &types(variable));
    line("Default", &default(variable));
    if let Some(name) = variable.hub_variable {
        line(
            "Hub variable",
            &format!("{name} (segctl hub info shows what is in force)"),
        );
    }
    line("Example", variable.example);
    out
}

/// A code of lint.
pub(crate) fn code(entry: &Entry, url: &str) -> String {
    let mut out = format!(
        "{} ({}): {}.\n{}\n",
        entry.code,
        entry.severity.as_str(),
        entry.title,
        entry.why
    );
    for (word, example) in [("Wrong", entry.wrong), ("Right", entry.right)] {
        let _ = writeln!(out, "\n{word}:");
        for line in example.lines() {
            let _ = writeln!(out, "  {line}");
        }
    }
    let _ = writeln!(out, "\n{url}");
    out
}

/// What a Segment makes.
pub(crate) fn outcome(key: &str, outcome: &Outcome, overrides: usize) -> String {
    let kind = match outcome.kind {
        Made::Table => "table",
        Made::View => "view",
    };
    let mut out = format!(
        "segment {} makes {kind} {}.{}\n",
        one_line(key),
        one_line(&outcome.schema),
        one_line(&outcome.name)
    );
    let mut line = |key: &str, value: &str| {
        let _ = writeln!(out, "  {key:13}{}", one_line(value));
    };
    line("from", &outcome.source);
    if let Some(column) = &outcome.distributed_by {
        line("distributed", &format!("by {column}"));
    }
    let mut label = "columns";
    for column in &outcome.columns {
        let ty = column.ty.as_deref().unwrap_or("(as its source)");
        let mut text = format!("{} {ty}", column.name);
        if column.from != column.name {
            let _ = write!(text, "   from {}", column.from);
        }
        line(std::mem::take(&mut label), &text);
    }
    if outcome.all_paths {
        line(label, "and others, which only the database knows");
    }
    let mut label = "indexes";
    for index in &outcome.indexes {
        let text = format!("{} {}", index.name, index.definition);
        line(std::mem::take(&mut label), &text);
    }
    let mut label = "views";
    for view in &outcome.views {
        let text = format!("{} where {}", view.name, view.condition);
        line(std::mem::take(&mut label), &text);
    }
    if overrides > 0 {
        let text = format!(
            "{} may change this on some clusters: segctl render -f FILE --labels … shows one",
            count(overrides, "override")
        );
        line("overrides", &text);
    }
    out
}
