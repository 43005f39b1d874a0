//! From values to flags and environment.

use std::collections::{BTreeMap, BTreeSet};

use segment_core::segment::defaults::HouseDefaults;
use serde_json::{Value, json};

use crate::helm::{AGENT, chart, one, render, try_render};

fn container(objects: &[Value], name: &str) -> Value {
    one(objects, "Deployment", name)["spec"]["template"]["spec"]["containers"][0].clone()
}

fn field(path: &str) -> Value {
    json!({"fieldRef": {"fieldPath": path}})
}

#[test]
fn the_hub_is_told_where_it_is_seen_from_outside() {
    let inside = container(&render("segment-hub", &[]), "segment-hub");
    assert_eq!(
        inside["args"],
        json!([
            "--public-agents-address=segment-hub-agents.segment-system.svc:8443",
            "--public-users-address=segment-hub-users.segment-system.svc:9443",
            "--webhook-addr=0.0.0.0:9444",
            "--webhook-tls-dir=/etc/segment-hub/webhook",
            "--log-level=info",
            "--log-format=json",
        ])
    );
    let set = "hub.addresses.agents=hub.corp:8443,hub.addresses.users=hub.corp:443,log.format=plain,log.level=debug";
    let outside = container(&render("segment-hub", &["--set", set]), "segment-hub");
    assert_eq!(
        outside["args"],
        json!([
            "--public-agents-address=hub.corp:8443",
            "--public-users-address=hub.corp:443",
            "--webhook-addr=0.0.0.0:9444",
            "--webhook-tls-dir=/etc/segment-hub/webhook",
            "--log-level=debug",
            "--log-format=plain",
        ])
    );
}

#[test]
fn house_defaults_are_the_hubs_environment_letter_for_letter() {
    let defaults = r#"defaults={"DB_PORT":5433,"DB_USE_SSL":false,"DEBUG":true,"DB_HOST":"pg-$(cluster.name)","IMAGE_TAG":"1.10"}"#;
    let hub = container(
        &render("segment-hub", &["--set-json", defaults]),
        "segment-hub",
    );
    assert_eq!(
        hub["env"],
        json!([
            {"name": "POD_NAMESPACE", "valueFrom": field("metadata.namespace")},
            {"name": "POD_NAME", "valueFrom": field("metadata.name")},
            // The kubelet makes one dollar of two, and expands nothing.
            {"name": "DB_HOST", "value": "pg-$$(cluster.name)"},
            {"name": "DB_PORT", "value": "5433"},
            {"name": "DB_USE_SSL", "value": "False"},
            {"name": "DEBUG", "value": "True"},
            {"name": "IMAGE_TAG", "value": "1.10"},
        ])
    );
}

/// A default that the hub does not know would be passed over in silence: the chart refuses it.
#[test]
fn the_chart_knows_the_house_defaults_that_the_hub_knows() {
    let schema = std::fs::read_to_string(chart("segment-hub").join("values.schema.json"))
        .expect("the schema");
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    let listed = schema["properties"]["defaults"]["properties"]
        .as_object()
        .expect("an object");
    let listed: BTreeSet<String> = listed.keys().cloned().collect();
    let known: BTreeSet<String> = HouseDefaults::default()
        .effective()
        .into_iter()
        .map(|d| d.variable)
        .collect();
    assert_eq!(listed, known);
}

#[test]
fn wrong_values_are_refused_before_anything_is_installed() {
    let rows = [
        (
            "segment-hub",
            r#"defaults={"DB_HSOT":"pg"}"#,
            "DB_HSOT",
            "a default that does not exist",
        ),
        (
            "segment-hub",
            r#"defaults={"IMAGE_TAG":1.1}"#,
            "IMAGE_TAG",
            "1.10 without quotes",
        ),
        (
            "segment-hub",
            r#"hub={"addresses":{"agents":"hub.corp"}}"#,
            "agents",
            "no port",
        ),
        (
            "segment-hub",
            "replcas=2",
            "replcas",
            "a value that does not exist",
        ),
        (
            "segment-agent",
            "hub={}",
            "hub.address is required",
            "no address of the hub",
        ),
        (
            "segment-agent",
            r#"policy.namespaces={"granary":{"form":["a"]}}"#,
            "form",
            "a misspelt key",
        ),
        (
            "segment-agent",
            r#"policy={"preset":"grnry"}"#,
            "preset",
            "a preset that does not exist",
        ),
    ];
    for (chart, set, named, why) in rows {
        let address = if chart == "segment-agent" && !set.starts_with("hub") {
            "hub.address=a:1"
        } else {
            "log.level=info"
        };
        let error = try_render(chart, &["--set", address, "--set-json", set]).expect_err(why);
        assert!(error.contains(named), "{chart} {set}: {error}");
    }
}

