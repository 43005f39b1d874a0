//! Labels, annotations, object names and field managers: the only place where these strings stand.
//!
//! In: nothing. Out: constants and the names derived from them.
//! Law: a string that marks an object of ours is written once, here.
//! Not: conditions and reasons (crates `crds`), which are enums.

/// Label on every `Cluster`, implicit as `kubernetes.io/metadata.name` is on namespaces.
pub const LABEL_CLUSTER: &str = "segment.grnry.io/cluster";
/// Label of a CronJob of ours: hash of its Segment's namespace and name (a name can be longer than a label's value).
pub const LABEL_SEGMENT_HASH: &str = "segment.grnry.io/segment-hash";
/// `app.kubernetes.io/name` label key.
pub const LABEL_APP_NAME: &str = "app.kubernetes.io/name";
/// `app.kubernetes.io/instance` label key.
pub const LABEL_APP_INSTANCE: &str = "app.kubernetes.io/instance";
/// `app.kubernetes.io/component` label key.
pub const LABEL_APP_COMPONENT: &str = "app.kubernetes.io/component";
/// `app.kubernetes.io/part-of` label key.
pub const LABEL_APP_PART_OF: &str = "app.kubernetes.io/part-of";
/// `app.kubernetes.io/managed-by` label key.
pub const LABEL_APP_MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// Value of `app.kubernetes.io/name`, and the container's name (the chart's).
pub const SEGMENT_TABLE_CREATION: &str = "segment-table-creation";
/// Value of `app.kubernetes.io/component`.
pub const COMPONENT_SEGMENT: &str = "segment";
/// Value of `app.kubernetes.io/part-of`.
pub const PART_OF_GRANARY: &str = "granary";

/// Annotation of a CronJob of ours: the id of the hub whose order it is.
pub const ANNOTATION_HUB: &str = "segment.grnry.io/hub";
/// Annotation of a CronJob of ours: `namespace/name` of its Segment, whole.
pub const ANNOTATION_SEGMENT: &str = "segment.grnry.io/segment";
/// Annotation of a CronJob of ours: uid of its Segment.
pub const ANNOTATION_UID: &str = "segment.grnry.io/uid";
/// Annotation of a CronJob of ours, and of its Jobs: revision of its Segment.
pub const ANNOTATION_REVISION: &str = "segment.grnry.io/revision";
/// Label of a stored revision: which it is, under the same key.
pub const LABEL_REVISION: &str = ANNOTATION_REVISION;
/// Annotation of a CronJob of ours: digest of what was rendered for this cluster.
pub const ANNOTATION_DIGEST: &str = "segment.grnry.io/digest";
/// Annotation that on-call may set on a CronJob: suspended until this RFC 3339 time.
pub const ANNOTATION_HOLD_UNTIL: &str = "segment.grnry.io/hold-until";
/// Annotation of a CronJob that is suspended for a proof run: `<job>/<until>`.
pub const ANNOTATION_SUSPENDED_FOR: &str = "segment.grnry.io/suspended-for";
/// Annotation of a Job that the hub ordered: id of the run.
pub const ANNOTATION_RUN: &str = "segment.grnry.io/run";
/// Annotation of a Job that the hub ordered: what for, `proof` or `manual`.
pub const ANNOTATION_RUN_PURPOSE: &str = "segment.grnry.io/run-purpose";
/// Annotation of a Segment that came by Granary's API: the labels it has there, as a JSON list of strings.
pub const ANNOTATION_API_LABELS: &str = "segment.grnry.io/api-labels";
/// Annotation of a Segment that came by Granary's API: its roles there, as JSON.
pub const ANNOTATION_API_ROLES: &str = "segment.grnry.io/api-roles";
/// Annotation on the policy ConfigMap that releases the agent's brake.
pub const ANNOTATION_RELEASE_BRAKE: &str = "segment.grnry.io/release-brake";

