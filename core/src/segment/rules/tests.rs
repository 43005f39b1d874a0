//! Every rule refuses what it shall, with its code and the path of the field. What passes is in `tests/laws_render.rs`.

mod fields;

use crate::finding::{Code, Finding};
use crate::render::{HouseDefaults, base_findings, parse, render};
use crate::testing;
use segment_crds::Segment;
use serde_json::{Value, json};

/// The builder's Segment with values set at JSON pointers below `/spec`; null removes.
fn segment(changes: &[(&str, Value)]) -> Segment {
    let mut object = serde_json::to_value(testing::segment("granary/demo")).unwrap();
    for (pointer, value) in changes {
        let mut at = &mut object["spec"];
        let (parents, leaf) = pointer.rsplit_once('/').unwrap_or(("", pointer));
        for key in parents.split('/').filter(|key| !key.is_empty()) {
            at = match key.parse::<usize>() {
                Ok(index) => &mut at[index],
                Err(_) => &mut at[key],
            };
            if at.is_null() {
                *at = json!({});
            }
        }
        match value {
            Value::Null => drop(at.as_object_mut().unwrap().remove(leaf)),
            value => at[leaf] = value.clone(),
        }
    }
    serde_json::from_value(object).unwrap()
}

fn codes(findings: &[Finding]) -> Vec<(Code, &str)> {
    findings
        .iter()
        .map(|finding| (finding.code, &*finding.field))
        .collect()
}

#[test]
fn all_findings_come_at_once() {
    let findings = parse(&segment(&[
        ("cronjob/schedule", json!("x")),
        ("image/tag", json!("")),
        ("overrides", json!([{"cronjob": {"timeZone": "x"}}])),
    ]))
    .unwrap_err();
    assert_eq!(
        codes(&findings),
        [
            (Code::InvalidSchedule, "spec.cronjob.schedule"),
            (Code::InvalidValue, "spec.image.tag"),
            (Code::UnknownTimeZone, "spec.overrides[0].cronjob.timeZone"),
        ]
    );
}

#[test]
fn a_name_that_no_spoke_could_hold_is_refused() {
    for name in ["a".repeat(135), "Demo".to_owned(), String::new()] {
        let mut segment = testing::segment("granary/demo");
        segment.metadata.name = Some(name);
        assert_eq!(
            codes(&parse(&segment).unwrap_err()),
            [(Code::InvalidName, "metadata.name")]
        );
    }
}

#[test]
fn what_type_flexible_needs_is_the_query() {
    let flexible = ("env/TYPE", json!("flexible"));
    let no_clause = ("env/SOURCE_WHERE_CLAUSE", Value::Null);
    let findings = parse(&segment(&[flexible.clone(), no_clause.clone()])).unwrap_err();
    assert_eq!(
        codes(&findings),
        [(Code::RequiredVariable, "spec.env.SOURCE_QUERY")]
    );
    let query = (
        "env/SOURCE_QUERY",
        json!("select '100%' from t where a like 'x%%%%'"),
    );
    assert!(parse(&segment(&[flexible, no_clause, query])).is_ok());
}

/// Findings of the Segment on cluster eu-1 with the label env=prod.
#[track_caller]
fn on_cluster(changes: &[(&str, Value)], expected: &[(Code, &str)]) {
    let parsed = parse(&segment(changes)).unwrap();
    let view = testing::view("eu-1", &[("env", "prod"), ("odd", "a_.b")]);
    let findings = render(&parsed, &HouseDefaults::default(), &view)
        .err()
        .unwrap_or_default();
    assert_eq!(codes(&findings), expected, "{findings:?}");
}

