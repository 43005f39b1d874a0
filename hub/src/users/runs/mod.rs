//! Runs that users asked for: one task for each request, whether or not anybody listens.
//!
//! ```text
//! Run ─► Campaigns (one per Segment and request id) ─► drive: whose turn it is ─► fleet task ─► agents
//!            ▲ listeners: changes, counts                   ▲ index: how far each run is
//! ```
//! In: requests as read by the service. Out: orders; how far each run is. Law: the same request id for the same Segment
//! is the same campaign; nothing of it is durable: after a restart the same request makes it again, and the agents know
//! which runs they have had. Not: whose turn it is (`core::run_order::campaign`), rights (`services`).

pub mod order;

use crate::fleet::{Event, Fleet};
use jiff::{SignedDuration, Timestamp};
use order::Ask;
use segment_core::ids::{ClusterName, Namespace, RunId, SegmentKey, Uid};
use segment_core::index::FleetIndex;
use segment_core::run_order::campaign::{Campaign, Seen};
use segment_runtime::Tasks;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Requests that are remembered; beyond it those that are over go, the oldest first.
pub const CAMPAIGNS: usize = 64;
/// How long a request is followed: its runs may start within a day, and take another.
const FOLLOWED: SignedDuration = SignedDuration::from_hours(48);
/// Changes of the index within this time are looked at together.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// How often time alone is looked at.
const TICK: Duration = Duration::from_secs(1);

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The id that attaches to it.
    pub request_id: String,
    /// Which Segment.
    pub key: SegmentKey,
    /// Its uid.
    pub uid: Uid,
    /// Namespace of its Jobs.
    pub namespace: Namespace,
    /// Digest of all that was asked for.
    pub asked: [u8; 32],
    /// What each run is like.
    pub ask: Ask,
}

/// One request that is being carried out, or was.
#[derive(Debug)]
pub struct Running {
    /// What was asked for.
    pub wish: Wish,
    /// When.
    begun: Timestamp,
    campaign: Mutex<Campaign>,
    version: watch::Sender<u64>,
}

impl Running {
    /// How far it is.
    pub fn campaign(&self) -> MutexGuard<'_, Campaign> {
        self.campaign.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its version, as it rises.
    pub fn version(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }
}

/// A request that can't be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The id is that of another request.
    OtherRequest,
    /// As many as are remembered are being carried out.
    TooMany,
}

/// All requests that are remembered.
#[derive(Debug, Default)]
pub struct Campaigns(Mutex<BTreeMap<(Uid, String), Arc<Running>>>);

impl Campaigns {
    fn all(&self) -> MutexGuard<'_, BTreeMap<(Uid, String), Arc<Running>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The request with this id, if it was made before.
    ///
    /// # Errors
    /// When it asked for something else.
    pub fn find(
        &self,
        uid: Uid,
        request_id: &str,
        asked: &[u8; 32],
    ) -> Result<Option<Arc<Running>>, Refused> {
        match self.all().get(&(uid, request_id.to_owned())) {
            Some(known) if known.wish.asked != *asked => Err(Refused::OtherRequest),
            known => Ok(known.cloned()),
        }
    }

    /// Begins a request, unless it was made meanwhile. True where it is new: [`drive`] it then.
    ///
    /// # Errors
    /// When there is no room, or the id is that of another request.
    pub fn begin(
        &self,
        wish: Wish,
        campaign: Campaign,
        now: Timestamp,
    ) -> Result<(Arc<Running>, bool), Refused> {
        let mut all = self.all();
        let id = (wish.uid, wish.request_id.clone());
        if let Some(known) = all.get(&id) {
            if known.wish.asked != wish.asked {
                return Err(Refused::OtherRequest);
            }
            return Ok((Arc::clone(known), false));
        }
        if all.len() >= CAMPAIGNS {
            let oldest = all
                .iter()
                .filter(|(_, running)| running.campaign().is_over())
                .min_by_key(|(_, running)| running.begun)
                .map(|(id, _)| id.clone())
                .ok_or(Refused::TooMany)?;
            all.remove(&oldest);
        }
        let running = Arc::new(Running {
            wish,
            begun: now,
            version: watch::Sender::new(campaign.version()),
            campaign: Mutex::new(campaign),
        });
        all.insert(id, Arc::clone(&running));
        Ok((running, true))
    }
}

