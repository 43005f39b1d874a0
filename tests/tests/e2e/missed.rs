//! Runs that did not begin, or can't: each cause, in words.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use segment_tests::fleet::Stage;
use segment_tests::kubelet::{Ending, Kubelet, decide};
use segment_tests::objects::{Objects, name};
use segment_tests::runs::{job, some};
use segment_tests::spoke::Agent;
use segment_tests::{install, run, wait};
use serde_json::{Value, json};

/// A minute has to come, and the machine is busy.
const A_MINUTE: Duration = Duration::from_mins(4);

/// Starts an agent again with periods that a test can wait for.
async fn hurry(stage: &Stage, agent: &Agent) -> Result<()> {
    for (flag, value) in [
        ("--runs-check", "1s"),
        ("--missed-grace", "8s"),
        ("--stuck-after", "5s"),
    ] {
        agent.process.flag(flag, value);
    }
    agent.crash().await?;
    agent.connected(&stage.hub).await
}

fn skipped(reason: &'static str) -> impl Fn(&Value) -> bool {
    move |run| run["result"] == "RUN_RESULT_SKIPPED" && run["reason"] == reason
}

#[test]
fn a_run_is_skipped_while_the_one_before_runs_or_someone_holds_it() -> Result<()> {
    run(async {
        let stage = Stage::shared("missed-held", &[("a", &[])]).await?;
        let agent = &stage.agents[0];
        hurry(&stage, agent).await?;
        let _kubelet = Kubelet::start(agent.client().clone(), &stage.name, Ending::Runs);
        stage.apply(&stage.each_minute("busy")).await?;
        stage.apply(&stage.each_minute("held")).await?;
        stage.ready("busy").await?;
        stage.ready("held").await?;
        let until = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
        let hold = json!({"metadata": {"annotations": {"segment.grnry.io/hold-until": until.to_string()}}});
        agent.cron_jobs().patch("held", &hold).await?;
        stage
            .cron_job(0, "held", |held| held["spec"]["suspend"] == true)
            .await?;

        let what = "skipped, as it is held on the cluster";
        let run = some(&stage, "held", what, A_MINUTE, skipped("Held")).await?;
        ensure!(
            run["message"]
                .as_str()
                .is_some_and(|words| words.contains("held on the cluster until")),
            "{run}"
        );
        let what = "skipped, as the one before runs";
        let run = some(&stage, "busy", what, A_MINUTE, skipped("Forbid")).await?;
        let words = run["message"].as_str().context("no words")?;
        ensure!(
            words.contains("previous run busy-") && words.contains("has been running since"),
            "{words}"
        );
        Ok(())
    })
}

#[test]
fn what_happened_while_the_agent_was_down_is_unknown_and_not_missed() -> Result<()> {
    run(async {
        let stage = Stage::shared("missed-away", &[("a", &[])]).await?;
        let agent = &stage.agents[0];
        hurry(&stage, agent).await?;
        let _kubelet = Kubelet::start(agent.client().clone(), &stage.name, Ending::Succeeds);
        let mut segment = stage.each_minute("visits");
        segment["spec"]["cronjob"]["ttlSecondsAfterFinished"] = json!(0);
        stage.apply(&segment).await?;
        stage.ready("visits").await?;
        let what = "one that was watched";
        some(&stage, "visits", what, A_MINUTE, |run| {
            run["result"] == "RUN_RESULT_SUCCEEDED"
        })
        .await?;

        agent.process.kill().await?;
        let down = jiff::Timestamp::now();
        // Two runs come and go: of the older one nothing is left, not even in the CronJob's status.
        wait::until("two runs without an agent", A_MINUTE, || async {
            let cron_job = agent.cron_jobs().get("visits").await?;
            let last: jiff::Timestamp = cron_job["status"]["lastScheduleTime"]
                .as_str()
                .context("never")?
                .parse()?;
            ensure!(
                last.duration_since(down).as_secs() > 60,
                "the last was at {last}"
            );
            Ok(())
        })
        .await?;
        agent.process.start()?;
        agent.connected(&stage.hub).await?;
        let what = "unknown, as the agent was away";
        let run = some(&stage, "visits", what, A_MINUTE, |run| {
            run["result"] == "RUN_RESULT_UNKNOWN" && run["reason"] == "AgentAway"
        })
        .await?;
        ensure!(
            run["message"]
                .as_str()
                .is_some_and(|words| words.contains("was not watching then")),
            "{run}"
        );
        let runs = segment_tests::runs::listed(&stage, "visits", &["--missed"]).await?;
        ensure!(runs.is_empty(), "nothing was missed: {runs:#?}");
        Ok(())
    })
}

