//! The laws of the fleet's half: delta, index, sync, rollout, aggregation (`docs/architecture.md` lists them).

mod aggregate;
mod delta;
mod index;
mod rollout;
mod sync;
mod world;
