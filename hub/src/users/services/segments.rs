//! `ListSegments`, `GetSegment`.

use crate::users::access::{Caller, Sight};
use crate::users::errors::{self, Reason};
use crate::users::filter;
use crate::users::page::{Page, Start};
use crate::users::state::Services;
use crate::users::view::{cluster, count, segment, source, total};
use jiff::Timestamp;
use segment_core::aggregate::aggregate;
use segment_core::ids::{ClusterName, Namespace, SegmentKey};
use segment_core::index::FleetIndex;
use segment_crds::ClusterCounts;
use segment_proto::limits::{PAGE_DEFAULT, PAGE_MAX};
use segment_proto::v1::{
    AssignmentState, GetSegmentRequest, GetSegmentResponse, ListSegmentsRequest,
    ListSegmentsResponse,
};
use std::cmp::Reverse;
use std::collections::BTreeSet;
use tonic::Status;

/// A Segment that matches, and its place in the order that is not by name.
type Match = (u32, SegmentKey);

impl Services {
    pub(super) async fn segments_page(
        &self,
        caller: &Caller,
        request: ListSegmentsRequest,
    ) -> Result<ListSegmentsResponse, Status> {
        let now = Timestamp::now();
        let page = (request.page_size, request.page_token.clone());
        let request = ListSegmentsRequest {
            page_size: 0,
            page_token: String::new(),
            ..request
        };
        let start = Start::new(page.0, &page.1, &request, (PAGE_DEFAULT, PAGE_MAX))?;
        let namespace = filter::maybe_namespace("namespace", &request.namespace)?;
        let selector = filter::selector("label_selector", &request.label_selector)?;
        let states = filter::states("states", &request.states)?;
        let on = filter::maybe_cluster("cluster", &request.cluster)?;
        let full = filter::is_full(request.view)?;
        let worst = match request.order_by.as_str() {
            "" | "name" => false,
            "worst" => true,
            other => {
                let message = format!("{other:?} is neither name nor worst");
                return Err(errors::invalid(Reason::InvalidValue, "order_by", message));
            }
        };
        let authz = self.access.authz();
        let sight = self.sight_of(caller, namespace.as_ref()).await?;
        let names = match &caller.row.part {
            Some(right) => authz.may(&caller.user, right).await?,
            None => false,
        };
        let mut candidates: Vec<SegmentKey> = {
            let index = self.fleet().index();
            if let Some(name) = &on
                && !index.clusters().contains_key(name)
            {
                return Err(errors::not_found("cluster", name.as_str()));
            }
            index
                .segments()
                .values()
                .filter(|segment| sight.sees(&segment.key.namespace))
                .filter(|segment| selector.matches(&segment.labels))
                .filter(|segment| {
                    on.as_ref()
                        .is_none_or(|name| is_on(&index, &segment.key, name))
                })
                .map(|segment| segment.key.clone())
                .collect()
        };
        let matches: Vec<Match> = if states.is_empty() && !worst {
            candidates.drain(..).map(|key| (0, key)).collect()
        } else {
            self.judged(candidates, &states, worst, now).await
        };
        let all = count(matches.len());
        let stored = if full {
            Some(self.stored.segments().await)
        } else {
            None
        };
        let mut shown = Page::new(&start);
        let mut last = None;
        let mut more = false;
        for (rank, key) in matches {
            if !is_after(&start, rank, &key) {
                continue;
            }
            if shown.is_full() {
                more = true;
                break;
            }
            let stored = stored.as_ref().map(|stored| stored.get(&key));
            // It may have gone meanwhile.
            let Some(item) = segment::segment(&self.fleet().index(), &key, stored, now) else {
                continue;
            };
            shown.push(item);
            last = Some((rank, key));
        }
        let next = last
            .filter(|_| more)
            .map(|(rank, key)| start.next(&key.to_string(), rank, all));
        Ok(ListSegmentsResponse {
            segments: shown.items,
            next_page_token: next.unwrap_or_default(),
            total_size: Some(total(all)),
            fleet: Some(cluster::fleet(&self.fleet().index(), names, now)),
            source: Some(source(&self.handle, now)),
        })
    }

