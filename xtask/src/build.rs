//! The project's own programs.
//!
//! In: a profile. Out: hub, agent, segctl, demo and figures in the target folder. Law: one build for all of them.
//! Not: tests (`e2e.rs`), which build with their own features.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::program;

/// How programs are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Fast to build.
    Dev,
    /// Fast to run.
    Release,
}

/// Builds every program of the workspace.
///
/// # Errors
/// When a build fails.
pub(crate) fn binaries(profile: Profile) -> Result<()> {
    program::step("hub, agent, segctl (Rust)");
    let mut command = program::cargo();
    command.args(["build", "--workspace", "--bins", "--exclude", "xtask"]);
    if profile == Profile::Release {
        command.arg("--release");
    }
    program::finish(&mut command)
}

/// Builds the program that measures, and nothing that it would start.
///
/// # Errors
/// When the build fails.
pub(crate) fn figures() -> Result<()> {
    program::step("figures (Rust)");
    let mut command = program::cargo();
    command.args([
        "build",
        "--release",
        "--package",
        "segment-tests",
        "--bin",
        "figures",
    ]);
    program::finish(&mut command)
}

/// Where a program is once it is built.
pub(crate) fn binary(profile: Profile, name: &str) -> PathBuf {
    let folder = match profile {
        Profile::Dev => "debug",
        Profile::Release => "release",
    };
    target().join(folder).join(name)
}

/// The target folder: what cargo says it is.
pub(crate) fn target() -> PathBuf {
    metadata_target().unwrap_or_else(|_| program::root().join("target"))
}

fn metadata_target() -> Result<PathBuf> {
    let mut cargo: Command = program::cargo();
    let output = cargo
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .output()?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let folder = metadata["target_directory"]
        .as_str()
        .context("cargo metadata names no target folder")?;
    Ok(PathBuf::from(folder))
}
