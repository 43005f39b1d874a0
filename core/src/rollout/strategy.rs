//! How a revision goes out: `spec.rollout`, read once.
//!
//! In: the field. Out: [`Strategy`], or a finding for each part that cannot be meant. Law: absent means one wave, a
//! quarter of its clusters at a time, none may fail; what no wave selects is an implicit last wave.
//! Not: who goes when (`decide.rs`).

use crate::finding::{Code, Finding, shown};
use crate::segment::schedule::{Schedule, time_zone};
use crate::selector::Selector;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use segment_crds::Rollout;
use segment_crds::rollout::{Approval, GateRun, OnFailure};
use std::collections::{BTreeMap, BTreeSet};

/// Clusters of a wave that may be in change at once, where nothing is said.
const DEFAULT_CONCURRENT: Amount = Amount::Percent(25);
/// How long a proof run may take, from its order to its end, where nothing is said.
const PROOF_TIMEOUT: SignedDuration = SignedDuration::from_hours(1);
/// How long the next scheduled run is waited for, where nothing is said: a weekly one comes within it.
const SCHEDULED_TIMEOUT: SignedDuration = SignedDuration::from_hours(8 * 24);
/// Revisions kept, where nothing is said (StatefulSets keep as many).
const DEFAULT_HISTORY: usize = 10;
/// Name under which the implicit last wave is shown and recorded.
pub const REST: &str = "rest";

/// A number of clusters, or a share of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// This many.
    Count(u32),
    /// Percent.
    Percent(u32),
}

impl Amount {
    /// Of `all`, rounded up and at least one: as Kubernetes rounds `maxSurge`, so that something always moves.
    pub fn at_least_one(self, all: usize) -> usize {
        match self {
            Self::Count(count) => count as usize,
            Self::Percent(percent) => (all * percent as usize).div_ceil(100),
        }
        .max(1)
    }

    /// Of `all`, rounded down: as Kubernetes rounds `maxUnavailable`, so that no more fail than was agreed to.
    pub fn at_most(self, all: usize) -> usize {
        match self {
            Self::Count(count) => count as usize,
            Self::Percent(percent) => all * percent as usize / 100,
        }
    }
}

/// One wave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wave {
    /// Its name; [`REST`] is the implicit last one.
    pub name: String,
    /// Which clusters, of those that no earlier wave has.
    pub selector: Selector,
    /// How many may be in change at once.
    pub max_concurrent: Amount,
    /// How many may fail.
    pub max_failures: Amount,
    /// How long it must stay good before the next starts.
    pub soak: SignedDuration,
    /// When a human has to agree.
    pub approval: Approval,
}

/// Which run a cluster must show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate {
    /// Which.
    pub run: GateRun,
    /// How long it is waited for.
    pub timeout: SignedDuration,
}

/// Times in which releases are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    start: Schedule,
    duration: SignedDuration,
    /// `None`: each cluster's own.
    zone: Option<TimeZone>,
}

/// Whether a cluster may be released now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// It may.
    Open,
    /// Not before this time; `None`: a window never opens.
    Closed(Option<Timestamp>),
}

/// How a revision goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strategy {
    /// Waves in their order; the implicit last one included.
    pub waves: Vec<Wave>,
    /// How many clusters may fail in all, where it is said.
    pub max_failures: Option<Amount>,
    /// How long one cluster may take; `None`: the hub's default.
    pub progress_deadline: Option<SignedDuration>,
    /// Which run a cluster must show.
    pub gate: Gate,
    /// What happens when more fail than may.
    pub on_failure: OnFailure,
    /// Percent of the clusters that may be away.
    pub unreachable_percent: u32,
    /// Times in which releases are made; none: always.
    pub windows: Vec<Window>,
    /// Revisions kept for an undo.
    pub history: usize,
}

impl Default for Strategy {
    fn default() -> Self {
        Self::read(&Rollout::default(), &mut Vec::new())
    }
}

