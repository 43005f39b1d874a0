//! What the fleet's decisions do to the hub's API server: finalizers, tombstones, revisions, live reads.
//!
//! In: [`Effect`]s over a bounded queue. Out: writes, and [`Event`]s that say they are done.
//! Law: a tombstone is durable before its finalizer goes and before its first order; every effect is repeated until it
//! is done or no longer true. Not: status (`status_writer.rs`).

use crate::fleet::{Event, Fleet};
use crate::store::tombstones::Tombstones;
use crate::store::{CALL_LIMIT, finalizer, revisions};
use crate::watch;
use kube::{Api, Client};
use segment_core::ids::{ClusterName, Revision, SegmentKey, Uid};
use segment_core::index::Tombstone;
use segment_core::revision::{revision_data, spec_from_revision_data};
use segment_core::segment::{HouseDefaults, ParsedSegment};
use segment_runtime::audit::AuditResult;
use segment_runtime::backoff::{self, Backoff};
use segment_runtime::{ApiError, AuditLine, Tasks};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

/// Effects that are carried out at once. The API server gives a service account about 245 seats; this leaves most.
const CONCURRENT: usize = 16;

/// How long a new revision waits to be kept. The change itself goes out at once; the bookkeeping must not compete with it
/// for the API server. Until then the Segment itself has the spec, so a crash in between loses nothing.
const REVISION_DELAY: Duration = Duration::from_secs(1);
/// Revisions that wait like that at once: new house defaults make one for every Segment.
const REVISIONS_WAITING: usize = 256;

/// One thing to do.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Our finalizer is missing.
    AddFinalizer {
        /// Of which Segment.
        key: SegmentKey,
        /// At which version.
        resource_version: String,
        /// All finalizers, with ours.
        finalizers: Vec<String>,
    },
    /// A Segment is being deleted: write down what is owed, then let it go.
    Bury {
        /// What is owed.
        tombstone: Tombstone,
        /// Version of the Segment.
        resource_version: String,
        /// Its finalizers, with ours.
        finalizers: Vec<String>,
    },
    /// A tombstone has fewer clusters, or none.
    Tombstone(Tombstone),
    /// A new revision was accepted.
    KeepRevision {
        /// Of what.
        parsed: Arc<ParsedSegment>,
        /// The revision.
        revision: Revision,
    },
    /// A refused Segment without a good spec in memory: look for the last one.
    FindLastGood {
        /// Which.
        key: SegmentKey,
        /// Its uid.
        uid: Uid,
    },
    /// A removal's settle time is over: read Segment and Cluster live.
    Verify {
        /// Which Segment.
        segment: SegmentKey,
        /// On which cluster.
        cluster: ClusterName,
    },
}

/// Carries out effects.
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "kube::Client has no Debug")]
pub struct Effects {
    /// Client of the hub's API server.
    pub client: Client,
    /// Where tombstones live.
    pub tombstones: Tombstones,
    /// For what comes of them.
    pub fleet: Fleet,
    /// For revisions.
    pub defaults: HouseDefaults,
}

