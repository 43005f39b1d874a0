//! `ClusterService`.

use crate::users::access::caller;
use crate::users::state::Services;
use crate::users::watch::Watched;
use segment_proto::v1::cluster_service_server::ClusterService;
use segment_proto::v1::{
    GetClusterRequest, GetClusterResponse, JoinClusterRequest, JoinClusterResponse,
    ListClustersRequest, ListClustersResponse, ListTokensRequest, ListTokensResponse,
    RevokeTokenRequest, RevokeTokenResponse, WatchClustersRequest, WatchClustersResponse,
};
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl ClusterService for Services {
    type WatchClustersStream = Watched<WatchClustersResponse>;

    async fn list_clusters(
        &self,
        request: Request<ListClustersRequest>,
    ) -> Result<Response<ListClustersResponse>, Status> {
        let caller = caller(&request)?;
        self.clusters_page(&caller, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn get_cluster(
        &self,
        request: Request<GetClusterRequest>,
    ) -> Result<Response<GetClusterResponse>, Status> {
        let caller = caller(&request)?;
        self.cluster(&caller, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn watch_clusters(
        &self,
        request: Request<WatchClustersRequest>,
    ) -> Result<Response<Self::WatchClustersStream>, Status> {
        let caller = caller(&request)?;
        Services::watch_clusters(self, caller, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn join_cluster(
        &self,
        request: Request<JoinClusterRequest>,
    ) -> Result<Response<JoinClusterResponse>, Status> {
        let caller = caller(&request)?;
        Services::join_cluster(self, &caller, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn list_tokens(
        &self,
        request: Request<ListTokensRequest>,
    ) -> Result<Response<ListTokensResponse>, Status> {
        let caller = caller(&request)?;
        self.tokens(&caller, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn revoke_token(
        &self,
        request: Request<RevokeTokenRequest>,
    ) -> Result<Response<RevokeTokenResponse>, Status> {
        let caller = caller(&request)?;
        Services::revoke_token(self, &caller, request.into_inner())
            .await
            .map(Response::new)
    }
}
