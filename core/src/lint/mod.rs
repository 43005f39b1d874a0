//! Lint: what would fail at 3 a.m. in every cluster is said at noon, with its place and its cure.
//!
//! In: a Segment as its user wrote it, house defaults, the time. Out: a [`Verdict`]: every finding at once, errors and
//! warnings. Law: one verdict, wherever it is asked for: `segctl lint`, the webhook and the condition `Accepted` print
//! the same findings (corpus in `tests/corpus`). Not: the schema of the resource (`crds`), what a cluster's policy says
//! (`admit.rs`).

use crate::finding::Finding;
use crate::placement::ClusterView;
use crate::segment::{HouseDefaults, ParsedSegment, parse};
use jiff::Timestamp;
use segment_crds::Segment;
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
    let _ = (defaults, now);
    match parse(segment) {
        Ok(parsed) => Verdict {
            findings: parsed.warnings.clone(),
            parsed: Some(Arc::new(parsed)),
        },
        Err(findings) => Verdict {
            findings,
            parsed: None,
        },
    }
}

/// Judges a Segment again as it stands on one cluster, after overrides and `$(cluster.…)`: only what is found there and
/// not by [`lint`].
pub fn lint_on(
    segment: &ParsedSegment,
    defaults: &HouseDefaults,
    cluster: &ClusterView,
    now: Timestamp,
) -> Vec<Finding> {
    let _ = now;
    crate::render::render(segment, defaults, cluster)
        .err()
        .unwrap_or_default()
}
