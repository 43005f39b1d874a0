//! `RolloutService`.

use crate::users::access::caller;
use crate::users::state::Services;
use segment_proto::v1;
use segment_proto::v1::rollout_service_server::RolloutService;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl RolloutService for Services {
    async fn get_rollout(
        &self,
        request: Request<v1::GetRolloutRequest>,
    ) -> Result<Response<v1::GetRolloutResponse>, Status> {
        let caller = caller(&request)?;
        self.rollout(&caller, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn list_revisions(
        &self,
        request: Request<v1::ListRevisionsRequest>,
    ) -> Result<Response<v1::ListRevisionsResponse>, Status> {
        let caller = caller(&request)?;
        self.revisions(&caller, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn control_rollout(
        &self,
        request: Request<v1::ControlRolloutRequest>,
    ) -> Result<Response<v1::ControlRolloutResponse>, Status> {
        let caller = caller(&request)?;
        Services::control_rollout(self, &caller, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn approve_rollout(
        &self,
        request: Request<v1::ApproveRolloutRequest>,
    ) -> Result<Response<v1::ApproveRolloutResponse>, Status> {
        let caller = caller(&request)?;
        Services::approve_rollout(self, &caller, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn hold_segments(
        &self,
        request: Request<v1::HoldSegmentsRequest>,
    ) -> Result<Response<v1::HoldSegmentsResponse>, Status> {
        let caller = caller(&request)?;
        Services::hold_segments(self, &caller, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn release_segments(
        &self,
        request: Request<v1::ReleaseSegmentsRequest>,
    ) -> Result<Response<v1::ReleaseSegmentsResponse>, Status> {
        let caller = caller(&request)?;
        Services::release_segments(self, &caller, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn list_holds(
        &self,
        request: Request<v1::ListHoldsRequest>,
    ) -> Result<Response<v1::ListHoldsResponse>, Status> {
        let caller = caller(&request)?;
        self.holds(&caller, request.into_inner())
            .await
            .map(Response::new)
    }
}
