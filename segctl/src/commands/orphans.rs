//! `orphans`: what clusters hold that no Segment here asks for.

use crate::api::{self, Hub, segment_rpc};
use crate::args::OrphansArgs;
use crate::exit::{Exit, Failure};
use crate::output::{self, rows};
use segment_proto::v1::ListOrphansRequest;

pub(super) async fn run(hub: &Hub, args: OrphansArgs) -> Result<Exit, Failure> {
    let request = ListOrphansRequest {
        cluster: args.cluster,
        ..ListOrphansRequest::default()
    };
    let answer = api::orphans(hub, request).await?;
    output::listing(
        args.listing,
        || segment_rpc::list_orphans().answer_json(&answer),
        || rows::orphans(&answer.orphans),
        "No orphans found",
    )?;
    Ok(Exit::Yes)
}
