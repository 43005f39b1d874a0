//! The apply plan: what to do next about one entry, by what is known of its CronJob.
//!
//! ```text
//! facts ─► plan ─► Read | Compare (dry-run) | Create | Put | Delete | CountJobs ─► the shell does it ─► facts …
//!                  Accept | Note (what to remember)                             └► record
//!                  Done (state, look again then) | Removed
//! ```
//! In: an [`Order`] (entry, owner, the policy's verdict), the [`Record`] of what was done before, [`Facts`] that the shell
//! has gathered. Out: one [`Step`]; the shell carries it out, adds what it learned and asks again.
//! Law: nothing is written that the policy refuses; nothing is deleted without an order and a live read that shows our
//! marks; an unchanged CronJob is never written; a change of schedule or suspend starts no past run
//! (`apply/tests.rs`). Planning is repeatable: a process that dies between two steps goes on from what it then finds.
//! Not: calls, retries, queues (the agent's `applier.rs`); whether the policy admits it (`admit.rs`).

mod live;
mod moving;
mod record;
mod removing;
mod schedule;
#[cfg(test)]
mod tests;

pub use live::{Live, Source, UnreadableLive, digest, same_as_ours};
pub use moving::old_place;
pub use record::{Record, Reference};

use crate::admit::Refusal;
use crate::assignment::{Adoption, Drift, Entry, OnScheduleChange, Owner};
use crate::ids::{CronJobName, Digest, Namespace, Uid};
use crate::names;
use crate::report::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Where a CronJob is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name.
    pub name: CronJobName,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Periods of the plan; each is a flag of the agent, so that tests shorten them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Between suspending a CronJob and trusting a list of its Jobs: `status.active` is no proof (rule 10).
    pub finish_wait: Duration,
    /// Longest wait for running Jobs before a CronJob is deleted (rule 10).
    pub finish_limit: Duration,
    /// A run due within this time either way is waited for before its schedule changes (rule 18).
    pub guard: Duration,
    /// Longest such wait (rule 18).
    pub guard_limit: Duration,
    /// Corrections within [`Self::contested_window`] that make a CronJob contested (rule 20).
    pub contested_after: usize,
    /// See [`Self::contested_after`].
    pub contested_window: Duration,
    /// Between two corrections of a contested CronJob (rule 20).
    pub contested_pause: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            finish_wait: Duration::from_secs(10),
            finish_limit: Duration::from_hours(24),
            guard: Duration::from_secs(10),
            guard_limit: Duration::from_mins(1),
            contested_after: 5,
            contested_window: Duration::from_mins(10),
            contested_pause: Duration::from_mins(1),
        }
    }
}

/// What is ordered, and what the policy says to it.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    /// The entry.
    pub entry: &'a Entry,
    /// Whose orders these are.
    pub owner: &'a Owner,
    /// Whether the policy admits the template (or everything is refused because the policy can't be read).
    pub verdict: Result<(), Refusal>,
    /// Whether one more CronJob may be made.
    pub room: Result<(), Refusal>,
    /// Whether the policy admits orders in the namespace where the CronJob is now, for removals and moves.
    pub held_namespace: Result<(), Refusal>,
}

/// What is known of one place.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Look {
    /// Nothing.
    #[default]
    Unknown,
    /// There is no CronJob of that name. `read`: a live read said so, not a watch.
    Absent {
        /// Whether it was a live read.
        read: bool,
    },
    /// This one.
    Seen(Box<Live>),
}

/// What a dry-run replacement was answered.
#[derive(Clone, Debug, PartialEq)]
pub struct DryRun {
    /// The version of the live object that it was about.
    pub resource_version: String,
    /// The answer; `None` when a webhook does not support dry-runs.
    pub answer: Option<Value>,
}

/// What the shell has gathered since it began to look at this entry.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// By place.
    pub looks: BTreeMap<Place, Look>,
    /// Another CronJob of ours for this Segment, found by the observer: the old place, when the record was lost.
    pub stray: Option<Place>,
    /// The last dry-run replacement.
    pub dry_run: Option<DryRun>,
    /// A dry-run create in the new place succeeded.
    pub create_would_succeed: bool,
    /// Why a create in the new place failed, when it did.
    pub create_failed: Option<(String, String)>,
    /// Unfinished Jobs of a CronJob, by a live list.
    pub unfinished_jobs: BTreeMap<Uid, u32>,
    /// Since when a due run is waited for.
    pub waiting_since: Option<Timestamp>,
    /// The agent's clock. Where the API server's clock counts, the live read's date is taken.
    pub now: Timestamp,
}

