//! Clusters that are away have their own budget: they fail nobody, hold up nobody, and are caught up on their return.

use std::time::Duration;

use anyhow::{Result, ensure};
use segment_tests::fleet::Stage;
use segment_tests::rollouts::{version, with_rollout};
use segment_tests::{run, wait};
use serde_json::json;

#[test]
fn who_is_away_is_owed_and_caught_up_and_too_many_away_stop_it() -> Result<()> {
    run(async {
        let clusters: [(&str, &[(&str, &str)]); 5] =
            [("a", &[]), ("b", &[]), ("c", &[]), ("d", &[]), ("e", &[])];
        let fleet = Stage::own_with("unreachable", &clusters, &[("--stale-after", "2s")]).await?;
        let segment = with_rollout(
            &fleet.segment("visits"),
            &json!({"maxConcurrent": "100%", "unreachable": {"maxPercent": 40}}),
        );
        let first = fleet.apply_revision(&segment).await?;
        fleet
            .have_revision("visits", &first, &[0, 1, 2, 3, 4])
            .await?;
        fleet.ready("visits").await?;

        fleet.agents[3].process.kill().await?;
        fleet.agents[4].process.kill().await?;
        wait::until("two are stale", wait::SOON, || async {
            let stale =
                fleet.segments().get("visits").await?["status"]["clusters"]["stale"].clone();
            ensure!(stale == 2, "{stale}");
            Ok(())
        })
        .await?;
        let second = fleet.apply_revision(&version(&segment, 2)).await?;
        fleet.have_revision("visits", &second, &[0, 1, 2]).await?;
        let segment_now = fleet.ready("visits").await?;
        let status = &segment_now["status"];
        ensure!(
            status["clusters"]["failing"] == 0
                && status["clusters"]["stale"] == 2
                && status["clusters"]["owed"] == 2,
            "away is not failed: {status}"
        );
        fleet
            .says("visits", "RolloutCompleted", "True", "Completed")
            .await?;

        // A third is away: more than 40 %. Nothing new goes out, and nothing has failed.
        fleet.agents[2].process.kill().await?;
        wait::until("three are stale", wait::SOON, || async {
            let stale =
                fleet.segments().get("visits").await?["status"]["clusters"]["stale"].clone();
            ensure!(stale == 3, "{stale}");
            Ok(())
        })
        .await?;
        let third = fleet.apply_revision(&version(&segment, 3)).await?;
        wait::holds("nothing goes out", Duration::from_secs(3), || async {
            let has = fleet.with_revision("visits", &third).await?;
            ensure!(has.is_empty(), "{has:?}");
            Ok(())
        })
        .await?;
        let shown = fleet.rollout("visits").await?;
        println!("{}", shown["message"]);
        ensure!(
            shown["state"] == "ROLLOUT_STATE_PROGRESSING"
                && shown["message"]
                    .as_str()
                    .is_some_and(|words| words.contains("3 clusters are away, 2 may be")),
            "{shown}"
        );
        for index in [2, 3, 4] {
            fleet.agents[index].process.start()?;
        }
        fleet
            .have_revision("visits", &third, &[0, 1, 2, 3, 4])
            .await?;
        fleet.ready("visits").await?;
        Ok(())
    })
}
