//! Joining and renewing: `EnrolmentService`.
//!
//! In: a token and a key, or a certificate and a key. Out: a certificate whose names the hub wrote.
//! Law: the book is stored before anything is answered; every outcome leaves an audit line; the outside is told the
//! same whatever was wrong with a token. Not: the rules (`enrolment::book`).

use super::gate::Gate;
use super::tls::PeerIdentity;
use crate::enrolment::book::{Attempt, Gate as JoinGate};
use crate::enrolment::ca::AgentIdentity;
use crate::enrolment::{CertificateAuthority, CsrKey, JoinToken, Refusal};
use crate::metrics::AgentsMetrics;
use crate::store::CALL_LIMIT;
use jiff::{SignedDuration, Timestamp};
use kube::{Api, Client};
use segment_core::ids::{ClusterName, Uid};
use segment_crds::{Access, Cluster};
use segment_proto::agent::v1;
use segment_proto::agent::v1::enrolment_service_server::EnrolmentService;
use segment_proto::convert::enrolment::{
    Identity, enrolment_from_wire, identity_to_wire, renewal_from_wire,
};
use segment_runtime::audit::AuditResult;
use segment_runtime::{AuditLine, backoff};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

/// Enrolments at a time: each costs a signature and a write; the rest wait, at most [`PATIENCE`].
const CONCURRENT: usize = 4;
const PATIENCE: Duration = Duration::from_secs(5);

/// `EnrolmentService`.
#[allow(missing_debug_implementations, reason = "kube::Client has no Debug")]
pub struct Enrolment {
    /// Who may renew.
    pub gate: Gate,
    /// Who signs.
    pub authority: Arc<CertificateAuthority>,
    /// For the Cluster of a token.
    pub client: Client,
    /// Life of a leaf: 24 h unless told otherwise.
    pub leaf_life: SignedDuration,
    /// Counters.
    pub metrics: AgentsMetrics,
    /// Places.
    pub places: Semaphore,
}

impl Enrolment {
    /// The service.
    pub fn new(
        gate: Gate,
        authority: Arc<CertificateAuthority>,
        client: Client,
        leaf_life: SignedDuration,
        metrics: AgentsMetrics,
    ) -> Self {
        Self {
            gate,
            authority,
            client,
            leaf_life,
            metrics,
            places: Semaphore::new(CONCURRENT),
        }
    }

    fn issue(
        &self,
        key: &CsrKey,
        cluster: &ClusterName,
        uid: Uid,
        issued: Timestamp,
    ) -> Result<v1::Identity, Status> {
        let identity = AgentIdentity {
            hub: &self.gate.hub,
            cluster,
            cluster_uid: uid,
        };
        let issued = self
            .authority
            .issue_agent(key, &identity, issued, self.leaf_life)
            .map_err(|error| {
                Status::unavailable(format!("no certificate can be issued: {error}"))
            })?;
        self.metrics.certificates.inc();
        Ok(identity_to_wire(Identity {
            cluster: cluster.clone(),
            hub: self.gate.hub.clone(),
            certificate_chain_pem: issued.chain_pem,
            roots_pem: self.authority.root_pem().to_owned(),
            not_after: issued.not_after,
        }))
    }

    /// What the Cluster of a name says about joining, read live.
    async fn join_gate(&self, cluster: &ClusterName) -> Result<JoinGate, Status> {
        let api: Api<Cluster> = Api::all(self.client.clone());
        let what = format!("GET cluster {cluster}");
        match backoff::call(CALL_LIMIT, what, api.get(cluster.as_str())).await {
            Ok(found) => Ok(JoinGate {
                reenrol_until: found.spec.reenrol.as_ref().map(|time| time.0),
                revoked: found.spec.access() == Access::Revoked,
            }),
            Err(error) if error.is_not_found() => Err(Status::permission_denied(Refusal::PUBLIC)),
            Err(error) => {
                tracing::warn!(%error, "a join has to wait");
                Err(Status::unavailable(
                    "the hub's API server does not answer; try again",
                ))
            }
        }
    }
}

fn audit(
    actor: String,
    action: &'static str,
    subject: String,
    uid: Option<Uid>,
    outcome: Result<(), String>,
) {
    let (result, reason) = match outcome {
        Ok(()) => (AuditResult::Done, None),
        Err(reason) => (AuditResult::Refused, Some(reason)),
    };
    AuditLine {
        time: Timestamp::now(),
        actor,
        action: action.into(),
        subject,
        uid: uid.map(|uid| uid.to_string()),
        reason,
        result,
    }
    .emit();
}

