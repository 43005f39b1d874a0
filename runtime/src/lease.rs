//! Who leads: one Lease object, after the rules of
//! [client-go](https://github.com/kubernetes/client-go/blob/master/tools/leaderelection/leaderelection.go).
//!
//! ```text
//! Standby ──(free, ours before, or expired by our own clock)──► Held ──renewed each second──► Held
//!    ▲                                                            │ another holder, or no renewal by the deadline
//!    └──────────────────── the caller stands again ◄───────── Lost
//! ```
//! **In:** the Lease object, which the chart makes (get and update by name are enough). **Out:** a watched
//! [`LeaseState`], and annotations that are written in the very write that takes or renews the Lease.
//! **Law:** *still mine* is judged by the monotonic clock, counted from before the last renewal that succeeded was
//! sent; it ends before the Lease does. Every write carries the resourceVersion it decided on, so two cannot win.
//! **Not:** fencing. A machine that slept has a clock that slept; orders carry a term for that, and the term is an
//! annotation written here.

mod decision;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use rand::Rng;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::ApiError;
use crate::raw::{self, WriteOptions};

pub use decision::{Action, Identity, LeaseTimes, LossReason, Record, Role, Seen, decide};

/// Annotations of the Lease object.
pub type Annotations = BTreeMap<String, String>;

/// Which write the annotations go out with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// The write that takes the Lease.
    Acquire,
    /// A renewal by its holder.
    Renew,
}

/// What is to be held, by whom, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseParams {
    /// Namespace of the Lease object.
    pub namespace: String,
    /// Name of the Lease object.
    pub name: String,
    /// Who we are.
    pub identity: Identity,
    /// The periods.
    pub times: LeaseTimes,
}

/// Where we stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseState {
    /// Somebody else holds it, nobody does, or we have not looked yet.
    Standby {
        /// `<pod>/<instance id>` of the holder.
        holder: Option<String>,
        /// As last read.
        annotations: Annotations,
    },
    /// We hold it until the given moment. A reader compares with the clock: after a pause of the process this state
    /// is seen before the loss is.
    Held {
        /// Until when nothing has to be asked.
        until: Instant,
        /// As stored by the last write that succeeded.
        annotations: Annotations,
    },
    /// We held it and do not any more.
    Lost {
        /// Why.
        reason: LossReason,
    },
}

impl LeaseState {
    /// Whether the Lease is ours at `now`.
    pub fn is_held_at(&self, now: Instant) -> bool {
        matches!(self, Self::Held { until, .. } if now < *until)
    }
}

/// What [`Lease::acquire`] got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Until when, if it is not renewed.
    pub until: Instant,
    /// As stored by the write that took it.
    pub annotations: Annotations,
}

/// The Lease is not ours.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The object does not exist. We may not create it.
    #[error("Lease {namespace}/{name} does not exist: the chart makes it, install or upgrade it")]
    Missing {
        /// Where it should be.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// It was ours.
    #[error("Lease {namespace}/{name} lost: {reason}")]
    Lost {
        /// Where it is.
        namespace: String,
        /// Its name.
        name: String,
        /// Why.
        reason: LossReason,
    },
}

/// One candidate's view of a Lease object.
pub struct Lease {
    client: Client,
    params: LeaseParams,
    path: String,
    state: watch::Sender<LeaseState>,
    /// The object as last read or written, whole, so that a write keeps what we do not know.
    object: Value,
    seen: Option<Seen>,
    until: Option<Instant>,
    /// The last complaint logged: repeated ones are not.
    complaint: Option<&'static str>,
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease")
            .field("params", &self.params)
            .field("state", &*self.state.borrow())
            .finish_non_exhaustive()
    }
}

impl Lease {
    /// A candidate. Nothing is sent yet.
    pub fn new(client: Client, params: LeaseParams) -> Self {
        let path = raw::path(
            "coordination.k8s.io/v1",
            "leases",
            Some(&params.namespace),
            Some(&params.name),
        );
        let state = watch::Sender::new(LeaseState::Standby {
            holder: None,
            annotations: Annotations::new(),
        });
        Self {
            client,
            params,
            path,
            state,
            object: Value::Null,
            seen: None,
            until: None,
            complaint: None,
        }
    }

    /// Where we stand, as it changes.
    pub fn watch(&self) -> watch::Receiver<LeaseState> {
        self.state.subscribe()
    }

