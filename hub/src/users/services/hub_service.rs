//! `HubService`.

use crate::users::access::caller;
use crate::users::state::Services;
use crate::users::view::{count, source};
use jiff::Timestamp;
use segment_crds::Access;
use segment_proto::v1::hub_service_server::HubService;
use segment_proto::v1::{
    AcceptRestoreRequest, AcceptRestoreResponse, GetHubRequest, GetHubResponse, Hub,
};
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl HubService for Services {
    async fn get_hub(
        &self,
        request: Request<GetHubRequest>,
    ) -> Result<Response<GetHubResponse>, Status> {
        let caller = caller(&request)?;
        self.access
            .authz()
            .require(&caller.user, &caller.row.right, None, None)
            .await?;
        let now = Timestamp::now();
        let hub = Some(self.hub());
        Ok(Response::new(GetHubResponse {
            hub,
            source: Some(source(&self.handle, now)),
        }))
    }

    async fn accept_restore(
        &self,
        request: Request<AcceptRestoreRequest>,
    ) -> Result<Response<AcceptRestoreResponse>, Status> {
        let caller = caller(&request)?;
        Services::accept_restore(self, &caller, request.into_inner())
            .await
            .map(Response::new)
    }
}

impl Services {
    fn hub(&self) -> Hub {
        let went_back = self.went_back();
        let memory = self.handle.memory.borrow().clone();
        let index = self.fleet().index();
        let accepted = || {
            index
                .clusters()
                .values()
                .filter(|cluster| cluster.view.access == Access::Accepted)
        };
        Hub {
            hub_id: self.handle.hub.to_string(),
            era: Some(memory.fence.era),
            term: Some(memory.fence.term),
            watermark: Some(memory.n),
            leader: format!("{}/{}", self.handle.pod, memory.fence.instance),
            // This API is served only once every list is whole.
            synced: Some(true),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            agents_address: self.handle.agents_address.clone(),
            users_address: self.handle.users_address.clone(),
            clusters: Some(count(accepted().count())),
            connected: Some(count(
                accepted().filter(|cluster| cluster.is_connected()).count(),
            )),
            segments: Some(count(index.segments().len())),
            went_back,
            defaults: index
                .defaults()
                .effective()
                .into_iter()
                .map(|one| (one.variable, one.value))
                .collect(),
            ca_pin: self.handle.authority.root_pin().unwrap_or_default(),
        }
    }
}
