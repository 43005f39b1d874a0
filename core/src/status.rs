//! What is written to `Segment.status` and `Cluster.status`, and whether it is worth a write now.
//!
//! In: the index, the status as it stands, the time. Out: a new status, or nothing.
//! Law: nothing is written while clusters that count have not answered since the hub's start (the old status stands
//! whole); a status that says the same is not written again; `Reconciling` and `Stalled` are present only when True, as
//! kstatus reads them; a rejected or halted Segment says Stalled.
//! Not: the pace of writing (hub, `status_writer.rs`).

use crate::aggregate::{Aggregate, aggregate};
use crate::finding::{Code, Finding};
use crate::ids::{ClusterName, SegmentKey};
use crate::index::{ClusterState, FleetIndex, SegmentState};
use crate::lint;
use crate::report::{self, State};
use crate::rollout::{Progress, rollout_story};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use segment_crds::conditions::{condition, remove_condition, set_condition};
use segment_crds::{
    ClusterCondition, ClusterStatus, ConditionStatus, Reason, RolloutStatus, SegmentCondition,
    SegmentStatus, WorstCluster,
};

/// Longest message of a condition, in bytes: a status stays far below etcd's limit whatever clusters say.
const MAX_CONDITION_BYTES: usize = 2048;

/// The status that a Segment should have; `None` where the one that stands is to be left alone.
pub fn segment_status(
    index: &FleetIndex,
    key: &SegmentKey,
    stands: Option<&SegmentStatus>,
    now: Timestamp,
) -> Option<SegmentStatus> {
    let segment = index.segments().get(key)?;
    let sum = aggregate(index, key, now)?;
    let waiting = now.duration_since(index.started()) < index.settings().stale_after;
    let written = stands.is_some_and(|status| status.observed_generation >= 0);
    if waiting && written && sum.unanswered > 0 {
        // After a hub's start the whole of the written status stands until all have answered: no flapping.
        let same_generation =
            stands.is_some_and(|status| status.observed_generation == segment.generation);
        if same_generation {
            return None;
        }
    }
    let mut status = stands.cloned().unwrap_or_default();
    fill(&mut status, segment, &sum, now);
    (stands != Some(&status)).then_some(status)
}

fn fill(status: &mut SegmentStatus, segment: &SegmentState, sum: &Aggregate, now: Timestamp) {
    let generation = segment.generation;
    status.observed_generation = generation;
    status.revision = segment.revision().map(|revision| revision.short());
    status.clusters = Some(sum.counts);
    status.ready = Some(sum.counts.ready_column());
    status.last_run = sum.runs.last.map(time);
    status.next_run = sum.runs.next.map(time);
    status.worst = sum
        .worst
        .iter()
        .map(|(name, judged)| WorstCluster {
            cluster: name.to_string(),
            reason: judged.reason.clone(),
            message: cut(&judged.message),
            since: judged.since.map(time),
        })
        .collect();
    let story = Story::of(segment, sum);
    status.rollout = Some(RolloutStatus {
        state: Some(story.rollout.0.as_str().to_owned()),
        updated: sum.counts.updated,
        message: (!story.rollout.1.is_empty()).then(|| cut(&story.rollout.1)),
    });
    let list = &mut status.conditions;
    let mut set =
        |kind: SegmentCondition, status: ConditionStatus, (reason, message): &(Reason, String)| {
            set_condition(
                list,
                condition(
                    kind.as_str(),
                    status,
                    *reason,
                    cut(message),
                    generation,
                    time(now),
                ),
            );
        };
    let truth = |yes: bool| {
        if yes {
            ConditionStatus::True
        } else {
            ConditionStatus::False
        }
    };
    set(
        SegmentCondition::Accepted,
        truth(!segment.is_refused()),
        &story.accepted,
    );
    set(SegmentCondition::Ready, truth(story.is_ready), &story.ready);
    set(
        SegmentCondition::RolloutCompleted,
        truth(segment.progress == Progress::Completed && !turned_back(segment)),
        &story.rollout,
    );
    set(
        SegmentCondition::RunsSucceeding,
        story.runs_succeeding,
        &story.runs,
    );
    let by_user = segment.ops.rollout.paused.as_ref();
    let is_paused = segment.is_paused() || by_user.is_some();
    let paused = if let Some(by) = by_user {
        (
            Reason::Paused,
            format!("the rollout is paused {}", by.words()),
        )
    } else if segment.is_paused() {
        (Reason::Paused, "nothing new goes out".to_owned())
    } else {
        (Reason::NotPaused, String::new())
    };
    set(SegmentCondition::Paused, truth(is_paused), &paused);
    // Present only when True: the first of the two that a reader meets decides, so never both.
    if let Some(stalled) = &story.stalled {
        set(SegmentCondition::Stalled, ConditionStatus::True, stalled);
        remove_condition(list, SegmentCondition::Reconciling.as_str());
    } else {
        if story.is_ready {
            remove_condition(list, SegmentCondition::Reconciling.as_str());
        } else {
            set(
                SegmentCondition::Reconciling,
                ConditionStatus::True,
                &story.ready,
            );
        }
        remove_condition(list, SegmentCondition::Stalled.as_str());
    }
}

