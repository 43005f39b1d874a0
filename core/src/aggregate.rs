//! Counting: what all clusters said about one Segment, as one word for each and as sums.
//!
//! In: the index, the time. Out: [`Verdict`] for each cluster, [`Aggregate`] for a Segment.
//! Law: selected = ready + rolling + failing + stale + held; the order of reports does not matter (`tests/laws.rs`);
//! silence is stale, never failing.
//! Not: conditions and their words (`status.rs`).

mod runs;

pub use runs::{RunSum, Worst as WorstRun};

use crate::ids::{ClusterName, SegmentKey, cronjob_name};
use crate::index::{ClusterState, FleetIndex, Member, SegmentState};
use crate::report::State;
use jiff::Timestamp;
use segment_crds::ClusterCounts;
use serde::{Deserialize, Serialize};

/// How one selected cluster stands. The five add up to what is selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Verdict {
    /// Has what the rollout released to it, confirmed, heard from within the limit.
    Ready,
    /// On its way.
    Rolling,
    /// Could not do it.
    Failing,
    /// Not heard from: unknown.
    Stale,
    /// Held: by a hold, a pause, or because this hub may not order there.
    Held,
}

impl Verdict {
    /// As users see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Rolling => "Rolling",
            Self::Failing => "Failing",
            Self::Stale => "Stale",
            Self::Held => "Held",
        }
    }
}

/// How one selected cluster stands, why, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// In one word.
    pub verdict: Verdict,
    /// Reason in one word; empty when all is well.
    pub reason: String,
    /// For people.
    pub message: String,
    /// Since when it is so, where that is known.
    pub since: Option<Timestamp>,
    /// When this was last known to be so: now for a connected cluster, else when it was last heard.
    pub as_of: Option<Timestamp>,
}

/// A Segment in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aggregate {
    /// Counts that add up.
    pub counts: ClusterCounts,
    /// What its runs do.
    pub runs: RunSum,
    /// Selected clusters that have not answered since the hub's start.
    pub unanswered: u32,
    /// The worst, at most [`segment_crds::limits::WORST_MAX`] of them.
    pub worst: Vec<(ClusterName, Judged)>,
}

/// Judges one selected cluster.
pub fn judge(
    index: &FleetIndex,
    segment: &SegmentState,
    cluster: &ClusterState,
    member: &Member,
    now: Timestamp,
) -> Judged {
    let as_of = if cluster.is_connected() {
        Some(now)
    } else {
        cluster.last_heard
    };
    let judged = silent(index, cluster, now)
        .or_else(|| not_ordered(cluster, member))
        .or_else(|| told(member))
        .unwrap_or_else(|| on_its_way(index, segment, cluster, member, now));
    Judged { as_of, ..judged }
}

fn say(
    verdict: Verdict,
    reason: &str,
    message: impl Into<String>,
    since: Option<Timestamp>,
) -> Judged {
    Judged {
        verdict,
        reason: reason.to_owned(),
        message: message.into(),
        since,
        as_of: None,
    }
}

/// Not heard from within the limit.
fn silent(index: &FleetIndex, cluster: &ClusterState, now: Timestamp) -> Option<Judged> {
    let started = index.started();
    if !cluster.is_stale(started, index.settings().stale_after, now) {
        return None;
    }
    let (reason, message, since) = match cluster.since {
        Some(since) => ("Disconnected", "not heard from", Some(since)),
        None if cluster.bound_uid.is_none() => {
            ("NeverConnected", "its agent has never connected", None)
        }
        None => (
            "Disconnected",
            "not heard from since this hub started",
            Some(started),
        ),
    };
    Some(say(Verdict::Stale, reason, message, since))
}

/// What keeps the order from being given or taken.
fn not_ordered(cluster: &ClusterState, member: &Member) -> Option<Judged> {
    if let Some(uid) = cluster.identity_conflict {
        let message = format!("another cluster (kube-system uid {uid}) uses this identity");
        return Some(say(Verdict::Held, "IdentityConflict", message, None));
    }
    if let Some(why) = &cluster.went_back {
        let message = format!(
            "{why}: nothing is ordered until the restore is accepted (segctl hub accept-restore)"
        );
        return Some(say(Verdict::Held, "HubWentBack", message, None));
    }
    if let Some(finding) = member.findings.first() {
        return Some(say(
            Verdict::Failing,
            finding.code.as_str(),
            finding.to_string(),
            None,
        ));
    }
    if let Some(words) = &member.proof_failed {
        return Some(say(Verdict::Failing, "ProofFailed", words, None));
    }
    if let Some(words) = &member.gate_failed {
        return Some(say(Verdict::Failing, "RunFailed", words, None));
    }
    let (reason, message) = member.refused.as_ref()?;
    Some(say(Verdict::Failing, reason, message, None))
}

