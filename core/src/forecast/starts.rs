//! Starts per minute in a window.
//!
//! In: one [`Start`] for each CronJob (or for many alike, by its weight). Out: a [`Forecast`].
//! Law: as the controller starts them: a time that a zone repeats counts twice, one that it leaves out not at all.
//! Not: who asked.

use crate::segment::schedule::{Schedule, time_zone};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

/// Longest window; a longer one is cut.
pub const MAX_WINDOW: SignedDuration = SignedDuration::from_hours(31 * 24);
/// Most runs that are walked over all different schedules together: a month of 100 that are due each minute.
pub const MAX_STEPS: usize = 5_000_000;
/// Most keys that a peak names.
const PEAK_KEYS: usize = 10;

/// What starts by one schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start<'a> {
    /// Who: a Segment, a Segment on a cluster.
    pub key: &'a str,
    /// What its starts are summed up by, such as the database's host.
    pub group: &'a str,
    /// The schedule, with `H` replaced.
    pub schedule: &'a str,
    /// The IANA name; UTC where there is none.
    pub time_zone: Option<&'a str>,
    /// Suspended ones are counted, and start nothing.
    pub suspended: bool,
    /// How many CronJobs this stands for.
    pub weight: u64,
}

/// The starts of one minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minute {
    /// Its beginning.
    pub at: Timestamp,
    /// How many CronJobs start in it.
    pub starts: u64,
}

/// A minute with many starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peak {
    /// When, and how many.
    pub minute: Minute,
    /// Keys of the heaviest, at most ten.
    pub keys: Vec<String>,
    /// How many keys more there are.
    pub more: usize,
}

/// The starts of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupStarts {
    /// As given in [`Start::group`].
    pub group: String,
    /// Starts in the window.
    pub total: u64,
    /// The first of its fullest minutes; `None` where nothing starts.
    pub peak: Option<Minute>,
}

/// Clocks that change within the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockChange {
    /// The IANA name.
    pub time_zone: String,
    /// The instant of the change.
    pub at: Timestamp,
    /// By how much the clocks go forward; negative where they go back.
    pub forward: SignedDuration,
}

/// What starts when.
#[derive(Clone, Debug)]
pub struct Forecast<'a> {
    /// The beginning of the window, which is part of it.
    pub from: Timestamp,
    /// The end of the window, which is not.
    pub to: Timestamp,
    /// Starts in the window.
    pub total: u64,
    /// The minutes in which something starts, in order.
    pub minutes: Vec<Minute>,
    /// Each group, by name.
    pub groups: Vec<GroupStarts>,
    /// Changes of clocks in the zones that occur, in order.
    pub clock_changes: Vec<ClockChange>,
    /// CronJobs that are suspended.
    pub suspended: u64,
    /// CronJobs whose schedule or zone can't be read.
    pub unread: u64,
    /// More runs than [`MAX_STEPS`]: the figures are too low.
    pub cut: bool,
    walked: Vec<(Start<'a>, Rc<[i64]>)>,
}

type Pair<'a> = (&'a str, Option<&'a str>);

/// Counts the starts in `[from, to)`. `@every` is counted from `from` on: it depends on the last run, which is not known
/// here.
pub fn forecast<'a>(
    starts: impl IntoIterator<Item = Start<'a>>,
    from: Timestamp,
    to: Timestamp,
) -> Forecast<'a> {
    let latest = from.checked_add(MAX_WINDOW).unwrap_or(Timestamp::MAX);
    let mut forecast = Forecast {
        from,
        to: to.min(latest),
        total: 0,
        minutes: Vec::new(),
        groups: Vec::new(),
        clock_changes: Vec::new(),
        suspended: 0,
        unread: 0,
        cut: false,
        walked: Vec::new(),
    };
    forecast.walk(starts);
    forecast.sum();
    forecast
}

// === impl Forecast ===

impl<'a> Forecast<'a> {
    /// Finds the minutes of each different pair of schedule and zone.
    fn walk(&mut self, starts: impl IntoIterator<Item = Start<'a>>) {
        let mut known: HashMap<Pair<'a>, Option<Rc<[i64]>>> = HashMap::new();
        let mut zones: HashMap<Option<&'a str>, Option<TimeZone>> = HashMap::new();
        let mut steps = 0;
        for start in starts {
            if start.suspended {
                self.suspended = self.suspended.saturating_add(start.weight);
                continue;
            }
            let pair = (start.schedule, start.time_zone);
            let minutes = known.entry(pair).or_insert_with(|| {
                let zone = zones
                    .entry(start.time_zone)
                    .or_insert_with_key(|name| match name {
                        None => Some(TimeZone::UTC),
                        Some(name) => time_zone(name).ok(),
                    })
                    .as_ref()?;
                let schedule = Schedule::parse(start.schedule).ok()?;
                Some(self.minutes_of(&schedule, zone, &mut steps))
            });
            match minutes {
                Some(minutes) => self.walked.push((start, Rc::clone(minutes))),
                None => self.unread = self.unread.saturating_add(start.weight),
            }
        }
        self.mark_clock_changes(&zones);
    }

