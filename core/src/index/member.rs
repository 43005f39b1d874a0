//! One Segment on one cluster, as the hub sees it.

use crate::assignment::{Entry, EntryId};
use crate::finding::Finding;
use crate::ids::{Digest, Revision};
use crate::placement::Placement;
use crate::report::{Report, State};
use jiff::Timestamp;
use std::sync::Arc;

/// A revision that the rollout let go to a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Released {
    /// Which.
    pub revision: Revision,
    /// When; for an entry found in an inventory, when it was found.
    pub at: Timestamp,
}

/// A placement that shrank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// Since when.
    pub since: Timestamp,
    /// Live reads of Segment and Cluster agree: the removal may be ordered.
    pub verified: bool,
}

/// One Segment on one cluster.
#[derive(Clone, Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, learned at another moment"
)]
pub struct Member {
    /// In, out, or not decided, with the reason.
    pub placement: Placement,
    /// What the rollout let go.
    pub released: Option<Released>,
    /// What it was let go last, whatever has become wanted since: the order may be on its way.
    pub(super) sent: Option<Released>,
    /// An order to put it was given since the cluster last said what it holds: it may be on its way, or taken.
    pub ordered: bool,
    /// What the cluster shall hold, once the newest revision is released to it.
    pub entry: Option<Arc<Entry>>,
    /// The id of that entry when it was last made; it outlives `entry`, which is made anew whenever it may have changed.
    pub expected: Option<EntryId>,
    /// Digest of the bytes of that entry: what of `expected` is a change of the CronJob.
    pub expected_bytes: Option<Digest>,
    /// The revision that it holds and keeps until its turn comes, made anew: with today's holds, modes and labels. For a
    /// cluster that joined, the last one that was complete.
    pub older: Option<Arc<Entry>>,
    /// It held nothing when it came: the older revision was ordered.
    pub joined: bool,
    /// It counts as in change, for the fleet-wide cap.
    pub in_change: bool,
    /// Its proof run failed: the words.
    pub proof_failed: Option<String>,
    /// The run that its gate waits for failed: the words.
    pub gate_failed: Option<String>,
    /// What the cluster holds, by its own word.
    pub held: Option<EntryId>,
    /// What it last said about it.
    pub report: Option<Report>,
    /// It has said something since it was let go: a report from before it held another revision proves nothing.
    pub(super) answered: bool,
    /// Why it can't be rendered for this cluster.
    pub findings: Vec<Finding>,
    /// The order was not accepted: reason and message.
    pub refused: Option<(String, String)>,
    /// Set while the cluster is to lose it.
    pub leaving: Option<Leaving>,
    /// It failed the revision before this one.
    pub failed_before: bool,
    /// Version of the index at which this changed.
    pub version: u64,
}

impl Member {
    pub(super) fn new(placement: Placement) -> Self {
        Self {
            placement,
            released: None,
            sent: None,
            ordered: false,
            entry: None,
            expected: None,
            expected_bytes: None,
            older: None,
            joined: false,
            in_change: false,
            proof_failed: None,
            gate_failed: None,
            held: None,
            report: None,
            answered: false,
            findings: Vec::new(),
            refused: None,
            leaving: None,
            failed_before: false,
            version: 0,
        }
    }

    /// True where selector and taints choose this cluster.
    pub fn is_selected(&self) -> bool {
        matches!(self.placement, Placement::In)
    }

    /// True where the cluster has said that its CronJob is what the hub expects of `entry`.
    pub fn confirmed(&self) -> bool {
        let (Some(entry), Some(report)) = (&self.entry, &self.report) else {
            return false;
        };
        self.answered
            && report.uid == entry.assignment.uid
            && report.revision == entry.assignment.revision
            && report.digest == entry.assignment.rendered.digest()
            && matches!(report.state, State::Applied | State::Held)
    }

    /// True where it holds the revision of `entry`, whatever its holds and modes.
    pub fn holds_revision(&self) -> bool {
        match (&self.entry, &self.held) {
            (Some(entry), Some(held)) => {
                held.uid == entry.assignment.uid && held.revision == entry.assignment.revision
            }
            _ => false,
        }
    }

    /// True where the cluster has said that it can't do what `entry` says.
    pub fn failed(&self) -> bool {
        self.refused.is_some()
            || self.answered
                && self.entry.as_ref().is_some_and(|entry| {
                    self.report.as_ref().is_some_and(|report| {
                        report.revision == entry.assignment.revision
                            && report.uid == entry.assignment.uid
                            && report.state.is_failing()
                    })
                })
    }

    /// True where the report speaks of what the cluster holds.
    pub fn report_is_current(&self) -> bool {
        match (&self.held, &self.report) {
            (Some(held), Some(report)) => {
                held.uid == report.uid && held.revision == report.revision
            }
            _ => false,
        }
    }
}
