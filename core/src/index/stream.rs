//! What streams tell: who is connected, what is held, what was done.

use super::{Changed, ClusterState, FleetIndex};
use crate::assignment::{EntryId, Holdings};
use crate::ids::{ClusterName, KeyHash, SegmentKey, Uid};
use crate::report::{Report, State};
use crate::sync::frame::{Ack, AckVerdict, AgentHealth, Hello, PASSES_LOGS, RUNS_NOW, ReportBatch};
use jiff::Timestamp;

impl FleetIndex {
    /// A stream was opened and said Hello. A newer session replaces an older one.
    pub fn connected(
        &mut self,
        name: &ClusterName,
        session: u64,
        hello: &Hello,
        went_back: Option<String>,
        now: Timestamp,
    ) -> Changed {
        let mut changed = Changed::default();
        let version = self.bump();
        let Some(cluster) = self.clusters.get_mut(name) else {
            return changed;
        };
        if cluster.session.is_some_and(|newest| newest > session) {
            return changed;
        }
        // What was ordered of it before it went away has its time anew: silence is no failure.
        let away_since = cluster.since.filter(|_| cluster.session.is_none());
        cluster.session = Some(session);
        cluster.since = Some(now);
        cluster.last_heard = Some(now);
        cluster.bound_uid = Some(hello.cluster_uid);
        cluster.agent_version.clone_from(&hello.agent_version);
        cluster
            .kubernetes_version
            .clone_from(&hello.kubernetes_version);
        cluster.went_back = went_back;
        cluster.store_known = hello.store_known;
        cluster.identity_conflict = None;
        cluster.reports_pending = cluster.reports != Some(hello.reports);
        let able = |what: &str| hello.capabilities.iter().any(|name| name == what);
        cluster.takes_runs = able(RUNS_NOW);
        cluster.passes_logs = able(PASSES_LOGS);
        cluster.version = version;
        cluster.refuse_unknown_runs(now, &mut changed);
        changed.clusters.insert(name.clone());
        if let Some(away_since) = away_since {
            self.renew_deadlines(name, away_since, now);
        }
        self.all_segments_of(name);
        changed
    }

    fn renew_deadlines(&mut self, name: &ClusterName, away_since: Timestamp, now: Timestamp) {
        let keys = self
            .clusters
            .get(name)
            .map(|cluster| cluster.segments.clone());
        for key in keys.into_iter().flatten() {
            let limit = self.deadline(&key);
            let Some(member) = self
                .segments
                .get_mut(&key)
                .and_then(|s| s.members.get_mut(name))
            else {
                continue;
            };
            let confirmed = member.confirmed();
            if let Some(released) = &mut member.released
                && !confirmed
                && away_since.duration_since(released.at) < limit
            {
                released.at = now;
            }
        }
    }

    /// A stream has ended. The end of an old stream changes nothing.
    pub fn disconnected(&mut self, name: &ClusterName, session: u64, now: Timestamp) -> Changed {
        let mut changed = Changed::default();
        let version = self.bump();
        let Some(cluster) = self.clusters.get_mut(name) else {
            return changed;
        };
        if cluster.session != Some(session) {
            return changed;
        }
        cluster.session = None;
        cluster.since = Some(now);
        cluster.version = version;
        changed.clusters.insert(name.clone());
        self.all_segments_of(name);
        changed
    }

    /// Another cluster came under this name.
    pub fn identity_conflict(&mut self, name: &ClusterName, said: Uid) -> Changed {
        let mut changed = Changed::default();
        let version = self.bump();
        if let Some(cluster) = self.clusters.get_mut(name) {
            cluster.identity_conflict = Some(said);
            cluster.version = version;
            changed.clusters.insert(name.clone());
        }
        changed
    }

