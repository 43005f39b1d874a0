//! Every decision of Segment fleet, as synchronous functions on values.
//!
//! The modules stand in the order in which a change travels: Segment → index → placement → rollout → render →
//! assignment → delta → *(wire)* → admit → apply → observe → report → *(wire)* → aggregate → status.
//!
//! Law: no I/O, no clock, no environment: time is an argument.

pub mod fence;
pub mod finding;
pub mod ids;
pub mod names;

pub mod admit;
pub mod aggregate;
pub mod apply;
pub mod assignment;
pub mod brake;
pub mod cronjob;
pub mod delta;
pub mod export;
pub mod forecast;
pub mod import;
pub mod index;
pub mod lint;
pub mod observe;
pub mod outcome;
pub mod placement;
pub mod plan;
pub mod render;
pub mod report;
pub mod reporter;
pub mod revision;
pub mod rollout;
pub mod run_order;
pub mod runs;
pub mod segment;
pub mod selector;
pub mod status;
pub mod sync;

#[cfg(any(test, feature = "builders"))]
pub mod testing;
