//! Installs what the charts render.
//!
//! In: a chart and its values. Out: objects on a control plane. Law: nothing is added to what Helm prints; what is
//! changed is said here: agents of several tests share a spoke, so the pair of Role and RoleBinding that the chart makes
//! in kube-system gets the agent's namespace into its name.
//! Not: Deployments: without a kubelet nothing runs them; the harness starts the same program with the same rights.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use serde_json::{Value, json};

use crate::control_plane::ControlPlane;
use crate::paths;
use crate::tools::Tool;

/// What a chart renders.
pub async fn render(chart: &str, namespace: &str, values: &Value) -> Result<Vec<Value>> {
    let folder = paths::chart(chart).display().to_string();
    let text = Tool::helm()?
        .run_with(
            &[
                "template",
                chart,
                &folder,
                "--namespace",
                namespace,
                "--values",
                "-",
            ],
            &values.to_string(),
        )
        .await?
        .ok()
        .with_context(|| format!("helm template {chart}"))?;
    let all: Vec<Value> =
        serde_saphyr::from_multiple(&text).with_context(|| format!("what {chart} renders"))?;
    Ok(all.into_iter().filter(|object| !object.is_null()).collect())
}

/// Applies objects as the administrator, as `kubectl apply --server-side` does.
pub async fn apply(plane: &ControlPlane, objects: &[Value]) -> Result<()> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    plane
        .kubectl()?
        .run_with(
            &[
                "apply",
                "--server-side",
                "--force-conflicts",
                "--field-manager=helm",
                "-f",
                "-",
            ],
            &list.to_string(),
        )
        .await?
        .ok()
        .map(drop)
}

/// Makes a namespace that may be there.
pub async fn namespace(plane: &ControlPlane, name: &str) -> Result<()> {
    apply(
        plane,
        &[json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})],
    )
    .await
}

/// The label that keeps a namespace's Segments from the webhook; its value is `off`.
pub const WEBHOOK_LABEL: &str = "webhook";

/// CRDs and hub. The webhook is asked at an address of this machine, for every namespace but those with
/// [`WEBHOOK_LABEL`]. Returns the folder of its certificate, which a kubelet would make of the Secret.
pub async fn hub(
    plane: &ControlPlane,
    namespace: &str,
    agents: &str,
    users: &str,
    webhook: &str,
) -> Result<PathBuf> {
    let crds = render("segment-crds", namespace, &json!({})).await?;
    apply(plane, &crds).await?;
    self::namespace(plane, namespace).await?;
    let asked = json!({"matchExpressions": [{"key": WEBHOOK_LABEL, "operator": "NotIn", "values": ["off"]}]});
    let values = json!({
        "hub": {"addresses": {"agents": agents, "users": users}},
        "webhook": {"url": format!("https://{webhook}/admission"), "namespaceSelector": asked},
    });
    let objects = render("segment-hub", namespace, &values).await?;
    let secret = objects
        .iter()
        .find(|object| object["kind"] == "Secret" && object["type"] == "kubernetes.io/tls")
        .context("the webhook's certificate")?;
    let folder = plane.dir().join("webhook-tls");
    mount(secret, &folder)?;
    apply(plane, &without_deployments(objects)).await?;
    Ok(folder)
}

/// Writes a Secret's keys as files, as the kubelet does: each is whole at any time.
pub fn mount(secret: &Value, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    for (key, value) in secret["data"].as_object().context("data")? {
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(value.as_str().context("base64")?)
            .context("base64")?;
        let new = folder.join(format!("..{key}"));
        std::fs::write(&new, bytes)?;
        std::fs::rename(new, folder.join(key))?;
    }
    Ok(())
}

/// The agent, in a namespace of its own.
pub async fn agent(plane: &ControlPlane, namespace: &str, hub: &str, policy: &Value) -> Result<()> {
    self::namespace(plane, namespace).await?;
    let values = json!({"hub": {"address": hub}, "policy": policy});
    let mut objects = without_deployments(render("segment-agent", namespace, &values).await?);
    for object in &mut objects {
        if object["metadata"]["namespace"] == "kube-system" {
            let name = format!(
                "{}-{namespace}",
                object["metadata"]["name"].as_str().unwrap_or_default()
            );
            object["metadata"]["name"] = json!(name);
            if object["kind"] == "RoleBinding" {
                object["roleRef"]["name"] = json!(name);
            }
        }
    }
    apply(plane, &objects).await
}

fn without_deployments(objects: Vec<Value>) -> Vec<Value> {
    objects
        .into_iter()
        .filter(|object| object["kind"] != "Deployment")
        .collect()
}
