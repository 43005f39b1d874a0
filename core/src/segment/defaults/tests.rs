use super::*;

fn from(pairs: &[(&str, &str)]) -> Result<HouseDefaults, Vec<Finding>> {
    HouseDefaults::from_env(
        pairs
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned())),
    )
}

#[test]
fn an_environment_without_our_variables_gives_the_built_in_table() {
    assert_eq!(
        from(&[("PATH", "/bin"), ("HOME", "")]),
        Ok(HouseDefaults::default())
    );
    assert!(
        HouseDefaults::default()
            .effective()
            .iter()
            .all(|default| !default.changed)
    );
    assert_eq!(HouseDefaults::default().effective().len(), 31);
}

#[test]
fn every_default_can_be_replaced_by_its_variable() {
    let pairs = [
        ("CRONJOB_CONCURRENCY_POLICY", "Forbid"),
        ("CRONJOB_FAILED_JOBS_HISTORY_LIMIT", "3"),
        ("CRONJOB_SUCCESSFUL_JOBS_HISTORY_LIMIT", "0"),
        ("COLUMN_PLACEHOLDER", "§"),
        ("DB_HOST", "grnry-pg"),
        ("DB_NAME", "postgresql-database"),
        ("DB_PASSWORD", "postgresql-password"),
        ("DB_PORT", "6432"),
        ("DB_SECRET", "grnry-pg"),
        ("DB_TYPE", "postgres"),
        ("DB_USER", "postgresql-username"),
        ("DB_USE_SSL", "False"),
        ("DB_USE_VIEWS", "True"),
        ("DEBUG", "True"),
        ("DEFINITION_SEPARATOR", ":="),
        ("IMAGE_PULL_POLICY", "Always"),
        ("IMAGE_PULL_SECRETS", "one, two,,one"),
        (
            "IMAGE_REPOSITORY",
            "hub.syncier.cloud/grnry/segment-table-creation",
        ),
        ("IMAGE_RESTART_POLICY", "Never"),
        ("IMAGE_TAG", "0.9.1"),
        ("POD_SECURITY", "restricted"),
        ("PROMETHEUS_JOB", ""),
        ("PROMETHEUS_PUSHGATEWAY", "push:9091"),
        ("SOURCE_SCHEMA_NAME", "a"),
        ("SOURCE_TABLE_NAME", "b"),
        ("TARGET_SCHEMA_NAME", "c"),
        ("TARGET_SEGMENT_INDEX_SEPARATOR", ";"),
        ("TARGET_SEGMENT_VIEW_DEFINITION_SEPARATOR", "->"),
        ("TARGET_SEGMENT_VIEW_SEPARATOR", ";"),
        ("TRANSFORMATION_SEPARATOR", ";"),
        ("TYPE_SEPARATOR", "~"),
    ];
    let defaults = from(&pairs).unwrap();
    let expected: BTreeMap<&str, &str> = pairs
        .into_iter()
        .map(|(name, value)| {
            (
                name,
                if name == "IMAGE_PULL_SECRETS" {
                    "one,two"
                } else {
                    value
                },
            )
        })
        .collect();
    let effective = defaults.effective();
    let got: BTreeMap<&str, &str> = effective
        .iter()
        .map(|d| (&*d.variable, &*d.value))
        .collect();
    assert_eq!(got, expected);
    assert!(effective.iter().all(|default| default.changed));
    let json = serde_json::to_value(&defaults).unwrap();
    assert_eq!(
        serde_json::from_value::<HouseDefaults>(json).unwrap(),
        defaults
    );
}

#[test]
fn a_variable_that_could_not_work_is_reported_by_name() {
    for (name, value) in [
        ("CRONJOB_CONCURRENCY_POLICY", "allow"),
        ("CRONJOB_FAILED_JOBS_HISTORY_LIMIT", "-1"),
        ("CRONJOB_SUCCESSFUL_JOBS_HISTORY_LIMIT", "many"),
        ("DB_HOST", ""),
        ("DB_HOST", "pg-$(cluster.name)"),
        ("DB_PORT", "tcp://10.0.0.7:5432"),
        ("DB_PORT", "0"),
        ("DB_PORT", "65536"),
        ("DB_SECRET", "A"),
        ("DB_TYPE", "mysql"),
        ("DB_USER", "a/b"),
        ("DB_USE_SSL", "true"),
        ("DEBUG", "1"),
        ("IMAGE_PULL_POLICY", "Sometimes"),
        ("IMAGE_PULL_SECRETS", "a,B"),
        ("IMAGE_REPOSITORY", "r.io/x:1"),
        ("IMAGE_RESTART_POLICY", "Always"),
        ("IMAGE_TAG", "sha256:short"),
        ("POD_SECURITY", "privileged"),
        ("PROMETHEUS_JOB", "$(DB_PASSWORD)"),
        ("TYPE_SEPARATOR", ""),
    ] {
        let findings = from(&[(name, value)]).unwrap_err();
        assert_eq!(findings.len(), 1, "{name}={value}");
        assert_eq!(findings[0].field, name);
    }
    let both = from(&[("DEBUG", "1"), ("DB_PORT", "x")]).unwrap_err();
    assert_eq!(
        both.iter().map(|f| &*f.field).collect::<Vec<_>>(),
        ["DB_PORT", "DEBUG"]
    );
}
