//! The CRDs as they are applied.
//!
//! In: what kube's derive makes of the types. Out: the same, put right for the API server. Law: `generated/*.yaml` is
//! exactly this (test `generated_crds_are_current`). Not: rules; they stand beside the types.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use crate::cluster::Cluster;
use crate::segment::Segment;
use crate::segment_status::NEVER_OBSERVED;

/// Every CRD of this API, for generators and installers.
pub fn all() -> Vec<CustomResourceDefinition> {
    vec![applied(Segment::crd()), applied(Cluster::crd())]
}

/// What the derive cannot say.
#[allow(
    clippy::expect_used,
    reason = "the input is our own CRD, and a test makes it at every run"
)]
pub(crate) fn applied(crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let mut value = serde_json::to_value(crd).expect("a CRD is JSON");
    let schema = &mut value["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    tidy(schema);
    // A status that is not there at all reads as "current" to kstatus, Flux and Helm.
    schema["properties"]["status"]["default"] = json!({ "observedGeneration": NEVER_OBSERVED });
    serde_json::from_value(value).expect("a tidied CRD is a CRD")
}

/// Walks a schema and takes out what schemars writes for Rust and Kubernetes does not want.
fn tidy(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else {
        return;
    };
    // No nulls in this API: a field is there or not. (With `nullable`, `has()` in a rule is true for null.)
    schema.remove("nullable");
    if let Some(Value::Array(words)) = schema.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    // Kubernetes knows int32 and int64 only, and warns of the rest at every apply.
    if matches!(schema.get("format").and_then(Value::as_str), Some(format) if format.starts_with("uint"))
    {
        schema.remove("format");
        schema.insert("maximum".to_owned(), json!(u32::MAX));
    }
    integers(schema);
    // The text of Kubernetes' own types is long and repeated; client-side apply keeps the CRD in an annotation.
    if let Some(description) = schema
        .get("description")
        .and_then(Value::as_str)
        .map(str::to_owned)
    {
        let short = if schema.get("x-kubernetes-int-or-string").is_some()
            && description.starts_with("Quantity is")
        {
            "An amount as Kubernetes writes it: 500m, 1, 64Mi, 2Gi.".to_owned()
        } else {
            description.replace('`', "")
        };
        schema.insert("description".to_owned(), Value::String(short));
    }
    for key in ["items", "additionalProperties"] {
        if let Some(child) = schema.get_mut(key) {
            tidy(child);
        }
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for child in properties.values_mut() {
            tidy(child);
        }
    }
}

/// Bounds that went through floating point (`minimum: 0.0`) become whole numbers again.
fn integers(schema: &mut Map<String, Value>) {
    for key in ["minimum", "maximum"] {
        if let Some(bound) = schema.get_mut(key)
            && let Some(number) = bound.as_f64()
            && number.fract() == 0.0
            && number.abs() <= f64::from(u32::MAX)
        {
            #[allow(clippy::cast_possible_truncation, reason = "whole, and within 32 bits")]
            let whole = number as i64;
            *bound = json!(whole);
        }
    }
}
