//! A hub that starts with other house defaults: a new revision of every Segment, which goes out as any other does; and
//! a hub that could render nothing with them does not start.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use segment_tests::fleet::Stage;
use segment_tests::{install, paths, run, wait};
use serde_json::{Value, json};

/// The defaults of Granary 1.1.
fn granary() -> Result<Vec<(String, String)>> {
    let file = paths::root().join("tests/examples/hub-defaults-1.1.env");
    let pairs: Vec<_> = std::fs::read_to_string(file)?
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    ensure!(pairs.iter().any(|(name, _)| name == "DB_TYPE"), "{pairs:?}");
    Ok(pairs)
}

/// A policy that admits both what the built-in defaults and what those of Granary 1.1 need.
fn policy(namespace: &str) -> Value {
    json!({
        "namespaces": {namespace: {}},
        "preset": "granary",
        "rules": {
            "images": {namespace: [
                "gitlab.alvary.io:5000/grnry/segment-table-creation",
                "hub.syncier.cloud/grnry/segment-table-creation",
            ]},
            "secrets": {namespace: {
                "DB_USER": ["grnry-pg-citus-secret/superuser-username", "grnry-pg/postgresql-username"],
                "DB_NAME": ["grnry-pg-citus-secret/superuser-database", "grnry-pg/postgresql-database"],
                "DB_PASSWORD": ["grnry-pg-citus-secret/superuser-password", "grnry-pg/postgresql-password"],
            }},
            "dbHosts": {namespace: ["grnry-pg-citus", "grnry-pg"]},
        },
    })
}

fn variable<'a>(cron_job: &'a Value, name: &str) -> Option<&'a Value> {
    cron_job
        .pointer("/spec/jobTemplate/spec/template/spec/containers/0/env")?
        .as_array()?
        .iter()
        .find(|variable| variable["name"] == name)
}

/// Clusters whose CronJob has the new defaults.
async fn updated(stage: &Stage) -> Result<usize> {
    let mut updated = 0;
    for agent in &stage.agents {
        let cron_job = agent.cron_jobs().get("visits").await?;
        if variable(&cron_job, "DB_TYPE").is_some_and(|v| v["value"] == "postgres") {
            updated += 1;
        }
    }
    Ok(updated)
}

#[test]
fn other_defaults_are_a_new_revision_that_goes_out_a_quarter_at_a_time() -> Result<()> {
    run(async {
        let clusters: [(&str, &[(&str, &str)]); 3] = [("a", &[]), ("b", &[]), ("c", &[])];
        let stage = Stage::own("house", &clusters).await?;
        stage.apply(&stage.segment("visits")).await?;
        let first = stage.ready("visits").await?["status"]["revision"].clone();
        ensure!(updated(&stage).await? == 0);

        stage.hub.process.end().await?;
        for (name, value) in granary()? {
            stage.hub.process.set(&name, &value);
        }
        stage.hub.process.start()?;
        stage.hub.ready().await?;

        // The spokes' policies still admit the old values only: the first quarter, one cluster, refuses, and that is all.
        stage
            .says("visits", "RolloutCompleted", "False", "Halted")
            .await?;
        let segment = stage.segments().get("visits").await?;
        let second = segment["status"]["revision"].clone();
        ensure!(first != second && second.is_string(), "{first} {second}");
        let failing = segment["status"]["clusters"]["failing"].clone();
        ensure!(
            failing == 1,
            "one at a time, not {failing}: {}",
            segment["status"]
        );
        wait::holds("no other gets it", Duration::from_secs(3), || async {
            let segment = stage.segments().get("visits").await?;
            ensure!(
                segment["status"]["clusters"]["failing"] == 1 && updated(&stage).await? == 0,
                "{}",
                segment["status"]
            );
            Ok(())
        })
        .await?;
        let listed = stage
            .hub
            .segctl()?
            .run(&["status", "-n", &stage.name])
            .await?
            .ok()?;
        println!("{listed}");
        ensure!(
            listed.contains(second.as_str().context("a revision")?),
            "{listed}"
        );

        for agent in &stage.agents {
            agent
                .set_policy(&stage.hub.agents_address(), &policy(&stage.name))
                .await?;
        }
        // It stands still until somebody says that it may go on.
        stage
            .rollout_verb(
                "retry",
                "visits",
                &["--reason", "the policies admit it now"],
            )
            .await?;
        stage.ready("visits").await?;
        ensure!(updated(&stage).await? == clusters.len());
        let cron_job = stage.cron_job(0, "visits", |_| true).await?;
        ensure!(
            cron_job
                .pointer("/spec/jobTemplate/spec/template/spec/containers/0/image")
                .and_then(Value::as_str)
                .is_some_and(
                    |image| image.starts_with("hub.syncier.cloud/grnry/segment-table-creation:")
                ),
            "{cron_job}"
        );
        ensure!(
            variable(&cron_job, "DB_USER").is_some_and(|user| {
                user["valueFrom"]["secretKeyRef"]
                    == json!({"name": "grnry-pg", "key": "postgresql-username"})
            }),
            "{cron_job}"
        );

        let info = stage
            .hub
            .segctl()?
            .run(&["hub", "info", "-o", "json"])
            .await?
            .json()?;
        for (name, value) in granary()? {
            ensure!(
                info["hub"]["defaults"][&name] == value.as_str(),
                "{name}={value} is not in {info}"
            );
        }
        ensure!(info["hub"]["defaults"]["DB_PORT"] == "5432", "{info}");
        Ok(())
    })
}

#[test]
fn defaults_that_could_not_work_stop_the_start_by_name_and_nothing_else() -> Result<()> {
    run(async {
        let stage = Stage::own("house-invalid", &[("a", &[])]).await?;
        stage.apply(&stage.segment("visits")).await?;
        let revision = stage.ready("visits").await?["status"]["revision"].clone();
        let mark = stage.agents[0].mark();
        stage.hub.process.end().await?;
        stage.hub.process.set("DB_TYPE", "oracle");
        stage.hub.process.set("DB_PORT", "many");
        stage.hub.process.start()?;
        let code = stage.hub.process.gone(Duration::from_secs(30)).await?;
        let log = stage.hub.process.log();
        let last = log.lines().last().unwrap_or_default();
        println!("{last}");
        ensure!(
            code == 1 && last.contains("DB_TYPE") && last.contains("DB_PORT"),
            "{code}: {last}"
        );

        // With the defaults as they were nothing has changed.
        stage.hub.process.set("DB_TYPE", "citus");
        stage.hub.process.set("DB_PORT", "5432");
        stage.hub.process.start()?;
        stage.hub.ready().await?;
        stage.agents[0].connected(&stage.hub).await?;
        let segment = stage.ready("visits").await?;
        ensure!(segment["status"]["revision"] == revision, "{segment}");
        let writes = stage.agents[0].writes(&mark)?;
        ensure!(writes.is_empty(), "{writes:?}");
        // The chart refuses what it can before that.
        let refused = install::render(
            "segment-hub",
            segment_tests::hub::NAMESPACE,
            &json!({"defaults": {"DB_TYPE": "oracle"}}),
        )
        .await;
        ensure!(refused.is_err_and(|error| format!("{error:#}").contains("DB_TYPE")));
        Ok(())
    })
}
