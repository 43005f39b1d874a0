//! Carries out core's plan, one entry at a time per worker.
//!
//! In: keys from the queue. Out: calls to the API server, records, reports. Law: decisions are `segment_core::apply`'s; a
//! call has a deadline, a failure backs off per entry and honours Retry-After; one entry never stops the others.
//! Not: what to do (`apply.rs` in core).

mod calls;

pub use calls::Calls;

use crate::held::Event;
use crate::policy::PolicyState;
use crate::shared::Shared;
use calls::Found;
use jiff::Timestamp;
use segment_core::admit::{
    Refusal, admit, admit_hold, admit_namespace, admit_one_more, admitted_adoption,
};
use segment_core::apply::{
    Facts, Failure, Order, Outcome, Place, Record, Settings, Step, failed, held_place,
    is_missing_right, plan, target,
};
use segment_core::assignment::{Adoption, Entry, Owner};
use segment_core::ids::KeyHash;
use segment_core::report::Report;
use segment_runtime::error::ApiError;
use segment_runtime::lease::LeaseState;
use segment_runtime::tasks::with_causes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Steps of one look: a move has the most, some fifteen with every read; more means that the plan does not end.
const MAX_STEPS: usize = 40;
/// Conflicts in one look before it backs off: someone else writes as fast as we read.
const MAX_CONFLICTS: usize = 4;

/// Between two looks at an entry that is too early.
const TOO_EARLY_PAUSE: Duration = Duration::from_millis(100);

/// A worker's means.
#[derive(Clone, Debug)]
pub struct Applier {
    /// What the tasks share.
    pub shared: Arc<Shared>,
    /// To the task that owns what is held.
    pub held: mpsc::Sender<Event>,
    /// Only the holder of the Lease writes.
    pub lease: watch::Receiver<LeaseState>,
    /// Periods.
    pub settings: Settings,
    /// The API server.
    pub calls: Calls,
}

/// Why a look ended early.
enum Stop {
    /// A step failed.
    Failed { error: ApiError, step: &'static str },
    /// The Lease is not ours any more.
    NotHolder,
}

impl Applier {
    /// Works until the end.
    pub async fn work(self, stop: CancellationToken) {
        let mut policy = self.shared.policy.clone();
        // A look before that would report refusals that are none.
        tokio::select! {
            () = stop.cancelled() => return,
            read = policy.wait_for(|policy| *policy != PolicyState::Unread) => if read.is_err() { return },
        }
        loop {
            let key = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                key = self.shared.queue.next() => key,
            };
            self.look(key).await;
            self.shared.queue.done(key);
        }
    }

    async fn look(&self, key: KeyHash) {
        let Some(entry) = self.shared.entry(key) else {
            self.shared.reports.forget(key);
            return;
        };
        // Before a hub was ever obeyed there is no entry; after it, its id is in the store.
        let Some(hub) = self.shared.hub() else { return };
        let owner = Owner { hub };
        let now = Timestamp::now();
        let mut record = self.shared.record(key);
        if self.shared.is_too_early(&record) {
            self.shared.queue.push_after(key, TOO_EARLY_PAUSE);
            return;
        }
        let ended = self.steps(key, &entry, &owner, &mut record, now).await;
        let changed = self.shared.set_record(key, record.clone());
        // What changed meanwhile brings the entry back to the queue; a record of an entry that is gone is not kept.
        if changed && self.shared.entry(key).is_some() {
            let _ = self.held.send(Event::Recorded(key)).await;
        }
        if ended.is_ok() {
            self.shared
                .health
                .rights(&format!("apply {}", entry.assignment.key), None);
        }
        let outcome = match ended {
            Ok(Some(outcome)) => {
                self.shared.backoffs.succeeded(key);
                self.shared.set_waiting(key, outcome.waits_for_run, now);
                if let Some(after) = outcome.again {
                    self.shared.queue.push_after(key, after);
                }
                outcome
            }
            Ok(None) => {
                let _ = self
                    .held
                    .send(Event::Removed {
                        key,
                        uid: entry.assignment.uid,
                    })
                    .await;
                return;
            }
            Err(Stop::NotHolder) => return,
            Err(Stop::Failed { error, step }) => self.failed(key, &entry, &error, step),
        };
        self.report(key, &entry, &record, outcome, now);
    }

    fn failed(&self, key: KeyHash, entry: &Entry, error: &ApiError, step: &'static str) -> Outcome {
        let words = with_causes(error);
        let failure = failure_of(error, &words);
        tracing::warn!(segment = %entry.assignment.key, step, error = words, "could not be applied");
        let place = format!("apply {}", entry.assignment.key);
        if is_missing_right(&failure) {
            self.shared
                .health
                .rights(&place, Some(failure.message.to_owned()));
        } else if failure.code.is_none() {
            self.shared.health.api("apply", Some(words.clone()));
        }
        let delay = self.shared.backoffs.failed(key, error.retry_after());
        self.shared.queue.push_after(key, delay);
        failed(&failure)
    }

