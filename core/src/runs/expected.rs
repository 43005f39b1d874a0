//! Runs that were due and have no Job: which, and why.
//!
//! In: a schedule, what is known of its CronJob and of its runs, how far was looked, the time. Out: [`Missing`] runs.
//! Law: nothing is expected from before the CronJob was made, changed its schedule, or was looked at last; at most
//! [`MAX_EXPECTED`] per look, and what is left out is said; what a user suspended is not missed; what nobody saw is
//! Unknown, never Missed. Not: remembering (`ledger.rs`), asking the API server (the agent).

use super::look::{CronJobSeen, Phase, Suspension};
use super::{LedgerRun, RunKey, RunKind};
use crate::report::RunResult;
use crate::segment::schedule::next_after;
use jiff::{SignedDuration, Timestamp};

/// Due times that are judged in one look: an hour and a half of each minute. More only come together when an agent was
/// away for long; of those the newest are judged.
pub const MAX_EXPECTED: usize = 100;

/// Periods; each is a flag of the agent with this default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectSettings {
    /// How long after it was due a run may begin before it is missed. The controller looks each second or so.
    pub grace: SignedDuration,
}

impl Default for ExpectSettings {
    fn default() -> Self {
        Self {
            grace: SignedDuration::from_secs(30),
        }
    }
}

/// What is known beside the CronJob.
#[derive(Clone, Copy, Debug)]
pub struct Watch<'a> {
    /// Everything due until then was judged.
    pub examined: Timestamp,
    /// Since when its Jobs are watched without a gap.
    pub watching: Timestamp,
    /// How it was suspended, oldest first.
    pub phases: &'a [Phase],
    /// When the newest run was due that the ledger has dropped.
    pub floor: Option<Timestamp>,
}

/// A run without a Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The run.
    pub run: LedgerRun,
    /// Nothing that is known explains it: the API server may say why it refuses the Job.
    pub needs_words: bool,
}

/// Due times that have no run, and how far was looked now.
pub fn expected(
    cronjob: &CronJobSeen<'_>,
    runs: &[&LedgerRun],
    watch: Watch<'_>,
    settings: &ExpectSettings,
    now: Timestamp,
) -> (Vec<Missing>, Timestamp) {
    let Ok(horizon) = now.checked_sub(settings.grace) else {
        return (Vec::new(), watch.examined);
    };
    let due = due_times(cronjob, watch.examined, horizon);
    let examined = due.last().map_or(watch.examined, |last| *last);
    let missing = due
        .into_iter()
        .filter(|due| watch.floor.is_none_or(|floor| *due > floor))
        .filter(|due| !runs.iter().any(|run| run.key == RunKey::Due(*due)))
        .filter_map(|due| judge(cronjob, runs, watch, settings, due, now))
        .collect();
    (missing, examined)
}

/// Due times in `(from, until]`: the newest [`MAX_EXPECTED`] of them.
fn due_times(cronjob: &CronJobSeen<'_>, from: Timestamp, until: Timestamp) -> Vec<Timestamp> {
    let next = |after| next_after(cronjob.schedule, cronjob.time_zone, after);
    let mut after = from;
    if cronjob.schedule.starts_with("@every") {
        // Counted from the last run, in whole steps.
        let Some(base) = cronjob.last_schedule.or(cronjob.created) else {
            return Vec::new();
        };
        let Some(step) = next(base).map(|due| due.duration_since(base).as_secs().max(1)) else {
            return Vec::new();
        };
        let steps = from.duration_since(base).as_secs().max(0) / step;
        let shift = SignedDuration::from_secs(steps.saturating_mul(step));
        after = base.checked_add(shift).unwrap_or(from);
    }
    // A schedule of each minute has half a million times in a year: those from before are not even counted.
    let oldest = SignedDuration::from_hours(31 * 24);
    if let Ok(oldest) = until.checked_sub(oldest) {
        after = after.max(oldest);
    }
    let mut times = std::collections::VecDeque::new();
    while let Some(due) = next(after).filter(|due| *due <= until) {
        if due > from {
            times.push_back(due);
        }
        if times.len() > MAX_EXPECTED {
            times.pop_front();
        }
        after = due;
    }
    times.into()
}

