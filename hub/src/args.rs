//! The hub's command line. House defaults are environment variables of their own (`segment_core::segment::defaults`).

use segment_runtime::args::period;
use segment_runtime::{AdminArgs, KubeArgs, LogArgs};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The hub: turns Segments into every cluster's desired set, and reports into status.
///
/// House defaults of Segments are taken from the environment: `DB_TYPE=postgres segment-hub`. `segctl hub info` shows
/// those in force.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "segment-hub", version, about, long_about)]
pub struct Args {
    /// Logging.
    #[command(flatten)]
    pub log: LogArgs,
    /// Health and metrics.
    #[command(flatten)]
    pub admin: AdminArgs,
    /// The hub's API server.
    #[command(flatten)]
    pub kube: KubeArgs,
    /// Listeners.
    #[command(flatten)]
    pub listen: ListenArgs,
    /// Periods.
    #[command(flatten)]
    pub periods: PeriodArgs,
}

/// Where the hub listens, and under which addresses others find it.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Listeners")]
pub struct ListenArgs {
    /// Agents: gRPC, TLS 1.3, client certificates; enrolment on the same port
    #[arg(
        long,
        env = "AGENTS_ADDR",
        default_value = "0.0.0.0:8443",
        value_name = "IP:PORT"
    )]
    pub agents_addr: SocketAddr,
    /// Users: gRPC with reflection
    #[arg(
        long,
        env = "USERS_ADDR",
        default_value = "0.0.0.0:9443",
        value_name = "IP:PORT"
    )]
    pub users_addr: SocketAddr,
    /// The validating webhook (`POST /admission`, HTTPS); without it, broken Segments show in their condition only
    #[arg(
        long,
        env = "WEBHOOK_ADDR",
        value_name = "IP:PORT",
        requires = "webhook_tls_dir"
    )]
    pub webhook_addr: Option<SocketAddr>,
    /// Folder of the webhook's certificate `tls.crt` and key `tls.key`, read again when they change
    #[arg(
        long,
        env = "WEBHOOK_TLS_DIR",
        value_name = "DIR",
        requires = "webhook_addr"
    )]
    pub webhook_tls_dir: Option<PathBuf>,
    /// Address that agents dial, as `segctl cluster join` prints it; default: the Service's name
    #[arg(long, env = "PUBLIC_AGENTS_ADDRESS", value_name = "HOST:PORT")]
    pub public_agents_address: Option<String>,
    /// Address that users dial, as written to ConfigMap kube-public/segment-hub; default: the Service's name
    #[arg(long, env = "PUBLIC_USERS_ADDRESS", value_name = "HOST:PORT")]
    pub public_users_address: Option<String>,
    /// Namespace of the hub: its Secrets, ConfigMaps and Lease
    #[arg(long, env = "POD_NAMESPACE", default_value = segment_core::names::SYSTEM_NAMESPACE, value_name = "NAME")]
    pub namespace: String,
    /// Name of this Pod: one Pod of a name lives at a time, so its successor takes the Lease over at once
    #[arg(
        long,
        env = "POD_NAME",
        default_value = "segment-hub",
        value_name = "NAME"
    )]
    pub pod_name: String,
}

/// Periods and floors; the defaults are those that are documented.
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(next_help_heading = "Periods")]
pub struct PeriodArgs {
    /// How long others wait for the Lease after its holder's last renewal
    #[arg(long, env = "LEASE_DURATION", default_value = "8s", value_name = "TIME", value_parser = period)]
    pub lease_duration: Duration,
    /// Without a renewal for this time the holder steps down; less than the Lease's duration
    #[arg(long, env = "LEASE_RENEW_DEADLINE", default_value = "5s", value_name = "TIME", value_parser = period)]
    pub lease_renew_deadline: Duration,
    /// Between two renewals of the Lease
    #[arg(long, env = "LEASE_RETRY", default_value = "1s", value_name = "TIME", value_parser = period)]
    pub lease_retry: Duration,
    /// How long a placement must have shrunk before a removal is ordered
    #[arg(long, env = "SETTLE", default_value = "30s", value_name = "TIME", value_parser = period)]
    pub settle: Duration,
    /// Without a stream for this time a cluster is stale
    #[arg(long, env = "STALE_AFTER", default_value = "60s", value_name = "TIME", value_parser = period)]
    pub stale_after: Duration,
    /// Time after its release in which a cluster must have confirmed a revision
    #[arg(long, env = "PROGRESS_DEADLINE", default_value = "10m", value_name = "TIME", value_parser = period)]
    pub progress_deadline: Duration,
    /// Clusters that may be in change at once over all Segments, in percent of all clusters
    #[arg(long, env = "MAX_CHANGING", default_value = "25", value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(1..=100))]
    pub max_changing: u8,
    /// How long an agent's certificate lives; renewed at half of it
    #[arg(long, env = "CERTIFICATE_LIFE", default_value = "24h", value_name = "TIME", value_parser = period)]
    pub certificate_life: Duration,
    /// How long a stop may take to say goodbye and flush status
    #[arg(long, env = "DRAIN_LIMIT", default_value = "20s", value_name = "TIME", value_parser = period)]
    pub drain_limit: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_flags_are_consistent() {
        Args::command().debug_assert();
    }
}
