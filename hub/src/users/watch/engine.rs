//! One watch: what was told, what is to be looked at, and when.

use super::history::Place;
use super::token::ResumeToken;
use super::{Kind, Sight};
use crate::users::access::Caller;
use crate::users::errors::{self, Reason};
use crate::users::state::Services;
use jiff::Timestamp;
use rand::Rng;
use segment_core::index::FleetIndex;
use segment_proto::limits::{BOOKMARK_PERIOD, REAUTHORISE_PERIOD};
use segment_proto::v1::EventType;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;
use tonic::Status;

/// Between two quick looks: changes of one moment are told together.
const QUICK: Duration = Duration::from_millis(100);
/// Between two whole looks: what only time changes is told this late.
const WHOLE: Duration = Duration::from_secs(2);
/// A look is not begun before this many times its own cost has passed: a watch takes at most a twentieth of a core.
const REST: u32 = 20;
/// Life of a watch, ± 10 %: it ends before its connection does, and the reader goes on elsewhere from its token.
const LIFE: Duration = Duration::from_mins(55);

/// What is to be looked at.
enum Look<T> {
    /// It may differ from what was told.
    At(T),
    /// It was deleted after the reader's token: the reader may know it.
    Deleted(T),
}

pub(super) struct Engine<K: Kind> {
    services: Services,
    caller: Caller,
    kind: K,
    sight: Sight,
    filter: u64,
    _place: OwnedSemaphorePermit,
    /// Fingerprints of what was told.
    told: HashMap<K::Key, u64>,
    /// Version from which the reader has gone on: it may know things that we have not told.
    resumed: Option<u64>,
    queue: VecDeque<Look<K::Key>>,
    prepared: bool,
    synced: bool,
    ended: bool,
    version: watch::Receiver<u64>,
    /// Version of the index at the begin of the last look.
    seen: u64,
    /// Deletions that were looked at.
    deletions: u64,
    quick_at: Instant,
    whole_at: Instant,
    /// Time spent in looking since the last whole look began.
    cost: Duration,
    bookmark_at: Instant,
    ask_at: Instant,
    end_at: Instant,
}

impl<K: Kind> Engine<K> {
    pub(super) fn new(
        services: Services,
        caller: Caller,
        kind: K,
        sight: Sight,
        filter: u64,
        resume_token: &str,
        place: OwnedSemaphorePermit,
    ) -> Result<Self, Status> {
        let history = services.history.clone();
        let resumed = if resume_token.is_empty() {
            None
        } else {
            let filter = filter_of(filter, &caller, &sight);
            let version = ResumeToken::version(resume_token, K::NAME, history.process(), filter);
            Some(
                version
                    .filter(|version| history.reaches(*version))
                    .ok_or_else(errors::too_old)?,
            )
        };
        let mut version = services.fleet().version();
        version.mark_unchanged();
        let now = Instant::now();
        let place_in_history = resumed.map_or(Place::Count(u64::MAX), Place::Version);
        let (deleted, deletions) = K::deleted(&history, place_in_history);
        let mut engine = Self {
            kind,
            caller,
            sight,
            filter,
            _place: place,
            told: HashMap::new(),
            resumed,
            queue: deleted.into_iter().map(Look::Deleted).collect(),
            prepared: false,
            synced: false,
            ended: false,
            version,
            seen: 0,
            deletions,
            quick_at: now,
            whole_at: now + WHOLE,
            cost: Duration::ZERO,
            bookmark_at: now + BOOKMARK_PERIOD,
            ask_at: now + REAUTHORISE_PERIOD,
            end_at: now + LIFE.mul_f64(rand::rng().random_range(0.9..1.1)),
            services,
        };
        engine.queue_all();
        Ok(engine)
    }

    /// The next event; `None`: the watch has ended.
    pub(super) async fn next(&mut self) -> Option<Result<K::Response, Status>> {
        if self.ended {
            return None;
        }
        if !std::mem::replace(&mut self.prepared, true) {
            self.kind.prepare(&self.services).await;
        }
        let shutdown = self.services.shutdown.clone();
        loop {
            while let Some(look) = self.queue.pop_front() {
                if let Some(event) = self.look(&look) {
                    return Some(Ok(event));
                }
                tokio::task::consume_budget().await;
            }
            if !self.synced {
                self.synced = true;
                return Some(Ok(K::response(EventType::Synced, None, self.token())));
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {
                    self.ended = true;
                    let message = "this hub's process is ending: go on from the last resume_token";
                    return Some(Err(errors::unavailable(Reason::ShuttingDown, message, None)));
                }
                () = tokio::time::sleep_until(self.ask_at) => {
                    if let Err(status) = self.ask_again().await {
                        self.ended = true;
                        return Some(Err(status));
                    }
                }
                () = tokio::time::sleep_until(self.end_at) => {
                    self.ended = true;
                    return Some(Ok(K::response(EventType::Bookmark, None, self.token())));
                }
                () = tokio::time::sleep_until(self.bookmark_at) => {
                    self.bookmark_at = Instant::now() + BOOKMARK_PERIOD;
                    return Some(Ok(K::response(EventType::Bookmark, None, self.token())));
                }
                () = tokio::time::sleep_until(self.whole_at) => {
                    self.kind.prepare(&self.services).await;
                    self.whole_at = Instant::now() + WHOLE.max(self.cost * REST);
                    self.cost = Duration::ZERO;
                    self.queue_all();
                }
                changed = self.version.changed() => {
                    if changed.is_err() {
                        self.ended = true;
                        return Some(Err(errors::unavailable(Reason::ShuttingDown, "the hub is ending", None)));
                    }
                    tokio::time::sleep_until(self.quick_at).await;
                    self.quick_look();
                }
            }
        }
    }

