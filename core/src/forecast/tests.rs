use super::*;
use jiff::{SignedDuration, Timestamp};

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn start<'a>(key: &'a str, schedule: &'a str, weight: u64) -> Start<'a> {
    Start {
        key,
        group: "pg",
        schedule,
        time_zone: None,
        suspended: false,
        weight,
    }
}

fn minutes(forecast: &Forecast<'_>) -> Vec<(String, u64)> {
    forecast
        .minutes
        .iter()
        .map(|minute| (minute.at.to_string(), minute.starts))
        .collect()
}

#[test]
fn starts_are_counted_by_minute_and_by_group() {
    let starts = [
        start("a", "0 3 * * *", 40),
        start("b", "0 3,5 * * *", 2),
        Start {
            group: "other",
            ..start("c", "0 5 * * *", 7)
        },
        Start {
            suspended: true,
            ..start("d", "0 3 * * *", 9)
        },
        Start {
            time_zone: Some("Mars/Base"),
            ..start("e", "0 3 * * *", 3)
        },
        start("f", "bad", 5),
        start("g", "0 0 31 2 *", 1),
    ];
    let forecast = forecast(
        starts,
        time("2026-01-01T00:00:00Z"),
        time("2026-01-02T00:00:00Z"),
    );
    assert_eq!(
        minutes(&forecast),
        [
            ("2026-01-01T03:00:00Z".to_owned(), 42),
            ("2026-01-01T05:00:00Z".to_owned(), 9)
        ]
    );
    assert_eq!(
        (
            forecast.total,
            forecast.suspended,
            forecast.unread,
            forecast.cut
        ),
        (51, 9, 8, false)
    );
    let groups: Vec<_> = forecast
        .groups
        .iter()
        .map(|group| {
            (
                group.group.as_str(),
                group.total,
                group.peak.unwrap().at.to_string(),
            )
        })
        .collect();
    assert_eq!(
        groups,
        [
            ("other", 7, "2026-01-01T05:00:00Z".to_owned()),
            ("pg", 44, "2026-01-01T03:00:00Z".to_owned())
        ]
    );
    let peaks = forecast.peaks(1);
    assert_eq!(peaks.len(), 1);
    assert_eq!((peaks[0].minute.starts, peaks[0].more), (42, 0));
    assert_eq!(peaks[0].keys, ["a", "b"]);
}

#[test]
fn the_window_has_its_beginning_and_not_its_end() {
    for (from, to, expected) in [
        ("2026-01-01T03:00:00Z", "2026-01-01T04:00:00Z", 1),
        ("2026-01-01T03:00:00.000000001Z", "2026-01-01T04:00:00Z", 0),
        ("2026-01-01T02:00:00Z", "2026-01-01T03:00:00Z", 0),
        ("2026-01-01T02:00:00Z", "2026-01-01T03:00:00.1Z", 1),
        ("2026-01-01T04:00:00Z", "2026-01-01T02:00:00Z", 0),
        // Cut to 31 days.
        ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", 31),
    ] {
        let forecast = forecast([start("a", "0 3 * * *", 1)], time(from), time(to));
        assert_eq!(forecast.total, expected, "{from} {to}");
    }
}

#[test]
fn a_change_of_clocks_is_marked_and_counted_as_the_controller_does() {
    let berlin = |key, schedule| Start {
        time_zone: Some("Europe/Berlin"),
        ..start(key, schedule, 1)
    };
    let autumn = forecast(
        [berlin("a", "30 2 * * *"), start("b", "30 2 * * *", 1)],
        time("2026-10-24T12:00:00Z"),
        time("2026-10-25T12:00:00Z"),
    );
    assert_eq!(
        minutes(&autumn),
        [
            ("2026-10-25T00:30:00Z".to_owned(), 1),
            ("2026-10-25T01:30:00Z".to_owned(), 1),
            ("2026-10-25T02:30:00Z".to_owned(), 1)
        ]
    );
    assert_eq!(
        autumn.clock_changes,
        [ClockChange {
            time_zone: "Europe/Berlin".to_owned(),
            at: time("2026-10-25T01:00:00Z"),
            forward: SignedDuration::from_hours(-1),
        }]
    );
    let spring = forecast(
        [berlin("a", "30 2 * * *")],
        time("2026-03-28T12:00:00Z"),
        time("2026-03-29T12:00:00Z"),
    );
    assert_eq!(spring.total, 0);
    assert_eq!(
        spring.clock_changes[0].forward,
        SignedDuration::from_hours(1)
    );
}

#[test]
fn many_keys_are_cut_and_much_work_is_bounded() {
    let keys: Vec<String> = (0..25).map(|number| format!("k{number:02}")).collect();
    let starts = keys
        .iter()
        .map(|key| start(key, "0 3 * * *", if key == "k24" { 2 } else { 1 }));
    let forecast_ = forecast(
        starts,
        time("2026-01-01T00:00:00Z"),
        time("2026-01-02T00:00:00Z"),
    );
    let peak = &forecast_.peaks(3)[0];
    assert_eq!(
        (peak.minute.starts, peak.keys.len(), peak.more),
        (26, 10, 15)
    );
    assert_eq!(
        (peak.keys[0].as_str(), peak.keys[1].as_str()),
        ("k24", "k00")
    );

    let often = [start("a", "@every 1s", 1), start("b", "@every 1s ", 1)];
    let bounded = forecast(
        often,
        time("2026-01-01T00:00:00Z"),
        time("2026-01-01T00:10:00Z"),
    );
    assert_eq!((bounded.total, bounded.unread), (600, 1));
    assert_eq!(bounded.peaks(1)[0].minute.starts, 60);
    let (one, two) = ("@every 1s", "@every 1000ms");
    let month = forecast(
        [start("a", one, 1), start("b", two, 1)],
        time("2026-01-01T00:00:00Z"),
        time("2026-02-01T00:00:00Z"),
    );
    assert!(month.cut);
    assert_eq!(usize::try_from(month.total).unwrap(), MAX_STEPS);
}

