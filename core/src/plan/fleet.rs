//! What a plan means across Segments: CronJobs that two of them want, and the agents' brakes.
//!
//! In: the snapshot, all drafts, what goes on each cluster. Out: who meets where; who is over the brake.
//! Law: linear in Segments with the same place and in clusters. Not: one Segment by itself.

use super::names::Groups;
use super::snapshot::{Place, Snapshot};
use super::{AgentBrake, Draft, SegmentPlan};
use crate::brake;
use crate::ids::{ClusterName, SegmentKey};
use crate::lint;
use crate::placement::{ClusterView, selects};
use crate::segment::ParsedSegment;
use std::collections::{BTreeSet, HashMap};

/// Clusters over their brake that are named.
const BRAKES: usize = 20;

/// Drafts by the place of their CronJob, where more than one has it, with the clusters that each selects.
#[derive(Debug)]
pub(super) struct Others {
    drafted: HashMap<Place, Vec<(usize, SegmentKey, BTreeSet<ClusterName>)>>,
}

impl Others {
    pub(super) fn of(snapshot: &Snapshot, drafts: &[Draft]) -> Self {
        let mut by_place: HashMap<Place, Vec<usize>> = HashMap::new();
        for (at, draft) in drafts.iter().enumerate() {
            if let Some(place) = draft.place() {
                by_place.entry(place).or_default().push(at);
            }
        }
        let drafted = by_place
            .into_iter()
            .filter(|(_, at)| at.len() > 1)
            .map(|(place, all)| {
                let each = all
                    .into_iter()
                    .filter_map(|at| {
                        let draft = drafts.get(at)?;
                        Some((at, draft.key.clone(), selected(snapshot, draft)))
                    })
                    .collect();
                (place, each)
            })
            .collect();
        Self { drafted }
    }

    /// Segments that want the same CronJob as draft `at` on clusters that it selects.
    pub(super) fn collisions(
        &self,
        snapshot: &Snapshot,
        (at, draft): (usize, &Draft),
        selects: &[&ClusterName],
    ) -> Groups<SegmentKey> {
        let mut groups = Groups::default();
        let Some(place) = draft.place() else {
            return groups;
        };
        let live = snapshot
            .neighbours
            .get(&place)
            .into_iter()
            .flatten()
            .map(|neighbour| (&neighbour.key, &neighbour.clusters));
        let drafted = self
            .drafted
            .get(&place)
            .into_iter()
            .flatten()
            .filter(|(other, _, _)| *other != at)
            .map(|(_, key, clusters)| (key, clusters));
        for (key, clusters) in live.chain(drafted) {
            for name in selects.iter().filter(|name| clusters.contains(**name)) {
                groups.push(key.clone(), name);
            }
        }
        groups
    }
}

fn selected(snapshot: &Snapshot, draft: &Draft) -> BTreeSet<ClusterName> {
    let views = draft.parsed().map(|parsed| views(snapshot, parsed));
    views
        .into_iter()
        .flatten()
        .map(|view| view.name.clone())
        .collect()
}

/// The clusters that a Segment selects.
fn views<'a>(snapshot: &'a Snapshot, segment: &ParsedSegment) -> Vec<&'a ClusterView> {
    snapshot
        .clusters
        .iter()
        .map(|cluster| &cluster.view)
        .filter(|view| selects(segment, view))
        .collect()
}

/// Says of each draft whether another Segment, drafted or live, writes its table on some cluster.
pub(super) fn shared_tables(snapshot: &Snapshot, drafts: &[Draft], plans: &mut [SegmentPlan]) {
    let drafted: Vec<&ParsedSegment> = drafts.iter().filter_map(Draft::parsed).collect();
    if drafted.len() + snapshot.table_sharers.len() < 2 {
        return;
    }
    let all: Vec<(&ParsedSegment, Vec<&ClusterView>)> = drafted
        .into_iter()
        .chain(snapshot.table_sharers.iter().map(|live| &**live))
        .map(|segment| (segment, views(snapshot, segment)))
        .collect();
    let mut found = lint::fleet::shared_tables(&all, &snapshot.defaults);
    for plan in plans {
        let own = found.extract_if(.., |(key, _)| *key == plan.key);
        plan.shared_tables = own.map(|(_, finding)| finding).collect();
    }
}

/// Clusters on which more goes than the agent's brake lets through: some, and how many.
pub(super) fn brakes(snapshot: &Snapshot, going: &[usize]) -> (Vec<AgentBrake>, usize) {
    let mut over: Vec<AgentBrake> = Vec::new();
    let mut total = 0;
    for (cluster, &going) in snapshot.clusters.iter().zip(going) {
        let share = cluster
            .policy
            .as_ref()
            .map_or(brake::AGENT, |policy| policy.brake.removals);
        if let Some(found) = brake::over(share, going, cluster.held) {
            total += 1;
            if over.len() < BRAKES {
                over.push(AgentBrake {
                    cluster: cluster.view.name.clone(),
                    over: found,
                });
            }
        }
    }
    (over, total)
}
