//! The arguments.
//!
//! In: what was typed. Out: values. Law: flags that kubectl has mean what they mean there. Not: what a command does.

mod operate;
mod run_now;
mod runs;

pub(crate) use operate::{
    ApproveArgs, HoldArgs, HoldUntilArgs, OperateArgs, RolloutCommand, RolloutHistoryArgs,
    RolloutStatusArgs, RolloutWatchArgs, UndoArgs,
};
pub(crate) use run_now::{LogsArgs, RunArgs};
pub(crate) use runs::{GroupBy, RunsArgs};

use crate::exit::EXIT_CODES;
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Watches, explains and operates a fleet of Segments.
///
/// Your kubeconfig is the login; the hub is found through ConfigMap kube-public/segment-hub. What runs where is changed
/// with kubectl and GitOps, not here.
#[derive(Debug, Parser)]
#[command(name = "segctl", version, after_help = EXIT_CODES, arg_required_else_help = true, max_term_width = 120)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command.
#[derive(Clone, Debug, Default, ClapArgs)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Globals {
    /// Path of the kubeconfig [default: $KUBECONFIG, then ~/.kube/config]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// Namespace of Segments [default: the context's, if it names one, else all]
    #[arg(short, long, global = true, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// All namespaces
    #[arg(short = 'A', long, global = true, conflicts_with = "namespace")]
    pub(crate) all_namespaces: bool,
    /// How long a call may take: 30s, 2m; 0 is for ever
    #[arg(long, global = true, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub(crate) request_timeout: Duration,
    /// Host and port of the hub [default: that of ConfigMap kube-public/segment-hub]
    #[arg(long, global = true, value_name = "HOST:PORT", env = "SEGCTL_HUB")]
    pub(crate) hub: Option<String>,
    /// File with the hub's root certificates [default: those of ConfigMap kube-public/segment-hub]
    #[arg(long, global = true, value_name = "FILE", env = "SEGCTL_HUB_CA")]
    pub(crate) hub_ca: Option<PathBuf>,
    /// Print the grpcurl line that does the same, to stderr
    #[arg(long, global = true)]
    pub(crate) show_rpc: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Segments by their clusters' states; with a name, what is wrong with it and where
    ///
    /// With a name, the exit code is 1 while the Segment is not ready.
    Status(StatusArgs),
    /// List segments, clusters, assignments or runs as kubectl does
    Get(GetArgs),
    /// Everything that is known of a segment or a cluster
    Describe(DescribeArgs),
    /// Why a Segment is, or is not, on a cluster: one reason
    Why(WhyArgs),
    /// What every run came to: also those whose Jobs are gone, and those that never began
    ///
    /// Succeeded, Failed, Running; Stuck: its Pod can't start; Missed: it was due, and nobody started it; Skipped: left out
    /// for a reason that somebody chose (a hold, concurrencyPolicy Forbid, an ordered run); Unknown: nobody was watching.
    /// The hub knows the newest 8 of each Segment on each cluster, the newest first. The exit code is 0 whatever is found.
    ///
    ///   segctl runs --failed --since 24h --group-by cause     what went wrong last night, worst first
    ///   segctl runs visits -n granary --missed                which runs did not begin, and why
    ///   segctl runs --clusters env=prod --failed -w           goes on showing
    #[command(verbatim_doc_comment)]
    Runs(RunsArgs),
    /// What is wrong with Segments in files: schema, grammar, schedules, SQL; needs no hub
    ///
    /// Exit code 1 with errors, 2 where a file can't be read.
    Lint(LintArgs),
    /// Make Segments of what you have: API JSON, Helm values, CronJobs in files or in clusters
    ///
    /// The Segments go to stdout, ready for kubectl apply; what was filled in, changed or left out goes to stderr. Nothing
    /// is written to any cluster.
    ///
    ///   segctl import values.yaml --name visits -n granary > visits.yaml
    ///   segctl import --from-cluster eu-1 --from-cluster us-1 -n granary > granary.yaml
    ///
    /// CronJobs of the same namespace and name in several clusters become one Segment: what most clusters have, with
    /// overrides for the others. Applied on the hub, it takes over the CronJobs in place where they are the same.
    ///
    /// Exit code 1 where a Segment has lint errors, 2 where something can't be read, 4 where no cluster has such a CronJob.
    #[command(verbatim_doc_comment)]
    Import(ImportArgs),
    /// Write Segments as API JSON, Helm values, or clean YAML
    ///
    /// What the form can't carry is said on stderr.
    Export(ExportArgs),
    /// What changes would do on every cluster: who joins and leaves, diffs, runs that start at once, agents' verdicts
    ///
    /// Nothing is written, here or on the hub. Exit code 0 without changes, 1 with changes, 2 where a Segment would be
    /// refused.
    ///
    ///   segctl plan -f segments/
    ///   kustomize build . | segctl plan -f -
    #[command(verbatim_doc_comment)]
    Plan(PlanArgs),
    /// The CronJobs that would change, as a diff: once for each kind of change, however many clusters have it
    ///
    /// As plan, with the same exit codes; nothing is written.
    Diff(PlanArgs),
    /// When runs will start, with H, time zones and changes of clocks; the fullest minutes
    Forecast(ForecastArgs),
    /// The CronJob of a Segment on a cluster: of the hub, or with -f of files, offline
    ///
    /// Exit code 1 where it can't be rendered there. Offline, the hub's id and the Segment's uid are left out.
    Render(RenderArgs),
    /// What a variable means, or a code of lint; with -f, what Segments make in the database; needs no hub
    ///
    /// Without a name, all variables.
    Explain(ExplainArgs),
    /// How a revision goes out: status, history, and what to do about it
    Rollout {
        #[command(subcommand)]
        command: RolloutCommand,
    },
    /// Stop the schedules of Segments on all their clusters; without a name, list what is held
    ///
    /// Running Jobs go on. Clusters that have not confirmed are listed. Exit code 1 while some have not.
    ///
    ///   segctl hold granary/visits --until 4h --reason "database maintenance"
    ///   segctl hold -l team=data --reason "incident 4711"
    #[command(verbatim_doc_comment)]
    Hold(HoldUntilArgs),
    /// Let held schedules go on; no run of the meantime is started
    ///
    /// Where a Segment says onScheduleChange: RunOnce, clusters go on one after the other over ten minutes.
    Release(HoldArgs),
    /// Run a Segment once on each of some clusters, now
    ///
    /// What runs is the revision that each cluster holds. It starts only where the cluster's own policy says runNow, and not
    /// while a run by schedule is active or about to be due; meanwhile a CronJob with concurrencyPolicy Forbid is suspended
    /// there. A cluster that is away is not run later. It goes on at the hub when segctl ends.
    ///
    ///   segctl run demo -n granary --cluster eu-1 --wait
    ///   segctl run granary/demo --clusters env=staging --max-parallel 5 --env DEBUG=True --reason "check the fix"
    ///   segctl run granary/demo --request-id ID --wait       attach to runs that were begun; nothing is started twice
    ///
    /// Exit code 0 when all succeeded (or, without --wait, were begun), 1 when some failed, were refused or expired, 5 when
    /// --timeout is over: the runs go on.
    #[command(verbatim_doc_comment)]
    Run(RunArgs),
    /// What a run wrote, where the cluster's own policy lets the hub read it
    ///
    /// Without -f the first MiB. Where the hub can't show it (rule logs of the cluster's policy, an agent that is away), the
    /// kubectl line that does is printed instead, with the reason; the exit code is 3 then.
    Logs(LogsArgs),
    /// What clusters hold that no Segment here asks for
    Orphans(OrphansArgs),
    /// Join clusters, list them
    Cluster {
        #[command(subcommand)]
        command: ClusterCommand,
    },
    /// Join tokens
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// The hub itself
    Hub {
        #[command(subcommand)]
        command: HubCommand,
    },
    /// Settings for other programs
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Versions of segctl and of the hub
    Version(VersionArgs),
    /// Completion for a shell: `segctl completion bash > /etc/bash_completion.d/segctl`
    Completion {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// How a list is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table
    #[default]
    Table,
    /// A table with more columns
    Wide,
    /// Canonical proto3 JSON, as grpcurl prints: stable
    Json,
    /// The same as YAML
    Yaml,
    /// Names only
    Name,
}

