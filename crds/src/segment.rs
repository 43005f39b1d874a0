//! `Segment`: what a user writes, and what an absent field means.
//!
//! In: nothing. Out: the typed resource. Law: a default is never in the schema (a hub may have other house defaults);
//! fields whose default no hub can replace have an accessor here. Not: house defaults, rendering, lint.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::closed::closed_enum;
use crate::cluster::TaintEffect;
use crate::env::SegmentEnv;
use crate::limits::{
    DESCRIPTION_MAX_CHARS, DISPLAY_NAME_MAX_CHARS, NAME_MAX_CHARS, NAMESPACE_MAX_CHARS,
    OVERRIDES_MAX, SEGMENT_NAME_MAX_CHARS, TOLERATIONS_MAX, VARIABLES_MAX,
};
use crate::rollout::Rollout;
use crate::rules;
use crate::segment_status::SegmentStatus;
use crate::settings::{CronJobSettings, ImageSettings};

closed_enum! {
    /// What becomes of a `CronJob` whose Segment is deleted or no longer placed on its cluster.
    pub enum RemovalPolicy {
        /// It is deleted.
        Delete,
        /// It stays and is nobody's: our marks are taken off.
        Orphan,
    }
}

closed_enum! {
    /// What becomes of Jobs that still run when their `CronJob` is to be deleted.
    pub enum RunningJobs {
        /// They are waited for.
        Finish,
        /// They end with it.
        Kill,
    }
}

closed_enum! {
    /// What happens to a `CronJob` of the right name that is not ours.
    pub enum Adoption {
        /// It is left alone and reported.
        Never,
        /// It is taken over where its spec is what we would write.
        IfSame,
        /// It is taken over in any case, in place.
        Always,
    }
}

closed_enum! {
    /// What happens to a `CronJob` of ours that was changed by others.
    pub enum Drift {
        /// It is put right.
        Correct,
        /// It is only reported.
        Report,
        /// It is only reported, and a new revision goes only over an unchanged old one.
        IfNotDrifted,
    }
}

closed_enum! {
    /// Whether a change of schedule or suspend may start a run that would have been due before it.
    pub enum OnScheduleChange {
        /// It starts no past run.
        Skip,
        /// It may start one.
        RunOnce,
    }
}

closed_enum! {
    /// How a toleration's value is compared.
    pub enum TolerationOperator {
        /// The key alone decides.
        Exists,
        /// Key and value must be equal.
        Equal,
    }
}

/// A taint of clusters that this Segment tolerates; the form is Kubernetes' own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::cluster_toleration)]
pub struct ClusterToleration {
    /// Key of the taint; absent, with operator Exists: every taint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = NAME_MAX_CHARS))]
    pub key: Option<String>,
    /// Exists or Equal. Default: Equal
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<TolerationOperator>,
    /// Value of the taint, with operator Equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = NAME_MAX_CHARS))]
    pub value: Option<String>,
    /// Effect of the taint; absent: both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<TaintEffect>,
}

/// Where a variable's value is kept; only the container's kubelet reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// Name of the Secret on the spoke. Default: grnry-pg-citus-secret
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = NAME_MAX_CHARS))]
    pub secret: Option<String>,
    /// Key in the Secret. `DB_USER`, `DB_NAME` and `DB_PASSWORD` have a default (superuser-username, -database,
    /// -password); required for every other variable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = NAME_MAX_CHARS))]
    pub key: Option<String>,
}

/// What an override takes away, by name; what is unset falls back to the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Unset {
    /// Variables of `spec.env`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = VARIABLES_MAX), transform = rules::variable_names)]
    pub env: Vec<String>,
    /// Variables of `spec.extraEnv`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = VARIABLES_MAX), inner(length(max = NAME_MAX_CHARS)))]
    pub extra_env: Vec<String>,
    /// Variables of `spec.envFromSecrets`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = VARIABLES_MAX), inner(length(max = NAME_MAX_CHARS)))]
    pub env_from_secrets: Vec<String>,
    /// Fields of `spec.cronjob`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = VARIABLES_MAX), transform = rules::cronjob_fields)]
    pub cronjob: Vec<String>,
}

impl Unset {
    /// Whether nothing is taken away.
    pub fn is_empty(&self) -> bool {
        self.env.is_empty()
            && self.extra_env.is_empty()
            && self.env_from_secrets.is_empty()
            && self.cronjob.is_empty()
    }
}

/// What is different on some clusters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Override {
    /// Which clusters; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-map-type" = "atomic"))]
    pub cluster_selector: Option<LabelSelector>,
    /// Fields of `spec.cronjob`; every one may be absent.
    #[serde(default, skip_serializing_if = "CronJobSettings::is_empty")]
    pub cronjob: CronJobSettings,
    /// Variables of `spec.env`.
    #[serde(default, skip_serializing_if = "SegmentEnv::is_empty")]
    pub env: SegmentEnv,
    /// Variables of `spec.envFromSecrets`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = VARIABLES_MAX))]
    pub env_from_secrets: BTreeMap<String, SecretRef>,
    /// Variables of `spec.extraEnv`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = VARIABLES_MAX), transform = rules::extra_values)]
    pub extra_env: BTreeMap<String, String>,
    /// Fields of `spec.image`.
    #[serde(default, skip_serializing_if = "ImageSettings::is_empty")]
    pub image: ImageSettings,
    /// What is taken away. Done before this override's values are set.
    #[serde(default, skip_serializing_if = "Unset::is_empty")]
    pub unset: Unset,
}

/// How a `CronJob` leaves a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Removal {
    /// Delete or Orphan. Default: Delete
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<RemovalPolicy>,
    /// Finish or Kill. Default: Finish
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_jobs: Option<RunningJobs>,
}

