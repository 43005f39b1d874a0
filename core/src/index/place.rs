//! Segments and Clusters in: who is placed where.

use super::{Changed, ClusterState, FleetIndex, Good, Leaving, Member, SegmentState};
use crate::finding::Finding;
use crate::ids::{ClusterName, SegmentKey, Uid};
use crate::placement::{ClusterView, OutReason, Placement, place};
use crate::revision::revision;
use crate::rollout::{Operations, Progress};
use crate::segment::{HouseDefaults, ParsedSegment};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A Segment as the reflector saw it, judged.
#[derive(Clone, Debug)]
pub struct SeenSegment {
    /// Which.
    pub key: SegmentKey,
    /// Its uid.
    pub uid: Uid,
    /// Its generation.
    pub generation: i64,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// It has a deletion timestamp.
    pub deleting: bool,
    /// It has our finalizer.
    pub finalizer: bool,
    /// What it means, or why it is refused.
    pub parsed: Result<Arc<ParsedSegment>, Vec<Finding>>,
}

impl FleetIndex {
    /// A Segment is there, new or changed.
    pub fn apply_segment(&mut self, seen: SeenSegment, now: Timestamp) -> Changed {
        let mut changed = Changed::default();
        let key = seen.key.clone();
        let hash = key.hash();
        if self
            .segments
            .get(&key)
            .is_some_and(|old| old.uid != seen.uid)
        {
            // A namesake took its place while nobody looked. What clusters hold of the old one is taken over in place.
            changed.extend(self.drop_segment(&key));
        }
        if self.segments.get(&key).is_some_and(|old| {
            (old.generation, old.deleting, old.finalizer)
                == (seen.generation, seen.deleting, seen.finalizer)
                && old.labels == seen.labels
        }) {
            // Only its status, or what is nobody's business here, has changed.
            return changed;
        }
        changed.segments.insert(key.clone());
        self.keys.insert(hash, key.clone());
        let version = self.bump();
        let ops = if self.segments.contains_key(&key) {
            None
        } else {
            Some(self.take_operations(&key, seen.uid))
        };
        let defaults = self.defaults.clone();
        let good = seen
            .parsed
            .as_ref()
            .ok()
            .map(|parsed| Good::new(Arc::clone(parsed), revision(parsed, &self.defaults)));
        let segment = self
            .segments
            .entry(key.clone())
            .or_insert_with(|| SegmentState {
                key: key.clone(),
                uid: seen.uid,
                generation: seen.generation,
                created: seen.created,
                labels: BTreeMap::new(),
                deleting: false,
                finalizer: false,
                findings: Vec::new(),
                good: None,
                members: BTreeMap::new(),
                ops: ops.unwrap_or_else(|| Operations::new(key.clone(), seen.uid)),
                ops_version: 0,
                ops_stored: 0,
                ops_sent: 0,
                known: BTreeMap::new(),
                sought: false,
                undone: None,
                earlier: BTreeMap::new(),
                strategy: Arc::default(),
                progress: Progress::Progressing,
                waves: Vec::new(),
                hold_ends: None,
                look_again: None,
                version,
                rendered: HashMap::new(),
            });
        segment.version = version;
        segment.generation = seen.generation;
        segment.labels = seen.labels;
        segment.deleting |= seen.deleting;
        segment.finalizer = seen.finalizer;
        segment.findings = seen.parsed.err().unwrap_or_default();
        if let Some(good) = good {
            Self::take_good(segment, good, &defaults, now);
        }
        self.place_segment(&key, now, &mut changed);
        self.dirty.insert(key.clone());
        changed
    }

    /// The last good spec of a refused Segment, from its newest `ControllerRevision`: it stands whole.
    pub fn restore_last_good(
        &mut self,
        key: &SegmentKey,
        parsed: Arc<ParsedSegment>,
        now: Timestamp,
    ) -> Changed {
        let mut changed = Changed::default();
        let revision = revision(&parsed, &self.defaults);
        let good = Good::new(parsed, revision);
        let defaults = self.defaults.clone();
        if let Some(segment) = self
            .segments
            .get_mut(key)
            .filter(|segment| segment.good.is_none())
        {
            Self::take_good(segment, good, &defaults, now);
            changed.segments.insert(key.clone());
            self.bump();
            self.place_segment(key, now, &mut changed);
            self.dirty.insert(key.clone());
        }
        changed
    }

    /// A Segment is gone. Without a tombstone (its finalizer was forced off) what clusters hold is kept, as unknown.
    pub fn delete_segment(&mut self, key: &SegmentKey, uid: Uid) -> Changed {
        if self
            .segments
            .get(key)
            .is_none_or(|segment| segment.uid != uid)
        {
            return Changed::default();
        }
        let changed = self.drop_segment(key);
        self.forget_key(key.hash(), key);
        self.bump();
        changed
    }

