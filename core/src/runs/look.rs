//! One look at a CronJob's runs: what changed since the last one.
//!
//! In: the CronJob, its Jobs and Pods, the ledger. Out: the ledger with what is new, and which runs nothing explains.
//! Law: a look twice changes nothing; a run whose Job went before it ended is Unknown, unless the CronJob tells.
//! Not: when to look (the agent).

use super::expected::{ExpectSettings, Watch, expected};
use super::{Ledger, LedgerRun, RunKey};
use crate::apply::Live;
use crate::assignment::Entry;
use crate::ids::{KeyHash, Uid};
use crate::report::RunResult;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Changes of suspension that are remembered of one CronJob: far more than a hold a day between two looks.
const MAX_PHASES: usize = 16;

/// Reason of a run that nothing explains.
pub(super) const NOT_CREATED: &str = "NotCreated";
/// Reasons that the API server's own words may replace, when it refuses the Job.
pub const NEEDS_WORDS: [&str; 2] = [NOT_CREATED, "StartingDeadline"];

/// How a CronJob is suspended, and by whose will.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Suspension {
    /// It is not.
    #[default]
    Active,
    /// The Segment says so: nothing is expected.
    ByUser,
    /// By a hold, in words.
    Held(String),
    /// While an ordered run goes on, in words.
    ForRun(String),
    /// By someone on the cluster; it will be corrected.
    Drifted,
}

impl Suspension {
    /// Of a CronJob as it is live (rule 38).
    pub fn of(entry: &Entry, live: &Live) -> Self {
        if !live.suspend {
            return Self::Active;
        }
        if entry.assignment.rendered.template().suspend {
            return Self::ByUser;
        }
        if let Some(hold) = &entry.controls.hold {
            let until = hold
                .until
                .map(|until| format!(" until {until}"))
                .unwrap_or_default();
            let why = if hold.reason.is_empty() {
                String::new()
            } else {
                format!(": {}", hold.reason)
            };
            return Self::Held(format!("held by the hub{until}{why}"));
        }
        // Over or not: it stays suspended until the agent has taken that back.
        if let Some(until) = live.suspended_for.as_ref().map(|run| run.until) {
            return Self::ForRun(format!(
                "suspended for an ordered run until {until} at most"
            ));
        }
        if let Some(until) = live.hold_until {
            return Self::Held(format!("held on the cluster until {until} (annotation)"));
        }
        Self::Drifted
    }
}

/// Since when a CronJob is suspended in a way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// Since when, as far as is known.
    pub since: Timestamp,
    /// How.
    pub suspension: Suspension,
}

/// What was last looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Look {
    /// Everything due until then was judged.
    examined: Option<Timestamp>,
    /// Schedule and zone that it was judged by.
    schedule: String,
    /// How it was suspended, oldest first, at most [`MAX_PHASES`].
    phases: Vec<Phase>,
}

/// A CronJob, as far as its runs are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronJobSeen<'a> {
    /// Its name.
    pub name: &'a str,
    /// `spec.schedule`.
    pub schedule: &'a str,
    /// `spec.timeZone`.
    pub time_zone: Option<&'a str>,
    /// `spec.startingDeadlineSeconds`.
    pub starting_deadline: Option<i64>,
    /// `spec.concurrencyPolicy` is Forbid.
    pub forbids: bool,
    /// It is Forbid or Replace.
    pub one_at_a_time: bool,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// `status.lastScheduleTime`.
    pub last_schedule: Option<Timestamp>,
    /// `status.lastSuccessfulTime`.
    pub last_successful: Option<Timestamp>,
    /// How it is suspended now.
    pub suspension: Suspension,
}

impl<'a> CronJobSeen<'a> {
    /// Of an entry's CronJob.
    pub fn new(entry: &Entry, live: &'a Live) -> Self {
        Self {
            name: live.place.name.as_str(),
            schedule: &live.schedule,
            time_zone: live.time_zone.as_deref(),
            starting_deadline: live.starting_deadline,
            forbids: live.concurrency == "Forbid",
            one_at_a_time: matches!(live.concurrency.as_str(), "Forbid" | "Replace"),
            created: live.created,
            last_schedule: live.last_schedule,
            last_successful: live.last_successful,
            suspension: Suspension::of(entry, live),
        }
    }

    fn timing(&self) -> String {
        format!("{} {}", self.time_zone.unwrap_or_default(), self.schedule)
    }
}

