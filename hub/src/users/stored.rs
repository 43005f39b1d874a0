//! Statuses as the API server has them: since when a condition is so.
//!
//! In: lists, from the API server's cache. Out: conditions by name. Law: read at most once in five seconds, whoever asks;
//! without an answer the one before stands: then a time is missing, never a wrong one. Not: what is so now (`view`).

use crate::store::CALL_LIMIT;
use kube::api::{ListParams, VersionMatch};
use kube::{Api, Client, ResourceExt};
use segment_core::ids::{ClusterName, SegmentKey};
use segment_crds::{Cluster, ClusterStatus, Segment, SegmentStatus};
use segment_runtime::backoff;
use segment_runtime::tasks::with_causes;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long a list is believed: conditions' times are shown in seconds, and views FULL are asked for by people.
const LIFE: Duration = Duration::from_secs(5);

/// Statuses of Segments by key.
pub type Segments = Arc<HashMap<SegmentKey, SegmentStatus>>;
/// Statuses of Clusters by name.
pub type Clusters = Arc<HashMap<ClusterName, ClusterStatus>>;

/// What is stored. Cheap to clone.
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "kube::Client has no Debug")]
pub struct Stored {
    client: Client,
    segments: Arc<Mutex<Kept<Segments>>>,
    clusters: Arc<Mutex<Kept<Clusters>>>,
}

#[derive(Default)]
struct Kept<T> {
    since: Option<Instant>,
    value: T,
}

impl<T> Kept<T> {
    fn is_fresh(&self) -> bool {
        self.since.is_some_and(|since| since.elapsed() < LIFE)
    }
}

impl Stored {
    /// Nothing is read yet.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            segments: Arc::default(),
            clusters: Arc::default(),
        }
    }

    /// Of all Segments.
    pub async fn segments(&self) -> Segments {
        let mut kept = self.segments.lock().await;
        if !kept.is_fresh() {
            let api: Api<Segment> = Api::all(self.client.clone());
            match backoff::call(CALL_LIMIT, "LIST segments", api.list(&params())).await {
                Ok(list) => {
                    kept.value = Arc::new(
                        list.items
                            .into_iter()
                            .filter_map(|segment| {
                                let key =
                                    SegmentKey::new(&segment.namespace()?, &segment.name_any())
                                        .ok()?;
                                Some((key, segment.status?))
                            })
                            .collect(),
                    );
                }
                Err(error) => {
                    tracing::warn!(error = %with_causes(&error), "stored statuses can't be read");
                }
            }
            kept.since = Some(Instant::now());
        }
        Arc::clone(&kept.value)
    }

    /// Of all Clusters.
    pub async fn clusters(&self) -> Clusters {
        let mut kept = self.clusters.lock().await;
        if !kept.is_fresh() {
            let api: Api<Cluster> = Api::all(self.client.clone());
            match backoff::call(CALL_LIMIT, "LIST clusters", api.list(&params())).await {
                Ok(list) => {
                    kept.value = Arc::new(
                        list.items
                            .into_iter()
                            .filter_map(|cluster| {
                                let name = ClusterName::new(cluster.name_any()).ok()?;
                                Some((name, cluster.status?))
                            })
                            .collect(),
                    );
                }
                Err(error) => {
                    tracing::warn!(error = %with_causes(&error), "stored statuses can't be read");
                }
            }
            kept.since = Some(Instant::now());
        }
        Arc::clone(&kept.value)
    }
}

/// From the API server's cache: no quorum read for a time of display.
fn params() -> ListParams {
    ListParams {
        version_match: Some(VersionMatch::NotOlderThan),
        resource_version: Some("0".to_owned()),
        ..ListParams::default()
    }
}
