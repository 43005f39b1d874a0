//! The arguments of `run` and `logs`.

use super::{Listing, duration, label};
use clap::Args as ClapArgs;
use std::time::Duration;

/// `run`.
#[derive(Debug, ClapArgs)]
pub(crate) struct RunArgs {
    /// namespace/name of a Segment, or name with -n
    pub(crate) segment: String,
    /// Only clusters with these labels [default: all that the Segment is on]
    #[arg(
        short = 'l',
        long,
        value_name = "LABELS",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) clusters: String,
    /// Only this cluster; may be given often
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Vec<String>,
    /// Clusters that run at the same time
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_parallel: u32,
    /// A cluster that can't start within this time does not run: one that is away does not run tomorrow
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub(crate) start_within: Duration,
    /// Longest that one run may take [default: as the Segment says]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) deadline: Option<Duration>,
    /// A variable of these runs alone: one that the script knows, or one of spec.extraEnv; may be given often
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    pub(crate) env: Vec<(String, String)>,
    /// Wait until every run has ended [default: on a terminal]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) wait: Option<bool>,
    /// How long to wait; 0 is for ever
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// Id of this request: given again it attaches to the same runs and starts nothing [default: a new one]
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    pub(crate) request_id: String,
    /// Why, for the audit line and the Event
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) reason: String,
    /// Only say what would run
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask, on a terminal, before more than one cluster runs
    #[arg(short, long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) listing: Listing,
}

/// `logs`.
#[derive(Debug, ClapArgs)]
pub(crate) struct LogsArgs {
    /// namespace/name of a Segment, or name with -n
    pub(crate) segment: String,
    /// Name of a Cluster
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: String,
    /// Id of a run that was ordered [default: the newest run by schedule]
    #[arg(long, value_name = "ID")]
    pub(crate) run: Option<String>,
    /// Go on showing what is written
    #[arg(short, long)]
    pub(crate) follow: bool,
}
