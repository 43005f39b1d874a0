//! Import: what users have already becomes a Segment.
//!
//! In: a document (a Segment, a body of Granary's API, values of the older Helm chart, a `CronJob` of that chart), or the
//! `CronJob`s of many clusters. Out: [`Imported`]: the Segment and [`Note`]s on all that was filled in, changed or left
//! out. Law: nothing is dropped without a note; what comes from a `CronJob` renders to it again wherever no note says
//! otherwise (test `what_is_imported_renders_to_itself`). Not: reading files (`segctl`), whether the Segment is right
//! (lint).

mod api;
mod block;
mod cluster_fleet;
mod document;
mod flat;
mod helm;
mod image;
mod live;
mod name;
mod note;
mod resource;
#[cfg(test)]
mod tests;

pub use cluster_fleet::{FromClusters, from_cronjobs};
pub use document::{MAX_DEPTH, MAX_DOCUMENT_BYTES, MAX_ITEMS, split};
pub use note::Note;

use crate::finding::{Code, Finding};
use crate::segment::HouseDefaults;
use segment_crds::Segment;
use serde_json::Value;
use std::fmt;

/// In which form a document says what a Segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// The `Segment` resource.
    Segment,
    /// A body, or an answer, of Granary's Segment Management API.
    Api,
    /// Values of the older Helm chart.
    HelmValues,
    /// A `CronJob` that the older chart made.
    CronJob,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Segment => "Segment",
            Self::Api => "Granary API JSON",
            Self::HelmValues => "Helm values",
            Self::CronJob => "CronJob",
        })
    }
}

impl Shape {
    /// Where in a document of this shape a field of the Segment stands: `spec.env.TYPE` is `data.env.TYPE` in the API's
    /// JSON. A field that the shape does not have keeps its name.
    pub fn field(self, field: &str) -> String {
        let field = match self {
            Self::Segment => return field.to_owned(),
            Self::Api | Self::HelmValues => field.replacen("spec.extraEnv", "spec.env", 1),
            Self::CronJob => field.to_owned(),
        };
        let Some(rest) = field.strip_prefix("spec.") else {
            return match (self, field.as_str()) {
                (Self::Api, "metadata.name") => "id".to_owned(),
                _ => field,
            };
        };
        match self {
            Self::Api if matches!(rest, "displayName" | "description") => {
                format!("metadata.{rest}")
            }
            Self::Api => format!("data.{rest}"),
            Self::HelmValues => rest.to_owned(),
            Self::Segment | Self::CronJob => live::field(rest).unwrap_or(field),
        }
    }
}

/// What to call what is imported, where the caller knows better than the document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Naming {
    /// `metadata.name`.
    pub name: Option<String>,
    /// `metadata.namespace`.
    pub namespace: Option<String>,
}

/// A Segment that was something else before.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The Segment.
    pub segment: Segment,
    /// What it was.
    pub shape: Shape,
    /// What was filled in, changed or left out.
    pub notes: Vec<Note>,
}

/// In which form a document is; `None` where it is in none of them, or is a list ([`split`] first).
pub fn shape(document: &Value) -> Option<Shape> {
    let map = document.as_object()?;
    let block = |value: Option<&Value>| value.is_some_and(Value::is_object);
    match map.get("kind").map(|kind| kind.as_str()) {
        Some(Some("Segment")) => Some(Shape::Segment),
        Some(Some("CronJob")) => Some(Shape::CronJob),
        None if block(map.get("data")) || document["metadata"].get("displayName").is_some() => {
            Some(Shape::Api)
        }
        None if ["cronjob", "env"].iter().any(|name| block(map.get(*name))) => {
            Some(Shape::HelmValues)
        }
        _ => None,
    }
}

/// Makes a Segment of one document, with the built-in house defaults.
///
/// # Errors
/// What can't be read, or is required and missing; fields are paths in the document.
pub fn import(document: &Value, naming: &Naming) -> Result<Imported, Vec<Finding>> {
    import_with(document, naming, &HouseDefaults::default())
}

/// The same with other house defaults: they decide whether `CITUS_DIST_COL` may be empty, and what of a `CronJob` need
/// not be written.
///
/// # Errors
/// As [`import`].
pub fn import_with(
    document: &Value,
    naming: &Naming,
    defaults: &HouseDefaults,
) -> Result<Imported, Vec<Finding>> {
    document::bounded(document).map_err(|finding| vec![finding])?;
    match shape(document) {
        Some(Shape::Segment) => resource::import(document, naming),
        Some(Shape::Api) => api::import(document, naming, defaults),
        Some(Shape::HelmValues) => helm::import(document, naming, defaults),
        Some(Shape::CronJob) => cluster_fleet::from_file(document, naming, defaults),
        None => Err(vec![unknown_shape(document)]),
    }
}

fn unknown_shape(document: &Value) -> Finding {
    if document.get("items").is_some_and(Value::is_array) {
        return Finding::error(
            Code::InvalidValue,
            "items",
            "is a list; each of its items is a document of its own",
        );
    }
    let message = match document["kind"].as_str() {
        Some(kind) => format!("{kind:?} is neither a Segment nor a CronJob"),
        None => "is neither a Segment, Granary API JSON, Helm values nor a CronJob".to_owned(),
    };
    let field = if document.get("kind").is_some() {
        "kind"
    } else {
        ""
    };
    Finding::error(Code::InvalidValue, field, message).help(
        "a Segment has kind: Segment, API JSON has metadata.displayName and data, Helm values have cronjob and env at the \
         top, a CronJob has kind: CronJob",
    )
}
