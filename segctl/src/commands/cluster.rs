//! `cluster`: who is there, and how one joins.

use super::get;
use crate::api::{Hub, cluster_rpc};
use crate::args::{ClusterCommand, JoinArgs, JoinForm};
use crate::exit::{Exit, Failure};
use crate::output;
use crate::output::age::human;
use segment_proto::v1::{Cluster, GetClusterRequest, JoinClusterRequest, JoinClusterResponse};
use std::io::IsTerminal as _;
use std::time::Duration;

/// Namespace of the agent on the new cluster.
const AGENT_NAMESPACE: &str = "segment-system";
/// Secret that a chart with `join.existingSecret` reads.
const JOIN_SECRET: &str = "segment-agent-join";
/// How often the new cluster is asked for while it is waited for.
const POLL_PERIOD: Duration = Duration::from_millis(500);

pub(super) async fn run(hub: &Hub, command: ClusterCommand) -> Result<Exit, Failure> {
    match command {
        ClusterCommand::Join(args) => join(hub, args).await,
        ClusterCommand::List {
            selector,
            watch: true,
            listing,
        } => get::watch_clusters(hub, &selector, listing).await,
        ClusterCommand::List {
            selector,
            watch: false,
            listing,
        } => get::clusters(hub, &selector, &[], listing).await,
    }
}

async fn join(hub: &Hub, args: JoinArgs) -> Result<Exit, Failure> {
    let request = JoinClusterRequest {
        name: args.name.clone(),
        labels: args.labels.iter().cloned().collect(),
        ttl: Some(segment_proto::Duration {
            seconds: i64::try_from(args.ttl.as_secs()).unwrap_or(i64::MAX),
            nanos: 0,
        }),
        validate_only: args.dry_run,
        reason: args.reason.clone(),
    };
    let answer = hub.call(cluster_rpc::join(), request).await?;
    let made = if answer.created() {
        "created"
    } else {
        "is there"
    };
    let life = human(i64::try_from(args.ttl.as_secs()).unwrap_or(i64::MAX));
    if args.dry_run {
        output::note(&format!(
            "Cluster {} {} (dry run)",
            args.name,
            if answer.created() {
                "would be created"
            } else {
                made
            }
        ));
        return Ok(Exit::Yes);
    }
    output::note(&format!(
        "Cluster {} {made}. The token is good for {life}, one use, only for {}; it is not shown again.",
        args.name, args.name
    ));
    match args.output {
        JoinForm::Helm => {
            output::note("Run against the new cluster:");
            output::print(&helm(&args, &answer))?;
        }
        JoinForm::Manifest => output::print(&manifest(&answer))?,
        JoinForm::Json => {
            output::print(&output::json(&cluster_rpc::join().answer_json(&answer)?)?)?;
        }
        JoinForm::Yaml => {
            output::print(&output::yaml(&cluster_rpc::join().answer_json(&answer)?)?)?;
        }
    }
    if args
        .wait
        .unwrap_or_else(|| std::io::stderr().is_terminal() && std::io::stdout().is_terminal())
    {
        return wait(hub, &args.name, args.timeout).await;
    }
    Ok(Exit::Yes)
}

/// The line to paste, broken for reading.
fn helm(args: &JoinArgs, answer: &JoinClusterResponse) -> String {
    let namespaces = args
        .allow_namespaces
        .iter()
        .filter(|name| !name.is_empty())
        .cloned()
        .collect::<Vec<_>>();
    let policy = if namespaces.is_empty() {
        String::new()
    } else {
        format!(
            " \\\n    --set 'policy.namespaces={{{}}}'",
            namespaces.join(",")
        )
    };
    format!(
        "  helm install segment-agent {} -n {AGENT_NAMESPACE} --create-namespace \\\n    --set hub.address={} \\\n    --set join.token={}{policy}\n",
        args.chart, answer.agents_address, answer.token
    )
}

/// Namespace and Secret for `kubectl apply -f -`.
fn manifest(answer: &JoinClusterResponse) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    format!(
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {AGENT_NAMESPACE}\n---\n\
         apiVersion: v1\nkind: Secret\nmetadata:\n  name: {JOIN_SECRET}\n  namespace: {AGENT_NAMESPACE}\nstringData:\n  \
         token: {}\n",
        quoted(&answer.token)
    )
}

