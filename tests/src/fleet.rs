//! A stage for each test: a hub, spokes, a namespace.
//!
//! ```text
//! shared by all tests of the process      a test's own
//! hub ──────────────────────────────────► Clusters (named after the test), a namespace
//! spoke 1, 2, 3 ────────────────────────► an agent on each, with a namespace for itself and one for its CronJobs
//! ```
//! In: a test's name and its clusters' labels. Out: a [`Stage`].
//! Law: four control planes are started once and shared; a test that kills or restores a hub has a hub of its own, on a
//! control plane of its own, and shares the spokes only.
//! Not: what a test does there.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::control_plane::ControlPlane;
use crate::hub::Hub;
use crate::objects::{Objects, condition};
use crate::spoke::{Agent, policy};
use crate::tools::Printed;
use crate::{install, paths, segments, wait};

/// Spokes that all tests share.
const SPOKES: usize = 5;

/// A cluster of a stage: what its name ends with, and its labels.
pub type Wanted<'a> = (&'a str, &'a [(&'a str, &'a str)]);

/// Where the end-to-end tests leave everything: given by `cargo e2e`, which empties it, or a folder of this process.
pub fn state() -> Result<PathBuf> {
    match std::env::var_os("SEGMENT_E2E_DIR") {
        Some(dir) => Ok(PathBuf::from(dir)),
        None => Ok(paths::target()?
            .join("e2e")
            .join(std::process::id().to_string())),
    }
}

/// The shared spokes, started at the first call.
pub async fn spokes() -> Result<Vec<Arc<ControlPlane>>> {
    static CELL: OnceCell<Vec<Arc<ControlPlane>>> = OnceCell::const_new();
    let spokes = CELL
        .get_or_try_init(|| async {
            let state = state()?;
            let starts = (1..=SPOKES).map(|number| {
                let name = format!("spoke-{number}");
                let dir = state.join(&name);
                async move { ControlPlane::start(&dir, &name).await.map(Arc::new) }
            });
            futures::future::try_join_all(starts).await
        })
        .await?;
    Ok(spokes.clone())
}

/// The shared hub, started at the first call.
pub async fn hub() -> Result<Arc<Hub>> {
    static CELL: OnceCell<Arc<Hub>> = OnceCell::const_new();
    let hub = CELL
        .get_or_try_init(|| async { Hub::start(&state()?.join("hub"), "hub").await.map(Arc::new) })
        .await?;
    Ok(hub.clone())
}

/// A hub, agents that have joined it, a namespace on all.
#[derive(Debug)]
pub struct Stage {
    /// The test's name: also that of its namespace, and what its Clusters' names begin with.
    pub name: String,
    /// The hub.
    pub hub: Arc<Hub>,
    /// The agents, in the order of the clusters.
    pub agents: Vec<Agent>,
}

