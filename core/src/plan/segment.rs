//! The plan of one Segment.
//!
//! In: a snapshot, a draft. Out: [`SegmentPlan`]. Law: clusters are grouped by what they render to, with an `H` left open;
//! each group is rendered and compared once, each policy asked once per group and schedule.
//! Not: brakes of agents, which add up over Segments (`fleet.rs`).

use super::diff::{changes, spec_changes};
use super::fleet::Others;
use super::made::Made;
use super::names::{GROUPS, Groups, Names};
use super::snapshot::{Cluster, Live, LiveMember, Snapshot};
use super::{
    Action, Agents, Change, DiffGroup, Draft, Problem, Rollout, SegmentPlan, StartsNow, Wish,
};
use crate::admit::{Policy, Refusal, admit, admit_one_more};
use crate::assignment::{OnScheduleChange, Template};
use crate::brake;
use crate::finding::Finding;
use crate::forecast::{Minute, Start, forecast, last_due, would_start_now};
use crate::index::Good;
use crate::lint::lint_and_render;
use crate::placement::{OutReason, Placement, place};
use crate::render::{RenderKey, render, render_key};
use crate::revision::revision;
use crate::segment::schedule::{Schedule, replace_h};
use crate::segment::{ParsedSegment, effective};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// How far the fullest minute is looked for.
const WINDOW: SignedDuration = SignedDuration::from_hours(24);

pub(super) fn plan(
    snapshot: &Snapshot,
    (at, draft): (usize, &Draft),
    others: &Others,
    going: &mut [usize],
    now: Timestamp,
) -> SegmentPlan {
    let live = snapshot.live.get(&draft.key);
    let mut plan = empty(draft, live);
    match &draft.wish {
        Wish::Delete => delete(&mut plan, snapshot, live, going),
        Wish::Unreadable(findings) => {
            plan.findings.clone_from(findings);
            plan.action = Action::Refused;
        }
        Wish::Put { spec, verdict } => {
            plan.findings.clone_from(&verdict.findings);
            let stands = live.and_then(|live| live.good.as_ref());
            let new = serde_json::to_value(&**spec).unwrap_or_default();
            let old = stands.map(|good| serde_json::to_value(&*good.parsed.spec));
            let old = old.and_then(Result::ok).unwrap_or(Value::Null);
            plan.fields = spec_changes(&old, &new);
            let Some(parsed) = &verdict.parsed else {
                plan.action = Action::Refused;
                return plan;
            };
            plan.after = Some(revision(parsed, &snapshot.defaults));
            plan.removal = parsed.removal();
            plan.action = match live {
                None => Action::Create,
                Some(live) if plan.fields.is_empty() && !live.refused => Action::Unchanged,
                Some(_) => Action::Update,
            };
            Put {
                snapshot,
                parsed,
                live,
                now,
                plan: &mut plan,
                going,
            }
            .run((at, draft), others);
        }
    }
    plan
}

fn empty(draft: &Draft, live: Option<&Live>) -> SegmentPlan {
    let good = live.and_then(|live| live.good.as_ref());
    SegmentPlan {
        key: draft.key.clone(),
        action: Action::Delete,
        before: good.map(|good| good.revision),
        after: None,
        fields: Vec::new(),
        findings: Vec::new(),
        selected_before: live.map_or(0, |live| {
            live.members.values().filter(|m| m.selected).count()
        }),
        selected_after: 0,
        joins: Groups::default(),
        leaves: Groups::default(),
        undecided: Names::default(),
        removal: good.map(|good| good.removal).unwrap_or_default(),
        diffs: Vec::new(),
        more_diffs: 0,
        unchanged: 0,
        problems: Groups::default(),
        agents: Agents::default(),
        starts: StartsNow::default(),
        peak: None,
        collisions: Groups::default(),
        shared_tables: Vec::new(),
        brake: None,
        rollout: Rollout::default(),
    }
}