    /// All that a cluster holds.
    pub fn inventory(
        &mut self,
        name: &ClusterName,
        session: u64,
        held: Holdings,
        now: Timestamp,
    ) -> Changed {
        let mut changed = Changed::default();
        self.bump();
        let Some(cluster) = self.clusters.get_mut(name) else {
            return changed;
        };
        if cluster.session != Some(session) {
            return changed;
        }
        let mut touched: Vec<KeyHash> = cluster.held.keys().chain(held.keys()).copied().collect();
        touched.sort_unstable();
        touched.dedup();
        cluster.inventory_known = true;
        cluster.held = held;
        cluster
            .orphan_names
            .retain(|key, _| cluster.held.contains_key(key));
        // Placed Segments are held, or will be: their runs come with them.
        let held = &cluster.held;
        cluster.runs.retain(|key| held.contains_key(&key));
        changed.clusters.insert(name.clone());
        for hash in touched {
            self.held_changed(name, hash, &mut changed);
        }
        // What a whole inventory does not have is gone: nobody owes its removal.
        if self
            .clusters
            .get(name)
            .is_some_and(ClusterState::lack_is_known)
        {
            for hash in self
                .tombstones
                .values()
                .map(|t| t.key.hash())
                .collect::<Vec<_>>()
            {
                self.settle_tombstones(name, hash, &mut changed);
            }
        }
        // Before the inventory, taints and new segments were undecided: all of them are judged again.
        for key in self.segments.keys().cloned().collect::<Vec<_>>() {
            let undecided = self
                .segments
                .get(&key)
                .and_then(|segment| segment.members.get(name))
                .is_some_and(|member| !member.is_selected());
            let holds = self
                .clusters
                .get(name)
                .is_some_and(|c| c.held.contains_key(&key.hash()));
            let has_member = self
                .segments
                .get(&key)
                .is_some_and(|s| s.members.contains_key(name));
            if undecided
                && !holds
                && let Some(member) = self
                    .segments
                    .get_mut(&key)
                    .and_then(|s| s.members.get_mut(name))
            {
                // The inventory is the truth: nothing that was ordered is on its way on a new stream.
                member.ordered = false;
            }
            if undecided || holds || !has_member {
                self.place_member(&key, name, now, &mut changed);
            }
        }
        self.all_segments_of(name);
        changed
    }

    /// Names of entries that no Segment here asks for.
    pub fn names(&mut self, name: &ClusterName, names: Vec<SegmentKey>) -> Changed {
        let mut changed = Changed::default();
        let version = self.bump();
        if let Some(cluster) = self.clusters.get_mut(name) {
            for key in names {
                let hash = key.hash();
                if cluster.held.contains_key(&hash) {
                    cluster.orphan_names.insert(hash, key);
                }
            }
            cluster.version = version;
            changed.clusters.insert(name.clone());
        }
        changed
    }

    /// What became of orders.
    pub fn acked(
        &mut self,
        name: &ClusterName,
        session: u64,
        acks: Vec<Ack>,
        now: Timestamp,
    ) -> Changed {
        let mut changed = Changed::default();
        let version = self.bump();
        let Some(cluster) = self.clusters.get_mut(name) else {
            return changed;
        };
        if cluster.session != Some(session) {
            return changed;
        }
        cluster.last_heard = Some(now);
        for ack in acks {
            let Some(cluster) = self.clusters.get_mut(name) else {
                break;
            };
            let mut refused = None;
            let mut gone = false;
            match ack.verdict {
                AckVerdict::Holds(id) => {
                    cluster.held.insert(ack.key, id);
                    // An entry of another uid took the place of the one that was to go.
                    gone = id.uid != ack.uid;
                }
                AckVerdict::HoldsNothing => {
                    cluster.held.remove(&ack.key);
                    cluster.orphan_names.remove(&ack.key);
                    gone = true;
                }
                AckVerdict::Refused { reason, message } => refused = Some((reason, message)),
            }
            let removal = self
                .tombstones
                .get(&ack.uid)
                .is_some_and(|t| t.order().number == ack.number);
            let superseded = self
                .clusters
                .get(name)
                .is_some_and(|c| c.held.get(&ack.key).is_some_and(|h| h.uid == ack.uid));
            if (gone && removal) || (superseded && !removal) {
                self.settle_tombstones(name, ack.key, &mut changed);
            }
            self.held_changed(name, ack.key, &mut changed);
            let Some(key) = self.keys.get(&ack.key).cloned() else {
                continue;
            };
            let member = self
                .segments
                .get_mut(&key)
                .and_then(|s| s.members.get_mut(name));
            let selected = member.as_ref().is_some_and(|member| member.is_selected());
            if let Some(member) = member {
                member.refused = refused;
                member.version = version;
                if gone {
                    member.ordered = false;
                }
            }
            if !selected {
                self.place_member(&key, name, now, &mut changed);
            }
            self.dirty.insert(key);
        }
        changed
    }

