//! A run that somebody orders: once on each cluster and never twice, only where the cluster's own policy says so, not
//! tomorrow, and without a run by schedule beside it or after it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use segment_core::names::{ANNOTATION_RUN, ANNOTATION_SUSPENDED_FOR};
use segment_tests::audit::{AuditLog, lines};
use segment_tests::fleet::Stage;
use segment_tests::kubelet::{Ending, Kubelet, decide};
use segment_tests::objects::{condition, name};
use segment_tests::spoke::{Agent, policy};
use segment_tests::tools::Printed;
use segment_tests::{run, wait};
use serde_json::{Value, json};

/// Clusters whose policies admit runs.
async fn let_run(stage: &Stage) -> Result<()> {
    let mut wider = policy(&stage.name);
    wider["rules"] = json!({"runNow": true});
    for agent in &stage.agents {
        let address = stage.hub.agents_address();
        agent.set_policy(&address, &wider).await?;
    }
    Ok(())
}

/// `segctl run` of `visits`, waited for.
async fn ordered(stage: &Stage, more: &[&str]) -> Result<Printed> {
    let segment = format!("{}/visits", stage.name);
    let mut arguments = vec!["run", &segment, "--wait", "--timeout=3m", "-o", "json"];
    arguments.extend(more);
    let printed = stage.hub.segctl()?.run(&arguments).await?;
    println!("{}", printed.err);
    Ok(printed)
}

fn summary(printed: &Printed) -> Result<Value> {
    serde_json::from_str(&printed.out).with_context(|| format!("no JSON: {printed:?}"))
}

/// Jobs of ordered runs.
async fn ordered_jobs(agent: &Agent) -> Result<Vec<Value>> {
    let mut jobs = agent.jobs().list("").await?;
    jobs.retain(|job| job["metadata"]["annotations"][ANNOTATION_RUN].is_string());
    Ok(jobs)
}

/// How many Jobs an agent has created, by the API server's own log.
fn created(agent: &Agent, since: &AuditLog) -> Result<usize> {
    let events = since.events(|event| {
        event.user.username == agent.user()
            && event.verb == "create"
            && event.object_ref.resource == "jobs"
            && event.succeeded()
    })?;
    Ok(events.len())
}

fn env<'a>(pod: &'a Value, variable: &str) -> Option<&'a Value> {
    let env = pod["spec"]["containers"][0]["env"].as_array()?;
    let found = env.iter().find(|entry| entry["name"] == variable)?;
    Some(&found["value"])
}

