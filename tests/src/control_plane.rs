//! Kubernetes control planes: etcd, API server, controllers.
//!
//! In: a folder. Out: a running control plane, clients and kubeconfigs for it, its audit log.
//! Law: a second start has the same ports, keys and data. Not: what is installed in it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde::Deserialize;

use crate::audit::AuditLog;
use crate::tools::Tool;
use crate::{paths, wait};

/// A control plane.
#[derive(Debug)]
pub struct ControlPlane {
    name: String,
    ready: Ready,
    running: Mutex<Option<(Child, ChildStdin)>>,
}

/// The line that the program prints when it is ready.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ready {
    dir: PathBuf,
    server: String,
    kubeconfig: PathBuf,
    audit_log: PathBuf,
}

impl ControlPlane {
    /// Starts one; in a folder that has been one before it is the same again.
    pub async fn start(dir: &Path, name: &str) -> Result<Self> {
        let (ready, child) = launch(dir, name).await?;
        Ok(Self {
            name: name.to_owned(),
            ready,
            running: Mutex::new(Some(child)),
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.ready.dir
    }

    /// URL of its API server.
    pub fn server(&self) -> &str {
        &self.ready.server
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.ready.kubeconfig
    }

    /// Who did what.
    pub fn audit(&self) -> AuditLog {
        AuditLog::new(self.ready.audit_log.clone())
    }

    /// kubectl as the administrator.
    pub fn kubectl(&self) -> Result<Tool> {
        Tool::kubectl(self.kubeconfig())
    }

    /// A client of the administrator.
    pub async fn client(&self) -> Result<kube::Client> {
        client(self.kubeconfig()).await
    }

    /// Stops it and waits until it is gone. Its data stays.
    pub async fn stop(&self) -> Result<()> {
        let (mut child, pipe) = self
            .take()
            .with_context(|| format!("{} does not run", self.name))?;
        drop(pipe);
        wait::until(
            &format!("control plane {} ends", self.name),
            Duration::from_mins(1),
            || {
                let ended = child.try_wait();
                async move {
                    ensure!(ended?.is_some(), "it runs");
                    Ok(())
                }
            },
        )
        .await
    }

    /// Starts it again.
    pub async fn start_again(&self) -> Result<()> {
        ensure!(
            self.running
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .is_none(),
            "{} runs",
            self.name
        );
        let (_, child) = launch(&self.ready.dir, &self.name).await?;
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        Ok(())
    }

    /// Copies all objects to a new folder; only while it is stopped.
    pub async fn copy(&self, to: &Path) -> Result<()> {
        let (dir, to) = (
            self.ready.dir.display().to_string(),
            to.display().to_string(),
        );
        Tool::control_plane()?
            .run(&["copy", "--from", &dir, "--to", &to])
            .await?
            .ok()
            .map(drop)
    }

    /// Puts a copy back; only while it is stopped.
    pub async fn restore(&self, from: &Path) -> Result<()> {
        restore(&self.ready.dir, from).await
    }

    /// Sends a signal to its API server: `STOP` and `CONT` make it hang and wake.
    pub fn signal_api_server(&self, signal: &str) -> Result<()> {
        let pid = std::fs::read_to_string(self.ready.dir.join("kube-apiserver.pid"))?;
        let status = Command::new("kill")
            .args([format!("-{signal}"), pid.trim().to_owned()])
            .status()?;
        ensure!(status.success(), "no {signal} for pid {pid}");
        Ok(())
    }

    /// A kubeconfig for any user; `server` is a proxy's URL, or the API server's own.
    pub async fn kubeconfig_for(
        &self,
        user: &str,
        groups: &[&str],
        server: Option<&str>,
    ) -> Result<PathBuf> {
        let file: String = user
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || c == '-' {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        let out = self.ready.dir.join(format!("{file}.kubeconfig"));
        let (dir, text) = (
            self.ready.dir.display().to_string(),
            out.display().to_string(),
        );
        let mut arguments = vec!["kubeconfig", "--dir", &dir, "--user", user, "--out", &text];
        for group in groups {
            arguments.extend(["--group", group]);
        }
        if let Some(server) = server {
            arguments.extend(["--server", server]);
        }
        Tool::control_plane()?.run(&arguments).await?.ok()?;
        Ok(out)
    }

    /// The kubeconfig that a Pod of a service account would have.
    pub async fn service_account(&self, namespace: &str, name: &str) -> Result<PathBuf> {
        let user = format!("system:serviceaccount:{namespace}:{name}");
        let group = format!("system:serviceaccounts:{namespace}");
        self.kubeconfig_for(&user, &["system:serviceaccounts", &group], None)
            .await
    }

    /// A kubeconfig with a bearer token of a service account: what passes a proxy that ends TLS, where a client
    /// certificate would not. The proxy's own certificate authority is trusted.
    pub async fn token_kubeconfig(
        &self,
        namespace: &str,
        name: &str,
        server: &str,
        ca_pem: &str,
    ) -> Result<PathBuf> {
        use base64::Engine as _;
        let token = self.token(namespace, name, None).await?;
        let ca = base64::engine::general_purpose::STANDARD.encode(ca_pem);
        let kubeconfig = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "proxied",
            "clusters": [{"name": "proxied", "cluster": {"server": server, "certificate-authority-data": ca}}],
            "users": [{"name": "proxied", "user": {"token": token}}],
            "contexts": [{"name": "proxied", "context": {"cluster": "proxied", "user": "proxied"}}],
        });
        let out = self
            .ready
            .dir
            .join(format!("{namespace}_{name}_token.kubeconfig"));
        std::fs::write(&out, serde_json::to_vec_pretty(&kubeconfig)?)?;
        Ok(out)
    }

    /// A bearer token of a service account, by the `TokenRequest` API.
    pub async fn token(
        &self,
        namespace: &str,
        name: &str,
        audience: Option<&str>,
    ) -> Result<String> {
        let mut arguments = vec!["create", "token", name, "--namespace", namespace];
        if let Some(audience) = audience {
            arguments.extend(["--audience", audience]);
        }
        Ok(self
            .kubectl()?
            .run(&arguments)
            .await?
            .ok()?
            .trim()
            .to_owned())
    }

    fn take(&self) -> Option<(Child, ChildStdin)> {
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        if let Some((mut child, pipe)) = self.take() {
            drop(pipe);
            let _ = child.wait();
        }
        // The audit log is kept for the judge; the data is 60 MB and told all that it had to.
        if self.name.starts_with("own-") {
            let _ = std::fs::remove_dir_all(self.ready.dir.join("etcd"));
        }
    }
}

/// Puts a copy into a folder; one that is no control plane yet becomes a clone with ports and keys of its own.
pub async fn restore(dir: &Path, from: &Path) -> Result<()> {
    let (dir, from) = (dir.display().to_string(), from.display().to_string());
    Tool::control_plane()?
        .run(&["restore", "--dir", &dir, "--from", &from])
        .await?
        .ok()
        .map(drop)
}

/// A client for a kubeconfig.
pub async fn client(kubeconfig: &Path) -> Result<kube::Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let mut config =
        kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.read_timeout = None;
    Ok(kube::Client::try_from(config)?)
}

async fn launch(dir: &Path, name: &str) -> Result<(Ready, (Child, ChildStdin))> {
    std::fs::create_dir_all(dir)?;
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(dir.join("controlplane.log"))?;
    let mut command = Command::new(paths::tool("controlplane")?);
    command
        .args(["start", "--until-stdin-ends", "--name", name, "--dir"])
        .arg(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log);
    let log = dir.join("controlplane.log");
    let name = name.to_owned();
    tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().context("start the control plane")?;
        let pipe = child.stdin.take().context("a pipe")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("a pipe")?).read_line(&mut line)?;
        let Ok(ready) = serde_json::from_str(&line) else {
            let _ = child.wait();
            bail!(
                "control plane {name} did not start:\n{}",
                std::fs::read_to_string(&log).unwrap_or_default()
            );
        };
        Ok((ready, (child, pipe)))
    })
    .await?
}
