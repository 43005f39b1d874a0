//! What tools that wait for a Segment think of it: kstatus (Flux, Helm 4) and our health script for Argo CD, each asked as
//! the program that it is.
//!
//! Ready means delivered and confirmed: a failing job never blocks a sync, but is seen.

use anyhow::{Context as _, Result, ensure};
use segment_tests::tools::Tool;
use segment_tests::{paths, run};
use serde_json::{Value, json};

/// A row: generation, observed generation (`None`: no status), conditions, what kstatus and Argo CD say.
type Row = (
    &'static str,
    i64,
    Option<i64>,
    &'static [(&'static str, &'static str)],
    &'static str,
    &'static str,
);

const T: &str = "True";
const F: &str = "False";
const U: &str = "Unknown";

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("fresh, the default of the schema", 1, Some(-1), &[], "InProgress", "Progressing"),
    ("a newer spec was not looked at", 2, Some(1), &[("Accepted", T), ("Ready", T)], "InProgress", "Progressing"),
    ("a newer spec over a halted one", 2, Some(1), &[("Ready", F), ("Stalled", T)], "InProgress", "Progressing"),
    ("accepted, nothing delivered", 1, Some(1), &[("Accepted", T), ("Ready", F), ("Reconciling", T)], "InProgress", "Progressing"),
    ("rolling out", 1, Some(1), &[("Accepted", T), ("Ready", F), ("RolloutCompleted", F), ("Reconciling", T)], "InProgress", "Progressing"),
    ("soaking", 3, Some(3), &[("Accepted", T), ("Ready", F), ("RolloutCompleted", F), ("Paused", F), ("Reconciling", T)], "InProgress", "Progressing"),
    ("rolling out, the runs before failed", 1, Some(1), &[("Accepted", T), ("Ready", F), ("RunsSucceeding", F), ("Reconciling", T)], "InProgress", "Degraded"),
    ("ready", 1, Some(1), &[("Accepted", T), ("Ready", T), ("RolloutCompleted", T)], "Current", "Healthy"),
    ("ready, runs succeed", 1, Some(1), &[("Accepted", T), ("Ready", T), ("RunsSucceeding", T)], "Current", "Healthy"),
    ("ready, no run yet", 1, Some(1), &[("Accepted", T), ("Ready", T), ("RunsSucceeding", U)], "Current", "Healthy"),
    ("ready, a run failed", 1, Some(1), &[("Accepted", T), ("Ready", T), ("RunsSucceeding", F)], "Current", "Degraded"),
    ("ready, not paused", 1, Some(1), &[("Accepted", T), ("Ready", T), ("Paused", F)], "Current", "Healthy"),
    ("ready and paused", 1, Some(1), &[("Accepted", T), ("Ready", T), ("Paused", T)], "Current", "Suspended"),
    ("paused in the middle", 2, Some(2), &[("Accepted", T), ("Ready", F), ("Paused", T), ("Reconciling", T)], "InProgress", "Suspended"),
    ("paused, a run failed", 2, Some(2), &[("Ready", T), ("Paused", T), ("RunsSucceeding", F)], "Current", "Suspended"),
    ("refused, the last good one stands", 2, Some(2), &[("Accepted", F), ("Ready", F), ("Stalled", T)], "Failed", "Degraded"),
    ("refused while paused", 2, Some(2), &[("Accepted", F), ("Ready", F), ("Paused", T), ("Stalled", T)], "Failed", "Degraded"),
    ("refused, runs of the last good one succeed", 2, Some(2), &[("Accepted", F), ("Ready", F), ("RunsSucceeding", T), ("Stalled", T)], "Failed", "Degraded"),
    ("halted by failures", 2, Some(2), &[("Accepted", T), ("Ready", F), ("RolloutCompleted", F), ("Stalled", T)], "Failed", "Degraded"),
    ("aborted", 2, Some(2), &[("Accepted", T), ("Ready", F), ("RolloutCompleted", F), ("Stalled", T)], "Failed", "Degraded"),
    ("rolled back", 2, Some(2), &[("Accepted", T), ("Ready", F), ("RolloutCompleted", F), ("RunsSucceeding", T), ("Stalled", T)], "Failed", "Degraded"),
    ("clusters fail, nothing rolls", 1, Some(1), &[("Accepted", T), ("Ready", F), ("RolloutCompleted", T), ("Stalled", T)], "Failed", "Degraded"),
    ("held", 1, Some(1), &[("Accepted", T), ("Ready", F), ("RolloutCompleted", T), ("Reconciling", T)], "InProgress", "Progressing"),
    ("no cluster is selected", 1, Some(1), &[("Accepted", T), ("Ready", T), ("RolloutCompleted", T), ("RunsSucceeding", U)], "Current", "Healthy"),
    ("clusters away within the budget", 4, Some(4), &[("Accepted", T), ("Ready", T), ("RolloutCompleted", T)], "Current", "Healthy"),
    ("ready of a later generation", 41, Some(41), &[("Accepted", T), ("Ready", T)], "Current", "Healthy"),
    ("only Ready False", 1, Some(1), &[("Ready", F)], "InProgress", "Progressing"),
    ("only Ready Unknown", 1, Some(1), &[("Ready", U)], "InProgress", "Progressing"),
    ("observed, no condition", 1, Some(1), &[], "Current", "Progressing"),
    ("Stalled False is as good as absent", 1, Some(1), &[("Ready", T), ("Stalled", F), ("Reconciling", F)], "Current", "Healthy"),
    ("no status at all, as before our schema", 1, None, &[], "Current", "Progressing"),
];