/// Deleting one Segment is an explicit act: the hub's brake does not hold it, the agents' count it.
fn delete(plan: &mut SegmentPlan, snapshot: &Snapshot, live: Option<&Live>, going: &mut [usize]) {
    let Some(live) = live else {
        plan.action = Action::Unchanged;
        return;
    };
    for (cluster, going) in snapshot.clusters.iter().zip(going) {
        let name = &cluster.view.name;
        if live.members.get(name).is_some_and(|m| m.selected || m.held) {
            plan.leaves.push("the segment is deleted".to_owned(), name);
            *going += 1;
        }
    }
}

/// Clusters that render to the same, an `H` left open.
struct Group<'a> {
    clusters: Vec<(usize, Option<LiveMember>)>,
    before: Option<&'a Good>,
}

type GroupKey = (Option<RenderKey>, RenderKey);

/// Schedules with `H` replaced, with their zone: on how many clusters.
type Schedules = HashMap<(String, Option<String>), u64>;

struct Put<'a> {
    snapshot: &'a Snapshot,
    parsed: &'a ParsedSegment,
    live: Option<&'a Live>,
    now: Timestamp,
    plan: &'a mut SegmentPlan,
    going: &'a mut [usize],
}

impl<'a> Put<'a> {
    fn run(mut self, draft: (usize, &Draft), others: &Others) {
        let groups = self.place();
        let selects: Vec<_> = groups
            .values()
            .flat_map(|group| &group.clusters)
            .filter_map(|(at, _)| self.snapshot.clusters.get(*at))
            .map(|cluster| &cluster.view.name)
            .collect();
        self.plan.selected_after = selects.len();
        self.plan.collisions = others.collisions(self.snapshot, draft, &selects);

        let mut diffs: HashMap<Vec<Change>, (BTreeSet<usize>, Names)> = HashMap::new();
        let mut schedules = Schedules::new();
        let mut everywhere: Option<BTreeSet<usize>> = None;
        // In the order of their first cluster: the same inputs give the same plan.
        let mut groups: Vec<Group<'_>> = groups.into_values().collect();
        groups.sort_by_key(|group| group.clusters.first().map(|(at, _)| *at));
        for group in &groups {
            let Some(made) = self.made(group) else {
                continue;
            };
            let overrides: BTreeSet<usize> = made.overrides.iter().copied().collect();
            everywhere = Some(match everywhere {
                None => overrides.clone(),
                Some(all) => all.intersection(&overrides).copied().collect(),
            });
            self.group(group, &made, &overrides, &mut diffs, &mut schedules);
        }
        self.plan.peak = fullest(&schedules, self.now);
        self.tell(diffs, &everywhere.unwrap_or_default());
        self.brake_and_rollout();
    }

