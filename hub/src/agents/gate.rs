//! Who may have a stream: judged anew for each call, and again while a stream lives.
//!
//! In: what a certificate says, the enrolment book, the Cluster. Out: yes, or a status that says what to do.
//! Law: identity comes from the certificate only. Not: TLS (`tls.rs`).

use super::identity::LeafInfo;
use super::tls::PeerIdentity;
use crate::enrolment::book::RENEWAL_GRACE;
use crate::fleet::Fleet;
use crate::store::enrolment::EnrolmentStore;
use jiff::Timestamp;
use segment_core::ids::HubId;
use segment_crds::Access;
use std::sync::Arc;
use tonic::Status;

/// Judges agents.
#[derive(Clone, Debug)]
pub struct Gate {
    /// This hub.
    pub hub: HubId,
    /// Bindings, bans, `validFrom`.
    pub book: EnrolmentStore,
    /// For the Cluster's access.
    pub fleet: Fleet,
}

impl Gate {
    /// The identity of a peer that may have a stream.
    ///
    /// # Errors
    /// UNAUTHENTICATED or `PERMISSION_DENIED`, each with one clear line.
    pub fn stream(
        &self,
        peer: Option<&PeerIdentity>,
        now: Timestamp,
    ) -> Result<Arc<LeafInfo>, Status> {
        let leaf = self.leaf(peer)?;
        if leaf.is_expired(now) {
            return Err(Status::unauthenticated(format!(
                "the certificate of cluster {} ended at {}: renew it (the agent does so by itself for {} days), or join again",
                leaf.cluster,
                leaf.not_after,
                RENEWAL_GRACE.as_hours() / 24
            )));
        }
        self.still_good(&leaf)?;
        Ok(leaf)
    }

    /// The identity of a peer that may renew its certificate: also for 30 days after its end.
    ///
    /// # Errors
    /// UNAUTHENTICATED or `PERMISSION_DENIED`, each with one clear line.
    pub fn renewal(
        &self,
        peer: Option<&PeerIdentity>,
        now: Timestamp,
    ) -> Result<Arc<LeafInfo>, Status> {
        let leaf = self.leaf(peer)?;
        if leaf.is_beyond(RENEWAL_GRACE, now) {
            return Err(Status::unauthenticated(format!(
                "the certificate of cluster {} ended at {}, more than {} days ago: join again (segctl cluster join {})",
                leaf.cluster,
                leaf.not_after,
                RENEWAL_GRACE.as_hours() / 24,
                leaf.cluster
            )));
        }
        self.still_good(&leaf)?;
        Ok(leaf)
    }

    /// Whether a live stream may go on.
    ///
    /// # Errors
    /// `PERMISSION_DENIED`, with one clear line.
    pub fn still_good(&self, leaf: &LeafInfo) -> Result<(), Status> {
        self.book
            .read(|book| book.admit_leaf(&leaf.cluster, leaf.cluster_uid, leaf.issued()))
            .map_err(|refusal| {
                Status::permission_denied(format!("cluster {}: {refusal}", leaf.cluster))
            })?;
        let access = self
            .fleet
            .index()
            .clusters()
            .get(&leaf.cluster)
            .map(|cluster| cluster.view.access);
        match access {
            Some(Access::Accepted | Access::Pending) => Ok(()),
            Some(Access::Revoked) => Err(Status::permission_denied(format!(
                "access of cluster {} is Revoked (spec.access)",
                leaf.cluster
            ))),
            None => Err(Status::permission_denied(format!(
                "cluster {} does not exist on this hub: make it again to go on (segctl cluster join {})",
                leaf.cluster, leaf.cluster
            ))),
        }
    }

    fn leaf(&self, peer: Option<&PeerIdentity>) -> Result<Arc<LeafInfo>, Status> {
        let leaf = peer.and_then(|peer| peer.leaf.clone()).ok_or_else(|| {
            Status::unauthenticated(
                "a client certificate is needed: join first (segctl cluster join)",
            )
        })?;
        if leaf.hub_id != self.hub {
            return Err(Status::permission_denied(format!(
                "the certificate is of hub {}, this is hub {}",
                leaf.hub_id, self.hub
            )));
        }
        Ok(leaf)
    }
}
