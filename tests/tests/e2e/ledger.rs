//! The ledger of runs: what every run came to is known after its Job is gone, after a restart of the agent, and after the
//! hub was away; each run once.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use segment_tests::fleet::Stage;
use segment_tests::kubelet::{Ending, Kubelet};
use segment_tests::runs::{listed, run_and_vanish, some};
use segment_tests::{run, wait};
use serde_json::{Value, json};

/// Nothing is left of a run: history 1, and the Job goes as soon as it has ended.
fn leaves_nothing(stage: &Stage, name: &str) -> Value {
    let mut segment = stage.segment(name);
    let cronjob = &mut segment["spec"]["cronjob"];
    cronjob["ttlSecondsAfterFinished"] = json!(0);
    cronjob["backoffLimit"] = json!(0);
    segment
}

/// (scheduled, result, exit code) of each run, the newest first; every one with its revision, none twice.
fn summary(runs: &[Value], revision: &str) -> Result<Vec<(String, String, i64)>> {
    let mut known = BTreeSet::new();
    runs.iter()
        .map(|record| {
            let run = &record["run"];
            let due = run["scheduled"].as_str().context("no time")?.to_owned();
            ensure!(known.insert(due.clone()), "twice: {due}");
            ensure!(
                run["revision"].as_str() == Some(revision),
                "revision of {run}, not {revision}"
            );
            let result = run["result"].as_str().context("no result")?;
            let result = result.trim_start_matches("RUN_RESULT_").to_owned();
            Ok((due, result, run["exitCode"].as_i64().unwrap_or(-1)))
        })
        .collect()
}

#[test]
fn runs_outlive_their_jobs_a_restart_of_the_agent_and_an_absence_of_the_hub() -> Result<()> {
    run(async {
        let stage = Stage::own("ledger", &[("a", &[])]).await?;
        let agent = &stage.agents[0];
        stage.apply(&leaves_nothing(&stage, "visits")).await?;
        stage.ready("visits").await?;
        let cron_job = stage.cron_job(0, "visits", |_| true).await?;
        let revision = cron_job["metadata"]["annotations"]["segment.grnry.io/revision"]
            .as_str()
            .context("no revision")?
            .to_owned();
        let minute = |n: i64| -> Result<jiff::Timestamp> {
            let now = jiff::Timestamp::now().as_second() / 60 * 60;
            Ok(jiff::Timestamp::from_second(now - 86_400 + n * 60)?)
        };
        let dues = [minute(0)?, minute(1)?, minute(2)?];
        let expect = |upto: usize| -> Vec<(String, String, i64)> {
            let all = [("SUCCEEDED", 0), ("FAILED", 3), ("SUCCEEDED", 0)];
            let runs = dues.iter().zip(all).take(upto).rev();
            runs.map(|(due, (result, code))| (due.to_string(), result.to_owned(), code))
                .collect()
        };
        let shows = |upto: usize, when: &'static str| {
            let (stage, revision, expected) = (&stage, &revision, expect(upto));
            async move {
                wait::until(when, wait::SOON, || async {
                    let runs = listed(stage, "visits", &[]).await?;
                    let found = summary(&runs, revision)?;
                    ensure!(found == expected, "{found:?} instead of {expected:?}");
                    Ok(runs)
                })
                .await
            }
        };

        run_and_vanish(agent, &cron_job, dues[0], Ending::Succeeds).await?;
        run_and_vanish(agent, &cron_job, dues[1], Ending::Fails(3)).await?;
        let runs = shows(2, "both runs are listed, their Jobs gone").await?;
        ensure!(
            runs[0]["run"]["reason"] == "BackoffLimitExceeded",
            "{runs:#?}"
        );
        let condition = stage
            .says("visits", "RunsSucceeding", "False", "Failing")
            .await?;
        ensure!(
            condition["message"]
                .as_str()
                .is_some_and(|words| words.contains("1 failed") && words.contains("exit 3")),
            "{condition}"
        );

        // What is only in memory may be lost in a crash: not what has been flushed.
        tokio::time::sleep(Duration::from_secs(2)).await;
        agent.crash().await?;
        stage.hub.crash().await?;
        stage.hub.ready().await?;
        agent.connected(&stage.hub).await?;
        shows(2, "they are listed after agent and hub were killed").await?;

        stage.hub.process.kill().await?;
        run_and_vanish(agent, &cron_job, dues[2], Ending::Succeeds).await?;
        stage.hub.process.start()?;
        stage.hub.ready().await?;
        agent.connected(&stage.hub).await?;
        shows(
            3,
            "the one during the hub's absence is told late, and none twice",
        )
        .await?;
        stage
            .says("visits", "RunsSucceeding", "True", "Succeeding")
            .await?;

        let failed = listed(&stage, "visits", &["--failed"]).await?;
        ensure!(failed.len() == 1, "{failed:#?}");
        let grouped = stage
            .hub
            .segctl()?
            .run(&["runs", "-n", &stage.name, "--group-by", "cause"])
            .await?
            .ok()?;
        ensure!(grouped.contains("exit 3"), "{grouped}");
        Ok(())
    })
}

#[test]
fn a_run_of_the_controller_is_listed_once_with_its_result() -> Result<()> {
    run(async {
        let stage = Stage::shared("ledger-real", &[("a", &[])]).await?;
        let agent = &stage.agents[0];
        let _kubelet = Kubelet::start(agent.client().clone(), &stage.name, Ending::Succeeds);
        let mut segment = stage.each_minute("ticks");
        segment["spec"]["cronjob"]["ttlSecondsAfterFinished"] = json!(0);
        stage.apply(&segment).await?;
        stage.ready("ticks").await?;
        let run = some(
            &stage,
            "ticks",
            "one of the controller succeeded",
            Duration::from_mins(3),
            |run| run["result"] == "RUN_RESULT_SUCCEEDED",
        )
        .await?;
        ensure!(
            run["kind"] == "RUN_KIND_SCHEDULED" && !run["revision"].is_null(),
            "{run}"
        );
        let status = stage.segments().get("ticks").await?["status"].clone();
        ensure!(
            !status["lastRun"].is_null() && !status["nextRun"].is_null(),
            "{status}"
        );
        let runs = listed(&stage, "ticks", &[]).await?;
        let dues: BTreeSet<_> = runs
            .iter()
            .map(|r| r["run"]["scheduled"].to_string())
            .collect();
        ensure!(dues.len() == runs.len(), "{runs:#?}");
        Ok(())
    })
}
