//! One object of the API server as our type, or a finding that names the field.
//!
//! In: an untyped object. Out: a [`Segment`]. Law: the webhook and the watch say the same of an object that can't be
//! read (it has passed the schema of an older or a newer CRD). Not: what the Segment means.

use kube::core::DynamicObject;
use segment_core::finding::{Code, Finding};
use segment_crds::Segment;

/// Reads a Segment.
///
/// # Errors
/// The first field that has not the type that it should have.
pub fn segment(object: &DynamicObject) -> Result<Segment, Finding> {
    let unreadable = |field: &str, why: String| {
        let field = if field.starts_with("spec") || field.starts_with("status") {
            field
        } else {
            "spec"
        };
        Finding::error(Code::InvalidValue, field, format!("can't be read: {why}"))
            .help("update the chart segment-crds to the hub's version, or correct the field")
    };
    let value = serde_json::to_value(object).map_err(|error| unreadable("", error.to_string()))?;
    serde_path_to_error::deserialize(value).map_err(|error| {
        let field = error.path().to_string();
        unreadable(&field, error.into_inner().to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_field_that_cant_be_read_is_named() {
        for (spec, field) in [
            (json!({"env": 7}), "spec.env"),
            (json!({"env": {"TYPE": "generic"}}), "spec"),
            (json!("x"), "spec"),
            (json!(null), "spec"),
        ] {
            let object: DynamicObject = serde_json::from_value(json!({
                "apiVersion": "segment.grnry.io/v1alpha1", "kind": "Segment",
                "metadata": {"name": "a", "namespace": "b"}, "spec": spec,
            }))
            .unwrap();
            let finding = segment(&object).unwrap_err();
            assert!(finding.field.starts_with(field), "{spec}: {finding}");
            assert!(finding.message.starts_with("can't be read"), "{finding}");
        }
    }
}
