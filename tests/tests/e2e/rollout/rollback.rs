//! `onFailure: Rollback`: clusters that got a bad revision get the last complete one again, as a new order.

use anyhow::{Result, ensure};
use segment_tests::fleet::Stage;
use segment_tests::rollouts::with_rollout;
use segment_tests::run;
use serde_json::{Value, json};

#[test]
fn failures_beyond_the_budget_turn_the_rollout_back() -> Result<()> {
    run(async {
        let clusters: [(&str, &[(&str, &str)]); 5] =
            [("a", &[]), ("b", &[]), ("c", &[]), ("d", &[]), ("e", &[])];
        let stage = Stage::shared("rollback", &clusters).await?;
        let segment = with_rollout(
            &stage.segment("visits"),
            &json!({"maxConcurrent": 2, "onFailure": "Rollback"}),
        );
        let good = stage.apply_revision(&segment).await?;
        stage
            .have_revision("visits", &good, &[0, 1, 2, 3, 4])
            .await?;
        stage.ready("visits").await?;

        // One cluster's own policy will not admit the new image; the others do.
        let mut new = segment.clone();
        new["spec"]["image"] = json!({"tag": "0.9.9"});
        let mut strict = segment_tests::spoke::policy("rollback");
        strict["rules"] = json!({"images": {"rollback": [
            "gitlab.alvary.io:5000/grnry/segment-table-creation:0.9.0",
        ]}});
        let current = stage.cron_job(4, "visits", |_| true).await?;
        let image = current
            .pointer("/spec/jobTemplate/spec/template/spec/containers/0/image")
            .and_then(Value::as_str)
            .unwrap_or_default();
        strict["rules"]["images"]["rollback"] = json!([image]);
        stage.agents[4]
            .set_policy(&stage.hub.agents_address(), &strict)
            .await?;
        stage.apply_revision(&new).await?;
        let back = stage
            .says("visits", "Stalled", "True", "RolledBack")
            .await?;
        let message = back["message"].to_string();
        println!("{message}");
        ensure!(
            message.contains("rollback-e") && message.contains(&good[..7]),
            "who failed, and where it goes back to: {message}"
        );
        stage
            .have_revision("visits", &good, &[0, 1, 2, 3, 4])
            .await?;
        let shown = stage.rollout("visits").await?;
        ensure!(shown["undoneRevision"].is_string(), "{shown}");

        // The Segment's next change ends it.
        let fixed = stage
            .apply_revision(&segment_tests::rollouts::version(&segment, 5))
            .await?;
        stage
            .have_revision("visits", &fixed, &[0, 1, 2, 3, 4])
            .await?;
        stage.ready("visits").await?;
        Ok(())
    })
}
