//! The frames of the stream as typed values; `proto/src/convert` maps them to the wire.
//!
//! In, Out: values. Law: wire is faithful. Not: who sends which when (`agent.rs`, `hub.rs`).

use crate::admit::PolicyText;
use crate::assignment::{EntryId, OrderNumber};
use crate::delta::Order;
use crate::fence::{Fence, Watermark};
use crate::ids::{HubId, InstanceId, KeyHash, PolicyDigest, RootDigest, RunId, SegmentKey, Uid};
use crate::report::Report;
use crate::run_order::{RunEvent, RunOrder};
use crate::runs::RunBatch;
use bytes::Bytes;
use std::sync::Arc;

/// Version of the protocol that this code speaks.
pub const PROTOCOL_VERSION: u32 = 1;

/// Entries in one inventory chunk: 72 × 56 bytes stay under 4 KiB, so that no read buffer grows.
pub const INVENTORY_CHUNK_ENTRIES: usize = 72;
/// Keys in one request for names, and names in one answer: 128 × 198 bytes stay under 32 KiB.
pub const NAMES_CHUNK: usize = 128;
/// Reports in one batch: 64 × about 1.5 KiB stay well under the 256 KiB that a hub takes in one message.
pub const REPORTS_CHUNK: usize = 64;
/// Bytes of rendered CronJobs in one frame of orders (one order may be larger alone; the message limit is 1 MiB).
pub const ORDERS_CHUNK_BYTES: usize = 256 * 1024;
/// Orders in one frame.
pub const ORDERS_CHUNK: usize = 256;
/// Run orders in one frame: a few, as each carries a whole CronJob.
pub const RUN_ORDERS_CHUNK: usize = 16;
/// Events of runs in one frame: as large as reports.
pub const RUN_EVENTS_CHUNK: usize = 64;
/// Entries that one cluster may hold: 1,000 average ones are tested, the store's budget ends below this.
pub const MAX_ENTRIES: usize = 20_000;

/// Capability of an agent that tells its policy when it is asked for.
pub const TELLS_POLICY: &str = "policy";
/// Capability of an agent that carries out ordered runs.
pub const RUNS_NOW: &str = "run-now";
/// Capability of an agent that passes logs on, where its policy says so.
pub const PASSES_LOGS: &str = "logs";
/// Bytes of logs in one frame.
pub const LOG_CHUNK_BYTES: usize = 64 * 1024;
/// Bytes of logs that one request gets, unless it follows them.
pub const LOG_BYTES: usize = 1024 * 1024;
/// Capability of an agent that tells its ledger of runs.
pub const TELLS_RUNS: &str = "runs";

/// First frame of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Protocol version that the agent speaks.
    pub protocol: u32,
    /// Names of optional abilities.
    pub capabilities: Vec<String>,
    /// Highest fence obeyed; none for a new agent.
    pub fence: Option<Fence>,
    /// Highest watermark seen.
    pub watermark: Option<Watermark>,
    /// The spoke's kube-system uid.
    pub cluster_uid: Uid,
    /// Random id of the agent's process.
    pub process: InstanceId,
    /// Digest over all entries.
    pub entries: RootDigest,
    /// Opaque token of the last batch of reports that this process made.
    pub reports: RootDigest,
    /// False while the agent's store is damaged: what it holds is unknown, not empty.
    pub store_known: bool,
    /// Version of the agent.
    pub agent_version: String,
    /// Version of the spoke's API server.
    pub kubernetes_version: String,
    /// Digest of the spoke's own policy; none where no policy can be told.
    pub policy: Option<PolicyDigest>,
    /// Number of the newest change in the ledger of runs; 0 where it is empty.
    pub runs: u64,
}

/// What an agent sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentFrame {
    /// First frame.
    Hello(Hello),
    /// A part of the inventory, in the order of keys.
    Inventory {
        /// The entries.
        entries: Vec<EntryId>,
        /// True in the last part.
        last: bool,
    },
    /// Names of entries that were asked for.
    Names(Vec<SegmentKey>),
    /// What became of orders.
    Acks(Vec<Ack>),
    /// A batch of reports.
    Reports(ReportBatch),
    /// The state of the agent itself, when it changes.
    Health(AgentHealth),
    /// The spoke's own policy is another now; none where no policy can be told any more.
    Policy(Option<PolicyDigest>),
    /// The policy that was asked for.
    PolicyText {
        /// As it was asked for.
        digest: PolicyDigest,
        /// The policy.
        text: Arc<PolicyText>,
    },
    /// What became of ordered runs.
    RunEvents(Vec<RunEvent>),
    /// Logs that were asked for.
    LogChunk(LogChunk),
    /// Runs that are new, or other than they were told.
    Runs(RunBatch),
}

