//! A Cluster as a whole.

use super::{conditions, count};
use crate::users::access::Sight;
use jiff::Timestamp;
use segment_core::aggregate::{Verdict, judge};
use segment_core::ids::{ClusterName, SegmentKey};
use segment_core::index::{ClusterState, FleetIndex};
use segment_core::names::LABEL_CLUSTER;
use segment_core::status::cluster_status;
use segment_crds::conditions::find_condition;
use segment_crds::{Access, ClusterCondition, ClusterStatus, ConditionStatus, Taint};
use segment_proto::convert::time::to_wire;
use segment_proto::v1;
use std::collections::HashMap;

/// How many orphans each cluster has.
pub type Orphans = HashMap<ClusterName, u32>;

/// A Cluster; `None` where it is unknown. Its Segments are counted as far as `sight` goes. `stored`: with view FULL, its
/// status as the API server has it, if it has one.
pub fn cluster(
    index: &FleetIndex,
    name: &ClusterName,
    sight: &Sight,
    orphans: &Orphans,
    stored: Option<Option<&ClusterStatus>>,
    now: Timestamp,
) -> Option<v1::Cluster> {
    let state = index.clusters().get(name)?;
    // Against no status at all there always is one to be written.
    let status = cluster_status(index, name, None, now)?;
    let ready = find_condition(&status.conditions, ClusterCondition::Ready.as_str());
    let connected = state.is_connected();
    let mut labels = state.view.labels.clone();
    // Implicit: nobody wrote it.
    labels.remove(LABEL_CLUSTER);
    let mut shown = v1::Cluster {
        name: name.to_string(),
        access: state.view.access.as_str().to_owned(),
        connected: Some(connected),
        connected_since: state.since.map(to_wire),
        last_heard: if connected {
            None
        } else {
            state.last_heard.map(to_wire)
        },
        ready: ready.map(|ready| ready.status.clone()).unwrap_or_default(),
        message: message(&status),
        kubernetes_version: state.kubernetes_version.clone(),
        agent_version: state.agent_version.clone(),
        segments: (!sight.is_none()).then(|| counts(index, name, state, sight, now)),
        labels: labels.into_iter().collect(),
        taints: state.view.taints.iter().map(taint).collect(),
        paused: Some(state.view.paused),
        create_time: state.created.map(to_wire),
        orphans: Some(orphans.get(name).copied().unwrap_or(0)),
        ..v1::Cluster::default()
    };
    if let Some(stored) = stored {
        let stored = stored
            .map(|status| &status.conditions[..])
            .unwrap_or_default();
        shown.conditions = conditions(&status.conditions, stored);
        shown.cluster_uid = state
            .bound_uid
            .map(|uid| uid.to_string())
            .unwrap_or_default();
    }
    Some(shown)
}

/// Why it is not ready; else the first thing that stands against it.
fn message(status: &ClusterStatus) -> String {
    let ready = ClusterCondition::Ready.as_str();
    let not_ready = find_condition(&status.conditions, ready)
        .filter(|condition| condition.status != ConditionStatus::True.as_str());
    let against = status.conditions.iter().find(|condition| {
        condition.type_ != ready
            && condition.type_ != ClusterCondition::Connected.as_str()
            && condition.status == ConditionStatus::True.as_str()
    });
    [not_ready, against]
        .into_iter()
        .flatten()
        .map(|condition| condition.message.as_str())
        .find(|message| !message.is_empty())
        .unwrap_or_default()
        .to_owned()
}

/// `key=value:Effect`, as kubectl writes taints.
fn taint(taint: &Taint) -> String {
    let value = taint.value.as_deref().filter(|value| !value.is_empty());
    let value = value.map_or_else(String::new, |value| format!("={value}"));
    format!("{}{value}:{}", taint.key, taint.effect)
}

fn counts(
    index: &FleetIndex,
    name: &ClusterName,
    cluster: &ClusterState,
    sight: &Sight,
    now: Timestamp,
) -> v1::SegmentCounts {
    let (mut placed, mut ready, mut rolling, mut failing, mut stale, mut held, mut owed) =
        (0, 0, 0, 0, 0, 0, 0);
    let seen = |key: &SegmentKey| sight.sees(&key.namespace);
    for key in cluster.segments.iter().filter(|key| seen(key)) {
        let Some(segment) = index.segments().get(key) else {
            continue;
        };
        let Some(member) = segment.members.get(name) else {
            continue;
        };
        if !member.is_selected() {
            owed += u32::from(member.held.is_some());
            continue;
        }
        placed += 1;
        match judge(index, segment, cluster, member, now).verdict {
            Verdict::Ready => ready += 1,
            Verdict::Rolling => rolling += 1,
            Verdict::Failing => failing += 1,
            Verdict::Stale => stale += 1,
            Verdict::Held => held += 1,
        }
    }
    owed += count(
        index
            .tombstones()
            .values()
            .filter(|tombstone| seen(&tombstone.key) && tombstone.clusters.contains(name))
            .count(),
    );
    v1::SegmentCounts {
        placed: Some(placed),
        ready: Some(ready),
        rolling: Some(rolling),
        failing: Some(failing),
        stale: Some(stale),
        held: Some(held),
        owed: Some(owed),
    }
}

/// How many entries inventories show that no Segment asks for, by cluster; clusters without any are not in it.
pub fn orphans(index: &FleetIndex) -> Orphans {
    let mut orphans = Orphans::new();
    for (name, _, _) in index.orphans() {
        match orphans.get_mut(name) {
            Some(count) => *count += 1,
            None => drop(orphans.insert(name.clone(), 1)),
        }
    }
    orphans
}

/// The fleet in numbers. The names of clusters that are quiet go to those only who may list Clusters.
pub fn fleet(index: &FleetIndex, names: bool, now: Timestamp) -> v1::Fleet {
    let accepted = || {
        index
            .clusters()
            .iter()
            .filter(|(_, cluster)| cluster.view.access == Access::Accepted)
    };
    let stale_after = index.settings().stale_after;
    let quiet: Vec<&ClusterName> = accepted()
        .filter(|(_, cluster)| cluster.is_stale(index.started(), stale_after, now))
        .map(|(name, _)| name)
        .collect();
    v1::Fleet {
        clusters: Some(count(accepted().count())),
        connected: Some(count(
            accepted()
                .filter(|(_, cluster)| cluster.is_connected())
                .count(),
        )),
        quiet: quiet
            .iter()
            .take(QUIET_SHOWN)
            .filter(|_| names)
            .map(ToString::to_string)
            .collect(),
        quiet_count: Some(count(quiet.len())),
    }
}

/// Quiet clusters that are named; the rest is counted.
const QUIET_SHOWN: usize = 10;
