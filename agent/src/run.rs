//! The composition root: the only place that knows every part.
//!
//! In: [`Args`]. Out: a running agent, until a signal or the first task that ends unasked. Law: flags are checked before
//! a port is bound; nothing is written before the Lease is held; the Lease is given back last.
//! Not: what the parts do.

use crate::applier::{Applier, Calls};
use crate::args::Args;
use crate::config::Config;
use crate::health::Health;
use crate::held::{EVENTS, Event, Held, Process};
use crate::identity::IdentityStore;
use crate::join::Join;
use crate::ledger::check::check;
use crate::ledger::{self, Runs as Ledger};
use crate::logs::pass_logs;
use crate::metrics::Metrics;
use crate::observer::observe;
use crate::policy::{PolicyState, watch_policy};
use crate::runs::{self, Runs};
use crate::session::keep_connected;
use crate::shared::Shared;
use crate::store::format::{Kind, LedgerContent, StateContent};
use crate::store::{Loaded, Store};
use anyhow::Context as _;
use prometheus_client::registry::Registry;
use segment_core::apply::{Look, Place, target};
use segment_core::ids::{InstanceId, KeyHash, Uid};
use segment_core::names;
use segment_core::run_order::known::KnownRun;
use segment_core::sync::agent::AgentSync;
use segment_runtime::admin::{AdminServer, Readiness, ReadyHandle};
use segment_runtime::backoff::Backoff;
use segment_runtime::error::ApiError;
use segment_runtime::lease::{Identity, Lease, LeaseParams, LeaseState};
use segment_runtime::shutdown::Signals;
use segment_runtime::tasks::with_causes;
use segment_runtime::{Tasks, log, raw, tls};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long the parts have to end after a signal.
const DRAIN: Duration = Duration::from_secs(10);

/// Runs the agent.
///
/// # Errors
/// When a flag can't be used, a port is taken, or a task ended unasked.
pub fn main(args: Args) -> anyhow::Result<()> {
    log::init(&args.log)?;
    let config = Config::new(&args)?;
    tls::install_provider();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no async runtime")?;
    runtime.block_on(run(args, config))
}

async fn run(args: Args, config: Config) -> anyhow::Result<()> {
    let signals = Signals::install().context("signals can't be handled")?;
    let tasks = Tasks::new();
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let readiness = Readiness::new();
    let ready = Ready {
        policy: readiness.handle("policy"),
        store: readiness.handle("store"),
    };
    let admin = AdminServer::bind(args.admin.admin_addr, readiness, registry).await?;
    tracing::info!(addr = %admin.local_addr()?, version = env!("CARGO_PKG_VERSION"), "health and metrics");
    let (client, _) = args.kube.client().await?;
    tasks.spawn("admin", admin.serve(tasks.shutdown_token()));
    tasks.spawn("agent", {
        let tasks = tasks.clone();
        async move {
            agent(client, config, ready, metrics, tasks)
                .await
                .map_err(Box::<dyn std::error::Error + Send + Sync>::from)
        }
    });
    signals.run(&tasks, DRAIN).await?;
    Ok(())
}

struct Ready {
    policy: ReadyHandle,
    store: ReadyHandle,
}

/// The agent's own life: stands by for the Lease, then works until the end.
async fn agent(
    client: kube::Client,
    config: Config,
    ready: Ready,
    metrics: Metrics,
    tasks: Tasks,
) -> anyhow::Result<()> {
    let instance = InstanceId(rand::random());
    let lease_end = CancellationToken::new();
    // However this ends, the Lease is not held longer.
    let _given_back = lease_end.clone().drop_guard();
    let Some(lease) = hold_lease(&client, &config, instance, &tasks, &lease_end).await else {
        return Ok(());
    };
    let Some(start) = read_start(&client, &config, &tasks.shutdown_token()).await else {
        return Ok(());
    };
    ready.store.ready();
    work(
        Work {
            client,
            config,
            metrics,
            policy_ready: ready.policy,
            instance,
            lease,
            lease_end: lease_end.clone(),
            tasks: tasks.clone(),
        },
        start,
    );
    tasks.shutdown_token().cancelled().await;
    lease_end.cancelled().await;
    Ok(())
}

