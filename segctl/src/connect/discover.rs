//! Where the hub is: ConfigMap `kube-public/segment-hub`, which every user of the hub's API server may read.

use super::kubeconfig::{Login, causes};
use super::unreachable;
use crate::exit::{Exit, Failure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::Api;
use std::time::Duration;

const NAMESPACE: &str = "kube-public";
const NAME: &str = "segment-hub";
/// Key of the users' address: host:port.
const USERS: &str = "users";
/// Key of the hub's root certificates: PEM.
const ROOTS: &str = "ca.crt";

/// What the ConfigMap says.
pub(super) struct Found {
    /// Host and port for users.
    pub(super) users: String,
    /// Root certificates, PEM.
    pub(super) roots_pem: String,
}

/// Reads the ConfigMap.
pub(super) async fn hub(login: &Login, limit: Duration) -> Result<Found, Failure> {
    let server = login.config.cluster_url.to_string();
    let client = kube::Client::try_from(login.config.clone())
        .map_err(|error| unreachable(format!("API server {server}: {}", causes(&error))))?;
    let maps: Api<ConfigMap> = Api::namespaced(client, NAMESPACE);
    let read = maps.get_opt(NAME);
    let limit = if limit.is_zero() {
        Duration::MAX
    } else {
        limit
    };
    let map = tokio::time::timeout(limit, read)
        .await
        .map_err(|_| {
            Failure::new(
                Exit::TimedOut,
                format!("API server {server} did not answer in time"),
            )
            .help("give it longer with --request-timeout")
        })?
        .map_err(|error| refusal(&server, &error))?;
    let Some(map) = map else {
        return Err(unreachable(format!(
            "ConfigMap {NAMESPACE}/{NAME} is not on API server {server}"
        ))
        .help("is this the hub's cluster? choose another with --context")
        .help("or say where the hub is: --hub HOST:PORT --hub-ca FILE"));
    };
    let mut data = map.data.unwrap_or_default();
    let mut take = |key: &str| {
        data.remove(key)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| {
                unreachable(format!("ConfigMap {NAMESPACE}/{NAME} has no {key:?} yet"))
                    .help("the hub writes it once it leads: kubectl get pods -n segment-system")
            })
    };
    Ok(Found {
        users: take(USERS)?,
        roots_pem: take(ROOTS)?,
    })
}

fn refusal(server: &str, error: &kube::Error) -> Failure {
    match error {
        kube::Error::Api(status) if status.code == 401 => {
            unreachable(format!("API server {server}: not logged in: {}", status.message)).help("try: kubectl auth whoami")
        }
        kube::Error::Api(status) if status.code == 403 => unreachable(format!("API server {server}: {}", status.message))
            .help("ask for Role segment-hub-info in kube-public, or say where the hub is: --hub HOST:PORT --hub-ca FILE"),
        _ => unreachable(format!("API server {server}: {}", causes(error))).help("try: kubectl version"),
    }
}
