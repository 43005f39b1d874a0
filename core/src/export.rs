//! Export: a Segment in the forms that other programs read.
//!
//! In: a Segment. Out: a body of Granary's API, values of the older Helm chart, a clean resource; with [`Note`]s on what
//! the form can't carry. Law: import ∘ export is the identity on meaning for what a form can carry (tests
//! `an_api_body_comes_back`, `helm_values_come_back`). Not: writing files (`segctl`).

use crate::finding::Finding;
use crate::import::Note;
use crate::names::{ANNOTATION_API_LABELS, ANNOTATION_API_ROLES};
use crate::placement::ClusterView;
use crate::render::render;
use crate::segment::{HouseDefaults, ParsedSegment, effective, schedule, template};
use crate::selector::Selector;
use segment_crds::{CronJobSettings, GROUP, Segment, SegmentSpec, VERSION};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Fields of `spec.cronjob` that the older chart has.
const CHART_SETTINGS: [&str; 4] = [
    "schedule",
    "concurrencyPolicy",
    "failedJobsHistoryLimit",
    "successfulJobsHistoryLimit",
];

/// Annotations that tools leave on objects of an API server.
const TOOLS: [&str; 1] = ["kubectl.kubernetes.io/last-applied-configuration"];

fn value(of: impl Serialize) -> Value {
    serde_json::to_value(of).unwrap_or_default()
}

/// Puts a value into a map, unless there is nothing in it.
fn put(map: &mut Map<String, Value>, key: &str, value: Value) {
    let empty = match &value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    if !empty {
        map.insert(key.to_owned(), value);
    }
}

/// `env` and `extraEnv` as the one map that Granary and its chart have.
fn variables(spec: &SegmentSpec) -> Value {
    let mut map = match value(&spec.env) {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    for (name, text) in &spec.extra_env {
        map.insert(name.clone(), json!(text));
    }
    Value::Object(map)
}

/// Fields of `spec` that neither Granary's API nor its chart has, each with whether it is set.
fn fleet_fields(spec: &SegmentSpec) -> [(&'static str, bool); 7] {
    [
        ("clusterTolerations", !spec.cluster_tolerations.is_empty()),
        ("targetNamespace", spec.target_namespace.is_some()),
        ("removal", spec.removal.is_some()),
        ("adoption", spec.adoption.is_some()),
        ("drift", spec.drift.is_some()),
        ("onScheduleChange", spec.on_schedule_change.is_some()),
        ("paused", spec.paused.is_some()),
    ]
}

/// The Segment without what an API server put there: its name, labels, annotations and spec.
#[must_use]
pub fn clean(segment: &Segment) -> Segment {
    let metadata = &segment.metadata;
    let mut clean = Segment::new(
        metadata.name.as_deref().unwrap_or_default(),
        segment.spec.clone(),
    );
    clean.metadata.namespace.clone_from(&metadata.namespace);
    clean.metadata.labels = metadata.labels.clone().filter(|labels| !labels.is_empty());
    clean.metadata.annotations = metadata
        .annotations
        .clone()
        .map(|mut annotations| {
            annotations.retain(|key, _| !TOOLS.contains(&key.as_str()));
            annotations
        })
        .filter(|annotations| !annotations.is_empty());
    clean
}

/// The resource as a file: what `kubectl apply -f` takes, and nothing that a server puts there.
pub fn to_resource(segment: &Segment) -> Value {
    let clean = clean(segment);
    let mut metadata = Map::new();
    put(&mut metadata, "name", value(&clean.metadata.name));
    put(&mut metadata, "namespace", value(&clean.metadata.namespace));
    put(&mut metadata, "labels", value(&clean.metadata.labels));
    put(
        &mut metadata,
        "annotations",
        value(&clean.metadata.annotations),
    );
    json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": "Segment",
        "metadata": metadata,
        "spec": clean.spec,
    })
}