#[test]
fn a_quota_that_refuses_the_job_is_told_in_the_api_servers_words() -> Result<()> {
    run(async {
        let stage = Stage::shared("missed-quota", &[("a", &[])]).await?;
        let agent = &stage.agents[0];
        let quota = json!({
            "apiVersion": "v1", "kind": "ResourceQuota",
            "metadata": {"name": "no-jobs", "namespace": stage.name},
            "spec": {"hard": {"count/jobs.batch": "0"}},
        });
        // Who may run Jobs by order may ask what the API server says to one.
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": "run-now", "namespace": stage.name},
            "rules": [{"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create"]}],
        });
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "run-now", "namespace": stage.name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "run-now"},
            "subjects": [{"kind": "ServiceAccount", "name": "segment-agent", "namespace": agent.system}],
        });
        install::apply(&agent.plane, &[quota, role, binding]).await?;
        // No quota controller runs here: what it would write is written by hand. The API server's admission is real.
        let amounts = json!({"count/jobs.batch": "0"});
        let counted = json!({"status": {"hard": amounts, "used": amounts}}).to_string();
        let kubectl = agent.plane.kubectl()?;
        let quota = ["patch", "resourcequota", "no-jobs", "-n", &stage.name];
        let status = ["--subresource=status", "--type=merge", "-p", &counted];
        kubectl
            .run(&[&quota[..], &status[..]].concat())
            .await?
            .ok()?;
        let policies = Objects::config_maps(agent.client(), &agent.system);
        policies
            .patch("segment-agent-policy", &json!({"data": {"runNow": "true"}}))
            .await?;
        hurry(&stage, agent).await?;
        stage.apply(&stage.each_minute("visits")).await?;
        stage.ready("visits").await?;
        let what = "missed, with the quota's name";
        let run = some(&stage, "visits", what, A_MINUTE, |run| {
            run["result"] == "RUN_RESULT_MISSED" && run["reason"] == "CreateRefused"
        })
        .await?;
        let words = run["message"].as_str().context("no words")?;
        ensure!(words.contains("exceeded quota: no-jobs"), "{words}");
        let jobs = agent.jobs().list("").await?;
        ensure!(jobs.is_empty(), "the question made a Job: {jobs:#?}");
        let condition = stage
            .says("visits", "RunsSucceeding", "False", "Failing")
            .await?;
        ensure!(
            condition["message"]
                .as_str()
                .is_some_and(|words| words.contains("1 missed")),
            "{condition}"
        );
        Ok(())
    })
}

#[test]
fn a_pod_that_can_not_start_makes_its_run_stuck_until_it_can() -> Result<()> {
    run(async {
        let stage = Stage::shared("missed-stuck", &[("a", &[])]).await?;
        let agent = &stage.agents[0];
        hurry(&stage, agent).await?;
        stage.apply(&stage.segment("visits")).await?;
        stage.ready("visits").await?;
        let cron_job = stage.cron_job(0, "visits", |_| true).await?;
        let now = jiff::Timestamp::now().as_second() / 60 * 60;
        let job = job(&cron_job, jiff::Timestamp::from_second(now)?);
        agent.jobs().apply(&job).await?;
        let pods = Objects::pods(agent.client(), &stage.name);
        let label = format!("batch.kubernetes.io/job-name={}", name(&job));
        let pod = wait::until("it has a Pod", wait::SOON, || async {
            pods.list(&label).await?.pop().context("none")
        })
        .await?;
        let container = &pod["spec"]["containers"][0];
        let waiting = json!({"status": {"phase": "Pending", "containerStatuses": [{
            "name": container["name"], "image": container["image"], "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image \"x:1\""}},
        }]}});
        pods.patch_status(name(&pod), &waiting).await?;
        let what = "stuck, with the kubelet's words";
        let run = some(&stage, "visits", what, wait::SOON, |run| {
            run["result"] == "RUN_RESULT_STUCK"
        })
        .await?;
        ensure!(
            run["reason"] == "ImagePullBackOff"
                && run["message"] == "Back-off pulling image \"x:1\"",
            "{run}"
        );
        let grouped = stage
            .hub
            .segctl()?
            .run(&["runs", "-n", &stage.name, "--failed", "--group-by", "cause"])
            .await?
            .ok()?;
        ensure!(grouped.contains("Stuck: ImagePullBackOff"), "{grouped}");
        decide(agent.client(), &stage.name, &label, Ending::Succeeds).await?;
        let what = "succeeded after all";
        some(&stage, "visits", what, wait::SOON, |run| {
            run["result"] == "RUN_RESULT_SUCCEEDED"
        })
        .await?;
        Ok(())
    })
}
