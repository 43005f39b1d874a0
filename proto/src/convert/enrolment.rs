//! Enrolment and renewal.

use super::error::{ConvertError, bytes_at_most, cut, required};
use super::{ids, time};
use crate::agent::v1;
use crate::limits::{CSR_MAX_BYTES, TOKEN_MAX_BYTES, VERSION_MAX_BYTES};
use bytes::Bytes;
use jiff::Timestamp;
use segment_core::ids::{ClusterName, HubId, Uid};

/// A request to join.
#[derive(Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// The join token: secret.
    pub token: String,
    /// Certificate signing request, DER.
    pub csr_der: Bytes,
    /// Uid of the spoke's kube-system namespace.
    pub cluster_uid: Uid,
    /// Version of the agent.
    pub agent_version: String,
}

// Not derived: a token must not reach a log.
impl std::fmt::Debug for Enrolment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Enrolment")
            .field("cluster_uid", &self.cluster_uid)
            .field("agent_version", &self.agent_version)
            .finish_non_exhaustive()
    }
}

/// What an agent is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Which Cluster it is.
    pub cluster: ClusterName,
    /// Of which hub.
    pub hub: HubId,
    /// Certificate and issuers, PEM, leaf first.
    pub certificate_chain_pem: String,
    /// Roots to trust, PEM.
    pub roots_pem: String,
    /// When the certificate ends.
    pub not_after: Timestamp,
}

/// A request to join, for the wire.
pub fn enrolment_to_wire(enrolment: Enrolment) -> v1::EnrolRequest {
    v1::EnrolRequest {
        token: enrolment.token,
        csr_der: enrolment.csr_der,
        cluster_uid: ids::bytes(&enrolment.cluster_uid.0),
        agent_version: enrolment.agent_version,
    }
}

/// A request to join, from the wire.
///
/// # Errors
/// When token or CSR are empty or too long, or the uid is none.
pub fn enrolment_from_wire(request: v1::EnrolRequest) -> Result<Enrolment, ConvertError> {
    if request.token.is_empty() {
        return Err(ConvertError::missing("token"));
    }
    bytes_at_most("token", request.token.len(), TOKEN_MAX_BYTES)?;
    Ok(Enrolment {
        token: request.token,
        csr_der: csr_from_wire(request.csr_der)?,
        cluster_uid: ids::uid("cluster_uid", &request.cluster_uid)?,
        agent_version: cut(request.agent_version, VERSION_MAX_BYTES),
    })
}

/// The signing request of a renewal.
///
/// # Errors
/// When it is empty or too long.
pub fn renewal_from_wire(request: v1::RenewRequest) -> Result<Bytes, ConvertError> {
    csr_from_wire(request.csr_der)
}

fn csr_from_wire(csr: Bytes) -> Result<Bytes, ConvertError> {
    if csr.is_empty() {
        return Err(ConvertError::missing("csr_der"));
    }
    bytes_at_most("csr_der", csr.len(), CSR_MAX_BYTES)?;
    Ok(csr)
}

/// An identity for the wire.
pub fn identity_to_wire(identity: Identity) -> v1::Identity {
    v1::Identity {
        cluster: identity.cluster.into(),
        hub_id: identity.hub.into(),
        certificate_chain_pem: identity.certificate_chain_pem,
        roots_pem: identity.roots_pem,
        not_after: Some(time::to_wire(identity.not_after)),
    }
}

/// An identity from the wire: of `EnrolResponse.identity` or `RenewResponse.identity`.
///
/// # Errors
/// When it is absent, a name in it is none, or a certificate is missing. What the PEM holds is not looked at.
pub fn identity_from_wire(identity: Option<v1::Identity>) -> Result<Identity, ConvertError> {
    let identity = required("identity", identity)?;
    for (field, pem) in [
        (
            "identity.certificate_chain_pem",
            &identity.certificate_chain_pem,
        ),
        ("identity.roots_pem", &identity.roots_pem),
    ] {
        if pem.is_empty() {
            return Err(ConvertError::missing(field));
        }
    }
    Ok(Identity {
        cluster: ids::cluster("identity.cluster", &identity.cluster)?,
        hub: ids::hub("identity.hub_id", &identity.hub_id)?,
        certificate_chain_pem: identity.certificate_chain_pem,
        roots_pem: identity.roots_pem,
        not_after: time::from_wire(
            "identity.not_after",
            required("identity.not_after", identity.not_after)?,
        )?,
    })
}
