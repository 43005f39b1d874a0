//! Leading: the Lease, the term that is raised with it, and the watermark that rises with each renewal.
//!
//! In: the Lease `segment-hub`. Out: [`HubMemory`], as it rises; the process ends when the Lease is lost.
//! Law: the term is raised in the very write that takes the Lease; n counts only writes that succeeded.
//! Not: what a leader does.

use jiff::Timestamp;
use segment_core::fence::{Fence, HubMemory, Watermark, raised};
use segment_core::ids::InstanceId;
use segment_core::names::{ANNOTATION_INSTANCE, ANNOTATION_N, ANNOTATION_TERM};
use segment_runtime::lease::{Annotations, LeaseState, Transition};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Annotation: how far the terms before this one came, `term:n term:n`. It bridges a leader that took the Lease and died
/// before it could record its predecessor.
const ANNOTATION_PREVIOUS: &str = "segment.grnry.io/previous";
/// Terms kept in that annotation: more leaders than that do not die in a row unseen.
const PREVIOUS_KEPT: usize = 16;

/// What is written with the Lease.
#[derive(Clone, Debug)]
pub struct Term {
    instance: InstanceId,
    /// Terms before ours, as the write that took the Lease found them.
    previous: Arc<Mutex<Vec<Watermark>>>,
}

impl Term {
    /// For a process with this random id.
    pub fn new(instance: InstanceId) -> Self {
        Self {
            instance,
            previous: Arc::default(),
        }
    }

    /// How far earlier terms came: to be recorded in the hub's identity.
    pub fn previous(&self) -> Vec<Watermark> {
        self.previous
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The annotations of one write.
    pub fn annotations(
        &self,
        old: &Annotations,
        transition: Transition,
        now: Timestamp,
    ) -> Annotations {
        let number = |key: &str| old.get(key).and_then(|text| text.parse::<u64>().ok());
        let mut new = BTreeMap::new();
        match transition {
            Transition::Acquire => {
                let stored = number(ANNOTATION_TERM);
                let mut previous =
                    parse_previous(old.get(ANNOTATION_PREVIOUS).map_or("", String::as_str));
                if let (Some(term), Some(n)) = (stored, number(ANNOTATION_N)) {
                    previous.push(Watermark { term, n });
                }
                let kept = previous.split_off(previous.len().saturating_sub(PREVIOUS_KEPT));
                new.insert(ANNOTATION_PREVIOUS.to_owned(), write_previous(&kept));
                new.insert(ANNOTATION_TERM.to_owned(), raised(stored, now).to_string());
                new.insert(ANNOTATION_N.to_owned(), "0".to_owned());
                new.insert(ANNOTATION_INSTANCE.to_owned(), self.instance.to_string());
                *self.previous.lock().unwrap_or_else(PoisonError::into_inner) = kept;
            }
            Transition::Renew => {
                let n = number(ANNOTATION_N).unwrap_or(0).saturating_add(1);
                new.insert(ANNOTATION_N.to_owned(), n.to_string());
            }
        }
        new
    }

    /// Our fence, once the Lease is held.
    pub fn fence(&self, era: u64, held: &Annotations) -> Option<Fence> {
        Some(Fence {
            era,
            shard_map: 0,
            term: held.get(ANNOTATION_TERM)?.parse().ok()?,
            instance: self.instance,
        })
    }
}

fn parse_previous(text: &str) -> Vec<Watermark> {
    text.split_whitespace()
        .filter_map(|pair| {
            let (term, n) = pair.split_once(':')?;
            Some(Watermark {
                term: term.parse().ok()?,
                n: n.parse().ok()?,
            })
        })
        .collect()
}

fn write_previous(terms: &[Watermark]) -> String {
    terms
        .iter()
        .map(|mark| format!("{}:{}", mark.term, mark.n))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Follows renewals: n of the memory is that of the last write that succeeded. Ends when the Lease is lost.
pub async fn follow(mut lease: watch::Receiver<LeaseState>, memory: &watch::Sender<HubMemory>) {
    loop {
        let n = match &*lease.borrow_and_update() {
            LeaseState::Held { annotations, .. } => annotations
                .get(ANNOTATION_N)
                .and_then(|n| n.parse::<u64>().ok())
                .unwrap_or(0),
            LeaseState::Standby { .. } => 0,
            LeaseState::Lost { .. } => return,
        };
        memory.send_if_modified(|memory| {
            let risen = n > memory.n;
            memory.n = memory.n.max(n);
            risen
        });
        if lease.changed().await.is_err() {
            return;
        }
    }
}

/// Whether the Lease is ours at this very moment, by the monotonic clock: asked before each frame of orders.
pub fn leads(lease: &watch::Receiver<LeaseState>) -> bool {
    lease.borrow().is_held_at(tokio::time::Instant::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_take_over_raises_the_term_and_remembers_how_far_the_old_one_came() {
        let first = Term::new(InstanceId([1; 16]));
        let mut stored = first.annotations(&Annotations::new(), Transition::Acquire, at(100));
        assert_eq!(first.fence(5, &stored).unwrap().term, 100);
        for _ in 0..3 {
            stored.extend(first.annotations(&stored, Transition::Renew, at(101)));
        }
        assert_eq!(stored[ANNOTATION_N], "3");

        let second = Term::new(InstanceId([2; 16]));
        // Within the same second, and even with a clock that went back, the term rises.
        stored.extend(second.annotations(&stored.clone(), Transition::Acquire, at(90)));
        assert_eq!(second.fence(5, &stored).unwrap().term, 101);
        assert_eq!(stored[ANNOTATION_N], "0");
        assert_eq!(second.previous(), [Watermark { term: 100, n: 3 }]);

        let third = Term::new(InstanceId([3; 16]));
        stored.extend(third.annotations(&stored.clone(), Transition::Acquire, at(300)));
        let expected = [Watermark { term: 100, n: 3 }, Watermark { term: 101, n: 0 }];
        assert_eq!(
            third.previous(),
            expected,
            "a leader that died at once loses nothing"
        );
    }
}
