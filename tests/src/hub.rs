//! A hub: its control plane, what the chart installs, the process.
//!
//! In: a folder. Out: a hub that is ready, and the ways that users have to it.
//! Law: the process has the service account's rights and no others; its periods are shortened, said in [`PERIODS`].
//! Not: spokes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use kube::Client;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::OnceCell;

use crate::control_plane::ControlPlane;
use crate::objects::Objects;
use crate::processes::Process;
use crate::tools::Tool;
use crate::{install, paths, ports, wait};

/// Namespace of hub and, where only one is on a spoke, agent.
pub const NAMESPACE: &str = segment_core::names::SYSTEM_NAMESPACE;

/// What tests shorten; the Lease's periods are longer, because a dozen control planes share two cores.
pub const PERIODS: [(&str, &str); 5] = [
    ("--lease-duration", "15s"),
    ("--lease-renew-deadline", "10s"),
    ("--settle", "2s"),
    ("--stale-after", "10s"),
    ("--progress-deadline", "60s"),
];

/// A hub.
pub struct Hub {
    /// The process. It goes before its control plane does.
    pub process: Process,
    /// Its control plane.
    pub plane: ControlPlane,
    client: Client,
    agents: u16,
    users: u16,
    admin: u16,
    webhook: u16,
    webhook_tls: PathBuf,
    second: u16,
    second_webhook: u16,
    ca: OnceCell<PathBuf>,
}

// Not derived: a client has no debug form.
impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub")
            .field("process", &self.process)
            .finish_non_exhaustive()
    }
}

impl Hub {
    /// A hub with a control plane of its own, ready.
    pub async fn start(dir: &Path, name: &str) -> Result<Self> {
        let hub = Self::install(ControlPlane::start(dir, name).await?).await?;
        hub.process.start()?;
        hub.ready().await?;
        Ok(hub)
    }

    /// Installs the charts; the process does not run yet.
    pub async fn install(plane: ControlPlane) -> Result<Self> {
        let (agents, users, admin) = (ports::free(), ports::free(), ports::free());
        let address = |port: u16| format!("127.0.0.1:{port}");
        let webhook = ports::free();
        let webhook_tls = install::hub(
            &plane,
            NAMESPACE,
            &address(agents),
            &address(users),
            &address(webhook),
        )
        .await?;
        let kubeconfig = plane.service_account(NAMESPACE, "segment-hub").await?;
        let mut arguments = vec![
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--agents-addr={}", address(agents)),
            format!("--users-addr={}", address(users)),
            format!("--admin-addr={}", address(admin)),
            format!("--webhook-addr={}", address(webhook)),
            format!("--webhook-tls-dir={}", webhook_tls.display()),
            format!("--public-agents-address={}", address(agents)),
            format!("--public-users-address={}", address(users)),
            format!("--namespace={NAMESPACE}"),
            "--pod-name=segment-hub-0".to_owned(),
        ];
        arguments.extend(
            PERIODS
                .iter()
                .map(|(flag, value)| format!("{flag}={value}")),
        );
        let log = plane.dir().join("segment-hub.log");
        let process = Process::new(
            "segment-hub",
            paths::program("segment-hub")?,
            arguments,
            log,
        );
        let client = plane.client().await?;
        Ok(Self {
            plane,
            process,
            client,
            agents,
            users,
            admin,
            webhook,
            webhook_tls,
            second: ports::free(),
            second_webhook: ports::free(),
            ca: OnceCell::new(),
        })
    }

    /// A client of the hub's API server, as its administrator.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Where agents dial.
    pub fn agents_address(&self) -> String {
        format!("127.0.0.1:{}", self.agents)
    }

    /// Where users dial.
    pub fn users_address(&self) -> String {
        format!("127.0.0.1:{}", self.users)
    }

