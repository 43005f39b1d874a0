//! CronJobs of the older chart on several clusters become one Segment, which takes them over in place.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use segment_tests::audit::lines;
use segment_tests::fleet::Stage;
use segment_tests::objects::Objects;
use segment_tests::spoke::Agent;
use segment_tests::tools::Tool;
use segment_tests::{run, wait};
use serde_json::{Value, json};

const CLUSTERS: [(&str, &[(&str, &str)]); 3] = [("a", &[]), ("b", &[]), ("c", &[])];

/// A CronJob as the older chart made it: the tables of defaults, written out.
fn chart(namespace: &str, name: &str) -> Value {
    let texts: BTreeMap<&str, &str> = [
        ("CITUS_DIST_COL", "correlation_id"),
        ("COLUMN_PLACEHOLDER", "?"),
        ("DB_HOST", "grnry-pg-citus"),
        ("DB_PORT", "5432"),
        ("DB_TYPE", "citus"),
        ("DB_USE_SSL", "True"),
        ("DB_USE_VIEWS", "False"),
        ("DEBUG", "False"),
        ("DEFINITION_SEPARATOR", "="),
        ("GENERIC_COLUMNS", "event_id,inserted"),
        ("PROMETHEUS_JOB", "segmentcreation"),
        ("PROMETHEUS_PUSHGATEWAY", ""),
        ("SOURCE_SCHEMA_NAME", "public"),
        ("SOURCE_TABLE_NAME", "eventstore"),
        ("SOURCE_WHERE_CLAUSE", "event_type = 'visit'"),
        ("TARGET_SCHEMA_NAME", "segments"),
        ("TARGET_SEGMENT_INDEXES", ""),
        ("TARGET_SEGMENT_INDEX_SEPARATOR", "|"),
        ("TARGET_SEGMENT_NAME", "visits"),
        ("TARGET_SEGMENT_VIEWS", ""),
        ("TARGET_SEGMENT_VIEW_DEFINITION_SEPARATOR", ":"),
        ("TARGET_SEGMENT_VIEW_SEPARATOR", ","),
        ("TRANSFORMATION_SEPARATOR", "|"),
        ("TYPE", "generic"),
        ("TYPE_SEPARATOR", "::"),
    ]
    .into();
    let secrets = [
        ("DB_NAME", "superuser-database"),
        ("DB_PASSWORD", "superuser-password"),
        ("DB_USER", "superuser-username"),
    ];
    let texts = texts
        .into_iter()
        .map(|(name, value)| json!({"name": name, "value": value}));
    let secrets = secrets.into_iter().map(|(name, key)| {
        json!({"name": name, "valueFrom": {"secretKeyRef": {"name": "grnry-pg-citus-secret", "key": key}}})
    });
    let env: Vec<Value> = texts.chain(secrets).collect();
    json!({
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": "Helm", "team": "web"},
            "annotations": {"meta.helm.sh/release-name": name},
        },
        "spec": {
            "schedule": "30 4 1 1 *",
            "concurrencyPolicy": "Allow",
            "failedJobsHistoryLimit": 1,
            "successfulJobsHistoryLimit": 1,
            "jobTemplate": {"spec": {"template": {"spec": {
                "restartPolicy": "OnFailure",
                "imagePullSecrets": [{"name": "grnry-base-private-registry-token"}],
                "containers": [{
                    "name": "segment-table-creation",
                    "image": "gitlab.alvary.io:5000/grnry/segment-table-creation:0.7.0",
                    "imagePullPolicy": "IfNotPresent",
                    "env": env,
                }],
            }}}},
        },
    })
}

/// Sets a variable of a CronJob.
fn set(cron_job: &mut Value, name: &str, value: &str) -> Result<()> {
    cron_job
        .pointer_mut("/spec/jobTemplate/spec/template/spec/containers/0/env")
        .and_then(Value::as_array_mut)
        .and_then(|env| env.iter_mut().find(|variable| variable["name"] == name))
        .with_context(|| format!("no variable {name}"))?["value"] = json!(value);
    Ok(())
}

/// A kubeconfig with a context for each cluster of a stage, named as the cluster is.
fn kubeconfig(stage: &Stage) -> Result<PathBuf> {
    let mut all =
        json!({"apiVersion": "v1", "kind": "Config", "clusters": [], "users": [], "contexts": []});
    for agent in &stage.agents {
        let text = std::fs::read_to_string(agent.plane.kubeconfig())?;
        let one: Value = serde_saphyr::from_str(&text)?;
        let name = &agent.cluster;
        for (list, item, what) in [("clusters", "cluster", 0), ("users", "user", 0)] {
            let entry = json!({"name": name, item: one[list][what][item]});
            all[list].as_array_mut().context("a list")?.push(entry);
        }
        let context = json!({"name": name, "context": {"cluster": name, "user": name}});
        all["contexts"]
            .as_array_mut()
            .context("a list")?
            .push(context);
    }
    let path = stage.agents[0]
        .plane
        .dir()
        .join(format!("{}-contexts.yaml", stage.name));
    std::fs::write(&path, all.to_string())?;
    Ok(path)
}

