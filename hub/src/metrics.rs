//! The hub's metrics: a struct per component, labels from closed enums.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use segment_core::index::FleetIndex;

/// Sizes of the fleet, read from the index so that they cannot drift.
#[derive(Clone, Debug, Default)]
pub struct FleetMetrics {
    segments: Gauge,
    clusters: Gauge,
    connected: Gauge,
    tombstones: Gauge,
}

impl FleetMetrics {
    /// Registers them under `segment_fleet_…`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("segment_fleet");
        registry.register("segments", "Segments known", metrics.segments.clone());
        registry.register("clusters", "Clusters known", metrics.clusters.clone());
        registry.register(
            "clusters_connected",
            "Clusters with an open stream",
            metrics.connected.clone(),
        );
        registry.register(
            "tombstones",
            "Deleted Segments still owed to clusters",
            metrics.tombstones.clone(),
        );
        metrics
    }

    /// Reads the sizes.
    pub fn observe(&self, index: &FleetIndex) {
        let size = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.segments.set(size(index.segments().len()));
        self.clusters.set(size(index.clusters().len()));
        self.connected.set(size(
            index
                .clusters()
                .values()
                .filter(|c| c.is_connected())
                .count(),
        ));
        self.tombstones.set(size(index.tombstones().len()));
    }
}

/// What agents' streams do.
#[derive(Clone, Debug, Default)]
pub struct AgentsMetrics {
    /// Streams opened.
    pub streams: Counter,
    /// Orders sent.
    pub orders: Counter,
    /// Streams that were refused.
    pub refused: Counter,
    /// Certificates issued or renewed.
    pub certificates: Counter,
}

impl AgentsMetrics {
    /// Registers them under `segment_agents_…`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("segment_agents");
        registry.register("streams", "Streams opened", metrics.streams.clone());
        registry.register("orders", "Orders sent", metrics.orders.clone());
        registry.register(
            "refused",
            "Streams and enrolments refused",
            metrics.refused.clone(),
        );
        registry.register(
            "certificates",
            "Certificates issued or renewed",
            metrics.certificates.clone(),
        );
        metrics
    }
}

/// What status writes do.
#[derive(Clone, Debug, Default)]
pub struct StatusMetrics {
    /// Writes that succeeded.
    pub writes: Counter,
    /// Writes that were refused or failed.
    pub failures: Counter,
}

impl StatusMetrics {
    /// Registers them under `segment_status_…`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("segment_status");
        registry.register(
            "writes",
            "Status writes that succeeded",
            metrics.writes.clone(),
        );
        registry.register(
            "failures",
            "Status writes that were refused or failed",
            metrics.failures.clone(),
        );
        metrics
    }
}

/// What the webhook was asked.
#[derive(Clone, Debug, Default)]
pub struct WebhookMetrics {
    /// Requests that were allowed.
    pub allowed: Counter,
    /// Requests that were refused.
    pub refused: Counter,
    /// Requests that were not judged: malformed, too large, too many, too late.
    pub errors: Counter,
}

impl WebhookMetrics {
    /// Registers them under `segment_webhook_…`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("segment_webhook");
        registry.register(
            "allowed",
            "Requests that were allowed",
            metrics.allowed.clone(),
        );
        registry.register(
            "refused",
            "Requests that were refused",
            metrics.refused.clone(),
        );
        registry.register(
            "errors",
            "Requests that were not judged: malformed, too large, too many, too late",
            metrics.errors.clone(),
        );
        metrics
    }
}
