//! One step of the plan as calls to the API server.
//!
//! In: a [`Step`]. Out: what was learned, in facts and record. Law: bodies and answers are untyped JSON; every call has a
//! deadline; a conflict is an error that the caller answers with another look. Not: which step comes next.

use super::failure_of;
use crate::metrics::WhyLabel;
use crate::shared::Shared;
use jiff::Timestamp;
use segment_core::apply::{DryRun, Facts, Live, Look, Place, Record, Step, Why, failed};
use segment_core::ids::{Digest, SegmentKey, Uid};
use segment_core::names;
use segment_core::observe::unfinished_jobs;
use segment_runtime::error::ApiError;
use segment_runtime::raw::{self, Answer, WriteOptions};
use segment_runtime::tasks::with_causes;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Jobs on one page of a list.
const PAGE: usize = 500;

/// The API server, as far as the applier needs it.
#[derive(Clone)]
pub struct Calls {
    /// What the tasks share.
    pub shared: Arc<Shared>,
    /// The client.
    pub client: kube::Client,
    /// Deadline of one call.
    pub limit: Duration,
}

impl std::fmt::Debug for Calls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Calls")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// What one look at an entry has found out so far.
pub(super) struct Found<'a> {
    /// Whose CronJob it is.
    pub(super) key: &'a SegmentKey,
    /// What is remembered.
    pub(super) record: &'a mut Record,
    /// What is known.
    pub(super) facts: &'a mut Facts,
}

/// A write, and what it was for.
enum Wrote {
    Create { moves_from: Option<Place> },
    Put { why: Why },
}

impl Calls {
    /// Carries a step out.
    pub(super) async fn carry_out(
        &self,
        step: Step,
        found: &mut Found<'_>,
    ) -> Result<(), ApiError> {
        match step {
            Step::Read(place) => self.read(place, found.facts).await,
            Step::Compare { place, body } => self.compare(&place, &body, found.facts).await,
            Step::Create {
                place,
                body,
                dry_run: true,
                ..
            } => self.try_create(&place, &body, found).await,
            Step::Create {
                place,
                body,
                wrote,
                moves_from,
                ..
            } => self.create(&place, &body, wrote, moves_from, found).await,
            Step::Put {
                place,
                mut body,
                wrote,
                status_first,
                why,
            } => {
                if let Some(status) = status_first {
                    // A refusal comes before the status is written, not after each of many.
                    self.dry_run(&place, &body).await?;
                    body["metadata"]["resourceVersion"] = self.put_status(&place, &status).await?;
                }
                self.put(&place, &body, wrote, why, found).await
            }
            Step::Delete {
                place,
                uid,
                resource_version,
            } => self.delete(place, uid, &resource_version, found).await,
            Step::CountJobs { place, uid } => self.count_jobs(&place, uid, found.facts).await,
            // Nothing to call for.
            Step::Note(_) | Step::Done(_) | Step::Removed => Ok(()),
        }
    }

