//! Laws of lint for any Segment, and for hostile ones: no panic, offsets that are places in the value.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test shall fail at once"
)]

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use segment_core::finding::Finding;
use segment_core::lint::{lint, lint_on};
use segment_core::outcome::outcome;
use segment_core::segment::{HouseDefaults, effective};
use segment_core::testing;
use segment_crds::{Segment, SegmentEnv};

fn now() -> jiff::Timestamp {
    "2026-11-25T12:00:00Z".parse().unwrap()
}

/// The value of which a finding speaks.
fn value<'a>(segment: &'a Segment, field: &str) -> Option<&'a str> {
    let spec = &segment.spec;
    if let Some(name) = field.strip_prefix("spec.env.") {
        return spec.env.get(name);
    }
    if let Some(name) = field.strip_prefix("spec.extraEnv.") {
        return spec.extra_env.get(name).map(String::as_str);
    }
    if field == "spec.cronjob.schedule" {
        return spec.cronjob.schedule.as_deref();
    }
    let rest = field.strip_prefix("spec.overrides[")?;
    let (index, rest) = rest.split_once("].")?;
    let change = spec.overrides.get(index.parse::<usize>().unwrap())?;
    if let Some(name) = rest.strip_prefix("env.") {
        return change.env.get(name);
    }
    if let Some(name) = rest.strip_prefix("extraEnv.") {
        return change.extra_env.get(name).map(String::as_str);
    }
    (rest == "cronjob.schedule")
        .then_some(change.cronjob.schedule.as_deref())
        .flatten()
}

fn check(segment: &Segment) {
    let defaults = HouseDefaults::default();
    let verdict = lint(segment, &defaults, now());
    assert_eq!(
        verdict.is_refused(),
        verdict.findings.iter().any(Finding::is_error)
    );
    let mut findings = verdict.findings;
    if let Some(parsed) = verdict.parsed {
        let view = testing::view("eu-1", &[("env", "prod"), ("region", "a--b")]);
        let there = lint_on(&parsed, &defaults, &view, now());
        for finding in &there {
            assert!(!findings.contains(finding), "said twice: {finding}");
        }
        findings.extend(there);
        outcome(&effective(&parsed, &view.labels), &defaults);
    }
    for finding in findings {
        let Some(offset) = finding.offset else {
            continue;
        };
        let Some(value) = value(segment, &finding.field) else {
            panic!("an offset in a value that is not there: {finding}");
        };
        let offset = usize::try_from(offset).unwrap();
        assert!(
            value.is_char_boundary(offset),
            "{offset} is no place in {value:?}: {finding}"
        );
    }
}

/// Texts made of what the grammar is made of.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = select(
        &[
            "a",
            "ä",
            "/mail/topic",
            "=",
            "::",
            ":",
            "|",
            "||",
            ",",
            ";",
            "?",
            "'",
            "\"",
            "(",
            ")",
            "[",
            "]",
            " ",
            "\n",
            "text",
            "where ",
            "--",
            "/*",
            "$$",
            "%",
            "$(cluster.name)",
            "$(cluster.labels['region'])",
            "$(X)",
            "using hash",
            "\u{1f980}",
            "$(cluster",
        ][..],
    );
    vec(pieces, 0..24).prop_map(|pieces| pieces.concat())
}

fn hostile_segment() -> impl Strategy<Value = Segment> {
    let variable = || (select(SegmentEnv::NAMES), hostile());
    (
        select(&["pivot", "generic", "flexible", "x"][..]),
        vec(variable(), 0..10),
        vec(vec(variable(), 0..4), 0..3),
    )
        .prop_map(|(kind, variables, overrides)| {
            let mut segment = testing::segment("granary/demo");
            for (name, value) in variables {
                segment.spec.env.set(name, Some(value));
            }
            segment.spec.env.type_ = Some(kind.to_owned());
            segment.spec.overrides = overrides
                .into_iter()
                .map(|variables| {
                    let mut change = segment_crds::Override::default();
                    for (name, value) in variables {
                        change.env.set(name, Some(value));
                    }
                    change
                })
                .collect();
            segment
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_segment_has_a_verdict(segment in testing::segments()) {
        check(&segment);
    }

    #[test]
    fn any_text_has_a_verdict(segment in hostile_segment()) {
        check(&segment);
    }
}

/// Each list, text and map filled with the worst that it may hold. How long that takes, `cargo figures lint` measures.
#[test]
fn the_worst_values_have_a_verdict() {
    for worst in testing::worst(2 * 1024) {
        check(&worst.segment);
    }
    // Some are as large as a Segment can be: what is cut, skipped or refused by its size is another path.
    for worst in testing::worst(1024 * 1024).step_by(97) {
        check(&worst.segment);
    }
}
