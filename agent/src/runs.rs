//! The task that carries out ordered runs.
//!
//! In: orders of the hub, changes of Jobs. Out: Jobs, suspensions for the applier, what became of each run.
//! Law: what is done about a run is in the store before it is done, so that no process makes a second Job; only the
//! holder of the Lease writes. Not: when a run may start (`segment_core::run_order::carry_out`).

mod calls;
mod shared;

pub use calls::Calls;
pub use shared::SharedRuns;

use crate::held::Event;
use crate::policy::PolicyState;
use crate::shared::Shared;
use calls::CronJobFound;
use jiff::Timestamp;
use segment_core::admit::{Refusal, admit_run};
use segment_core::apply::{Failure, Place, failed, held_place};
use segment_core::assignment::Owner;
use segment_core::ids::{Namespace, RunId};
use segment_core::observe::{Siblings, siblings};
use segment_core::run_order::carry_out::{
    Found, JobLook, Next, RunSettings, Tell, begin, expired, follow, ordered,
};
use segment_core::run_order::job::job;
use segment_core::run_order::known::{Begun, KnownRun, KnownRuns};
use segment_core::run_order::{RunEvent, RunOrder, RunPhase};
use segment_core::sync::frame::RUN_EVENTS_CHUNK;
use segment_runtime::error::ApiError;
use segment_runtime::lease::LeaseState;
use segment_runtime::tasks::with_causes;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Changes within this time are looked at together.
const DEBOUNCE: Duration = Duration::from_millis(200);
/// Between two looks while a suspension is on its way.
const QUICK: Duration = Duration::from_millis(250);

/// Jobs of namespaces, listed once in a round.
type Lists = HashMap<Namespace, Vec<Value>>;

/// The task.
#[derive(Debug)]
pub struct Runs {
    shared: Arc<Shared>,
    held: mpsc::Sender<Event>,
    lease: watch::Receiver<LeaseState>,
    calls: Calls,
    settings: RunSettings,
    /// Between two looks at runs that are not over, when nothing changes.
    period: Duration,
    known: KnownRuns,
    /// Orders of runs that have no Job yet.
    orders: BTreeMap<RunId, Arc<RunOrder>>,
    /// Runs whose Job this process has tried to create.
    tried: BTreeSet<RunId>,
    /// Runs of which the last word was said while no hub listened.
    untold: BTreeSet<RunId>,
    /// Events of this round.
    events: Vec<RunEvent>,
    /// A suspension is on its way.
    quick: bool,
}

