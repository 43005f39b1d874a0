//! Hold and release, fleet-wide: schedules stop, who has not confirmed is named, and the end starts no past run.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use segment_tests::fleet::Stage;
use segment_tests::rollouts::version;
use segment_tests::{run, wait};
use serde_json::{Value, json};

async fn suspended(stage: &Stage) -> Result<Vec<bool>> {
    let mut all = Vec::new();
    for agent in &stage.agents {
        let cron_job = agent.cron_jobs().get("visits").await?;
        all.push(cron_job["spec"]["suspend"] == json!(true));
    }
    Ok(all)
}

async fn jobs(stage: &Stage) -> Result<usize> {
    let mut jobs = 0;
    for agent in &stage.agents {
        jobs += agent.jobs().names().await?.len();
    }
    Ok(jobs)
}

#[test]
#[allow(clippy::too_many_lines, reason = "one story, told in its order")]
fn schedules_stop_everywhere_until_released_and_who_is_away_is_named() -> Result<()> {
    run(async {
        let clusters: [(&str, &[(&str, &str)]); 3] = [("a", &[]), ("b", &[]), ("c", &[])];
        let stage = Stage::own_with("hold", &clusters, &[("--stale-after", "2s")]).await?;
        let mut segment = stage.segment("visits");
        segment["spec"]["rollout"] = json!({"maxConcurrent": "100%"});
        stage.apply(&segment).await?;
        stage.ready("visits").await?;
        let segctl = stage.hub.segctl()?;

        stage.agents[2].process.kill().await?;
        let printed = segctl
            .run(&[
                "hold",
                "hold/visits",
                "--reason",
                "incident 4711",
                "--timeout",
                "6s",
            ])
            .await?;
        println!("{}{}", printed.out, printed.err);
        ensure!(
            printed.status == 1 && printed.out.contains("2/3") && printed.err.contains("hold-c"),
            "one has not confirmed: {printed:?}"
        );
        ensure!(suspended(&stage).await? == [true, true, false]);
        stage.agents[2].process.start()?;
        wait::until("it is held on its return", wait::SOON, || async {
            ensure!(suspended(&stage).await? == [true; 3]);
            Ok(())
        })
        .await?;
        stage.says("visits", "Ready", "False", "Held").await?;
        wait::until("all three are held", wait::SOON, || async {
            let held = stage.segments().get("visits").await?;
            ensure!(
                held["status"]["clusters"]["held"] == 3,
                "{}",
                held["status"]
            );
            Ok(())
        })
        .await?;

        // Held is held, whatever happens: a restart of the hub, a new revision, a hand that lifts it.
        stage.hub.crash().await?;
        stage.hub.ready().await?;
        stage.apply(&version(&segment, 4)).await?;
        stage.agents[0]
            .cron_jobs()
            .patch("visits", &json!({"spec": {"suspend": false}}))
            .await?;
        wait::until(
            "the new revision is there, and held",
            wait::SOON,
            || async {
                for agent in &stage.agents {
                    let spec = agent.cron_jobs().get("visits").await?["spec"].clone();
                    ensure!(
                        spec["failedJobsHistoryLimit"] == 4 && spec["suspend"] == true,
                        "{spec}"
                    );
                }
                Ok(())
            },
        )
        .await?;
        let listed = segctl
            .run(&["hold", "-n", "hold", "-o", "json"])
            .await?
            .json()?;
        let one = &listed["holds"][0];
        ensure!(
            one["reason"] == "incident 4711" && one["held"] == true,
            "{listed}"
        );

        // Released: no run of the meantime is started.
        let past = due_a_minute_ago();
        let mut due = version(&segment, 4);
        due["spec"]["cronjob"]["schedule"] = json!(past);
        stage.apply(&due).await?;
        wait::until("the schedule is there", wait::SOON, || async {
            for agent in &stage.agents {
                let spec = agent.cron_jobs().get("visits").await?["spec"].clone();
                ensure!(spec["schedule"] == past.as_str(), "{spec}");
            }
            Ok(())
        })
        .await?;
        let printed = segctl
            .run(&["release", "--all", "-n", "hold", "--reason", "over"])
            .await?;
        println!("{}{}", printed.out, printed.err);
        ensure!(printed.status == 0, "{printed:?}");
        ensure!(suspended(&stage).await? == [false; 3]);
        stage.ready("visits").await?;
        wait::holds("no past run starts", Duration::from_secs(5), || async {
            let jobs = jobs(&stage).await?;
            ensure!(jobs == 0, "{jobs} Jobs");
            Ok(())
        })
        .await?;
        let refused = segctl.run(&["release", "hold/visits"]).await?;
        ensure!(refused.err.contains("not held"), "{refused:?}");
        Ok(())
    })
}

#[test]
fn a_hold_ends_by_itself_and_on_calls_own_is_shown() -> Result<()> {
    run(async {
        let clusters: [(&str, &[(&str, &str)]); 1] = [("a", &[])];
        let stage = Stage::shared("hold-until", &clusters).await?;
        stage.apply(&stage.segment("visits")).await?;
        stage.ready("visits").await?;
        let segctl = stage.hub.segctl()?;
        segctl
            .run(&[
                "hold",
                "hold-until/visits",
                "--until",
                "8s",
                "--reason",
                "short",
            ])
            .await?
            .ok()?;
        ensure!(suspended(&stage).await? == [true]);
        wait::until("it ends by itself", wait::SOON, || async {
            ensure!(suspended(&stage).await? == [false]);
            Ok(())
        })
        .await?;
        stage.ready("visits").await?;

        let until = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(8);
        let until = jiff::Timestamp::from_second(until.as_second())?.to_string();
        stage.agents[0]
            .cron_jobs()
            .patch(
                "visits",
                &json!({"metadata": {"annotations": {"segment.grnry.io/hold-until": until}}}),
            )
            .await?;
        stage.says("visits", "Ready", "False", "Held").await?;
        let held: Value = stage.segments().get("visits").await?;
        let words = held["status"]["worst"][0]["message"]
            .as_str()
            .context("words")?;
        ensure!(words.contains("hold-until"), "{words}");
        stage.ready("visits").await?;
        ensure!(suspended(&stage).await? == [false]);
        for (arguments, status, words) in [
            (
                [
                    "hold",
                    "hold-until/visits",
                    "--until",
                    "2020-01-01T00:00:00Z",
                ],
                2,
                "past",
            ),
            (
                ["hold", "hold-until/visits", "--until", "tomorrow"],
                2,
                "tomorrow",
            ),
            (
                ["hold", "hold-until/vists", "--reason", "typo"],
                4,
                "visits",
            ),
        ] {
            let refused = segctl.run(&arguments).await?;
            ensure!(
                refused.status == status && refused.err.contains(words),
                "{arguments:?}: {refused:?}"
            );
        }
        Ok(())
    })
}

/// A schedule that was due a minute ago and is not due again for a long while.
fn due_a_minute_ago() -> String {
    let past = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(90);
    let past = past.to_zoned(jiff::tz::TimeZone::UTC);
    format!("{} {} * * *", past.minute(), past.hour())
}
