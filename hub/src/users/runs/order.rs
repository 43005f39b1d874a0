//! What is run on one cluster: the revision that the rollout gave it, with the variables of this run.
//!
//! In: the index, what was asked for. Out: a [`RunOrder`], or why there is none. Law: only what the cluster holds is run:
//! a run is no way around a rollout. Not: the cluster's own policy (its agent asks that).

use super::Wish;
use crate::fleet::Fleet;
use jiff::{SignedDuration, Timestamp};
use segment_core::assignment::{Entry, Rendered};
use segment_core::finding::Finding;
use segment_core::ids::{ClusterName, SegmentKey, Uid};
use segment_core::index::FleetIndex;
use segment_core::placement::ClusterView;
use segment_core::render::render;
use segment_core::run_order::campaign::run_id;
use segment_core::run_order::with_env::{first, with_env};
use segment_core::run_order::{RunOrder, RunPurpose};
use segment_core::segment::{HouseDefaults, ParsedSegment};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What each run of a request is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Variables of these runs.
    pub env: BTreeMap<String, String>,
    /// Not started later than this after its order.
    pub start_within: SignedDuration,
    /// Longest that one may take.
    pub deadline: Option<SignedDuration>,
}

/// Why nothing is run on a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unordered {
    /// In one word.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

fn because<T>(reason: &'static str, message: impl Into<String>) -> Result<T, Unordered> {
    Err(Unordered {
        reason,
        message: message.into(),
    })
}

/// A Segment as one cluster holds it.
#[derive(Clone, Debug)]
pub struct Released {
    /// What it holds.
    pub entry: Arc<Entry>,
    /// The Segment.
    pub parsed: Arc<ParsedSegment>,
    /// The cluster.
    pub view: ClusterView,
}

/// What the rollout gave to a cluster, where the cluster holds it.
///
/// # Errors
/// Why there is nothing.
pub fn released(
    index: &FleetIndex,
    key: &SegmentKey,
    uid: Uid,
    name: &ClusterName,
) -> Result<Released, Unordered> {
    let segment = index
        .segments()
        .get(key)
        .filter(|segment| segment.uid == uid && !segment.deleting);
    let Some(segment) = segment else {
        return because("SegmentGone", "the Segment was deleted");
    };
    let member = segment.members.get(name).filter(|m| m.is_selected());
    let (Some(good), Some(member), Some(cluster)) =
        (&segment.good, member, index.clusters().get(name))
    else {
        return because("NotPlaced", "the Segment is not on this cluster any more");
    };
    if let Some(why) = &cluster.went_back {
        return because("HubWentBack", why.as_str());
    }
    let held = member.held;
    let entry = member.entry.as_ref().filter(|entry| {
        let assignment = &entry.assignment;
        held.is_some_and(|held| (held.uid, held.revision) == (assignment.uid, assignment.revision))
            && assignment.revision == good.revision
    });
    let Some(entry) = entry else {
        let message = format!(
            "this cluster does not hold revision {} yet: run it once the rollout has got there",
            good.revision.short()
        );
        return because("NotReleased", message);
    };
    Ok(Released {
        entry: Arc::clone(entry),
        parsed: Arc::clone(&good.parsed),
        view: cluster.view.clone(),
    })
}

/// The CronJob whose Job is run: as the cluster holds it, but for the variables of this run.
///
/// # Errors
/// What is wrong with a variable.
pub fn rendered(
    released: &Released,
    defaults: &HouseDefaults,
    env: &BTreeMap<String, String>,
    now: Timestamp,
) -> Result<Rendered, Finding> {
    if env.is_empty() {
        return Ok(released.entry.assignment.rendered.clone());
    }
    let with = with_env(&released.parsed, defaults, env, now)?;
    render(&with, defaults, &released.view).map_err(|findings| first(&released.parsed, findings))
}

/// The order for a cluster whose turn it is.
pub(super) fn order(
    fleet: &Fleet,
    wish: &Wish,
    name: &ClusterName,
    now: Timestamp,
) -> Result<RunOrder, Unordered> {
    // The index is given back before anything is rendered.
    let (released, defaults) = {
        let index = fleet.index();
        (
            released(&index, &wish.key, wish.uid, name)?,
            index.defaults().clone(),
        )
    };
    let rendered =
        rendered(&released, &defaults, &wish.ask.env, now).map_err(|finding| Unordered {
            reason: "InvalidEnv",
            message: finding.to_string(),
        })?;
    Ok(RunOrder {
        id: run_id(&wish.request_id, wish.uid, name),
        purpose: RunPurpose::Manual,
        key: wish.key.clone(),
        uid: wish.uid,
        revision: released.entry.assignment.revision,
        rendered,
        start_before: now.saturating_add(wish.ask.start_within).unwrap_or(now),
        deadline: wish.ask.deadline,
    })
}
