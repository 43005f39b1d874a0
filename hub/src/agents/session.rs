//! One stream: frames in and out, nothing decided here.
//!
//! In: frames of the agent, desired values in its slots, the hub's memory. Out: frames, events for the fleet task.
//! Law: no frame of orders leaves without the Lease (monotonic clock); what can't be sent within the limit ends the
//! stream; its end is told once. Not: what to send (`core::sync::hub`).

use super::gate::Gate;
use super::identity::LeafInfo;
use super::server::Sessions;
use crate::fleet::{Event, Fleet, FleetGone, PolicyEvent, Slots, StreamEvent};
use crate::leader;
use crate::metrics::AgentsMetrics;
use jiff::Timestamp;
use segment_core::fence::HubMemory;
use segment_core::sync::frame::{AgentFrame, HubFrame};
use segment_core::sync::hub::{HubSync, Output, Remembered};
use segment_proto::agent::v1;
use segment_proto::convert::frame::{agent_frame_from_wire, hub_frame_to_wire};
use segment_runtime::audit::AuditResult;
use segment_runtime::lease::LeaseState;
use segment_runtime::{AuditLine, Tasks};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

/// Frames on their way to the socket; beyond it the session waits, and only the newest values wait with it.
pub const OUT_QUEUE: usize = 4;
/// How long a frame may wait for the socket.
const SEND_LIMIT: Duration = Duration::from_secs(30);
/// How long an agent may take for its Hello.
const HELLO_LIMIT: Duration = Duration::from_secs(5);
/// How long a stream may take to get on record.
const RECORD_LIMIT: Duration = Duration::from_secs(10);
/// How often a live stream's identity is judged again: revocation closes it within 5 s.
const JUDGE_PERIOD: Duration = Duration::from_secs(2);
/// A stream that ends with its hub dials again after this much, at random up to it.
const GOODBYE_RETRY_MS: u64 = 500;

/// What a session needs.
#[derive(Debug)]
pub struct Session {
    /// Its number: rises with each stream of this process.
    pub number: u64,
    /// Who is at the other end.
    pub leaf: Arc<LeafInfo>,
    /// Judged again while it lives.
    pub gate: Gate,
    /// Told of everything.
    pub fleet: Fleet,
    /// What the hub remembers of itself.
    pub memory: watch::Receiver<HubMemory>,
    /// Whether we lead.
    pub lease: watch::Receiver<LeaseState>,
    /// Counters.
    pub metrics: AgentsMetrics,
    /// Which stream of a cluster counts.
    pub sessions: Arc<Sessions>,
    /// A newer stream of the same cluster ends this one.
    pub replaced: CancellationToken,
    /// The process' end.
    pub shutdown: CancellationToken,
}

/// Where frames go.
pub type Out = mpsc::Sender<Result<v1::SyncResponse, Status>>;

/// Why a session ended.
enum End {
    /// The agent left.
    Left,
    /// We end it, with a status that says why.
    Closed(Status),
    /// We end it politely.
    Goodbye(&'static str),
}

impl From<FleetGone> for End {
    fn from(_: FleetGone) -> Self {
        Self::Goodbye("the hub is stopping")
    }
}

impl Session {
    /// Starts the session's task.
    pub fn start(self, frames: Streaming<v1::SyncRequest>, out: Out, tasks: &Tasks) {
        tasks.spawn_child("agent-session", self.run(frames, out));
    }

    async fn run(mut self, mut frames: Streaming<v1::SyncRequest>, out: Out) {
        let cluster = self.leaf.cluster.clone();
        self.metrics.streams.inc();
        let end = self
            .live(&mut frames, &out)
            .await
            .err()
            .unwrap_or(End::Left);
        match end {
            End::Left => {
                tracing::info!(%cluster, session = self.number, "stream ended by the agent");
            }
            End::Closed(status) => {
                tracing::info!(%cluster, session = self.number, reason = status.message(), "stream closed");
                let _gone = tokio::time::timeout(SEND_LIMIT, out.send(Err(status))).await;
            }
            End::Goodbye(reason) => {
                tracing::info!(%cluster, session = self.number, reason, "stream ended");
                let frame = HubFrame::Goodbye {
                    reason: reason.to_owned(),
                    retry_after_ms: GOODBYE_RETRY_MS,
                };
                let _gone =
                    tokio::time::timeout(SEND_LIMIT, out.send(Ok(hub_frame_to_wire(frame)))).await;
            }
        }
        self.sessions.ended(&cluster, self.number);
        let ended = Event::Stream {
            cluster,
            session: self.number,
            what: StreamEvent::Ended,
        };
        // The fleet task ends only with the process.
        let _ending = self.fleet.tell(ended).await;
    }

