//! The Segment resource itself, from a file or an API server.
//!
//! In: its JSON. Out: the Segment without what a server puts there. Law: as strict as the API server: a field that is
//! not known is an error, not a note. Not: whether the Segment is right, which is lint's.

use super::document::{is_empty, join, kind, typed};
use super::{Imported, Naming, Shape};
use crate::finding::{Code, Finding};
use segment_crds::{GROUP, Segment, SegmentSpec, VERSION};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

pub(super) fn import(document: &Value, naming: &Naming) -> Result<Imported, Vec<Finding>> {
    let mut findings = Vec::new();
    let mut invalid = |field: &str, message: String| {
        findings.push(Finding::error(Code::InvalidValue, field, message));
    };
    let expected = format!("{GROUP}/{VERSION}");
    if document["apiVersion"].as_str() != Some(&expected) {
        let found = document["apiVersion"].as_str().unwrap_or_default();
        invalid("apiVersion", format!("{found:?} is not {expected}"));
    }
    let empty = Map::new();
    for (key, value) in document.as_object().unwrap_or(&empty) {
        if !["apiVersion", "kind", "metadata", "spec", "status"].contains(&key.as_str())
            && !is_empty(value)
        {
            invalid(key, "is not a known field".to_owned());
        }
    }
    let metadata = &document["metadata"];
    let text = |key: &str| metadata[key].as_str().map(str::to_owned);
    let mut strings = |key: &str| -> Option<BTreeMap<String, String>> {
        let value = metadata.get(key).filter(|value| !value.is_null())?;
        serde_json::from_value(value.clone())
            .map_err(|error| invalid(&format!("metadata.{key}"), error.to_string()))
            .ok()
    };
    let labels = strings("labels");
    let annotations = strings("annotations");
    let spec = spec(&document["spec"], &mut findings);
    if !findings.is_empty() {
        return Err(findings);
    }
    let name = naming.name.clone().or_else(|| text("name"));
    let mut segment = Segment::new(&name.unwrap_or_default(), spec);
    segment.metadata.namespace = naming.namespace.clone().or_else(|| text("namespace"));
    segment.metadata.labels = labels;
    segment.metadata.annotations = annotations;
    Ok(Imported {
        segment: crate::export::clean(&segment),
        shape: Shape::Segment,
        notes: Vec::new(),
    })
}

fn spec(value: &Value, findings: &mut Vec<Finding>) -> SegmentSpec {
    let mut unknown = Vec::new();
    match typed(value, "spec", &mut unknown) {
        Ok(spec) => {
            for path in unknown {
                let finding = Finding::error(Code::InvalidValue, &path, "is not a known field");
                findings.push(if path.contains(".env.") {
                    finding
                        .help("a variable that the script does not know belongs in spec.extraEnv")
                } else {
                    finding
                });
            }
            spec
        }
        Err(message) => {
            findings.extend(place(value, &message));
            SegmentSpec::default()
        }
    }
}

/// Finds the fields that are not of their type, by reading each by itself.
fn place(spec: &Value, message: &str) -> Vec<Finding> {
    let error = |field: String, message: String| {
        Finding::error(Code::InvalidValue, field, message)
            .help("a number or True in env needs quotes")
    };
    let Some(map) = spec.as_object() else {
        return vec![error(
            "spec".to_owned(),
            format!("is {}, not a map", kind(spec)),
        )];
    };
    let mut found = Vec::new();
    for (key, value) in map {
        if readable(key, value).is_none() {
            continue;
        }
        let at = join("spec", key);
        let before = found.len();
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    if let Some(message) = readable(key, &json!({ name: field })) {
                        found.push(error(join(&at, name), message));
                    }
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    if let Some(message) = readable(key, &json!([item])) {
                        found.push(error(format!("{at}[{index}]"), message));
                    }
                }
            }
            _ => {}
        }
        if found.len() == before {
            found.push(error(at, readable(key, value).unwrap_or_default()));
        }
    }
    if found.is_empty() {
        found.push(error("spec".to_owned(), message.to_owned()));
    }
    found
}

/// What is wrong with one field of the spec, where it is not of its type.
fn readable(key: &str, value: &Value) -> Option<String> {
    let mut spec = json!({"cronjob": {}, "env": {}});
    spec[key] = value.clone();
    serde_json::from_value::<SegmentSpec>(spec)
        .err()
        .map(|error| error.to_string())
}
