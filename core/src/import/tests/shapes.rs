//! One document, one Segment.

use super::*;
use crate::export::{clean, to_api, to_helm_values, to_resource};
use crate::testing;
use proptest::prelude::*;

fn named(name: &str) -> Naming {
    Naming {
        name: Some(name.to_owned()),
        namespace: Some("granary".to_owned()),
    }
}

#[track_caller]
fn refused(document: &Value) -> Vec<(Code, String)> {
    import(document, &Naming::default())
        .unwrap_err()
        .into_iter()
        .map(|finding| (finding.code, finding.field))
        .collect()
}

#[test]
fn shapes_are_told_apart() {
    for (file, expected) in [
        ("segment-pivot.yaml", Shape::Segment),
        ("granary-api.json", Shape::Api),
        ("granary-api-generic.json", Shape::Api),
        ("helm-values.yaml", Shape::HelmValues),
    ] {
        assert_eq!(shape(&example(file)), Some(expected), "{file}");
    }
    assert_eq!(shape(&json!({"kind": "CronJob"})), Some(Shape::CronJob));
    for document in [
        json!({"kind": "ConfigMap", "data": {}}),
        json!({"items": []}),
        json!([]),
        json!("x"),
        json!({}),
    ] {
        assert_eq!(shape(&document), None, "{document}");
        assert_eq!(refused(&document).len(), 1, "{document}");
    }
}

#[test]
fn an_api_body_becomes_a_segment() {
    let imported = import(&example("granary-api.json"), &Naming::default()).unwrap();
    let segment = &imported.segment;
    assert_eq!(segment.metadata.name.as_deref(), Some("loyal-customers"));
    assert_eq!(
        segment.spec.display_name.as_deref(),
        Some("Loyal customers")
    );
    let annotations = segment.metadata.annotations.as_ref().unwrap();
    assert_eq!(
        annotations["segment.grnry.io/api-labels"],
        r#"["crm","weekly"]"#
    );
    assert_eq!(segment.spec.env.target_segment_views.as_deref(), Some(""));
    let notes = notes(&imported);
    for part in [
        "id is absent: the Segment is named loyal-customers",
        "data.env.TARGET_SEGMENT_VIEWS is absent: filled in as the empty string",
        "data.env.TARGET_SEGMENT_INDEXES is absent: filled in as the empty string",
    ] {
        assert!(notes.contains(part), "{part} in:\n{notes}");
    }
    let imported = import(&example("granary-api-generic.json"), &Naming::default()).unwrap();
    assert_eq!(
        imported.segment.metadata.name.as_deref(),
        Some("search-terms-raw")
    );
    // With postgres the column may be empty, so that it is filled in.
    assert_eq!(
        imported.segment.spec.env.citus_dist_col.as_deref(),
        Some("")
    );
    parse_of(&imported.segment);
}

#[track_caller]
fn parse_of(segment: &Segment) {
    let mut segment = segment.clone();
    segment.metadata.namespace = Some("granary".to_owned());
    parse(&segment).unwrap();
}

#[test]
fn helm_values_become_a_segment() {
    let imported = import(&example("helm-values.yaml"), &Naming::default()).unwrap();
    let segment = &imported.segment;
    assert_eq!(segment.metadata.name.as_deref(), Some("app-installs"));
    let env = &segment.spec.env;
    assert_eq!(env.db_port.as_deref(), Some("5432"));
    assert_eq!(env.db_use_ssl.as_deref(), Some("True"));
    assert_eq!(env.debug.as_deref(), Some("True"));
    assert_eq!(env.pivot_paths.as_deref(), Some(""));
    assert_eq!(env.target_segment_views.as_deref(), Some(""));
    let notes = notes(&imported);
    for part in [
        r#"env.DB_PORT is a number without quotes: taken as the text "5432""#,
        r#"env.DEBUG is a boolean without quotes: taken as the text "True""#,
        "env.TARGET_SEGMENT_VIEWS is absent: filled in",
        "env.TARGET_SEGMENT_NAME gives the Segment its name, app-installs",
    ] {
        assert!(notes.contains(part), "{part} in:\n{notes}");
    }
    parse_of(segment);
}

