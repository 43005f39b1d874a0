//! The API server's own rules, run without an API server.
//!
//! In: a Segment or a Cluster. Out: what the API server would refuse, in its words. Law: the rules are those of the CRD
//! as it is applied, not a second set (tests `cel`). Not: the rest of the schema (lengths, enums, unknown fields), nor
//! lint.

use std::sync::LazyLock;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use kube::core::cel::{CompiledSchema, Validator, compile_schema};
pub use kube::core::cel::{ValidationError, ValidationErrors};
use serde::Serialize;
use serde_json::Value;

use crate::cluster::Cluster;
use crate::manifest::applied;
use crate::segment::Segment;

impl Segment {
    /// Runs the CRD's rules.
    ///
    /// # Errors
    /// Every rule that refuses, with the message that the API server would print.
    pub fn validate_cel(&self) -> Result<(), ValidationErrors> {
        validate(self, &SEGMENT)
    }
}

impl Cluster {
    /// Runs the CRD's rules.
    ///
    /// # Errors
    /// Every rule that refuses, with the message that the API server would print.
    pub fn validate_cel(&self) -> Result<(), ValidationErrors> {
        validate(self, &CLUSTER)
    }
}

/// Compiled once: a webhook and a lint over a folder ask for every object.
static SEGMENT: LazyLock<CompiledSchema> = LazyLock::new(|| compiled(Segment::crd()));
static CLUSTER: LazyLock<CompiledSchema> = LazyLock::new(|| compiled(Cluster::crd()));

#[allow(clippy::expect_used, reason = "our own types are JSON")]
fn validate(object: &impl Serialize, schema: &CompiledSchema) -> Result<(), ValidationErrors> {
    let object = serde_json::to_value(object).expect("a resource is JSON");
    Validator::new().validate_compiled(schema, &object, None)
}

/// kube's derive makes such methods too, but runs the rules as they stand, and these then miss every variable with an
/// underscore: see [`escaped`].
#[allow(clippy::expect_used, reason = "a schema is JSON")]
fn compiled(crd: CustomResourceDefinition) -> CompiledSchema {
    let mut versions = applied(crd).spec.versions.into_iter();
    let schema = versions.find_map(|version| version.schema?.open_api_v3_schema);
    let mut schema = serde_json::to_value(schema).expect("a schema is JSON");
    escape_rules(&mut schema);
    compile_schema(&schema)
}

fn escape_rules(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), value) {
                    ("rule", Value::String(rule)) => *rule = escaped(rule),
                    (_, value) => escape_rules(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(escape_rules),
        _ => {}
    }
}

/// `self.env.DB_HOST` as kube-cel 0.8 looks for it. It doubles every underscore in a field's name; the API server
/// escapes only what is double already (`__` becomes `__underscores__`), so a rule that is right there finds nothing
/// here. When kube-cel is put right the tests fail, and this goes.
fn escaped(rule: &str) -> String {
    const ENV: &str = "self.env.";
    let mut parts = rule.split(ENV);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(part.len());
        let (name, rest) = part.split_at(end);
        out.push_str(ENV);
        out.push_str(&name.replace('_', "__"));
        out.push_str(rest);
    }
    out
}
