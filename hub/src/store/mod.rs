//! All that is durable on the hub's API server: identity, CA, enrolment, tombstones, revisions, the finalizer; and
//! Events.
//!
//! In: values. Out: the same values after a restart. Law: every write carries the resourceVersion it decided on; what
//! the chart made empty is filled once. Not: decisions.

pub mod ca;
pub mod enrolment;
pub mod events;
pub mod finalizer;
pub mod identity;
pub mod info;
pub mod operations;
pub mod revisions;
pub mod secret;
pub mod tombstones;

use std::time::Duration;

/// Longest wait for one call to the hub's API server.
pub const CALL_LIMIT: Duration = Duration::from_secs(10);