/// The conditions' words.
struct Story {
    accepted: (Reason, String),
    is_ready: bool,
    ready: (Reason, String),
    rollout: (Reason, String),
    stalled: Option<(Reason, String)>,
    runs_succeeding: ConditionStatus,
    runs: (Reason, String),
}

impl Story {
    fn of(segment: &SegmentState, sum: &Aggregate) -> Self {
        let counts = sum.counts;
        let rollout = rollout_words(segment, sum);
        // Clusters that are away are within their budget (100 % by default): counted, not waited for.
        let is_ready = !segment.is_refused()
            && !segment.deleting
            && segment.progress == Progress::Completed
            && !turned_back(segment)
            && counts.failing == 0
            && counts.held == 0
            && counts.rolling == 0;
        let ready = ready_words(segment, sum);
        let stalled = if segment.is_refused() {
            Some((refusal(&segment.findings), findings(&segment.findings)))
        } else if segment.progress == Progress::Halted || turned_back(segment) {
            Some(rollout.clone())
        } else if !is_ready && counts.failing > 0 && counts.rolling == 0 {
            Some(ready.clone())
        } else {
            None
        };
        let (runs_succeeding, runs) = runs(sum);
        Self {
            accepted: if segment.is_refused() {
                (refusal(&segment.findings), findings(&segment.findings))
            } else {
                (Reason::Accepted, warnings(segment))
            },
            is_ready,
            ready,
            rollout,
            stalled,
            runs_succeeding,
            runs,
        }
    }
}

fn worst_words(sum: &Aggregate) -> String {
    sum.worst
        .first()
        .map(|(name, judged)| format!("{name}: {}: {}", judged.reason, judged.message))
        .unwrap_or_default()
}

fn updated_words(sum: &Aggregate) -> String {
    format!(
        "{} of {} clusters have the newest revision",
        sum.counts.updated, sum.counts.selected
    )
}

/// The newest spec is not what goes out.
fn turned_back(segment: &SegmentState) -> bool {
    segment
        .good
        .as_ref()
        .is_some_and(|good| segment.ops.undo_of(good.revision).is_some())
}

fn rollout_words(segment: &SegmentState, sum: &Aggregate) -> (Reason, String) {
    let (reason, words) = rollout_story(segment);
    let words = match (words.is_empty(), segment.progress) {
        (true, Progress::Progressing) => updated_words(sum),
        (false, Progress::Progressing) => format!("{}; {words}", updated_words(sum)),
        _ => words,
    };
    (reason, words)
}

fn ready_words(segment: &SegmentState, sum: &Aggregate) -> (Reason, String) {
    let counts = sum.counts;
    let some = |number: u32, what: &str| {
        format!(
            "{number} of {} clusters {what}; {}",
            counts.selected,
            worst_words(sum)
        )
    };
    if segment.deleting {
        let message = format!("being removed; owed to {} clusters", counts.owed);
        (Reason::Removing, message)
    } else if segment.is_refused() {
        let message = format!(
            "the newest spec was refused, the last good one stands: {}",
            findings(&segment.findings)
        );
        (refusal(&segment.findings), message)
    } else if counts.selected == 0 {
        let message = "selector and taints leave no cluster".to_owned();
        (Reason::NoClusterSelected, message)
    } else if counts.failing > 0 {
        (Reason::ClustersFailing, some(counts.failing, "fail"))
    } else if counts.held > 0 {
        (Reason::Held, some(counts.held, "are held"))
    } else if turned_back(segment) {
        rollout_words(segment, sum)
    } else if segment.progress != Progress::Completed || counts.rolling > 0 {
        (Reason::RollingOut, rollout_words(segment, sum).1)
    } else if counts.stale > 0 {
        (
            Reason::ReadyButUnreachable,
            some(counts.stale, "are not heard from"),
        )
    } else {
        (Reason::AllReady, String::new())
    }
}

