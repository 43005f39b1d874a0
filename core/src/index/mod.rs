//! The fleet index: objects, inventories and reports in; what changed out.
//!
//! In: `apply_*`, `delete_*`, `reset_*` for what the reflectors saw, and what streams told.
//! Out: [`Changed`], which the caller publishes; [`FleetIndex::desired`] for one key of one cluster.
//! Law: incremental equals from scratch: any order of events gives the index built from the final objects
//! (`tests/laws.rs`). Absence is not a command: only a tombstone or a verified unselection removes.
//! Not: channels, locks, clocks.
//!
//! ```text
//! segments ─┬─ members: cluster ─► Member {placement, released, entry, held, report, leaving}
//! clusters ─┘                       (one for each cluster that is selected, or holds it and is to lose it)
//! ```

mod advance;
mod cap;
mod cluster;

mod desired;
mod earlier;
mod member;
mod operations;
mod place;
mod policy;
mod run_orders;
mod runs;
mod segment;
mod standing;
mod stream;
mod tombstone;

pub use cluster::ClusterState;
pub use member::{Leaving, Member, Released};
pub use operations::News;
pub use place::SeenSegment;
pub use run_orders::{OrderedRun, OrderedRuns, RUNS_KEPT};
pub use segment::{Good, SegmentState};
pub use tombstone::Tombstone;

use crate::ids::{ClusterName, HubId, KeyHash, PolicyDigest, SegmentKey, Uid};
use crate::rollout::Operations;
use crate::runs::Texts;
use crate::segment::HouseDefaults;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Periods of the index; each is a flag of the hub with this default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A cluster that has not confirmed this long after its release has failed, where its Segment says nothing else.
    pub progress_deadline: SignedDuration,
    /// Percent of all clusters that may be in change at once, over all Segments; rounded up, at least one.
    pub max_changing_percent: u32,
    /// How long a placement must have shrunk before a removal is ordered (labels flap).
    pub settle: SignedDuration,
    /// A cluster without a stream for this long is stale; after a start, one not heard from for this long is away.
    pub stale_after: SignedDuration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            progress_deadline: SignedDuration::from_secs(600),
            max_changing_percent: 25,
            settle: SignedDuration::from_secs(30),
            stale_after: SignedDuration::from_secs(60),
        }
    }
}

/// What a step changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Keys whose desired value may have changed, by cluster.
    pub desired: BTreeMap<ClusterName, BTreeSet<KeyHash>>,
    /// Segments whose status may have changed.
    pub segments: BTreeSet<SegmentKey>,
    /// Clusters whose status may have changed.
    pub clusters: BTreeSet<ClusterName>,
    /// Tombstones that shrank (or are done, when no cluster is left in them).
    pub tombstones: BTreeSet<Uid>,
    /// Clusters that have run orders to be sent: [`FleetIndex::open_run_orders`].
    pub runs: BTreeSet<ClusterName>,
    /// Segments whose [`Operations`](crate::rollout::Operations) are to be stored.
    pub operations: BTreeSet<SegmentKey>,
    /// Segments whose earlier specs are needed: [`FleetIndex::know`].
    pub sought: BTreeSet<SegmentKey>,
    /// What users should hear of, as Events on the Segment.
    pub news: Vec<News>,
}

impl Changed {
    /// Adds what another step changed.
    pub fn extend(&mut self, other: Self) {
        for (cluster, keys) in other.desired {
            self.desired.entry(cluster).or_default().extend(keys);
        }
        self.segments.extend(other.segments);
        self.clusters.extend(other.clusters);
        self.tombstones.extend(other.tombstones);
        self.runs.extend(other.runs);
        self.operations.extend(other.operations);
        self.sought.extend(other.sought);
        self.news.extend(other.news);
    }

    /// True when nothing changed.
    pub fn is_empty(&self) -> bool {
        self.desired.is_empty()
            && self.segments.is_empty()
            && self.clusters.is_empty()
            && self.tombstones.is_empty()
            && self.runs.is_empty()
            && self.operations.is_empty()
            && self.sought.is_empty()
            && self.news.is_empty()
    }

    fn desired(&mut self, cluster: &ClusterName, key: KeyHash) {
        self.desired.entry(cluster.clone()).or_default().insert(key);
    }
}

/// Everything that the hub knows of the fleet.
#[derive(Debug)]
pub struct FleetIndex {
    hub: HubId,
    defaults: HouseDefaults,
    settings: Settings,
    started: Timestamp,
    segments: BTreeMap<SegmentKey, SegmentState>,
    keys: HashMap<KeyHash, SegmentKey>,
    clusters: BTreeMap<ClusterName, ClusterState>,
    tombstones: BTreeMap<Uid, Tombstone>,
    /// Policies of clusters, each once.
    policies: BTreeMap<PolicyDigest, policy::Shared>,
    /// Words of runs of clusters, each once.
    texts: Texts,
    version: u64,
    /// Segments whose rollout has to be looked at: see [`FleetIndex::settle`].
    dirty: BTreeSet<SegmentKey>,
    /// Operations of Segments that have not been seen (yet): a re-created one inherits its hold.
    stored_ops: BTreeMap<SegmentKey, Operations>,
    /// Clusters that are in change for at least one Segment.
    changing: usize,
    /// Segments that wait for the fleet-wide cap.
    capped: BTreeSet<SegmentKey>,
}

impl FleetIndex {
    /// An empty index of a hub that started at `started`.
    pub fn new(
        hub: HubId,
        defaults: HouseDefaults,
        settings: Settings,
        started: Timestamp,
    ) -> Self {
        Self {
            hub,
            defaults,
            settings,
            started,
            segments: BTreeMap::new(),
            keys: HashMap::new(),
            clusters: BTreeMap::new(),
            tombstones: BTreeMap::new(),
            policies: BTreeMap::new(),
            texts: Texts::default(),
            version: 1,
            dirty: BTreeSet::new(),
            stored_ops: BTreeMap::new(),
            changing: 0,
            capped: BTreeSet::new(),
        }
    }

    /// The hub's id.
    pub fn hub(&self) -> &HubId {
        &self.hub
    }

    /// The house defaults in force.
    pub fn defaults(&self) -> &HouseDefaults {
        &self.defaults
    }

    /// The periods in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// When this hub started.
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// Rises with each change; objects carry the version at which they changed last.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Segments by key.
    pub fn segments(&self) -> &BTreeMap<SegmentKey, SegmentState> {
        &self.segments
    }

    /// Clusters by name.
    pub fn clusters(&self) -> &BTreeMap<ClusterName, ClusterState> {
        &self.clusters
    }

    /// What is owed to absent clusters.
    pub fn tombstones(&self) -> &BTreeMap<Uid, Tombstone> {
        &self.tombstones
    }

    /// The Segment of a hash.
    pub fn key(&self, hash: &KeyHash) -> Option<&SegmentKey> {
        self.keys.get(hash)
    }

    /// Counts a change and gives its version.
    fn bump(&mut self) -> u64 {
        self.version += 1;
        self.version
    }
}
