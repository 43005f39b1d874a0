//! One request to run a Segment on many clusters: whose turn it is, and what came of it.
//!
//! In: the clusters, what the index says of each, time. Out: clusters to be ordered now; how far each run is.
//! Law: never more runs on their way than allowed; a cluster that is away is not ordered, and expires; what has ended has
//! ended; counts add up to the clusters. Not: orders (`index`), who may ask for it (the users' API).

use super::{RunEvent, RunPhase};
use crate::ids::{ClusterName, RunId, Uid};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// Id of a run: the same request for the same Segment on the same cluster is the same run, whichever hub process is asked.
pub fn run_id(request: &str, segment: Uid, cluster: &ClusterName) -> RunId {
    let mut bytes = Vec::with_capacity(request.len() + cluster.as_str().len() + 20);
    bytes.extend_from_slice(&segment.0);
    bytes.extend_from_slice(request.as_bytes());
    // No name of a cluster has it.
    bytes.push(0);
    bytes.extend_from_slice(cluster.as_str().as_bytes());
    RunId::of(&bytes)
}

/// One cluster's run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Which run.
    pub id: RunId,
    /// How far it is; none while its turn has not come.
    pub phase: Option<RunPhase>,
    /// Name of its Job.
    pub job: String,
    /// Reason in one word.
    pub reason: String,
    /// For people.
    pub message: String,
    /// Exit code of the container.
    pub exit_code: Option<i32>,
    /// When the Job started.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// It was ordered.
    pub ordered: bool,
    /// Version of the campaign at which it changed.
    pub version: u64,
}

impl Turn {
    /// Nothing more comes.
    pub fn is_over(&self) -> bool {
        self.phase.is_some_and(RunPhase::is_final)
    }
}

/// What is known of a cluster and its run.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// There is such a Cluster.
    pub there: bool,
    /// Its agent's stream is open.
    pub connected: bool,
    /// How far the run is, as the index has it; none where it does not know the run.
    pub phase: Option<RunPhase>,
    /// What the agent said last.
    pub event: Option<RunEvent>,
}

/// How many runs are how far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Not ordered yet.
    pub pending: u32,
    /// Ordered, not started.
    pub waiting: u32,
    /// With a Job.
    pub running: u32,
    /// Completed.
    pub succeeded: u32,
    /// Failed.
    pub failed: u32,
    /// Not admitted.
    pub refused: u32,
    /// Not started in time.
    pub expired: u32,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Campaign {
    turns: BTreeMap<ClusterName, Turn>,
    begun: Timestamp,
    start_within: SignedDuration,
    max_parallel: usize,
    version: u64,
}

impl Campaign {
    /// Runs on these clusters; those with a reason are refused at once.
    pub fn new(
        clusters: impl IntoIterator<Item = (ClusterName, RunId, Option<(String, String)>)>,
        max_parallel: usize,
        start_within: SignedDuration,
        now: Timestamp,
    ) -> Self {
        let turns = clusters.into_iter().map(|(name, id, refused)| {
            let phase = refused.as_ref().map(|_| RunPhase::Refused);
            let (reason, message) = refused.unwrap_or_default();
            let turn = Turn {
                id,
                phase,
                job: String::new(),
                reason,
                message,
                exit_code: None,
                started: None,
                finished: None,
                ordered: false,
                version: 1,
            };
            (name, turn)
        });
        Self {
            turns: turns.collect(),
            begun: now,
            start_within,
            max_parallel: max_parallel.max(1),
            version: 1,
        }
    }

    /// Runs by cluster.
    pub fn turns(&self) -> &BTreeMap<ClusterName, Turn> {
        &self.turns
    }

    /// Rises with each change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Every run is over.
    pub fn is_over(&self) -> bool {
        self.turns.values().all(Turn::is_over)
    }

    /// How many runs are how far.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for turn in self.turns.values() {
            *match turn.phase {
                None => &mut counts.pending,
                Some(RunPhase::Waiting) => &mut counts.waiting,
                Some(RunPhase::Running) => &mut counts.running,
                Some(RunPhase::Succeeded) => &mut counts.succeeded,
                Some(RunPhase::Failed) => &mut counts.failed,
                Some(RunPhase::Refused) => &mut counts.refused,
                Some(RunPhase::Expired) => &mut counts.expired,
            } += 1;
        }
        counts
    }

    /// Takes in what is known, and says whose turn it is: each is to be ordered now, or refused by [`Self::refuse`].
    pub fn advance(
        &mut self,
        now: Timestamp,
        look: impl Fn(&ClusterName, RunId) -> Seen,
    ) -> Vec<ClusterName> {
        let late = now.duration_since(self.begun) > self.start_within;
        let next = self.version + 1;
        let mut changed = false;
        let mut connected = Vec::new();
        for (name, turn) in &mut self.turns {
            if turn.is_over() {
                continue;
            }
            let before = turn.clone();
            let seen = look(name, turn.id);
            if !seen.there {
                turn.over(RunPhase::Failed, "ClusterGone", "the Cluster was deleted");
            } else if turn.ordered {
                turn.follow(seen);
            } else if seen.connected {
                connected.push(name.clone());
                turn.say("", "");
            } else if late {
                let message = "its agent was not connected in time; it does not run";
                turn.over(RunPhase::Expired, "Offline", message);
            } else {
                turn.say("Offline", "its agent is not connected");
            }
            if *turn != before {
                turn.version = next;
                changed = true;
            }
        }
        let on_their_way = self
            .turns
            .values()
            .filter(|turn| turn.ordered && !turn.is_over())
            .count();
        connected.truncate(self.max_parallel.saturating_sub(on_their_way));
        for name in &connected {
            let Some(turn) = self.turns.get_mut(name) else {
                continue;
            };
            turn.ordered = true;
            turn.phase = Some(RunPhase::Waiting);
            turn.version = next;
            changed = true;
        }
        if changed {
            self.version = next;
        }
        connected
    }

    /// What has not ended is not followed any longer.
    pub fn give_up(&mut self) {
        self.version += 1;
        for turn in self.turns.values_mut().filter(|turn| !turn.is_over()) {
            let message = "its end was not told in time; it may go on there";
            turn.over(RunPhase::Failed, "NotTold", message);
            turn.version = self.version;
        }
    }

    /// One whose turn it was can't be ordered after all.
    pub fn refuse(&mut self, name: &ClusterName, reason: &str, message: &str) {
        self.version += 1;
        if let Some(turn) = self.turns.get_mut(name) {
            turn.over(RunPhase::Refused, reason, message);
            turn.version = self.version;
        }
    }
}

impl Turn {
    fn say(&mut self, reason: &str, message: &str) {
        reason.clone_into(&mut self.reason);
        message.clone_into(&mut self.message);
    }

    fn over(&mut self, phase: RunPhase, reason: &str, message: &str) {
        self.phase = Some(phase);
        self.say(reason, message);
    }

    fn follow(&mut self, seen: Seen) {
        // Forgotten by the index, or not yet there: what was known last stands.
        let Some(phase) = seen.phase else { return };
        let event = seen.event.filter(|event| event.phase == phase);
        match event {
            Some(event) => {
                self.phase = Some(phase);
                self.job = event.job;
                self.reason = event.reason;
                self.message = event.message;
                self.exit_code = event.exit_code;
                self.started = event.started;
                self.finished = event.finished;
            }
            None if phase == RunPhase::Expired => {
                let message = "its agent did not say that it started it in time";
                self.over(RunPhase::Expired, "Offline", message);
            }
            None => self.phase = Some(phase),
        }
    }
}

#[cfg(test)]
mod tests;