fn runs(sum: &Aggregate) -> (ConditionStatus, (Reason, String)) {
    if sum.runs.bad() > 0 {
        (ConditionStatus::False, (Reason::Failing, sum.runs.words()))
    } else if sum.runs.known > 0 {
        (ConditionStatus::True, (Reason::Succeeding, String::new()))
    } else {
        (
            ConditionStatus::Unknown,
            (Reason::NoRuns, "no run has ended yet".to_owned()),
        )
    }
}

fn refusal(findings: &[Finding]) -> Reason {
    match findings
        .iter()
        .find(|finding| finding.is_error())
        .map(|finding| finding.code)
    {
        Some(Code::NotYet) => Reason::NotYet,
        Some(Code::TooLarge) => Reason::TooLarge,
        _ => Reason::Invalid,
    }
}

fn findings(list: &[Finding]) -> String {
    lint::text(list.iter().filter(|finding| finding.is_error()))
}

/// What is legal in the accepted spec, but probably not meant.
fn warnings(segment: &SegmentState) -> String {
    let parsed = segment.good.as_ref().map(|good| &good.parsed);
    lint::text(parsed.iter().flat_map(|parsed| &parsed.warnings))
}

/// Whole seconds, as the API server stores them: a finer time would look like a change each time.
fn time(timestamp: Timestamp) -> Time {
    Time(Timestamp::from_second(timestamp.as_second()).unwrap_or(timestamp))
}

/// At most so many bytes, and without control characters: JSON writes each of them as six.
fn cut(message: &str) -> String {
    let unprintable = |c: char| c.is_control() && c != '\n';
    let cut = report::cut(message, MAX_CONDITION_BYTES);
    if cut.contains(unprintable) {
        return cut.replace(unprintable, " ");
    }
    cut
}

/// The status that a Cluster should have; `None` where the one that stands says the same.
pub fn cluster_status(
    index: &FleetIndex,
    name: &ClusterName,
    stands: Option<&ClusterStatus>,
    now: Timestamp,
) -> Option<ClusterStatus> {
    let cluster = index.clusters().get(name)?;
    let waiting = now.duration_since(index.started()) < index.settings().stale_after;
    let written = stands.is_some_and(|status| status.observed_generation >= 0);
    // Connected, but it has not said yet how it and its CronJobs are: conditions would flap.
    let silent = cluster.is_connected() && !(cluster.has_answered() && cluster.health_known);
    if written && waiting && (silent || cluster.session.is_none() && cluster.since.is_none()) {
        // The hub has just started: what was true before stands until the cluster has had the time to come.
        return None;
    }
    let mut status = stands.cloned().unwrap_or_default();
    status.observed_generation = cluster.generation;
    if let Some(uid) = cluster.bound_uid {
        status.cluster_uid = Some(uid.to_string());
    }
    if !cluster.agent_version.is_empty() {
        status.agent_version = Some(cluster.agent_version.clone());
        status.kubernetes_version = Some(cluster.kubernetes_version.clone());
    }
    if cluster.is_connected() {
        // Written only when the connection is lost: a heartbeat never reaches etcd.
        status.last_seen = stands.and_then(|status| status.last_seen.clone());
    } else if let Some(heard) = cluster.last_heard {
        status.last_seen = Some(time(heard));
    }
    let (placed, ready) = placed_and_ready(index, cluster, name, now);
    status.segments = Some(placed);
    if cluster.has_answered() || !written {
        status.ready = Some(ready);
    }
    let generation = cluster.generation;
    for (kind, truth, reason, message) in cluster_conditions(index, cluster, name) {
        let new: Condition = condition(
            kind.as_str(),
            truth,
            reason,
            cut(&message),
            generation,
            time(now),
        );
        set_condition(&mut status.conditions, new);
    }
    (stands != Some(&status)).then_some(status)
}

