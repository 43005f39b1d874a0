//! Clock changes: a schedule in an hour that is repeated runs twice, in one that is left out it does not run.
//!
//! In: a schedule, its zone, the time. Out: the first of either kind within twelve months.
//! Law: only where it matters: a schedule of every hour loses or gains nothing that anyone waits for.
//! Not: how the finding is worded in a field. Source: kubernetes/kubernetes issue 121594.

use crate::segment::schedule::{self, Schedule, ScheduleError};
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use std::fmt;

/// How far ahead is looked: a year, and the days by which a change of clocks moves from one year to the next.
const AHEAD: SignedDuration = SignedDuration::from_hours(366 * 24);

/// What a change of clocks does to a schedule, with the wall clock time of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DstEvent {
    /// The time comes twice, and so does the run.
    Twice(DateTime),
    /// The time is left out, and so is the run.
    Never(DateTime),
}

impl fmt::Display for DstEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Twice(at) => write!(f, "twice on {}", at.strftime("%Y-%m-%d at %H:%M")),
            Self::Never(at) => write!(f, "not at all on {}", at.strftime("%Y-%m-%d at %H:%M")),
        }
    }
}

/// What changes of clocks do to a schedule without `H` in the twelve months after `now`: at most one event of each
/// kind, the earlier one first.
pub fn dst(schedule: &Schedule, zone: &TimeZone, now: Timestamp) -> Vec<DstEvent> {
    if schedule.every_hour() {
        return Vec::new();
    }
    events(schedule, zone, now)
}

/// The same for a schedule with `H` as the user wrote it: what can happen on some cluster.
///
/// # Errors
/// Where the schedule is refused anyway.
pub fn dst_of_some_cluster(
    text: &str,
    zone: &TimeZone,
    now: Timestamp,
) -> Result<Vec<DstEvent>, ScheduleError> {
    let (one, all) = (schedule::lowest_h(text)?, schedule::widest_h(text)?);
    // What every cluster does in every hour, this one does too.
    if one.every_hour() {
        return Ok(Vec::new());
    }
    Ok(events(&all, zone, now))
}

fn events(schedule: &Schedule, zone: &TimeZone, now: Timestamp) -> Vec<DstEvent> {
    let mut found: Vec<DstEvent> = Vec::new();
    let Ok(until) = now.checked_add(AHEAD) else {
        return found;
    };
    let mut before = zone.to_offset(now);
    for transition in zone.following(now) {
        let at = transition.timestamp();
        if at > until || found.len() == 2 {
            break;
        }
        let after = transition.offset();
        let event = event(schedule, at, before, after);
        before = after;
        if let Some(event) = event
            && !found
                .iter()
                .any(|known| std::mem::discriminant(known) == std::mem::discriminant(&event))
        {
            found.push(event);
        }
    }
    found
}

/// What one change of clocks does.
fn event(schedule: &Schedule, at: Timestamp, before: Offset, after: Offset) -> Option<DstEvent> {
    let (old, new) = (before.to_datetime(at), after.to_datetime(at));
    if new < old {
        schedule.first_civil(new, old).map(DstEvent::Twice)
    } else {
        schedule.first_civil(old, new).map(DstEvent::Never)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::schedule::time_zone;

    const TWICE: &str = "twice on 2027-10-31 at ";
    const NEVER: &str = "not at all on 2027-03-28 at ";

    fn now() -> Timestamp {
        "2026-11-26T12:00:00Z".parse().unwrap()
    }

    fn said(events: &[DstEvent]) -> Vec<String> {
        events.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_run_in_a_changed_hour_is_named_with_its_date() {
        for (schedule, zone, expected) in [
            (
                "30 2 * * *",
                "Europe/Berlin",
                vec![format!("{NEVER}02:30"), format!("{TWICE}02:30")],
            ),
            (
                "0 2 * * *",
                "Europe/Berlin",
                vec![format!("{NEVER}02:00"), format!("{TWICE}02:00")],
            ),
            ("0 3 * * *", "Europe/Berlin", vec![]),
            ("59 1 * * *", "Europe/Berlin", vec![]),
            (
                "30 1 * * *",
                "Europe/London",
                vec![format!("{NEVER}01:30"), format!("{TWICE}01:30")],
            ),
            (
                "30 2 * * *",
                "America/New_York",
                vec!["not at all on 2027-03-14 at 02:30".into()],
            ),
            (
                "30 1 * * *",
                "America/New_York",
                vec!["twice on 2027-11-07 at 01:30".into()],
            ),
            // The clocks go back first there, and by half an hour only.
            (
                "45 1 * * *",
                "Australia/Lord_Howe",
                vec!["twice on 2027-04-04 at 01:45".into()],
            ),
            ("15 1 * * *", "Australia/Lord_Howe", vec![]),
            (
                "15 2 * * *",
                "Australia/Lord_Howe",
                vec!["not at all on 2027-10-03 at 02:15".into()],
            ),
            (
                "30 2 * * *",
                "Australia/Sydney",
                vec![
                    "twice on 2027-04-04 at 02:30".into(),
                    "not at all on 2027-10-03 at 02:30".into(),
                ],
            ),
            // Neither 28 March nor 31 October is the first of a month.
            ("30 2 1 * *", "Europe/Berlin", vec![]),
            (
                "30 2 31 10 *",
                "Europe/Berlin",
                vec![format!("{TWICE}02:30")],
            ),
            (
                "30 2 * * 0",
                "Europe/Berlin",
                vec![format!("{NEVER}02:30"), format!("{TWICE}02:30")],
            ),
            ("30 2 * * 1-5", "Europe/Berlin", vec![]),
            (
                "0 */2 * * *",
                "Europe/Berlin",
                vec![format!("{NEVER}02:00"), format!("{TWICE}02:00")],
            ),
            ("*/15 * * * *", "Europe/Berlin", vec![]),
            ("0 0-23 * * *", "Europe/Berlin", vec![]),
            ("@hourly", "Europe/Berlin", vec![]),
            ("@every 1h", "Europe/Berlin", vec![]),
            ("30 2 * * *", "UTC", vec![]),
            ("30 2 * * *", "Asia/Tokyo", vec![]),
            ("30 2 * * *", "Etc/GMT+5", vec![]),
        ] {
            let parsed = Schedule::parse(schedule).unwrap();
            let events = dst(&parsed, &time_zone(zone).unwrap(), now());
            assert_eq!(said(&events), expected, "{schedule:?} in {zone}");
        }
    }

    #[test]
    fn with_h_it_is_said_what_some_cluster_can_meet() {
        let berlin = time_zone("Europe/Berlin").unwrap();
        for (schedule, expected) in [
            (
                "H 2 * * *",
                vec![format!("{NEVER}02:00"), format!("{TWICE}02:00")],
            ),
            (
                "H H * * *",
                vec![format!("{NEVER}02:00"), format!("{TWICE}02:00")],
            ),
            (
                "H H(2-4) * * *",
                vec![format!("{NEVER}02:00"), format!("{TWICE}02:00")],
            ),
            (
                "H(10-20) H/6 * * *",
                vec![format!("{NEVER}02:10"), format!("{TWICE}02:10")],
            ),
            ("H H(3-6) * * *", vec![]),
            ("H * * * *", vec![]),
            ("H/15 * * * *", vec![]),
            ("H H,* * * *", vec![]),
        ] {
            let events = dst_of_some_cluster(schedule, &berlin, now()).unwrap();
            assert_eq!(said(&events), expected, "{schedule:?}");
        }
        assert!(dst_of_some_cluster("H 25 * * *", &berlin, now()).is_err());
    }
}
