//! Earlier revisions: what an undo brings back, and what clusters hold until their turn comes.
//!
//! In: earlier specs, of this process or looked up. Out: [`Good`] of a revision that is not the newest.
//! Law: of an earlier spec only what renders counts; selector, strategy, modes and generation are always the newest
//! spec's; a revision that today's renderer and defaults do not give again is not rendered at all.
//! Not: whether it is sent (`desired.rs`), when (`advance.rs`).

use super::{Changed, FleetIndex, Good, SegmentState};
use crate::ids::{Revision, SegmentKey};
use crate::revision::{revision, with_inputs_of};
use crate::segment::{HouseDefaults, ParsedSegment, parse_spec};
use jiff::Timestamp;
use std::sync::Arc;

/// Earlier specs that are kept in memory for one Segment; stored are as many as `revisionHistoryLimit` says.
const KNOWN: usize = 16;

impl FleetIndex {
    /// Earlier specs of a Segment were looked up, by the revision under which they are stored.
    pub fn know(
        &mut self,
        key: &SegmentKey,
        found: Vec<(Revision, Arc<ParsedSegment>)>,
        now: Timestamp,
    ) -> Changed {
        let mut changed = Changed::default();
        let defaults = self.defaults.clone();
        let Some(segment) = self.segments.get_mut(key) else {
            return changed;
        };
        for (revision, parsed) in found.into_iter().rev().take(KNOWN) {
            segment.known.entry(revision).or_insert(parsed);
        }
        segment.forget_beyond(KNOWN);
        segment.retarget(&defaults, now);
        changed.segments.insert(key.clone());
        self.dirty.insert(key.clone());
        changed
    }
}

impl SegmentState {
    /// Makes an earlier spec of this revision; `None` where it is not known, or today gives another revision.
    pub(super) fn earlier(&mut self, wanted: Revision, defaults: &HouseDefaults) -> Option<Good> {
        if let Some(made) = self.earlier.get(&wanted) {
            return made.clone();
        }
        let made = self
            .compose(wanted, defaults)
            .filter(|good| good.revision == wanted);
        if self.known.contains_key(&wanted) {
            self.earlier.insert(wanted, made.clone());
        }
        made
    }

    /// The newest spec with what renders taken from an earlier one.
    fn compose(&self, stored: Revision, defaults: &HouseDefaults) -> Option<Good> {
        let newest = &self.good.as_ref()?.parsed;
        let earlier = self.known.get(&stored)?;
        let spec = Arc::new(with_inputs_of(&newest.spec, &earlier.spec));
        let parsed = parse_spec(newest.key.clone(), newest.uid, newest.generation, spec).ok()?;
        let revision = revision(&parsed, defaults);
        Some(Good::new(Arc::new(parsed), revision))
    }

    /// What goes out may be another now: a spec was accepted, an undo was ordered or is over, an earlier spec was found.
    pub(super) fn retarget(&mut self, defaults: &HouseDefaults, now: Timestamp) {
        let before = self.undone.as_ref().map(|good| good.revision);
        let undo = self
            .good
            .as_ref()
            .and_then(|good| self.ops.undo_of(good.revision))
            .map(|undo| undo.to);
        self.undone = undo.and_then(|to| self.compose(to, defaults));
        let strategy = self.good.as_ref().map(|good| &good.parsed.strategy);
        self.strategy = match (strategy, undo) {
            (Some(strategy), Some(_)) => Arc::new(strategy.way_back()),
            (Some(strategy), None) => Arc::clone(strategy),
            (None, _) => Arc::default(),
        };
        let target = self.revision();
        if self.undone.as_ref().map(|good| good.revision) != before {
            self.forget_entries();
        }
        if let Some(target) = target
            && self.ops.aim(target, now)
        {
            // What was recorded of the one before must not be found again, should it come back.
            self.ops_changed();
        }
    }

    /// Entries are made anew.
    pub(super) fn forget_entries(&mut self) {
        for member in self.members.values_mut() {
            member.entry = None;
            member.older = None;
        }
    }

    fn forget_beyond(&mut self, limit: usize) {
        let needed: Vec<Revision> = [
            self.ops.completed,
            self.ops.undo.as_ref().map(|undo| undo.to),
        ]
        .into_iter()
        .flatten()
        .collect();
        let held: Vec<Revision> = self
            .members
            .values()
            .filter_map(|member| member.held.map(|held| held.revision))
            .collect();
        while self.known.len() > limit {
            let spare = self
                .known
                .iter()
                .filter(|(revision, _)| !needed.contains(revision))
                .min_by_key(|(revision, parsed)| (held.contains(revision), parsed.generation))
                .map(|(revision, _)| *revision);
            let Some(spare) = spare else { return };
            self.known.remove(&spare);
            self.earlier.remove(&spare);
        }
    }

    /// The spec that was the newest until now is an earlier one.
    pub(super) fn remember(&mut self, good: &Good) {
        self.known.insert(good.revision, Arc::clone(&good.parsed));
        self.forget_beyond(KNOWN);
    }

    /// Whether earlier specs have to be looked up: a cluster holds one that is not known, or an undo names it.
    pub(super) fn lacks_earlier(&self) -> bool {
        if self.sought {
            return false;
        }
        let newest = self.good.as_ref().map(|good| good.revision);
        let unknown =
            |revision: &Revision| Some(*revision) != newest && !self.known.contains_key(revision);
        let undo = newest
            .and_then(|newest| self.ops.undo_of(newest))
            .map(|undo| undo.to);
        undo.iter().chain(&self.ops.completed).any(unknown)
            || self.members.values().any(|member| {
                member
                    .held
                    .is_some_and(|held| held.uid == self.uid && unknown(&held.revision))
            })
    }
}
