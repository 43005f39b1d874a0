//! The command line.
//!
//! In: flags and environment, read once. Out: [`Args`]. Law: every flag can be set in a Pod by a variable; every period
//! of `Periods` is what the rules say by default. Not: checks that need two flags (`config.rs`).

use segment_runtime::args::period;
use segment_runtime::{AdminArgs, KubeArgs, LogArgs};
use std::time::Duration;

/// Makes this cluster's CronJobs what the hub ordered, and says what happened.
///
/// Without a hub it goes on: what it holds is kept in ConfigMaps of its namespace, and healed.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "segment-agent", version)]
pub struct Args {
    /// How the hub is reached
    #[command(flatten)]
    pub hub: HubArgs,
    /// Where the agent lives
    #[command(flatten)]
    pub own: OwnArgs,
    /// Periods
    #[command(flatten)]
    pub periods: PeriodArgs,
    /// API server
    #[command(flatten)]
    pub kube: KubeArgs,
    /// Health and metrics
    #[command(flatten)]
    pub admin: AdminArgs,
    /// Logs
    #[command(flatten)]
    pub log: LogArgs,
}

/// How the hub is reached.
#[derive(Clone, clap::Args)]
#[command(next_help_heading = "Hub")]
pub struct HubArgs {
    /// Where the hub listens for agents. `HTTPS_PROXY` and `NO_PROXY` are honoured
    #[arg(long, env = "HUB_ADDRESS", value_name = "HOST:PORT")]
    pub hub_address: String,

    /// Join token, as `segctl cluster join` prints it. Needed once, until the agent has its certificate
    #[arg(long, env = "JOIN_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub join_token: Option<String>,
}

// Not derived: a token must not reach a log.
impl std::fmt::Debug for HubArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HubArgs")
            .field("hub_address", &self.hub_address)
            .finish_non_exhaustive()
    }
}

/// Where the agent lives.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Agent")]
pub struct OwnArgs {
    /// Namespace of the agent's own objects (policy, store, identity, Lease). In a Pod: from `metadata.namespace`
    #[arg(long, env = "POD_NAMESPACE", default_value = segment_core::names::SYSTEM_NAMESPACE, value_name = "NAME")]
    pub namespace: String,

    /// Name of this Pod, as holder of the Lease. In a Pod: from `metadata.name`
    #[arg(
        long,
        env = "POD_NAME",
        default_value = "segment-agent",
        value_name = "NAME"
    )]
    pub pod_name: String,

    /// CronJobs that are written at the same time
    #[arg(long, env = "WORKERS", default_value_t = 8, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub workers: u16,
}

/// Every period and floor of the rules that is the agent's. Tests shorten them; nobody else needs to.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Periods")]
pub struct PeriodArgs {
    /// Longest time that an accepted order is only in memory
    #[arg(long, env = "STORE_FLUSH", default_value = "10s", value_name = "TIME", value_parser = period)]
    pub store_flush: Duration,

    /// Longest wait for one answer of the API server
    #[arg(long, env = "CALL_DEADLINE", default_value = "10s", value_name = "TIME", value_parser = period)]
    pub call_deadline: Duration,

    /// Between suspending a CronJob and trusting a list of its Jobs
    #[arg(long, env = "FINISH_WAIT", default_value = "10s", value_name = "TIME", value_parser = period)]
    pub finish_wait: Duration,

    /// Longest wait for running Jobs before a CronJob is deleted
    #[arg(long, env = "FINISH_LIMIT", default_value = "24h", value_name = "TIME", value_parser = period)]
    pub finish_limit: Duration,

    /// A run due within this time is waited for before its schedule changes
    #[arg(long, env = "GUARD", default_value = "10s", value_name = "TIME", value_parser = period)]
    pub guard: Duration,

    /// Longest such wait
    #[arg(long, env = "GUARD_LIMIT", default_value = "60s", value_name = "TIME", value_parser = period)]
    pub guard_limit: Duration,