/// How times are printed in tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Times {
    /// 12m ago
    #[default]
    Relative,
    /// 2026-11-25T22:35:00Z
    Utc,
}

/// Flags of every list.
#[derive(Clone, Copy, Debug, Default, ClapArgs)]
#[command(next_help_heading = "Output")]
pub(crate) struct Listing {
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    pub(crate) output: Format,
    /// No header in tables
    #[arg(long)]
    pub(crate) no_headers: bool,
    /// How times are printed in tables
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    pub(crate) time: Times,
}

/// `status`.
#[derive(Debug, ClapArgs)]
pub(crate) struct StatusArgs {
    /// namespace/name of a Segment, or name with -n
    pub(crate) segment: Option<String>,
    /// Only Segments with these labels
    #[arg(
        short = 'l',
        long,
        value_name = "LABELS",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) selector: String,
    /// Only Segments that are placed on this cluster
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) cluster: String,
    /// Only Segments that fail somewhere
    #[arg(long)]
    pub(crate) failing: bool,
    /// Go on showing changes
    #[arg(short, long)]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) listing: Listing,
}

/// What can be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Segments
    #[value(aliases = ["segment", "seg", "segs", "segments.segment.grnry.io"])]
    Segments,
    /// Clusters
    #[value(aliases = ["cluster", "segcl", "clusters.segment.grnry.io"])]
    Clusters,
    /// Segments by clusters
    #[value(aliases = ["assignment", "asg"])]
    Assignments,
    /// Runs; segctl runs knows more flags
    #[value(alias = "run")]
    Runs,
}

