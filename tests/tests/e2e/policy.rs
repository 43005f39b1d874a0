//! The spoke's own policy decides: what it does not admit is refused by the agent, reported with the rule's name, and
//! not written; the others go on.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use segment_tests::audit::lines;
use segment_tests::fleet::Stage;
use segment_tests::spoke::policy;
use segment_tests::{install, run, wait};
use serde_json::{Value, json};

/// What a stolen hub might order, and the rule that stands against it.
fn orders() -> [(&'static str, Value, &'static str); 6] {
    [
        (
            "namespace",
            json!({"targetNamespace": "default"}),
            "namespaces",
        ),
        (
            "image",
            json!({"image": {"repository": "example.org/miner"}}),
            "images",
        ),
        (
            "secret",
            json!({"envFromSecrets": {"DB_PASSWORD": {"secret": "other-secret", "key": "password"}}}),
            "secrets",
        ),
        (
            "host",
            json!({"env": {"DB_HOST": "db.evil.example.org"}}),
            "dbHosts",
        ),
        (
            "account",
            json!({"cronjob": {"serviceAccountName": "admin"}}),
            "serviceAccounts",
        ),
        (
            "variable",
            json!({"extraEnv": {"LD_PRELOAD": "/tmp/x.so"}}),
            "extraEnv",
        ),
    ]
}

fn merge(target: &mut Value, patch: &Value) {
    match patch {
        Value::Object(fields) => {
            for (key, value) in fields {
                merge(&mut target[key.as_str()], value);
            }
        }
        value => *target = value.clone(),
    }
}

#[test]
fn a_foreign_order_is_refused_by_rule_reported_and_not_written() -> Result<()> {
    run(async {
        let stage = Stage::shared("foreign", &[("a", &[])]).await?;
        let agent = &stage.agents[0];
        let mark = agent.mark();
        for (name, spec, _) in orders() {
            let mut segment = stage.segment(name);
            merge(&mut segment["spec"], &spec);
            stage.apply(&segment).await?;
        }
        stage.apply(&stage.segment("good")).await?;
        stage.ready("good").await?;
        for (name, _, rule) in orders() {
            wait::until(
                &format!("{name} is refused by {rule}"),
                wait::SOON,
                || async {
                    let segment = stage.segments().get(name).await?;
                    let worst = &segment["status"]["worst"][0];
                    let text = worst.to_string();
                    ensure!(
                        worst["cluster"] == agent.cluster && text.contains(rule),
                        "status {}",
                        segment["status"]
                    );
                    println!("{name}: {worst}");
                    Ok(())
                },
            )
            .await?;
        }
        let written = mark.events(|event| {
            event.is_write()
                && event.user.username == agent.user()
                && event.object_ref.api_group == "batch"
                && event.object_ref.name != "good"
                && !event
                    .request_object
                    .to_string()
                    .contains("\"name\":\"good\"")
        })?;
        ensure!(written.is_empty(), "written:\n{}", lines(&written));
        ensure!(agent.cron_jobs().names().await? == ["good"]);
        Ok(())
    })
}

#[test]
fn a_policy_that_is_changed_is_read_again_and_what_it_no_longer_admits_is_left_as_it_is()
-> Result<()> {
    run(async {
        let stage = Stage::shared("changed-policy", &[("a", &[])]).await?;
        let agent = &stage.agents[0];
        let mut segment = stage.segment("visits");
        segment["spec"]["env"]["DB_HOST"] = json!("grnry-pg");
        stage.apply(&segment).await?;
        wait::until("it is refused", wait::SOON, || async {
            let segment = stage.segments().get("visits").await?;
            ensure!(
                segment["status"]["worst"].to_string().contains("dbHosts"),
                "status {}",
                segment["status"]
            );
            Ok(())
        })
        .await?;

        let mut wider = policy(&stage.name);
        wider["rules"] = json!({"dbHosts": {"*": ["grnry-pg"]}});
        agent
            .set_policy(&stage.hub.agents_address(), &wider)
            .await?;
        stage.ready("visits").await?;

        let mark = agent.mark();
        agent
            .set_policy(&stage.hub.agents_address(), &policy(&stage.name))
            .await?;
        wait::until(
            "it is reported as no longer admitted",
            wait::SOON,
            || async {
                let segment = stage.segments().get("visits").await?;
                ensure!(
                    segment["status"]["worst"].to_string().contains("dbHosts"),
                    "status {}",
                    segment["status"]
                );
                Ok(())
            },
        )
        .await?;
        let writes = agent.writes(&mark)?;
        ensure!(writes.is_empty(), "written:\n{}", lines(&writes));
        agent.cron_jobs().get("visits").await.map(drop)
    })
}

#[test]
fn a_namespace_that_is_missing_is_said_and_filled_when_it_comes() -> Result<()> {
    run(async {
        let stage = Stage::shared("no-namespace", &[("a", &[])]).await?;
        let agent = &stage.agents[0];
        stage.apply(&stage.segment("visits")).await?;
        stage.ready("visits").await?;
        agent
            .plane
            .kubectl()?
            .run(&["delete", "namespace", &stage.name, "--timeout=60s"])
            .await?
            .ok()?;
        wait::until("the Segment is not ready", wait::SOON, || async {
            let segment = stage.segments().get("visits").await?;
            ensure!(
                segment["status"]["ready"] != "1/1",
                "status {}",
                segment["status"]
            );
            Ok(())
        })
        .await?;
        install::namespace(&agent.plane, &stage.name).await?;
        // The RoleBinding went with the namespace: the chart is applied again.
        agent
            .set_policy(&stage.hub.agents_address(), &policy(&stage.name))
            .await?;
        wait::until(
            "the CronJob is there again",
            Duration::from_secs(90),
            || async { agent.cron_jobs().get("visits").await },
        )
        .await
        .context("after the namespace was made again")?;
        stage.ready("visits").await.map(drop)
    })
}