#[test]
#[allow(clippy::too_many_lines, reason = "one table")]
fn a_change_starts_what_the_new_schedule_has_missed() {
    let base = Armed {
        schedule: "0 3 * * *",
        time_zone: None,
        suspended: false,
        starting_deadline_seconds: None,
    };
    let suspended = Armed {
        suspended: true,
        ..base
    };
    let at_nine = Armed {
        schedule: "0 9 * * *",
        ..base
    };
    let berlin = Armed {
        time_zone: Some("Europe/Berlin"),
        ..at_nine
    };
    let within = |seconds, armed| Armed {
        starting_deadline_seconds: Some(seconds),
        ..armed
    };
    let night = Some("2026-01-05T03:00:00Z");
    for (old, new, last, created, now, expected, why) in [
        (
            Some(base),
            at_nine,
            night,
            "2026-01-01T00:00:00Z",
            "2026-01-05T09:30:00Z",
            true,
            "moved to a minute just past",
        ),
        (
            Some(base),
            at_nine,
            night,
            "2026-01-01T00:00:00Z",
            "2026-01-05T09:00:00Z",
            true,
            "due in this second",
        ),
        (
            Some(base),
            at_nine,
            night,
            "2026-01-01T00:00:00Z",
            "2026-01-05T08:59:59Z",
            false,
            "not due yet",
        ),
        (
            Some(at_nine),
            berlin,
            night,
            "2026-01-01T00:00:00Z",
            "2026-01-05T08:30:00Z",
            true,
            "nine in Berlin is past",
        ),
        (
            Some(at_nine),
            berlin,
            night,
            "2026-01-01T00:00:00Z",
            "2026-01-05T07:30:00Z",
            false,
            "nine in Berlin is not yet",
        ),
        (
            Some(suspended),
            base,
            Some("2026-01-04T03:00:00Z"),
            "2026-01-01T00:00:00Z",
            "2026-01-05T08:00:00Z",
            true,
            "unsuspended after a night",
        ),
        (
            Some(suspended),
            base,
            night,
            "2026-01-01T00:00:00Z",
            "2026-01-05T08:00:00Z",
            false,
            "unsuspended, nothing missed",
        ),
        (
            Some(base),
            suspended,
            None,
            "2026-01-01T00:00:00Z",
            "2026-01-05T08:00:00Z",
            false,
            "suspended",
        ),
        (
            Some(base),
            base,
            None,
            "2026-01-01T00:00:00Z",
            "2026-01-05T08:00:00Z",
            false,
            "no change",
        ),
        (
            None,
            base,
            None,
            "2026-01-01T00:00:00Z",
            "2026-01-05T08:00:00Z",
            false,
            "new",
        ),
        (
            Some(base),
            at_nine,
            None,
            "2026-01-05T08:00:00Z",
            "2026-01-05T09:30:00Z",
            true,
            "never ran: since it was made",
        ),
        (
            Some(base),
            at_nine,
            None,
            "2026-01-05T09:10:00Z",
            "2026-01-05T09:30:00Z",
            false,
            "made after that time",
        ),
        (
            Some(base),
            within(60, at_nine),
            night,
            "2026-01-01T00:00:00Z",
            "2026-01-05T09:30:00Z",
            false,
            "too late by the deadline",
        ),
        (
            Some(base),
            within(3600, at_nine),
            night,
            "2026-01-01T00:00:00Z",
            "2026-01-05T09:30:00Z",
            true,
            "within the deadline",
        ),
        (
            Some(within(60, at_nine)),
            at_nine,
            night,
            "2026-01-01T00:00:00Z",
            "2026-01-05T09:30:00Z",
            true,
            "the deadline is gone",
        ),
        (
            Some(base),
            within(-1, at_nine),
            night,
            "2026-01-01T00:00:00Z",
            "2026-01-05T09:30:00Z",
            false,
            "a deadline below 0 is 0",
        ),
        (
            Some(base),
            within(i64::MAX, at_nine),
            night,
            "2026-01-01T00:00:00Z",
            "2026-01-05T09:30:00Z",
            true,
            "a deadline without end",
        ),
        (
            Some(base),
            Armed {
                schedule: "0 0 31 2 *",
                ..base
            },
            night,
            "2026-01-01T00:00:00Z",
            "2026-01-05T09:30:00Z",
            false,
            "never due",
        ),
        (
            Some(base),
            Armed {
                schedule: "bad",
                ..base
            },
            night,
            "2026-01-01T00:00:00Z",
            "2026-01-05T09:30:00Z",
            false,
            "no schedule",
        ),
        (
            Some(base),
            Armed {
                schedule: "@every 1h",
                ..base
            },
            night,
            "2026-01-01T00:00:00Z",
            "2026-01-05T04:00:00Z",
            true,
            "an hour after the last run",
        ),
    ] {
        let last = last.map(time);
        assert_eq!(
            would_start_now(old.as_ref(), &new, last, time(created), time(now)),
            expected,
            "{why}"
        );
    }
}
