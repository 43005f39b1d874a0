//! A whole fleet in memory: a hub (index and one end per stream), agents, pipes that lose what is in them when they are
//! cut, and a hub that can be killed. No clock, no network: every step is chosen by the test.

use segment_core::admit::PolicyText;
use segment_core::assignment::Holdings;
use segment_core::fence::{Fence, HubMemory};
use segment_core::ids::{
    ClusterName, HubId, InstanceId, KeyHash, PolicyDigest, RootDigest, SegmentKey, Uid,
};
use segment_core::index::{Changed, FleetIndex, SeenSegment, Settings, Tombstone};
use segment_core::report::{Report, Runs, State};
use segment_core::segment::HouseDefaults;
use segment_core::sync::agent::{About, AgentSync, Output as AgentOutput, Stored};
use segment_core::sync::frame::{AgentFrame, HubFrame, ReportBatch};
use segment_core::sync::hub::{HubSync, Output as HubOutput};
use segment_core::testing;
use segment_core::testing::{StoredRollouts, view};
use segment_crds::Segment;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

pub(crate) fn hub_id() -> HubId {
    HubId::new("hub-0123456789").unwrap()
}

pub(crate) fn at(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_800_000_000 + second).unwrap()
}

pub(crate) fn uid(n: u8) -> Uid {
    Uid([n; 16])
}

/// A judged Segment as the reflector hands it on.
pub(crate) fn seen(segment: &Segment, deleting: bool) -> SeenSegment {
    SeenSegment {
        deleting,
        ..testing::seen(segment)
    }
}

pub(crate) fn index(now: i64) -> FleetIndex {
    let defaults = HouseDefaults::from_env(std::iter::empty()).unwrap();
    FleetIndex::new(hub_id(), defaults, Settings::default(), at(now))
}

struct Agent {
    sync: AgentSync,
    uid: Uid,
    token: u8,
    reports: BTreeMap<KeyHash, Report>,
    policy: Option<Arc<PolicyText>>,
}

struct Stream {
    number: u64,
    hub: HubSync,
    listening: bool,
    up: VecDeque<AgentFrame>,
    down: VecDeque<HubFrame>,
}

/// The fleet.
pub(crate) struct World {
    pub(crate) now: i64,
    pub(crate) segments: BTreeMap<SegmentKey, Segment>,
    pub(crate) labels: BTreeMap<ClusterName, BTreeMap<String, String>>,
    pub(crate) tombstones: BTreeMap<Uid, Tombstone>,
    /// Keys that some order has named for removal, by cluster: nothing else may go.
    pub(crate) ordered_away: BTreeSet<(ClusterName, KeyHash, Uid)>,
    pub(crate) removed: BTreeSet<(ClusterName, KeyHash, Uid)>,
    memory: HubMemory,
    stored: StoredRollouts,
    index: FleetIndex,
    agents: BTreeMap<ClusterName, Agent>,
    streams: BTreeMap<ClusterName, Stream>,
    sessions: u64,
}

impl World {
    pub(crate) fn new(clusters: usize) -> Self {
        let mut world = Self {
            now: 0,
            segments: BTreeMap::new(),
            labels: BTreeMap::new(),
            tombstones: BTreeMap::new(),
            ordered_away: BTreeSet::new(),
            removed: BTreeSet::new(),
            memory: HubMemory {
                fence: Fence {
                    era: 1,
                    shard_map: 0,
                    term: 1,
                    instance: InstanceId([1; 16]),
                },
                n: 0,
                old_terms: BTreeMap::new(),
            },
            stored: StoredRollouts::default(),
            index: index(0),
            agents: BTreeMap::new(),
            streams: BTreeMap::new(),
            sessions: 0,
        };
        for i in 0..clusters {
            let name = ClusterName::new(format!("c{i}")).unwrap();
            let n = u8::try_from(i).unwrap();
            world.agents.insert(
                name.clone(),
                Agent {
                    sync: AgentSync::new(Stored::default()),
                    uid: uid(100 + n),
                    token: 0,
                    reports: BTreeMap::new(),
                    policy: None,
                },
            );
            world.relabel(&name, &[("env", "prod")]);
        }
        world
    }

    pub(crate) fn clusters(&self) -> Vec<ClusterName> {
        self.agents.keys().cloned().collect()
    }

    pub(crate) fn index(&self) -> &FleetIndex {
        &self.index
    }

