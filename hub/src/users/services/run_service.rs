//! `RunService`.

use crate::users::access::caller;
use crate::users::state::Services;
use segment_proto::v1::run_service_server::RunService;
use segment_proto::v1::{ListRunsRequest, ListRunsResponse};
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl RunService for Services {
    async fn list_runs(
        &self,
        request: Request<ListRunsRequest>,
    ) -> Result<Response<ListRunsResponse>, Status> {
        let caller = caller(&request)?;
        self.runs(&caller, request.into_inner())
            .await
            .map(Response::new)
    }
}
