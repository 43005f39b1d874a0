//! What is owed to clusters of a Segment that is gone.

use super::{Changed, FleetIndex};
use crate::assignment::{OrderNumber, Removal, RemoveOrder};
use crate::ids::{ClusterName, KeyHash, SegmentKey, Uid};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One deleted Segment. It is durable before the first order and gone with the last confirmation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tombstone {
    /// Which Segment.
    pub key: SegmentKey,
    /// Its uid.
    pub uid: Uid,
    /// Its generation when it was deleted.
    pub generation: i64,
    /// How it leaves.
    pub removal: Removal,
    /// Clusters that may still hold it.
    pub clusters: BTreeSet<ClusterName>,
}

impl Tombstone {
    /// The order that it stands for.
    pub fn order(&self) -> RemoveOrder {
        RemoveOrder {
            uid: self.uid,
            number: OrderNumber {
                generation: self.generation,
                order: u64::MAX,
            },
            removal: self.removal,
        }
    }
}

impl FleetIndex {
    /// The tombstone that a Segment under deletion needs: owed are all clusters whose inventory has not shown to lack it.
    /// `None` where the Segment is unknown, lives, or has another uid.
    pub fn tombstone_for(&self, key: &SegmentKey, uid: Uid) -> Option<Tombstone> {
        let segment = self.segments.get(key)?;
        if segment.uid != uid || !segment.deleting {
            return None;
        }
        let hash = key.hash();
        Some(Tombstone {
            key: key.clone(),
            uid,
            generation: segment.generation,
            removal: segment
                .good
                .as_ref()
                .map(|good| good.removal)
                .unwrap_or_default(),
            clusters: self
                .clusters
                .iter()
                .filter(|(name, cluster)| {
                    // What was ordered since the inventory may be on its way.
                    let ordered = segment
                        .members
                        .get(*name)
                        .is_some_and(|member| member.ordered);
                    !cluster.lack_is_known() || cluster.held.contains_key(&hash) || ordered
                })
                .map(|(name, _)| name.clone())
                .collect(),
        })
    }

    /// A tombstone is durable (it was just written, or read at the start).
    pub fn apply_tombstone(&mut self, tombstone: Tombstone) -> Changed {
        let mut changed = Changed::default();
        let hash = tombstone.key.hash();
        for cluster in &tombstone.clusters {
            changed.desired(cluster, hash);
        }
        changed.segments.insert(tombstone.key.clone());
        self.keys
            .entry(hash)
            .or_insert_with(|| tombstone.key.clone());
        if tombstone.clusters.is_empty() {
            changed.tombstones.insert(tombstone.uid);
        }
        self.tombstones.insert(tombstone.uid, tombstone);
        self.bump();
        changed
    }

    /// Takes out what is owed to Clusters that do not exist (any more), and tells of tombstones with nobody left. Only
    /// once all Clusters are listed: before that, none exists.
    pub fn prune_tombstones(&mut self) -> Changed {
        let mut changed = Changed::default();
        for (uid, tombstone) in &mut self.tombstones {
            let before = tombstone.clusters.len();
            tombstone
                .clusters
                .retain(|name| self.clusters.contains_key(name));
            if tombstone.clusters.len() != before || tombstone.clusters.is_empty() {
                changed.tombstones.insert(*uid);
            }
        }
        changed
    }

    /// A tombstone's object is gone.
    pub fn delete_tombstone(&mut self, uid: Uid) -> Changed {
        let mut changed = Changed::default();
        if let Some(tombstone) = self.tombstones.remove(&uid) {
            let hash = tombstone.key.hash();
            for cluster in &tombstone.clusters {
                changed.desired(cluster, hash);
            }
            self.forget_key(hash, &tombstone.key);
            self.bump();
        }
        changed
    }

    /// Takes a cluster out of the tombstones of a key: it is gone, its inventory has just shown, or its answer to the
    /// removal has said, that it does not hold that uid. A hub's own idea of what is held proves nothing: an order to put
    /// it may be on its way.
    pub(super) fn settle_tombstones(
        &mut self,
        name: &ClusterName,
        hash: KeyHash,
        changed: &mut Changed,
    ) {
        let held = self
            .clusters
            .get(name)
            .and_then(|c| c.held.get(&hash))
            .map(|id| id.uid);
        for (uid, tombstone) in &mut self.tombstones {
            if tombstone.key.hash() == hash && held != Some(*uid) && tombstone.clusters.remove(name)
            {
                changed.tombstones.insert(*uid);
                changed.desired(name, hash);
            }
        }
    }

    /// The tombstone that speaks of this key on this cluster, if any. There can be several of one key: the one whose
    /// uid is held counts, and where nothing is held any of them, one after the other.
    pub(super) fn tombstone_of(&self, name: &ClusterName, hash: KeyHash) -> Option<&Tombstone> {
        let owed = |tombstone: &&Tombstone| {
            tombstone.key.hash() == hash && tombstone.clusters.contains(name)
        };
        match self.clusters.get(name)?.held.get(&hash) {
            Some(held) => self.tombstones.get(&held.uid).filter(owed),
            None => self.tombstones.values().find(owed),
        }
    }

    pub(super) fn forget_key(&mut self, hash: KeyHash, key: &SegmentKey) {
        if !self.segments.contains_key(key) && !self.tombstones.values().any(|t| t.key == *key) {
            self.keys.remove(&hash);
        }
    }
}