impl Strategy {
    /// Reads `spec.rollout`.
    ///
    /// # Errors
    /// A finding for each part that can't be meant.
    pub fn parse(rollout: Option<&Rollout>) -> Result<Self, Vec<Finding>> {
        let mut findings = Vec::new();
        let strategy =
            rollout.map_or_else(Self::default, |rollout| Self::read(rollout, &mut findings));
        if findings.is_empty() {
            Ok(strategy)
        } else {
            Err(findings)
        }
    }

    fn read(rollout: &Rollout, findings: &mut Vec<Finding>) -> Self {
        let concurrent = amount(
            rollout.max_concurrent.as_ref(),
            "spec.rollout.maxConcurrent",
            findings,
        );
        let failures = amount(
            rollout.max_failures.as_ref(),
            "spec.rollout.maxFailures",
            findings,
        );
        let default_concurrent = concurrent.unwrap_or(DEFAULT_CONCURRENT);
        let default_failures = failures.unwrap_or(Amount::Count(0));
        let mut names = BTreeSet::new();
        let mut waves = Vec::with_capacity(rollout.waves.len() + 1);
        for (index, wave) in rollout.waves.iter().enumerate() {
            let path = |field: &str| format!("spec.rollout.waves[{index}].{field}");
            if wave.name == REST || !names.insert(wave.name.as_str()) {
                let message = if wave.name == REST {
                    format!("{REST} is the name of the implicit last wave")
                } else {
                    format!("{} names another wave already", shown(&wave.name))
                };
                findings.push(
                    Finding::error(Code::InvalidValue, path("name"), message)
                        .help("give each wave a name of its own"),
                );
            }
            let selector =
                Selector::parse(wave.cluster_selector.as_ref(), &path("clusterSelector"))
                    .unwrap_or_else(|wrong| {
                        findings.extend(wrong);
                        Selector::default()
                    });
            waves.push(Wave {
                name: wave.name.clone(),
                selector,
                max_concurrent: amount(
                    wave.max_concurrent.as_ref(),
                    &path("maxConcurrent"),
                    findings,
                )
                .unwrap_or(default_concurrent),
                max_failures: amount(wave.max_failures.as_ref(), &path("maxFailures"), findings)
                    .unwrap_or(default_failures),
                soak: seconds(wave.soak_seconds),
                approval: wave.approval.unwrap_or(Approval::None),
            });
        }
        waves.push(Wave {
            name: REST.to_owned(),
            selector: Selector::default(),
            max_concurrent: default_concurrent,
            max_failures: default_failures,
            soak: SignedDuration::ZERO,
            approval: Approval::None,
        });
        Self {
            waves,
            max_failures: failures,
            progress_deadline: rollout
                .progress_deadline_seconds
                .map(SignedDuration::from_secs),
            gate: gate(rollout),
            on_failure: rollout.on_failure.unwrap_or(OnFailure::Pause),
            unreachable_percent: rollout
                .unreachable
                .as_ref()
                .and_then(|unreachable| unreachable.max_percent)
                .and_then(|percent| u32::try_from(percent).ok())
                .unwrap_or(100),
            windows: windows(rollout, findings),
            history: rollout
                .revision_history_limit
                .and_then(|limit| usize::try_from(limit).ok())
                .unwrap_or(DEFAULT_HISTORY)
                .max(1),
        }
    }

    /// The way back to a revision that has run: the same budgets, but no waves, no gate, no windows and no approval.
    #[must_use]
    pub fn way_back(&self) -> Self {
        let rest = self.waves.last().cloned();
        Self {
            waves: rest.into_iter().collect(),
            gate: Gate {
                run: GateRun::None,
                timeout: PROOF_TIMEOUT,
            },
            on_failure: OnFailure::Pause,
            windows: Vec::new(),
            ..self.clone()
        }
    }

    /// Index of the wave of a cluster with these labels.
    pub fn wave_of(&self, labels: &BTreeMap<String, String>) -> usize {
        let last = self.waves.len().saturating_sub(1);
        self.waves
            .iter()
            .position(|wave| wave.selector.matches(labels))
            .unwrap_or(last)
    }