/// Why a run that was due has no Job; nothing where that is what its user wants.
fn judge(
    cronjob: &CronJobSeen<'_>,
    runs: &[&LedgerRun],
    watch: Watch<'_>,
    settings: &ExpectSettings,
    due: Timestamp,
    now: Timestamp,
) -> Option<Missing> {
    let say = |result, reason: &str, message: &str, needs_words| {
        Some(Missing {
            run: LedgerRun::without_job(due, result, reason, message),
            needs_words,
        })
    };
    let drifted = match suspension(watch.phases, due, settings.grace) {
        Suspension::ByUser => return None,
        Suspension::Held(why) => return say(RunResult::Skipped, "Held", why, false),
        Suspension::ForRun(why) => {
            return say(RunResult::Skipped, "SuspendedForRun", why, false);
        }
        Suspension::Drifted => true,
        Suspension::Active => false,
    };
    // A later run was started, so one before it has ended; when, nobody saw.
    let unseen = due < watch.watching && cronjob.last_schedule.is_some_and(|last| last > due);
    if cronjob.forbids
        && let Some(previous) = running_at(runs, due)
        && !(unseen && previous.finished.is_none())
    {
        let since = previous.started.unwrap_or(previous.scheduled);
        let message = format!(
            "concurrencyPolicy Forbid: previous run {} has been running since {since}",
            previous.job
        );
        return say(RunResult::Skipped, "Forbid", &message, false);
    }
    if cronjob.last_schedule == Some(due) {
        return Some(gone(cronjob, due));
    }
    if unseen {
        let message = format!(
            "the agent was not watching then (it is since {}); a run may have come and gone",
            watch.watching
        );
        return say(RunResult::Unknown, "AgentAway", &message, false);
    }
    if drifted {
        let message =
            "spec.suspend was set on the CronJob by someone else, and was taken back later";
        return say(RunResult::Missed, "Suspended", message, false);
    }
    let away = if due < watch.watching {
        " (the agent was not watching then)"
    } else {
        ""
    };
    let ask = format!("kubectl describe cronjob {} tells more{away}", cronjob.name);
    match cronjob.starting_deadline {
        Some(deadline) if now.duration_since(due).as_secs() > deadline => {
            let message = format!("not started within startingDeadlineSeconds ({deadline}); {ask}");
            say(RunResult::Missed, "StartingDeadline", &message, true)
        }
        _ => {
            let message = format!("the controller did not create its Job; {ask}");
            say(RunResult::Missed, super::look::NOT_CREATED, &message, true)
        }
    }
}

/// The controller says that it started it, and its Job is not there.
fn gone(cronjob: &CronJobSeen<'_>, due: Timestamp) -> Missing {
    let succeeded = cronjob
        .last_successful
        .filter(|at| *at >= due && cronjob.one_at_a_time);
    let mut run = if succeeded.is_some() {
        LedgerRun::without_job(due, RunResult::Succeeded, "", "")
    } else {
        let message = "the controller started it, and its Job was gone before the agent saw it";
        LedgerRun::without_job(due, RunResult::Unknown, "JobGone", message)
    };
    run.finished = succeeded;
    Missing {
        run,
        needs_words: false,
    }
}

/// How it was suspended at a time, or within the grace after it: a hold that came a moment later stopped it as well.
fn suspension(phases: &[Phase], due: Timestamp, grace: SignedDuration) -> &Suspension {
    let at = phases.iter().rev().find(|phase| phase.since <= due);
    let at = at.or(phases.first()).map(|phase| &phase.suspension);
    match at {
        Some(Suspension::Active) | None => phases
            .iter()
            .filter(|phase| phase.since > due && phase.since.duration_since(due) <= grace)
            .map(|phase| &phase.suspension)
            .find(|suspension| **suspension != Suspension::Active)
            .or(at)
            .unwrap_or(&Suspension::Active),
        Some(suspended) => suspended,
    }
}

/// The run of the schedule that was going on at a time. Ordered ones do not count for the controller.
fn running_at<'a>(runs: &[&'a LedgerRun], due: Timestamp) -> Option<&'a LedgerRun> {
    runs.iter().copied().find(|run| {
        let begun = !run.job.is_empty() && run.started.unwrap_or(run.scheduled) <= due;
        let going = match run.finished {
            Some(finished) => finished > due,
            None => run.result.is_active(),
        };
        begun && going && run.kind == RunKind::Scheduled
    })
}
