//! A rollout and a hold, as they are shown.
//!
//! In: the index. Out: messages. Law: states and words are core's own (`rollout::rollout_story`), the same as in the
//! status. Not: who may see it.

use super::count;
use jiff::Timestamp;
use segment_core::aggregate::{Verdict, aggregate, judge};
use segment_core::apply::HELD_BY_HUB;
use segment_core::ids::{ClusterName, Revision, SegmentKey};
use segment_core::index::{FleetIndex, Member, SegmentState};
use segment_core::report::State;
use segment_core::rollout::{Progress, Waits, WaveStand, rollout_story, wave_words};
use segment_proto::convert::time::to_wire;
use segment_proto::v1;

/// Clusters that are named as not having confirmed a hold.
const UNCONFIRMED_MAX: usize = 100;

/// How a Segment's rollout stands; `None` where it is unknown.
pub fn rollout(index: &FleetIndex, key: &SegmentKey, now: Timestamp) -> Option<v1::Rollout> {
    let segment = index.segments().get(key)?;
    let sum = aggregate(index, key, now)?;
    let (reason, message) = rollout_story(segment);
    let state = match segment.progress {
        Progress::Completed => v1::RolloutState::Completed,
        Progress::Progressing => v1::RolloutState::Progressing,
        Progress::Paused => v1::RolloutState::Paused,
        Progress::Halted => v1::RolloutState::Halted,
    };
    let good = segment.good.as_ref();
    let undone = good
        .and_then(|good| segment.ops.undo_of(good.revision))
        .map(|undo| undo.of);
    Some(v1::Rollout {
        segment: key.to_string(),
        revision: words(segment.revision()),
        completed_revision: words(segment.ops.completed),
        state: state.into(),
        reason: reason.as_str().to_owned(),
        message,
        since: segment.ops.rollout.since.map(to_wire),
        author: String::new(),
        change_cause: String::new(),
        waves: segment
            .waves
            .iter()
            .map(|one| wave(one, &key.to_string()))
            .collect(),
        failures: sum
            .worst
            .iter()
            .filter(|(_, judged)| judged.verdict == Verdict::Failing)
            .map(|(name, judged)| v1::RolloutFailure {
                cluster: name.to_string(),
                reason: judged.reason.clone(),
                message: judged.message.clone(),
                since: judged.since.map(to_wire),
            })
            .collect(),
        undone_revision: words(undone),
        fleet_changing: Some(count(index.changing())),
        fleet_may_change: Some(count(index.max_changing())),
    })
}

fn words(revision: Option<Revision>) -> String {
    revision
        .map(|revision| revision.to_string())
        .unwrap_or_default()
}

fn wave(wave: &WaveStand, segment: &str) -> v1::Wave {
    v1::Wave {
        name: wave.name.clone(),
        clusters: Some(count(wave.clusters)),
        done: Some(count(wave.done)),
        running: Some(count(wave.running)),
        proof: Some(count(wave.proof)),
        failed: Some(count(wave.failed)),
        may_fail: Some(count(wave.may_fail)),
        away: Some(count(wave.away)),
        open: Some(wave.open),
        done_since: wave.since.map(to_wire),
        waits: wave_words(wave, segment).unwrap_or_default(),
        approval: match &wave.waits {
            Some(Waits::Approval(approval)) => approval.clone(),
            _ => String::new(),
        },
    }
}

/// Whether a Segment is held, and who has not confirmed it, or its end; `None` where it is unknown.
pub fn hold(index: &FleetIndex, key: &SegmentKey, now: Timestamp) -> Option<v1::Hold> {
    let segment = index.segments().get(key)?;
    let held = segment.ops.held(now);
    let selected: Vec<(&ClusterName, &Member)> = segment
        .members
        .iter()
        .filter(|(_, member)| member.is_selected())
        .collect();
    let mut unconfirmed: Vec<v1::UnconfirmedHold> = selected
        .iter()
        .filter_map(|(name, member)| {
            Some(v1::UnconfirmedHold {
                cluster: name.to_string(),
                reason: not_confirmed(index, segment, name, member, now)?,
            })
        })
        .collect();
    let open = unconfirmed.len();
    unconfirmed.truncate(UNCONFIRMED_MAX);
    let by = held.map(|held| &held.by);
    Some(v1::Hold {
        segment: key.to_string(),
        held: Some(held.is_some()),
        until: held.and_then(|held| held.until).map(to_wire),
        by: by.map(|by| by.who.clone()).unwrap_or_default(),
        reason: by.map(|by| by.reason.clone()).unwrap_or_default(),
        since: by.map(|by| to_wire(by.at)),
        clusters: Some(count(selected.len())),
        confirmed: Some(count(selected.len() - open)),
        unconfirmed,
        error: String::new(),
    })
}

/// Why a cluster has not confirmed what was ordered of its hold; `None` where it has.
fn not_confirmed(
    index: &FleetIndex,
    segment: &SegmentState,
    name: &ClusterName,
    member: &Member,
    now: Timestamp,
) -> Option<String> {
    let cluster = index.clusters().get(name)?;
    let held = segment
        .ops
        .held(now)
        .is_some_and(|held| held.until_on(name).is_none_or(|until| until > now));
    let wanted = member.older.as_ref().or(member.entry.as_ref());
    let taken = member
        .held
        .is_some_and(|has| wanted.is_some_and(|wanted| wanted.id() == has));
    let says_held = member
        .report
        .as_ref()
        .is_some_and(|report| report.state == State::Held);
    let by_us = member
        .report
        .as_ref()
        .is_some_and(|report| report.reason == HELD_BY_HUB);
    // Where nothing is there, nothing runs; and where on-call holds it, it is held whatever the hub says.
    let confirmed = match (member.held, held) {
        (None, _) => cluster.inventory_known,
        (Some(_), true) => taken && says_held,
        (Some(_), false) => taken && !(says_held && by_us),
    };
    if confirmed {
        return None;
    }
    let judged = judge(index, segment, cluster, member, now);
    Some(if judged.message.is_empty() {
        "ordered, not confirmed yet".to_owned()
    } else {
        format!("{}: {}", judged.reason, judged.message)
    })
}
