//! What a hub's API server keeps of rollouts, for tests: written at once, read after a crash.

use crate::ids::{Revision, SegmentKey, Uid};
use crate::index::{Changed, FleetIndex};
use crate::rollout::Operations;
use crate::segment::ParsedSegment;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Records of operations, and revisions.
#[derive(Debug, Default)]
pub struct StoredRollouts {
    /// Records, by Segment.
    pub operations: BTreeMap<SegmentKey, Operations>,
    /// Specs that were once accepted.
    pub revisions: BTreeMap<(SegmentKey, Uid), BTreeMap<Revision, Arc<ParsedSegment>>>,
}

impl StoredRollouts {
    /// Does what a step asks for, until it asks for nothing more; gives all that changed.
    pub fn carry_out(
        &mut self,
        index: &mut FleetIndex,
        changed: Changed,
        now: Timestamp,
    ) -> Changed {
        let mut all = Changed::default();
        let mut next = changed;
        loop {
            let (operations, sought) = (next.operations.clone(), next.sought.clone());
            all.extend(next);
            for (key, segment) in index.segments() {
                if let Some(good) = &segment.good {
                    self.revisions
                        .entry((key.clone(), segment.uid))
                        .or_default()
                        .insert(good.revision, Arc::clone(&good.parsed));
                }
            }
            if operations.is_empty() && sought.is_empty() {
                return all;
            }
            next = Changed::default();
            for key in operations {
                match index.operations(&key).map(|(ops, v)| (ops.clone(), v)) {
                    Some((ops, version)) => {
                        self.operations.insert(key.clone(), ops);
                        next.extend(index.operations_stored(&key, version));
                    }
                    None => {
                        self.operations.remove(&key);
                    }
                }
            }
            for key in sought {
                let uid = index.segments().get(&key).map(|segment| segment.uid);
                let found = uid
                    .and_then(|uid| self.revisions.get(&(key.clone(), uid)))
                    .into_iter()
                    .flatten()
                    .map(|(revision, parsed)| (*revision, Arc::clone(parsed)))
                    .collect();
                next.extend(index.know(&key, found, now));
            }
            next.extend(index.settle(now));
        }
    }

    /// After a crash: what a new hub reads before it reads the Segments.
    pub fn restore(&self, index: &mut FleetIndex) {
        for operations in self.operations.values() {
            index.restore_operations(operations.clone());
        }
    }
}
