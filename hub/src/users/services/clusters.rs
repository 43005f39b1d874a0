//! `ListClusters`, `GetCluster`.

use crate::users::access::{Caller, Sight};
use crate::users::errors;
use crate::users::filter;
use crate::users::page::{Page, Start};
use crate::users::state::Services;
use crate::users::view::cluster::{Orphans, cluster, orphans};
use crate::users::view::{count, source, total};
use jiff::Timestamp;
use segment_core::ids::ClusterName;
use segment_proto::limits::{PAGE_DEFAULT, PAGE_MAX};
use segment_proto::v1::{
    GetClusterRequest, GetClusterResponse, ListClustersRequest, ListClustersResponse,
};
use tonic::Status;

impl Services {
    pub(super) async fn clusters_page(
        &self,
        caller: &Caller,
        request: ListClustersRequest,
    ) -> Result<ListClustersResponse, Status> {
        let now = Timestamp::now();
        let page = (request.page_size, request.page_token.clone());
        let request = ListClustersRequest {
            page_size: 0,
            page_token: String::new(),
            ..request
        };
        let start = Start::new(page.0, &page.1, &request, (PAGE_DEFAULT, PAGE_MAX))?;
        let selector = filter::selector("label_selector", &request.label_selector)?;
        let connected = filter::connection(request.connection)?;
        let full = filter::is_full(request.view)?;
        self.access
            .authz()
            .require(&caller.user, &caller.row.right, None, None)
            .await?;
        let sight = self.sight_of_segments(caller).await?;
        let (matches, orphans): (Vec<ClusterName>, Orphans) = {
            let index = self.fleet().index();
            let matches = index
                .clusters()
                .iter()
                .filter(|(_, cluster)| selector.matches(&cluster.view.labels))
                .filter(|(_, cluster)| {
                    connected.is_none_or(|connected| connected == cluster.is_connected())
                })
                .map(|(name, _)| name.clone())
                .collect();
            (matches, orphans(&index))
        };
        let all = count(matches.len());
        let stored = if full {
            Some(self.stored.clusters().await)
        } else {
            None
        };
        let after: Option<ClusterName> = start.after().and_then(|after| after.parse().ok());
        let mut shown = Page::new(&start);
        let (mut last, mut more) = (None, false);
        for name in matches {
            if after.as_ref().is_some_and(|after| name <= *after) {
                continue;
            }
            if shown.is_full() {
                more = true;
                break;
            }
            let stored = stored.as_ref().map(|stored| stored.get(&name));
            let item = cluster(&self.fleet().index(), &name, &sight, &orphans, stored, now);
            // It may have gone meanwhile.
            let Some(item) = item else { continue };
            shown.push(item);
            last = Some(name);
            tokio::task::consume_budget().await;
        }
        let next = last
            .filter(|_| more)
            .map(|last| start.next(last.as_str(), 0, all));
        Ok(ListClustersResponse {
            clusters: shown.items,
            next_page_token: next.unwrap_or_default(),
            total_size: Some(total(all)),
            source: Some(source(&self.handle, now)),
        })
    }

    pub(super) async fn cluster(
        &self,
        caller: &Caller,
        request: GetClusterRequest,
    ) -> Result<GetClusterResponse, Status> {
        let name = filter::cluster("name", &request.name)?;
        self.access
            .authz()
            .require(&caller.user, &caller.row.right, None, Some(name.as_str()))
            .await?;
        let sight = self.sight_of_segments(caller).await?;
        let stored = self.stored.clusters().await;
        let now = Timestamp::now();
        let index = self.fleet().index();
        let shown = cluster(
            &index,
            &name,
            &sight,
            &orphans(&index),
            Some(stored.get(&name)),
            now,
        )
        .ok_or_else(|| errors::not_found("cluster", name.as_str()))?;
        Ok(GetClusterResponse {
            cluster: Some(shown),
            source: Some(source(&self.handle, now)),
        })
    }

    /// How far the counts of Segments go.
    pub(in crate::users) async fn sight_of_segments(
        &self,
        caller: &Caller,
    ) -> Result<Sight, Status> {
        match &caller.row.part {
            Some(right) => {
                self.access
                    .authz()
                    .sight_of_part(&caller.user, right, self.namespaces())
                    .await
            }
            None => Ok(Sight::none()),
        }
    }
}