    /// Time in which five corrections make a CronJob contested
    #[arg(long, env = "CONTESTED_WINDOW", default_value = "10m", value_name = "TIME", value_parser = period)]
    pub contested_window: Duration,

    /// Between two corrections of a contested CronJob
    #[arg(long, env = "CONTESTED_PAUSE", default_value = "60s", value_name = "TIME", value_parser = period)]
    pub contested_pause: Duration,

    /// How long a run is thought to take where none was seen: an ordered run does not start when one by schedule is due
    /// within this time
    #[arg(long, env = "USUAL_RUN", default_value = "60s", value_name = "TIME", value_parser = period)]
    pub usual_run: Duration,

    /// Longest suspension of a CronJob for an ordered run
    #[arg(long, env = "SUSPENDED_AT_MOST", default_value = "24h", value_name = "TIME", value_parser = period)]
    pub suspended_at_most: Duration,

    /// Between two looks at an ordered run when nothing changes
    #[arg(long, env = "RUN_LOOK", default_value = "5s", value_name = "TIME", value_parser = period)]
    pub run_look: Duration,

    /// First ceiling of the delay between two dials
    #[arg(long, env = "CONNECT_BACKOFF_BASE", default_value = "1s", value_name = "TIME", value_parser = period)]
    pub connect_backoff_base: Duration,

    /// Longest delay between two dials
    #[arg(long, env = "CONNECT_BACKOFF_CAP", default_value = "60s", value_name = "TIME", value_parser = period)]
    pub connect_backoff_cap: Duration,

    /// A stream that lived this long was healthy: the delay begins anew
    #[arg(long, env = "HEALTHY_AFTER", default_value = "60s", value_name = "TIME", value_parser = period)]
    pub healthy_after: Duration,

    /// Between two pings of the hub, and the wait for an answer
    #[arg(long, env = "KEEPALIVE", default_value = "10s", value_name = "TIME", value_parser = period)]
    pub keepalive: Duration,

    /// Least time between two batches of reports
    #[arg(long, env = "REPORT_PAUSE", default_value = "100ms", value_name = "TIME", value_parser = period)]
    pub report_pause: Duration,

    /// Between two looks for runs that are missed or stuck
    #[arg(long, env = "RUNS_CHECK", default_value = "15s", value_name = "TIME", value_parser = period)]
    pub runs_check: Duration,

    /// A run that has not begun this long after it was due is missed
    #[arg(long, env = "MISSED_GRACE", default_value = "30s", value_name = "TIME", value_parser = period)]
    pub missed_grace: Duration,

    /// A run whose Pod can't start for this long is stuck
    #[arg(long, env = "STUCK_AFTER", default_value = "5m", value_name = "TIME", value_parser = period)]
    pub stuck_after: Duration,

    /// How long others wait for this agent's Lease to end
    #[arg(long, env = "LEASE_DURATION", default_value = "8s", value_name = "TIME", value_parser = period)]
    pub lease_duration: Duration,

    /// Without a renewal for this time the agent ends
    #[arg(long, env = "LEASE_RENEW_DEADLINE", default_value = "5s", value_name = "TIME", value_parser = period)]
    pub lease_renew_deadline: Duration,

    /// Between two renewals of the Lease
    #[arg(long, env = "LEASE_RETRY", default_value = "1s", value_name = "TIME", value_parser = period)]
    pub lease_retry: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn periods_have_the_rules_defaults_and_can_be_shortened() {
        let args = Args::try_parse_from(["segment-agent", "--hub-address", "hub:8443"]).unwrap();
        assert_eq!(args.periods.finish_limit, Duration::from_hours(24));
    }

    #[test]
    fn the_token_is_not_in_the_debug_form() {
        let args = Args::try_parse_from([
            "segment-agent",
            "--hub-address",
            "hub:8443",
            "--join-token",
            "geheim",
        ])
        .unwrap();
        assert!(!format!("{args:?}").contains("geheim"));
    }
}