/// What the cluster said of what it holds, where that is not well.
fn told(member: &Member) -> Option<Judged> {
    let report = member
        .report
        .as_ref()
        .filter(|_| member.report_is_current())?;
    let verdict = if report.state.is_failing() {
        Verdict::Failing
    } else if report.state == State::Held {
        Verdict::Held
    } else {
        return None;
    };
    let reason = if report.reason.is_empty() {
        report.state.as_str()
    } else {
        &report.reason
    };
    Some(say(verdict, reason, &report.message, Some(report.since)))
}

/// Ready, or on its way to it.
fn on_its_way(
    index: &FleetIndex,
    segment: &SegmentState,
    cluster: &ClusterState,
    member: &Member,
    now: Timestamp,
) -> Judged {
    let since = member.report.as_ref().map(|report| report.since);
    let released = member
        .released
        .filter(|released| Some(released.revision) == segment.revision());
    let expected = member.entry.as_ref().map(|entry| entry.id());
    if released.is_some() && member.confirmed() && expected == member.held {
        return say(Verdict::Ready, "", "", since);
    }
    if let Some(released) = released {
        let limit = segment
            .strategy
            .progress_deadline
            .unwrap_or(index.settings().progress_deadline);
        if now.duration_since(released.at) < limit {
            return say(
                Verdict::Rolling,
                "Progressing",
                "ordered, not confirmed yet",
                Some(released.at),
            );
        }
        // The limit and not the time that has passed: a message that grows would be a write each second.
        let message = format!("not confirmed within {} s of its order", limit.as_secs());
        return say(
            Verdict::Failing,
            "ProgressDeadlineExceeded",
            message,
            Some(released.at),
        );
    }
    let applied = member
        .report
        .as_ref()
        .is_some_and(|report| report.state == State::Applied);
    if applied && member.report_is_current() {
        // What the rollout released to it is the revision that it holds.
        return say(Verdict::Ready, "", "", since);
    }
    if cluster.view.paused || segment.is_paused() {
        return say(
            Verdict::Held,
            "Paused",
            "paused: nothing new goes out",
            None,
        );
    }
    say(Verdict::Rolling, "Progressing", "waits for its turn", None)
}

/// Counts one Segment; `None` where it is unknown.
pub fn aggregate(index: &FleetIndex, key: &SegmentKey, now: Timestamp) -> Option<Aggregate> {
    let segment = index.segments().get(key)?;
    let mut sum = Aggregate::default();
    let (hash, cronjob) = (key.hash(), cronjob_name(&key.name));
    let mut bad: Vec<(ClusterName, Judged)> = Vec::new();
    for (name, member) in &segment.members {
        let Some(cluster) = index.clusters().get(name) else {
            continue;
        };
        let reported = member.report.as_ref().map(|report| &report.runs);
        sum.runs
            .add(name, &cronjob, cluster.runs.of(hash), reported);
        if !member.is_selected() {
            if member.held.is_some() {
                sum.counts.owed += 1;
            }
            continue;
        }
        sum.counts.selected += 1;
        if !cluster.has_answered() {
            sum.unanswered += 1;
        }
        let updated = member.confirmed()
            && member
                .released
                .is_some_and(|r| Some(r.revision) == segment.revision());
        if updated {
            sum.counts.updated += 1;
        } else if !cluster.is_connected() {
            sum.counts.owed += 1;
        }
        let judged = judge(index, segment, cluster, member, now);
        match judged.verdict {
            Verdict::Ready => sum.counts.ready += 1,
            Verdict::Rolling => sum.counts.rolling += 1,
            Verdict::Failing => sum.counts.failing += 1,
            Verdict::Stale => sum.counts.stale += 1,
            Verdict::Held => sum.counts.held += 1,
        }
        if matches!(
            judged.verdict,
            Verdict::Failing | Verdict::Held | Verdict::Stale
        ) {
            bad.push((name.clone(), judged));
        }
    }
    sum.counts.owed += u32::try_from(
        index
            .tombstones()
            .values()
            .filter(|tombstone| tombstone.key == *key)
            .map(|tombstone| tombstone.clusters.len())
            .sum::<usize>(),
    )
    .unwrap_or(u32::MAX);
    // Failing before held before stale; within these, by name: the list is stable while nothing changes.
    bad.sort_by(|(a_name, a), (b_name, b)| {
        let rank = |verdict| match verdict {
            Verdict::Failing => 0,
            Verdict::Held => 1,
            _ => 2,
        };
        (rank(a.verdict), a_name).cmp(&(rank(b.verdict), b_name))
    });
    bad.truncate(segment_crds::limits::WORST_MAX);
    sum.worst = bad;
    Some(sum)
}