fn address(peer: Option<&PeerIdentity>) -> String {
    peer.map_or_else(|| "unknown".to_owned(), |peer| peer.addr.to_string())
}

#[tonic::async_trait]
impl EnrolmentService for Enrolment {
    async fn enrol(
        &self,
        request: Request<v1::EnrolRequest>,
    ) -> Result<Response<v1::EnrolResponse>, Status> {
        let from = address(request.extensions().get::<PeerIdentity>());
        let asked = enrolment_from_wire(request.into_inner())
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let refuse = |subject: String, reason: String| {
            self.metrics.refused.inc();
            audit(
                from.clone(),
                "enrol",
                subject,
                Some(asked.cluster_uid),
                Err(reason),
            );
            Status::permission_denied(Refusal::PUBLIC)
        };
        let _place = tokio::time::timeout(PATIENCE, self.places.acquire())
            .await
            .map_err(|_| {
                Status::resource_exhausted("too many clusters join at once; try again in a minute")
            })?
            .map_err(|_| Status::unavailable("the hub is stopping"))?;
        let token: JoinToken = asked
            .token
            .parse()
            .map_err(|_| refuse("cluster".to_owned(), "not a join token".to_owned()))?;
        let key = CsrKey::parse(&asked.csr_der)
            .map_err(|error| Status::invalid_argument(format!("csr_der: {error}")))?;
        let now = Timestamp::now();
        let cluster = self
            .gate
            .book
            .read(|book| book.cluster_of(&token, now).cloned())
            .map_err(|refusal| refuse(format!("token/{}", token.id()), refusal.to_string()))?;
        let subject = format!("cluster/{cluster}");
        let gate = match self.join_gate(&cluster).await {
            Ok(gate) => gate,
            Err(status) if status.code() == tonic::Code::PermissionDenied => {
                return Err(refuse(subject, "the Cluster does not exist".to_owned()));
            }
            Err(status) => return Err(status),
        };
        let attempt = Attempt {
            token: &token,
            key: key.digest(),
            cluster_uid: asked.cluster_uid,
        };
        let grant = self
            .gate
            .book
            .change(|book| book.redeem(&attempt, &gate, now))
            .await
            .map_err(|error| {
                tracing::warn!(error = %segment_runtime::tasks::with_causes(&error), "a join has to wait");
                Status::unavailable("the enrolment can't be stored now; try again")
            })?
            .map_err(|refusal| refuse(subject.clone(), refusal.to_string()))?;
        let identity = self.issue(&key, &grant.cluster, grant.cluster_uid, grant.issued)?;
        audit(from, "enrol", subject, Some(grant.cluster_uid), Ok(()));
        Ok(Response::new(v1::EnrolResponse {
            identity: Some(identity),
        }))
    }

    async fn renew(
        &self,
        request: Request<v1::RenewRequest>,
    ) -> Result<Response<v1::RenewResponse>, Status> {
        let now = Timestamp::now();
        let peer = request.extensions().get::<PeerIdentity>().cloned();
        let leaf = self
            .gate
            .renewal(peer.as_ref(), now)
            .inspect_err(|status| {
                self.metrics.refused.inc();
                let subject = peer
                    .as_ref()
                    .and_then(|peer| peer.leaf.as_ref())
                    .map_or_else(
                        || "cluster".to_owned(),
                        |leaf| format!("cluster/{}", leaf.cluster),
                    );
                audit(
                    address(peer.as_ref()),
                    "renew",
                    subject,
                    None,
                    Err(status.message().to_owned()),
                );
            })?;
        let csr = renewal_from_wire(request.into_inner())
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let key = CsrKey::parse(&csr)
            .map_err(|error| Status::invalid_argument(format!("csr_der: {error}")))?;
        let identity = self.issue(&key, &leaf.cluster, leaf.cluster_uid, now)?;
        audit(
            address(peer.as_ref()),
            "renew",
            format!("cluster/{}", leaf.cluster),
            Some(leaf.cluster_uid),
            Ok(()),
        );
        Ok(Response::new(v1::RenewResponse {
            identity: Some(identity),
        }))
    }
}
