//! The services of the users' port, and what stands before all of them.

use super::deadline::deadline;
use crate::users::access::{Access, layer};
use segment_proto::USERS_DESCRIPTORS;
use segment_proto::limits::USERS_MESSAGE_MAX_BYTES;
use segment_proto::v1::cluster_service_server::{ClusterService, ClusterServiceServer};
use segment_proto::v1::hub_service_server::{HubService, HubServiceServer};
use segment_proto::v1::plan_service_server::{PlanService, PlanServiceServer};
use segment_proto::v1::run_service_server::{RunService, RunServiceServer};
use segment_proto::v1::segment_service_server::{SegmentService, SegmentServiceServer};
use tonic::codec::CompressionEncoding::{Gzip, Zstd};
use tonic::service::Routes;

macro_rules! limited {
    ($service:expr) => {
        $service
            .max_decoding_message_size(USERS_MESSAGE_MAX_BYTES)
            .max_encoding_message_size(USERS_MESSAGE_MAX_BYTES)
            .accept_compressed(Gzip)
            .accept_compressed(Zstd)
            .send_compressed(Gzip)
            .send_compressed(Zstd)
    };
}

/// All services behind deadline and gate.
///
/// # Errors
/// When the descriptors can't be read.
pub async fn routes<S>(
    access: Access,
    services: S,
) -> Result<axum::Router, tonic_reflection::server::Error>
where
    S: SegmentService + ClusterService + HubService + PlanService + RunService + Clone,
{
    // The agents' services are on another port, and not described here.
    let described = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(USERS_DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<SegmentServiceServer<S>>().await;
    reporter.set_serving::<ClusterServiceServer<S>>().await;
    reporter.set_serving::<HubServiceServer<S>>().await;
    reporter.set_serving::<PlanServiceServer<S>>().await;
    reporter.set_serving::<RunServiceServer<S>>().await;
    let router = Routes::builder()
        .routes()
        .add_service(limited!(SegmentServiceServer::new(services.clone())))
        .add_service(limited!(ClusterServiceServer::new(services.clone())))
        .add_service(limited!(HubServiceServer::new(services.clone())))
        .add_service(limited!(PlanServiceServer::new(services.clone())))
        .add_service(limited!(RunServiceServer::new(services)))
        .add_service(health)
        // Older clients know v1alpha only.
        .add_service(described().build_v1()?)
        .add_service(described().build_v1alpha()?)
        .prepare()
        .into_axum_router();
    Ok(router
        .layer(axum::middleware::from_fn_with_state(access, layer::gate))
        .layer(axum::middleware::from_fn(deadline)))
}
