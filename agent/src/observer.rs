//! Watches of our CronJobs, their Jobs and Pods, in the namespaces that the policy lists.
//!
//! In: the API server. Out: [`cache::Cache`], and entries to be looked at again, within moments of a change.
//! Law: one namespace that can't be watched (rights, its end) stops no other; no deletion is inferred before a list is
//! complete. Not: what a change means (`segment_core::apply`).

pub mod cache;

use crate::shared::Shared;
use cache::{Kind, Seen};
use futures::{Stream, StreamExt as _};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::core::{ApiResource, DynamicObject};
use kube::runtime::watcher::{self, Event, watcher};
use segment_core::apply::Live;
use segment_core::ids::{KeyHash, Namespace};
use segment_core::names;
use segment_core::observe::{job_seen, pod_seen};
use segment_runtime::Tasks;
use segment_runtime::backoff::Backoff;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Longest wait for a part of a list.
pub const LIST_DEADLINE: Duration = Duration::from_mins(1);
/// A watch without a word for this long is begun anew, with a list: kube ends one that the server let hang, but not a
/// request for one that is never answered.
pub const IDLE_WATCH: Duration = Duration::from_hours(1);

/// Longest pause before a namespace that can't be listed is tried again: one call, and all its CronJobs come back with it.
const LIST_AGAIN: Duration = Duration::from_secs(15);

