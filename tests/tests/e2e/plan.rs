//! A plan says what a change will do, before anyone makes it: nothing is written for it, and what it says comes true.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use segment_tests::audit::{AuditLog, lines};
use segment_tests::fleet::Stage;
use segment_tests::spoke::policy;
use segment_tests::tools::{Printed, Tool};
use segment_tests::{install, run, wait};
use serde_json::{Value, json};

const CLUSTERS: [(&str, &[(&str, &str)]); 3] = [
    ("a", &[("env", "prod"), ("region", "eu")]),
    ("b", &[("env", "prod"), ("region", "ap")]),
    ("c", &[("env", "test"), ("region", "eu")]),
];
/// Exit codes of segctl.
const NO_CHANGES: i32 = 0;
const CHANGES: i32 = 1;
const REFUSED: i32 = 2;

/// Asks for a plan of these documents.
async fn plan(stage: &Stage, arguments: &[&str], documents: &str) -> Result<Printed> {
    let command = [&["plan", "-n", &stage.name, "-f", "-"], arguments].concat();
    stage.hub.segctl()?.run_with(&command, documents).await
}

/// A plan as JSON, whatever the exit code; of one Segment.
async fn plan_json(stage: &Stage, document: &Value) -> Result<(i32, Value)> {
    let printed = plan(stage, &["-o", "json"], &document.to_string()).await?;
    let value = serde_json::from_str(&printed.out).with_context(|| format!("{printed:?}"))?;
    Ok((printed.status, value))
}

/// Marks the logs of the hub's API server and of all spokes.
fn mark(stage: &Stage) -> Vec<AuditLog> {
    let spokes = stage.agents.iter().map(|agent| agent.plane.audit());
    std::iter::once(stage.hub.plane.audit())
        .chain(spokes)
        .map(|log| log.mark())
        .collect()
}

/// No write of any Segment, Cluster, revision or CronJob of the stage since the marks; what the hub asks of the
/// authorisation (reviews) and its Lease are none of these.
fn nothing_written(stage: &Stage, marks: &[AuditLog]) -> Result<()> {
    for log in marks {
        let writes = log.events(|event| {
            event.is_write()
                && event.object_ref.namespace == stage.name
                && !["leases", "serviceaccounts/token"].contains(&event.resource().as_str())
        })?;
        ensure!(writes.is_empty(), "{}", lines(&writes));
    }
    Ok(())
}

