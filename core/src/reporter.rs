//! The reporter: the newest report of every entry, and which of them the hub has not been told.
//!
//! In: reports as they are made. Out: batches for the stream.
//! Law: the last value wins; what did not change is not sent; every change is sent in some batch of every session that
//! lives long enough (`what_changed_while_a_batch_was_out_is_sent_again`).
//! Not: when a batch is sent (the agent's `session.rs`), and how tokens are made: they come with the call.

use crate::ids::{KeyHash, RootDigest};
use crate::report::{Report, cut_message};
use crate::sync::frame::{REPORTS_CHUNK, ReportBatch};
use std::collections::{BTreeMap, BTreeSet};

/// Newest reports, and what of them is to be sent.
#[derive(Clone, Debug, Default)]
pub struct Reporter {
    latest: BTreeMap<KeyHash, Report>,
    dirty: BTreeSet<KeyHash>,
    /// "All reports" was asked for, and the batch that completes the answer is still to come.
    answering: bool,
    token: RootDigest,
}

impl Reporter {
    /// Nothing to report yet. The token is random: a new process' reports are not those that the hub knows.
    pub fn new(token: RootDigest) -> Self {
        Self {
            token,
            ..Self::default()
        }
    }

    /// Takes a report; the time since when it is so stays while state, reason and what it is about do.
    /// True when there is something new to tell.
    pub fn set(&mut self, mut report: Report) -> bool {
        report.message = cut_message(&report.message);
        if let Some(old) = self.latest.get(&report.key) {
            let same_state = (old.uid, old.digest, old.state, &old.reason)
                == (report.uid, report.digest, report.state, &report.reason);
            if same_state {
                report.since = old.since;
            }
            if *old == report {
                return false;
            }
        }
        self.dirty.insert(report.key);
        self.latest.insert(report.key, report);
        true
    }

    /// The entry is gone, and the hub has been told by an ack.
    pub fn forget(&mut self, key: KeyHash) {
        self.latest.remove(&key);
        self.dirty.remove(&key);
    }

    /// The newest report of an entry.
    pub fn get(&self, key: KeyHash) -> Option<&Report> {
        self.latest.get(&key)
    }

    /// All newest reports.
    pub fn iter(&self) -> impl Iterator<Item = &Report> {
        self.latest.values()
    }

    /// Token of the last batch that was made.
    pub fn token(&self) -> RootDigest {
        self.token
    }

    /// The hub wants all reports.
    pub fn all(&mut self) {
        self.dirty = self.latest.keys().copied().collect();
        self.answering = true;
    }

    /// True when there is a batch to send.
    pub fn has_news(&self) -> bool {
        self.answering || !self.dirty.is_empty()
    }

    /// The next batch, under a new token; `None` when there is nothing to tell.
    pub fn next_batch(&mut self, token: RootDigest) -> Option<ReportBatch> {
        if !self.has_news() {
            return None;
        }
        let keys: Vec<_> = self.dirty.iter().copied().take(REPORTS_CHUNK).collect();
        let mut reports = Vec::with_capacity(keys.len());
        for key in keys {
            self.dirty.remove(&key);
            reports.extend(self.latest.get(&key).cloned());
        }
        let complete = self.answering && self.dirty.is_empty();
        self.answering &= !complete;
        self.token = token;
        Some(ReportBatch {
            token,
            complete,
            reports,
        })
    }

    /// A batch was not sent: its reports are news again.
    pub fn not_sent(&mut self, batch: &ReportBatch) {
        let known = batch
            .reports
            .iter()
            .map(|report| report.key)
            .filter(|key| self.latest.contains_key(key));
        self.dirty.extend(known.collect::<Vec<_>>());
        self.answering |= batch.complete;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Digest, Revision, Uid};
    use crate::report::{Runs, State};
    use jiff::Timestamp;

    fn report(key: u8, state: State, since: i64) -> Report {
        Report {
            key: KeyHash([key; 16]),
            uid: Uid([1; 16]),
            revision: Revision([1; 8]),
            digest: Digest([1; 16]),
            state,
            reason: String::new(),
            message: String::new(),
            since: Timestamp::from_second(since).unwrap(),
            corrections: 0,
            drifted_by: String::new(),
            runs: Runs::default(),
        }
    }

    fn token(n: u8) -> RootDigest {
        RootDigest([n; 16])
    }

    #[test]
    fn what_did_not_change_is_not_sent_and_keeps_its_time() {
        let mut reporter = Reporter::new(token(0));
        assert!(reporter.set(report(1, State::Pending, 10)));
        assert!(
            !reporter.set(report(1, State::Pending, 20)),
            "only the time since would differ"
        );
        assert!(reporter.set(report(1, State::Applied, 30)));
        let batch = reporter.next_batch(token(1)).unwrap();
        assert_eq!(
            batch,
            ReportBatch {
                token: token(1),
                complete: false,
                reports: vec![report(1, State::Applied, 30)]
            }
        );
        assert_eq!(
            reporter.next_batch(token(2)),
            None,
            "the last value wins, and it is told"
        );
        assert_eq!(reporter.token(), token(1), "no batch, no new token");
    }

    #[test]
    fn an_answer_to_all_reports_ends_with_a_complete_batch_even_when_there_are_none() {
        let mut reporter = Reporter::new(token(0));
        reporter.all();
        assert_eq!(
            reporter.next_batch(token(1)),
            Some(ReportBatch {
                token: token(1),
                complete: true,
                reports: Vec::new()
            })
        );
        for key in 0..=REPORTS_CHUNK {
            reporter.set(report(u8::try_from(key).unwrap(), State::Applied, 1));
        }
        while reporter.next_batch(token(2)).is_some() {}
        reporter.all();
        let (first, second) = (
            reporter.next_batch(token(3)).unwrap(),
            reporter.next_batch(token(4)).unwrap(),
        );
        assert_eq!(
            (first.reports.len(), first.complete),
            (REPORTS_CHUNK, false)
        );
        assert_eq!((second.reports.len(), second.complete), (1, true));
        assert_eq!(reporter.next_batch(token(5)), None);
    }

    #[test]
    fn what_changed_while_a_batch_was_out_is_sent_again() {
        let mut reporter = Reporter::new(token(0));
        reporter.set(report(1, State::Pending, 1));
        reporter.all();
        let lost = reporter.next_batch(token(1)).unwrap();
        reporter.set(report(1, State::Failed, 2));
        reporter.not_sent(&lost);
        let batch = reporter.next_batch(token(2)).unwrap();
        assert_eq!(
            (batch.reports, batch.complete),
            (vec![report(1, State::Failed, 2)], true)
        );
    }

    #[test]
    fn an_entry_that_is_gone_is_not_reported() {
        let mut reporter = Reporter::new(token(0));
        reporter.set(report(1, State::Removing, 1));
        reporter.forget(KeyHash([1; 16]));
        assert_eq!(
            (
                reporter.next_batch(token(1)),
                reporter.get(KeyHash([1; 16]))
            ),
            (None, None)
        );
    }
}
