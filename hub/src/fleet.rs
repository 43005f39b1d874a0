//! The one task that owns the fleet index: events in, desired values out.
//!
//! In: [`Event`]s of reflectors, streams and stores, over one bounded queue. Out: to each stream one slot per segment
//! (the last value wins), to the stores [`Effect`]s, to readers the index behind a lock and its version.
//! Law: nothing is published before every reflector has its initial list; only this task writes the index.
//! Not: decisions (`core::index`).

mod logs;
mod operations;
mod policy;
mod slots;

pub use logs::{LogRequests, Logs};
pub use operations::{Commands, OperationEvent};
pub use policy::PolicyEvent;
pub use slots::Slots;

use crate::effects::Effect;
use crate::metrics::FleetMetrics;
use operations::Waiting;
use segment_core::assignment::Holdings;
use segment_core::ids::{ClusterName, SegmentKey, Uid};
use segment_core::index::{Changed, FleetIndex, SeenSegment, Tombstone};
use segment_core::placement::ClusterView;
use segment_core::rollout::Operations;
use segment_core::run_order::{RunEvent, RunOrder};
use segment_core::runs::RunBatch;
use segment_core::segment::ParsedSegment;
use segment_core::sync::frame::{Ack, AgentHealth, Hello, LogsWanted, ReportBatch};
use segment_core::sync::hub::Remembered;
use segment_crds::{ClusterStatus, SegmentStatus};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// Events that wait for the fleet task. Senders wait when it is full: streams slow down, nothing is lost.
pub const QUEUE: usize = 4096;
/// Events that are settled as one step.
const BATCH: usize = 512;
/// How often time alone is looked at.
const TICK: Duration = Duration::from_secs(1);

/// A Cluster as the reflector saw it.
#[derive(Clone, Debug)]
pub struct SeenCluster {
    /// What admins wrote.
    pub view: ClusterView,
    /// Its generation.
    pub generation: i64,
    /// When it was made.
    pub created: Option<jiff::Timestamp>,
    /// The uid that status mirrors.
    pub bound_uid: Option<Uid>,
    /// Its status as it stands.
    pub status: Option<ClusterStatus>,
}

/// A Segment as the reflector saw it, with what the stores need.
#[derive(Clone, Debug)]
pub struct WatchedSegment {
    /// For the index.
    pub seen: SeenSegment,
    /// Its resourceVersion.
    pub resource_version: String,
    /// Its finalizers.
    pub finalizers: Vec<String>,
    /// Its status as it stands.
    pub status: Option<SegmentStatus>,
    /// Who wrote its spec, as far as the API server says: a field manager.
    pub author: Option<String>,
    /// Why, in the author's words.
    pub cause: Option<String>,
}

/// What happens to the fleet.
#[derive(Debug)]
pub enum Event {
    /// A Segment is there.
    Segment(Box<WatchedSegment>),
    /// A Segment is gone.
    SegmentGone(SegmentKey, Uid),
    /// All Segments, after a list.
    Segments(Vec<WatchedSegment>),
    /// A Cluster is there.
    Cluster(Box<SeenCluster>),
    /// A Cluster is gone.
    ClusterGone(ClusterName),
    /// All Clusters, after a list.
    Clusters(Vec<SeenCluster>),
    /// The last good spec of a refused Segment was looked for, and found or not.
    LastGood(SegmentKey, Option<Arc<ParsedSegment>>),
    /// About rollouts and holds.
    Operation(OperationEvent),
    /// A tombstone is durable.
    Buried(Tombstone),
    /// A tombstone's object is gone.
    Unburied(Uid),
    /// Segment and Cluster were read live and applied: the removal may be ordered if the cluster is still not selected.
    Verified(SegmentKey, ClusterName),
    /// One of both is gone or could not be read: nothing is ordered.
    Unverified(SegmentKey, ClusterName),
    /// What is remembered of a cluster, please.
    Remember(ClusterName, oneshot::Sender<Remembered>),
    /// A cluster's own policy.
    Policy(PolicyEvent),
    /// A run is ordered on a cluster.
    OrderRun(ClusterName, Box<RunOrder>),
    /// Logs are asked for on a cluster, or not any more.
    Logs(ClusterName, LogsWanted),
    /// A stream.
    Stream {
        /// Whose.
        cluster: ClusterName,
        /// Which.
        session: u64,
        /// What it told.
        what: StreamEvent,
    },
}

