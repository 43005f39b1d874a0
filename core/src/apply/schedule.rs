//! No surprise runs (architecture decision 11, rule 18).
//!
//! In: the live CronJob and the spec that is to replace it. Out: whether that could start a past run, the status write
//! that prevents it, and whether a run that is due now has to be waited for.
//! Law: *now* is the API server's clock, in whole seconds; without it the agent's, which a live read corrects.
//! Not: when the replacement happens (`apply.rs`).

use super::{Facts, Live, Outcome, Settings};
use crate::report::State;
use crate::segment::schedule::next_after;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::time::Duration;

/// Between two looks at a CronJob whose run is due.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// Whether the controller could start a run that lies in the past once this spec is in force. One that stays suspended
/// starts nothing.
pub(super) fn may_start_a_past_run(live: &Live, spec: &Value) -> bool {
    if spec["suspend"].as_bool().unwrap_or(false) {
        return false;
    }
    live.suspend
        || spec["schedule"].as_str() != Some(live.schedule.as_str())
        || spec["timeZone"].as_str() != live.time_zone.as_deref()
        // A later or absent deadline brings a run back that was too late before.
        || spec["startingDeadlineSeconds"].as_i64() != live.starting_deadline
}

fn server_now(live: &Live, facts: &Facts) -> Timestamp {
    let now = live.server_now(facts.now);
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// The wait for a run that is due by the old schedule within the guard either way and has not started.
pub(super) fn due_run(live: &Live, facts: &Facts, settings: &Settings) -> Option<Outcome> {
    if live.suspend {
        return None;
    }
    let now = server_now(live, facts);
    let guard = SignedDuration::try_from(settings.guard).ok()?;
    let waited = facts
        .waiting_since
        .and_then(|since| Duration::try_from(facts.now.duration_since(since)).ok());
    if waited.is_some_and(|waited| waited >= settings.guard_limit) {
        return None;
    }
    let begin = now.checked_sub(guard).ok()?;
    // What started, and what was due before the CronJob was there, is over.
    let over = [live.last_schedule, live.created]
        .into_iter()
        .flatten()
        .max()
        .map_or(begin, |over| over.max(begin));
    let due = next_after(&live.schedule, live.time_zone.as_deref(), over)?;
    if due > now.checked_add(guard).ok()? {
        return None;
    }
    let ahead = Duration::try_from(due.duration_since(now)).unwrap_or_default();
    let mut outcome = Outcome::new(State::Pending)
        .because(
            "WaitsForRun",
            format!("the run of {due} is due by the old schedule and has not started yet"),
        )
        .again(ahead + LOOK_PAUSE);
    outcome.waits_for_run = true;
    Some(outcome)
}

/// The object with `status.lastScheduleTime` = now, unless it stands there already: nothing before it is started.
pub(super) fn status_write(live: &Live, facts: &Facts) -> Option<Value> {
    let now = server_now(live, facts);
    if live.last_schedule.is_some_and(|last| last >= now) {
        return None;
    }
    let whole = live.whole.as_deref()?;
    let mut status = match &whole["status"] {
        Value::Object(status) => Value::Object(status.clone()),
        _ => json!({}),
    };
    status["lastScheduleTime"] = json!(now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    Some(json!({
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": live.kept_metadata(),
        "spec": whole["spec"].clone(),
        "status": status,
    }))
}
