//! Wire ↔ core: the only place that sees raw messages.
//!
//! In: messages as they came. Out: core's values, which cannot be wrong. Law: decode ∘ encode = identity; what is wrong
//! is named by its path (`orders[3].put.uid`). Not: what a value means.

pub mod assignment;
pub mod delta;
pub mod enrolment;
pub mod error;
pub mod fence;
pub mod frame;
pub mod ids;
mod policy;
pub mod report;
pub mod run;
pub mod run_order;
pub mod time;

pub use error::{ConvertError, Problem};