/// `get`.
#[derive(Debug, ClapArgs)]
pub(crate) struct GetArgs {
    /// segments (seg), clusters (segcl), assignments (asg) or runs
    #[arg(value_enum)]
    pub(crate) kind: Kind,
    /// Only these; an assignment is named namespace/segment@cluster
    pub(crate) names: Vec<String>,
    /// Only those with these labels; of Segments where assignments are listed
    #[arg(
        short = 'l',
        long,
        value_name = "LABELS",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) selector: String,
    /// Only assignments of this Segment
    #[arg(long, value_name = "NAME")]
    pub(crate) segment: Option<String>,
    /// Only assignments on this cluster
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) cluster: String,
    /// Only assignments on clusters with these labels
    #[arg(
        long,
        value_name = "LABELS",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) clusters: String,
    /// Go on showing changes
    #[arg(short, long)]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) listing: Listing,
}

/// What can be described.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Described {
    /// A Segment
    #[value(aliases = ["segments", "seg"])]
    Segment,
    /// A Cluster
    #[value(aliases = ["clusters", "segcl"])]
    Cluster,
}

/// `describe`.
#[derive(Debug, ClapArgs)]
pub(crate) struct DescribeArgs {
    /// segment or cluster
    #[arg(value_enum)]
    pub(crate) kind: Described,
    /// Its name
    pub(crate) name: String,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    pub(crate) output: Document,
}

/// How a single thing is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Document {
    /// For people
    #[default]
    Text,
    /// Canonical proto3 JSON, as grpcurl prints: stable
    Json,
    /// The same as YAML
    Yaml,
}

/// `why`.
#[derive(Debug, ClapArgs)]
pub(crate) struct WhyArgs {
    /// namespace/name of a Segment, or name with -n
    pub(crate) segment: String,
    /// Name of a Cluster
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: String,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    pub(crate) output: Document,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LintForm {
    /// For people: the line, a caret, and what to do
    #[default]
    Text,
    /// An array of findings: stable
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
}

/// `lint`.
#[derive(Debug, ClapArgs)]
pub(crate) struct LintArgs {
    /// Files and folders with YAML or JSON; - is stdin
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    pub(crate) output: LintForm,
    /// Exit code 1 with warnings too
    #[arg(long)]
    pub(crate) deny_warnings: bool,
    /// House defaults of your hub, as lines KEY=VALUE [default: the built-in ones]
    #[arg(long, value_name = "FILE")]
    pub(crate) defaults: Option<PathBuf>,
}

/// How imported Segments are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImportForm {
    /// Documents for kubectl apply
    #[default]
    Yaml,
    /// The same as JSON; several are a List
    Json,
}

/// `import`.
#[derive(Debug, ClapArgs)]
pub(crate) struct ImportArgs {
    /// Files and folders with YAML or JSON; - is stdin
    #[arg(required_unless_present = "from_cluster", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Read the CronJobs of this context of the kubeconfig; may be given often. CONTEXT=CLUSTER where the Cluster has
    /// another name
    #[arg(long, value_name = "CONTEXT", conflicts_with = "files")]
    pub(crate) from_cluster: Vec<String>,
    /// Only CronJobs with these labels
    #[arg(
        short = 'l',
        long,
        value_name = "LABELS",
        conflicts_with = "files",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) selector: String,
    /// Name of the Segment [default: that of the CronJob, or one made from the document]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// House defaults of your hub, as lines KEY=VALUE [default: the built-in ones]
    #[arg(long, value_name = "FILE")]
    pub(crate) defaults: Option<PathBuf>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    pub(crate) output: ImportForm,
}

