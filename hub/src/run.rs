//! The composition root: the only place that knows every part.
//!
//! ```text
//! flags ─► Lease ─► identity, CA, book, tombstones ─► reflectors ─► (all listed) ─► agents' and users' servers
//! ```

use crate::agents::enrol::Enrolment;
use crate::agents::gate::Gate;
use crate::agents::server::{Sync, serve};
use crate::agents::tls::{AcceptLimits, AgentVerifier, incoming, server_config};
use crate::config::Config;
use crate::effects::Effects;
use crate::enrolment::CertificateAuthority;
use crate::fleet::fleet;
use crate::handle::HubHandle;
use crate::leader::{self, Term};
use crate::metrics::{AgentsMetrics, FleetMetrics, StatusMetrics};
use crate::status_writer::StatusWriter;
use crate::store::ca::{HubSecrets, load_or_create};
use crate::store::enrolment::EnrolmentStore;
use crate::store::secret::StoredSecret;
use crate::store::tombstones::Tombstones;
use crate::store::{identity, info};
use crate::{users, watch};
use anyhow::{Context, anyhow};
use jiff::{SignedDuration, Timestamp};
use prometheus_client::registry::Registry;
use segment_core::fence::HubMemory;
use segment_core::ids::InstanceId;
use segment_core::index::FleetIndex;
use segment_core::names;
use segment_runtime::Tasks;
use segment_runtime::admin::{AdminServer, Readiness};
use segment_runtime::backoff::Backoff;
use segment_runtime::lease::{Identity, LeaseParams};
use segment_runtime::shutdown::Signals;
use segment_runtime::tls::{ReloadingKey, certified_key};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Life of the hub's own server certificates; made anew at half of it.
const SERVER_LIFE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Runs the hub until a signal or the first part that fails.
///
/// # Errors
/// What made the start impossible, or which part ended.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let signals = Signals::install()?;
    let tasks = Tasks::new();
    let drain = Duration::from_secs(config.args.periods.drain_seconds.into());
    let started = {
        let tasks = tasks.clone();
        async move { start(config, &tasks).await }
    };
    // A signal ends the start as well: a standby waits in it.
    let running = signals.run(&tasks, drain);
    tokio::pin!(running);
    tokio::select! {
        ended = &mut running => return ended.map_err(Into::into),
        started = started => started?,
    }
    running.await.map_err(Into::into)
}

async fn start(config: Config, tasks: &Tasks) -> anyhow::Result<()> {
    let mut registry = Registry::with_prefix("");
    let fleet_metrics = FleetMetrics::register(&mut registry);
    let agents_metrics = AgentsMetrics::register(&mut registry);
    let status_metrics = StatusMetrics::register(&mut registry);
    let readiness = Readiness::new();
    let ready = readiness.handle("leading with every list complete");
    let admin = AdminServer::bind(config.args.admin.admin_addr, readiness, registry).await?;
    tasks.spawn("admin", admin.serve(tasks.shutdown_token()));

    let (client, _) = config.args.kube.client().await?;
    let namespace = config.args.listen.namespace.clone();
    let instance = InstanceId(*uuid::Uuid::new_v4().as_bytes());
    let term = Term::new(instance);
    let params = LeaseParams {
        namespace: namespace.clone(),
        name: names::HUB_LEASE.to_owned(),
        identity: Identity { pod: config.args.listen.pod_name.clone(), instance: instance.to_string() },
        times: config.lease,
    };
    let mut lease = leader::candidate(client.clone(), params);
    let lease_state = lease.watch();
    let annotate_term = term.clone();
    let mut annotate = move |old: &BTreeMap<String, String>, transition| {
        annotate_term.annotations(old, transition, Timestamp::now())
    };
    tracing::info!(namespace, "standing for the Lease");
    let Some(held) = lease.acquire(&mut annotate, &tasks.shutdown_token()).await? else {
        return Ok(());
    };
    // The Lease is given back only after everything else has ended: whoever takes over may then do so at once.
    let keep = {
        let stop = CancellationToken::new();
        let shutdown = tasks.shutdown_token();
        async move {
            let stopping = stop.clone();
            tokio::select! {
                ended = lease.keep(&mut annotate, &stopping) => ended?,
                () = async { shutdown.cancelled().await; tokio::time::sleep(Duration::from_secs(1)).await; } => {}
            }
            lease.release().await;
            Ok::<(), segment_runtime::lease::LeaseError>(())
        }
    };
    tasks.spawn("lease", keep);

    let secrets = HubSecrets {
        identity: StoredSecret::new(client.clone(), &namespace, names::HUB_IDENTITY_SECRET),
        root: StoredSecret::new(client.clone(), &namespace, names::HUB_ROOT_CA_SECRET),
        intermediate: StoredSecret::new(client.clone(), &namespace, names::HUB_INTERMEDIATE_CA_SECRET),
    };
    let now = Timestamp::now();
    let (_, authority) = load_or_create(&secrets, now).await?;
    let identity = identity::record_terms(&secrets.identity, &term.previous(), now).await?;
    let authority = Arc::new(authority);
    let fence = term
        .fence(identity.era, &held.annotations)
        .ok_or_else(|| anyhow!("the Lease has no term although it was just taken"))?;
    let (memory, memory_seen) = tokio::sync::watch::channel(HubMemory { fence, n: 0, old_terms: identity.old_terms });
    let memory = Arc::new(memory);
    tasks.spawn_child("watermark", follow(lease_state.clone(), Arc::clone(&memory)));
    tracing::info!(hub = %identity.hub_id, fence = %fence, "leading");

    let book = EnrolmentStore::load(StoredSecret::new(client.clone(), &namespace, names::HUB_ENROLMENT_SECRET)).await?;
    let tombstones = Tombstones::new(client.clone(), &namespace);
    let buried = tombstones.list().await.context("tombstones can't be listed")?;
    let index = FleetIndex::new(identity.hub_id.clone(), config.defaults.clone(), config.settings, now);
    let (task, mut ends) = fleet(index, buried, fleet_metrics);
    tasks.spawn("fleet", task.run(tasks.shutdown_token()));
    let effects = Effects {
        client: client.clone(),
        tombstones,
        fleet: ends.fleet.clone(),
        defaults: config.defaults.clone(),
    };
    tasks.spawn("effects", effects.run(ends.effects, tasks.clone(), tasks.shutdown_token()));
    let writer = StatusWriter::new(client.clone(), ends.fleet.clone(), status_metrics);
    tasks.spawn("status", writer.run(ends.status, tasks.shutdown_token()));
    tasks.spawn("watch segments", watch::segments(client.clone(), ends.fleet.clone()));
    tasks.spawn("watch clusters", watch::clusters(client.clone(), ends.fleet.clone()));
    tokio::select! {
        () = tasks.shutdown_token().cancelled_owned() => return Ok(()),
        listed = ends.listed.wait_for(|listed| *listed) => { listed.context("the fleet task has ended")?; }
    }
    tracing::info!("every list is complete");

    let key = server_key(&config, &authority)?;
    let gate = Gate { hub: identity.hub_id.clone(), book: book.clone(), fleet: ends.fleet.clone() };
    serve_agents(&config, tasks, &key, &authority, gate, &memory_seen, lease_state, &client, agents_metrics).await?;
    let handle = HubHandle {
        hub: identity.hub_id.clone(),
        pod: config.args.listen.pod_name.clone(),
        client: client.clone(),
        fleet: ends.fleet.clone(),
        book,
        authority: Arc::clone(&authority),
        agents_address: config.agents_address.clone(),
        users_address: config.users_address.clone(),
        identity: secrets.identity.clone(),
        memory,
    };
    users::start(handle, config.args.listen.users_addr, Arc::clone(&key), tasks).await?;
    tasks.spawn("server certificates", renew_server_key(config.clone(), Arc::clone(&authority), key, tasks.shutdown_token()));
    let facts = BTreeMap::from([
        ("agents".to_owned(), config.agents_address.clone()),
        ("users".to_owned(), config.users_address.clone()),
        ("ca.crt".to_owned(), authority.root_pem().to_owned()),
        ("hubId".to_owned(), identity.hub_id.to_string()),
    ]);
    info::write(&client, &facts).await.context("where the hub is can't be made known")?;
    ready.ready();
    Ok(())
}

