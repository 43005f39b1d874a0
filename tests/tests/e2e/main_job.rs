//! A Segment on the hub becomes exactly the expected CronJob on the selected spokes, and on no other; edits, labels,
//! selectors and deletion arrive; what Kubernetes runs is shown to users.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use segment_tests::fleet::Stage;
use segment_tests::kubelet::{Ending, Kubelet};
use segment_tests::objects::{Objects, condition};
use segment_tests::{paths, run, wait};
use serde_json::{Value, json};

use crate::golden;

const CLUSTERS: [(&str, &[(&str, &str)]); 3] = [
    ("a", &[("env", "prod"), ("region", "eu-west")]),
    ("b", &[("env", "prod"), ("region", "eu-central")]),
    ("c", &[("env", "test"), ("region", "eu-west")]),
];

/// An example, in this stage's namespace and on its clusters.
fn example(stage: &Stage, file: &str) -> Result<Value> {
    let text = std::fs::read_to_string(paths::root().join("tests/examples").join(file))?;
    let mut segment: Value = serde_saphyr::from_str(&text)?;
    segment["metadata"]["namespace"] = json!(stage.name);
    let mut selector = segment["spec"]["clusterSelector"].take();
    selector["matchLabels"]["stage"] = json!(stage.name);
    segment["spec"]["clusterSelector"] = selector;
    Ok(segment)
}

/// A CronJob's spec with all that the API server has filled in; only what is new in each run is masked.
fn whole(cron_job: &Value) -> Value {
    let mut spec = cron_job["spec"].clone();
    for metadata in [
        "/jobTemplate/metadata",
        "/jobTemplate/spec/template/metadata",
    ] {
        if let Some(metadata) = spec.pointer_mut(metadata) {
            for name in ["segment.grnry.io/hub", "segment.grnry.io/uid"] {
                metadata["annotations"][name] = json!("(masked)");
            }
            // On the Job only: which revision it is depends on the renderer.
            if let Some(revision) = metadata["annotations"].get_mut("segment.grnry.io/revision") {
                *revision = json!("(masked)");
            }
        }
    }
    spec
}

#[test]
fn a_segment_becomes_the_expected_cronjob_on_the_selected_spokes_only() -> Result<()> {
    run(async {
        let stage = Stage::shared("expected", &CLUSTERS).await?;
        let pivot = example(&stage, "segment-pivot.yaml")?;
        let mut generic = example(&stage, "segment-generic.yaml")?;
        // The preset admits no Secret but Granary's own.
        generic["spec"]["envFromSecrets"] = json!({});
        stage.apply(&pivot).await?;
        stage.apply(&generic).await?;

        let pivot = stage.ready("newsletter-readers").await?;
        ensure!(
            pivot["status"]["ready"] == "2/2",
            "ready says {}",
            pivot["status"]["ready"]
        );
        let generic = stage.ready("checkout-errors").await?;
        ensure!(
            generic["status"]["ready"] == "3/3",
            "ready says {}",
            generic["status"]["ready"]
        );

        golden::same(
            "pivot",
            &whole(&stage.cron_job(0, "newsletter-readers", |_| true).await?),
        )?;
        golden::same(
            "generic",
            &whole(&stage.cron_job(2, "checkout-errors", |_| true).await?),
        )?;
        let names = |agent: usize| stage.agents[agent].cron_jobs();
        ensure!(names(0).names().await? == ["checkout-errors", "newsletter-readers"]);
        ensure!(names(1).names().await? == ["checkout-errors", "newsletter-readers"]);
        ensure!(names(2).names().await? == ["checkout-errors"]);
        Ok(())
    })
}