    pub(crate) fn held(&self, name: &ClusterName) -> Holdings {
        self.agents[name]
            .sync
            .entries()
            .values()
            .map(|entry| (entry.id().key, entry.id()))
            .collect()
    }

    pub(crate) fn apply(&mut self, segment: Segment) {
        let seen = seen(&segment, false);
        self.segments.insert(seen.key.clone(), segment);
        let changed = self.index.apply_segment(seen, at(self.now));
        self.settle(changed);
    }

    /// As the hub does it: what is owed is written down, then the object goes.
    pub(crate) fn delete(&mut self, key: &SegmentKey) {
        let Some(segment) = self.segments.remove(key) else {
            return;
        };
        let seen = seen(&segment, true);
        let uid = seen.uid;
        let mut changed = self.index.apply_segment(seen, at(self.now));
        if let Some(tombstone) = self.index.tombstone_for(key, uid) {
            self.tombstones.insert(uid, tombstone.clone());
            changed.extend(self.index.apply_tombstone(tombstone));
        }
        changed.extend(self.index.delete_segment(key, uid));
        self.settle(changed);
    }

    pub(crate) fn relabel(&mut self, name: &ClusterName, labels: &[(&str, &str)]) {
        let view = view(name.as_str(), labels);
        self.labels.insert(name.clone(), view.labels.clone());
        let changed = self.index.apply_cluster(view, 1, None, None, at(self.now));
        self.settle(changed);
    }

    /// Time passes; removals whose settle time is over are verified against the objects.
    pub(crate) fn pass(&mut self, seconds: i64) {
        self.now += seconds;
        self.memory.n += 1;
        let mut changed = self.index.tick(at(self.now));
        for (key, name) in self.index.due_removals(at(self.now)) {
            changed.extend(self.index.verify_leaving(&key, &name));
        }
        self.settle(changed);
    }

    pub(crate) fn connect(&mut self, name: &ClusterName) {
        self.cut(name);
        self.sessions += 1;
        let agent = self.agents.get_mut(name).unwrap();
        let about = About {
            cluster_uid: agent.uid,
            process: InstanceId([7; 16]),
            reports: RootDigest([agent.token; 16]),
            runs: 0,
            agent_version: "1".to_owned(),
            kubernetes_version: "1".to_owned(),
        };
        let outputs = agent.sync.connected(about);
        let hub = HubSync::new(hub_id(), agent.uid);
        let stream = Stream {
            number: self.sessions,
            hub,
            listening: false,
            up: VecDeque::new(),
            down: VecDeque::new(),
        };
        self.streams.insert(name.clone(), stream);
        self.agent_outputs(name, outputs);
    }

    /// The connection breaks: what is on its way is lost, in both directions.
    pub(crate) fn cut(&mut self, name: &ClusterName) {
        if let Some(stream) = self.streams.remove(name) {
            self.agents.get_mut(name).unwrap().sync.disconnected();
            let changed = self.index.disconnected(name, stream.number, at(self.now));
            self.settle(changed);
        }
    }

    /// The hub dies; another takes over with what is durable: objects, tombstones, and a higher term.
    pub(crate) fn restart_hub(&mut self) {
        for name in self.clusters() {
            self.cut(&name);
        }
        let old = self.memory.clone();
        self.memory.old_terms.insert(old.fence.term, old.n);
        self.memory.fence.term += 1;
        self.memory.n = 0;
        self.index = index(self.now);
        self.stored.restore(&mut self.index);
        let mut changed = Changed::default();
        for tombstone in self.tombstones.values() {
            changed.extend(self.index.apply_tombstone(tombstone.clone()));
        }
        let all = self
            .segments
            .values()
            .map(|segment| seen(segment, false))
            .collect();
        changed.extend(self.index.reset_segments(all, at(self.now)));
        for (name, labels) in self.labels.clone() {
            let labels: Vec<(&str, &str)> = labels
                .iter()
                .map(|(k, v)| (k.as_str(), v.as_str()))
                .collect();
            changed.extend(self.index.apply_cluster(
                view(name.as_str(), &labels),
                1,
                None,
                None,
                at(self.now),
            ));
        }
        self.settle(changed);
    }

