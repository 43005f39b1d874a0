//! Lint: what would fail at 3 a.m. in every cluster is said at noon, with its place and its cure.
//!
//! In: a Segment as its user wrote it, house defaults, the time. Out: a [`Verdict`]: every finding at once, errors and
//! warnings. Law: one verdict, wherever it is asked for: `segctl lint`, the webhook and the condition `Accepted` print
//! the same findings (corpus in `tests/corpus`). Not: the schema of the resource (`crds`), what a cluster's policy says
//! (`admit.rs`).

pub mod catalog;
pub mod dst;
pub mod fleet;
pub mod grammar;
mod on_cluster;
mod report;
mod rules;
pub(crate) mod script;
mod spec;
pub mod sql;
mod types;
pub mod variables;

pub(crate) use on_cluster::on_cluster;

use crate::assignment::Rendered;
use crate::finding::{Code, Finding};
use crate::placement::ClusterView;
use crate::render;
use crate::segment::{HouseDefaults, ParsedSegment, effective, parse_under};
use jiff::Timestamp;
use segment_crds::Segment;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What lint says of one Segment by itself.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Every finding, errors first, then in the order of the fields.
    pub findings: Vec<Finding>,
    /// What the Segment means; `None` where it is refused.
    pub parsed: Option<Arc<ParsedSegment>>,
}

impl Verdict {
    /// Whether the Segment is refused.
    pub fn is_refused(&self) -> bool {
        self.parsed.is_none()
    }
}

/// Judges a Segment by itself, under these house defaults. `now` is for warnings that name dates (DST).
pub fn lint(segment: &Segment, defaults: &HouseDefaults, now: Timestamp) -> Verdict {
    let (parsed, mut findings) = match parse_under(segment, Some(defaults)) {
        Ok(parsed) => (Some(parsed), Vec::new()),
        Err(findings) => (None, findings),
    };
    // What is refused by its size is not looked at any further.
    if findings.iter().all(|found| found.code != Code::TooLarge) {
        findings.extend(spec::findings(&segment.spec, defaults, now));
    }
    tidy(&mut findings);
    let refused = findings.iter().any(Finding::is_error);
    let parsed = parsed.filter(|_| !refused).map(|parsed| {
        Arc::new(ParsedSegment {
            warnings: findings.clone(),
            linted: true,
            ..parsed
        })
    });
    Verdict { findings, parsed }
}

/// Judges a Segment again as it stands on one cluster, after overrides and `$(cluster.…)`: only what is found there and
/// not by [`lint`].
pub fn lint_on(
    segment: &ParsedSegment,
    defaults: &HouseDefaults,
    cluster: &ClusterView,
    now: Timestamp,
) -> Vec<Finding> {
    lint_and_render(segment, defaults, cluster, now).0
}

/// What [`lint_on`] finds, and what [`render`](crate::render::render) makes, for one judgement of both; nothing is
/// rendered where an error is found.
pub fn lint_and_render(
    segment: &ParsedSegment,
    defaults: &HouseDefaults,
    cluster: &ClusterView,
    now: Timestamp,
) -> (Vec<Finding>, Option<Rendered>) {
    let known = if segment.linted {
        Cow::Borrowed(&segment.warnings)
    } else {
        Cow::Owned(spec::findings(&segment.spec, defaults, now))
    };
    let effective = effective(segment, &cluster.labels);
    let mut findings = on_cluster(segment, &effective, defaults, cluster, &known);
    // What was accepted before lint knew better stands as it is.
    let refused = segment.linted && findings.iter().any(Finding::is_error);
    let rendered = match render::as_it_is(segment, &effective, defaults, cluster) {
        Ok(rendered) => (!refused).then_some(rendered),
        Err(errors) => {
            findings.extend(errors);
            None
        }
    };
    tidy(&mut findings);
    (findings, rendered)
}

/// Findings as one text, as the condition `Accepted` shows them. The webhook says the same, a line for each.
pub fn text<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> String {
    findings
        .into_iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

/// Errors first, then in the order of the fields, each once.
fn tidy(findings: &mut Vec<Finding>) {
    let wrong: BTreeSet<String> = findings
        .iter()
        .filter(|finding| finding.is_error())
        .map(|finding| finding.field.clone())
        .collect();
    // What the parser makes of a text that is split wrongly helps nobody.
    findings.retain(|finding| finding.code != Code::SqlSyntax || !wrong.contains(&finding.field));
    findings.sort_by(|a, b| {
        b.severity
            .cmp(&a.severity)
            .then_with(|| a.field.cmp(&b.field))
            .then_with(|| a.offset.cmp(&b.offset))
    });
    findings.dedup_by(|a, b| {
        // Two rules may refuse an empty value for the same reason.
        (a.code, &a.field, a.offset) == (b.code, &b.field, b.offset)
            && (a.message == b.message || a.code == Code::RequiredVariable)
    });
}

#[cfg(test)]
mod tests;