/// What a look found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Something that has to be stored changed.
    pub changed: bool,
    /// Some run has new to tell.
    pub news: bool,
    /// Runs that nothing explains: the API server may.
    pub unexplained: Vec<RunKey>,
}

/// Looks at a CronJob's runs. `jobs` are the runs of the Jobs that are there (all of them), with the Jobs' uids; `watching`
/// is since when they are watched.
pub fn look(
    ledger: &mut Ledger,
    key: KeyHash,
    cronjob: &CronJobSeen<'_>,
    jobs: Vec<LedgerRun>,
    watching: Timestamp,
    settings: &ExpectSettings,
    now: Timestamp,
) -> Found {
    let mut found = Found::default();
    let present: Vec<Uid> = jobs.iter().filter_map(|run| run.job_uid).collect();
    for run in jobs {
        found.news |= ledger.upsert(key, run, now);
    }
    for run in vanished(ledger, key, &present, cronjob) {
        found.news |= ledger.upsert(key, run, now);
    }
    let runs = ledger.entry(key);
    let look = &mut runs.look;
    found.changed |= note(look, cronjob, now);
    let examined = look
        .examined
        .unwrap_or(now)
        .max(cronjob.created.unwrap_or(Timestamp::MIN));
    let (phases, floor) = (look.phases.clone(), runs.floor);
    let known: Vec<&LedgerRun> = runs.runs().collect();
    let watch = Watch {
        examined,
        watching,
        phases: &phases,
        floor,
    };
    let (missing, examined) = expected(cronjob, &known, watch, settings, now);
    // Not worth a write of the store by itself: what was found on the way is.
    runs.look.examined = Some(examined);
    for missing in missing {
        if missing.needs_words {
            found.unexplained.push(missing.run.key);
        }
        found.news |= ledger.upsert(key, missing.run, now);
    }
    found.changed |= found.news;
    found
}

/// Remembers how the CronJob is suspended, and by which schedule it is judged. True when that is new.
fn note(look: &mut Look, cronjob: &CronJobSeen<'_>, now: Timestamp) -> bool {
    let mut changed = false;
    let timing = cronjob.timing();
    if look.schedule != timing {
        // Nothing is expected from before the change: by which schedule, nobody can tell.
        look.examined = Some(now);
        look.schedule = timing;
        changed = true;
    }
    if look.phases.last().map(|phase| &phase.suspension) != Some(&cronjob.suspension) {
        look.phases.push(Phase {
            since: now,
            suspension: cronjob.suspension.clone(),
        });
        let excess = look.phases.len().saturating_sub(MAX_PHASES);
        look.phases.drain(..excess);
        changed = true;
    }
    changed
}

/// Runs whose Job went before it was seen to end.
fn vanished(
    ledger: &Ledger,
    key: KeyHash,
    present: &[Uid],
    cronjob: &CronJobSeen<'_>,
) -> Vec<LedgerRun> {
    let runs = ledger
        .get(key)
        .into_iter()
        .flat_map(super::SegmentRuns::runs);
    let gone = runs.filter(|run| {
        run.result.is_active() && run.job_uid.is_none_or(|uid| !present.contains(&uid))
    });
    gone.map(|run| {
        let mut run = run.clone();
        let since = run.started.unwrap_or(run.scheduled);
        let success = cronjob.last_successful.filter(|at| *at >= since);
        let by_schedule = matches!(run.key, RunKey::Due(_)) && cronjob.one_at_a_time;
        if let Some(at) = success.filter(|_| by_schedule) {
            run.result = RunResult::Succeeded;
            run.finished = Some(at);
            run.reason.clear();
            run.message.clear();
        } else {
            run.result = RunResult::Unknown;
            "JobGone".clone_into(&mut run.reason);
            "its Job was deleted before it was seen to end".clone_into(&mut run.message);
        }
        run
    })
    .collect()
}

/// Puts the API server's words to runs that nothing explained. True when there was such a run.
pub fn explain(
    ledger: &mut Ledger,
    key: KeyHash,
    keys: &[RunKey],
    words: &str,
    now: Timestamp,
) -> bool {
    let mut told = false;
    for run_key in keys {
        let run = ledger.get(key).and_then(|runs| runs.get(*run_key)).cloned();
        if let Some(mut run) = run.filter(|run| NEEDS_WORDS.contains(&run.reason.as_str())) {
            "CreateRefused".clone_into(&mut run.reason);
            run.message =
                crate::report::cut_message(&format!("the API server refuses its Job: {words}"));
            told |= ledger.upsert(key, run, now);
        }
    }
    told
}