/// What is read before the work begins.
struct Start {
    cluster_uid: Uid,
    kubernetes_version: String,
    identity: IdentityStore,
    store: Store,
    loaded: Loaded,
}

/// Reads it, however long that takes; `None` at the end of the process.
async fn read_start(
    client: &kube::Client,
    config: &Config,
    stop: &CancellationToken,
) -> Option<Start> {
    let limit = config.call_deadline();
    let cluster_uid = retry(stop, "kube-system", || cluster_uid(client, limit)).await?;
    let kubernetes_version = retry(stop, "version", || kubernetes_version(client, limit)).await?;
    let open = || IdentityStore::open(client.clone(), &config.namespace, limit);
    let identity = retry(stop, "identity", open).await?;
    let load = || {
        Store::load(
            client.clone(),
            config.namespace.clone(),
            limit,
            identity.is_enrolled(),
        )
    };
    let (store, loaded) = retry(stop, "store", load).await?;
    let stored = &loaded.stored;
    tracing::info!(entries = stored.entries.len(), damaged = stored.damaged, hub = ?stored.hub, %kubernetes_version, "store read");
    Some(Start {
        cluster_uid,
        kubernetes_version,
        identity,
        store,
        loaded,
    })
}

/// What the parts are made of.
struct Work {
    client: kube::Client,
    config: Config,
    metrics: Metrics,
    policy_ready: ReadyHandle,
    instance: InstanceId,
    lease: watch::Receiver<LeaseState>,
    lease_end: CancellationToken,
    tasks: Tasks,
}

/// Starts the parts.
fn work(work: Work, start: Start) {
    let Work {
        client,
        config,
        metrics,
        policy_ready,
        instance,
        lease,
        lease_end,
        tasks,
    } = work;
    let Start {
        cluster_uid,
        kubernetes_version,
        identity,
        store,
        mut loaded,
    } = start;
    // A store that lost it obeys nobody else: the certificate says whose orders these are.
    loaded.stored.hub = loaded.stored.hub.or_else(|| identity.hub());
    let stop = tasks.shutdown_token();
    let (policy_sender, policy) = watch::channel(PolicyState::Unread);
    let health = Health::default();
    let ledger = start_ledger(loaded.ledger, loaded.damaged_ledgers, &config, &health);
    let shared = Arc::new(Shared::new(
        loaded.stored.entries.clone(),
        loaded.stored.hub.clone(),
        loaded.records,
        ledger,
        policy,
        health,
        metrics,
    ));
    let (events, held_events) = mpsc::channel(EVENTS);
    let agent_version = env!("CARGO_PKG_VERSION").to_owned();
    let process = Process {
        cluster_uid,
        instance,
        agent_version: agent_version.clone(),
        kubernetes_version,
    };
    let store = Arc::new(store);
    let state = StateContent {
        incomplete: loaded.stored.damaged,
        ..loaded.state
    };
    let ordered_runs = state.runs.clone();
    let held = Held::new(
        AgentSync::new(loaded.stored),
        Arc::clone(&shared),
        Arc::clone(&store),
        process,
        tasks.clone(),
        events.clone(),
        state,
        loaded.bytes,
    );
    start_held(
        held,
        held_events,
        config.periods.store_flush,
        lease_end,
        &tasks,
    );
    start_watches(
        &config,
        &client,
        &shared,
        policy_sender,
        policy_ready,
        &tasks,
    );
    start_runs(
        &config,
        client.clone(),
        &shared,
        lease.clone(),
        &events,
        &tasks,
        ordered_runs,
    );
    let calls = Calls {
        shared: Arc::clone(&shared),
        client,
        limit: config.call_deadline(),
    };
    start_appliers(&config, calls, lease, &events, &tasks);
    let (joined_sender, joined) = watch::channel(None);
    let join = Join {
        identity,
        store,
        config: config.clone(),
        cluster_uid,
        agent_version,
    };
    tasks.spawn("identity", join.run(joined_sender, stop.clone()));
    tasks.spawn(
        "session",
        keep_connected(shared, config, joined, events, stop),
    );
}