impl Facts {
    /// What is known of a place.
    pub fn look(&self, place: &Place) -> &Look {
        self.looks.get(place).unwrap_or(&Look::Unknown)
    }
}

/// Why a CronJob is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The order changed.
    Update,
    /// Someone changed it.
    Drift,
    /// It was there before us.
    Adopt,
    /// It is suspended until its Jobs have finished, to be deleted.
    Suspend,
    /// A move failed: the old one runs on.
    Resume,
    /// Our marks are taken off.
    Orphan,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Read it live.
    Read(Place),
    /// Replace as a dry-run and tell the answer.
    Compare {
        /// Which.
        place: Place,
        /// The body.
        body: Value,
    },
    /// Create it.
    Create {
        /// Where.
        place: Place,
        /// The body.
        body: Value,
        /// Digest of what we ask for.
        wrote: Digest,
        /// Only ask whether it would succeed.
        dry_run: bool,
    },
    /// Replace it.
    Put {
        /// Which.
        place: Place,
        /// The body, with uid and resourceVersion.
        body: Value,
        /// Digest of what we ask for.
        wrote: Digest,
        /// The whole body of a status write that goes first; its answer's resourceVersion goes into `body`.
        status_first: Option<Value>,
        /// Why.
        why: Why,
    },
    /// Delete it, with these preconditions, in the background.
    Delete {
        /// Which.
        place: Place,
        /// Precondition.
        uid: Uid,
        /// Precondition.
        resource_version: String,
    },
    /// List the Jobs of its namespace live and count the unfinished ones that it controls.
    CountJobs {
        /// Which CronJob.
        place: Place,
        /// Its uid.
        uid: Uid,
    },
    /// Remember this instead of the record, and ask again.
    Note(Box<Record>),
    /// Nothing more for now.
    Done(Outcome),
    /// The removal is carried out: the entry may go.
    Removed,
}

/// How it stands when there is nothing more to do for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// State for the report.
    pub state: State,
    /// Reason in one word.
    pub reason: String,
    /// For people.
    pub message: String,
    /// Look again after this time, if nothing happens before.
    pub again: Option<Duration>,
    /// The wait is for a due run (rule 18).
    pub waits_for_run: bool,
}

impl Outcome {
    fn new(state: State) -> Self {
        Self {
            state,
            reason: String::new(),
            message: String::new(),
            again: None,
            waits_for_run: false,
        }
    }

    fn because(mut self, reason: impl Into<String>, message: impl Into<String>) -> Self {
        self.reason = reason.into();
        self.message = message.into();
        self
    }

    fn again(mut self, after: Duration) -> Self {
        self.again = Some(after);
        self
    }

    fn done(self) -> Step {
        Step::Done(self)
    }
}

/// What the API server (or the way to it) said when a step failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure<'a> {
    /// HTTP status; absent when there was no answer.
    pub code: Option<u16>,
    /// Kubernetes' reason in one word.
    pub reason: &'a str,
    /// The server's words.
    pub message: &'a str,
}

/// The report of a failed step: the server's own words under a reason that programs can match.
pub fn failed(failure: &Failure<'_>) -> Outcome {
    let words = failure.message.to_ascii_lowercase();
    let reason = match failure.code {
        None => "ApiUnavailable",
        Some(403) if words.contains("being terminated") => "NamespaceTerminating",
        Some(403) if words.contains("exceeded quota") => "QuotaExceeded",
        Some(403) if is_missing_right(failure) => "NoRights",
        Some(404) if words.contains("namespaces \"") => "NamespaceMissing",
        _ if words.contains("admission webhook") => "WebhookDenied",
        _ if failure.reason.is_empty() => "Failed",
        _ => failure.reason,
    };
    Outcome::new(State::Failed).because(reason, failure.message)
}

/// Whether the API server refused for lack of a right: for the agent's health, not for the object.
pub fn is_missing_right(failure: &Failure<'_>) -> bool {
    failure.code == Some(403) && failure.message.contains(" is forbidden: User \"")
}

/// How long an object that someone deletes is waited for before it is looked at again.
const DELETING_PAUSE: Duration = Duration::from_secs(2);

