//! The users' API: gRPC for segctl, grpcurl and anyone; who is asking and what they may is Kubernetes' own answer.
//!
//! ```text
//! port 9443 ─► server (TLS, limits) ─► access (who, what) ─► services ─► view ◄─ index
//!                                                            └ watch ─┘
//! ```
//! In: calls of users. Out: what the hub knows, as far as the caller may see it; Clusters, join tokens and the era where
//! the caller may change them. Law: deny by default; the index is read, never written, and never held over an await;
//! every change leaves an audit line. Not: agents, Granary's JSON, the webhook.

pub mod access;
pub mod errors;
pub mod filter;
pub mod page;
pub mod runs;
pub mod server;
pub mod services;
pub mod state;
pub mod stored;
pub mod view;
pub mod watch;

use crate::handle::HubHandle;
use access::Access;
use access::client_ca::ClientCa;
use anyhow::Context;
use segment_runtime::Tasks;
use segment_runtime::tls::ReloadingKey;
use state::{PLANS, Services, WATCHES};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use watch::history::History;

/// Starts the users' server (called once, by `run.rs`, after every list is complete).
///
/// # Errors
/// When the address can't be bound.
pub async fn start(
    handle: HubHandle,
    addr: SocketAddr,
    key: Arc<ReloadingKey>,
    tasks: &Tasks,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(addr)
        .await
        .with_context(|| format!("can't listen on {addr} for users (--users-addr)"))?;
    let client = handle.client.clone();
    let clients = ClientCa::load(&client).await;
    let config = server::server_config(key, Arc::clone(&clients))?;
    tasks.spawn(
        "users' client CA",
        clients.follow(client.clone(), tasks.shutdown_token()),
    );
    let history = History::new(&handle.fleet.index());
    tasks.spawn(
        "users' history",
        history
            .clone()
            .follow(handle.fleet.clone(), tasks.shutdown_token()),
    );
    let access = Access::new(client.clone());
    let services = Services {
        access: access.clone(),
        stored: stored::Stored::new(client),
        history,
        watches: Arc::new(Semaphore::new(WATCHES)),
        plans: Arc::new(Semaphore::new(PLANS)),
        accepted: Arc::default(),
        campaigns: Arc::default(),
        events: crate::store::events::Events::new(handle.client.clone(), &handle.pod),
        tasks: tasks.clone(),
        shutdown: tasks.shutdown_token(),
        handle,
    };
    let router = server::routes(access, services)
        .await
        .context("the users' API can't be described")?;
    tasks.spawn(
        "users",
        server::serve(
            server::USERS,
            listener,
            config,
            router,
            tasks.clone(),
            tasks.shutdown_token(),
        ),
    );
    Ok(())
}
