//! `segment-agent`: makes one cluster's CronJobs what the hub ordered, and says what happened.

use clap::Parser;
use segment_agent::args::Args;

fn main() -> anyhow::Result<()> {
    segment_agent::run::main(Args::parse())
}
