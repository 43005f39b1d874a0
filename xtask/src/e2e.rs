//! Every test of the workspace.
//!
//! In: nothing, or a part of a test's path. Out: the test runner's own lines, the last of them the judge's.
//! Law: one build for all tests and for the programs that they start; the judge of rights runs last, over what every
//! end-to-end test left in the audit logs.
//! Not: what the tests promise.

use anyhow::{Context as _, Result};

use crate::{build, program, tools};

/// End-to-end tests that run at the same time: most of their time is waiting for a minute to come, and each has at most
/// one control plane of its own (490 MB).
pub(crate) const THREADS: usize = 8;

/// The judge of rights: tests that read the audit logs of all others. Without the variable below they say so and pass.
const JUDGE: &str = "rights::judge";

/// Tells the judge that all others have run.
const JUDGE_VARIABLE: &str = "SEGMENT_E2E_JUDGE";

/// Tells the end-to-end tests where to leave logs and data, and the judge where to find them.
const DIR_VARIABLE: &str = "SEGMENT_E2E_DIR";

/// Runs all tests, or those whose path contains `name`.
///
/// # Errors
/// When something does not build or a test fails.
pub(crate) fn run(name: Option<&str>, threads: usize) -> Result<()> {
    tools::build()?;
    // All targets in one go, with the same selection as the test runs below: nothing is compiled twice, and hub, agent
    // and segctl are there for the tests that start them.
    program::step("hub, agent, segctl and every test (Rust)");
    program::finish(program::cargo().args(["build", "--workspace", "--all-targets"]))?;

    let dir = build::target().join("e2e");
    if dir.exists() {
        std::fs::remove_dir_all(&dir).with_context(|| format!("remove {}", dir.display()))?;
    }

    let filter: Vec<&str> = name.into_iter().collect();
    let mut failed = Vec::new();
    let mut phase = |title: &str, select: &[&str], runner: &[&str], judge: bool| {
        program::step(title);
        let mut command = program::cargo();
        command
            .args(["test", "--workspace", "--no-fail-fast"])
            .args(select)
            .arg("--")
            .args(runner);
        command.env(DIR_VARIABLE, &dir);
        if judge {
            command.env(JUDGE_VARIABLE, "1");
        }
        if let Err(error) = program::finish(&mut command) {
            eprintln!("{error:#}");
            failed.push(title.to_owned());
        }
    };

    // Every integration test but `e2e`: no other one's name begins with these letters.
    let others = ["--lib", "--bins", "--test", "[!e]*"];
    phase("unit and integration tests", &others, &filter, false);
    if name.is_none() {
        phase("examples in the documentation", &["--doc"], &[], false);
    }

    let threads = format!("--test-threads={threads}");
    let mut runner = vec![threads.as_str(), "--skip", JUDGE];
    runner.extend(&filter);
    phase(
        "end to end: real control planes, real processes",
        &["--test", "e2e"],
        &runner,
        false,
    );

    if name.is_none() {
        phase(
            "the judge of rights, over all audit logs of this run",
            &["--test", "e2e"],
            &[JUDGE, "--nocapture"],
            true,
        );
    } else {
        eprintln!(
            "\nThe judge of rights did not run: it needs the audit logs of every end-to-end test (`cargo e2e`)."
        );
    }
    eprintln!("\nLogs of all processes and API servers: {}", dir.display());
    if failed.is_empty() {
        return Ok(());
    }
    anyhow::bail!("failed: {}", failed.join("; "))
}
