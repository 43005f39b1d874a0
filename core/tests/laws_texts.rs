//! Laws of what users write as texts: lists, schedules, references to a cluster.

#![allow(clippy::unwrap_used, reason = "a test shall fail at once")]

use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use segment_core::ids::{ClusterName, SegmentKey};
use segment_core::lint::grammar::{Members, Span, definition, members, names, transformation};
use segment_core::segment::schedule::{Schedule, check, next_after, replace_h, time_zone, uses_h};
use segment_core::segment::template::{expand, references};
use segment_core::testing;

/// Any text, and texts that are made of what lists are made of.
fn texts() -> impl Strategy<Value = String> {
    let pieces = select(
        &[
            "a",
            "ä",
            " ",
            "\n",
            "\u{a0}",
            ",",
            "|",
            "||",
            ";;",
            "=",
            "::",
            ":",
            "'",
            "\"",
            "(",
            ")",
            "[",
            "]",
            "a=b::int",
            "\u{1f980}",
        ][..],
    );
    prop_oneof![
        3 => vec(pieces, 0..24).prop_map(|pieces| pieces.concat()),
        1 => any::<String>(),
    ]
}

fn separators() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(&[",", "|", "||", ";;", "=", "::", ":", "\n", " ", "ä", "a"][..]).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

/// A span is what it says, and nothing around it belongs to it.
fn is_place(value: &str, span: Span<'_>) -> Result<(), TestCaseError> {
    prop_assert_eq!(value.get(span.offset..span.end()), Some(span.text));
    prop_assert_eq!(span.text.trim(), span.text);
    Ok(())
}

/// Members and what is empty, with one separator and white space between them, are the whole text.
fn gives_back(value: &str, list: &Members<'_>, separator: &str) -> Result<(), TestCaseError> {
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for member in &list.members {
        is_place(value, *member)?;
        prop_assert!(!member.text.is_empty());
        parts.push((member.offset, member.end()));
    }
    parts.extend(list.empty.iter().map(|at| (*at, *at)));
    parts.sort_unstable();
    let (Some(begin), Some(end)) = (parts.first(), parts.last()) else {
        prop_assert_eq!(value.trim(), "");
        return Ok(());
    };
    prop_assert_eq!(value[..begin.0].trim(), "");
    prop_assert_eq!(value[end.1..].trim(), "");
    for pair in parts.windows(2) {
        let between = &value[pair[0].1..pair[1].0];
        let is_one = between.match_indices(separator).any(|(at, _)| {
            between[..at].trim().is_empty() && between[at + separator.len()..].trim().is_empty()
        });
        prop_assert!(is_one, "{:?} is no {:?}", between, separator);
    }
    for at in &list.inside {
        prop_assert!(value[*at..].starts_with(separator));
        let member = list
            .members
            .iter()
            .find(|m| m.offset <= *at && *at < m.end());
        prop_assert!(member.is_some(), "{} is in no member", at);
    }
    Ok(())
}

/// One part of a field of a schedule: its text and the values that it may become.
#[derive(Clone, Debug)]
struct Part {
    text: String,
    low: u64,
    high: u64,
    step: Option<u64>,
    h: bool,
}

/// Any legal form of `H`, and a number, within a field.
fn part(min: u64, max: u64) -> impl Strategy<Value = Part> {
    let range = (min..=max, min..=max).prop_map(|(a, b)| (a.min(b), a.max(b)));
    // Every month has 28 days.
    let all = if max == 31 { (1, 28) } else { (min, max) };
    let h = |text: String, (low, high): (u64, u64), step| Part {
        text,
        low,
        high,
        step,
        h: true,
    };
    prop_oneof![
        Just(h("H".to_owned(), all, None)),
        range
            .clone()
            .prop_map(move |(a, b)| h(format!("H({a}-{b})"), (a, b), None)),
        (2..=all.1 - all.0).prop_map(move |step| h(format!("H/{step}"), all, Some(step))),
        (range, any::<u64>()).prop_map(move |((a, b), step)| {
            let size = b - a + 1;
            if size < 2 {
                return h(format!("H({a}-{b})"), (a, b), None);
            }
            let step = 2 + step % (size - 1);
            h(format!("H({a}-{b})/{step}"), (a, b), Some(step))
        }),
        (min..=max).prop_map(|n| Part {
            text: n.to_string(),
            low: n,
            high: n,
            step: None,
            h: false
        }),
    ]
}

