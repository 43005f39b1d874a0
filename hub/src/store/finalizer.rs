//! The finalizer on Segments. It covers only the writing down of what is owed, so a deletion never hangs on a cluster.

use super::CALL_LIMIT;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use segment_core::ids::SegmentKey;
use segment_core::names::{FINALIZER, MANAGER_HUB};
use segment_crds::Segment;
use segment_runtime::{ApiError, backoff};
use serde_json::json;

/// Sets the finalizers of a Segment, if it is still at this version.
///
/// # Errors
/// When the API server refuses; a conflict means that a newer version is on its way to the reflector.
pub async fn set(
    client: &Client,
    key: &SegmentKey,
    resource_version: &str,
    finalizers: &[String],
) -> Result<(), ApiError> {
    let api: Api<Segment> = Api::namespaced(client.clone(), key.namespace.as_str());
    let patch =
        json!({"metadata": {"resourceVersion": resource_version, "finalizers": finalizers}});
    let params = PatchParams {
        field_manager: Some(MANAGER_HUB.to_owned()),
        ..PatchParams::default()
    };
    let what = format!("PATCH finalizers of segment {key}");
    backoff::call(
        CALL_LIMIT,
        what,
        api.patch(key.name.as_str(), &params, &Patch::Merge(&patch)),
    )
    .await?;
    Ok(())
}

/// The list with ours in it; `None` where it is there already.
pub fn with(finalizers: &[String]) -> Option<Vec<String>> {
    if finalizers.iter().any(|f| f == FINALIZER) {
        return None;
    }
    Some(
        finalizers
            .iter()
            .cloned()
            .chain([FINALIZER.to_owned()])
            .collect(),
    )
}

/// The list without ours.
pub fn without(finalizers: &[String]) -> Vec<String> {
    finalizers
        .iter()
        .filter(|f| *f != FINALIZER)
        .cloned()
        .collect()
}
