//! Carries out core's plan, one entry at a time per worker.
//!
//! In: keys from the queue. Out: calls to the API server, records, reports. Law: decisions are `segment_core::apply`'s; a
//! call has a deadline, a failure backs off per entry and honours Retry-After; one entry never stops the others.
//! Not: what to do (`apply.rs` in core).

use crate::held::Event;
use crate::policy::PolicyState;
use crate::shared::Shared;
use jiff::Timestamp;
use segment_core::admit::{Refusal, admit, admit_namespace, admit_one_more};
use segment_core::apply::{
    DryRun, Facts, Failure, Live, Look, Order, Outcome, Place, Record, Settings, Step, Why, failed,
    held_place, is_missing_right, old_place, plan, target,
};
use segment_core::assignment::{Entry, Owner};
use segment_core::ids::{KeyHash, Uid};
use segment_core::names;
use segment_core::observe::unfinished_jobs;
use segment_core::report::Report;
use segment_runtime::error::ApiError;
use segment_runtime::lease::LeaseState;
use segment_runtime::raw::{self, Answer, WriteOptions};
use segment_runtime::tasks::with_causes;
use serde_json::{Value, json};
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
    /// Deadline of one call.
    pub limit: Duration,
    /// The API server.
    pub api: Api,
}

/// The API server, as far as the applier needs it.
#[derive(Clone)]
pub struct Api {
    /// The client.
    pub client: kube::Client,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
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
        let news = self.shared.reports.set(Report {
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
            verdict: judged(&|policy| admit(policy, entry.assignment.rendered.template(), from)),
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
        let mut facts = Facts {
            now,
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
                step => self.carry_out(entry, step, record, &mut facts).await?,
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

    async fn carry_out(
        &self,
        entry: &Entry,
        step: Step,
        record: &mut Record,
        facts: &mut Facts,
    ) -> Result<Result<(), ApiError>, Stop> {
        let writes = matches!(
            step,
            Step::Create { .. } | Step::Put { .. } | Step::Delete { .. }
        );
        if writes && !self.lease.borrow().is_held_at(Instant::now()) {
            return Err(Stop::NotHolder);
        }
        Ok(match step {
            Step::Read(place) => self.read(place, facts).await,
            Step::Compare { place, body } => self.compare(&place, &body, facts).await,
            Step::Create {
                place,
                body,
                wrote,
                dry_run,
            } => {
                let path = raw::path("batch/v1", "cronjobs", Some(place.namespace.as_str()), None);
                let answer =
                    raw::post_json(&self.api.client, &path, options(dry_run), &body, self.limit)
                        .await;
                match answer {
                    Ok(_) if dry_run => {
                        facts.create_would_succeed = true;
                        Ok(())
                    }
                    Ok(answer) => {
                        tracing::info!(segment = %entry.assignment.key, %place, "created");
                        self.wrote(None, &place, answer, wrote, &body, record, facts);
                        Ok(())
                    }
                    // In a move the old CronJob has a say in what follows; who was not reached did not refuse.
                    Err(error)
                        if error.code().is_some()
                            && !error.is_already_exists()
                            && !error.is_transient()
                            && old_place_of(entry, record, facts) =>
                    {
                        let words = with_causes(&error);
                        let outcome = failed(&failure_of(&error, &words));
                        facts.create_failed = Some((outcome.reason, outcome.message));
                        Ok(())
                    }
                    Err(error) => Err(error),
                }
            }
            Step::Put {
                place,
                body,
                wrote,
                status_first,
                why,
            } => {
                self.put(entry, place, body, wrote, status_first, why, record, facts)
                    .await
            }
            Step::Delete {
                place,
                uid,
                resource_version,
            } => {
                self.delete(entry, place, uid, &resource_version, facts)
                    .await
            }
            Step::CountJobs { place, uid } => self.count_jobs(&place, uid, facts).await,
            // Handled by the caller.
            Step::Note(_) | Step::Done(_) | Step::Removed => Ok(()),
        })
    }

    async fn read(&self, place: Place, facts: &mut Facts) -> Result<(), ApiError> {
        match raw::get_json(&self.api.client, &path(&place), self.limit).await {
            Ok(answer) => {
                self.clock(answer.date);
                let look = look(answer)?;
                if let Look::Seen(live) = &look {
                    self.shared.cache.put_live(live);
                }
                facts.looks.insert(place, look);
                Ok(())
            }
            Err(error) if error.is_not_found() => {
                self.shared.cache.remove_place(&place);
                facts.looks.insert(place, Look::Absent { read: true });
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The API server's clock against ours. The answer took its time, which the bound of ten seconds bears.
    fn clock(&self, date: Option<Timestamp>) {
        if let Some(date) = date {
            self.shared
                .health
                .clock(date.as_second() - Timestamp::now().as_second());
        }
    }

    async fn compare(
        &self,
        place: &Place,
        body: &Value,
        facts: &mut Facts,
    ) -> Result<(), ApiError> {
        let resource_version = body["metadata"]["resourceVersion"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let answer = match raw::put_json(
            &self.api.client,
            &path(place),
            options(true),
            body,
            self.limit,
        )
        .await
        {
            Ok(answer) => Some(answer.body),
            // A webhook with side effects (`does not support dry run`, 400).
            Err(error)
                if error
                    .status()
                    .is_some_and(|status| status.message.contains("dry run")) =>
            {
                None
            }
            Err(error) => return Err(error),
        };
        facts.dry_run = Some(DryRun {
            resource_version,
            answer,
        });
        Ok(())
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one step")]
    async fn put(
        &self,
        entry: &Entry,
        place: Place,
        mut body: Value,
        wrote: segment_core::ids::Digest,
        status_first: Option<Value>,
        why: Why,
        record: &mut Record,
        facts: &mut Facts,
    ) -> Result<(), ApiError> {
        let client = &self.api.client;
        if let Some(status) = status_first {
            let path = format!("{}/status", path(&place));
            let answer = raw::put_json(client, &path, options(false), &status, self.limit).await;
            self.shared.metrics.call(
                "status",
                answer.as_ref().map_or_else(ApiError::reason, |_| "ok"),
            );
            body["metadata"]["resourceVersion"] =
                answer?.body["metadata"]["resourceVersion"].clone();
        }
        match raw::put_json(client, &path(&place), options(false), &body, self.limit).await {
            Ok(answer) => {
                tracing::info!(segment = %entry.assignment.key, %place, why = why_name(why), "replaced");
                self.shared
                    .metrics
                    .replaced
                    .get_or_create(&crate::metrics::WhyLabel { why: why_name(why) })
                    .inc();
                self.wrote(Some(why), &place, answer, wrote, &body, record, facts);
                Ok(())
            }
            Err(error) if error.is_not_found() => {
                self.shared.cache.remove_place(&place);
                facts.looks.insert(place, Look::Unknown);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "what a write leaves to be remembered"
    )]
    fn wrote(
        &self,
        why: Option<Why>,
        place: &Place,
        answer: Answer,
        wrote: segment_core::ids::Digest,
        body: &Value,
        record: &mut Record,
        facts: &mut Facts,
    ) {
        self.clock(answer.date);
        let now = answer.date.unwrap_or(facts.now);
        let before = match facts.look(place) {
            Look::Seen(live) => Some(live.clone()),
            Look::Unknown | Look::Absent { .. } => None,
        };
        match look(answer) {
            Ok(Look::Seen(live)) => {
                record.after_write(why, &live, wrote, body, before.as_deref(), now);
                self.shared.cache.put_live(&live);
                facts.looks.insert(place.clone(), Look::Seen(live));
            }
            // An answer that can't be read: the next step reads it again.
            _ => {
                facts.looks.insert(place.clone(), Look::Unknown);
            }
        }
    }

    async fn delete(
        &self,
        entry: &Entry,
        place: Place,
        uid: Uid,
        version: &str,
        facts: &mut Facts,
    ) -> Result<(), ApiError> {
        let body = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid.to_string(), "resourceVersion": version},
            "propagationPolicy": "Background",
        });
        match raw::delete_json(
            &self.api.client,
            &path(&place),
            WriteOptions::default(),
            &body,
            self.limit,
        )
        .await
        {
            Ok(_) => {
                tracing::info!(segment = %entry.assignment.key, %place, "deleted");
                facts.looks.insert(place, Look::Unknown);
                Ok(())
            }
            Err(error) if error.is_not_found() => {
                facts.looks.insert(place, Look::Unknown);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn count_jobs(&self, place: &Place, uid: Uid, facts: &mut Facts) -> Result<(), ApiError> {
        let mut path = raw::path("batch/v1", "jobs", Some(place.namespace.as_str()), None);
        path.push_str("?limit=500");
        let first = path.clone();
        let mut count = 0u32;
        loop {
            let answer = raw::get_json(&self.api.client, &path, self.limit).await?;
            count = count.saturating_add(unfinished_jobs(
                answer.body["items"].as_array().map_or(&[], Vec::as_slice),
                uid,
            ));
            match answer.body["metadata"]["continue"].as_str() {
                Some(next) if !next.is_empty() => path = format!("{first}&continue={next}"),
                _ => break,
            }
        }
        facts.unfinished_jobs.insert(uid, count);
        Ok(())
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

/// Whether a create is the second half of a move.
fn old_place_of(entry: &Entry, record: &Record, facts: &Facts) -> bool {
    old_place(entry, record, facts.stray.as_ref()).is_some()
}

fn path(place: &Place) -> String {
    raw::path(
        "batch/v1",
        "cronjobs",
        Some(place.namespace.as_str()),
        Some(place.name.as_str()),
    )
}

fn options(dry_run: bool) -> WriteOptions<'static> {
    WriteOptions {
        dry_run,
        strict: true,
        field_manager: Some(names::MANAGER_AGENT),
    }
}

fn look(answer: Answer) -> Result<Look, ApiError> {
    Live::read(answer.body, answer.date)
        .map(|live| Look::Seen(Box::new(live)))
        .map_err(|error| ApiError::Malformed {
            what: "a CronJob".into(),
            source: Box::new(error),
        })
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

fn why_name(why: Why) -> &'static str {
    match why {
        Why::Update => "update",
        Why::Drift => "drift",
        Why::Adopt => "adopt",
        Why::Suspend => "suspend",
        Why::Resume => "resume",
        Why::Orphan => "orphan",
    }
}
