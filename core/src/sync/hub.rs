//! The hub's end of a stream.
//!
//! In: frames of one agent, changes of what is desired there. Out: [`Output`]s, carried out in order.
//! Law: no order leaves before the inventory of this stream is known, nor to a cluster that has seen more than this hub
//! remembers (rule 5); an order is sent once per stream until it is superseded; silence changes nothing.
//! Not: what is desired (`index.rs`), who may connect (the certificate).

use super::frame::{
    Ack, AckVerdict, AgentFrame, AgentHealth, Hello, HubFrame, INVENTORY_CHUNK_ENTRIES,
    LOG_CHUNK_BYTES, LogChunk, MAX_ENTRIES, NAMES_CHUNK, ORDERS_CHUNK, ORDERS_CHUNK_BYTES, Orders,
    PROTOCOL_VERSION, REPORTS_CHUNK, RUN_EVENTS_CHUNK, ReportBatch, TELLS_POLICY, TELLS_RUNS,
    Welcome,
};
use super::policy::Asking;
use super::runs::Ordering;
use crate::admit::{Policy, PolicyText};
use crate::assignment::{Desired, EntryId, Holdings, OrderNumber, Removal, root_digest};
use crate::delta::{Order, order_for};
use crate::fence::{HubMemory, WentBack};
use crate::ids::{HubId, KeyHash, PolicyDigest, RootDigest, SegmentKey, Uid};
use crate::run_order::{RunEvent, RunOrder};
use crate::runs::{RUNS_CHUNK, RunBatch};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the hub remembers of a cluster from before this stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// What it held when it was last heard, if this process has heard it.
    pub held: Option<Holdings>,
    /// What it holds if it has the newest of everything and nothing else. Saves the inventory after a hub's restart.
    pub newest: Holdings,
    /// Token of the last batch of reports that was taken in.
    pub reports: Option<RootDigest>,
    /// Runs were told until this number; 0 without a memory.
    pub runs: u64,
}

/// What the shell has to do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a frame.
    Send(HubFrame),
    /// The agent said who it is.
    Greeted(Box<Hello>),
    /// All that the cluster holds is known on this stream.
    Inventory(Holdings),
    /// Names of entries that were unknown here.
    Names(Vec<SegmentKey>),
    /// What became of orders.
    Acked(Vec<Ack>),
    /// Reports.
    Reports(ReportBatch),
    /// Runs that are new, or other than they were told.
    Runs(RunBatch),
    /// What stops the agent as a whole.
    Health(AgentHealth),
    /// The cluster has the policy with this digest, or none that can be told. Where the hub does not know it,
    /// [`HubSync::want_policy`].
    PolicyTold(Option<PolicyDigest>),
    /// The policy that was asked for; none where this hub can't read it.
    PolicyRead(PolicyDigest, Option<Arc<Policy>>),
    /// What became of ordered runs.
    RunEvents(Vec<RunEvent>),
    /// Logs that were asked for.
    LogChunk(LogChunk),
    /// The cluster has seen more than this hub remembers: no orders until a human accepts the restore.
    WentBack(WentBack),
    /// The spoke's uid is not the certificate's.
    IdentityConflict {
        /// What the agent says.
        said: Uid,
    },
    /// End the stream.
    Close(CloseReason),
}