/// Annotation on the hub's Lease: the term, raised by every new leader in the write that takes the Lease.
pub const ANNOTATION_TERM: &str = "segment.grnry.io/term";
/// Annotation on the hub's Lease: the watermark's n, raised in every renewal.
pub const ANNOTATION_N: &str = "segment.grnry.io/n";
/// Annotation on the hub's Lease: the leader's random instance id.
pub const ANNOTATION_INSTANCE: &str = "segment.grnry.io/instance";
/// Annotation on the hub's Lease: where the leader listens, for standbys.
pub const ANNOTATION_ADDRESS: &str = "segment.grnry.io/address";

/// Finalizer on a Segment; covers only recording what is owed to absent clusters.
pub const FINALIZER: &str = "segment.grnry.io/fleet";

/// Field manager of the agent's writes.
pub const MANAGER_AGENT: &str = "segment-agent";
/// Field manager of the hub's writes.
pub const MANAGER_HUB: &str = "segment-hub";
/// Field manager of the hub's status writes.
pub const MANAGER_HUB_STATUS: &str = "segment-hub-status";

/// Namespace of the agent on a spoke and of the hub on the hub, as the charts install them.
pub const SYSTEM_NAMESPACE: &str = "segment-system";
/// ConfigMap of the spoke's own policy, in the agent's namespace.
pub const POLICY_CONFIG_MAP: &str = "segment-agent-policy";
/// Secret of the agent's identity, in the agent's namespace.
pub const AGENT_IDENTITY_SECRET: &str = "segment-agent-identity";
/// Lease of the agent, in the agent's namespace.
pub const AGENT_LEASE: &str = "segment-agent";
/// ConfigMap of the agent's fence, watermark and brake window.
pub const AGENT_STATE: &str = "segment-agent-state";
/// Prefix of the agent's entry shards: `segment-agent-entries-0` … `-7`.
pub const AGENT_ENTRIES_PREFIX: &str = "segment-agent-entries-";
/// Prefix of the agent's ledger shards: `segment-agent-ledger-0` … `-7`.
pub const AGENT_LEDGER_PREFIX: &str = "segment-agent-ledger-";
/// Shards of each kind.
pub const AGENT_SHARDS: usize = 8;

/// Lease of the hub, in the hub's namespace.
pub const HUB_LEASE: &str = "segment-hub";
/// Secret of the hub's identity: hub id, era, root fingerprint, last n of old terms.
pub const HUB_IDENTITY_SECRET: &str = "segment-hub-identity";
/// Secret of the root CA (key and certificate).
pub const HUB_ROOT_CA_SECRET: &str = "segment-hub-ca-root";
/// Secret of the intermediate that the hub signs with.
pub const HUB_INTERMEDIATE_CA_SECRET: &str = "segment-hub-ca-intermediate";
/// Secret of token hashes, key bindings, bans and `validFrom`.
pub const HUB_ENROLMENT_SECRET: &str = "segment-hub-enrolment";
/// Prefix of tombstone ConfigMaps; the Segment's uid follows.
pub const TOMBSTONE_PREFIX: &str = "segment-tombstone-";
/// Prefix of the ConfigMaps of what must last of a Segment's rollout and holds: `segment-operations-<segment hash>`.
pub const OPERATIONS_PREFIX: &str = "segment-operations-";
/// Annotation of a stored revision: the field manager that wrote the spec.
pub const ANNOTATION_AUTHOR: &str = "segment.grnry.io/author";
/// Annotation of a Segment, and of its stored revisions: why it was changed, as `kubectl rollout history` shows it.
pub const ANNOTATION_CHANGE_CAUSE: &str = "kubernetes.io/change-cause";
/// ConfigMap in [`KUBE_PUBLIC`] that says where the hub is.
pub const HUB_INFO_CONFIG_MAP: &str = "segment-hub";
/// Namespace readable by every authenticated user, as kubeadm's cluster-info uses it.
pub const KUBE_PUBLIC: &str = "kube-public";
/// Audience of tokens meant for the hub's users' API.
pub const HUB_AUDIENCE: &str = "segment-hub";