    /// Who is in, who joins, who leaves.
    fn place(&mut self) -> HashMap<GroupKey, Group<'a>> {
        let mut groups: HashMap<GroupKey, Group<'a>> = HashMap::new();
        let live = self.live;
        let good = live.and_then(|live| live.good.as_ref());
        for (at, cluster) in self.snapshot.clusters.iter().enumerate() {
            let view = &cluster.view;
            let member = live.and_then(|live| live.members.get(&view.name)).copied();
            let had = member.is_some_and(|m| m.selected || m.held);
            let holds = cluster
                .inventory_known
                .then_some(member.is_some_and(|m| m.held));
            match place(self.parsed, view, holds) {
                Placement::In => {
                    if !had {
                        self.plan
                            .joins
                            .push(why_not_before(good, cluster, holds), &view.name);
                    }
                    let before = good.filter(|_| had);
                    let key = (
                        before.map(|good| render_key(&good.parsed, view).without_h()),
                        render_key(self.parsed, view).without_h(),
                    );
                    groups
                        .entry(key)
                        .or_insert_with(|| Group {
                            clusters: Vec::new(),
                            before,
                        })
                        .clusters
                        .push((at, member.filter(|_| had)));
                }
                Placement::Out(OutReason::Access(_)) => {}
                Placement::Out(reason) => {
                    if had {
                        self.plan.leaves.push(reason.to_string(), &view.name);
                        if let Some(going) = self.going.get_mut(at) {
                            *going += 1;
                        }
                    }
                }
                Placement::Undecided(_) => self.plan.undecided.push(&view.name),
            }
        }
        groups
    }

    /// What a group gets; `None` where it can't be made there: then its clusters keep what they have.
    fn made(&mut self, group: &Group<'_>) -> Option<Made> {
        let defaults = &self.snapshot.defaults;
        let view = &self.snapshot.clusters.get(group.clusters.first()?.0)?.view;
        let (findings, rendered) = lint_and_render(self.parsed, defaults, view, self.now);
        let refused = findings.iter().any(Finding::is_error);
        for finding in findings {
            let problem = Problem {
                error: finding.is_error(),
                finding,
            };
            for (at, _) in &group.clusters {
                if let Some(cluster) = self.snapshot.clusters.get(*at) {
                    let problems = &mut self.plan.problems;
                    problems.push(problem.clone(), &cluster.view.name);
                }
            }
        }
        if refused {
            return None;
        }
        let effective = effective(self.parsed, &view.labels);
        Some(Made::of(&effective, rendered?.template()))
    }

    fn group(
        &mut self,
        group: &Group<'_>,
        made: &Made,
        overrides: &BTreeSet<usize>,
        diffs: &mut HashMap<Vec<Change>, (BTreeSet<usize>, Names)>,
        schedules: &mut Schedules,
    ) {
        let clusters = &self.snapshot.clusters;
        let first = group.clusters.first().and_then(|(at, _)| clusters.get(*at));
        let before = group.before.zip(first).and_then(|(good, cluster)| {
            let rendered = render(&good.parsed, &self.snapshot.defaults, &cluster.view).ok()?;
            let effective = effective(&good.parsed, &cluster.view.labels);
            Some(Made::of(&effective, rendered.template()))
        });
        let changes = before
            .as_ref()
            .map(|before| changes(&before.side(), &made.side()));
        let mut asked: HashMap<(*const Policy, String), Option<Refusal>> = HashMap::new();
        let mut started: HashMap<(String, String, Option<Timestamp>), bool> = HashMap::new();
        let mut names = Names::default();
        for (at, member) in &group.clusters {
            let Some(cluster) = clusters.get(*at) else {
                continue;
            };
            let name = &cluster.view.name;
            let schedule = self.schedule(&made.schedule, cluster);
            if !made.template.suspend {
                let when = (schedule.clone(), made.template.time_zone.clone());
                *schedules.entry(when).or_default() += 1;
            }
            self.ask(cluster, member.is_none(), made, &schedule, &mut asked);
            let (Some(before), Some(changes)) = (&before, &changes) else {
                continue;
            };
            if changes.is_empty() {
                self.plan.unchanged += 1;
                continue;
            }
            names.push(name);
            let was = self.schedule(&before.schedule, cluster);
            let last = member.and_then(|member| member.last_run);
            let starts = *started
                .entry((was.clone(), schedule.clone(), last))
                .or_insert_with(|| {
                    let (old, new) = (before.armed(&was), made.armed(&schedule));
                    // A cluster that has told of no run has had the last that was due.
                    last.or_else(|| last_due(old.schedule, old.time_zone, self.now))
                        .is_some_and(|last| {
                            would_start_now(Some(&old), &new, Some(last), last, self.now)
                        })
                });
            self.plan.starts.would += usize::from(starts);
            let stops = !before.template.suspend && made.template.suspend;
            let dies = ever_fires(&was) && !ever_fires(&schedule);
            if let Some(going) = self.going.get_mut(*at) {
                *going += usize::from(stops || dies);
            }
        }
        if let Some(changes) = changes.filter(|changes| !changes.is_empty()) {
            let (common, all) = diffs
                .entry(changes)
                .or_insert_with(|| (overrides.clone(), Names::default()));
            *common = common.intersection(overrides).copied().collect();
            all.extend(names);
        }
    }

    /// The schedule of one cluster.
    fn schedule(&self, written: &str, cluster: &Cluster) -> String {
        replace_h(written, &self.parsed.key, &cluster.view.name)
            .unwrap_or_else(|_| written.to_owned())
    }

    /// What the cluster's policy would say, asked once per policy and schedule.
    fn ask(
        &mut self,
        cluster: &Cluster,
        joins: bool,
        made: &Made,
        schedule: &str,
        asked: &mut HashMap<(*const Policy, String), Option<Refusal>>,
    ) {
        let name = &cluster.view.name;
        let Some(policy) = &cluster.policy else {
            self.plan.agents.unknown.push(name);
            return;
        };
        let refused = asked
            .entry((Arc::as_ptr(policy), schedule.to_owned()))
            .or_insert_with(|| {
                let template = Template {
                    schedule: schedule.to_owned(),
                    ..made.template.clone()
                };
                admit(policy, &template, &self.parsed.key.namespace).err()
            });
        let full = || {
            joins
                .then(|| admit_one_more(policy, cluster.held).err())
                .flatten()
        };
        match refused.clone().or_else(full) {
            Some(refused) => self.plan.agents.refuse.push(refused, name),
            None => self.plan.agents.admit += 1,
        }
    }

    fn tell(
        &mut self,
        diffs: HashMap<Vec<Change>, (BTreeSet<usize>, Names)>,
        everywhere: &BTreeSet<usize>,
    ) {
        let described = |index: usize| {
            let selector = self.parsed.override_selectors.get(index);
            let selector = selector.map_or_else(String::new, |selector| format!(" ({selector})"));
            format!("spec.overrides[{index}]{selector}")
        };
        let mut all: Vec<DiffGroup> = diffs
            .into_iter()
            .map(|(changes, (overrides, clusters))| DiffGroup {
                changes,
                overrides: overrides
                    .difference(everywhere)
                    .map(|index| described(*index))
                    .collect(),
                clusters,
            })
            .collect();
        all.sort_by(|a, b| (b.clusters.count, &a.changes).cmp(&(a.clusters.count, &b.changes)));
        let more = all.split_off(all.len().min(GROUPS));
        self.plan.more_diffs = more.iter().map(|group| group.clusters.count).sum();
        self.plan.diffs = all;
        self.plan.starts.run_once =
            self.parsed.modes().on_schedule_change == OnScheduleChange::RunOnce;
        if self.plan.starts.run_once {
            self.plan.starts.will = self.plan.starts.would;
        }
    }

    fn brake_and_rollout(&mut self) {
        let holders = self.live.map_or(0, |live| {
            live.members.values().filter(|member| member.held).count()
        });
        let leaves = self.plan.leaves.count();
        self.plan.brake = brake::over(brake::HUB, leaves, holders.max(leaves));
        let changed = self.plan.joins.count()
            + self.plan.more_diffs
            + self
                .plan
                .diffs
                .iter()
                .map(|group| group.clusters.count)
                .sum::<usize>();
        let at_once = self.parsed.strategy.waves.last().map_or(1, |wave| {
            wave.max_concurrent.at_least_one(self.plan.selected_after)
        });
        self.plan.rollout = Rollout {
            clusters: changed,
            at_once: at_once.min(changed),
            steps: changed.div_ceil(at_once),
        };
    }
}

/// The fullest minute of the next [`WINDOW`].
fn fullest(schedules: &Schedules, now: Timestamp) -> Option<Minute> {
    let starts = schedules.iter().map(|((schedule, zone), &clusters)| Start {
        key: "",
        group: "",
        schedule,
        time_zone: zone.as_deref(),
        suspended: false,
        weight: clusters,
    });
    let until = now.checked_add(WINDOW).ok()?;
    let peaks = forecast(starts, now, until).peaks(1);
    peaks.first().map(|peak| peak.minute)
}

/// Whether a schedule is ever due.
fn ever_fires(schedule: &str) -> bool {
    Schedule::parse(schedule).is_ok_and(|schedule| schedule.ever_fires())
}

/// Why a cluster that joins did not have it.
fn why_not_before(good: Option<&Good>, cluster: &Cluster, holds: Option<bool>) -> String {
    let Some(good) = good else {
        return "the segment is new".to_owned();
    };
    match place(&good.parsed, &cluster.view, holds) {
        Placement::In => "selected already, not there yet".to_owned(),
        before => format!("until now: {before}"),
    }
}
