use super::*;
use crate::ids::{ClusterName, SegmentKey};
use jiff::Timestamp;

#[test]
fn a_schedule_is_refused_where_kubernetes_refuses_it() {
    for (schedule, offset) in [
        ("", 0),
        ("* * * *", 0),
        ("* * * * * *", 0),
        ("60 * * * *", 0),
        ("0 24 * * *", 2),
        ("0 0 0 * *", 4),
        ("0 0 * 13 *", 6),
        ("0 0 * * 7", 8),
        ("0 0 * * 5,7", 10),
        ("0 0 L * *", 4),
        ("0 0 1W * *", 4),
        ("0 0 * * 5#1", 8),
        ("0 0 * * MON-SUN", 8),
        ("0 0 * * 5-1", 8),
        ("1-2-3 * * * *", 0),
        ("*/0 * * * *", 0),
        ("*/2/3 * * * *", 0),
        ("-5 * * * *", 0),
        ("99999999999999999999 * * * *", 0),
        ("TZ=UTC 0 0 * * *", 0),
        ("CRON_TZ=Europe/Berlin 0 0 * * *", 5),
        (" @hourly", 0),
        ("@hourly ", 0),
        ("@Hourly", 0),
        ("@reboot", 0),
        ("@every", 0),
        ("@every x", 7),
        ("@every 1d", 7),
    ] {
        let error = Schedule::parse(schedule).unwrap_err();
        assert_eq!(error.offset, offset, "{schedule:?}: {error}");
    }
}

#[test]
fn a_schedule_is_accepted_where_kubernetes_accepts_it() {
    for schedule in [
        "* * * * *",
        "? ? ? ? ?",
        "5/15 * * * *",
        "*/61 * * * *",
        "0 0 31 2 *",
        "0 0 1 jan-MAR mon,Thu",
        "  0\t0 * *  0 ",
        "+5 007 * * *",
        "*-5 * * * *",
        ", * * * *",
        "1,,2 * * * *",
        "@midnight",
        "@annually",
        "@every 1s",
        "@every -1h",
    ] {
        assert!(Schedule::parse(schedule).is_ok(), "{schedule:?}");
    }
}

#[test]
fn a_schedule_that_is_never_due_is_known() {
    for (schedule, fires) in [
        ("0 0 31 2 *", false),
        ("0 0 30,31 2 *", false),
        ("0 0 29 2 *", true),
        ("0 0 31 2 1", true),
        ("0 0 31 2,3 ?", true),
        (", * * * *", false),
        ("0 0 , * *", false),
        ("0 0 , * 1", true),
        ("@every 1h", true),
    ] {
        let parsed = Schedule::parse(schedule).unwrap();
        assert_eq!(parsed.ever_fires(), fires, "{schedule:?}");
        let next = parsed.next_after(&TimeZone::UTC, Timestamp::UNIX_EPOCH);
        assert_eq!(next.is_some(), fires, "{schedule:?}");
    }
}

#[test]
fn the_next_run_is_robfigs() {
    let berlin = Some("Europe/Berlin");
    for (schedule, zone, after, expected, why) in [
        (
            "0 3 * * *",
            None,
            "2026-01-01T03:00:00Z",
            "2026-01-02T03:00:00Z",
            "strictly after",
        ),
        (
            "0 3 * * *",
            None,
            "2026-01-01T02:59:59.9Z",
            "2026-01-01T03:00:00Z",
            "part of a second",
        ),
        (
            "0 3 * * *",
            berlin,
            "2026-07-01T00:00:00Z",
            "2026-07-01T01:00:00Z",
            "summer time",
        ),
        (
            "30 2 * * *",
            berlin,
            "2026-03-28T12:00:00Z",
            "2026-03-30T00:30:00Z",
            "left out in spring: no run",
        ),
        (
            "30 2 * * *",
            berlin,
            "2026-10-24T12:00:00Z",
            "2026-10-25T00:30:00Z",
            "repeated in autumn: the first",
        ),
        (
            "30 2 * * *",
            berlin,
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:30:00Z",
            "repeated in autumn: the second",
        ),
        (
            "0 0 1 * 1",
            None,
            "2026-01-01T00:00:00Z",
            "2026-01-05T00:00:00Z",
            "day of month or of week",
        ),
        (
            "0 0 */1 * 1",
            None,
            "2026-01-01T00:00:00Z",
            "2026-01-05T00:00:00Z",
            "a star with step 1 is a star",
        ),
        (
            "0 0 */2 * 1",
            None,
            "2026-01-01T00:00:00Z",
            "2026-01-03T00:00:00Z",
            "a star with step 2 is none",
        ),
        (
            "0 0 29 2 *",
            None,
            "2025-01-01T00:00:00Z",
            "2028-02-29T00:00:00Z",
            "leap year",
        ),
        (
            "@every 90s",
            None,
            "2026-01-01T00:00:00.5Z",
            "2026-01-01T00:01:30Z",
            "whole seconds",
        ),
        (
            "@weekly",
            None,
            "2026-01-01T00:00:00Z",
            "2026-01-04T00:00:00Z",
            "Sunday",
        ),
    ] {
        let next = next_after(schedule, zone, after.parse().unwrap());
        assert_eq!(next, Some(expected.parse().unwrap()), "{schedule:?} {why}");
    }
    assert_eq!(next_after("bad", None, Timestamp::UNIX_EPOCH), None);
    assert_eq!(
        next_after("* * * * *", Some("Mars/Base"), Timestamp::UNIX_EPOCH),
        None
    );
}

#[test]
fn a_time_zone_is_judged_as_kubernetes_judges_it() {
    for (name, ok) in [
        ("Europe/Berlin", true),
        ("UTC", true),
        ("Etc/GMT+5", true),
        ("America/Argentina/Buenos_Aires", true),
        ("europe/berlin", false),
        ("", false),
        ("Local", false),
        ("local", false),
        ("Europe//Berlin", false),
        ("../etc/passwd", false),
        ("Etc/Unknown", false),
        ("Europe/Nowhere", false),
        ("+02:00", false),
    ] {
        assert_eq!(time_zone(name).is_ok(), ok, "{name:?}");
    }
}

#[test]
fn h_is_read_as_jenkins_reads_it() {
    let segment = SegmentKey::new("granary", "demo").unwrap();
    let cluster = ClusterName::new("eu-1").unwrap();
    for (schedule, ok) in [
        ("H H H H H", true),
        ("H(0-29) 3 * * *", true),
        ("H/15 * * * *", true),
        ("H(10-20)/5 H(1-3),H(13-15) * * *", true),
        ("0 3 * * THU", true),
        ("H/1 * * * *", false),
        ("H/61 * * * *", false),
        ("H(0-60) * * * *", false),
        ("H(9-3) * * * *", false),
        ("H(5) * * * *", false),
        ("H(0-5 * * * *", false),
        ("H(0-5)x * * * *", false),
        ("H-5 * * * *", false),
        ("h * * * *", false),
        ("H * * *", false),
        ("H 25 * * *", false),
    ] {
        assert_eq!(check(schedule, "f").is_ok(), ok, "{schedule:?}");
        if ok {
            let replaced = replace_h(schedule, &segment, &cluster).unwrap();
            assert!(
                Schedule::parse(&replaced).is_ok(),
                "{schedule:?} became {replaced:?}"
            );
        }
    }
    let unchanged = " 0  3 * * THU";
    assert_eq!(replace_h(unchanged, &segment, &cluster).unwrap(), unchanged);
    assert_eq!(check("H  25 * * *", "f").unwrap_err().offset, Some(3));
}