impl Stage {
    /// On the shared hub.
    pub async fn shared(name: &str, clusters: &[Wanted<'_>]) -> Result<Self> {
        let (hub, _) = tokio::try_join!(hub(), spokes())?;
        Self::set(name, hub, clusters).await
    }

    /// On a hub of its own.
    pub async fn own(name: &str, clusters: &[Wanted<'_>]) -> Result<Self> {
        Self::own_with(name, clusters, &[]).await
    }

    /// On a hub of its own with other flags.
    pub async fn own_with(
        name: &str,
        clusters: &[Wanted<'_>],
        flags: &[(&str, &str)],
    ) -> Result<Self> {
        let own = format!("own-{name}");
        let dir = state()?.join(&own);
        let start = async {
            let hub = Hub::install(ControlPlane::start(&dir, &own).await?).await?;
            for (flag, value) in flags {
                hub.process.flag(flag, value);
            }
            hub.process.start()?;
            hub.ready().await?;
            anyhow::Ok(hub)
        };
        let (hub, _) = tokio::try_join!(start, spokes())?;
        Self::set(name, Arc::new(hub), clusters).await
    }

    async fn set(name: &str, hub: Arc<Hub>, clusters: &[Wanted<'_>]) -> Result<Self> {
        install::namespace(&hub.plane, name).await?;
        let spokes = spokes().await?;
        // Not every stage begins on the first spoke: the load is shared.
        let first = name.bytes().map(usize::from).sum::<usize>();
        let installs = clusters.iter().enumerate().map(|(index, (short, labels))| {
            let (hub, plane) = (&hub, spokes[(first + index) % spokes.len()].clone());
            let cluster = format!("{name}-{short}");
            async move {
                let system = format!("{cluster}-system");
                let address = hub.agents_address();
                let agent =
                    Agent::install(plane, &cluster, &system, name, &address, &policy(name)).await?;
                let mut labels = labels.to_vec();
                labels.push(("stage", name));
                agent.join(hub, &labels).await?;
                agent.connected(hub).await?;
                anyhow::Ok(agent)
            }
        });
        let agents = futures::future::try_join_all(installs).await?;
        Ok(Self {
            name: name.to_owned(),
            hub,
            agents,
        })
    }

    /// Selects all clusters of this stage and no others.
    pub fn selector(&self) -> Value {
        json!({"matchLabels": {"stage": self.name}})
    }

    /// A small Segment on all clusters of this stage.
    pub fn segment(&self, name: &str) -> Value {
        segments::segment(&self.name, name, &self.selector())
    }

    /// The same, due each minute.
    pub fn each_minute(&self, name: &str) -> Value {
        segments::each_minute(&self.name, name, &self.selector())
    }

    /// Segments of this stage.
    pub fn segments(&self) -> Objects {
        Objects::segments(self.hub.client(), &self.name)
    }

    /// From now on the webhook is not asked for this stage's namespace: what is wrong shows in the condition only.
    pub async fn without_webhook(&self) -> Result<()> {
        let label = format!("{}=off", install::WEBHOOK_LABEL);
        let kubectl = self.hub.plane.kubectl()?;
        kubectl
            .run(&["label", "namespace", &self.name, &label, "--overwrite"])
            .await?
            .ok()?;
        // The API server has its own pace: until it lets a schedule pass that the webhook would not.
        let mut broken = self.segment("without-webhook");
        broken["spec"]["cronjob"]["schedule"] = json!("61 25 * * *");
        wait::until("the webhook is not asked", wait::SOON, || async {
            let arguments = ["apply", "--server-side", "--dry-run=server", "-f", "-"];
            kubectl
                .run_with(&arguments, &broken.to_string())
                .await?
                .ok()
        })
        .await
        .map(drop)
    }

    /// From now on the webhook is asked again.
    pub async fn with_webhook(&self) -> Result<()> {
        let label = format!("{}-", install::WEBHOOK_LABEL);
        let kubectl = self.hub.plane.kubectl()?;
        kubectl
            .run(&["label", "namespace", &self.name, &label])
            .await?
            .ok()
            .map(drop)
    }

    /// Applies a Segment as a user does; what kubectl printed, whether it was taken or not.
    pub async fn kubectl_apply(&self, segment: &Value) -> Result<Printed> {
        let kubectl = self.hub.plane.kubectl()?;
        kubectl
            .run_with(&["apply", "--server-side", "-f", "-"], &segment.to_string())
            .await
    }

    /// Applies a Segment.
    pub async fn apply(&self, segment: &Value) -> Result<Value> {
        self.segments().apply(segment).await
    }

    /// Waits until a Segment's status is of its current generation and Ready.
    pub async fn ready(&self, name: &str) -> Result<Value> {
        wait::until(&format!("Segment {name} is ready"), wait::SOON, || async {
            self.check()?;
            let segment = self.segments().get(name).await?;
            let ready = condition(&segment, "Ready");
            ensure!(
                segment["status"]["observedGeneration"] == segment["metadata"]["generation"]
                    && ready.is_some_and(|ready| ready["status"] == "True"),
                "generation {}, status {}",
                segment["metadata"]["generation"],
                segment["status"]
            );
            Ok(segment)
        })
        .await
    }

    /// Waits until a condition of a Segment has a status and a reason.
    pub async fn says(&self, name: &str, kind: &str, status: &str, reason: &str) -> Result<Value> {
        wait::until(
            &format!("Segment {name} says {kind}={status}, {reason}"),
            wait::SOON,
            || async {
                self.check()?;
                let segment = self.segments().get(name).await?;
                let found = condition(&segment, kind)
                    .with_context(|| format!("status {}", segment["status"]))?;
                ensure!(
                    found["status"] == status && found["reason"] == reason,
                    "{found}"
                );
                Ok(found.clone())
            },
        )
        .await
    }

    /// Waits until an agent's cluster has a CronJob that `judge` accepts.
    pub async fn cron_job(
        &self,
        agent: usize,
        name: &str,
        judge: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let agent = &self.agents[agent];
        wait::until(
            &format!("CronJob {name} on {}", agent.cluster),
            wait::SOON,
            || async {
                self.check()?;
                let cron_job = agent.cron_jobs().get(name).await?;
                ensure!(judge(&cron_job), "spec {}", cron_job["spec"]);
                Ok(cron_job)
            },
        )
        .await
    }

    /// Waits until an agent's cluster has no such CronJob.
    pub async fn no_cron_job(&self, agent: usize, name: &str) -> Result<()> {
        let agent = &self.agents[agent];
        wait::until(
            &format!("no CronJob {name} on {}", agent.cluster),
            wait::SOON,
            || async {
                ensure!(agent.cron_jobs().find(name).await?.is_none(), "it is there");
                Ok(())
            },
        )
        .await
    }

    /// Fails when the hub has died unasked.
    pub(crate) fn check(&self) -> Result<()> {
        if self.hub.process.pid().is_ok() {
            self.hub.process.check()
        } else {
            Ok(())
        }
    }
}
