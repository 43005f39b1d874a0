//! The sync protocol: frames, and both ends as synchronous state machines.
//!
//! ```text
//! agent                                    hub
//!   Hello {fence, watermark, digests} ──►          judged: identity, watermark
//!          ◄── Welcome {fence, watermark, wants}    fence judged by the agent, stored before it acts
//!   Inventory chunks (only when wanted) ──►         feeds placement and rollout
//!          ◄── NamesWanted / Names ──►              for keys that the hub does not know
//!          ◄── Orders {fence, watermark, …}
//!   Acks ──►                                        never wait behind reports
//!   Reports {token, …} ──►
//!   Policy {digest} ──►                             also in Hello; whenever it changes
//!          ◄── PolicyWanted / PolicyText ──►        for a policy that the hub does not know
//!          ◄── RunOrders {fence, …} / RunEvents ──► events with an id of their own, to agents that know them
//! ```
//! Law: both ends over a pipe that drops, repeats and reorders across reconnects converge; nothing is removed that no
//! order named (`tests/laws.rs`).

pub mod agent;
pub mod frame;
pub mod hub;
mod policy;
mod runs;
