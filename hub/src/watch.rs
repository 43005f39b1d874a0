//! Reflectors of Segments and Clusters, guarded: one bad object does not blind the watch.
//!
//! In: the hub's API server. Out: [`Event`]s. Law: deletions after a re-list are found by difference, when the list is
//! whole (`InitDone`); what can't be read is a finding on that object, and its last good spec stands.
//! Not: what follows from it, when lint is asked (`judged`).

use crate::fleet::{Event, Fleet, FleetGone, SeenCluster, WatchedSegment};
use crate::judged::Judged;
use crate::read;
use futures::{Stream, StreamExt};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::core::{ApiResource, DynamicObject};
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client, Resource};
use segment_core::ids::{ClusterName, SegmentKey, Uid};
use segment_core::index::SeenSegment;
use segment_core::names::{ANNOTATION_CHANGE_CAUSE, FINALIZER, MANAGER_HUB, MANAGER_HUB_STATUS};
use segment_core::placement::ClusterView;
use segment_core::report::cut;
use segment_core::rollout::MAX_REASON_BYTES;
use segment_core::segment::HouseDefaults;
use segment_crds::{Cluster, Segment};
use std::time::Duration;

/// Objects per page of a list.
const PAGE: u32 = 500;
/// A watch that has been silent for this long is closed by the server and opened again, in seconds.
const WATCH_SECONDS: u32 = 290;

/// The resource type of Segments, for untyped reads.
pub fn segment_resource() -> ApiResource {
    ApiResource::erase::<Segment>(&())
}

/// The resource type of Clusters, for untyped reads.
pub fn cluster_resource() -> ApiResource {
    ApiResource::erase::<Cluster>(&())
}

fn config() -> watcher::Config {
    // The first list must not be one of the past (Sieve's "time travel"): resourceVersion unset is a quorum read.
    watcher::Config {
        list_semantic: watcher::ListSemantic::MostRecent,
        page_size: Some(PAGE),
        timeout: Some(WATCH_SECONDS),
        ..watcher::Config::default()
    }
}

/// Keeps the fleet told of Segments.
///
/// # Errors
/// When the fleet task has ended.
pub async fn segments(
    client: Client,
    fleet: Fleet,
    defaults: HouseDefaults,
) -> Result<(), FleetGone> {
    let api: Api<DynamicObject> = Api::all_with(client, &segment_resource());
    let mut events = std::pin::pin!(guarded("segments", watcher(api, config())));
    let mut judged = Judged::new(defaults);
    let mut listing = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            watcher::Event::Init => listing = Vec::new(),
            watcher::Event::InitApply(object) => listing.extend(watched(&object, &mut judged)),
            watcher::Event::InitDone => {
                judged.keep(listing.iter().map(|watched| &watched.seen.key));
                fleet
                    .tell(Event::Segments(std::mem::take(&mut listing)))
                    .await?;
            }
            watcher::Event::Apply(object) => {
                if let Some(watched) = watched(&object, &mut judged) {
                    fleet.tell(Event::Segment(Box::new(watched))).await?;
                }
            }
            watcher::Event::Delete(object) => {
                if let Some((key, uid)) = identity(&object) {
                    judged.forget(&key);
                    fleet.tell(Event::SegmentGone(key, uid)).await?;
                }
            }
        }
    }
    Ok(())
}

/// Keeps the fleet told of Clusters.
///
/// # Errors
/// When the fleet task has ended.
pub async fn clusters(client: Client, fleet: Fleet) -> Result<(), FleetGone> {
    let api: Api<DynamicObject> = Api::all_with(client, &cluster_resource());
    let mut events = std::pin::pin!(guarded("clusters", watcher(api, config())));
    let mut listing = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            watcher::Event::Init => listing = Vec::new(),
            watcher::Event::InitApply(object) => listing.extend(cluster(&object)),
            watcher::Event::InitDone => {
                fleet
                    .tell(Event::Clusters(std::mem::take(&mut listing)))
                    .await?;
            }
            watcher::Event::Apply(object) => {
                if let Some(seen) = cluster(&object) {
                    fleet.tell(Event::Cluster(Box::new(seen))).await?;
                }
            }
            watcher::Event::Delete(object) => {
                if let Ok(name) =
                    ClusterName::new(object.metadata.name.as_deref().unwrap_or_default())
                {
                    fleet.tell(Event::ClusterGone(name)).await?;
                }
            }
        }
    }
    Ok(())
}

