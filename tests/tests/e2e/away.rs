//! What is deleted while a cluster is away is owed to it, and never holds anybody up.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use segment_tests::fleet::Stage;
use segment_tests::hub::NAMESPACE;
use segment_tests::objects::{Objects, name};
use segment_tests::{run, wait};

/// Tombstones of the hub.
async fn tombstones(stage: &Stage) -> Result<Vec<String>> {
    let all = Objects::config_maps(stage.hub.client(), NAMESPACE)
        .list("")
        .await?;
    let names = all
        .iter()
        .map(name)
        .filter(|name| name.starts_with(segment_core::names::TOMBSTONE_PREFIX));
    Ok(names.map(str::to_owned).collect())
}

/// A stage whose second cluster is away, and whose Segment is deleted.
async fn deleted_while_away(name: &str) -> Result<Stage> {
    let stage = Stage::own(name, &[("here", &[]), ("gone", &[])]).await?;
    stage.apply(&stage.segment("visits")).await?;
    stage.ready("visits").await?;
    stage.agents[1].process.kill().await?;

    let began = Instant::now();
    stage
        .hub
        .plane
        .kubectl()?
        .run(&["delete", "seg", "visits", "-n", name, "--timeout=20s"])
        .await?
        .ok()?;
    println!("kubectl delete took {:.1} s", began.elapsed().as_secs_f32());
    ensure!(
        began.elapsed() < Duration::from_secs(10),
        "kubectl delete took {:?}",
        began.elapsed()
    );

    stage.no_cron_job(0, "visits").await?;
    ensure!(
        stage.agents[1].cron_jobs().find("visits").await?.is_some(),
        "nobody is there to remove it"
    );
    ensure!(
        tombstones(&stage).await?.len() == 1,
        "what is owed is written down"
    );
    Ok(stage)
}

#[test]
fn a_cluster_that_comes_back_removes_what_was_deleted_also_after_a_restart_of_the_hub() -> Result<()>
{
    run(async {
        let stage = deleted_while_away("away").await?;
        stage.hub.crash().await?;
        stage.hub.ready().await?;
        ensure!(
            tombstones(&stage).await?.len() == 1,
            "the restart forgot nothing"
        );
        stage.agents[1].process.start()?;
        stage.no_cron_job(1, "visits").await?;
        wait::until("nothing is owed any more", wait::SOON, || async {
            let left = tombstones(&stage).await?;
            ensure!(left.is_empty(), "{left:?}");
            Ok(())
        })
        .await
    })
}

#[test]
fn deleting_the_cluster_clears_what_is_owed_to_it() -> Result<()> {
    run(async {
        let stage = deleted_while_away("owed").await?;
        Objects::clusters(stage.hub.client())
            .delete(&stage.agents[1].cluster)
            .await?;
        wait::until("nothing is owed any more", wait::SOON, || async {
            let left = tombstones(&stage).await?;
            ensure!(left.is_empty(), "{left:?}");
            Ok(())
        })
        .await?;
        ensure!(
            stage.agents[1].cron_jobs().find("visits").await?.is_some(),
            "a cluster that leaves keeps what it runs"
        );
        Ok(())
    })
}
