//! `describe`: everything that is known of one thing.

use super::names;
use crate::api::{self, Hub, cluster_rpc, segment_rpc};
use crate::args::{DescribeArgs, Described, Times};
use crate::exit::{Exit, Failure};
use crate::output::age::Clock;
use crate::output::{self, detail};
use segment_proto::v1::{
    AssignmentState, GetClusterRequest, GetSegmentRequest, ListAssignmentsRequest,
};

/// Assignments that are listed at the end: `get assignments` has all.
const SHOWN: usize = 50;

pub(super) async fn run(hub: &Hub, args: DescribeArgs) -> Result<Exit, Failure> {
    match args.kind {
        Described::Segment => segment(hub, args).await,
        Described::Cluster => cluster(hub, args).await,
    }
}

async fn segment(hub: &Hub, args: DescribeArgs) -> Result<Exit, Failure> {
    let name = names::segment(hub, &args.name).await?;
    let answer = match hub
        .call(segment_rpc::get(), GetSegmentRequest { name: name.clone() })
        .await
    {
        Ok(answer) => answer,
        Err(failure) => return Err(names::explain_segment(hub, &name, failure).await),
    };
    let request = ListAssignmentsRequest {
        segment: name,
        states: [
            AssignmentState::Failing,
            AssignmentState::Held,
            AssignmentState::Stale,
            AssignmentState::Rolling,
        ]
        .map(Into::into)
        .to_vec(),
        page_size: i32::try_from(SHOWN).unwrap_or(i32::MAX),
        ..ListAssignmentsRequest::default()
    };
    let worst = hub
        .call(segment_rpc::list_assignments(), request)
        .await?
        .assignments;
    let clock = Clock::new(Times::Relative, answer.source.as_ref());
    let segment = answer.segment.clone().unwrap_or_default();
    output::document(
        args.output,
        || segment_rpc::get().answer_json(&answer),
        || detail::segment(&segment, &worst, clock),
    )?;
    Ok(Exit::Yes)
}

async fn cluster(hub: &Hub, args: DescribeArgs) -> Result<Exit, Failure> {
    let request = GetClusterRequest {
        name: args.name.clone(),
    };
    let answer = match hub.call(cluster_rpc::get(), request).await {
        Ok(answer) => answer,
        Err(failure) => return Err(names::explain_cluster(hub, &args.name, failure).await),
    };
    let request = ListAssignmentsRequest {
        cluster: args.name.clone(),
        ..ListAssignmentsRequest::default()
    };
    // Who may see Clusters need not be one who may see Segments.
    let mut there = match api::assignments(hub, request).await {
        Ok(all) => all.assignments,
        Err(failure) if failure.exit == Exit::Unreachable && !failure.transient => Vec::new(),
        Err(failure) => return Err(failure),
    };
    there.truncate(SHOWN);
    let clock = Clock::new(Times::Relative, answer.source.as_ref());
    let cluster = answer.cluster.clone().unwrap_or_default();
    output::document(
        args.output,
        || cluster_rpc::get().answer_json(&answer),
        || detail::cluster(&cluster, &there, clock),
    )?;
    Ok(Exit::Yes)
}