/// What a stream tells.
#[derive(Debug)]
pub enum StreamEvent {
    /// Hello, and why nothing may be ordered there.
    Greeted(Box<Hello>, Option<String>),
    /// All that is held; from now on desired values go into the slots.
    Inventory(Holdings, Arc<Slots>),
    /// Names of unknown entries.
    Names(Vec<SegmentKey>),
    /// Acknowledgements.
    Acked(Vec<Ack>),
    /// Reports.
    Reports(ReportBatch),
    /// Runs that are new, or other than they were told.
    Runs(RunBatch),
    /// Health.
    Health(AgentHealth),
    /// What became of ordered runs.
    RunEvents(Vec<RunEvent>),
    /// Another cluster came with this identity.
    IdentityConflict(Uid),
    /// It ended.
    Ended,
}

/// The fleet as others see it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Fleet {
    index: Arc<RwLock<FleetIndex>>,
    events: mpsc::Sender<Event>,
    version: watch::Receiver<u64>,
    log_requests: Arc<LogRequests>,
}

/// The fleet task has ended; so does the process.
#[derive(Debug, thiserror::Error)]
#[error("the fleet task has ended")]
pub struct FleetGone;

impl Fleet {
    /// The index, for reading. Hold it briefly: the fleet task waits meanwhile.
    pub fn index(&self) -> RwLockReadGuard<'_, FleetIndex> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index' version, as it rises.
    pub fn version(&self) -> watch::Receiver<u64> {
        self.version.clone()
    }

    /// The index and version, for the users' API.
    pub fn shared(&self) -> (Arc<RwLock<FleetIndex>>, watch::Receiver<u64>) {
        (Arc::clone(&self.index), self.version.clone())
    }

    /// Tells the fleet task; waits while its queue is full.
    ///
    /// # Errors
    /// When the task has ended.
    pub async fn tell(&self, event: Event) -> Result<(), FleetGone> {
        self.events.send(event).await.map_err(|_| FleetGone)
    }

    /// What is remembered of a cluster.
    ///
    /// # Errors
    /// When the task has ended.
    pub async fn remember(&self, cluster: &ClusterName) -> Result<Remembered, FleetGone> {
        let (send, receive) = oneshot::channel();
        self.tell(Event::Remember(cluster.clone(), send)).await?;
        receive.await.map_err(|_| FleetGone)
    }
}

/// What the status writer has to look at.
#[derive(Debug)]
pub enum StatusNote {
    /// These may have another status now.
    Changed(BTreeSet<SegmentKey>, BTreeSet<ClusterName>),
    /// A Segment's status as the API server has it (`None`: the Segment is gone).
    Segment(SegmentKey, Option<(Uid, Option<SegmentStatus>)>),
    /// A Cluster's status as the API server has it (`None`: the Cluster is gone).
    Cluster(ClusterName, Option<Option<ClusterStatus>>),
}

/// The fleet task.
#[derive(Debug)]
pub struct FleetTask {
    index: Arc<RwLock<FleetIndex>>,
    events: mpsc::Receiver<Event>,
    version: watch::Sender<u64>,
    streams: HashMap<ClusterName, (u64, Arc<Slots>)>,
    effects: mpsc::Sender<Effect>,
    status: mpsc::Sender<StatusNote>,
    metrics: FleetMetrics,
    segments_listed: bool,
    clusters_listed: bool,
    listed: watch::Sender<bool>,
    /// What was told of Segments before the Clusters were listed: without them a Segment would look as if it were placed
    /// nowhere, in its status and in a tombstone. As much as the API server sends between two lists.
    early: Vec<Event>,
    /// Segments for whose deletion a tombstone is being written.
    burying: BTreeSet<Uid>,
    /// Refused Segments whose last good spec is looked for. Before all are answered the list is not complete: what
    /// clusters report of them would find no place.
    finding: BTreeSet<SegmentKey>,
    /// Effects that wait for their queue. What it may hold follows from what there is; the task itself never waits, as
    /// effects tell it what they have done.
    pending: VecDeque<Effect>,
    ticked: jiff::Timestamp,
    /// Removals being verified.
    verifying: BTreeSet<(SegmentKey, ClusterName)>,
    /// Users who wait until what they commanded is stored, with its version.
    commanded: Vec<Waiting>,
}

