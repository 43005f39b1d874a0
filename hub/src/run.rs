//! The composition root: the only place that knows every part.
//!
//! ```text
//! flags ─► webhook ─► Lease ─► identity, CA, book, tombstones ─► reflectors ─► (all listed) ─► agents' and users' servers
//! ```

use crate::agents::enrol::Enrolment;
use crate::agents::gate::Gate;
use crate::agents::server::{Sync, serve};
use crate::agents::tls::{AcceptLimits, AgentVerifier, incoming, server_config};
use crate::config::Config;
use crate::effects::Effects;
use crate::enrolment::CertificateAuthority;
use crate::fleet::{Fleet, fleet};
use crate::handle::HubHandle;
use crate::leader::{self, Term};
use crate::metrics::{AgentsMetrics, FleetMetrics, StatusMetrics, WebhookMetrics};
use crate::status_writer::StatusWriter;
use crate::store::ca::{HubSecrets, load_or_create};
use crate::store::enrolment::EnrolmentStore;
use crate::store::events::Events;
use crate::store::operations::OperationsStore;
use crate::store::secret::StoredSecret;
use crate::store::tombstones::Tombstones;
use crate::store::{identity, info};
use crate::{server_certificate, users, watch, webhook};
use anyhow::{Context, anyhow};
use jiff::Timestamp;
use prometheus_client::registry::Registry;
use segment_core::fence::HubMemory;
use segment_core::ids::{HubId, InstanceId};
use segment_core::index::FleetIndex;
use segment_core::names;
use segment_runtime::Tasks;
use segment_runtime::admin::{AdminServer, Readiness, ReadyHandle};
use segment_runtime::lease::{Held, Identity, Lease, LeaseParams, LeaseState};
use segment_runtime::shutdown::Signals;
use segment_runtime::tls::ReloadingKey;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch as watch_channel;
use tokio_util::sync::CancellationToken;

/// Runs the hub until a signal or the first part that fails.
///
/// # Errors
/// What made the start impossible, or which part ended.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let signals = Signals::install()?;
    let tasks = Tasks::new();
    let running = signals.run(&tasks, config.args.periods.drain_limit);
    tokio::pin!(running);

    let mut registry = Registry::with_prefix("");
    let metrics = Metrics {
        fleet: FleetMetrics::register(&mut registry),
        agents: AgentsMetrics::register(&mut registry),
        status: StatusMetrics::register(&mut registry),
    };
    let judged = WebhookMetrics::register(&mut registry);
    let readiness = Readiness::new();
    let ready = readiness.handle("leading with every list complete");
    let admin = AdminServer::bind(config.args.admin.admin_addr, readiness, registry).await?;
    tasks.spawn("admin", admin.serve(tasks.shutdown_token()));

    // Judging needs no Lease: every replica does.
    webhook::start(&config, judged, &tasks).await?;

    let (client, _) = config.args.kube.client().await?;
    let instance = InstanceId(*uuid::Uuid::new_v4().as_bytes());
    let term = Term::new(instance);
    let mut lease = Lease::new(
        client.clone(),
        LeaseParams {
            namespace: config.args.listen.namespace.clone(),
            name: names::HUB_LEASE.to_owned(),
            identity: Identity {
                pod: config.args.listen.pod_name.clone(),
                instance: instance.to_string(),
            },
            times: config.lease,
        },
    );
    let mut annotate = {
        let term = term.clone();
        move |old: &BTreeMap<String, String>, transition| {
            term.annotations(old, transition, Timestamp::now())
        }
    };
    tracing::info!(
        namespace = config.args.listen.namespace,
        "standing for the Lease"
    );
    let stop = tasks.shutdown_token();
    let held = tokio::select! {
        ended = &mut running => return ended.map_err(Into::into),
        held = lease.acquire(&mut annotate, &stop) => held?,
    };
    let Some(held) = held else { return Ok(()) };
    let office = Office {
        term,
        held,
        lease: lease.watch(),
    };
    let outcome = {
        let never = CancellationToken::new();
        let keep = lease.keep(&mut annotate, &never);
        let work = async {
            tokio::select! {
                ended = &mut running => return ended.map_err(anyhow::Error::from),
                led = lead(config, office, client, metrics, ready, &tasks) => led?,
            }
            running.await.map_err(Into::into)
        };
        tokio::select! {
            lost = keep => lost.map_err(Into::into),
            done = work => done,
        }
    };
    // Only now, after everything else has ended: whoever takes over may do so at once.
    lease.release().await;
    outcome
}