#[test]
fn what_has_no_place_is_said() {
    let mut values = example("helm-values.yaml");
    values["replicaCount"] = json!(1);
    values["cronjob"]["parallelism"] = json!(2);
    values["cronjob"]["successfulJobsHistoryLimit"] = json!("4");
    values["cronjob"]["schedule"] = json!("TZ=Europe/Berlin 5 4 * * *");
    values["image"]["tag"] = json!(0.9);
    values["image"]["pullSecrets"] = json!([{"name": "a"}, "b"]);
    values["env"]["MY_FLAG"] = json!(false);
    values["env"]["DB_HOST"] = json!("");
    values["env"]["DB_PASSWORD"] = json!("hunter2");
    values["env"]["DB_TYPE"] = Value::Null;
    values["envFromSecrets"]["DB_USER"]["namespace"] = json!("x");
    let imported = import(&values, &named("installs")).unwrap();
    let spec = &imported.segment.spec;
    assert_eq!(spec.extra_env["MY_FLAG"], "False");
    assert_eq!(spec.env.db_host, None);
    assert_eq!(spec.image.tag.as_deref(), Some("0.9"));
    assert_eq!(spec.image.pull_secrets.as_deref(), Some("a,b"));
    assert_eq!(spec.cronjob.successful_jobs_history_limit, Some(4));
    assert_eq!(spec.cronjob.schedule.as_deref(), Some("5 4 * * *"));
    assert_eq!(spec.cronjob.time_zone.as_deref(), Some("Europe/Berlin"));
    let notes = notes(&imported);
    assert!(!notes.contains("hunter2"), "{notes}");
    for field in [
        "replicaCount is not read",
        "cronjob.parallelism is not a known setting",
        "cronjob.schedule names the time zone",
        "env.MY_FLAG is not a variable of the script: moved to spec.extraEnv",
        "env.DB_HOST is empty and must not be",
        "env.DB_PASSWORD always comes from a Secret",
        "env.DB_TYPE has no value",
        "envFromSecrets.DB_USER.namespace is not known",
    ] {
        assert!(notes.contains(field), "{field} in:\n{notes}");
    }
}

#[test]
fn what_is_required_is_found_where_the_document_has_it() {
    let required = |field: &str| (Code::RequiredVariable, field.to_owned());
    assert_eq!(
        refused(&json!({"env": {"TYPE": "flexible"}})),
        [
            required("cronjob.schedule"),
            required("env.TARGET_SEGMENT_NAME"),
            required("env.SOURCE_QUERY"),
            required("env.CITUS_DIST_COL"),
        ]
    );
    let mut body = example("granary-api.json");
    body["data"]["env"].as_object_mut().unwrap().remove("TYPE");
    body["data"]["env"]["SOURCE_WHERE_CLAUSE"] = json!(" ");
    body["metadata"]["displayName"] = json!("");
    assert_eq!(
        refused(&body),
        [
            required("data.env.TYPE"),
            required("data.env.SOURCE_WHERE_CLAUSE"),
            required("metadata.displayName"),
        ]
    );
}