/// Ends of the fleet task that others hold.
#[derive(Debug)]
pub struct FleetEnds {
    /// For everyone.
    pub fleet: Fleet,
    /// True once every reflector has its initial list.
    pub listed: watch::Receiver<bool>,
    /// What the stores have to do.
    pub effects: mpsc::Receiver<Effect>,
    /// What the status writer has to look at.
    pub status: mpsc::Receiver<StatusNote>,
}

/// Makes the task and its ends. Tombstones are those read at the start: they count before the first list.
pub fn fleet(
    mut index: FleetIndex,
    tombstones: Vec<Tombstone>,
    operations: Vec<Operations>,
    metrics: FleetMetrics,
) -> (FleetTask, FleetEnds) {
    for operations in operations {
        index.restore_operations(operations);
    }
    for tombstone in tombstones {
        index.apply_tombstone(tombstone);
    }
    let (events_in, events) = mpsc::channel(QUEUE);
    let (effects, effects_out) = mpsc::channel(QUEUE);
    let (status, status_out) = mpsc::channel(QUEUE);
    let (listed, listed_out) = watch::channel(false);
    let (version, version_out) = watch::channel(index.version());
    let index = Arc::new(RwLock::new(index));
    let task = FleetTask {
        index: Arc::clone(&index),
        events,
        version,
        streams: HashMap::new(),
        effects,
        status,
        metrics,
        segments_listed: false,
        clusters_listed: false,
        listed,
        early: Vec::new(),
        burying: BTreeSet::new(),
        finding: BTreeSet::new(),
        pending: VecDeque::new(),
        ticked: jiff::Timestamp::now(),
        verifying: BTreeSet::new(),
        commanded: Vec::new(),
    };
    let ends = FleetEnds {
        fleet: Fleet {
            index,
            events: events_in,
            version: version_out,
            log_requests: Arc::default(),
        },
        listed: listed_out,
        effects: effects_out,
        status: status_out,
    };
    (task, ends)
}