#[test]
fn the_agent_is_told_where_the_hub_is_and_gets_its_token_from_a_secret() {
    let token =
        json!({"secretKeyRef": {"name": "segment-agent-join", "key": "token", "optional": true}});
    let environment = |token: Option<Value>| {
        let mut all = vec![
            json!({"name": "POD_NAMESPACE", "valueFrom": field("metadata.namespace")}),
            json!({"name": "POD_NAME", "valueFrom": field("metadata.name")}),
        ];
        all.extend(token.map(|token| json!({"name": "JOIN_TOKEN", "valueFrom": token})));
        Value::Array(all)
    };

    let objects = render("segment-agent", &AGENT);
    let agent = container(&objects, "segment-agent");
    let args = json!([
        "--hub-address=hub.example.org:8443",
        "--log-level=info",
        "--log-format=json"
    ]);
    assert_eq!(agent["args"], args);
    assert_eq!(agent["env"], environment(Some(token.clone())));
    assert_eq!(
        one(&objects, "Secret", "segment-agent-join")["stringData"],
        json!({"token": "id.secret.pin"})
    );

    let mut own = token;
    own["secretKeyRef"]["name"] = json!("mine");
    let objects = render(
        "segment-agent",
        &["--set", "hub.address=a:1,join.existingSecret=mine"],
    );
    assert_eq!(
        container(&objects, "segment-agent")["env"],
        environment(Some(own))
    );
    assert!(
        objects
            .iter()
            .all(|o| o["metadata"]["name"] != "segment-agent-join")
    );

    let objects = render("segment-agent", &["--set", "hub.address=a:1"]);
    assert_eq!(
        container(&objects, "segment-agent")["env"],
        environment(None)
    );
}

#[test]
fn the_pin_of_the_hubs_root_is_put_to_a_token_that_lacks_it() {
    let pin = format!("sha256:{}", "a".repeat(64));
    let whole = format!("id.secret.{pin}");
    for token in ["id.secret", &whole] {
        let set = format!("hub.address=a:1,hub.caPin={pin},join.token={token}");
        let objects = render("segment-agent", &["--set", &set]);
        let secret = one(&objects, "Secret", "segment-agent-join");
        assert_eq!(secret["stringData"], json!({"token": whole}), "{token}");
    }
}

#[test]
fn a_digest_wins_over_a_tag() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let set = format!("image.digest={digest},image.tag=1.0");
    let hub = container(&render("segment-hub", &["--set", &set]), "segment-hub");
    assert_eq!(hub["image"], format!("ghcr.io/grnry/segment-hub@{digest}"));
}

#[test]
fn the_charts_have_the_version_of_the_programs() {
    for name in ["segment-crds", "segment-hub", "segment-agent"] {
        let text = std::fs::read_to_string(chart(name).join("Chart.yaml")).expect("Chart.yaml");
        let about: Value = serde_saphyr::from_str(&text).expect("YAML");
        for field in ["version", "appVersion"] {
            assert_eq!(about[field], env!("CARGO_PKG_VERSION"), "{name} {field}");
        }
    }
}

#[test]
fn each_port_has_a_service() {
    let objects = render("segment-hub", &[]);
    let ports: BTreeMap<&str, &Value> = objects
        .iter()
        .filter(|o| o["kind"] == "Service")
        .map(|o| {
            (
                o["metadata"]["name"].as_str().expect("a name"),
                &o["spec"]["ports"],
            )
        })
        .collect();
    let port = |name: &str, port: u16| json!([{"name": name, "port": port, "targetPort": name, "protocol": "TCP"}]);
    let expected = [
        ("segment-hub-agents", port("agents", 8443)),
        ("segment-hub-users", port("users", 9443)),
        (
            "segment-hub-webhook",
            json!([{"name": "webhook", "port": 443, "targetPort": "webhook", "protocol": "TCP"}]),
        ),
    ];
    assert_eq!(
        ports,
        expected
            .iter()
            .map(|(name, ports)| (*name, ports))
            .collect()
    );
}