    /// The minutes of one schedule, one for each start.
    fn minutes_of(&mut self, schedule: &Schedule, zone: &TimeZone, steps: &mut usize) -> Rc<[i64]> {
        let mut minutes = Vec::new();
        // The window's first instant is part of it, and what comes after an instant is not.
        let before = SignedDuration::from_nanos(1);
        let mut last = self.from.checked_sub(before).unwrap_or(self.from);
        while let Some(due) = schedule.next_after(zone, last) {
            if due >= self.to {
                break;
            }
            *steps += 1;
            if *steps > MAX_STEPS {
                self.cut = true;
                break;
            }
            minutes.push(due.as_second().div_euclid(60));
            last = due;
        }
        minutes.into()
    }

    fn mark_clock_changes(&mut self, zones: &HashMap<Option<&'a str>, Option<TimeZone>>) {
        for (name, zone) in zones {
            let (Some(name), Some(zone)) = (name, zone) else {
                continue;
            };
            let mut before = zone.to_offset(self.from);
            for change in zone.following(self.from) {
                if change.timestamp() >= self.to {
                    break;
                }
                let forward = i64::from(change.offset().seconds() - before.seconds());
                before = change.offset();
                if forward != 0 {
                    self.clock_changes.push(ClockChange {
                        time_zone: (*name).to_owned(),
                        at: change.timestamp(),
                        forward: SignedDuration::from_secs(forward),
                    });
                }
            }
        }
        self.clock_changes
            .sort_by(|a, b| (a.at, &a.time_zone).cmp(&(b.at, &b.time_zone)));
    }

    /// Sums up group by group; the pairs of a group are walked once each, whatever their number of keys.
    fn sum(&mut self) {
        let mut groups: BTreeMap<&str, HashMap<Pair<'_>, (u64, &[i64])>> = BTreeMap::new();
        for (start, minutes) in &self.walked {
            let pair = (start.schedule, start.time_zone);
            let group = groups.entry(start.group).or_default();
            let (weight, _) = group.entry(pair).or_insert((0, minutes.as_ref()));
            *weight = weight.saturating_add(start.weight);
        }
        // A window is short, so a slot for each of its minutes is the fastest map.
        let first = self.from.as_second().div_euclid(60);
        let length = self.to.as_second().div_euclid(60) - first + 1;
        let mut all = vec![0_u64; usize::try_from(length).unwrap_or_default()];
        let mut own = all.clone();
        for (name, pairs) in groups {
            own.fill(0);
            for (weight, minutes) in pairs.values() {
                for minute in *minutes {
                    add(&mut own, minute - first, *weight);
                }
            }
            let mut group = GroupStarts {
                group: name.to_owned(),
                total: 0,
                peak: None,
            };
            for ((slot, minute), starts) in all.iter_mut().zip(first..).zip(&own) {
                *slot = slot.saturating_add(*starts);
                group.total = group.total.saturating_add(*starts);
                if *starts > group.peak.map_or(0, |peak| peak.starts) {
                    group.peak = minute_of(minute, *starts);
                }
            }
            self.total = self.total.saturating_add(group.total);
            self.groups.push(group);
        }
        self.minutes = (first..)
            .zip(all)
            .filter(|(_, starts)| *starts > 0)
            .filter_map(|(minute, starts)| minute_of(minute, starts))
            .collect();
    }

    /// The fullest minutes, fullest first, the earlier one first where they are equal; each with the keys that start in
    /// it.
    pub fn peaks(&self, count: usize) -> Vec<Peak> {
        let mut fullest: Vec<Minute> = self.minutes.clone();
        fullest.sort_by(|a, b| b.starts.cmp(&a.starts).then(a.at.cmp(&b.at)));
        fullest.truncate(count);
        fullest
            .into_iter()
            .map(|minute| self.peak(minute))
            .collect()
    }

    fn peak(&self, minute: Minute) -> Peak {
        let number = minute.at.as_second().div_euclid(60);
        // By weight, so that the heaviest are kept; a key that stands for several schedules is named once.
        let mut weights: BTreeMap<&str, u64> = BTreeMap::new();
        for (start, minutes) in &self.walked {
            if minutes.binary_search(&number).is_ok() {
                let weight = weights.entry(start.key).or_default();
                *weight = weight.saturating_add(start.weight);
            }
        }
        let all = weights.len();
        let heaviest: BTreeSet<_> = weights
            .into_iter()
            .map(|(key, weight)| (std::cmp::Reverse(weight), key))
            .collect();
        let keys: Vec<String> = heaviest
            .into_iter()
            .take(PEAK_KEYS)
            .map(|(_, key)| key.to_owned())
            .collect();
        Peak {
            minute,
            more: all - keys.len(),
            keys,
        }
    }
}

fn add(counts: &mut [u64], index: i64, starts: u64) {
    if let Some(count) = usize::try_from(index)
        .ok()
        .and_then(|index| counts.get_mut(index))
    {
        *count = count.saturating_add(starts);
    }
}

fn minute_of(minute: i64, starts: u64) -> Option<Minute> {
    let at = Timestamp::from_second(minute.checked_mul(60)?).ok()?;
    Some(Minute { at, starts })
}
