//! The assignment: what one cluster shall have of one Segment, as a typed value.
//!
//! In: what `render` made. Out: [`Entry`] (what an agent holds), [`EntryId`] (56 bytes of an inventory),
//! [`DesiredSet`] (the whole truth for one cluster).
//! Law: only what [`Template`] can express can be ordered: no hub can ask for a host path or a second container.
//! Same template, same bytes, same digest (golden vectors in `tests/golden.rs`).
//! Not: how a template becomes a Kubernetes object (`cronjob.rs`); what goes over the wire (`delta.rs`).

use crate::ids::{
    CronJobName, Digest, HubId, KeyHash, Namespace, Revision, RootDigest, SegmentKey, Uid,
    sha256_16,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Largest rendered assignment, in bytes of canonical JSON. A store of 8 MiB must hold a thousand average ones,
/// and one entry must fit one ConfigMap shard (1 MiB) many times over.
pub const MAX_RENDERED_BYTES: usize = 96 * 1024;

/// How a new Job treats one that still runs (`batch/v1`, `CronJobSpec.concurrencyPolicy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ConcurrencyPolicy {
    /// Both run. Granary's word for it is `Always`.
    Allow,
    /// The new one is skipped.
    Forbid,
    /// The old one is replaced.
    Replace,
}

/// When the kubelet pulls the image (`v1`, `Container.imagePullPolicy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PullPolicy {
    /// Each time.
    Always,
    /// Only when it is not there.
    IfNotPresent,
    /// Never.
    Never,
}

/// What happens when the container ends with an error (`v1`, `PodSpec.restartPolicy`; Jobs allow these two).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RestartPolicy {
    /// Restarted in place.
    OnFailure,
    /// The Job makes another Pod.
    Never,
}

/// What we add to the chart's Pod for its security (hub variable `POD_SECURITY`), from the least to the most.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum PodSecurity {
    /// Nothing: exactly the chart.
    Chart,
    /// No token mount, no privilege escalation, all capabilities dropped, seccomp `RuntimeDefault`.
    #[default]
    Baseline,
    /// Baseline, and `runAsNonRoot`.
    Restricted,
}

/// A key of a Secret on the spoke. Its value is never read or carried.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretKey {
    /// Name of the Secret, in the CronJob's namespace.
    pub secret: String,
    /// Key in it.
    pub key: String,
}

/// A Pod's toleration (`v1`, `Toleration`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodToleration {
    /// Key; absent with `Exists` tolerates everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// `Equal` (default) or `Exists`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// Value for `Equal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// `NoSchedule`, `PreferNoSchedule`, `NoExecute`; absent is all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<String>,
    /// Seconds that `NoExecute` is tolerated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toleration_seconds: Option<i64>,
}

/// Everything that a CronJob of ours can be. Unknown fields are refused: an agent never applies half an order.
///
/// Its canonical bytes are JSON with the fields in this order, maps sorted by key, absent and empty ones left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Template {
    /// Namespace on the spoke.
    pub namespace: Namespace,
    /// Name on the spoke (52 characters at most).
    pub name: CronJobName,
    /// Five-field cron or macro, `H` already replaced.
    pub schedule: String,
    /// IANA name; absent is the controller manager's zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// `spec.cronjob.suspend`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
    /// How a new Job treats a running one.
    pub concurrency_policy: ConcurrencyPolicy,
    /// Seconds after which a missed start is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starting_deadline_seconds: Option<i64>,
    /// Finished failed Jobs kept.
    pub failed_jobs_history_limit: i32,
    /// Finished successful Jobs kept.
    pub successful_jobs_history_limit: i32,
    /// Retries of the Job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff_limit: Option<i32>,
    /// Seconds after which a running Job is ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_deadline_seconds: Option<i64>,
    /// Seconds that a finished Job is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds_after_finished: Option<i32>,
    /// Whole image reference: `repository:tag` or `repository@sha256:…`.
    pub image: String,
    /// When it is pulled.
    pub image_pull_policy: PullPolicy,
    /// Names of pull secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub image_pull_secrets: Vec<String>,
    /// What happens when the container fails.
    pub restart_policy: RestartPolicy,
    /// Service account of the Pod; absent is `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// Node labels that the Pod wants.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints of nodes that the Pod bears.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<PodToleration>,
    /// The user's labels, beside ours, on CronJob and Pod.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The user's annotations, beside ours, on CronJob and Pod.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Resource requests by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, String>,
    /// Resource limits by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, String>,
    /// Variables with values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Variables from Secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secret_env: BTreeMap<String, SecretKey>,
    /// What is added for the Pod's security.
    pub pod_security: PodSecurity,
}

