//! How a revision goes out: waves, budgets, gates, windows, and what becomes of failures.
//!
//! ```text
//! spec.rollout ─► Strategy ┐
//! members of a Segment ────┼─► rollout ─► whom to prove, whom to release; waves done, budgets overdrawn ─► Operations
//! Operations (on record) ──┘                                                                        (stored by the hub)
//! ```
//! Law: see [`decide`]: budgets hold at every step, whatever crashes; what was decided by time or by humans is stored
//! before anything is done upon it. Not: what a release sends (`index`).

mod decide;
mod record;
mod story;
mod strategy;
#[cfg(test)]
mod tests;

pub use decide::{
    Decision, Exceeded, Facts, Member, Progress, Standing, Waits, WaveStand, rollout,
};
pub use record::{By, Command, Halt, Held, MAX_REASON_BYTES, NotNow, Operations, Progressed, Undo};
pub use story::{rollout_story, wave_words};
pub use strategy::{Amount, Gate, Opening, REST, Strategy, Wave, Window};
