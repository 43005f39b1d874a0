//! Fences: which orders an agent may obey, and when a hub's memory is behind what a cluster has seen.
//!
//! In: the fence and watermark of one side, what the other side says. Out: a verdict.
//! Law: an agent never obeys a lower (era, shard map, term) than the highest it has seen, nor an equal one of another
//! instance; a hub that is behind a cluster's watermark orders nothing there.
//! Not: (generation, order number) per Segment, which `sync/agent.rs` compares within an era.

use crate::ids::InstanceId;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

/// The fence of a leader: compared as (era, shard map, term); the instance tells two of an equal term apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fence {
    /// Raised only by a human who accepts a restore; Unix seconds or stored + 1.
    pub era: u64,
    /// Version of the map of shards; 0 while there is one shard.
    pub shard_map: u64,
    /// Raised by every new leader in the write that takes the Lease: max(stored + 1, Unix seconds).
    pub term: u64,
    /// Random id of the leader's process.
    pub instance: InstanceId,
}

impl Fence {
    fn order(self) -> (u64, u64, u64) {
        (self.era, self.shard_map, self.term)
    }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "era {}, shard map {}, term {}",
            self.era, self.shard_map, self.term
        )
    }
}

/// How far a hub's memory reached when it gave an order: the last n whose write to the Lease succeeded in that term.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Watermark {
    /// Of which term.
    pub term: u64,
    /// Counts renewals of the Lease in that term.
    pub n: u64,
}

/// What an agent makes of a hub's fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FenceVerdict {
    /// The one it obeys already.
    Same,
    /// A higher one: to be stored before anything is done on its word.
    Higher {
        /// The era was raised: within-era comparisons (generation, watermark) end.
        new_era: bool,
    },
    /// An old leader or an older copy of the hub: orders nothing.
    Lower,
    /// An equal term of another process: two hubs were restored from one copy.
    OtherInstance,
}

/// Judges the fence that a hub shows against the highest this agent has seen (`None`: it has seen none).
pub fn judge_fence(seen: Option<Fence>, shown: Fence) -> FenceVerdict {
    let Some(seen) = seen else {
        return FenceVerdict::Higher { new_era: false };
    };
    match shown.order().cmp(&seen.order()) {
        Ordering::Less => FenceVerdict::Lower,
        Ordering::Greater => FenceVerdict::Higher {
            new_era: shown.era > seen.era,
        },
        Ordering::Equal if shown.instance == seen.instance => FenceVerdict::Same,
        Ordering::Equal => FenceVerdict::OtherInstance,
    }
}

/// What a hub's process remembers: its own fence, its last n, and the last n of the terms before it in this era.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HubMemory {
    /// Of this leader.
    pub fence: Fence,
    /// Last n whose write succeeded in this term.
    pub n: u64,
    /// Last n of earlier terms, from the identity Secret (compacted past 400 days).
    pub old_terms: BTreeMap<u64, u64>,
}

/// Why a hub may order nothing at one cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WentBack {
    /// The cluster has obeyed a later era.
    #[error("the cluster has seen era {seen}, this hub is at era {ours}")]
    LaterEra {
        /// What the cluster has seen.
        seen: u64,
        /// Ours.
        ours: u64,
    },
    /// The cluster has obeyed a later term than ours.
    #[error("the cluster has seen term {seen}, this hub is at term {ours}")]
    LaterTerm {
        /// What the cluster has seen.
        seen: u64,
        /// Ours.
        ours: u64,
    },
    /// The cluster has obeyed a term that this hub has no record of.
    #[error("the cluster has seen term {term}, of which this hub has no record")]
    UnknownTerm {
        /// The cluster's.
        term: u64,
    },
    /// Our record of that term ends before what the cluster has seen.
    #[error(
        "the cluster has seen term {term} up to {seen}, this hub's record of it ends at {ours}"
    )]
    Behind {
        /// The cluster's.
        term: u64,
        /// How far the cluster has seen it.
        seen: u64,
        /// How far we remember it.
        ours: u64,
    },
}

