//! When a schedule is due next.
//!
//! In: a schedule, a zone, a time. Out: the first time after it. Law: as robfig/cron: a wall clock time that a zone
//! leaves out is no run, one that it repeats is two (golden file `schedules.jsonl`).
//! Not: what the controller did about it.
//!
//! The search walks wall clock time within one offset of the zone, then within the next: so gaps and folds need no rule
//! of their own.

use super::{Fields, Kind, Schedule, time_zone};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

/// Years after which the search gives up, as robfig/cron does.
const YEARS: i16 = 5;

/// The first time after `after` at which a schedule (with `H` already replaced) is due. Without a zone it is UTC, which
/// is what the controller manager of nearly every cluster runs in.
///
/// `None` where the schedule is invalid, never due or the zone unknown.
pub fn next_after(schedule: &str, zone: Option<&str>, after: Timestamp) -> Option<Timestamp> {
    let zone = zone.map_or(Some(TimeZone::UTC), |name| time_zone(name).ok())?;
    Schedule::parse(schedule).ok()?.next_after(&zone, after)
}

impl Schedule {
    /// The first time after `after` at which this is due in a zone; `None` if there is none within five years.
    ///
    /// For `@every` it is the delay after `after`: the controller counts from the last run.
    pub fn next_after(&self, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
        match &self.0 {
            Kind::Every(seconds) => {
                let whole = Timestamp::from_second(after.as_second()).ok()?;
                whole.checked_add(SignedDuration::from_secs(*seconds)).ok()
            }
            Kind::Fields(fields) if !fields.ever_fire() => None,
            Kind::Fields(fields) => fields.next_after(zone, after),
        }
    }

    /// True for `@every`, which has no times of its own.
    pub fn is_every(&self) -> bool {
        matches!(self.0, Kind::Every(_))
    }

    /// The first wall clock minute in `[from, to)` that matches, whatever a zone does with it; none for `@every`.
    pub(crate) fn first_civil(&self, from: DateTime, to: DateTime) -> Option<DateTime> {
        match &self.0 {
            Kind::Every(_) => None,
            Kind::Fields(fields) => fields.next_civil(from, to.year()).filter(|due| *due < to),
        }
    }
}

impl Fields {
    fn next_after(&self, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
        let first = Timestamp::from_second(after.as_second())
            .ok()?
            .checked_add(1.second())
            .ok()?;
        let last_year = zone.to_datetime(first).year().checked_add(YEARS)?;
        let mut begin = first;
        loop {
            let offset = zone.to_offset(begin);
            let end = zone
                .following(begin)
                .next()
                .map(|transition| transition.timestamp());
            if let Some(due) = self.next_civil(offset.to_datetime(begin), last_year)
                && let Ok(due) = offset.to_timestamp(due)
                && end.is_none_or(|end| due < end)
            {
                return Some(due);
            }
            begin = end?;
            if zone.to_datetime(begin).year() > last_year {
                return None;
            }
        }
    }

    /// The first wall clock minute at or after `from` that matches.
    fn next_civil(&self, from: DateTime, last_year: i16) -> Option<DateTime> {
        let from = if from.second() == 0 && from.subsec_nanosecond() == 0 {
            from
        } else {
            let minute = from.date().at(from.hour(), from.minute(), 0, 0);
            minute.checked_add(1.minute()).ok()?
        };
        let mut date = from.date();
        let mut earliest = (from.hour(), from.minute());
        while date.year() <= last_year {
            if self.matches_day(date)
                && let Some((hour, minute)) = self.next_time(earliest)
            {
                return Some(date.at(hour, minute, 0, 0));
            }
            earliest = (0, 0);
            date = if has(self.month, date.month()) {
                date.tomorrow().ok()?
            } else {
                date.last_of_month().tomorrow().ok()?
            };
        }
        None
    }

    fn matches_day(&self, date: Date) -> bool {
        let day = has(self.day, date.day());
        let weekday = has(self.weekday, date.weekday().to_sunday_zero_offset());
        has(self.month, date.month())
            && if self.both_days {
                day && weekday
            } else {
                day || weekday
            }
    }

    /// The first time of a day at or after this hour and minute.
    fn next_time(&self, (hour, minute): (i8, i8)) -> Option<(i8, i8)> {
        (hour..24).filter(|&h| has(self.hour, h)).find_map(|h| {
            let from = if h == hour { minute } else { 0 };
            (from..60).find(|&m| has(self.minute, m)).map(|m| (h, m))
        })
    }
}

fn has(bits: u64, value: i8) -> bool {
    u32::try_from(value).is_ok_and(|value| bits & (1 << value) != 0)
}
