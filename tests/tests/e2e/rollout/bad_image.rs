//! A revision that can't be right stops at its first wave; the rest stays as it was, and the fix goes first to whom it
//! hurt.

use std::time::Duration;

use anyhow::{Result, ensure};
use segment_tests::fleet::Stage;
use segment_tests::rollouts::with_rollout;
use segment_tests::{run, wait};
use serde_json::json;

#[test]
fn a_bad_image_never_leaves_wave_one() -> Result<()> {
    run(async {
        let clusters: [(&str, &[(&str, &str)]); 5] = [
            ("a", &[("wave", "canary")]),
            ("b", &[("wave", "canary")]),
            ("c", &[]),
            ("d", &[]),
            ("e", &[]),
        ];
        let stage = Stage::shared("bad-image", &clusters).await?;
        let segment = with_rollout(
            &stage.segment("visits"),
            &json!({
                "maxConcurrent": "100%",
                "waves": [{"name": "canary", "clusterSelector": {"matchLabels": {"wave": "canary"}}}],
            }),
        );
        let good = stage.apply_revision(&segment).await?;
        stage
            .have_revision("visits", &good, &[0, 1, 2, 3, 4])
            .await?;
        stage.ready("visits").await?;

        let mut bad = segment.clone();
        bad["spec"]["image"] =
            json!({"repository": "registry.example.org/not-allowed", "tag": "1"});
        let second = stage.apply_revision(&bad).await?;
        let halted = stage.says("visits", "Stalled", "True", "Halted").await?;
        let message = halted["message"].to_string();
        println!("{message}");
        ensure!(
            message.contains("in wave canary") && message.contains("images"),
            "which wave, and what the spoke said: {message}"
        );
        wait::holds(
            "the rest keeps what it has",
            Duration::from_secs(3),
            || async {
                let has = stage.with_revision("visits", &good).await?;
                ensure!(
                    has == [0, 1, 2, 3, 4],
                    "a refused order writes nothing: {has:?}"
                );
                let failing =
                    stage.segments().get("visits").await?["status"]["clusters"]["failing"].clone();
                ensure!(failing == 2, "{failing}");
                Ok(())
            },
        )
        .await?;
        ensure!(second != good);
        // The fix goes first to those that failed, and then to all.
        let fixed = stage
            .apply_revision(&segment_tests::rollouts::version(&segment, 4))
            .await?;
        stage
            .have_revision("visits", &fixed, &[0, 1, 2, 3, 4])
            .await?;
        stage.ready("visits").await?;
        Ok(())
    })
}
