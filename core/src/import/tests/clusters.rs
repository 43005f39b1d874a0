//! `CronJob`s of many clusters, one Segment.

use super::*;
use crate::testing;
use proptest::prelude::*;

fn live(segment: &Segment, clusters: &[&str]) -> Vec<(String, Value)> {
    clusters
        .iter()
        .map(|cluster| {
            (
                (*cluster).to_owned(),
                chart_cronjob(segment, cluster, &chart_defaults()),
            )
        })
        .collect()
}

fn container(cronjob: &mut Value) -> &mut Value {
    cronjob
        .pointer_mut("/spec/jobTemplate/spec/template/spec/containers/0")
        .unwrap()
}

fn set(cronjob: &mut Value, name: &str, value: &str) {
    let env = container(cronjob)["env"].as_array_mut().unwrap();
    let variable = env
        .iter_mut()
        .find(|variable| variable["name"] == name)
        .unwrap();
    *variable = json!({"name": name, "value": value});
}

fn one(live: &[(String, Value)]) -> Imported {
    let result = from_cronjobs(live, &Naming::default(), &chart_defaults())
        .unwrap_or_else(|findings| panic!("{findings:#?}"));
    assert_eq!(result.passed_over, []);
    assert_eq!(result.imported.len(), 1);
    result.imported.into_iter().next().unwrap()
}

/// Renders to every cluster's spec again.
#[track_caller]
fn same(imported: &Imported, live: &[(String, Value)]) {
    for (cluster, cronjob) in live {
        assert_eq!(
            spec_of(&imported.segment, cluster),
            cronjob["spec"],
            "{cluster}"
        );
    }
}

#[test]
fn equal_cronjobs_become_one_segment_without_overrides() {
    let segment = testing::segment("granary/demo");
    let live = live(&segment, &["eu-2", "eu-1"]);
    let imported = one(&live);
    let spec = &imported.segment.spec;
    assert!(spec.overrides.is_empty());
    let selector = serde_json::to_value(&spec.cluster_selector).unwrap();
    assert_eq!(
        selector,
        json!({"matchExpressions": [
            {"key": "segment.grnry.io/cluster", "operator": "In", "values": ["eu-1", "eu-2"]}
        ]})
    );
    // What equals the house defaults is left out.
    assert_eq!(spec.env, segment.spec.env);
    assert!(spec.image.is_empty() && spec.env_from_secrets.is_empty());
    assert_eq!(
        notes(&imported),
        "29 values equal the house defaults and were left out"
    );
    same(&imported, &live);
}

#[test]
fn differences_become_overrides_of_the_clusters_that_share_them() {
    let mut segment = testing::segment("granary/demo");
    segment.spec.env.db_host = Some("db.eu".to_owned());
    segment.spec.extra_env = [("LEVEL".to_owned(), "info".to_owned())].into();
    segment.spec.cronjob.backoff_limit = Some(2);
    let mut live = live(&segment, &["a", "b", "c", "d", "e"]);
    for cronjob in [3, 4] {
        set(&mut live[cronjob].1, "DB_HOST", "db.us");
        container(&mut live[cronjob].1)["image"] = json!("r.io:5000/x/y:1.0");
    }
    let second = &mut live[1].1;
    second["spec"]["schedule"] = json!("0 4 * * *");
    let env = container(second)["env"].as_array_mut().unwrap();
    env.retain(|variable| variable["name"] != "LEVEL");
    let job = second.pointer_mut("/spec/jobTemplate/spec").unwrap();
    job.as_object_mut().unwrap().remove("backoffLimit");

    let imported = one(&live);
    let overrides: Vec<Value> = imported
        .segment
        .spec
        .overrides
        .iter()
        .map(|change| serde_json::to_value(change).unwrap())
        .collect();
    let these = |clusters: &[&str]| {
        json!({"matchExpressions": [
            {"key": "segment.grnry.io/cluster", "operator": "In", "values": clusters}
        ]})
    };
    assert_eq!(
        overrides,
        [
            json!({
                "clusterSelector": these(&["d", "e"]),
                "env": {"DB_HOST": "db.us"},
                "image": {"repository": "r.io:5000/x/y", "tag": "1.0"},
            }),
            json!({
                "clusterSelector": these(&["b"]),
                "cronjob": {"schedule": "0 4 * * *"},
                "unset": {"cronjob": ["backoffLimit"], "extraEnv": ["LEVEL"]},
            }),
        ]
    );
    same(&imported, &live);
}

