//! `logs`: where the words of a run are, as the line that shows them.
//!
//! In: a Segment, a cluster, a run. Out: the kubectl line on stdout, why it is needed on stderr. Law: a line is printed only
//! for a Job whose name is known. Not: the logs themselves, which stay on their cluster.

use super::names;
use crate::api::{Hub, segment_rpc};
use crate::args::LogsArgs;
use crate::exit::{Exit, Failure};
use crate::output;
use segment_core::ids::{CronJobName, RunId};
use segment_core::run_order::job::job_name;
use segment_proto::v1::GetAssignmentRequest;

pub(super) async fn run(hub: &Hub, args: LogsArgs) -> Result<Exit, Failure> {
    let segment = names::segment(hub, &args.segment).await?;
    let request = GetAssignmentRequest {
        segment: segment.clone(),
        cluster: args.cluster.clone(),
    };
    let answer = match hub.call(segment_rpc::get_assignment(), request).await {
        Ok(answer) => answer,
        Err(failure) if failure.message.contains("cluster") => {
            return Err(names::explain_cluster(hub, &args.cluster, failure).await);
        }
        Err(failure) => return Err(names::explain_segment(hub, &segment, failure).await),
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
    output::print(&line(&args.cluster, namespace, &job, args.follow))?;
    output::note(
        "Logs stay on their cluster: this hub does not pass them on. The line above shows them, with a kubeconfig of that \
         cluster; its context may have another name than the Cluster.",
    );
    Ok(Exit::Unreachable)
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
