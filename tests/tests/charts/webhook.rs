//! The webhook as the chart sets it up: who is asked, by which name, with which certificate.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::helm::{one, render, try_render};

fn configuration(objects: &[Value]) -> &Value {
    one(objects, "ValidatingWebhookConfiguration", "segment-hub")
}

fn count(objects: &[Value], kind: &str, name: &str) -> usize {
    objects
        .iter()
        .filter(|o| o["kind"] == kind && o["metadata"]["name"] == name)
        .count()
}

#[test]
fn it_fails_open_and_is_asked_of_new_specs_only() {
    let objects = render("segment-hub", &[]);
    let webhooks = configuration(&objects)["webhooks"]
        .as_array()
        .expect("webhooks");
    assert_eq!(webhooks.len(), 1);
    let mut webhook = webhooks[0].clone();
    let client = webhook["clientConfig"].take();
    assert_eq!(
        webhook,
        json!({
            "name": "segments.segment.grnry.io",
            "admissionReviewVersions": ["v1"],
            "clientConfig": null,
            "rules": [{
                "apiGroups": ["segment.grnry.io"], "apiVersions": ["v1alpha1"], "resources": ["segments"],
                "operations": ["CREATE", "UPDATE"], "scope": "Namespaced",
            }],
            "matchPolicy": "Equivalent",
            "matchConditions": [
                {"name": "the-spec-is-new", "expression": "request.operation == 'CREATE' || oldObject.spec != object.spec"},
                {"name": "it-is-to-stay", "expression": "!has(object.metadata.deletionTimestamp)"},
            ],
            "failurePolicy": "Ignore",
            "sideEffects": "None",
            "timeoutSeconds": 5,
        })
    );
    let secret = one(&objects, "Secret", "segment-hub-webhook-tls");
    assert_eq!(
        client,
        json!({
            "caBundle": secret["data"]["ca.crt"],
            "service": {"namespace": "segment-system", "name": "segment-hub-webhook", "path": "/admission", "port": 443},
        })
    );
    // Not ready is not unable: a standby judges too.
    let service = one(&objects, "Service", "segment-hub-webhook");
    assert_eq!(service["spec"]["publishNotReadyAddresses"], true);
}

#[test]
fn the_certificate_is_for_the_host_that_is_called() {
    for (url, host, is_dns) in [
        ("", "segment-hub-webhook.segment-system.svc", true),
        ("https://hub.corp:9444/admission", "hub.corp", true),
        ("https://127.0.0.1:9444/admission", "127.0.0.1", false),
        ("https://[::1]:9444/admission", "::1", false),
    ] {
        let objects = render("segment-hub", &["--set", &format!("webhook.url={url}")]);
        let secret = one(&objects, "Secret", "segment-hub-webhook-tls");
        assert_eq!(
            secret["metadata"]["annotations"]["segment.grnry.io/host"],
            host
        );
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(secret["data"]["tls.crt"].as_str().expect("base64"))
            .expect("base64");
        let pem = String::from_utf8(bytes).expect("PEM");
        assert!(pem.starts_with("-----BEGIN CERTIFICATE-----"));
        if !url.is_empty() {
            let client = &configuration(&objects)["webhooks"][0]["clientConfig"];
            assert_eq!(
                client,
                &json!({"url": url, "caBundle": secret["data"]["ca.crt"]})
            );
            assert_eq!(count(&objects, "Service", "segment-hub-webhook"), 0);
        }
        // The same host as cert-manager would be asked for.
        let objects = render(
            "segment-hub",
            &[
                "--set",
                &format!("webhook.url={url},webhook.certManager.enabled=true"),
            ],
        );
        let spec = &one(&objects, "Certificate", "segment-hub-webhook")["spec"];
        let field = if is_dns { "dnsNames" } else { "ipAddresses" };
        assert_eq!(spec[field], json!([host]));
        assert_eq!(spec["secretName"], "segment-hub-webhook-tls");
    }
}

#[test]
fn others_may_make_the_certificate() {
    let manager = "webhook.certManager.enabled=true";
    let objects = render("segment-hub", &["--set", manager]);
    assert_eq!(count(&objects, "Secret", "segment-hub-webhook-tls"), 0);
    let issuer = &one(&objects, "Certificate", "segment-hub-webhook")["spec"]["issuerRef"];
    assert_eq!(
        issuer,
        &json!({"kind": "Issuer", "name": "segment-hub-webhook"})
    );
    assert_eq!(
        one(&objects, "Issuer", "segment-hub-webhook")["spec"],
        json!({"selfSigned": {}})
    );
    let configuration = configuration(&objects);
    assert_eq!(
        configuration["metadata"]["annotations"]["cert-manager.io/inject-ca-from"],
        "segment-system/segment-hub-webhook"
    );
    assert_eq!(
        configuration["webhooks"][0]["clientConfig"].get("caBundle"),
        None
    );

    let named = format!(
        "{manager},webhook.certManager.issuerRef.name=corp,webhook.certManager.issuerRef.kind=ClusterIssuer"
    );
    let objects = render("segment-hub", &["--set", &named]);
    assert_eq!(
        one(&objects, "Certificate", "segment-hub-webhook")["spec"]["issuerRef"],
        json!({"kind": "ClusterIssuer", "name": "corp"})
    );
    assert_eq!(count(&objects, "Issuer", "segment-hub-webhook"), 0);

    let pem = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
    let values = json!({"existingSecret": "mine", "caBundle": pem});
    let objects = render("segment-hub", &["--set-json", &format!("webhook={values}")]);
    assert_eq!(count(&objects, "Secret", "segment-hub-webhook-tls"), 0);
    let pod = &one(&objects, "Deployment", "segment-hub")["spec"]["template"]["spec"];
    assert_eq!(pod["volumes"][0]["secret"]["secretName"], "mine");
    assert_eq!(
        self::configuration(&objects)["webhooks"][0]["clientConfig"]["caBundle"],
        base64::engine::general_purpose::STANDARD.encode(pem)
    );
}

#[test]
fn what_could_not_work_is_refused() {
    for (set, named) in [
        ("webhook.url=http://hub.corp/admission", "/webhook/url"),
        ("webhook.url=https://hub.corp", "/webhook/url"),
        ("webhook.existingSecret=mine", "/webhook/caBundle"),
        ("webhook.caBundle=abc", "/webhook/caBundle"),
    ] {
        let error = try_render("segment-hub", &["--set", set]).expect_err(set);
        assert!(error.contains(named), "{set}: {error}");
    }
}

#[test]
fn off_is_off() {
    let objects = render("segment-hub", &["--set", "webhook.enabled=false"]);
    let text = serde_json::to_string(&objects).expect("JSON");
    assert!(!text.contains("webhook"), "{text}");
}