/// A template with its canonical bytes and their digest. Clusters that get the same bytes share them.
#[derive(Clone, Debug)]
pub struct Rendered {
    template: Arc<Template>,
    bytes: Bytes,
    digest: Digest,
}

/// Why bytes are not a rendered template.
#[derive(Debug, thiserror::Error)]
pub enum RenderedError {
    /// Over [`MAX_RENDERED_BYTES`].
    #[error("the rendered CronJob has {bytes} bytes, at most {MAX_RENDERED_BYTES} are allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Not a template that this version knows.
    #[error("the rendered CronJob can't be read: {0}")]
    Unreadable(String),
}

impl Rendered {
    /// Makes the canonical bytes of a template.
    ///
    /// # Errors
    /// When they are larger than [`MAX_RENDERED_BYTES`].
    pub fn new(template: Template) -> Result<Self, RenderedError> {
        let bytes =
            serde_json::to_vec(&template).map_err(|e| RenderedError::Unreadable(e.to_string()))?;
        Self::from_parts(Arc::new(template), Bytes::from(bytes))
    }

    /// Reads canonical bytes, as they come from the wire or the store. The digest is of the bytes as they came.
    ///
    /// # Errors
    /// When they are too large or have fields that this version does not know.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, RenderedError> {
        if bytes.len() > MAX_RENDERED_BYTES {
            return Err(RenderedError::TooLarge { bytes: bytes.len() });
        }
        let template: Template =
            serde_json::from_slice(&bytes).map_err(|e| RenderedError::Unreadable(e.to_string()))?;
        Self::from_parts(Arc::new(template), bytes)
    }

    fn from_parts(template: Arc<Template>, bytes: Bytes) -> Result<Self, RenderedError> {
        if bytes.len() > MAX_RENDERED_BYTES {
            return Err(RenderedError::TooLarge { bytes: bytes.len() });
        }
        let digest = Digest::of(&bytes);
        Ok(Self {
            template,
            bytes,
            digest,
        })
    }

    /// The typed template.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// Canonical JSON.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Digest of the bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

impl PartialEq for Rendered {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}
impl Eq for Rendered {}

/// What the agent does about changes made by others (`spec.drift`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Drift {
    /// Corrected.
    #[default]
    Correct,
    /// Only reported.
    Report,
    /// A new revision is written only over an unchanged old one.
    IfNotDrifted,
}

/// What the agent does about a CronJob of that name that is not ours (`spec.adoption`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Adoption {
    /// Left alone.
    Never,
    /// Taken over when its spec is what we would write.
    #[default]
    IfSame,
    /// Taken over.
    Always,
}

/// Whether a change of schedule or suspend may start a past run (`spec.onScheduleChange`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OnScheduleChange {
    /// It may not.
    #[default]
    Skip,
    /// It may.
    RunOnce,
}

/// Agent modes: sent at once, no rollout, no write on the CronJob.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Modes {
    /// About changes by others.
    pub drift: Drift,
    /// About what is already there.
    pub adoption: Adoption,
    /// About past runs.
    pub on_schedule_change: OnScheduleChange,
}

/// A hold by the hub: suspended until it is released.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hold {
    /// Ends by itself at this time; absent: only `release` ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<jiff::Timestamp>,
    /// Who and why, for those who look at the spoke.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// What is ordered for an entry but is no part of its revision. A change makes no rollout.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Controls {
    /// Held by the hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
}

/// What becomes of the CronJob when its entry is removed (`spec.removal.policy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RemovalPolicy {
    /// Deleted.
    #[default]
    Delete,
    /// Our marks are taken off; from then on it is foreign.
    Orphan,
}

/// What becomes of running Jobs (`spec.removal.runningJobs`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RunningJobs {
    /// Suspended, waited for, then deleted.
    #[default]
    Finish,
    /// Deleted with the CronJob.
    Kill,
}

/// How an entry is removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Removal {
    /// Delete or Orphan.
    pub policy: RemovalPolicy,
    /// Finish or Kill.
    pub running_jobs: RunningJobs,
}

