//! Who may do what: the charts' bindings, resolved, against a table.

use std::collections::{BTreeMap, BTreeSet};

use segment_core::names;
use serde_json::Value;

use crate::helm::{NAMESPACE, agent, render};

/// Where a right holds, on what, and the verbs: one row of the table.
type Row = (String, String, BTreeSet<String>);

fn rows(table: &[(&str, String, &str)]) -> BTreeSet<Row> {
    table
        .iter()
        .map(|(place, resource, verbs)| {
            (
                (*place).to_owned(),
                resource.clone(),
                verbs.split(' ').map(str::to_owned).collect(),
            )
        })
        .collect()
}

/// Every right of a subject: (namespace or `*`, `group/resource[/name]`, verbs). A binding to a role that the chart does not
/// make shows as `role/<name>`.
fn granted(objects: &[Value], subject: &str) -> BTreeSet<Row> {
    let mut verbs: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for binding in objects
        .iter()
        .filter(|o| o["kind"] == "RoleBinding" || o["kind"] == "ClusterRoleBinding")
    {
        let subjects = binding["subjects"]
            .as_array()
            .expect("a binding has subjects");
        if !subjects.iter().any(|s| is_subject(s, subject)) {
            continue;
        }
        let place = match binding["kind"].as_str() {
            Some("ClusterRoleBinding") => "*",
            _ => binding["metadata"]["namespace"]
                .as_str()
                .expect("a RoleBinding names its namespace"),
        };
        let role = objects.iter().find(|o| {
            o["kind"] == binding["roleRef"]["kind"]
                && o["metadata"]["name"] == binding["roleRef"]["name"]
                && (o["kind"] == "ClusterRole"
                    || o["metadata"]["namespace"] == binding["metadata"]["namespace"])
        });
        let Some(role) = role else {
            let name = binding["roleRef"]["name"]
                .as_str()
                .expect("a reference has a name");
            verbs
                .entry((place.to_owned(), format!("role/{name}")))
                .or_default()
                .insert("bound".to_owned());
            continue;
        };
        for (resource, verb) in of_role(role) {
            verbs
                .entry((place.to_owned(), resource))
                .or_default()
                .insert(verb);
        }
    }
    verbs
        .into_iter()
        .map(|((place, resource), verbs)| (place, resource, verbs))
        .collect()
}

/// `name` of a service account in the tests' namespace, or `group:<name>`.
fn is_subject(subject: &Value, name: &str) -> bool {
    match name.strip_prefix("group:") {
        Some(group) => subject["kind"] == "Group" && subject["name"] == group,
        None => {
            subject["kind"] == "ServiceAccount"
                && subject["name"] == name
                && subject["namespace"] == NAMESPACE
        }
    }
}

/// Every (resource, verb) of a role.
fn of_role(role: &Value) -> Vec<(String, String)> {
    let list = |value: &Value| -> Vec<String> {
        value
            .as_array()
            .into_iter()
            .flatten()
            .map(|v| v.as_str().expect("a string").to_owned())
            .collect()
    };
    let mut all = Vec::new();
    for rule in role["rules"].as_array().expect("a role has rules") {
        assert!(
            rule.get("nonResourceURLs").is_none(),
            "no right on URLs: {rule}"
        );
        let names = list(&rule["resourceNames"]);
        for group in list(&rule["apiGroups"]) {
            for resource in list(&rule["resources"]) {
                let base = format!("{group}/{resource}");
                let resources: Vec<String> = match names.as_slice() {
                    [] => vec![base],
                    names => names.iter().map(|name| format!("{base}/{name}")).collect(),
                };
                for verb in list(&rule["verbs"]) {
                    all.extend(
                        resources
                            .iter()
                            .map(|resource| (resource.clone(), verb.clone())),
                    );
                }
            }
        }
    }
    all
}

/// The store's `ConfigMaps`.
fn store() -> Vec<String> {
    let shards = |prefix: &str| {
        (0..names::AGENT_SHARDS)
            .map(|n| format!("{prefix}{n}"))
            .collect::<Vec<_>>()
    };
    [
        vec![names::AGENT_STATE.to_owned()],
        shards(names::AGENT_ENTRIES_PREFIX),
        shards(names::AGENT_LEDGER_PREFIX),
    ]
    .concat()
}

