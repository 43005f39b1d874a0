//! Removal (rule 10): Delete or Orphan, Finish or Kill.
//!
//! In, Out: as `apply.rs`. Law: only what a live read shows with our marks is deleted, with its uid *and*
//! resourceVersion; with Finish no Job is killed (but after the limit). Not: whether the removal was ordered: the entry says it.

use super::live::Source;
use super::record::elapsed;
use super::{
    DELETING_PAUSE, Facts, Live, Look, Order, Outcome, Place, Record, Settings, Step, Why, digest,
    is_marked, target, with_suspend,
};
use crate::assignment::{Removal, RemovalPolicy, RunningJobs};
use crate::names;
use crate::report::State;
use serde_json::{Value, json};
use std::time::Duration;

/// Between two counts of running Jobs; a Job's end wakes the plan earlier.
const COUNT_PAUSE: Duration = Duration::from_secs(5);

pub(super) fn plan(
    order: &Order<'_>,
    record: &Record,
    facts: &Facts,
    settings: &Settings,
    removal: Removal,
) -> Step {
    if let Err(refusal) = &order.held_namespace {
        // What the policy never let us write there is nothing to remove.
        if record.applied.is_none() && record.leaving.is_none() && facts.stray.is_none() {
            return Step::Removed;
        }
        return Outcome::new(State::Refused)
            .because(refusal.rule, &refusal.message)
            .done();
    }
    // All places where the CronJob may be: a move may have been under way.
    let mut places: Vec<Place> = Vec::new();
    let known = [
        record.leaving.clone(),
        record.applied.as_ref().map(|applied| applied.place.clone()),
        facts.stray.clone(),
    ];
    for place in known.into_iter().flatten().chain([target(order.entry)]) {
        if !places.contains(&place) {
            places.push(place);
        }
    }
    for place in places {
        match facts.look(&place) {
            Look::Absent { read: true } => {}
            Look::Seen(live) if live.source != Source::Watch => {
                // What is not ours (any more) is not what the order means; nor is what had our marks taken off by hand.
                if !is_marked(order, live) {
                    continue;
                }
                return remove(record, facts, settings, removal, live);
            }
            _ => return Step::Read(place),
        }
    }
    Step::Removed
}

fn remove(
    record: &Record,
    facts: &Facts,
    settings: &Settings,
    removal: Removal,
    live: &Live,
) -> Step {
    if record.removing_since.is_none() {
        return Step::Note(Box::new(Record {
            removing_since: Some(live.server_now(facts.now)),
            ..record.clone()
        }));
    }
    if live.deleting {
        return Outcome::new(State::Removing)
            .because("BeingDeleted", "")
            .again(DELETING_PAUSE)
            .done();
    }
    if removal.policy == RemovalPolicy::Orphan {
        return orphan(live);
    }
    if removal.running_jobs == RunningJobs::Kill {
        return delete(live);
    }
    finish(record, facts, settings, live).unwrap_or_else(|| delete(live))
}

pub(super) fn delete(live: &Live) -> Step {
    Step::Delete {
        place: live.place.clone(),
        uid: live.uid,
        resource_version: live.resource_version.clone(),
    }
}

/// What is left to do until no Job of this CronJob runs: nothing (`None`) once a live list, taken long enough after it
/// was suspended, shows none.
pub(super) fn finish(
    record: &Record,
    facts: &Facts,
    settings: &Settings,
    live: &Live,
) -> Option<Step> {
    let now = live.server_now(facts.now);
    if !live.suspend {
        let body = with_suspend(live, true)?;
        let wrote = digest(&body);
        return Some(Step::Put {
            place: live.place.clone(),
            body,
            wrote,
            status_first: None,
            why: Why::Suspend,
        });
    }
    let Some(since) = record.suspended_at else {
        return Some(Step::Note(Box::new(Record {
            suspended_at: Some(now),
            ..record.clone()
        })));
    };
    let waited = elapsed(since, now);
    let removing = |message: String| Outcome::new(State::Removing).because("WaitsForJobs", message);
    if waited < settings.finish_wait {
        let rest = settings
            .finish_wait
            .saturating_sub(waited)
            .max(Duration::from_millis(100));
        return Some(
            removing("suspended; its Jobs are counted shortly".to_owned())
                .again(rest)
                .done(),
        );
    }
    let began = record.removing_since.unwrap_or(since);
    if elapsed(began, now) >= settings.finish_limit {
        return None;
    }
    match facts.unfinished_jobs.get(&live.uid) {
        None => Some(Step::CountJobs {
            place: live.place.clone(),
            uid: live.uid,
        }),
        Some(0) => None,
        Some(jobs) => Some(
            removing(format!("{jobs} of its Jobs still run"))
                .again(COUNT_PAUSE)
                .done(),
        ),
    }
}

/// Takes our marks off and leaves all else as it is.
fn orphan(live: &Live) -> Step {
    let mut metadata = live.kept_metadata();
    if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
        labels.remove(names::LABEL_SEGMENT_HASH);
        labels.remove(names::LABEL_APP_MANAGED_BY);
    }
    if let Some(annotations) = metadata
        .get_mut("annotations")
        .and_then(Value::as_object_mut)
    {
        annotations.retain(|key, _| !key.starts_with("segment.grnry.io/"));
    }
    let spec = live
        .whole
        .as_ref()
        .map(|whole| whole["spec"].clone())
        .unwrap_or_default();
    let body =
        json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": spec});
    let wrote = digest(&body);
    Step::Put {
        place: live.place.clone(),
        body,
        wrote,
        status_first: None,
        why: Why::Orphan,
    }
}