    async fn read(&self, place: Place, facts: &mut Facts) -> Result<(), ApiError> {
        match raw::get_json(&self.client, &path(&place), self.limit).await {
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
        let answer = self.dry_run(place, body).await?;
        facts.dry_run = Some(DryRun {
            resource_version,
            answer,
        });
        Ok(())
    }

    /// The answer to a replacement that is none; `None` where a webhook does not support that.
    async fn dry_run(&self, place: &Place, body: &Value) -> Result<Option<Value>, ApiError> {
        match raw::put_json(&self.client, &path(place), options(true), body, self.limit).await {
            Ok(answer) => Ok(Some(answer.body)),
            // A webhook with side effects ("does not support dry run", 400).
            Err(error)
                if error
                    .status()
                    .is_some_and(|status| status.message.contains("dry run")) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn post(&self, place: &Place, body: &Value, dry_run: bool) -> Result<Answer, ApiError> {
        let path = raw::path("batch/v1", "cronjobs", Some(place.namespace.as_str()), None);
        raw::post_json(&self.client, &path, options(dry_run), body, self.limit).await
    }

    async fn try_create(
        &self,
        place: &Place,
        body: &Value,
        found: &mut Found<'_>,
    ) -> Result<(), ApiError> {
        match self.post(place, body, true).await {
            Ok(_) => found.facts.create_would_succeed = true,
            Err(error) => refused_move(error, found)?,
        }
        Ok(())
    }

    async fn create(
        &self,
        place: &Place,
        body: &Value,
        wrote: Digest,
        moves_from: Option<Place>,
        found: &mut Found<'_>,
    ) -> Result<(), ApiError> {
        match self.post(place, body, false).await {
            Ok(answer) => {
                tracing::info!(segment = %found.key, %place, "created");
                self.wrote(
                    &Wrote::Create { moves_from },
                    place,
                    answer,
                    wrote,
                    body,
                    found,
                );
                Ok(())
            }
            Err(error) if moves_from.is_some() => refused_move(error, found),
            Err(error) => Err(error),
        }
    }

    async fn put_status(&self, place: &Place, body: &Value) -> Result<Value, ApiError> {
        let path = format!("{}/status", path(place));
        let answer = raw::put_json(&self.client, &path, options(false), body, self.limit).await;
        self.shared.metrics.call(
            "status",
            answer.as_ref().map_or_else(ApiError::reason, |_| "ok"),
        );
        Ok(answer?.body["metadata"]["resourceVersion"].clone())
    }

    async fn put(
        &self,
        place: &Place,
        body: &Value,
        wrote: Digest,
        why: Why,
        found: &mut Found<'_>,
    ) -> Result<(), ApiError> {
        match raw::put_json(&self.client, &path(place), options(false), body, self.limit).await {
            Ok(answer) => {
                tracing::info!(segment = %found.key, %place, why = why_name(why), "replaced");
                self.shared
                    .metrics
                    .replaced
                    .get_or_create(&WhyLabel { why: why_name(why) })
                    .inc();
                self.wrote(&Wrote::Put { why }, place, answer, wrote, body, found);
                Ok(())
            }
            Err(error) if error.is_not_found() => {
                self.shared.cache.remove_place(place);
                found.facts.looks.insert(place.clone(), Look::Unknown);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn wrote(
        &self,
        what: &Wrote,
        place: &Place,
        answer: Answer,
        wrote: Digest,
        body: &Value,
        found: &mut Found<'_>,
    ) {
        self.clock(answer.date);
        let now = found.facts.now;
        // An answer that can't be read: the next step reads it again.
        let Ok(Look::Seen(live)) = look(answer) else {
            found.facts.looks.insert(place.clone(), Look::Unknown);
            return;
        };
        match what {
            Wrote::Create { moves_from } => {
                found
                    .record
                    .after_create(&live, wrote, body, moves_from.clone());
            }
            Wrote::Put { why } => {
                let before = match found.facts.look(place) {
                    Look::Seen(before) => Some(&**before),
                    Look::Unknown | Look::Absent { .. } => None,
                };
                found
                    .record
                    .after_put(*why, &live, wrote, body, before, now);
            }
        }
        self.shared.cache.put_live(&live);
        found.facts.looks.insert(place.clone(), Look::Seen(live));
    }

    async fn delete(
        &self,
        place: Place,
        uid: Uid,
        version: &str,
        found: &mut Found<'_>,
    ) -> Result<(), ApiError> {
        let body = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid.to_string(), "resourceVersion": version},
            "propagationPolicy": "Background",
        });
        match raw::delete_json(
            &self.client,
            &path(&place),
            WriteOptions::default(),
            &body,
            self.limit,
        )
        .await
        {
            Ok(_) => tracing::info!(segment = %found.key, %place, "deleted"),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        // Whether it is gone is for a live read to say: a finalizer may hold it.
        found.facts.looks.insert(place, Look::Unknown);
        Ok(())
    }

    async fn count_jobs(&self, place: &Place, uid: Uid, facts: &mut Facts) -> Result<(), ApiError> {
        let jobs = raw::path("batch/v1", "jobs", Some(place.namespace.as_str()), None);
        let first = format!("{jobs}?limit={PAGE}");
        let mut page = first.clone();
        let mut count = 0u32;
        loop {
            let answer = raw::get_json(&self.client, &page, self.limit).await?;
            let items = answer.body["items"]
                .as_array()
                .map_or(&[][..], Vec::as_slice);
            count = count.saturating_add(unfinished_jobs(items, uid));
            match answer.body["metadata"]["continue"].as_str() {
                Some(next) if !next.is_empty() => page = format!("{first}&continue={next}"),
                _ => break,
            }
        }
        facts.unfinished_jobs.insert(uid, count);
        Ok(())
    }
}

/// In a move the old CronJob has a say in what follows a refusal; who was not reached did not refuse.
fn refused_move(error: ApiError, found: &mut Found<'_>) -> Result<(), ApiError> {
    if error.code().is_none() || error.is_already_exists() || error.is_transient() {
        return Err(error);
    }
    let words = with_causes(&error);
    let outcome = failed(&failure_of(&error, &words));
    found.facts.create_failed = Some((outcome.reason, outcome.message));
    Ok(())
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
