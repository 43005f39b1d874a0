//! Why a Segment is, or is not, on a cluster, and in the state it is in: one reason.

use super::assignment::assignment;
use jiff::Timestamp;
use segment_core::ids::{ClusterName, SegmentKey};
use segment_core::index::{ClusterState, FleetIndex, SegmentState};
use segment_core::placement::{OutReason, Placement, place};
use segment_core::segment::effective;
use segment_core::selector::Selector;
use segment_proto::v1;
use segment_proto::v1::AssignmentState;

/// The reason; `None` where there is no such Segment (nor anything owed of it) or no such Cluster.
pub fn why(
    index: &FleetIndex,
    key: &SegmentKey,
    name: &ClusterName,
    now: Timestamp,
) -> Option<v1::WhyResponse> {
    let cluster = index.clusters().get(name)?;
    let shown = assignment(index, key, name, true, now);
    let segment = index.segments().get(key);
    if segment.is_none() && shown.is_none() {
        return None;
    }
    let mut answer = v1::WhyResponse {
        segment: key.to_string(),
        cluster: name.to_string(),
        placed: Some(false),
        overrides: segment
            .map(|segment| overrides(segment, cluster))
            .unwrap_or_default(),
        ..v1::WhyResponse::default()
    };
    (answer.placed, answer.reason, answer.message) = reason(segment, cluster, key, shown.as_ref());
    answer.assignment = shown;
    Some(answer)
}

fn reason(
    segment: Option<&SegmentState>,
    cluster: &ClusterState,
    key: &SegmentKey,
    shown: Option<&v1::Assignment>,
) -> (Option<bool>, String, String) {
    let say = |placed, reason: &str, message: String| (Some(placed), reason.to_owned(), message);
    let Some(segment) = segment.filter(|segment| !segment.deleting) else {
        let message = shown.map(|shown| shown.message.clone()).unwrap_or_default();
        return say(
            false,
            "Deleted",
            if message.is_empty() {
                "the Segment is being deleted".to_owned()
            } else {
                message
            },
        );
    };
    let Some(good) = &segment.good else {
        let findings = segment
            .findings
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ");
        return say(
            false,
            "Refused",
            format!("the Segment was refused and has no good revision before: {findings}"),
        );
    };
    if let Some(shown) = shown.filter(|shown| shown.state() != AssignmentState::Owed) {
        return placed(shown);
    }
    let holds = cluster
        .inventory_known
        .then(|| cluster.held.contains_key(&key.hash()));
    let verdict = place(&good.parsed, &cluster.view, holds);
    let word = match &verdict {
        Placement::In => "Selected",
        Placement::Out(OutReason::Selector { .. }) => "SelectorMismatch",
        Placement::Out(OutReason::Taint(_)) => "TaintNotTolerated",
        Placement::Out(OutReason::Access(_)) => "NoAccess",
        Placement::Undecided(_) => "InventoryUnknown",
    };
    let mut message = format!("{verdict}{}", advice(&verdict));
    if let Some(owed) = shown {
        message = format!("{message}; what it holds goes: {}", owed.message);
    }
    say(verdict.is_in(), word, message)
}

fn placed(shown: &v1::Assignment) -> (Option<bool>, String, String) {
    let reason = if shown.reason.is_empty() {
        match shown.state() {
            AssignmentState::Ready => "Ready",
            AssignmentState::Rolling => "Rolling",
            AssignmentState::Failing => "Failing",
            AssignmentState::Stale => "Stale",
            AssignmentState::Held => "Held",
            AssignmentState::Owed | AssignmentState::Unspecified => "Selected",
        }
        .to_owned()
    } else {
        shown.reason.clone()
    };
    let message = if shown.message.is_empty() {
        format!(
            "selected, and CronJob {} is there as ordered",
            shown.cron_job
        )
    } else {
        format!("selected; {}", shown.message)
    };
    (Some(true), reason, message)
}

fn advice(verdict: &Placement) -> &'static str {
    match verdict {
        Placement::Out(OutReason::Taint(_)) => {
            ": add to spec.clusterTolerations, or take the taint off the Cluster"
        }
        Placement::Out(OutReason::Access(_)) => ": spec.access of the Cluster must be Accepted",
        Placement::In | Placement::Out(OutReason::Selector { .. }) | Placement::Undecided(_) => "",
    }
}

/// Selectors of the overrides that the cluster gets, in their order.
fn overrides(segment: &SegmentState, cluster: &ClusterState) -> Vec<String> {
    let Some(good) = &segment.good else {
        return Vec::new();
    };
    effective(&good.parsed, &cluster.view.labels)
        .overrides
        .iter()
        .filter_map(|&index| good.parsed.override_selectors.get(index))
        .map(|selector: &Selector| {
            if selector.selects_everything() {
                "every cluster".to_owned()
            } else {
                selector.to_string()
            }
        })
        .collect()
}
