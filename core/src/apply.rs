//! The apply plan: what to do next about one entry, by what is known of its CronJob.
//!
//! ```text
//! facts ─► plan ─► Read | Compare (dry-run) | Create | Put | Delete | CountJobs ─► the shell does it ─► facts …
//!                  Accept | Note (what to remember)                             └► record
//!                  Done (state, look again then) | Removed
//! ```
//! In: an [`Order`] (entry, owner, the policy's verdict), the [`Record`] of what was done before, [`Facts`] that the shell
//! has gathered. Out: one [`Step`]; the shell carries it out, adds what it learned and asks again.
//! Law: nothing is written that the policy refuses; nothing is deleted without an order and a live read that shows our
//! marks; an unchanged CronJob is never written; a change of schedule or suspend starts no past run
//! (`apply/tests.rs`). Planning is repeatable: a process that dies between two steps goes on from what it then finds.
//! Not: calls, retries, queues (the agent's `applier.rs`); whether the policy admits it (`admit.rs`).

mod body;
mod live;
mod moving;
mod record;
mod removing;
mod schedule;
mod step;
#[cfg(test)]
mod tests;

pub use body::HELD_BY_HUB;
pub use live::{Live, Source, UnreadableLive, digest, same_as_ours};
pub use moving::old_place;
pub use record::{Record, Reference};
pub use step::{
    DryRun, Facts, Failure, Look, Order, Outcome, Place, Settings, Step, Suspension, Why, failed,
    is_missing_right,
};

use crate::admit::Refusal;
use crate::assignment::{Adoption, Drift, Entry, OnScheduleChange};
use crate::ids::Digest;
use crate::report::State;
use body::{Held, desired, hold, merged, with_suspend};
use serde_json::Value;
use std::time::Duration;

/// How long an object that someone deletes is waited for before it is looked at again.
const DELETING_PAUSE: Duration = Duration::from_secs(2);

/// What to do next about one entry.
pub fn plan(order: &Order<'_>, record: &Record, facts: &Facts, settings: &Settings) -> Step {
    if let Some(removal) = order.entry.removing {
        return removing::plan(order, record, facts, settings, removal);
    }
    if let Err(refusal) = &order.verdict {
        return refused(order, record, facts, refusal);
    }
    if record.removing_since.is_some()
        || (record.suspended_at.is_some()
            && old_place(order.entry, record, facts.stray.as_ref()).is_none())
    {
        return taken_back(record);
    }
    if let Some(step) = moving::plan(order, record, facts, settings) {
        return step;
    }
    in_place(order, record, facts, settings)
}

/// A removal or a move was taken back.
fn taken_back(record: &Record) -> Step {
    Step::Note(Box::new(Record {
        removing_since: None,
        suspended_at: None,
        ..record.clone()
    }))
}

/// What the policy refuses is left as it is, but for a suspension of ours: what was to go or to move runs on.
fn refused(order: &Order<'_>, record: &Record, facts: &Facts, refusal: &Refusal) -> Step {
    let mut message = refusal.message.clone();
    if record.suspended_at.is_some() && record.leaving.is_none() {
        let place = held_place(order.entry, record, facts.stray.as_ref());
        if order.held_namespace.is_ok() {
            return match facts.look(&place) {
                Look::Seen(live) if live.source != Source::Watch => Some(live)
                    .filter(|live| is_marked(order, live))
                    .and_then(|live| moving::resume(order, facts, live))
                    .unwrap_or_else(|| taken_back(record)),
                Look::Absent { read: true } => taken_back(record),
                _ => Step::Read(place),
            };
        }
        message = format!("{message}; CronJob {place} stays suspended");
    }
    Outcome::new(State::Refused)
        .because(refusal.rule, message)
        .done()
}

/// Where the CronJob is now, as far as is known: what [`Order::held_namespace`] is about.
pub fn held_place(entry: &Entry, record: &Record, stray: Option<&Place>) -> Place {
    let applied = record.applied.as_ref().map(|applied| &applied.place);
    record
        .leaving
        .as_ref()
        .or(applied)
        .or(stray)
        .cloned()
        .unwrap_or_else(|| target(entry))
}

/// Where the entry says that its CronJob is to be.
pub fn target(entry: &Entry) -> Place {
    let template = entry.assignment.rendered.template();
    Place {
        namespace: template.namespace.clone(),
        name: template.name.clone(),
    }
}