/// Why the hub ends a stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// Protocol versions do not meet.
    #[error("the agent speaks protocol {0}, this hub speaks {PROTOCOL_VERSION}")]
    Protocol(u32),
    /// A frame that may not come here.
    #[error("unexpected frame: {0}")]
    Unexpected(&'static str),
    /// More than a frame may carry.
    #[error("too much in one frame: {0}")]
    TooMuch(&'static str),
    /// The identity belongs to another cluster.
    #[error("this identity belongs to another cluster: its kube-system uid is {bound}, not {said}")]
    OtherCluster {
        /// In the certificate.
        bound: Uid,
        /// What the agent says.
        said: Uid,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    AwaitHello,
    AwaitInventory,
    Known,
}

/// What was sent for a key on this stream and is not superseded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sent {
    uid: Uid,
    number: OrderNumber,
    what: SentWhat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SentWhat {
    Put(EntryId),
    Remove(Removal),
}

impl Sent {
    fn of(order: &Order) -> Self {
        Self {
            uid: order.uid(),
            number: order.number(),
            what: match order {
                Order::Put(entry) => SentWhat::Put(entry.id()),
                Order::Remove { order, .. } => SentWhat::Remove(order.removal),
            },
        }
    }
}

/// The hub's end of one stream.
#[derive(Debug)]
pub struct HubSync {
    hub: HubId,
    bound_uid: Uid,
    phase: Phase,
    may_order: bool,
    collecting: Holdings,
    held: Holdings,
    desired: BTreeMap<KeyHash, Desired>,
    sent: BTreeMap<KeyHash, Sent>,
    names_asked: bool,
    policy: Asking,
    runs: Ordering,
}

impl HubSync {
    /// A stream whose peer's certificate is bound to `bound_uid`.
    pub fn new(hub: HubId, bound_uid: Uid) -> Self {
        Self {
            hub,
            bound_uid,
            phase: Phase::AwaitHello,
            may_order: false,
            collecting: Holdings::new(),
            held: Holdings::new(),
            desired: BTreeMap::new(),
            sent: BTreeMap::new(),
            names_asked: false,
            policy: Asking::default(),
            runs: Ordering::default(),
        }
    }

    /// What the cluster holds, as far as this stream has told.
    pub fn held(&self) -> &Holdings {
        &self.held
    }

    /// A frame came. `memory` is what this hub remembers of itself now, `remembered` what it remembers of the cluster
    /// (looked at only for a Hello).
    pub fn on_frame(
        &mut self,
        frame: AgentFrame,
        memory: &HubMemory,
        remembered: impl FnOnce() -> Remembered,
    ) -> Vec<Output> {
        match (self.phase, frame) {
            (Phase::AwaitHello, AgentFrame::Hello(hello)) => {
                self.on_hello(hello, memory, remembered())
            }
            (Phase::AwaitHello, _) => {
                close(CloseReason::Unexpected("the first frame must be Hello"))
            }
            (_, AgentFrame::Hello(_)) => close(CloseReason::Unexpected("a second Hello")),
            (Phase::AwaitInventory, AgentFrame::Inventory { entries, last }) => {
                self.on_inventory(&entries, last)
            }
            (Phase::Known, AgentFrame::Inventory { .. }) => {
                close(CloseReason::Unexpected("an inventory nobody asked for"))
            }
            (_, AgentFrame::Names(names)) if names.len() > NAMES_CHUNK => {
                close(CloseReason::TooMuch("names"))
            }
            (_, AgentFrame::Names(names)) => vec![Output::Names(names)],
            (Phase::Known, AgentFrame::Acks(acks)) => self.on_acks(acks, memory),
            (_, AgentFrame::Acks(_)) => close(CloseReason::Unexpected("acks before the inventory")),
            (_, AgentFrame::Reports(batch)) if batch.reports.len() > REPORTS_CHUNK => {
                close(CloseReason::TooMuch("reports"))
            }
            (_, AgentFrame::Reports(batch)) => vec![Output::Reports(batch)],
            (_, AgentFrame::Runs(batch)) if batch.runs.len() > RUNS_CHUNK => {
                close(CloseReason::TooMuch("runs"))
            }
            (_, AgentFrame::Runs(batch)) => vec![Output::Runs(batch)],
            (_, AgentFrame::Health(health)) => vec![Output::Health(health)],
            (_, AgentFrame::Policy(digest)) => {
                self.policy.told(digest);
                vec![Output::PolicyTold(digest)]
            }
            (_, AgentFrame::PolicyText { digest, text }) => self.on_policy_text(digest, &text),
            (_, AgentFrame::RunEvents(events)) if events.len() > RUN_EVENTS_CHUNK => {
                close(CloseReason::TooMuch("events of runs"))
            }
            (_, AgentFrame::LogChunk(chunk)) if chunk.data.len() > LOG_CHUNK_BYTES => {
                close(CloseReason::TooMuch("bytes of logs"))
            }
            (_, AgentFrame::LogChunk(chunk)) => vec![Output::LogChunk(chunk)],
            (_, AgentFrame::RunEvents(events)) => vec![Output::RunEvents(events)],
        }
    }

    /// The hub does not know the policy that this stream has told: the request for it, unless it is on its way or the
    /// agent can't answer it.
    pub fn want_policy(&mut self, digest: PolicyDigest) -> Option<HubFrame> {
        self.policy
            .want(digest)
            .then_some(HubFrame::PolicyWanted(digest))
    }

    /// What is desired of the cluster has changed: `None` is a key that the hub no longer knows.
    pub fn on_desired(
        &mut self,
        changes: impl IntoIterator<Item = (KeyHash, Option<Desired>)>,
        memory: &HubMemory,
    ) -> Vec<Output> {
        let mut orders = Vec::new();
        for (key, want) in changes {
            if let Some(want) = want {
                self.desired.insert(key, want);
                orders.extend(self.next_order(key));
            } else {
                self.desired.remove(&key);
                self.sent.remove(&key);
            }
        }
        let mut outputs = frames(orders, memory);
        if self.phase == Phase::Known && !self.names_asked {
            self.names_asked = true;
            outputs.extend(self.ask_names());
        }
        outputs
    }

    /// All orders to run that have not ended: those that this stream has not carried are sent.
    pub fn on_runs(&mut self, open: Vec<Arc<RunOrder>>, memory: &HubMemory) -> Vec<Output> {
        if !self.may_order || self.phase != Phase::Known {
            return Vec::new();
        }
        let frames = self.runs.next(open, memory.fence);
        frames.into_iter().map(Output::Send).collect()
    }

    fn on_hello(
        &mut self,
        hello: Hello,
        memory: &HubMemory,
        remembered: Remembered,
    ) -> Vec<Output> {
        if hello.protocol < PROTOCOL_VERSION {
            return close(CloseReason::Protocol(hello.protocol));
        }
        if hello.cluster_uid != self.bound_uid {
            return vec![
                Output::IdentityConflict {
                    said: hello.cluster_uid,
                },
                Output::Close(CloseReason::OtherCluster {
                    bound: self.bound_uid,
                    said: hello.cluster_uid,
                }),
            ];
        }
        let verdict = memory.remembers(hello.fence, hello.watermark);
        self.may_order = verdict.is_ok();
        let known = if hello.store_known {
            remembered
                .held
                .filter(|held| root_digest(held.values()) == hello.entries)
                .or_else(|| {
                    (root_digest(remembered.newest.values()) == hello.entries)
                        .then_some(remembered.newest)
                })
        } else {
            None
        };
        let tells_runs = hello.capabilities.iter().any(|name| name == TELLS_RUNS);
        // A ledger that is behind what it told has lost its end, or its clock went back: what it has is told again.
        let runs_after = if hello.runs < remembered.runs {
            0
        } else {
            remembered.runs
        };
        let welcome = Output::Send(HubFrame::Welcome(Welcome {
            protocol: PROTOCOL_VERSION,
            hub: self.hub.clone(),
            fence: memory.fence,
            watermark: memory.watermark(),
            want_inventory: known.is_none(),
            want_reports: remembered.reports != Some(hello.reports),
            runs_after: tells_runs.then_some(runs_after),
        }));
        self.runs = Ordering::new(&hello.capabilities);
        self.policy = Asking::new(hello.capabilities.iter().any(|name| name == TELLS_POLICY));
        self.policy.told(hello.policy);
        let policy = Output::PolicyTold(hello.policy);
        let mut outputs = vec![Output::Greeted(Box::new(hello)), welcome, policy];
        if let Err(went_back) = verdict {
            outputs.push(Output::WentBack(went_back));
        }
        match known {
            Some(held) => {
                self.held = held;
                self.phase = Phase::Known;
                outputs.push(Output::Inventory(self.held.clone()));
            }
            None => self.phase = Phase::AwaitInventory,
        }
        outputs
    }

    fn on_inventory(&mut self, entries: &[EntryId], last: bool) -> Vec<Output> {
        if entries.len() > INVENTORY_CHUNK_ENTRIES
            || self.collecting.len() + entries.len() > MAX_ENTRIES
        {
            return close(CloseReason::TooMuch("inventory entries"));
        }
        self.collecting
            .extend(entries.iter().map(|entry| (entry.key, *entry)));
        if !last {
            return Vec::new();
        }
        self.held = std::mem::take(&mut self.collecting);
        self.phase = Phase::Known;
        vec![Output::Inventory(self.held.clone())]
    }

    fn on_policy_text(&mut self, digest: PolicyDigest, text: &PolicyText) -> Vec<Output> {
        if !self.policy.answered(digest) {
            return close(CloseReason::Unexpected("a policy nobody asked for"));
        }
        if text.digest() != digest {
            return close(CloseReason::Unexpected(
                "a policy with the digest of another",
            ));
        }
        // Why it can't be read would quote it: the cluster's own agent says it better.
        let policy = text.policy().ok().map(Arc::new);
        vec![Output::PolicyRead(digest, policy)]
    }

    fn on_acks(&mut self, acks: Vec<Ack>, memory: &HubMemory) -> Vec<Output> {
        if acks.len() > ORDERS_CHUNK {
            return close(CloseReason::TooMuch("acks"));
        }
        for ack in &acks {
            match &ack.verdict {
                AckVerdict::Holds(id) if id.key == ack.key => {
                    self.held.insert(ack.key, *id);
                }
                AckVerdict::Holds(_) => {
                    return close(CloseReason::Unexpected("an ack for another segment"));
                }
                AckVerdict::HoldsNothing => {
                    self.held.remove(&ack.key);
                }
                AckVerdict::Refused { .. } => {}
            }
        }
        // What was desired while the order was on its way may differ from what is held now: a Put that was followed
        // by a removal, say, which could not be ordered of a cluster that held nothing yet.
        let orders = acks
            .iter()
            .filter_map(|ack| self.next_order(ack.key))
            .collect();
        let mut outputs = vec![Output::Acked(acks)];
        outputs.extend(frames(orders, memory));
        outputs
    }

    /// The order for a key, unless it needs none or was sent on this stream already.
    fn next_order(&mut self, key: KeyHash) -> Option<Order> {
        if !self.may_order || self.phase != Phase::Known {
            return None;
        }
        let held = self.held.get(&key);
        let order = match self.desired.get(&key) {
            // Ordered even where nothing is known to be held: an order to put it may be on its way, or may have been
            // taken on a stream that broke before it was acknowledged. The answer is the proof.
            Some(Desired::Remove(order)) if held.is_none() => {
                Some(Order::Remove { key, order: *order })
            }
            Some(want) => order_for(held, key, want),
            None => None,
        };
        let Some(order) = order else {
            // What was sent last may still be on its way and say something else; then it is said again.
            if let Some(sent) = self.sent.get(&key).copied()
                && let Some(Desired::Entry(entry)) = self.desired.get(&key)
                && sent.what != SentWhat::Put(entry.id())
            {
                let order = Order::Put(std::sync::Arc::clone(entry));
                self.sent.insert(key, Sent::of(&order));
                return Some(order);
            }
            return None;
        };
        let sent = Sent::of(&order);
        if self.sent.get(&key) == Some(&sent) {
            return None;
        }
        self.sent.insert(key, sent);
        Some(order)
    }

    fn ask_names(&self) -> Vec<Output> {
        let unknown: Vec<KeyHash> = self
            .held
            .keys()
            .filter(|key| !self.desired.contains_key(key))
            .copied()
            .collect();
        unknown
            .chunks(NAMES_CHUNK)
            .map(|chunk| Output::Send(HubFrame::NamesWanted(chunk.to_vec())))
            .collect()
    }
}

fn close(reason: CloseReason) -> Vec<Output> {
    vec![Output::Close(reason)]
}

/// Orders in frames of bounded size.
fn frames(orders: Vec<Order>, memory: &HubMemory) -> Vec<Output> {
    let mut outputs = Vec::new();
    let mut frame = Vec::new();
    let mut bytes = 0;
    let flush = |frame: &mut Vec<Order>, outputs: &mut Vec<Output>| {
        if !frame.is_empty() {
            outputs.push(Output::Send(HubFrame::Orders(Orders {
                fence: memory.fence,
                watermark: memory.watermark(),
                orders: std::mem::take(frame),
            })));
        }
    };
    for order in orders {
        let size = match &order {
            Order::Put(entry) => entry.assignment.rendered.bytes().len(),
            Order::Remove { .. } => 0,
        };
        if frame.len() >= ORDERS_CHUNK || (bytes + size > ORDERS_CHUNK_BYTES && !frame.is_empty()) {
            flush(&mut frame, &mut outputs);
            bytes = 0;
        }
        bytes += size;
        frame.push(order);
    }
    flush(&mut frame, &mut outputs);
    outputs
}
