//! Tombstones: one ConfigMap per deleted Segment uid in the hub's namespace, in compact form.
//!
//! In: [`Tombstone`]s. Out: the same after a restart. Law: written before the finalizer goes and before the first order.
//! Not: who is owed (`core::index::tombstone`).

use super::CALL_LIMIT;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams};
use kube::{Api, Client};
use segment_core::ids::{ClusterName, SegmentKey, Uid};
use segment_core::index::Tombstone;
use segment_core::names::{LABEL_APP_COMPONENT, MANAGER_HUB, TOMBSTONE_PREFIX};
use segment_runtime::{ApiError, backoff};
use std::collections::BTreeMap;

/// Value of `app.kubernetes.io/component` on a tombstone.
const COMPONENT: &str = "tombstone";
const KEY: &str = "tombstone.json";
/// One line of names: 10,000 of ten characters are 110 kB, far below a ConfigMap's limit of 1 MiB.
const CLUSTERS: &str = "clusters";

/// The ConfigMaps of tombstones.
#[derive(Clone, Debug)]
pub struct Tombstones {
    api: Api<ConfigMap>,
}

/// What is in [`KEY`]; the clusters stand beside it, space-separated.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    key: SegmentKey,
    uid: Uid,
    generation: i64,
    removal: segment_core::assignment::Removal,
}

impl Tombstones {
    /// Those of the hub's namespace.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
        }
    }

    /// All of them. One that can't be understood is logged and left alone: it removes nothing.
    ///
    /// # Errors
    /// When the API server refuses or does not answer.
    pub async fn list(&self) -> Result<Vec<Tombstone>, ApiError> {
        let params = ListParams::default().labels(&format!("{LABEL_APP_COMPONENT}={COMPONENT}"));
        let list = backoff::call(CALL_LIMIT, "LIST tombstones", self.api.list(&params)).await?;
        Ok(list
            .items
            .iter()
            .filter_map(|map| {
                let read = parse(map);
                if read.is_none() {
                    tracing::error!(
                        configmap = map.metadata.name.as_deref().unwrap_or_default(),
                        "a tombstone can't be understood and is left alone"
                    );
                }
                read
            })
            .collect())
    }

    /// Makes it durable, or writes its smaller list of clusters.
    ///
    /// # Errors
    /// When the API server refuses or does not answer.
    pub async fn write(&self, tombstone: &Tombstone) -> Result<(), ApiError> {
        let name = name(tombstone.uid);
        let params = PostParams {
            field_manager: Some(MANAGER_HUB.to_owned()),
            ..PostParams::default()
        };
        let map = config_map(tombstone);
        match backoff::call(CALL_LIMIT, "POST tombstone", self.api.create(&params, &map)).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_already_exists() => {
                // Only this leader writes it; its fence is the Lease.
                backoff::call(
                    CALL_LIMIT,
                    "PUT tombstone",
                    self.api.replace(&name, &params, &map),
                )
                .await?;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Everyone has confirmed.
    ///
    /// # Errors
    /// When the API server refuses or does not answer.
    pub async fn delete(&self, uid: Uid) -> Result<(), ApiError> {
        match backoff::call(
            CALL_LIMIT,
            "DELETE tombstone",
            self.api.delete(&name(uid), &DeleteParams::default()),
        )
        .await
        {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }
}

fn name(uid: Uid) -> String {
    format!("{TOMBSTONE_PREFIX}{uid}")
}

fn config_map(tombstone: &Tombstone) -> ConfigMap {
    let head = Head {
        key: tombstone.key.clone(),
        uid: tombstone.uid,
        generation: tombstone.generation,
        removal: tombstone.removal,
    };
    let clusters: Vec<&str> = tombstone.clusters.iter().map(ClusterName::as_str).collect();
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name(tombstone.uid)),
            labels: Some(BTreeMap::from([(
                LABEL_APP_COMPONENT.to_owned(),
                COMPONENT.to_owned(),
            )])),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([
            (
                KEY.to_owned(),
                serde_json::to_string(&head).unwrap_or_default(),
            ),
            (CLUSTERS.to_owned(), clusters.join(" ")),
        ])),
        ..ConfigMap::default()
    }
}

fn parse(map: &ConfigMap) -> Option<Tombstone> {
    let data = map.data.as_ref()?;
    let head: Head = serde_json::from_str(data.get(KEY)?).ok()?;
    let clusters = data
        .get(CLUSTERS)?
        .split_whitespace()
        .map(ClusterName::new)
        .collect::<Result<_, _>>()
        .ok()?;
    Some(Tombstone {
        key: head.key,
        uid: head.uid,
        generation: head.generation,
        removal: head.removal,
        clusters,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use segment_core::assignment::Removal;

    #[test]
    fn ten_thousand_clusters_fit_a_tombstone_and_come_back_whole() {
        let tombstone = Tombstone {
            key: "granary/demo".parse().unwrap(),
            uid: "7b0d9c3e-2f51-4c1f-9d55-0f6d1a3a9b11".parse().unwrap(),
            generation: 3,
            removal: Removal::default(),
            clusters: (0..10_000)
                .map(|i| ClusterName::new(format!("eu-{i:05}")).unwrap())
                .collect(),
        };
        let map = config_map(&tombstone);
        assert!(serde_json::to_vec(&map).unwrap().len() < 100_000);
        assert_eq!(parse(&map), Some(tombstone));
    }

    #[test]
    fn a_damaged_tombstone_is_none_and_removes_nothing() {
        let mut map = ConfigMap::default();
        assert_eq!(parse(&map), None);
        map.data = Some(BTreeMap::from([
            (KEY.to_owned(), "{".to_owned()),
            (CLUSTERS.to_owned(), "a".to_owned()),
        ]));
        assert_eq!(parse(&map), None);
    }
}
