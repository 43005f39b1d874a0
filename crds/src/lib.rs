//! `Segment` and `Cluster`: the API as typed resources, with their rules.
//!
//! In: what users write. Out: types that read it, the CRDs that refuse what is not structure, and the closed sets of
//! words of status. Law: `generated/*.yaml` is what these types make (test `generated_crds_are_current`), and each rule
//! accepts and refuses what it says (tests `cel`). Not: meaning. House defaults, lint and rendering are the core's.

#[cfg(feature = "cel")]
mod cel;
mod closed;
pub mod cluster;
pub mod conditions;
pub mod env;
pub mod limits;
mod manifest;
mod not_yet;
pub mod rollout;
mod rules;
pub mod segment;
pub mod segment_status;
pub mod settings;

#[cfg(feature = "cel")]
pub use cel::{ValidationError, ValidationErrors};
pub use cluster::{Access, Cluster, ClusterSpec, ClusterStatus, Taint, TaintEffect};
pub use conditions::{ClusterCondition, ConditionStatus, Reason, SegmentCondition};
pub use env::{REQUIRED_VARIABLES, SECRET_VARIABLES, SegmentEnv};
pub use manifest::all;
pub use rollout::Rollout;
pub use segment::{
    Adoption, ClusterToleration, Drift, OnScheduleChange, Override, Removal, RemovalPolicy,
    RunningJobs, SecretRef, Segment, SegmentSpec, TolerationOperator, Unset,
};
pub use segment_status::{
    ClusterCounts, NEVER_OBSERVED, RolloutStatus, SegmentStatus, WorstCluster,
};
pub use settings::{
    ConcurrencyPolicy, CronJobSettings, ImageSettings, PullPolicy, ResourceAmounts, RestartPolicy,
};

/// API group of both kinds.
pub const GROUP: &str = "segment.grnry.io";

/// The only version so far.
pub const VERSION: &str = "v1alpha1";
