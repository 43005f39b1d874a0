//! Status of a Segment: counts that add up, conditions, and the worst few clusters.
//!
//! In: nothing. Out: the status as it is stored. Law: selected = ready + rolling + failing + stale + held
//! ([`ClusterCounts::adds_up`]). Not: one line for each cluster; the hub's API serves these, etcd never holds them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits::WORST_MAX;

/// `observedGeneration` of an object that nobody has looked at yet. Generations start at 1: tools that compare the two
/// (kstatus, Flux, Helm) then see "in progress" instead of "current".
pub const NEVER_OBSERVED: i64 = -1;

pub(crate) const fn never_observed() -> i64 {
    NEVER_OBSERVED
}

/// What the hub says about a Segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SegmentStatus {
    /// Generation of the spec that this status speaks of; -1 before the first look.
    #[serde(default = "never_observed")]
    pub observed_generation: i64,
    /// Accepted, Ready, Reconciling, Stalled, `RolloutCompleted`, `RunsSucceeding`, Paused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Newest revision of the Segment, shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Counts of clusters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clusters: Option<ClusterCounts>,
    /// Ready of selected clusters, as 480/500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<String>,
    /// When the newest run on any cluster started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<Time>,
    /// When the next run on any cluster is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_run: Option<Time>,
    /// The clusters that need someone most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = WORST_MAX))]
    pub worst: Vec<WorstCluster>,
    /// How far the newest revision has come. Shown only: what must last is kept elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutStatus>,
}

impl Default for SegmentStatus {
    fn default() -> Self {
        Self {
            observed_generation: NEVER_OBSERVED,
            conditions: Vec::new(),
            revision: None,
            clusters: None,
            ready: None,
            last_run: None,
            next_run: None,
            worst: Vec::new(),
            rollout: None,
        }
    }
}

/// Counts of clusters. The middle five add up to `selected`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterCounts {
    /// Selected by selector and taints.
    #[serde(default)]
    pub selected: u32,
    /// Have what they shall have, and were heard from.
    #[serde(default)]
    pub ready: u32,
    /// On their way to it.
    #[serde(default)]
    pub rolling: u32,
    /// Could not do it.
    #[serde(default)]
    pub failing: u32,
    /// Not heard from: unknown, not failed.
    #[serde(default)]
    pub stale: u32,
    /// Held by a brake or by a human.
    #[serde(default)]
    pub held: u32,
    /// Hold the newest revision; stands beside the five.
    #[serde(default)]
    pub updated: u32,
    /// No longer selected, but not yet confirmed to be gone; stands beside the five.
    #[serde(default)]
    pub owed: u32,
}

impl ClusterCounts {
    /// Whether the five states add up to what is selected.
    pub const fn adds_up(&self) -> bool {
        self.selected == self.ready + self.rolling + self.failing + self.stale + self.held
    }

    /// The printer column: `480/500`.
    pub fn ready_column(&self) -> String {
        format!("{}/{}", self.ready, self.selected)
    }
}

/// A cluster that needs someone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorstCluster {
    /// Name of the Cluster.
    pub cluster: String,
    /// One word for programs.
    pub reason: String,
    /// What is wrong, and what to do.
    pub message: String,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
}

/// How far the newest revision has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStatus {
    /// One word: Progressing, Completed, Paused, Halted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Clusters that hold the newest revision.
    #[serde(default)]
    pub updated: u32,
    /// What it does or waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
