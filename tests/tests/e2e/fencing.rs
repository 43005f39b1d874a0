//! Orders are fenced: a hub that another has followed, or that went back in time, orders nothing.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use segment_tests::audit::lines;
use segment_tests::fleet::{self, Stage};
use segment_tests::objects::condition;
use segment_tests::proxy::tcp::TcpProxy;
use segment_tests::{run, wait};
use serde_json::json;

#[test]
fn a_leader_that_wakes_after_another_took_over_gets_nothing_applied() -> Result<()> {
    run(async {
        let stage = Stage::own("woken", &[("a", &[])]).await?;
        let agent = &stage.agents[0];
        // The agent is patient: it would go on listening to the old leader for minutes.
        let proxy = TcpProxy::start(&stage.hub.agents_address()).await?;
        agent.process.flag("--hub-address", &proxy.address());
        agent.process.flag("--keepalive", "300s");
        agent.process.restart().await?;
        agent.connected(&stage.hub).await?;
        stage.apply(&stage.segment("visits")).await?;
        stage.ready("visits").await?;

        stage.hub.process.pause()?;
        let second = stage.hub.second().await?;
        second.start()?;
        wait::until("the second hub leads", wait::SOON, || async {
            second.check()?;
            ensure!(
                stage.hub.leader().await?.starts_with("segment-hub-1"),
                "the first one's Lease has not ended"
            );
            Ok(())
        })
        .await?;
        let mark = agent.mark();
        stage
            .segments()
            .patch(
                "visits",
                &json!({"spec": {"cronjob": {"schedule": "30 4 1 1 *"}}}),
            )
            .await?;
        stage.hub.process.resume()?;
        // The woken one still has the agent's stream and sees the edit. It has to end before it sends anything.
        let status = stage.hub.process.gone(Duration::from_secs(20)).await?;
        ensure!(status != 0, "a lost Lease is no ordinary end");
        wait::holds("nothing is applied", Duration::from_secs(10), || async {
            let writes = agent.writes(&mark)?;
            ensure!(writes.is_empty(), "{}", lines(&writes));
            Ok(())
        })
        .await?;

        // Towards the new leader, everything goes on.
        proxy.redirect(&stage.hub.second_agents_address());
        stage
            .cron_job(0, "visits", |cron_job| {
                cron_job["spec"]["schedule"] == "30 4 1 1 *"
            })
            .await
            .map(drop)
    })
}

#[test]
fn a_hub_restored_from_an_older_copy_rolls_nothing_back_until_that_is_accepted() -> Result<()> {
    run(async {
        let stage = Stage::own("restored", &[("a", &[])]).await?;
        let agent = &stage.agents[0];
        let hub = &stage.hub;
        let schedule = |schedule: &str| json!({"spec": {"cronjob": {"schedule": schedule}}});
        stage.apply(&stage.segment("visits")).await?;
        stage.ready("visits").await?;

        hub.process.end().await?;
        hub.plane.stop().await?;
        let copy = fleet::state()?.join("restored-copy");
        hub.plane.copy(&copy).await?;
        hub.plane.start_again().await?;
        hub.process.start()?;
        hub.ready().await?;

        stage
            .segments()
            .patch("visits", &schedule("30 4 1 1 *"))
            .await?;
        stage.apply(&stage.segment("later")).await?;
        stage.ready("visits").await?;
        stage.ready("later").await?;

        hub.process.kill().await?;
        hub.plane.stop().await?;
        hub.plane.restore(&copy).await?;
        let mark = agent.mark();
        hub.plane.start_again().await?;
        hub.process.start()?;
        hub.ready().await?;
        wait::until("the Cluster says HubWentBack", wait::SOON, || async {
            let cluster = hub.cluster(&agent.cluster).await?;
            let back = condition(&cluster, "HubWentBack")
                .with_context(|| format!("status {}", cluster["status"]))?;
            ensure!(back["status"] == "True", "{back}");
            println!("{back}");
            Ok(())
        })
        .await?;
        wait::holds(
            "nothing is rolled back or removed",
            Duration::from_secs(10),
            || async {
                let writes = agent.writes(&mark)?;
                ensure!(writes.is_empty(), "{}", lines(&writes));
                Ok(())
            },
        )
        .await?;
        ensure!(agent.cron_jobs().names().await? == ["later", "visits"]);

        hub.segctl()?
            .run(&[
                "hub",
                "accept-restore",
                "--yes",
                "--reason",
                "the test restored a copy",
            ])
            .await?
            .ok()?;
        stage
            .cron_job(0, "visits", |cron_job| {
                cron_job["spec"]["schedule"] == "0 3 1 1 *"
            })
            .await?;
        let deletes = agent.deletes(&mark)?;
        ensure!(
            deletes.is_empty(),
            "what the copy does not know stays:\n{}",
            lines(&deletes)
        );
        Ok(())
    })
}
