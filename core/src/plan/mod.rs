//! The plan: what a change would do on every cluster, before anyone does it.
//!
//! ```text
//! drafts ─► lint ─┐
//! fleet index ─► Snapshot ─► placement × render × admit, once per distinct result ─► Plan
//! ```
//! In: a [`Snapshot`] of the fleet, [`Draft`]s, the time. Out: [`Plan`].
//! Law: writes nothing and orders nothing; the same inputs give the same plan; lists are bounded, counts are exact.
//! Each distinct CronJob is rendered once (test `clusters_alike_are_rendered_once`).
//! Not: carrying it out; whether its user may see it.

mod diff;
mod fleet;
mod made;
mod names;
mod segment;
mod snapshot;
#[cfg(test)]
mod tests;

pub use diff::Change;
pub use names::{Groups, Names};
pub use snapshot::{Cluster, Live, LiveMember, Snapshot};

use crate::admit::Refusal;
use crate::assignment::Removal;
use crate::brake::Over;
use crate::finding::{Code, Finding};
use crate::forecast::Minute;
use crate::ids::{ClusterName, Revision, SegmentKey, SegmentName, sha256_16};
use crate::lint::{Verdict, lint};
use crate::segment::{HouseDefaults, ParsedSegment};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use segment_crds::{Segment, SegmentSpec};
use std::sync::Arc;

/// One change that someone thinks of.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Of which Segment.
    pub key: SegmentKey,
    /// What is wished.
    pub wish: Wish,
}

/// What is wished of a Segment.
#[derive(Clone, Debug)]
pub enum Wish {
    /// It shall be so.
    Put {
        /// As written.
        spec: Arc<SegmentSpec>,
        /// What lint says of it.
        verdict: Verdict,
    },
    /// It shall be so, but no Segment can be read from it.
    Unreadable(Vec<Finding>),
    /// It shall go.
    Delete,
}

impl Draft {
    /// A Segment as its user wrote it. `namespace` stands for one that it does not name.
    ///
    /// # Errors
    /// When it has no usable name: nothing else can be said of it then.
    pub fn put(
        mut segment: Segment,
        namespace: &str,
        defaults: &HouseDefaults,
        now: Timestamp,
    ) -> Result<Self, Vec<Finding>> {
        let key = key(&segment.metadata, namespace).map_err(|finding| vec![finding])?;
        segment.metadata.namespace = Some(key.namespace.to_string());
        Ok(Self {
            key,
            wish: Wish::Put {
                verdict: lint(&segment, defaults, now),
                spec: Arc::new(segment.spec),
            },
        })
    }

    /// A document that has the name of a Segment and can't be read as one: it would be refused.
    ///
    /// # Errors
    /// When it has no usable name either.
    pub fn unreadable(
        metadata: &ObjectMeta,
        namespace: &str,
        findings: Vec<Finding>,
    ) -> Result<Self, Finding> {
        Ok(Self {
            key: key(metadata, namespace)?,
            wish: Wish::Unreadable(findings),
        })
    }

    /// A Segment that shall go.
    pub fn delete(key: SegmentKey) -> Self {
        Self {
            key,
            wish: Wish::Delete,
        }
    }

    fn parsed(&self) -> Option<&ParsedSegment> {
        match &self.wish {
            Wish::Put { verdict, .. } => verdict.parsed.as_deref(),
            Wish::Unreadable(_) | Wish::Delete => None,
        }
    }

    fn place(&self) -> Option<snapshot::Place> {
        let parsed = self.parsed()?;
        Some((parsed.target_namespace.clone(), parsed.cronjob_name.clone()))
    }
}

fn key(metadata: &ObjectMeta, namespace: &str) -> Result<SegmentKey, Finding> {
    let given = metadata
        .namespace
        .as_deref()
        .filter(|text| !text.is_empty());
    let name = metadata.name.as_deref().unwrap_or_default();
    SegmentKey::new(given.unwrap_or(namespace), name).map_err(|error| {
        let field = if SegmentName::new(name).is_err() {
            "metadata.name"
        } else {
            "metadata.namespace"
        };
        Finding::error(Code::InvalidName, field, error.to_string())
    })
}

/// What would become of a Segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// It is new.
    Create,
    /// It changes.
    Update,
    /// It is so already.
    Unchanged,
    /// It would be refused: nothing would change.
    Refused,
    /// It goes.
    Delete,
}

/// One kind of change and the clusters that have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffGroup {
    /// What changes.
    pub changes: Vec<Change>,
    /// Overrides that all of these clusters have and some other clusters have not: `overrides[0] (region=ap)`.
    pub overrides: Vec<String>,
    /// On which.
    pub clusters: Names,
}

/// What agents' policies would say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agents {
    /// Clusters that would admit it.
    pub admit: usize,
    /// Clusters that would not.
    pub refuse: Groups<Refusal>,
    /// Clusters whose policy the hub does not know.
    pub unknown: Names,
}

/// Something that is wrong on some clusters only; warnings are sorted before errors.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Problem {
    /// Whether it keeps the Segment from these clusters.
    pub error: bool,
    /// What.
    pub finding: Finding,
}

