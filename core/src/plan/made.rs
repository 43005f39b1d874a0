//! What a Segment makes of a group of clusters.
//!
//! In: what it says there, its template. Out: [`Made`]. Law: what differs between the clusters of a group, an `H` or a
//! reference, is kept as its user wrote it. Not: comparing (`diff.rs`).

use super::diff::Side;
use crate::assignment::Template;
use crate::forecast::Armed;
use crate::segment::schedule::uses_h;
use crate::segment::{EffectiveSegment, template};
use std::collections::BTreeMap;

/// One side as rendered for one group.
pub(super) struct Made {
    /// For the group's first cluster.
    pub(super) template: Template,
    /// The schedule as written.
    pub(super) schedule: String,
    /// Paths and texts with `H` or references in them.
    written: BTreeMap<String, String>,
    /// Those that the group's clusters match.
    pub(super) overrides: Vec<usize>,
}

impl Made {
    pub(super) fn of(effective: &EffectiveSegment, template: &Template) -> Self {
        let schedule = effective.cronjob.schedule.clone().unwrap_or_default();
        let mut written: BTreeMap<String, String> = effective
            .env
            .iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .chain(
                effective
                    .extra_env
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str())),
            )
            .filter(|(_, value)| template::mentions_cluster(value))
            .map(|(name, value)| (format!("env {name}"), value.to_owned()))
            .collect();
        if uses_h(&schedule) {
            written.insert("spec.schedule".to_owned(), schedule.clone());
        }
        Self {
            template: template.clone(),
            schedule,
            written,
            overrides: effective.overrides.clone(),
        }
    }

    pub(super) fn side(&self) -> Side<'_> {
        Side {
            template: &self.template,
            written: self.written.clone(),
        }
    }

    pub(super) fn armed<'a>(&'a self, schedule: &'a str) -> Armed<'a> {
        Armed {
            schedule,
            time_zone: self.template.time_zone.as_deref(),
            suspended: self.template.suspend,
            starting_deadline_seconds: self.template.starting_deadline_seconds,
        }
    }
}
