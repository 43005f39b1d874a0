//! The schedule: judged as Kubernetes judges it, with `H` as Jenkins has it.
//!
//! In: `spec.cronjob.schedule` and `timeZone`. Out: a [`Schedule`], its next run, or where it is wrong.
//! Law: accepts exactly what `ParseStandard` of robfig/cron 3.0.1 accepts, less `TZ`, as the API server does
//! (golden file `schedules.jsonl`, made with that parser).
//! Not: when a run is late or missed (`observe.rs`). Source: `k8s.io/kubernetes/pkg/apis/batch/validation`.

mod every;
mod grammar;
mod hash;
mod next;

pub use hash::{replace_h, uses_h};
pub use next::next_after;

use crate::finding::{Code, Finding, shown};
use grammar::{BOUNDS, field, split_fields};
use jiff::tz::{TimeZone, TimeZoneDatabase};

/// Why a text is not a schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ScheduleError {
    /// Byte offset of the offending part.
    pub offset: usize,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// What to write instead; empty where the message says it.
    pub help: &'static str,
}

impl ScheduleError {
    fn new(offset: usize, message: impl Into<String>) -> Self {
        Self {
            offset,
            message: message.into(),
            help: "",
        }
    }

    fn help(mut self, help: &'static str) -> Self {
        self.help = help;
        self
    }

    /// As a finding at a field of the resource.
    pub fn finding(&self, field: &str) -> Finding {
        Finding::error(Code::InvalidSchedule, field, self.message.clone())
            .at(self.offset)
            .help(self.help)
    }
}

/// A schedule without `H`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Fields(Fields),
    /// Seconds between runs, at least 1.
    Every(i64),
}

/// Which minutes, hours, days and months: bit n stands for the value n.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fields {
    minute: u64,
    hour: u64,
    day: u64,
    month: u64,
    weekday: u64,
    /// Day of month or day of week has a star, so that both must match; else one of them is enough.
    both_days: bool,
}

/// The macros, as robfig/cron expands them.
const MACROS: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

// === impl Schedule ===

impl Schedule {
    /// Parses a schedule in which `H` is already replaced.
    ///
    /// # Errors
    /// Where the API server of a spoke would refuse it.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        if let Some(offset) = text.find("TZ") {
            return Err(
                ScheduleError::new(offset, "TZ and CRON_TZ are not allowed in a schedule")
                    .help("use spec.cronjob.timeZone"),
            );
        }
        if text.starts_with('@') {
            return macro_schedule(text);
        }
        let parts = split_fields(text);
        let [minute, hour, day, month, weekday] = parts[..] else {
            return Err(ScheduleError::new(
                0,
                format!("a schedule has 5 fields, found {}", parts.len()),
            )
            .help("minute hour day-of-month month day-of-week, or @hourly, @daily, @weekly, @monthly, @yearly"));
        };
        let minute = field(minute, &BOUNDS[0])?;
        let hour = field(hour, &BOUNDS[1])?;
        let day = field(day, &BOUNDS[2])?;
        let month = field(month, &BOUNDS[3])?;
        let weekday = field(weekday, &BOUNDS[4])?;
        Ok(Self(Kind::Fields(Fields {
            minute: minute.bits,
            hour: hour.bits,
            day: day.bits,
            month: month.bits,
            weekday: weekday.bits,
            both_days: day.star || weekday.star,
        })))
    }

    /// Whether this is due in every hour of the days on which it is due at all.
    pub fn every_hour(&self) -> bool {
        match &self.0 {
            Kind::Every(_) => true,
            Kind::Fields(fields) => fields.hour == (1 << 24) - 1,
        }
    }

    /// False for what is legal and never due, such as `0 0 31 2 *`.
    pub fn ever_fires(&self) -> bool {
        match &self.0 {
            Kind::Every(_) => true,
            Kind::Fields(fields) => fields.ever_fire(),
        }
    }
}

