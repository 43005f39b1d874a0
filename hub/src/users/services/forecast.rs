//! `Forecast`.

use super::plan::gone;
use crate::users::access::Caller;
use crate::users::access::table::LIST_CLUSTERS;
use crate::users::errors::{self, Reason};
use crate::users::filter;
use crate::users::state::Services;
use crate::users::view::plan::minute;
use crate::users::view::{count, source};
use jiff::{SignedDuration, Timestamp};
use segment_core::forecast::{
    Forecast, GroupBy, GroupStarts, MAX_WINDOW, NextRun, Schedules, forecast,
};
use segment_core::placement::{ClusterView, selects};
use segment_core::segment::{HouseDefaults, ParsedSegment};
use segment_proto::convert::time::to_wire;
use segment_proto::v1;
use segment_proto::v1::{ForecastGroup, ForecastRequest, ForecastResponse};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use tonic::Status;

/// How far is looked where nothing is said.
const WINDOW: SignedDuration = SignedDuration::from_hours(24);
/// Peaks that are told where nothing is said.
const PEAKS: usize = 5;
/// Most peaks that are told.
const PEAKS_MAX: usize = 100;
/// Most groups and next runs that are told.
const LIST: usize = 1_000;

/// What a forecast is made of.
struct Fleet {
    segments: Vec<Arc<ParsedSegment>>,
    clusters: Vec<ClusterView>,
    defaults: HouseDefaults,
}

/// How it is told.
#[derive(Clone, Copy)]
struct Ask {
    by: GroupBy,
    window: SignedDuration,
    peaks: usize,
    minutes: bool,
}

impl Services {
    pub(super) async fn forecast(
        &self,
        caller: &Caller,
        request: ForecastRequest,
    ) -> Result<ForecastResponse, Status> {
        let now = Timestamp::now();
        let ask = ask(&request)?;
        let key = filter::maybe_segment("segment", &request.segment)?;
        let namespace = filter::maybe_namespace("namespace", &request.namespace)?;
        let segments = filter::selector("segment_selector", &request.segment_selector)?;
        let clusters = filter::selector("cluster_selector", &request.cluster_selector)?;
        let authz = self.access.authz();
        authz
            .require(&caller.user, &LIST_CLUSTERS, None, None)
            .await?;
        let asked = key
            .as_ref()
            .map(|key| &key.namespace)
            .or(namespace.as_ref());
        let sight = self.sight_of(caller, asked).await?;
        let _seat = self.seat_for_plans().await?;
        let fleet = {
            let index = self.fleet().index();
            if let Some(key) = &key
                && !index.segments().contains_key(key)
            {
                return Err(errors::not_found("segment", &key.to_string()));
            }
            Fleet {
                segments: index
                    .segments()
                    .values()
                    .filter(|segment| sight.sees(&segment.key.namespace))
                    .filter(|segment| key.as_ref().is_none_or(|key| *key == segment.key))
                    .filter(|segment| {
                        namespace
                            .as_ref()
                            .is_none_or(|name| *name == segment.key.namespace)
                    })
                    .filter(|segment| segments.matches(&segment.labels))
                    .filter_map(|segment| Some(Arc::clone(&segment.good.as_ref()?.parsed)))
                    .collect(),
                clusters: index
                    .clusters()
                    .values()
                    .map(|cluster| &cluster.view)
                    .filter(|view| clusters.matches(&view.labels))
                    .cloned()
                    .collect(),
                defaults: index.defaults().clone(),
            }
        };
        let made = tokio::task::spawn_blocking(move || told(&fleet, ask, now));
        let mut response = made.await.map_err(|_| gone())?;
        response.source = Some(source(&self.handle, now));
        Ok(response)
    }
}

