//! Where the hub is: ConfigMap `kube-public/segment-hub`, which every authenticated user may read.
//!
//! In: addresses and the CA. Out: what `segctl` finds with a kubeconfig alone. Law: written only on change.

use super::CALL_LIMIT;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::PostParams;
use kube::{Api, Client};
use segment_core::names::{HUB_INFO_CONFIG_MAP, KUBE_PUBLIC, MANAGER_HUB};
use segment_runtime::{ApiError, backoff};
use std::collections::BTreeMap;

/// Writes what differs.
///
/// # Errors
/// When the API server refuses; not found means that the chart is not installed.
pub async fn write(client: &Client, data: &BTreeMap<String, String>) -> Result<(), ApiError> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), KUBE_PUBLIC);
    let mut map = backoff::call(
        CALL_LIMIT,
        "GET ConfigMap kube-public/segment-hub",
        api.get(HUB_INFO_CONFIG_MAP),
    )
    .await?;
    if map.data.as_ref() == Some(data) {
        return Ok(());
    }
    map.data = Some(data.clone());
    let params = PostParams {
        field_manager: Some(MANAGER_HUB.to_owned()),
        ..PostParams::default()
    };
    backoff::call(
        CALL_LIMIT,
        "PUT ConfigMap kube-public/segment-hub",
        api.replace(HUB_INFO_CONFIG_MAP, &params, &map),
    )
    .await?;
    Ok(())
}
