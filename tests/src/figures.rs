//! Figures: measured beside the limit, in the same run.

mod cpu;
pub mod latency;
pub mod lint;
mod statistics;
