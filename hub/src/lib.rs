//! The hub: turns Segments into every cluster's desired set, and reports into status.
//!
//! Decisions are `segment_core`'s; this crate carries values in and out.

pub mod args;
pub mod config;
pub mod run;

pub mod effects;
pub mod fleet;
pub mod leader;
pub mod status_writer;
pub mod store;
pub mod watch;

pub mod agents;
pub mod enrolment;
pub mod users;
pub mod webhook;

pub mod handle;
pub mod judged;
pub mod metrics;
pub mod read;
pub mod server_certificate;
