//! Clusters that come, go or change their labels in the middle of a rollout neither abort nor skip it; a change of mind
//! in the middle takes its place.

use anyhow::{Result, ensure};
use segment_tests::fleet::Stage;
use segment_tests::objects::Objects;
use segment_tests::rollouts::{version, with_rollout};
use segment_tests::{run, wait};
use serde_json::json;

#[test]
fn clusters_join_leave_and_change_waves_and_a_newer_revision_takes_over() -> Result<()> {
    run(async {
        let clusters: [(&str, &[(&str, &str)]); 5] = [
            ("a", &[("in", "yes"), ("wave", "canary")]),
            ("b", &[("in", "yes")]),
            ("c", &[("in", "yes")]),
            ("d", &[]),
            ("e", &[("in", "yes")]),
        ];
        let stage = Stage::shared("join-leave", &clusters).await?;
        let mut segment = with_rollout(
            &stage.segment("visits"),
            &json!({
                "maxConcurrent": "100%",
                "waves": [{"name": "canary", "clusterSelector": {"matchLabels": {"wave": "canary"}}, "approval": "After"}],
            }),
        );
        segment["spec"]["clusterSelector"] =
            json!({"matchLabels": {"stage": "join-leave", "in": "yes"}});
        let first = stage.apply_revision(&segment).await?;
        stage.have_revision("visits", &first, &[0]).await?;
        stage.rollout_verb("approve", "visits", &[]).await?;
        stage.have_revision("visits", &first, &[0, 1, 2, 4]).await?;
        stage.ready("visits").await?;

        let second = stage.apply_revision(&version(&segment, 2)).await?;
        stage.have_revision("visits", &second, &[0]).await?;
        let of = Objects::clusters(stage.hub.client());
        let label = |name: &'static str, labels: serde_json::Value| {
            let of = &of;
            async move {
                of.patch(name, &json!({"metadata": {"labels": labels}}))
                    .await
                    .map(drop)
            }
        };
        // One joins: it gets the last complete revision at once, and waits for its wave with the others.
        label("join-leave-d", json!({"in": "yes"})).await?;
        stage.have_revision("visits", &first, &[1, 2, 3, 4]).await?;
        // One moves into the wave that is done: it follows at once.
        label("join-leave-b", json!({"wave": "canary"})).await?;
        stage.have_revision("visits", &second, &[0, 1]).await?;
        // One leaves. Its CronJob goes once the placement has settled; the rollout goes on without it.
        label("join-leave-e", json!({"in": null})).await?;
        let shown = stage.rollout("visits").await?;
        ensure!(shown["state"] == "ROLLOUT_STATE_PROGRESSING", "{shown}");

        // A change of mind: what waited for its turn never gets the one before.
        let third = stage.apply_revision(&version(&segment, 3)).await?;
        stage.have_revision("visits", &third, &[0, 1]).await?;
        ensure!(stage.with_revision("visits", &second).await?.is_empty());
        wait::until("it waits for its approval", wait::SOON, || async {
            stage
                .rollout_verb(
                    "approve",
                    "visits",
                    &["--wave", "canary", "--reason", "third time lucky"],
                )
                .await
                .map(drop)
        })
        .await?;
        wait::until("everyone who is selected has it", wait::SOON, || async {
            let has = stage.with_revision("visits", &third).await?;
            ensure!(has == [0, 1, 2, 3], "{has:?}");
            Ok(())
        })
        .await?;
        stage.no_cron_job(4, "visits").await?;
        stage.ready("visits").await?;
        Ok(())
    })
}
