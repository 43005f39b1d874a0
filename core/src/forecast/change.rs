//! Whether a change of a CronJob starts a run at once.
//!
//! In: the CronJob before and after, its last run. Out: yes or no.
//! Law: as the CronJob controller counts: what was missed since the last run, or since the CronJob was made, is judged by
//! the schedule of now. Not: what the agent does about it (`apply/schedule.rs` of this crate sets the last run to now).

use crate::segment::schedule::next_after;
use jiff::{SignedDuration, Timestamp};

/// What of a CronJob decides when it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Armed<'a> {
    /// The schedule, with `H` replaced.
    pub schedule: &'a str,
    /// The IANA name; UTC where there is none.
    pub time_zone: Option<&'a str>,
    /// Nothing starts while it is suspended.
    pub suspended: bool,
    /// Seconds after which a missed run is not started any more.
    pub starting_deadline_seconds: Option<i64>,
}

/// Whether the controller would start a run that lies in the past once `old` becomes `new`, if nobody set the last
/// schedule time to now. `old` is `None` for a CronJob that is new: that one has missed nothing.
///
/// The controller does not look at once in every case, but at the next touch of the CronJob at the latest (an annotation
/// is enough), so that is counted as at once. A run that is due without any change is not counted.
pub fn would_start_now(
    old: Option<&Armed<'_>>,
    new: &Armed<'_>,
    last_schedule: Option<Timestamp>,
    created: Timestamp,
    now: Timestamp,
) -> bool {
    let Some(old) = old else {
        return false;
    };
    if new.suspended || old == new {
        return false;
    }
    let mut earliest = last_schedule.unwrap_or(created);
    if let Some(seconds) = new.starting_deadline_seconds {
        // A deadline before the beginning of time is none.
        if let Ok(deadline) = now.checked_sub(SignedDuration::from_secs(seconds.max(0))) {
            earliest = earliest.max(deadline);
        }
    }
    next_after(new.schedule, new.time_zone, earliest).is_some_and(|due| due <= now)
}