    /// Whether a cluster in this zone (none: UTC) may be released now.
    pub fn opening(&self, cluster_zone: Option<&str>, now: Timestamp) -> Opening {
        if self.windows.is_empty() {
            return Opening::Open;
        }
        let mut next: Option<Timestamp> = None;
        for window in &self.windows {
            let zone = window.zone.clone().unwrap_or_else(|| {
                cluster_zone
                    .and_then(|name| time_zone(name).ok())
                    .unwrap_or(TimeZone::UTC)
            });
            match window.opening(&zone, now) {
                Opening::Open => return Opening::Open,
                Opening::Closed(opens) => {
                    next = [next, opens].into_iter().flatten().min();
                }
            }
        }
        Opening::Closed(next)
    }
}

impl Window {
    /// Open from a start on, for its duration. The schedule's own search knows what clock changes do to a start.
    fn opening(&self, zone: &TimeZone, now: Timestamp) -> Opening {
        let Ok(before) = now.checked_sub(self.duration) else {
            return Opening::Closed(None);
        };
        // The first start after `now - duration` is the one whose window can still be open.
        match self.start.next_after(zone, before) {
            Some(start) if start <= now => Opening::Open,
            Some(start) => Opening::Closed(Some(start)),
            None => Opening::Closed(None),
        }
    }
}

fn seconds(value: Option<i64>) -> SignedDuration {
    SignedDuration::from_secs(value.unwrap_or(0).max(0))
}

fn gate(rollout: &Rollout) -> Gate {
    let gate = rollout.gate.clone().unwrap_or_default();
    let run = gate.run.unwrap_or(GateRun::None);
    let default = match run {
        GateRun::NextSchedule => SCHEDULED_TIMEOUT,
        GateRun::None | GateRun::Now => PROOF_TIMEOUT,
    };
    Gate {
        run,
        timeout: gate
            .timeout_seconds
            .map_or(default, SignedDuration::from_secs),
    }
}

fn amount(value: Option<&IntOrString>, field: &str, findings: &mut Vec<Finding>) -> Option<Amount> {
    let amount = match value? {
        IntOrString::Int(count) => u32::try_from(*count).ok().map(Amount::Count),
        IntOrString::String(text) => text
            .strip_suffix('%')
            .and_then(|percent| percent.parse::<u32>().ok())
            .filter(|percent| *percent <= 100)
            .map(Amount::Percent),
    };
    if amount.is_none() {
        let message = "must be a number of clusters, or a percentage from 0% to 100%";
        findings.push(Finding::error(Code::InvalidValue, field, message));
    }
    amount
}

fn windows(rollout: &Rollout, findings: &mut Vec<Finding>) -> Vec<Window> {
    let mut windows = Vec::with_capacity(rollout.windows.len());
    for (index, window) in rollout.windows.iter().enumerate() {
        let path = |field: &str| format!("spec.rollout.windows[{index}].{field}");
        let zone = match window.time_zone.as_deref() {
            None => Some(Some(TimeZone::UTC)),
            Some("Cluster") => Some(None),
            Some(name) => match time_zone(name) {
                Ok(zone) => Some(Some(zone)),
                Err(message) => {
                    findings.push(Finding::error(
                        Code::UnknownTimeZone,
                        path("timeZone"),
                        message,
                    ));
                    None
                }
            },
        };
        let start = match Schedule::parse(&window.start) {
            Ok(start) => Some(start),
            Err(error) => {
                findings.push(error.finding(&path("start")));
                None
            }
        };
        if let (Some(zone), Some(start)) = (zone, start) {
            if start.is_every() {
                let message =
                    "@every has no time of its own: a window needs five fields, as in 0 22 * * *";
                findings.push(Finding::error(
                    Code::InvalidSchedule,
                    path("start"),
                    message,
                ));
                continue;
            }
            windows.push(Window {
                start,
                duration: seconds(Some(window.duration_seconds)),
                zone,
            });
        }
    }
    windows
}