#[test]
fn the_agent_may_do_exactly_this() {
    let mut table = vec![
        (
            NAMESPACE,
            format!("/configmaps/{}", names::POLICY_CONFIG_MAP),
            "get list watch",
        ),
        (
            NAMESPACE,
            format!("/secrets/{}", names::AGENT_IDENTITY_SECRET),
            "get update",
        ),
        (
            NAMESPACE,
            format!("coordination.k8s.io/leases/{}", names::AGENT_LEASE),
            "get update",
        ),
        ("kube-system", "/namespaces/kube-system".to_owned(), "get"),
    ];
    for name in store() {
        table.push((NAMESPACE, format!("/configmaps/{name}"), "get update"));
    }
    for namespace in ["granary", "reports"] {
        table.extend([
            (
                namespace,
                "batch/cronjobs".to_owned(),
                "get list watch create update delete",
            ),
            (namespace, "batch/cronjobs/status".to_owned(), "update"),
            (namespace, "batch/jobs".to_owned(), "list watch"),
            (namespace, "/pods".to_owned(), "list watch"),
        ]);
    }
    assert_eq!(granted(&agent(), "segment-agent"), rows(&table));
}

#[test]
fn the_agent_reads_logs_only_where_the_policy_says_so() {
    let reads = |set: &str| {
        let arguments = [
            "--set",
            "hub.address=hub:8443,policy.namespaces={granary}",
            "--set",
            set,
        ];
        granted(&render("segment-agent", &arguments), "segment-agent")
            .iter()
            .any(|(place, resource, _)| place == "granary" && resource == "/pods/log")
    };
    assert!(reads("policy.rules.logs=true"));
    assert!(!reads("policy.rules.logs=false") && !reads("policy.rules.runNow=true"));
}

#[test]
fn the_agent_makes_jobs_only_where_the_policy_says_so() {
    let create = |set: &str| {
        let objects = render(
            "segment-agent",
            &[
                "--set",
                "hub.address=hub:8443,policy.namespaces={granary}",
                "--set",
                set,
            ],
        );
        granted(&objects, "segment-agent")
            .into_iter()
            .filter(|(_, _, verbs)| verbs.contains("create"))
            .map(|(place, resource, _)| (place, resource))
            .collect::<Vec<_>>()
    };
    let cronjobs = ("granary".to_owned(), "batch/cronjobs".to_owned());
    let jobs = ("granary".to_owned(), "batch/jobs".to_owned());
    for (set, expected) in [
        ("policy.rules.runNow=true", vec![cronjobs.clone(), jobs]),
        ("policy.rules.runNow=false", vec![cronjobs.clone()]),
        ("policy.rules.logs=false", vec![cronjobs]),
    ] {
        assert_eq!(create(set), expected, "{set}");
    }
}

#[test]
fn the_hub_may_do_exactly_this() {
    let mut table = vec![
        (
            "*",
            "segment.grnry.io/segments".to_owned(),
            "get list watch patch",
        ),
        ("*", "segment.grnry.io/segments/status".to_owned(), "patch"),
        (
            "*",
            "segment.grnry.io/clusters".to_owned(),
            "get list watch create",
        ),
        ("*", "segment.grnry.io/clusters/status".to_owned(), "patch"),
        (
            "*",
            "apps/controllerrevisions".to_owned(),
            "list create delete",
        ),
        ("*", "events.k8s.io/events".to_owned(), "create patch"),
        (
            "*",
            "authentication.k8s.io/tokenreviews".to_owned(),
            "create",
        ),
        (
            "*",
            "authorization.k8s.io/subjectaccessreviews".to_owned(),
            "create",
        ),
        (
            NAMESPACE,
            "/configmaps".to_owned(),
            "list create update delete",
        ),
        (
            NAMESPACE,
            format!("coordination.k8s.io/leases/{}", names::HUB_LEASE),
            "get update",
        ),
        (
            names::KUBE_PUBLIC,
            format!("/configmaps/{}", names::HUB_INFO_CONFIG_MAP),
            "get update",
        ),
        (
            "kube-system",
            "role/extension-apiserver-authentication-reader".to_owned(),
            "bound",
        ),
    ];
    for name in [
        names::HUB_IDENTITY_SECRET,
        names::HUB_ROOT_CA_SECRET,
        names::HUB_INTERMEDIATE_CA_SECRET,
        names::HUB_ENROLMENT_SECRET,
    ] {
        table.push((NAMESPACE, format!("/secrets/{name}"), "get update"));
    }
    assert_eq!(
        granted(&render("segment-hub", &[]), "segment-hub"),
        rows(&table)
    );
}

