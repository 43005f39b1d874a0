//! What the users' API may ask of the hub beside reading the index.

use crate::enrolment::CertificateAuthority;
use crate::fleet::Fleet;
use crate::store::enrolment::EnrolmentStore;
use crate::store::identity::{self, IdentityError};
use crate::store::secret::StoredSecret;
use jiff::Timestamp;
use kube::Client;
use segment_core::fence::HubMemory;
use segment_core::ids::HubId;
use std::sync::Arc;
use tokio::sync::watch;

/// The hub, for its users' API. Cheap to clone.
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "kube::Client has no Debug")]
pub struct HubHandle {
    /// This hub's id.
    pub hub: HubId,
    /// Name of this Pod: the leader.
    pub pod: String,
    /// Client of the hub's API server, as the hub's own service account.
    pub client: Client,
    /// The fleet.
    pub fleet: Fleet,
    /// Tokens.
    pub book: EnrolmentStore,
    /// For the pin that join lines carry.
    pub authority: Arc<CertificateAuthority>,
    /// Host and port that agents dial.
    pub agents_address: String,
    /// Host and port that users dial.
    pub users_address: String,
    /// Where the era is kept.
    pub identity: StoredSecret,
    /// Fence and watermark.
    pub memory: Arc<watch::Sender<HubMemory>>,
}

impl HubHandle {
    /// A human accepts the restore: the era is raised, durably; all streams begin anew under it. Returns (before, now).
    ///
    /// # Errors
    /// When the era can't be stored.
    pub async fn accept_restore(&self, now: Timestamp) -> Result<(u64, u64), IdentityError> {
        let before = self.memory.borrow().fence.era;
        let identity = identity::accept_restore(&self.identity, now).await?;
        self.memory.send_modify(|memory| {
            memory.fence.era = identity.era;
            memory.old_terms.clear();
        });
        Ok((before, identity.era))
    }
}
