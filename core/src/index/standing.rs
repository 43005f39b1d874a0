//! Where one selected cluster stands in its Segment's rollout.
//!
//! In: what was ordered, what the cluster said, what its runs did. Out: [`Standing`], and the cluster's entry on the way.
//! Law: an inventory first feeds the rollout: what holds the revision counts as released; silence is away, never failed;
//! a run counts only for the revision that it ran. Not: whom to release (`rollout`).

use super::{Changed, ClusterState, FleetIndex, Member, OrderedRun, Released, SegmentState};
use crate::ids::{ClusterName, Revision, RunId, SegmentKey, cronjob_name};
use crate::report::RunResult;
use crate::rollout::{Gate, Standing};
use crate::run_order::RunPhase;
use crate::runs::{KeptRun, RunKind};
use jiff::{SignedDuration, Timestamp};
use segment_crds::rollout::GateRun;

/// What the run that a gate waits for has come to.
enum GateState {
    Passed,
    Waits,
    Failed(String),
}

impl FleetIndex {
    /// How long a cluster of this Segment may take.
    pub(super) fn deadline(&self, key: &SegmentKey) -> SignedDuration {
        self.segments
            .get(key)
            .and_then(|segment| segment.strategy.progress_deadline)
            .unwrap_or(self.settings.progress_deadline)
    }

    /// Where one selected cluster stands, and whether its proof is done; makes its entry on the way.
    pub(super) fn standing(
        &mut self,
        key: &SegmentKey,
        name: &ClusterName,
        now: Timestamp,
        changed: &mut Changed,
    ) -> (Standing, bool) {
        let made = self.newest_entry(key, name, now);
        let version = self.version + 1;
        let deadline = self.deadline(key);
        let (Some(segment), Some(cluster)) = (self.segments.get_mut(key), self.clusters.get(name))
        else {
            return (Standing::Withheld, false);
        };
        let id = proof_id(segment, name);
        let proof = id.and_then(|id| cluster.ordered_runs.get(&id));
        let revision = segment.revision();
        let gate = segment.strategy.gate;
        let completed = segment.has_completed();
        let retried = segment.ops.rollout.retried;
        let paused =
            segment.deleting || !segment.finalizer || segment.is_paused() || cluster.view.paused;
        let Some(member) = segment.members.get_mut(name) else {
            return (Standing::Withheld, false);
        };
        let entry = match made {
            Ok(Some(entry)) => entry,
            Ok(None) => return (Standing::Withheld, false),
            Err(findings) => {
                if member.findings != findings {
                    member.findings = findings;
                    member.version = version;
                }
                return (Standing::Withheld, false);
            }
        };
        if !member.findings.is_empty() {
            member.findings.clear();
            member.version = version;
        }
        let expected = entry.id();
        // An inventory first feeds the rollout: what holds the revision counts as released.
        if member
            .released
            .is_none_or(|released| Some(released.revision) != revision)
        {
            member.released = member
                .held
                .filter(|held| held.uid == expected.uid && Some(held.revision) == revision)
                .map(|held| Released {
                    revision: held.revision,
                    at: now,
                });
        }
        let before = member.expected.replace(expected);
        let bytes = entry.assignment.rendered.digest();
        let bytes_before = member.expected_bytes.replace(bytes);
        if before != Some(expected) {
            // Labels of the cluster changed what it shall hold: under the released revision, at once. A hold or a mode
            // is no change of what runs.
            if bytes_before.is_some_and(|before| before != bytes)
                && let Some(released) = &mut member.released
                && member.held != Some(expected)
            {
                released.at = now;
            }
            member.version = version;
            changed.desired(name, expected.key);
        }
        member.entry = Some(entry);
        member.ordered |= member.released.is_some();
        let proven = proof.is_some_and(|run| run.phase() == RunPhase::Succeeded);
        member.gate_failed = None;
        let proof_failed = member
            .released
            .is_none()
            .then(|| proof.and_then(failed_proof))
            .flatten();
        if member.proof_failed != proof_failed {
            member.proof_failed = proof_failed;
            member.version = version;
        }
        let facts = Seen {
            key,
            cluster,
            runs: cluster.runs.of(key.hash()),
            revision,
            proof,
            gate,
            completed,
            retried,
            deadline,
            withheld: paused || cluster.went_back.is_some(),
            starting: cluster.since.is_none()
                && now.duration_since(self.started) < self.settings.stale_after,
        };
        (facts.standing(member, now), proven)
    }
}

/// What a standing is judged by, beside the member.
struct Seen<'a> {
    key: &'a SegmentKey,
    cluster: &'a ClusterState,
    /// Its newest runs of this Segment, oldest first.
    runs: &'a [KeptRun],
    revision: Option<Revision>,
    proof: Option<&'a OrderedRun>,
    gate: Gate,
    completed: bool,
    retried: Option<Timestamp>,
    deadline: SignedDuration,
    withheld: bool,
    /// The hub has just started, and has not heard from it.
    starting: bool,
}

