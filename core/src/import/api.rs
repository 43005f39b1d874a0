//! Granary's Segment Management API: bodies and answers.
//!
//! In: `{metadata: {displayName}, data: {…}, labels?, roles?, id?}`, with our additions `data.clusterSelector`,
//! `data.overrides`, `data.rollout`. Out: a Segment. Law: what the API makes by itself (`createdAt`, `links`) is no part
//! of a Segment. Not: the API's errors.

use super::block::{BLOCKS, Reading, say_unknown};
use super::document::typed;
use super::{Imported, Naming, Shape, name};
use crate::finding::{Code, Finding};
use crate::ids::SegmentName;
use crate::names::{ANNOTATION_API_LABELS, ANNOTATION_API_ROLES};
use crate::segment::HouseDefaults;
use segment_crds::Segment;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What the API makes by itself.
const GENERATED: [&str; 4] = ["createdAt", "createdBy", "modifiedAt", "modifiedBy"];
/// Our additions in `data`.
const ADDITIONS: [&str; 3] = ["clusterSelector", "overrides", "rollout"];

pub(super) fn import(
    document: &Value,
    naming: &Naming,
    defaults: &HouseDefaults,
) -> Result<Imported, Vec<Finding>> {
    let mut reading = Reading::default();
    let empty = Map::new();
    let map = document.as_object().unwrap_or(&empty);
    say_unknown(
        map,
        "",
        &["id", "metadata", "roles", "data", "links", "labels"],
        "is not known to the API: left out",
        &mut reading,
    );
    let metadata = document["metadata"].as_object().unwrap_or(&empty);
    say_unknown(
        metadata,
        "metadata",
        &[&["displayName", "description"][..], &GENERATED[..]].concat(),
        "is not known to the API: left out",
        &mut reading,
    );
    if GENERATED.iter().any(|name| metadata.contains_key(*name)) || map.contains_key("links") {
        reading.note(
            "",
            "links, and times and people in metadata, are made by the API: left out",
        );
    }
    let data = match &document["data"] {
        Value::Object(data) => data,
        other => {
            if !other.is_null() {
                reading.invalid("data", "is not a map");
            }
            &empty
        }
    };
    say_unknown(
        data,
        "data",
        &[&BLOCKS[..], &ADDITIONS[..]].concat(),
        "is not known: left out",
        &mut reading,
    );
    let mut spec = reading.blocks(data, "data", defaults);
    spec.cluster_selector = addition(data, "clusterSelector", &mut reading);
    spec.overrides = addition(data, "overrides", &mut reading).unwrap_or_default();
    spec.rollout = addition(data, "rollout", &mut reading);
    spec.display_name = text(metadata, "displayName", &mut reading);
    spec.description = text(metadata, "description", &mut reading).filter(|text| !text.is_empty());
    if spec.display_name.as_deref().unwrap_or_default().is_empty() {
        reading.findings.push(
            Finding::error(
                Code::RequiredVariable,
                "metadata.displayName",
                "is required",
            )
            .help("a name for people, such as \"Loyal customers\""),
        );
    }

    let name = id(document, spec.display_name.as_deref(), naming, &mut reading);
    let mut segment = Segment::new(&name, spec);
    segment.metadata.namespace.clone_from(&naming.namespace);
    segment.metadata.annotations = annotations(map, &mut reading);
    if reading.findings.is_empty() {
        Ok(Imported {
            segment,
            shape: Shape::Api,
            notes: reading.notes,
        })
    } else {
        Err(reading.findings)
    }
}

/// The Segment's name: the caller's, the id, or what the API would make of the display name.
fn id(
    document: &Value,
    display_name: Option<&str>,
    naming: &Naming,
    reading: &mut Reading,
) -> String {
    let given = naming.name.as_deref().or_else(|| document["id"].as_str());
    if let Some(id) = given {
        if let Err(error) = SegmentName::new(id) {
            let field = if naming.name.is_some() { "" } else { "id" };
            reading
                .findings
                .push(Finding::error(Code::InvalidName, field, error.to_string()));
        }
        return id.to_owned();
    }
    let Some(name) = display_name.and_then(name::from_display_name) else {
        if display_name.is_some_and(|name| !name.is_empty()) {
            reading.findings.push(
                Finding::error(
                    Code::InvalidName,
                    "metadata.displayName",
                    "has no letter or digit that a resource's name may have",
                )
                .help("give the Segment a name, or the document an id"),
            );
        }
        return String::new();
    };
    reading.note(
        "id",
        format!("is absent: the Segment is named {name}; Granary would append - and five random characters"),
    );
    name
}

fn text(map: &Map<String, Value>, key: &str, reading: &mut Reading) -> Option<String> {
    match map.get(key) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(_) => {
            reading.invalid(format!("metadata.{key}"), "is not text");
            None
        }
    }
}

fn addition<T: DeserializeOwned + Serialize>(
    data: &Map<String, Value>,
    key: &str,
    reading: &mut Reading,
) -> Option<T> {
    let value = data.get(key).filter(|value| !value.is_null())?;
    let mut unknown = Vec::new();
    let field = format!("data.{key}");
    match typed(value, &field, &mut unknown) {
        Ok(value) => {
            // These are ours, and a typo in them would select other clusters: no note, an error.
            for path in unknown {
                reading.invalid(path, "is not a known field");
            }
            Some(value)
        }
        Err(message) => {
            reading.invalid(field, message);
            None
        }
    }
}

/// Labels and roles are the API's own; a Segment keeps them as annotations.
fn annotations(
    map: &Map<String, Value>,
    reading: &mut Reading,
) -> Option<BTreeMap<String, String>> {
    let mut annotations = BTreeMap::new();
    let strings = |value: &Value| {
        value
            .as_array()
            .is_some_and(|items| items.iter().all(Value::is_string))
    };
    match map.get("labels") {
        None | Some(Value::Null) => {}
        Some(labels) if strings(labels) => {
            if labels.as_array().is_some_and(|labels| !labels.is_empty()) {
                annotations.insert(ANNOTATION_API_LABELS.to_owned(), labels.to_string());
            }
        }
        Some(_) => reading.invalid("labels", "is not a list of text"),
    }
    match map.get("roles") {
        None | Some(Value::Null) => {}
        Some(Value::Object(roles))
            if roles.iter().all(|(kind, names)| {
                ["editor", "viewer"].contains(&kind.as_str()) && strings(names)
            }) =>
        {
            annotations.insert(
                ANNOTATION_API_ROLES.to_owned(),
                Value::Object(roles.clone()).to_string(),
            );
        }
        Some(_) => reading.invalid("roles", "is not {editor: [names], viewer: [names]}"),
    }
    (!annotations.is_empty()).then_some(annotations)
}
