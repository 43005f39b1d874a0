//! Rules of lint, each with what it finds.

use super::*;
use crate::finding::Severity;
use crate::segment::parse;
use crate::testing;
use segment_crds::{Override, SegmentEnv};

fn now() -> Timestamp {
    "2026-11-25T12:00:00Z".parse().unwrap()
}

fn codes(findings: &[Finding]) -> Vec<(Code, &str, Severity)> {
    findings
        .iter()
        .map(|finding| (finding.code, &*finding.field, finding.severity))
        .collect()
}

/// The builder's Segment, with a condition that holds a reference.
fn by_region() -> Segment {
    let mut segment = testing::segment("granary/demo");
    segment.spec.env.source_where_clause = Some("region = $(cluster.labels['region'])".to_owned());
    segment
}

#[test]
fn what_a_cluster_puts_in_is_linted_there_only() {
    let defaults = HouseDefaults::default();
    let verdict = lint(&by_region(), &defaults, now());
    assert_eq!(codes(&verdict.findings), []);
    let parsed = verdict.parsed.unwrap();
    let good = testing::view("eu-1", &[("region", "eu")]);
    assert_eq!(lint_on(&parsed, &defaults, &good, now()), []);
    assert!(crate::render::render(&parsed, &defaults, &good).is_ok());
    // Two hyphens begin a comment: the rest of the condition would be left out.
    let comment = testing::view("eu-2", &[("region", "eu--2")]);
    let found = lint_on(&parsed, &defaults, &comment, now());
    let expected = (
        Code::SqlComment,
        "spec.env.SOURCE_WHERE_CLAUSE",
        Severity::Error,
    );
    assert_eq!(codes(&found), [expected]);
    let refused = crate::render::render(&parsed, &defaults, &comment).unwrap_err();
    assert_eq!(codes(&refused), [expected]);
}

#[test]
fn what_was_accepted_before_lint_stands_on_every_cluster() {
    let parsed = parse(&by_region()).unwrap();
    let comment = testing::view("eu-2", &[("region", "eu--2")]);
    assert!(crate::render::render(&parsed, &HouseDefaults::default(), &comment).is_ok());
}

#[test]
fn an_override_is_linted_with_what_it_changes() {
    let mut segment = testing::segment("granary/demo");
    segment.spec.overrides = vec![Override {
        env: SegmentEnv {
            target_segment_indexes: Some("(shop)".to_owned()),
            ..SegmentEnv::default()
        },
        ..Override::default()
    }];
    let verdict = lint(&segment, &HouseDefaults::default(), now());
    assert!(verdict.is_refused());
    assert_eq!(
        codes(&verdict.findings),
        [(
            Code::UnnamedIndex,
            "spec.overrides[0].env.TARGET_SEGMENT_INDEXES",
            Severity::Error
        )]
    );
}

#[test]
fn house_defaults_are_part_of_the_verdict() {
    let mut segment = testing::segment("granary/demo");
    segment.spec.env.db_type = None;
    segment.spec.env.citus_dist_col = Some(String::new());
    assert!(lint(&segment, &HouseDefaults::default(), now()).is_refused());
    let house = [("DB_TYPE".to_owned(), "postgres".to_owned())];
    let house = HouseDefaults::from_env(house.into_iter()).unwrap();
    assert!(!lint(&segment, &house, now()).is_refused());
}

#[test]
fn what_is_odd_is_a_warning_and_accepted() {
    let mut segment = testing::segment("granary/demo");
    segment.spec.env.type_ = Some("pivot".to_owned());
    segment.spec.env.generic_columns = Some("a".to_owned());
    segment.spec.env.debug = Some("true".to_owned());
    segment.spec.cronjob.schedule = Some("0 0 31 2 *".to_owned());
    let verdict = lint(&segment, &HouseDefaults::default(), now());
    let odd: Vec<_> = codes(&verdict.findings);
    for expected in [
        (Code::NotABoolean, "spec.env.DEBUG"),
        (Code::UnusedVariable, "spec.env.GENERIC_COLUMNS"),
        (Code::NeverDue, "spec.cronjob.schedule"),
    ] {
        assert!(
            odd.contains(&(expected.0, expected.1, Severity::Warning)),
            "{expected:?}: {odd:?}"
        );
    }
    assert!(!verdict.is_refused());
    assert_eq!(verdict.parsed.unwrap().warnings, verdict.findings);
}

#[test]
fn a_lone_percent_in_a_query_is_a_warning_at_its_place() {
    let mut segment = testing::segment("granary/demo");
    segment.spec.image.tag = Some("0.9.1".to_owned());
    let env = &mut segment.spec.env;
    env.type_ = Some("flexible".to_owned());
    env.source_where_clause = None;
    env.source_query = Some("select '100%' from t where a like 'x%%%%'".to_owned());
    let verdict = lint(&segment, &HouseDefaults::default(), now());
    let percent: Vec<_> = verdict
        .findings
        .iter()
        .filter(|finding| finding.field == "spec.env.SOURCE_QUERY")
        .collect();
    assert_eq!(percent.len(), 1, "{percent:?}");
    assert_eq!(
        (percent[0].code, percent[0].offset),
        (Code::LonePercent, Some(11))
    );
}
