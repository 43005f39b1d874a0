//! When a schedule was due last.
//!
//! In: a schedule with `H` replaced, a zone, now. Out: an instant.
//! Law: bounded work, whatever the schedule (a year is looked through at most). Not: whether it ran.

use crate::segment::schedule::{Schedule, time_zone};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// How far it is looked back, in hours, one after the other: a schedule that is due often is found in the first, and one
/// that is due rarely has few times in the last.
const LOOK_BACK: [i64; 5] = [1, 24, 8 * 24, 32 * 24, 366 * 24];
/// Times that are walked in one of these.
const MAX_TIMES: usize = 40_000;

/// The last time at or before `now` at which the schedule was due; `None` where it was not within a year, or can't be
/// read. `zone` is an IANA name; UTC where there is none.
pub fn last_due(schedule: &str, zone: Option<&str>, now: Timestamp) -> Option<Timestamp> {
    let schedule = Schedule::parse(schedule).ok()?;
    let zone = match zone {
        None => TimeZone::UTC,
        Some(name) => time_zone(name).ok()?,
    };
    LOOK_BACK.into_iter().find_map(|hours| {
        let from = now.checked_sub(SignedDuration::from_hours(hours)).ok()?;
        let next = |after: &Timestamp| schedule.next_after(&zone, *after).filter(|due| *due <= now);
        std::iter::successors(next(&from), next)
            .take(MAX_TIMES)
            .last()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_time_is_found_however_rare() {
        let now: Timestamp = "2026-07-01T12:00:00Z".parse().unwrap();
        for (schedule, zone, expected) in [
            ("* * * * *", None, Some("2026-07-01T12:00:00Z")),
            ("30 * * * *", None, Some("2026-07-01T11:30:00Z")),
            ("0 3 * * *", None, Some("2026-07-01T03:00:00Z")),
            (
                "0 3 * * *",
                Some("Europe/Berlin"),
                Some("2026-07-01T01:00:00Z"),
            ),
            ("0 0 1 1 *", None, Some("2026-01-01T00:00:00Z")),
            ("0 0 31 2 *", None, None),
            ("nonsense", None, None),
            ("0 3 * * *", Some("Nowhere/At-All"), None),
        ] {
            let expected = expected.map(|text| text.parse::<Timestamp>().unwrap());
            assert_eq!(last_due(schedule, zone, now), expected, "{schedule}");
        }
    }
}
