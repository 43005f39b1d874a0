//! Rollouts in tests: a Segment's revision on each cluster, and what the hub says of how it goes out.
//!
//! In: a [`Stage`]. Out: what its spokes have, by the annotations of their CronJobs. Law: what a spoke has decides, not
//! what the hub believes. Not: the strategies themselves.

use crate::fleet::Stage;
use crate::wait;
use anyhow::{Context as _, Result, ensure};
use segment_core::names::ANNOTATION_REVISION;
use serde_json::{Value, json};

impl Stage {
    /// The revision that each cluster's CronJob has, in the order of the agents; `None` where there is no CronJob.
    ///
    /// # Errors
    /// When a spoke does not answer.
    pub async fn revisions(&self, name: &str) -> Result<Vec<Option<String>>> {
        let mut revisions = Vec::with_capacity(self.agents.len());
        for agent in &self.agents {
            let cron_job = agent.cron_jobs().find(name).await?;
            revisions.push(cron_job.and_then(|object| {
                object["metadata"]["annotations"][ANNOTATION_REVISION]
                    .as_str()
                    .map(str::to_owned)
            }));
        }
        Ok(revisions)
    }

    /// Waits until exactly these clusters (by their index) have this revision.
    ///
    /// # Errors
    /// When they do not within the time.
    pub async fn have_revision(
        &self,
        name: &str,
        revision: &str,
        clusters: &[usize],
    ) -> Result<()> {
        let what =
            format!("clusters {clusters:?} and no others have revision {revision} of {name}");
        wait::until(&what, wait::SOON, || async {
            self.check()?;
            let has = self.with_revision(name, revision).await?;
            ensure!(has == clusters, "{has:?}; {}", self.rollout(name).await?);
            Ok(())
        })
        .await
    }

    /// Clusters (by their index) that have this revision.
    ///
    /// # Errors
    /// When a spoke does not answer.
    pub async fn with_revision(&self, name: &str, revision: &str) -> Result<Vec<usize>> {
        let revisions = self.revisions(name).await?;
        Ok(revisions
            .iter()
            .enumerate()
            .filter(|(_, has)| has.as_deref() == Some(revision))
            .map(|(index, _)| index)
            .collect())
    }

    /// What `segctl rollout status --no-wait` says.
    ///
    /// # Errors
    /// When the hub does not answer.
    pub async fn rollout(&self, name: &str) -> Result<Value> {
        let key = format!("{}/{name}", self.name);
        let printed = self
            .hub
            .segctl()?
            .run(&["rollout", "status", &key, "--no-wait", "-o", "json"])
            .await?;
        let text = printed.out;
        let value: Value = serde_json::from_str(&text)
            .with_context(|| format!("rollout status said {text:?}, {:?}", printed.err))?;
        Ok(value["rollout"].clone())
    }

    /// A `segctl rollout` verb.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn rollout_verb(&self, verb: &str, name: &str, more: &[&str]) -> Result<String> {
        let key = format!("{}/{name}", self.name);
        let mut arguments = vec!["rollout", verb, &key];
        arguments.extend(more);
        self.hub.segctl()?.run(&arguments).await?.ok()
    }

    /// Applies a Segment and waits for the hub to know its revision; gives it whole.
    ///
    /// # Errors
    /// When it is not accepted.
    pub async fn apply_revision(&self, segment: &Value) -> Result<String> {
        let name = segment["metadata"]["name"].as_str().unwrap_or_default();
        let applied = self.apply(segment).await?;
        let generation = applied["metadata"]["generation"].clone();
        wait::until("the hub has seen the Segment", wait::SOON, || async {
            let now = self.segments().get(name).await?;
            ensure!(
                now["status"]["observedGeneration"] == generation,
                "{}",
                now["status"]
            );
            Ok(())
        })
        .await?;
        let rollout = self.rollout(name).await?;
        Ok(rollout["revision"]
            .as_str()
            .context("a revision")?
            .to_owned())
    }
}

/// Another revision of it: one more failed Job is kept.
pub fn version(segment: &Value, number: u32) -> Value {
    let mut changed = segment.clone();
    changed["spec"]["cronjob"]["failedJobsHistoryLimit"] = json!(number);
    changed
}

/// Gives it a strategy.
pub fn with_rollout(segment: &Value, rollout: &Value) -> Value {
    let mut changed = segment.clone();
    changed["spec"]["rollout"] = rollout.clone();
    changed
}
