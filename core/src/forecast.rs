//! Forecast: how many runs start in which minute, over a fleet; and whether a change starts one at once.
//!
//! In: schedules as they stand on each cluster, a window of time. Out: starts per minute, their peaks, changes of clocks.
//! Law: bounded work: each different pair of schedule and zone is walked once, and at most [`MAX_STEPS`] runs in all.
//! Not: how long a run takes; whether the controller is up. Source: `k8s.io/kubernetes/pkg/controller/cronjob`.

mod change;
mod fleet;
mod last;
mod starts;

pub use change::{Armed, would_start_now};
pub use fleet::{Expected, GroupBy, NextRun, Schedules};
pub use last::last_due;
pub use starts::{
    ClockChange, Forecast, GroupStarts, MAX_STEPS, MAX_WINDOW, Minute, Peak, Start, forecast,
};

#[cfg(test)]
mod tests;
