//! Writes status: core says what and whether, this says how fast.
//!
//! In: [`StatusNote`]s. Out: server-side apply of `/status`, whole.
//! Law: at most one write a second per object and twenty a second in all; what is not worth a write is not written; a
//! refusal is repeated with the newest state, later. Not: the words.

use crate::fleet::{Fleet, StatusNote};
use crate::metrics::StatusMetrics;
use crate::store::CALL_LIMIT;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use segment_core::ids::{ClusterName, SegmentKey, Uid};
use segment_core::names::MANAGER_HUB_STATUS;
use segment_core::status::{cluster_status, segment_status};
use segment_crds::{Cluster, ClusterStatus, Segment, SegmentStatus};
use segment_runtime::{ApiError, backoff};
use serde_json::json;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Between two writes of one object.
const PER_OBJECT: Duration = Duration::from_secs(1);
/// Writes a second in all; a burst of as many is allowed.
const PER_SECOND: u32 = 20;
/// After a refused write.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// The status writer.
#[allow(missing_debug_implementations, reason = "kube::Client has no Debug")]
pub struct StatusWriter {
    client: Client,
    fleet: Fleet,
    metrics: StatusMetrics,
    segments: HashMap<SegmentKey, (Uid, Option<SegmentStatus>)>,
    clusters: HashMap<ClusterName, Option<ClusterStatus>>,
    due_segments: HashMap<SegmentKey, Instant>,
    due_clusters: HashMap<ClusterName, Instant>,
    last_segment: HashMap<SegmentKey, Instant>,
    last_cluster: HashMap<ClusterName, Instant>,
    tokens: f64,
    refilled: Instant,
}

impl StatusWriter {
    /// A writer that has written nothing yet.
    pub fn new(client: Client, fleet: Fleet, metrics: StatusMetrics) -> Self {
        Self {
            client,
            fleet,
            metrics,
            segments: HashMap::new(),
            clusters: HashMap::new(),
            due_segments: HashMap::new(),
            due_clusters: HashMap::new(),
            last_segment: HashMap::new(),
            last_cluster: HashMap::new(),
            tokens: f64::from(PER_SECOND),
            refilled: Instant::now(),
        }
    }

