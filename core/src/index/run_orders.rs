//! Ordered runs, as the hub follows them: which were ordered where, and how far they are.
//!
//! In: orders, what agents tell. Out: how far a run is; [`Changed::runs`], clusters that have orders to be sent.
//! Law: an order is kept until its run has ended or expired, and sent again on each new stream; the agent knows it by its
//! id. Not: what comes of it (`rollout`, the users' API).

use super::{Changed, ClusterState, FleetIndex};
use crate::ids::{ClusterName, RunId};
use crate::run_order::{RunEvent, RunOrder, RunPhase};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Ordered runs that are remembered of one cluster; beyond it those that have ended longest are forgotten.
pub const RUNS_KEPT: usize = 256;
/// How long an agent that got an order in time may take to tell of it, beyond the order's end.
const GRACE: SignedDuration = SignedDuration::from_secs(30);

/// Reason of a run on a cluster whose agent does not know ordered runs.
const NOT_SUPPORTED: &str = "NotSupported";

/// An ordered run.
#[derive(Clone, Debug)]
pub struct OrderedRun {
    /// The order.
    pub order: Arc<RunOrder>,
    /// When it was ordered.
    pub ordered: Timestamp,
    /// What the agent said last.
    pub event: Option<RunEvent>,
    /// It could not be started in time, as far as is known: no agent has told of a start.
    pub expired: bool,
}

impl OrderedRun {
    /// How far it is.
    pub fn phase(&self) -> RunPhase {
        match &self.event {
            _ if self.expired => RunPhase::Expired,
            Some(event) => event.phase,
            None => RunPhase::Waiting,
        }
    }
}

/// Ordered runs of one cluster.
pub type OrderedRuns = BTreeMap<RunId, OrderedRun>;

impl FleetIndex {
    /// Orders a run. Ordered again it stays as it is.
    pub fn order_run(&mut self, name: &ClusterName, order: RunOrder, now: Timestamp) -> Changed {
        let mut changed = Changed::default();
        let version = self.bump();
        let Some(cluster) = self.clusters.get_mut(name) else {
            return changed;
        };
        // One that expired before any agent saw it may be ordered again: who was away then may be there now.
        if cluster
            .ordered_runs
            .get(&order.id)
            .is_some_and(|known| !known.expired || known.event.is_some())
        {
            return changed;
        }
        if cluster.ordered_runs.len() >= RUNS_KEPT {
            let oldest = cluster
                .ordered_runs
                .iter()
                .min_by_key(|(_, run)| (!run.phase().is_final(), run.ordered))
                .map(|(id, _)| *id);
            if let Some(oldest) = oldest {
                cluster.ordered_runs.remove(&oldest);
            }
        }
        cluster.version = version;
        changed.segments.insert(order.key.clone());
        changed.runs.insert(name.clone());
        cluster.ordered_runs.insert(
            order.id,
            OrderedRun {
                order: Arc::new(order),
                ordered: now,
                event: None,
                expired: false,
            },
        );
        if cluster.session.is_some() {
            cluster.refuse_unknown_runs(now, &mut changed);
        }
        changed
    }

    /// An ordered run of a cluster.
    pub fn ordered_run(&self, name: &ClusterName, id: RunId) -> Option<&OrderedRun> {
        self.clusters.get(name)?.ordered_runs.get(&id)
    }

    /// Orders of a cluster that have not ended: what a new stream starts with.
    pub fn open_run_orders(&self, name: &ClusterName) -> Vec<Arc<RunOrder>> {
        self.clusters
            .get(name)
            .into_iter()
            .flat_map(|cluster| cluster.ordered_runs.values())
            .filter(|run| !run.phase().is_final())
            .map(|run| Arc::clone(&run.order))
            .collect()
    }

    /// An agent told of ordered runs.
    pub fn run_events(
        &mut self,
        name: &ClusterName,
        session: u64,
        events: Vec<RunEvent>,
        now: Timestamp,
    ) -> Changed {
        let mut changed = Changed::default();
        let version = self.bump();
        let Some(cluster) = self
            .clusters
            .get_mut(name)
            .filter(|cluster| cluster.session == Some(session))
        else {
            return changed;
        };
        cluster.last_heard = Some(now);
        cluster.version = version;
        for event in events {
            let Some(run) = cluster.ordered_runs.get_mut(&event.id) else {
                continue;
            };
            // What has ended has ended.
            if run.order.key.hash() != event.key
                || run.event.as_ref().is_some_and(|old| old.phase.is_final())
            {
                continue;
            }
            let key = run.order.key.clone();
            run.expired = false;
            run.event = Some(event);
            self.dirty.insert(key.clone());
            changed.segments.insert(key);
        }
        changed
    }

    /// Time alone: orders that nobody could start in time have expired.
    pub(super) fn expire_run_orders(&mut self, now: Timestamp, changed: &mut Changed) {
        for cluster in self.clusters.values_mut() {
            for run in cluster.ordered_runs.values_mut() {
                // A connected agent has the order, and says itself what became of it.
                let grace = if cluster.session.is_some() {
                    GRACE
                } else {
                    SignedDuration::ZERO
                };
                // One that waits at an agent that went away is started by nobody else, and by that one not later.
                if run.phase() == RunPhase::Waiting
                    && now.duration_since(run.order.start_before) > grace
                {
                    run.expired = true;
                    self.dirty.insert(run.order.key.clone());
                    changed.segments.insert(run.order.key.clone());
                }
            }
        }
    }
}

impl ClusterState {
    /// An agent that does not know ordered runs carries out none: they are refused for it.
    pub(super) fn refuse_unknown_runs(&mut self, now: Timestamp, changed: &mut Changed) {
        if self.takes_runs {
            return;
        }
        for (id, run) in &mut self.ordered_runs {
            if run.phase().is_final() {
                continue;
            }
            run.event = Some(RunEvent {
                id: *id,
                key: run.order.key.hash(),
                phase: RunPhase::Refused,
                job: String::new(),
                started: None,
                finished: None,
                exit_code: None,
                reason: NOT_SUPPORTED.to_owned(),
                message: "the agent of this cluster is too old for ordered runs".to_owned(),
                at: now,
            });
            changed.segments.insert(run.order.key.clone());
        }
    }
}

#[cfg(test)]
mod tests;
