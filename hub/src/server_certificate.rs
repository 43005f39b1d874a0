//! The hub's own server certificate, for both ports: issued by its authority, made anew without a restart.
//!
//! In: the names that the hub is dialled by. Out: a key that both acceptors read. Law: renewed at half its life.

use crate::config::Config;
use crate::enrolment::CertificateAuthority;
use anyhow::anyhow;
use jiff::{SignedDuration, Timestamp};
use segment_runtime::backoff::Backoff;
use segment_runtime::tls::{ReloadingKey, certified_key};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Life of the certificate.
const LIFE: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Half of it.
const RENEWAL: Duration = Duration::from_hours(15 * 24);

/// The first one.
///
/// # Errors
/// When none can be issued.
pub fn server_key(
    config: &Config,
    authority: &CertificateAuthority,
) -> anyhow::Result<Arc<ReloadingKey>> {
    let key = ReloadingKey::empty();
    issue(config, authority, &key)?;
    Ok(Arc::new(key))
}

fn issue(
    config: &Config,
    authority: &CertificateAuthority,
    key: &ReloadingKey,
) -> anyhow::Result<()> {
    let issued = authority.issue_server(&config.server_names(), Timestamp::now(), LIFE)?;
    let private = issued
        .key_pem
        .as_deref()
        .ok_or_else(|| anyhow!("a server certificate without a key"))?;
    key.replace(certified_key(
        issued.chain_pem.as_bytes(),
        private.as_bytes(),
    )?);
    Ok(())
}

/// Makes the server certificate anew at half its life, without a restart.
pub async fn renew(
    config: Config,
    authority: Arc<CertificateAuthority>,
    key: Arc<ReloadingKey>,
    shutdown: CancellationToken,
) {
    let mut pause = Backoff::api();
    let mut wait = RENEWAL;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        wait = match issue(&config, &authority, &key) {
            Ok(()) => {
                pause.reset();
                RENEWAL
            }
            Err(error) => {
                tracing::warn!(%error, "the server certificate was not made anew; tried again");
                pause.delay(None)
            }
        };
    }
}
