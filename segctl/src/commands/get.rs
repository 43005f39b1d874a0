//! `get`: lists in kubectl's manner.

use super::{names, runs, status};
use crate::api::{self, Change, Hub, cluster_rpc, segment_rpc};
use crate::args::{Format, GetArgs, Kind, Listing, RunsArgs};
use crate::exit::{Exit, Failure};
use crate::output::age::Clock;
use crate::output::table::Table;
use crate::output::{self, rows};
use segment_proto::v1::{
    Assignment, GetAssignmentRequest, GetClusterRequest, GetSegmentRequest, ListAssignmentsRequest,
    ListAssignmentsResponse, ListClustersRequest, ListClustersResponse, ListSegmentsRequest,
    ListSegmentsResponse, View, WatchClustersRequest, WatchSegmentsRequest,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// How often assignments are asked for while they are watched: the hub has no watch of them.
const POLL_PERIOD: Duration = Duration::from_secs(2);

pub(super) async fn run(hub: &Hub, args: GetArgs) -> Result<Exit, Failure> {
    if args.watch && !args.names.is_empty() {
        return Err(
            Failure::usage("-w takes no names").help("choose with -l, --segment or --cluster")
        );
    }
    match args.kind {
        Kind::Segments if args.watch => watch_segments(hub, &args).await,
        Kind::Segments => segments(hub, &args).await,
        Kind::Clusters if args.watch => watch_clusters(hub, &args.selector, args.listing).await,
        Kind::Clusters => clusters(hub, &args.selector, &args.names, args.listing).await,
        Kind::Assignments if args.watch => watch_assignments(hub, &args).await,
        Kind::Assignments => assignments(hub, &args).await,
        Kind::Runs if !args.names.is_empty() => {
            Err(Failure::usage("runs have no names").help("segctl runs SEGMENT lists its runs"))
        }
        Kind::Runs => {
            let args = RunsArgs {
                segment: args.segment,
                selector: args.selector,
                cluster: args.cluster,
                clusters: args.clusters,
                watch: args.watch,
                listing: args.listing,
                ..RunsArgs::default()
            };
            runs::run(hub, args).await
        }
    }
}

fn view(format: Format) -> i32 {
    match format {
        Format::Json | Format::Yaml => View::Full,
        Format::Table | Format::Wide | Format::Name => View::Basic,
    }
    .into()
}

// === segments ===

async fn segments(hub: &Hub, args: &GetArgs) -> Result<Exit, Failure> {
    let answer = if args.names.is_empty() {
        let request = ListSegmentsRequest {
            namespace: hub.namespace().to_owned(),
            label_selector: args.selector.clone(),
            cluster: args.cluster.clone(),
            view: view(args.listing.output),
            ..ListSegmentsRequest::default()
        };
        api::segments(hub, request).await?
    } else {
        let mut all = ListSegmentsResponse::default();
        for typed in &args.names {
            let name = names::segment(hub, typed).await?;
            let request = GetSegmentRequest { name: name.clone() };
            match hub.call(segment_rpc::get(), request).await {
                Ok(answer) => {
                    all.segments.extend(answer.segment);
                    all.source = answer.source;
                }
                Err(failure) => return Err(names::explain_segment(hub, &name, failure).await),
            }
        }
        all.total_size = i32::try_from(all.segments.len()).ok();
        all
    };
    let clock = Clock::new(args.listing.time, answer.source.as_ref());
    output::listing(
        args.listing,
        || segment_rpc::list().answer_json(&answer),
        || rows::segments(&answer.segments, clock, hub.namespace().is_empty()),
        &status::nothing(hub, "segments"),
    )?;
    Ok(Exit::Yes)
}

async fn watch_segments(hub: &Hub, args: &GetArgs) -> Result<Exit, Failure> {
    let request = WatchSegmentsRequest {
        namespace: hub.namespace().to_owned(),
        label_selector: args.selector.clone(),
        view: view(args.listing.output),
        ..WatchSegmentsRequest::default()
    };
    let namespaces = hub.namespace().is_empty();
    let mut printer = Printer::new(args.listing);
    api::watch(hub, segment_rpc::watch(), request, |change| {
        printer.change(change, |segment| {
            let table = rows::segments(
                std::slice::from_ref(segment),
                Clock::new(args.listing.time, None),
                namespaces,
            );
            let answer = ListSegmentsResponse {
                segments: vec![segment.clone()],
                ..ListSegmentsResponse::default()
            };
            Ok((
                table,
                segment_rpc::list().answer_json(&answer)?["segments"][0].take(),
            ))
        })
    })
    .await?;
    Ok(Exit::Yes)
}

// === clusters ===

pub(super) async fn clusters(
    hub: &Hub,
    selector: &str,
    typed: &[String],
    listing: Listing,
) -> Result<Exit, Failure> {
    let answer = if typed.is_empty() {
        let request = ListClustersRequest {
            label_selector: selector.to_owned(),
            view: view(listing.output),
            ..ListClustersRequest::default()
        };
        api::clusters(hub, request).await?
    } else {
        let mut all = ListClustersResponse::default();
        for name in typed {
            match hub
                .call(cluster_rpc::get(), GetClusterRequest { name: name.clone() })
                .await
            {
                Ok(answer) => {
                    all.clusters.extend(answer.cluster);
                    all.source = answer.source;
                }
                Err(failure) => return Err(names::explain_cluster(hub, name, failure).await),
            }
        }
        all.total_size = i32::try_from(all.clusters.len()).ok();
        all
    };
    let clock = Clock::new(listing.time, answer.source.as_ref());
    output::listing(
        listing,
        || cluster_rpc::list().answer_json(&answer),
        || rows::clusters(&answer.clusters, clock),
        "No clusters found",
    )?;
    Ok(Exit::Yes)
}

pub(super) async fn watch_clusters(
    hub: &Hub,
    selector: &str,
    listing: Listing,
) -> Result<Exit, Failure> {
    let request = WatchClustersRequest {
        label_selector: selector.to_owned(),
        view: view(listing.output),
        ..WatchClustersRequest::default()
    };
    let mut printer = Printer::new(listing);
    api::watch(hub, cluster_rpc::watch(), request, |change| {
        printer.change(change, |cluster| {
            let table = rows::clusters(
                std::slice::from_ref(cluster),
                Clock::new(listing.time, None),
            );
            let answer = ListClustersResponse {
                clusters: vec![cluster.clone()],
                ..ListClustersResponse::default()
            };
            Ok((
                table,
                cluster_rpc::list().answer_json(&answer)?["clusters"][0].take(),
            ))
        })
    })
    .await?;
    Ok(Exit::Yes)
}

// === assignments ===

async fn list_assignments(hub: &Hub, args: &GetArgs) -> Result<ListAssignmentsResponse, Failure> {
    let segment = match &args.segment {
        Some(typed) => names::segment(hub, typed).await?,
        None => String::new(),
    };
    let request = ListAssignmentsRequest {
        // A Segment's name brings its own namespace.
        namespace: if segment.is_empty() {
            hub.namespace().to_owned()
        } else {
            String::new()
        },
        segment,
        cluster: args.cluster.clone(),
        segment_selector: args.selector.clone(),
        cluster_selector: args.clusters.clone(),
        view: view(args.listing.output),
        ..ListAssignmentsRequest::default()
    };
    api::assignments(hub, request).await
}

async fn assignments(hub: &Hub, args: &GetArgs) -> Result<Exit, Failure> {
    let answer = if args.names.is_empty() {
        list_assignments(hub, args).await?
    } else {
        let mut all = ListAssignmentsResponse::default();
        for typed in &args.names {
            let (segment, cluster) = typed
                .strip_prefix("assignment/")
                .unwrap_or(typed)
                .rsplit_once('@')
                .ok_or_else(|| {
                    Failure::usage(format!(
                        "{typed:?} is no assignment: expected namespace/segment@cluster"
                    ))
                })?;
            let segment = names::segment(hub, segment).await?;
            let request = GetAssignmentRequest {
                segment,
                cluster: cluster.to_owned(),
            };
            let answer = hub.call(segment_rpc::get_assignment(), request).await?;
            all.assignments.extend(answer.assignment);
            all.source = answer.source;
        }
        all.total_size = i32::try_from(all.assignments.len()).ok();
        all
    };
    let clock = Clock::new(args.listing.time, answer.source.as_ref());
    output::listing(
        args.listing,
        || segment_rpc::list_assignments().answer_json(&answer),
        || rows::assignments(&answer.assignments, clock, hub.namespace().is_empty()),
        &status::nothing(hub, "assignments"),
    )?;
    Ok(Exit::Yes)
}

async fn watch_assignments(hub: &Hub, args: &GetArgs) -> Result<Exit, Failure> {
    let namespaces = hub.namespace().is_empty();
    let mut printer = Printer::new(args.listing);
    let mut known: BTreeMap<(String, String), Assignment> = BTreeMap::new();
    loop {
        match list_assignments(hub, args).await {
            Ok(answer) => {
                let clock = Clock::new(args.listing.time, answer.source.as_ref());
                let new: BTreeMap<_, _> = answer
                    .assignments
                    .into_iter()
                    .map(|assignment| {
                        (
                            (assignment.segment.clone(), assignment.cluster.clone()),
                            assignment,
                        )
                    })
                    .collect();
                for (key, assignment) in &new {
                    if known.get(key) != Some(assignment) {
                        printer.change(Change::Is(assignment.clone()), |assignment| {
                            let table = rows::assignments(
                                std::slice::from_ref(assignment),
                                clock,
                                namespaces,
                            );
                            let answer = ListAssignmentsResponse {
                                assignments: vec![assignment.clone()],
                                ..ListAssignmentsResponse::default()
                            };
                            let mut json = segment_rpc::list_assignments().answer_json(&answer)?;
                            Ok((table, json["assignments"][0].take()))
                        })?;
                    }
                }
                known = new;
            }
            // The first answer counts; later a lost connection is waited for.
            Err(failure) if known.is_empty() || !failure.transient => return Err(failure),
            Err(failure) => output::note(&format!("{}; trying again", failure.message)),
        }
        tokio::time::sleep(POLL_PERIOD).await;
    }
}

/// Prints changes as kubectl's `-w` does: a row each, one header.
pub(super) struct Printer {
    listing: Listing,
    header: bool,
}

impl Printer {
    pub(super) fn new(listing: Listing) -> Self {
        Self {
            listing,
            header: !listing.no_headers,
        }
    }

    pub(super) fn change<T>(
        &mut self,
        change: Change<T>,
        row: impl FnOnce(&T) -> Result<(Table, serde_json::Value), Failure>,
    ) -> Result<(), Failure> {
        // What is gone has only a name: kubectl's tables don't show it either.
        let Change::Is(item) = change else {
            return Ok(());
        };
        let (table, json) = row(&item)?;
        match self.listing.output {
            Format::Table | Format::Wide => {
                let text = table.text(self.listing.output == Format::Wide, self.header);
                self.header = false;
                output::print(&text)
            }
            Format::Name => output::print(&table.names()),
            Format::Json => output::print(&output::json(&json)?),
            Format::Yaml => output::print(&format!("---\n{}", output::yaml(&json)?)),
        }
    }
}