    fn report(
        &self,
        key: KeyHash,
        entry: &Entry,
        record: &Record,
        outcome: Outcome,
        now: Timestamp,
    ) {
        let assignment = &entry.assignment;
        let place = held_place(entry, record, None);
        let state = outcome.state;
        let news = self.shared.reports.update(key, |_| {
            Some(Report {
                key,
                uid: assignment.uid,
                revision: assignment.revision,
                digest: assignment.rendered.digest(),
                state,
                reason: outcome.reason,
                message: outcome.message,
                since: now,
                corrections: record.corrections,
                drifted_by: record.drifted_by.clone(),
                runs: self.shared.cache.runs(&place, now),
            })
        });
        if news {
            tracing::debug!(segment = %assignment.key, state = state.as_str(), "reported");
        }
    }

    /// What the policy says to an order.
    fn order<'a>(
        &self,
        entry: &'a Entry,
        owner: &'a Owner,
        record: &Record,
        stray: Option<&Place>,
    ) -> Order<'a> {
        let policy = self.shared.policy.borrow().policy().cloned();
        let from = &entry.assignment.key.namespace;
        let held = held_place(entry, record, stray);
        let judged =
            |judge: &dyn Fn(&segment_core::admit::Policy) -> Result<(), Refusal>| match &policy {
                Ok(policy) => judge(policy),
                Err(refusal) => Err(refusal.clone()),
            };
        Order {
            entry,
            owner,
            verdict: judged(&|policy| {
                admit(policy, entry.assignment.rendered.template(), from)?;
                admit_hold(policy, entry.controls.hold.as_ref(), Timestamp::now())
            }),
            adoption: policy.as_ref().map_or(Adoption::Never, |policy| {
                admitted_adoption(policy, entry.assignment.modes.adoption)
            }),
            room: judged(&|policy| {
                admit_one_more(policy, self.shared.cache.count(owner.hub.as_str()))
            }),
            held_namespace: judged(&|policy| admit_namespace(policy, &held.namespace, from)),
        }
    }

    async fn steps(
        &self,
        key: KeyHash,
        entry: &Entry,
        owner: &Owner,
        record: &mut Record,
        now: Timestamp,
    ) -> Result<Option<Outcome>, Stop> {
        let target = target(entry);
        let stray = self.shared.cache.stray(key, owner.hub.as_str(), &target);
        let (suspension, runs_over) = self.shared.runs.suspension(key);
        let mut facts = Facts {
            now,
            suspension,
            runs_over,
            waiting_since: self.shared.waiting_since(key),
            ..Facts::default()
        };
        facts
            .looks
            .insert(target.clone(), self.shared.cache.look(&target));
        let mut order = self.order(entry, owner, record, stray.as_ref());
        facts.stray = stray;
        let mut conflicts = 0;
        for _ in 0..MAX_STEPS {
            let step = plan(&order, record, &facts, &self.settings);
            let name = step_name(&step);
            let result = match step {
                Step::Done(outcome) => return Ok(Some(outcome)),
                Step::Removed => return Ok(None),
                Step::Note(noted) => {
                    *record = *noted;
                    order = self.order(entry, owner, record, facts.stray.as_ref());
                    continue;
                }
                step => {
                    let writes = matches!(
                        step,
                        Step::Create { .. } | Step::Put { .. } | Step::Delete { .. }
                    );
                    if writes && !self.lease.borrow().is_held_at(Instant::now()) {
                        return Err(Stop::NotHolder);
                    }
                    let mut found = Found {
                        key: &entry.assignment.key,
                        record: &mut *record,
                        facts: &mut facts,
                    };
                    self.calls.carry_out(step, &mut found).await
                }
            };
            self.shared.metrics.call(
                name,
                result.as_ref().map_or_else(ApiError::reason, |()| "ok"),
            );
            if let Err(error) = result {
                if error.is_conflict() || error.is_already_exists() {
                    // Someone was faster, or the watch lags: look again, live.
                    conflicts += 1;
                    if conflicts <= MAX_CONFLICTS {
                        facts.looks.clear();
                        facts.dry_run = None;
                        continue;
                    }
                }
                return Err(Stop::Failed { error, step: name });
            }
            self.shared.health.api("apply", None);
        }
        tracing::error!(segment = %entry.assignment.key, "the plan does not end");
        Err(Stop::NotHolder)
    }
}

fn failure_of<'a>(error: &'a ApiError, words: &'a str) -> Failure<'a> {
    match error.status() {
        Some(status) => Failure {
            code: Some(status.code),
            reason: &status.reason,
            message: &status.message,
        },
        None => Failure {
            code: None,
            reason: "",
            message: words,
        },
    }
}

fn step_name(step: &Step) -> &'static str {
    match step {
        Step::Read(_) => "read",
        Step::Compare { .. } => "compare",
        Step::Create { dry_run: true, .. } => "compare_create",
        Step::Create { .. } => "create",
        Step::Put { .. } => "replace",
        Step::Delete { .. } => "delete",
        Step::CountJobs { .. } => "jobs",
        Step::Note(_) => "note",
        Step::Done(_) => "done",
        Step::Removed => "removed",
    }
}
