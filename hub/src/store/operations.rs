//! What must last of rollouts and holds: one ConfigMap per Segment that has any, in the hub's namespace.
//!
//! In: [`Operations`]. Out: the same after a restart. Law: only the leader writes; GitOps and editors of Segments do not
//! touch it; one that can't be understood is logged and left alone. Not: what is in it (`core::rollout`).

use super::CALL_LIMIT;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams};
use kube::{Api, Client};
use segment_core::ids::SegmentKey;
use segment_core::names::{LABEL_APP_COMPONENT, MANAGER_HUB, OPERATIONS_PREFIX};
use segment_core::rollout::Operations;
use segment_runtime::{ApiError, backoff};
use std::collections::BTreeMap;

/// Value of `app.kubernetes.io/component` on such a ConfigMap.
const COMPONENT: &str = "operations";
const KEY: &str = "operations.json";

/// The ConfigMaps of operations.
#[derive(Clone, Debug)]
pub struct OperationsStore {
    api: Api<ConfigMap>,
}

impl OperationsStore {
    /// Those of the hub's namespace.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
        }
    }

    /// All of them.
    ///
    /// # Errors
    /// When the API server refuses or does not answer.
    pub async fn list(&self) -> Result<Vec<Operations>, ApiError> {
        let params = ListParams::default().labels(&format!("{LABEL_APP_COMPONENT}={COMPONENT}"));
        let list = backoff::call(CALL_LIMIT, "LIST operations", self.api.list(&params)).await?;
        Ok(list
            .items
            .iter()
            .filter_map(|map| {
                let read = parse(map);
                if let Err(error) = &read {
                    let name = map.metadata.name.as_deref().unwrap_or_default();
                    tracing::error!(
                        configmap = name,
                        error,
                        "a record of operations can't be understood and is left alone"
                    );
                }
                read.ok()
            })
            .collect())
    }

    /// Makes a record durable.
    ///
    /// # Errors
    /// When the API server refuses or does not answer.
    pub async fn write(&self, operations: &Operations) -> Result<(), ApiError> {
        let name = name(&operations.key);
        let params = PostParams {
            field_manager: Some(MANAGER_HUB.to_owned()),
            ..PostParams::default()
        };
        let map = config_map(operations);
        // Mostly it is there already.
        match backoff::call(
            CALL_LIMIT,
            "PUT operations",
            self.api.replace(&name, &params, &map),
        )
        .await
        {
            Err(error) if error.is_not_found() => {
                backoff::call(
                    CALL_LIMIT,
                    "POST operations",
                    self.api.create(&params, &map),
                )
                .await?;
                Ok(())
            }
            result => result.map(drop),
        }
    }

    /// There is nothing more to keep.
    ///
    /// # Errors
    /// When the API server refuses or does not answer.
    pub async fn delete(&self, key: &SegmentKey) -> Result<(), ApiError> {
        match backoff::call(
            CALL_LIMIT,
            "DELETE operations",
            self.api.delete(&name(key), &DeleteParams::default()),
        )
        .await
        {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }
}

fn name(key: &SegmentKey) -> String {
    format!("{OPERATIONS_PREFIX}{}", key.hash())
}

fn config_map(operations: &Operations) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name(&operations.key)),
            labels: Some(BTreeMap::from([(
                LABEL_APP_COMPONENT.to_owned(),
                COMPONENT.to_owned(),
            )])),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([(
            KEY.to_owned(),
            serde_json::to_string(operations).unwrap_or_default(),
        )])),
        ..ConfigMap::default()
    }
}

fn parse(map: &ConfigMap) -> Result<Operations, String> {
    let text = map
        .data
        .as_ref()
        .and_then(|data| data.get(KEY))
        .ok_or_else(|| format!("{KEY} is missing"))?;
    serde_json::from_str(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_whole_and_a_damaged_one_is_said() {
        let mut operations = Operations::new(
            "granary/demo".parse().unwrap(),
            "7b0d9c3e-2f51-4c1f-9d55-0f6d1a3a9b11".parse().unwrap(),
        );
        operations.order = 3;
        let map = config_map(&operations);
        assert_eq!(parse(&map), Ok(operations));
        assert!(parse(&ConfigMap::default()).is_err());
    }
}