    /// Takes the Lease, keeps it until `stop`, gives it back.
    ///
    /// `annotate` is given the stored annotations and the kind of write, and returns those to be set with it; others
    /// on the object stay. It may be called again for the same write after a conflict, so it only computes.
    /// `stop` is not the process' shutdown but what follows it: whoever takes over may do so at once.
    ///
    /// # Errors
    /// When the object does not exist, or the Lease was lost. The caller may stand again by calling this again.
    pub async fn run<F>(
        &mut self,
        mut annotate: F,
        stop: CancellationToken,
    ) -> Result<(), LeaseError>
    where
        F: FnMut(&Annotations, Transition) -> Annotations + Send,
    {
        if self.acquire(&mut annotate, &stop).await?.is_some() {
            self.keep(&mut annotate, &stop).await?;
            self.release().await;
        }
        Ok(())
    }

    /// Stands by until the Lease is ours, or `stop` (`None`).
    ///
    /// # Errors
    /// When the object does not exist. All else is tried again.
    pub async fn acquire<F>(
        &mut self,
        annotate: &mut F,
        stop: &CancellationToken,
    ) -> Result<Option<Held>, LeaseError>
    where
        F: FnMut(&Annotations, Transition) -> Annotations + Send,
    {
        self.until = None;
        let patience = self.params.times.renew_deadline;
        loop {
            let mut pause = self
                .params
                .times
                .retry
                .mul_f64(rand::rng().random_range(0.8..1.2));
            let Some(read) = unless(stop, self.read(patience)).await else {
                return Ok(None);
            };
            match read {
                Err(error) if error.is_not_found() => return Err(self.missing()),
                Err(error) => {
                    self.complain("the Lease cannot be read", &error);
                    pause = pause.max(error.retry_after().unwrap_or_default());
                }
                Ok(()) => {
                    self.publish_standby();
                    match self.decide(Role::Standby) {
                        Action::Acquire => {
                            match unless(stop, self.write(Transition::Acquire, patience, annotate))
                                .await
                            {
                                None => return Ok(None),
                                Some(Ok(held)) => {
                                    tracing::info!(lease = self.params.name, identity = %self.params.identity, "Lease taken");
                                    return Ok(Some(held));
                                }
                                // Somebody was faster, or the object changed: look again after the usual pause.
                                Some(Err(error)) if error.is_conflict() => {}
                                Some(Err(error)) => {
                                    self.complain("the Lease cannot be taken", &error);
                                }
                            }
                        }
                        Action::Wait { until } => {
                            pause = pause.min(until.saturating_duration_since(Instant::now()));
                        }
                        Action::Renew | Action::StepDown(_) => {}
                    }
                }
            }
            if unless(stop, tokio::time::sleep(pause)).await.is_none() {
                return Ok(None);
            }
        }
    }

    /// Renews the Lease until `stop`, or until it is lost.
    ///
    /// # Errors
    /// When another holder was read, or no renewal succeeded by the deadline.
    pub async fn keep<F>(
        &mut self,
        annotate: &mut F,
        stop: &CancellationToken,
    ) -> Result<(), LeaseError>
    where
        F: FnMut(&Annotations, Transition) -> Annotations + Send,
    {
        let times = self.params.times;
        let mut next = Instant::now() + times.retry;
        loop {
            // Without `until` nothing is held: the decision below says so.
            let until = self.until.unwrap_or_else(Instant::now);
            if unless(stop, tokio::time::sleep_until(next.min(until)))
                .await
                .is_none()
            {
                return Ok(());
            }
            if let Action::StepDown(reason) = self.decide(Role::Holding { until }) {
                return Err(self.lose(reason));
            }
            let now = Instant::now();
            // Half the deadline for one try: a single call that hangs must not cost the Lease.
            let patience = (times.renew_deadline / 2).min(until.saturating_duration_since(now));
            next = now + times.retry;
            match self.write(Transition::Renew, patience, annotate).await {
                Ok(_) => self.complaint = None,
                Err(error) if error.is_conflict() => {
                    // Taken by another, touched by a human, or our own write whose answer was lost: the object tells.
                    let patience = patience.min(until.saturating_duration_since(Instant::now()));
                    match self.read(patience).await {
                        Ok(()) => next = Instant::now(),
                        Err(error) => self.complain("the Lease cannot be read", &error),
                    }
                }
                Err(error) => self.complain("the Lease cannot be renewed", &error),
            }
        }
    }