/// A body for `POST /segments/{id}` of Granary's Segment Management API, with our additions in `data`; `id` is in it as in
/// an answer of `?export=true`.
pub fn to_api(segment: &Segment) -> (Value, Vec<Note>) {
    let spec = &segment.spec;
    let mut notes = Vec::new();
    let name = segment.metadata.name.clone().unwrap_or_default();
    let display_name = spec.display_name.clone().unwrap_or_else(|| {
        notes.push(Note::new(
            "spec.displayName",
            "is absent and required there: the name is written",
        ));
        name.clone()
    });
    let mut metadata = Map::new();
    put(&mut metadata, "displayName", json!(display_name));
    put(&mut metadata, "description", value(&spec.description));

    let mut data = Map::new();
    put(&mut data, "cronjob", value(&spec.cronjob));
    put(&mut data, "env", variables(spec));
    put(&mut data, "envFromSecrets", value(&spec.env_from_secrets));
    put(&mut data, "image", value(&spec.image));
    if let Some(selector) = &spec.cluster_selector {
        data.insert("clusterSelector".to_owned(), value(selector));
    }
    put(&mut data, "overrides", value(&spec.overrides));
    put(&mut data, "rollout", value(&spec.rollout));
    for (field, given) in fleet_fields(spec) {
        if given {
            notes.push(not_carried(&format!("spec.{field}"), "Granary's API"));
        }
    }

    let mut body = Map::new();
    put(&mut body, "id", json!(name));
    put(&mut body, "metadata", Value::Object(metadata));
    for (key, annotation) in [
        ("labels", ANNOTATION_API_LABELS),
        ("roles", ANNOTATION_API_ROLES),
    ] {
        let text = annotation_of(segment, annotation);
        match text.map(serde_json::from_str::<Value>) {
            None => {}
            Some(Ok(value)) => put(&mut body, key, value),
            Some(Err(_)) => notes.push(Note::new(
                format!("metadata.annotations.{annotation}"),
                "is not JSON: left out",
            )),
        }
    }
    body.insert("data".to_owned(), Value::Object(data));
    let others = segment
        .metadata
        .annotations
        .iter()
        .flatten()
        .any(|(key, _)| {
            ![ANNOTATION_API_LABELS, ANNOTATION_API_ROLES].contains(&key.as_str())
                && !TOOLS.contains(&key.as_str())
        });
    if others {
        notes.push(not_carried("metadata.annotations", "Granary's API"));
    }
    if segment
        .metadata
        .labels
        .as_ref()
        .is_some_and(|labels| !labels.is_empty())
    {
        notes.push(not_carried("metadata.labels", "Granary's API"));
    }
    (Value::Object(body), notes)
}

fn annotation_of<'a>(segment: &'a Segment, key: &str) -> Option<&'a str> {
    let annotations = segment.metadata.annotations.as_ref()?;
    annotations.get(key).map(String::as_str)
}

fn not_carried(field: &str, form: &str) -> Note {
    Note::new(field, format!("has no place in {form}: left out"))
}

/// Values of the older Helm chart, as the Segment stands where no override matches. The name and the namespace are those of
/// the release.
pub fn to_helm_values(segment: &Segment) -> (Value, Vec<Note>) {
    let mut notes = Vec::new();
    let values = helm_values(&segment.spec, &mut notes);
    if !segment.spec.overrides.is_empty() {
        notes.push(
            Note::new(
                "spec.overrides",
                "have no place in the chart's values: left out; choose a cluster to get what they say for it",
            )
            .changes(),
        );
    }
    if segment
        .spec
        .cronjob
        .schedule
        .as_deref()
        .is_some_and(schedule::uses_h)
    {
        notes.push(
            Note::new(
                "spec.cronjob.schedule",
                "has an H, which Kubernetes does not know; choose a cluster to get its number",
            )
            .changes(),
        );
    }
    let values_of = segment
        .spec
        .env
        .iter()
        .filter_map(|(name, value)| Some((name, value?)));
    let extra = &segment.spec.extra_env;
    let extra = extra
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, text) in values_of.chain(extra) {
        if template::mentions_cluster(text) {
            notes.push(
                Note::new(
                    format!("spec.env.{name}"),
                    "names the cluster, which the chart does not know; choose a cluster to get its value",
                )
                .changes(),
            );
        }
    }
    (values, notes)
}

