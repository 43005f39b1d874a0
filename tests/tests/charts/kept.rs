//! What an upgrade must not write and an uninstallation must not take.

use std::collections::BTreeSet;

use segment_core::names;
use serde_json::{Value, json};

use crate::helm::{NAMESPACE, agent, objects as objects_in, render, root};

fn kept(objects: &[Value]) -> BTreeSet<(String, String, String)> {
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    objects
        .iter()
        .filter(|o| o["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep")
        .map(|o| {
            (
                text(&o["kind"]),
                text(&o["metadata"]["namespace"]),
                text(&o["metadata"]["name"]),
            )
        })
        .collect()
}

fn expected(list: &[(&str, &str, &str)]) -> BTreeSet<(String, String, String)> {
    list.iter()
        .map(|(kind, place, name)| ((*kind).to_owned(), (*place).to_owned(), (*name).to_owned()))
        .collect()
}

#[test]
fn the_hub_keeps_its_identity_its_ca_and_its_term() {
    assert_eq!(
        kept(&render("segment-hub", &[])),
        expected(&[
            ("Secret", NAMESPACE, names::HUB_IDENTITY_SECRET),
            ("Secret", NAMESPACE, names::HUB_ROOT_CA_SECRET),
            ("Secret", NAMESPACE, names::HUB_INTERMEDIATE_CA_SECRET),
            ("Secret", NAMESPACE, names::HUB_ENROLMENT_SECRET),
            ("Lease", NAMESPACE, names::HUB_LEASE),
            ("ConfigMap", names::KUBE_PUBLIC, names::HUB_INFO_CONFIG_MAP),
        ])
    );
}

#[test]
fn the_agent_keeps_its_identity_its_store_and_its_lease() {
    let mut list = expected(&[
        ("Secret", NAMESPACE, names::AGENT_IDENTITY_SECRET),
        ("Lease", NAMESPACE, names::AGENT_LEASE),
        ("ConfigMap", NAMESPACE, names::AGENT_STATE),
    ]);
    for prefix in [names::AGENT_ENTRIES_PREFIX, names::AGENT_LEDGER_PREFIX] {
        for shard in 0..names::AGENT_SHARDS {
            list.insert((
                "ConfigMap".into(),
                NAMESPACE.into(),
                format!("{prefix}{shard}"),
            ));
        }
    }
    assert_eq!(kept(&agent()), list);
}

#[test]
fn the_definitions_are_kept_with_every_segment() {
    let objects = render("segment-crds", &[]);
    let names: BTreeSet<_> = objects
        .iter()
        .map(|o| o["metadata"]["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(
        names,
        BTreeSet::from(["clusters.segment.grnry.io", "segments.segment.grnry.io"])
    );
    for object in &objects {
        assert_eq!(
            object["metadata"]["annotations"]["helm.sh/resource-policy"],
            "keep"
        );
        // All but the metadata is what the API's types generate.
        let plural = object["spec"]["names"]["plural"].as_str().expect("a name");
        let made = std::fs::read_to_string(root().join(format!("crds/generated/{plural}.yaml")))
            .expect("a definition");
        // Not the values: each is 40 kB.
        let same = objects_in(&made)[0]["spec"] == object["spec"];
        assert!(same, "{plural} differs from crds/generated");
    }
}

/// Helm merges what it rendered last, what it renders now and what is there: a key that stands in neither rendering stays as it is.
#[test]
fn what_is_kept_is_made_empty_and_looks_the_same_in_every_version() {
    for objects in [render("segment-hub", &[]), agent()] {
        for object in objects
            .iter()
            .filter(|o| o["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep")
        {
            let mut bare = object.clone();
            let bare = bare.as_object_mut().expect("an object");
            let metadata = bare.remove("metadata").expect("metadata");
            bare.remove("apiVersion");
            let kind = bare.remove("kind").expect("a kind");
            let rest = if kind == "Secret" {
                json!({"type": "Opaque"})
            } else {
                json!({})
            };
            assert_eq!(Value::Object(bare.clone()), rest, "{metadata}");
            let labels = crate::helm::strings(&metadata["labels"]);
            assert!(!labels.contains_key("helm.sh/chart"), "{metadata}");
            assert!(
                !labels.contains_key("app.kubernetes.io/version"),
                "{metadata}"
            );
        }
    }
}
