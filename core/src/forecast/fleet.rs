//! The schedules of a fleet: what each Segment starts on its clusters.
//!
//! In: Segments with their clusters, house defaults. Out: [`Expected`], one for each different schedule, zone and group of
//! a Segment, with how many clusters have it; from these [`NextRun`]s. Law: each distinct CronJob is rendered once; an
//! `H` is replaced for each cluster. Not: placement, counting starts ([`super::forecast()`]).

use super::Start;
use crate::placement::ClusterView;
use crate::render::{HouseDefaults, RenderKey, render, render_key};
use crate::segment::schedule::{next_after, replace_h, uses_h};
use crate::segment::{ParsedSegment, effective};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};

/// By what starts are summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GroupBy {
    /// Not at all.
    #[default]
    Nothing,
    /// By the database's host.
    DbHost,
    /// By Segment.
    Segment,
    /// By cluster.
    Cluster,
}

/// A schedule of a Segment, on so many clusters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Expected {
    /// The Segment's `namespace/name`.
    pub segment: String,
    /// What its starts are summed up by.
    pub group: String,
    /// The schedule, `H` replaced.
    pub schedule: String,
    /// The IANA name.
    pub time_zone: Option<String>,
    /// Whether it is suspended.
    pub suspended: bool,
}

/// What is expected of a fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedules {
    /// Each, with the number of its clusters.
    pub expected: BTreeMap<Expected, u64>,
    /// Segments on clusters for which they can't be rendered.
    pub unknown: u64,
}

/// The next run of a Segment on its clusters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextRun {
    /// The Segment's `namespace/name`.
    pub segment: String,
    /// The first on any cluster; `None`: it is never due, or suspended everywhere.
    pub first: Option<Timestamp>,
    /// The last of the next ones on each.
    pub last: Option<Timestamp>,
    /// Clusters on which it is due some time.
    pub clusters: u64,
}

/// The part of a CronJob that matters here.
struct Timed {
    schedule: String,
    time_zone: Option<String>,
    suspended: bool,
    db_host: String,
}

impl Schedules {
    /// Adds a Segment on these clusters.
    pub fn add<'a>(
        &mut self,
        segment: &ParsedSegment,
        clusters: impl IntoIterator<Item = &'a ClusterView>,
        defaults: &HouseDefaults,
        by: GroupBy,
    ) {
        let mut rendered: HashMap<RenderKey, Option<Timed>> = HashMap::new();
        for cluster in clusters {
            let timed = rendered
                .entry(render_key(segment, cluster).without_h())
                .or_insert_with(|| timed(segment, cluster, defaults));
            let written = timed.as_ref().and_then(|timed| {
                let schedule = replace_h(&timed.schedule, &segment.key, &cluster.name).ok()?;
                Some((timed, schedule))
            });
            let Some((timed, schedule)) = written else {
                self.unknown += 1;
                continue;
            };
            let expected = Expected {
                segment: segment.key.to_string(),
                group: match by {
                    GroupBy::Nothing => String::new(),
                    GroupBy::DbHost => timed.db_host.clone(),
                    GroupBy::Segment => segment.key.to_string(),
                    GroupBy::Cluster => cluster.name.to_string(),
                },
                schedule,
                time_zone: timed.time_zone.clone(),
                suspended: timed.suspended,
            };
            *self.expected.entry(expected).or_default() += 1;
        }
    }

    /// As the forecast counts them.
    pub fn starts(&self) -> impl Iterator<Item = Start<'_>> {
        self.expected.iter().map(|(expected, clusters)| Start {
            key: &expected.segment,
            group: &expected.group,
            schedule: &expected.schedule,
            time_zone: expected.time_zone.as_deref(),
            suspended: expected.suspended,
            weight: *clusters,
        })
    }

    /// The next run of each Segment after `now`: the earliest first, those that are never due last.
    pub fn next_runs(&self, now: Timestamp) -> Vec<NextRun> {
        let mut due: HashMap<(&str, Option<&str>), Option<Timestamp>> = HashMap::new();
        let mut by_segment: BTreeMap<&str, NextRun> = BTreeMap::new();
        for (expected, clusters) in &self.expected {
            let run = by_segment
                .entry(&expected.segment)
                .or_insert_with(|| NextRun {
                    segment: expected.segment.clone(),
                    first: None,
                    last: None,
                    clusters: 0,
                });
            if expected.suspended {
                continue;
            }
            let pair = (expected.schedule.as_str(), expected.time_zone.as_deref());
            let next = *due
                .entry(pair)
                .or_insert_with(|| next_after(pair.0, pair.1, now));
            if let Some(next) = next {
                run.first = Some(run.first.map_or(next, |first| first.min(next)));
                run.last = run.last.max(Some(next));
                run.clusters += clusters;
            }
        }
        let mut runs: Vec<NextRun> = by_segment.into_values().collect();
        runs.sort_by_key(|run| (run.first.is_none(), run.first));
        runs
    }
}

