//! Waves, soaks and approvals: never more than one wave at a time, never more of it than was allowed.

use std::time::Duration;

use anyhow::{Result, ensure};
use segment_tests::fleet::Stage;
use segment_tests::rollouts::{version, with_rollout};
use segment_tests::{run, wait};
use serde_json::json;

#[test]
#[allow(clippy::too_many_lines, reason = "one story, told in its order")]
fn a_revision_goes_out_wave_by_wave_with_soak_approval_and_budget() -> Result<()> {
    run(async {
        let clusters: [(&str, &[(&str, &str)]); 5] = [
            ("a", &[("wave", "canary")]),
            ("b", &[("wave", "staging")]),
            ("c", &[("wave", "staging")]),
            ("d", &[]),
            ("e", &[]),
        ];
        let stage = Stage::shared("waves", &clusters).await?;
        let segment = with_rollout(
            &stage.segment("visits"),
            &json!({
                "maxConcurrent": 1,
                "waves": [
                    {"name": "canary", "clusterSelector": {"matchLabels": {"wave": "canary"}}, "soakSeconds": 4},
                    {"name": "staging", "clusterSelector": {"matchLabels": {"wave": "staging"}}, "approval": "Before"},
                ],
            }),
        );
        let first = stage.apply_revision(&segment).await?;
        stage.have_revision("visits", &first, &[0]).await?;
        wait::holds("the canary soaks", Duration::from_secs(2), || async {
            let has = stage.with_revision("visits", &first).await?;
            ensure!(has == [0], "{has:?}");
            Ok(())
        })
        .await?;
        stage
            .says("visits", "RolloutCompleted", "False", "WaitingForApproval")
            .await?;
        let shown = stage.rollout("visits").await?;
        println!("{shown:#}");
        ensure!(shown["waves"][1]["approval"] == "before/staging", "{shown}");
        ensure!(stage.with_revision("visits", &first).await? == [0]);

        let refused = stage
            .rollout_verb("approve", "visits", &["--wave", "rest"])
            .await;
        let words = format!(
            "{:#}",
            refused.err().map_or_else(String::new, |e| e.to_string())
        );
        ensure!(words.contains("before/staging"), "{words}");
        println!(
            "{}",
            stage
                .rollout_verb("approve", "visits", &["--reason", "canary looks good"])
                .await?
        );
        stage
            .have_revision("visits", &first, &[0, 1, 2, 3, 4])
            .await?;
        let segment_now = stage.ready("visits").await?;
        ensure!(
            segment_now["status"]["rollout"]["state"] == "Completed",
            "{segment_now}"
        );

        // An update goes the same way, and a human may stop it in the middle.
        let second = stage.apply_revision(&version(&segment, 3)).await?;
        ensure!(first != second);
        stage.have_revision("visits", &second, &[0]).await?;
        stage
            .rollout_verb("pause", "visits", &["--reason", "lunch"])
            .await?;
        stage.says("visits", "Paused", "True", "Paused").await?;
        stage
            .says("visits", "RolloutCompleted", "False", "Paused")
            .await?;
        stage.rollout_verb("resume", "visits", &[]).await?;
        stage
            .says("visits", "RolloutCompleted", "False", "WaitingForApproval")
            .await?;
        stage
            .rollout_verb("abort", "visits", &["--reason", "not today"])
            .await?;
        let aborted = stage.says("visits", "Stalled", "True", "Aborted").await?;
        ensure!(
            aborted["message"]
                .as_str()
                .is_some_and(|words| words.contains("not today")),
            "{aborted}"
        );
        wait::holds(
            "what clusters have they keep",
            Duration::from_secs(2),
            || async {
                let (new, old) = (
                    stage.with_revision("visits", &second).await?,
                    stage.with_revision("visits", &first).await?,
                );
                ensure!(new == [0] && old == [1, 2, 3, 4], "{new:?} {old:?}");
                Ok(())
            },
        )
        .await?;
        // Back, in one command; the Segment is as it was.
        println!(
            "{}",
            stage
                .rollout_verb("undo", "visits", &["--reason", "back for now"])
                .await?
        );
        stage
            .have_revision("visits", &first, &[0, 1, 2, 3, 4])
            .await?;
        let history = stage.rollout_verb("history", "visits", &[]).await?;
        println!("{history}");
        ensure!(
            history.contains(&first[..7]) && history.contains(&second[..7]),
            "{history}"
        );
        let events = stage
            .hub
            .plane
            .kubectl()?
            .run(&["get", "events.events.k8s.io", "-n", "waves", "-o", "wide"])
            .await?
            .ok()?;
        println!("{events}");
        for reason in [
            "WaveDone",
            "RolloutApproved",
            "RolloutPaused",
            "RolloutAborted",
            "RolloutUndone",
        ] {
            ensure!(events.contains(reason), "no Event {reason}: {events}");
        }
        Ok(())
    })
}