    /// Gives the Lease back, so that a successor need not wait for its end. If that fails it ends by itself.
    pub async fn release(&mut self) {
        let Some(until) = self.until.take() else {
            return;
        };
        self.state.send_replace(LeaseState::Lost {
            reason: LossReason::Released,
        });
        let mut object = self.object.clone();
        object["spec"]["holderIdentity"] = json!("");
        object["spec"]["leaseDurationSeconds"] = json!(1);
        object["spec"]["renewTime"] = json!(micro_time());
        let patience = (self.params.times.renew_deadline / 2)
            .min(until.saturating_duration_since(Instant::now()));
        match raw::put_json(
            &self.client,
            &self.path,
            WriteOptions::default(),
            &object,
            patience,
        )
        .await
        {
            Ok(_) => tracing::info!(lease = self.params.name, "Lease given back"),
            Err(error) => {
                tracing::warn!(lease = self.params.name, %error, "Lease not given back: it ends by itself");
            }
        }
    }

    fn decide(&self, role: Role) -> Action {
        decide(
            Instant::now(),
            &self.params.identity,
            &self.params.times,
            role,
            self.seen.as_ref(),
        )
    }

    async fn read(&mut self, patience: Duration) -> Result<(), ApiError> {
        let answer = raw::get_json(&self.client, &self.path, patience).await?;
        self.observe(answer.body);
        Ok(())
    }

    /// Remembers what was read, and since when the holder's part of it has been the same.
    fn observe(&mut self, object: Value) {
        let record = Record::from_json(&object);
        let since = match &self.seen {
            Some(seen) if seen.record.same_tenure(&record) => seen.since,
            _ => Instant::now(),
        };
        self.seen = Some(Seen { record, since });
        self.object = object;
    }

    async fn write<F>(
        &mut self,
        transition: Transition,
        patience: Duration,
        annotate: &mut F,
    ) -> Result<Held, ApiError>
    where
        F: FnMut(&Annotations, Transition) -> Annotations + Send,
    {
        let old = self
            .seen
            .as_ref()
            .map(|seen| seen.record.clone())
            .unwrap_or_default();
        let mut annotations = old.annotations.clone();
        annotations.extend(annotate(&old.annotations, transition));
        let mut object = self.object.clone();
        object["metadata"]["annotations"] = json!(annotations);
        let spec = &mut object["spec"];
        let now = micro_time();
        if transition == Transition::Acquire {
            spec["acquireTime"] = json!(now);
            spec["leaseTransitions"] = json!(old.transitions.saturating_add(1));
        }
        spec["holderIdentity"] = json!(self.params.identity.to_string());
        spec["leaseDurationSeconds"] = json!(self.params.times.duration_seconds());
        spec["renewTime"] = json!(now);
        // From before it is sent: what the server stores is younger than this, never older.
        let sent = Instant::now();
        let answer = raw::put_json(
            &self.client,
            &self.path,
            WriteOptions::default(),
            &object,
            patience,
        )
        .await?;
        self.observe(answer.body);
        let until = sent + self.params.times.renew_deadline;
        self.until = Some(until);
        let annotations = self
            .seen
            .as_ref()
            .map(|seen| seen.record.annotations.clone())
            .unwrap_or_default();
        self.state.send_replace(LeaseState::Held {
            until,
            annotations: annotations.clone(),
        });
        Ok(Held { until, annotations })
    }

    fn publish_standby(&self) {
        let Some(seen) = &self.seen else { return };
        let holder = seen.record.holder.as_ref().map(ToString::to_string);
        let standby = LeaseState::Standby {
            holder,
            annotations: seen.record.annotations.clone(),
        };
        self.state.send_if_modified(|state| {
            let changed = *state != standby;
            *state = standby;
            changed
        });
    }

    fn lose(&mut self, reason: LossReason) -> LeaseError {
        self.until = None;
        tracing::warn!(lease = self.params.name, %reason, "Lease lost");
        self.state.send_replace(LeaseState::Lost {
            reason: reason.clone(),
        });
        LeaseError::Lost {
            namespace: self.params.namespace.clone(),
            name: self.params.name.clone(),
            reason,
        }
    }

    fn missing(&self) -> LeaseError {
        LeaseError::Missing {
            namespace: self.params.namespace.clone(),
            name: self.params.name.clone(),
        }
    }

    /// Logs a failure once, not each second.
    fn complain(&mut self, message: &'static str, error: &ApiError) {
        if self.complaint.replace(message) != Some(message) {
            let error = crate::tasks::with_causes(error);
            tracing::warn!(lease = self.params.name, error, "{message}");
        }
    }
}

/// Waits for `work`, or nothing when `stop` comes first.
async fn unless<F: Future>(stop: &CancellationToken, work: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        () = stop.cancelled() => None,
        done = work => Some(done),
    }
}

/// Now, as Kubernetes' `MicroTime`. For people: no decision reads it.
fn micro_time() -> String {
    Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
        .to_string()
}

#[cfg(test)]
mod tests;