#[test]
fn a_secret_on_one_cluster_and_a_text_on_others_is_an_override() {
    let mut segment = testing::segment("granary/demo");
    segment.spec.cronjob.labels = Some([("team".to_owned(), "a".to_owned())].into());
    let mut live = live(&segment, &["a", "b", "c"]);
    let template = live[0].1.pointer_mut("/spec/jobTemplate").unwrap();
    template["metadata"]["labels"] = json!({});
    template["spec"]["template"]["metadata"]["labels"] = json!({"other": "x"});
    let env = container(&mut live[1].1)["env"].as_array_mut().unwrap();
    env.retain(|variable| variable["name"] != "DB_HOST");
    let place = env
        .iter()
        .position(|variable| variable["name"] == "DB_NAME")
        .unwrap();
    env.insert(
        place,
        json!({"name": "DB_HOST", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}),
    );
    let imported = one(&live);
    let overrides = &imported.segment.spec.overrides;
    assert_eq!(overrides[0].unset.cronjob, ["labels"]);
    assert_eq!(overrides[1].unset.env, ["DB_HOST"]);
    let mut expected = live[1].1["spec"].clone();
    assert_eq!(spec_of(&imported.segment, "b"), expected.take());
    let rendered = spec_of(&imported.segment, "a");
    assert_eq!(
        rendered.pointer("/jobTemplate/spec/template/metadata/labels"),
        Some(&json!({"other": "x"}))
    );
}