#[test]
fn what_is_not_of_its_type_has_its_place() {
    let invalid = |field: &str| (Code::InvalidValue, field.to_owned());
    let mut values = example("helm-values.yaml");
    values["env"]["PIVOT_PATHS"] = json!(["/a"]);
    values["cronjob"]["concurrencyPolicy"] = json!("Sometimes");
    values["envFromSecrets"]["DB_USER"] = json!("x");
    values["image"] = json!("x");
    assert_eq!(
        refused(&values),
        [
            invalid("cronjob.concurrencyPolicy"),
            invalid("image"),
            invalid("envFromSecrets.DB_USER"),
            invalid("env.PIVOT_PATHS"),
        ]
    );
    let mut segment = example("segment-pivot.yaml");
    segment["spec"]["env"]["DB_PORT"] = json!(5432);
    segment["spec"]["cronjob"]["suspend"] = json!("no");
    assert_eq!(
        refused(&segment),
        [invalid("spec.cronjob.suspend"), invalid("spec.env.DB_PORT")]
    );
    let mut segment = example("segment-pivot.yaml");
    segment["spec"]["env"]["PIVOT_PATH"] = json!("/a");
    segment["spec"]["overrides"] = json!([{"clusterSelectr": {"matchLabels": {"a": "b"}}}]);
    assert_eq!(
        refused(&segment),
        [
            invalid("spec.env.PIVOT_PATH"),
            invalid("spec.overrides[0].clusterSelectr")
        ]
    );
    let mut body = example("granary-api.json");
    body["data"]["clusterSelector"] = json!({"matchLabel": {"a": "b"}});
    assert_eq!(refused(&body), [invalid("data.clusterSelector.matchLabel")]);
}

#[test]
fn a_document_that_is_too_deep_or_too_large_is_refused() {
    let mut deep = json!("x");
    for _ in 0..MAX_DEPTH {
        deep = json!([deep]);
    }
    let mut values = example("helm-values.yaml");
    values["env"]["PIVOT_PATHS"] = deep;
    assert_eq!(refused(&values), [(Code::TooLarge, String::new())]);
    values["env"]["PIVOT_PATHS"] = json!("x".repeat(MAX_DOCUMENT_BYTES));
    assert_eq!(refused(&values), [(Code::TooLarge, String::new())]);
    let list = json!({"items": vec![Value::Null; MAX_ITEMS + 1]});
    assert_eq!(split(list).unwrap_err().code, Code::TooLarge);
}

#[test]
fn a_list_is_split() {
    let list = json!({"kind": "List", "items": [{"a": 1}, {"b": 2}]});
    let paths: Vec<String> = split(list)
        .unwrap()
        .into_iter()
        .map(|item| item.0)
        .collect();
    assert_eq!(paths, ["items[0]", "items[1]"]);
    let config = json!({"kind": "ConfigMap", "items": []});
    assert_eq!(split(config.clone()).unwrap(), [(String::new(), config)]);
}

#[test]
fn a_servers_segment_becomes_a_file() {
    let mut document = example("segment-generic.yaml");
    document["metadata"]["uid"] = json!("7b0d9c3e-2f51-4c1f-9d55-0f6d1a3a9b11");
    document["metadata"]["managedFields"] = json!([{"manager": "kubectl"}]);
    document["metadata"]["annotations"] =
        json!({"kubectl.kubernetes.io/last-applied-configuration": "{}"});
    document["status"] = json!({"ready": "1/1"});
    let imported = import(&document, &Naming::default()).unwrap();
    assert_eq!(
        to_resource(&imported.segment),
        to_resource(
            &import(&example("segment-generic.yaml"), &Naming::default())
                .unwrap()
                .segment
        )
    );
    assert_eq!(imported.segment.metadata.uid, None);
}

#[test]
fn a_field_of_the_segment_has_its_place_in_each_shape() {
    for (shape, field, expected) in [
        (Shape::Segment, "spec.env.TYPE", "spec.env.TYPE"),
        (Shape::Api, "spec.env.TYPE", "data.env.TYPE"),
        (Shape::Api, "spec.extraEnv.A", "data.env.A"),
        (Shape::Api, "spec.displayName", "metadata.displayName"),
        (Shape::Api, "metadata.name", "id"),
        (
            Shape::HelmValues,
            "spec.cronjob.schedule",
            "cronjob.schedule",
        ),
        (Shape::CronJob, "spec.cronjob.schedule", "spec.schedule"),
        (
            Shape::CronJob,
            "spec.cronjob.backoffLimit",
            "spec.jobTemplate.spec.backoffLimit",
        ),
    ] {
        assert_eq!(shape.field(field), expected, "{shape:?} {field}");
    }
}

