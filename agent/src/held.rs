//! The one task that owns what is held: core's end of the protocol, and when the store is written.
//!
//! In: frames of the session, removals and records of the applier, the policy as it changes. Out: frames, looks, writes
//! of the store. Law: outputs are carried out in order; what has to be stored before it is acted on is stored before the next one.
//! What may be stored behind is stored at the next flush. Not: decisions (`segment_core::sync::agent`).

use crate::shared::Shared;
use crate::store::format::{EntriesContent, Kind, StateContent, StoredEntry};
use crate::store::{SHARD_MAX_BYTES, Store, StoreError, packed_len, shard_of};
use segment_core::apply::Record;
use segment_core::assignment::Entry;
use segment_core::delta::Order;
use segment_core::ids::{HubId, InstanceId, KeyHash, PolicyDigest, Uid};
use segment_core::run_order::RunEvent;
use segment_core::run_order::known::KnownRun;
use segment_core::sync::agent::{About, AgentSync, Output};
use segment_core::sync::frame::{Ack, AckVerdict, AgentFrame, HubFrame, LogChunk, Orders};
use segment_proto::convert::frame::FromHub;
use segment_runtime::Tasks;
use segment_runtime::backoff::Backoff;
use segment_runtime::tasks::with_causes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Events that wait for this task: frames are small in number, the rest is one per look.
pub const EVENTS: usize = 256;

/// Room for what is remembered of an entry: digests and times, which hardly shrink.
const RECORD_BYTES: usize = 256;

/// How long a removal waits for the store, and all other events with it.
const STORE_PATIENCE: Duration = Duration::from_secs(30);

/// How long workers have to end their looks after a signal.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What happens to what is held.
#[derive(Debug)]
pub enum Event {
    /// A stream is open.
    Connected(Stream),
    /// A frame of the hub came on a stream.
    Frame {
        /// On which.
        session: u64,
        /// The frame.
        from_hub: Box<FromHub>,
    },
    /// A stream has ended.
    Disconnected {
        /// Which.
        session: u64,
    },
    /// The applier has carried out a removal.
    Removed {
        /// Which entry.
        key: KeyHash,
        /// Of which Segment uid.
        uid: Uid,
    },
    /// The applier's record of an entry changed.
    Recorded(KeyHash),
    /// What became of ordered runs.
    RunEvents(Vec<RunEvent>),
    /// Logs that the hub asked for.
    LogChunk(LogChunk),
    /// What is known of ordered runs is to be stored.
    RunsKnown {
        /// The newest.
        runs: Vec<KnownRun>,
        /// Takes whether it is done, where that is waited for; else it is stored behind.
        done: Option<oneshot::Sender<bool>>,
    },
    /// A write behind went wrong, or well.
    Flushed {
        /// Which shard.
        kind: Kind,
        /// How it went, and its size in bytes.
        result: Result<usize, StoreError>,
    },
}

/// The way to an open stream.
#[derive(Debug)]
pub struct Stream {
    /// Counts streams of this process.
    pub session: u64,
    /// The hub that gave the certificate it is dialled with.
    pub hub: HubId,
    /// Frames to send; what does not fit ends the stream.
    pub frames: mpsc::Sender<AgentFrame>,
    /// To end the stream: the reason and the least time before the next, in milliseconds.
    pub close: mpsc::Sender<(String, u64)>,
}

/// What a Hello says of this process and cluster.
#[derive(Clone, Debug)]
pub struct Process {
    /// The spoke's kube-system uid.
    pub cluster_uid: Uid,
    /// Random id of this process.
    pub instance: InstanceId,
    /// Version of the agent.
    pub agent_version: String,
    /// Version of the spoke's API server.
    pub kubernetes_version: String,
}

/// The task.
#[derive(Debug)]
pub struct Held {
    sync: AgentSync,
    shared: Arc<Shared>,
    store: Arc<Store>,
    process: Process,
    tasks: Tasks,
    /// For writes behind; dropped at the end, so that the channel ends with the last worker.
    sender: Option<mpsc::Sender<Event>>,
    stream: Option<Stream>,
    /// The rest of the state shard.
    state: StateContent,
    state_dirty: bool,
    dirty: BTreeSet<Kind>,
    /// Size of each entries shard when it was last written, and bytes of orders accepted since.
    sizes: BTreeMap<Kind, usize>,
    grown: BTreeMap<Kind, usize>,
    /// Numbers contents of shards: an older one never replaces a newer one.
    number: u64,
}

