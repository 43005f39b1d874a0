//! `logs`: what a run wrote, through the hub; else the line that shows it.
//!
//! In: a Segment, a cluster, a run. Out: the logs as they were written, or the kubectl line on stdout and why it is needed
//! on stderr. Law: a line is printed only for a Job whose name is known. Not: whether the cluster lets the hub read them.

use super::names;
use crate::api::{Hub, run_rpc, segment_rpc};
use crate::args::LogsArgs;
use crate::exit::{Exit, Failure};
use crate::output;
use segment_core::ids::{CronJobName, RunId};
use segment_core::run_order::job::job_name;
use segment_proto::v1::{GetAssignmentRequest, LogsRequest};
use std::io::Write as _;

/// Why the hub has no logs of that cluster, as its error says it.
const NOT_AVAILABLE: &str = "LOGS_NOT_AVAILABLE";

pub(super) async fn run(hub: &Hub, args: LogsArgs) -> Result<Exit, Failure> {
    let segment = names::segment(hub, &args.segment).await?;
    let failure = match pass(hub, &segment, &args).await {
        Ok(()) => return Ok(Exit::Yes),
        Err(failure) => failure,
    };
    if failure.reason.as_deref() != Some(NOT_AVAILABLE) {
        return Err(explained(hub, &segment, &args.cluster, failure).await);
    }
    let line = kubectl(hub, &segment, &args).await?;
    output::print(&line)?;
    output::note(&format!("The hub can't show them: {}.", failure.message));
    output::note(
        "The line above does, with a kubeconfig of that cluster; its context may have another name than the Cluster.",
    );
    Ok(Exit::Unreachable)
}

async fn explained(hub: &Hub, segment: &str, cluster: &str, failure: Failure) -> Failure {
    if failure.message.contains("cluster") {
        return names::explain_cluster(hub, cluster, failure).await;
    }
    names::explain_segment(hub, segment, failure).await
}

/// Writes what the hub passes on.
async fn pass(hub: &Hub, segment: &str, args: &LogsArgs) -> Result<(), Failure> {
    let request = LogsRequest {
        segment: segment.to_owned(),
        cluster: args.cluster.clone(),
        run: args.run.clone().unwrap_or_default(),
        follow: args.follow,
    };
    let mut stream = hub.stream(run_rpc::logs(), request).await?;
    let mut out = std::io::stdout();
    while let Some(part) = stream
        .message()
        .await
        .map_err(|status| hub.failure(&status))?
    {
        // As it was written: it need not be text.
        out.write_all(&part.data)
            .and_then(|()| out.flush())
            .map_err(|error| Failure::new(Exit::No, format!("stdout can't be written: {error}")))?;
    }
    Ok(())
}

/// The line that shows them.
async fn kubectl(hub: &Hub, segment: &str, args: &LogsArgs) -> Result<String, Failure> {
    let request = GetAssignmentRequest {
        segment: segment.to_owned(),
        cluster: args.cluster.clone(),
    };
    let answer = match hub.call(segment_rpc::get_assignment(), request).await {
        Ok(answer) => answer,
        Err(failure) => return Err(explained(hub, segment, &args.cluster, failure).await),
    };
    let assignment = answer.assignment.unwrap_or_default();
    let (namespace, cron_job) = assignment.cron_job.split_once('/').ok_or_else(|| {
        let message = format!(
            "segment {segment} has no CronJob on cluster {}",
            args.cluster
        );
        Failure::new(Exit::NotFound, message)
    })?;
    let job = match &args.run {
        Some(run) => ordered(cron_job, run)?,
        None => assignment
            .last_run
            .as_ref()
            .map(|run| run.job.clone())
            .filter(|job| !job.is_empty())
            .ok_or_else(|| {
                let message = format!("no run of {segment} on cluster {} is known", args.cluster);
                Failure::new(Exit::NotFound, message)
                    .help("a run that was ordered: --run ID, as segctl run -o wide shows it")
            })?,
    };
    Ok(line(&args.cluster, namespace, &job, args.follow))
}

/// Name of the Job of an ordered run.
fn ordered(cron_job: &str, run: &str) -> Result<String, Failure> {
    let id: RunId = run.parse().map_err(|_| {
        Failure::usage(format!(
            "--run {run:?} is no id of a run: 16 hexadecimal digits"
        ))
    })?;
    let cron_job = CronJobName::new(cron_job)
        .map_err(|error| Failure::new(Exit::No, format!("the hub's answer: {error}")))?;
    Ok(job_name(&cron_job, id))
}

fn line(context: &str, namespace: &str, job: &str, follow: bool) -> String {
    let follow = if follow { " -f" } else { "" };
    format!("kubectl --context {context} -n {namespace} logs{follow} job/{job}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_job_of_an_ordered_run_is_named_by_its_id() {
        let job = ordered("visits", "0102030405060708").unwrap();
        assert_eq!(
            line("eu-1", "granary", &job, true),
            "kubectl --context eu-1 -n granary logs -f job/visits-p-0102030405060708"
        );
        assert_eq!(ordered("visits", "x").unwrap_err().exit, Exit::Usage);
    }
}
