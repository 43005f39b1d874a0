//! How a plan is shown.
//!
//! In: core's plan. Out: messages. Law: a message stays under the limit of the users' API whatever the plan: kinds of
//! change beyond [`DIFF_BYTES`] are counted, not told. Not: planning.

use super::count;
use segment_core::assignment::RemovalPolicy;
use segment_core::brake::Over;
use segment_core::finding::Finding;
use segment_core::forecast::Minute;
use segment_core::plan::{Action, AgentBrake, Agents, Change, Groups, Names, Plan, SegmentPlan};
use segment_proto::convert::time::to_wire;
use segment_proto::v1;
use std::fmt::Display;

/// Bytes of changes that are told of one Segment: a quarter of a message's limit.
const DIFF_BYTES: usize = segment_proto::limits::USERS_MESSAGE_MAX_BYTES / 4;
/// Findings that are told of one Segment.
const FINDINGS: usize = 200;

/// One Segment of a plan.
pub fn segment(plan: SegmentPlan) -> v1::SegmentPlan {
    let (diffs, more_diffs) = diffs(plan.diffs, plan.more_diffs);
    let has_rollout = !matches!(plan.action, Action::Refused);
    v1::SegmentPlan {
        segment: plan.key.to_string(),
        action: action(plan.action).into(),
        revision_before: text(plan.before),
        revision_after: text(plan.after),
        fields: changes(plan.fields),
        findings: plan.findings.iter().take(FINDINGS).map(finding).collect(),
        selected_before: Some(count(plan.selected_before)),
        selected_after: has_rollout.then(|| count(plan.selected_after)),
        joins: Some(groups(&plan.joins)),
        leaves: Some(groups(&plan.leaves)),
        undecided: Some(names(&plan.undecided)),
        removal_policy: match plan.removal.policy {
            RemovalPolicy::Delete => "Delete",
            RemovalPolicy::Orphan => "Orphan",
        }
        .to_owned(),
        diffs,
        more_diffs: Some(count(more_diffs)),
        unchanged: Some(count(plan.unchanged)),
        cluster_findings: plan
            .problems
            .largest_first()
            .into_iter()
            .map(|(found, clusters)| v1::ClusterFinding {
                finding: Some(finding(&found.finding)),
                clusters: Some(names(clusters)),
            })
            .collect(),
        agents: Some(agents(&plan.agents)),
        would_start_now: Some(count(plan.starts.would)),
        will_start_now: Some(count(plan.starts.will)),
        run_once: Some(plan.starts.run_once),
        peak: plan.peak.map(minute),
        collisions: Some(groups(&plan.collisions)),
        shared_tables: plan.shared_tables.iter().map(finding).collect(),
        brake: plan.brake.map(over),
        rollout_clusters: Some(count(plan.rollout.clusters)),
        rollout_at_once: Some(count(plan.rollout.at_once)),
        rollout_steps: Some(count(plan.rollout.steps)),
    }
}

/// What the changes mean together.
pub fn summary(plan: &Plan, source: v1::Source) -> v1::PlanSummary {
    let refused = plan
        .segments
        .iter()
        .filter(|segment| segment.action == Action::Refused);
    v1::PlanSummary {
        plan_id: plan.id.clone(),
        has_changes: Some(plan.has_changes()),
        refused: Some(count(refused.count())),
        clusters: Some(count(plan.clusters)),
        agent_brakes: plan.agent_brakes.iter().map(brake).collect(),
        agent_brakes_total: Some(count(plan.agent_brakes_total)),
        source: Some(source),
    }
}

/// A finding.
pub fn finding(finding: &Finding) -> v1::Finding {
    v1::Finding {
        code: finding.code.as_str().to_owned(),
        error: Some(finding.is_error()),
        field: finding.field.clone(),
        offset: finding.offset,
        message: finding.message.clone(),
        help: finding.help.clone(),
    }
}

/// Starts in a minute.
pub fn minute(minute: Minute) -> v1::StartsInMinute {
    v1::StartsInMinute {
        at: Some(to_wire(minute.at)),
        starts: Some(minute.starts),
    }
}

fn action(action: Action) -> v1::PlanAction {
    match action {
        Action::Create => v1::PlanAction::Create,
        Action::Update => v1::PlanAction::Update,
        Action::Unchanged => v1::PlanAction::Unchanged,
        Action::Refused => v1::PlanAction::Refused,
        Action::Delete => v1::PlanAction::Delete,
    }
}

fn text(value: Option<impl Display>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn changes(changes: Vec<Change>) -> Vec<v1::FieldChange> {
    changes
        .into_iter()
        .map(|change| v1::FieldChange {
            path: change.path,
            before: change.before,
            after: change.after,
        })
        .collect()
}

fn diffs(
    groups: Vec<segment_core::plan::DiffGroup>,
    mut more: usize,
) -> (Vec<v1::DiffGroup>, usize) {
    let mut told = Vec::new();
    let mut bytes = 0;
    for group in groups {
        bytes += group.changes.iter().map(size).sum::<usize>();
        if bytes > DIFF_BYTES && !told.is_empty() {
            more += group.clusters.count;
            continue;
        }
        told.push(v1::DiffGroup {
            changes: changes(group.changes),
            overrides: group.overrides,
            clusters: Some(names(&group.clusters)),
        });
    }
    (told, more)
}

fn size(change: &Change) -> usize {
    let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    change.path.len() + length(&change.before) + length(&change.after)
}

fn names(names: &Names) -> v1::ClusterNames {
    v1::ClusterNames {
        count: Some(count(names.count)),
        names: names.some.iter().map(ToString::to_string).collect(),
    }
}

fn groups<K: Ord + Display>(groups: &Groups<K>) -> v1::ReasonGroups {
    v1::ReasonGroups {
        groups: groups
            .largest_first()
            .into_iter()
            .map(|(reason, clusters)| v1::ReasonGroup {
                reason: reason.to_string(),
                clusters: Some(names(clusters)),
            })
            .collect(),
        count: Some(count(groups.count())),
    }
}

fn agents(agents: &Agents) -> v1::AgentVerdicts {
    v1::AgentVerdicts {
        admit: Some(count(agents.admit)),
        refusals: agents
            .refuse
            .largest_first()
            .into_iter()
            .map(|(refused, clusters)| v1::PolicyRefusal {
                rule: refused.rule.to_owned(),
                message: refused.message.clone(),
                clusters: Some(names(clusters)),
            })
            .collect(),
        refuse: Some(count(agents.refuse.count())),
        unknown: Some(names(&agents.unknown)),
    }
}

fn over(over: Over) -> v1::BrakeOver {
    v1::BrakeOver {
        count: Some(count(over.count)),
        of: Some(count(over.of)),
        limit: Some(count(over.limit)),
    }
}

fn brake(brake: &AgentBrake) -> v1::AgentBrake {
    v1::AgentBrake {
        cluster: brake.cluster.to_string(),
        over: Some(over(brake.over)),
    }
}