/// A batch of reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportBatch {
    /// Token to be kept by the hub and compared with the next Hello's.
    pub token: RootDigest,
    /// True for the last part of an answer to "all reports".
    pub complete: bool,
    /// The reports.
    pub reports: Vec<Report>,
}

/// What stops an agent as a whole, for the Cluster's conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentHealth {
    /// The API server of the spoke does not answer: its words.
    pub api_unavailable: Option<String>,
    /// Missing right: the server's words with the verb.
    pub no_rights: Option<String>,
    /// Seconds that the spoke's API server's clock differs from the agent's, where over 10.
    pub clock_skew_seconds: i64,
    /// The policy can't be read: everything is refused.
    pub policy_error: Option<String>,
    /// The store could not be written or read.
    pub store_error: Option<String>,
}

/// What became of one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Which Segment.
    pub key: KeyHash,
    /// Of which uid the order was.
    pub uid: Uid,
    /// Its place.
    pub number: OrderNumber,
    /// What became of it.
    pub verdict: AckVerdict,
}

/// What became of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AckVerdict {
    /// Accepted into the store: the agent now holds this.
    Holds(EntryId),
    /// The agent holds nothing for the key (any more).
    HoldsNothing,
    /// Not accepted; what it held before stays.
    Refused {
        /// Closed list: `Fenced`, `StoreFull`, `Unreadable`, `UnknownStore`.
        reason: String,
        /// For people.
        message: String,
    },
}

/// What a hub sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HubFrame {
    /// Answer to Hello.
    Welcome(Welcome),
    /// Orders.
    Orders(Orders),
    /// Names of these entries, please.
    NamesWanted(Vec<KeyHash>),
    /// The whole inventory, please (also after a Welcome that did not ask for it).
    InventoryWanted,
    /// All reports, please.
    ReportsWanted,
    /// The text of the policy with this digest, please.
    PolicyWanted(PolicyDigest),
    /// Runs are ordered.
    RunOrders(RunOrders),
    /// Logs of a run, please.
    LogsWanted(LogsWanted),
    /// The hub ends this stream; come back.
    Goodbye {
        /// For people.
        reason: String,
        /// Not before this many milliseconds.
        retry_after_ms: u64,
    },
}

/// Answer to Hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// Protocol version that is spoken on this stream: the lower of both.
    pub protocol: u32,
    /// The hub's id.
    pub hub: HubId,
    /// The leader's fence.
    pub fence: Fence,
    /// Its watermark.
    pub watermark: Watermark,
    /// The inventory is wanted.
    pub want_inventory: bool,
    /// All reports are wanted.
    pub want_reports: bool,
    /// Runs are wanted that changed after this number; 0: the newest of each Segment. None from a hub that keeps no runs.
    pub runs_after: Option<u64>,
}

/// A frame of orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orders {
    /// The leader's fence.
    pub fence: Fence,
    /// Its watermark when it was sent.
    pub watermark: Watermark,
    /// The orders.
    pub orders: Vec<Order>,
}

/// A frame of run orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOrders {
    /// The leader's fence.
    pub fence: Fence,
    /// The orders.
    pub orders: Vec<Arc<RunOrder>>,
}

/// A request for logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogsWanted {
    /// Counts requests of the hub's process.
    pub id: u64,
    /// Of which Segment.
    pub key: KeyHash,
    /// Of which ordered run; absent: the newest by schedule.
    pub run: Option<RunId>,
    /// Go on until the run has ended.
    pub follow: bool,
    /// Nobody listens any more.
    pub stop: bool,
}

/// A part of logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogChunk {
    /// The request.
    pub id: u64,
    /// As the container wrote it.
    pub data: Bytes,
    /// Set in the last part.
    pub end: Option<LogEnd>,
}

/// The end of logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogEnd {
    /// One word: the policy's rule, Kubernetes' reason; empty when all was told.
    pub reason: String,
    /// The cluster's own words.
    pub message: String,
}