    /// Everything that is there, and everything that was told.
    fn queue_all(&mut self) {
        let index = self.services.handle.fleet.index();
        self.seen = index.version();
        let mut keys = K::keys(&index);
        keys.extend(
            self.told
                .keys()
                .filter(|key| !is_there::<K>(&index, key))
                .cloned(),
        );
        drop(index);
        self.queue.extend(keys.into_iter().map(Look::At));
        self.look_at_deletions();
    }

    /// What the index has marked since the last look, and what was told and is gone.
    fn quick_look(&mut self) {
        let begun = Instant::now();
        self.version.mark_unchanged();
        let (seen, keys) = {
            let index = self.services.handle.fleet.index();
            (index.version(), K::keys(&index))
        };
        for key in keys {
            // The index is taken anew for each: the fleet goes on.
            if K::is_touched(&self.services.handle.fleet.index(), &key, self.seen) {
                self.queue.push_back(Look::At(key));
            }
        }
        {
            let index = self.services.handle.fleet.index();
            let gone = self.told.keys().filter(|key| !is_there::<K>(&index, key));
            self.queue.extend(gone.cloned().map(Look::At));
        }
        self.seen = seen;
        self.look_at_deletions();
        self.quick_at = Instant::now() + QUICK.max(begun.elapsed() * REST);
    }

    /// A reader that has gone on may know what we have never told: deletions are told by name.
    fn look_at_deletions(&mut self) {
        if self.resumed.is_none() {
            return;
        }
        let (deleted, deletions) = K::deleted(&self.services.history, Place::Count(self.deletions));
        self.deletions = deletions;
        self.queue.extend(deleted.into_iter().map(Look::Deleted));
    }

    fn look(&mut self, look: &Look<K::Key>) -> Option<K::Response> {
        let (Look::At(key) | Look::Deleted(key)) = look;
        let begun = Instant::now();
        let (shown, edited) = {
            let index = self.services.handle.fleet.index();
            let shown = self.kind.show(&index, key, &self.sight, Timestamp::now());
            let edited = self
                .resumed
                .is_some_and(|from| K::is_edited(&index, key, from));
            (shown, edited)
        };
        self.cost += begun.elapsed();
        let Some(item) = shown else {
            let told = self.told.remove(key).is_some();
            let perhaps_known = match look {
                Look::Deleted(_) => true,
                // What has left the filter since the token is said once, with the snapshot.
                Look::At(_) => edited && !self.synced,
            };
            let say = told || (perhaps_known && K::may_name(&self.sight, key));
            return say.then(|| K::response(EventType::Deleted, Some(K::gone(key)), String::new()));
        };
        let new = K::fingerprint(&item);
        let event = match self.told.insert(key.clone(), new) {
            Some(old) if old == new => return None,
            None if self.resumed.is_none() || self.synced => EventType::Added,
            _ => EventType::Modified,
        };
        Some(K::response(event, Some(item), String::new()))
    }

    async fn ask_again(&mut self) -> Result<(), Status> {
        self.ask_at = Instant::now() + REAUTHORISE_PERIOD;
        let user = self
            .services
            .access
            .authn()
            .user(&self.caller.credentials, Timestamp::now())
            .await?;
        self.caller.user = user;
        let sight = self.kind.sight(&self.services, &self.caller).await?;
        if sight != self.sight {
            self.sight = sight;
            self.queue_all();
            // What was told and may no longer be seen is looked at as well: it is among what is there.
        }
        Ok(())
    }

    fn token(&self) -> String {
        let filter = filter_of(self.filter, &self.caller, &self.sight);
        ResumeToken::new(K::NAME, self.services.history.process(), filter, self.seen).text()
    }
}

/// Whether the index has it.
fn is_there<K: Kind>(index: &FleetIndex, key: &K::Key) -> bool {
    K::is_touched(index, key, 0)
}

/// A token is good for the same user with the same sight: what has come into sight since must be told.
fn filter_of(filter: u64, caller: &Caller, sight: &Sight) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    // Only compared within this process.
    let mut hasher = DefaultHasher::new();
    filter.hash(&mut hasher);
    caller.user.name.hash(&mut hasher);
    match sight {
        Sight::All => 0_u8.hash(&mut hasher),
        Sight::Some(namespaces) => namespaces.hash(&mut hasher),
    }
    hasher.finish()
}