/// A watcher's errors are logged and waited out; the stream goes on.
fn guarded<K: Resource>(
    what: &'static str,
    events: impl Stream<Item = watcher::Result<watcher::Event<K>>>,
) -> impl Stream<Item = watcher::Event<K>> {
    let mut pause =
        segment_runtime::backoff::Backoff::new(Duration::from_millis(250), Duration::from_secs(15));
    events
        .then(move |event| {
            let wait = match &event {
                Ok(_) => {
                    pause.reset();
                    None
                }
                Err(error) => {
                    tracing::warn!(what, error = %segment_runtime::tasks::with_causes(error), "the watch is opened again");
                    Some(pause.delay(None))
                }
            };
            async move {
                if let Some(wait) = wait {
                    tokio::time::sleep(wait).await;
                }
                event.ok()
            }
        })
        .filter_map(std::future::ready)
}

/// Which Segment this is; `None` where it has no usable name, which the API server does not let happen.
fn identity(object: &DynamicObject) -> Option<(SegmentKey, Uid)> {
    let metadata = &object.metadata;
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let name = metadata.name.as_deref().unwrap_or_default();
    let key = match SegmentKey::new(namespace, name) {
        Ok(key) => key,
        Err(error) => {
            tracing::warn!(namespace, name, %error, "a Segment is left out");
            return None;
        }
    };
    Some((key, metadata.uid.as_deref()?.parse().ok()?))
}

/// Reads and judges a Segment; `None` where it has no [`identity`].
pub fn segment(object: &DynamicObject, defaults: &HouseDefaults) -> Option<WatchedSegment> {
    watched(object, &mut Judged::new(defaults.clone()))
}

fn watched(object: &DynamicObject, judged: &mut Judged) -> Option<WatchedSegment> {
    let (key, uid) = identity(object)?;
    let metadata = object.metadata.clone();
    let (parsed, status) = match read::segment(object) {
        Ok(mut segment) => {
            let status = segment.status.take();
            let parsed = judged.judge(&key, uid, &segment, Timestamp::now());
            (parsed, status)
        }
        Err(finding) => (Err(vec![finding]), None),
    };
    let author = author(metadata.managed_fields.as_deref().unwrap_or_default());
    let cause = metadata
        .annotations
        .as_ref()
        .and_then(|annotations| annotations.get(ANNOTATION_CHANGE_CAUSE))
        .map(|cause| cut(cause, MAX_REASON_BYTES));
    let finalizers = metadata.finalizers.unwrap_or_default();
    Some(WatchedSegment {
        seen: SeenSegment {
            key,
            uid,
            generation: metadata.generation.unwrap_or(0),
            created: metadata.creation_timestamp.map(|time| time.0),
            labels: metadata.labels.unwrap_or_default(),
            deleting: metadata.deletion_timestamp.is_some(),
            finalizer: finalizers.iter().any(|f| f == FINALIZER),
            parsed,
        },
        resource_version: metadata.resource_version.unwrap_or_default(),
        finalizers,
        status,
        author,
        cause,
    })
}

/// Who wrote the spec last: the API server knows a field manager, not a user.
fn author(managed: &[ManagedFieldsEntry]) -> Option<String> {
    managed
        .iter()
        .filter(|entry| {
            let ours = [MANAGER_HUB, MANAGER_HUB_STATUS];
            entry.subresource.as_deref().unwrap_or_default().is_empty()
                && entry
                    .manager
                    .as_deref()
                    .is_some_and(|name| !ours.contains(&name))
                && entry
                    .fields_v1
                    .as_ref()
                    .is_some_and(|fields| !fields.0["f:spec"].is_null())
        })
        .max_by_key(|entry| entry.time.as_ref().map(|time| time.0))
        .and_then(|entry| entry.manager.clone())
        .map(|manager| cut(&manager, MAX_REASON_BYTES))
}

/// Reads a Cluster; `None` (and a line in the log) where it can't be, and then what was known of it stands.
pub fn cluster(object: &DynamicObject) -> Option<SeenCluster> {
    let name = object.metadata.name.clone().unwrap_or_default();
    let cluster: Cluster = match serde_json::to_value(object).and_then(serde_json::from_value) {
        Ok(cluster) => cluster,
        Err(error) => {
            tracing::warn!(cluster = name, %error, "a Cluster can't be read; what was known of it stands");
            return None;
        }
    };
    let view = match ClusterView::from_cluster(&cluster) {
        Ok(view) => view,
        Err(finding) => {
            tracing::warn!(cluster = name, %finding, "a Cluster is left out");
            return None;
        }
    };
    Some(SeenCluster {
        view,
        generation: cluster.metadata.generation.unwrap_or(0),
        created: cluster.metadata.creation_timestamp.map(|time| time.0),
        bound_uid: cluster
            .status
            .as_ref()
            .and_then(|status| status.cluster_uid.as_deref())
            .and_then(|uid| uid.parse().ok()),
        status: cluster.status,
    })
}
