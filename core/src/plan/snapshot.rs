//! What a plan is made against: copied from the index in one go, so that the fleet is not held up while it is made.
//!
//! In: [`FleetIndex`], drafts. Out: [`Snapshot`]. Law: linear in clusters, and in members of the drafts' Segments.
//! Not: who may see it.

use super::Draft;
use crate::admit::Policy;
use crate::ids::{ClusterName, CronJobName, KeyHash, Namespace, SegmentKey, Uid};
use crate::index::{FleetIndex, Good, SegmentState};
use crate::lint::fleet::TableNames;
use crate::placement::ClusterView;
use crate::segment::{HouseDefaults, ParsedSegment};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Segments that are looked at for a shared table: only a draft whose table has another name on each cluster meets more
/// that may.
const TABLE_SHARERS: usize = 1_000;

/// One cluster.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// What its admins wrote.
    pub view: ClusterView,
    /// What it holds is known to the hub.
    pub inventory_known: bool,
    /// CronJobs of ours that it holds.
    pub held: usize,
    /// Its policy, where its agent has told it. Clusters with the same share one.
    pub policy: Option<Arc<Policy>>,
}

/// A live Segment on one cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveMember {
    /// Selected by the spec that stands.
    pub selected: bool,
    /// Held, by the cluster's own word.
    pub held: bool,
    /// When its last run was due.
    pub last_run: Option<Timestamp>,
}

/// A live Segment.
#[derive(Clone, Debug)]
pub struct Live {
    /// Its uid.
    pub uid: Uid,
    /// Its generation.
    pub generation: i64,
    /// The spec that stands: the newest, or the last good one.
    pub good: Option<Good>,
    /// Its newest spec was refused.
    pub refused: bool,
    /// Where it is.
    pub members: HashMap<ClusterName, LiveMember>,
}

/// Where a `CronJob` stands on every spoke.
pub(super) type Place = (Namespace, CronJobName);

/// Another Segment with the same place.
#[derive(Clone, Debug)]
pub(super) struct Neighbour {
    pub(super) key: SegmentKey,
    pub(super) clusters: BTreeSet<ClusterName>,
}

/// The fleet, as far as these drafts concern it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// House defaults in force.
    pub defaults: HouseDefaults,
    /// All clusters, by name.
    pub clusters: Vec<Cluster>,
    /// The drafts' live Segments.
    pub live: BTreeMap<SegmentKey, Live>,
    pub(super) neighbours: HashMap<Place, Vec<Neighbour>>,
    /// Live Segments beside the drafts' that may write a table of theirs, at most [`TABLE_SHARERS`].
    pub(super) table_sharers: Vec<Arc<ParsedSegment>>,
}

impl Snapshot {
    /// Copies what these drafts concern.
    pub fn of(index: &FleetIndex, drafts: &[Draft]) -> Self {
        let keys: BTreeSet<&SegmentKey> = drafts.iter().map(|draft| &draft.key).collect();
        let places: BTreeSet<Place> = drafts.iter().filter_map(Draft::place).collect();
        let mut neighbours: HashMap<Place, Vec<Neighbour>> = HashMap::new();
        let tables: Vec<TableNames> = drafts
            .iter()
            .filter_map(|draft| Some(TableNames::of(draft.parsed()?)))
            .collect();
        let mut table_sharers = Vec::new();
        let mut live = BTreeMap::new();
        for (key, segment) in index.segments() {
            if keys.contains(key) {
                live.insert(key.clone(), Live::of(segment, key.hash(), index));
                continue;
            }
            if let Some(good) = &segment.good
                && table_sharers.len() < TABLE_SHARERS
                && may_share(&tables, &good.parsed)
            {
                table_sharers.push(Arc::clone(&good.parsed));
            }
            let place = segment.good.as_ref().map(place);
            if let Some(place) = place.filter(|place| places.contains(place)) {
                let clusters = segment
                    .members
                    .iter()
                    .filter(|(_, member)| member.is_selected())
                    .map(|(name, _)| name.clone())
                    .collect();
                neighbours.entry(place).or_default().push(Neighbour {
                    key: key.clone(),
                    clusters,
                });
            }
        }
        Self {
            defaults: index.defaults().clone(),
            clusters: index
                .clusters()
                .values()
                .map(|cluster| Cluster {
                    view: cluster.view.clone(),
                    inventory_known: cluster.inventory_known,
                    held: cluster.held.len(),
                    policy: cluster.policy.clone(),
                })
                .collect(),
            live,
            neighbours,
            table_sharers,
        }
    }
}

fn may_share(tables: &[TableNames], segment: &ParsedSegment) -> bool {
    let own = TableNames::of(segment);
    tables.iter().any(|table| table.may_meet(&own))
}

impl Live {
    fn of(segment: &SegmentState, hash: KeyHash, index: &FleetIndex) -> Self {
        let mut members: HashMap<ClusterName, LiveMember> = segment
            .members
            .iter()
            .map(|(name, member)| {
                let runs = member.report.as_ref().map(|report| &report.runs);
                let live = LiveMember {
                    selected: member.is_selected(),
                    held: member.held.is_some(),
                    last_run: runs
                        .and_then(|runs| runs.last.as_ref())
                        .map(|run| run.scheduled),
                };
                (name.clone(), live)
            })
            .collect();
        if segment.good.is_none() {
            // Refused since the hub's start: no members, but clusters may hold it.
            for (name, cluster) in index.clusters() {
                if cluster.held.contains_key(&hash) {
                    members.entry(name.clone()).or_insert(LiveMember {
                        selected: false,
                        held: true,
                        last_run: None,
                    });
                }
            }
        }
        Self {
            uid: segment.uid,
            generation: segment.generation,
            good: segment.good.clone(),
            refused: segment.is_refused(),
            members,
        }
    }
}

fn place(good: &Good) -> Place {
    (
        good.parsed.target_namespace.clone(),
        good.parsed.cronjob_name.clone(),
    )
}
