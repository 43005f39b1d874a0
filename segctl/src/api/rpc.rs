//! The methods by name, and their messages as canonical JSON.
//!
//! In: prost's messages. Out: JSON as grpcurl prints it. Law: the types of a method are those of the descriptors
//! (test `the_types_of_a_method_are_those_of_the_descriptors`).

use crate::exit::{Exit, Failure};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor};
use std::marker::PhantomData;
use std::sync::LazyLock;

static POOL: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(segment_proto::USERS_DESCRIPTORS).ok());

/// A method with the types of its request and answer.
pub(crate) struct Rpc<Q, A> {
    /// Full name of the service.
    pub(crate) service: &'static str,
    /// Name of the method.
    pub(crate) name: &'static str,
    types: PhantomData<fn(Q) -> A>,
}

impl<Q, A> Clone for Rpc<Q, A> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<Q, A> Copy for Rpc<Q, A> {}

impl<Q, A> Rpc<Q, A> {
    const fn new(service: &'static str, name: &'static str) -> Self {
        Self {
            service,
            name,
            types: PhantomData,
        }
    }

    /// The path of a call.
    pub(crate) fn path(&self) -> http::uri::PathAndQuery {
        http::uri::PathAndQuery::from_maybe_shared(format!("/{}/{}", self.service, self.name))
            .unwrap_or_else(|_| http::uri::PathAndQuery::from_static("/"))
    }

    fn method(&self) -> Result<MethodDescriptor, Failure> {
        POOL.as_ref()
            .and_then(|pool| pool.get_service_by_name(self.service))
            .and_then(|service| service.methods().find(|method| method.name() == self.name))
            .ok_or_else(|| {
                Failure::new(
                    Exit::No,
                    format!("segctl does not know {}/{}", self.service, self.name),
                )
            })
    }
}

impl<Q: Message, A> Rpc<Q, A> {
    /// The request on one line.
    pub(crate) fn request_json(&self, request: &Q) -> Result<String, Failure> {
        Ok(json(self.method()?.input(), request)?.to_string())
    }
}

impl<Q, A: Message> Rpc<Q, A> {
    /// The answer.
    pub(crate) fn answer_json(&self, answer: &A) -> Result<serde_json::Value, Failure> {
        json(self.method()?.output(), answer)
    }
}

fn json(
    descriptor: MessageDescriptor,
    message: &impl Message,
) -> Result<serde_json::Value, Failure> {
    let unprintable =
        |why: String| Failure::new(Exit::No, format!("the answer can't be printed: {why}"));
    let message = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())
        .map_err(|error| unprintable(error.to_string()))?;
    serde_json::to_value(&message).map_err(|error| unprintable(error.to_string()))
}