    /// Those in one of the states, worst first where asked for. The index is taken anew for each: the fleet goes on.
    async fn judged(
        &self,
        candidates: Vec<SegmentKey>,
        states: &BTreeSet<i32>,
        worst: bool,
        now: Timestamp,
    ) -> Vec<Match> {
        let mut matches = Vec::new();
        for key in candidates {
            let counts = aggregate(&self.fleet().index(), &key, now).map(|sum| sum.counts);
            if let Some(counts) = counts
                && (states.is_empty() || states.iter().any(|state| has(&counts, *state)))
            {
                matches.push((if worst { counts.failing } else { 0 }, key));
            }
            tokio::task::consume_budget().await;
        }
        if worst {
            matches.sort_by(|(a, a_key), (b, b_key)| (Reverse(a), a_key).cmp(&(Reverse(b), b_key)));
        }
        matches
    }

    pub(super) async fn segment(
        &self,
        caller: &Caller,
        request: GetSegmentRequest,
    ) -> Result<GetSegmentResponse, Status> {
        let key = filter::segment("name", &request.name)?;
        self.may_see(caller, &key).await?;
        let now = Timestamp::now();
        let stored = self.stored.segments().await;
        let shown = segment::segment(&self.fleet().index(), &key, Some(stored.get(&key)), now)
            .ok_or_else(|| errors::not_found("segment", &key.to_string()))?;
        Ok(GetSegmentResponse {
            segment: Some(shown),
            source: Some(source(&self.handle, now)),
        })
    }

    /// The namespaces that the caller's method may be used in: the one asked for, or all that have Segments.
    ///
    /// # Errors
    /// Those of [`Authz::sight`](crate::users::access::authz::Authz::sight).
    pub(in crate::users) async fn sight_of(
        &self,
        caller: &Caller,
        asked: Option<&Namespace>,
    ) -> Result<Sight, Status> {
        let (user, right) = (&caller.user, &caller.row.right);
        self.access
            .authz()
            .sight(user, right, asked, self.namespaces())
            .await
    }

    /// Refuses who may not see this Segment.
    pub(super) async fn may_see(&self, caller: &Caller, key: &SegmentKey) -> Result<(), Status> {
        self.access
            .authz()
            .require(
                &caller.user,
                &caller.row.right,
                Some(&key.namespace),
                Some(key.name.as_str()),
            )
            .await
    }
}

/// Whether a Segment is placed on a cluster.
fn is_on(index: &FleetIndex, key: &SegmentKey, name: &ClusterName) -> bool {
    index
        .segments()
        .get(key)
        .and_then(|segment| segment.members.get(name))
        .is_some_and(segment_core::index::Member::is_selected)
}

/// Whether it stands behind the last one of the page before: higher counts first, then by name.
fn is_after(start: &Start, rank: u32, key: &SegmentKey) -> bool {
    let Some(after) = start.after() else {
        return true;
    };
    let after: Option<SegmentKey> = after.parse().ok();
    match after {
        Some(after) => (Reverse(rank), key) > (Reverse(start.rank()), &after),
        None => false,
    }
}

/// Whether there is a cluster in this state.
fn has(counts: &ClusterCounts, state: i32) -> bool {
    let count = match AssignmentState::try_from(state) {
        Ok(AssignmentState::Ready) => counts.ready,
        Ok(AssignmentState::Rolling) => counts.rolling,
        Ok(AssignmentState::Failing) => counts.failing,
        Ok(AssignmentState::Stale) => counts.stale,
        Ok(AssignmentState::Held) => counts.held,
        Ok(AssignmentState::Owed) => counts.owed,
        Ok(AssignmentState::Unspecified) | Err(_) => 0,
    };
    count > 0
}