    /// Reports; the last value wins.
    pub fn reports(
        &mut self,
        name: &ClusterName,
        session: u64,
        batch: ReportBatch,
        now: Timestamp,
    ) -> Changed {
        let mut changed = Changed::default();
        let version = self.bump();
        let Some(cluster) = self.clusters.get_mut(name) else {
            return changed;
        };
        if cluster.session != Some(session) {
            return changed;
        }
        cluster.last_heard = Some(now);
        cluster.reports = Some(batch.token);
        if batch.complete && cluster.reports_pending {
            cluster.reports_pending = false;
            changed.clusters.insert(name.clone());
            changed.segments.extend(cluster.segments.iter().cloned());
        }
        for report in batch.reports {
            let Some(key) = self.keys.get(&report.key).cloned() else {
                continue;
            };
            let Some(member) = self
                .segments
                .get_mut(&key)
                .and_then(|s| s.members.get_mut(name))
            else {
                continue;
            };
            let moved = member.report.as_ref().is_none_or(|old| {
                (old.state, old.revision, old.digest)
                    != (report.state, report.revision, report.digest)
            });
            let first = !std::mem::replace(&mut member.answered, true);
            member.report = (report.state != State::Removed).then_some(report);
            member.version = version;
            changed.segments.insert(key.clone());
            changed.clusters.insert(name.clone());
            if moved || first {
                self.dirty.insert(key.clone());
            }
        }
        changed
    }

    /// What stops an agent as a whole.
    pub fn health(&mut self, name: &ClusterName, session: u64, health: AgentHealth) -> Changed {
        let mut changed = Changed::default();
        let version = self.bump();
        if let Some(cluster) = self
            .clusters
            .get_mut(name)
            .filter(|c| c.session == Some(session))
        {
            cluster.health = health;
            cluster.health_known = true;
            cluster.version = version;
            changed.clusters.insert(name.clone());
        }
        changed
    }

    /// Held entries that no Segment here asks for, by cluster.
    pub fn orphans(&self) -> impl Iterator<Item = (&ClusterName, &EntryId, Option<&SegmentKey>)> {
        self.clusters.iter().flat_map(move |(name, cluster)| {
            cluster
                .held
                .values()
                .filter(move |id| self.is_orphan(name, id))
                .map(move |id| {
                    (
                        name,
                        id,
                        cluster
                            .orphan_names
                            .get(&id.key)
                            .or_else(|| self.keys.get(&id.key)),
                    )
                })
        })
    }

    fn is_orphan(&self, name: &ClusterName, id: &EntryId) -> bool {
        if self
            .tombstones
            .get(&id.uid)
            .is_some_and(|t| t.clusters.contains(name))
        {
            return false;
        }
        let Some(segment) = self
            .keys
            .get(&id.key)
            .and_then(|key| self.segments.get(key))
        else {
            return true;
        };
        // Of another uid and not placed here: nobody's any more, and nothing may be ordered for it.
        segment.uid != id.uid
            && !segment
                .members
                .get(name)
                .is_some_and(super::Member::is_selected)
    }

    /// The last report of a cluster about one key, whatever its state.
    pub fn report(&self, key: &SegmentKey, name: &ClusterName) -> Option<&Report> {
        self.segments.get(key)?.members.get(name)?.report.as_ref()
    }

    fn held_changed(&mut self, name: &ClusterName, hash: KeyHash, changed: &mut Changed) {
        let held = self
            .clusters
            .get(name)
            .and_then(|c| c.held.get(&hash))
            .copied();
        let version = self.version;
        if let Some(key) = self.keys.get(&hash)
            && let Some(member) = self
                .segments
                .get_mut(key)
                .and_then(|s| s.members.get_mut(name))
            && member.held != held
        {
            member.held = held;
            member.version = version;
            changed.segments.insert(key.clone());
        }
        changed.desired(name, hash);
    }

    fn all_segments_of(&mut self, name: &ClusterName) {
        if let Some(cluster) = self.clusters.get(name) {
            self.dirty.extend(cluster.segments.iter().cloned());
        }
    }
}
