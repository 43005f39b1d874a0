//! Arguments of `runs`.

use super::{Listing, duration};
use clap::{Args as ClapArgs, ValueEnum};
use std::time::Duration;

/// By what runs are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GroupBy {
    /// What went wrong, without what differs from place to place; runs that are well are left out
    Cause,
    /// Clusters
    Cluster,
    /// Segments
    Segment,
}

/// `runs`.
#[derive(Debug, Default, ClapArgs)]
pub(crate) struct RunsArgs {
    /// Only of this Segment: namespace/name, or name with -n
    pub(crate) segment: Option<String>,
    /// Only of Segments with these labels
    #[arg(
        short = 'l',
        long,
        value_name = "LABELS",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) selector: String,
    /// Only on this cluster
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) cluster: String,
    /// Only on clusters with these labels
    #[arg(
        long,
        value_name = "LABELS",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) clusters: String,
    /// Only runs that failed or are stuck; with --missed both kinds
    #[arg(long)]
    pub(crate) failed: bool,
    /// Only runs that were missed or skipped; with --failed both kinds
    #[arg(long)]
    pub(crate) missed: bool,
    /// Only runs that were due within this time: 24h, 90m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) since: Option<Duration>,
    /// What they have in common, instead of each run
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) group_by: Option<GroupBy>,
    /// Go on showing runs that are new or change
    #[arg(short, long, conflicts_with = "group_by")]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) listing: Listing,
}
