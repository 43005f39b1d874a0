//! Runs as tests make and read them.
//!
//! In: a CronJob, a time; a hub. Out: Jobs as the CronJob controller makes them; runs as `segctl runs` lists them.
//! Law: a Job made here carries what the controller puts on it, and nothing else. Not: how a Job ends (`kubelet.rs`).

use anyhow::{Context as _, Result, ensure};
use kube::Client;
use serde_json::{Value, json};

use crate::fleet::Stage;
use crate::kubelet::{Ending, decide};
use crate::objects::name;
use crate::spoke::Agent;
use crate::wait;

/// The Job that the controller makes of a CronJob for a time in whole seconds.
pub fn job(cron_job: &Value, due: jiff::Timestamp) -> Value {
    let template = &cron_job["spec"]["jobTemplate"];
    let mut metadata = json!({
        "name": format!("{}-{}", name(cron_job), due.as_second() / 60),
        "namespace": cron_job["metadata"]["namespace"],
        "labels": template["metadata"]["labels"],
        "annotations": template["metadata"]["annotations"],
        "ownerReferences": [{
            "apiVersion": "batch/v1", "kind": "CronJob", "name": name(cron_job),
            "uid": cron_job["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true,
        }],
    });
    metadata["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"] =
        json!(due.to_string());
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"]})
}

/// Decides how a Job's Pod ends, once it is there.
pub async fn end(client: &Client, namespace: &str, job: &str, ending: Ending) -> Result<()> {
    let label = format!("batch.kubernetes.io/job-name={job}");
    let what = format!("a Pod of Job {job} ends");
    wait::until(&what, wait::SOON, || async {
        let ended = decide(client, namespace, &label, ending).await?;
        ensure!(!ended.is_empty(), "it has none");
        Ok(())
    })
    .await
}

/// Makes the Job of a run, lets it end, and waits until it is gone.
pub async fn run_and_vanish(
    agent: &Agent,
    cron_job: &Value,
    due: jiff::Timestamp,
    ending: Ending,
) -> Result<()> {
    let job = job(cron_job, due);
    agent.jobs().apply(&job).await?;
    end(agent.client(), &agent.namespace, name(&job), ending).await?;
    let what = format!("Job {} is collected", name(&job));
    wait::until(&what, wait::SOON, || async {
        ensure!(
            agent.jobs().find(name(&job)).await?.is_none(),
            "it is there"
        );
        Ok(())
    })
    .await
}

/// Runs of a Segment as `segctl runs` lists them, the newest first.
pub async fn listed(stage: &Stage, segment: &str, flags: &[&str]) -> Result<Vec<Value>> {
    let mut arguments = vec!["runs", segment, "-n", &stage.name, "-o", "json"];
    arguments.extend(flags);
    let answer = stage.hub.segctl()?.run(&arguments).await?.json()?;
    Ok(answer["runs"].as_array().cloned().unwrap_or_default())
}

/// Waits until some run of a Segment is as wanted.
pub async fn some(
    stage: &Stage,
    segment: &str,
    what: &str,
    within: std::time::Duration,
    wanted: impl Fn(&Value) -> bool,
) -> Result<Value> {
    wait::until(&format!("a run of {segment}: {what}"), within, || async {
        let runs = listed(stage, segment, &[]).await?;
        let found = runs
            .iter()
            .map(|record| &record["run"])
            .find(|run| wanted(run));
        found.cloned().with_context(|| format!("{runs:#?}"))
    })
    .await
}