/// What the Lease gave us.
struct Office {
    term: Term,
    held: Held,
    lease: watch_channel::Receiver<LeaseState>,
}

struct Metrics {
    fleet: FleetMetrics,
    agents: AgentsMetrics,
    status: StatusMetrics,
}

async fn lead(
    config: Config,
    office: Office,
    client: kube::Client,
    metrics: Metrics,
    ready: ReadyHandle,
    tasks: &Tasks,
) -> anyhow::Result<()> {
    let Office {
        term,
        held,
        lease: lease_state,
    } = office;
    let namespace = config.args.listen.namespace.clone();
    let secrets = HubSecrets {
        identity: StoredSecret::new(client.clone(), &namespace, names::HUB_IDENTITY_SECRET),
        root: StoredSecret::new(client.clone(), &namespace, names::HUB_ROOT_CA_SECRET),
        intermediate: StoredSecret::new(
            client.clone(),
            &namespace,
            names::HUB_INTERMEDIATE_CA_SECRET,
        ),
    };
    let now = Timestamp::now();
    let (_, authority) = load_or_create(&secrets, now).await?;
    let identity = identity::record_terms(&secrets.identity, &term.previous(), now).await?;
    let authority = Arc::new(authority);
    let fence = term
        .fence(identity.era, &held.annotations)
        .ok_or_else(|| anyhow!("the Lease has no term although it was just taken"))?;
    let (memory, memory_seen) = watch_channel::channel(HubMemory {
        fence,
        n: 0,
        old_terms: identity.old_terms,
    });
    let memory = Arc::new(memory);
    tasks.spawn_child(
        "watermark",
        follow(lease_state.clone(), Arc::clone(&memory)),
    );
    tracing::info!(hub = %identity.hub_id, fence = %fence, "leading");

    let book = EnrolmentStore::load(StoredSecret::new(
        client.clone(),
        &namespace,
        names::HUB_ENROLMENT_SECRET,
    ))
    .await?;
    let fleet = start_fleet(
        &config,
        &client,
        &identity.hub_id,
        metrics.fleet,
        metrics.status,
        tasks,
    )
    .await?;
    let Some(fleet) = fleet else { return Ok(()) };

    let key = server_certificate::server_key(&config, &authority)?;
    let gate = Gate {
        hub: identity.hub_id.clone(),
        book: book.clone(),
        fleet: fleet.clone(),
    };
    serve_agents(
        &config,
        tasks,
        &key,
        &authority,
        gate,
        &memory_seen,
        lease_state,
        &client,
        metrics.agents,
    )
    .await?;
    let handle = HubHandle {
        hub: identity.hub_id.clone(),
        pod: config.args.listen.pod_name.clone(),
        client: client.clone(),
        fleet,
        book,
        authority: Arc::clone(&authority),
        agents_address: config.agents_address.clone(),
        users_address: config.users_address.clone(),
        identity: secrets.identity.clone(),
        memory,
    };
    users::start(
        handle,
        config.args.listen.users_addr,
        Arc::clone(&key),
        tasks,
    )
    .await?;
    tasks.spawn(
        "server certificates",
        server_certificate::renew(
            config.clone(),
            Arc::clone(&authority),
            key,
            tasks.shutdown_token(),
        ),
    );
    make_known(&config, &client, &authority, &identity.hub_id).await?;
    ready.ready();
    Ok(())
}

/// Writes where the hub is, for `segctl`.
async fn make_known(
    config: &Config,
    client: &kube::Client,
    authority: &CertificateAuthority,
    hub: &HubId,
) -> anyhow::Result<()> {
    let facts = BTreeMap::from([
        ("agents".to_owned(), config.agents_address.clone()),
        ("users".to_owned(), config.users_address.clone()),
        ("ca.crt".to_owned(), authority.root_pem().to_owned()),
        ("hubId".to_owned(), hub.to_string()),
    ]);
    info::write(client, &facts)
        .await
        .context("where the hub is can't be made known")
}

