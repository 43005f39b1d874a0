//! What cannot be is refused with field and reason, or carried exactly; nothing else stops.

use anyhow::{Context as _, Result, ensure};
use segment_tests::fleet::Stage;
use segment_tests::objects::condition;
use segment_tests::{run, wait};
use serde_json::{Value, json};

fn with(mut segment: Value, pointer: &str, value: Value) -> Result<Value> {
    let (parent, key) = pointer.rsplit_once('/').context("a pointer")?;
    segment.pointer_mut(parent).context("a parent")?[key] = value;
    Ok(segment)
}

#[test]
fn the_api_server_refuses_what_no_segment_can_be_by_field() -> Result<()> {
    run(async {
        let stage = Stage::shared("refused", &[("a", &[])]).await?;
        let good = stage.segment("visits");
        let mut missing = good.clone();
        missing["spec"]["env"]
            .as_object_mut()
            .context("env")?
            .remove("TARGET_SEGMENT_NAME");
        let mut long = good.clone();
        long["metadata"]["name"] = json!("a".repeat(135));
        for (what, segment, named) in [
            (
                "an unknown variable",
                with(good.clone(), "/spec/env/TARGET_SEGMENT_NAM", json!("x"))?,
                "TARGET_SEGMENT_NAM",
            ),
            ("a missing one", missing, "TARGET_SEGMENT_NAME"),
            (
                "a time zone in the schedule",
                with(
                    good.clone(),
                    "/spec/cronjob/schedule",
                    json!("TZ=UTC 1 * * * *"),
                )?,
                "schedule",
            ),
            ("a name over 134 characters", long, "134"),
        ] {
            let printed = stage.kubectl_apply(&segment).await?;
            ensure!(
                printed.status != 0 && printed.err.contains(named),
                "{what}: {printed:?}"
            );
        }
        // Nothing else stopped.
        stage.apply(&good).await?;
        stage.ready("visits").await?;
        Ok(())
    })
}

#[test]
fn what_only_the_hub_can_judge_is_a_condition_with_field_and_reason() -> Result<()> {
    run(async {
        let stage = Stage::shared("judged", &[("a", &[])]).await?;
        stage.without_webhook().await?;
        // Schedules that Kubernetes' own parser refuses.
        for (index, schedule) in [
            "0 0 * * 7",
            "0 0 L * *",
            "0 0 1W * *",
            "0 0 * * 5#1",
            "0 0 0 * * *",
            "0 0 * * MON-SUN",
        ]
        .iter()
        .enumerate()
        {
            let name = format!("bad-{index}");
            let segment = with(
                stage.segment(&name),
                "/spec/cronjob/schedule",
                json!(schedule),
            )?;
            if stage.kubectl_apply(&segment).await?.status != 0 {
                continue; // refused even earlier
            }
            wait::until(
                &format!("{schedule:?} is not accepted"),
                wait::SOON,
                || async {
                    let segment = stage.segments().get(&name).await?;
                    let accepted =
                        condition(&segment, "Accepted").context("no condition Accepted")?;
                    let message = accepted["message"].as_str().unwrap_or_default();
                    ensure!(
                        accepted["status"] == "False" && message.contains("schedule"),
                        "{accepted}"
                    );
                    Ok(())
                },
            )
            .await?;
            ensure!(
                stage.agents[0].cron_jobs().find(&name).await?.is_none(),
                "{schedule:?} reached the spoke"
            );
        }
        stage.apply(&stage.segment("good")).await?;
        stage.ready("good").await?;
        Ok(())
    })
}

#[test]
fn an_env_of_a_mebibyte_is_refused_and_nothing_else_stops() -> Result<()> {
    run(async {
        let stage = Stage::shared("mebibyte", &[("a", &[])]).await?;
        let clause = format!("event_type = '{}'", "x".repeat(1024 * 1024));
        let segment = with(
            stage.segment("huge"),
            "/spec/env/SOURCE_WHERE_CLAUSE",
            json!(clause),
        )?;
        let printed = stage.kubectl_apply(&segment).await?;
        ensure!(printed.status != 0, "{}", printed.out);
        let text = printed.err;
        ensure!(
            text.contains("SOURCE_WHERE_CLAUSE") || text.contains("too large"),
            "{}",
            text.get(..500).unwrap_or(&text)
        );
        stage.apply(&stage.segment("good")).await?;
        stage.ready("good").await?;
        Ok(())
    })
}

#[test]
fn unicode_and_newlines_in_values_are_carried_exactly() -> Result<()> {
    run(async {
        let stage = Stage::shared("carried", &[("a", &[])]).await?;
        let clause = "stadt = 'Größe 東京 🚲'\n  and note <> $$a\tb$$ -- \"quoted\" \\ and ' kept";
        let segment = with(
            stage.segment("visits"),
            "/spec/env/SOURCE_WHERE_CLAUSE",
            json!(clause),
        )?;
        stage.apply(&segment).await?;
        stage.ready("visits").await?;
        let cron_job = stage.cron_job(0, "visits", |_| true).await?;
        let env =
            &cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["env"];
        let found = env
            .as_array()
            .context("env")?
            .iter()
            .find(|var| var["name"] == "SOURCE_WHERE_CLAUSE");
        ensure!(
            found.context("the variable")?["value"] == clause,
            "{found:?}"
        );
        Ok(())
    })
}

#[test]
fn a_long_name_is_shortened_on_the_spoke() -> Result<()> {
    run(async {
        let stage = Stage::shared("long-name", &[("a", &[])]).await?;
        let long = format!("visits-{}", "x".repeat(100));
        let mut segment = stage.segment("visits");
        segment["metadata"]["name"] = json!(long);
        stage.apply(&segment).await?;
        stage.ready(&long).await?;
        let names = stage.agents[0].cron_jobs().names().await?;
        ensure!(
            names.len() == 1 && names[0].len() <= 52 && long.starts_with(&names[0][..41]),
            "{names:?}"
        );
        let cron_job = stage.cron_job(0, &names[0], |_| true).await?;
        let whole = &cron_job["metadata"]["annotations"]["segment.grnry.io/segment"];
        ensure!(*whole == format!("{}/{long}", stage.name), "{whole}");
        Ok(())
    })
}