fn in_place(order: &Order<'_>, record: &Record, facts: &Facts, settings: &Settings) -> Step {
    let place = target(order.entry);
    match facts.look(&place) {
        Look::Unknown => Step::Read(place),
        Look::Absent { .. } => {
            if let (Err(refusal), None) = (&order.room, &record.applied) {
                return Outcome::new(State::Refused)
                    .because(refusal.rule, &refusal.message)
                    .done();
            }
            create(order, place, facts, false)
        }
        Look::Seen(live) if live.deleting => Outcome::new(State::Pending)
            .because(
                "BeingDeleted",
                "someone deletes the CronJob; it is made again once it is gone",
            )
            .again(DELETING_PAUSE)
            .done(),
        Look::Seen(live) => match ownership(order, record, live) {
            Ownership::Ours => ours(order, record, facts, settings, live),
            // Whose it is, is said upon a live read only.
            _ if live.source == Source::Watch => Step::Read(place),
            Ownership::Foreign => adopt(order, record, facts, settings, live),
            Ownership::Other(message) => Outcome::new(State::NotOwned)
                .because("NotOwned", message)
                .done(),
        },
    }
}

fn create(order: &Order<'_>, place: Place, facts: &Facts, dry_run: bool) -> Step {
    let desired = desired(order, None, facts);
    let mut body = desired.clone();
    if let Some(metadata) = body["metadata"].as_object_mut() {
        metadata.remove("uid");
        metadata.remove("resourceVersion");
    }
    Step::Create {
        place,
        body,
        wrote: digest(&desired),
        dry_run,
        moves_from: None,
    }
}

enum Ownership {
    Ours,
    /// Nobody's that we know.
    Foreign,
    /// Another hub's or another Segment's: why it is left alone.
    Other(String),
}

fn ownership(order: &Order<'_>, record: &Record, live: &Live) -> Ownership {
    let key = order.entry.assignment.key.to_string();
    match (&live.hub, &live.segment) {
        (Some(hub), _) if hub != order.owner.hub.as_str() => Ownership::Other(format!(
            "CronJob {} carries the id of another hub, {hub}",
            live.place
        )),
        (Some(_), Some(segment)) if *segment != key => Ownership::Other(format!(
            "CronJob {} belongs to Segment {segment}",
            live.place
        )),
        (Some(_), Some(_)) => Ownership::Ours,
        // Our marks were taken off by hand: still the one that we wrote.
        _ if record
            .applied
            .as_ref()
            .is_some_and(|applied| applied.uid == live.uid) =>
        {
            Ownership::Ours
        }
        _ => Ownership::Foreign,
    }
}

/// Whether it carries our marks, both: less is not enough to delete upon.
fn is_marked(order: &Order<'_>, live: &Live) -> bool {
    let key = order.entry.assignment.key.to_string();
    live.hub.as_deref() == Some(order.owner.hub.as_str()) && live.segment == Some(key)
}

fn ours(
    order: &Order<'_>,
    record: &Record,
    facts: &Facts,
    settings: &Settings,
    live: &Live,
) -> Step {
    let held = hold(order.entry, Some(live), facts);
    let desired = desired(order, Some(live), facts);
    let wrote = digest(&desired);
    let reference = record
        .applied
        .as_ref()
        .filter(|applied| applied.uid == live.uid && applied.place == live.place);
    match reference {
        Some(reference) if reference.wrote == wrote && reference.live == live.digest => {
            settled(record, facts, settings, held)
        }
        Some(reference) if reference.wrote != wrote => {
            if order.entry.assignment.modes.drift == Drift::IfNotDrifted
                && reference.live != live.digest
            {
                return Outcome::new(State::Failed)
                    .because(
                        "Drifted",
                        "someone changed the CronJob, and IfNotDrifted leaves a changed one alone",
                    )
                    .done();
            }
            put(
                order,
                record,
                facts,
                settings,
                live,
                &desired,
                wrote,
                Why::Update,
            )
        }
        // Without a reference (a lost store, a hub restored) what the annotation says tells an update from drift.
        _ => {
            let body = merged(&desired, live, record);
            match verdict(facts, live) {
                None => Step::Compare {
                    place: live.place.clone(),
                    body,
                },
                Some(Compared::Answer(answer)) if digest(answer) == live.digest => {
                    Step::Note(Box::new(Record {
                        applied: Some(Reference::new(live, wrote, &desired)),
                        ..record.clone()
                    }))
                }
                Some(compared) => {
                    let rendered = order.entry.assignment.rendered.digest().to_string();
                    if reference.is_none() && live.rendered.as_ref() != Some(&rendered) {
                        return put(
                            order,
                            record,
                            facts,
                            settings,
                            live,
                            &desired,
                            wrote,
                            Why::Update,
                        );
                    }
                    correct(
                        order, record, facts, settings, live, &desired, wrote, &compared,
                    )
                }
            }
        }
    }
}

enum Compared<'a> {
    Answer(&'a Value),
    Unsupported,
}

/// What the dry-run says about this very version of the object.
fn verdict<'a>(facts: &'a Facts, live: &Live) -> Option<Compared<'a>> {
    let dry_run = facts
        .dry_run
        .as_ref()
        .filter(|dry_run| dry_run.resource_version == live.resource_version)?;
    Some(
        dry_run
            .answer
            .as_ref()
            .map_or(Compared::Unsupported, Compared::Answer),
    )
}

