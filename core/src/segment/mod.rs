//! What a Segment means: defaults, schedule, references, overrides, and the forms that Kubernetes asks for.
//!
//! In: a Segment as its user wrote it. Out: [`ParsedSegment`] and, for one cluster, an [`EffectiveSegment`].
//! Law: what [`parse`] passes renders wherever its references resolve (test `what_parse_passes_renders`).
//! Not: which clusters (`placement.rs`), the finished template (`render.rs`).

pub(crate) mod ahead;
pub mod defaults;
pub(crate) mod forms;
pub mod overrides;
mod parsed;
pub(crate) mod quantity;
pub(crate) mod resolved;
pub(crate) mod rules;
pub mod schedule;
pub mod template;
pub(crate) mod variables;

pub use defaults::HouseDefaults;
pub use overrides::{EffectiveSegment, base, effective};
pub(crate) use parsed::parse_under;
pub use parsed::{ParsedSegment, parse, parse_spec};