    /// The agent dies; its store held everything that it had accepted.
    pub(crate) fn restart_agent(&mut self, name: &ClusterName) {
        self.cut(name);
        let agent = self.agents.get_mut(name).unwrap();
        agent.sync = AgentSync::new(Stored {
            hub: agent.sync.hub().cloned(),
            fence: agent.sync.fence(),
            watermark: agent.sync.watermark(),
            entries: agent.sync.entries().clone(),
            damaged: false,
        });
        agent.token = agent.token.wrapping_add(97);
        let policy = agent.policy.clone();
        self.set_policy(name, policy);
    }

    /// The cluster's admin writes its policy anew, or takes it away.
    pub(crate) fn set_policy(&mut self, name: &ClusterName, policy: Option<Arc<PolicyText>>) {
        let agent = self.agents.get_mut(name).unwrap();
        agent.policy = policy;
        let outputs = agent
            .sync
            .policy_is(agent.policy.as_ref().map(|text| text.digest()));
        self.agent_outputs(name, outputs);
    }

    pub(crate) fn policy(&self, name: &ClusterName) -> Option<&PolicyText> {
        self.agents[name].policy.as_deref()
    }

    /// Delivers one frame of a stream, if one is on its way.
    pub(crate) fn deliver(&mut self, name: &ClusterName, up: bool) {
        let Some(stream) = self.streams.get_mut(name) else {
            return;
        };
        if up {
            let Some(frame) = stream.up.pop_front() else {
                return;
            };
            let memory = self.memory.clone();
            let remembered = self.index.remembered(name, at(self.now));
            let stream = self.streams.get_mut(name).unwrap();
            let outputs = stream.hub.on_frame(frame, &memory, || remembered);
            self.hub_outputs(name, outputs);
        } else {
            let Some(frame) = stream.down.pop_front() else {
                return;
            };
            if let HubFrame::Orders(orders) = &frame {
                for order in &orders.orders {
                    if let segment_core::delta::Order::Remove { key, order } = order {
                        self.ordered_away.insert((name.clone(), *key, order.uid));
                    }
                }
            }
            let outputs = self.agents.get_mut(name).unwrap().sync.on_frame(frame);
            self.agent_outputs(name, outputs);
        }
    }

    /// Faults end: everyone connects, everything is delivered, time passes until nothing moves.
    pub(crate) fn heal(&mut self) {
        for name in self.clusters() {
            self.connect(&name);
        }
        for _ in 0..60 {
            self.drain();
            self.pass(31);
        }
        self.drain();
    }

    pub(crate) fn drain(&mut self) {
        for _ in 0..10_000 {
            let Some(name) = self
                .streams
                .iter()
                .find(|(_, stream)| !stream.up.is_empty() || !stream.down.is_empty())
                .map(|(name, _)| name.clone())
            else {
                return;
            };
            self.deliver(&name, true);
            self.deliver(&name, false);
        }
        panic!("the streams never fall silent");
    }

    fn settle(&mut self, mut changed: Changed) {
        changed.extend(self.index.settle(at(self.now)));
        let changed = self
            .stored
            .carry_out(&mut self.index, changed, at(self.now));
        for uid in &changed.tombstones {
            if let Some(tombstone) = self.index.tombstones().get(uid).cloned() {
                self.tombstones.insert(*uid, tombstone.clone());
                if tombstone.clusters.is_empty() {
                    self.tombstones.remove(uid);
                    self.index.delete_tombstone(*uid);
                }
            }
        }
        let memory = self.memory.clone();
        let mut outputs = Vec::new();
        for (name, keys) in &changed.desired {
            let index = &self.index;
            if let Some(stream) = self.streams.get_mut(name).filter(|stream| stream.listening) {
                let values: Vec<_> = keys
                    .iter()
                    .map(|key| (*key, index.desired(name, *key)))
                    .collect();
                outputs.push((name.clone(), stream.hub.on_desired(values, &memory)));
            }
        }
        for (name, outputs) in outputs {
            self.hub_outputs(&name, outputs);
        }
    }

