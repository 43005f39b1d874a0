//! `ListRuns`.
//!
//! The newest first: one walk over all that match keeps those of the page, so that a page costs no more than the walk,
//! and memory no more than the page. The index is taken anew for each Segment: the fleet goes on.

use crate::users::access::{Caller, Sight};
use crate::users::errors::{self, Reason};
use crate::users::filter;
use crate::users::page::{Page, Start};
use crate::users::state::Services;
use crate::users::view::run::{cause, record};
use crate::users::view::{count, source, total};
use jiff::Timestamp;
use segment_core::ids::{ClusterName, SegmentKey, cronjob_name};
use segment_core::index::FleetIndex;
use segment_core::report::RunResult;
use segment_core::runs::{Groups, KeptRun, RunKey};
use segment_core::selector::Selector;
use segment_proto::convert::time::{from_wire, to_wire};
use segment_proto::limits::{PAGE_DEFAULT, PAGE_MAX};
use segment_proto::v1;
use segment_proto::v1::{ListRunsRequest, ListRunsResponse, RunGroup, RunGrouping, RunRecord};
use std::collections::{BTreeMap, BTreeSet};
use tonic::Status;

/// Which runs.
struct Filter {
    segment: Option<SegmentKey>,
    cluster: Option<ClusterName>,
    segments: Selector,
    clusters: Selector,
    results: BTreeSet<RunResult>,
    since: Option<Timestamp>,
}

/// Place of a run in the list: the newest first, then by Segment, cluster and key.
type Place = (std::cmp::Reverse<i64>, SegmentKey, ClusterName, RunKey);

impl Filter {
    fn new(request: &ListRunsRequest) -> Result<Self, Status> {
        Ok(Self {
            segment: filter::maybe_segment("segment", &request.segment)?,
            cluster: filter::maybe_cluster("cluster", &request.cluster)?,
            segments: filter::selector("segment_selector", &request.segment_selector)?,
            clusters: filter::selector("cluster_selector", &request.cluster_selector)?,
            results: results(request)?,
            since: request
                .since
                .map(|since| from_wire("since", since))
                .transpose()
                .map_err(|error| {
                    errors::invalid(Reason::InvalidValue, "since", error.to_string())
                })?,
        })
    }

    /// Segments whose runs are looked at.
    fn keys(&self, index: &FleetIndex, sight: &Sight) -> Vec<SegmentKey> {
        index
            .segments()
            .values()
            .filter(|segment| self.segments.matches(&segment.labels))
            .map(|segment| &segment.key)
            .filter(|key| sight.sees(&key.namespace))
            .filter(|key| self.segment.as_ref().is_none_or(|wanted| wanted == *key))
            .cloned()
            .collect()
    }

    /// Clusters that are looked at.
    fn clusters(&self, index: &FleetIndex) -> Vec<ClusterName> {
        index
            .clusters()
            .iter()
            .filter(|(name, _)| self.cluster.as_ref().is_none_or(|wanted| wanted == *name))
            .filter(|(_, cluster)| self.clusters.matches(&cluster.view.labels))
            .map(|(name, _)| name.clone())
            .collect()
    }

    fn takes(&self, run: &KeptRun) -> bool {
        self.since.is_none_or(|since| run.scheduled() >= since)
            && (self.results.is_empty() || self.results.contains(&run.result()))
    }
}

/// What runs came to; none asks for all.
fn results(request: &ListRunsRequest) -> Result<BTreeSet<RunResult>, Status> {
    let mut results = BTreeSet::new();
    for &number in &request.results {
        match v1::RunResult::try_from(number) {
            Ok(v1::RunResult::Unspecified) => {}
            Ok(v1::RunResult::Running) => drop(results.insert(RunResult::Running)),
            Ok(v1::RunResult::Succeeded) => drop(results.insert(RunResult::Succeeded)),
            Ok(v1::RunResult::Failed) => drop(results.insert(RunResult::Failed)),
            Ok(v1::RunResult::Missed) => drop(results.insert(RunResult::Missed)),
            Ok(v1::RunResult::Skipped) => drop(results.insert(RunResult::Skipped)),
            Ok(v1::RunResult::Stuck) => drop(results.insert(RunResult::Stuck)),
            Ok(v1::RunResult::Unknown) => drop(results.insert(RunResult::Unknown)),
            Err(_) => return Err(filter::unknown("results", number)),
        }
    }
    if request.failed {
        results.extend([RunResult::Failed, RunResult::Stuck]);
    }
    if request.missed {
        results.extend([RunResult::Missed, RunResult::Skipped]);
    }
    Ok(results)
}

