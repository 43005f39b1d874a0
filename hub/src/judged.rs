//! Verdicts that are kept: a Segment is linted once for what its user writes, not for each write of its status.
//!
//! In: Segments as the watch brings them. Out: what lint says of them. Law: the same answer as lint's, at most a day
//! old; asked again for what has another uid, generation or spec (a backup that was restored may have an old
//! generation with another spec). Not: which event is older than what is known (`segment_core::index`).

use jiff::{SignedDuration, Timestamp};
use segment_core::finding::Finding;
use segment_core::ids::{SegmentKey, Uid};
use segment_core::lint::lint;
use segment_core::segment::{HouseDefaults, ParsedSegment};
use segment_crds::{Segment, SegmentSpec};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Warnings about changes of clocks name dates, so a verdict does not stand for ever.
const STANDS: SignedDuration = SignedDuration::from_hours(24);

/// What lint says: what a Segment means, or why it is refused.
pub type Parsed = Result<Arc<ParsedSegment>, Vec<Finding>>;

/// The last verdict on each Segment.
#[derive(Debug)]
pub struct Judged {
    defaults: HouseDefaults,
    known: HashMap<SegmentKey, Entry>,
}

#[derive(Debug)]
struct Entry {
    uid: Uid,
    generation: Option<i64>,
    spec: Arc<SegmentSpec>,
    at: Timestamp,
    parsed: Parsed,
}

impl Judged {
    /// None yet. Verdicts are given under these defaults.
    pub fn new(defaults: HouseDefaults) -> Self {
        Self {
            defaults,
            known: HashMap::new(),
        }
    }

    /// What lint says of a Segment, now or the last time that it was the same.
    ///
    /// # Errors
    /// The findings of one that is refused.
    pub fn judge(
        &mut self,
        key: &SegmentKey,
        uid: Uid,
        segment: &Segment,
        now: Timestamp,
    ) -> Parsed {
        let generation = segment.metadata.generation;
        if let Some(entry) = self.known.get(key)
            && entry.uid == uid
            && entry.generation == generation
            && *entry.spec == segment.spec
            && now.duration_since(entry.at).abs() < STANDS
        {
            return entry.parsed.clone();
        }
        let verdict = lint(segment, &self.defaults, now);
        let spec = verdict.parsed.as_ref().map_or_else(
            || Arc::new(segment.spec.clone()),
            |parsed| parsed.spec.clone(),
        );
        let parsed = verdict.parsed.ok_or(verdict.findings);
        let entry = Entry {
            uid,
            generation,
            spec,
            at: now,
            parsed: parsed.clone(),
        };
        self.known.insert(key.clone(), entry);
        parsed
    }

    /// Forgets one that is gone.
    pub fn forget(&mut self, key: &SegmentKey) {
        self.known.remove(key);
    }

    /// Forgets all but those that a whole list has.
    pub fn keep<'a>(&mut self, listed: impl Iterator<Item = &'a SegmentKey>) {
        let listed: HashSet<&SegmentKey> = listed.collect();
        self.known.retain(|key, _| listed.contains(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use segment_core::testing;

    fn now() -> Timestamp {
        "2026-11-25T12:00:00Z".parse().unwrap()
    }

    fn judge(judged: &mut Judged, segment: &Segment, now: Timestamp) -> Arc<ParsedSegment> {
        let key = SegmentKey::new("granary", "demo").unwrap();
        let uid = segment.metadata.uid.as_deref().unwrap().parse().unwrap();
        judged.judge(&key, uid, segment, now).unwrap()
    }

    #[test]
    fn what_is_the_same_is_judged_once() {
        let mut judged = Judged::new(HouseDefaults::default());
        let segment = testing::segment("granary/demo");
        let first = judge(&mut judged, &segment, now());
        let mut written = segment.clone();
        written.metadata.resource_version = Some("2".to_owned());
        written.metadata.labels = Some([("team".to_owned(), "crm".to_owned())].into());
        assert!(Arc::ptr_eq(&first, &judge(&mut judged, &written, now())));
    }

    #[test]
    fn what_may_be_other_is_judged_again() {
        type Change = fn(&mut Segment);
        let changes: [Change; 3] = [
            |s| s.metadata.generation = Some(2),
            |s| s.metadata.uid = testing::segment("granary/other").metadata.uid,
            |s| s.spec.cronjob.suspend = Some(true),
        ];
        for change in changes {
            let mut judged = Judged::new(HouseDefaults::default());
            let mut segment = testing::segment("granary/demo");
            let first = judge(&mut judged, &segment, now());
            change(&mut segment);
            let second = judge(&mut judged, &segment, now());
            assert!(!Arc::ptr_eq(&first, &second));
            assert_eq!(second.spec.cronjob, segment.spec.cronjob);
        }
        let mut judged = Judged::new(HouseDefaults::default());
        let segment = testing::segment("granary/demo");
        let first = judge(&mut judged, &segment, now());
        assert!(!Arc::ptr_eq(
            &first,
            &judge(&mut judged, &segment, now() + STANDS)
        ));
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let mut judged = Judged::new(HouseDefaults::default());
        judge(&mut judged, &testing::segment("granary/demo"), now());
        judged.keep([SegmentKey::new("granary", "demo").unwrap()].iter());
        assert_eq!(judged.known.len(), 1);
        judged.keep(std::iter::empty());
        assert!(judged.known.is_empty());
        judge(&mut judged, &testing::segment("granary/demo"), now());
        judged.forget(&SegmentKey::new("granary", "demo").unwrap());
        assert!(judged.known.is_empty());
    }
}
