//! How a new revision goes out: waves, gates, budgets and windows.
//!
//! In: nothing. Out: the strategy as a user writes it. Law: absent means one wave, a quarter of the clusters at a time.
//! Not: what the strategy decides; the core does.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::closed::closed_enum;
use crate::limits::{
    CLUSTER_NAME_MAX_CHARS, HISTORY_MAX, NAME_MAX_CHARS, SCHEDULE_MAX_CHARS, SECONDS_MAX,
    WAVES_MAX, WINDOWS_MAX,
};
use crate::rules;

closed_enum! {
    /// When a wave waits for a human.
    pub enum Approval {
        /// Never.
        None,
        /// Before it starts.
        Before,
        /// After it is done, before the next.
        After,
    }
}

closed_enum! {
    /// Which run must succeed before a cluster counts as done.
    pub enum GateRun {
        /// None: applied is done.
        None,
        /// One that is started for the purpose.
        Now,
        /// The next by schedule.
        NextSchedule,
    }
}

closed_enum! {
    /// What happens when more clusters fail than the budget allows.
    pub enum OnFailure {
        /// The rollout stands still until a human says more.
        Pause,
        /// It ends; clusters keep what they have.
        Abort,
        /// Changed clusters get the last completed revision again.
        Rollback,
    }
}

/// One wave: the clusters that it selects and that no earlier wave has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Wave {
    /// Name of the wave, for people.
    #[schemars(length(min = 1, max = CLUSTER_NAME_MAX_CHARS))]
    pub name: String,
    /// Which clusters; absent: all that are left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-map-type" = "atomic"))]
    pub cluster_selector: Option<LabelSelector>,
    /// How many clusters may be in change at once: a number or a percentage of the wave (rounded up, at least 1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = rules::number_or_percent)]
    pub max_concurrent: Option<IntOrString>,
    /// How many clusters may fail: a number or a percentage of the wave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = rules::number_or_percent)]
    pub max_failures: Option<IntOrString>,
    /// How long the wave must stay good before the next starts, in seconds. Default: 0
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = SECONDS_MAX))]
    pub soak_seconds: Option<i64>,
    /// Whether a human has to agree. Default: None
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
}

/// What a cluster must show before it counts as done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    /// Which run must succeed. Default: None
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<GateRun>,
    /// How long to wait for it, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = SECONDS_MAX))]
    pub timeout_seconds: Option<i64>,
}

/// Budget for clusters that are not heard from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Unreachable {
    /// How many of the selected clusters may be away, in percent. Default: 100
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub max_percent: Option<i32>,
}

/// A time in which the rollout may go on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// When it opens: a five-field cron pattern.
    #[schemars(length(min = 1, max = SCHEDULE_MAX_CHARS))]
    pub start: String,
    /// How long it stays open, in seconds.
    #[schemars(range(min = 60, max = SECONDS_MAX))]
    pub duration_seconds: i64,
    /// Time zone of the start: an IANA name, or Cluster for each cluster's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = NAME_MAX_CHARS))]
    pub time_zone: Option<String>,
}

/// How a new revision goes out over the selected clusters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// Waves, in order; what none selects is an implicit last wave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = WAVES_MAX))]
    pub waves: Vec<Wave>,
    /// How many clusters may be in change at once, for waves that do not say: a number or a percentage. Default: 25%
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = rules::number_or_percent)]
    pub max_concurrent: Option<IntOrString>,
    /// How many clusters may fail, for waves that do not say: a number or a percentage. Default: 0
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = rules::number_or_percent)]
    pub max_failures: Option<IntOrString>,
    /// How long one cluster may take from its release on, in seconds. Default: 600
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = SECONDS_MAX))]
    pub progress_deadline_seconds: Option<i64>,
    /// What a cluster must show before it counts as done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// What happens when more fail than may. Default: Pause
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
    /// Budget for clusters that are not heard from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreachable: Option<Unreachable>,
    /// Times in which the rollout may go on; none: always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = WINDOWS_MAX))]
    pub windows: Vec<Window>,
    /// How many revisions are kept for an undo. Default: 10
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = HISTORY_MAX))]
    pub revision_history_limit: Option<i32>,
}