impl Services {
    pub(super) async fn runs(
        &self,
        caller: &Caller,
        request: ListRunsRequest,
    ) -> Result<ListRunsResponse, Status> {
        let now = Timestamp::now();
        let page = (request.page_size, request.page_token.clone());
        let request = ListRunsRequest {
            page_size: 0,
            page_token: String::new(),
            ..request
        };
        let start = Start::new(page.0, &page.1, &request, (PAGE_DEFAULT, PAGE_MAX))?;
        let grouping = RunGrouping::try_from(request.group_by)
            .map_err(|_| filter::unknown("group_by", request.group_by))?;
        let filter = Filter::new(&request)?;
        let namespace = filter::maybe_namespace("namespace", &request.namespace)?;
        let sight = if let Some(key) = &filter.segment {
            self.may_see(caller, key).await?;
            Sight::Some(BTreeSet::from([key.namespace.clone()]))
        } else {
            self.sight_of(caller, namespace.as_ref()).await?
        };
        let (keys, clusters) = {
            let index = self.fleet().index();
            found(&index, &filter)?;
            let mut keys = filter.keys(&index, &sight);
            if let Some(namespace) = &namespace {
                keys.retain(|key| key.namespace == *namespace);
            }
            (keys, filter.clusters(&index))
        };
        let mut answer = if grouping == RunGrouping::Unspecified {
            self.page(&start, &filter, keys, &clusters).await
        } else {
            self.groups(grouping, &filter, keys, &clusters).await
        };
        answer.source = Some(source(&self.handle, now));
        Ok(answer)
    }

    /// Every run that matches, Segment by Segment.
    async fn each(
        &self,
        filter: &Filter,
        keys: Vec<SegmentKey>,
        clusters: &[ClusterName],
        mut take: impl FnMut(&SegmentKey, &ClusterName, &KeptRun),
    ) {
        for key in keys {
            {
                let index = self.fleet().index();
                let hash = key.hash();
                for name in clusters {
                    let Some(cluster) = index.clusters().get(name) else {
                        continue;
                    };
                    for run in cluster.runs.of(hash).iter().filter(|run| filter.takes(run)) {
                        take(&key, name, run);
                    }
                }
            }
            tokio::task::consume_budget().await;
        }
    }

    async fn page(
        &self,
        start: &Start,
        filter: &Filter,
        keys: Vec<SegmentKey>,
        clusters: &[ClusterName],
    ) -> ListRunsResponse {
        let after = start.after().and_then(position);
        let mut newest: BTreeMap<Place, KeptRun> = BTreeMap::new();
        let (mut all, mut more) = (0, false);
        self.each(filter, keys, clusters, |key, name, run| {
            all += 1;
            let at = std::cmp::Reverse(run.scheduled().as_second());
            // Most are older than what is on the page: they cost no copy of their names.
            let full = newest.len() >= start.size;
            if full && newest.last_key_value().is_some_and(|(last, _)| at > last.0) {
                more = true;
                return;
            }
            let place = (at, key.clone(), name.clone(), run.key());
            if after.as_ref().is_some_and(|after| place <= *after) {
                return;
            }
            newest.insert(place, run.clone());
            if newest.len() > start.size {
                newest.pop_last();
                more = true;
            }
        })
        .await;
        let mut page = Page::<RunRecord>::new(start);
        let mut last = None;
        for (place, run) in newest {
            if page.is_full() {
                more = true;
                break;
            }
            page.push(record(&place.1, &place.2, &run));
            last = Some(text(&place));
        }
        let next = last.filter(|_| more).map(|last| start.next(&last, 0, all));
        ListRunsResponse {
            runs: page.items,
            next_page_token: next.unwrap_or_default(),
            total_size: Some(total(all)),
            ..ListRunsResponse::default()
        }
    }