/// A CronJob's spec without what the fleet adds to it: marks, and what `POD_SECURITY` hardens.
fn without_ours(cron_job: &Value) -> Value {
    let mut spec = cron_job["spec"].clone();
    for place in ["/jobTemplate", "/jobTemplate/spec/template"] {
        if let Some(object) = spec.pointer_mut(place).and_then(Value::as_object_mut) {
            object.remove("metadata");
        }
    }
    for place in [
        "/jobTemplate/spec/template/spec",
        "/jobTemplate/spec/template/spec/containers/0",
    ] {
        if let Some(object) = spec.pointer_mut(place).and_then(Value::as_object_mut) {
            object.remove("securityContext");
            object.remove("automountServiceAccountToken");
        }
    }
    spec
}

#[test]
#[allow(clippy::too_many_lines, reason = "one story")]
fn cronjobs_of_the_chart_become_one_segment_and_are_taken_over_in_place() -> Result<()> {
    run(async {
        let stage = Stage::shared("imports", &CLUSTERS).await?;
        let mut before = Vec::new();
        for (index, agent) in stage.agents.iter().enumerate() {
            let mut cron_job = chart(&stage.name, "visits");
            if index == 2 {
                cron_job["spec"]["schedule"] = json!("45 5 1 1 *");
                set(
                    &mut cron_job,
                    "SOURCE_WHERE_CLAUSE",
                    "event_type = 'visit' and shop = 'c'",
                )?;
                set(&mut cron_job, "DEBUG", "True")?;
            }
            let other = json!({
                "apiVersion": "batch/v1",
                "kind": "CronJob",
                "metadata": {"name": "backup", "namespace": stage.name},
                "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": {"spec": {
                    "restartPolicy": "Never", "containers": [{"name": "backup", "image": "backup:1"}],
                }}}}},
            });
            for object in [&cron_job, &other] {
                agent
                    .plane
                    .kubectl()?
                    .run_with(&["apply", "-f", "-"], &object.to_string())
                    .await?
                    .ok()?;
            }
            before.push(agent.cron_jobs().get("visits").await?);
        }

        let contexts = kubeconfig(&stage)?;
        let clusters: Vec<&str> = stage
            .agents
            .iter()
            .map(|agent| agent.cluster.as_str())
            .collect();
        let mut arguments = vec!["import", "-n", &stage.name];
        for cluster in &clusters {
            arguments.extend(["--from-cluster", cluster]);
        }
        let marks: Vec<_> = stage.agents.iter().map(Agent::mark).collect();
        let printed = Tool::segctl(&contexts)?.run(&arguments).await?;
        let notes = printed.err.clone();
        let text = printed.ok()?;
        let segment: Value = serde_saphyr::from_str(&text).with_context(|| text.clone())?;
        let these = |names: &[&str]| {
            json!({"matchExpressions": [
                {"key": "segment.grnry.io/cluster", "operator": "In", "values": names}
            ]})
        };
        ensure!(
            segment["spec"]
                == json!({
                    "clusterSelector": these(&clusters),
                    "cronjob": {"schedule": "30 4 1 1 *"},
                    "env": {
                        "CITUS_DIST_COL": "correlation_id",
                        "GENERIC_COLUMNS": "event_id,inserted",
                        "SOURCE_TABLE_NAME": "eventstore",
                        "SOURCE_WHERE_CLAUSE": "event_type = 'visit'",
                        "TARGET_SEGMENT_INDEXES": "",
                        "TARGET_SEGMENT_NAME": "visits",
                        "TARGET_SEGMENT_VIEWS": "",
                        "TYPE": "generic",
                    },
                    "overrides": [{
                        "clusterSelector": these(&clusters[2..]),
                        "cronjob": {"schedule": "45 5 1 1 *"},
                        "env": {
                            "DEBUG": "True",
                            "SOURCE_WHERE_CLAUSE": "event_type = 'visit' and shop = 'c'",
                        },
                    }],
                }),
            "{text}"
        );
        for part in [
            "Helm release visits",
            "backup has no container",
            "equal the house defaults",
        ] {
            ensure!(notes.contains(part), "no {part:?} in:\n{notes}");
        }
        ensure!(!notes.contains("not what is there"), "{notes}");
        for mark in &marks {
            let written = mark.events(|event| {
                event.is_write()
                    && event.object_ref.namespace == stage.name
                    && event.object_ref.resource == "cronjobs"
            })?;
            ensure!(written.is_empty(), "import wrote:\n{}", lines(&written));
        }

        // What was printed is what is applied.
        stage
            .hub
            .plane
            .kubectl()?
            .run_with(&["apply", "-f", "-"], &text)
            .await?
            .ok()?;
        let ready = stage.ready("visits").await?;
        ensure!(
            ready["status"]["ready"] == "3/3",
            "status {}",
            ready["status"]
        );
        for ((agent, before), mark) in stage.agents.iter().zip(&before).zip(&marks) {
            let after = agent.cron_jobs().get("visits").await?;
            ensure!(
                after["metadata"]["uid"] == before["metadata"]["uid"],
                "{}: was made anew",
                agent.cluster
            );
            ensure!(
                without_ours(&after) == without_ours(before),
                "{}: {:#} is not {:#}",
                agent.cluster,
                after["spec"],
                before["spec"]
            );
            let annotations = &after["metadata"]["annotations"];
            ensure!(
                annotations["segment.grnry.io/segment"] == format!("{}/visits", stage.name)
                    && annotations["meta.helm.sh/release-name"] == "visits"
                    && after["metadata"]["labels"]["team"] == "web",
                "{}: {}",
                agent.cluster,
                after["metadata"]
            );
            // The create that finds the CronJob there changes nothing.
            let writes: Vec<_> = agent
                .writes(mark)?
                .into_iter()
                .filter(|event| event.object_ref.namespace == stage.name && event.succeeded())
                .collect();
            ensure!(
                writes.len() == 1 && writes[0].verb == "update",
                "{}: one change is expected:\n{}",
                agent.cluster,
                lines(&writes)
            );
            ensure!(
                agent.jobs().names().await?.is_empty(),
                "{}: a Job was started",
                agent.cluster
            );
        }

        // Again: all of them are ours now.
        let again = Tool::segctl(&contexts)?.run(&arguments).await?;
        ensure!(
            again.status == 4,
            "exit status {}: {}",
            again.status,
            again.err
        );
        ensure!(
            again
                .err
                .contains("belongs to Segment imports/visits already"),
            "{}",
            again.err
        );

        let exported = stage
            .hub
            .segctl()?
            .run(&["export", "imports/visits", "-o", "yaml"])
            .await?
            .ok()?;
        let exported: Value = serde_saphyr::from_str(&exported)?;
        ensure!(exported == segment, "{exported:#}");
        let values = stage
            .hub
            .segctl()?
            .run(&[
                "export",
                "imports/visits",
                "-o",
                "helm-values",
                "--cluster",
                clusters[2],
            ])
            .await?
            .ok()?;
        let values: Value = serde_saphyr::from_str(&values)?;
        ensure!(
            values["cronjob"]["schedule"] == "45 5 1 1 *" && values["env"]["DEBUG"] == "True",
            "{values:#}"
        );
        Ok(())
    })
}

