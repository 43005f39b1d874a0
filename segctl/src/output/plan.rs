//! A plan for people.
//!
//! In: messages of a plan. Out: text. Law: what would surprise someone at night has a ‼ in front; counts are exact, names
//! are some. Not: findings with their lines (`output/findings.rs`).

use crate::output::age::{read, seconds_of};
use crate::text::{count, one_line};
use anstyle::{AnsiColor, Style as Paint};
use segment_proto::v1::{
    AgentVerdicts, BrakeOver, ClusterNames, DiffGroup, FieldChange, Finding, PlanAction,
    PlanSummary, ReasonGroups, SegmentPlan,
};
use std::fmt::Write as _;

/// Clusters that a line names.
const NAMED: usize = 6;

/// Which view of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Everything.
    Plan,
    /// Only what changes on clusters, as `diff` writes it.
    Diff,
}

/// What becomes of a Segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// It is new.
    New,
    /// It changes.
    Changed,
    /// It goes.
    Gone,
    /// It stays.
    Same,
    /// It would be refused.
    Wrong,
}

impl Part {
    fn sign(self) -> (&'static str, AnsiColor) {
        match self {
            Self::New => ("+", AnsiColor::Green),
            Self::Changed => ("~", AnsiColor::Yellow),
            Self::Gone => ("-", AnsiColor::Red),
            Self::Same => ("=", AnsiColor::Blue),
            Self::Wrong => ("×", AnsiColor::Red),
        }
    }
}

impl From<PlanAction> for Part {
    fn from(action: PlanAction) -> Self {
        match action {
            PlanAction::Create => Self::New,
            PlanAction::Update => Self::Changed,
            PlanAction::Delete => Self::Gone,
            PlanAction::Refused => Self::Wrong,
            PlanAction::Unchanged | PlanAction::Unspecified => Self::Same,
        }
    }
}

/// One Segment.
pub(crate) fn segment(plan: &SegmentPlan, style: Style) -> String {
    match style {
        Style::Plan => Text::default().plan(plan),
        Style::Diff => Text::default().diff(plan),
    }
}