/// Waits until the agent is connected and what is placed there is in sync.
async fn wait(hub: &Hub, name: &str, limit: Duration) -> Result<Exit, Failure> {
    let bar = if std::io::stderr().is_terminal() {
        let bar = indicatif::ProgressBar::new_spinner();
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    } else {
        indicatif::ProgressBar::hidden()
    };
    let start = std::time::Instant::now();
    loop {
        let last = match hub
            .call(
                cluster_rpc::get(),
                GetClusterRequest {
                    name: name.to_owned(),
                },
            )
            .await
        {
            Ok(answer) => {
                let (done, words) = progress(&answer.cluster.unwrap_or_default());
                bar.set_message(words.clone());
                if done {
                    bar.finish_and_clear();
                    let took = human(i64::try_from(start.elapsed().as_secs()).unwrap_or(i64::MAX));
                    output::note(&format!("Cluster {name}: {words} ({took})"));
                    return Ok(Exit::Yes);
                }
                words
            }
            Err(failure) if failure.transient => failure.message,
            Err(failure) => {
                bar.finish_and_clear();
                return Err(failure);
            }
        };
        if !limit.is_zero() && start.elapsed() >= limit {
            bar.finish_and_clear();
            return Err(
                Failure::new(Exit::TimedOut, format!("cluster {name}: {last}"))
                    .help("on the new cluster: kubectl -n segment-system logs deploy/segment-agent")
                    .help(format!("here: segctl describe cluster {name}")),
            );
        }
        tokio::time::sleep(POLL_PERIOD).await;
    }
}

/// Whether it is done, and what it does, in words.
fn progress(cluster: &Cluster) -> (bool, String) {
    if !cluster.connected() {
        return (false, "waiting for its agent".to_owned());
    }
    let counts = cluster.segments.unwrap_or_default();
    let failing = match counts.failing() {
        0 => String::new(),
        failing => format!(", {failing} failing"),
    };
    let words = format!(
        "connected, {}/{} in sync{failing}",
        counts.ready(),
        counts.placed()
    );
    // What fails there will not come right by waiting: it is said, and the join itself is done.
    (
        counts.ready() + counts.failing() + counts.held() == counts.placed(),
        words,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use segment_proto::v1::SegmentCounts;

    fn answer() -> JoinClusterResponse {
        JoinClusterResponse {
            token: "k3f9ab.secret.sha256:9cfa".into(),
            token_id: "k3f9ab".into(),
            agents_address: "hub.corp:8443".into(),
            ca_pin: "sha256:9cfa".into(),
            created: Some(true),
            ..JoinClusterResponse::default()
        }
    }

    #[test]
    fn the_line_to_run_has_address_pin_and_token() {
        use clap::Parser as _;
        let parsed = crate::args::Args::parse_from([
            "segctl",
            "cluster",
            "join",
            "eu-21",
            "--allow-namespaces",
            "granary,test",
        ]);
        let crate::args::Command::Cluster {
            command: ClusterCommand::Join(args),
        } = parsed.command
        else {
            panic!("join")
        };
        assert_eq!(
            helm(&args, &answer()),
            "  helm install segment-agent deploy/charts/segment-agent -n segment-system --create-namespace \\\n    \
             --set hub.address=hub.corp:8443 \\\n    \
             --set join.token=k3f9ab.secret.sha256:9cfa \\\n    --set 'policy.namespaces={granary,test}'\n"
        );
        let manifest = manifest(&answer());
        assert!(
            manifest.contains("  token: \"k3f9ab.secret.sha256:9cfa\"\n"),
            "{manifest}"
        );
    }

    #[test]
    fn a_join_is_done_when_what_is_placed_there_is_in_sync() {
        let cluster = |connected, placed, ready, failing| Cluster {
            connected: Some(connected),
            segments: Some(SegmentCounts {
                placed: Some(placed),
                ready: Some(ready),
                failing: Some(failing),
                ..SegmentCounts::default()
            }),
            ..Cluster::default()
        };
        for (cluster, expected) in [
            (cluster(false, 3, 0, 0), (false, "waiting for its agent")),
            (cluster(true, 3, 1, 0), (false, "connected, 1/3 in sync")),
            (cluster(true, 3, 3, 0), (true, "connected, 3/3 in sync")),
            (cluster(true, 0, 0, 0), (true, "connected, 0/0 in sync")),
            (
                cluster(true, 3, 2, 1),
                (true, "connected, 2/3 in sync, 1 failing"),
            ),
        ] {
            assert_eq!(progress(&cluster), (expected.0, expected.1.to_owned()));
        }
    }
}
