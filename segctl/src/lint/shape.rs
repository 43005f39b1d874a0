//! Which of the known shapes a document has.
//!
//! In: a document. Out: its [`Shape`], and the Segment that an import makes of the other shapes. Law: all calls of the
//! core's import are here. Not: what an import does.

use super::Context;
use crate::input::Document;
use segment_core::finding::Finding;
pub(crate) use segment_core::import::Shape;
use segment_core::import::{Naming, import_with};
use segment_crds::Segment;
use serde_json::Value;

/// The shape of a document; `None` where it is none of ours. A folder may hold other people's `CronJob`s.
pub(crate) fn of(document: &Value) -> Option<Shape> {
    segment_core::import::shape(document).filter(|shape| *shape != Shape::CronJob)
}

/// Where in a document of this shape a field of the Segment stands.
pub(crate) fn field(shape: Shape, field: &str) -> String {
    shape.field(field)
}

/// The Segment of a document of another shape.
pub(crate) fn import(document: &Document, context: &Context) -> Result<Segment, Vec<Finding>> {
    let naming = Naming {
        name: None,
        namespace: Some(context.namespace.clone()),
    };
    import_with(&document.value, &naming, &context.defaults).map(|imported| imported.segment)
}
