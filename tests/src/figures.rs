//! Figures: measured beside the limit, in the same run.

pub mod latency;
mod statistics;