/// Values of the older Helm chart for one cluster: overrides applied, references replaced, `H` a number.
///
/// # Errors
/// Findings of this Segment on this cluster, as [`render`] has them.
pub fn to_helm_values_on(
    segment: &ParsedSegment,
    defaults: &HouseDefaults,
    cluster: &ClusterView,
) -> Result<(Value, Vec<Note>), Vec<Finding>> {
    let rendered = render(segment, defaults, cluster)?;
    let rendered = rendered.template();
    let effective = effective(segment, &cluster.labels);
    // Only what the Segment says: the defaults of a chart are the chart's.
    let text = |name: &str, value: &str| {
        rendered
            .env
            .get(name)
            .map_or_else(|| value.to_owned(), Clone::clone)
    };
    let mut spec = SegmentSpec {
        cronjob: effective.cronjob.clone(),
        env: effective.env.clone(),
        extra_env: effective
            .extra_env
            .iter()
            .map(|(name, value)| (name.clone(), text(name, value)))
            .collect(),
        env_from_secrets: effective.env_from_secrets.clone(),
        image: effective.image.clone(),
        ..SegmentSpec::default()
    };
    spec.cronjob.schedule = Some(rendered.schedule.clone());
    for (name, value) in effective.env.iter() {
        if let Some(value) = value {
            spec.env.set(name, Some(text(name, value)));
        }
    }
    for (name, reference) in &mut spec.env_from_secrets {
        if let Some(secret) = rendered.secret_env.get(name) {
            reference.secret = Some(secret.secret.clone());
            reference.key = Some(secret.key.clone());
        }
    }
    let mut notes = Vec::new();
    let values = helm_values(&spec, &mut notes);
    Ok((values, notes))
}

fn helm_values(spec: &SegmentSpec, notes: &mut Vec<Note>) -> Value {
    let mut cronjob = match value(&spec.cronjob) {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    for field in CronJobSettings::FIELDS {
        if !CHART_SETTINGS.contains(field) && cronjob.remove(*field).is_some() {
            notes.push(
                not_carried(&format!("spec.cronjob.{field}"), "the chart's values").changes(),
            );
        }
    }
    for (name, reference) in &spec.env_from_secrets {
        if reference.secret.is_none() || reference.key.is_none() {
            notes.push(Note::new(
                format!("spec.envFromSecrets.{name}"),
                "leaves its secret or key to the hub's defaults: the chart's may be others",
            ));
        }
    }
    let api_has = [
        ("displayName", spec.display_name.is_some()),
        ("description", spec.description.is_some()),
        ("clusterSelector", spec.cluster_selector.is_some()),
        ("rollout", spec.rollout.is_some()),
    ];
    for (field, given) in api_has.into_iter().chain(fleet_fields(spec)) {
        if given {
            notes.push(not_carried(&format!("spec.{field}"), "the chart's values"));
        }
    }
    let mut values = Map::new();
    put(&mut values, "cronjob", Value::Object(cronjob));
    put(&mut values, "image", value(&spec.image));
    put(&mut values, "env", variables(spec));
    put(&mut values, "envFromSecrets", value(&spec.env_from_secrets));
    Value::Object(values)
}

/// Whether a Segment selects a cluster with these labels.
pub fn selects(segment: &Segment, labels: &BTreeMap<String, String>) -> bool {
    Selector::parse(
        segment.spec.cluster_selector.as_ref(),
        "spec.clusterSelector",
    )
    .is_ok_and(|selector| selector.matches(labels))
}