/// Runs that a change would start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StartsNow {
    /// Clusters on which Kubernetes by itself would start a missed run at once.
    pub would: usize,
    /// Clusters on which a run will start, with `spec.onScheduleChange` as it is.
    pub will: usize,
    /// Whether that is `RunOnce`, else `Skip`.
    pub run_once: bool,
}

/// How it would go out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rollout {
    /// Clusters whose CronJob changes or comes.
    pub clusters: usize,
    /// At once at most.
    pub at_once: usize,
    /// So many steps.
    pub steps: usize,
}

/// What would become of one Segment.
#[derive(Clone, Debug)]
pub struct SegmentPlan {
    /// Which.
    pub key: SegmentKey,
    /// What would become of it.
    pub action: Action,
    /// The revision that stands.
    pub before: Option<Revision>,
    /// The revision that would.
    pub after: Option<Revision>,
    /// Fields of the spec that change.
    pub fields: Vec<Change>,
    /// What lint says of the draft.
    pub findings: Vec<Finding>,
    /// Clusters that are selected.
    pub selected_before: usize,
    /// Clusters that would be.
    pub selected_after: usize,
    /// Clusters that get it, by why they did not have it.
    pub joins: Groups<String>,
    /// Clusters that lose it, by why.
    pub leaves: Groups<String>,
    /// Clusters of which nothing can be said before their inventory is known.
    pub undecided: Names,
    /// How its CronJobs go.
    pub removal: Removal,
    /// Clusters whose CronJob changes, by what changes; the largest group first.
    pub diffs: Vec<DiffGroup>,
    /// Clusters with changes of other kinds than are told.
    pub more_diffs: usize,
    /// Clusters that keep their CronJob as it is.
    pub unchanged: usize,
    /// What is wrong on some clusters.
    pub problems: Groups<Problem>,
    /// What agents would say.
    pub agents: Agents,
    /// Runs that would start at once.
    pub starts: StartsNow,
    /// The fullest minute of the next 24 hours, by the schedules that would be.
    pub peak: Option<Minute>,
    /// Other Segments that have the same CronJob, with the clusters on which they meet.
    pub collisions: Groups<SegmentKey>,
    /// Other Segments that write the same table on a cluster.
    pub shared_tables: Vec<Finding>,
    /// More leave than the hub's brake lets through.
    pub brake: Option<Over>,
    /// How it goes out.
    pub rollout: Rollout,
}

/// A cluster on which more would go than its agent's brake lets through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentBrake {
    /// Where.
    pub cluster: ClusterName,
    /// How much.
    pub over: Over,
}

/// What a change would do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Names the drafts and what they were compared with: another one says that the world moved.
    pub id: String,
    /// Segment by Segment, in the order of the drafts.
    pub segments: Vec<SegmentPlan>,
    /// Clusters that would be over their agent's brake, some of them.
    pub agent_brakes: Vec<AgentBrake>,
    /// How many they are.
    pub agent_brakes_total: usize,
    /// Clusters in the fleet.
    pub clusters: usize,
}

impl Plan {
    /// Whether anything would change, or be refused.
    pub fn has_changes(&self) -> bool {
        self.segments
            .iter()
            .any(|segment| segment.action != Action::Unchanged)
    }
}

/// Plans.
pub fn plan(snapshot: &Snapshot, drafts: &[Draft], now: Timestamp) -> Plan {
    let mut going = vec![0_usize; snapshot.clusters.len()];
    let others = fleet::Others::of(snapshot, drafts);
    let mut segments: Vec<SegmentPlan> = drafts
        .iter()
        .enumerate()
        .map(|(at, draft)| segment::plan(snapshot, (at, draft), &others, &mut going, now))
        .collect();
    fleet::shared_tables(snapshot, drafts, &mut segments);
    let (agent_brakes, agent_brakes_total) = fleet::brakes(snapshot, &going);
    Plan {
        id: id(snapshot, drafts),
        segments,
        agent_brakes,
        agent_brakes_total,
        clusters: snapshot.clusters.len(),
    }
}

/// Digest of the drafts, and of what they are compared with.
fn id(snapshot: &Snapshot, drafts: &[Draft]) -> String {
    let (mut wished, mut based) = (Vec::new(), Vec::new());
    for draft in drafts {
        let spec = match &draft.wish {
            Wish::Put { spec, .. } => serde_json::to_string(&**spec).unwrap_or_default(),
            Wish::Unreadable(_) => "unreadable".to_owned(),
            Wish::Delete => "deleted".to_owned(),
        };
        wished.extend_from_slice(format!("{}\n{}\n{spec}", draft.key, spec.len()).as_bytes());
        let live = snapshot.live.get(&draft.key);
        let base = live.map(|live| (live.uid.to_string(), live.generation));
        based.extend_from_slice(format!("{}\n{base:?}\n", draft.key).as_bytes());
    }
    let hex = |bytes: &[u8], digits: usize| hex::encode(sha256_16(bytes))[..digits].to_owned();
    format!("{}-{}", hex(&wished, 7), hex(&based, 4))
}
