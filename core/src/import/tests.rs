//! Tests of the imports, by shape and by law.

mod clusters;
mod hostile;
mod shapes;

use super::*;
use crate::assignment::{Assignment, Controls, Entry, Modes, OrderNumber, Owner, PodSecurity};
use crate::cronjob::cronjob_json;
use crate::ids::{ClusterName, HubId, Revision};
use crate::placement::ClusterView;
use crate::render::{parse, render};
use serde_json::json;
use std::path::Path;

/// An example of the project.
fn example(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/examples")
        .join(name);
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// House defaults that add nothing to the chart's Pod.
fn chart_defaults() -> HouseDefaults {
    HouseDefaults {
        pod_security: PodSecurity::Chart,
        ..HouseDefaults::default()
    }
}

/// The `CronJob` that an agent would write for a Segment on a cluster.
fn cronjob_of(segment: &Segment, cluster: &str, defaults: &HouseDefaults) -> Value {
    let mut segment = segment.clone();
    segment
        .metadata
        .namespace
        .get_or_insert_with(|| "granary".to_owned());
    let parsed = parse(&segment).unwrap_or_else(|findings| panic!("{findings:?}"));
    let name = ClusterName::new(cluster).unwrap();
    let view = ClusterView::named(name, std::collections::BTreeMap::new());
    let entry = Entry {
        assignment: Assignment {
            key: parsed.key.clone(),
            uid: parsed.uid,
            number: OrderNumber::default(),
            revision: Revision::default(),
            rendered: render(&parsed, defaults, &view).unwrap_or_else(|f| panic!("{f:?}")),
            modes: Modes::default(),
        },
        controls: Controls::default(),
        removing: None,
    };
    let owner = Owner {
        hub: HubId::new("hub-0123456789").unwrap(),
    };
    let suspend = entry.assignment.rendered.template().suspend;
    cronjob_json(&entry, &owner, suspend)
}

/// The same as the older chart would have made it: without our marks, as an API server shows it.
fn chart_cronjob(segment: &Segment, cluster: &str, defaults: &HouseDefaults) -> Value {
    let mut cronjob = cronjob_of(segment, cluster, defaults);
    for place in [
        "/metadata",
        "/spec/jobTemplate/metadata",
        "/spec/jobTemplate/spec/template/metadata",
    ] {
        let metadata = cronjob.pointer_mut(place).unwrap();
        for kind in ["labels", "annotations"] {
            if let Some(map) = metadata.get_mut(kind).and_then(Value::as_object_mut) {
                map.retain(|key, _| {
                    !key.contains("grnry.io") && !key.starts_with("app.kubernetes.io")
                });
            }
        }
    }
    let pod = cronjob
        .pointer_mut("/spec/jobTemplate/spec/template/spec")
        .unwrap();
    pod["dnsPolicy"] = json!("ClusterFirst");
    pod["schedulerName"] = json!("default-scheduler");
    pod["terminationGracePeriodSeconds"] = json!(30);
    if let Some(account) = pod.get("serviceAccountName").cloned() {
        pod["serviceAccount"] = account;
    }
    pod["containers"][0]["terminationMessagePath"] = json!("/dev/termination-log");
    for variable in pod["containers"][0]["env"].as_array_mut().unwrap() {
        // An API server leaves empty texts out.
        if variable["value"] == "" {
            variable.as_object_mut().unwrap().remove("value");
        }
    }
    cronjob
}

/// A `CronJob`'s spec without our marks: what two of them are compared by.
fn spec_of(segment: &Segment, cluster: &str) -> Value {
    chart_cronjob(segment, cluster, &chart_defaults())["spec"].take()
}

fn notes(imported: &Imported) -> String {
    let lines: Vec<String> = imported.notes.iter().map(ToString::to_string).collect();
    lines.join("\n")
}
