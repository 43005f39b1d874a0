//! The agent's end of a stream.
//!
//! In: what the store held, frames from the hub, removals that the applier finished.
//! Out: [`Output`]s, carried out in order; a `Persist…Now` must have succeeded before the next one is carried out.
//! Law: a higher fence and a removal are stored before they are acted on; an order under a lower fence, of another
//! hub, or with a lower number for the same uid changes nothing; what no order names is kept.
//! Not: admission and applying (`admit.rs`, `apply.rs`); reports (`reporter.rs`).

use super::frame::{
    Ack, AckVerdict, AgentFrame, Hello, HubFrame, INVENTORY_CHUNK_ENTRIES, LogsWanted, MAX_ENTRIES,
    NAMES_CHUNK, Orders, PASSES_LOGS, PROTOCOL_VERSION, RUNS_NOW, TELLS_POLICY, TELLS_RUNS,
    Welcome,
};
use super::policy::Telling;
use crate::assignment::{Entry, EntryId, OrderNumber, root_digest};
use crate::delta::Order;
use crate::fence::{Fence, FenceVerdict, Watermark, judge_fence};
use crate::ids::{HubId, InstanceId, KeyHash, PolicyDigest, RootDigest, Uid};
use crate::run_order::RunOrder;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the store held when the process started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// The hub whose orders these entries are.
    pub hub: Option<HubId>,
    /// Highest fence obeyed.
    pub fence: Option<Fence>,
    /// Highest watermark seen.
    pub watermark: Option<Watermark>,
    /// The entries.
    pub entries: BTreeMap<KeyHash, Arc<Entry>>,
    /// True when a shard could not be read: what is held is *unknown*, and unknown never removes.
    pub damaged: bool,
}

/// What a Hello says beside the store's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The spoke's kube-system uid.
    pub cluster_uid: Uid,
    /// Random id of this process.
    pub process: InstanceId,
    /// Token of the last batch of reports.
    pub reports: RootDigest,
    /// Number of the newest change in the ledger of runs.
    pub runs: u64,
    /// Version of the agent.
    pub agent_version: String,
    /// Version of the spoke's API server.
    pub kubernetes_version: String,
}