macro_rules! service {
    ($(#[$doc:meta])* $module:ident = $service:literal { $($fn:ident $name:ident $request:ident $answer:ident;)* }) => {
        $(#[$doc])*
        pub(crate) mod $module {
            use super::Rpc;
            use segment_proto::v1::{$($request, $answer),*};
            $(
                #[doc = concat!("`", stringify!($name), "`.")]
                pub(crate) const fn $fn() -> Rpc<$request, $answer> {
                    Rpc::new($service, stringify!($name))
                }
            )*
            #[cfg(test)]
            pub(super) fn all() -> Vec<(&'static str, &'static str, &'static str, &'static str)> {
                vec![$(($service, stringify!($name), stringify!($request), stringify!($answer))),*]
            }
        }
    };
}

service! {
    /// Methods of `SegmentService`.
    segment_rpc = "grnry.segment.v1.SegmentService" {
        list ListSegments ListSegmentsRequest ListSegmentsResponse;
        get GetSegment GetSegmentRequest GetSegmentResponse;
        watch WatchSegments WatchSegmentsRequest WatchSegmentsResponse;
        list_assignments ListAssignments ListAssignmentsRequest ListAssignmentsResponse;
        get_assignment GetAssignment GetAssignmentRequest GetAssignmentResponse;
        why Why WhyRequest WhyResponse;
        list_orphans ListOrphans ListOrphansRequest ListOrphansResponse;
    }
}

service! {
    /// Methods of `RolloutService`.
    rollout_rpc = "grnry.segment.v1.RolloutService" {
        get GetRollout GetRolloutRequest GetRolloutResponse;
        revisions ListRevisions ListRevisionsRequest ListRevisionsResponse;
        control ControlRollout ControlRolloutRequest ControlRolloutResponse;
        approve ApproveRollout ApproveRolloutRequest ApproveRolloutResponse;
        hold HoldSegments HoldSegmentsRequest HoldSegmentsResponse;
        release ReleaseSegments ReleaseSegmentsRequest ReleaseSegmentsResponse;
        holds ListHolds ListHoldsRequest ListHoldsResponse;
    }
}

service! {
    /// Methods of `ClusterService`.
    cluster_rpc = "grnry.segment.v1.ClusterService" {
        list ListClusters ListClustersRequest ListClustersResponse;
        get GetCluster GetClusterRequest GetClusterResponse;
        watch WatchClusters WatchClustersRequest WatchClustersResponse;
        join JoinCluster JoinClusterRequest JoinClusterResponse;
        list_tokens ListTokens ListTokensRequest ListTokensResponse;
        revoke_token RevokeToken RevokeTokenRequest RevokeTokenResponse;
    }
}

service! {
    /// Methods of `HubService`.
    hub_rpc = "grnry.segment.v1.HubService" {
        get GetHub GetHubRequest GetHubResponse;
        accept_restore AcceptRestore AcceptRestoreRequest AcceptRestoreResponse;
    }
}

service! {
    /// Methods of `PlanService`.
    plan_rpc = "grnry.segment.v1.PlanService" {
        plan Plan PlanRequest PlanResponse;
        forecast Forecast ForecastRequest ForecastResponse;
    }
}

service! {
    /// Methods of `RunService`.
    run_rpc = "grnry.segment.v1.RunService" {
        run Run RunRequest RunResponse;
        logs Logs LogsRequest LogsResponse;
        list ListRuns ListRunsRequest ListRunsResponse;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_of_a_method_are_those_of_the_descriptors() {
        let pool = POOL.as_ref().unwrap();
        let ours = [
            segment_rpc::all(),
            cluster_rpc::all(),
            hub_rpc::all(),
            plan_rpc::all(),
            rollout_rpc::all(),
            run_rpc::all(),
        ]
        .concat();
        for (service, name, request, answer) in &ours {
            let service = pool.get_service_by_name(service).unwrap();
            let method = service
                .methods()
                .find(|method| method.name() == *name)
                .unwrap();
            assert_eq!(
                (method.input().name(), method.output().name()),
                (*request, *answer)
            );
        }
        let all: usize = pool
            .services()
            .map(|service| service.methods().count())
            .sum();
        assert_eq!(ours.len(), all, "every method is known");
    }

    #[test]
    fn zero_counts_are_said_and_names_are_those_of_grpcurl() {
        let answer = segment_proto::v1::ListSegmentsResponse {
            segments: vec![segment_proto::v1::Segment {
                name: "granary/demo".into(),
                clusters: Some(segment_proto::v1::ClusterCounts {
                    selected: Some(1),
                    failing: Some(0),
                    ..Default::default()
                }),
                last_run: Some(prost_types_timestamp(0)),
                ..Default::default()
            }],
            total_size: Some(0),
            ..Default::default()
        };
        assert_eq!(
            segment_rpc::list()
                .answer_json(&answer)
                .unwrap()
                .to_string(),
            r#"{"segments":[{"clusters":{"failing":0,"selected":1},"lastRun":"1970-01-01T00:00:00Z","name":"granary/demo"}],"totalSize":0}"#
        );
    }

    fn prost_types_timestamp(seconds: i64) -> segment_proto::Timestamp {
        segment_proto::Timestamp { seconds, nanos: 0 }
    }
}
