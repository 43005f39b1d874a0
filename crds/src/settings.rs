//! Settings of the `CronJob` and of its image, as a Segment and each of its overrides may give them.
//!
//! In: nothing. Out: structs in which every field is optional, with their fields' names as a table, and the field by
//! field `overlay` and `unset` that overrides are made of. Law: a field is named in one place only. Not: defaults, nor
//! in which order overrides are applied; the core knows both.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Toleration;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::closed::closed_enum;
use crate::limits::{
    HISTORY_MAX, LABELS_MAX, NAME_MAX_CHARS, SCHEDULE_MAX_CHARS, SECONDS_MAX,
    SHORT_VALUE_MAX_CHARS, STARTING_DEADLINE_SECONDS_MAX, TOLERATIONS_MAX,
};

/// How a later value changes an earlier one of the same field.
trait Overlay: Clone {
    /// Replaces the earlier value as a whole.
    fn overlay(&mut self, later: &Self) {
        *self = later.clone();
    }
}

impl Overlay for bool {}
impl Overlay for i32 {}
impl Overlay for i64 {}
impl Overlay for String {}
impl Overlay for Vec<Toleration> {}
impl Overlay for ConcurrencyPolicy {}
impl Overlay for PullPolicy {}
impl Overlay for RestartPolicy {}

impl<V: Clone> Overlay for BTreeMap<String, V> {
    /// Key by key.
    fn overlay(&mut self, later: &Self) {
        self.extend(
            later
                .iter()
                .map(|(key, value)| (key.clone(), value.clone())),
        );
    }
}

impl Overlay for ResourceAmounts {
    /// Key by key: an override that raises the memory limit keeps the rest.
    fn overlay(&mut self, later: &Self) {
        self.limits.overlay(&later.limits);
        self.requests.overlay(&later.requests);
    }
}

