//! `Cluster`: a spoke, as the hub's admins see it.
//!
//! In: nothing. Out: the typed resource. Law: labels and annotations choose workloads and are the admins' alone; an
//! agent's word changes only status. Not: identity and certificates.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::closed::closed_enum;
use crate::limits::{CLUSTER_NAME_MAX_CHARS, NAME_MAX_CHARS, TOLERATIONS_MAX};
use crate::segment_status::{NEVER_OBSERVED, never_observed};

closed_enum! {
    /// Whether the cluster may have anything from this hub.
    pub enum Access {
        /// Yes.
        Accepted,
        /// Not yet: a human has to agree.
        Pending,
        /// No longer: its certificate is refused.
        Revoked,
    }
}

closed_enum! {
    /// What a taint keeps away.
    pub enum TaintEffect {
        /// Every Segment, also those that run there (drain).
        NoSelect,
        /// Segments that the cluster does not hold yet (cordon).
        NoSelectIfNew,
    }
}

/// A mark that keeps Segments away which do not tolerate it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Taint {
    /// Key of the taint.
    #[schemars(length(min = 1, max = NAME_MAX_CHARS))]
    pub key: String,
    /// Value of the taint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = NAME_MAX_CHARS))]
    pub value: Option<String>,
    /// What it keeps away.
    pub effect: TaintEffect,
}

/// A spoke cluster: its labels and taints choose what runs there.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "segment.grnry.io",
    version = "v1alpha1",
    kind = "Cluster",
    plural = "clusters",
    shortname = "segcl",
    category = "granary",
    status = "ClusterStatus",
    derive = "PartialEq",
    derive = "Default",
    validation = Rule::new(format!("self.metadata.name.size() <= {CLUSTER_NAME_MAX_CHARS}")).message(
        format!(
            "the name of a Cluster has at most {CLUSTER_NAME_MAX_CHARS} characters, as it is a label's value too: \
             shorten metadata.name"
        )
        .as_str()
    ),
    validation = Rule::new("!(self.metadata.name in ['hub', 'default'])")
        .message("hub and default are reserved: choose another metadata.name"),
    doc = "A spoke cluster: its labels and taints choose what runs there.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.kubernetesVersion"),
    printcolumn(name = "Agent", type_ = "string", json_path = ".status.agentVersion"),
    printcolumn(name = "Segments", type_ = "integer", json_path = ".status.segments"),
    printcolumn(name = "Last Seen", type_ = "date", json_path = ".status.lastSeen"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSpec {
    /// Accepted, Pending or Revoked. Default: Accepted
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
    /// Marks that keep Segments away which do not tolerate them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = TOLERATIONS_MAX),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["key", "effect"])
    )]
    pub taints: Vec<Taint>,
    /// Nothing new goes to this cluster; what runs goes on. Default: false
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// Time zone of the cluster's people, by its IANA name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = NAME_MAX_CHARS))]
    pub time_zone: Option<String>,
    /// Until when a spoke with another identity may enrol under this name. A time and not a switch: a switch would be
    /// left on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reenrol: Option<Time>,
}

impl ClusterSpec {
    /// Whether the cluster may have anything from this hub.
    pub fn access(&self) -> Access {
        self.access.unwrap_or(Access::Accepted)
    }

    /// Whether nothing new goes to this cluster.
    pub fn paused(&self) -> bool {
        self.paused.unwrap_or(false)
    }
}

/// What the hub says about a Cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterStatus {
    /// Generation of the spec that this status speaks of; -1 before the first look.
    #[serde(default = "never_observed")]
    pub observed_generation: i64,
    /// Ready, Connected, `IdentityConflict`, `PolicyConflict`, `BrakeEngaged`, Contested, `HubWentBack`, `NoRights`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Uid of the spoke's kube-system namespace: which cluster this name is bound to. Mirrors the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_uid: Option<String>,
    /// Version of the spoke's API server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes_version: Option<String>,
    /// Version of the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<String>,
    /// When the cluster was heard from last; written when the connection is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Time>,
    /// How many Segments are placed here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segments: Option<u32>,
    /// How many of these are ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<u32>,
}

impl Default for ClusterStatus {
    fn default() -> Self {
        Self {
            observed_generation: NEVER_OBSERVED,
            conditions: Vec::new(),
            cluster_uid: None,
            kubernetes_version: None,
            agent_version: None,
            last_seen: None,
            segments: None,
            ready: None,
        }
    }
}
