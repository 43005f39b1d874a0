//! `why`: one reason.

use super::names;
use crate::api::{Hub, segment_rpc};
use crate::args::{Times, WhyArgs};
use crate::exit::{Exit, Failure};
use crate::output::age::Clock;
use crate::output::{self, detail};
use segment_proto::v1::WhyRequest;

pub(super) async fn run(hub: &Hub, args: WhyArgs) -> Result<Exit, Failure> {
    let segment = names::segment(hub, &args.segment).await?;
    let request = WhyRequest {
        segment: segment.clone(),
        cluster: args.cluster.clone(),
    };
    let answer = match hub.call(segment_rpc::why(), request).await {
        Ok(answer) => answer,
        Err(failure) if failure.message.contains("cluster") => {
            return Err(names::explain_cluster(hub, &args.cluster, failure).await);
        }
        Err(failure) => return Err(names::explain_segment(hub, &segment, failure).await),
    };
    let clock = Clock::new(Times::Relative, answer.source.as_ref());
    output::document(
        args.output,
        || segment_rpc::why().answer_json(&answer),
        || detail::why(&answer, clock),
    )?;
    Ok(Exit::Yes)
}
