//! The validating webhook: a broken Segment is refused at `kubectl apply`, with the place and the cure.
//!
//! ```text
//! port 9444 ─► TLS (files, reloaded) ─► limits (1 MiB, 4 s, places) ─► judge (lint) ─► AdmissionReview
//! ```
//! In: the API server's questions. Out: allowed with warnings, or refused with every error. Law: it judges by
//! `segment_core::lint` and house defaults alone, so every replica judges, with or without the Lease, and as the
//! condition `Accepted` will; nothing is written; a question that can't be judged in time is an HTTP error, which the
//! API server passes over (`failurePolicy: Ignore`). Not: who is asking: the answer is nothing but what lint says of
//! the object that was sent.

mod judge;
mod routes;
mod words;

use crate::config::Config;
use crate::metrics::WebhookMetrics;
use crate::users::server::{Door, serve};
use anyhow::Context;
use rustls::ServerConfig;
use segment_runtime::Tasks;
use segment_runtime::tls::{ALPN_H2, FileKey, ReloadingKey, TlsError, provider, reload_files};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// How often the certificate's files are looked at. They are small.
const RELOAD: Duration = Duration::from_secs(5);

/// A handful of API servers, each with one or two connections.
const API_SERVERS: Door = Door {
    who: "webhook",
    pending: 64,
    connections: 256,
    streams: 32,
    // The one trace of a caBundle that does not fit: the API server passes over a webhook that it can't reach.
    warns_of_tls: true,
};

/// Starts the webhook, where flags ask for it. Called before the hub stands for the Lease.
///
/// # Errors
/// When the address can't be bound. A certificate that is not there yet is no error: it is served from when it is.
pub async fn start(config: &Config, metrics: WebhookMetrics, tasks: &Tasks) -> anyhow::Result<()> {
    let listen = &config.args.listen;
    let (Some(addr), Some(dir)) = (listen.webhook_addr, &listen.webhook_tls_dir) else {
        tracing::info!("no webhook: broken Segments show in their condition only");
        return Ok(());
    };
    let listener = TcpListener::bind(addr)
        .await
        .with_context(|| format!("can't listen on {addr} for the webhook (--webhook-addr)"))?;
    let key = Arc::new(ReloadingKey::empty());
    let tls = server_config(Arc::clone(&key))?;
    let files = FileKey {
        cert: dir.join("tls.crt"),
        key: dir.join("tls.key"),
    };
    let stop = tasks.shutdown_token();
    tasks.spawn(
        "webhook certificate",
        reload_files(files, key, RELOAD, stop.clone()),
    );
    let router = routes::routes(config.defaults.clone(), metrics);
    tasks.spawn(
        "webhook",
        serve(API_SERVERS, listener, tls, router, tasks.clone(), stop),
    );
    Ok(())
}

/// TLS of the webhook. The API server shows no certificate unless it is told to, and needs none.
fn server_config(key: Arc<ReloadingKey>) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(TlsError::Config)?
        .with_no_client_auth()
        .with_cert_resolver(key);
    config.alpn_protocols = vec![ALPN_H2.to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
