//! What the fleet's decisions do to the hub's API server: finalizers, tombstones, revisions, live reads.
//!
//! In: [`Effect`]s over a bounded queue. Out: writes, and [`Event`]s that say they are done.
//! Law: a tombstone is durable before its finalizer goes and before its first order; every effect is repeated until it
//! is done or no longer true. Not: status (`status_writer.rs`).

use crate::fleet::{Event, Fleet, OperationEvent, WatchedSegment};
use crate::store::events::Events;
use crate::store::operations::OperationsStore;
use crate::store::tombstones::Tombstones;
use crate::store::{CALL_LIMIT, finalizer, revisions};
use crate::watch;
use kube::{Api, Client};
use segment_core::ids::{ClusterName, Revision, SegmentKey, Uid};
use segment_core::index::{News, Tombstone};
use segment_core::revision::revision_data;
use segment_core::segment::{HouseDefaults, ParsedSegment};
use segment_runtime::audit::AuditResult;
use segment_runtime::backoff::{self, Backoff};
use segment_runtime::tasks::with_causes;
use segment_runtime::{ApiError, AuditLine, Tasks};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

/// Effects that are carried out at once. The API server gives a service account about 245 seats; this leaves most.
const CONCURRENT: usize = 16;

/// How long a new revision waits to be kept. The change itself goes out at once; the bookkeeping must not compete with it
/// for the API server. Until then the Segment itself has the spec, so a crash in between loses nothing.
const REVISION_DELAY: Duration = Duration::from_secs(1);
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
        /// No good spec is in memory: how it leaves is looked up in its revisions.
        removal_unknown: bool,
        /// Version of the Segment.
        resource_version: String,
        /// Its finalizers, with ours.
        finalizers: Vec<String>,
    },
    /// A tombstone has fewer clusters, or none. Which, is read from the index when its turn comes.
    Tombstone(Uid),
    /// A new revision was accepted.
    KeepRevision {
        /// Of what.
        parsed: Arc<ParsedSegment>,
        /// The revision.
        revision: Revision,
        /// Who wrote it.
        author: Option<String>,
        /// Why.
        cause: Option<String>,
    },
    /// What must last of a Segment's rollout changed. What it is, is read from the index when its turn comes.
    Operations(SegmentKey),
    /// Earlier specs of a Segment are needed.
    FindEarlier {
        /// Which.
        key: SegmentKey,
        /// Its uid.
        uid: Uid,
    },
    /// An Event.
    Tell(News),
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
    /// Where operations live.
    pub operations: OperationsStore,
    /// Events on Segments.
    pub events: Events,
    /// Operations are written one after the other: a late write must not bring an older one back.
    pub one_operation: Arc<Mutex<()>>,
    /// Tombstones are written one after the other: a late write must not bring one back that is done.
    pub one_tombstone: Arc<Mutex<()>>,
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
        loop {
            let effect = tokio::select! {
                () = shutdown.cancelled() => return,
                effect = queue.recv() => match effect {
                    Some(effect) => effect,
                    None => return,
                },
            };
            // One waiting task per effect: as many as there are objects that changed, and a few hundred bytes each.
            let (this, shutdown, seats) = (self.clone(), shutdown.clone(), Arc::clone(&seats));
            tasks.spawn_child("effect", async move {
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = this.carry_out(effect, &seats) => {}
                }
            });
        }
    }

    async fn carry_out(&self, effect: Effect, seats: &Semaphore) {
        if matches!(effect, Effect::KeepRevision { .. }) {
            tokio::time::sleep(REVISION_DELAY).await;
        }
        let mut pause = Backoff::api();
        loop {
            let tried = {
                // Given back before the pause: what is refused for ever must not stop the others.
                let Ok(_seat) = seats.acquire().await else {
                    return;
                };
                self.once(&effect).await
            };
            let error = match tried {
                Ok(()) => return,
                Err(error) => error,
            };
            match &effect {
                Effect::Verify { segment, cluster }
                    if error.is_not_found() || error.is_conflict() =>
                {
                    self.tell(Event::Unverified(segment.clone(), cluster.clone()))
                        .await;
                    return;
                }
                Effect::FindLastGood { key, .. } if !error.is_transient() => {
                    tracing::warn!(segment = %key, error = %with_causes(&error), "no last good spec");
                    self.tell(Event::LastGood(key.clone(), None)).await;
                    return;
                }
                // An Event is worth a try, no more: its Segment's namespace may be on its way out.
                Effect::Tell(news) => {
                    tracing::warn!(segment = %news.key, error = %with_causes(&error), "an Event was not written");
                    return;
                }
                // The record must be stored: a namesake of it, or its deletion, is looked at again.
                Effect::Operations(_) => {}
                // A newer version is on its way to the reflector, which makes the effect anew; or it is gone.
                _ if error.is_conflict() || error.is_not_found() => return,
                _ => {}
            }
            tracing::warn!(error = %with_causes(&error), "tried again");
            tokio::time::sleep(pause.delay(error.retry_after())).await;
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
                removal_unknown,
                resource_version,
                finalizers,
            } => {
                let mut tombstone = tombstone.clone();
                if *removal_unknown
                    && let Some(good) = self.last_good(&tombstone.key, tombstone.uid).await?
                {
                    tombstone.removal = good.removal();
                }
                self.bury(tombstone, resource_version.clone(), finalizers.clone())
                    .await
            }
            Effect::Tombstone(uid) => {
                let _alone = self.one_tombstone.lock().await;
                let newest = self.fleet.index().tombstones().get(uid).cloned();
                match newest {
                    Some(tombstone) if tombstone.clusters.is_empty() => {
                        self.tombstones.delete(*uid).await?;
                        self.tell(Event::Unburied(*uid)).await;
                        Ok(())
                    }
                    Some(tombstone) => self.tombstones.write(&tombstone).await,
                    None => Ok(()),
                }
            }
            Effect::Operations(key) => self.store_operations(key).await,
            Effect::FindEarlier { key, uid } => {
                let found = self.earlier(key, *uid).await?;
                self.tell(Event::Operation(OperationEvent::Earlier(
                    key.clone(),
                    found,
                )))
                .await;
                Ok(())
            }
            Effect::Tell(news) => self.events.publish(news).await,
            Effect::KeepRevision {
                parsed,
                revision,
                author,
                cause,
            } => {
                revisions::keep(
                    &self.client,
                    &revisions::StoredRevision {
                        key: parsed.key.clone(),
                        uid: parsed.uid,
                        generation: parsed.generation,
                        revision: *revision,
                        data: revision_data(parsed, &self.defaults),
                        history: parsed.strategy.history,
                        author: author.clone(),
                        cause: cause.clone(),
                    },
                )
                .await
            }
            Effect::FindLastGood { key, uid } => {
                let good = self.last_good(key, *uid).await?;
                self.tell(Event::LastGood(key.clone(), good.map(Arc::new)))
                    .await;
                Ok(())
            }
            Effect::Verify { segment, cluster } => self.verify(segment, cluster).await,
        }
    }

    /// The newest stored spec that can be used.
    async fn last_good(
        &self,
        key: &SegmentKey,
        uid: Uid,
    ) -> Result<Option<ParsedSegment>, ApiError> {
        let stored = revisions::list(&self.client, key, uid).await?;
        let mut readable = stored
            .iter()
            .rev()
            .filter_map(|stored| revisions::read(stored, key, uid));
        Ok(readable.next().map(|(_, parsed)| parsed))
    }

    /// Stores what must last of a Segment's rollout, as the index has it now.
    async fn store_operations(&self, key: &SegmentKey) -> Result<(), ApiError> {
        let _alone = self.one_operation.lock().await;
        let newest = self
            .fleet
            .index()
            .operations(key)
            .map(|(operations, version)| (operations.clone(), version));
        match &newest {
            Some((operations, _)) if !operations.is_empty() => {
                self.operations.write(operations).await?;
            }
            _ => self.operations.delete(key).await?,
        }
        if let Some((_, version)) = newest {
            let stored = OperationEvent::Stored(key.clone(), version);
            self.tell(Event::Operation(stored)).await;
        }
        Ok(())
    }

    /// All stored specs that can be used, by their revision, oldest first.
    async fn earlier(
        &self,
        key: &SegmentKey,
        uid: Uid,
    ) -> Result<Vec<(Revision, Arc<ParsedSegment>)>, ApiError> {
        let stored = revisions::list(&self.client, key, uid).await?;
        Ok(stored
            .iter()
            .filter_map(|stored| revisions::read(stored, key, uid))
            .map(|(revision, parsed)| (revision, Arc::new(parsed)))
            .collect())
    }

    /// Writes down what is owed, then lets the Segment go. Its status may be written meanwhile, so the finalizer is taken
    /// off whatever version is there, as long as it is that Segment.
    async fn bury(
        &self,
        tombstone: Tombstone,
        mut resource_version: String,
        mut finalizers: Vec<String>,
    ) -> Result<(), ApiError> {
        {
            let _alone = self.one_tombstone.lock().await;
            self.tombstones.write(&tombstone).await?;
        }
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
        loop {
            let rest = finalizer::without(&finalizers);
            match finalizer::set(&self.client, &tombstone.key, &resource_version, &rest).await {
                Err(error) if error.is_conflict() => {
                    match self.live_segment(&tombstone.key).await {
                        Ok(Some(live)) if live.seen.uid == tombstone.uid && live.seen.finalizer => {
                            resource_version = live.resource_version;
                            finalizers = live.finalizers;
                        }
                        Ok(_) => break,
                        Err(error) if error.is_not_found() => break,
                        Err(error) => return Err(error),
                    }
                }
                Err(error) if error.is_not_found() => break,
                Err(error) => return Err(error),
                Ok(()) => break,
            }
        }
        self.tell(Event::Buried(tombstone)).await;
        Ok(())
    }

    async fn live_segment(&self, key: &SegmentKey) -> Result<Option<WatchedSegment>, ApiError> {
        let segments: Api<kube::core::DynamicObject> = Api::namespaced_with(
            self.client.clone(),
            key.namespace.as_str(),
            &watch::segment_resource(),
        );
        let what = format!("GET segment {key}");
        let live = backoff::call(CALL_LIMIT, what, segments.get(key.name.as_str())).await?;
        Ok(watch::segment(&live, &self.defaults))
    }

    /// Before a removal by unselection both objects are read live: a reflector may be behind.
    async fn verify(&self, segment: &SegmentKey, cluster: &ClusterName) -> Result<(), ApiError> {
        if let Some(watched) = self.live_segment(segment).await? {
            self.tell(Event::Segment(Box::new(watched))).await;
        }
        let clusters: Api<kube::core::DynamicObject> =
            Api::all_with(self.client.clone(), &watch::cluster_resource());
        let what = format!("GET cluster {cluster}");
        let live = backoff::call(CALL_LIMIT, what, clusters.get(cluster.as_str())).await?;
        if let Some(seen) = watch::cluster(&live) {
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
