//! `run`: a Segment is run once on each of some clusters, now.
//!
//! In: what to run where. Out: progress to stderr, one summary to stdout. Law: a connection that is lost starts nothing
//! twice: the request's id attaches to what was begun. Not: whose turn it is (the hub).

use super::{hub as asking, names};
use crate::api::{Hub, run_rpc};
use crate::args::RunArgs;
use crate::exit::{Exit, Failure};
use crate::output::age::Clock;
use crate::output::{self, ordered_runs as words};
use segment_proto::v1::run_response::Part;
use segment_proto::v1::{RunRequest, RunResponse, RunSummary};
use std::io::IsTerminal as _;
use std::time::Duration;

/// Between two tries to attach again after a lost connection.
const AGAIN: Duration = Duration::from_secs(1);

pub(super) async fn run(hub: &Hub, args: RunArgs) -> Result<Exit, Failure> {
    let segment = names::segment(hub, &args.segment).await?;
    let mut request = RunRequest {
        segment: segment.clone(),
        cluster_selector: args.clusters.clone(),
        clusters: args.cluster.clone(),
        max_parallel: args.max_parallel,
        start_within: Some(wire(args.start_within)),
        deadline: args.deadline.map(wire),
        env: args.env.iter().cloned().collect(),
        request_id: match args.request_id.as_str() {
            "" => format!("{:032x}", rand::random::<u128>()),
            id => id.to_owned(),
        },
        validate_only: false,
        reason: args.reason.clone(),
    };
    let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if args.dry_run || (terminal && !args.yes) {
        let preview = preview(hub, &segment, &request).await?;
        if args.dry_run {
            return told(&args, &preview, true).map(|()| Exit::Yes);
        }
        let clusters = preview.runs.len() + usize::try_from(preview.not_listed()).unwrap_or(0);
        let question = format!(
            "Run {segment} now on {}?",
            crate::text::count(clusters, "cluster")
        );
        if clusters > 1 && !asking::asked(&question).await? {
            return Ok(Exit::No);
        }
    }
    let wait = args
        .wait
        .unwrap_or_else(|| std::io::stderr().is_terminal() && std::io::stdout().is_terminal());
    let following = follow(hub, &segment, &mut request, wait);
    let summary = if args.timeout.is_zero() {
        following.await?
    } else {
        match tokio::time::timeout(args.timeout, following).await {
            Ok(summary) => summary?,
            Err(_) => {
                return Err(Failure::new(
                    Exit::TimedOut,
                    format!("the runs of {segment} have not ended in time; they go on"),
                )
                .help(attach(&segment, &request)));
            }
        }
    };
    let Some(summary) = summary else {
        output::note(&format!(
            "It goes on at the hub. {}",
            attach(&segment, &request)
        ));
        return Ok(Exit::Yes);
    };
    told(&args, &summary, false)?;
    Ok(exit(&summary))
}

fn wire(time: Duration) -> segment_proto::Duration {
    segment_proto::Duration {
        seconds: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(time.subsec_nanos()).unwrap_or(0),
    }
}

/// What attaches to these runs again.
fn attach(segment: &str, request: &RunRequest) -> String {
    format!(
        "To see how it goes: the same command with --wait --request-id {} (segment {segment})",
        request.request_id
    )
}

async fn preview(hub: &Hub, segment: &str, request: &RunRequest) -> Result<RunSummary, Failure> {
    let request = RunRequest {
        validate_only: true,
        ..request.clone()
    };
    let mut stream = match hub.stream(run_rpc::run(), request).await {
        Ok(stream) => stream,
        Err(failure) => return Err(names::explain_segment(hub, segment, failure).await),
    };
    while let Some(RunResponse { part }) = stream
        .message()
        .await
        .map_err(|status| hub.failure(&status))?
    {
        if let Some(Part::Summary(summary)) = part {
            return Ok(summary);
        }
    }
    Err(early(hub))
}

fn early(hub: &Hub) -> Failure {
    let mut failure = Failure::new(
        Exit::Unreachable,
        format!("hub {} ended its answer early", hub.link.address),
    );
    failure.transient = true;
    failure
}

/// Begins and, where it is waited for, follows to the summary; a lost connection is made again. `None`: not waited for.
async fn follow(
    hub: &Hub,
    segment: &str,
    request: &mut RunRequest,
    wait: bool,
) -> Result<Option<RunSummary>, Failure> {
    let mut begun = false;
    loop {
        let failure = match listen(hub, request, wait, &mut begun).await {
            Ok(summary) => return Ok(summary),
            Err(failure) => failure,
        };
        if !begun || !failure.transient {
            return Err(names::explain_segment(hub, segment, failure).await);
        }
        output::note(&format!("{}; attaching again", failure.message));
        tokio::time::sleep(AGAIN).await;
    }
}

async fn listen(
    hub: &Hub,
    request: &RunRequest,
    wait: bool,
    begun: &mut bool,
) -> Result<Option<RunSummary>, Failure> {
    let mut stream = hub.stream(run_rpc::run(), request.clone()).await?;
    while let Some(RunResponse { part }) = stream
        .message()
        .await
        .map_err(|status| hub.failure(&status))?
    {
        match part {
            Some(Part::Started(started)) => {
                if !std::mem::replace(begun, true) {
                    output::note(&words::started(&started));
                }
                if !wait {
                    return Ok(None);
                }
            }
            Some(Part::Change(change)) => output::note(&words::change(&change)),
            Some(Part::Summary(summary)) => return Ok(Some(summary)),
            // Of a newer hub.
            None => {}
        }
    }
    Err(early(hub))
}

fn told(args: &RunArgs, summary: &RunSummary, dry_run: bool) -> Result<(), Failure> {
    let clock = Clock::new(args.listing.time, None);
    let answer = RunResponse {
        part: Some(Part::Summary(summary.clone())),
    };
    output::listing(
        args.listing,
        || Ok(run_rpc::run().answer_json(&answer)?["summary"].clone()),
        || words::table(summary, clock),
        "No clusters",
    )?;
    if dry_run {
        output::note("Nothing was run (dry run).");
    } else {
        output::note(&words::counts(summary.counts.as_ref()));
        if let Some(line) = words::next(summary) {
            output::note(&line);
        }
    }
    Ok(())
}

/// All succeeded, or not.
fn exit(summary: &RunSummary) -> Exit {
    let counts = summary.counts.unwrap_or_default();
    if counts.failed() + counts.refused() + counts.expired() > 0 {
        Exit::No
    } else {
        Exit::Yes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use segment_proto::v1::RunCounts;

    #[test]
    fn one_that_did_not_succeed_is_a_no() {
        let summary = |failed, expired, refused| RunSummary {
            counts: Some(RunCounts {
                succeeded: Some(3),
                failed: Some(failed),
                expired: Some(expired),
                refused: Some(refused),
                ..RunCounts::default()
            }),
            ..RunSummary::default()
        };
        assert_eq!(exit(&summary(0, 0, 0)), Exit::Yes);
        for wrong in [summary(1, 0, 0), summary(0, 1, 0), summary(0, 0, 1)] {
            assert_eq!(exit(&wrong), Exit::No);
        }
    }
}
