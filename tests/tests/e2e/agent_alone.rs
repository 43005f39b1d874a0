//! Without a hub the agent goes on: what is deleted or edited by hand comes back, also after a restart.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use segment_tests::audit::lines;
use segment_tests::fleet::Stage;
use segment_tests::{run, wait};
use serde_json::{Value, json};

/// Long after what a watch needs, long before any period at which everything would be looked at again.
const BY_WATCH: Duration = Duration::from_secs(15);

#[test]
fn a_deleted_cronjob_comes_back_without_a_hub_also_after_a_restart() -> Result<()> {
    run(async {
        let stage = Stage::own("alone", &[("a", &[])]).await?;
        let agent = &stage.agents[0];
        stage.apply(&stage.segment("visits")).await?;
        stage.ready("visits").await?;
        let before = stage.cron_job(0, "visits", |_| true).await?;
        stage.hub.process.kill().await?;

        for restarted in [false, true] {
            let mark = agent.mark();
            if restarted {
                agent.crash().await?;
                agent.cron_jobs().delete("visits").await?;
            } else {
                agent.cron_jobs().delete("visits").await?;
            }
            let began = Instant::now();
            let limit = if restarted { wait::SOON } else { BY_WATCH };
            let after = wait::until("the CronJob is there again", limit, || async {
                agent.cron_jobs().get("visits").await
            })
            .await?;
            println!(
                "restarted: {restarted}: came back after {:.3} s",
                began.elapsed().as_secs_f32()
            );
            ensure!(after["spec"] == before["spec"], "it is as it was");

            let events = mark.events(|event| {
                event.is_write()
                    && event.succeeded()
                    && event.object_ref.resource == "cronjobs"
                    && event.object_ref.namespace == stage.name
            })?;
            let order: Vec<_> = events
                .iter()
                .map(|event| (event.verb.as_str(), event.user.username == agent.user()))
                .collect();
            ensure!(
                order == [("delete", false), ("create", true)],
                "in the audit log:\n{}",
                lines(&events)
            );
        }
        Ok(())
    })
}

/// What people do to a CronJob by hand: each as a strategic merge patch of the spec.
fn edits() -> Vec<(&'static str, Value)> {
    let pod = |spec: Value| json!({"jobTemplate": {"spec": {"template": {"spec": spec}}}});
    let container = |container: Value| pod(json!({"containers": [container]}));
    let name = "segment-table-creation";
    vec![
        ("suspend", json!({"suspend": true})),
        (
            "a hostPath volume",
            pod(json!({"volumes": [{"name": "host", "hostPath": {"path": "/"}}]})),
        ),
        (
            "a second container",
            container(json!({"name": "miner", "image": "example.org/miner"})),
        ),
        (
            "another service account",
            pod(json!({"serviceAccountName": "admin"})),
        ),
        (
            "a value turned into a reference",
            container(json!({"name": name, "env": [
                {"name": "DB_TYPE", "value": null, "valueFrom": {"configMapKeyRef": {"name": "other", "key": "type"}}}
            ]})),
        ),
        (
            "a removed variable",
            container(json!({"name": name, "env": [{"name": "DB_PORT", "$patch": "delete"}]})),
        ),
        ("another schedule", json!({"schedule": "* * * * *"})),
        (
            "another image",
            container(json!({"name": name, "image": "example.org/other:1"})),
        ),
    ]
}

#[test]
fn edits_by_hand_are_healed_and_a_healed_cronjob_is_left_alone() -> Result<()> {
    run(async {
        let stage = Stage::shared("healed", &[("a", &[])]).await?;
        let agent = &stage.agents[0];
        for (index, (what, edit)) in edits().into_iter().enumerate() {
            // A CronJob each: corrected too often, one is contested.
            let name = format!("visits-{index}");
            stage.apply(&stage.segment(&name)).await?;
            stage.ready(&name).await?;
            let before = stage.cron_job(0, &name, |_| true).await?;
            let edited = agent
                .cron_jobs()
                .strategic_patch(&name, &json!({"spec": edit}))
                .await?;
            ensure!(edited["spec"] != before["spec"], "{what} is an edit");
            let began = Instant::now();
            let healed = wait::until(what, BY_WATCH, || async {
                let now = agent.cron_jobs().get(&name).await?;
                ensure!(now["spec"] == before["spec"], "spec {}", now["spec"]);
                Ok(now)
            })
            .await?;
            println!(
                "{what}: healed after {:.3} s",
                began.elapsed().as_secs_f32()
            );
            ensure!(
                healed["metadata"]["uid"] == before["metadata"]["uid"],
                "{what}: healed in place"
            );
        }
        let mark = agent.mark();
        wait::holds(
            "a healed CronJob causes no further write",
            Duration::from_secs(10),
            || async {
                let writes = agent.writes(&mark)?;
                ensure!(writes.is_empty(), "{}", lines(&writes));
                Ok(())
            },
        )
        .await
    })
}

#[test]
fn an_agent_that_restarts_unchanged_writes_nothing() -> Result<()> {
    run(async {
        let stage = Stage::shared("unchanged", &[("a", &[])]).await?;
        let agent = &stage.agents[0];
        for name in ["one", "two", "three"] {
            stage.apply(&stage.segment(name)).await?;
            stage.ready(name).await?;
        }
        let log = agent.process.log().lines().count();
        let mark = agent.mark();
        agent.process.restart().await?;
        agent.ready().await?;
        agent.connected(&stage.hub).await?;
        ensure!(agent.process.log().lines().count() > log, "it started anew");
        wait::holds("no write", Duration::from_secs(8), || async {
            let writes = agent.writes(&mark)?;
            ensure!(writes.is_empty(), "{}", lines(&writes));
            Ok(())
        })
        .await
        .context("after a restart")
    })
}
