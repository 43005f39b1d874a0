//! `forecast`: what starts when, over the fleet.

use super::names;
use crate::api::{Hub, plan_rpc};
use crate::args::{Document as Form, ForecastArgs, Per, Times};
use crate::exit::{Exit, Failure};
use crate::output::age::Clock;
use crate::output::{self, forecast as words};
use segment_proto::v1::{ForecastGroup, ForecastRequest};

pub(super) async fn run(hub: &Hub, args: ForecastArgs) -> Result<Exit, Failure> {
    let seconds = i64::try_from(args.window.as_secs())
        .map_err(|_| Failure::usage("--window is longer than time itself"))?;
    let segment = match &args.segment {
        Some(typed) => names::segment(hub, typed).await?,
        None => String::new(),
    };
    let request = ForecastRequest {
        segment: segment.clone(),
        namespace: if segment.is_empty() {
            hub.namespace().to_owned()
        } else {
            String::new()
        },
        segment_selector: args.selector,
        cluster_selector: args.clusters,
        window: Some(segment_proto::Duration { seconds, nanos: 0 }),
        group_by: match args.per {
            Some(Per::DbHost) => ForecastGroup::DbHost,
            Some(Per::Segment) => ForecastGroup::Segment,
            Some(Per::Cluster) => ForecastGroup::Cluster,
            Some(Per::Minute) | None => ForecastGroup::Unspecified,
        }
        .into(),
        peaks: args.peaks.into(),
        minutes: args.per == Some(Per::Minute),
    };
    let answer = match hub.call(plan_rpc::forecast(), request).await {
        Ok(answer) => answer,
        Err(failure) => return Err(names::explain_segment(hub, &segment, failure).await),
    };
    match args.output {
        Form::Text => {
            let clock = Clock::new(args.time.unwrap_or(Times::Relative), answer.source.as_ref());
            output::print(&words::text(&answer, args.per, clock))?;
            output::note(&words::summary(&answer));
        }
        Form::Json => output::print(&output::json(&plan_rpc::forecast().answer_json(&answer)?)?)?,
        Form::Yaml => output::print(&output::yaml(&plan_rpc::forecast().answer_json(&answer)?)?)?,
    }
    Ok(Exit::Yes)
}