#[test]
fn a_cronjob_that_is_not_what_a_segment_can_say_is_left_alone() -> Result<()> {
    run(async {
        let stage = Stage::shared("imports-differ", &CLUSTERS[..1]).await?;
        let agent = &stage.agents[0];
        let mut cron_job = chart(&stage.name, "visits");
        cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["hostNetwork"] = json!(true);
        agent
            .plane
            .kubectl()?
            .run_with(&["apply", "-f", "-"], &cron_job.to_string())
            .await?
            .ok()?;
        let before = agent.cron_jobs().get("visits").await?;
        let contexts = kubeconfig(&stage)?;
        let printed = Tool::segctl(&contexts)?
            .run(&[
                "import",
                "-n",
                &stage.name,
                "--from-cluster",
                &agent.cluster,
            ])
            .await?;
        for part in ["hostNetwork can't be said", "spec.adoption: Always"] {
            ensure!(
                printed.err.contains(part),
                "no {part:?} in:\n{}",
                printed.err
            );
        }
        let text = printed.ok()?;
        stage
            .hub
            .plane
            .kubectl()?
            .run_with(&["apply", "-f", "-"], &text)
            .await?
            .ok()?;
        wait::until(
            "the Segment says that it is not ready",
            wait::SOON,
            || async {
                let segment = Objects::segments(stage.hub.client(), &stage.name)
                    .get("visits")
                    .await?;
                ensure!(
                    segment["status"]["clusters"]["failing"] == 1,
                    "status {}",
                    segment["status"]
                );
                Ok(())
            },
        )
        .await?;
        let after = agent.cron_jobs().get("visits").await?;
        ensure!(
            after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"],
            "it was written: {after:#}"
        );
        Ok(())
    })
}