impl FleetTask {
    /// Runs until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut batch = Vec::with_capacity(BATCH);
        let effects = self.effects.clone();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                // Before events: under steady load time would stand still otherwise.
                _ = tick.tick() => self.tick().await,
                place = effects.reserve(), if !self.pending.is_empty() => {
                    let Ok(place) = place else { return };
                    if let Some(effect) = self.pending.pop_front() {
                        place.send(effect);
                    }
                }
                count = self.events.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        return;
                    }
                    self.step(std::mem::take(&mut batch)).await;
                }
            }
        }
    }

    async fn step(&mut self, events: Vec<Event>) {
        let now = jiff::Timestamp::now();
        let mut notes = Vec::new();
        let mut effects = Vec::new();
        let was_listed = self.is_listed();
        let mut changed = {
            let shared = Arc::clone(&self.index);
            let mut index = shared.write().unwrap_or_else(PoisonError::into_inner);
            let mut changed = Changed::default();
            for event in events {
                changed.extend(self.take(&mut index, event, now, &mut notes, &mut effects));
            }
            changed.extend(index.settle(now));
            self.publish(&index, &changed, &mut effects);
            changed
        };
        if !self.is_listed() {
            // A status made from half a list would say that nobody is selected.
            changed.segments.clear();
            changed.clusters.clear();
        } else if !was_listed {
            let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
            changed.segments.extend(index.segments().keys().cloned());
            changed.clusters.extend(index.clusters().keys().cloned());
        }
        self.pass_on(changed, notes, effects).await;
    }

    async fn tick(&mut self) {
        if !self.is_listed() {
            return;
        }
        let now = jiff::Timestamp::now();
        let mut effects = Vec::new();
        let mut changed = {
            let shared = Arc::clone(&self.index);
            let mut index = shared.write().unwrap_or_else(PoisonError::into_inner);
            let changed = index.tick(now);
            self.publish(&index, &changed, &mut effects);
            for (segment, cluster) in index.due_removals(now) {
                if self.verifying.insert((segment.clone(), cluster.clone())) {
                    effects.push(Effect::Verify { segment, cluster });
                }
            }
            self.metrics.observe(&index);
            changed
        };
        // Silence turns into staleness by time alone.
        {
            let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
            let window = index.settings().stale_after;
            // Whatever became stale since the last look.
            let before = std::mem::replace(&mut self.ticked, now);
            let just = |since: jiff::Timestamp| {
                now.duration_since(since) >= window && before.duration_since(since) < window
            };
            for (name, cluster) in index.clusters() {
                if !cluster.is_connected() && just(cluster.since.unwrap_or_else(|| index.started()))
                {
                    changed.clusters.insert(name.clone());
                    changed.segments.extend(cluster.segments.iter().cloned());
                }
            }
            if just(index.started()) {
                changed.segments.extend(index.segments().keys().cloned());
                changed.clusters.extend(index.clusters().keys().cloned());
            }
        }
        self.pass_on(changed, Vec::new(), effects).await;
    }

    /// Applies one event to the index.
    fn take(
        &mut self,
        index: &mut FleetIndex,
        event: Event,
        now: jiff::Timestamp,
        notes: &mut Vec<StatusNote>,
        effects: &mut Vec<Effect>,
    ) -> Changed {
        match event {
            Event::Segment(_) | Event::SegmentGone(..) | Event::Segments(_)
                if !self.clusters_listed =>
            {
                self.early.push(event);
                Changed::default()
            }
            Event::Segment(watched) => self.segment(index, *watched, now, notes, effects),
            Event::SegmentGone(key, uid) => {
                notes.push(StatusNote::Segment(key.clone(), None));
                index.delete_segment(&key, uid)
            }
            Event::Segments(all) => self.all_segments(index, all, now, notes, effects),
            Event::Cluster(seen) => Self::cluster(index, *seen, now, notes),
            Event::ClusterGone(name) => {
                notes.push(StatusNote::Cluster(name.clone(), None));
                self.streams.remove(&name);
                index.delete_cluster(&name)
            }
            Event::Clusters(all) => self.all_clusters(index, all, now, notes, effects),
            Event::LastGood(key, parsed) => {
                self.finding.remove(&key);
                let changed = parsed
                    .map(|parsed| index.restore_last_good(&key, parsed, now))
                    .unwrap_or_default();
                self.list_done(index);
                changed
            }
            Event::Operation(event) => self.operation(index, event, now),
            Event::Buried(tombstone) => {
                self.burying.remove(&tombstone.uid);
                let mut changed = index.apply_tombstone(tombstone);
                if self.clusters_listed {
                    changed.extend(index.prune_tombstones());
                }
                changed
            }
            Event::Unburied(uid) => index.delete_tombstone(uid),
            Event::Unverified(segment, cluster) => {
                self.verifying.remove(&(segment, cluster));
                Changed::default()
            }
            Event::Verified(segment, cluster) => {
                let changed = index.verify_leaving(&segment, &cluster);
                self.verifying.remove(&(segment, cluster));
                changed
            }
            Event::Remember(cluster, reply) => {
                // The session may have gone meanwhile.
                let _gone = reply.send(index.remembered(&cluster, now));
                Changed::default()
            }
            Event::Policy(event) => event.apply(index),
            Event::Logs(cluster, wanted) => self.ask_logs(&cluster, wanted),
            Event::OrderRun(cluster, order) => index.order_run(&cluster, *order, now),
            Event::Stream {
                cluster,
                session,
                what,
            } => self.stream(index, &cluster, session, what, now),
        }
    }

    /// After a list: Segments that are not in it are gone.
    fn all_segments(
        &mut self,
        index: &mut FleetIndex,
        all: Vec<WatchedSegment>,
        now: jiff::Timestamp,
        notes: &mut Vec<StatusNote>,
        effects: &mut Vec<Effect>,
    ) -> Changed {
        let gone: Vec<_> = index
            .segments()
            .values()
            .filter(|old| !all.iter().any(|new| new.seen.key == old.key))
            .map(|old| (old.key.clone(), old.uid))
            .collect();
        let mut changed = Changed::default();
        for (key, uid) in gone {
            notes.push(StatusNote::Segment(key.clone(), None));
            changed.extend(index.delete_segment(&key, uid));
        }
        for watched in all {
            changed.extend(self.segment(index, watched, now, notes, effects));
        }
        self.segments_listed = true;
        self.list_done(index);
        changed
    }

    /// After a list: Clusters that are not in it are gone.
    fn all_clusters(
        &mut self,
        index: &mut FleetIndex,
        all: Vec<SeenCluster>,
        now: jiff::Timestamp,
        notes: &mut Vec<StatusNote>,
        effects: &mut Vec<Effect>,
    ) -> Changed {
        let gone: Vec<_> = index
            .clusters()
            .keys()
            .filter(|old| !all.iter().any(|new| new.view.name == **old))
            .cloned()
            .collect();
        let mut changed = Changed::default();
        for name in gone {
            notes.push(StatusNote::Cluster(name.clone(), None));
            self.streams.remove(&name);
            changed.extend(index.delete_cluster(&name));
        }
        for seen in all {
            changed.extend(Self::cluster(index, seen, now, notes));
        }
        // Clusters that went while this hub was away are owed nothing.
        changed.extend(index.prune_tombstones());
        self.clusters_listed = true;
        for event in std::mem::take(&mut self.early) {
            changed.extend(self.take(index, event, now, notes, effects));
        }
        self.list_done(index);
        changed
    }

    fn segment(
        &mut self,
        index: &mut FleetIndex,
        watched: WatchedSegment,
        now: jiff::Timestamp,
        notes: &mut Vec<StatusNote>,
        effects: &mut Vec<Effect>,
    ) -> Changed {
        let seen = watched.seen;
        let (key, uid) = (seen.key.clone(), seen.uid);
        notes.push(StatusNote::Segment(
            key.clone(),
            Some((uid, watched.status)),
        ));
        let before = index
            .segments()
            .get(&key)
            .filter(|segment| segment.uid == uid)
            .and_then(|segment| segment.good.as_ref())
            .map(|good| (good.revision, good.parsed.generation));
        let deleting = seen.deleting;
        let refused = seen.parsed.is_err();
        let parsed = seen.parsed.as_ref().ok().cloned();
        let changed = index.apply_segment(seen, now);
        if deleting {
            if !watched
                .finalizers
                .iter()
                .any(|f| f == segment_core::names::FINALIZER)
            {
                return changed;
            }
            // The newest look at it, whether or not a tombstone is there already from before a restart.
            if let Some(tombstone) = index.tombstone_for(&key, uid)
                && self.burying.insert(uid)
            {
                let good = index
                    .segments()
                    .get(&key)
                    .is_some_and(|segment| segment.good.is_some());
                effects.push(Effect::Bury {
                    removal_unknown: !good,
                    tombstone,
                    resource_version: watched.resource_version,
                    finalizers: watched.finalizers,
                });
            }
            return changed;
        }
        if let Some(finalizers) = crate::store::finalizer::with(&watched.finalizers) {
            effects.push(Effect::AddFinalizer {
                key: key.clone(),
                resource_version: watched.resource_version,
                finalizers,
            });
        }
        let after = index
            .segments()
            .get(&key)
            .and_then(|segment| segment.good.as_ref())
            .map(|good| good.revision);
        match (parsed, after) {
            // Each accepted generation, and not only each revision: the last good spec stands whole, selector included.
            (Some(parsed), Some(revision)) if before != Some((revision, parsed.generation)) => {
                effects.push(Effect::KeepRevision {
                    parsed,
                    revision,
                    author: watched.author,
                    cause: watched.cause,
                });
            }
            (None, None) if refused && self.finding.insert(key.clone()) => {
                effects.push(Effect::FindLastGood { key, uid });
            }
            _ => {}
        }
        changed
    }

    fn cluster(
        index: &mut FleetIndex,
        seen: SeenCluster,
        now: jiff::Timestamp,
        notes: &mut Vec<StatusNote>,
    ) -> Changed {
        notes.push(StatusNote::Cluster(
            seen.view.name.clone(),
            Some(seen.status),
        ));
        index.apply_cluster(
            seen.view,
            seen.generation,
            seen.created,
            seen.bound_uid,
            now,
        )
    }

    fn stream(
        &mut self,
        index: &mut FleetIndex,
        cluster: &ClusterName,
        session: u64,
        what: StreamEvent,
        now: jiff::Timestamp,
    ) -> Changed {
        match what {
            StreamEvent::Greeted(hello, went_back) => {
                index.connected(cluster, session, &hello, went_back, now)
            }
            StreamEvent::Inventory(held, slots) => {
                let mut changed = index.inventory(cluster, session, held, now);
                changed.extend(index.settle(now));
                if index
                    .clusters()
                    .get(cluster)
                    .is_some_and(|c| c.session == Some(session))
                {
                    slots.put(
                        index
                            .desired_set(cluster)
                            .items
                            .into_iter()
                            .map(|(key, want)| (key, Some(want))),
                    );
                    slots.put_runs(index.open_run_orders(cluster));
                    self.streams.insert(cluster.clone(), (session, slots));
                }
                changed
            }
            StreamEvent::Names(names) => index.names(cluster, names),
            StreamEvent::Acked(acks) => index.acked(cluster, session, acks, now),
            StreamEvent::Reports(batch) => index.reports(cluster, session, batch, now),
            StreamEvent::Runs(batch) => index.runs(cluster, session, batch, now),
            StreamEvent::Health(health) => index.health(cluster, session, health),
            StreamEvent::RunEvents(events) => index.run_events(cluster, session, events, now),
            StreamEvent::IdentityConflict(said) => index.identity_conflict(cluster, said),
            StreamEvent::Ended => {
                if self
                    .streams
                    .get(cluster)
                    .is_some_and(|(newest, _)| *newest == session)
                {
                    self.streams.remove(cluster);
                }
                index.disconnected(cluster, session, now)
            }
        }
    }

    /// Whoever asked finds out by silence when there is no stream.
    fn ask_logs(&self, cluster: &ClusterName, wanted: LogsWanted) -> Changed {
        if let Some((_, slots)) = self.streams.get(cluster) {
            slots.put_logs(wanted);
        }
        Changed::default()
    }

    fn list_done(&mut self, index: &FleetIndex) {
        if self.segments_listed
            && self.clusters_listed
            && self.finding.is_empty()
            && !self.is_listed()
        {
            tracing::info!(
                segments = index.segments().len(),
                clusters = index.clusters().len(),
                "every list is complete"
            );
            self.listed.send_replace(true);
        }
    }

    fn is_listed(&self) -> bool {
        *self.listed.borrow()
    }

    /// Puts what changed into the streams' slots. Before the lists are whole there are no streams.
    fn publish(&self, index: &FleetIndex, changed: &Changed, effects: &mut Vec<Effect>) {
        for (cluster, keys) in &changed.desired {
            if let Some((_, slots)) = self.streams.get(cluster) {
                slots.put(keys.iter().map(|key| (*key, index.desired(cluster, *key))));
            }
        }
        for cluster in &changed.runs {
            if let Some((_, slots)) = self.streams.get(cluster) {
                slots.put_runs(index.open_run_orders(cluster));
            }
        }
        for uid in &changed.tombstones {
            if let Some(tombstone) = index.tombstones().get(uid) {
                effects.push(Effect::Tombstone(tombstone.uid));
            }
        }
        operations::publish(index, changed, effects);
        self.version.send_if_modified(|version| {
            let risen = *version != index.version();
            *version = index.version();
            risen
        });
    }

    async fn pass_on(&mut self, changed: Changed, notes: Vec<StatusNote>, effects: Vec<Effect>) {
        // A closed channel means that the process is ending.
        for note in notes {
            let _ending = self.status.send(note).await;
        }
        if !changed.segments.is_empty() || !changed.clusters.is_empty() {
            let _ending = self
                .status
                .send(StatusNote::Changed(changed.segments, changed.clusters))
                .await;
        }
        self.pending.extend(effects);
    }
}