impl HubMemory {
    /// Judges whether this hub remembers all that the cluster has obeyed (rule 5). Compared only within one era.
    ///
    /// # Errors
    /// When it does not: then it may order nothing there.
    pub fn remembers(
        &self,
        seen: Option<Fence>,
        watermark: Option<Watermark>,
    ) -> Result<(), WentBack> {
        let Some(seen) = seen else { return Ok(()) };
        if seen.era > self.fence.era {
            return Err(WentBack::LaterEra {
                seen: seen.era,
                ours: self.fence.era,
            });
        }
        if seen.era < self.fence.era {
            return Ok(());
        }
        if seen.term > self.fence.term {
            return Err(WentBack::LaterTerm {
                seen: seen.term,
                ours: self.fence.term,
            });
        }
        let Some(watermark) = watermark else {
            return Ok(());
        };
        let term = watermark.term;
        let ours = match term.cmp(&self.fence.term) {
            Ordering::Equal => self.n,
            Ordering::Greater => {
                return Err(WentBack::LaterTerm {
                    seen: term,
                    ours: self.fence.term,
                });
            }
            Ordering::Less => *self
                .old_terms
                .get(&term)
                .ok_or(WentBack::UnknownTerm { term })?,
        };
        if ours < watermark.n {
            return Err(WentBack::Behind {
                term: watermark.term,
                seen: watermark.n,
                ours,
            });
        }
        Ok(())
    }

    /// The watermark to stamp on orders.
    pub fn watermark(&self) -> Watermark {
        Watermark {
            term: self.fence.term,
            n: self.n,
        }
    }
}

/// The next term or era: max(stored + 1, Unix seconds), so that a hub that lost its Lease object still has a higher one.
pub fn raised(stored: Option<u64>, now: jiff::Timestamp) -> u64 {
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    stored.map_or(seconds, |s| seconds.max(s.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fence(era: u64, term: u64, instance: u8) -> Fence {
        Fence {
            era,
            shard_map: 0,
            term,
            instance: InstanceId([instance; 16]),
        }
    }

    #[test]
    fn an_agent_obeys_the_highest_fence_only() {
        let seen = fence(5, 100, 1);
        for (shown, expected, why) in [
            (fence(5, 100, 1), FenceVerdict::Same, "the same leader"),
            (
                fence(5, 101, 2),
                FenceVerdict::Higher { new_era: false },
                "a new leader",
            ),
            (
                fence(6, 1, 2),
                FenceVerdict::Higher { new_era: true },
                "an accepted restore, whatever its term",
            ),
            (
                fence(5, 99, 3),
                FenceVerdict::Lower,
                "an old leader that woke",
            ),
            (fence(4, 900, 3), FenceVerdict::Lower, "an older era"),
            (
                fence(5, 100, 2),
                FenceVerdict::OtherInstance,
                "two hubs restored from one copy",
            ),
        ] {
            assert_eq!(judge_fence(Some(seen), shown), expected, "{why}");
        }
        assert_eq!(
            judge_fence(None, seen),
            FenceVerdict::Higher { new_era: false }
        );
    }

    #[test]
    fn a_hub_that_is_behind_a_cluster_orders_nothing_there() {
        let memory = HubMemory {
            fence: fence(5, 100, 1),
            n: 7,
            old_terms: [(90, 40), (95, 2)].into(),
        };
        let at = |era, term, mark: (u64, u64)| {
            memory
                .remembers(
                    Some(fence(era, term, 9)),
                    Some(Watermark {
                        term: mark.0,
                        n: mark.1,
                    }),
                )
                .is_ok()
        };
        assert!(memory.remembers(None, None).is_ok(), "a new agent");
        assert!(at(5, 100, (100, 7)), "up to date");
        assert!(!at(5, 100, (100, 8)), "has seen more of this very term");
        assert!(at(5, 95, (95, 2)), "all of an older term is on record");
        assert!(
            !at(5, 95, (95, 3)),
            "the record of that term ends too early"
        );
        assert!(!at(5, 92, (92, 1)), "a term without a record");
        assert!(!at(5, 101, (100, 7)), "a later term");
        assert!(!at(6, 1, (1, 1)), "a later era");
        assert!(
            at(4, 900, (900, 900)),
            "an accepted restore ends the comparison"
        );
    }

    #[test]
    fn a_term_never_falls_even_when_the_lease_was_lost() {
        let now = jiff::Timestamp::from_second(1_000).unwrap();
        assert_eq!(raised(None, now), 1_000);
        assert_eq!(raised(Some(10), now), 1_000);
        assert_eq!(raised(Some(1_000), now), 1_001);
        assert_eq!(raised(Some(2_000), now), 2_001);
    }
}