/// What the shell has to do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::large_enum_variant,
    reason = "few at a time, and carried out at once"
)]
pub enum Output {
    /// Send a frame.
    Send(AgentFrame),
    /// Store hub, fence and watermark, and wait until it is done.
    PersistFenceNow,
    /// Store hub, fence and watermark behind, coalesced.
    PersistFence,
    /// Store all entries, then hub, fence and watermark, and wait until it is done.
    PersistAllNow,
    /// Store one entry (or its absence), and wait until it is done.
    PersistEntryNow(KeyHash),
    /// Store one entry (or its absence) behind, coalesced.
    PersistEntry(KeyHash),
    /// The entry changed: look at it.
    Apply(KeyHash),
    /// Send all reports.
    SendAllReports,
    /// Send runs that changed after this number, now and as they change; 0: the newest of each Segment.
    SendRuns(u64),
    /// Send the text of the policy with this digest, if it is still the one in force.
    SendPolicyText(PolicyDigest),
    /// Tell how the runs are that were ordered: the hub obeyed on this stream may not know.
    TellRuns,
    /// Take up these orders to run.
    TakeRuns(Vec<Arc<RunOrder>>),
    /// Pass these logs on, or stop that.
    PassLogs(LogsWanted),
    /// End the stream.
    Close {
        /// For the log.
        reason: String,
        /// Do not dial again before this many milliseconds.
        retry_after_ms: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Session {
    Away,
    Greeted,
    /// The hub's fence was accepted on this stream.
    Obeying,
}

/// The agent's end.
#[derive(Debug)]
pub struct AgentSync {
    hub: Option<HubId>,
    /// The hub that gave the certificate.
    joined: Option<HubId>,
    fence: Option<Fence>,
    watermark: Option<Watermark>,
    entries: BTreeMap<KeyHash, Arc<Entry>>,
    damaged: bool,
    policy: Telling,
    session: Session,
}

/// How long an agent waits before it dials a hub again whose orders it can't take, in milliseconds.
const REFUSED_HUB_RETRY_MS: u64 = 10_000;

impl AgentSync {
    /// Takes up what the store held.
    pub fn new(stored: Stored) -> Self {
        Self {
            hub: stored.hub,
            joined: None,
            fence: stored.fence,
            watermark: stored.watermark,
            entries: stored.entries,
            damaged: stored.damaged,
            policy: Telling::default(),
            session: Session::Away,
        }
    }

    /// What is held.
    pub fn entries(&self) -> &BTreeMap<KeyHash, Arc<Entry>> {
        &self.entries
    }

    /// The hub whose orders are obeyed.
    pub fn hub(&self) -> Option<&HubId> {
        self.hub.as_ref()
    }

    /// Highest fence obeyed.
    pub fn fence(&self) -> Option<Fence> {
        self.fence
    }

    /// Highest watermark seen.
    pub fn watermark(&self) -> Option<Watermark> {
        self.watermark
    }

    /// The hub's fence was accepted on the open stream.
    pub fn is_obeying(&self) -> bool {
        self.session == Session::Obeying
    }

    /// What is held is known again: everything of ours that runs here is covered by an entry.
    pub fn is_whole_again(&mut self) {
        self.damaged = false;
    }

    /// Which hub this cluster has joined: no other one is obeyed.
    pub fn joined(&mut self, hub: HubId) {
        self.joined = Some(hub);
    }

    /// The store did not take an entry: what is held is again what was acted on last.
    pub fn not_stored(&mut self, key: KeyHash, before: Option<Arc<Entry>>) {
        match before {
            Some(entry) => self.entries.insert(key, entry),
            None => self.entries.remove(&key),
        };
    }

    /// A stream is open.
    pub fn connected(&mut self, about: About) -> Vec<Output> {
        self.session = Session::Greeted;
        vec![Output::Send(AgentFrame::Hello(Hello {
            protocol: PROTOCOL_VERSION,
            capabilities: vec![
                TELLS_POLICY.to_owned(),
                RUNS_NOW.to_owned(),
                PASSES_LOGS.to_owned(),
                TELLS_RUNS.to_owned(),
            ],
            fence: self.fence,
            watermark: self.watermark,
            cluster_uid: about.cluster_uid,
            process: about.process,
            entries: root_digest(&self.inventory()),
            reports: about.reports,
            store_known: !self.damaged,
            agent_version: about.agent_version,
            kubernetes_version: about.kubernetes_version,
            policy: self.policy.in_hello(),
            runs: about.runs,
        }))]
    }

    /// The spoke's own policy has this digest now; none: there is no policy that can be told.
    pub fn policy_is(&mut self, digest: Option<PolicyDigest>) -> Vec<Output> {
        self.policy.is(digest);
        match self.session {
            Session::Obeying => self.tell_policy().into_iter().collect(),
            // The hub answers Hello first; then it is told.
            Session::Away | Session::Greeted => Vec::new(),
        }
    }

    fn tell_policy(&mut self) -> Option<Output> {
        self.policy.news().map(Output::Send)
    }

    /// The stream has ended.
    pub fn disconnected(&mut self) {
        self.session = Session::Away;
    }

    /// A frame came.
    pub fn on_frame(&mut self, frame: HubFrame) -> Vec<Output> {
        match (self.session, frame) {
            (Session::Away, _) => Vec::new(),
            (Session::Greeted, HubFrame::Welcome(welcome)) => self.on_welcome(&welcome),
            (
                _,
                HubFrame::Goodbye {
                    reason,
                    retry_after_ms,
                },
            ) => vec![Output::Close {
                reason,
                retry_after_ms,
            }],
            (Session::Obeying, HubFrame::Orders(orders)) => self.on_orders(orders),
            (Session::Obeying, HubFrame::InventoryWanted) => self.inventory_frames(),
            (Session::Obeying, HubFrame::ReportsWanted) => vec![Output::SendAllReports],
            (Session::Obeying, HubFrame::NamesWanted(keys)) => self.names(&keys),
            (Session::Obeying, HubFrame::PolicyWanted(digest)) => self
                .policy
                .is_in_force(digest)
                .then_some(Output::SendPolicyText(digest))
                .into_iter()
                .collect(),
            (Session::Obeying, HubFrame::LogsWanted(wanted)) => vec![Output::PassLogs(wanted)],
            (Session::Obeying, HubFrame::RunOrders(runs)) => {
                match self.other_fence("run orders", runs.fence) {
                    Some(close) => vec![close],
                    None => vec![Output::TakeRuns(runs.orders)],
                }
            }
            (session, frame) => vec![Output::Close {
                reason: format!(
                    "the hub sent {} while the stream was {session:?}",
                    frame_name(&frame)
                ),
                retry_after_ms: REFUSED_HUB_RETRY_MS,
            }],
        }
    }

    /// The applier has carried out a removal (or found that there is nothing left to remove).
    pub fn removed(&mut self, key: KeyHash, uid: Uid) -> Vec<Output> {
        match self.entries.get(&key) {
            Some(entry) if entry.assignment.uid == uid && entry.removing.is_some() => {
                let number = entry.assignment.number;
                self.entries.remove(&key);
                let mut outputs = vec![Output::PersistEntryNow(key)];
                if self.session == Session::Obeying {
                    outputs.push(Output::Send(AgentFrame::Acks(vec![Ack {
                        key,
                        uid,
                        number,
                        verdict: AckVerdict::HoldsNothing,
                    }])));
                }
                outputs
            }
            _ => Vec::new(),
        }
    }

    fn on_welcome(&mut self, welcome: &Welcome) -> Vec<Output> {
        let refuse = |reason: String| {
            vec![Output::Close {
                reason,
                retry_after_ms: REFUSED_HUB_RETRY_MS,
            }]
        };
        let obeyed = self.hub.as_ref().or(self.joined.as_ref());
        if let Some(hub) = obeyed.filter(|hub| **hub != welcome.hub) {
            return refuse(format!(
                "this hub is {}, the cluster obeys hub {hub}: a hand-over has to be ordered",
                welcome.hub
            ));
        }
        if welcome.protocol != PROTOCOL_VERSION {
            return refuse(format!(
                "the hub speaks protocol {}, this agent speaks {PROTOCOL_VERSION}",
                welcome.protocol
            ));
        }
        let mut outputs = Vec::new();
        match judge_fence(self.fence, welcome.fence) {
            FenceVerdict::Lower => {
                return refuse(format!(
                    "the hub is at {}, this cluster has obeyed {}",
                    welcome.fence,
                    self.fence.unwrap_or_default()
                ));
            }
            FenceVerdict::OtherInstance => {
                return refuse(format!(
                    "another hub process has the same {}: two hubs run from one copy",
                    welcome.fence
                ));
            }
            FenceVerdict::Same if self.hub.is_some() => {}
            FenceVerdict::Same => outputs.push(Output::PersistFenceNow),
            FenceVerdict::Higher { new_era } => {
                if new_era {
                    // An accepted restore: what was seen before no longer compares, neither the watermark nor the
                    // numbers of orders.
                    self.watermark = None;
                    for entry in self.entries.values_mut() {
                        Arc::make_mut(entry).assignment.number = OrderNumber::default();
                    }
                    outputs.push(Output::PersistAllNow);
                } else {
                    outputs.push(Output::PersistFenceNow);
                }
            }
        }
        self.hub = Some(welcome.hub.clone());
        self.fence = Some(welcome.fence);
        self.session = Session::Obeying;
        outputs.extend(self.tell_policy());
        outputs.push(Output::TellRuns);
        if welcome.want_inventory {
            outputs.extend(self.inventory_frames());
        }
        if welcome.want_reports {
            outputs.push(Output::SendAllReports);
        }
        outputs.extend(welcome.runs_after.map(Output::SendRuns));
        outputs
    }

    /// The fence was accepted with the Welcome; a stream carries one leader's orders only.
    fn other_fence(&self, what: &str, fence: Fence) -> Option<Output> {
        (self.fence != Some(fence)).then(|| Output::Close {
            reason: format!("{what} came under {fence}, the stream was opened otherwise"),
            retry_after_ms: REFUSED_HUB_RETRY_MS,
        })
    }

    fn on_orders(&mut self, orders: Orders) -> Vec<Output> {
        if let Some(close) = self.other_fence("orders", orders.fence) {
            return vec![close];
        }
        let mut outputs = Vec::new();
        if self.watermark.is_none_or(|seen| orders.watermark > seen) {
            self.watermark = Some(orders.watermark);
            outputs.push(Output::PersistFence);
        }
        let mut acks = Vec::with_capacity(orders.orders.len());
        let mut apply = Vec::new();
        for order in orders.orders {
            let (key, uid, number) = (order.key(), order.uid(), order.number());
            let (verdict, persist) = self.take(order);
            match verdict {
                // Acted on only after it is stored: a removal that was forgotten would come back to life.
                Taken::Stored => outputs.push(if persist == Persist::Now {
                    Output::PersistEntryNow(key)
                } else {
                    Output::PersistEntry(key)
                }),
                Taken::Nothing | Taken::Refused { .. } => {}
            }
            if verdict == Taken::Stored {
                apply.push(Output::Apply(key));
            }
            let verdict = match verdict {
                Taken::Refused { reason, message } => AckVerdict::Refused {
                    reason: reason.to_owned(),
                    message,
                },
                Taken::Stored | Taken::Nothing => match self.entries.get(&key) {
                    Some(entry) => AckVerdict::Holds(entry.id()),
                    None => AckVerdict::HoldsNothing,
                },
            };
            acks.push(Ack {
                key,
                uid,
                number,
                verdict,
            });
        }
        outputs.extend(apply);
        if !acks.is_empty() {
            outputs.push(Output::Send(AgentFrame::Acks(acks)));
        }
        outputs
    }

    fn take(&mut self, order: Order) -> (Taken, Persist) {
        let key = order.key();
        let held = self.entries.get(&key);
        if let Some(held) = held
            && held.assignment.uid == order.uid()
            && order.number() < held.assignment.number
        {
            return (
                Taken::refused(
                    "Fenced",
                    format!(
                        "generation {} order {} is older than generation {} order {} that this cluster holds",
                        order.number().generation,
                        order.number().order,
                        held.assignment.number.generation,
                        held.assignment.number.order
                    ),
                ),
                Persist::Behind,
            );
        }
        match order {
            // A removal has an order of its own, which is stored before it is acted on.
            Order::Put(entry) if entry.removing.is_some() => (
                Taken::refused("Unreadable", "an order to hold and to remove".to_owned()),
                Persist::Behind,
            ),
            Order::Put(entry) => {
                if held.is_some_and(|held| {
                    held.id() == entry.id() && held.assignment.number == entry.assignment.number
                }) {
                    return (Taken::Nothing, Persist::Behind);
                }
                if held.is_none() && self.entries.len() >= MAX_ENTRIES {
                    return (
                        Taken::refused(
                            "StoreFull",
                            format!("this cluster holds {MAX_ENTRIES} entries already"),
                        ),
                        Persist::Behind,
                    );
                }
                self.entries.insert(key, entry);
                (Taken::Stored, Persist::Behind)
            }
            Order::Remove { order, .. } => match held {
                None if self.damaged => (
                    Taken::refused(
                        "UnknownStore",
                        "what this cluster holds is unknown, and unknown never removes".to_owned(),
                    ),
                    Persist::Behind,
                ),
                None => (Taken::Nothing, Persist::Behind),
                // A namesake with another uid took the place of the one that goes.
                Some(held) if held.assignment.uid != order.uid => (Taken::Nothing, Persist::Behind),
                Some(held)
                    if held.removing == Some(order.removal)
                        && held.assignment.number == order.number =>
                {
                    (Taken::Nothing, Persist::Behind)
                }
                Some(held) => {
                    let mut entry = Entry::clone(held);
                    entry.removing = Some(order.removal);
                    entry.assignment.number = order.number;
                    self.entries.insert(key, Arc::new(entry));
                    (Taken::Stored, Persist::Now)
                }
            },
        }
    }

    fn inventory(&self) -> Vec<EntryId> {
        self.entries.values().map(|entry| entry.id()).collect()
    }

    fn inventory_frames(&self) -> Vec<Output> {
        let all = self.inventory();
        let mut chunks: Vec<&[EntryId]> = all.chunks(INVENTORY_CHUNK_ENTRIES).collect();
        if chunks.is_empty() {
            chunks.push(&[]);
        }
        let last = chunks.len() - 1;
        chunks
            .into_iter()
            .enumerate()
            .map(|(i, chunk)| {
                Output::Send(AgentFrame::Inventory {
                    entries: chunk.to_vec(),
                    last: i == last,
                })
            })
            .collect()
    }

    fn names(&self, keys: &[KeyHash]) -> Vec<Output> {
        let names: Vec<_> = keys
            .iter()
            .filter_map(|key| self.entries.get(key))
            .map(|entry| entry.assignment.key.clone())
            .collect();
        names
            .chunks(NAMES_CHUNK)
            .map(|chunk| Output::Send(AgentFrame::Names(chunk.to_vec())))
            .collect()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Taken {
    Stored,
    Nothing,
    Refused {
        reason: &'static str,
        message: String,
    },
}

impl Taken {
    fn refused(reason: &'static str, message: String) -> Self {
        Self::Refused { reason, message }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Persist {
    Now,
    Behind,
}

fn frame_name(frame: &HubFrame) -> &'static str {
    match frame {
        HubFrame::Welcome(_) => "a Welcome",
        HubFrame::Orders(_) => "orders",
        HubFrame::NamesWanted(_) => "a request for names",
        HubFrame::InventoryWanted => "a request for the inventory",
        HubFrame::ReportsWanted => "a request for reports",
        HubFrame::PolicyWanted(_) => "a request for the policy",
        HubFrame::RunOrders(_) => "run orders",
        HubFrame::LogsWanted(_) => "a request for logs",
        HubFrame::Goodbye { .. } => "a Goodbye",
    }
}

#[cfg(test)]
mod tests;
