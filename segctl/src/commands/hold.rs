//! `hold` and `release`: schedules stop and go on, fleet-wide.

use super::names;
use crate::api::{Hub, rollout_rpc};
use crate::args::{HoldArgs, HoldUntilArgs};
use crate::exit::{Exit, Failure};
use crate::output::age::Clock;
use crate::output::{self, rollout as shown};
use jiff::Timestamp;
use segment_proto::v1::{
    Hold, HoldSegmentsRequest, HoldSegmentsResponse, ListHoldsRequest, ListHoldsResponse,
    ReleaseSegmentsRequest, ReleaseSegmentsResponse,
};
use std::time::{Duration, Instant};

/// How often clusters are asked for while they are waited for.
const POLL_PERIOD: Duration = Duration::from_millis(500);

pub(super) async fn hold(hub: &Hub, args: HoldUntilArgs) -> Result<Exit, Failure> {
    let HoldUntilArgs { hold, until } = args;
    if hold.segment.is_none() && hold.selector.is_empty() && !hold.all {
        return list(hub, &hold).await;
    }
    let until = until.as_deref().map(time).transpose()?;
    let segment = named(hub, &hold).await?;
    let request = HoldSegmentsRequest {
        segment,
        segment_selector: hold.selector.clone(),
        all: hold.all,
        namespace: namespace(hub, &hold),
        until,
        reason: hold.reason.clone(),
        validate_only: hold.dry_run,
    };
    let answer: HoldSegmentsResponse = match hub.call(rollout_rpc::hold(), request).await {
        Ok(answer) => answer,
        Err(failure) => return Err(explained(hub, &hold, failure).await),
    };
    finish(hub, &hold, answer.holds, answer.source.as_ref()).await
}

pub(super) async fn release(hub: &Hub, args: HoldArgs) -> Result<Exit, Failure> {
    if args.segment.is_none() && args.selector.is_empty() && !args.all {
        return Err(Failure::usage(
            "which Segments? A name, -l LABELS, or --all",
        ));
    }
    let request = ReleaseSegmentsRequest {
        segment: named(hub, &args).await?,
        segment_selector: args.selector.clone(),
        all: args.all,
        namespace: namespace(hub, &args),
        reason: args.reason.clone(),
        validate_only: args.dry_run,
    };
    let answer: ReleaseSegmentsResponse = match hub.call(rollout_rpc::release(), request).await {
        Ok(answer) => answer,
        Err(failure) => return Err(explained(hub, &args, failure).await),
    };
    finish(hub, &args, answer.holds, answer.source.as_ref()).await
}

async fn named(hub: &Hub, args: &HoldArgs) -> Result<String, Failure> {
    match &args.segment {
        Some(typed) => names::segment(hub, typed).await,
        None => Ok(String::new()),
    }
}

fn namespace(hub: &Hub, args: &HoldArgs) -> String {
    // A Segment's name says its namespace.
    if args.segment.is_some() {
        String::new()
    } else {
        hub.namespace().to_owned()
    }
}

async fn explained(hub: &Hub, args: &HoldArgs, failure: Failure) -> Failure {
    match &args.segment {
        Some(typed) => names::explain_segment(hub, typed, failure).await,
        None => failure,
    }
}

/// An RFC 3339 time, or a duration from now.
fn time(text: &str) -> Result<segment_proto::Timestamp, Failure> {
    let until = match text.parse::<Timestamp>() {
        Ok(until) => until,
        Err(_) => crate::args::duration(text)
            .ok()
            .and_then(|duration| Timestamp::now().checked_add(duration).ok())
            .ok_or_else(|| {
                Failure::usage(format!("--until {text} is no time"))
                    .help("write 2027-01-31T06:00:00Z, or how long from now: 4h, 30m")
            })?,
    };
    Ok(segment_proto::Timestamp {
        seconds: until.as_second(),
        nanos: 0,
    })
}

async fn list(hub: &Hub, args: &HoldArgs) -> Result<Exit, Failure> {
    let request = ListHoldsRequest {
        segment: String::new(),
        namespace: hub.namespace().to_owned(),
    };
    let answer = hub.call(rollout_rpc::holds(), request).await?;
    print(args, &answer)?;
    Ok(Exit::Yes)
}

/// Waits for the clusters, and says who has not confirmed.
async fn finish(
    hub: &Hub,
    args: &HoldArgs,
    mut holds: Vec<Hold>,
    source: Option<&segment_proto::v1::Source>,
) -> Result<Exit, Failure> {
    if args.dry_run {
        output::note("nothing was changed (dry run)");
    }
    let since = Instant::now();
    while !args.dry_run && since.elapsed() < args.timeout && holds.iter().any(is_open) {
        tokio::time::sleep(POLL_PERIOD).await;
        for hold in holds.iter_mut().filter(|hold| is_open(hold)) {
            let request = ListHoldsRequest {
                segment: hold.segment.clone(),
                namespace: String::new(),
            };
            let now = hub.call(rollout_rpc::holds(), request).await?;
            if let Some(now) = now.holds.into_iter().next() {
                *hold = now;
            }
        }
    }
    let all = !holds.is_empty()
        && holds
            .iter()
            .all(|hold| hold.error.is_empty() && (args.dry_run || !is_open(hold)));
    print(
        args,
        &ListHoldsResponse {
            holds,
            source: source.cloned(),
        },
    )?;
    Ok(if all { Exit::Yes } else { Exit::No })
}

/// Some cluster has not confirmed.
fn is_open(hold: &Hold) -> bool {
    hold.error.is_empty() && hold.confirmed() < hold.clusters()
}

fn print(args: &HoldArgs, answer: &ListHoldsResponse) -> Result<(), Failure> {
    let clock = Clock::new(args.listing.time, answer.source.as_ref());
    output::listing(
        args.listing,
        || rollout_rpc::holds().answer_json(answer),
        || shown::holds(&answer.holds, clock),
        "Nothing is held.",
    )?;
    for hold in &answer.holds {
        if !hold.error.is_empty() {
            output::note(&format!("‼ {}: {}", hold.segment, hold.error));
        }
        for one in &hold.unconfirmed {
            output::note(&format!(
                "‼ {} on {}: {}",
                hold.segment,
                one.cluster,
                crate::text::one_line(&one.reason)
            ));
        }
    }
    Ok(())
}
