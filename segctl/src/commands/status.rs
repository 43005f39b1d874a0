//! `status`: the matrix, or one Segment with the clusters that need someone.

use super::names;
use crate::api::{self, Change, Hub, segment_rpc};
use crate::args::{Format, Listing, StatusArgs};
use crate::exit::{Exit, Failure};
use crate::output::age::{Clock, read};
use crate::output::{self, rows};
use crate::text::count;
use segment_proto::v1::{
    AssignmentState, GetSegmentRequest, ListAssignmentsRequest, ListSegmentsRequest,
    ListSegmentsResponse, View, WatchSegmentsRequest,
};
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::time::Duration;

/// How long changes are gathered before a screen is drawn again: faster than one reads is of no use.
const REDRAW_PERIOD: Duration = Duration::from_secs(1);
/// Quiet clusters that the last line names.
const QUIET_NAMED: usize = 5;
/// Assignments that are shown under one Segment.
const WORST_SHOWN: usize = 20;

pub(super) async fn run(hub: &Hub, args: StatusArgs) -> Result<Exit, Failure> {
    match &args.segment {
        Some(typed) => {
            let name = names::segment(hub, typed).await?;
            match one(hub, &name, args.listing).await {
                Ok(ready) if !args.watch => Ok(if ready { Exit::Yes } else { Exit::No }),
                Ok(_) => watch(hub, &args, Some(name)).await,
                Err(failure) => Err(names::explain_segment(hub, &name, failure).await),
            }
        }
        None if args.watch => watch(hub, &args, None).await,
        None => {
            matrix(hub, &args).await?;
            Ok(Exit::Yes)
        }
    }
}

async fn matrix(hub: &Hub, args: &StatusArgs) -> Result<(), Failure> {
    let request = ListSegmentsRequest {
        namespace: hub.namespace().to_owned(),
        label_selector: args.selector.clone(),
        cluster: args.cluster.clone(),
        states: if args.failing {
            vec![AssignmentState::Failing.into()]
        } else {
            Vec::new()
        },
        view: if args.listing.output == Format::Wide {
            View::Full
        } else {
            View::Basic
        }
        .into(),
        ..ListSegmentsRequest::default()
    };
    let answer = api::segments(hub, request).await?;
    let clock = Clock::new(args.listing.time, answer.source.as_ref());
    output::listing(
        args.listing,
        || segment_rpc::list().answer_json(&answer),
        || rows::segments(&answer.segments, clock, hub.namespace().is_empty()),
        &nothing(hub, "segments"),
    )?;
    if matches!(args.listing.output, Format::Table | Format::Wide) {
        output::note(&last_line(&answer, clock));
    }
    Ok(())
}

/// `2 segments, 512 clusters (2 not heard from: eu-17, ap-03). As of 10:41:07Z, hub segment-hub-0 (leader).`
fn last_line(answer: &ListSegmentsResponse, clock: Clock) -> String {
    let mut line = count(answer.segments.len(), "segment");
    if let Some(fleet) = &answer.fleet {
        let _ = write!(line, ", {}", count(fleet.clusters() as usize, "cluster"));
        let quiet = fleet.quiet_count() as usize;
        if quiet > 0 {
            let named: Vec<_> = fleet
                .quiet
                .iter()
                .take(QUIET_NAMED)
                .map(String::as_str)
                .collect();
            let more = if quiet > named.len() { ", …" } else { "" };
            let _ = write!(
                line,
                " ({quiet} not heard from: {}{more})",
                named.join(", ")
            );
        }
    }
    if let Some(source) = &answer.source {
        let time = read(source.as_of.as_ref()).unwrap_or(clock.now);
        let time = output::age::seconds_of(time);
        let time = time.split_once('T').map_or(time.as_str(), |(_, time)| time);
        let role = if source.leader() { "leader" } else { "standby" };
        let _ = write!(line, ". As of {time}, hub {} ({role}).", source.hub);
    }
    crate::text::one_line(&line)
}