/// What to do next about one entry.
pub fn plan(order: &Order<'_>, record: &Record, facts: &Facts, settings: &Settings) -> Step {
    if let Some(removal) = order.entry.removing {
        return removing::plan(order, record, facts, settings, removal);
    }
    if let Err(refusal) = &order.verdict {
        return Outcome::new(State::Refused)
            .because(refusal.rule, &refusal.message)
            .done();
    }
    if record.removing_since.is_some()
        || (record.suspended_at.is_some()
            && old_place(order.entry, record, facts.stray.as_ref()).is_none())
    {
        // A removal or a move was taken back.
        return Step::Note(Box::new(Record {
            removing_since: None,
            suspended_at: None,
            ..record.clone()
        }));
    }
    if let Some(step) = moving::plan(order, record, facts, settings) {
        return step;
    }
    in_place(order, record, facts, settings)
}

/// Where the CronJob is now, as far as is known: what [`Order::held_namespace`] is about.
pub fn held_place(entry: &Entry, record: &Record, stray: Option<&Place>) -> Place {
    let applied = record.applied.as_ref().map(|applied| &applied.place);
    record
        .leaving
        .as_ref()
        .or(applied)
        .or(stray)
        .cloned()
        .unwrap_or_else(|| target(entry))
}

/// Where the entry says that its CronJob is to be.
pub fn target(entry: &Entry) -> Place {
    let template = entry.assignment.rendered.template();
    Place {
        namespace: template.namespace.clone(),
        name: template.name.clone(),
    }
}

fn in_place(order: &Order<'_>, record: &Record, facts: &Facts, settings: &Settings) -> Step {
    let place = target(order.entry);
    match facts.look(&place) {
        Look::Unknown => Step::Read(place),
        Look::Absent { .. } => {
            if let (Err(refusal), None) = (&order.room, &record.applied) {
                return Outcome::new(State::Refused)
                    .because(refusal.rule, &refusal.message)
                    .done();
            }
            create(order, place, facts, false)
        }
        Look::Seen(live) if live.deleting => Outcome::new(State::Pending)
            .because(
                "BeingDeleted",
                "someone deletes the CronJob; it is made again once it is gone",
            )
            .again(DELETING_PAUSE)
            .done(),
        Look::Seen(live) => match ownership(order, record, live) {
            Ownership::Ours => ours(order, record, facts, settings, live),
            // Whose it is, is said upon a live read only.
            _ if live.source == Source::Watch => Step::Read(place),
            Ownership::Foreign => adopt(order, record, facts, settings, live),
            Ownership::Other(message) => Outcome::new(State::NotOwned)
                .because("NotOwned", message)
                .done(),
        },
    }
}

fn create(order: &Order<'_>, place: Place, facts: &Facts, dry_run: bool) -> Step {
    let desired = desired(order, hold(order.entry, None, facts.now).is_some());
    let mut body = desired.clone();
    if let Some(metadata) = body["metadata"].as_object_mut() {
        metadata.remove("uid");
        metadata.remove("resourceVersion");
    }
    Step::Create {
        place,
        body,
        wrote: digest(&desired),
        dry_run,
    }
}

enum Ownership {
    Ours,
    /// Nobody's that we know.
    Foreign,
    /// Another hub's or another Segment's: why it is left alone.
    Other(String),
}

fn ownership(order: &Order<'_>, record: &Record, live: &Live) -> Ownership {
    let key = order.entry.assignment.key.to_string();
    match (&live.hub, &live.segment) {
        (Some(hub), _) if hub != order.owner.hub.as_str() => Ownership::Other(format!(
            "CronJob {} carries the id of another hub, {hub}",
            live.place
        )),
        (Some(_), Some(segment)) if *segment != key => Ownership::Other(format!(
            "CronJob {} belongs to Segment {segment}",
            live.place
        )),
        (Some(_), Some(_)) => Ownership::Ours,
        // Our marks were taken off by hand: still the one that we wrote.
        _ if record
            .applied
            .as_ref()
            .is_some_and(|applied| applied.uid == live.uid) =>
        {
            Ownership::Ours
        }
        _ => Ownership::Foreign,
    }
}

