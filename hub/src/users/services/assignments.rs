//! `ListAssignments`, `GetAssignment`, `Why`.

use crate::users::access::{Caller, Sight};
use crate::users::errors;
use crate::users::filter;
use crate::users::page::{Page, Start};
use crate::users::state::Services;
use crate::users::view::assignment::{assignment, clusters_of, state};
use crate::users::view::why::why;
use crate::users::view::{count, source, total};
use jiff::Timestamp;
use segment_core::ids::{ClusterName, SegmentKey};
use segment_core::index::FleetIndex;
use segment_core::selector::Selector;
use segment_proto::limits::{
    PAGE_DEFAULT, PAGE_DEFAULT_FULL, PAGE_FULL_BYTES, PAGE_MAX, PAGE_MAX_FULL,
};
use segment_proto::v1::{
    Assignment, GetAssignmentRequest, GetAssignmentResponse, ListAssignmentsRequest,
    ListAssignmentsResponse, WhyRequest, WhyResponse,
};
use std::collections::BTreeSet;
use tonic::Status;

/// Which assignments.
struct Filter {
    segment: Option<SegmentKey>,
    cluster: Option<ClusterName>,
    segments: Selector,
    clusters: Selector,
    states: BTreeSet<i32>,
}

impl Filter {
    /// Segments whose assignments are looked at, those that are gone but owed included, by name.
    fn keys(&self, index: &FleetIndex, sight: &Sight) -> BTreeSet<SegmentKey> {
        let wanted = |key: &&SegmentKey| {
            sight.sees(&key.namespace) && self.segment.as_ref().is_none_or(|wanted| wanted == *key)
        };
        let owed = index
            .tombstones()
            .values()
            .map(|tombstone| &tombstone.key)
            // Their labels are gone with them: only who asks for all, or by name, gets them.
            .filter(|_| self.segments.selects_everything());
        index
            .segments()
            .values()
            .filter(|segment| self.segments.matches(&segment.labels))
            .map(|segment| &segment.key)
            .chain(owed)
            .filter(wanted)
            .cloned()
            .collect()
    }

    /// Clusters of one of these Segments that match, by name.
    fn clusters(&self, index: &FleetIndex, key: &SegmentKey, now: Timestamp) -> Vec<ClusterName> {
        clusters_of(index, key)
            .into_iter()
            .filter(|name| self.cluster.as_ref().is_none_or(|wanted| wanted == *name))
            .filter(|name| {
                index
                    .clusters()
                    .get(*name)
                    .is_some_and(|cluster| self.clusters.matches(&cluster.view.labels))
            })
            .filter(|name| {
                self.states.is_empty()
                    || state(index, key, name, now)
                        .is_some_and(|state| self.states.contains(&i32::from(state)))
            })
            .cloned()
            .collect()
    }
}

impl Services {
    pub(super) async fn assignments(
        &self,
        caller: &Caller,
        request: ListAssignmentsRequest,
    ) -> Result<ListAssignmentsResponse, Status> {
        let now = Timestamp::now();
        let page = (request.page_size, request.page_token.clone());
        let request = ListAssignmentsRequest {
            page_size: 0,
            page_token: String::new(),
            ..request
        };
        let full = filter::is_full(request.view)?;
        let limits = if full {
            (PAGE_DEFAULT_FULL, PAGE_MAX_FULL)
        } else {
            (PAGE_DEFAULT, PAGE_MAX)
        };
        let start = Start::new(page.0, &page.1, &request, limits)?;
        let filter = Filter {
            segment: filter::maybe_segment("segment", &request.segment)?,
            cluster: filter::maybe_cluster("cluster", &request.cluster)?,
            segments: filter::selector("segment_selector", &request.segment_selector)?,
            clusters: filter::selector("cluster_selector", &request.cluster_selector)?,
            states: filter::states("states", &request.states)?,
        };
        let namespace = filter::maybe_namespace("namespace", &request.namespace)?;
        // A Segment's name says its namespace; another beside it leaves nothing.
        let asked = filter
            .segment
            .as_ref()
            .map(|key| key.namespace.clone())
            .or_else(|| namespace.clone());
        let sight = if let Some(key) = &filter.segment {
            self.may_see(caller, key).await?;
            Sight::Some(BTreeSet::from([key.namespace.clone()]))
        } else {
            self.sight_of(caller, asked.as_ref()).await?
        };
        let keys = {
            let index = self.fleet().index();
            let keys = filter.keys(&index, &sight);
            if let Some(key) = filter
                .segment
                .as_ref()
                .filter(|_| filter.segments.selects_everything())
                && keys.is_empty()
            {
                return Err(errors::not_found("segment", &key.to_string()));
            }
            if let Some(name) = &filter.cluster
                && !index.clusters().contains_key(name)
            {
                return Err(errors::not_found("cluster", name.as_str()));
            }
            if namespace.is_some() && namespace != asked {
                BTreeSet::new()
            } else {
                keys
            }
        };
        let bytes = if full { PAGE_FULL_BYTES } else { usize::MAX };
        let (page, last, more, all) = self.fill(&start, bytes, &filter, keys, full, now).await;
        let next = last.filter(|_| more).map(|last| start.next(&last, 0, all));
        Ok(ListAssignmentsResponse {
            assignments: page.items,
            next_page_token: next.unwrap_or_default(),
            total_size: Some(total(all)),
            source: Some(source(&self.handle, now)),
        })
    }