#[test]
#[allow(clippy::too_many_lines, reason = "one story")]
fn a_plan_writes_nothing_and_comes_true() -> Result<()> {
    run(async {
        let stage = Stage::own("plan", &CLUSTERS).await?;
        // One cluster's policy takes no Segment of ours with another database.
        let mut strict = policy(&stage.name);
        strict["rules"] = json!({"dbHosts": {&stage.name: ["other-db"]}});
        let strict_agent = &stage.agents[1];
        let mut visits = stage.segment("visits");
        stage.apply(&visits).await?;
        let before = stage.ready("visits").await?;
        let marks = mark(&stage);

        let same = plan(&stage, &[], &visits.to_string()).await?;
        println!("{}{}", same.out, same.err);
        ensure!(same.status == NO_CHANGES, "{same:?}");
        ensure!(
            same.err.contains("nothing was written. No changes."),
            "{same:?}"
        );

        // Off the test cluster, spread by H, other paths in one region.
        visits["spec"]["clusterSelector"] =
            json!({"matchLabels": {"stage": stage.name, "env": "prod"}});
        visits["spec"]["cronjob"]["schedule"] = json!("H/2 * * * *");
        visits["spec"]["overrides"] = json!([
            {"clusterSelector": {"matchLabels": {"region": "ap"}}, "env": {"GENERIC_COLUMNS": "event_id"}},
        ]);
        let text = plan(&stage, &[], &visits.to_string()).await?;
        println!("{}{}", text.out, text.err);
        ensure!(text.status == CHANGES, "{text:?}");
        for said in [
            "placement  3 → 2 clusters",
            "− plan-c (label env is \"test\"; selector wants env=prod)   policy Delete",
            "spec.schedule: \"0 3 1 1 *\" → \"H/2 * * * *\"",
            "by spec.overrides[0] (region=ap)",
            "env GENERIC_COLUMNS: \"event_id,inserted\" → \"event_id\"",
            "‼ would start a missed run now on 2 clusters; onScheduleChange=Skip: 0 will",
            "2 clusters, 1 at once, in 2 steps",
        ] {
            ensure!(text.out.contains(said), "{said} is missing in {}", text.out);
        }
        ensure!(text.err.contains("kubectl apply -f -"), "{text:?}");

        let (status, told) = plan_json(&stage, &visits).await?;
        let one = &told["segments"][0];
        ensure!(
            status == CHANGES && one["action"] == "PLAN_ACTION_UPDATE",
            "{told}"
        );
        ensure!(
            one["diffs"]
                .as_array()
                .is_some_and(|diffs| diffs.len() == 2),
            "{one}"
        );

        let diff = stage
            .hub
            .segctl()?
            .run_with(&["diff", "-n", &stage.name, "-f", "-"], &visits.to_string())
            .await?;
        println!("{}", diff.out);
        ensure!(diff.status == CHANGES, "{diff:?}");
        for line in [
            "-spec.schedule: \"0 3 1 1 *\"",
            "+spec.schedule: \"H/2 * * * *\"",
        ] {
            ensure!(diff.out.lines().any(|found| found == line), "{}", diff.out);
        }

        let deleted = stage
            .hub
            .segctl()?
            .run(&["plan", "-n", &stage.name, "--delete", "visits"])
            .await?;
        println!("{}{}", deleted.out, deleted.err);
        ensure!(
            deleted.status == CHANGES && deleted.out.contains("the segment is deleted"),
            "{deleted:?}"
        );
        let missing = stage
            .hub
            .segctl()?
            .run(&["plan", "-n", &stage.name, "--delete", "vists"])
            .await?;
        ensure!(
            missing.status == 4
                && missing
                    .err
                    .contains("segment plan/vists not found; did you mean plan/visits?"),
            "{missing:?}"
        );
        nothing_written(&stage, &marks)?;

        // A policy that changes is known to the hub a moment later.
        strict_agent
            .set_policy(&stage.hub.agents_address(), &strict)
            .await?;
        let refused = wait::until("the agent has told its policy", wait::SOON, || async {
            let (_, told) = plan_json(&stage, &visits).await?;
            let agents = told["segments"][0]["agents"].clone();
            ensure!(agents["refuse"] == 1 && agents["admit"] == 1, "{agents}");
            Ok(agents)
        })
        .await?;
        ensure!(
            refused["refusals"][0]["rule"] == "dbHosts"
                && refused["refusals"][0]["clusters"]["names"] == json!(["plan-b"]),
            "{refused}"
        );
        strict_agent
            .set_policy(&stage.hub.agents_address(), &policy(&stage.name))
            .await?;

        // And now for real.
        stage.apply(&visits).await?;
        let after = stage.ready("visits").await?;
        let revision = |segment: &Value| segment["status"]["revision"].as_str().map(str::to_owned);
        let (was, is) = (revision(&before), revision(&after));
        let planned = |field: &str| one[field].as_str().map(str::to_owned);
        for (planned, real) in [
            (planned("revisionBefore"), was),
            (planned("revisionAfter"), is),
        ] {
            let (planned, real) = planned.zip(real).context("revisions")?;
            ensure!(
                planned.starts_with(&real) || real.starts_with(&planned),
                "{planned} was planned, {real} it is"
            );
        }
        ensure!(after["status"]["clusters"]["selected"] == 2, "{after}");
        stage.no_cron_job(2, "visits").await?;
        let schedules: BTreeSet<String> = futures::future::try_join_all([0, 1].map(|agent| {
            stage.cron_job(agent, "visits", |cron_job| {
                cron_job["spec"]["schedule"] != "0 3 1 1 *"
            })
        }))
        .await?
        .into_iter()
        .map(|cron_job| cron_job["spec"]["schedule"].to_string())
        .collect();
        println!("{schedules:?}");
        Ok(())
    })
}

