//! What `cargo demo`, `cargo e2e` and `cargo figures` run.
//!
//! In: a command. Out: programs started in order, their output passed through; the exit status is theirs.
//! Law: everything that a command needs is built by it, so that a fresh clone needs Rust and Go and nothing else.
//! Not: the demo, the tests and the figures themselves (`tests/`).

#![allow(
    clippy::print_stderr,
    reason = "this program talks to the person at the terminal"
)]

mod build;
mod e2e;
mod program;
mod tools;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Commands of the project.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show a hub and three spokes at work: real Kubernetes control planes on this machine, without containers
    Demo {
        /// End after the table instead of staying up until Ctrl-C
        #[arg(long)]
        exit: bool,
    },
    /// Run every test of the workspace: unit, integration and, over real control planes, end to end
    E2e {
        /// Only tests whose path contains this, such as `agent_alone`
        name: Option<String>,
        /// Tests that run at the same time
        #[arg(long, default_value_t = e2e::THREADS)]
        threads: usize,
    },
    /// Measure, beside a floor in the same run
    Figures {
        /// What
        #[arg(value_parser = ["latency", "lint"])]
        figure: String,
        /// Rounds that count; one more is thrown away
        #[arg(long)]
        rounds: Option<u32>,
        /// Samples of each kind in a round
        #[arg(long)]
        samples: Option<u32>,
    },
    /// Build kubectl, Helm, grpcurl and the control plane program
    Tools,
}

fn main() -> ExitCode {
    match run(Args::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Demo { exit } => {
            tools::build()?;
            build::binaries(build::Profile::Dev)?;
            program::step("starting the demo");
            let arguments: &[&str] = if exit { &["--exit"] } else { &[] };
            program::become_program(build::binary(build::Profile::Dev, "demo"), arguments)
        }
        Command::E2e { name, threads } => e2e::run(name.as_deref(), threads),
        Command::Figures {
            figure,
            rounds,
            samples,
        } => {
            if figure == "lint" {
                // Nothing is started for it.
                build::figures()?;
            } else {
                tools::build()?;
                build::binaries(build::Profile::Release)?;
            }
            program::step("measuring");
            let counts = [("--rounds", rounds), ("--samples", samples)];
            let counts = counts.map(|(flag, count)| count.map(|count| format!("{flag}={count}")));
            let mut arguments = vec![figure.as_str()];
            arguments.extend(counts.iter().flatten().map(String::as_str));
            program::become_program(
                build::binary(build::Profile::Release, "figures"),
                &arguments,
            )
        }
        Command::Tools => tools::build(),
    }
}