macro_rules! settings {
    (
        $(#[$meta:meta])*
        pub struct $struct:ident { $( $(#[$field_meta:meta])* $field:ident = $name:literal: $type:ty, )+ }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
        pub struct $struct {
            $(
                $(#[$field_meta])*
                #[serde(rename = $name, default, skip_serializing_if = "Option::is_none")]
                pub $field: Option<$type>,
            )+
        }

        impl $struct {
            /// Names of the fields, as `unset` takes them.
            pub const FIELDS: &'static [&'static str] = &[ $( $name, )+ ];

            /// Takes every field that `later` sets: maps key by key, everything else as a whole.
            pub fn overlay(&mut self, later: &Self) {
                $(
                    match (&mut self.$field, &later.$field) {
                        (Some(earlier), Some(later)) => Overlay::overlay(earlier, later),
                        (earlier @ None, Some(later)) => *earlier = Some(later.clone()),
                        (_, None) => {}
                    }
                )+
            }

            /// Removes a field by its name in the resource; `false` if there is no such field.
            pub fn unset(&mut self, name: &str) -> bool {
                match name { $( $name => self.$field = None, )+ _ => return false }
                true
            }

            /// Whether no field is set.
            pub fn is_empty(&self) -> bool {
                true $( && self.$field.is_none() )+
            }
        }
    };
}

closed_enum! {
    /// What happens when a run is due while the one before it still runs.
    pub enum ConcurrencyPolicy {
        /// Both run.
        Allow,
        /// The new one is left out.
        Forbid,
        /// The old one is ended.
        Replace,
        /// Granary's word for `Allow`.
        Always,
    }
}

closed_enum! {
    /// When the kubelet pulls the image.
    pub enum PullPolicy {
        /// At every start.
        Always,
        /// Only where the node does not have it.
        IfNotPresent,
        /// Never; the node must have it.
        Never,
    }
}

closed_enum! {
    /// What the kubelet does with a container that failed; Jobs know these two.
    pub enum RestartPolicy {
        /// It is started again in the same Pod.
        OnFailure,
        /// The Job makes a new Pod.
        Never,
    }
}

/// Compute resources of the container, as Kubernetes has them, less claims.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResourceAmounts {
    /// The most that the container may use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = LABELS_MAX))]
    pub limits: BTreeMap<String, Quantity>,
    /// What is kept free for the container.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = LABELS_MAX))]
    pub requests: BTreeMap<String, Quantity>,
}

settings! {
    /// When and how the script runs.
    pub struct CronJobSettings {
        /// Five-field cron pattern or @hourly and the like. H stands for a number made from the names of segment and
        /// cluster, so that a fleet does not start at the same second. Required in spec.cronjob.
        #[schemars(length(min = 1, max = SCHEDULE_MAX_CHARS))]
        schedule = "schedule": String,
        /// Allow, Forbid, Replace; Always is Granary's word for Allow. Default: Always
        concurrency_policy = "concurrencyPolicy": ConcurrencyPolicy,
        /// How many failed Jobs are kept. Default: 1
        #[schemars(range(min = 0, max = HISTORY_MAX))]
        failed_jobs_history_limit = "failedJobsHistoryLimit": i32,
        /// How many successful Jobs are kept. Default: 1
        #[schemars(range(min = 0, max = HISTORY_MAX))]
        successful_jobs_history_limit = "successfulJobsHistoryLimit": i32,
        /// Time zone of the schedule, by its IANA name. Default: that of the cluster's controller manager
        #[schemars(length(min = 1, max = NAME_MAX_CHARS))]
        time_zone = "timeZone": String,
        /// Start no runs. Default: false
        suspend = "suspend": bool,
        /// How late a run may start, in seconds.
        #[schemars(range(min = 0, max = STARTING_DEADLINE_SECONDS_MAX))]
        starting_deadline_seconds = "startingDeadlineSeconds": i64,
        /// How often a failed Job is tried again.
        #[schemars(range(min = 0, max = HISTORY_MAX))]
        backoff_limit = "backoffLimit": i32,
        /// After how many seconds a Job is ended.
        #[schemars(range(min = 1, max = SECONDS_MAX))]
        active_deadline_seconds = "activeDeadlineSeconds": i64,
        /// After how many seconds a finished Job is deleted.
        #[schemars(range(min = 0, max = SECONDS_MAX))]
        ttl_seconds_after_finished = "ttlSecondsAfterFinished": i32,
        /// Compute resources of the container.
        resources = "resources": ResourceAmounts,
        /// Service account of the Pods.
        #[schemars(length(min = 1, max = NAME_MAX_CHARS))]
        service_account_name = "serviceAccountName": String,
        /// Labels that a node must have.
        #[schemars(extend("maxProperties" = LABELS_MAX))]
        node_selector = "nodeSelector": BTreeMap<String, String>,
        /// Taints of nodes that the Pods tolerate.
        #[schemars(length(max = TOLERATIONS_MAX))]
        tolerations = "tolerations": Vec<Toleration>,
        /// Labels of the Pods, beside our own.
        #[schemars(extend("maxProperties" = LABELS_MAX))]
        labels = "labels": BTreeMap<String, String>,
        /// Annotations of the Pods, beside our own.
        #[schemars(extend("maxProperties" = LABELS_MAX))]
        annotations = "annotations": BTreeMap<String, String>,
    }
}

settings! {
    /// The image of the script.
    pub struct ImageSettings {
        /// Registry and path. Default: gitlab.alvary.io:5000/grnry/segment-table-creation
        #[schemars(length(min = 1, max = SHORT_VALUE_MAX_CHARS))]
        repository = "repository": String,
        /// Tag, or a digest of the form sha256:… Default: 0.7.0
        #[schemars(length(min = 1, max = NAME_MAX_CHARS))]
        tag = "tag": String,
        /// Always, `IfNotPresent` or Never. Default: `IfNotPresent`
        pull_policy = "pullPolicy": PullPolicy,
        /// Name of the pull secret, or several separated by commas. Default: grnry-base-private-registry-token
        #[schemars(length(max = SHORT_VALUE_MAX_CHARS))]
        pull_secrets = "pullSecrets": String,
        /// `OnFailure` or Never. Default: `OnFailure`
        restart_policy = "restartPolicy": RestartPolicy,
    }
}