    fn hub_outputs(&mut self, name: &ClusterName, outputs: Vec<HubOutput>) {
        let now = at(self.now);
        for output in outputs {
            let Some(stream) = self.streams.get_mut(name) else {
                return;
            };
            let number = stream.number;
            let changed = match output {
                HubOutput::Send(frame) => {
                    stream.down.push_back(frame);
                    continue;
                }
                HubOutput::Greeted(hello) => self.index.connected(name, number, &hello, None, now),
                HubOutput::Inventory(held) => {
                    let mut changed = self.index.inventory(name, number, held, now);
                    changed.extend(self.index.settle(now));
                    let set = self.index.desired_set(name);
                    let memory = self.memory.clone();
                    let stream = self.streams.get_mut(name).unwrap();
                    stream.listening = true;
                    let values: Vec<_> = set
                        .items
                        .into_iter()
                        .map(|(key, want)| (key, Some(want)))
                        .collect();
                    let more = stream.hub.on_desired(values, &memory);
                    self.settle(changed);
                    self.hub_outputs(name, more);
                    continue;
                }
                HubOutput::Names(names) => self.index.names(name, names),
                HubOutput::Acked(acks) => self.index.acked(name, number, acks, now),
                HubOutput::Reports(batch) => self.index.reports(name, number, batch, now),
                HubOutput::Runs(batch) => self.index.runs(name, number, batch, now),
                HubOutput::Health(health) => self.index.health(name, number, health),
                HubOutput::PolicyTold(told) => {
                    let wanted = self.index.policy_told(name, number, told);
                    if let Some(digest) = told.filter(|_| wanted) {
                        stream.down.extend(stream.hub.want_policy(digest));
                    }
                    continue;
                }
                HubOutput::PolicyRead(digest, policy) => {
                    self.index.policy_read(name, number, digest, policy);
                    continue;
                }
                HubOutput::RunEvents(events) => self.index.run_events(name, number, events, now),
                HubOutput::LogChunk(_)
                | HubOutput::WentBack(_)
                | HubOutput::IdentityConflict { .. } => continue,
                HubOutput::Close(reason) => panic!("the hub closed the stream of {name}: {reason}"),
            };
            self.settle(changed);
        }
    }

    fn agent_outputs(&mut self, name: &ClusterName, outputs: Vec<AgentOutput>) {
        for output in outputs {
            match output {
                AgentOutput::Send(frame) => {
                    if let Some(stream) = self.streams.get_mut(name) {
                        stream.up.push_back(frame);
                    }
                }
                AgentOutput::Apply(key) => self.carry_out(name, key),
                AgentOutput::SendAllReports => self.send_reports(name, true),
                AgentOutput::SendPolicyText(digest) => self.send_policy(name, digest),
                AgentOutput::Close { .. } => self.cut(name),
                // No run is ordered in this world.
                AgentOutput::TellRuns
                | AgentOutput::TakeRuns(_)
                | AgentOutput::PassLogs(_)
                | AgentOutput::SendRuns(_)
                | AgentOutput::PersistFence
                | AgentOutput::PersistFenceNow
                | AgentOutput::PersistAllNow
                | AgentOutput::PersistEntry(_)
                | AgentOutput::PersistEntryNow(_) => {}
            }
        }
    }

    /// The applier, at its best: it does at once what the entry says, and reports.
    fn carry_out(&mut self, name: &ClusterName, key: KeyHash) {
        let now = at(self.now);
        let agent = self.agents.get_mut(name).unwrap();
        let Some(entry) = agent.sync.entries().get(&key).cloned() else {
            return;
        };
        let uid = entry.assignment.uid;
        if entry.removing.is_some() {
            agent.reports.remove(&key);
            self.removed.insert((name.clone(), key, uid));
            let outputs = agent.sync.removed(key, uid);
            self.agent_outputs(name, outputs);
            return;
        }
        agent.reports.insert(
            key,
            Report {
                key,
                uid,
                revision: entry.assignment.revision,
                digest: entry.assignment.rendered.digest(),
                state: State::Applied,
                reason: String::new(),
                message: String::new(),
                since: now,
                corrections: 0,
                drifted_by: String::new(),
                runs: Runs::default(),
            },
        );
        self.send_reports(name, false);
    }

    fn send_policy(&mut self, name: &ClusterName, digest: PolicyDigest) {
        let text = self.agents[name].policy.clone();
        if let Some(text) = text.filter(|text| text.digest() == digest)
            && let Some(stream) = self.streams.get_mut(name)
        {
            stream.up.push_back(AgentFrame::PolicyText { digest, text });
        }
    }

    fn send_reports(&mut self, name: &ClusterName, complete: bool) {
        let agent = self.agents.get_mut(name).unwrap();
        agent.token = agent.token.wrapping_add(1);
        let batch = ReportBatch {
            token: RootDigest([agent.token; 16]),
            complete,
            reports: agent.reports.values().cloned().collect(),
        };
        if let Some(stream) = self.streams.get_mut(name) {
            stream.up.push_back(AgentFrame::Reports(batch));
        }
    }
}
