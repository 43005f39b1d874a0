//! What users do to rollouts and schedules, and what must last of it.
//!
//! In: [`Command`]s, records as they are stored. Out: [`Changed::operations`]: records to be stored; [`News`].
//! Law: a record is of one uid, but a hold outlives its Segment: a re-created one inherits it; only `release` (or its own
//! end) ends a hold. Not: who may (the users' API), where they are kept (hub).

use super::{Changed, FleetIndex};
use crate::ids::{Revision, SegmentKey, Uid};
use crate::rollout::{By, Command, NotNow, Operations, Waits};
use crate::segment::ParsedSegment;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Something that users should hear of: an Event on the Segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Which Segment.
    pub key: SegmentKey,
    /// Its uid.
    pub uid: Uid,
    /// One word: `RolloutStarted`, `WaveDone`, `RolloutHalted`, `RolledBack`, `RolloutCompleted`, `Held`, `Released`.
    pub reason: &'static str,
    /// What it is about: the wave, the revision, the command. Events of one reason about one thing are one.
    pub about: String,
    /// In words.
    pub message: String,
    /// Whether somebody has to look.
    pub warning: bool,
}

impl FleetIndex {
    /// A record as it is stored: read at the start, before the Segments are.
    pub fn restore_operations(&mut self, operations: Operations) {
        self.stored_ops.insert(operations.key.clone(), operations);
    }

    /// The record of a Segment, whether or not there is one (any more).
    pub fn operations(&self, key: &SegmentKey) -> Option<(&Operations, u64)> {
        match self.segments.get(key) {
            Some(segment) => Some((&segment.ops, segment.ops_version)),
            None => self.stored_ops.get(key).map(|ops| (ops, 0)),
        }
    }

    /// This version of a Segment's record is stored.
    pub fn operations_stored(&mut self, key: &SegmentKey, version: u64) -> Changed {
        let mut changed = Changed::default();
        let index_version = self.bump();
        if let Some(segment) = self.segments.get_mut(key) {
            segment.ops_stored = segment.ops_stored.max(version);
            segment.version = index_version;
            changed.segments.insert(key.clone());
            self.dirty.insert(key.clone());
        }
        changed
    }

    /// The record that a Segment of this uid begins with.
    pub(super) fn take_operations(&mut self, key: &SegmentKey, uid: Uid) -> Operations {
        let mut ops = self
            .stored_ops
            .remove(key)
            .unwrap_or_else(|| Operations::new(key.clone(), uid));
        ops.inherit(uid);
        ops
    }

    /// A Segment is gone: its hold is kept for a namesake.
    pub(super) fn leave_operations(&mut self, mut ops: Operations, changed: &mut Changed) {
        let key = ops.key.clone();
        let had = !ops.is_empty();
        ops.inherit(Uid::default());
        if ops.hold.is_some() {
            self.stored_ops.insert(key.clone(), ops);
        }
        if had {
            changed.operations.insert(key);
        }
    }

    /// Approvals that a Segment's rollout waits for.
    fn approvals(&self, key: &SegmentKey) -> BTreeSet<String> {
        self.segments
            .get(key)
            .into_iter()
            .flat_map(|segment| &segment.waves)
            .filter_map(|wave| match &wave.waits {
                Some(Waits::Approval(approval)) => Some(approval.clone()),
                _ => None,
            })
            .collect()
    }

    /// What a user's command would make of the record; nothing is changed. `found` is the stored spec of the revision
    /// that an undo names.
    ///
    /// # Errors
    /// When it makes no sense now.
    pub fn judge_command(
        &self,
        key: &SegmentKey,
        command: &Command,
        by: By,
        found: Option<Revision>,
    ) -> Result<Operations, NotNow> {
        let segment = self
            .segments
            .get(key)
            .filter(|segment| !segment.deleting)
            .ok_or_else(|| {
                NotNow::NoTarget(format!("segment {key} is not there, or being deleted"))
            })?;
        let newest = segment
            .good
            .as_ref()
            .map(|good| good.revision)
            .ok_or_else(|| NotNow::NoTarget("the Segment has no accepted spec".to_owned()))?;
        let mut ops = segment.ops.clone();
        let Command::Undo(to) = command else {
            ops.command(command, by, &self.approvals(key), segment.has_completed())?;
            return Ok(ops);
        };
        let target = segment.revision();
        let to = to
            .or(segment.ops.completed)
            .filter(|to| Some(*to) != target)
            .ok_or_else(|| {
                NotNow::NoRevision(
                    "there is no earlier revision to go back to (rollout history lists them)"
                        .to_owned(),
                )
            })?;
        if to != newest && found != Some(to) && !segment.known.contains_key(&to) {
            return Err(NotNow::NoRevision(format!(
                "revision {} is not stored any more (rollout history lists those that are)",
                to.short()
            )));
        }
        ops.go_back(newest, to, by, String::new());
        Ok(ops)
    }

    /// Carries out what a user said.
    ///
    /// # Errors
    /// When it makes no sense now; nothing is changed then.
    pub fn command(
        &mut self,
        key: &SegmentKey,
        command: &Command,
        by: By,
        found: Option<(Revision, Arc<ParsedSegment>)>,
        now: Timestamp,
    ) -> Result<Changed, NotNow> {
        let mut changed = Changed::default();
        let words = by.words();
        let revision = found.as_ref().map(|(revision, _)| *revision);
        let ops = self.judge_command(key, command, by, revision)?;
        let defaults = self.defaults.clone();
        let version = self.bump();
        let Some(segment) = self.segments.get_mut(key) else {
            return Ok(changed);
        };
        segment.ops = ops;
        segment.ops_changed();
        if let Some((revision, parsed)) = found {
            segment.known.insert(revision, parsed);
            segment.earlier.clear();
        }
        segment.retarget(&defaults, now);
        segment.forget_entries();
        segment.version = version;
        let (reason, warning) = match command {
            Command::Hold(_) => ("Held", true),
            Command::Release { .. } => ("Released", false),
            Command::Undo(_) => ("RolloutUndone", true),
            Command::Abort => ("RolloutAborted", true),
            Command::Pause => ("RolloutPaused", false),
            Command::Resume => ("RolloutResumed", false),
            Command::Approve(_) => ("RolloutApproved", false),
            Command::Retry => ("RolloutRetried", false),
        };
        changed.news.push(News {
            key: key.clone(),
            uid: segment.uid,
            reason,
            about: command.as_str().to_owned(),
            message: format!("{} {words}", command.as_str()).trim().to_owned(),
            warning,
        });
        changed.segments.insert(key.clone());
        self.dirty.insert(key.clone());
        Ok(changed)
    }
}
