//! One Segment, as the hub sees it.

use super::member::Member;
use crate::assignment::{Modes, Removal, Rendered};
use crate::finding::Finding;
use crate::ids::{ClusterName, Revision, SegmentKey, Uid};
use crate::render::RenderKey;
use crate::rollout::Progress;
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
    /// How the rollout stands.
    pub progress: Progress,
    /// When the rollout has to be looked at again, if nothing happens before.
    pub look_again: Option<Timestamp>,
    /// Version of the index at which this changed.
    pub version: u64,
    /// Encode once: clusters that must get the same bytes share them.
    pub(super) rendered: HashMap<RenderKey, Result<Rendered, Vec<Finding>>>,
}

impl SegmentState {
    /// True where the newest spec was refused.
    pub fn is_refused(&self) -> bool {
        self.findings.iter().any(Finding::is_error)
    }

    /// Revision of the last good spec.
    pub fn revision(&self) -> Option<Revision> {
        self.good.as_ref().map(|good| good.revision)
    }
}
