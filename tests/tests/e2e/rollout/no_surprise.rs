//! No surprise runs: a schedule is moved to a minute that has just passed, on all spokes, and then everything that may
//! touch a CronJob touches it.

use std::time::Duration;

use anyhow::{Result, ensure};
use segment_tests::fleet::Stage;
use segment_tests::rollouts::version;
use segment_tests::{run, wait};
use serde_json::json;

async fn jobs(stage: &Stage) -> Result<usize> {
    let mut jobs = 0;
    for agent in &stage.agents {
        jobs += agent.jobs().names().await?.len();
    }
    Ok(jobs)
}

async fn stay_at(stage: &Stage, wanted: usize, after: &str) -> Result<()> {
    wait::holds(after, Duration::from_secs(3), || async {
        let jobs = jobs(stage).await?;
        ensure!(jobs == wanted, "{jobs} Jobs after: {after}");
        Ok(())
    })
    .await
}

/// Waits for the next minute, and gives the schedule that was due in it. The CronJobs must have been there at the minute
/// that will have been missed.
async fn just_past() -> Result<String> {
    let second = jiff::Timestamp::now().as_second().rem_euclid(60);
    tokio::time::sleep(Duration::from_secs(u64::try_from(60 - second + 2)?)).await;
    let past = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(2);
    let past = past.to_zoned(jiff::tz::TimeZone::UTC);
    Ok(format!("{} {} * * *", past.minute(), past.hour()))
}

#[test]
fn a_schedule_moved_to_a_minute_just_past_starts_nothing_whatever_touches_it() -> Result<()> {
    run(async {
        let clusters: [(&str, &[(&str, &str)]); 5] =
            [("a", &[]), ("b", &[]), ("c", &[]), ("d", &[]), ("e", &[])];
        let stage = Stage::shared("surprise", &clusters).await?;
        let mut segment = stage.segment("visits");
        segment["spec"]["rollout"] = json!({"maxConcurrent": "100%"});
        stage.apply(&segment).await?;
        stage.ready("visits").await?;
        let schedule = just_past().await?;
        segment["spec"]["cronjob"]["schedule"] = json!(schedule);
        stage.apply(&segment).await?;
        stage.ready("visits").await?;
        for agent in &stage.agents {
            let spec = agent.cron_jobs().get("visits").await?["spec"].clone();
            ensure!(spec["schedule"] == schedule.as_str(), "{spec}");
        }
        stay_at(&stage, 0, "the change of the schedule").await?;

        let each = |patch: serde_json::Value| {
            let stage = &stage;
            async move {
                for agent in &stage.agents {
                    agent.cron_jobs().patch("visits", &patch).await?;
                }
                anyhow::Ok(())
            }
        };
        // Five kinds of touch.
        each(json!({"metadata": {"annotations": {"touched": "yes"}}})).await?;
        stay_at(&stage, 0, "an annotation").await?;
        each(json!({"metadata": {"labels": {"touched": "yes"}}})).await?;
        stay_at(&stage, 0, "a label").await?;
        each(json!({"spec": {"suspend": true}})).await?;
        stay_at(&stage, 0, "a hand that suspends, and its correction").await?;
        stage.apply(&version(&segment, 6)).await?;
        stage.ready("visits").await?;
        stay_at(&stage, 0, "another revision").await?;
        let segctl = stage.hub.segctl()?;
        segctl
            .run(&["hold", "surprise/visits", "--reason", "touch"])
            .await?
            .ok()?;
        segctl
            .run(&["release", "surprise/visits", "--reason", "touch"])
            .await?
            .ok()?;
        stay_at(&stage, 0, "a hold and its release").await?;

        Ok(())
    })
}

#[test]
fn run_once_lets_the_run_start_that_was_missed() -> Result<()> {
    run(async {
        let stage = Stage::shared("once-missed", &[("a", &[]), ("b", &[])]).await?;
        let mut segment = stage.segment("visits");
        segment["spec"]["rollout"] = json!({"maxConcurrent": "100%"});
        segment["spec"]["onScheduleChange"] = json!("RunOnce");
        stage.apply(&segment).await?;
        stage.ready("visits").await?;
        segment["spec"]["cronjob"]["schedule"] = json!(just_past().await?);
        stage.apply(&segment).await?;
        stage.ready("visits").await?;
        // Kubernetes starts it at the next touch.
        for agent in &stage.agents {
            let touch = json!({"metadata": {"annotations": {"touched": "yes"}}});
            agent.cron_jobs().patch("visits", &touch).await?;
        }
        wait::until("each cluster runs once", wait::SOON, || async {
            let jobs = jobs(&stage).await?;
            ensure!(jobs == 2, "{jobs} Jobs");
            Ok(())
        })
        .await?;
        stay_at(&stage, 2, "the one run").await
    })
}