#[test]
fn what_a_segment_cannot_say_is_said() {
    let segment = testing::segment("granary/demo");
    let mut live = live(&segment, &["a"]);
    let cronjob = &mut live[0].1;
    cronjob["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": "Helm", "team": "x"});
    cronjob["metadata"]["annotations"] = json!({"meta.helm.sh/release-name": "visits"});
    let job = cronjob.pointer_mut("/spec/jobTemplate/spec").unwrap();
    job["parallelism"] = json!(2);
    job["template"]["metadata"] = json!({"labels": {"helm.sh/chart": "x-1"}});
    let pod = &mut job["template"]["spec"];
    pod["hostNetwork"] = json!(true);
    pod["securityContext"] = json!({"runAsUser": 1});
    pod["containers"][0]["command"] = json!(["sh"]);
    pod["containers"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "sidecar"}));
    let env = pod["containers"][0]["env"].as_array_mut().unwrap();
    env.retain(|variable| variable["name"] != "DEBUG" && variable["name"] != "DB_USER");
    env.insert(0, json!({"name": "Z", "value": "$(cluster.name)"}));
    env.push(json!({"name": "DB_USER", "value": "hunter2"}));
    env.push(json!({"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}));
    let imported = one(&live);
    let notes = notes(&imported);
    assert!(!notes.contains("hunter2"), "{notes}");
    for part in [
        "Helm release visits",
        "team stay on the CronJob",
        "spec.jobTemplate.spec.parallelism can't be said",
        "helm.sh/chart is Helm's",
        "hostNetwork can't be said",
        "securityContext is decided by the hub",
        "command can't be said",
        "1 more containers",
        "env.DEBUG is absent there: will be the default, \"False\" (on a)",
        "env[DB_USER] always comes from a Secret",
        "env[NODE] comes from something that is no Secret",
        "env[Z] $(cluster…) is text there",
        "is in another order",
        "spec.adoption: Always takes it over",
    ] {
        assert!(notes.contains(part), "{part} in:\n{notes}");
    }
    assert_eq!(imported.segment.spec.extra_env["Z"], "$$(cluster.name)");
}

#[test]
fn others_and_our_own_are_passed_over() {
    let segment = testing::segment("granary/demo");
    let mut list = live(&segment, &["a"]);
    list.push(("a".to_owned(), cronjob_of(&segment, "a", &chart_defaults())));
    list.push((
        "a".to_owned(),
        json!({"metadata": {"namespace": "n", "name": "backup"}, "spec": {}}),
    ));
    let result = from_cronjobs(&list, &Naming::default(), &chart_defaults()).unwrap();
    assert_eq!(result.imported.len(), 1);
    let passed: Vec<String> = result.passed_over.iter().map(ToString::to_string).collect();
    assert_eq!(
        passed,
        [
            "a: CronJob granary/demo belongs to Segment granary/demo already: passed over",
            "a: CronJob n/backup has no container that creates segments: passed over",
        ]
    );
}

#[test]
fn what_cannot_be_one_segment_is_refused() {
    let fields = |list: &[(String, Value)], naming: &Naming| -> Vec<(Code, String)> {
        from_cronjobs(list, naming, &chart_defaults())
            .unwrap_err()
            .into_iter()
            .map(|finding| (finding.code, finding.field))
            .collect()
    };
    let segment = testing::segment("granary/demo");
    let twice = live(&segment, &["a", "a"]);
    assert_eq!(
        fields(&twice, &Naming::default()),
        [(Code::Collision, "a: CronJob granary/demo".to_owned())]
    );
    let badly_named = live(&segment, &["a"])
        .into_iter()
        .map(|(_, cronjob)| ("arn:aws/x".to_owned(), cronjob))
        .collect::<Vec<_>>();
    assert_eq!(
        fields(&badly_named, &Naming::default()),
        [(Code::InvalidName, "arn:aws/x".to_owned())]
    );
    let mut two = live(&segment, &["a"]);
    two.extend(live(&testing::segment("granary/other"), &["a"]));
    let naming = Naming {
        name: Some("one".to_owned()),
        namespace: None,
    };
    assert_eq!(fields(&two, &naming), [(Code::Collision, String::new())]);
    let mut many = Vec::new();
    for number in 0..130 {
        let name = format!("c{number:03}");
        let mut cronjob = chart_cronjob(&segment, &name, &chart_defaults());
        set(&mut cronjob, "DB_HOST", &name);
        many.push((name, cronjob));
    }
    assert_eq!(
        fields(&many, &Naming::default()),
        [(Code::TooLarge, "CronJob granary/demo ".to_owned())]
    );
}

#[test]
fn a_base_that_no_cluster_has_is_not_made() {
    let citus = |column: &str| {
        let mut segment = testing::segment("granary/demo");
        segment.spec.env.citus_dist_col = Some(column.to_owned());
        segment
    };
    let mut postgres = citus("");
    postgres.spec.env.db_type = Some("postgres".to_owned());
    let mut list = live(&postgres, &["a", "b"]);
    for (cluster, column) in [("c", "x"), ("d", "y"), ("e", "z")] {
        list.extend(live(&citus(column), &[cluster]));
    }
    let imported = one(&list);
    assert_eq!(
        imported.segment.spec.env.db_type.as_deref(),
        Some("postgres")
    );
    same(&imported, &list);
}

#[test]
fn a_file_with_a_cronjob_becomes_a_segment_for_every_cluster() {
    let segment = testing::segment("granary/demo");
    let cronjob = chart_cronjob(&segment, "a", &HouseDefaults::default());
    let imported = import(&cronjob, &Naming::default()).unwrap();
    assert_eq!(imported.shape, Shape::CronJob);
    assert_eq!(imported.segment.spec, segment.spec);
    let moved = Naming {
        name: None,
        namespace: Some("fleet".to_owned()),
    };
    let imported = import(&cronjob, &moved).unwrap();
    assert_eq!(
        imported.segment.metadata.namespace.as_deref(),
        Some("fleet")
    );
    assert_eq!(
        imported.segment.spec.target_namespace.as_deref(),
        Some("granary")
    );
    let other = cronjob_of(&segment, "a", &HouseDefaults::default());
    assert_eq!(
        import(&other, &moved).unwrap_err()[0].field,
        "metadata.annotations"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Clusters have `CronJob`s of any of a few Segments under one name: the one Segment renders to each of them.
    #[test]
    fn what_is_imported_renders_to_itself(segments in prop::collection::vec((testing::segments(), 0..3usize), 1..6)) {
        let clusters = ["c0", "c1", "c2", "c3", "c4"];
        let mut list = Vec::new();
        for (cluster, (segment, shared)) in clusters.iter().zip(&segments) {
            // Some clusters share a Segment, so that there is a majority.
            let segment = segments.get(*shared).map_or(segment, |(shared, _)| shared);
            let mut plain = Segment::new("demo", segment.spec.clone());
            plain.metadata.namespace = Some("granary".to_owned());
            plain.spec.overrides.clear();
            let spec = &mut plain.spec;
            // References are of another test: here each value is a text already.
            for name in segment_crds::SegmentEnv::NAMES {
                let text = spec.env.get(name).map(|value| value.replace('$', ""));
                spec.env.set(name, text);
            }
            for text in spec.extra_env.values_mut() {
                *text = text.replace('$', "");
            }
            list.push(((*cluster).to_owned(), chart_cronjob(&plain, cluster, &chart_defaults())));
        }
        let imported = one(&list);
        for note in &imported.notes {
            prop_assert!(!note.changes, "{note}");
        }
        for (cluster, cronjob) in &list {
            prop_assert_eq!(&spec_of(&imported.segment, cluster), &cronjob["spec"], "{}", cluster);
        }
    }
}
