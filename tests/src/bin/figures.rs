//! `cargo figures NAME`: figures, each beside the limit of the same run.
//!
//! In: the name of a figure. Out: a table on stdout, the raw samples in `target/figures`.
//! Law: ours and the floor are interleaved, the first round is thrown away, and the spread of the floor against itself
//! stands beside every ratio. Not: verdicts that fail a build; the machine is shared.

use anyhow::{Result, bail};
use clap::Parser;

/// Figures, each beside the limit of the same run.
#[derive(Debug, Parser)]
struct Args {
    /// Which: latency, lint
    figure: String,
    /// Rounds that count; one more is thrown away
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Samples of each kind in a round
    #[arg(long, default_value_t = 200)]
    samples: usize,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    match args.figure.as_str() {
        "latency" => segment_tests::figures::latency::run(args.rounds, args.samples).await,
        "lint" => segment_tests::figures::lint::run(args.rounds),
        other => bail!("no figure is called {other}; there are: latency, lint"),
    }
}
