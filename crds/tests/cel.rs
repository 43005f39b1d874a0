//! Each rule accepts what is right and refuses what is not, with the words that tell what to do.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

use kube::ResourceExt;
use segment_crds::{Cluster, ClusterSpec, Segment, SegmentEnv};
use serde_json::{Value, json};

/// A Segment with nothing but what is required.
fn least() -> Value {
    json!({
        "apiVersion": "segment.grnry.io/v1alpha1",
        "kind": "Segment",
        "metadata": { "name": "demo", "namespace": "granary" },
        "spec": {
            "cronjob": { "schedule": "5 4 * * *" },
            "env": {
                "CITUS_DIST_COL": "correlation_id",
                "SOURCE_WHERE_CLAUSE": "true",
                "TARGET_SEGMENT_INDEXES": "",
                "TARGET_SEGMENT_NAME": "demo",
                "TARGET_SEGMENT_VIEWS": "",
                "TYPE": "pivot",
            },
        },
    })
}

/// The least Segment with some values set (or, with null, removed), by JSON pointer below `/spec`.
fn segment(changes: &[(&str, Value)]) -> Segment {
    let mut object = least();
    for (pointer, value) in changes {
        let (parents, leaf) = pointer.rsplit_once('/').unwrap();
        let mut at = &mut object["spec"];
        for key in parents.split('/').filter(|key| !key.is_empty()) {
            at = at
                .as_object_mut()
                .unwrap()
                .entry(key)
                .or_insert_with(|| json!({}));
        }
        match value {
            Value::Null => drop(at.as_object_mut().unwrap().remove(leaf)),
            value => at[leaf] = value.clone(),
        }
    }
    serde_json::from_value(object).unwrap()
}

fn messages(segment: &Segment) -> Vec<String> {
    match segment.validate_cel() {
        Ok(()) => Vec::new(),
        Err(errors) => errors
            .as_slice()
            .iter()
            .map(|error| error.message.clone())
            .collect(),
    }
}

#[track_caller]
fn accepts(changes: &[(&str, Value)]) {
    assert_eq!(
        messages(&segment(changes)),
        Vec::<String>::new(),
        "{changes:?}"
    );
}

/// Refused by exactly one rule, with these words in its message.
#[track_caller]
fn refuses(changes: &[(&str, Value)], words: &str) {
    let messages = messages(&segment(changes));
    assert!(
        matches!(messages.as_slice(), [one] if one.contains(words)),
        "{changes:?}: {messages:?}"
    );
}

#[test]
fn the_least_segment_is_good() {
    accepts(&[]);
}

#[test]
fn required_variables_must_be_there() {
    for name in [
        "CITUS_DIST_COL",
        "TARGET_SEGMENT_INDEXES",
        "TARGET_SEGMENT_NAME",
        "TARGET_SEGMENT_VIEWS",
        "TYPE",
    ] {
        refuses(
            &[(&format!("/env/{name}"), Value::Null)],
            &format!("spec.env.{name} is required"),
        );
    }
}

#[test]
fn what_may_be_empty_may_be_empty() {
    // With plain PostgreSQL there is no distribution column; what DB_TYPE is may be the hub's default.
    accepts(&[("/env/CITUS_DIST_COL", json!(""))]);
    accepts(&[
        ("/env/PIVOT_PATHS", json!("")),
        ("/env/PIVOT_TRANSFORMATIONS", json!("")),
    ]);
}

#[test]
fn the_type_is_one_of_three() {
    for name in ["pivot", "generic"] {
        accepts(&[("/env/TYPE", json!(name))]);
    }
    accepts(&[
        ("/env/TYPE", json!("flexible")),
        ("/env/SOURCE_QUERY", json!("select 1")),
    ]);
    for name in ["", "Pivot", "other"] {
        refuses(
            &[("/env/TYPE", json!(name))],
            "must be pivot, generic or flexible",
        );
    }
}

#[test]
fn the_where_clause_is_there_and_not_empty_but_for_flexible() {
    for value in [Value::Null, json!(""), json!(" \n\t")] {
        refuses(
            &[("/env/SOURCE_WHERE_CLAUSE", value.clone())],
            "spec.env.SOURCE_WHERE_CLAUSE is required",
        );
        accepts(&[
            ("/env/SOURCE_WHERE_CLAUSE", value),
            ("/env/TYPE", json!("flexible")),
            ("/env/SOURCE_QUERY", json!("select 1")),
        ]);
    }
}

#[test]
fn flexible_needs_its_query() {
    for value in [Value::Null, json!(""), json!("  ")] {
        refuses(
            &[
                ("/env/TYPE", json!("flexible")),
                ("/env/SOURCE_QUERY", value),
            ],
            "needs spec.env.SOURCE_QUERY",
        );
    }
}

#[test]
fn the_targets_name_is_a_postgresql_identifier_in_bytes() {
    let name = "/env/TARGET_SEGMENT_NAME";
    accepts(&[(name, json!("a".repeat(63)))]);
    accepts(&[(name, json!("ä".repeat(31)))]);
    accepts(&[(
        name,
        json!(format!(
            "{}_$(cluster.labels['example.org/region'])",
            "a".repeat(40)
        )),
    )]);
    for value in [String::new(), "a".repeat(64), "ä".repeat(32)] {
        refuses(
            &[(name, json!(value))],
            "63 bytes of a PostgreSQL identifier",
        );
    }
}