#[test]
fn edits_labels_selectors_and_deletion_arrive() -> Result<()> {
    run(async {
        let stage = Stage::shared("arrive", &CLUSTERS).await?;
        let mut segment = stage.segment("visits");
        segment["spec"]["clusterSelector"] =
            json!({"matchLabels": {"stage": stage.name, "env": "prod"}});
        stage.apply(&segment).await?;
        stage.ready("visits").await?;

        segment["spec"]["cronjob"]["schedule"] = json!("30 4 1 1 *");
        stage.apply(&segment).await?;
        for agent in 0..2 {
            stage
                .cron_job(agent, "visits", |cron_job| {
                    cron_job["spec"]["schedule"] == "30 4 1 1 *"
                })
                .await?;
        }
        let uid = stage.cron_job(0, "visits", |_| true).await?["metadata"]["uid"].clone();

        let clusters = Objects::clusters(stage.hub.client());
        clusters
            .patch(
                "arrive-c",
                &json!({"metadata": {"labels": {"env": "prod"}}}),
            )
            .await?;
        stage.cron_job(2, "visits", |_| true).await?;

        segment["spec"]["clusterSelector"]["matchLabels"]["region"] = json!("eu-west");
        stage.apply(&segment).await?;
        stage.no_cron_job(1, "visits").await?;
        let status = stage.ready("visits").await?["status"].clone();
        ensure!(status["ready"] == "2/2", "status {status}");
        let still = stage.cron_job(0, "visits", |_| true).await?;
        ensure!(still["metadata"]["uid"] == uid, "an edit replaces in place");

        stage.segments().delete("visits").await?;
        for agent in [0, 2] {
            stage.no_cron_job(agent, "visits").await?;
        }
        wait::until("the Segment is gone", wait::SOON, || async {
            ensure!(
                stage.segments().find("visits").await?.is_none(),
                "it is there"
            );
            Ok(())
        })
        .await
    })
}

#[test]
fn a_run_shows_in_segctl_in_kubectl_and_by_grpcurl() -> Result<()> {
    run(async {
        let stage = Stage::shared("runs", &CLUSTERS[..1]).await?;
        let agent = &stage.agents[0];
        let _kubelet = Kubelet::start(agent.client().clone(), &stage.name, Ending::Succeeds);
        stage.apply(&stage.each_minute("visits")).await?;
        stage.ready("visits").await?;

        let last = wait::until(
            "the last run is in the Segment's status",
            Duration::from_mins(3),
            || async {
                let segment = stage.segments().get("visits").await?;
                let last = segment["status"]["lastRun"].clone();
                ensure!(!last.is_null(), "status {}", segment["status"]);
                Ok(last)
            },
        )
        .await?;
        println!("last run: {last}");

        let status = stage
            .hub
            .segctl()?
            .run(&["status", "-n", &stage.name])
            .await?
            .ok()?;
        let header = status.lines().next().context("a header")?;
        ensure!(
            header.contains("LAST RUN") && status.contains("visits"),
            "{status}"
        );
        let row = status
            .lines()
            .find(|line| line.contains("visits"))
            .context("a row")?;
        ensure!(row.contains("ago"), "no age of the last run: {status}");

        let listed = stage
            .hub
            .plane
            .kubectl()?
            .run(&["get", "seg", "visits", "-n", &stage.name])
            .await?
            .ok()?;
        let row = listed.lines().nth(1).context("a row")?;
        ensure!(
            listed.contains("LAST RUN") && row.contains("1/1"),
            "{listed}"
        );

        let by_grpc = crate::users::list_segments(&stage).await?;
        let found = &by_grpc["segments"][0];
        ensure!(
            found["name"] == format!("{}/visits", stage.name) && !found["lastRun"].is_null(),
            "{by_grpc}"
        );

        let cluster = stage.hub.cluster(&agent.cluster).await?;
        ensure!(
            condition(&cluster, "Ready").is_some_and(|ready| ready["status"] == "True"),
            "{}",
            cluster["status"]
        );
        Ok(())
    })
}

#[test]
fn a_segment_keeps_its_newest_ten_revisions() -> Result<()> {
    run(async {
        let stage = Stage::shared("revisions", &CLUSTERS[..1]).await?;
        stage.apply(&stage.segment("visits")).await?;
        stage.ready("visits").await?;
        for edit in 0..11 {
            let clause = format!("event_type = 'visit' and edit = {edit}");
            stage
                .segments()
                .patch(
                    "visits",
                    &json!({"spec": {"env": {"SOURCE_WHERE_CLAUSE": clause}}}),
                )
                .await?;
            stage.ready("visits").await?;
        }
        let generation = stage.segments().get("visits").await?["metadata"]["generation"].clone();
        let what = "ten revisions are kept, the newest among them";
        wait::until(what, wait::SOON, || async {
            let kept = Objects::controller_revisions(stage.hub.client(), &stage.name)
                .list("")
                .await?;
            let newest = kept.iter().any(|kept| kept["revision"] == generation);
            ensure!(
                kept.len() == 10 && newest,
                "{} are kept, the newest: {newest}",
                kept.len()
            );
            Ok(())
        })
        .await
    })
}