#[test]
fn a_segment_runs_once_on_each_cluster_and_the_same_request_runs_nothing_again() -> Result<()> {
    run(async {
        let stage = Stage::own("run-once", &[("a", &[]), ("b", &[]), ("c", &[])]).await?;
        let_run(&stage).await?;
        stage.apply(&stage.segment("visits")).await?;
        stage.ready("visits").await?;
        let kubelets: Vec<Kubelet> = stage
            .agents
            .iter()
            .map(|agent| Kubelet::start(agent.client().clone(), &stage.name, Ending::Succeeds))
            .collect();
        let marks: Vec<AuditLog> = stage.agents.iter().map(Agent::mark).collect();
        let request = ["--request-id=first", "--env=DEBUG=True", "--max-parallel=2"];
        let first = ordered(&stage, &request).await?;
        ensure!(first.status == 0, "{first:?}");
        let told = summary(&first)?;
        ensure!(told["counts"]["succeeded"] == 3, "{told}");
        ensure!(
            told["runs"][0]["state"] == "ORDERED_RUN_STATE_SUCCEEDED",
            "{told}"
        );

        for agent in &stage.agents {
            let jobs = ordered_jobs(agent).await?;
            ensure!(jobs.len() == 1, "{} Jobs on {}", jobs.len(), agent.cluster);
            let job = &jobs[0];
            ensure!(env(&job["spec"]["template"], "DEBUG") == Some(&json!("True")));
            let owner = &job["metadata"]["ownerReferences"][0];
            ensure!(
                owner["kind"] == "CronJob" && owner["controller"].is_null(),
                "{owner}"
            );
            ensure!(name(job).starts_with("visits-p-"), "{}", name(job));
            let cron_job = agent.cron_jobs().get("visits").await?;
            let template = &cron_job["spec"]["jobTemplate"]["spec"]["template"];
            ensure!(
                env(template, "DEBUG") == Some(&json!("False")),
                "of that run alone"
            );
            wait::until("its CronJob goes on", wait::SOON, || async {
                let cron_job = agent.cron_jobs().get("visits").await?;
                let mark = &cron_job["metadata"]["annotations"][ANNOTATION_SUSPENDED_FOR];
                ensure!(
                    cron_job["spec"]["suspend"] == false && mark.is_null(),
                    "{cron_job}"
                );
                Ok(())
            })
            .await?;
        }

        // The same request again; after a restart of the hub, which remembers nothing of it; with something else in it.
        ensure!(summary(&ordered(&stage, &request).await?)?["counts"]["succeeded"] == 3);
        stage.hub.crash().await?;
        stage.hub.ready().await?;
        for agent in &stage.agents {
            agent.connected(&stage.hub).await?;
        }
        let again = wait::until("the hub knows what is held", wait::SOON, || async {
            let again = ordered(&stage, &request).await?;
            ensure!(again.status != 3 && again.status != 4, "{again:?}");
            Ok(again)
        })
        .await?;
        ensure!(summary(&again)?["counts"]["succeeded"] == 3, "{again:?}");
        for (agent, mark) in stage.agents.iter().zip(&marks) {
            ensure!(
                created(agent, mark)? == 1,
                "a second Job on {}",
                agent.cluster
            );
        }
        let other = ordered(&stage, &["--request-id=first"]).await?;
        ensure!(
            other.status == 2 && other.err.contains("request_id"),
            "{other:?}"
        );

        // Wrong variables are named, and nothing is ordered.
        for (variable, named) in [
            ("LD_PRELOAD=x", "env.LD_PRELOAD"),
            ("SOURCE_WHERE_CLAUSE=a = (", "env.SOURCE_WHERE_CLAUSE"),
        ] {
            let wrong = ordered(&stage, &["--env", variable]).await?;
            ensure!(wrong.status == 2 && wrong.err.contains(named), "{wrong:?}");
        }
        // Two more requests: two Jobs, and one Event that is counted.
        for _ in 0..2 {
            let more = ordered(&stage, &["--cluster=run-once-a", "--reason=check"]).await?;
            ensure!(more.status == 0, "{more:?}");
        }
        ensure!(created(&stage.agents[0], &marks[0])? == 3);
        let events = stage
            .hub
            .plane
            .kubectl()?
            .run(&["events", "-n", &stage.name, "--for", "segment/visits"])
            .await?
            .ok()?;
        ensure!(events.contains("RunOrdered"), "{events}");
        drop(kubelets);
        Ok(())
    })
}

#[test]
fn a_cluster_that_is_away_expires_and_does_not_run_when_it_is_back() -> Result<()> {
    run(async {
        let stage = Stage::shared("run-away", &[("here", &[]), ("gone", &[])]).await?;
        let_run(&stage).await?;
        stage.apply(&stage.segment("visits")).await?;
        stage.ready("visits").await?;
        let here = stage.agents[0].client().clone();
        let _kubelet = Kubelet::start(here, &stage.name, Ending::Succeeds);
        let gone = &stage.agents[1];
        gone.process.kill().await?;
        wait::until("it is known to be away", wait::SOON, || async {
            let cluster = stage.hub.cluster(&gone.cluster).await?;
            let connected = condition(&cluster, "Connected").context("Connected")?;
            ensure!(connected["status"] != "True", "{connected}");
            Ok(())
        })
        .await?;
        let printed = ordered(&stage, &["--start-within=8s"]).await?;
        ensure!(printed.status == 1, "{printed:?}");
        let told = summary(&printed)?;
        let counts = &told["counts"];
        ensure!(counts["succeeded"] == 1 && counts["expired"] == 1, "{told}");
        let expired = &told["runs"][0];
        ensure!(
            expired["cluster"] == gone.cluster && expired["reason"] == "Offline",
            "{told}"
        );

        gone.process.start()?;
        gone.connected(&stage.hub).await?;
        wait::holds("it does not run later", Duration::from_secs(8), || async {
            ensure!(ordered_jobs(gone).await?.is_empty(), "a Job");
            Ok(())
        })
        .await
    })
}

