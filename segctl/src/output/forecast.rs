//! A forecast for people.
//!
//! In: the hub's answer. Out: tables and a last line. Law: every time has its date and zone; what is left out is said.
//! Not: counting.

use super::age::{Clock, read, seconds_of};
use super::table::{Row, Table, column};
use crate::args::Per;
use crate::text::{count, one_line};
use segment_proto::Timestamp as Wire;
use segment_proto::v1::{ForecastResponse, StartsInMinute};
use std::fmt::Write as _;

/// The tables.
pub(crate) fn text(answer: &ForecastResponse, per: Option<Per>, clock: Clock) -> String {
    let mut tables = vec![match per {
        Some(Per::Minute) => minutes(answer),
        Some(per) => groups(answer, per),
        None => next_runs(answer, clock),
    }];
    if per != Some(Per::Minute) && !answer.peaks.is_empty() {
        tables.push(peaks(answer));
    }
    let mut text: String = tables
        .into_iter()
        .filter(|table| !table.is_empty())
        .map(|table| table.text(false, true))
        .collect::<Vec<_>>()
        .join("\n");
    let more = match per {
        None => answer.more_next_runs(),
        Some(_) => answer.more_groups(),
    };
    if more > 0 {
        let _ = writeln!(
            text,
            "… and {more} more: -o json, or keep it to fewer with -l"
        );
    }
    text
}

/// `1458 runs of 12 Segments from … to …; 3 suspended. ‼ Clocks in Europe/Berlin go back 1h at …`
pub(crate) fn summary(answer: &ForecastResponse) -> String {
    let at = |time: Option<&Wire>| read(time).map(seconds_of).unwrap_or_default();
    let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let mut text = format!(
        "{} of {} from {} to {}",
        count(number(answer.starts()), "run"),
        count(answer.segments() as usize, "Segment"),
        at(answer.from.as_ref()),
        at(answer.to.as_ref()),
    );
    if answer.suspended() > 0 {
        let _ = write!(text, "; {} suspended", answer.suspended());
    }
    if answer.unknown() > 0 {
        let _ = write!(
            text,
            "; {} not known: segctl status says why",
            count(number(answer.unknown()), "CronJob")
        );
    }
    if answer.cut() {
        text.push_str("; ‼ there are more, the figures are too low: keep it to fewer with -l");
    }
    text.push_str(". Schedules without a time zone are taken as UTC.");
    for change in &answer.clock_changes {
        let seconds = change.forward_seconds();
        let (direction, so) = if seconds < 0 {
            ("back", "times in between come twice")
        } else {
            ("forward", "times in between do not come")
        };
        let _ = write!(
            text,
            "\n‼ clocks in {} go {direction} {} at {}: {so}",
            one_line(&change.time_zone),
            super::age::human(i64::from(seconds).abs()),
            at(change.at.as_ref())
        );
    }
    text
}

fn next_runs(answer: &ForecastResponse, clock: Clock) -> Table {
    Table {
        columns: [
            "SEGMENT",
            "NEXT",
            "LAST CLUSTER",
            "CLUSTERS",
            "SCHEDULE",
            "ZONE",
        ]
        .map(column)
        .to_vec(),
        rows: answer
            .next_runs
            .iter()
            .map(|run| Row {
                name: run.segment.clone(),
                cells: vec![
                    run.segment.clone(),
                    or(clock.relative(run.first.as_ref()), "never"),
                    or(clock.relative(run.last.as_ref()), "-"),
                    run.clusters().to_string(),
                    run.schedule.clone(),
                    or(run.time_zone.clone(), "-"),
                ],
            })
            .collect(),
    }
}

fn peaks(answer: &ForecastResponse) -> Table {
    Table {
        columns: ["PEAK", "STARTS", "SEGMENTS"].map(column).to_vec(),
        rows: answer
            .peaks
            .iter()
            .map(|peak| {
                let mut segments = peak.segments.join(", ");
                if peak.more() > 0 {
                    let _ = write!(segments, ", and {} more", peak.more());
                }
                let [at, starts] = minute(peak.minute.as_ref());
                Row {
                    name: at.clone(),
                    cells: vec![at, starts, segments],
                }
            })
            .collect(),
    }
}

