//! `SegmentService`.

use crate::users::access::caller;
use crate::users::state::Services;
use crate::users::watch::Watched;
use segment_proto::v1::segment_service_server::SegmentService;
use segment_proto::v1::{
    GetAssignmentRequest, GetAssignmentResponse, GetSegmentRequest, GetSegmentResponse,
    ListAssignmentsRequest, ListAssignmentsResponse, ListOrphansRequest, ListOrphansResponse,
    ListSegmentsRequest, ListSegmentsResponse, WatchSegmentsRequest, WatchSegmentsResponse,
    WhyRequest, WhyResponse,
};
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl SegmentService for Services {
    type WatchSegmentsStream = Watched<WatchSegmentsResponse>;

    async fn list_segments(
        &self,
        request: Request<ListSegmentsRequest>,
    ) -> Result<Response<ListSegmentsResponse>, Status> {
        let caller = caller(&request)?;
        self.segments_page(&caller, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn get_segment(
        &self,
        request: Request<GetSegmentRequest>,
    ) -> Result<Response<GetSegmentResponse>, Status> {
        let caller = caller(&request)?;
        self.segment(&caller, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn watch_segments(
        &self,
        request: Request<WatchSegmentsRequest>,
    ) -> Result<Response<Self::WatchSegmentsStream>, Status> {
        let caller = caller(&request)?;
        Services::watch_segments(self, caller, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn list_assignments(
        &self,
        request: Request<ListAssignmentsRequest>,
    ) -> Result<Response<ListAssignmentsResponse>, Status> {
        let caller = caller(&request)?;
        self.assignments(&caller, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn get_assignment(
        &self,
        request: Request<GetAssignmentRequest>,
    ) -> Result<Response<GetAssignmentResponse>, Status> {
        let caller = caller(&request)?;
        self.assignment(&caller, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn why(&self, request: Request<WhyRequest>) -> Result<Response<WhyResponse>, Status> {
        let caller = caller(&request)?;
        Services::why(self, &caller, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn list_orphans(
        &self,
        request: Request<ListOrphansRequest>,
    ) -> Result<Response<ListOrphansResponse>, Status> {
        let caller = caller(&request)?;
        self.orphans(&caller, request.into_inner())
            .await
            .map(Response::new)
    }
}
