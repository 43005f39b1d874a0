//! A move (rule 11): the order names another namespace or name than the CronJob has.
//!
//! Try (dry-run) → suspend the old → wait for its Jobs → create the new → delete the old.
//! In, Out: as `apply.rs`. Law: the old one runs on until it is known that the new one can be made; a create that fails
//! after all lifts the suspension. Not: removal by order (`removing.rs`), whose `policy` a move ignores.

use super::live::Source;
use super::removing::{delete, finish};
use super::{
    Facts, Live, Look, Order, Outcome, Ownership, Place, Record, Settings, Step, Why, create,
    digest, hold, is_marked, ownership, schedule, target, with_suspend,
};
use crate::assignment::Entry;
use crate::report::State;
use std::time::Duration;

/// Between two tries of a blocked move; a change of policy or order wakes it earlier.
const BLOCKED_PAUSE: Duration = Duration::from_secs(30);

/// Where the CronJob still is, when that is not where it is ordered to be.
pub fn old_place(entry: &Entry, record: &Record, stray: Option<&Place>) -> Option<Place> {
    let target = target(entry);
    let known = match &record.applied {
        Some(applied) => Some(applied.place.clone()),
        None => stray.cloned(),
    };
    known.filter(|place| *place != target)
}

/// The next step of a move; `None` when there is none under way.
pub(super) fn plan(
    order: &Order<'_>,
    record: &Record,
    facts: &Facts,
    settings: &Settings,
) -> Option<Step> {
    if let Some(place) = &record.leaving {
        return Some(leave(order, record, facts, place));
    }
    let old = old_place(order.entry, record, facts.stray.as_ref())?;
    if let Err(refusal) = &order.held_namespace {
        return Some(blocked(refusal.rule, &refusal.message));
    }
    let target = target(order.entry);
    let old_live = match facts.look(&old) {
        Look::Absent { read: true } => None,
        Look::Seen(live) if live.source != Source::Watch => {
            Some(live).filter(|live| matches!(ownership(order, record, live), Ownership::Ours))
        }
        _ => return Some(Step::Read(old)),
    };
    let Some(old_live) = old_live else {
        // Nothing of ours is there any more: what is left is a create.
        return facts
            .stray
            .as_ref()
            .filter(|_| record.applied.is_none())
            .map_or_else(
                || {
                    Some(Step::Note(Box::new(Record {
                        applied: None,
                        ..record.clone()
                    })))
                },
                |_| None,
            );
    };
    match facts.look(&target) {
        Look::Unknown | Look::Absent { read: false } => Some(Step::Read(target)),
        Look::Seen(live) if live.source == Source::Watch => Some(Step::Read(target)),
        // Made already, by a process that did not live to note it. What it left runs no more: it was suspended first.
        // One that does run is somebody's copy, with our marks on it, and no part of a move.
        Look::Seen(live) if matches!(ownership(order, record, live), Ownership::Ours) => {
            if record.applied.is_none() && !old_live.suspend {
                return None;
            }
            Some(Step::Note(Box::new(Record {
                applied: None,
                leaving: Some(old),
                suspended_at: None,
                ..record.clone()
            })))
        }
        Look::Seen(live) => Some(blocked(
            "NotOwned",
            &format!("there is a CronJob {} that is not ours", live.place),
        )),
        Look::Absent { read: true } => {
            Some(replace(order, record, facts, settings, old_live, target))
        }
    }
}

fn replace(
    order: &Order<'_>,
    record: &Record,
    facts: &Facts,
    settings: &Settings,
    old: &Live,
    target: Place,
) -> Step {
    if let Some((reason, message)) = &facts.create_failed {
        return resume(order, facts, old).unwrap_or_else(|| blocked(reason, message));
    }
    let mut step = create(order, target, facts, !facts.create_would_succeed);
    if let Step::Create { moves_from, .. } = &mut step {
        *moves_from = Some(old.place.clone());
    }
    if !facts.create_would_succeed {
        return step;
    }
    finish(record, facts, settings, old).unwrap_or(step)
}

/// Lifts the suspension of the old CronJob, if that is what it waits with.
pub(super) fn resume(order: &Order<'_>, facts: &Facts, old: &Live) -> Option<Step> {
    let wanted = order.entry.assignment.rendered.template().suspend
        || hold(order.entry, Some(old), facts).is_some();
    if !old.suspend || wanted {
        return None;
    }
    let body = with_suspend(old, false)?;
    let wrote = digest(&body);
    let status_first = schedule::status_write(old, facts);
    Some(Step::Put {
        place: old.place.clone(),
        body,
        wrote,
        status_first,
        why: Why::Resume,
    })
}

/// Deletes what is left in the old place.
fn leave(order: &Order<'_>, record: &Record, facts: &Facts, place: &Place) -> Step {
    match facts.look(place) {
        Look::Absent { read: true } => Step::Note(Box::new(Record {
            leaving: None,
            ..record.clone()
        })),
        Look::Seen(live) if live.source != Source::Watch => {
            if is_marked(order, live) && *place != target(order.entry) {
                if let Err(refusal) = &order.held_namespace {
                    return blocked(refusal.rule, &refusal.message);
                }
                if live.deleting {
                    return Outcome::new(State::Pending)
                        .because("Moving", "")
                        .again(super::DELETING_PAUSE)
                        .done();
                }
                return delete(live);
            }
            Step::Note(Box::new(Record {
                leaving: None,
                ..record.clone()
            }))
        }
        _ => Step::Read(place.clone()),
    }
}

fn blocked(reason: &str, message: &str) -> Step {
    Outcome::new(State::MoveBlocked)
        .because(reason, message)
        .again(BLOCKED_PAUSE)
        .done()
}
