//! What the services have in common.

use super::access::Access;
use super::stored::Stored;
use super::watch::history::History;
use crate::fleet::Fleet;
use crate::handle::HubHandle;
use segment_core::ids::Namespace;
use segment_core::index::FleetIndex;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Watches at a time: each looks the index through when it changes.
pub const WATCHES: usize = 512;

/// Plans and forecasts that are computed at a time: each may take a core for seconds.
pub const PLANS: usize = 2;

/// The services: one value behind all of them. Cheap to clone.
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "kube::Client has no Debug")]
pub struct Services {
    /// The hub.
    pub handle: HubHandle,
    /// Who may what.
    pub access: Access,
    /// Statuses as stored.
    pub stored: Stored,
    /// What was deleted lately.
    pub history: History,
    /// One for each watch.
    pub watches: Arc<Semaphore>,
    /// One for each plan or forecast that is computed.
    pub plans: Arc<Semaphore>,
    /// Requests to accept a restore that were carried out.
    pub accepted: Arc<super::services::restore::Accepted>,
    /// Runs that were asked for.
    pub campaigns: Arc<super::runs::Campaigns>,
    /// Events on Segments.
    pub events: crate::store::events::Events,
    /// For what goes on after an answer.
    pub tasks: segment_runtime::Tasks,
    /// The process' end.
    pub shutdown: CancellationToken,
}

impl Services {
    /// The fleet.
    pub fn fleet(&self) -> &Fleet {
        &self.handle.fleet
    }

    /// Namespaces that there is something in.
    pub fn namespaces(&self) -> BTreeSet<Namespace> {
        namespaces(&self.fleet().index())
    }
}

/// Namespaces of Segments, those that are gone but owed included.
pub fn namespaces(index: &FleetIndex) -> BTreeSet<Namespace> {
    let live = index.segments().keys().map(|key| &key.namespace);
    let owed = index
        .tombstones()
        .values()
        .map(|tombstone| &tombstone.key.namespace);
    live.chain(owed).cloned().collect()
}