impl Seen<'_> {
    fn standing(&self, member: &mut Member, now: Timestamp) -> Standing {
        let Some(released) = member.released else {
            return self.unreleased(member, now);
        };
        if member.confirmed() && member.holds_revision() {
            return self.gated(member, released.at);
        }
        if member.failed() {
            return Standing::Failed;
        }
        if !self.cluster.is_connected() && now.duration_since(released.at) >= self.deadline {
            return Standing::Away;
        }
        Standing::Released(released.at)
    }

    fn gated(&self, member: &mut Member, since: Timestamp) -> Standing {
        if self.gate.run != GateRun::NextSchedule || self.completed {
            return Standing::Confirmed;
        }
        match scheduled_run(self.runs, self.key, self.revision, self.retried) {
            GateState::Passed => Standing::Confirmed,
            GateState::Waits => Standing::Gated(later(since, self.retried, self.gate.timeout)),
            GateState::Failed(words) => {
                member.gate_failed = Some(words);
                Standing::Failed
            }
        }
    }

    fn unreleased(&self, member: &Member, now: Timestamp) -> Standing {
        if self.withheld {
            return Standing::Withheld;
        }
        if !(self.cluster.is_connected() && self.cluster.inventory_known) {
            // It was let go, something else was wanted meanwhile, and it left before it said what it took.
            let sent = member.sent.filter(|sent| {
                Some(sent.revision) == self.revision && now.duration_since(sent.at) < self.deadline
            });
            return match sent {
                Some(sent) => Standing::Released(sent.at),
                None if self.starting => Standing::Unheard,
                None => Standing::Away,
            };
        }
        match self.proof {
            Some(_) if member.proof_failed.is_some() => Standing::Failed,
            Some(run) if !run.phase().is_final() => {
                Standing::Proving(later(run.ordered, None, self.gate.timeout))
            }
            _ => Standing::Waiting,
        }
    }
}

fn later(since: Timestamp, retried: Option<Timestamp>, wait: SignedDuration) -> Timestamp {
    let since = retried.map_or(since, |retried| retried.max(since));
    since.checked_add(wait).unwrap_or(Timestamp::MAX)
}

/// Why a proof failed, if it did. One that no agent has seen has failed nobody: it is ordered again.
fn failed_proof(run: &OrderedRun) -> Option<String> {
    let event = run.event.as_ref()?;
    let failed = matches!(
        event.phase,
        RunPhase::Failed | RunPhase::Refused | RunPhase::Expired
    );
    failed.then(|| {
        let mut words = format!("proof run {}", event.phase.as_str().to_lowercase());
        if !event.reason.is_empty() {
            words.extend([": ", &event.reason]);
        }
        if let Some(code) = event.exit_code {
            words.push_str(", exit ");
            words.push_str(&code.to_string());
        }
        if !event.message.is_empty() {
            words.extend([": ", &event.message]);
        }
        words
    })
}

/// What the newest scheduled run of a revision has come to. What was missed or skipped has shown nothing.
fn scheduled_run(
    runs: &[KeptRun],
    key: &SegmentKey,
    revision: Option<Revision>,
    retried: Option<Timestamp>,
) -> GateState {
    let newest = runs.iter().rev().find(|run| {
        run.kind() == RunKind::Scheduled
            && revision.is_some()
            && run.revision() == revision
            && retried.is_none_or(|retried| run.scheduled() >= retried)
            && matches!(
                run.result(),
                RunResult::Succeeded | RunResult::Failed | RunResult::Stuck
            )
    });
    match newest {
        None => GateState::Waits,
        Some(run) if run.result() == RunResult::Succeeded => GateState::Passed,
        Some(run) => {
            let run = run.run(&cronjob_name(&key.name));
            let mut words = format!("run {} {}", run.job, run.result.as_str().to_lowercase());
            if let Some(code) = run.exit_code {
                words.push_str(", exit ");
                words.push_str(&code.to_string());
            }
            for part in [&run.reason, &run.message] {
                if !part.is_empty() {
                    words.extend([": ", part]);
                }
            }
            GateState::Failed(words)
        }
    }
}

/// The id of a cluster's proof of what goes out: another one for each undo and each retry.
pub(super) fn proof_id(segment: &SegmentState, name: &ClusterName) -> Option<RunId> {
    let revision = segment.revision()?;
    let about = format!(
        "proof/{}/{}/{revision}/{}/{}",
        segment.uid, name, segment.ops.order, segment.ops.rollout.retries
    );
    Some(RunId::of(about.as_bytes()))
}

impl Member {
    /// Why it failed, in words.
    pub fn failure(&self) -> String {
        if let Some(words) = self.proof_failed.as_ref().or(self.gate_failed.as_ref()) {
            return words.clone();
        }
        if let Some((reason, message)) = &self.refused {
            return format!("{reason}: {message}");
        }
        match &self.report {
            Some(report) if report.state.is_failing() => {
                format!("{}: {}", report.reason, report.message)
            }
            _ => "not confirmed in time".to_owned(),
        }
    }
}
