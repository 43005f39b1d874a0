//! The command lines that users have: kubectl, Helm, grpcurl, segctl.
//!
//! In: arguments. Out: what was printed, and the exit status. Law: no terminal, no configuration of the person who runs
//! the tests. Not: what the answers mean.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::paths;

/// What a program printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Printed {
    /// Exit status.
    pub status: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Printed {
    /// Standard output of a success.
    pub fn ok(self) -> Result<String> {
        if self.status == 0 {
            return Ok(self.out);
        }
        bail!("exit status {}: {}{}", self.status, self.out, self.err)
    }

    /// Standard output of a success, as JSON.
    pub fn json(self) -> Result<serde_json::Value> {
        let text = self.ok()?;
        serde_json::from_str(&text).with_context(|| format!("no JSON: {text}"))
    }
}

/// A program, its fixed arguments and environment.
#[derive(Clone, Debug)]
pub struct Tool {
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Tool {
    fn new(program: PathBuf) -> Self {
        Self {
            program,
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// kubectl with a kubeconfig.
    pub fn kubectl(kubeconfig: &Path) -> Result<Self> {
        Ok(Self::new(paths::tool("kubectl")?).env("KUBECONFIG", &kubeconfig.display().to_string()))
    }

    /// segctl with a kubeconfig.
    pub fn segctl(kubeconfig: &Path) -> Result<Self> {
        Ok(Self::new(paths::program("segctl")?)
            .env("KUBECONFIG", &kubeconfig.display().to_string()))
    }

    /// Helm.
    pub fn helm() -> Result<Self> {
        Ok(Self::new(paths::tool("helm")?))
    }

    /// grpcurl.
    pub fn grpcurl() -> Result<Self> {
        Ok(Self::new(paths::tool("grpcurl")?))
    }

    /// The control plane program.
    pub fn control_plane() -> Result<Self> {
        Ok(Self::new(paths::tool("controlplane")?))
    }

    /// With a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With arguments that stand before all others.
    #[must_use]
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// Runs it.
    pub async fn run(&self, arguments: &[&str]) -> Result<Printed> {
        self.run_with(arguments, "").await
    }

    /// Runs it with a text on its standard input.
    pub async fn run_with(&self, arguments: &[&str], input: &str) -> Result<Printed> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .args(arguments)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            // Helm and kubectl keep caches in the home folder: they share one in the target folder.
            .env("HOME", paths::target()?.join("e2e-home"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let program = self.program.clone();
        let input = input.to_owned();
        tokio::task::spawn_blocking(move || {
            let mut child = command
                .spawn()
                .with_context(|| format!("start {}", program.display()))?;
            let mut stdin = child.stdin.take().context("a pipe")?;
            // A program that reads nothing and fails closes the pipe: its own words tell why, not this error.
            let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
            let output = child.wait_with_output()?;
            let _ = writer.join();
            Ok(Printed {
                status: output.status.code().unwrap_or(-1),
                out: String::from_utf8_lossy(&output.stdout).into_owned(),
                err: String::from_utf8_lossy(&output.stderr).into_owned(),
            })
        })
        .await?
    }
}
