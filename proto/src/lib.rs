//! The wire: what is generated from the .proto files, conversions to core's values, limits.
//!
//! In: bytes of the other side. Out: core's values, or a [`convert::ConvertError`] that names the field.
//! Law: decode ∘ encode = identity (`tests/roundtrip.rs`); hostile input never panics (`tests/hostile.rs`).
//! Not: who sends what when (`segment_core::sync`); what users are told (`hub/src/users`).

pub mod convert;
pub mod limits;

pub use prost_types::{Duration, Timestamp};

#[allow(
    missing_docs,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    clippy::large_enum_variant,
    rust_2018_idioms,
    rustdoc::all,
    reason = "generated from proto/grnry/segment/v1"
)]
/// The users' API, generated.
pub mod v1 {
    include!("gen/grnry.segment.v1.rs");
}

/// The agents' API.
pub mod agent {
    #[allow(
        missing_docs,
        clippy::pedantic,
        clippy::large_enum_variant,
        clippy::allow_attributes_without_reason,
        rust_2018_idioms,
        rustdoc::all,
        reason = "generated from proto/grnry/segment/agent/v1"
    )]
    /// The agents' API, generated.
    pub mod v1 {
        include!("gen/grnry.segment.agent.v1.rs");
    }
}

/// Descriptors of the users' API with comments, for reflection and for JSON. The agents' services are not in it.
pub const USERS_DESCRIPTORS: &[u8] = include_bytes!("gen/users.binpb");

/// Descriptors of the agents' API with comments.
pub const AGENTS_DESCRIPTORS: &[u8] = include_bytes!("gen/agents.binpb");