impl Effects {
    /// Runs until `shutdown` or the queue's end.
    pub async fn run(
        self,
        mut queue: mpsc::Receiver<Effect>,
        tasks: Tasks,
        shutdown: CancellationToken,
    ) {
        let seats = Arc::new(Semaphore::new(CONCURRENT));
        let waiting = Arc::new(Semaphore::new(REVISIONS_WAITING));
        loop {
            let effect = tokio::select! {
                () = shutdown.cancelled() => return,
                effect = queue.recv() => match effect {
                    Some(effect) => effect,
                    None => return,
                },
            };
            let later = matches!(effect, Effect::KeepRevision { .. });
            let places = if later { &waiting } else { &seats };
            let Ok(place) = Arc::clone(places).acquire_owned().await else {
                return;
            };
            let (this, shutdown, seats) = (self.clone(), shutdown.clone(), Arc::clone(&seats));
            let work = async move {
                if later {
                    tokio::time::sleep(REVISION_DELAY).await;
                    let _seat = seats.acquire().await;
                    this.carry_out(effect).await;
                } else {
                    this.carry_out(effect).await;
                }
            };
            tasks.spawn_child("effect", async move {
                let _place = place;
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = work => {}
                }
            });
        }
    }

    async fn carry_out(&self, effect: Effect) {
        let mut pause = Backoff::api();
        loop {
            match self.once(&effect).await {
                Ok(()) => return,
                // A newer version is on its way to the reflector, which makes the effect anew; or it is gone.
                Err(error) if error.is_conflict() || error.is_not_found() => {
                    if let Effect::Bury { tombstone, .. } = &effect {
                        // The tombstone is written by now; only the finalizer has to be tried with a newer version.
                        self.tell(Event::Buried(tombstone.clone())).await;
                    }
                    return;
                }
                Err(error) => {
                    tracing::warn!(error = %segment_runtime::tasks::with_causes(&error), "tried again");
                    tokio::time::sleep(pause.delay(error.retry_after())).await;
                }
            }
        }
    }

    async fn once(&self, effect: &Effect) -> Result<(), ApiError> {
        match effect {
            Effect::AddFinalizer {
                key,
                resource_version,
                finalizers,
            } => finalizer::set(&self.client, key, resource_version, finalizers).await,
            Effect::Bury {
                tombstone,
                resource_version,
                finalizers,
            } => {
                self.tombstones.write(tombstone).await?;
                AuditLine {
                    time: jiff::Timestamp::now(),
                    actor: "segment-hub".to_owned(),
                    action: "segment.delete".into(),
                    subject: format!("segment/{}", tombstone.key),
                    uid: Some(tombstone.uid.to_string()),
                    reason: Some(format!("owed to {} clusters", tombstone.clusters.len())),
                    result: AuditResult::Done,
                }
                .emit();
                finalizer::set(
                    &self.client,
                    &tombstone.key,
                    resource_version,
                    &finalizer::without(finalizers),
                )
                .await?;
                self.tell(Event::Buried(tombstone.clone())).await;
                Ok(())
            }
            Effect::Tombstone(tombstone) if tombstone.clusters.is_empty() => {
                self.tombstones.delete(tombstone.uid).await?;
                self.tell(Event::Unburied(tombstone.uid)).await;
                Ok(())
            }
            Effect::Tombstone(tombstone) => self.tombstones.write(tombstone).await,
            Effect::KeepRevision { parsed, revision } => {
                revisions::keep(
                    &self.client,
                    &revisions::StoredRevision {
                        key: parsed.key.clone(),
                        uid: parsed.uid,
                        generation: parsed.generation,
                        revision: *revision,
                        data: revision_data(parsed, &self.defaults),
                    },
                )
                .await
            }
            Effect::FindLastGood { key, uid } => {
                for stored in revisions::list(&self.client, key, *uid).await?.iter().rev() {
                    let Some(data) = &stored.data else { continue };
                    let parsed = spec_from_revision_data(&data.0)
                        .map_err(|error| error.to_string())
                        .and_then(|revision| {
                            revision
                                .parse(key.clone(), *uid, stored.revision)
                                .map_err(|findings| format!("{findings:?}"))
                        });
                    match parsed {
                        Ok(parsed) => {
                            self.tell(Event::LastGood(key.clone(), Arc::new(parsed)))
                                .await;
                            return Ok(());
                        }
                        Err(error) => {
                            tracing::warn!(segment = %key, error, "a stored revision can't be used")
                        }
                    }
                }
                Ok(())
            }
            Effect::Verify { segment, cluster } => self.verify(segment, cluster).await,
        }
    }

    /// Before a removal by unselection both objects are read live: a reflector may be behind.
    async fn verify(&self, segment: &SegmentKey, cluster: &ClusterName) -> Result<(), ApiError> {
        let segments: Api<kube::core::DynamicObject> = Api::namespaced_with(
            self.client.clone(),
            segment.namespace.as_str(),
            &watch::segment_resource(),
        );
        let what = format!("GET segment {segment}");
        let live = backoff::call(CALL_LIMIT, what, segments.get(segment.name.as_str())).await?;
        if let Some(watched) = watch::segment(live) {
            self.tell(Event::Segment(Box::new(watched))).await;
        }
        let clusters: Api<kube::core::DynamicObject> =
            Api::all_with(self.client.clone(), &watch::cluster_resource());
        let what = format!("GET cluster {cluster}");
        let live = backoff::call(CALL_LIMIT, what, clusters.get(cluster.as_str())).await?;
        if let Some(seen) = watch::cluster(live) {
            self.tell(Event::Cluster(Box::new(seen))).await;
        }
        self.tell(Event::Verified(segment.clone(), cluster.clone()))
            .await;
        Ok(())
    }

    async fn tell(&self, event: Event) {
        // The fleet task ends only with the process.
        let _ending = self.fleet.tell(event).await;
    }
}