    /// Runs until `shutdown`; then what is due is written once more, without waiting for the pace.
    pub async fn run(mut self, mut notes: mpsc::Receiver<StatusNote>, shutdown: CancellationToken) {
        loop {
            let next = self.next_due();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                note = notes.recv() => match note {
                    Some(note) => self.note(note),
                    None => break,
                },
                () = tokio::time::sleep_until(next.unwrap_or_else(|| Instant::now() + PER_OBJECT)), if next.is_some() => {
                    // Everything that has come is looked at first: the newest state is written, once.
                    while let Ok(note) = notes.try_recv() {
                        self.note(note);
                    }
                    self.write_due(false).await;
                }
            }
        }
        self.write_due(true).await;
    }

    fn note(&mut self, note: StatusNote) {
        match note {
            StatusNote::Changed(segments, clusters) => self.changed(segments, clusters),
            StatusNote::Segment(key, Some(stands)) => {
                self.segments.insert(key, stands);
            }
            StatusNote::Segment(key, None) => {
                self.segments.remove(&key);
                self.due_segments.remove(&key);
                self.last_segment.remove(&key);
            }
            StatusNote::Cluster(name, Some(stands)) => {
                self.clusters.insert(name, stands);
            }
            StatusNote::Cluster(name, None) => {
                self.clusters.remove(&name);
                self.due_clusters.remove(&name);
                self.last_cluster.remove(&name);
            }
        }
    }

    fn changed(&mut self, segments: BTreeSet<SegmentKey>, clusters: BTreeSet<ClusterName>) {
        let now = Instant::now();
        for key in segments {
            let at = self
                .last_segment
                .get(&key)
                .map_or(now, |last| (*last + PER_OBJECT).max(now));
            self.due_segments.entry(key).or_insert(at);
        }
        for name in clusters {
            let at = self
                .last_cluster
                .get(&name)
                .map_or(now, |last| (*last + PER_OBJECT).max(now));
            self.due_clusters.entry(name).or_insert(at);
        }
    }

    fn next_due(&self) -> Option<Instant> {
        let first = self
            .due_segments
            .values()
            .chain(self.due_clusters.values())
            .min()
            .copied()?;
        let missing = 1.0 - self.tokens;
        if missing > 0.0 {
            let refill = self.refilled + Duration::from_secs_f64(missing / f64::from(PER_SECOND));
            return Some(first.max(refill));
        }
        Some(first)
    }

    async fn write_due(&mut self, all: bool) {
        let now = Instant::now();
        let mut segments: Vec<(Instant, SegmentKey)> = self
            .due_segments
            .iter()
            .filter(|(_, at)| all || **at <= now)
            .map(|(key, at)| (*at, key.clone()))
            .collect();
        segments.sort();
        for (_, key) in segments {
            self.due_segments.remove(&key);
            if !self.write_segment(&key, all).await {
                return;
            }
        }
        let mut clusters: Vec<(Instant, ClusterName)> = self
            .due_clusters
            .iter()
            .filter(|(_, at)| all || **at <= now)
            .map(|(name, at)| (*at, name.clone()))
            .collect();
        clusters.sort();
        for (_, name) in clusters {
            self.due_clusters.remove(&name);
            if !self.write_cluster(&name, all).await {
                return;
            }
        }
    }

    /// False when the budget is used up; what is due stays due.
    async fn write_segment(&mut self, key: &SegmentKey, all: bool) -> bool {
        let Some((uid, stands)) = self.segments.get(key).cloned() else {
            return true;
        };
        let Some(status) = segment_status(
            &self.fleet.index(),
            key,
            stands.as_ref(),
            jiff::Timestamp::now(),
        ) else {
            return true;
        };
        if !all && !self.take_token() {
            self.due_segments.insert(key.clone(), Instant::now());
            return false;
        }
        let api: Api<Segment> = Api::namespaced(self.client.clone(), key.namespace.as_str());
        let body = json!({
            "apiVersion": "segment.grnry.io/v1alpha1", "kind": "Segment",
            "metadata": {"name": key.name.as_str(), "namespace": key.namespace.as_str(), "uid": uid.to_string()},
            "status": status,
        });
        let what = format!("PATCH status of segment {key}");
        let written = backoff::call(
            CALL_LIMIT,
            what,
            api.patch_status(key.name.as_str(), &params(), &Patch::Apply(&body)),
        )
        .await;
        let now = Instant::now();
        self.last_segment.insert(key.clone(), now);
        if self.done(written.map(drop)) {
            self.segments.insert(key.clone(), (uid, Some(status)));
        } else {
            self.due_segments.insert(key.clone(), now + AFTER_FAILURE);
        }
        true
    }

    async fn write_cluster(&mut self, name: &ClusterName, all: bool) -> bool {
        let Some(stands) = self.clusters.get(name).cloned() else {
            return true;
        };
        let Some(status) = cluster_status(
            &self.fleet.index(),
            name,
            stands.as_ref(),
            jiff::Timestamp::now(),
        ) else {
            return true;
        };
        if !all && !self.take_token() {
            self.due_clusters.insert(name.clone(), Instant::now());
            return false;
        }
        let api: Api<Cluster> = Api::all(self.client.clone());
        let body = json!({
            "apiVersion": "segment.grnry.io/v1alpha1", "kind": "Cluster",
            "metadata": {"name": name.as_str()},
            "status": status,
        });
        let what = format!("PATCH status of cluster {name}");
        let written = backoff::call(
            CALL_LIMIT,
            what,
            api.patch_status(name.as_str(), &params(), &Patch::Apply(&body)),
        )
        .await;
        let now = Instant::now();
        self.last_cluster.insert(name.clone(), now);
        if self.done(written.map(drop)) {
            self.clusters.insert(name.clone(), Some(status));
        } else {
            self.due_clusters.insert(name.clone(), now + AFTER_FAILURE);
        }
        true
    }

    fn done(&self, written: Result<(), ApiError>) -> bool {
        match written {
            Ok(()) => {
                self.metrics.writes.inc();
                true
            }
            // The object is gone or was made anew: the reflector will tell.
            Err(error) if error.is_not_found() || error.is_conflict() => true,
            Err(error) => {
                self.metrics.failures.inc();
                tracing::warn!(error = %segment_runtime::tasks::with_causes(&error), "a status was not written");
                false
            }
        }
    }

    fn take_token(&mut self) -> bool {
        let now = Instant::now();
        let earned = now.duration_since(self.refilled).as_secs_f64() * f64::from(PER_SECOND);
        self.refilled = now;
        self.tokens = (self.tokens + earned).min(f64::from(PER_SECOND));
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

fn params() -> PatchParams {
    PatchParams::apply(MANAGER_HUB_STATUS).force()
}