/// In which form Segments are exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportForm {
    /// A body of Granary's Segment Management API, with its id
    Api,
    /// The resource, without what an API server puts there
    Yaml,
    /// Values of the older Helm chart
    HelmValues,
}

/// `export`.
#[derive(Debug, ClapArgs)]
pub(crate) struct ExportArgs {
    /// namespace/name of a Segment on the hub, or name with -n
    #[arg(required_unless_present = "files")]
    pub(crate) segment: Option<String>,
    /// Files and folders instead, in any form that import reads; - is stdin
    #[arg(
        short = 'f',
        long = "file",
        value_name = "FILE",
        conflicts_with = "segment"
    )]
    pub(crate) files: Vec<PathBuf>,
    /// Form of the output
    #[arg(short, long, value_enum, value_name = "FORM")]
    pub(crate) output: ExportForm,
    /// Helm values as they are for this cluster: overrides applied, references replaced, H a number
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<String>,
    /// Labels of that cluster [default: those of the Cluster on the hub, none with -f]
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',', value_parser = label, requires = "cluster")]
    pub(crate) labels: Vec<(String, String)>,
    /// House defaults of your hub, as lines KEY=VALUE [default: the built-in ones]
    #[arg(long, value_name = "FILE")]
    pub(crate) defaults: Option<PathBuf>,
}

/// `plan`, `diff`.
#[derive(Debug, ClapArgs)]
pub(crate) struct PlanArgs {
    /// Files and folders with Segments as they shall be, in any form that import reads; - is stdin
    #[arg(short, long, value_name = "FILE", required_unless_present = "delete")]
    pub(crate) file: Vec<PathBuf>,
    /// A Segment that shall be deleted: namespace/name, or name with -n; may be given often
    #[arg(long, value_name = "SEGMENT")]
    pub(crate) delete: Vec<String>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    pub(crate) output: Document,
}

/// By what a forecast is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Per {
    /// Every minute in which something starts
    Minute,
    /// Databases' hosts
    DbHost,
    /// Segments
    Segment,
    /// Clusters
    Cluster,
}

/// `forecast`.
#[derive(Debug, ClapArgs)]
pub(crate) struct ForecastArgs {
    /// Only this Segment: namespace/name, or name with -n
    pub(crate) segment: Option<String>,
    /// How far to look ahead: 24h, 90m; at most 31 days
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration)]
    pub(crate) window: Duration,
    /// Sum up by this instead of showing the next run of each Segment
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) per: Option<Per>,
    /// Only Segments with these labels
    #[arg(
        short = 'l',
        long,
        value_name = "LABELS",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) selector: String,
    /// Only clusters with these labels
    #[arg(
        long,
        value_name = "LABELS",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) clusters: String,
    /// How many of the fullest minutes to show, at most 100
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) peaks: u8,
    /// How times of next runs are printed
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) time: Option<Times>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    pub(crate) output: Document,
}

/// How a CronJob is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum RenderForm {
    /// As YAML
    #[default]
    Yaml,
    /// As JSON; several in a List
    Json,
}

/// `render`.
#[derive(Debug, ClapArgs)]
pub(crate) struct RenderArgs {
    /// namespace/name of a Segment of the hub, or name with -n
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    pub(crate) segment: Option<String>,
    /// Files and folders with Segments, rendered offline; - is stdin
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Vec<PathBuf>,
    /// Name of the Cluster; offline only where the schedule has an H, or the name is referred to
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<String>,
    /// The cluster's labels: env=prod,region=eu-west
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',', value_parser = label, requires = "file")]
    pub(crate) labels: Vec<(String, String)>,
    /// The cluster's annotations
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',', value_parser = label, requires = "file")]
    pub(crate) annotations: Vec<(String, String)>,
    /// House defaults of your hub, as lines KEY=VALUE [default: the built-in ones]
    #[arg(long, value_name = "FILE", requires = "file")]
    pub(crate) defaults: Option<PathBuf>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    pub(crate) output: RenderForm,
}

/// `explain`.
#[derive(Debug, ClapArgs)]
pub(crate) struct ExplainArgs {
    /// Name of a variable, or of a code of lint
    #[arg(conflicts_with = "file")]
    pub(crate) name: Option<String>,
    /// Files and folders with Segments: what table or view each makes, with columns, indexes and views; - is stdin
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Vec<PathBuf>,
    /// House defaults of your hub, as lines KEY=VALUE [default: the built-in ones]
    #[arg(long, value_name = "FILE", requires = "file")]
    pub(crate) defaults: Option<PathBuf>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    pub(crate) output: Document,
}