/// Starts what owns and feeds the fleet index, and waits until every list is complete. `None` at a shutdown.
async fn start_fleet(
    config: &Config,
    client: &kube::Client,
    hub: &HubId,
    fleet_metrics: FleetMetrics,
    status_metrics: StatusMetrics,
    tasks: &Tasks,
) -> anyhow::Result<Option<Fleet>> {
    let tombstones = Tombstones::new(client.clone(), &config.args.listen.namespace);
    let buried = tombstones
        .list()
        .await
        .context("tombstones can't be listed")?;
    let operations = OperationsStore::new(client.clone(), &config.args.listen.namespace);
    let recorded = operations
        .list()
        .await
        .context("records of operations can't be listed")?;
    let index = FleetIndex::new(
        hub.clone(),
        config.defaults.clone(),
        config.settings,
        Timestamp::now(),
    );
    let (task, mut ends) = fleet(index, buried, recorded, fleet_metrics);
    tasks.spawn("fleet", task.run(tasks.shutdown_token()));
    let effects = Effects {
        client: client.clone(),
        tombstones,
        fleet: ends.fleet.clone(),
        defaults: config.defaults.clone(),
        operations,
        events: Events::new(client.clone(), &config.args.listen.pod_name),
        one_operation: Arc::default(),
        one_tombstone: Arc::default(),
    };
    tasks.spawn(
        "effects",
        effects.run(ends.effects, tasks.clone(), tasks.shutdown_token()),
    );
    let writer = StatusWriter::new(client.clone(), ends.fleet.clone(), status_metrics);
    tasks.spawn("status", writer.run(ends.status, tasks.shutdown_token()));
    let segments = watch::segments(client.clone(), ends.fleet.clone(), config.defaults.clone());
    tasks.spawn("watch segments", until(tasks.shutdown_token(), segments));
    let clusters = watch::clusters(client.clone(), ends.fleet.clone());
    tasks.spawn("watch clusters", until(tasks.shutdown_token(), clusters));
    tokio::select! {
        () = tasks.shutdown_token().cancelled_owned() => return Ok(None),
        listed = ends.listed.wait_for(|listed| *listed) => { listed.context("the fleet task has ended")?; }
    }
    Ok(Some(ends.fleet))
}

/// A task that knows no end of its own, until the shutdown.
async fn until<E>(
    stop: CancellationToken,
    task: impl Future<Output = Result<(), E>>,
) -> Result<(), E> {
    tokio::select! {
        () = stop.cancelled() => Ok(()),
        ended = task => ended,
    }
}

async fn follow(
    lease: watch_channel::Receiver<LeaseState>,
    memory: Arc<watch_channel::Sender<HubMemory>>,
) {
    leader::follow(lease, &memory).await;
}

#[allow(
    clippy::too_many_arguments,
    reason = "the composition root hands every part what it needs, once"
)]
async fn serve_agents(
    config: &Config,
    tasks: &Tasks,
    key: &Arc<ReloadingKey>,
    authority: &Arc<CertificateAuthority>,
    gate: Gate,
    memory: &watch_channel::Receiver<HubMemory>,
    lease: watch_channel::Receiver<LeaseState>,
    client: &kube::Client,
    metrics: AgentsMetrics,
) -> anyhow::Result<()> {
    let addr = config.args.listen.agents_addr;
    let listener = TcpListener::bind(addr)
        .await
        .with_context(|| format!("can't listen on {addr} for agents (--agents-addr)"))?;
    let verifier = Arc::new(AgentVerifier::new(&[authority.root().clone()])?);
    let connections = incoming(
        listener,
        server_config(Arc::clone(key), verifier)?,
        AcceptLimits::default(),
        tasks,
    );
    let sync = Sync::new(
        gate.clone(),
        memory.clone(),
        lease,
        metrics.clone(),
        tasks.clone(),
    );
    let enrolment = Enrolment::new(
        gate,
        Arc::clone(authority),
        client.clone(),
        config.leaf_life,
        metrics,
    );
    tasks.spawn(
        "agents",
        serve(sync, enrolment, connections, tasks.shutdown_token()),
    );
    Ok(())
}