fn minutes(answer: &ForecastResponse) -> Table {
    Table {
        columns: ["MINUTE", "STARTS"].map(column).to_vec(),
        rows: answer
            .minutes
            .iter()
            .map(|one| {
                let [at, starts] = minute(Some(one));
                Row {
                    name: at.clone(),
                    cells: vec![at, starts],
                }
            })
            .collect(),
    }
}

fn groups(answer: &ForecastResponse, per: Per) -> Table {
    let header = match per {
        Per::DbHost => "DB HOST",
        Per::Cluster => "CLUSTER",
        Per::Segment | Per::Minute => "SEGMENT",
    };
    Table {
        columns: [header, "STARTS", "PEAK", "STARTS IN IT"]
            .map(column)
            .to_vec(),
        rows: answer
            .groups
            .iter()
            .map(|group| {
                let [at, starts] = minute(group.peak.as_ref());
                Row {
                    name: group.group.clone(),
                    cells: vec![group.group.clone(), group.starts().to_string(), at, starts],
                }
            })
            .collect(),
    }
}

fn minute(minute: Option<&StartsInMinute>) -> [String; 2] {
    let at = minute.and_then(|minute| read(minute.at.as_ref()));
    [
        or(at.map(seconds_of).unwrap_or_default(), "-"),
        minute.map_or(0, StartsInMinute::starts).to_string(),
    ]
}

fn or(text: String, otherwise: &str) -> String {
    if text.is_empty() {
        otherwise.to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Times;
    use segment_proto::v1::{ClockChange, ForecastPeak, ForecastTotal, NextRun};

    #[allow(clippy::unnecessary_wraps, reason = "fields of messages are optional")]
    fn at(seconds: i64) -> Option<Wire> {
        Some(Wire { seconds, nanos: 0 })
    }

    fn answer() -> ForecastResponse {
        let peak = StartsInMinute {
            at: at(10_800),
            starts: Some(458),
        };
        ForecastResponse {
            from: at(0),
            to: at(86_400),
            starts: Some(500),
            segments: Some(2),
            suspended: Some(3),
            peaks: vec![ForecastPeak {
                minute: Some(peak),
                segments: vec!["granary/demo".into()],
                more: Some(1),
            }],
            groups: vec![ForecastTotal {
                group: "grnry-pg-citus".into(),
                starts: Some(500),
                peak: Some(peak),
            }],
            next_runs: vec![
                NextRun {
                    segment: "granary/demo".into(),
                    first: at(10_800),
                    last: at(14_340),
                    clusters: Some(500),
                    schedule: "H 3 * * *".into(),
                    time_zone: "Europe/Berlin".into(),
                },
                NextRun {
                    segment: "granary/never".into(),
                    schedule: "0 0 31 2 *".into(),
                    ..NextRun::default()
                },
            ],
            clock_changes: vec![ClockChange {
                time_zone: "Europe/Berlin".into(),
                at: at(3_600),
                forward_seconds: Some(-3_600),
            }],
            ..ForecastResponse::default()
        }
    }

    #[test]
    fn next_runs_and_peaks_are_told() {
        let clock = Clock {
            times: Times::Relative,
            now: jiff::Timestamp::UNIX_EPOCH,
        };
        assert_eq!(
            text(&answer(), None, clock),
            "\
SEGMENT         NEXT    LAST CLUSTER   CLUSTERS   SCHEDULE     ZONE
granary/demo    in 3h   in 3h59m       500        H 3 * * *    Europe/Berlin
granary/never   never   -              0          0 0 31 2 *   -

PEAK                   STARTS   SEGMENTS
1970-01-01T03:00:00Z   458      granary/demo, and 1 more
"
        );
        assert_eq!(
            text(&answer(), Some(Per::DbHost), clock),
            "\
DB HOST          STARTS   PEAK                   STARTS IN IT
grnry-pg-citus   500      1970-01-01T03:00:00Z   458

PEAK                   STARTS   SEGMENTS
1970-01-01T03:00:00Z   458      granary/demo, and 1 more
"
        );
        assert_eq!(
            summary(&answer()),
            "500 runs of 2 Segments from 1970-01-01T00:00:00Z to 1970-01-02T00:00:00Z; 3 suspended. Schedules without \
             a time zone are taken as UTC.\n‼ clocks in Europe/Berlin go back 60m at 1970-01-01T01:00:00Z: times in \
             between come twice"
        );
    }
}