impl Runs {
    /// With what the store held.
    #[allow(
        clippy::too_many_arguments,
        reason = "the parts that only the composition root has"
    )]
    pub fn new(
        shared: Arc<Shared>,
        held: mpsc::Sender<Event>,
        lease: watch::Receiver<LeaseState>,
        calls: Calls,
        settings: RunSettings,
        period: Duration,
        stored: Vec<KnownRun>,
    ) -> Self {
        // Of those no Job was made: should the hub still want them, it says so again.
        let (kept, dropped): (Vec<_>, Vec<_>) = stored
            .into_iter()
            .partition(|run| run.is_over() || run.begun == Begun::Creating);
        for run in &dropped {
            shared.runs.resume(run.event.key, &run.job);
        }
        for run in &kept {
            match run.suspension() {
                Some(suspension) => shared.runs.suspend(run.event.key, suspension),
                None => {
                    shared.runs.resume(run.event.key, &run.job);
                }
            }
        }
        let untold = kept.iter().map(|run| run.event.id).collect();
        Self {
            shared,
            held,
            lease,
            calls,
            settings,
            period,
            known: KnownRuns::new(kept),
            orders: BTreeMap::new(),
            tried: BTreeSet::new(),
            untold,
            events: Vec::new(),
            quick: false,
        }
    }

    /// Works until the end.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut policy = self.shared.policy.clone();
        // A look before that would report refusals that are none.
        tokio::select! {
            () = stop.cancelled() => return,
            read = policy.wait_for(|policy| *policy != PolicyState::Unread) => if read.is_err() { return },
        }
        loop {
            let open = self.known.iter().any(|run| !run.is_over());
            self.shared.runs.set_open(open);
            let shared = Arc::clone(&self.shared);
            let pause = if self.quick { QUICK } else { self.period };
            tokio::select! {
                () = stop.cancelled() => return,
                () = shared.runs.news() => tokio::time::sleep(DEBOUNCE).await,
                () = tokio::time::sleep(pause), if open => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.round() => {}
            }
        }
    }

    async fn round(&mut self) {
        self.take();
        self.quick = false;
        let mut lists = Lists::new();
        let open: Vec<RunId> = self
            .known
            .iter()
            .filter(|run| !run.is_over())
            .map(|run| run.event.id)
            .collect();
        for id in open {
            self.look(id, &mut lists).await;
        }
        self.tell().await;
    }

    /// Takes up what has come.
    fn take(&mut self) {
        let now = Timestamp::now();
        let waiting = self.shared.runs.take();
        for run in waiting.unreadable {
            let told = Tell::new(RunPhase::Refused, "Unreadable", run.message);
            self.events
                .push(without_a_trace(run.id, run.key, told, now));
        }
        for (id, order) in waiting.orders {
            if let Some(known) = self.known.get(id) {
                // What became of it is the answer.
                self.events.push(known.event.clone());
                if known.is_over() || known.begun == Begun::Creating {
                    continue;
                }
            } else if !self.known.put(ordered(&order, now)) {
                let message = "the agent has as many runs as it can follow";
                let told = Tell::new(RunPhase::Refused, "TooManyRuns", message);
                self.events
                    .push(without_a_trace(id, order.key.hash(), told, now));
                continue;
            }
            self.orders.insert(id, order);
        }
        if waiting.tell {
            let untold = std::mem::take(&mut self.untold);
            let again = self
                .known
                .iter()
                .filter(|run| !run.is_over() || untold.contains(&run.event.id));
            self.events.extend(again.map(|run| run.event.clone()));
        }
    }

    /// Tells the events of this round.
    async fn tell(&mut self) {
        let events = std::mem::take(&mut self.events);
        if !self.shared.runs.is_obeying() {
            self.untold.extend(events.iter().map(|event| event.id));
            self.untold.retain(|id| self.known.get(*id).is_some());
            return;
        }
        for chunk in events.chunks(RUN_EVENTS_CHUNK) {
            let _ = self.held.send(Event::RunEvents(chunk.to_vec())).await;
        }
    }

    async fn look(&mut self, id: RunId, lists: &mut Lists) {
        let Some(known) = self.known.get(id).cloned() else {
            return;
        };
        let order = self.orders.get(&id).cloned();
        let next = match self.next(&known, order.as_deref(), lists).await {
            Ok(next) => next,
            Err(error) => Self::not_seen(&known, order.as_deref(), &error),
        };
        match (next, order) {
            (Some(Next::Tell(tell)), _) => self.told(&known, tell),
            (Some(Next::Suspend(until)), _) => self.suspend(known, until).await,
            (Some(Next::Create), Some(order)) => self.create(known, &order, lists).await,
            // Nobody said yet that it is still wanted.
            (Some(Next::Create), None) | (None, _) => {}
        }
    }

    async fn next(
        &self,
        known: &KnownRun,
        order: Option<&RunOrder>,
        lists: &mut Lists,
    ) -> Result<Option<Next>, ApiError> {
        let id = known.event.id;
        if known.begun == Begun::Creating {
            let (job, _) = self.calls.job(&known.namespace, &known.job, id).await?;
            return Ok(Some(follow(known, &job, self.tried.contains(&id))));
        }
        let Some(order) = order else { return Ok(None) };
        let mut found = Found {
            now: Timestamp::now(),
            verdict: self.verdict(order),
            job: JobLook::Absent,
            cronjob: None,
            siblings: Siblings::default(),
        };
        // Where the policy refuses, the agent may have no right to look either.
        if found.verdict.is_ok() {
            let (job, date) = self.calls.job(&known.namespace, &known.job, id).await?;
            found.job = job;
            found.now = date.unwrap_or(found.now);
        }
        if found.verdict.is_ok() && found.job == JobLook::Absent && found.now <= order.start_before
        {
            let cronjob = self.cronjob(order).await?;
            let namespace = cronjob
                .as_ref()
                .map_or(&known.namespace, |cronjob| &cronjob.namespace);
            if !lists.contains_key(namespace) {
                let listed = self.calls.jobs(namespace).await?;
                lists.insert(namespace.clone(), listed);
            }
            let jobs = lists.get(namespace).map_or(&[][..], Vec::as_slice);
            let uid = cronjob.as_ref().map(|cronjob| cronjob.uid);
            found.siblings = siblings(jobs, uid, known.event.key, &known.job);
            found.cronjob = cronjob.map(|cronjob| cronjob.facts);
        }
        Ok(Some(begin(order, known, &found, &self.settings)))
    }

    fn verdict(&self, order: &RunOrder) -> Result<(), Refusal> {
        let policy = self.shared.policy.borrow().policy().cloned()?;
        admit_run(&policy, order.rendered.template(), &order.key.namespace)
    }

    /// The Segment's CronJob: where it is held, else where the order says that it would be.
    async fn cronjob(&self, order: &RunOrder) -> Result<Option<CronJobFound>, ApiError> {
        let key = order.key.hash();
        let template = order.rendered.template();
        let entry = self.shared.entry(key);
        let place = entry.as_ref().map_or_else(
            || Place {
                namespace: template.namespace.clone(),
                name: template.name.clone(),
            },
            |entry| held_place(entry, &self.shared.record(key), None),
        );
        let held = entry.is_some_and(|entry| entry.removing.is_none());
        self.calls.cronjob(&place, key, held).await
    }

    /// The API server could not be asked: what is not begun waits, as long as it may.
    fn not_seen(known: &KnownRun, order: Option<&RunOrder>, error: &ApiError) -> Option<Next> {
        let words = with_causes(error);
        tracing::warn!(run = %known.event.id, error = words, "an ordered run can't be looked at");
        let order = order.filter(|_| known.begun != Begun::Creating)?;
        if Timestamp::now() > order.start_before {
            return Some(Next::Tell(expired(known, order.start_before)));
        }
        let told = failed(&failure_of(error, &words));
        Some(Next::Tell(Tell::new(
            RunPhase::Waiting,
            told.reason,
            told.message,
        )))
    }

    /// Takes in how a run is.
    fn told(&mut self, known: &KnownRun, tell: Tell) {
        let waits = tell.phase == RunPhase::Waiting;
        let event = tell.event(known, Timestamp::now());
        let mut run = KnownRun {
            event,
            ..known.clone()
        };
        if run.event.phase == RunPhase::Running {
            // Found by its name, made by a process whose store was lost.
            run.begun = Begun::Creating;
        }
        if (waits || run.is_over()) && run.suspended_until.take().is_some() {
            self.resume(&run);
        }
        let same = RunEvent {
            at: known.event.at,
            ..run.event.clone()
        } == known.event;
        if run == *known || (same && run.suspended_until == known.suspended_until) {
            return;
        }
        let id = run.event.id;
        if run.event.phase != known.event.phase {
            tracing::info!(run = %id, job = run.job, phase = run.event.phase.as_str(), reason = run.event.reason, "ordered run");
        }
        if run.is_over() || run.begun == Begun::Creating {
            self.orders.remove(&id);
        }
        if run.is_over() {
            self.tried.remove(&id);
        }
        // What only waits is not stored, and another word on it is no reason to write.
        let stored = run.event.phase != known.event.phase
            || run.suspended_until != known.suspended_until
            || run.begun != known.begun;
        self.events.push(run.event.clone());
        self.known.put(run);
        if stored {
            self.store_behind();
        }
    }

    fn resume(&self, run: &KnownRun) {
        if self.shared.runs.resume(run.event.key, &run.job) {
            self.shared.queue.push(run.event.key);
        }
    }

    /// Suspends the CronJob, once that is in the store.
    async fn suspend(&mut self, known: KnownRun, until: Timestamp) {
        if !self.lease.borrow().is_held_at(Instant::now()) {
            return;
        }
        self.quick = true;
        if known
            .suspended_until
            .is_some_and(|until| until > Timestamp::now())
        {
            // The applier is at it.
            return;
        }
        let message = "its CronJob is being suspended";
        let tell = Tell::new(RunPhase::Waiting, "Suspending", message);
        let mut run = known.clone();
        run.event = tell.event(&known, Timestamp::now());
        run.begun = run.begun.max(Begun::Suspending);
        run.suspended_until = Some(until);
        self.events.push(run.event.clone());
        self.known.put(run.clone());
        if !self.store_now().await {
            self.not_stored(&known);
            return;
        }
        if let Some(suspension) = run.suspension() {
            self.shared.runs.suspend(run.event.key, suspension);
            self.shared.queue.push(run.event.key);
        }
    }

    /// Creates the Job, once it is in the store that it may be there.
    async fn create(&mut self, known: KnownRun, order: &RunOrder, lists: &mut Lists) {
        let Some(hub) = self.shared.hub() else { return };
        let id = order.id;
        // An owner of another namespace would be taken for one that is gone.
        let cronjob = match self.cronjob(order).await {
            Ok(cronjob) => cronjob.filter(|cronjob| cronjob.namespace == known.namespace),
            Err(error) => {
                tracing::warn!(run = %id, error = with_causes(&error), "its CronJob can't be read");
                return;
            }
        };
        let mut run = known.clone();
        if run.begun != Begun::Creating {
            run.begun = Begun::Creating;
            self.known.put(run.clone());
            if !self.store_now().await {
                self.not_stored(&known);
                return;
            }
            self.tried.insert(id);
        }
        if !self.lease.borrow().is_held_at(Instant::now()) {
            return;
        }
        let owner = cronjob.as_ref().map(|cronjob| (&cronjob.name, cronjob.uid));
        let body = job(order, &Owner { hub }, owner);
        // Another order for the same Segment is to see it.
        lists.clear();
        let result = self.calls.create(&run.namespace, &body).await;
        self.shared.metrics.call(
            "create_job",
            result.as_ref().map_or_else(ApiError::reason, |_| "ok"),
        );
        match result {
            Ok(_) => {
                tracing::info!(run = %id, job = run.job, segment = %order.key, "Job created");
                self.told(&run, Tell::new(RunPhase::Running, "", ""));
            }
            // Seen with the next look, which says whose it is.
            Err(error) if error.is_already_exists() => self.quick = true,
            Err(error) if error.is_transient() || error.code().is_none() => {
                tracing::warn!(run = %id, error = with_causes(&error), "the Job could not be created yet");
            }
            Err(error) => {
                let words = with_causes(&error);
                let told = failed(&failure_of(&error, &words));
                self.told(&run, Tell::new(RunPhase::Failed, told.reason, told.message));
            }
        }
    }

    fn not_stored(&mut self, before: &KnownRun) {
        self.known.put(before.clone());
        let message = "the agent's store can't be written";
        self.told(
            before,
            Tell::new(RunPhase::Waiting, "StoreUnavailable", message),
        );
    }

    /// Waits until what is known is stored; false when it is not.
    async fn store_now(&self) -> bool {
        let (done, stored) = oneshot::channel();
        let event = Event::RunsKnown {
            runs: self.known.to_store(),
            done: Some(done),
        };
        self.held.send(event).await.is_ok() && stored.await.unwrap_or(false)
    }

    fn store_behind(&self) {
        let event = Event::RunsKnown {
            runs: self.known.to_store(),
            done: None,
        };
        // Without room now the next change brings it along; lost, it is found again by looking at the Job.
        let _ = self.held.try_send(event);
    }
}

/// An event about a run of which nothing is remembered.
fn without_a_trace(
    id: RunId,
    key: segment_core::ids::KeyHash,
    tell: Tell,
    now: Timestamp,
) -> RunEvent {
    RunEvent {
        id,
        key,
        phase: tell.phase,
        job: String::new(),
        started: None,
        finished: None,
        exit_code: None,
        reason: tell.reason,
        message: tell.message,
        at: now,
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