    /// After a re-list: Segments that are not in it are gone.
    pub fn reset_segments(&mut self, seen: Vec<SeenSegment>, now: Timestamp) -> Changed {
        let mut changed = Changed::default();
        let gone: Vec<(SegmentKey, Uid)> = self
            .segments
            .values()
            .filter(|old| !seen.iter().any(|new| new.key == old.key))
            .map(|old| (old.key.clone(), old.uid))
            .collect();
        for (key, uid) in gone {
            changed.extend(self.delete_segment(&key, uid));
        }
        for segment in seen {
            changed.extend(self.apply_segment(segment, now));
        }
        changed
    }

    /// A Cluster is there, new or changed.
    pub fn apply_cluster(
        &mut self,
        view: ClusterView,
        generation: i64,
        created: Option<Timestamp>,
        bound_uid: Option<Uid>,
        now: Timestamp,
    ) -> Changed {
        let mut changed = Changed::default();
        let name = view.name.clone();
        changed.clusters.insert(name.clone());
        let version = self.bump();
        let same = self.clusters.get(&name).is_some_and(|old| old.view == view);
        let cluster = self
            .clusters
            .entry(name.clone())
            .or_insert_with(|| ClusterState::new(view.clone()));
        cluster.view = view;
        cluster.generation = generation;
        cluster.created = created;
        cluster.bound_uid = bound_uid.or(cluster.bound_uid);
        cluster.version = version;
        if same {
            return changed;
        }
        for tombstone in self.tombstones.values() {
            if tombstone.clusters.contains(&name) {
                changed.desired(&name, tombstone.key.hash());
            }
        }
        for key in self.segments.keys().cloned().collect::<Vec<_>>() {
            if self.place_member(&key, &name, now, &mut changed) {
                self.dirty.insert(key.clone());
            }
        }
        changed
    }

    /// A Cluster is gone. Nothing is ordered there: it leaves with what it runs; what it is owed is forgotten.
    pub fn delete_cluster(&mut self, name: &ClusterName) -> Changed {
        let mut changed = Changed::default();
        let Some(cluster) = self.clusters.remove(name) else {
            return changed;
        };
        if cluster.changing > 0 {
            self.changing = self.changing.saturating_sub(1);
            self.wake_capped();
        }
        changed.clusters.insert(name.clone());
        self.bump();
        self.leave_policy(name, cluster.policy_digest);
        for hash in self
            .tombstones
            .values()
            .map(|t| t.key.hash())
            .collect::<Vec<_>>()
        {
            self.settle_tombstones(name, hash, &mut changed);
        }
        changed.desired.remove(name);
        for key in cluster.segments {
            if let Some(segment) = self.segments.get_mut(&key) {
                segment.members.remove(name);
                changed.segments.insert(key.clone());
            }
            self.dirty.insert(key.clone());
        }
        changed
    }

    /// After a re-list: Clusters that are not in it are gone.
    pub fn reset_clusters(
        &mut self,
        seen: Vec<(ClusterView, i64, Option<Timestamp>, Option<Uid>)>,
        now: Timestamp,
    ) -> Changed {
        let mut changed = Changed::default();
        let gone: Vec<ClusterName> = self
            .clusters
            .keys()
            .filter(|old| !seen.iter().any(|new| new.0.name == **old))
            .cloned()
            .collect();
        for name in gone {
            changed.extend(self.delete_cluster(&name));
        }
        for (view, generation, created, uid) in seen {
            changed.extend(self.apply_cluster(view, generation, created, uid, now));
        }
        changed
    }

    /// Removals whose settle time is over: Segment and Cluster are to be read live, then [`Self::verify_leaving`].
    pub fn due_removals(&self, now: Timestamp) -> Vec<(SegmentKey, ClusterName)> {
        let due = |leaving: Leaving| {
            !leaving.verified && now.duration_since(leaving.since) >= self.settings.settle
        };
        self.segments
            .values()
            .filter(|segment| !segment.deleting && !segment.is_paused())
            .flat_map(|segment| {
                segment
                    .members
                    .iter()
                    .filter(move |(_, member)| member.leaving.is_some_and(due))
                    .map(|(name, _)| (segment.key.clone(), name.clone()))
            })
            .collect()
    }

    /// Segment and Cluster were read live after the settle time, and applied here: where the cluster is still not
    /// selected, the removal may be ordered.
    pub fn verify_leaving(&mut self, key: &SegmentKey, name: &ClusterName) -> Changed {
        let mut changed = Changed::default();
        let version = self.bump();
        if let Some(member) = self
            .segments
            .get_mut(key)
            .and_then(|s| s.members.get_mut(name))
            && matches!(member.placement, Placement::Out(_))
            && let Some(leaving) = &mut member.leaving
        {
            leaving.verified = true;
            member.version = version;
            changed.desired(name, key.hash());
            changed.segments.insert(key.clone());
        }
        changed
    }