/// A watch did not go on.
#[derive(Debug, thiserror::Error)]
pub enum WatchFault {
    /// kube or the API server says why.
    #[error("{0}")]
    Watch(#[from] watcher::Error),
    /// Nothing came for too long.
    #[error("no word within {} s", .0.as_secs())]
    Silent(Duration),
    /// The stream ended, which it never should.
    #[error("the watch ended")]
    Ended,
}

impl WatchFault {
    /// The server's words when a right is missing.
    fn missing_right(&self) -> Option<String> {
        let Self::Watch(
            watcher::Error::InitialListFailed(kube::Error::Api(status))
            | watcher::Error::WatchStartFailed(kube::Error::Api(status))
            | watcher::Error::WatchError(status),
        ) = self
        else {
            return None;
        };
        (status.code == 403).then(|| status.message.clone())
    }
}

/// The next event of a watch.
///
/// # Errors
/// When there is none, or none in time.
pub async fn next_event<K>(
    events: &mut (impl Stream<Item = watcher::Result<Event<K>>> + Unpin),
    limit: Duration,
) -> Result<Event<K>, WatchFault> {
    match tokio::time::timeout(limit, events.next()).await {
        Ok(Some(event)) => Ok(event?),
        Ok(None) => Err(WatchFault::Ended),
        Err(_) => Err(WatchFault::Silent(limit)),
    }
}

/// Keeps watches open for the namespaces of the policy, until the end.
pub async fn observe(
    shared: Arc<Shared>,
    client: kube::Client,
    tasks: Tasks,
    stop: CancellationToken,
) {
    let mut policy = shared.policy.clone();
    let mut watched: BTreeMap<Namespace, CancellationToken> = BTreeMap::new();
    loop {
        // While the policy can't be understood, what is watched stays watched: nothing is written anyway.
        if let Ok(policy) = policy.borrow_and_update().policy() {
            let wanted: Vec<Namespace> = policy
                .namespaces
                .keys()
                .filter_map(|name| Namespace::new(name).ok())
                .collect();
            watched.retain(|namespace, token| {
                let keep = wanted.contains(namespace);
                if !keep {
                    token.cancel();
                    shared.cache.forget(namespace);
                    for kind in [Kind::CronJobs, Kind::Jobs, Kind::Pods] {
                        let place = place(namespace, kind);
                        shared.health.rights(&place, None);
                        shared.health.api(&place, None);
                    }
                }
                keep
            });
            for namespace in wanted {
                watched.entry(namespace.clone()).or_insert_with(|| {
                    let token = stop.child_token();
                    for kind in [Kind::CronJobs, Kind::Jobs, Kind::Pods] {
                        let (shared, client, token) =
                            (Arc::clone(&shared), client.clone(), token.clone());
                        tasks.spawn_child(
                            "watch",
                            watch_kind(shared, client, namespace.clone(), kind, token),
                        );
                    }
                    token
                });
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = policy.changed() => if changed.is_err() { return },
        }
    }
}

fn place(namespace: &Namespace, kind: Kind) -> String {
    format!("watch {kind:?} in {namespace}")
}

fn resource(kind: Kind) -> ApiResource {
    match kind {
        Kind::CronJobs => ApiResource::erase::<CronJob>(&()),
        Kind::Jobs => ApiResource::erase::<Job>(&()),
        Kind::Pods => ApiResource::erase::<Pod>(&()),
    }
}

/// An object as a compact value; `None` for one that can't be read, which stays out and blinds nobody.
fn compact(kind: Kind, object: DynamicObject) -> Option<Seen> {
    let mut value = object.data;
    let mut metadata = object.metadata;
    metadata.managed_fields = None;
    value["metadata"] = serde_json::to_value(metadata).unwrap_or(Value::Null);
    match kind {
        Kind::CronJobs => match Live::watched(&value) {
            Ok(live) => Some(Seen::CronJob(Box::new(live))),
            Err(error) => {
                tracing::warn!(%error, "a CronJob can't be read");
                None
            }
        },
        Kind::Jobs => job_seen(&value).map(|job| Seen::Job(Box::new(job))),
        Kind::Pods => pod_seen(&value).map(|pod| Seen::Pod(Box::new(pod))),
    }
}

async fn watch_kind(
    shared: Arc<Shared>,
    client: kube::Client,
    namespace: Namespace,
    kind: Kind,
    stop: CancellationToken,
) {
    let api: Api<DynamicObject> = Api::namespaced_with(client, namespace.as_str(), &resource(kind));
    let label = format!("{}={}", names::LABEL_APP_MANAGED_BY, names::MANAGER_AGENT);
    let config = watcher::Config::default().labels(&label);
    let place = place(&namespace, kind);
    let mut backoff = Backoff::new(Duration::from_millis(250), LIST_AGAIN);
    loop {
        let mut events = watcher(api.clone(), config.clone()).boxed();
        let mut listed = Some(Vec::new());
        let fault = loop {
            let limit = if listed.is_some() {
                LIST_DEADLINE
            } else {
                IDLE_WATCH
            };
            let event = tokio::select! {
                () = stop.cancelled() => return,
                event = next_event(&mut events, limit) => event,
            };
            match event {
                Err(fault) => break fault,
                Ok(event) => {
                    backoff.reset();
                    shared.health.rights(&place, None);
                    shared.health.api(&place, None);
                    take(&shared, &namespace, kind, event, &mut listed);
                }
            }
        };
        shared.cache.unwatched(&namespace, kind);
        let delay = backoff.delay(None);
        tracing::warn!(error = %fault, %namespace, ?kind, "a watch broke");
        match fault.missing_right() {
            Some(words) => shared.health.rights(&place, Some(words)),
            None if matches!(fault, WatchFault::Silent(limit) if limit == IDLE_WATCH) => {}
            None => shared.health.api(&place, Some(fault.to_string())),
        }
        if kind == Kind::CronJobs {
            // Without a list each is looked at by itself, with its own back-off, and reported.
            shared.queue.extend(
                shared
                    .keys_in(&namespace)
                    .into_iter()
                    .filter(|key| shared.reports.get(*key).is_none()),
            );
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(delay) => {}
        }
    }
}

fn take(
    shared: &Shared,
    namespace: &Namespace,
    kind: Kind,
    event: Event<DynamicObject>,
    listed: &mut Option<Vec<Seen>>,
) {
    if matches!(event, Event::Apply(_) | Event::Delete(_)) {
        shared.runs.changed();
    }
    match event {
        Event::Init => *listed = Some(Vec::new()),
        Event::InitApply(object) => listed.get_or_insert_default().extend(compact(kind, object)),
        Event::InitDone => {
            let mut keys = shared.cache.replace(
                namespace,
                kind,
                listed.take().unwrap_or_default(),
                Timestamp::now(),
            );
            if kind == Kind::CronJobs {
                // Also those whose CronJob is not there (any more).
                keys.extend(shared.keys_in(namespace));
            }
            for key in keys {
                concern(shared, kind, key, true);
            }
        }
        Event::Apply(object) => {
            let seen = compact(kind, object);
            if let Some(Seen::Pod(pod)) = &seen
                && !shared.cache.has_job(namespace, pod.job)
            {
                shared.ledger.late_pod(pod, Timestamp::now());
            }
            let key = seen.and_then(|seen| shared.cache.put(namespace, seen));
            if let Some(key) = key {
                concern(shared, kind, key, false);
            }
        }
        Event::Delete(object) => {
            let key = compact(kind, object).and_then(|seen| shared.cache.remove(namespace, &seen));
            if let Some(key) = key {
                concern(shared, kind, key, false);
            }
        }
    }
}

/// A CronJob's change asks for a look; that of a Job or Pod for a report, and for a look where a removal waits for it.
/// One that failed waits for its delay: its own writes come back as changes. A list, an order or the policy ends that.
fn concern(shared: &Shared, kind: Kind, key: KeyHash, listed: bool) {
    shared.look_at_runs(key);
    let looks = kind == Kind::CronJobs || !shared.refresh_runs(key);
    if looks && (listed || !shared.backoffs.has_failed(key)) {
        shared.queue.push(key);
    }
}
