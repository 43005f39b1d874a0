//! The fleet-wide cap: how many clusters may be in change at once, over all Segments.
//!
//! In: who comes into change, who leaves it. Out: how many more may come. Law: a cluster counts once, however many
//! Segments change it; what counted is given back when member, Segment or Cluster goes (`tests/laws/waves.rs`).
//! Not: the budget of one Segment (`rollout`).

use super::FleetIndex;
use crate::ids::{ClusterName, SegmentKey};
use segment_crds::Access;

/// Segments that are looked at again when the cap has room, at most so many in one step.
const WOKEN: usize = 16;

impl FleetIndex {
    /// Clusters that may be in change at once.
    pub fn max_changing(&self) -> usize {
        let accepted = self
            .clusters
            .values()
            .filter(|cluster| cluster.view.access == Access::Accepted)
            .count();
        (accepted * self.settings.max_changing_percent as usize)
            .div_ceil(100)
            .max(1)
    }

    /// Clusters that are in change.
    pub fn changing(&self) -> usize {
        self.changing
    }

    /// How many more may come into change.
    pub(super) fn cap_left(&self) -> usize {
        self.max_changing().saturating_sub(self.changing)
    }

    /// How many may be in change, beside those that are in change for other Segments.
    pub(super) fn cap_without(&self, key: &SegmentKey, names: &[ClusterName]) -> usize {
        let only_here = names
            .iter()
            .filter(|name| {
                let here = self
                    .segments
                    .get(key)
                    .and_then(|segment| segment.members.get(*name))
                    .is_some_and(|member| member.in_change);
                here && self
                    .clusters
                    .get(*name)
                    .is_some_and(|cluster| cluster.changing == 1)
            })
            .count();
        self.max_changing()
            .saturating_sub(self.changing.saturating_sub(only_here))
    }

    /// A cluster is, or is not any more, in change for a Segment.
    pub(super) fn set_changing(&mut self, key: &SegmentKey, name: &ClusterName, changes: bool) {
        let Some(member) = self
            .segments
            .get_mut(key)
            .and_then(|segment| segment.members.get_mut(name))
        else {
            return;
        };
        if member.in_change == changes {
            return;
        }
        member.in_change = changes;
        self.count_changing(name, changes);
    }

    /// A member that was in change is gone.
    pub(super) fn gave_back(&mut self, name: &ClusterName, was_in_change: bool) {
        if was_in_change {
            self.count_changing(name, false);
        }
    }

    fn count_changing(&mut self, name: &ClusterName, more: bool) {
        let Some(cluster) = self.clusters.get_mut(name) else {
            // The Cluster is gone already: `delete_cluster` has given back what it counted.
            return;
        };
        let before = cluster.changing;
        cluster.changing = if more {
            before + 1
        } else {
            before.saturating_sub(1)
        };
        match (before, cluster.changing) {
            (0, 1) => self.changing += 1,
            (1, 0) => {
                self.changing = self.changing.saturating_sub(1);
                self.wake_capped();
            }
            _ => {}
        }
    }

    /// Somebody made room: a few of those that wait are looked at again; they wake the next.
    pub(super) fn wake_capped(&mut self) {
        let woken: Vec<SegmentKey> = self.capped.iter().take(WOKEN).cloned().collect();
        for key in woken {
            self.capped.remove(&key);
            self.dirty.insert(key);
        }
    }
}