fn placed_and_ready(
    index: &FleetIndex,
    cluster: &ClusterState,
    name: &ClusterName,
    now: Timestamp,
) -> (u32, u32) {
    let mut placed = 0;
    let mut ready = 0;
    for key in &cluster.segments {
        let Some(segment) = index.segments().get(key) else {
            continue;
        };
        let Some(member) = segment
            .members
            .get(name)
            .filter(|member| member.is_selected())
        else {
            continue;
        };
        placed += 1;
        let judged = crate::aggregate::judge(index, segment, cluster, member, now);
        ready += u32::from(judged.verdict == crate::aggregate::Verdict::Ready);
    }
    (placed, ready)
}

type Row = (ClusterCondition, ConditionStatus, Reason, String);

fn cluster_conditions(index: &FleetIndex, cluster: &ClusterState, name: &ClusterName) -> Vec<Row> {
    use ClusterCondition as Kind;
    let first = |state: State| {
        cluster
            .segments
            .iter()
            .filter_map(|key| index.report(key, name).map(|report| (key, report)))
            .find(|(_, report)| report.state == state)
            .map(|(key, report)| format!("{key}: {}: {}", report.reason, report.message))
    };
    let conflict = cluster
        .identity_conflict
        .map(|uid| format!("another cluster (kube-system uid {uid}) uses this identity"));
    let went_back = cluster.went_back.as_ref().map(|why| {
        format!("{why}: nothing is ordered here until the restore is accepted (segctl hub accept-restore)")
    });
    let refused = cluster
        .health
        .policy_error
        .clone()
        .or_else(|| first(State::Refused));
    let against = [
        flag(
            Kind::IdentityConflict,
            conflict,
            Reason::IdentityConflict,
            Reason::IdentityBound,
        ),
        flag(
            Kind::HubWentBack,
            went_back,
            Reason::HubWentBack,
            Reason::InOrder,
        ),
        flag(
            Kind::NoRights,
            cluster.health.no_rights.clone(),
            Reason::NoRights,
            Reason::RightsComplete,
        ),
        flag(
            Kind::BrakeEngaged,
            None,
            Reason::BrakeEngaged,
            Reason::BrakeReleased,
        ),
    ];
    let connected = connected(cluster);
    let ready = ready(cluster, &connected, &against);
    let beside = [
        flag(
            Kind::PolicyConflict,
            refused,
            Reason::PolicyConflict,
            Reason::PolicyAdmits,
        ),
        flag(
            Kind::Contested,
            first(State::Contested),
            Reason::Contested,
            Reason::Uncontested,
        ),
    ];
    [ready, connected]
        .into_iter()
        .chain(against)
        .chain(beside)
        .collect()
}

fn flag(kind: ClusterCondition, found: Option<String>, bad: Reason, good: Reason) -> Row {
    match found {
        Some(message) => (kind, ConditionStatus::True, bad, message),
        None => (kind, ConditionStatus::False, good, String::new()),
    }
}

fn connected(cluster: &ClusterState) -> Row {
    let kind = ClusterCondition::Connected;
    if cluster.is_connected() {
        return (
            kind,
            ConditionStatus::True,
            Reason::Connected,
            String::new(),
        );
    }
    let (reason, message) = if cluster.bound_uid.is_none() {
        (
            Reason::NeverConnected,
            "no agent has come under this name yet: segctl cluster join prints how",
        )
    } else {
        (Reason::Disconnected, "the agent's stream has ended")
    };
    (kind, ConditionStatus::False, reason, message.to_owned())
}

/// Ready, unless something stands against it: access first, then the connection, then the rest in its order.
fn ready(cluster: &ClusterState, connected: &Row, against: &[Row]) -> Row {
    let kind = ClusterCondition::Ready;
    let access = match cluster.view.access {
        segment_crds::Access::Accepted => None,
        segment_crds::Access::Pending => {
            Some((Reason::Pending, "spec.access is Pending".to_owned()))
        }
        segment_crds::Access::Revoked => {
            Some((Reason::Revoked, "spec.access is Revoked".to_owned()))
        }
    };
    let away = (connected.1 == ConditionStatus::False).then(|| (connected.2, connected.3.clone()));
    let rest = || {
        against
            .iter()
            .find(|row| row.1 == ConditionStatus::True)
            .map(|row| (row.2, row.3.clone()))
    };
    match access.or(away).or_else(rest) {
        Some((reason, message)) => (kind, ConditionStatus::False, reason, message),
        None => (kind, ConditionStatus::True, Reason::AllGood, String::new()),
    }
}
