//! How the Pods run, and who may talk to them.

use serde_json::{Value, json};

use crate::helm::{agent, one, render};

#[test]
fn the_pods_are_restricted() {
    for (objects, name) in [
        (render("segment-hub", &[]), "segment-hub"),
        (agent(), "segment-agent"),
    ] {
        let pod = &one(&objects, "Deployment", name)["spec"]["template"]["spec"];
        let rows = [
            ("/serviceAccountName", json!(name), "an account of its own"),
            (
                "/enableServiceLinks",
                json!(false),
                "a Service called db would inject DB_PORT",
            ),
            (
                "/securityContext",
                json!({
                    "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
                    "seccompProfile": {"type": "RuntimeDefault"},
                }),
                "Pod Security Standards, restricted",
            ),
            (
                "/containers/0/securityContext",
                json!({
                    "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                    "capabilities": {"drop": ["ALL"]},
                }),
                "Pod Security Standards, restricted",
            ),
            (
                "/containers/0/livenessProbe/httpGet",
                json!({"path": "/livez", "port": "admin"}),
                "the admin port",
            ),
            (
                "/containers/0/readinessProbe/httpGet",
                json!({"path": "/readyz", "port": "admin"}),
                "the admin port",
            ),
        ];
        for (pointer, expected, why) in rows {
            assert_eq!(
                pod.pointer(pointer),
                Some(&expected),
                "{name} {pointer}: {why}"
            );
        }
        for absent in ["hostNetwork", "hostPID", "hostIPC", "initContainers"] {
            assert_eq!(pod.get(absent), None, "{name}");
        }
        // The webhook's certificate and nothing else, and the hub starts without it.
        let secret = json!({
            "secretName": "segment-hub-webhook-tls", "optional": true,
            "items": [{"key": "tls.crt", "path": "tls.crt"}, {"key": "tls.key", "path": "tls.key"}],
        });
        let volumes = json!([{"name": "webhook-tls", "secret": secret}]);
        let mounts = json!([{"name": "webhook-tls", "mountPath": "/etc/segment-hub/webhook", "readOnly": true}]);
        let is_hub = name == "segment-hub";
        assert_eq!(pod.get("volumes"), is_hub.then_some(&volumes), "{name}");
        assert_eq!(
            pod["containers"][0].get("volumeMounts"),
            is_hub.then_some(&mounts),
            "{name}"
        );
        assert_eq!(
            pod["containers"].as_array().map(Vec::len),
            Some(1),
            "{name}"
        );
        assert_eq!(
            one(&objects, "ServiceAccount", name)["automountServiceAccountToken"],
            false,
            "{name}"
        );
    }
}

/// Ports per direction of a `NetworkPolicy`, each with whether anybody may be at the other end.
fn openings(policy: &Value, direction: &str, peers: &str) -> Vec<(Value, bool)> {
    let rules = policy["spec"][direction]
        .as_array()
        .cloned()
        .unwrap_or_default();
    rules
        .iter()
        .flat_map(|rule| {
            let anybody = rule.get(peers).is_none();
            let ports = rule["ports"]
                .as_array()
                .expect("no rule opens every port")
                .clone();
            ports
                .into_iter()
                .map(move |port| (port["port"].clone(), anybody))
        })
        .collect()
}

#[test]
fn nothing_else_reaches_the_pods_and_they_reach_nothing_else() {
    let api_and_dns = [json!(53), json!(53), json!(443), json!(6443)]
        .map(|port| (port, true))
        .to_vec();

    let hub = render("segment-hub", &[]);
    let policy = one(&hub, "NetworkPolicy", "segment-hub");
    assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
    assert_eq!(
        openings(policy, "ingress", "from"),
        [
            (json!("agents"), true),
            (json!("users"), true),
            (json!("webhook"), true)
        ]
    );
    assert_eq!(openings(policy, "egress", "to"), api_and_dns);

    let agent = agent();
    let policy = one(&agent, "NetworkPolicy", "segment-agent");
    assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
    assert_eq!(openings(policy, "ingress", "from"), []);
    assert_eq!(
        openings(policy, "egress", "to"),
        [api_and_dns, vec![(json!(8443), true)]].concat()
    );
}

#[test]
fn metrics_are_open_to_those_who_are_named() {
    let peer = r#"networkPolicy.metricsFrom=[{"namespaceSelector":{"matchLabels":{"team":"monitoring"}}}]"#;
    for chart in ["segment-hub", "segment-agent"] {
        let objects = render(
            chart,
            &["--set", "hub.address=a:1", "--set-json", peer]
                [usize::from(chart == "segment-hub") * 2..],
        );
        let policy = one(&objects, "NetworkPolicy", chart);
        assert!(
            openings(policy, "ingress", "from").contains(&(json!("admin"), false)),
            "{chart}"
        );
    }
}

#[test]
fn a_budget_stands_where_there_is_more_than_one_hub() {
    let budget = |replicas: &str| {
        let objects = render("segment-hub", &["--set", replicas]);
        objects.iter().any(|o| o["kind"] == "PodDisruptionBudget")
    };
    assert!(!budget("replicas=1"));
    assert!(budget("replicas=2"));
}