/// The place of an order among those for one Segment uid, within an era: an undo is a new order under the same generation.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct OrderNumber {
    /// The Segment's `metadata.generation`.
    pub generation: i64,
    /// Counts orders under one generation.
    pub order: u64,
}

/// Segment × cluster: what was rendered, with its fence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Which Segment.
    pub key: SegmentKey,
    /// Its uid: a fence, not the identity.
    pub uid: Uid,
    /// Its place among orders for this uid.
    pub number: OrderNumber,
    /// Revision of the Segment.
    pub revision: Revision,
    /// The CronJob.
    pub rendered: Rendered,
    /// Agent modes.
    pub modes: Modes,
}

/// What an agent holds for one Segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The assignment as accepted.
    pub assignment: Assignment,
    /// Controls as accepted.
    pub controls: Controls,
    /// Set once the removal is ordered.
    pub removing: Option<Removal>,
}

/// An entry in an inventory: 56 bytes. Term, generation and n are not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct EntryId {
    /// Which Segment.
    pub key: KeyHash,
    /// Its uid.
    pub uid: Uid,
    /// Its revision.
    pub revision: Revision,
    /// Of rendered bytes, modes, controls and removal.
    pub digest: Digest,
}

impl EntryId {
    /// Bytes of one entry in an inventory.
    pub const LEN: usize = 56;

    /// The 56 bytes: key hash, uid, revision, digest.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        out[..16].copy_from_slice(&self.key.0);
        out[16..32].copy_from_slice(&self.uid.0);
        out[32..40].copy_from_slice(&self.revision.0);
        out[40..].copy_from_slice(&self.digest.0);
        out
    }

    /// Reads 56 bytes.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let mut id = Self::default();
        id.key.0.copy_from_slice(&bytes[..16]);
        id.uid.0.copy_from_slice(&bytes[16..32]);
        id.revision.0.copy_from_slice(&bytes[32..40]);
        id.digest.0.copy_from_slice(&bytes[40..]);
        id
    }
}

impl Entry {
    /// Its 56 bytes in an inventory.
    pub fn id(&self) -> EntryId {
        EntryId {
            key: self.assignment.key.hash(),
            uid: self.assignment.uid,
            revision: self.assignment.revision,
            digest: self.digest(),
        }
    }

    /// Digest of (rendered bytes, modes, controls, removing): a hold ordered while the cluster was away is found on return.
    fn digest(&self) -> Digest {
        // The rendered digest stands for the bytes; the rest is small canonical JSON.
        let rest = serde_json::to_vec(&(&self.assignment.modes, &self.controls, &self.removing))
            .unwrap_or_default();
        let mut all = Vec::with_capacity(Digest::LEN + rest.len());
        all.extend_from_slice(self.assignment.rendered.digest().as_bytes());
        all.extend_from_slice(&rest);
        Digest(sha256_16(&all))
    }
}

/// What a cluster holds, by key: the hub's mirror of an inventory.
pub type Holdings = BTreeMap<KeyHash, EntryId>;

/// Digest over a whole inventory, in the order of the keys. The empty inventory has a digest too.
pub fn root_digest<'a>(entries: impl IntoIterator<Item = &'a EntryId>) -> RootDigest {
    let mut sha = Sha256::new();
    for entry in entries {
        sha.update(entry.to_bytes());
    }
    let mut out = [0; 16];
    out.copy_from_slice(&sha.finalize()[..16]);
    RootDigest(out)
}

/// What the hub wants of one cluster for one Segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Desired {
    /// Hold exactly this.
    Entry(Arc<Entry>),
    /// Hold whatever you hold: an order that equals what the agent reports.
    Keep,
    /// Remove what you hold.
    Remove(RemoveOrder),
}

/// An order to remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoveOrder {
    /// Uid of the Segment that goes; an entry of another uid is not meant.
    pub uid: Uid,
    /// Its place among orders for this uid.
    pub number: OrderNumber,
    /// How.
    pub removal: Removal,
}

/// The whole truth for one cluster. A key that is absent is unknown to the hub: reported as an orphan, and kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DesiredSet {
    /// By key.
    pub items: BTreeMap<KeyHash, Desired>,
}

/// Whose orders these are: stands in every CronJob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The hub's id.
    pub hub: HubId,
}
