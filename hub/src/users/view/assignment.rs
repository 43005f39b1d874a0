//! A Segment on a cluster.

use super::run;
use jiff::Timestamp;
use segment_core::aggregate::{Verdict, judge};
use segment_core::assignment::{Entry, Owner};
use segment_core::cronjob::cronjob_json;
use segment_core::ids::{ClusterName, SegmentKey};
use segment_core::index::{ClusterState, FleetIndex, Member, SegmentState};
use segment_proto::convert::time::to_wire;
use segment_proto::v1;
use segment_proto::v1::AssignmentState;
use std::collections::BTreeSet;

/// Clusters that a Segment is placed on, or owed to, by name.
pub fn clusters_of<'a>(index: &'a FleetIndex, key: &SegmentKey) -> BTreeSet<&'a ClusterName> {
    let members = index.segments().get(key).into_iter().flat_map(|segment| {
        segment
            .members
            .iter()
            .filter(|(_, member)| member.is_selected() || member.held.is_some())
            .map(|(name, _)| name)
    });
    let owed = index
        .tombstones()
        .values()
        .filter(|tombstone| tombstone.key == *key)
        .flat_map(|tombstone| tombstone.clusters.iter());
    members
        .chain(owed)
        .filter(|name| index.clusters().contains_key(*name))
        .collect()
}

/// The state alone, for filters; `None` where the Segment is neither placed there nor owed.
pub fn state(
    index: &FleetIndex,
    key: &SegmentKey,
    name: &ClusterName,
    now: Timestamp,
) -> Option<AssignmentState> {
    match find(index, key, name)? {
        Found::Selected(segment, cluster, member) => Some(of_verdict(
            judge(index, segment, cluster, member, now).verdict,
        )),
        Found::Owed(..) => Some(AssignmentState::Owed),
    }
}

/// The assignment; `None` where the Segment is neither placed there nor owed.
pub fn assignment(
    index: &FleetIndex,
    key: &SegmentKey,
    name: &ClusterName,
    full: bool,
    now: Timestamp,
) -> Option<v1::Assignment> {
    let found = find(index, key, name)?;
    let (Found::Selected(_, cluster, _) | Found::Owed(_, cluster)) = &found;
    let connected = cluster.is_connected();
    let member = index
        .segments()
        .get(key)
        .and_then(|segment| segment.members.get(name));
    let held = cluster.held.get(&key.hash());
    let mut shown = v1::Assignment {
        segment: key.to_string(),
        cluster: name.to_string(),
        last_heard: if connected {
            None
        } else {
            cluster.last_heard.map(to_wire)
        },
        connected: Some(connected),
        held_revision: held
            .map(|held| held.revision.to_string())
            .unwrap_or_default(),
        updated: Some(false),
        ..v1::Assignment::default()
    };
    if let Some(member) = member {
        reported(&mut shown, member);
    }
    match &found {
        Found::Selected(segment, cluster, member) => {
            let judged = judge(index, segment, cluster, member, now);
            shown.state = of_verdict(judged.verdict).into();
            shown.reason = judged.reason;
            shown.message = judged.message;
            shown.state_since = judged.since.map(to_wire);
            let newest = member
                .released
                .is_some_and(|released| Some(released.revision) == segment.revision());
            shown.updated = Some(newest && member.confirmed());
            // What is not released is kept: it shall have what it has.
            let wanted = member
                .released
                .map(|released| released.revision)
                .or(held.map(|held| held.revision));
            shown.revision = wanted
                .map(|revision| revision.to_string())
                .unwrap_or_default();
            if let Some(entry) = &member.entry {
                rendered(&mut shown, entry, index, full);
            }
        }
        Found::Owed(why, _) => {
            shown.state = AssignmentState::Owed.into();
            "Removing".clone_into(&mut shown.reason);
            shown.message = if connected {
                (*why).to_owned()
            } else {
                format!("{why}; it goes when the cluster is back")
            };
        }
    }
    Some(shown)
}

/// Which of the two it is.
enum Found<'a> {
    Selected(&'a SegmentState, &'a ClusterState, &'a Member),
    /// Why it goes.
    Owed(&'static str, &'a ClusterState),
}

fn find<'a>(index: &'a FleetIndex, key: &SegmentKey, name: &ClusterName) -> Option<Found<'a>> {
    let cluster = index.clusters().get(name)?;
    if let Some(segment) = index.segments().get(key)
        && let Some(member) = segment.members.get(name)
    {
        if segment.deleting {
            return member
                .held
                .is_some()
                .then_some(Found::Owed("the Segment is being deleted", cluster));
        }
        if member.is_selected() {
            return Some(Found::Selected(segment, cluster, member));
        }
        if member.held.is_some() {
            return Some(Found::Owed("the cluster is no longer selected", cluster));
        }
    }
    index
        .tombstones()
        .values()
        .any(|tombstone| tombstone.key == *key && tombstone.clusters.contains(name))
        .then_some(Found::Owed("the Segment was deleted", cluster))
}

fn of_verdict(verdict: Verdict) -> AssignmentState {
    match verdict {
        Verdict::Ready => AssignmentState::Ready,
        Verdict::Rolling => AssignmentState::Rolling,
        Verdict::Failing => AssignmentState::Failing,
        Verdict::Stale => AssignmentState::Stale,
        Verdict::Held => AssignmentState::Held,
    }
}

/// What the agent said last, whatever it holds since.
fn reported(shown: &mut v1::Assignment, member: &Member) {
    let Some(report) = &member.report else { return };
    report.state.as_str().clone_into(&mut shown.reported);
    shown.corrections = Some(report.corrections);
    shown.drifted_by.clone_from(&report.drifted_by);
    shown.last_run = report.runs.last.as_ref().map(run);
    shown.next_run = report.runs.next.map(to_wire);
    shown.active = Some(report.runs.active);
}

fn rendered(shown: &mut v1::Assignment, entry: &Entry, index: &FleetIndex, full: bool) {
    let template = entry.assignment.rendered.template();
    shown.cron_job = format!("{}/{}", template.namespace, template.name);
    shown.schedule.clone_from(&template.schedule);
    if full {
        shown.digest = entry.assignment.rendered.digest().to_string();
        shown.cron_job_yaml = yaml(
            entry,
            &Owner {
                hub: index.hub().clone(),
            },
        );
    }
}

fn yaml(entry: &Entry, owner: &Owner) -> String {
    let suspend = entry.assignment.rendered.template().suspend || entry.controls.hold.is_some();
    let value = cronjob_json(entry, owner, suspend);
    // What can't be written as YAML is shown as JSON, which YAML readers take as well.
    serde_saphyr::to_string(&value).unwrap_or_else(|_| value.to_string())
}
