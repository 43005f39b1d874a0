//! The laws of the fleet's half: delta, index, sync, rollout, aggregation (`docs/architecture.md` lists them).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't set its stage shall fail at once"
)]

mod aggregate;
mod delta;
mod index;
mod rollout;
mod runs;
mod sync;
mod waves;
mod world;