async fn follow(
    lease: tokio::sync::watch::Receiver<segment_runtime::lease::LeaseState>,
    memory: Arc<tokio::sync::watch::Sender<HubMemory>>,
) {
    leader::follow(lease, &memory).await;
}

#[allow(clippy::too_many_arguments, reason = "the composition root hands every part what it needs, once")]
async fn serve_agents(
    config: &Config,
    tasks: &Tasks,
    key: &Arc<ReloadingKey>,
    authority: &Arc<CertificateAuthority>,
    gate: Gate,
    memory: &tokio::sync::watch::Receiver<HubMemory>,
    lease: tokio::sync::watch::Receiver<segment_runtime::lease::LeaseState>,
    client: &kube::Client,
    metrics: AgentsMetrics,
) -> anyhow::Result<()> {
    let addr = config.args.listen.agents_addr;
    let listener = TcpListener::bind(addr)
        .await
        .with_context(|| format!("can't listen on {addr} for agents (--agents-addr)"))?;
    let verifier = Arc::new(AgentVerifier::new(&[authority.root().clone()])?);
    let connections = incoming(listener, server_config(Arc::clone(key), verifier)?, AcceptLimits::default(), tasks);
    let sync = Sync::new(gate.clone(), memory.clone(), lease, metrics.clone(), tasks.clone());
    let enrolment = Enrolment::new(gate, Arc::clone(authority), client.clone(), config.leaf_life, metrics);
    tasks.spawn("agents", serve(sync, enrolment, connections, tasks.shutdown_token()));
    Ok(())
}

fn server_key(config: &Config, authority: &CertificateAuthority) -> anyhow::Result<Arc<ReloadingKey>> {
    let key = ReloadingKey::empty();
    issue_server_key(config, authority, &key)?;
    Ok(Arc::new(key))
}

fn issue_server_key(config: &Config, authority: &CertificateAuthority, key: &ReloadingKey) -> anyhow::Result<()> {
    let issued = authority.issue_server(&config.server_names(), Timestamp::now(), SERVER_LIFE)?;
    let private = issued.key_pem.as_deref().ok_or_else(|| anyhow!("a server certificate without a key"))?;
    key.replace(certified_key(issued.chain_pem.as_bytes(), private.as_bytes())?);
    Ok(())
}

/// Makes the server certificate anew at half its life, without a restart.
async fn renew_server_key(
    config: Config,
    authority: Arc<CertificateAuthority>,
    key: Arc<ReloadingKey>,
    shutdown: CancellationToken,
) {
    let half = Duration::try_from(SERVER_LIFE / 2).unwrap_or(Duration::from_secs(86_400));
    let mut pause = Backoff::api();
    let mut wait = half;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        wait = match issue_server_key(&config, &authority, &key) {
            Ok(()) => {
                pause.reset();
                half
            }
            Err(error) => {
                tracing::warn!(%error, "the server certificate was not made anew; tried again");
                pause.delay(None)
            }
        };
    }
}
