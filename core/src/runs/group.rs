//! Runs by what they have in common.
//!
//! In: runs with where they ran, and a name to group them by. Out: [`Group`]s, the largest first.
//! Law: every run is in one group or counted as left over; at most [`MAX_GROUPS`], each of bounded size.
//! Not: which runs (the users' API), what a cause is (`fingerprint.rs`).

use super::KeptRun;
use crate::ids::{ClusterName, Revision, SegmentKey};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Groups that are told apart; runs beyond them are counted together.
pub const MAX_GROUPS: usize = 1_000;

/// Runs that have something in common.
#[derive(Clone, Debug)]
pub struct Group {
    /// Segments among them.
    pub segments: BTreeSet<SegmentKey>,
    /// Clusters among them.
    pub clusters: BTreeSet<ClusterName>,
    /// How many runs.
    pub runs: u32,
    /// When the first of them was due.
    pub first: Timestamp,
    /// When the newest of them was due.
    pub last: Timestamp,
    /// Revision of the first of them.
    pub since_revision: Option<Revision>,
    /// The newest of them, and where it ran.
    pub example: (SegmentKey, ClusterName, KeptRun),
}

/// Groups being filled.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    groups: BTreeMap<String, Group>,
    /// Runs that are in no group: there are too many of these.
    pub left_over: u32,
}

impl Groups {
    /// Puts a run into the group of this name.
    pub fn put(&mut self, name: String, key: &SegmentKey, cluster: &ClusterName, run: &KeptRun) {
        let full = self.groups.len() >= MAX_GROUPS;
        if full && !self.groups.contains_key(&name) {
            self.left_over = self.left_over.saturating_add(1);
            return;
        }
        let at = run.scheduled();
        let group = self.groups.entry(name).or_insert_with(|| Group {
            segments: BTreeSet::new(),
            clusters: BTreeSet::new(),
            runs: 0,
            first: at,
            last: at,
            since_revision: run.revision(),
            example: (key.clone(), cluster.clone(), run.clone()),
        });
        group.runs += 1;
        if !group.segments.contains(key) {
            group.segments.insert(key.clone());
        }
        if !group.clusters.contains(cluster) {
            group.clusters.insert(cluster.clone());
        }
        if at < group.first {
            group.first = at;
            group.since_revision = run.revision();
        }
        if at > group.last {
            group.last = at;
            group.example = (key.clone(), cluster.clone(), run.clone());
        }
    }

    /// The groups with their names: most runs first, then by name.
    pub fn sorted(self) -> Vec<(String, Group)> {
        let mut groups: Vec<_> = self.groups.into_iter().collect();
        groups.sort_by(|(a_name, a), (b_name, b)| (b.runs, a_name).cmp(&(a.runs, b_name)));
        groups
    }
}