#[test]
fn a_policy_without_run_now_refuses_by_its_name() -> Result<()> {
    run(async {
        let stage = Stage::shared("run-refused", &[("a", &[])]).await?;
        stage.apply(&stage.segment("visits")).await?;
        stage.ready("visits").await?;
        let agent = &stage.agents[0];
        let mark = agent.mark();
        let printed = ordered(&stage, &[]).await?;
        ensure!(printed.status == 1, "{printed:?}");
        let refused = &summary(&printed)?["runs"][0];
        ensure!(
            refused["state"] == "ORDERED_RUN_STATE_REFUSED" && refused["reason"] == "runNow",
            "{refused}"
        );
        let writes = agent.writes(&mark)?;
        ensure!(writes.is_empty(), "written:\n{}", lines(&writes));
        Ok(())
    })
}

/// Lets all Pods end but those of ordered runs.
async fn end_others(stage: &Stage, agent: &Agent) -> Result<()> {
    for job in agent.jobs().list("").await? {
        if job["metadata"]["annotations"][ANNOTATION_RUN].is_null() {
            let label = format!("batch.kubernetes.io/job-name={}", name(&job));
            decide(agent.client(), &stage.name, &label, Ending::Succeeds).await?;
        }
    }
    Ok(())
}

#[test]
fn a_forbid_cronjob_is_suspended_meanwhile_and_its_end_starts_no_past_run() -> Result<()> {
    run(async {
        let stage = Stage::shared("run-forbid", &[("a", &[])]).await?;
        let_run(&stage).await?;
        stage.apply(&stage.each_minute("visits")).await?;
        stage.ready("visits").await?;
        let agent = &stage.agents[0];
        let scheduled = || async {
            let mut jobs = agent.jobs().list("").await?;
            jobs.retain(|job| job["metadata"]["annotations"][ANNOTATION_RUN].is_null());
            anyhow::Ok(jobs)
        };
        let meanwhile = async {
            let job = wait::until("the run has its Job", Duration::from_mins(2), || async {
                end_others(&stage, agent).await?;
                let jobs = ordered_jobs(agent).await?;
                jobs.into_iter().next().context("no Job")
            })
            .await?;
            let suspended = agent.cron_jobs().get("visits").await?;
            let mark = &suspended["metadata"]["annotations"][ANNOTATION_SUSPENDED_FOR];
            ensure!(
                suspended["spec"]["suspend"] == true
                    && mark
                        .as_str()
                        .is_some_and(|mark| mark.starts_with(name(&job))),
                "{suspended}"
            );
            // A whole minute passes, and with it a run by schedule.
            let before: Vec<String> = scheduled()
                .await?
                .iter()
                .map(|job| name(job).to_owned())
                .collect();
            wait::holds(
                "no run by schedule beside it",
                Duration::from_secs(65),
                || async {
                    let all = scheduled().await?;
                    let known = |job: &Value| before.contains(&name(job).to_owned());
                    ensure!(all.iter().all(known), "a run by schedule");
                    Ok(())
                },
            )
            .await?;
            let label = format!("batch.kubernetes.io/job-name={}", name(&job));
            decide(agent.client(), &stage.name, &label, Ending::Succeeds).await?;
            Ok(before)
        };
        let (printed, before) = tokio::try_join!(ordered(&stage, &[]), meanwhile)?;
        ensure!(printed.status == 0, "{printed:?}");
        stage
            .cron_job(0, "visits", |cron_job| cron_job["spec"]["suspend"] == false)
            .await?;
        let resumed = jiff::Timestamp::now();
        let next = wait::until("runs by schedule go on", Duration::from_mins(2), || async {
            let mut new = scheduled().await?;
            new.retain(|job| !before.contains(&name(job).to_owned()));
            new.into_iter().next().context("no run by schedule")
        })
        .await?;
        let due =
            &next["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"];
        let due: jiff::Timestamp = due.as_str().context("when it was due")?.parse()?;
        ensure!(
            due >= resumed,
            "a past run was started: due {due}, resumed {resumed}"
        );
        end_others(&stage, agent).await
    })
}