/// Refused because the store has no room for it.
const STORE_FULL: &str = "StoreFull";
/// Refused because the store can't be written for too long.
const STORE_UNAVAILABLE: &str = "StoreUnavailable";

fn refused_by_store(reason: &str, what: impl std::fmt::Display) -> AckVerdict {
    let why = if reason == STORE_FULL {
        "has no room for"
    } else {
        "can't be written with"
    };
    AckVerdict::Refused {
        reason: reason.to_owned(),
        message: format!("the agent's store {why} Segment {what}"),
    }
}

impl Held {
    /// With what the store held.
    #[allow(
        clippy::too_many_arguments,
        reason = "the parts that only the composition root has"
    )]
    pub fn new(
        sync: AgentSync,
        shared: Arc<Shared>,
        store: Arc<Store>,
        process: Process,
        tasks: Tasks,
        sender: mpsc::Sender<Event>,
        state: StateContent,
        sizes: BTreeMap<Kind, usize>,
    ) -> Self {
        Self {
            sync,
            shared,
            store,
            process,
            tasks,
            sender: Some(sender),
            stream: None,
            state,
            state_dirty: false,
            dirty: BTreeSet::new(),
            sizes,
            grown: BTreeMap::new(),
            number: 0,
        }
    }

    /// Works until the end, and then writes what is still to be written.
    ///
    /// # Errors
    /// When someone else writes the store: then the process has to end.
    pub async fn run(
        mut self,
        mut events: mpsc::Receiver<Event>,
        flush: Duration,
        stop: CancellationToken,
    ) -> Result<(), StoreError> {
        if self.state.incomplete {
            // Before a damaged shard is written anew and looks whole.
            self.write_now(Kind::State, None).await?;
        }
        let mut ticks = tokio::time::interval(flush);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        ticks.tick().await;
        let mut policy = self.shared.policy.clone();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                event = events.recv() => match event {
                    Some(event) => self.on(event).await?,
                    None => break,
                },
                Ok(()) = policy.changed() => {
                    let digest = policy.borrow_and_update().digest();
                    let outputs = self.sync.policy_is(digest);
                    self.carry_out(outputs).await?;
                }
                _ = ticks.tick() => self.flush_behind(),
            }
        }
        // Workers finish the look they are in: what they wrote is remembered.
        self.sender = None;
        let rest = async {
            while let Some(event) = events.recv().await {
                self.on(event).await?;
            }
            Ok(())
        };
        if let Ok(result) = tokio::time::timeout(LAST_WORDS, rest).await {
            result?;
        } else {
            tracing::warn!("workers have not ended in time");
        }
        self.flush_all().await
    }

    async fn on(&mut self, event: Event) -> Result<(), StoreError> {
        let outputs = match event {
            Event::Connected(stream) => {
                self.sync.joined(stream.hub.clone());
                self.stream = Some(stream);
                self.sync.connected(About {
                    cluster_uid: self.process.cluster_uid,
                    process: self.process.instance,
                    reports: self.shared.reports.token(),
                    runs: self.shared.ledger.last_seq(),
                    agent_version: self.process.agent_version.clone(),
                    kubernetes_version: self.process.kubernetes_version.clone(),
                })
            }
            Event::Frame { session, from_hub } if self.is_current(session) => {
                let FromHub {
                    frame,
                    mut refused,
                    unreadable_runs,
                } = *from_hub;
                if !unreadable_runs.is_empty() && self.sync.is_obeying() {
                    self.shared.runs.put(Vec::new(), unreadable_runs);
                }
                let frame = match frame {
                    HubFrame::Orders(orders) => {
                        HubFrame::Orders(self.within_budget(orders, &mut refused))
                    }
                    frame => frame,
                };
                let mut outputs = self.sync.on_frame(frame);
                if !refused.is_empty() {
                    outputs.push(Output::Send(AgentFrame::Acks(refused)));
                }
                outputs
            }
            Event::Disconnected { session } if self.is_current(session) => {
                self.stream = None;
                self.shared.ledger.unwanted();
                self.sync.disconnected();
                self.shared.runs.obeying(false);
                self.shared.logs.stop_all();
                Vec::new()
            }
            // Of a stream that is not the newest any more.
            Event::Frame { .. } | Event::Disconnected { .. } => Vec::new(),
            Event::Removed { key, uid } => {
                let name = self
                    .sync
                    .entries()
                    .get(&key)
                    .map(|entry| entry.assignment.key.clone());
                let outputs = self.sync.removed(key, uid);
                if !outputs.is_empty() {
                    tracing::info!(segment = ?name, "removed");
                    self.shared.forget(key);
                }
                outputs
            }
            Event::Recorded(key) => {
                self.dirty.insert(shard_of(key));
                Vec::new()
            }
            Event::LogChunk(chunk) => {
                if self.sync.is_obeying() {
                    self.send(AgentFrame::LogChunk(chunk));
                }
                Vec::new()
            }
            Event::RunEvents(events) => {
                if self.sync.is_obeying() {
                    self.send(AgentFrame::RunEvents(events));
                }
                Vec::new()
            }
            Event::RunsKnown { runs, done } => {
                self.state.runs = runs;
                match done {
                    None => self.state_dirty = true,
                    Some(done) => {
                        let failed = self.write_now(Kind::State, Some(STORE_PATIENCE)).await?;
                        // The task that asked may have ended.
                        let _ = done.send(failed.is_none());
                    }
                }
                Vec::new()
            }
            Event::Flushed { kind, result } => {
                self.flushed(kind, result)?;
                Vec::new()
            }
        };
        self.carry_out(outputs).await
    }

    fn is_current(&self, session: u64) -> bool {
        self.stream
            .as_ref()
            .is_some_and(|stream| stream.session == session)
    }

    async fn carry_out(&mut self, outputs: Vec<Output>) -> Result<(), StoreError> {
        // Entries that the store did not take: nothing is done about them.
        let mut not_stored: BTreeMap<KeyHash, &str> = BTreeMap::new();
        for output in outputs {
            match output {
                Output::Send(AgentFrame::Acks(mut acks)) => {
                    for ack in &mut acks {
                        if let Some(reason) = not_stored.get(&ack.key) {
                            ack.verdict = match self.sync.entries().get(&ack.key) {
                                Some(entry) => refused_by_store(reason, &entry.assignment.key),
                                None => refused_by_store(reason, ack.key),
                            };
                        }
                    }
                    self.send(AgentFrame::Acks(acks));
                }
                Output::Apply(key) if not_stored.contains_key(&key) => {}
                Output::Send(frame) => self.send(frame),
                Output::PersistFenceNow => {
                    self.learn_hub();
                    self.write_now(Kind::State, None).await?;
                }
                Output::PersistFence => self.state_dirty = true,
                Output::PersistAllNow => {
                    let kinds: BTreeSet<Kind> = self
                        .sync
                        .entries()
                        .keys()
                        .map(|key| shard_of(*key))
                        .collect();
                    for kind in kinds.into_iter().chain([Kind::State]) {
                        self.write_now(kind, None).await?;
                    }
                }
                Output::PersistEntryNow(key) => {
                    let reason = self.write_now(shard_of(key), Some(STORE_PATIENCE)).await?;
                    // One that is gone is gone: should the store still hold it, it is found to be gone again.
                    if let Some(reason) = reason.filter(|_| self.sync.entries().contains_key(&key))
                    {
                        let before = self.shared.entry(key);
                        self.sync.not_stored(key, before);
                        not_stored.insert(key, reason);
                    }
                }
                Output::PersistEntry(key) => {
                    self.dirty.insert(shard_of(key));
                }
                Output::Apply(key) => {
                    let entry = self.sync.entries().get(&key).cloned();
                    let before = self.shared.entry(key);
                    if let (Some(entry), Some(before)) = (&entry, before)
                        && entry.assignment.revision != before.assignment.revision
                    {
                        self.shared.reports.taken(key, entry.assignment.revision);
                    }
                    self.shared.set_entry(key, entry);
                    self.shared.queue.push(key);
                }
                Output::SendAllReports => self.shared.reports.all(),
                Output::SendRuns(after) => self.shared.ledger.wanted(after),
                Output::SendPolicyText(digest) => self.send_policy_text(digest),
                Output::PassLogs(wanted) => self.shared.logs.put(wanted),
                Output::TellRuns => self.shared.runs.obeying(true),
                Output::TakeRuns(orders) => self.shared.runs.put(orders, Vec::new()),
                Output::Close {
                    reason,
                    retry_after_ms,
                } => self.close(reason, retry_after_ms),
            }
        }
        if not_stored
            .values()
            .any(|reason| *reason == STORE_UNAVAILABLE)
        {
            // The next Hello shows what is held, and it is ordered again.
            self.close("the store can't be written".to_owned(), 0);
        }
        self.learn_hub();
        Ok(())
    }

    fn learn_hub(&self) {
        if self.shared.set_hub(self.sync.hub()) {
            self.shared.queue.extend(self.shared.keys());
        }
    }

    fn send(&mut self, frame: AgentFrame) {
        let Some(stream) = &self.stream else { return };
        if stream.frames.try_send(frame).is_err() {
            // A hub that does not read: it will be told everything again when it comes back.
            self.close("the hub does not read".to_owned(), 0);
        }
    }

    fn send_policy_text(&mut self, digest: PolicyDigest) {
        let text = self.shared.policy.borrow().text().cloned();
        // Another one by now: that is told next.
        if let Some(text) = text.filter(|text| text.digest() == digest) {
            self.send(AgentFrame::PolicyText { digest, text });
        }
    }

    fn close(&self, reason: String, retry_after_ms: u64) {
        if let Some(stream) = &self.stream {
            let _ = stream.close.try_send((reason, retry_after_ms));
        }
    }

    /// Leaves out orders that the store has no room for, and refuses them by name (rule 16). Each is counted as packed by
    /// itself, with room for what will be remembered of it.
    fn within_budget(&mut self, mut orders: Orders, refused: &mut Vec<Ack>) -> Orders {
        orders.orders.retain(|order| {
            let Order::Put(entry) = order else {
                return true;
            };
            let key = order.key();
            let kind = shard_of(key);
            let needs = |entry: &Entry| packed_len(entry, Record::default()) + RECORD_BYTES;
            let held = self.sync.entries().get(&key);
            let more = needs(entry).saturating_sub(held.map_or(0, |held| needs(held)));
            let grown = self.grown.entry(kind).or_default();
            let coming = *grown + more;
            let size = self.sizes.get(&kind).copied().unwrap_or_default() + coming;
            if more == 0 || size <= SHARD_MAX_BYTES {
                *grown = coming;
                return true;
            }
            refused.push(Ack {
                key,
                uid: order.uid(),
                number: order.number(),
                verdict: refused_by_store(STORE_FULL, &entry.assignment.key),
            });
            false
        });
        orders
    }

    // === the store ===

    fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    fn state_content(&self) -> StateContent {
        StateContent {
            hub: self.sync.hub().cloned(),
            fence: self.sync.fence(),
            watermark: self.sync.watermark(),
            ..self.state.clone()
        }
    }

    fn entries_content(&self, kind: Kind) -> EntriesContent {
        let here = self
            .sync
            .entries()
            .iter()
            .filter(|(key, _)| shard_of(**key) == kind);
        EntriesContent {
            entries: here
                .map(|(key, entry)| StoredEntry::new(entry, self.shared.record(*key)))
                .collect(),
        }
    }

    /// What is to be written next is counted from now on.
    fn count(&mut self, kind: Kind) {
        let grown = self.grown.remove(&kind).unwrap_or_default();
        *self.sizes.entry(kind).or_default() += grown;
    }

    /// Writes a shard, and tries until it is done (or patience ends): what follows may only be done then. Answers why it
    /// is not done.
    async fn write_now(
        &mut self,
        kind: Kind,
        patience: Option<Duration>,
    ) -> Result<Option<&'static str>, StoreError> {
        let begun = Instant::now();
        self.count(kind);
        let number = self.next_number();
        let state = (kind == Kind::State).then(|| self.state_content());
        let entries = self.entries_content(kind);
        let mut backoff = Backoff::api();
        loop {
            let result = match &state {
                Some(state) => self.store.write(kind, state, number).await,
                None => self.store.write(kind, &entries, number).await,
            };
            match result {
                Err(error @ StoreError::TooLarge { .. }) => {
                    if kind == Kind::State {
                        return Err(error);
                    }
                    self.flushed(kind, Err(error))?;
                    return Ok(Some(STORE_FULL));
                }
                Err(error)
                    if !error.is_fatal()
                        && !self.tasks.is_shutting_down()
                        && patience.is_none_or(|patience| begun.elapsed() < patience) =>
                {
                    self.complain(kind, &error);
                    tokio::time::sleep(backoff.delay(None)).await;
                }
                result => {
                    self.dirty.remove(&kind);
                    self.state_dirty &= kind != Kind::State;
                    let reason = result.is_err().then_some(STORE_UNAVAILABLE);
                    self.flushed(kind, result)?;
                    return Ok(reason);
                }
            }
        }
    }

    fn flushed(&mut self, kind: Kind, result: Result<usize, StoreError>) -> Result<(), StoreError> {
        match result {
            Ok(bytes) => {
                self.shared.metrics.store_writes.inc();
                self.shared.health.store(&format!("{kind:?}"), None);
                if bytes > 0 {
                    self.sizes.insert(kind, bytes);
                }
                Ok(())
            }
            Err(error) if error.is_fatal() => Err(error),
            Err(error) => {
                self.complain(kind, &error);
                match kind {
                    Kind::State => self.state_dirty = true,
                    Kind::Entries(_) => drop(self.dirty.insert(kind)),
                    Kind::Ledger(_) => self.shared.ledger.not_written(kind),
                }
                Ok(())
            }
        }
    }

    fn complain(&self, kind: Kind, error: &StoreError) {
        let words = with_causes(error);
        tracing::warn!(?kind, error = words, "the store can't be written");
        self.shared.health.store(&format!("{kind:?}"), Some(words));
    }

    /// Writes what changed, beside this task: an order that comes meanwhile does not wait.
    fn flush_behind(&mut self) {
        self.whole_again();
        let Some(sender) = self.sender.clone() else {
            return;
        };
        for kind in std::mem::take(&mut self.dirty) {
            self.count(kind);
            let (content, number) = (self.entries_content(kind), self.next_number());
            let (store, sender) = (Arc::clone(&self.store), sender.clone());
            self.tasks.spawn_child("store", async move {
                let result = store.write(kind, &content, number).await;
                let _ = sender.send(Event::Flushed { kind, result }).await;
            });
        }
        for kind in self.shared.ledger.take_dirty() {
            let (mut content, number) = (self.shared.ledger.content(kind), self.next_number());
            let (store, sender) = (Arc::clone(&self.store), sender.clone());
            self.tasks.spawn_child("store", async move {
                content.shrink_to(kind, SHARD_MAX_BYTES);
                let result = store.write(kind, &content, number).await;
                let _ = sender.send(Event::Flushed { kind, result }).await;
            });
        }
        if std::mem::take(&mut self.state_dirty) {
            let (content, number) = (self.state_content(), self.next_number());
            let (store, sender) = (Arc::clone(&self.store), sender.clone());
            self.tasks.spawn_child("store", async move {
                let result = store.write(Kind::State, &content, number).await;
                let _ = sender
                    .send(Event::Flushed {
                        kind: Kind::State,
                        result,
                    })
                    .await;
            });
        }
    }

    /// After damage: once every CronJob of ours is covered by an entry again, what is held is known again.
    fn whole_again(&mut self) {
        let Some(hub) = self.shared.hub().filter(|_| self.state.incomplete) else {
            return;
        };
        let policy = self.shared.policy.borrow().policy().cloned();
        let all_known = policy.is_ok_and(|policy| {
            let known = |key| self.sync.entries().contains_key(&key);
            let cache = &self.shared.cache;
            cache.all_known(hub.as_str(), policy.namespaces.keys(), known)
        });
        if all_known {
            tracing::info!(
                "every CronJob of ours is covered by an entry again: the store is whole"
            );
            self.state.incomplete = false;
            self.state_dirty = true;
            // Also those without an entry: an empty one would be damaged again at the next start.
            self.dirty.extend(
                self.sizes
                    .keys()
                    .filter(|kind| matches!(kind, Kind::Entries(_))),
            );
            self.sync.is_whole_again();
            // The next Hello says it.
            self.close("the store is whole again".to_owned(), 0);
        }
    }

    /// At the end: one try each, what fails is found again by dry-runs.
    async fn flush_all(&mut self) -> Result<(), StoreError> {
        for kind in self.shared.ledger.take_dirty() {
            let (mut content, number) = (self.shared.ledger.content(kind), self.next_number());
            content.shrink_to(kind, SHARD_MAX_BYTES);
            self.last_write(kind, &content, number).await?;
        }
        for kind in std::mem::take(&mut self.dirty) {
            let (content, number) = (self.entries_content(kind), self.next_number());
            self.last_write(kind, &content, number).await?;
        }
        if std::mem::take(&mut self.state_dirty) {
            let (content, number) = (self.state_content(), self.next_number());
            self.last_write(Kind::State, &content, number).await?;
        }
        Ok(())
    }

    async fn last_write(
        &self,
        kind: Kind,
        content: &(impl serde::Serialize + Sync),
        number: u64,
    ) -> Result<(), StoreError> {
        match self.store.write(kind, content, number).await {
            Err(error) if error.is_fatal() => Err(error),
            Err(error) => {
                tracing::warn!(
                    ?kind,
                    error = with_causes(&error),
                    "the store is not written at the end"
                );
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }
}
