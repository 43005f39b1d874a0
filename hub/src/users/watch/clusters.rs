//! `WatchClusters`.

use super::history::{History, Place};
use super::segments::fingerprint;
use super::{Kind, Watched, start};
use crate::users::access::{Caller, Sight};
use crate::users::filter;
use crate::users::page::digest_of;
use crate::users::state::Services;
use crate::users::stored;
use crate::users::view::cluster::{Orphans, cluster, orphans};
use jiff::Timestamp;
use segment_core::ids::ClusterName;
use segment_core::index::FleetIndex;
use segment_core::selector::Selector;
use segment_proto::v1::{Cluster, EventType, WatchClustersRequest, WatchClustersResponse};
use std::collections::BTreeMap;
use tonic::Status;

impl Services {
    pub(in crate::users) async fn watch_clusters(
        &self,
        caller: Caller,
        request: WatchClustersRequest,
    ) -> Result<Watched<WatchClustersResponse>, Status> {
        let kind = Clusters {
            selector: filter::selector("label_selector", &request.label_selector)?,
            orphans: Orphans::new(),
            stored: filter::is_full(request.view)?.then(stored::Clusters::default),
        };
        let digest = digest_of(
            &WatchClustersRequest {
                resume_token: String::new(),
                ..request.clone()
            },
            &[],
        );
        start(self, caller, kind, digest, &request.resume_token).await
    }
}

struct Clusters {
    selector: Selector,
    /// As of the last whole look.
    orphans: Orphans,
    /// With view FULL.
    stored: Option<stored::Clusters>,
}

impl Kind for Clusters {
    type Key = ClusterName;
    type Item = Cluster;
    type Response = WatchClustersResponse;
    const NAME: &'static str = "clusters";

    /// All Clusters or none; the sight is that of the counts of Segments.
    async fn sight(&self, services: &Services, caller: &Caller) -> Result<Sight, Status> {
        services
            .access
            .authz()
            .require(&caller.user, &caller.row.right, None, None)
            .await?;
        services.sight_of_segments(caller).await
    }

    async fn prepare(&mut self, services: &Services) {
        self.orphans = orphans(&services.fleet().index());
        if let Some(stored) = &mut self.stored {
            *stored = services.stored.clusters().await;
        }
    }

    fn keys(index: &FleetIndex) -> Vec<ClusterName> {
        index.clusters().keys().cloned().collect()
    }

    fn is_touched(index: &FleetIndex, key: &ClusterName, after: u64) -> bool {
        index.clusters().get(key).is_some_and(|cluster| {
            cluster.version > after
                || cluster.segments.iter().any(|segment| {
                    let member = index
                        .segments()
                        .get(segment)
                        .and_then(|segment| segment.members.get(key));
                    member.is_some_and(|member| member.version > after)
                })
        })
    }

    fn is_edited(index: &FleetIndex, key: &ClusterName, after: u64) -> bool {
        index
            .clusters()
            .get(key)
            .is_some_and(|cluster| cluster.version > after)
    }

    fn may_name(_sight: &Sight, _key: &ClusterName) -> bool {
        // Who may watch Clusters may watch all.
        true
    }

    fn show(
        &self,
        index: &FleetIndex,
        key: &ClusterName,
        sight: &Sight,
        now: Timestamp,
    ) -> Option<Cluster> {
        let state = index.clusters().get(key)?;
        if !self.selector.matches(&state.view.labels) {
            return None;
        }
        cluster(
            index,
            key,
            sight,
            &self.orphans,
            self.stored.as_ref().map(|stored| stored.get(key)),
            now,
        )
    }

    fn fingerprint(item: &Cluster) -> u64 {
        let mut item = item.clone();
        let labels: BTreeMap<_, _> = item.labels.drain().collect();
        fingerprint(&item, &labels)
    }

    fn gone(key: &ClusterName) -> Cluster {
        Cluster {
            name: key.to_string(),
            ..Cluster::default()
        }
    }

    fn response(
        event: EventType,
        item: Option<Cluster>,
        resume_token: String,
    ) -> WatchClustersResponse {
        WatchClustersResponse {
            r#type: event.into(),
            cluster: item,
            resume_token,
        }
    }

    fn deleted(history: &History, after: Place) -> (Vec<ClusterName>, u64) {
        history.clusters(after)
    }
}