    /// One page. The first one counts all; the others know the count by their token. The index is taken anew for each
    /// Segment: the fleet goes on.
    async fn fill(
        &self,
        start: &Start,
        bytes: usize,
        filter: &Filter,
        keys: BTreeSet<SegmentKey>,
        full: bool,
        now: Timestamp,
    ) -> (Page<Assignment>, Option<String>, bool, u32) {
        let after = start.after().and_then(position);
        let mut page = Page::of_bytes(start, bytes);
        let (mut last, mut more, mut all) = (None, false, 0);
        for key in keys {
            if after.as_ref().is_some_and(|(shown, _)| key < *shown) {
                continue;
            }
            {
                let index = self.fleet().index();
                let names = filter.clusters(&index, &key, now);
                all += count(names.len());
                for name in names {
                    if after
                        .as_ref()
                        .is_some_and(|(shown, cluster)| (&key, &name) <= (shown, cluster))
                    {
                        continue;
                    }
                    if page.is_full() {
                        more = true;
                        break;
                    }
                    let Some(item) = assignment(&index, &key, &name, full, now) else {
                        continue;
                    };
                    page.push(item);
                    last = Some(format!("{key}@{name}"));
                }
            }
            if more && start.total().is_some() {
                break;
            }
            tokio::task::consume_budget().await;
        }
        (page, last, more, start.total().unwrap_or(all))
    }

    pub(super) async fn assignment(
        &self,
        caller: &Caller,
        request: GetAssignmentRequest,
    ) -> Result<GetAssignmentResponse, Status> {
        let key = filter::segment("segment", &request.segment)?;
        let name = filter::cluster("cluster", &request.cluster)?;
        self.may_see(caller, &key).await?;
        let now = Timestamp::now();
        let index = self.fleet().index();
        let shown = assignment(&index, &key, &name, true, now).ok_or_else(|| {
            missing(&index, &key, &name).unwrap_or_else(|| {
                errors::not_found("assignment", &format!("{key} on cluster {name}"))
            })
        })?;
        Ok(GetAssignmentResponse {
            assignment: Some(shown),
            source: Some(source(&self.handle, now)),
        })
    }

    pub(super) async fn why(
        &self,
        caller: &Caller,
        request: WhyRequest,
    ) -> Result<WhyResponse, Status> {
        let key = filter::segment("segment", &request.segment)?;
        let name = filter::cluster("cluster", &request.cluster)?;
        self.may_see(caller, &key).await?;
        let now = Timestamp::now();
        let index = self.fleet().index();
        let mut answer = why(&index, &key, &name, now).ok_or_else(|| {
            missing(&index, &key, &name)
                .unwrap_or_else(|| errors::not_found("segment", &key.to_string()))
        })?;
        answer.source = Some(source(&self.handle, now));
        Ok(answer)
    }
}

/// Which of the two is not there.
fn missing(index: &FleetIndex, key: &SegmentKey, name: &ClusterName) -> Option<Status> {
    if !index.segments().contains_key(key) {
        return Some(errors::not_found("segment", &key.to_string()));
    }
    (!index.clusters().contains_key(name)).then(|| errors::not_found("cluster", name.as_str()))
}

/// `namespace/name@cluster`.
fn position(text: &str) -> Option<(SegmentKey, ClusterName)> {
    let (key, name) = text.split_once('@')?;
    Some((key.parse().ok()?, name.parse().ok()?))
}