/// The five fields, each a list.
fn fields() -> impl Strategy<Value = Vec<Vec<Part>>> {
    (
        vec(part(0, 59), 1..4),
        vec(part(0, 23), 1..4),
        vec(part(1, 31), 1..4),
        vec(part(1, 12), 1..4),
        vec(part(0, 6), 1..4),
    )
        .prop_map(|(minute, hour, day, month, weekday)| vec![minute, hour, day, month, weekday])
}

fn written(fields: &[Vec<Part>]) -> String {
    let field = |parts: &Vec<Part>| {
        let texts: Vec<&str> = parts.iter().map(|part| part.text.as_str()).collect();
        texts.join(",")
    };
    fields.iter().map(field).collect::<Vec<_>>().join(" ")
}

/// Whether a part of the replaced schedule is one that the part as written may become.
fn is_one_of(part: &Part, became: &str) -> bool {
    let number = |text: &str| text.parse::<u64>().ok();
    match part.step.filter(|_| part.h) {
        None => number(became).is_some_and(|value| (part.low..=part.high).contains(&value)),
        Some(step) => became
            .split_once('/')
            .and_then(|(range, by)| Some((range.split_once('-')?, by)))
            .is_some_and(|((from, to), by)| {
                number(by) == Some(step)
                    && number(to) == Some(part.high)
                    && number(from).is_some_and(|from| (part.low..part.low + step).contains(&from))
            }),
    }
}

fn schedules() -> impl Strategy<Value = String> {
    let field = |max: u64| {
        prop_oneof![
            Just("*".to_owned()),
            (1..=max).prop_map(|value| value.to_string()),
            (1..=max).prop_map(|step| format!("*/{step}")),
            (1..=max, 1..=max).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        ]
    };
    prop_oneof![
        8 => (field(59), field(23), field(31), field(12), field(6))
            .prop_map(|(a, b, c, d, e)| format!("{a} {b} {c} {d} {e}")),
        1 => (1..100_000u32).prop_map(|seconds| format!("@every {seconds}s")),
        1 => select(&["@hourly", "@daily", "@weekly", "@monthly", "@yearly"][..]).prop_map(str::to_owned),
    ]
}

fn zones() -> impl Strategy<Value = &'static str> {
    select(
        &[
            "UTC",
            "Europe/Berlin",
            "America/New_York",
            "Australia/Lord_Howe",
            "Africa/Casablanca",
            "Asia/Kathmandu",
        ][..],
    )
}

/// Some time of twenty years, to the nanosecond.
fn times() -> impl Strategy<Value = Timestamp> {
    (1_700_000_000..2_330_000_000i64, 0..1_000_000_000i32)
        .prop_map(|(second, nanosecond)| Timestamp::new(second, nanosecond).unwrap())
}

