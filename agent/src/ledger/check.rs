//! Looks at all runs now and then: time alone makes a run missed, or stuck.
//!
//! In: entries, the cache, the time; the API server's verdict on a Job that was not created, where the policy allows
//! `runNow` (the agent may create Jobs then). Out: the ledger, fed. Law: nothing is written: the question is a dry-run; at
//! most [`ASKED`] of them per round. Not: what is missed (`segment_core::runs`).

use crate::shared::Shared;
use jiff::Timestamp;
use segment_core::assignment::{Entry, Owner};
use segment_core::cronjob::cronjob_json;
use segment_core::ids::KeyHash;
use segment_core::names;
use segment_core::runs::RunKey;
use segment_runtime::raw::{self, WriteOptions};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Questions to the API server in one round; a quota that is full makes every Segment of a namespace ask.
const ASKED: usize = 16;

/// Checks until the end.
pub async fn check(
    shared: Arc<Shared>,
    client: kube::Client,
    period: Duration,
    limit: Duration,
    stop: CancellationToken,
) {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        for key in shared.keys() {
            shared.look_at_runs(key);
            tokio::task::consume_budget().await;
        }
        for (key, runs) in shared.ledger.take_unexplained(ASKED) {
            tokio::select! {
                () = stop.cancelled() => return,
                () = ask(&shared, &client, limit, key, &runs) => {}
            }
        }
    }
}

/// Asks the API server what it says to a Job that the controller did not create.
async fn ask(
    shared: &Shared,
    client: &kube::Client,
    limit: Duration,
    key: KeyHash,
    runs: &[RunKey],
) {
    let allowed = shared
        .policy
        .borrow()
        .policy()
        .is_ok_and(|policy| policy.run_now);
    let (Some(entry), Some(hub)) = (shared.entry(key), shared.hub()) else {
        return;
    };
    if !allowed {
        return;
    }
    let namespace = &entry.assignment.rendered.template().namespace;
    let path = raw::path("batch/v1", "jobs", Some(namespace.as_str()), None);
    let options = WriteOptions {
        dry_run: true,
        field_manager: Some(names::MANAGER_AGENT),
        ..WriteOptions::default()
    };
    let body = job(&entry, &Owner { hub });
    match raw::post_json(client, &path, options, &body, limit).await {
        // It would be taken now: then the controller itself is the cause.
        Ok(_) => {}
        Err(error) => {
            // Our own missing right says nothing about the controller's.
            let refusal = error
                .status()
                .filter(|status| (400..500).contains(&status.code))
                .filter(|status| !status.message.contains("cannot create resource"));
            match refusal {
                Some(status) => {
                    shared
                        .ledger
                        .explain(key, runs, &status.message, Timestamp::now());
                }
                None => {
                    tracing::debug!(%error, "a missed run stays without the API server's words");
                }
            }
        }
    }
}

/// The Job that the controller would create.
fn job(entry: &Entry, owner: &Owner) -> Value {
    let mut cronjob = cronjob_json(entry, owner, false);
    let template = cronjob["spec"]["jobTemplate"].take();
    let mut metadata = template["metadata"].clone();
    metadata["generateName"] = json!(format!("{}-", entry.assignment.rendered.template().name));
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": template["spec"],
    })
}
