//! One cluster, as the hub sees it.

use crate::admit::Policy;
use crate::assignment::Holdings;
use crate::ids::{KeyHash, PolicyDigest, RootDigest, SegmentKey, Uid};
use crate::placement::ClusterView;
use crate::runs::ClusterRuns;
use crate::sync::frame::AgentHealth;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One cluster.
#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, learned at another moment"
)]
pub struct ClusterState {
    /// Labels, annotations, taints, access: what admins wrote.
    pub view: ClusterView,
    /// Its `metadata.generation`.
    pub generation: i64,
    /// When the Cluster was made.
    pub created: Option<Timestamp>,
    /// The spoke's kube-system uid that this name is bound to, as status mirrors it.
    pub bound_uid: Option<Uid>,
    /// The newest stream; an older one's end changes nothing.
    pub session: Option<u64>,
    /// When the newest stream was opened, or when it ended.
    pub since: Option<Timestamp>,
    /// When something was last heard.
    pub last_heard: Option<Timestamp>,
    /// What it holds is known to this process.
    pub inventory_known: bool,
    /// Its store is whole. While it is damaged, an inventory shows what is held, but never what is not.
    pub store_known: bool,
    /// It has said how it is since this process started.
    pub health_known: bool,
    /// What it holds, unknown entries included.
    pub held: Holdings,
    /// Names of held entries that no Segment here asks for.
    pub orphan_names: BTreeMap<KeyHash, SegmentKey>,
    /// Segments that have a member for this cluster.
    pub segments: BTreeSet<SegmentKey>,
    /// Token of the last reports taken in.
    pub reports: Option<RootDigest>,
    /// Its reports were asked for and have not all come.
    pub reports_pending: bool,
    /// Version of the agent.
    pub agent_version: String,
    /// Version of the spoke's API server.
    pub kubernetes_version: String,
    /// Why the hub may not order anything there.
    pub went_back: Option<String>,
    /// A uid that came under this name and is not the bound one.
    pub identity_conflict: Option<Uid>,
    /// What stops the agent as a whole.
    pub health: AgentHealth,
    /// Digest of its own policy, as its agent told last.
    pub policy_digest: Option<PolicyDigest>,
    /// Its own policy, where its agent has told it: clusters with the same share one.
    pub policy: Option<Arc<Policy>>,
    /// Segments for which it is in change.
    pub changing: u32,
    /// Its agent carries out ordered runs; false before it has said so.
    pub takes_runs: bool,
    /// Its agent passes logs on, where its policy says so.
    pub passes_logs: bool,
    /// Its newest runs, by its agent's ledger.
    pub runs: ClusterRuns,
    /// Runs that were ordered there.
    pub ordered_runs: super::OrderedRuns,
    /// Version of the index at which this changed.
    pub version: u64,
}

impl ClusterState {
    pub(super) fn new(view: ClusterView) -> Self {
        Self {
            view,
            generation: 0,
            created: None,
            bound_uid: None,
            session: None,
            since: None,
            last_heard: None,
            inventory_known: false,
            store_known: true,
            health_known: false,
            held: Holdings::new(),
            orphan_names: BTreeMap::new(),
            segments: BTreeSet::new(),
            reports: None,
            reports_pending: false,
            agent_version: String::new(),
            kubernetes_version: String::new(),
            went_back: None,
            identity_conflict: None,
            health: AgentHealth::default(),
            policy_digest: None,
            policy: None,
            changing: 0,
            takes_runs: false,
            passes_logs: false,
            runs: ClusterRuns::default(),
            ordered_runs: super::OrderedRuns::new(),
            version: 0,
        }
    }

    /// A stream is open.
    pub fn is_connected(&self) -> bool {
        self.session.is_some()
    }

    /// This process has all that the cluster has to say: inventory and reports.
    pub fn has_answered(&self) -> bool {
        self.inventory_known && !self.reports_pending
    }

    /// What is not in `held` is not there: the inventory is known, and whole.
    pub fn lack_is_known(&self) -> bool {
        self.inventory_known && self.store_known
    }

    /// No stream for longer than the limit, or none at all since the hub's start.
    pub fn is_stale(
        &self,
        started: Timestamp,
        stale_after: jiff::SignedDuration,
        now: Timestamp,
    ) -> bool {
        !self.is_connected() && now.duration_since(self.since.unwrap_or(started)) >= stale_after
    }
}
