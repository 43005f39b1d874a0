//! `PlanService`.

use crate::users::access::caller;
use crate::users::state::Services;
use futures::stream::BoxStream;
use segment_proto::v1::plan_service_server::PlanService;
use segment_proto::v1::{ForecastRequest, ForecastResponse, PlanRequest, PlanResponse};
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl PlanService for Services {
    type PlanStream = BoxStream<'static, Result<PlanResponse, Status>>;

    async fn plan(
        &self,
        request: Request<PlanRequest>,
    ) -> Result<Response<Self::PlanStream>, Status> {
        let caller = caller(&request)?;
        Services::plan(self, &caller, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn forecast(
        &self,
        request: Request<ForecastRequest>,
    ) -> Result<Response<ForecastResponse>, Status> {
        let caller = caller(&request)?;
        Services::forecast(self, &caller, request.into_inner())
            .await
            .map(Response::new)
    }
}