fn ours(
    order: &Order<'_>,
    record: &Record,
    facts: &Facts,
    settings: &Settings,
    live: &Live,
) -> Step {
    let held = hold(order.entry, Some(live), facts.now);
    let desired = desired(order, held.is_some());
    let wrote = digest(&desired);
    let reference = record
        .applied
        .as_ref()
        .filter(|applied| applied.uid == live.uid && applied.place == live.place);
    match reference {
        Some(reference) if reference.wrote == wrote && reference.live == live.digest => {
            settled(record, facts, settings, held)
        }
        Some(reference) if reference.wrote != wrote => {
            if order.entry.assignment.modes.drift == Drift::IfNotDrifted
                && reference.live != live.digest
            {
                return Outcome::new(State::Failed)
                    .because(
                        "Drifted",
                        "someone changed the CronJob, and IfNotDrifted leaves a changed one alone",
                    )
                    .done();
            }
            put(
                order,
                record,
                facts,
                settings,
                live,
                &desired,
                wrote,
                Why::Update,
            )
        }
        // Without a reference (a lost store, a hub restored) what the annotation says tells an update from drift.
        _ => {
            let body = merged(&desired, live, record);
            match verdict(facts, live) {
                None => Step::Compare {
                    place: live.place.clone(),
                    body,
                },
                Some(Compared::Answer(answer)) if digest(answer) == live.digest => {
                    Step::Note(Box::new(Record {
                        applied: Some(Reference::new(live, wrote, &desired)),
                        ..record.clone()
                    }))
                }
                Some(compared) => {
                    let rendered = order.entry.assignment.rendered.digest().to_string();
                    if reference.is_none() && live.rendered.as_ref() != Some(&rendered) {
                        return put(
                            order,
                            record,
                            facts,
                            settings,
                            live,
                            &desired,
                            wrote,
                            Why::Update,
                        );
                    }
                    correct(
                        order, record, facts, settings, live, &desired, wrote, &compared,
                    )
                }
            }
        }
    }
}

enum Compared<'a> {
    Answer(&'a Value),
    Unsupported,
}

/// What the dry-run says about this very version of the object.
fn verdict<'a>(facts: &'a Facts, live: &Live) -> Option<Compared<'a>> {
    let dry_run = facts
        .dry_run
        .as_ref()
        .filter(|dry_run| dry_run.resource_version == live.resource_version)?;
    Some(
        dry_run
            .answer
            .as_ref()
            .map_or(Compared::Unsupported, Compared::Answer),
    )
}

#[allow(
    clippy::too_many_arguments,
    reason = "one step of `ours`, split off to be read"
)]
fn correct(
    order: &Order<'_>,
    record: &Record,
    facts: &Facts,
    settings: &Settings,
    live: &Live,
    desired: &Value,
    wrote: Digest,
    compared: &Compared<'_>,
) -> Step {
    if order.entry.assignment.modes.drift == Drift::Report {
        return Outcome::new(State::Applied)
            .because("Drifted", "someone changed the CronJob")
            .done();
    }
    let contested = record.is_contested(facts.now, settings);
    if contested || matches!(compared, Compared::Unsupported) {
        let wait = record
            .corrected
            .iter()
            .max()
            .and_then(|last| Duration::try_from(facts.now.duration_since(*last)).ok())
            .and_then(|since| settings.contested_pause.checked_sub(since))
            .filter(|wait| !wait.is_zero());
        if let Some(wait) = wait {
            let by = live
                .last_manager()
                .unwrap_or_else(|| record.drifted_by.clone());
            let state = if contested {
                State::Contested
            } else {
                State::Pending
            };
            return Outcome::new(state)
                .because("Contested", contested_message(&by))
                .again(wait)
                .done();
        }
    }
    put(
        order,
        record,
        facts,
        settings,
        live,
        desired,
        wrote,
        Why::Drift,
    )
}

fn contested_message(by: &str) -> String {
    let by = if by.is_empty() { "someone" } else { by };
    format!("{by} keeps changing the CronJob; it is corrected at most once a minute")
}

fn settled(record: &Record, facts: &Facts, settings: &Settings, held: Option<Held>) -> Step {
    let contested = record.is_contested(facts.now, settings);
    let outcome = match held {
        _ if contested => Outcome::new(State::Contested)
            .because("Contested", contested_message(&record.drifted_by))
            .again(settings.contested_pause),
        Some(held) => {
            let outcome = Outcome::new(State::Held).because(held.reason, held.message);
            match held.until.map(|until| {
                Duration::try_from(until.duration_since(facts.now)).unwrap_or_default()
            }) {
                Some(rest) => outcome.again(rest),
                None => outcome,
            }
        }
        None => Outcome::new(State::Applied),
    };
    outcome.done()
}

