//! The hub dies in the middle of a soak and at a wave's edge: what is durable goes on where it was.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use segment_tests::fleet::Stage;
use segment_tests::rollouts::{version, with_rollout};
use segment_tests::{run, wait};
use serde_json::json;

#[test]
fn a_soak_goes_on_where_it_was_and_no_budget_is_overdrawn() -> Result<()> {
    run(async {
        let clusters: [(&str, &[(&str, &str)]); 5] = [
            ("a", &[("wave", "canary")]),
            ("b", &[]),
            ("c", &[]),
            ("d", &[]),
            ("e", &[]),
        ];
        let stage = Stage::own("soak", &clusters).await?;
        let segment = with_rollout(
            &stage.segment("visits"),
            &json!({
                "maxConcurrent": 1,
                "waves": [{"name": "canary", "clusterSelector": {"matchLabels": {"wave": "canary"}}, "soakSeconds": 20}],
            }),
        );
        let began = Instant::now();
        let first = stage.apply_revision(&segment).await?;
        stage.have_revision("visits", &first, &[0]).await?;
        stage
            .says("visits", "RolloutCompleted", "False", "Soaking")
            .await?;
        let soaks = stage.rollout("visits").await?["waves"][0]["waits"].clone();
        stage.hub.crash().await?;
        stage.hub.ready().await?;
        let again = stage.rollout("visits").await?["waves"][0]["waits"].clone();
        ensure!(soaks == again, "the same end of the soak: {soaks}, {again}");
        wait::until(
            "the soak ends when it was to end",
            Duration::from_mins(1),
            || async {
                let has = stage.with_revision("visits", &first).await?;
                ensure!(has.len() > 1, "{has:?}");
                Ok(())
            },
        )
        .await?;
        let soaked = began.elapsed();
        println!("the next wave began after {:.1} s", soaked.as_secs_f32());
        ensure!(soaked >= Duration::from_secs(20), "not before: {soaked:?}");
        stage
            .have_revision("visits", &first, &[0, 1, 2, 3, 4])
            .await?;
        stage.ready("visits").await?;

        // Killed again and again while the last wave goes out, one cluster at a time.
        let second = stage.apply_revision(&version(&segment, 2)).await?;
        stage.have_revision("visits", &second, &[0]).await?;
        for _ in 0..3 {
            stage.hub.crash().await?;
            stage.hub.ready().await?;
            tokio::time::sleep(Duration::from_millis(1_500)).await;
        }
        wait::until("everyone has it", Duration::from_mins(2), || async {
            let has = stage.with_revision("visits", &second).await?;
            ensure!(has.len() == 5, "{has:?} {}", stage.rollout("visits").await?);
            Ok(())
        })
        .await?;
        stage.ready("visits").await?;
        Ok(())
    })
}