/// The last line.
pub(crate) fn summary(summary: &PlanSummary, files: &[String], deleted: &[String]) -> String {
    let mut text = String::new();
    for brake in &summary.agent_brakes {
        let _ = writeln!(
            text,
            "‼ cluster {}: {}",
            one_line(&brake.cluster),
            over(brake.over.as_ref())
        );
    }
    let more = (summary.agent_brakes_total() as usize).saturating_sub(summary.agent_brakes.len());
    if more > 0 {
        let _ = writeln!(
            text,
            "‼ and {} more over their agent's brake",
            count(more, "cluster")
        );
    }
    let _ = write!(text, "plan {}; nothing was written.", summary.plan_id);
    if summary.refused() > 0 {
        let _ = write!(
            text,
            " {} would be refused: correct them first.",
            count(summary.refused() as usize, "Segment")
        );
    } else if !summary.has_changes() {
        text.push_str(" No changes.");
    } else {
        if !files.is_empty() {
            let _ = write!(
                text,
                " Commit {}, or: kubectl apply -f {}",
                files.join(" "),
                files.join(" -f ")
            );
        }
        for (namespace, name) in deleted.iter().filter_map(|name| name.split_once('/')) {
            let _ = write!(text, "\n  kubectl delete seg -n {namespace} {name}");
        }
    }
    text
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn line(&mut self, label: &str, text: &str) {
        let _ = writeln!(self.0, "  {label:<10} {}", one_line(text));
    }

    fn head(&mut self, plan: &SegmentPlan) {
        let part = Part::from(plan.action());
        let (sign, color) = part.sign();
        let paint = Paint::new().bold().fg_color(Some(color.into()));
        let _ = write!(
            self.0,
            "{paint}{sign} segment {}{paint:#}",
            one_line(&plan.segment)
        );
        let (before, after) = (short(&plan.revision_before), short(&plan.revision_after));
        let _ = match part {
            Part::New => write!(self.0, "   new → {after}"),
            Part::Gone => write!(self.0, "   {before} → deleted"),
            Part::Same => write!(self.0, "   {before}, no change"),
            Part::Wrong => write!(
                self.0,
                "   would be refused; {}",
                if before.is_empty() {
                    "nothing would be made".to_owned()
                } else {
                    format!("{before} would stay")
                }
            ),
            Part::Changed if before == after => write!(
                self.0,
                "   {before} stays   ({})",
                count(plan.fields.len(), "field")
            ),
            Part::Changed => write!(
                self.0,
                "   {before} → {after}   ({})",
                count(plan.fields.len(), "field")
            ),
        };
        self.0.push('\n');
    }

    fn plan(mut self, plan: &SegmentPlan) -> String {
        self.head(plan);
        if Part::from(plan.action()) == Part::Wrong {
            return self.0;
        }
        self.placement(plan);
        self.changes(plan);
        self.starts(plan);
        self.lint(plan);
        if let Some(agents) = &plan.agents {
            self.agents(agents);
        }
        for group in plan.collisions.iter().flat_map(|all| &all.groups) {
            let text = format!(
                "‼ segment {} has the same CronJob on {}: {}",
                group.reason,
                clusters(group.clusters.as_ref()),
                named(group.clusters.as_ref())
            );
            self.line("collision", &text);
        }
        for finding in &plan.shared_tables {
            self.line("table", &format!("‼ {}", finding.message));
        }
        if let Some(brake) = &plan.brake {
            self.line("brake", &format!("‼ hub: {}", over(Some(brake))));
        }
        if plan.rollout_clusters() > 0 {
            let text = format!(
                "{}, {} at once, in {}",
                count(plan.rollout_clusters() as usize, "cluster"),
                plan.rollout_at_once(),
                count(plan.rollout_steps() as usize, "step")
            );
            self.line("rollout", &text);
        }
        self.0
    }

    fn placement(&mut self, plan: &SegmentPlan) {
        let (before, after) = (plan.selected_before(), plan.selected_after());
        let change = if before == after {
            count(after as usize, "cluster")
        } else {
            format!("{before} → {}", count(after as usize, "cluster"))
        };
        self.line("placement", &change);
        self.groups("+", plan.joins.as_ref(), "");
        let policy = format!("   policy {}", plan.removal_policy);
        self.groups("−", plan.leaves.as_ref(), &policy);
        if let Some(undecided) = plan.undecided.as_ref().filter(|names| names.count() > 0) {
            let text = format!(
                "? {}: not known before their agents have told what they hold: {}",
                clusters(Some(undecided)),
                named(Some(undecided))
            );
            self.line("", &text);
        }
    }

    fn groups(&mut self, sign: &str, groups: Option<&ReasonGroups>, end: &str) {
        let Some(groups) = groups else {
            return;
        };
        let mut told = 0;
        for group in &groups.groups {
            let names = group.clusters.as_ref();
            told += names.map_or(0, ClusterNames::count);
            let text = format!("{sign} {} ({}){end}", named(names), group.reason);
            self.line("", &text);
        }
        let more = groups.count().saturating_sub(told) as usize;
        if more > 0 {
            let text = format!("{sign} {} for other reasons{end}", count(more, "cluster"));
            self.line("", &text);
        }
    }

    fn changes(&mut self, plan: &SegmentPlan) {
        let mut label = "changes";
        for group in &plan.diffs {
            let text = group_head(group);
            self.line(label, &text);
            label = "";
            for change in &group.changes {
                self.line("", &format!("  {}", arrow(change)));
            }
        }
        if plan.more_diffs() > 0 {
            let text = format!(
                "{} with changes of other kinds: segctl plan -o json tells more",
                count(plan.more_diffs() as usize, "cluster")
            );
            self.line(label, &text);
            label = "";
        }
        if plan.unchanged() > 0 {
            let text = format!(
                "{} keep their CronJob as it is",
                count(plan.unchanged() as usize, "cluster")
            );
            self.line(label, &text);
        }
    }

    fn starts(&mut self, plan: &SegmentPlan) {
        let would = plan.would_start_now() as usize;
        let mut label = "starts";
        if would > 0 {
            let mode = if plan.run_once() { "RunOnce" } else { "Skip" };
            let text = format!(
                "‼ would start a missed run now on {}; onScheduleChange={mode}: {} will",
                count(would, "cluster"),
                plan.will_start_now()
            );
            self.line(label, &text);
            label = "";
        }
        if let Some(peak) = &plan.peak {
            let at = read(peak.at.as_ref()).map(seconds_of).unwrap_or_default();
            let text = format!("fullest minute of the next 24 h: {} at {at}", peak.starts());
            self.line(label, &text);
        }
    }

    fn lint(&mut self, plan: &SegmentPlan) {
        let warnings = plan.findings.len();
        if warnings > 0 {
            self.line("lint", &count(warnings, "warning"));
        }
        for found in &plan.cluster_findings {
            let Some(finding) = &found.finding else {
                continue;
            };
            let names = found.clusters.as_ref();
            let sign = if finding.error() {
                "‼ error"
            } else {
                "warning"
            };
            let text = format!(
                "{sign} on {}: {} — {}",
                clusters(names),
                named(names),
                sentence(finding)
            );
            self.line("clusters", &text);
        }
    }

    fn agents(&mut self, agents: &AgentVerdicts) {
        let unknown = agents.unknown.as_ref().map_or(0, ClusterNames::count);
        if agents.admit() + agents.refuse() + unknown == 0 {
            return;
        }
        let mut text = format!("{} admit", agents.admit());
        if agents.refuse() > 0 {
            let _ = write!(text, " · ‼ {} refuse", agents.refuse());
        }
        if unknown > 0 {
            let _ = write!(text, " · {unknown} have not told their policy");
        }
        self.line("agents", &text);
        for refusal in &agents.refusals {
            let text = format!(
                "{}: {} (rule {})",
                named(refusal.clusters.as_ref()),
                refusal.message,
                refusal.rule
            );
            self.line("", &text);
        }
    }

    /// As `diff -u` writes it, once for each kind of change.
    fn diff(mut self, plan: &SegmentPlan) -> String {
        if Part::from(plan.action()) == Part::Wrong {
            self.head(plan);
            return self.0;
        }
        let name = one_line(&plan.segment);
        let (before, after) = (short(&plan.revision_before), short(&plan.revision_after));
        let (red, green) = (
            Paint::new().fg_color(Some(AnsiColor::Red.into())),
            Paint::new().fg_color(Some(AnsiColor::Green.into())),
        );
        for (sign, paint, groups) in [("-", red, &plan.leaves), ("+", green, &plan.joins)] {
            for group in groups.iter().flat_map(|groups| &groups.groups) {
                let names = group.clusters.as_ref();
                let _ = writeln!(
                    self.0,
                    "{paint}{sign} {name} on {}: {} ({}){paint:#}",
                    clusters(names),
                    named(names),
                    one_line(&group.reason)
                );
            }
        }
        for group in &plan.diffs {
            let _ = writeln!(self.0, "--- {name} {before}\n+++ {name} {after}");
            let _ = writeln!(self.0, "@@ {} @@", one_line(&group_head(group)));
            for FieldChange {
                path,
                before,
                after,
            } in &group.changes
            {
                for (sign, paint, text) in [("-", red, before), ("+", green, after)] {
                    if let Some(text) = text {
                        let line = one_line(&format!("{path}: {text}"));
                        let _ = writeln!(self.0, "{paint}{sign}{line}{paint:#}");
                    }
                }
            }
        }
        if plan.more_diffs() > 0 {
            let _ = writeln!(
                self.0,
                "@@ {} with changes of other kinds @@",
                count(plan.more_diffs() as usize, "cluster")
            );
        }
        if self.0.is_empty() {
            self.head(plan);
        }
        self.0
    }
}

