//! The policy that the agent's chart writes, read as the agent reads it.

use std::collections::BTreeMap;

use segment_core::admit::{Policy, PolicyError};
use segment_core::segment::defaults::HouseDefaults;
use serde_json::Value;

use crate::helm::{AGENT, one, render, strings, try_render};

fn policy(objects: &[Value]) -> Policy {
    let data = strings(&one(objects, "ConfigMap", segment_core::names::POLICY_CONFIG_MAP)["data"]);
    Policy::from_data(&data).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn without_values_no_namespace_is_admitted() {
    let policy = policy(&render("segment-agent", &["--set", "hub.address=a:1"]));
    assert_eq!(policy.namespaces, BTreeMap::new());
}

#[test]
fn without_the_preset_nothing_is_admitted() {
    let objects = render(
        "segment-agent",
        &["--set", "hub.address=a:1,policy.preset="],
    );
    assert_eq!(policy(&objects), Policy::default());
}

#[test]
fn the_preset_is_what_the_built_in_defaults_need_and_no_more() -> Result<(), PolicyError> {
    let built_in = HouseDefaults::default();
    let star = |value: &str| format!("{{'*': {value}}}");
    let secrets: BTreeMap<_, _> = built_in
        .secret_keys
        .iter()
        .map(|(variable, key)| (variable, format!("{}/{key}", built_in.secret)))
        .collect();
    let data = BTreeMap::from(
        [
            (
                "namespaces",
                "{granary: {from: [granary, granary-test]}, reports: {}}".to_owned(),
            ),
            (
                "images",
                star(&format!("[{:?}]", built_in.image_repository)),
            ),
            (
                "pullSecrets",
                star(&format!("{:?}", built_in.image_pull_secrets)),
            ),
            ("dbHosts", star(&format!("[{:?}]", built_in.env["DB_HOST"]))),
            (
                "secrets",
                star(&serde_json::to_string(&secrets).expect("a map of strings")),
            ),
        ]
        .map(|(rule, value)| (rule.to_owned(), value)),
    );
    assert_eq!(
        policy(&render("segment-agent", &AGENT)),
        Policy::from_data(&data)?
    );
    Ok(())
}

/// Every rule that the agent knows can be given by a value, and what the values' schema lets through the agent can read.
#[test]
fn every_rule_can_be_given() -> Result<(), PolicyError> {
    let rules = [
        (
            "images",
            r#"{"granary": ["registry.example.org/granary/"]}"#,
        ),
        ("digestsOnly", r#"{"granary": true}"#),
        (
            "secrets",
            r#"{"granary": {"DB_USER": "db/user", "DB_NAME": ["db/name", "db2/name"]}}"#,
        ),
        ("pullSecrets", r#"{"granary": ["pull"]}"#),
        ("dbHosts", r#"{"granary": ["db.example.org"]}"#),
        ("pushgateways", r#"{"granary": ["push:9091"]}"#),
        ("serviceAccounts", r#"{"granary": ["segments"]}"#),
        ("extraEnv", r#"{"granary": ["PGAPPNAME"]}"#),
        ("labels", r#"{"granary": ["team.example.org/"]}"#),
        ("annotations", r#"{"granary": ["prometheus.io/"]}"#),
        ("nodeSelectors", r#"{"granary": {"pool": ["batch"]}}"#),
        (
            "tolerations",
            r#"{"granary": [{"key": "dedicated", "value": "batch", "effect": "NoSchedule"}]}"#,
        ),
        ("minimumInterval", r#"{"granary": "5m", "reports": 600}"#),
        ("resources", r#"{"granary": {"cpu": 2, "memory": "4Gi"}}"#),
        (
            "podSecurity",
            r#"{"granary": "chart", "reports": "restricted"}"#,
        ),
        ("adoption", r#"["Never", "IfSame", "Always"]"#),
        ("maxCronJobs", "2000"),
        (
            "brake",
            r#"{"removals": {"min": 3, "percent": 10}, "windowMinutes": 30, "replacements": true}"#,
        ),
        ("holds", r#"{"allowed": false, "maxDays": 3, "inDays": 10}"#),
        ("runNow", "true"),
        ("logs", "true"),
    ];
    let json: Vec<String> = rules
        .iter()
        .map(|(rule, value)| format!("{rule:?}: {value}"))
        .collect();
    let set = format!("policy.rules={{{}}}", json.join(", "));
    let arguments = [
        "--set",
        "hub.address=a:1,policy.preset=",
        "--set-json",
        &set,
    ];

    let data = BTreeMap::from(rules.map(|(rule, value)| (rule.to_owned(), value.to_owned())));
    let expected = Policy::from_data(&data)?;
    assert_eq!(policy(&render("segment-agent", &arguments)), expected);
    Ok(())
}

#[test]
fn namespaces_may_be_a_list() -> Result<(), PolicyError> {
    let data = BTreeMap::from([(
        "namespaces".to_owned(),
        "{granary: {}, reports: {}}".to_owned(),
    )]);
    let expected = Policy::from_data(&data)?;
    for set in [
        r#"["granary","reports"]"#,
        r#"{"granary":{},"reports":null}"#,
    ] {
        let set = format!("policy.namespaces={set}");
        let objects = render(
            "segment-agent",
            &[
                "--set",
                "hub.address=a:1,policy.preset=",
                "--set-json",
                &set,
            ],
        );
        assert_eq!(policy(&objects), expected, "{set}");
        let is_role = |o: &&Value| o["kind"] == "Role" && o["metadata"]["name"] == "segment-agent";
        assert_eq!(objects.iter().filter(is_role).count(), 2, "{set}");
    }
    Ok(())
}

#[test]
fn a_rule_of_the_values_replaces_that_of_the_preset() {
    let set = r#"policy.rules={"dbHosts":{"*":["grnry-pg"]}}"#;
    let policy = policy(&render(
        "segment-agent",
        &["--set", "hub.address=a:1", "--set-json", set],
    ));
    assert_eq!(
        policy.db_hosts,
        BTreeMap::from([("*".to_owned(), vec!["grnry-pg".to_owned()])])
    );
    assert!(policy.images.contains_key("*"), "the others stay");
}

#[test]
fn a_rule_of_the_values_can_take_away_what_the_preset_admits() {
    let set = r#"policy.rules={"secrets":{"*":{}},"images":{"granary":[]}}"#;
    let policy = policy(&render(
        "segment-agent",
        &["--set", "hub.address=a:1", "--set-json", set],
    ));
    assert_eq!(policy.secrets["*"], BTreeMap::new());
    assert_eq!(policy.images["granary"], Vec::<String>::new());
    assert!(
        !policy.images["*"].is_empty(),
        "other namespaces keep theirs"
    );
}

#[test]
fn a_misspelt_rule_is_refused_by_the_chart() {
    for rules in [
        r#"{"image":{}}"#,
        r#"{"images":{"Granary":["a"]}}"#,
        r#"{"secrets":{"*":{"DB_USER":"no-key"}}}"#,
    ] {
        let set = format!("policy.rules={rules}");
        let result = try_render(
            "segment-agent",
            &["--set", "hub.address=a:1", "--set-json", &set],
        );
        assert!(result.is_err(), "{rules}");
    }
}