#[test]
fn what_would_be_refused_is_said_with_its_line_and_folders_are_planned_whole() -> Result<()> {
    run(async {
        let stage = Stage::own("plan-files", &[("a", &[])]).await?;
        let marks = mark(&stage);
        let mut wrong = stage.segment("wrong");
        wrong["spec"]["cronjob"]["schedule"] = json!("0 0 * * 7");
        let printed = plan(&stage, &[], &wrong.to_string()).await?;
        println!("{}{}", printed.out, printed.err);
        ensure!(
            printed.status == REFUSED
                && printed.out.contains("would be refused")
                && printed.err.contains("InvalidSchedule"),
            "{printed:?}"
        );

        let unknown = "apiVersion: segment.grnry.io/v1alpha1\nkind: Segment\nmetadata: {name: x}\nspec:\n  \
                       cronJob: {}\n";
        let printed = plan(&stage, &[], unknown).await?;
        println!("{}{}", printed.out, printed.err);
        ensure!(
            printed.status == REFUSED
                && printed.err.contains("<stdin>:5:3")
                && printed.err.contains("nothing was planned"),
            "{printed:?}"
        );

        // Two that write one table, in files of a folder with others' documents.
        let folder = stage.agents[0].plane.dir().join("plan-files");
        std::fs::create_dir_all(folder.join("deep"))?;
        let (first, mut second) = (stage.segment("visits"), stage.segment("other"));
        second["spec"]["env"]["TARGET_SEGMENT_NAME"] = json!("visits");
        let foreign = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}});
        write(&folder.join("both.yaml"), &[&first, &foreign])?;
        write(&folder.join("deep/other.json"), &[&second])?;
        let folder = folder.display().to_string();
        let printed = stage
            .hub
            .segctl()?
            .run(&["plan", "-n", &stage.name, "-f", &folder])
            .await?;
        println!("{}{}", printed.out, printed.err);
        ensure!(printed.status == CHANGES, "{printed:?}");
        for said in [
            "+ segment plan-files/visits",
            "+ segment plan-files/other",
            "‼ segment plan-files/other writes segments.visits at grnry-pg-citus, too, on cluster plan-files-a",
        ] {
            ensure!(printed.out.contains(said), "{said}: {}", printed.out);
        }

        let missing = stage
            .hub
            .segctl()?
            .run(&["plan", "-n", &stage.name, "-f", "/no/such/file.yaml"])
            .await?;
        ensure!(
            missing.status == REFUSED && missing.err.contains("/no/such/file.yaml"),
            "{missing:?}"
        );
        let nothing = plan(&stage, &[], &foreign.to_string()).await?;
        ensure!(
            nothing.status == REFUSED && nothing.err.contains("no Segment"),
            "{nothing:?}"
        );
        nothing_written(&stage, &marks)
    })
}

fn write(file: &Path, documents: &[&Value]) -> Result<()> {
    let texts: Vec<String> = documents.iter().map(ToString::to_string).collect();
    Ok(std::fs::write(file, texts.join("\n---\n"))?)
}

