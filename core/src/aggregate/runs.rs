//! Counting runs: the newest of each cluster that was good or bad.
//!
//! In: runs of a Segment's clusters, by the ledger or (of an older agent) by the report. Out: [`RunSum`].
//! Law: one verdict per cluster; the worst is the same whatever the order of clusters. Not: the condition's words
//! (`status.rs`).

use crate::ids::{ClusterName, CronJobName};
use crate::report::{Run, RunResult, Runs};
use crate::runs::{KeptRun, LedgerRun, newest_verdict};
use jiff::Timestamp;

/// Runs of a Segment in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunSum {
    /// When the newest run of any cluster started.
    pub last: Option<Timestamp>,
    /// The next run that is due anywhere.
    pub next: Option<Timestamp>,
    /// Clusters of which a run is known that was good or bad.
    pub known: u32,
    /// Clusters whose newest such run failed.
    pub failed: u32,
    /// Clusters whose newest such run was missed.
    pub missed: u32,
    /// Clusters whose newest such run is stuck.
    pub stuck: u32,
    /// The worst of them, in words.
    pub worst: Option<Worst>,
}

/// A run that was not good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worst {
    /// Where.
    pub cluster: ClusterName,
    /// In words.
    pub words: String,
    result: RunResult,
    scheduled: Timestamp,
}

impl RunSum {
    /// Clusters whose newest such run was not good.
    pub fn bad(&self) -> u32 {
        self.failed + self.missed + self.stuck
    }

    /// Counts a cluster: by its ledger, else by its report.
    pub(super) fn add(
        &mut self,
        cluster: &ClusterName,
        name: &CronJobName,
        kept: &[KeptRun],
        reported: Option<&Runs>,
    ) {
        if let Some(next) = reported.and_then(|runs| runs.next) {
            self.next = Some(self.next.map_or(next, |known| known.min(next)));
        }
        let reported = reported.and_then(|runs| runs.last.as_ref());
        // The report comes first, the ledger may be seconds behind.
        self.last = kept
            .iter()
            .filter(|run| run.has_started())
            .map(KeptRun::begun)
            .chain(reported.map(|run| run.started.unwrap_or(run.scheduled)))
            .chain(self.last)
            .max();
        if kept.is_empty() {
            if let Some(run) = reported {
                self.judge(cluster, run.result, run.scheduled, || run_words(run));
            }
        } else if let Some(run) = newest_verdict(kept) {
            self.judge(cluster, run.result(), run.scheduled(), || {
                ledger_words(&run.run(name))
            });
        }
    }

    fn judge(
        &mut self,
        cluster: &ClusterName,
        result: RunResult,
        scheduled: Timestamp,
        words: impl FnOnce() -> String,
    ) {
        match result {
            RunResult::Succeeded => {}
            RunResult::Failed => self.failed += 1,
            RunResult::Missed => self.missed += 1,
            RunResult::Stuck => self.stuck += 1,
            RunResult::Running | RunResult::Skipped | RunResult::Unknown => return,
        }
        self.known += 1;
        if !result.is_bad() {
            return;
        }
        // Failed before stuck before missed, the newest first, then by name: stable while nothing changes.
        let rank = |result| match result {
            RunResult::Failed => 0,
            RunResult::Stuck => 1,
            _ => 2,
        };
        let place = |result, scheduled, cluster: &ClusterName| {
            (rank(result), std::cmp::Reverse(scheduled), cluster.clone())
        };
        let worse = self.worst.as_ref().is_none_or(|known| {
            place(result, scheduled, cluster) < place(known.result, known.scheduled, &known.cluster)
        });
        if worse {
            self.worst = Some(Worst {
                cluster: cluster.clone(),
                words: words(),
                result,
                scheduled,
            });
        }
    }

    /// In words: what happened on how many clusters, and the worst of it.
    pub fn words(&self) -> String {
        let kinds = [
            (self.failed, "failed"),
            (self.stuck, "stuck"),
            (self.missed, "missed"),
        ];
        let kinds: Vec<String> = kinds
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        let worst = self
            .worst
            .as_ref()
            .map(|worst| format!("; {}: {}", worst.cluster, worst.words))
            .unwrap_or_default();
        format!(
            "the last run was not well on {} of {} clusters ({}){worst}",
            self.bad(),
            self.known,
            kinds.join(", ")
        )
    }
}

/// A run in words: `Job x: BackoffLimitExceeded, exit 1: …`.
fn run_words(run: &Run) -> String {
    words(
        &format!("Job {}", run.job),
        &run.reason,
        run.exit_code,
        &run.message,
    )
}

/// The same of a run of the ledger, which may have no Job.
fn ledger_words(run: &LedgerRun) -> String {
    let subject = if run.job.is_empty() {
        format!(
            "{} run of {}",
            run.result.as_str().to_lowercase(),
            run.scheduled
        )
    } else {
        format!("Job {}", run.job)
    };
    words(&subject, &run.reason, run.exit_code, &run.message)
}

fn words(subject: &str, reason: &str, exit_code: Option<i32>, message: &str) -> String {
    let mut words = subject.to_owned();
    if !reason.is_empty() {
        words.extend([": ", reason]);
    }
    if let Some(code) = exit_code {
        words.push_str(", exit ");
        words.push_str(&code.to_string());
    }
    if !message.is_empty() {
        words.extend([": ", message]);
    }
    words
}
