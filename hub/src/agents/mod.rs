//! The agents' side of the hub: who they are, the port they come in by, how they join, and their streams.

pub mod enrol;
pub mod gate;
pub mod identity;
pub mod server;
pub mod session;
pub mod tls;
