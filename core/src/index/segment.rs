//! One Segment, as the hub sees it.

use super::member::Member;
use crate::assignment::{Modes, Removal, Rendered};
use crate::finding::Finding;
use crate::ids::{ClusterName, Revision, SegmentKey, Uid};
use crate::render::RenderKey;
use crate::rollout::{Operations, Progress, Strategy, WaveStand};
use crate::segment::ParsedSegment;
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The last good spec of a Segment: it stands whole, selector included, while a newer one is refused.
#[derive(Clone, Debug)]
pub struct Good {
    /// What it means.
    pub parsed: Arc<ParsedSegment>,
    /// Its revision.
    pub revision: Revision,
    /// How it leaves a cluster.
    pub removal: Removal,
    /// Agent modes.
    pub modes: Modes,
}

impl Good {
    pub(super) fn new(parsed: Arc<ParsedSegment>, revision: Revision) -> Self {
        Self {
            removal: parsed.removal(),
            modes: parsed.modes(),
            parsed,
            revision,
        }
    }
}

/// One Segment.
#[derive(Debug)]
pub struct SegmentState {
    /// Which.
    pub key: SegmentKey,
    /// Its uid.
    pub uid: Uid,
    /// Its `metadata.generation`.
    pub generation: i64,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Its labels, for selectors of the users' API.
    pub labels: BTreeMap<String, String>,
    /// It is being deleted: what it owes is being written down.
    pub deleting: bool,
    /// It has our finalizer. Without it a deletion would leave nothing to write a tombstone from, so nothing new goes
    /// out before.
    pub finalizer: bool,
    /// What is wrong with the newest spec; empty where it was accepted.
    pub findings: Vec<Finding>,
    /// The last good spec.
    pub good: Option<Good>,
    /// One for each cluster that is selected, or holds it and is to lose it.
    pub members: BTreeMap<ClusterName, Member>,
    /// What must last of its rollout and holds.
    pub ops: Operations,
    /// Counts changes of `ops`.
    pub ops_version: u64,
    /// The version of `ops` that is stored. Until it is the newest, nothing is loosened upon it.
    pub ops_stored: u64,
    /// The version of `ops` that was handed out to be stored.
    pub(super) ops_sent: u64,
    /// Earlier specs by their revision: what an undo, a cluster that joins and one that waits are rendered from. Those of
    /// this process, and those that were looked up.
    pub known: BTreeMap<Revision, Arc<ParsedSegment>>,
    /// Earlier specs were asked for since the newest was accepted.
    pub(super) sought: bool,
    /// What goes out instead of the newest spec.
    pub(super) undone: Option<Good>,
    /// Made of `known` under the newest spec's selector, modes and generation.
    pub(super) earlier: BTreeMap<Revision, Option<Good>>,
    /// How revisions go out.
    pub strategy: Arc<Strategy>,
    /// How the rollout stands.
    pub progress: Progress,
    /// How each of its waves stands.
    pub waves: Vec<WaveStand>,
    /// When the hold ends that is in the entries.
    pub(super) hold_ends: Option<Timestamp>,
    /// When the rollout has to be looked at again, if nothing happens before.
    pub look_again: Option<Timestamp>,
    /// Version of the index at which this changed.
    pub version: u64,
    /// Encode once: clusters that must get the same bytes share them.
    pub(super) rendered: HashMap<(Revision, RenderKey), Result<Rendered, Vec<Finding>>>,
}

impl SegmentState {
    /// True where the newest spec was refused.
    pub fn is_refused(&self) -> bool {
        self.findings.iter().any(Finding::is_error)
    }

    /// What goes out: the last good spec, or what an undo puts in its place. `None` where that is not known (yet).
    pub fn target(&self) -> Option<&Good> {
        let good = self.good.as_ref()?;
        match self.ops.undo_of(good.revision) {
            Some(_) => self.undone.as_ref(),
            None => Some(good),
        }
    }

    /// Revision of what goes out.
    pub fn revision(&self) -> Option<Revision> {
        self.target().map(|good| good.revision)
    }

    /// The revision that goes out has once been complete.
    pub fn has_completed(&self) -> bool {
        self.ops.completed.is_some() && self.ops.completed == self.revision()
    }

    /// All that was decided is stored.
    pub fn is_stored(&self) -> bool {
        self.ops_stored == self.ops_version
    }

    pub(super) fn ops_changed(&mut self) {
        self.ops_version += 1;
    }
}