#[test]
fn the_examples_come_back_from_every_form() {
    for file in ["granary-api.json", "granary-api-generic.json"] {
        let segment = import(&example(file), &Naming::default()).unwrap().segment;
        let (body, notes) = to_api(&segment);
        assert_eq!(notes, [], "{file}");
        let again = import(&body, &Naming::default()).unwrap();
        assert_eq!(again.notes, [], "{file}");
        assert_eq!(again.segment, segment, "{file}");
    }
    let segment = import(&example("helm-values.yaml"), &named("app-installs"))
        .unwrap()
        .segment;
    let (values, notes) = to_helm_values(&segment);
    assert_eq!(notes, []);
    let again = import(&values, &named("app-installs")).unwrap();
    assert_eq!(again.notes, []);
    assert_eq!(again.segment, segment);
    assert_eq!(spec_of(&again.segment, "a"), spec_of(&segment, "a"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn an_api_body_comes_back(segment in testing::segments()) {
        let mut segment = clean(&segment);
        segment.spec.display_name = Some("Demo".to_owned());
        let (body, notes) = to_api(&segment);
        prop_assert_eq!(notes, []);
        let naming = Naming { name: None, namespace: segment.metadata.namespace.clone() };
        let again = import(&body, &naming).unwrap();
        // The form has no empty text where the script must have one: the default holds on both sides.
        prop_assert_eq!(strip(&again.segment), strip(&segment));
    }

    #[test]
    fn a_resource_comes_back(segment in testing::segments()) {
        let again = import(&to_resource(&segment), &Naming::default()).unwrap();
        prop_assert_eq!(again.segment, clean(&segment));
    }

    #[test]
    fn helm_values_come_back(segment in testing::segments()) {
        let mut carried = clean(&segment);
        carried.spec.overrides.clear();
        carried.spec.cluster_selector = None;
        let settings = &mut carried.spec.cronjob;
        *settings = segment_crds::CronJobSettings {
            schedule: settings.schedule.clone(),
            concurrency_policy: settings.concurrency_policy,
            ..segment_crds::CronJobSettings::default()
        };
        let (values, _) = to_helm_values(&carried);
        let naming = Naming {
            name: carried.metadata.name.clone(),
            namespace: carried.metadata.namespace.clone(),
        };
        let again = import(&values, &naming).unwrap();
        prop_assert_eq!(strip(&again.segment), strip(&carried));
    }

    #[test]
    fn no_document_makes_an_import_panic(value in anything(), at in 0..6usize) {
        let mut document = example(["segment-pivot.yaml", "granary-api.json", "helm-values.yaml"][at % 3]);
        let key = ["spec", "data", "env"][at % 3];
        if at < 3 {
            document[key] = value;
        } else if let Some(map) = document[key].as_object_mut() {
            for slot in map.values_mut() {
                *slot = value.clone();
            }
        }
        let _ = import(&document, &Naming::default());
        let _ = import(&json!({"kind": "CronJob", "metadata": {"name": "a"}, "spec": document}), &Naming::default());
    }
}

/// Less what an import leaves out because it must not be empty.
fn strip(segment: &Segment) -> Segment {
    let mut segment = segment.clone();
    for name in ["DB_HOST", "DB_PORT", "DEBUG", "TYPE_SEPARATOR"] {
        if segment.spec.env.get(name) == Some("") {
            segment.spec.env.unset(name);
        }
    }
    segment
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let key = prop_oneof![
            Just("schedule".to_owned()),
            Just("DB_USER".to_owned()),
            Just("containers".to_owned()),
            Just("name".to_owned()),
            Just("env".to_owned()),
            Just("jobTemplate".to_owned()),
            Just("spec".to_owned()),
            ".{0,4}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}
