//! A hub that was killed comes back, and the spokes do not notice.

use std::time::Duration;

use anyhow::{Result, ensure};
use segment_tests::audit::{AuditLog, lines};
use segment_tests::fleet::Stage;
use segment_tests::objects::condition;
use segment_tests::{run, wait};
use serde_json::{Value, json};

const SEGMENTS: [&str; 4] = ["one", "two", "three", "four"];

/// What users see may not flap: every status that the hub wrote since the mark says Ready, of as many clusters.
fn nothing_flapped(hub: &AuditLog, ready: &str) -> Result<()> {
    let writes = hub.events(|event| {
        event.is_write()
            && event.succeeded()
            && event.object_ref.resource == "segments"
            && event.object_ref.subresource == "status"
    })?;
    for event in writes {
        let object = &event.response_object;
        let is_ready =
            condition(object, "Ready").is_some_and(|condition| condition["status"] == "True");
        ensure!(
            is_ready && object["status"]["ready"] == ready,
            "{}: {}",
            event.line(),
            object["status"]
        );
    }
    Ok(())
}

fn transition(segment: &Value) -> Value {
    condition(segment, "Ready")
        .map(|ready| ready["lastTransitionTime"].clone())
        .unwrap_or_default()
}

#[test]
fn a_killed_hub_comes_back_without_a_write_on_any_spoke_and_no_status_flaps() -> Result<()> {
    run(async {
        let stage = Stage::own("hub-restart", &[("a", &[]), ("b", &[])]).await?;
        for name in SEGMENTS {
            stage.apply(&stage.segment(name)).await?;
        }
        let mut before = Vec::new();
        for name in SEGMENTS {
            before.push(transition(&stage.ready(name).await?));
        }

        let hub = stage.hub.plane.audit().mark();
        let marks: Vec<_> = stage
            .agents
            .iter()
            .map(segment_tests::spoke::Agent::mark)
            .collect();
        for _ in 0..3 {
            stage.hub.crash().await?;
            stage.hub.ready().await?;
            for agent in &stage.agents {
                agent.connected(&stage.hub).await?;
            }
        }
        let quiet = || async {
            for (agent, mark) in stage.agents.iter().zip(&marks) {
                let writes = agent.writes(mark)?;
                ensure!(
                    writes.is_empty(),
                    "{} wrote:\n{}",
                    agent.cluster,
                    lines(&writes)
                );
            }
            nothing_flapped(&hub, "2/2")
        };
        wait::holds(
            "no agent writes, no status flaps",
            Duration::from_secs(15),
            quiet,
        )
        .await?;
        for (name, before) in SEGMENTS.iter().zip(before) {
            ensure!(
                transition(&stage.ready(name).await?) == before,
                "{name} was not ready in between"
            );
        }
        Ok(())
    })
}

#[test]
fn twenty_kills_while_segments_are_edited_end_in_what_is_desired() -> Result<()> {
    run(async {
        let stage = Stage::own("twenty-kills", &[("a", &[]), ("b", &[])]).await?;
        for name in SEGMENTS {
            stage.apply(&stage.segment(name)).await?;
        }
        let mut last = vec![String::new(); SEGMENTS.len()];
        for kill in 0..20 {
            let index = kill % SEGMENTS.len();
            last[index] = format!("{kill} 5 1 1 *");
            stage
                .segments()
                .patch(
                    SEGMENTS[index],
                    &json!({"spec": {"cronjob": {"schedule": last[index]}}}),
                )
                .await?;
            // Each time at another moment of its start: from nothing done to everything sent.
            tokio::time::sleep(Duration::from_millis(150 * u64::try_from(kill)?)).await;
            stage.hub.crash().await?;
        }
        stage.hub.ready().await?;
        for (name, schedule) in SEGMENTS.iter().zip(&last) {
            stage.ready(name).await?;
            for agent in 0..stage.agents.len() {
                stage
                    .cron_job(agent, name, |cron_job| {
                        cron_job["spec"]["schedule"] == **schedule
                    })
                    .await?;
            }
        }
        for agent in &stage.agents {
            let deletes = agent.deletes(&agent.plane.audit())?;
            ensure!(deletes.is_empty(), "deleted:\n{}", lines(&deletes));
        }
        Ok(())
    })
}