    fn take_good(segment: &mut SegmentState, good: Good, defaults: &HouseDefaults, now: Timestamp) {
        segment.sought = false;
        segment.earlier.clear();
        if let Some(old) = segment.good.take_if(|old| old.revision != good.revision) {
            segment.remember(&old);
            // What was found out of the one before is news no more.
            segment.good = None;
        }
        if segment.good.is_none() {
            for member in segment.members.values_mut() {
                member.failed_before = member.failed();
                member.refused = None;
                member.findings.clear();
            }
        }
        // Also under the same revision: generation and modes are in the entries, but nothing is released anew.
        segment.forget_entries();
        segment.rendered.clear();
        segment.good = Some(good);
        segment.retarget(defaults, now);
    }

    fn place_segment(&mut self, key: &SegmentKey, now: Timestamp, changed: &mut Changed) {
        for name in self.clusters.keys().cloned().collect::<Vec<_>>() {
            self.place_member(key, &name, now, changed);
        }
    }

    /// Judges one cluster for one Segment; true when something changed that the rollout has to know.
    pub(super) fn place_member(
        &mut self,
        key: &SegmentKey,
        name: &ClusterName,
        now: Timestamp,
        changed: &mut Changed,
    ) -> bool {
        let (Some(segment), Some(cluster)) =
            (self.segments.get_mut(key), self.clusters.get_mut(name))
        else {
            return false;
        };
        let Some(good) = &segment.good else {
            return false;
        };
        let hash = key.hash();
        let held = cluster.held.get(&hash).copied();
        let holds = cluster.inventory_known.then_some(held.is_some());
        let verdict = place(&good.parsed, &cluster.view, holds);
        let existed = segment.members.contains_key(name);
        let stays = match &verdict {
            Placement::In => true,
            // What is undecided or was selected keeps its place until it is known to be gone.
            Placement::Undecided(_) => existed || held.is_some(),
            // An order to put it may be on its way, so what was ordered stays until the cluster has said what it holds.
            Placement::Out(_) => {
                held.is_some()
                    || segment
                        .members
                        .get(name)
                        .is_some_and(|member| !cluster.inventory_known || member.ordered)
            }
        };
        if !stays {
            if existed {
                let was = segment.members.remove(name);
                cluster.segments.remove(key);
                self.gave_back(name, was.is_some_and(|member| member.in_change));
                changed.desired(name, hash);
                changed.segments.insert(key.clone());
                changed.clusters.insert(name.clone());
            }
            return existed;
        }
        let member = segment
            .members
            .entry(name.clone())
            .or_insert_with(|| Member::new(verdict.clone()));
        member.held = held;
        member.leaving = match &verdict {
            // A cluster without access gets no orders, so nothing is removed there either.
            Placement::In | Placement::Undecided(_) | Placement::Out(OutReason::Access(_)) => None,
            Placement::Out(_) => Some(member.leaving.unwrap_or(Leaving {
                since: now,
                verified: false,
            })),
        };
        member.placement = verdict;
        let leaves = !member.is_selected() && member.in_change;
        if !member.is_selected()
            && member.released.is_some_and(|released| {
                member.held.map(|held| held.revision) != Some(released.revision)
            })
        {
            // Should it come back, it waits for its turn as any other.
            member.released = None;
            member.sent = None;
        }
        // The cluster's labels may change what is rendered.
        member.entry = None;
        member.older = None;
        self.version += 1;
        member.version = self.version;
        cluster.segments.insert(key.clone());
        changed.desired(name, hash);
        changed.segments.insert(key.clone());
        changed.clusters.insert(name.clone());
        if leaves {
            self.set_changing(key, name, false);
        }
        true
    }

    fn drop_segment(&mut self, key: &SegmentKey) -> Changed {
        let mut changed = Changed::default();
        self.capped.remove(key);
        if let Some(segment) = self.segments.remove(key) {
            changed.segments.insert(key.clone());
            for (name, member) in &segment.members {
                self.gave_back(name, member.in_change);
                if let Some(cluster) = self.clusters.get_mut(name) {
                    cluster.segments.remove(key);
                }
                changed.desired(name, key.hash());
                changed.clusters.insert(name.clone());
            }
            self.leave_operations(segment.ops, &mut changed);
        }
        changed
    }
}

impl SegmentState {
    /// `spec.paused` of the last good spec.
    pub fn is_paused(&self) -> bool {
        self.good.as_ref().is_some_and(|good| good.parsed.paused())
    }
}