#[test]
fn a_schedule_has_no_zone_in_it() {
    accepts(&[
        ("/cronjob/schedule", json!("H(0-29) 3 * * *")),
        ("/cronjob/timeZone", json!("Europe/Berlin")),
    ]);
    for schedule in ["TZ=UTC 5 4 * * *", "CRON_TZ=Europe/Berlin 5 4 * * *"] {
        refuses(
            &[("/cronjob/schedule", json!(schedule))],
            "set spec.cronjob.timeZone",
        );
    }
}

#[test]
fn a_variable_stands_in_one_place_only() {
    for name in SegmentEnv::NAMES {
        let mut both = segment(&[(
            &format!("/envFromSecrets/{name}"),
            json!({ "secret": "s", "key": "k" }),
        )]);
        let value = both.spec.env.get(name).unwrap_or("value").to_owned();
        both.spec.env.set(name, Some(value));
        let messages = messages(&both);
        let wanted = format!(
            "{name} stands in both spec.env and spec.envFromSecrets: remove it from one of them"
        );
        assert!(messages.contains(&wanted), "{name}: {messages:?}");
    }
    accepts(&[(
        "/envFromSecrets/DB_HOST",
        json!({ "secret": "s", "key": "k" }),
    )]);
    refuses(
        &[
            (
                "/envFromSecrets/OTHER",
                json!({ "secret": "s", "key": "k" }),
            ),
            ("/extraEnv/OTHER", json!("value")),
        ],
        "in both spec.extraEnv and spec.envFromSecrets",
    );
}

#[test]
fn only_the_three_variables_of_the_database_have_a_default_key() {
    for name in ["DB_NAME", "DB_PASSWORD", "DB_USER"] {
        accepts(&[(
            &format!("/envFromSecrets/{name}"),
            json!({ "secret": "shop-db" }),
        )]);
        accepts(&[(&format!("/envFromSecrets/{name}"), json!({}))]);
    }
    accepts(&[("/envFromSecrets/API_TOKEN", json!({ "key": "token" }))]);
    refuses(
        &[("/envFromSecrets/API_TOKEN", json!({ "secret": "shop-db" }))],
        "needs a key",
    );
}

#[test]
fn what_the_script_knows_is_no_extra_variable() {
    accepts(&[("/extraEnv/PGAPPNAME", json!("granary"))]);
    for name in SegmentEnv::NAMES
        .iter()
        .chain(segment_crds::SECRET_VARIABLES)
    {
        refuses(
            &[(&format!("/extraEnv/{name}"), json!("value"))],
            "spec.extraEnv is for variables that the script",
        );
    }
}

#[test]
fn variables_have_names_that_a_shell_can_read() {
    for name in ["_A", "a1", "PGAPPNAME"] {
        accepts(&[(&format!("/extraEnv/{name}"), json!("value"))]);
        accepts(&[(&format!("/envFromSecrets/{name}"), json!({ "key": "k" }))]);
    }
    for name in ["1A", "a-b", "ä", "a b", "A.B"] {
        refuses(
            &[(&format!("/extraEnv/{name}"), json!("value"))],
            "letters, digits and _",
        );
        refuses(
            &[(&format!("/envFromSecrets/{name}"), json!({ "key": "k" }))],
            "letters, digits and _",
        );
    }
}

#[test]
fn a_toleration_reads_as_kubernetes_own() {
    let one = |toleration: Value| [("/clusterTolerations", json!([toleration]))];
    accepts(&one(json!({ "operator": "Exists" })));
    accepts(&one(
        json!({ "key": "gone", "operator": "Exists", "effect": "NoSelect" }),
    ));
    accepts(&one(json!({ "key": "gone", "value": "soon" })));
    accepts(&one(json!({ "key": "gone" })));
    refuses(&one(json!({})), "say so with operator Exists");
    refuses(
        &one(json!({ "value": "soon" })),
        "say so with operator Exists",
    );
    refuses(
        &one(json!({ "key": "gone", "operator": "Exists", "value": "soon" })),
        "compares no value",
    );
}

#[test]
fn rules_leave_overrides_alone() {
    accepts(&[(
        "/overrides",
        json!([{ "env": { "TYPE": "generic" }, "envFromSecrets": { "TYPE": {} }, "extraEnv": { "DEBUG": "True" } }]),
    )]);
}

#[test]
fn a_segments_name_has_at_most_134_characters() {
    let named = |name: String| {
        let mut segment = segment(&[]);
        segment.metadata.name = Some(name);
        segment
    };
    assert_eq!(messages(&named("a".repeat(134))), Vec::<String>::new());
    let messages = messages(&named("a".repeat(135)));
    assert!(
        matches!(messages.as_slice(), [one] if one.contains("at most 134 characters")),
        "{messages:?}"
    );
}

#[test]
fn a_clusters_name_is_short_and_not_reserved() {
    let check = |name: &str, words: &str| {
        let cluster = Cluster::new(name, ClusterSpec::default());
        let messages: Vec<String> = match cluster.validate_cel() {
            Ok(()) => Vec::new(),
            Err(errors) => errors
                .as_slice()
                .iter()
                .map(|error| error.message.clone())
                .collect(),
        };
        match words {
            "" => assert_eq!(messages, Vec::<String>::new(), "{}", cluster.name_any()),
            words => assert!(
                matches!(messages.as_slice(), [one] if one.contains(words)),
                "{name}: {messages:?}"
            ),
        }
    };
    check("eu-west-1", "");
    check("eu-west-1.prod", "");
    check(&"a".repeat(63), "");
    check(&"a".repeat(64), "at most 63 characters");
    check("hub", "reserved");
    check("default", "reserved");
}