#[test]
fn an_agent_that_is_killed_after_the_job_was_made_makes_no_second_one() -> Result<()> {
    run(async {
        let stage = Stage::shared("run-killed", &[("a", &[])]).await?;
        let_run(&stage).await?;
        stage.apply(&stage.segment("visits")).await?;
        stage.ready("visits").await?;
        let agent = &stage.agents[0];
        let mark = agent.mark();
        let the_job = || async {
            wait::until("the run has its Job", wait::SOON, || async {
                let jobs = ordered_jobs(agent).await?;
                let mut open = jobs
                    .into_iter()
                    .filter(|job| job["status"]["succeeded"].is_null());
                open.next().context("no Job")
            })
            .await
        };

        let crash = async {
            the_job().await?;
            agent.crash().await?;
            agent.connected(&stage.hub).await?;
            decide(agent.client(), &stage.name, "", Ending::Succeeds).await
        };
        let (printed, _) = tokio::try_join!(ordered(&stage, &[]), crash)?;
        ensure!(printed.status == 0, "{printed:?}");
        ensure!(created(agent, &mark)? == 1, "a second Job");

        // The Job goes while the agent is dead: it is not made again.
        let deletion = async {
            let job = the_job().await?;
            agent.process.kill().await?;
            agent.jobs().delete(name(&job)).await?;
            agent.process.start()?;
            agent.connected(&stage.hub).await
        };
        let (printed, ()) = tokio::try_join!(ordered(&stage, &[]), deletion)?;
        ensure!(printed.status == 1, "{printed:?}");
        let failed = &summary(&printed)?["runs"][0];
        ensure!(failed["state"] == "ORDERED_RUN_STATE_FAILED", "{failed}");
        ensure!(created(agent, &mark)? == 2, "one Job for each request");
        stage
            .cron_job(0, "visits", |cron_job| cron_job["spec"]["suspend"] == false)
            .await
            .map(drop)
    })
}

#[test]
fn logs_are_read_where_the_policy_says_so_and_else_the_line_to_use_is_printed() -> Result<()> {
    run(async {
        let stage = Stage::shared("run-logs", &[("a", &[])]).await?;
        let_run(&stage).await?;
        stage.apply(&stage.segment("visits")).await?;
        stage.ready("visits").await?;
        let agent = &stage.agents[0];
        let _kubelet = Kubelet::start(agent.client().clone(), &stage.name, Ending::Succeeds);
        let printed = ordered(&stage, &[]).await?;
        let told = summary(&printed)?;
        let run_id = told["runs"][0]["id"].as_str().context("an id")?.to_owned();
        let job = told["runs"][0]["job"].as_str().context("a Job")?.to_owned();
        let logs = || async {
            let segment = format!("{}/visits", stage.name);
            let arguments = [
                "logs",
                &segment,
                "--cluster",
                &agent.cluster,
                "--run",
                &run_id,
            ];
            stage.hub.segctl()?.run(&arguments).await
        };
        let mark = agent.mark();
        let asked = || {
            mark.events(|event| {
                event.user.username == agent.user() && event.resource() == "pods/log"
            })
        };
        let refused = logs().await?;
        let line = format!(
            "kubectl --context {} -n {} logs job/{job}",
            agent.cluster, stage.name
        );
        ensure!(
            refused.status == 3 && refused.out.trim() == line,
            "{refused:?}"
        );
        ensure!(
            refused.err.contains("logs: the hub may read no logs here"),
            "{refused:?}"
        );
        ensure!(asked()?.is_empty(), "it asked all the same");

        let mut wider = policy(&stage.name);
        wider["rules"] = json!({"runNow": true, "logs": true});
        agent
            .set_policy(&stage.hub.agents_address(), &wider)
            .await?;
        // There is no kubelet that could show any: the API server's own words come back instead.
        wait::until("the agent asks", wait::SOON, || async {
            let told = logs().await?;
            println!("{told:?}");
            let asked = asked()?;
            ensure!(!asked.is_empty(), "{told:?}");
            ensure!(
                asked.iter().all(|event| event.response_status.code != 403),
                "{}",
                lines(&asked)
            );
            ensure!(!told.err.contains("may read no logs"), "{told:?}");
            Ok(())
        })
        .await
    })
}
