//! `Plan`.

use crate::read;
use crate::users::access::Caller;
use crate::users::access::table::LIST_CLUSTERS;
use crate::users::errors::{self, Reason};
use crate::users::filter;
use crate::users::state::Services;
use crate::users::view::{plan as view, source};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use jiff::Timestamp;
use kube::core::DynamicObject;
use segment_core::finding::Finding;
use segment_core::ids::{Namespace, SegmentKey};
use segment_core::plan::{Draft, Plan, Snapshot, Wish, plan};
use segment_core::segment::HouseDefaults;
use segment_proto::v1::planned_change::Change;
use segment_proto::v1::{PlanRequest, PlanResponse, plan_response};
use std::collections::BTreeSet;
use tonic::Status;

/// Changes in one request.
const CHANGES: usize = 1_000;
/// Bytes of one Segment, as the API server takes them (etcd's limit is 1.5 MiB).
const SEGMENT_BYTES: usize = 1024 * 1024;

impl Services {
    pub(super) async fn plan(
        &self,
        caller: &Caller,
        request: PlanRequest,
    ) -> Result<BoxStream<'static, Result<PlanResponse, Status>>, Status> {
        let authz = self.access.authz();
        authz
            .require(&caller.user, &LIST_CLUSTERS, None, None)
            .await?;
        if request.changes.is_empty() {
            let message = "nothing to plan: give at least one change";
            return Err(errors::invalid(Reason::InvalidValue, "changes", message));
        }
        if request.changes.len() > CHANGES {
            let message = format!(
                "has {} changes, at most {CHANGES} are planned at a time",
                request.changes.len()
            );
            return Err(errors::invalid(Reason::InvalidValue, "changes", message));
        }
        let namespace = filter::maybe_namespace("namespace", &request.namespace)?;
        let namespace = namespace.map_or_else(|| "default".to_owned(), |name| name.to_string());
        let _seat = self.seat_for_plans().await?;
        let defaults = self.fleet().index().defaults().clone();
        let now = Timestamp::now();
        let read = tokio::task::spawn_blocking(move || {
            drafts(
                request.changes.into_iter().map(|c| c.change),
                &namespace,
                &defaults,
                now,
            )
        });
        let drafts = read.await.map_err(|_| gone())??;
        let namespaces: BTreeSet<&Namespace> =
            drafts.iter().map(|draft| &draft.key.namespace).collect();
        for namespace in namespaces {
            authz
                .require(&caller.user, &caller.row.right, Some(namespace), None)
                .await?;
        }
        let missing = drafts
            .iter()
            .filter(|draft| matches!(draft.wish, Wish::Delete))
            .find(|draft| !self.fleet().index().segments().contains_key(&draft.key));
        if let Some(draft) = missing {
            return Err(errors::not_found("segment", &draft.key.to_string()));
        }
        let fleet = self.fleet().clone();
        let made = tokio::task::spawn_blocking(move || {
            let snapshot = Snapshot::of(&fleet.index(), &drafts);
            plan(&snapshot, &drafts, now)
        });
        let plan = made.await.map_err(|_| gone())?;
        Ok(stream::iter(self.told(plan, now)).map(Ok).boxed())
    }

    fn told(&self, plan: Plan, now: Timestamp) -> Vec<PlanResponse> {
        let part = |part| PlanResponse { part: Some(part) };
        let summary = view::summary(&plan, source(&self.handle, now));
        plan.segments
            .into_iter()
            .map(|segment| part(plan_response::Part::Segment(view::segment(segment))))
            .chain([part(plan_response::Part::Summary(summary))])
            .collect()
    }

    /// Plans and forecasts are computed a few at a time: each may take a core for seconds.
    pub(super) async fn seat_for_plans(&self) -> Result<tokio::sync::OwnedSemaphorePermit, Status> {
        std::sync::Arc::clone(&self.plans)
            .acquire_owned()
            .await
            .map_err(|_| gone())
    }
}

/// The process ends.
pub(super) fn gone() -> Status {
    errors::unavailable(Reason::ShuttingDown, "the hub is going down", None)
}

fn drafts(
    changes: impl Iterator<Item = Option<Change>>,
    namespace: &str,
    defaults: &HouseDefaults,
    now: Timestamp,
) -> Result<Vec<Draft>, Status> {
    let mut drafts = Vec::new();
    let mut seen: BTreeSet<SegmentKey> = BTreeSet::new();
    for (at, change) in changes.enumerate() {
        let field = format!("changes[{at}]");
        let draft = match change {
            Some(Change::Segment(text)) => put(&field, &text, namespace, defaults, now)?,
            Some(Change::Delete(name)) => {
                Draft::delete(filter::segment(&format!("{field}.delete"), &name)?)
            }
            None => {
                let message = "has neither segment nor delete";
                return Err(errors::invalid(Reason::InvalidValue, &field, message));
            }
        };
        if !seen.insert(draft.key.clone()) {
            let message = format!("{} is there twice", draft.key);
            return Err(errors::invalid(Reason::InvalidValue, &field, message));
        }
        drafts.push(draft);
    }
    Ok(drafts)
}

fn put(
    field: &str,
    text: &str,
    namespace: &str,
    defaults: &HouseDefaults,
    now: Timestamp,
) -> Result<Draft, Status> {
    let field = format!("{field}.segment");
    let invalid = |message: String| errors::invalid(Reason::InvalidValue, &field, message);
    if text.len() > SEGMENT_BYTES {
        let message = format!(
            "has {} bytes, at most {SEGMENT_BYTES} are allowed",
            text.len()
        );
        return Err(invalid(message));
    }
    let object: DynamicObject = serde_json::from_str(text)
        .map_err(|error| invalid(format!("is not a Kubernetes object as JSON: {error}")))?;
    let is_segment = object.types.as_ref().is_none_or(|types| {
        types.kind == "Segment" && types.api_version.starts_with("segment.grnry.io/")
    });
    if !is_segment {
        return Err(invalid("is no Segment of segment.grnry.io".to_owned()));
    }
    let first = |findings: Vec<Finding>| {
        findings.first().map_or_else(
            || invalid("can't be read".to_owned()),
            |found| errors::finding(Reason::InvalidValue, found),
        )
    };
    let segment = match read::segment(&object) {
        Ok(segment) => segment,
        // What can't be read as a Segment is refused as a whole, as the API server would.
        Err(finding) => {
            return Draft::unreadable(&object.metadata, namespace, vec![finding])
                .map_err(|finding| first(vec![finding]));
        }
    };
    Draft::put(segment, namespace, defaults, now).map_err(first)
}