#[allow(
    clippy::too_many_arguments,
    reason = "one step of `ours`, split off to be read"
)]
fn correct(
    order: &Order<'_>,
    record: &Record,
    facts: &Facts,
    settings: &Settings,
    live: &Live,
    desired: &Value,
    wrote: Digest,
    compared: &Compared<'_>,
) -> Step {
    if order.entry.assignment.modes.drift == Drift::Report {
        return Outcome::new(State::Applied)
            .because("Drifted", "someone changed the CronJob")
            .done();
    }
    let contested = record.is_contested(facts.now, settings);
    if contested || matches!(compared, Compared::Unsupported) {
        let wait = record
            .corrected
            .iter()
            .max()
            .and_then(|last| {
                let since = record::elapsed(*last, facts.now);
                settings.contested_pause.checked_sub(since)
            })
            .filter(|wait| !wait.is_zero());
        if let Some(wait) = wait {
            let by = live
                .last_manager()
                .unwrap_or_else(|| record.drifted_by.clone());
            let state = if contested {
                State::Contested
            } else {
                State::Pending
            };
            return Outcome::new(state)
                .because("Contested", contested_message(&by))
                .again(wait)
                .done();
        }
    }
    put(
        order,
        record,
        facts,
        settings,
        live,
        desired,
        wrote,
        Why::Drift,
    )
}

fn contested_message(by: &str) -> String {
    let by = if by.is_empty() { "someone" } else { by };
    format!("{by} keeps changing the CronJob; it is corrected at most once a minute")
}

fn settled(record: &Record, facts: &Facts, settings: &Settings, held: Option<Held>) -> Step {
    let contested = record.is_contested(facts.now, settings);
    let outcome = match held {
        _ if contested => Outcome::new(State::Contested)
            .because("Contested", contested_message(&record.drifted_by))
            .again(settings.contested_pause),
        Some(held) => {
            let outcome = Outcome::new(State::Held).because(held.reason, held.message);
            match held.until.map(|until| {
                Duration::try_from(until.duration_since(facts.now)).unwrap_or_default()
            }) {
                Some(rest) => outcome.again(rest),
                None => outcome,
            }
        }
        None => Outcome::new(State::Applied),
    };
    outcome.done()
}

fn adopt(
    order: &Order<'_>,
    record: &Record,
    facts: &Facts,
    settings: &Settings,
    live: &Live,
) -> Step {
    let not_owned = |message: String| {
        Outcome::new(State::NotOwned)
            .because("NotOwned", message)
            .done()
    };
    let desired = desired(order, Some(live), facts);
    let wrote = digest(&desired);
    match order.adoption {
        Adoption::Never => not_owned(format!("CronJob {} is not ours", live.place)),
        Adoption::Always => put(
            order,
            record,
            facts,
            settings,
            live,
            &desired,
            wrote,
            Why::Adopt,
        ),
        Adoption::IfSame => match verdict(facts, live) {
            None => Step::Compare {
                place: live.place.clone(),
                body: merged(&desired, live, record),
            },
            Some(Compared::Answer(answer))
                if live
                    .whole
                    .as_ref()
                    .is_some_and(|whole| same_as_ours(whole, answer)) =>
            {
                put(
                    order,
                    record,
                    facts,
                    settings,
                    live,
                    &desired,
                    wrote,
                    Why::Adopt,
                )
            }
            Some(Compared::Answer(_)) => not_owned(format!(
                "CronJob {} is not ours, and its spec is not what would be written{}",
                live.place,
                if order.entry.assignment.modes.adoption == Adoption::Always {
                    "; policy rule adoption does not list Always"
                } else {
                    ""
                }
            )),
            Some(Compared::Unsupported) => not_owned(format!(
                "CronJob {} is not ours, and a webhook prevents comparing it",
                live.place
            )),
        },
    }
}

#[allow(
    clippy::too_many_arguments,
    reason = "a replacement needs all that was found out about it"
)]
fn put(
    order: &Order<'_>,
    record: &Record,
    facts: &Facts,
    settings: &Settings,
    live: &Live,
    desired: &Value,
    wrote: Digest,
    why: Why,
) -> Step {
    let body = merged(desired, live, record);
    let mut status_first = None;
    let may_start = schedule::may_start_a_past_run(live, &body["spec"]);
    // Who changed it is in the managedFields, and the server's clock in the answer's header: only a live read has them.
    if (may_start || why == Why::Drift) && live.source == Source::Watch {
        return Step::Read(live.place.clone());
    }
    if may_start && order.entry.assignment.modes.on_schedule_change == OnScheduleChange::Skip {
        if let Some(due) = schedule::due_run(live, facts, settings) {
            return due.done();
        }
        status_first = schedule::status_write(live, facts);
    }
    Step::Put {
        place: live.place.clone(),
        body,
        wrote,
        status_first,
        why,
    }
}
