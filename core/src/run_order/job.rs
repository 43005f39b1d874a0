//! The Job of an ordered run.
//!
//! In: the order, whose orders these are, the CronJob if there is one. Out: `batch/v1` Job as JSON, and its name.
//! Law: the name follows from the order alone, so that no order makes two Jobs; a CronJob never controls it, or its
//! controller would take it for one of a schedule. Not: when it is made (`carry_out.rs`).

use super::RunOrder;
use crate::assignment::{Assignment, Controls, Entry, Modes, OrderNumber, Owner};
use crate::cronjob::cronjob;
use crate::ids::{CronJobName, RunId, Uid};
use crate::names;
use serde_json::{Value, json};

/// Characters of the CronJob's name that its runs carry: with the id 59 in all, and a label's value has 63.
const NAME_MAX: usize = 40;
/// Seconds that a finished Job is kept: long enough for an agent that is away for a moment to see how it ended.
const KEPT_SECONDS: u32 = 600;

/// Name of the Job of a run.
pub fn job_name(cronjob: &CronJobName, id: RunId) -> String {
    let cut: String = cronjob.as_str().chars().take(NAME_MAX).collect();
    format!("{}-p-{id}", cut.trim_end_matches(['-', '.']))
}

/// The Job of an order, to be created. `cronjob_there` is the CronJob of the same namespace, which takes the Job along
/// when it is deleted.
pub fn job(order: &RunOrder, owner: &Owner, cronjob_there: Option<(&CronJobName, Uid)>) -> Value {
    let template = order.rendered.template();
    let entry = Entry {
        assignment: Assignment {
            key: order.key.clone(),
            uid: order.uid,
            number: OrderNumber::default(),
            revision: order.revision,
            rendered: order.rendered.clone(),
            modes: Modes::default(),
        },
        controls: Controls::default(),
        removing: None,
    };
    let cronjob = cronjob(&entry, owner, false);
    // A `CronJob` has string keys only, so that it always is JSON; Null would be refused by the API server.
    let mut body = cronjob
        .spec
        .map(|spec| serde_json::to_value(spec.job_template).unwrap_or_default())
        .unwrap_or_default();
    body["apiVersion"] = json!("batch/v1");
    body["kind"] = json!("Job");
    let metadata = &mut body["metadata"];
    metadata["name"] = json!(job_name(&template.name, order.id));
    metadata["namespace"] = json!(template.namespace.as_str());
    metadata["annotations"][names::ANNOTATION_REVISION] = json!(order.revision.to_string());
    if let Some((name, uid)) = cronjob_there {
        metadata["ownerReferences"] = json!([{
            "apiVersion": "batch/v1", "kind": "CronJob", "name": name.as_str(), "uid": uid.to_string(),
        }]);
    }
    for place in ["/metadata", "/spec/template/metadata"] {
        if let Some(metadata) = body.pointer_mut(place) {
            metadata["annotations"][names::ANNOTATION_RUN] = json!(order.id.to_string());
            metadata["annotations"][names::ANNOTATION_RUN_PURPOSE] = json!(order.purpose.as_str());
        }
    }
    body["spec"]["ttlSecondsAfterFinished"] = json!(KEPT_SECONDS);
    if let Some(deadline) = order.deadline {
        body["spec"]["activeDeadlineSeconds"] = json!(deadline.as_secs().max(1));
    }
    body
}
