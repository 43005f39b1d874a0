//! `runs`: the ledger of every run, or what runs have in common.

use super::get::Printer;
use super::{names, status};
use crate::api::{Change, Hub, run_rpc};
use crate::args::{Format, GroupBy, RunsArgs};
use crate::exit::{Exit, Failure};
use crate::output::age::Clock;
use crate::output::{self, runs as rows};
use crate::text::count;
use segment_proto::v1::{ListRunsRequest, ListRunsResponse, RunGrouping, RunRecord};
use std::collections::BTreeMap;
use std::time::Duration;

/// How often runs are asked for while they are watched.
const POLL_PERIOD: Duration = Duration::from_secs(2);
/// Runs that a table shows: nobody reads more, and a fleet has millions.
const TABLE_RUNS: usize = 5_000;

pub(super) async fn run(hub: &Hub, args: RunsArgs) -> Result<Exit, Failure> {
    let request = request(hub, &args).await?;
    match args.group_by {
        Some(by) => groups(hub, &args, by, request).await,
        None if args.watch => watch(hub, &args).await,
        None => list(hub, &args, request).await,
    }
}

async fn request(hub: &Hub, args: &RunsArgs) -> Result<ListRunsRequest, Failure> {
    let segment = match &args.segment {
        Some(typed) => names::segment(hub, typed).await?,
        None => String::new(),
    };
    let since = args.since.map(|since| {
        let now = jiff::Timestamp::now();
        let since = now.checked_sub(since).unwrap_or(jiff::Timestamp::MIN);
        segment_proto::convert::time::to_wire(since)
    });
    Ok(ListRunsRequest {
        // A Segment's name brings its own namespace.
        namespace: if segment.is_empty() {
            hub.namespace().to_owned()
        } else {
            String::new()
        },
        segment,
        segment_selector: args.selector.clone(),
        cluster: args.cluster.clone(),
        cluster_selector: args.clusters.clone(),
        failed: args.failed,
        missed: args.missed,
        since,
        group_by: match args.group_by {
            None => RunGrouping::Unspecified,
            Some(GroupBy::Cause) => RunGrouping::Cause,
            Some(GroupBy::Cluster) => RunGrouping::Cluster,
            Some(GroupBy::Segment) => RunGrouping::Segment,
        }
        .into(),
        ..ListRunsRequest::default()
    })
}

/// One page; what is not there is said as elsewhere.
async fn page(hub: &Hub, request: &ListRunsRequest) -> Result<ListRunsResponse, Failure> {
    match hub.call(run_rpc::list(), request.clone()).await {
        Ok(answer) => Ok(answer),
        Err(failure) if !request.segment.is_empty() => {
            Err(names::explain_segment(hub, &request.segment, failure).await)
        }
        Err(failure) if !request.cluster.is_empty() => {
            Err(names::explain_cluster(hub, &request.cluster, failure).await)
        }
        Err(failure) => Err(failure),
    }
}

async fn list(hub: &Hub, args: &RunsArgs, mut request: ListRunsRequest) -> Result<Exit, Failure> {
    let table = matches!(args.listing.output, Format::Table | Format::Wide);
    let mut all = page(hub, &request).await?;
    let most = if table { TABLE_RUNS } else { usize::MAX };
    while !all.next_page_token.is_empty() && all.runs.len() < most {
        request.page_token = std::mem::take(&mut all.next_page_token);
        let next = page(hub, &request).await?;
        all.runs.extend(next.runs);
        // A token that repeats would never end.
        if next.next_page_token != request.page_token {
            all.next_page_token = next.next_page_token;
        }
    }
    let clock = Clock::new(args.listing.time, all.source.as_ref());
    output::listing(
        args.listing,
        || run_rpc::list().answer_json(&all),
        || rows::runs(&all.runs, clock, hub.namespace().is_empty()),
        &status::nothing(hub, "runs"),
    )?;
    if table && !all.next_page_token.is_empty() {
        let total = usize::try_from(all.total_size()).unwrap_or_default();
        let more = total.saturating_sub(all.runs.len());
        output::note(&format!(
            "… and {} more: choose with --since, --failed, -l, --cluster, or sum up with --group-by",
            count(more, "run")
        ));
    }
    Ok(Exit::Yes)
}

async fn groups(
    hub: &Hub,
    args: &RunsArgs,
    by: GroupBy,
    request: ListRunsRequest,
) -> Result<Exit, Failure> {
    let answer = page(hub, &request).await?;
    let clock = Clock::new(args.listing.time, answer.source.as_ref());
    output::listing(
        args.listing,
        || run_rpc::list().answer_json(&answer),
        || rows::groups(&answer.groups, by, clock),
        &status::nothing(hub, "runs"),
    )?;
    if answer.left_over() > 0 && matches!(args.listing.output, Format::Table | Format::Wide) {
        output::note(&format!(
            "… and {} in groups that are not shown",
            count(answer.left_over() as usize, "run")
        ));
    }
    Ok(Exit::Yes)
}

/// Shows runs that are new or changed: of the newest page, which holds more than happens between two looks.
async fn watch(hub: &Hub, args: &RunsArgs) -> Result<Exit, Failure> {
    let namespaces = hub.namespace().is_empty();
    let mut printer = Printer::new(args.listing);
    let mut known: Option<BTreeMap<(String, String, String), RunRecord>> = None;
    loop {
        let request = request(hub, args).await?;
        match page(hub, &request).await {
            Ok(answer) => {
                let clock = Clock::new(args.listing.time, answer.source.as_ref());
                let mut new = BTreeMap::new();
                // The oldest first, so that the newest stands last on the screen.
                for record in answer.runs.into_iter().rev() {
                    let key = (
                        record.segment.clone(),
                        record.cluster.clone(),
                        rows::id(&record),
                    );
                    let same = known
                        .as_ref()
                        .is_some_and(|known| known.get(&key) == Some(&record));
                    if !same {
                        printer.change(Change::Is(record.clone()), |record| {
                            let one = std::slice::from_ref(record);
                            let answer = ListRunsResponse {
                                runs: one.to_vec(),
                                ..ListRunsResponse::default()
                            };
                            let mut json = run_rpc::list().answer_json(&answer)?;
                            Ok((rows::runs(one, clock, namespaces), json["runs"][0].take()))
                        })?;
                    }
                    new.insert(key, record);
                }
                known = Some(new);
            }
            // The first answer counts; later a lost connection is waited for.
            Err(failure) if known.is_none() || !failure.transient => return Err(failure),
            Err(failure) => output::note(&format!("{}; trying again", failure.message)),
        }
        tokio::time::sleep(POLL_PERIOD).await;
    }
}
