//! A Segment as a whole.

use super::conditions;
use jiff::Timestamp;
use segment_core::ids::SegmentKey;
use segment_core::index::FleetIndex;
use segment_core::status::segment_status;
use segment_crds::conditions::find_condition;
use segment_crds::{ClusterCounts, ConditionStatus, SegmentCondition, SegmentStatus};
use segment_proto::convert::time::to_wire;
use segment_proto::v1;

/// A Segment; `None` where it is unknown. `stored`: with view FULL, its status as the API server has it, if it has one.
pub fn segment(
    index: &FleetIndex,
    key: &SegmentKey,
    stored: Option<Option<&SegmentStatus>>,
    now: Timestamp,
) -> Option<v1::Segment> {
    let state = index.segments().get(key)?;
    // Against no status at all there always is one to be written.
    let status = segment_status(index, key, None, now)?;
    let spec = state.good.as_ref().map(|good| &good.parsed.spec);
    let ready = find_condition(&status.conditions, SegmentCondition::Ready.as_str());
    let mut shown = v1::Segment {
        name: key.to_string(),
        uid: state.uid.to_string(),
        generation: i32::try_from(state.generation).ok(),
        revision: state
            .revision()
            .map(|revision| revision.to_string())
            .unwrap_or_default(),
        clusters: status.clusters.map(counts),
        ready: ready.map(|ready| ready.status == ConditionStatus::True.as_str()),
        message: message(&status),
        last_run: status.last_run.as_ref().map(|time| to_wire(time.0)),
        next_run: status.next_run.as_ref().map(|time| to_wire(time.0)),
        schedule: spec
            .and_then(|spec| spec.cronjob.schedule.clone())
            .unwrap_or_default(),
        time_zone: spec
            .and_then(|spec| spec.cronjob.time_zone.clone())
            .unwrap_or_default(),
        suspended: spec.map(|spec| spec.cronjob.suspend.unwrap_or(false)),
        paused: Some(state.is_paused()),
        create_time: state.created.map(to_wire),
        worst: status
            .worst
            .iter()
            .map(|worst| v1::WorstCluster {
                cluster: worst.cluster.clone(),
                reason: worst.reason.clone(),
                message: worst.message.clone(),
                since: worst.since.as_ref().map(|time| to_wire(time.0)),
            })
            .collect(),
        ..v1::Segment::default()
    };
    if let Some(stored) = stored {
        let stored = stored
            .map(|status| &status.conditions[..])
            .unwrap_or_default();
        shown.conditions = conditions(&status.conditions, stored);
        shown.labels = state.labels.clone().into_iter().collect();
        shown.display_name = spec
            .and_then(|spec| spec.display_name.clone())
            .unwrap_or_default();
        shown.description = spec
            .and_then(|spec| spec.description.clone())
            .unwrap_or_default();
    }
    Some(shown)
}

/// Counts, zeros included.
pub fn counts(counts: ClusterCounts) -> v1::ClusterCounts {
    let ClusterCounts {
        selected,
        ready,
        rolling,
        failing,
        stale,
        held,
        updated,
        owed,
    } = counts;
    v1::ClusterCounts {
        selected: Some(selected),
        ready: Some(ready),
        rolling: Some(rolling),
        failing: Some(failing),
        stale: Some(stale),
        held: Some(held),
        updated: Some(updated),
        owed: Some(owed),
    }
}

/// What is most worth knowing: why it stands still, why it is not ready, what its runs do.
fn message(status: &SegmentStatus) -> String {
    let find = |kind: SegmentCondition| find_condition(&status.conditions, kind.as_str());
    let failing_runs = find(SegmentCondition::RunsSucceeding)
        .filter(|runs| runs.status == ConditionStatus::False.as_str());
    [
        find(SegmentCondition::Stalled),
        find(SegmentCondition::Ready),
        failing_runs,
    ]
    .into_iter()
    .flatten()
    .map(|condition| condition.message.as_str())
    .find(|message| !message.is_empty())
    .unwrap_or_default()
    .to_owned()
}
