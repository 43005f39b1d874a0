//! Row (a): a Segment is patched on the hub → its CronJob's watch event on a spoke.
//!
//! The floor is a program of two tasks in this process: it watches the same kind on the hub and PUTs a CronJob of equal
//! body, with the resourceVersion of its last answer, as the agent does. What is left between the two is rendering, one
//! hop over gRPC, admission by the policy, and two more processes.
//!
//! In: rounds and samples. Out: p50 and p99 of both, the paired ratios, and the floor against itself.
//! Law: the clock starts before the patch is sent and stops at the watch event; a pause between samples, so that no
//! queue is measured.

#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "figures talk to the person at the terminal"
)]

use super::statistics::{percentile, spread};
use crate::fleet::Stage;
use crate::{paths, segments};
use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::runtime::{WatchStreamExt as _, watcher};
use rand::Rng as _;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Targets of row (a): ours over the floor.
const TARGET_P50: f64 = 1.05;
const TARGET_P99: f64 = 1.10;
/// A sample that takes longer is a failure of the run, not a figure.
const LIMIT: Duration = Duration::from_secs(30);
/// Namespace and stage.
const NAME: &str = "latency";
/// The variable that carries the sample's number; both bodies have it.
const VARIABLE: &str = "GENERIC_COLUMNS";

/// One sample each of floor, ours, and the floor again.
#[derive(Debug, Default, Clone, serde::Serialize)]
struct Round {
    floor: Vec<f64>,
    ours: Vec<f64>,
    floor_again: Vec<f64>,
}