/// What references are made of, whole and broken.
fn values() -> impl Strategy<Value = String> {
    let pieces = select(
        &[
            "$",
            "$$",
            "(",
            ")",
            "$(",
            "$()",
            "$(X)",
            "cluster",
            "$(cluster",
            "$(cluster)",
            "$(cluster.name)",
            "$(cluster.labels['env'])",
            "$(cluster.labels['none'])",
            "$(cluster.annotations['a'])",
            "'",
            "ä",
            "x",
        ][..],
    );
    prop_oneof![
        3 => vec(pieces, 0..16).prop_map(|pieces| pieces.concat()),
        1 => any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn members_and_separators_give_back_the_text(
        value in texts(), separator in separators(), definition in separators(), result in separators(),
    ) {
        let list = members(&value, &separator, &definition, Some(&result));
        if separator.is_empty() {
            prop_assert!(list.members.len() <= 1 && list.empty.is_empty());
        } else {
            gives_back(&value, &list, &separator)?;
        }
        gives_back(&value, &names(&value), ",")?;
    }

    #[test]
    fn the_parts_of_a_member_are_the_member(
        value in texts(), separator in separators(), result in separators(), offset in 0..9usize,
    ) {
        let value = value.trim();
        let text = format!("{}{value}", " ".repeat(offset));
        let whole = Span { text: value, offset };
        let parts = definition(whole, &separator);
        is_place(&text, parts.body)?;
        if let Some(name) = parts.name {
            is_place(&text, name)?;
            let at = offset + value.find(&separator).unwrap();
            prop_assert_eq!(text[offset..at].trim(), name.text);
            prop_assert_eq!(text[at + separator.len()..].trim(), parts.body.text);
        } else {
            prop_assert_eq!(parts.body, whole);
            prop_assert!(separator.is_empty() || !value.contains(&separator));
        }
        let three = transformation(whole, &separator, &result);
        prop_assert_eq!(three.name, parts.name);
        is_place(&text, three.sql)?;
        if let Some(kind) = three.result {
            is_place(&text, kind)?;
            prop_assert!(three.sql.end() + result.len() <= kind.offset);
        } else {
            prop_assert_eq!(three.sql, parts.body);
        }
    }

    #[test]
    fn h_becomes_a_value_of_its_range(fields in fields(), segment in "[a-z]{1,9}", cluster in "[a-z]{1,9}") {
        let text = written(&fields);
        let key = SegmentKey::new("granary", &segment).unwrap();
        let cluster = ClusterName::new(&cluster).unwrap();
        prop_assert_eq!(check(&text, "f"), Ok(()), "{}", &text);
        let replaced = replace_h(&text, &key, &cluster).unwrap();
        prop_assert_eq!(&replace_h(&text, &key, &cluster).unwrap(), &replaced);
        prop_assert!(!uses_h(&replaced) && Schedule::parse(&replaced).is_ok(), "{} became {}", text, replaced);
        let became: Vec<Vec<&str>> = replaced.split(' ').map(|field| field.split(',').collect()).collect();
        prop_assert_eq!(became.len(), fields.len());
        for (parts, became) in fields.iter().zip(became) {
            prop_assert_eq!(parts.len(), became.len());
            for (part, became) in parts.iter().zip(became) {
                prop_assert!(is_one_of(part, became), "{} became {}", part.text, became);
            }
        }
    }

    #[test]
    fn no_schedule_makes_a_reader_panic(text in "[H0-9*?/,()@ a-zA-Z+.-]{0,24}") {
        let key = SegmentKey::new("granary", "demo").unwrap();
        let replaced = replace_h(&text, &key, &ClusterName::new("eu-1").unwrap());
        if check(&text, "f").is_ok() {
            prop_assert!(Schedule::parse(&replaced.unwrap()).is_ok());
        }
        let _ = next_after(&text, None, Timestamp::UNIX_EPOCH);
    }

    #[test]
    fn the_next_run_is_later_and_never_before_that_of_an_earlier_time(
        schedule in schedules(), zone in zones(), after in times(), more in 0..10_000_000i64,
    ) {
        let zone = time_zone(zone).unwrap();
        let parsed = Schedule::parse(&schedule).unwrap();
        let next = |after: Timestamp| parsed.next_after(&zone, after);
        let later = after + SignedDuration::from_secs(more);
        let (Some(first), Some(second)) = (next(after), next(later)) else {
            return Ok(());
        };
        prop_assert!(first > after);
        prop_assert!(first <= second, "{} after {}, {} after {}", first, after, second, later);
        if !schedule.starts_with('@') || !schedule.contains("every") {
            // Nothing was passed over.
            prop_assert_eq!(next(first - SignedDuration::from_nanos(1)), Some(first));
        }
    }

    #[test]
    fn a_value_for_a_cluster_is_bounded_and_final(value in values(), env in "[a-z]{0,63}") {
        let view = testing::view("eu-1", &[("env", &env)]);
        let found = references(&value, "f");
        match expand(&value, &view, "f") {
            Ok(expanded) => {
                // The shortest reference has 15 bytes, what it stands for 253.
                prop_assert!(expanded.len() <= value.len() * 17);
                let again = expand(&expanded, &view, "f");
                prop_assert_eq!(again.as_deref(), Ok(&*expanded));
                if found == Ok(Vec::new()) {
                    prop_assert_eq!(&*expanded, &*value);
                }
            }
            Err(finding) => {
                let offset = usize::try_from(finding.offset.unwrap()).unwrap();
                prop_assert!(value[offset..].starts_with("$(cluster"));
            }
        }
    }
}