fn group_head(group: &DiffGroup) -> String {
    let names = group.clusters.as_ref();
    let mut text = format!("{}: {}", clusters(names), named(names));
    if !group.overrides.is_empty() {
        let _ = write!(text, "   by {}", group.overrides.join(", "));
    }
    text
}

fn arrow(change: &FieldChange) -> String {
    let side = |text: &Option<String>| text.clone().unwrap_or_else(|| "(none)".to_owned());
    format!(
        "{}: {} → {}",
        change.path,
        side(&change.before),
        side(&change.after)
    )
}

/// `2 clusters`.
fn clusters(names: Option<&ClusterNames>) -> String {
    count(names.map_or(0, ClusterNames::count) as usize, "cluster")
}

/// `eu-1, eu-2, and 7 more`.
fn named(names: Option<&ClusterNames>) -> String {
    let Some(names) = names else {
        return String::new();
    };
    let some: Vec<&str> = names.names.iter().take(NAMED).map(String::as_str).collect();
    let more = (names.count() as usize).saturating_sub(some.len());
    if more == 0 {
        some.join(", ")
    } else {
        format!("{}, and {more} more", some.join(", "))
    }
}

fn sentence(finding: &Finding) -> String {
    let mut text = finding.field.clone();
    if let Some(offset) = finding.offset {
        let _ = write!(text, ":{offset}");
    }
    let _ = write!(text, " {}", finding.message);
    if !finding.help.is_empty() {
        let _ = write!(text, " ({})", finding.help);
    }
    text
}

