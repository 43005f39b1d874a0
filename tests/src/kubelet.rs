//! The stand-in for a kubelet. Named as such: it only writes Pod statuses.
//!
//! In: Pods that Jobs made. Out: their statuses, as a node would report them. Law: nothing but `pods/status` is written;
//! all else (Job counts, CronJob status, history) is done by Kubernetes' own controllers.
//! Not: running anything.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Result;
use kube::Client;
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use crate::handle;
use crate::objects::{Objects, name};

/// How a Pod's run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Exit code 0.
    Succeeds,
    /// This exit code.
    Fails(i32),
    /// It starts and goes on.
    Runs,
}

/// Decides how all Pods of a namespace end, and tells which did.
pub async fn decide(
    client: &Client,
    namespace: &str,
    labels: &str,
    ending: Ending,
) -> Result<Vec<String>> {
    let pods = Objects::pods(client, namespace);
    let mut done = Vec::new();
    for pod in pods.list(labels).await? {
        let phase = pod["status"]["phase"].as_str().unwrap_or("Pending");
        if matches!(phase, "Succeeded" | "Failed") || (ending == Ending::Runs && phase == "Running")
        {
            continue;
        }
        pods.patch_status(name(&pod), &status(&pod, ending)).await?;
        done.push(name(&pod).to_owned());
    }
    Ok(done)
}

/// Plays kubelet in a namespace until it is dropped: every Pod ends the same way.
#[derive(Debug)]
pub struct Kubelet {
    _task: AbortOnDropHandle<()>,
}

impl Kubelet {
    /// Starts.
    pub fn start(client: Client, namespace: &str, ending: Ending) -> Self {
        let namespace = namespace.to_owned();
        let task = handle().spawn(async move {
            let mut complained = HashSet::new();
            loop {
                // A Pod that went in between, an API server that is away: the next look tells.
                if let Err(error) = decide(&client, &namespace, "", ending).await {
                    complained.insert(error.to_string());
                }
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        });
        Self {
            _task: AbortOnDropHandle::new(task),
        }
    }
}

fn status(pod: &Value, ending: Ending) -> Value {
    let now = jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
    let (phase, state) = match ending {
        Ending::Runs => ("Running", json!({"running": {"startedAt": now}})),
        Ending::Succeeds => ("Succeeded", terminated(&now, 0)),
        Ending::Fails(code) => ("Failed", terminated(&now, code)),
    };
    let containers = pod["spec"]["containers"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let statuses: Vec<Value> = containers
        .iter()
        .map(|container| {
            json!({
                "name": container["name"], "image": container["image"], "imageID": "", "ready": false,
                "restartCount": 0, "started": ending == Ending::Runs, "state": state,
            })
        })
        .collect();
    json!({"status": {"phase": phase, "startTime": now, "containerStatuses": statuses}})
}

fn terminated(now: &str, code: i32) -> Value {
    let reason = if code == 0 { "Completed" } else { "Error" };
    json!({"terminated": {"exitCode": code, "reason": reason, "startedAt": now, "finishedAt": now}})
}
