//! What the Helm charts render: rights, hardening, what is kept, and the copies in the repository.
//!
//! In: the charts, the pinned Helm. Out: nothing. Law: the tables in these files are the charts' contract; a right that
//! is not in the table is not in a chart, and the other way round.
//! Not: whether a running hub or agent needs more or less (the API servers' audit logs tell that).

#![allow(
    clippy::panic,
    reason = "what is wrong is said by a panic in the tests' own functions too"
)]

mod generated;
mod hardening;
mod helm;
mod kept;
mod lifecycle;
mod policy;
mod rights;
mod values;
mod webhook;