/// One Segment, and what is not as it shall be. Answers whether it is ready.
async fn one(hub: &Hub, name: &str, listing: Listing) -> Result<bool, Failure> {
    let request = GetSegmentRequest {
        name: name.to_owned(),
    };
    let answer = hub.call(segment_rpc::get(), request).await?;
    let Some(segment) = answer.segment.clone() else {
        return Err(Failure::new(
            Exit::NotFound,
            format!("segment {name} not found"),
        ));
    };
    let clock = Clock::new(listing.time, answer.source.as_ref());
    output::listing(
        listing,
        || segment_rpc::get().answer_json(&answer),
        || rows::segments(std::slice::from_ref(&segment), clock, false),
        "",
    )?;
    if matches!(listing.output, Format::Table | Format::Wide) {
        let request = ListAssignmentsRequest {
            segment: name.to_owned(),
            states: [
                AssignmentState::Failing,
                AssignmentState::Stale,
                AssignmentState::Held,
                AssignmentState::Rolling,
                AssignmentState::Owed,
            ]
            .map(Into::into)
            .to_vec(),
            ..ListAssignmentsRequest::default()
        };
        let mut unready = api::assignments(hub, request).await?.assignments;
        if !unready.is_empty() {
            let order = |state| match state {
                AssignmentState::Failing => 0,
                AssignmentState::Held => 1,
                AssignmentState::Stale => 2,
                AssignmentState::Rolling => 3,
                _ => 4,
            };
            unready.sort_by_key(|assignment| order(assignment.state()));
            let all = unready.len();
            unready.truncate(WORST_SHOWN);
            let table = rows::assignments(&unready, clock, false);
            output::print(&format!(
                "\n{}",
                table.text(listing.output == Format::Wide, !listing.no_headers)
            ))?;
            if all > unready.len() {
                output::note(&format!(
                    "… and {} more: segctl get assignments --segment {name}",
                    all - unready.len()
                ));
            }
        }
        for condition in segment.conditions.iter().filter(|condition| {
            (condition.r#type == "Accepted" && condition.status == "False")
                || (condition.r#type == "Stalled" && condition.status == "True")
        }) {
            let words = rows::because(&condition.reason, &condition.message);
            output::note(&format!(
                "‼ {}={}: {}",
                condition.r#type,
                condition.status,
                crate::text::one_line(&words)
            ));
        }
    }
    Ok(segment.ready())
}

/// Draws again when something changed: on a terminal over the old one, else below it.
async fn watch(hub: &Hub, args: &StatusArgs, name: Option<String>) -> Result<Exit, Failure> {
    let request = WatchSegmentsRequest {
        namespace: match &name {
            Some(name) => rows::split(name).0.to_owned(),
            None => hub.namespace().to_owned(),
        },
        label_selector: args.selector.clone(),
        ..WatchSegmentsRequest::default()
    };
    let changed = tokio::sync::Notify::new();
    let watching = api::watch(hub, segment_rpc::watch(), request, |change| {
        match change {
            Change::Synced => changed.notify_one(),
            Change::Is(segment) | Change::Gone(segment)
                if name.as_ref().is_none_or(|name| *name == segment.name) =>
            {
                changed.notify_one();
            }
            _ => {}
        }
        Ok(())
    });
    let drawing = async {
        // Ages grow without changes: draw now and then anyway, on a terminal.
        let terminal = std::io::stdout().is_terminal();
        loop {
            if terminal {
                let _ = tokio::time::timeout(REDRAW_PERIOD * 10, changed.notified()).await;
                output::print("\u{1b}[H\u{1b}[2J")?;
            } else {
                changed.notified().await;
            }
            match &name {
                Some(name) => {
                    one(hub, name, args.listing).await?;
                }
                None => matrix(hub, args).await?,
            }
            tokio::time::sleep(REDRAW_PERIOD).await;
        }
    };
    tokio::select! {
        outcome = watching => outcome.map(|()| Exit::Yes),
        outcome = drawing => outcome,
    }
}

/// As kubectl says it.
pub(super) fn nothing(hub: &Hub, what: &str) -> String {
    match hub.namespace() {
        "" => format!("No {what} found"),
        namespace => format!("No {what} found in {namespace} namespace."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Times;
    use segment_proto::Timestamp as Wire;
    use segment_proto::v1::{Fleet, Segment, Source};

    #[test]
    fn the_last_line_names_the_fleet_and_who_answered() {
        let answer = ListSegmentsResponse {
            segments: vec![Segment::default(), Segment::default()],
            fleet: Some(Fleet {
                clusters: Some(512),
                connected: Some(510),
                quiet: vec!["eu-17".into(), "ap-03".into()],
                quiet_count: Some(2),
            }),
            source: Some(Source {
                as_of: Some(Wire {
                    seconds: 38_467,
                    nanos: 500_000_000,
                }),
                hub: "segment-hub-0".into(),
                leader: Some(true),
            }),
            ..ListSegmentsResponse::default()
        };
        assert_eq!(
            last_line(&answer, Clock::new(Times::Relative, answer.source.as_ref())),
            "2 segments, 512 clusters (2 not heard from: eu-17, ap-03). As of 10:41:07Z, hub segment-hub-0 (leader)."
        );
    }
}
