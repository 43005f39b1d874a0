//! Bodies of creates and replacements, and the hold that suspends them.
//!
//! In: an order, the live object. Out: JSON. Law: labels, annotations, finalizers and owners of others stay; uid and
//! resourceVersion are preconditions. Not: the CronJob itself (`cronjob.rs`).

use super::{Facts, Live, Order, Record, Suspension};
use crate::assignment::Entry;
use crate::names;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// Reason of a hold by the hub.
pub const HELD_BY_HUB: &str = "HeldByHub";

/// Why a CronJob is suspended beside its own spec.
pub(super) struct Held {
    pub(super) reason: &'static str,
    pub(super) message: String,
    pub(super) until: Option<Timestamp>,
}

/// The suspension for an ordered run that is in force: the one asked for here, else what an annotation says whose run is
/// not known to be over (this process may have begun after it).
fn suspended_for(live: Option<&Live>, facts: &Facts) -> Option<Suspension> {
    let of_live = live
        .and_then(|live| live.suspended_for.as_ref())
        .filter(|live| !facts.runs_over.contains(&live.job));
    facts
        .suspension
        .as_ref()
        .or(of_live)
        .filter(|suspension| suspension.until > facts.now)
        .cloned()
}

/// The hold in force (rule 38): the hub's, on-call's, or that of an ordered run.
pub(super) fn hold(entry: &Entry, live: Option<&Live>, facts: &Facts) -> Option<Held> {
    let now = facts.now;
    let ahead = |until: Option<Timestamp>| until.filter(|until| *until > now);
    if let Some(hold) = &entry.controls.hold
        && hold.until.is_none_or(|until| until > now)
    {
        return Some(Held {
            reason: HELD_BY_HUB,
            message: hold.reason.clone(),
            until: hold.until,
        });
    }
    if let Some(until) = ahead(live.and_then(|live| live.hold_until)) {
        let message = format!(
            "annotation {} holds it until {until}",
            names::ANNOTATION_HOLD_UNTIL
        );
        return Some(Held {
            reason: "HoldUntil",
            message,
            until: Some(until),
        });
    }
    let suspension = suspended_for(live, facts)?;
    Some(Held {
        reason: "OrderedRun",
        message: format!(
            "suspended while the ordered run {} is there",
            suspension.job
        ),
        until: Some(suspension.until),
    })
}

/// What we ask for; of what is live only the holds that stand there.
pub(super) fn desired(order: &Order<'_>, live: Option<&Live>, facts: &Facts) -> Value {
    let held = hold(order.entry, live, facts).is_some();
    let suspend = held || order.entry.assignment.rendered.template().suspend;
    let mut desired = crate::cronjob::cronjob_json(order.entry, order.owner, suspend);
    // In the same write as the suspension, and gone with it.
    if let Some(suspension) = suspended_for(live, facts) {
        desired["metadata"]["annotations"][names::ANNOTATION_SUSPENDED_FOR] =
            json!(suspension.to_string());
    }
    desired
}

/// What we ask for on top of what is live: uid and resourceVersion as preconditions; labels, annotations, finalizers and
/// owners of others stay.
pub(super) fn merged(desired: &Value, live: &Live, record: &Record) -> Value {
    let mut metadata = live.kept_metadata();
    for kind in ["labels", "annotations"] {
        let mut entries: Map<String, Value> = metadata
            .get(kind)
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        if let Some(applied) = record
            .applied
            .as_ref()
            .filter(|applied| applied.uid == live.uid)
        {
            // What an earlier order put there and this one does not ask for.
            entries.retain(|key, _| !applied.wrote_key(kind, key));
        }
        entries.remove(names::ANNOTATION_SUSPENDED_FOR);
        if let Some(ours) = desired["metadata"][kind].as_object() {
            entries.extend(ours.clone());
        }
        metadata.insert(kind.to_owned(), Value::Object(entries));
    }
    let mut body = desired.clone();
    body["metadata"] = Value::Object(metadata);
    body
}

/// A live object with only its `spec.suspend` changed, as a replacement's body.
pub(super) fn with_suspend(live: &Live, suspend: bool) -> Option<Value> {
    let whole = live.whole.as_deref()?;
    let mut spec = whole["spec"].clone();
    spec["suspend"] = json!(suspend);
    Some(json!({
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": live.kept_metadata(),
        "spec": spec,
    }))
}
