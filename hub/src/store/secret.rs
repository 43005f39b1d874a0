//! A Secret that the chart made empty: read whole, written whole under its resourceVersion.

use super::CALL_LIMIT;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kube::{Api, Client};
use segment_core::names::MANAGER_HUB;
use segment_runtime::{ApiError, backoff};
use std::collections::BTreeMap;

/// Data of a Secret.
pub type Data = BTreeMap<String, Vec<u8>>;

/// How often a write is tried again after someone else's.
const CONFLICTS: usize = 5;

/// One Secret in the hub's namespace.
#[derive(Clone)]
pub struct StoredSecret {
    client: Client,
    namespace: String,
    name: &'static str,
}

impl std::fmt::Debug for StoredSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredSecret")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl StoredSecret {
    /// The Secret of that name. Nothing is sent.
    pub fn new(client: Client, namespace: &str, name: &'static str) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
            name,
        }
    }

    /// Its name, for messages.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Reads it live.
    ///
    /// # Errors
    /// When the API server refuses or does not answer; not found means that the chart is not installed.
    pub async fn read(&self) -> Result<Data, ApiError> {
        Ok(data(&self.get().await?))
    }

    /// Changes it: `change` is given the data and returns what it shall be, or `None` to leave it. It may be called
    /// again after a conflict. Returns the data as it now stands.
    ///
    /// # Errors
    /// When the API server refuses or does not answer, or others keep writing.
    pub async fn update<E>(
        &self,
        mut change: impl FnMut(&Data) -> Result<Option<Data>, E>,
    ) -> Result<Result<Data, E>, ApiError> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let params = PostParams {
            field_manager: Some(MANAGER_HUB.to_owned()),
            ..PostParams::default()
        };
        let mut tries = 0;
        loop {
            let mut secret = self.get().await?;
            let old = data(&secret);
            let new = match change(&old) {
                Ok(Some(new)) => new,
                Ok(None) => return Ok(Ok(old)),
                Err(error) => return Ok(Err(error)),
            };
            secret.data = Some(
                new.iter()
                    .map(|(k, v)| (k.clone(), ByteString(v.clone())))
                    .collect(),
            );
            let what = format!("PUT Secret {}/{}", self.namespace, self.name);
            match backoff::call(CALL_LIMIT, what, api.replace(self.name, &params, &secret)).await {
                Ok(_) => return Ok(Ok(new)),
                Err(error) if error.is_conflict() && tries < CONFLICTS => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    async fn get(&self) -> Result<Secret, ApiError> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let what = format!("GET Secret {}/{}", self.namespace, self.name);
        backoff::call(CALL_LIMIT, what, api.get(self.name)).await
    }
}

fn data(secret: &Secret) -> Data {
    secret
        .data
        .iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.0.clone()))
        .collect()
}
