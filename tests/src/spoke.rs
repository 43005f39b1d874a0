//! An agent on a spoke.
//!
//! In: a spoke's control plane, a Cluster name, a hub. Out: an agent that has joined.
//! Law: several agents share a spoke, each with a namespace of its own for itself and others for its work; the process
//! has the service account's rights and no others; its periods are shortened, said in [`PERIODS`]. Not: hubs.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use kube::Client;
use serde_json::{Value, json};

use crate::audit::{AuditLog, Event};
use crate::control_plane::ControlPlane;
use crate::hub::{Hub, get};
use crate::objects::{Objects, condition};
use crate::processes::Process;
use crate::{install, paths, ports, wait};

/// What tests shorten; the Lease's periods are longer, because a dozen control planes share two cores.
pub const PERIODS: [(&str, &str); 13] = [
    ("--lease-duration", "15s"),
    ("--lease-renew-deadline", "10s"),
    ("--store-flush", "500ms"),
    ("--finish-wait", "1s"),
    ("--guard", "1s"),
    ("--guard-limit", "5s"),
    ("--connect-backoff-base", "200ms"),
    ("--connect-backoff-cap", "2s"),
    ("--healthy-after", "5s"),
    ("--keepalive", "3s"),
    ("--report-pause", "100ms"),
    ("--usual-run", "2s"),
    ("--run-look", "1s"),
];

/// An agent.
pub struct Agent {
    /// The Cluster's name.
    pub cluster: String,
    /// The process. It goes before its control plane does.
    pub process: Process,
    /// The spoke's control plane.
    pub plane: Arc<ControlPlane>,
    /// The agent's own namespace.
    pub system: String,
    /// Where it may write CronJobs.
    pub namespace: String,
    client: Client,
    admin: u16,
}

// Not derived: a client has no debug form.
impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent")
            .field("process", &self.process)
            .finish_non_exhaustive()
    }
}

impl Agent {
    /// Installs the chart; the process does not run yet and has no token.
    pub async fn install(
        plane: Arc<ControlPlane>,
        cluster: &str,
        system: &str,
        namespace: &str,
        hub: &str,
        policy: &Value,
    ) -> Result<Self> {
        install::namespace(&plane, namespace).await?;
        install::agent(&plane, system, hub, policy).await?;
        let kubeconfig = plane.service_account(system, "segment-agent").await?;
        let admin = ports::free();
        let mut arguments = vec![
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--hub-address={hub}"),
            format!("--namespace={system}"),
            "--pod-name=segment-agent-0".to_owned(),
            format!("--admin-addr=127.0.0.1:{admin}"),
        ];
        arguments.extend(
            PERIODS
                .iter()
                .map(|(flag, value)| format!("{flag}={value}")),
        );
        let log = plane.dir().join(format!("{system}.log"));
        let process = Process::new(cluster, paths::program("segment-agent")?, arguments, log);
        let client = plane.client().await?;
        Ok(Self {
            cluster: cluster.to_owned(),
            plane,
            system: system.to_owned(),
            namespace: namespace.to_owned(),
            process,
            client,
            admin,
        })
    }

    /// Gives it a token and starts it.
    pub async fn join(&self, hub: &Hub, labels: &[(&str, &str)]) -> Result<()> {
        let token = hub.join(&self.cluster, labels).await?;
        self.process.set("JOIN_TOKEN", &token);
        self.process.start()
    }

    /// Waits until the hub says that it is connected.
    pub async fn connected(&self, hub: &Hub) -> Result<()> {
        wait::until(
            &format!("cluster {} is connected", self.cluster),
            wait::SOON,
            || async {
                self.process.check()?;
                hub.process.check()?;
                let cluster = hub.cluster(&self.cluster).await?;
                let connected =
                    condition(&cluster, "Connected").context("no condition Connected")?;
                ensure!(connected["status"] == "True", "Connected is {connected}");
                Ok(())
            },
        )
        .await
        .with_context(|| format!("log: {}", self.process.log_file().display()))
    }

    /// Waits until it says that it is ready.
    pub async fn ready(&self) -> Result<()> {
        wait::until(
            &format!("the agent of {} is ready", self.cluster),
            wait::SOON,
            || async {
                self.process.check()?;
                let (status, body) = get(self.admin, "/readyz").await?;
                ensure!(status == 200, "/readyz says {status}: {body}");
                Ok(())
            },
        )
        .await
    }

    /// SIGKILL, and starts again.
    pub async fn crash(&self) -> Result<()> {
        self.process.kill().await?;
        self.process.start()
    }

    /// The metrics' text.
    pub async fn metrics(&self) -> Result<String> {
        Ok(get(self.admin, "/metrics").await?.1)
    }

    /// A client of the spoke's API server, as its administrator.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The agent's service account, as the audit log names it.
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:segment-agent", self.system)
    }

    /// The CronJobs that it may write.
    pub fn cron_jobs(&self) -> Objects {
        Objects::cron_jobs(&self.client, &self.namespace)
    }

    /// Jobs in its namespace.
    pub fn jobs(&self) -> Objects {
        Objects::jobs(&self.client, &self.namespace)
    }

    /// The spoke's audit log from now on.
    pub fn mark(&self) -> AuditLog {
        self.plane.audit().mark()
    }

    /// What it wrote on batch resources since a mark.
    pub fn writes(&self, since: &AuditLog) -> Result<Vec<Event>> {
        since.batch_writes(&self.user())
    }

    /// What it deleted since a mark.
    pub fn deletes(&self, since: &AuditLog) -> Result<Vec<Event>> {
        since.deletes(&self.user())
    }

    /// Writes the agent's policy anew, as the cluster's admin.
    pub async fn set_policy(&self, hub: &str, policy: &Value) -> Result<()> {
        install::agent(&self.plane, &self.system, hub, policy).await
    }
}

/// The policy that admits a namespace with Granary's preset.
pub fn policy(namespace: &str) -> Value {
    json!({"namespaces": {namespace: {}}, "preset": "granary"})
}