fn object(row: &Row) -> Value {
    let (_, generation, observed, conditions, ..) = row;
    let mut object = json!({
        "apiVersion": "segment.grnry.io/v1alpha1",
        "kind": "Segment",
        "metadata": {"name": "visits", "namespace": "granary", "generation": generation},
        "spec": {"cronjob": {"schedule": "0 3 * * *"}},
    });
    if let Some(observed) = observed {
        let conditions: Vec<Value> = conditions
            .iter()
            .map(|(kind, status)| {
                json!({
                    "type": kind, "status": status, "reason": "AsTheTableSays", "message": format!("{kind} is {status}"),
                    "observedGeneration": observed, "lastTransitionTime": "2026-11-25T03:00:00Z",
                })
            })
            .collect();
        object["status"] = json!({"observedGeneration": observed, "conditions": conditions});
    }
    object
}

/// What both say of these objects.
async fn judged(objects: &[Value]) -> Result<Vec<Value>> {
    let script = paths::root().join("deploy/argocd/segment-health.lua");
    let script = script.to_str().context("a path")?;
    let lines: Vec<String> = objects.iter().map(Value::to_string).collect();
    let printed = Tool::control_plane()?
        .run_with(&["oracle", "--lua", script], &lines.join("\n"))
        .await?
        .ok()?;
    printed
        .lines()
        .map(|line| serde_json::from_str(line).context("an answer"))
        .collect()
}

#[test]
fn kstatus_and_argo_cd_read_a_status_as_it_is_meant() -> Result<()> {
    run(async {
        let mut objects: Vec<Value> = ROWS.iter().map(object).collect();
        let mut suspended = object(&ROWS[7]);
        suspended["spec"]["cronjob"]["suspend"] = json!(true);
        objects.push(suspended);
        let mut deleted = object(&ROWS[7]);
        deleted["metadata"]["deletionTimestamp"] = json!("2026-11-25T03:00:00Z");
        objects.push(deleted);
        let answers = judged(&objects).await?;
        ensure!(ROWS.len() >= 30 && answers.len() == objects.len());
        let more = [
            ("suspended by its own spec", "Current", "Suspended"),
            ("being deleted", "Terminating", "Progressing"),
        ];
        let wanted = ROWS
            .iter()
            .map(|(what, .., kstatus, argo)| (*what, *kstatus, *argo))
            .chain(more);
        let wrong: Vec<String> = wanted
            .zip(&answers)
            .filter(|((_, kstatus, argo), answer)| {
                answer["kstatus"] != **kstatus || answer["argo"] != **argo
            })
            .map(|((what, kstatus, argo), answer)| {
                format!("{what}: {kstatus}, {argo} wanted: {answer}")
            })
            .collect();
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        ensure!(
            answers[10]["argoMessage"] == "RunsSucceeding is False",
            "the words are the condition's: {}",
            answers[10]
        );
        Ok(())
    })
}
