//! What both processes need and neither is about: flags, logs, drain, supervised tasks, admin endpoints, TLS keys,
//! the Lease, calls to the API server that end.
//!
//! **In:** flags, signals, a Kubernetes client. **Out:** thin layers over kept libraries.
//! **Law:** no task dies unseen ([`tasks`]), no call waits for ever ([`backoff`], [`raw`]), nobody leads on a Lease
//! that has run out ([`lease`]).
//! **Not:** anything about segments or clusters; this crate depends on no other room.

pub mod admin;
pub mod args;
pub mod audit;
pub mod backoff;
pub mod error;
pub mod lease;
pub mod log;
pub mod raw;
pub mod shutdown;
pub mod tasks;
pub mod tls;

pub use args::{AdminArgs, KubeArgs, LogArgs};
pub use audit::AuditLine;
pub use error::ApiError;
pub use tasks::Tasks;