fn adopt(
    order: &Order<'_>,
    record: &Record,
    facts: &Facts,
    settings: &Settings,
    live: &Live,
) -> Step {
    let not_owned = |message: String| {
        Outcome::new(State::NotOwned)
            .because("NotOwned", message)
            .done()
    };
    let desired = desired(order, hold(order.entry, Some(live), facts.now).is_some());
    let wrote = digest(&desired);
    match order.entry.assignment.modes.adoption {
        Adoption::Never => not_owned(format!("CronJob {} is not ours", live.place)),
        Adoption::Always => put(
            order,
            record,
            facts,
            settings,
            live,
            &desired,
            wrote,
            Why::Adopt,
        ),
        Adoption::IfSame => match verdict(facts, live) {
            None => Step::Compare {
                place: live.place.clone(),
                body: merged(&desired, live, record),
            },
            Some(Compared::Answer(answer))
                if live
                    .whole
                    .as_ref()
                    .is_some_and(|whole| same_as_ours(whole, answer)) =>
            {
                put(
                    order,
                    record,
                    facts,
                    settings,
                    live,
                    &desired,
                    wrote,
                    Why::Adopt,
                )
            }
            Some(Compared::Answer(_)) => not_owned(format!(
                "CronJob {} is not ours, and its spec is not what would be written",
                live.place
            )),
            Some(Compared::Unsupported) => not_owned(format!(
                "CronJob {} is not ours, and a webhook prevents comparing it",
                live.place
            )),
        },
    }
}

/// Why a CronJob is suspended beside its own spec.
struct Held {
    reason: &'static str,
    message: String,
    until: Option<Timestamp>,
}

/// The hold in force (rule 38): the hub's, on-call's, or that of a proof run.
fn hold(entry: &Entry, live: Option<&Live>, now: Timestamp) -> Option<Held> {
    let ahead = |until: Option<Timestamp>| until.filter(|until| *until > now);
    if let Some(hold) = &entry.controls.hold
        && hold.until.is_none_or(|until| until > now)
    {
        return Some(Held {
            reason: "HeldByHub",
            message: hold.reason.clone(),
            until: hold.until,
        });
    }
    if let Some(until) = ahead(live.and_then(|live| live.hold_until)) {
        let message = format!(
            "annotation {} holds it until {until}",
            names::ANNOTATION_HOLD_UNTIL
        );
        return Some(Held {
            reason: "HoldUntil",
            message,
            until: Some(until),
        });
    }
    let until = ahead(live.and_then(|live| live.suspended_for_until))?;
    Some(Held {
        reason: "ProofRun",
        message: "suspended for a proof run".to_owned(),
        until: Some(until),
    })
}

/// What we ask for, without anything that is live.
fn desired(order: &Order<'_>, held: bool) -> Value {
    let suspend = held || order.entry.assignment.rendered.template().suspend;
    crate::cronjob::cronjob_json(order.entry, order.owner, suspend)
}

/// What we ask for on top of what is live: uid and resourceVersion as preconditions; labels, annotations, finalizers and
/// owners of others stay.
fn merged(desired: &Value, live: &Live, record: &Record) -> Value {
    let mut metadata = live.kept_metadata();
    for kind in ["labels", "annotations"] {
        let mut entries: Map<String, Value> = metadata
            .get(kind)
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        if let Some(applied) = record
            .applied
            .as_ref()
            .filter(|applied| applied.uid == live.uid)
        {
            // What an earlier order put there and this one does not ask for.
            entries.retain(|key, _| !applied.wrote_key(kind, key));
        }
        if let Some(ours) = desired["metadata"][kind].as_object() {
            entries.extend(ours.clone());
        }
        metadata.insert(kind.to_owned(), Value::Object(entries));
    }
    let mut body = desired.clone();
    body["metadata"] = Value::Object(metadata);
    body
}

#[allow(
    clippy::too_many_arguments,
    reason = "a replacement needs all that was found out about it"
)]
fn put(
    order: &Order<'_>,
    record: &Record,
    facts: &Facts,
    settings: &Settings,
    live: &Live,
    desired: &Value,
    wrote: Digest,
    why: Why,
) -> Step {
    let body = merged(desired, live, record);
    let mut status_first = None;
    let may_start = schedule::may_start_a_past_run(live, &body["spec"]);
    // Who changed it is in the managedFields, and the server's clock in the answer's header: only a live read has them.
    if (may_start || why == Why::Drift) && live.source == Source::Watch {
        return Step::Read(live.place.clone());
    }
    if may_start && order.entry.assignment.modes.on_schedule_change == OnScheduleChange::Skip {
        if let Some(due) = schedule::due_run(live, facts, settings) {
            return due.done();
        }
        status_first = schedule::status_write(live, facts);
    }
    Step::Put {
        place: live.place.clone(),
        body,
        wrote,
        status_first,
        why,
    }
}

/// A live object with only its `spec.suspend` changed, as a replacement's body.
fn with_suspend(live: &Live, suspend: bool) -> Option<Value> {
    let whole = live.whole.as_deref()?;
    let mut spec = whole["spec"].clone();
    spec["suspend"] = json!(suspend);
    Some(json!({
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": live.kept_metadata(),
        "spec": spec,
    }))
}
