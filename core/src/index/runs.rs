//! The newest runs of clusters, as their agents' ledgers tell them.
//!
//! In: batches. Out: [`FleetIndex::runs_of`]. Law: a batch of an old stream changes nothing; what is neither held by a
//! cluster nor placed there is forgotten. Not: ordered runs on their way (`run_orders.rs`), what runs mean for a Segment
//! (`aggregate.rs`).

use super::{Changed, FleetIndex};
use crate::ids::{ClusterName, KeyHash, SegmentKey, cronjob_name};
use crate::runs::{KeptRun, RunBatch};
use jiff::Timestamp;

impl FleetIndex {
    /// Runs that are new, or other than they were told.
    pub fn runs(
        &mut self,
        name: &ClusterName,
        session: u64,
        batch: RunBatch,
        now: Timestamp,
    ) -> Changed {
        let mut changed = Changed::default();
        let version = self.bump();
        let Some(cluster) = self
            .clusters
            .get_mut(name)
            .filter(|cluster| cluster.session == Some(session))
        else {
            return changed;
        };
        cluster.last_heard = Some(now);
        let keys = &self.keys;
        let of = |hash: KeyHash| keys.get(&hash).map(|key| cronjob_name(&key.name));
        for hash in cluster.runs.take(batch, &mut self.texts, of) {
            let Some(key) = self.keys.get(&hash) else {
                continue;
            };
            if let Some(member) = self
                .segments
                .get_mut(key)
                .and_then(|segment| segment.members.get_mut(name))
            {
                member.version = version;
            }
            changed.segments.insert(key.clone());
            // Its gate may wait for it.
            self.dirty.insert(key.clone());
        }
        changed
    }

    /// The newest runs of a Segment on a cluster, oldest first.
    pub fn runs_of(&self, key: &SegmentKey, name: &ClusterName) -> &[KeptRun] {
        self.clusters
            .get(name)
            .map_or(&[], |cluster| cluster.runs.of(key.hash()))
    }
}