/// `orphans`.
#[derive(Debug, ClapArgs)]
pub(crate) struct OrphansArgs {
    /// Only on this cluster
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) cluster: String,
    #[command(flatten)]
    pub(crate) listing: Listing,
}

/// `cluster`.
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Make a join token, and the Cluster where it is missing, and print the line to run on the new cluster
    Join(JoinArgs),
    /// List clusters
    List {
        /// Only those with these labels
        #[arg(
            short = 'l',
            long,
            value_name = "LABELS",
            default_value = "",
            hide_default_value = true
        )]
        selector: String,
        /// Go on showing changes
        #[arg(short, long)]
        watch: bool,
        #[command(flatten)]
        listing: Listing,
    },
}

/// How the line to run is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum JoinForm {
    /// A line for Helm
    #[default]
    Helm,
    /// Namespace and Secret for kubectl apply, for a chart installed with join.existingSecret
    Manifest,
    /// What the hub answered: token, address, pin
    Json,
    /// The same as YAML
    Yaml,
}

/// `cluster join`.
#[derive(Debug, ClapArgs)]
pub(crate) struct JoinArgs {
    /// Name of the Cluster
    pub(crate) name: String,
    /// Labels for a Cluster that has to be made: env=prod,region=eu-west
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',', value_parser = label)]
    pub(crate) labels: Vec<(String, String)>,
    /// How long the token is good, at most 24h
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration)]
    pub(crate) ttl: Duration,
    /// Namespaces that the agent may write to: --set policy.namespaces of the printed line
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "granary"
    )]
    pub(crate) allow_namespaces: Vec<String>,
    /// Chart of the agent for the printed line
    #[arg(
        long,
        value_name = "CHART",
        default_value = "deploy/charts/segment-agent"
    )]
    pub(crate) chart: String,
    /// Why, for the audit line and the Event
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) reason: String,
    /// Only check
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Wait until the agent is connected and in sync [default: only on a terminal]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) wait: Option<bool>,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    pub(crate) output: JoinForm,
}

/// `token`.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// List join tokens, without their secret part
    List {
        /// Only for this cluster
        #[arg(
            long,
            value_name = "NAME",
            default_value = "",
            hide_default_value = true
        )]
        cluster: String,
        #[command(flatten)]
        listing: Listing,
    },
    /// Make a join token void at once
    Revoke {
        /// Its id: the part before the dot
        id: String,
        /// Why, for the audit line and the Event
        #[arg(
            long,
            value_name = "TEXT",
            default_value = "",
            hide_default_value = true
        )]
        reason: String,
        /// Only check
        #[arg(long)]
        dry_run: bool,
    },
}

/// `hub`.
#[derive(Debug, Subcommand)]
pub(crate) enum HubCommand {
    /// Which hub this is, who leads, and with which defaults it renders
    Info {
        /// Form of the output
        #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
        output: Document,
    },
    /// Say that this hub's state, older than what clusters have seen, shall stand: raises the era
    ///
    /// After it the hub may roll clusters back to what it knows.
    AcceptRestore {
        /// Why, for the audit line and the Event
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Only check
        #[arg(long)]
        dry_run: bool,
    },
}

/// `config`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Write the hub's root certificates to a file and print the grpcurl line that uses it
    Grpcurl {
        /// Where the certificates go
        #[arg(long, value_name = "FILE", default_value = "hub-ca.pem")]
        ca_file: PathBuf,
        /// Write the kubeconfig's client certificate and key beside it too, for users that log in with one
        #[arg(long)]
        client_certificate: bool,
    },
}

/// `version`.
#[derive(Debug, ClapArgs)]
pub(crate) struct VersionArgs {
    /// Only segctl's
    #[arg(long)]
    pub(crate) client: bool,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    pub(crate) output: Document,
}

/// `30s`, `2m`, `1h30m`, `500ms`; a bare number is seconds; 0 is no limit.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(Duration::from_secs(seconds));
    }
    let parsed: jiff::SignedDuration = text
        .parse()
        .map_err(|_| "expected a time such as 30s, 2m or 1h30m".to_owned())?;
    Duration::try_from(parsed).map_err(|_| "a time can't be negative".to_owned())
}

fn label(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| "expected KEY=VALUE".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_kubectl_reads_them() {
        for (text, seconds) in [
            ("30s", 30),
            ("2m", 120),
            ("1h30m", 5_400),
            ("0", 0),
            ("45", 45),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        for bad in ["", "x", "-5s", "5 parsecs"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
