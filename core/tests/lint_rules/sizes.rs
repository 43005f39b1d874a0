//! What is larger than the resource or an agent takes: Segments too large for the table.

use crate::table::found;
use segment_core::finding::{Code, Finding};
use segment_core::testing;
use segment_crds::limits::{
    LONG_VALUE_MAX_CHARS, OVERRIDES_MAX, SCHEDULE_MAX_CHARS, VARIABLES_MAX,
};
use segment_crds::{Override, SecretRef, Segment};

/// Where something is too large with one more than may be; with as many as may be nothing is found there.
fn bound(most: usize, place: &str, set: impl Fn(&mut Segment, usize)) {
    let too_large = |count: usize| -> Vec<Finding> {
        let mut segment = testing::segment("granary/demo");
        set(&mut segment, count);
        let found = found(&segment).into_iter();
        found
            .filter(|(finding, there)| finding.code == Code::TooLarge && !there)
            .map(|(finding, _)| finding)
            .collect()
    };
    assert_eq!(too_large(most), [], "{place}");
    let findings = too_large(most + 1);
    assert_eq!(findings.len(), 1, "{place}: {findings:?}");
    assert!(
        findings[0].is_error() && findings[0].field == place,
        "{findings:?}"
    );
    assert!(
        findings[0].message.contains(&format!("at most {most}")),
        "{findings:?}"
    );
}

#[test]
fn what_is_longer_than_the_schema_has_it_is_refused() {
    let text = |count: usize| Some("ä".repeat(count));
    bound(
        LONG_VALUE_MAX_CHARS,
        "spec.env.SOURCE_WHERE_CLAUSE",
        |segment, count| {
            segment.spec.env.source_where_clause = text(count);
        },
    );
    bound(1_024, "spec.env.DB_HOST", |segment, count| {
        segment.spec.env.db_host = text(count);
    });
    bound(512, "spec.env.TARGET_SEGMENT_NAME", |segment, count| {
        segment.spec.env.target_segment_name = text(count);
    });
    bound(
        SCHEDULE_MAX_CHARS,
        "spec.cronjob.schedule",
        |segment, count| {
            segment.spec.cronjob.schedule = text(count);
        },
    );
    bound(
        SCHEDULE_MAX_CHARS,
        "spec.overrides[0].cronjob.schedule",
        |segment, count| {
            let mut change = Override::default();
            change.cronjob.schedule = text(count);
            segment.spec.overrides = vec![change];
        },
    );
}

#[test]
fn more_than_the_schema_has_are_refused() {
    let variables = |count: usize| {
        (0..count)
            .map(|n| (format!("A{n}"), String::new()))
            .collect()
    };
    let secrets = |count: usize| {
        let reference = SecretRef {
            secret: None,
            key: Some("key".to_owned()),
        };
        (0..count)
            .map(|n| (format!("A{n}"), reference.clone()))
            .collect()
    };
    bound(OVERRIDES_MAX, "spec.overrides", |segment, count| {
        segment.spec.overrides = vec![Override::default(); count];
    });
    bound(VARIABLES_MAX, "spec.extraEnv", |segment, count| {
        segment.spec.extra_env = variables(count);
    });
    bound(VARIABLES_MAX, "spec.envFromSecrets", |segment, count| {
        segment.spec.env_from_secrets = secrets(count);
    });
    bound(
        VARIABLES_MAX,
        "spec.overrides[0].extraEnv",
        |segment, count| {
            segment.spec.overrides = vec![Override {
                extra_env: variables(count),
                ..Override::default()
            }];
        },
    );
    bound(
        VARIABLES_MAX,
        "spec.overrides[0].envFromSecrets",
        |segment, count| {
            segment.spec.overrides = vec![Override {
                env_from_secrets: secrets(count),
                ..Override::default()
            }];
        },
    );
}

#[test]
fn what_no_agent_takes_is_refused_on_the_cluster() {
    let mut segment = testing::segment("granary/demo");
    segment.spec.extra_env = [("A".to_owned(), "x".repeat(90_000))].into();
    assert_eq!(found(&segment), []);
    segment.spec.extra_env = [("A".to_owned(), "x".repeat(100_000))].into();
    let findings = found(&segment);
    assert_eq!(findings.len(), 1, "{findings:?}");
    let (finding, there) = &findings[0];
    assert_eq!(
        (finding.code, &*finding.field, *there),
        (Code::TooLarge, "spec", true)
    );
}