fn over(over: Option<&BrakeOver>) -> String {
    let Some(over) = over else {
        return String::new();
    };
    format!(
        "{} of {} would go, more than the brake's limit of {}",
        over.count(),
        over.of(),
        over.limit()
    )
}

/// As tables show it.
fn short(revision: &str) -> &str {
    revision.get(..7).unwrap_or(revision)
}

#[cfg(test)]
mod tests {
    use super::*;
    use segment_proto::v1::{ClusterFinding, PolicyRefusal, ReasonGroup, StartsInMinute};

    #[allow(clippy::unnecessary_wraps, reason = "fields of messages are optional")]
    fn names(count: u32, some: &[&str]) -> Option<ClusterNames> {
        Some(ClusterNames {
            count: Some(count),
            names: some.iter().map(ToString::to_string).collect(),
        })
    }

    fn change(path: &str, before: Option<&str>, after: Option<&str>) -> FieldChange {
        FieldChange {
            path: path.to_owned(),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        }
    }

    fn sample() -> SegmentPlan {
        let schedule = change(
            "spec.schedule",
            Some("\"0 3 * * *\""),
            Some("\"H 3 * * *\""),
        );
        SegmentPlan {
            segment: "granary/demo-segment".into(),
            action: PlanAction::Update.into(),
            revision_before: "7f3a91c000000000".into(),
            revision_after: "51bb0d2000000000".into(),
            fields: vec![schedule.clone()],
            selected_before: Some(500),
            selected_after: Some(498),
            leaves: Some(ReasonGroups {
                groups: vec![ReasonGroup {
                    reason: "label env is \"test\"; selector wants env=prod".into(),
                    clusters: names(2, &["eu-17", "eu-18"]),
                }],
                count: Some(2),
            }),
            removal_policy: "Delete".into(),
            diffs: vec![
                DiffGroup {
                    changes: vec![schedule.clone()],
                    clusters: names(496, &["eu-01", "eu-02"]),
                    ..DiffGroup::default()
                },
                DiffGroup {
                    changes: vec![
                        schedule,
                        change("env PIVOT_PATHS", None, Some("\"/pathB\"")),
                    ],
                    overrides: vec!["spec.overrides[0] (region=ap)".into()],
                    clusters: names(2, &["ap-01", "ap-02"]),
                },
            ],
            cluster_findings: vec![ClusterFinding {
                finding: Some(Finding {
                    code: "UnknownReference".into(),
                    error: Some(true),
                    field: "spec.env.DB_HOST".into(),
                    offset: Some(3),
                    message: "the cluster has no annotation db".into(),
                    help: "add it".into(),
                }),
                clusters: names(1, &["eu-30"]),
            }],
            agents: Some(AgentVerdicts {
                admit: Some(497),
                refuse: Some(1),
                refusals: vec![PolicyRefusal {
                    rule: "images".into(),
                    message: "image registry not allowed".into(),
                    clusters: names(1, &["ap-09"]),
                }],
                unknown: names(0, &[]),
            }),
            would_start_now: Some(212),
            will_start_now: Some(0),
            peak: Some(StartsInMinute {
                at: Some(segment_proto::Timestamp {
                    seconds: 10_800,
                    nanos: 0,
                }),
                starts: Some(17),
            }),
            rollout_clusters: Some(498),
            rollout_at_once: Some(125),
            rollout_steps: Some(4),
            ..SegmentPlan::default()
        }
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_plan_is_read_from_top_to_bottom() {
        assert_eq!(
            plain(&segment(&sample(), Style::Plan)),
            "\
~ segment granary/demo-segment   7f3a91c → 51bb0d2   (1 field)
  placement  500 → 498 clusters
             − eu-17, eu-18 (label env is \"test\"; selector wants env=prod)   policy Delete
  changes    496 clusters: eu-01, eu-02, and 494 more
               spec.schedule: \"0 3 * * *\" → \"H 3 * * *\"
             2 clusters: ap-01, ap-02   by spec.overrides[0] (region=ap)
               spec.schedule: \"0 3 * * *\" → \"H 3 * * *\"
               env PIVOT_PATHS: (none) → \"/pathB\"
  starts     ‼ would start a missed run now on 212 clusters; onScheduleChange=Skip: 0 will
             fullest minute of the next 24 h: 17 at 1970-01-01T03:00:00Z
  clusters   ‼ error on 1 cluster: eu-30 — spec.env.DB_HOST:3 the cluster has no annotation db (add it)
  agents     497 admit · ‼ 1 refuse
             ap-09: image registry not allowed (rule images)
  rollout    498 clusters, 125 at once, in 4 steps
"
        );
    }

    #[test]
    fn a_diff_has_only_what_changes() {
        assert_eq!(
            plain(&segment(&sample(), Style::Diff)),
            "\
- granary/demo-segment on 2 clusters: eu-17, eu-18 (label env is \"test\"; selector wants env=prod)
--- granary/demo-segment 7f3a91c
+++ granary/demo-segment 51bb0d2
@@ 496 clusters: eu-01, eu-02, and 494 more @@
-spec.schedule: \"0 3 * * *\"
+spec.schedule: \"H 3 * * *\"
--- granary/demo-segment 7f3a91c
+++ granary/demo-segment 51bb0d2
@@ 2 clusters: ap-01, ap-02   by spec.overrides[0] (region=ap) @@
-spec.schedule: \"0 3 * * *\"
+spec.schedule: \"H 3 * * *\"
+env PIVOT_PATHS: \"/pathB\"
"
        );
    }

    #[test]
    fn the_summary_says_that_nothing_was_written() {
        let mut told = PlanSummary {
            plan_id: "51bb0d2-8412".into(),
            has_changes: Some(true),
            ..PlanSummary::default()
        };
        let files = ["demo.yaml".to_owned()];
        assert_eq!(
            summary(&told, &files, &[]),
            "plan 51bb0d2-8412; nothing was written. Commit demo.yaml, or: kubectl apply -f demo.yaml"
        );
        told.has_changes = Some(false);
        assert_eq!(
            summary(&told, &files, &[]),
            "plan 51bb0d2-8412; nothing was written. No changes."
        );
        told.refused = Some(2);
        assert_eq!(
            summary(&told, &files, &[]),
            "plan 51bb0d2-8412; nothing was written. 2 Segments would be refused: correct them first."
        );
    }
}