/// Carries a request out, in a task of its own.
pub fn start(running: Arc<Running>, fleet: Fleet, tasks: &Tasks) {
    let stop = tasks.shutdown_token();
    tasks.spawn_child("ordered-runs", drive(running, fleet, stop));
}

async fn drive(running: Arc<Running>, fleet: Fleet, stop: CancellationToken) {
    let mut changed = fleet.version();
    loop {
        let now = Timestamp::now();
        if now.duration_since(running.begun) > FOLLOWED {
            running.campaign().give_up();
        }
        let turns = {
            let index = fleet.index();
            running
                .campaign()
                .advance(now, |name, id| seen(&index, name, id))
        };
        for name in turns {
            match order::order(&fleet, &running.wish, &name, now) {
                Ok(order) => {
                    if fleet
                        .tell(Event::OrderRun(name, Box::new(order)))
                        .await
                        .is_err()
                    {
                        return;
                    }
                }
                Err(why) => running.campaign().refuse(&name, why.reason, &why.message),
            }
        }
        let (version, over) = {
            let campaign = running.campaign();
            (campaign.version(), campaign.is_over())
        };
        running.version.send_replace(version);
        if over {
            return;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(TICK) => {}
            ended = changed.changed() => {
                if ended.is_err() {
                    return;
                }
                tokio::time::sleep(DEBOUNCE).await;
            }
        }
    }
}

/// What the index says of a cluster and its run.
pub fn seen(index: &FleetIndex, name: &ClusterName, id: RunId) -> Seen {
    let Some(cluster) = index.clusters().get(name) else {
        return Seen::default();
    };
    let run = cluster.ordered_runs.get(&id);
    Seen {
        there: true,
        // Before its inventory is known, nothing is ordered there.
        connected: cluster.is_connected() && cluster.inventory_known,
        phase: run.map(segment_core::index::OrderedRun::phase),
        event: run.and_then(|run| run.event.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask() -> Ask {
        Ask {
            env: BTreeMap::new(),
            start_within: SignedDuration::from_secs(60),
            deadline: None,
        }
    }

    fn campaign(clusters: usize) -> Campaign {
        let names = (0..clusters).map(|n| {
            let name = ClusterName::new(format!("c{n}")).unwrap();
            (name, RunId([0; 8]), None)
        });
        Campaign::new(
            names,
            1,
            SignedDuration::from_secs(60),
            Timestamp::UNIX_EPOCH,
        )
    }

    fn begin(
        campaigns: &Campaigns,
        id: &str,
        asked: u8,
        clusters: usize,
    ) -> Result<(Arc<Running>, bool), Refused> {
        let key = SegmentKey::new("n", "s").unwrap();
        let wish = Wish {
            request_id: id.to_owned(),
            namespace: key.namespace.clone(),
            key,
            uid: Uid([1; 16]),
            asked: [asked; 32],
            ask: ask(),
        };
        campaigns.begin(wish, campaign(clusters), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn the_same_request_is_the_same_campaign_and_another_one_is_refused() {
        let campaigns = Campaigns::default();
        let (first, new) = begin(&campaigns, "a", 1, 1).unwrap();
        let (again, anew) = begin(&campaigns, "a", 1, 1).unwrap();
        assert!(new && !anew && Arc::ptr_eq(&first, &again));
        assert_eq!(
            begin(&campaigns, "a", 2, 1).unwrap_err(),
            Refused::OtherRequest
        );
        let found = campaigns.find(Uid([1; 16]), "a", &[1; 32]).unwrap();
        assert!(found.is_some());
        assert!(
            campaigns
                .find(Uid([2; 16]), "a", &[1; 32])
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn what_is_over_makes_room_and_what_goes_on_does_not() {
        let campaigns = Campaigns::default();
        // Without clusters it is over at once.
        begin(&campaigns, "over", 1, 0).unwrap();
        for n in 1..CAMPAIGNS {
            begin(&campaigns, &n.to_string(), 1, 1).unwrap();
        }
        assert!(begin(&campaigns, "one more", 1, 1).is_ok());
        assert_eq!(
            begin(&campaigns, "too many", 1, 1).unwrap_err(),
            Refused::TooMany
        );
    }
}