#[test]
fn people_may_do_exactly_this() {
    let objects = render("segment-hub", &[]);
    let info = (
        names::KUBE_PUBLIC,
        format!("/configmaps/{}", names::HUB_INFO_CONFIG_MAP),
        "get",
    );
    assert_eq!(
        granted(&objects, "group:system:authenticated"),
        rows(&[info])
    );

    let table = [
        (
            "segment-viewer",
            "view edit admin",
            "segments clusters",
            "get list watch",
        ),
        (
            "segment-editor",
            "edit admin",
            "segments",
            "create update patch delete",
        ),
        ("segment-editor", "edit admin", "segments/run", "create"),
        ("segment-editor", "edit admin", "segments/rollout", "create"),
        ("segment-editor", "edit admin", "segments/hold", "create"),
        ("segment-editor", "edit admin", "segments/log", "get"),
        // Not aggregated: a Cluster's labels decide what runs there, and its annotations enter SQL.
        (
            "segment-admin",
            "",
            "segments clusters",
            "get list watch create update patch delete",
        ),
        ("segment-admin", "", "segments/run", "create"),
        ("segment-admin", "", "segments/rollout", "create"),
        ("segment-admin", "", "segments/hold", "create"),
        ("segment-admin", "", "segments/log", "get"),
        ("segment-admin", "", "segments/approval", "create"),
        ("segment-admin", "", "clusters/access", "update"),
    ];
    let words = |text: &str| {
        text.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let expected: BTreeSet<(String, String, String)> = table
        .iter()
        .flat_map(|(role, _, resources, verbs)| {
            words(resources).into_iter().flat_map(move |resource| {
                words(verbs).into_iter().map(move |verb| {
                    (
                        (*role).to_owned(),
                        format!("segment.grnry.io/{resource}"),
                        verb,
                    )
                })
            })
        })
        .collect();
    let roles = || {
        objects
            .iter()
            .filter(|o| o["kind"] == "ClusterRole" && o["metadata"]["name"] != "segment-hub")
    };
    let found: BTreeSet<(String, String, String)> = roles()
        .flat_map(|role| {
            let name = role["metadata"]["name"]
                .as_str()
                .expect("a role has a name");
            of_role(role)
                .into_iter()
                .map(move |(resource, verb)| (name.to_owned(), resource, verb))
        })
        .collect();
    assert_eq!(found, expected);

    for role in roles() {
        let name = role["metadata"]["name"]
            .as_str()
            .expect("a role has a name");
        let aggregated: BTreeSet<String> = crate::helm::strings(&role["metadata"]["labels"])
            .keys()
            .filter_map(|label| {
                label
                    .strip_prefix("rbac.authorization.k8s.io/aggregate-to-")
                    .map(str::to_owned)
            })
            .collect();
        let expected: BTreeSet<String> = table
            .iter()
            .filter(|(role, ..)| *role == name)
            .flat_map(|(_, into, ..)| words(into))
            .collect();
        assert_eq!(aggregated, expected, "{name}");
    }
}

#[test]
fn no_right_is_wild_and_none_makes_others() {
    for objects in [agent(), render("segment-hub", &[])] {
        for role in objects
            .iter()
            .filter(|o| o["kind"] == "Role" || o["kind"] == "ClusterRole")
        {
            for (resource, verb) in of_role(role) {
                assert!(!resource.contains('*') && verb != "*", "{resource} {verb}");
                assert!(
                    !["escalate", "bind", "impersonate", "deletecollection"]
                        .contains(&verb.as_str()),
                    "{verb}"
                );
                assert!(
                    !resource.starts_with("admissionregistration.k8s.io/"),
                    "{resource}"
                );
                assert!(
                    !resource.starts_with("rbac.authorization.k8s.io/"),
                    "{resource}"
                );
            }
        }
    }
}

#[test]
fn the_agent_has_no_right_in_the_whole_cluster() {
    let objects = agent();
    assert!(
        objects
            .iter()
            .all(|o| o["kind"] != "ClusterRole" && o["kind"] != "ClusterRoleBinding")
    );
    assert!(
        granted(&objects, "segment-agent")
            .iter()
            .all(|(place, ..)| place != "*")
    );
}

#[test]
fn namespaces_with_other_secrets_of_ours_are_refused() {
    for namespace in [NAMESPACE, "kube-system", "kube-public", "kube-node-lease"] {
        let set = format!("hub.address=a:8443,policy.namespaces.{namespace}.from={{granary}}");
        let error = crate::helm::try_render("segment-agent", &["--set", &set]).unwrap_err();
        assert!(
            error.contains(&format!(
                "policy.namespaces: {namespace} cannot be one of them"
            )),
            "{error}"
        );
    }
}