#[test]
fn what_depends_on_the_cluster_is_a_finding_there() {
    use Code::{
        DuplicateVariable, InvalidName, RequiredVariable, SecretReference, UnknownReference,
    };
    on_cluster(&[], &[]);
    on_cluster(
        &[("env/DB_HOST", json!("$(cluster.labels['zone'])"))],
        &[(UnknownReference, "spec.env.DB_HOST")],
    );
    on_cluster(
        &[(
            "env/TARGET_SEGMENT_NAME",
            json!("$(cluster.labels['zone'])"),
        )],
        &[(UnknownReference, "spec.env.TARGET_SEGMENT_NAME")],
    );
    let long = format!("{}-$(cluster.name)", "x".repeat(60));
    on_cluster(
        &[("env/TARGET_SEGMENT_NAME", json!(long))],
        &[(InvalidName, "spec.env.TARGET_SEGMENT_NAME")],
    );
    on_cluster(
        &[("env/PROMETHEUS_JOB", json!("$(DB_PASSWORD)"))],
        &[(SecretReference, "spec.env.PROMETHEUS_JOB")],
    );
    on_cluster(
        &[("env/PROMETHEUS_JOB", json!("$$(DB_PASSWORD) $(OTHER)"))],
        &[],
    );
    on_cluster(
        &[(
            "overrides",
            json!([{"unset": {"env": ["TYPE"], "cronjob": ["schedule"]}}]),
        )],
        &[
            (RequiredVariable, "spec.env.TYPE"),
            (RequiredVariable, "spec.cronjob.schedule"),
        ],
    );
    on_cluster(
        &[(
            "overrides",
            json!([{}, {"env": {"TARGET_SEGMENT_NAME": ""}}]),
        )],
        &[(
            RequiredVariable,
            "spec.overrides[1].env.TARGET_SEGMENT_NAME",
        )],
    );
    on_cluster(
        &[(
            "overrides",
            json!([{"envFromSecrets": {"SOURCE_WHERE_CLAUSE": {"key": "a"}}}]),
        )],
        &[(
            DuplicateVariable,
            "spec.overrides[0].envFromSecrets.SOURCE_WHERE_CLAUSE",
        )],
    );
    on_cluster(
        &[
            ("overrides", json!([{"extraEnv": {"A": "$(TOKEN)"}}])),
            ("envFromSecrets", json!({"TOKEN": {"key": "a"}})),
        ],
        &[(SecretReference, "spec.overrides[0].extraEnv.A")],
    );
}

#[test]
fn the_distribution_column_may_be_empty_with_postgres_only() {
    let empty = ("env/CITUS_DIST_COL", json!(""));
    let required = [(Code::RequiredVariable, "spec.env.CITUS_DIST_COL")];
    // The house default decides, so that the resource alone is not refused.
    on_cluster(std::slice::from_ref(&empty), &required);
    on_cluster(&[empty.clone(), ("env/DB_TYPE", json!("postgres"))], &[]);
    on_cluster(
        &[
            empty.clone(),
            ("overrides", json!([{"env": {"DB_TYPE": "postgres"}}])),
        ],
        &[],
    );
    let findings = parse(&segment(&[empty.clone(), ("env/DB_TYPE", json!("citus"))])).unwrap_err();
    assert_eq!(codes(&findings), required);

    let parsed = parse(&segment(&[empty])).unwrap();
    assert_eq!(
        codes(&base_findings(&parsed, &HouseDefaults::default())),
        required
    );
    let postgres = [("DB_TYPE".to_owned(), "postgres".to_owned())];
    let postgres = HouseDefaults::from_env(postgres.into_iter()).unwrap();
    assert_eq!(base_findings(&parsed, &postgres), []);
    let rendered = render(&parsed, &postgres, &testing::view("eu-1", &[])).unwrap();
    assert_eq!(rendered.template().env["CITUS_DIST_COL"], "");
}

#[test]
fn a_variable_from_a_secret_replaces_its_default() {
    let parsed = parse(&segment(&[(
        "envFromSecrets",
        json!({"DB_HOST": {"key": "host"}}),
    )]))
    .unwrap();
    let rendered = render(
        &parsed,
        &HouseDefaults::default(),
        &testing::view("eu-1", &[]),
    )
    .unwrap();
    assert_eq!(rendered.template().env.get("DB_HOST"), None);
    assert_eq!(
        rendered.template().secret_env["DB_HOST"].secret,
        "grnry-pg-citus-secret"
    );
}

#[test]
fn what_is_too_large_is_refused_with_its_size() {
    let long = "x".repeat(32_000);
    let changes = [
        "PIVOT_PATHS",
        "PIVOT_TRANSFORMATIONS",
        "TARGET_SEGMENT_VIEWS",
        "TARGET_SEGMENT_INDEXES",
    ]
    .map(|name| (format!("env/{name}"), json!(long)));
    let changes: Vec<(&str, Value)> = changes
        .iter()
        .map(|(pointer, value)| (&**pointer, value.clone()))
        .collect();
    on_cluster(&changes, &[(Code::TooLarge, "spec")]);
}

#[test]
fn unicode_quotes_and_newlines_are_carried_exactly() {
    let text = "a = 'Ä\n''\t\"' -- \u{1f980} \\";
    let parsed = parse(&segment(&[("env/SOURCE_WHERE_CLAUSE", json!(text))])).unwrap();
    let rendered = render(
        &parsed,
        &HouseDefaults::default(),
        &testing::view("eu-1", &[]),
    )
    .unwrap();
    assert_eq!(rendered.template().env["SOURCE_WHERE_CLAUSE"], text);
}
