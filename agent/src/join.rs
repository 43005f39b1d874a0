//! The task that owns the identity: joins once, renews at half life.
//!
//! In: the token, the stored identity. Out: [`Joined`], watched. Law: the store is made before the certificate is
//! stored, so that an empty one is a damaged one from then on; a renewal drops no stream; failures back off.
//! Not: how it is asked for (`enrolment.rs`).

use crate::config::Config;
use crate::enrolment::{EnrolmentError, enrol, renew, renewal_due};
use crate::identity::{Enrolled, IdentityStore};
use crate::store::Store;
use jiff::Timestamp;
use segment_core::ids::{HubId, Uid};
use segment_runtime::backoff::Backoff;
use segment_runtime::tasks::with_causes;
use segment_runtime::tls::{self, ReloadingKey, ReloadingRoots, TlsError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The identity can't be kept: the process has to end.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// TLS can't use what is stored.
    #[error("the stored identity can't be used")]
    Tls(#[from] TlsError),
    /// Someone else writes it.
    #[error("the identity can't be kept")]
    Enrolment(#[source] EnrolmentError),
}

/// An identity to dial with.
#[derive(Clone, Debug)]
pub struct Joined {
    /// TLS with the certificate and roots of the moment of each dial.
    pub tls: Arc<rustls::ClientConfig>,
    /// End of the certificate.
    pub not_after: Timestamp,
    /// The hub that gave it.
    pub hub: HubId,
}

/// Keys and roots as the connections see them.
#[derive(Debug)]
struct Live {
    key: Arc<ReloadingKey>,
    roots: Arc<ReloadingRoots>,
    tls: Arc<rustls::ClientConfig>,
}

impl Live {
    fn new(enrolled: &Enrolled) -> Result<Self, TlsError> {
        let key = Arc::new(ReloadingKey::new(enrolled.key.clone()));
        let roots = Arc::new(ReloadingRoots::new(&enrolled.roots)?);
        let tls = Arc::new(tls::client_config(roots.clone(), key.clone())?);
        Ok(Self { key, roots, tls })
    }

    fn replace(&self, enrolled: &Enrolled) -> Result<(), TlsError> {
        self.roots.replace(&enrolled.roots)?;
        self.key.replace(enrolled.key.clone());
        Ok(())
    }

    fn publish(&self, enrolled: &Enrolled, joined: &watch::Sender<Option<Joined>>) {
        joined.send_replace(Some(Joined {
            tls: Arc::clone(&self.tls),
            not_after: enrolled.not_after,
            hub: enrolled.hub.clone(),
        }));
    }
}

/// What the task works with.
#[derive(Debug)]
pub struct Join {
    /// The Secret.
    pub identity: IdentityStore,
    /// Made before the certificate is stored.
    pub store: Arc<Store>,
    /// Hub, token, periods.
    pub config: Config,
    /// The spoke's kube-system uid.
    pub cluster_uid: Uid,
    /// Version of the agent.
    pub agent_version: String,
}

impl Join {
    /// Joins if need be, and renews until the end.
    ///
    /// # Errors
    /// When what is stored can't be used by TLS, or someone else writes it.
    pub async fn run(
        mut self,
        joined: watch::Sender<Option<Joined>>,
        stop: CancellationToken,
    ) -> Result<(), JoinError> {
        let Some(mut enrolled) = self.first(&stop).await? else {
            return Ok(());
        };
        let live = Live::new(&enrolled)?;
        live.publish(&enrolled, &joined);
        let mut backoff = self.backoff();
        let mut wait = renewal_due(&enrolled, Timestamp::now());
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(wait) => {}
            }
            let keepalive = self.config.periods.keepalive;
            let renewed = renew(
                &mut self.identity,
                &self.config.hub,
                live.roots.clone(),
                live.key.clone(),
                keepalive,
            )
            .await;
            let renewed = match renewed {
                // Too long away, or evicted: a new token is the way back.
                Err(EnrolmentError::Refused(status))
                    if self.config.token.is_some() && refuses_identity(&status) =>
                {
                    tracing::warn!(
                        error = status.message(),
                        "the hub renews no more: joining with the token"
                    );
                    self.enrol().await
                }
                renewed => renewed,
            };
            match renewed {
                Ok(new) => {
                    tracing::info!(not_after = %new.not_after, "certificate renewed");
                    enrolled = new;
                    live.replace(&enrolled)?;
                    live.publish(&enrolled, &joined);
                    backoff = self.backoff();
                    wait = renewal_due(&enrolled, Timestamp::now());
                }
                Err(error) if error.is_fatal() => return Err(JoinError::Enrolment(error)),
                Err(error) => {
                    tracing::warn!(error = with_causes(&error), not_after = %enrolled.not_after, "certificate not renewed");
                    wait = backoff.delay(None);
                }
            }
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(
            self.config.periods.connect_backoff_base,
            self.config.periods.connect_backoff_cap,
        )
    }

    /// The stored identity, else one that is got with the token; `None` at the end of the process.
    ///
    /// # Errors
    /// When someone else writes what is stored.
    async fn first(&mut self, stop: &CancellationToken) -> Result<Option<Enrolled>, JoinError> {
        let mut backoff = self.backoff();
        loop {
            let error = match self.identity.enrolled() {
                Ok(Some(enrolled)) => return Ok(Some(enrolled)),
                Err(error) => with_causes(&error),
                Ok(None) if self.config.token.is_none() => {
                    "this cluster has not joined: give --join-token, as `segctl cluster join` prints it".to_owned()
                }
                Ok(None) => match tokio::select! {
                    () = stop.cancelled() => return Ok(None),
                    enrolled = self.enrol() => enrolled,
                } {
                    Ok(enrolled) => {
                        tracing::info!(cluster = %enrolled.cluster, hub = %enrolled.hub, not_after = %enrolled.not_after, "joined");
                        return Ok(Some(enrolled));
                    }
                    Err(error) if error.is_fatal() => return Err(JoinError::Enrolment(error)),
                    Err(error) => with_causes(&error),
                },
            };
            let delay = backoff.delay(None).max(Duration::from_millis(100));
            tracing::warn!(error, "no identity yet");
            tokio::select! {
                () = stop.cancelled() => return Ok(None),
                () = tokio::time::sleep(delay) => {}
            }
        }
    }

    async fn enrol(&mut self) -> Result<Enrolled, EnrolmentError> {
        let Some(token) = self.config.token.clone() else {
            return Err(EnrolmentError::NoToken);
        };
        self.store
            .initialise()
            .await
            .map_err(EnrolmentError::Store)?;
        let keepalive = self.config.periods.keepalive;
        enrol(
            &mut self.identity,
            &self.config.hub,
            &token,
            self.cluster_uid,
            &self.agent_version,
            keepalive,
        )
        .await
    }
}

fn refuses_identity(status: &tonic::Status) -> bool {
    matches!(
        status.code(),
        tonic::Code::Unauthenticated | tonic::Code::PermissionDenied
    )
}