/// Measures and prints.
///
/// # Errors
/// When the fleet does not come up, or a change does not arrive.
pub async fn run(rounds: usize, samples: usize) -> Result<()> {
    ensure!(
        rounds > 0 && samples > 0,
        "at least one round of one sample"
    );
    eprintln!("starting a hub, spokes and an agent (release builds) …");
    let stage = Stage::shared(NAME, &[("a", &[])]).await?;
    let mut ours = stage.segment("ours");
    ours["spec"]["env"]["SOURCE_WHERE_CLAUSE"] = json!(filler());
    stage.apply(&ours).await?;
    stage.ready("ours").await?;
    let mut floor = segments::segment(NAME, "floor", &json!({"matchLabels": {"stage": "nowhere"}}));
    floor["spec"]["env"]["SOURCE_WHERE_CLAUSE"] = json!(filler());
    stage.apply(&floor).await?;

    let agent = &stage.agents[0];
    let spoke = agent.client().clone();
    let hub = stage.hub.client().clone();
    let cron_jobs = dynamic(&spoke, "batch", "v1", "CronJob", "cronjobs");
    let segments = dynamic(&hub, "segment.grnry.io", "v1alpha1", "Segment", "segments");
    let body = agent.cron_jobs().get("ours").await?;
    let bytes = serde_json::to_vec(&body["spec"])?.len();
    let floor_program = tokio::task::JoinSet::new();
    let mut floor_program = floor_program;
    floor_program.spawn(floor_loop(segments.clone(), cron_jobs.clone(), body));
    let (seen, mut events) = mpsc::channel(1024);
    floor_program.spawn(watch_spoke(cron_jobs, seen));

    let mut all = Vec::new();
    let mut number = 0_u64;
    for round in 0..=rounds {
        let mut taken = Round::default();
        for _ in 0..samples {
            for kind in 0..3 {
                let name = if kind == 1 { "ours" } else { "floor" };
                number += 1;
                let took = tokio::select! {
                    took = sample(&segments, &mut events, name, number) => took?,
                    ended = floor_program.join_next() => anyhow::bail!("the floor program ended: {ended:?}"),
                };
                match kind {
                    0 => taken.floor.push(took),
                    1 => taken.ours.push(took),
                    _ => taken.floor_again.push(took),
                }
                let pause = rand::rng().random_range(25..60);
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
        }
        if round == 0 {
            eprintln!("warm-up round done");
        } else {
            eprintln!(
                "round {round}/{rounds}: floor p50 {:.1} ms, ours p50 {:.1} ms",
                percentile(&taken.floor, 0.5),
                percentile(&taken.ours, 0.5)
            );
            all.push(taken);
        }
    }
    report(&all, samples, bytes)
}

fn dynamic(
    client: &kube::Client,
    group: &str,
    version: &str,
    kind: &str,
    plural: &str,
) -> Api<DynamicObject> {
    let gvk = GroupVersionKind::gvk(group, version, kind);
    Api::namespaced_with(
        client.clone(),
        NAME,
        &ApiResource::from_gvk_with_plural(&gvk, plural),
    )
}

/// Makes the body about as large as that of a pivot with thirty variables.
fn filler() -> String {
    format!("profile_type = 'crm' and note <> '{}'", "x".repeat(700))
}

fn value(number: u64) -> String {
    format!("event_id,c{number}")
}

/// Patches one Segment and waits for its CronJob's event; milliseconds.
async fn sample(
    segments: &Api<DynamicObject>,
    events: &mut mpsc::Receiver<(String, String, Instant)>,
    name: &str,
    number: u64,
) -> Result<f64> {
    let wanted = value(number);
    let patch = json!({"spec": {"env": {VARIABLE: wanted}}});
    let start = Instant::now();
    segments
        .patch(name, &PatchParams::default(), &Patch::Merge(&patch))
        .await?;
    let arrived = tokio::time::timeout(LIMIT, async {
        while let Some((seen, value, at)) = events.recv().await {
            if seen == name && value == wanted {
                return Some(at);
            }
        }
        None
    })
    .await
    .with_context(|| {
        format!(
            "change {number} of {name} did not arrive within {} s",
            LIMIT.as_secs()
        )
    })?
    .context("the spoke's watch ended")?;
    Ok(arrived.duration_since(start).as_secs_f64() * 1000.0)
}

fn variable(object: &Value) -> Option<&str> {
    object["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["env"]
        .as_array()?
        .iter()
        .find(|variable| variable["name"] == VARIABLE)?["value"]
        .as_str()
}

/// Tells of every CronJob event on the spoke, with the time it came.
async fn watch_spoke(
    cron_jobs: Api<DynamicObject>,
    seen: mpsc::Sender<(String, String, Instant)>,
) -> Result<()> {
    let mut events =
        std::pin::pin!(watcher(cron_jobs, watcher::Config::default()).applied_objects());
    while let Some(object) = events.try_next().await? {
        let at = Instant::now();
        let object = serde_json::to_value(&object)?;
        let name = object["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if let Some(value) = variable(&object) {
            seen.send((name, value.to_owned(), at)).await?;
        }
    }
    Ok(())
}

/// The floor: the hub's watch → the same call that the agent makes.
async fn floor_loop(
    segments: Api<DynamicObject>,
    cron_jobs: Api<DynamicObject>,
    template: Value,
) -> Result<()> {
    let mut body = template;
    body["metadata"] = json!({
        "name": "floor", "namespace": NAME,
        "labels": body["metadata"]["labels"], "annotations": body["metadata"]["annotations"],
    });
    // Not one of the agent's own: it must leave it alone.
    body["metadata"]["labels"]["app.kubernetes.io/managed-by"] = json!("floor");
    body["status"] = json!({});
    let params = PostParams {
        field_manager: Some("floor".to_owned()),
        ..PostParams::default()
    };
    let mut live = cron_jobs
        .create(&params, &serde_json::from_value(body.clone())?)
        .await?;
    let config = watcher::Config::default().fields("metadata.name=floor");
    let mut events = std::pin::pin!(watcher(segments, config).applied_objects().boxed());
    while let Some(segment) = events.try_next().await? {
        let Some(wanted) = segment.data["spec"]["env"][VARIABLE].as_str() else {
            continue;
        };
        let mut next = serde_json::to_value(&live)?;
        if variable(&next) == Some(wanted) {
            continue;
        }
        let containers = &mut next["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"];
        let variables = containers[0]["env"].as_array_mut().context("variables")?;
        for one in variables.iter_mut().filter(|one| one["name"] == VARIABLE) {
            one["value"] = json!(wanted);
        }
        live = cron_jobs
            .replace("floor", &params, &serde_json::from_value(next)?)
            .await?;
    }
    Ok(())
}

#[allow(
    clippy::print_stdout,
    reason = "the figures are what this program prints"
)]
fn report(rounds: &[Round], samples: usize, bytes: usize) -> Result<()> {
    let folder = paths::target()?.join("figures");
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("latency.json");
    std::fs::write(&file, serde_json::to_vec_pretty(rounds)?)?;
    let ratios = |share: f64, ours: fn(&Round) -> &Vec<f64>| -> Vec<f64> {
        rounds
            .iter()
            .map(|round| percentile(ours(round), share) / percentile(&round.floor, share))
            .collect()
    };
    let together =
        |of: fn(&Round) -> &Vec<f64>| -> Vec<f64> { rounds.iter().flat_map(of).copied().collect() };
    let (floor, ours) = (
        together(|round| &round.floor),
        together(|round| &round.ours),
    );
    println!(
        "latency: Segment patched on the hub → CronJob's watch event on a spoke; {} rounds of {samples}, spec of {bytes} bytes",
        rounds.len()
    );
    println!(
        "{:<6}{:>12}{:>12}{:>26}{:>26}{:>10}  verdict",
        "", "floor ms", "ours ms", "ratio (min–max)", "floor/floor (min–max)", "target"
    );
    for (name, share, target) in [("p50", 0.5, TARGET_P50), ("p99", 0.99, TARGET_P99)] {
        let (median, least, greatest) = spread(&ratios(share, |round| &round.ours));
        let (same, same_least, same_greatest) = spread(&ratios(share, |round| &round.floor_again));
        println!(
            "{name:<6}{:>12.2}{:>12.2}{:>26}{:>26}{target:>10.2}  {}",
            percentile(&floor, share),
            percentile(&ours, share),
            format!("{median:.3} ({least:.3}–{greatest:.3})"),
            format!("{same:.3} ({same_least:.3}–{same_greatest:.3})"),
            if median <= target { "met" } else { "not met" }
        );
    }
    println!(
        "raw: {}",
        file.strip_prefix(paths::root()).unwrap_or(&file).display()
    );
    Ok(())
}
