//! `RunService`.

use crate::users::access::caller;
use crate::users::state::Services;
use futures::stream::BoxStream;
use segment_proto::v1::run_service_server::RunService;
use segment_proto::v1::{
    ListRunsRequest, ListRunsResponse, LogsRequest, LogsResponse, RunRequest, RunResponse,
};
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl RunService for Services {
    type RunStream = BoxStream<'static, Result<RunResponse, Status>>;

    type LogsStream = BoxStream<'static, Result<LogsResponse, Status>>;

    async fn list_runs(
        &self,
        request: Request<ListRunsRequest>,
    ) -> Result<Response<ListRunsResponse>, Status> {
        let caller = caller(&request)?;
        self.runs(&caller, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn logs(
        &self,
        request: Request<LogsRequest>,
    ) -> Result<Response<Self::LogsStream>, Status> {
        let caller = caller(&request)?;
        Services::logs(self, &caller, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn run(&self, request: Request<RunRequest>) -> Result<Response<Self::RunStream>, Status> {
        let caller = caller(&request)?;
        Services::run_now(self, caller, request.into_inner())
            .await
            .map(Response::new)
    }
}
