//! Objects as JSON, by kind.
//!
//! In: a client. Out: what the API server has, untyped: a typed read would hide what our types do not know.
//! Law: one call, one request. Not: waiting.

use anyhow::{Context as _, Result};
use kube::Client;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::Value;

/// Objects of one kind, in one namespace or in none.
#[derive(Clone, Debug)]
pub struct Objects {
    api: Api<DynamicObject>,
    kind: (&'static str, &'static str),
}

impl Objects {
    fn new(
        client: &Client,
        namespace: Option<&str>,
        api: (&str, &str),
        kind: (&'static str, &'static str),
    ) -> Self {
        let gvk = GroupVersionKind::gvk(api.0, api.1, kind.0);
        let resource = ApiResource::from_gvk_with_plural(&gvk, kind.1);
        let api = match namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        Self { api, kind }
    }

    /// Segments.
    pub fn segments(client: &Client, namespace: &str) -> Self {
        Self::new(
            client,
            Some(namespace),
            ("segment.grnry.io", "v1alpha1"),
            ("Segment", "segments"),
        )
    }

    /// Clusters.
    pub fn clusters(client: &Client) -> Self {
        Self::new(
            client,
            None,
            ("segment.grnry.io", "v1alpha1"),
            ("Cluster", "clusters"),
        )
    }

    /// CronJobs.
    pub fn cron_jobs(client: &Client, namespace: &str) -> Self {
        Self::new(
            client,
            Some(namespace),
            ("batch", "v1"),
            ("CronJob", "cronjobs"),
        )
    }

    /// Jobs.
    pub fn jobs(client: &Client, namespace: &str) -> Self {
        Self::new(client, Some(namespace), ("batch", "v1"), ("Job", "jobs"))
    }

    /// Pods.
    pub fn pods(client: &Client, namespace: &str) -> Self {
        Self::new(client, Some(namespace), ("", "v1"), ("Pod", "pods"))
    }

    /// ConfigMaps.
    pub fn config_maps(client: &Client, namespace: &str) -> Self {
        Self::new(
            client,
            Some(namespace),
            ("", "v1"),
            ("ConfigMap", "configmaps"),
        )
    }

    /// Secrets.
    pub fn secrets(client: &Client, namespace: &str) -> Self {
        Self::new(client, Some(namespace), ("", "v1"), ("Secret", "secrets"))
    }

    /// `ControllerRevision`s.
    pub fn controller_revisions(client: &Client, namespace: &str) -> Self {
        Self::new(
            client,
            Some(namespace),
            ("apps", "v1"),
            ("ControllerRevision", "controllerrevisions"),
        )
    }

    /// Leases.
    pub fn leases(client: &Client, namespace: &str) -> Self {
        Self::new(
            client,
            Some(namespace),
            ("coordination.k8s.io", "v1"),
            ("Lease", "leases"),
        )
    }

    /// One, which must be there.
    pub async fn get(&self, name: &str) -> Result<Value> {
        self.find(name)
            .await?
            .with_context(|| format!("no {} {name}", self.kind.0))
    }

    /// One that may be there.
    pub async fn find(&self, name: &str) -> Result<Option<Value>> {
        let found = self
            .api
            .get_opt(name)
            .await
            .with_context(|| format!("get {} {name}", self.kind.0))?;
        Ok(found.map(serde_json::to_value).transpose()?)
    }

    /// All, or those with labels.
    pub async fn list(&self, labels: &str) -> Result<Vec<Value>> {
        let list = self.api.list(&ListParams::default().labels(labels)).await?;
        list.items
            .into_iter()
            .map(|item| Ok(serde_json::to_value(item)?))
            .collect()
    }

    /// Their names, sorted.
    pub async fn names(&self) -> Result<Vec<String>> {
        let mut names: Vec<String> = self
            .list("")
            .await?
            .iter()
            .map(|item| name(item).to_owned())
            .collect();
        names.sort();
        Ok(names)
    }

    /// Server-side apply, as a user's GitOps would.
    pub async fn apply(&self, object: &Value) -> Result<Value> {
        let name = name(object);
        let params = PatchParams::apply("platform-team").force();
        let applied = self
            .api
            .patch(name, &params, &Patch::Apply(object))
            .await
            .with_context(|| format!("apply {} {name}", self.kind.0))?;
        Ok(serde_json::to_value(applied)?)
    }

    /// A merge patch.
    pub async fn patch(&self, name: &str, patch: &Value) -> Result<Value> {
        let params = PatchParams {
            field_manager: Some("somebody".into()),
            ..PatchParams::default()
        };
        let patched = self
            .api
            .patch(name, &params, &Patch::Merge(patch))
            .await
            .with_context(|| format!("patch {} {name}", self.kind.0))?;
        Ok(serde_json::to_value(patched)?)
    }

    /// A strategic merge patch, as `kubectl patch` sends it: lists of named things merge.
    pub async fn strategic_patch(&self, name: &str, patch: &Value) -> Result<Value> {
        let params = PatchParams {
            field_manager: Some("kubectl-patch".into()),
            ..PatchParams::default()
        };
        let patched = self
            .api
            .patch(name, &params, &Patch::Strategic(patch))
            .await
            .with_context(|| format!("patch {} {name}", self.kind.0))?;
        Ok(serde_json::to_value(patched)?)
    }

    /// A merge patch of the status.
    pub async fn patch_status(&self, name: &str, patch: &Value) -> Result<()> {
        let params = PatchParams {
            field_manager: Some("kubelet".into()),
            ..PatchParams::default()
        };
        self.api
            .patch_status(name, &params, &Patch::Merge(patch))
            .await
            .with_context(|| format!("patch the status of {} {name}", self.kind.0))?;
        Ok(())
    }

    /// Deletes one, in the background.
    pub async fn delete(&self, name: &str) -> Result<()> {
        self.api
            .delete(name, &DeleteParams::background())
            .await
            .with_context(|| format!("delete {} {name}", self.kind.0))?;
        Ok(())
    }
}

/// An object's name.
pub fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// The condition of a type.
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"]
        .as_array()?
        .iter()
        .find(|condition| condition["type"] == kind)
}
