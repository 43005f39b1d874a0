//! Absence is not a command: a hub that has lost its data, or has not read it yet, removes nothing.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use segment_tests::audit::{AuditLog, lines};
use segment_tests::fleet::Stage;
use segment_tests::hub::NAMESPACE;
use segment_tests::objects::{Objects, condition, name};
use segment_tests::proxy::http::{Action, HttpProxy, Rule};
use segment_tests::{run, wait};
use serde_json::{Value, json};

const SEGMENTS: [&str; 3] = ["one", "two", "three"];

async fn three_segments(name: &str) -> Result<Stage> {
    let stage = Stage::own(name, &[("a", &[])]).await?;
    for name in SEGMENTS {
        stage.apply(&stage.segment(name)).await?;
    }
    for name in SEGMENTS {
        stage.ready(name).await?;
    }
    Ok(stage)
}

fn nothing_deleted(stage: &Stage, since: &AuditLog) -> Result<()> {
    let deletes = stage.agents[0].deletes(since)?;
    ensure!(deletes.is_empty(), "deleted:\n{}", lines(&deletes));
    Ok(())
}

/// All that a hub keeps, but for the Secrets of its identity and its CA.
async fn lose_everything_else(stage: &Stage) -> Result<()> {
    let client = stage.hub.client();
    for segment in stage.segments().list("").await? {
        stage
            .segments()
            .patch(name(&segment), &json!({"metadata": {"finalizers": null}}))
            .await?;
        stage.segments().delete(name(&segment)).await?;
    }
    for cluster in Objects::clusters(client).names().await? {
        Objects::clusters(client)
            .patch(&cluster, &json!({"metadata": {"finalizers": null}}))
            .await?;
        Objects::clusters(client).delete(&cluster).await?;
    }
    let kubectl = stage.hub.plane.kubectl()?;
    kubectl
        .run(&["delete", "controllerrevisions", "--all", "-n", &stage.name])
        .await?
        .ok()?;
    kubectl
        .run(&["delete", "lease", "segment-hub", "-n", NAMESPACE])
        .await?
        .ok()?;
    Objects::secrets(client, NAMESPACE)
        .patch("segment-hub-enrolment", &json!({"data": null}))
        .await?;
    // As the chart leaves it: an empty Lease.
    stage.hub.install_again().await
}

#[test]
fn an_empty_hub_deletes_nothing_lists_orphans_and_takes_them_back_in_place() -> Result<()> {
    run(async {
        let stage = three_segments("empty-hub").await?;
        let agent = &stage.agents[0];
        let cluster = stage.hub.cluster(&agent.cluster).await?;
        let uids = |cron_jobs: Vec<Value>| -> Vec<Value> {
            cron_jobs
                .iter()
                .map(|cron_job| cron_job["metadata"]["uid"].clone())
                .collect()
        };
        let before = uids(agent.cron_jobs().list("").await?);
        let mark = agent.mark();

        stage.hub.process.kill().await?;
        lose_everything_else(&stage).await?;
        stage.hub.process.start()?;
        stage.hub.ready().await?;
        wait::holds("nothing is deleted", Duration::from_secs(5), || async {
            nothing_deleted(&stage, &mark)
        })
        .await?;

        // The Cluster is applied again by GitOps; its agent needs no new token: the certificate is the hub's own word.
        let again = json!({
            "apiVersion": "segment.grnry.io/v1alpha1", "kind": "Cluster",
            "metadata": {"name": agent.cluster, "labels": cluster["metadata"]["labels"]}, "spec": {},
        });
        Objects::clusters(stage.hub.client()).apply(&again).await?;
        agent.connected(&stage.hub).await?;
        let orphans = wait::until(
            "the unknown ones are listed as orphans",
            wait::SOON,
            || async {
                let listed = stage.hub.segctl()?.run(&["orphans"]).await?.ok()?;
                ensure!(
                    SEGMENTS
                        .iter()
                        .all(|name| listed.contains(&format!("{}/{name}", stage.name))),
                    "{listed}"
                );
                Ok(listed)
            },
        )
        .await?;
        println!("{orphans}");
        nothing_deleted(&stage, &mark)?;

        for name in SEGMENTS {
            stage.apply(&stage.segment(name)).await?;
        }
        let cluster = stage.hub.cluster(&agent.cluster).await?;
        if condition(&cluster, "HubWentBack").is_some_and(|condition| condition["status"] == "True")
        {
            stage
                .hub
                .segctl()?
                .run(&[
                    "hub",
                    "accept-restore",
                    "--yes",
                    "--reason",
                    "the test lost its data",
                ])
                .await?
                .ok()?;
        }
        for name in SEGMENTS {
            let segment = stage.ready(name).await?;
            let uid = segment["metadata"]["uid"].clone();
            stage
                .cron_job(0, name, |cron_job| {
                    cron_job["metadata"]["annotations"]["segment.grnry.io/uid"] == uid
                })
                .await
                .with_context(|| format!("{name} carries the new uid"))?;
        }
        ensure!(
            uids(agent.cron_jobs().list("").await?) == before,
            "the CronJobs are the same objects"
        );
        nothing_deleted(&stage, &mark)
    })
}