impl Fields {
    fn ever_fire(&self) -> bool {
        if self.minute == 0 || self.hour == 0 {
            return false;
        }
        let longest = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        (1u64..).zip(longest).any(|(month, days)| {
            let some_day = self.day & (((1 << days) - 1) << 1) != 0;
            let some_weekday = self.weekday != 0;
            self.month & (1 << month) != 0
                && if self.both_days {
                    some_day && some_weekday
                } else {
                    some_day || some_weekday
                }
        })
    }
}

/// Judges a schedule as a user wrote it, `H` included.
///
/// # Errors
/// One finding at `field`, with the offset in the schedule.
pub fn check(schedule: &str, field: &str) -> Result<(), Finding> {
    let checked = if uses_h(schedule) {
        // Every hash gives a schedule of the same form, so any will do. Offsets are those of the original.
        hash::replace_with(schedule, |_, _| 0).and_then(|replaced| {
            Schedule::parse(&replaced).map_err(|error| ScheduleError {
                offset: hash::original_offset(schedule, &replaced, error.offset),
                ..error
            })
        })
    } else {
        Schedule::parse(schedule)
    };
    checked.map(|_| ()).map_err(|error| error.finding(field))
}

/// One of the schedules that a schedule with `H` becomes: the one with the lowest values.
///
/// # Errors
/// Where the schedule is refused.
pub fn lowest_h(schedule: &str) -> Result<Schedule, ScheduleError> {
    Schedule::parse(&hash::replace_with(schedule, |_, _| 0)?)
}

/// All the schedules at once that a schedule with `H` becomes: due whenever one of them can be.
///
/// # Errors
/// Where the schedule is refused.
pub fn widest_h(schedule: &str) -> Result<Schedule, ScheduleError> {
    Schedule::parse(&hash::replace_by_all(schedule)?)
}

/// The time zone of this IANA name, from the database that is compiled in.
///
/// # Errors
/// One sentence, when the name has not the form that Kubernetes takes, or is unknown.
pub fn time_zone(name: &str) -> Result<TimeZone, String> {
    let part_ok = |part: &str| {
        (1..=14).contains(&part.len())
            && part != "."
            && part != ".."
            && !part.starts_with('-')
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'+'))
    };
    if !name.split('/').all(part_ok) || name.eq_ignore_ascii_case("local") {
        return Err(format!("unknown time zone {}", shown(name)));
    }
    let zone = TimeZoneDatabase::bundled()
        .get(name)
        .map_err(|_| format!("unknown time zone {}", shown(name)))?;
    match zone.iana_name() {
        // The database ignores case, the files of a spoke do not.
        Some(known) if known != name => Err(format!(
            "unknown time zone {}, did you mean {known:?}?",
            shown(name)
        )),
        _ if zone.is_unknown() => Err(format!("unknown time zone {}", shown(name))),
        _ => Ok(zone),
    }
}

/// Judges a time zone's name.
///
/// # Errors
/// One finding at `field`.
pub fn check_time_zone(name: &str, field: &str) -> Result<(), Finding> {
    time_zone(name)
        .map(|_| ())
        .map_err(|message| {
            Finding::error(Code::UnknownTimeZone, field, message)
                .help("write an IANA name, such as Europe/Berlin; without timeZone it is UTC on most clusters")
        })
}

fn macro_schedule(text: &str) -> Result<Schedule, ScheduleError> {
    if let Some((_, expanded)) = MACROS.iter().find(|(name, _)| *name == text) {
        return Schedule::parse(expanded);
    }
    if let Some(duration) = text.strip_prefix("@every ") {
        let offset = "@every ".len();
        return every::go_duration_nanos(duration)
            .map(|nanos| Schedule(Kind::Every(every::whole_seconds(nanos))))
            .ok_or_else(|| {
                ScheduleError::new(offset, format!("{} is not a duration", shown(duration)))
                    .help("for example @every 1h30m")
            });
    }
    Err(
        ScheduleError::new(0, format!("unknown macro {}", shown(text)))
            .help("@yearly, @monthly, @weekly, @daily, @midnight, @hourly or @every <duration>"),
    )
}

#[cfg(test)]
mod tests;