    async fn live(
        &mut self,
        frames: &mut Streaming<v1::SyncRequest>,
        out: &Out,
    ) -> Result<(), End> {
        let slots = Arc::new(Slots::default());
        let mut sync = HubSync::new(self.gate.hub.clone(), self.leaf.cluster_uid);
        let first = tokio::time::timeout(HELLO_LIMIT, frames.message())
            .await
            .map_err(|_| End::Closed(Status::deadline_exceeded("no Hello within 5 s")))?;
        self.take(&mut sync, first, &slots, out).await?;
        let era = self.memory.borrow().fence.era;
        let mut judge = tokio::time::interval(JUDGE_PERIOD);
        let life = self.leaf.not_after.duration_since(Timestamp::now());
        let ends = tokio::time::sleep(Duration::try_from(life).unwrap_or(Duration::ZERO));
        tokio::pin!(ends);
        let mut known = false;
        let opened = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return Err(End::Goodbye("the hub is stopping")),
                () = self.replaced.cancelled() => return Err(End::Goodbye("a newer stream of this cluster is open")),
                () = &mut ends => return Err(End::Goodbye("the certificate of this stream has ended")),
                // Before the rest: an agent that floods the hub must not outlive its revocation.
                _ = judge.tick() => {
                    self.gate.still_good(&self.leaf).map_err(End::Closed)?;
                    if self.memory.borrow().fence.era != era {
                        return Err(End::Goodbye("the restore was accepted: a new era begins"));
                    }
                    if !leader::leads(&self.lease) {
                        return Err(End::Goodbye("this hub no longer leads"));
                    }
                    self.on_record(&mut known, opened)?;
                }
                changes = slots.take() => {
                    let outputs = {
                        let memory = self.memory.borrow().clone();
                        let mut outputs = sync.on_desired(changes.desired, &memory);
                        if let Some(open) = changes.runs {
                            outputs.extend(sync.on_runs(open, &memory));
                        }
                        let logs = changes.logs.into_iter().map(HubFrame::LogsWanted);
                        outputs.extend(logs.map(Output::Send));
                        outputs
                    };
                    self.carry_out(&mut sync, outputs, &slots, out).await?;
                }
                frame = frames.message() => self.take(&mut sync, frame, &slots, out).await?,
            }
        }
    }

    /// Whether the index still knows this stream: a Cluster that was deleted and made again does not.
    fn on_record(&self, known: &mut bool, opened: Instant) -> Result<(), End> {
        let cluster = &self.leaf.cluster;
        let newest = self
            .fleet
            .index()
            .clusters()
            .get(cluster)
            .and_then(|cluster| cluster.session);
        *known |= newest == Some(self.number);
        if newest != Some(self.number) && (*known || opened.elapsed() > RECORD_LIMIT) {
            return Err(End::Goodbye(
                "this stream is not the one on record: begin anew",
            ));
        }
        Ok(())
    }

    async fn take(
        &mut self,
        sync: &mut HubSync,
        frame: Result<Option<v1::SyncRequest>, Status>,
        slots: &Arc<Slots>,
        out: &Out,
    ) -> Result<(), End> {
        let Ok(Some(wire)) = frame else {
            return Err(End::Left);
        };
        let read = agent_frame_from_wire(wire)
            .map_err(|error| End::Closed(Status::invalid_argument(error.to_string())))?;
        let Some(read) = read else { return Ok(()) };
        for left_out in &read.left_out {
            tracing::warn!(cluster = %self.leaf.cluster, error = %left_out, "a part of a frame was left out");
        }
        let remembered = match &read.frame {
            AgentFrame::Hello(_) => self.fleet.remember(&self.leaf.cluster).await?,
            _ => Remembered::default(),
        };
        let memory = self.memory.borrow().clone();
        let outputs = sync.on_frame(read.frame, &memory, || remembered);
        self.carry_out(sync, outputs, slots, out).await
    }

    async fn carry_out(
        &self,
        sync: &mut HubSync,
        outputs: Vec<Output>,
        slots: &Arc<Slots>,
        out: &Out,
    ) -> Result<(), End> {
        let went_back = outputs.iter().find_map(|output| match output {
            Output::WentBack(why) => Some(why.to_string()),
            _ => None,
        });
        for output in outputs {
            let what = match output {
                Output::Send(frame) => {
                    self.send(frame, out).await?;
                    continue;
                }
                Output::Greeted(hello) => {
                    self.sessions
                        .greeted(&self.leaf.cluster, self.number, &self.replaced);
                    StreamEvent::Greeted(hello, went_back.clone())
                }
                Output::Inventory(held) => StreamEvent::Inventory(held, Arc::clone(slots)),
                Output::Names(names) => StreamEvent::Names(names),
                Output::Acked(acks) => StreamEvent::Acked(acks),
                Output::Reports(batch) => StreamEvent::Reports(batch),
                Output::Runs(batch) => StreamEvent::Runs(batch),
                Output::Health(health) => StreamEvent::Health(health),
                Output::RunEvents(events) => StreamEvent::RunEvents(events),
                Output::LogChunk(chunk) => {
                    let requests = self.fleet.log_requests();
                    requests.chunk(&self.leaf.cluster, chunk);
                    continue;
                }
                Output::PolicyTold(told) => {
                    let (cluster, session) = (&self.leaf.cluster, self.number);
                    let wanted = self.fleet.policy_told(cluster, session, told).await?;
                    if let Some(request) = wanted.and_then(|digest| sync.want_policy(digest)) {
                        self.send(request, out).await?;
                    }
                    continue;
                }
                Output::PolicyRead(digest, policy) => {
                    let read = Event::Policy(PolicyEvent::Read {
                        cluster: self.leaf.cluster.clone(),
                        session: self.number,
                        digest,
                        policy,
                    });
                    self.fleet.tell(read).await?;
                    continue;
                }
                Output::WentBack(_) => continue,
                Output::IdentityConflict { said } => StreamEvent::IdentityConflict(said),
                Output::Close(reason) => {
                    self.metrics.refused.inc();
                    return Err(End::Closed(Status::failed_precondition(reason.to_string())));
                }
            };
            let event = Event::Stream {
                cluster: self.leaf.cluster.clone(),
                session: self.number,
                what,
            };
            self.fleet.tell(event).await?;
        }
        Ok(())
    }

    async fn send(&self, frame: HubFrame, out: &Out) -> Result<(), End> {
        // A leader that slept must notice before it orders anything.
        if matches!(frame, HubFrame::Orders(_) | HubFrame::RunOrders(_))
            && !leader::leads(&self.lease)
        {
            return Err(End::Goodbye("this hub no longer leads"));
        }
        if let HubFrame::Orders(orders) = &frame {
            self.metrics.orders.inc_by(orders.orders.len() as u64);
            for order in &orders.orders {
                if let segment_core::delta::Order::Remove { key, order } = order {
                    AuditLine {
                        time: Timestamp::now(),
                        actor: "segment-hub".to_owned(),
                        action: "assignment.remove".into(),
                        subject: format!("cluster/{}/segment-hash/{key}", self.leaf.cluster),
                        uid: Some(order.uid.to_string()),
                        reason: None,
                        result: AuditResult::Done,
                    }
                    .emit();
                }
            }
        }
        match tokio::time::timeout(SEND_LIMIT, out.send(Ok(hub_frame_to_wire(frame)))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Left),
            Err(_) => Err(End::Closed(Status::deadline_exceeded(
                "the agent does not read",
            ))),
        }
    }
}