#[test]
fn a_hub_that_has_not_listed_its_segments_yet_orders_nothing() -> Result<()> {
    run(async {
        let stage = three_segments("half-listed").await?;
        let mark = stage.agents[0].mark();
        stage.hub.process.end().await?;

        let proxy = HttpProxy::start(&stage.hub.plane).await?;
        let kubeconfig = stage
            .hub
            .plane
            .token_kubeconfig(NAMESPACE, "segment-hub", &proxy.url(), proxy.ca_pem())
            .await?;
        stage
            .hub
            .process
            .flag("--kubeconfig", &kubeconfig.display().to_string());
        proxy.set(vec![Rule {
            method: "GET",
            contains: vec!["/segments?".to_owned()],
            lacks: Vec::new(),
            action: Action::Hold,
        }]);
        stage.hub.process.start()?;
        wait::until(
            "the hub asks for Clusters and Segments",
            wait::SOON,
            || async {
                let seen = proxy.seen();
                let asked = |resource: &str| {
                    seen.iter()
                        .any(|request| request.contains(&format!("/{resource}?")))
                };
                ensure!(asked("clusters") && asked("segments"), "{seen:?}");
                Ok(())
            },
        )
        .await?;
        let quiet = || async {
            let writes = stage.agents[0].writes(&mark)?;
            ensure!(writes.is_empty(), "{}", lines(&writes));
            Ok(())
        };
        wait::holds("no order", Duration::from_secs(10), quiet).await?;

        proxy.set(Vec::new());
        stage.hub.ready().await?;
        stage.agents[0].connected(&stage.hub).await?;
        for name in SEGMENTS {
            stage.ready(name).await?;
        }
        quiet().await
    })
}

#[test]
fn a_segment_made_invalid_keeps_its_last_good_revision_everywhere() -> Result<()> {
    run(async {
        let stage = Stage::own("made-invalid", &[("a", &[])]).await?;
        stage.without_webhook().await?;
        // Under one revision the selector is widened: the last good spec is the wide one, whole.
        let nowhere = json!({"matchLabels": {"stage": "nowhere"}});
        let mut narrow = stage.segment("visits");
        narrow["spec"]["clusterSelector"] = nowhere.clone();
        stage.apply(&narrow).await?;
        stage.ready("visits").await?;
        stage.apply(&stage.segment("visits")).await?;
        stage.ready("visits").await?;
        let kubectl = stage.hub.plane.kubectl()?;
        wait::until("the wide spec is kept", wait::SOON, || async {
            let revisions = [
                "get",
                "controllerrevisions",
                "-n",
                &stage.name,
                "-o",
                "jsonpath={.items[*].revision}",
            ];
            let kept = kubectl.run(&revisions).await?.ok()?;
            ensure!(
                kept.split_whitespace().any(|generation| generation == "2"),
                "generations {kept}"
            );
            Ok(())
        })
        .await?;
        let before = stage.cron_job(0, "visits", |_| true).await?;
        let mark = stage.agents[0].mark();

        // Well formed, so that the API server takes it; but no time of any year.
        stage
            .segments()
            .patch(
                "visits",
                &json!({"spec": {"cronjob": {"schedule": "61 25 * * *"}, "clusterSelector": nowhere}}),
            )
            .await?;
        wait::until("the Segment is not accepted", wait::SOON, || async {
            let segment = stage.segments().get("visits").await?;
            let accepted = condition(&segment, "Accepted").context("no condition Accepted")?;
            ensure!(accepted["status"] == "False", "{accepted}");
            println!("{accepted}");
            Ok(())
        })
        .await?;
        // Also for a hub that remembers nothing.
        stage.hub.crash().await?;
        stage.hub.ready().await?;
        stage.agents[0].connected(&stage.hub).await?;
        wait::holds("its CronJob stands", Duration::from_secs(8), || async {
            let writes = stage.agents[0].writes(&mark)?;
            ensure!(writes.is_empty(), "{}", lines(&writes));
            Ok(())
        })
        .await?;
        ensure!(stage.cron_job(0, "visits", |_| true).await?["spec"] == before["spec"]);
        Ok(())
    })
}