#[test]
#[allow(clippy::too_many_lines, reason = "one story")]
fn runs_are_forecast_with_h_zones_and_peaks_and_grpcurl_asks_with_rights_only() -> Result<()> {
    run(async {
        let stage = Stage::own("forecast", &CLUSTERS).await?;
        let mut daily = stage.segment("daily");
        daily["spec"]["cronjob"] = json!({"schedule": "30 4 * * *", "timeZone": "Asia/Tokyo"});
        let mut spread = stage.segment("spread");
        spread["spec"]["cronjob"]["schedule"] = json!("H H * * *");
        let mut off = stage.segment("off");
        off["spec"]["cronjob"] = json!({"schedule": "* * * * *", "suspend": true});
        for segment in [&daily, &spread, &off] {
            stage.apply(segment).await?;
        }
        for name in ["daily", "spread", "off"] {
            stage.ready(name).await?;
        }
        let forecast = |arguments: &'static [&'static str]| {
            let command = [&["forecast", "-n", "forecast"], arguments].concat();
            let hub = &stage.hub;
            async move { hub.segctl()?.run(&command).await }
        };
        let table = forecast(&[]).await?;
        println!("{}{}", table.out, table.err);
        ensure!(table.status == 0, "{table:?}");
        for said in [
            "forecast/daily",
            "30 4 * * *",
            "Asia/Tokyo",
            "PEAK",
            "never",
        ] {
            ensure!(table.out.contains(said), "{said}: {}", table.out);
        }
        ensure!(table.err.contains("6 runs of 3 Segments"), "{table:?}");
        ensure!(table.err.contains("3 suspended"), "{table:?}");

        let told = forecast(&["-o", "json", "--per", "minute"]).await?.json()?;
        let peak = &told["peaks"][0];
        ensure!(
            peak["minute"]["starts"] == "3" && peak["segments"] == json!(["forecast/daily"]),
            "{told}"
        );
        // 04:30 in Tokyo is 19:30 in UTC.
        ensure!(
            peak["minute"]["at"]
                .as_str()
                .is_some_and(|at| at.ends_with("T19:30:00Z")),
            "{peak}"
        );
        // The minutes are those of the CronJobs that the clusters have.
        let mut clusters = BTreeSet::new();
        for agent in 0..CLUSTERS.len() {
            let cron_job = stage.cron_job(agent, "spread", |_| true).await?;
            clusters.insert(cron_job["spec"]["schedule"].as_str().map(str::to_owned));
        }
        let minutes = told["minutes"].as_array().context("minutes")?;
        ensure!(
            minutes.len() == clusters.len() + 1,
            "{minutes:?} {clusters:?}"
        );
        let hosts = forecast(&["--per", "db-host"]).await?;
        ensure!(hosts.out.contains("grnry-pg-citus"), "{hosts:?}");
        let wrong = forecast(&["--window", "400h", "-l", "a=b=c"]).await?;
        ensure!(
            wrong.status == 2 && wrong.err.contains("segment_selector"),
            "{wrong:?}"
        );
        let long = forecast(&["--window", "800h"]).await?;
        ensure!(
            long.status == 2 && long.err.contains("at most 31 days"),
            "{long:?}"
        );

        // Any gRPC client may ask, if its user may: who can't list clusters learns nothing of them.
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "planner", "namespace": stage.name}});
        let role = |kind: &str| {
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
                "metadata": {"name": "planner", "namespace": stage.name},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "segment-viewer"},
                "subjects": [{"kind": "ServiceAccount", "name": "planner", "namespace": stage.name}],
            })
        };
        install::apply(&stage.hub.plane, &[account, role("RoleBinding")]).await?;
        let token = stage
            .hub
            .plane
            .token(&stage.name, "planner", Some("segment-hub"))
            .await?;
        let ca = stage.hub.ca_file().await?.display().to_string();
        let address = stage.hub.users_address();
        let bearer = format!("authorization: Bearer {token}");
        let request = json!({
            "namespace": stage.name, "changes": [{"segment": daily.to_string()}, {"delete": "forecast/off"}],
        })
        .to_string();
        let grpcurl = || async {
            let arguments = [
                "-cacert",
                &ca,
                "-H",
                &bearer,
                "-d",
                &request,
                &address,
                "grnry.segment.v1.PlanService/Plan",
            ];
            Tool::grpcurl()?.run(&arguments).await
        };
        let refused = grpcurl().await?;
        ensure!(
            refused.status == 64 + 7 && refused.err.contains("cannot list resource \"clusters\""),
            "{refused:?}"
        );
        let mut binding = role("ClusterRoleBinding");
        if let Some(metadata) = binding["metadata"].as_object_mut() {
            metadata.remove("namespace");
        }
        install::apply(&stage.hub.plane, &[binding]).await?;
        let told = wait::until("the new right is known", wait::SOON, || async {
            grpcurl().await?.ok()
        })
        .await?;
        println!("{told}");
        for said in [
            "PLAN_ACTION_UNCHANGED",
            "PLAN_ACTION_DELETE",
            "\"planId\"",
            "\"hasChanges\": true",
        ] {
            ensure!(told.contains(said), "{said}: {told}");
        }
        Ok(())
    })
}
