//! What one cluster shall hold.

use super::{FleetIndex, Member, SegmentState};
use crate::assignment::{Desired, DesiredSet, EntryId, Holdings, OrderNumber, RemoveOrder};
use crate::ids::{ClusterName, KeyHash, SegmentKey};
use crate::sync::hub::Remembered;
use jiff::Timestamp;
use std::sync::Arc;

impl FleetIndex {
    /// What a cluster shall hold for one key; `None` where the hub does not know the key there: what it holds is kept.
    pub fn desired(&self, name: &ClusterName, hash: KeyHash) -> Option<Desired> {
        let key = self.keys.get(&hash)?;
        // A cluster without access gets no orders at all.
        if self
            .clusters
            .get(name)
            .is_some_and(|cluster| cluster.view.access != segment_crds::Access::Accepted)
        {
            return Some(Desired::Keep);
        }
        let member = self
            .segments
            .get(key)
            .and_then(|segment| Some((segment, segment.members.get(name)?)));
        match member {
            // A live Segment that is placed here supersedes a tombstone: the order is the update in place.
            Some((segment, member)) if member.is_selected() && !segment.deleting => {
                Some(Self::desired_of_member(segment, member))
            }
            other => {
                if let Some(tombstone) = self.tombstone_of(name, hash) {
                    return Some(Desired::Remove(tombstone.order()));
                }
                other.map(|(segment, member)| Self::desired_of_member(segment, member))
            }
        }
    }

    /// All that a cluster shall hold: what a new stream starts with.
    pub fn desired_set(&self, name: &ClusterName) -> DesiredSet {
        let mut set = DesiredSet::default();
        let Some(cluster) = self.clusters.get(name) else {
            return set;
        };
        let placed = cluster.segments.iter().map(SegmentKey::hash);
        for hash in placed.chain(cluster.held.keys().copied()) {
            if let Some(desired) = self.desired(name, hash) {
                set.items.insert(hash, desired);
            }
        }
        set
    }

    /// What this process remembers of a cluster, for a new stream.
    pub fn remembered(&mut self, name: &ClusterName, now: Timestamp) -> Remembered {
        let Some(cluster) = self.clusters.get(name) else {
            return Remembered::default();
        };
        let held = cluster.inventory_known.then(|| cluster.held.clone());
        let reports = cluster.reports;
        let runs = cluster.runs.told;
        let newest = if held.is_some() {
            Holdings::new()
        } else {
            self.newest(name, now)
        };
        Remembered {
            held,
            newest,
            reports,
            runs,
        }
    }

    /// What the cluster holds if it has the newest of everything and nothing else.
    fn newest(&mut self, name: &ClusterName, now: Timestamp) -> Holdings {
        let keys: Vec<SegmentKey> = self
            .clusters
            .get(name)
            .map(|cluster| cluster.segments.iter().cloned().collect())
            .unwrap_or_default();
        keys.iter()
            .filter_map(|key| {
                let selected = self.segments.get(key)?.members.get(name)?.is_selected();
                let entry =
                    selected.then(|| self.newest_entry(key, name, now).ok().flatten())??;
                let id: EntryId = entry.id();
                Some((id.key, id))
            })
            .collect()
    }

    fn desired_of_member(segment: &SegmentState, member: &Member) -> Desired {
        if segment.deleting {
            return Desired::Keep;
        }
        if let Some(leaving) = member.leaving {
            return match &segment.good {
                Some(good) if leaving.verified => Desired::Remove(RemoveOrder {
                    uid: segment.uid,
                    number: OrderNumber {
                        generation: good.parsed.generation,
                        order: segment.ops.order,
                    },
                    removal: good.removal,
                }),
                _ => Desired::Keep,
            };
        }
        if !member.is_selected() {
            return Desired::Keep;
        }
        let released = member
            .released
            .is_some_and(|released| Some(released.revision) == segment.revision());
        if let Some(entry) = member.entry.as_ref().filter(|_| released) {
            return if member.findings.is_empty() {
                Desired::Entry(Arc::clone(entry))
            } else {
                Desired::Keep
            };
        }
        // Until its turn comes: the revision that it holds, under today's holds, modes and labels; or, where it held
        // nothing when it came, the last one that was complete.
        match &member.older {
            Some(older)
                if member.held.map_or(member.joined, |held| {
                    held.uid == older.assignment.uid && held.revision == older.assignment.revision
                }) =>
            {
                Desired::Entry(Arc::clone(older))
            }
            _ => Desired::Keep,
        }
    }
}