/// The ledger with what the store held. A damaged shard is an empty one, says so, and is written anew.
fn start_ledger(
    shards: Vec<LedgerContent>,
    damaged: BTreeMap<Kind, String>,
    config: &Config,
    health: &Health,
) -> Ledger {
    let runs = Ledger::new(ledger::loaded(shards), config.ledger);
    for (kind, words) in damaged {
        health.store(&format!("{kind:?}"), Some(words));
        runs.not_written(kind);
    }
    runs
}

/// Starts the task that owns what is held. Once it has ended nothing is written any more, and the Lease may go.
fn start_held(
    held: Held,
    events: mpsc::Receiver<Event>,
    flush: Duration,
    lease_end: CancellationToken,
    tasks: &Tasks,
) {
    let stop = tasks.shutdown_token();
    tasks.spawn("held", async move {
        let result = held.run(events, flush, stop).await;
        lease_end.cancel();
        result
    });
}

/// Starts what watches the policy, and what the policy lets us watch.
fn start_watches(
    config: &Config,
    client: &kube::Client,
    shared: &Arc<Shared>,
    policy: watch::Sender<PolicyState>,
    ready: ReadyHandle,
    tasks: &Tasks,
) {
    let stop = tasks.shutdown_token();
    tasks.spawn(
        "policy",
        watch_policy(
            client.clone(),
            config.namespace.clone(),
            policy,
            shared.health.clone(),
            ready,
            stop.clone(),
        ),
    );
    tasks.spawn(
        "observer",
        observe(
            Arc::clone(shared),
            client.clone(),
            tasks.clone(),
            stop.clone(),
        ),
    );
    let (period, limit) = (config.periods.runs_check, config.call_deadline());
    let missed = check(
        Arc::clone(shared),
        client.clone(),
        period,
        limit,
        stop.clone(),
    );
    tasks.spawn("ledger", missed);
    tasks.spawn("readmit", readmit(Arc::clone(shared), stop));
}

/// Starts the tasks of ordered runs, with what the store knows of them, and of logs.
fn start_runs(
    config: &Config,
    client: kube::Client,
    shared: &Arc<Shared>,
    lease: watch::Receiver<LeaseState>,
    events: &mpsc::Sender<Event>,
    tasks: &Tasks,
    stored: Vec<KnownRun>,
) {
    let calls = runs::Calls {
        client,
        limit: config.call_deadline(),
    };
    tasks.spawn(
        "logs",
        pass_logs(
            Arc::clone(shared),
            calls.client.clone(),
            calls.limit,
            events.clone(),
            tasks.clone(),
            tasks.shutdown_token(),
        ),
    );
    let runs = Runs::new(
        Arc::clone(shared),
        events.clone(),
        lease,
        calls,
        config.runs,
        config.periods.run_look,
        stored,
    );
    tasks.spawn("runs", runs.run(tasks.shutdown_token()));
}

/// Starts the workers. Each has a way to `held`, which ends when the last one does.
fn start_appliers(
    config: &Config,
    calls: Calls,
    lease: watch::Receiver<LeaseState>,
    events: &mpsc::Sender<Event>,
    tasks: &Tasks,
) {
    let applier = Applier {
        shared: Arc::clone(&calls.shared),
        held: events.clone(),
        lease,
        settings: config.apply,
        calls,
    };
    for _ in 0..config.workers {
        tasks.spawn("applier", applier.clone().work(tasks.shutdown_token()));
    }
}