    async fn groups(
        &self,
        grouping: RunGrouping,
        filter: &Filter,
        keys: Vec<SegmentKey>,
        clusters: &[ClusterName],
    ) -> ListRunsResponse {
        let (mut groups, mut all) = (Groups::default(), 0);
        self.each(filter, keys, clusters, |key, name, run| {
            let well = matches!(run.result(), RunResult::Succeeded | RunResult::Running);
            let group = match grouping {
                RunGrouping::Cluster => name.to_string(),
                RunGrouping::Segment => key.to_string(),
                _ if well => return,
                _ => cause(key, name, &run.run(&cronjob_name(&key.name))),
            };
            all += 1;
            groups.put(group, key, name, run);
        })
        .await;
        let left_over = groups.left_over;
        ListRunsResponse {
            groups: groups.sorted().into_iter().map(group).collect(),
            total_size: Some(total(all)),
            left_over: Some(left_over),
            ..ListRunsResponse::default()
        }
    }
}

fn group((name, group): (String, segment_core::runs::Group)) -> RunGroup {
    let (key, cluster, run) = &group.example;
    let mut example = record(key, cluster, run);
    if let Some(run) = &mut example.run {
        // A thousand groups fit a message whatever clusters have said.
        run.message = segment_core::report::cut(&run.message, EXAMPLE_BYTES);
    }
    RunGroup {
        name,
        segments: Some(count(group.segments.len())),
        clusters: Some(count(group.clusters.len())),
        runs: Some(group.runs),
        first: Some(to_wire(group.first)),
        last: Some(to_wire(group.last)),
        since_revision: group
            .since_revision
            .map(|revision| revision.to_string())
            .unwrap_or_default(),
        example: Some(example),
    }
}

/// Longest message of a group's example, in bytes.
const EXAMPLE_BYTES: usize = 512;

/// What is asked for by name must be there.
fn found(index: &FleetIndex, filter: &Filter) -> Result<(), Status> {
    if let Some(key) = &filter.segment
        && !index.segments().contains_key(key)
    {
        return Err(errors::not_found("segment", &key.to_string()));
    }
    match &filter.cluster {
        Some(name) if !index.clusters().contains_key(name) => {
            Err(errors::not_found("cluster", name.as_str()))
        }
        _ => Ok(()),
    }
}

/// `seconds namespace/name cluster id`; without an id it is the one that was due then.
fn text(place: &Place) -> String {
    let id = match place.3 {
        RunKey::Due(_) => String::new(),
        RunKey::Id(id) => id.to_string(),
    };
    format!("{} {} {} {id}", place.0.0, place.1, place.2)
}

fn position(text: &str) -> Option<Place> {
    let mut parts = text.split(' ');
    let seconds: i64 = parts.next()?.parse().ok()?;
    let (key, name) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let run = match parts.next()? {
        "" => RunKey::Due(Timestamp::from_second(seconds).ok()?),
        id => RunKey::Id(id.parse().ok()?),
    };
    Some((std::cmp::Reverse(seconds), key, name, run))
}

#[cfg(test)]
mod tests {
    use super::*;
    use segment_core::ids::RunId;

    #[test]
    fn a_token_names_a_run() {
        let due = Timestamp::from_second(1_767_312_000).unwrap();
        for run in [RunKey::Due(due), RunKey::Id(RunId([7; 8]))] {
            let place: Place = (
                std::cmp::Reverse(due.as_second()),
                "granary/visits".parse().unwrap(),
                ClusterName::new("eu-1").unwrap(),
                run,
            );
            assert_eq!(position(&text(&place)), Some(place));
        }
        for bad in ["", "x", "1 a/b", "1 a/b c", "1 a/b c zz", "1 a c "] {
            assert_eq!(position(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_failed_and_what_was_missed_can_be_asked_for_together() {
        let asked = |failed, missed, numbers: &[i32]| {
            results(&ListRunsRequest {
                failed,
                missed,
                results: numbers.to_vec(),
                ..ListRunsRequest::default()
            })
        };
        assert!(asked(false, false, &[0]).unwrap().is_empty());
        assert_eq!(asked(true, true, &[]).unwrap().len(), 4);
        assert_eq!(
            asked(true, false, &[1]).unwrap(),
            [RunResult::Running, RunResult::Failed, RunResult::Stuck].into()
        );
        assert!(asked(false, false, &[99]).is_err());
    }
}
