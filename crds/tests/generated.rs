//! The committed CRDs are what the types make. `UPDATE_EXPECT=1 cargo test -p segment-crds generated` rewrites them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

use std::path::{Path, PathBuf};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

fn yaml(crd: &CustomResourceDefinition) -> String {
    let header = "# Made from crds/src by: UPDATE_EXPECT=1 cargo test -p segment-crds generated\n";
    // By way of a JSON value: its keys are sorted, so that a diff shows what changed and nothing else.
    let value = serde_json::to_value(crd).unwrap();
    format!("{header}{}", serde_saphyr::to_string(&value).unwrap())
}

fn file(crd: &CustomResourceDefinition) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("generated")
        .join(format!("{}.yaml", crd.spec.names.plural))
}

#[test]
fn generated_crds_are_current() {
    let mut stale = Vec::new();
    for crd in segment_crds::all() {
        let (file, wanted) = (file(&crd), yaml(&crd));
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&file, &wanted).unwrap();
        } else if std::fs::read_to_string(&file).unwrap_or_default() != wanted {
            stale.push(file);
        }
    }
    assert!(
        stale.is_empty(),
        "{stale:?}: run UPDATE_EXPECT=1 cargo test -p segment-crds generated"
    );
}

#[test]
fn generated_yaml_reads_back_as_the_same_crd() {
    for crd in segment_crds::all() {
        let read: CustomResourceDefinition = serde_saphyr::from_str(&yaml(&crd)).unwrap();
        assert_eq!(
            serde_json::to_value(&read).unwrap(),
            serde_json::to_value(&crd).unwrap()
        );
    }
}

#[test]
fn generated_crds_fit_into_the_annotation_of_client_side_apply() {
    for crd in segment_crds::all() {
        let bytes = serde_json::to_string(&crd).unwrap().len();
        // 256 KiB for all annotations of an object; half of it, so that there is room to grow and a test that says so.
        assert!(
            bytes < 128 * 1024,
            "{} has {bytes} bytes",
            crd.spec.names.plural
        );
    }
}

/// Every schema below `props`, with its path.
fn walk(path: &str, props: &JSONSchemaProps, visit: &mut dyn FnMut(&str, &JSONSchemaProps)) {
    visit(path, props);
    for (name, child) in props.properties.iter().flatten() {
        walk(&format!("{path}.{name}"), child, visit);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(child)) = &props.items {
        walk(&format!("{path}[]"), child, visit);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(child)) = &props.additional_properties {
        walk(&format!("{path}{{}}"), child, visit);
    }
}

fn schemas(visit: &mut dyn FnMut(&str, &JSONSchemaProps)) {
    for crd in segment_crds::all() {
        let schema = crd.spec.versions[0]
            .schema
            .as_ref()
            .unwrap()
            .open_api_v3_schema
            .as_ref()
            .unwrap();
        walk(&crd.spec.names.kind, schema, visit);
    }
}

#[test]
fn generated_schemas_are_structural_and_hold_no_defaults_of_the_spec() {
    schemas(&mut |path, props| {
        let is_either = props.x_kubernetes_int_or_string == Some(true);
        assert!(props.type_.is_some() || is_either, "{path} has no type");
        assert_eq!(props.nullable, None, "{path} may be null");
        assert_eq!(
            props.x_kubernetes_preserve_unknown_fields, None,
            "{path} swallows typos"
        );
        assert!(
            props.any_of.is_none() && props.one_of.is_none() && props.all_of.is_none(),
            "{path} has alternatives"
        );
        assert!(
            props.default.is_none() || path.contains(".status"),
            "{path} has a default"
        );
        assert!(
            !matches!(props.format.as_deref(), Some(format) if !["int32", "int64", "date-time"].contains(&format)),
            "{path} has the format {:?}, of which the API server warns",
            props.format
        );
    });
}

#[test]
fn generated_status_says_that_nobody_has_looked_yet() {
    for crd in segment_crds::all() {
        let schema = crd.spec.versions[0]
            .schema
            .as_ref()
            .unwrap()
            .open_api_v3_schema
            .as_ref()
            .unwrap();
        let status = &schema.properties.as_ref().unwrap()["status"];
        assert_eq!(
            status.default.as_ref().unwrap().0,
            serde_json::json!({ "observedGeneration": -1 })
        );
    }
}
