//! Join and renewal.
//!
//! In: the join token or the present certificate. Out: a certificate, stored. Law: the first connection trusts only the
//! root that the token pins; a renewal proves itself by the present certificate, which may have ended (rule 24).
//! Not: where it is stored (`identity.rs`), when (`join.rs`).

use crate::config::{HubAddress, Token};
use crate::connection::{ConnectError, connect};
use crate::identity::{Enrolled, IdentityError, IdentityStore, Issued, signing_request};
use crate::store::StoreError;
use jiff::{SignedDuration, Timestamp};
use rand::Rng as _;
use rustls::client::danger::ServerCertVerifier;
use segment_core::ids::Uid;
use segment_proto::agent::v1;
use segment_proto::agent::v1::enrolment_service_client::EnrolmentServiceClient;
use segment_proto::convert::ConvertError;
use segment_proto::convert::enrolment::{Enrolment, enrolment_to_wire, identity_from_wire};
use segment_runtime::tls::{self, PinnedRoot, ReloadingKey, ReloadingRoots, TlsError};
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for a certificate, in seconds.
const DEADLINE: Duration = Duration::from_secs(20);

/// No certificate.
#[derive(Debug, thiserror::Error)]
pub enum EnrolmentError {
    /// The hub is not reached.
    #[error("no certificate from the hub")]
    Connect(#[source] ConnectError),
    /// The hub refuses.
    #[error("the hub gives no certificate: {:?}: {}", .0.code(), .0.message())]
    Refused(Box<tonic::Status>),
    /// The hub's answer can't be read.
    #[error("the hub's answer can't be read")]
    Unreadable(#[source] ConvertError),
    /// What is stored can't be used.
    #[error("the identity can't be used")]
    Identity(#[source] IdentityError),
    /// There is no token to join with.
    #[error("there is no join token: give --join-token")]
    NoToken,
    /// The store can't be made ready, and without it nothing that the hub orders would last.
    #[error("the store can't be made ready")]
    Store(#[source] StoreError),
    /// TLS can't be set up.
    #[error("TLS can't be set up")]
    Tls(#[source] TlsError),
}

impl EnrolmentError {
    /// Whether the process has to end: someone else writes what it owns.
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Identity(error) => error.is_fatal(),
            Self::Store(error) => error.is_fatal(),
            _ => false,
        }
    }
}

/// Joins with a token.
///
/// # Errors
/// As [`EnrolmentError`] tells; asking again with the same key is safe.
pub async fn enrol(
    store: &mut IdentityStore,
    hub: &HubAddress,
    token: &Token,
    cluster_uid: Uid,
    agent_version: &str,
    keepalive: Duration,
) -> Result<Enrolled, EnrolmentError> {
    let key = store.key().await.map_err(EnrolmentError::Identity)?;
    let csr = signing_request(&key).map_err(EnrolmentError::Identity)?;
    let verifier = Arc::new(PinnedRoot::new(token.pin.clone()));
    let mut client = client(hub, verifier, Arc::new(ReloadingKey::empty()), keepalive).await?;
    let request = enrolment_to_wire(Enrolment {
        token: token.text.clone(),
        csr_der: csr.into(),
        cluster_uid,
        agent_version: agent_version.to_owned(),
    });
    let mut request = tonic::Request::new(request);
    request.set_timeout(DEADLINE);
    let response = client
        .enrol(request)
        .await
        .map_err(|status| EnrolmentError::Refused(Box::new(status)))?;
    take(store, response.into_inner().identity).await
}

/// Gets a new certificate for the present one.
///
/// # Errors
/// As [`EnrolmentError`] tells.
pub async fn renew(
    store: &mut IdentityStore,
    hub: &HubAddress,
    roots: Arc<ReloadingRoots>,
    key: Arc<ReloadingKey>,
    keepalive: Duration,
) -> Result<Enrolled, EnrolmentError> {
    let pair = store.key().await.map_err(EnrolmentError::Identity)?;
    let csr = signing_request(&pair).map_err(EnrolmentError::Identity)?;
    let mut client = client(hub, roots, key, keepalive).await?;
    let mut request = tonic::Request::new(v1::RenewRequest {
        csr_der: csr.into(),
    });
    request.set_timeout(DEADLINE);
    let response = client
        .renew(request)
        .await
        .map_err(|status| EnrolmentError::Refused(Box::new(status)))?;
    take(store, response.into_inner().identity).await
}

async fn client(
    hub: &HubAddress,
    verifier: Arc<dyn ServerCertVerifier>,
    key: Arc<ReloadingKey>,
    keepalive: Duration,
) -> Result<EnrolmentServiceClient<tonic::transport::Channel>, EnrolmentError> {
    let config = tls::client_config(verifier, key).map_err(EnrolmentError::Tls)?;
    let channel = connect(hub, Arc::new(config), keepalive)
        .await
        .map_err(EnrolmentError::Connect)?;
    Ok(EnrolmentServiceClient::new(channel))
}

async fn take(
    store: &mut IdentityStore,
    identity: Option<v1::Identity>,
) -> Result<Enrolled, EnrolmentError> {
    let identity = identity_from_wire(identity).map_err(EnrolmentError::Unreadable)?;
    let issued = Issued {
        cluster: identity.cluster,
        hub: identity.hub,
        chain_pem: identity.certificate_chain_pem,
        roots_pem: identity.roots_pem,
    };
    store.store(&issued).await.map_err(EnrolmentError::Identity)
}

/// How far a hub dates certificates back, for clocks that lag (faults, B).
const BACKDATED: SignedDuration = SignedDuration::from_mins(5);
/// Least time between two renewals, whatever the dates say: clocks that differ must not make a loop.
const RENEWAL_PAUSE: Duration = Duration::from_secs(1);

/// How long to wait before a certificate is renewed: half of its life is over, give or take a tenth, so that agents
/// that joined together do not renew together.
pub fn renewal_due(enrolled: &Enrolled, now: Timestamp) -> Duration {
    due(
        enrolled.not_before,
        enrolled.not_after,
        now,
        rand::rng().random_range(0.45..0.55),
    )
}

fn due(not_before: Timestamp, not_after: Timestamp, now: Timestamp, share: f64) -> Duration {
    let begin = not_before
        .checked_add(BACKDATED)
        .ok()
        .filter(|begin| *begin < not_after)
        .unwrap_or(not_before);
    let life = not_after.duration_since(begin).as_secs_f64();
    let due = begin.duration_since(now).as_secs_f64() + life * share;
    Duration::try_from_secs_f64(due.max(0.0))
        .unwrap_or_default()
        .max(RENEWAL_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_at_half_of_its_life_and_never_in_a_loop() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let hour = 3600;
        for (not_before, not_after, now, expected, why) in [
            (-300, 24 * hour, 0, 12 * hour, "just issued, and dated back"),
            (-300, 24 * hour, 11 * hour, hour, "after a restart"),
            (
                -300,
                20,
                0,
                10,
                "a short life: the dating back is no part of it",
            ),
            (0, 100, 0, 50, "a life shorter than the dating back"),
            (-300, 24 * hour, 20 * hour, 1, "overdue"),
            (-300, -10, 0, 1, "over"),
        ] {
            let wait = due(at(not_before), at(not_after), at(now), 0.5);
            assert_eq!(wait.as_secs(), u64::try_from(expected).unwrap(), "{why}");
        }
    }
}