/// A segment of the profile or event store, computed on a schedule on every selected cluster.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "segment.grnry.io",
    version = "v1alpha1",
    kind = "Segment",
    plural = "segments",
    shortname = "seg",
    category = "granary",
    namespaced,
    status = "SegmentStatus",
    derive = "PartialEq",
    derive = "Default",
    validation = Rule::new(format!("self.metadata.name.size() <= {SEGMENT_NAME_MAX_CHARS}"))
        .message(
            format!("the name of a Segment has at most {SEGMENT_NAME_MAX_CHARS} characters: shorten metadata.name")
                .as_str()
        ),
    doc = "A segment of the profile or event store, computed on a schedule on every selected cluster.",
    selectable = ".spec.env.TYPE",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.ready"),
    printcolumn(name = "Stale", type_ = "integer", json_path = ".status.clusters.stale"),
    printcolumn(name = "Failing", type_ = "integer", json_path = ".status.clusters.failing"),
    printcolumn(name = "Revision", type_ = "string", json_path = ".status.revision"),
    printcolumn(name = "Schedule", type_ = "string", json_path = ".spec.cronjob.schedule"),
    printcolumn(name = "Last Run", type_ = "date", json_path = ".status.lastRun"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message"
    ),
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.env.TYPE", priority = 1),
    printcolumn(name = "Image", type_ = "string", json_path = ".spec.image.tag", priority = 1),
    printcolumn(name = "Suspend", type_ = "boolean", json_path = ".spec.cronjob.suspend", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::segment_spec)]
pub struct SegmentSpec {
    /// Name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = DISPLAY_NAME_MAX_CHARS))]
    pub display_name: Option<String>,
    /// What the segment is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = DESCRIPTION_MAX_CHARS))]
    pub description: Option<String>,
    /// When and how the script runs.
    pub cronjob: CronJobSettings,
    /// Variables of the script, by its own names; a name that it does not know is refused here.
    pub env: SegmentEnv,
    /// Variables that the script does not know.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = VARIABLES_MAX), transform = rules::extra_values)]
    pub extra_env: BTreeMap<String, String>,
    /// Variables whose values are kept in Secrets of the spoke.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = VARIABLES_MAX))]
    pub env_from_secrets: BTreeMap<String, SecretRef>,
    /// The image of the script.
    #[serde(default, skip_serializing_if = "ImageSettings::is_empty")]
    pub image: ImageSettings,
    /// Which clusters, by the labels of their Cluster; absent or empty: every cluster. Each has the label
    /// segment.grnry.io/cluster with its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-map-type" = "atomic"))]
    pub cluster_selector: Option<LabelSelector>,
    /// Which taints of clusters are tolerated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = TOLERATIONS_MAX))]
    pub cluster_tolerations: Vec<ClusterToleration>,
    /// Namespace of the `CronJob` on the spoke, which must exist there. Default: the Segment's own
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = NAMESPACE_MAX_CHARS), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub target_namespace: Option<String>,
    /// What is different on some clusters; applied in order, later wins, key by key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = OVERRIDES_MAX))]
    pub overrides: Vec<Override>,
    /// How the `CronJob` leaves a cluster when the Segment is deleted or the cluster no longer selected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removal: Option<Removal>,
    /// What happens to a `CronJob` of that name that is not ours: Never, `IfSame`, Always. Default: `IfSame`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adoption: Option<Adoption>,
    /// What happens to a `CronJob` of ours that others changed: Correct, Report, `IfNotDrifted`. Default: Correct
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
    /// Whether a change of schedule or suspend may start a past run: Skip, `RunOnce`. Default: Skip
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_schedule_change: Option<OnScheduleChange>,
    /// Nothing new goes out; what runs goes on. Default: false
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// How a new revision goes out. Default: one wave, 25 % of the clusters at a time
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
}

// === impl SegmentSpec: what an absent field means ===

impl SegmentSpec {
    /// What happens to a `CronJob` of our name that is not ours.
    pub fn adoption(&self) -> Adoption {
        self.adoption.unwrap_or(Adoption::IfSame)
    }

    /// What happens to a `CronJob` of ours that others changed.
    pub fn drift(&self) -> Drift {
        self.drift.unwrap_or(Drift::Correct)
    }

    /// Whether a change of schedule may start a past run.
    pub fn on_schedule_change(&self) -> OnScheduleChange {
        self.on_schedule_change.unwrap_or(OnScheduleChange::Skip)
    }

    /// Whether nothing new goes out.
    pub fn paused(&self) -> bool {
        self.paused.unwrap_or(false)
    }

    /// Whether a `CronJob` that leaves a cluster is deleted or left to nobody.
    pub fn removal_policy(&self) -> RemovalPolicy {
        self.removal
            .as_ref()
            .and_then(|removal| removal.policy)
            .unwrap_or(RemovalPolicy::Delete)
    }

    /// Whether Jobs that still run at a removal are waited for.
    pub fn running_jobs(&self) -> RunningJobs {
        self.removal
            .as_ref()
            .and_then(|removal| removal.running_jobs)
            .unwrap_or(RunningJobs::Finish)
    }

    /// Namespace of the `CronJob` on the spoke, for a Segment that lives in `own`.
    pub fn target_namespace<'a>(&'a self, own: &'a str) -> &'a str {
        self.target_namespace.as_deref().unwrap_or(own)
    }
}

impl ClusterToleration {
    /// How the value is compared.
    pub fn operator(&self) -> TolerationOperator {
        self.operator.unwrap_or(TolerationOperator::Equal)
    }
}
