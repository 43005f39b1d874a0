//! Metrics of the agent.
//!
//! In: what happens. Out: a registry. Law: labels come from closed sets. Not: per-segment figures; the hub has them.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What was sent to the API server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Call {
    /// `read`, `compare`, `create`, `replace`, `status`, `delete`, `jobs`.
    pub call: &'static str,
    /// `ok`, or why not.
    pub result: &'static str,
}

/// Why something was replaced.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct WhyLabel {
    /// `update`, `drift`, `adopt`, `suspend`, `resume`, `orphan`.
    pub why: &'static str,
}

/// Metrics of the agent.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Entries held.
    pub entries: Gauge,
    /// 1 while the hub's orders are obeyed on a stream.
    pub connected: Gauge,
    /// Streams opened.
    pub sessions: Counter,
    /// Calls to the API server.
    pub calls: Family<Call, Counter>,
    /// CronJobs replaced.
    pub replaced: Family<WhyLabel, Counter>,
    /// Writes of the store.
    pub store_writes: Counter,
    /// Batches of reports sent.
    pub batches: Counter,
}

impl Metrics {
    /// Registers all of them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "segment_agent_entries",
            "Entries held",
            metrics.entries.clone(),
        );
        registry.register(
            "segment_agent_connected",
            "1 while the hub's stream is open",
            metrics.connected.clone(),
        );
        registry.register(
            "segment_agent_sessions",
            "Streams opened to the hub",
            metrics.sessions.clone(),
        );
        registry.register(
            "segment_agent_api_calls",
            "Calls to the API server",
            metrics.calls.clone(),
        );
        registry.register(
            "segment_agent_replaced",
            "CronJobs replaced",
            metrics.replaced.clone(),
        );
        registry.register(
            "segment_agent_store_writes",
            "Writes of the store",
            metrics.store_writes.clone(),
        );
        registry.register(
            "segment_agent_report_batches",
            "Batches of reports sent",
            metrics.batches.clone(),
        );
        metrics
    }

    /// Counts a call.
    pub fn call(&self, call: &'static str, result: &'static str) {
        self.calls.get_or_create(&Call { call, result }).inc();
    }
}