fn ask(request: &ForecastRequest) -> Result<Ask, Status> {
    let invalid = |field, message: String| errors::invalid(Reason::InvalidValue, field, message);
    let by = match ForecastGroup::try_from(request.group_by) {
        Ok(ForecastGroup::Unspecified) => GroupBy::Nothing,
        Ok(ForecastGroup::DbHost) => GroupBy::DbHost,
        Ok(ForecastGroup::Segment) => GroupBy::Segment,
        Ok(ForecastGroup::Cluster) => GroupBy::Cluster,
        Err(_) => {
            let message = format!("{} is no ForecastGroup", request.group_by);
            return Err(invalid("group_by", message));
        }
    };
    let window = match &request.window {
        None => WINDOW,
        Some(window) => SignedDuration::from_secs(window.seconds),
    };
    if window <= SignedDuration::ZERO || window > MAX_WINDOW {
        let days = MAX_WINDOW.as_hours() / 24;
        let message = format!("must be longer than nothing, and at most {days} days");
        return Err(invalid("window", message));
    }
    let peaks = match request.peaks {
        0 => PEAKS,
        peaks => usize::try_from(peaks)
            .map_err(|_| invalid("peaks", "must not be negative".to_owned()))?
            .min(PEAKS_MAX),
    };
    Ok(Ask {
        by,
        window,
        peaks,
        minutes: request.minutes,
    })
}

fn told(fleet: &Fleet, ask: Ask, now: Timestamp) -> ForecastResponse {
    let mut schedules = Schedules::default();
    for segment in &fleet.segments {
        let selected = fleet.clusters.iter().filter(|view| selects(segment, view));
        schedules.add(segment, selected, &fleet.defaults, ask.by);
    }
    let until = now.checked_add(ask.window).unwrap_or(Timestamp::MAX);
    let mut told = forecast(schedules.starts(), now, until);
    let groups = std::mem::take(&mut told.groups);
    let next = schedules.next_runs(now);
    let mut response = ForecastResponse {
        from: Some(to_wire(told.from)),
        to: Some(to_wire(told.to)),
        starts: Some(told.total),
        peaks: peaks(&told, ask.peaks),
        suspended: Some(told.suspended),
        unknown: Some(told.unread.saturating_add(schedules.unknown)),
        cut: Some(told.cut),
        segments: Some(count(fleet.segments.len())),
        more_next_runs: Some(count(next.len().saturating_sub(LIST))),
        next_runs: next_runs(&fleet.segments, next),
        clock_changes: told
            .clock_changes
            .iter()
            .map(|change| v1::ClockChange {
                time_zone: change.time_zone.clone(),
                at: Some(to_wire(change.at)),
                forward_seconds: i32::try_from(change.forward.as_secs()).ok(),
            })
            .collect(),
        ..ForecastResponse::default()
    };
    if ask.by != GroupBy::Nothing {
        response.more_groups = Some(count(groups.len().saturating_sub(LIST)));
        response.groups = totals(groups);
    }
    if ask.minutes {
        response.minutes = told.minutes.iter().copied().map(minute).collect();
    }
    response
}

fn peaks(told: &Forecast<'_>, most: usize) -> Vec<v1::ForecastPeak> {
    told.peaks(most)
        .into_iter()
        .map(|peak| v1::ForecastPeak {
            minute: Some(minute(peak.minute)),
            segments: peak.keys,
            more: Some(count(peak.more)),
        })
        .collect()
}

fn totals(mut groups: Vec<GroupStarts>) -> Vec<v1::ForecastTotal> {
    groups.sort_by_key(|group| Reverse(group.total));
    groups
        .into_iter()
        .take(LIST)
        .map(|group| v1::ForecastTotal {
            group: group.group,
            starts: Some(group.total),
            peak: group.peak.map(minute),
        })
        .collect()
}

fn next_runs(segments: &[Arc<ParsedSegment>], runs: Vec<NextRun>) -> Vec<v1::NextRun> {
    let written: HashMap<String, &ParsedSegment> = segments
        .iter()
        .map(|segment| (segment.key.to_string(), &**segment))
        .collect();
    runs.into_iter()
        .take(LIST)
        .map(|run| {
            let cronjob = written.get(&run.segment).map(|s| &s.spec.cronjob);
            let text = |value: Option<&String>| value.cloned().unwrap_or_default();
            v1::NextRun {
                first: run.first.map(to_wire),
                last: run.last.map(to_wire),
                clusters: Some(run.clusters),
                schedule: text(cronjob.and_then(|cronjob| cronjob.schedule.as_ref())),
                time_zone: text(cronjob.and_then(|cronjob| cronjob.time_zone.as_ref())),
                segment: run.segment,
            }
        })
        .collect()
}
