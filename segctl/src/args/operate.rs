//! Arguments of commands that operate rollouts and schedules.

use super::{Document, Listing, duration};
use clap::{Args as ClapArgs, Subcommand};
use std::time::Duration;

/// `rollout`.
#[derive(Debug, Subcommand)]
pub(crate) enum RolloutCommand {
    /// How a rollout stands; waits until it is complete, as kubectl rollout status does
    ///
    /// Exit code 0 once every cluster that can be reached has it, 1 where it was halted, aborted or overtaken by another
    /// revision, 5 where it takes longer than --timeout.
    Status(RolloutStatusArgs),
    /// Wave by wave, as it changes, until it is complete or halted
    Watch(RolloutWatchArgs),
    /// The revisions that are stored, with authors and reasons
    History(RolloutHistoryArgs),
    /// Nothing new goes out; what runs goes on
    Pause(OperateArgs),
    /// Let a paused rollout go on
    Resume(OperateArgs),
    /// Let a wave go on that waits for an approval
    Approve(ApproveArgs),
    /// End a rollout: clusters keep what they have
    Abort(OperateArgs),
    /// Try again what failed, and go on
    Retry(OperateArgs),
    /// Let an earlier revision go out again, at once and without waves; the Segment itself is not changed
    ///
    /// It lasts until the Segment is changed. Without --to: the last revision that went out to everyone.
    Undo(UndoArgs),
}

/// Which rollout, and why.
#[derive(Debug, ClapArgs)]
pub(crate) struct OperateArgs {
    /// namespace/name of a Segment, or name with -n
    pub(crate) segment: String,
    /// Why: goes to the Event on the Segment and to the hub's audit line
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) reason: String,
    /// Only check whether it could be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    pub(crate) output: Document,
}

/// `rollout approve`.
#[derive(Debug, ClapArgs)]
pub(crate) struct ApproveArgs {
    #[command(flatten)]
    pub(crate) operate: OperateArgs,
    /// The wave [default: the one that waits]
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) wave: String,
}

/// `rollout undo`.
#[derive(Debug, ClapArgs)]
pub(crate) struct UndoArgs {
    #[command(flatten)]
    pub(crate) operate: OperateArgs,
    /// The revision, or its first digits (rollout history lists them)
    #[arg(
        long,
        value_name = "REVISION",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) to: String,
}

/// `rollout status`.
#[derive(Debug, ClapArgs)]
pub(crate) struct RolloutStatusArgs {
    /// namespace/name of a Segment, or name with -n
    pub(crate) segment: String,
    /// Say how it stands, and do not wait
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Wait at most this long; 0 is for ever
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// Fail when another revision than this goes out
    #[arg(
        long,
        value_name = "REVISION",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) revision: String,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    pub(crate) output: Document,
}

/// `rollout watch`.
#[derive(Debug, ClapArgs)]
pub(crate) struct RolloutWatchArgs {
    /// namespace/name of a Segment, or name with -n
    pub(crate) segment: String,
}

/// `rollout history`.
#[derive(Debug, ClapArgs)]
pub(crate) struct RolloutHistoryArgs {
    /// namespace/name of a Segment, or name with -n
    pub(crate) segment: String,
    #[command(flatten)]
    pub(crate) listing: Listing,
}

/// `hold` and `release`.
#[derive(Debug, ClapArgs)]
pub(crate) struct HoldArgs {
    /// namespace/name of a Segment, or name with -n
    #[arg(conflicts_with_all = ["selector", "all"])]
    pub(crate) segment: Option<String>,
    /// Segments with these labels
    #[arg(
        short = 'l',
        long,
        value_name = "LABELS",
        default_value = "",
        hide_default_value = true,
        conflicts_with = "all"
    )]
    pub(crate) selector: String,
    /// All Segments that you may hold (of the namespace, where one is named)
    #[arg(long)]
    pub(crate) all: bool,
    /// Why: goes to the Event on the Segment and to the hub's audit line
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) reason: String,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// How long clusters are waited for; 0 does not wait
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = duration)]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    pub(crate) listing: Listing,
}

/// `hold`.
#[derive(Debug, ClapArgs)]
pub(crate) struct HoldUntilArgs {
    #[command(flatten)]
    pub(crate) hold: HoldArgs,
    /// Until then: an RFC 3339 time, or a duration from now such as 4h [default: until released]
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
}