fn timed(
    segment: &ParsedSegment,
    cluster: &ClusterView,
    defaults: &HouseDefaults,
) -> Option<Timed> {
    let rendered = render(segment, defaults, cluster).ok()?;
    let template = rendered.template();
    // The template's schedule is that of one cluster; with an `H` the text as written is needed.
    let written = effective(segment, &cluster.labels)
        .cronjob
        .schedule
        .filter(|schedule| uses_h(schedule));
    Some(Timed {
        schedule: written.unwrap_or_else(|| template.schedule.clone()),
        time_zone: template.time_zone.clone(),
        suspended: template.suspend,
        db_host: template.env.get("DB_HOST").cloned().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::forecast;
    use super::*;
    use crate::testing::{segment, view};
    use std::collections::BTreeSet;

    fn parsed(name: &str, schedule: &str, zone: Option<&str>) -> ParsedSegment {
        let mut segment = segment(name);
        segment.spec.cronjob.schedule = Some(schedule.to_owned());
        segment.spec.cronjob.time_zone = zone.map(str::to_owned);
        crate::segment::parse(&segment).unwrap()
    }

    fn clusters(count: usize) -> Vec<ClusterView> {
        (0..count)
            .map(|at| view(&format!("eu-{at:04}"), &[]))
            .collect()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Jenkins' promise: the same Segment does not start everywhere at once. With 500 clusters over 60 minutes a fair
    /// coin gives 8.3 in each; 25 in one would be seen once in a million fleets.
    #[test]
    fn an_h_is_spread_over_500_clusters() {
        let fleet = clusters(500);
        for (schedule, slots, most) in [
            ("H 3 * * *", 60, 25),
            ("H H * * *", 24 * 60, 8),
            ("H(0-29) 3 * * *", 30, 40),
            ("H/15 * * * *", 15, 70),
        ] {
            let mut all = Schedules::default();
            let demo = parsed("granary/demo", schedule, None);
            all.add(&demo, &fleet, &HouseDefaults::default(), GroupBy::Nothing);
            assert_eq!(all.expected.values().sum::<u64>(), 500);
            let different = all.expected.len();
            let enough = slots.min(500) * 6 / 10;
            assert!(different >= enough, "{schedule}: {different} of {slots}");
            let fullest = all.expected.values().max().copied().unwrap_or_default();
            assert!(fullest <= most, "{schedule}: {fullest} at once");
        }
    }

    /// Segments with one schedule do not start together on one cluster either.
    #[test]
    fn an_h_is_spread_over_the_segments_of_a_cluster() {
        let cluster = view("eu-1", &[]);
        let minutes: BTreeSet<String> = (0..200)
            .map(|at| {
                let demo = parsed(&format!("granary/demo-{at}"), "H 3 * * *", None);
                replace_h("H 3 * * *", &demo.key, &cluster.name).unwrap()
            })
            .collect();
        assert!(minutes.len() > 50, "{} of 60 minutes", minutes.len());
    }

    #[test]
    fn next_runs_are_the_first_and_the_last_over_clusters_and_zones() {
        let fleet = clusters(60);
        let now = at("2026-07-01T12:00:00Z");
        let mut all = Schedules::default();
        let defaults = HouseDefaults::default();
        for (name, schedule, zone) in [
            ("granary/never", "0 0 31 2 *", None),
            ("granary/spread", "H 3 * * *", None),
            ("granary/berlin", "0 3 * * *", Some("Europe/Berlin")),
        ] {
            let segment = parsed(name, schedule, zone);
            all.add(&segment, &fleet, &defaults, GroupBy::DbHost);
        }
        let runs = all.next_runs(now);
        let names: Vec<&str> = runs.iter().map(|run| run.segment.as_str()).collect();
        assert_eq!(names, ["granary/berlin", "granary/spread", "granary/never"]);
        assert_eq!(runs[0].first, Some(at("2026-07-02T01:00:00Z")));
        assert_eq!(runs[0].first, runs[0].last);
        let (first, last) = (runs[1].first.unwrap(), runs[1].last.unwrap());
        assert!(first >= at("2026-07-02T03:00:00Z") && last <= at("2026-07-02T03:59:00Z"));
        assert!(first < last);
        assert_eq!((runs[2].first, runs[2].clusters), (None, 0));
        let told = forecast(all.starts(), now, at("2026-07-02T12:00:00Z"));
        assert_eq!(told.total, 120);
        assert_eq!(told.groups.len(), 1, "one database");
    }

    #[test]
    fn what_a_cluster_cannot_have_is_counted_apart() {
        let mut segment = segment("granary/demo");
        segment.spec.env.db_host = Some("$(cluster.labels['db'])".to_owned());
        let segment = crate::segment::parse(&segment).unwrap();
        let mut all = Schedules::default();
        let fleet = [view("eu-1", &[]), view("eu-2", &[("db", "db-2")])];
        all.add(&segment, &fleet, &HouseDefaults::default(), GroupBy::DbHost);
        assert_eq!(all.unknown, 1);
        assert_eq!(all.expected.keys().next().unwrap().group, "db-2");
    }
}