/// Waits until the Lease is held; `None` at the end of the process.
async fn hold_lease(
    client: &kube::Client,
    config: &Config,
    instance: InstanceId,
    tasks: &Tasks,
    end: &CancellationToken,
) -> Option<watch::Receiver<LeaseState>> {
    let params = LeaseParams {
        namespace: config.namespace.to_string(),
        name: names::AGENT_LEASE.to_owned(),
        identity: Identity {
            pod: config.pod_name.clone(),
            instance: instance.to_string(),
        },
        times: config.lease,
    };
    let mut lease = Lease::new(client.clone(), params);
    let mut state = lease.watch();
    let stop = tasks.shutdown_token();
    tasks.spawn("lease", {
        let (end, stop) = (end.clone(), stop.clone());
        let mut holding = lease.watch();
        async move {
            // Before it is held the end of the process is enough; once it is, what was begun is finished first.
            let before = CancellationToken::new();
            let watcher = async {
                stop.cancelled().await;
                if !holding.borrow_and_update().is_held_at(Instant::now()) {
                    before.cancel();
                }
                end.cancelled().await;
                before.cancel();
                std::future::pending::<()>().await;
            };
            let running = lease.run(|_, _| BTreeMap::new(), before.clone());
            tokio::select! {
                result = running => result,
                () = watcher => Ok(()),
            }
        }
    });
    tokio::select! {
        () = stop.cancelled() => return None,
        held = state.wait_for(|state| state.is_held_at(Instant::now())) => held.is_ok(),
    }
    .then_some(state)
}

/// Repeats a call until it succeeds; `None` at the end of the process.
async fn retry<T, E, F, Call>(
    stop: &CancellationToken,
    what: &'static str,
    mut call: F,
) -> Option<T>
where
    F: FnMut() -> Call,
    Call: Future<Output = Result<T, E>>,
    E: std::error::Error + 'static,
{
    let mut backoff = Backoff::api();
    loop {
        let result = tokio::select! {
            () = stop.cancelled() => return None,
            result = call() => result,
        };
        match result {
            Ok(value) => return Some(value),
            Err(error) => tracing::warn!(what, error = with_causes(&error), "not read yet"),
        }
        tokio::select! {
            () = stop.cancelled() => return None,
            () = tokio::time::sleep(backoff.delay(None).max(Duration::from_millis(50))) => {}
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum AboutError {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error("{0} has no {1}")]
    Missing(&'static str, &'static str),
}

async fn cluster_uid(client: &kube::Client, limit: Duration) -> Result<Uid, AboutError> {
    let answer = raw::get_json(
        client,
        &raw::path("v1", "namespaces", None, Some("kube-system")),
        limit,
    )
    .await?;
    let uid = answer.body["metadata"]["uid"]
        .as_str()
        .and_then(|uid| uid.parse().ok());
    uid.ok_or(AboutError::Missing("namespace kube-system", "uid"))
}

async fn kubernetes_version(client: &kube::Client, limit: Duration) -> Result<String, AboutError> {
    let answer = raw::get_json(client, "/version", limit).await?;
    let version = answer.body["gitVersion"].as_str().map(str::to_owned);
    version.ok_or(AboutError::Missing("/version", "gitVersion"))
}

/// Looks at entries again whenever the policy changes. Those of a namespace whose list is still to come are looked at
/// with it: one list is cheaper than a read for each.
async fn readmit(shared: Arc<Shared>, stop: CancellationToken) {
    let mut policy = shared.policy.clone();
    loop {
        let now = policy.borrow_and_update().clone();
        if now != PolicyState::Unread {
            let listed = |place: &Place| shared.cache.look(place) != Look::Unknown;
            let watched = |place: &Place| {
                now.policy()
                    .is_ok_and(|p| p.namespaces.contains_key(place.namespace.as_str()))
            };
            let due = |key: &KeyHash| {
                shared
                    .entry(*key)
                    .map(|entry| target(&entry))
                    .is_some_and(|place| listed(&place) || !watched(&place))
            };
            shared.queue.extend(shared.keys().into_iter().filter(due));
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = policy.changed() => if changed.is_err() { return },
        }
    }
}