    /// The hub's service account, as the audit log names it.
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{NAMESPACE}:segment-hub")
    }

    /// Waits until it says that it is ready.
    pub async fn ready(&self) -> Result<()> {
        wait::until("the hub is ready", wait::SOON, || async {
            self.process.check()?;
            let (status, body) = get(self.admin, "/readyz").await?;
            ensure!(status == 200, "/readyz says {status}: {body}");
            Ok(())
        })
        .await
        .with_context(|| format!("log: {}", self.process.log_file().display()))
    }

    /// SIGKILL, and starts again.
    pub async fn crash(&self) -> Result<()> {
        self.process.kill().await?;
        self.process.start()
    }

    /// A second replica, under another Pod's name; it does not run yet.
    pub async fn second(&self) -> Result<Process> {
        let kubeconfig = self.plane.service_account(NAMESPACE, "segment-hub").await?;
        let mut arguments = vec![
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--agents-addr={}", self.second_agents_address()),
            format!("--users-addr=127.0.0.1:{}", ports::free()),
            format!("--admin-addr=127.0.0.1:{}", ports::free()),
            format!("--webhook-addr={}", self.second_webhook_address()),
            format!("--webhook-tls-dir={}", self.webhook_tls.display()),
            format!("--public-agents-address={}", self.agents_address()),
            format!("--public-users-address={}", self.users_address()),
            format!("--namespace={NAMESPACE}"),
            "--pod-name=segment-hub-1".to_owned(),
        ];
        arguments.extend(
            PERIODS
                .iter()
                .map(|(flag, value)| format!("{flag}={value}")),
        );
        let log = self.plane.dir().join("segment-hub-1.log");
        Ok(Process::new(
            "segment-hub-1",
            paths::program("segment-hub")?,
            arguments,
            log,
        ))
    }

    /// Where agents dial the second replica.
    pub fn second_agents_address(&self) -> String {
        format!("127.0.0.1:{}", self.second)
    }

    /// Where the API server asks the webhook.
    pub fn webhook_address(&self) -> String {
        format!("127.0.0.1:{}", self.webhook)
    }

    /// The webhook of the second replica, which nobody asks but a test.
    pub fn second_webhook_address(&self) -> String {
        format!("127.0.0.1:{}", self.second_webhook)
    }

    /// Folder of the webhook's `tls.crt`, `tls.key` and `ca.crt`.
    pub fn webhook_tls(&self) -> &Path {
        &self.webhook_tls
    }

    /// Installs the charts once more, over whatever is there.
    pub async fn install_again(&self) -> Result<()> {
        install::hub(
            &self.plane,
            NAMESPACE,
            &self.agents_address(),
            &self.users_address(),
            &self.webhook_address(),
        )
        .await
        .map(drop)
    }

    /// Holder of the Lease.
    pub async fn leader(&self) -> Result<String> {
        let lease = Objects::leases(&self.client, NAMESPACE)
            .get("segment-hub")
            .await?;
        Ok(lease["spec"]["holderIdentity"]
            .as_str()
            .unwrap_or_default()
            .to_owned())
    }

    /// The metrics' text.
    pub async fn metrics(&self) -> Result<String> {
        Ok(get(self.admin, "/metrics").await?.1)
    }

    /// segctl as the administrator of the hub's cluster.
    pub fn segctl(&self) -> Result<Tool> {
        Tool::segctl(self.plane.kubeconfig())
    }

    /// Makes a Cluster and a join token for it. The token carries the pin of the hub's root.
    pub async fn join(&self, cluster: &str, labels: &[(&str, &str)]) -> Result<String> {
        let labels: Vec<String> = labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let labels = labels.join(",");
        let mut arguments = vec!["cluster", "join", cluster, "--wait=false", "-o", "json"];
        if !labels.is_empty() {
            arguments.extend(["--labels", &labels]);
        }
        let answer = self
            .segctl()?
            .run(&arguments)
            .await?
            .json()
            .context("segctl cluster join")?;
        let token = answer["token"].as_str().context("a token in the answer")?;
        let pin = answer["caPin"].as_str().unwrap_or_default();
        Ok(if token.split('.').count() == 2 {
            format!("{token}.{pin}")
        } else {
            token.to_owned()
        })
    }

    /// The hub's root certificate in a file, as a user gets it.
    pub async fn ca_file(&self) -> Result<PathBuf> {
        // Once: several tests read it at the same time.
        let file = self.ca.get_or_try_init(|| async {
            let file = self.plane.dir().join("hub-ca.pem");
            let text = file.display().to_string();
            let arguments = ["config", "grpcurl", "--ca-file", &text];
            self.segctl()?.run(&arguments).await?.ok()?;
            anyhow::Ok(file)
        });
        file.await.cloned()
    }

    /// A Cluster.
    pub async fn cluster(&self, name: &str) -> Result<Value> {
        Objects::clusters(&self.client).get(name).await
    }
}

/// A GET of an admin endpoint.
pub async fn get(port: u16, path: &str) -> Result<(u16, String)> {
    let asked = async {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
        stream
            .write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes())
            .await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        let status = text
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .context("an HTTP status")?;
        let body = text
            .split_once("\r\n\r\n")
            .map_or(String::new(), |(_, body)| body.to_owned());
        Ok((status, body))
    };
    tokio::time::timeout(Duration::from_secs(5), asked)
        .await
        .context("no answer within 5 s")?
}
