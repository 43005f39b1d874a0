//! Watches: a snapshot, SYNCED, then changes.
//!
//! ```text
//! index version rises ─► quick look (what is marked as changed) ─┐
//! a while has passed  ─► whole look (marks know no time)         ├─► keys to look at ─► differs from what was sent? ─► event
//! rights changed      ─► whole look                              ┘
//! ```
//! In: a request, the index' version, time. Out: a stream that is computed as it is read.
//! Law: the last value wins: a key that waits costs its name, its value is read when the reader is ready; what a reader
//! has been told equals what a list would show, a moment later; rights are asked for again each minute.
//! Not: how a thing is shown (`view`).

mod clusters;
mod engine;
pub mod history;
mod segments;
mod token;

use super::access::{Caller, Sight};
use super::errors::{self, Reason};
use super::state::Services;
use engine::Engine;
use jiff::Timestamp;
use segment_core::index::FleetIndex;
use segment_proto::v1::EventType;
use std::future::Future;
use std::hash::Hash;
use std::pin::Pin;
use tonic::Status;

/// A stream of events.
pub type Watched<T> = Pin<Box<dyn futures::Stream<Item = Result<T, Status>> + Send>>;

/// What is watched.
trait Kind: Send + Sync + 'static {
    /// Its name.
    type Key: Clone + Ord + Hash + Send + Sync + 'static;
    /// As it is shown.
    type Item: Send + 'static;
    /// An event of it.
    type Response: Send + 'static;
    /// In resume tokens.
    const NAME: &'static str;

    /// What the caller may see.
    fn sight(
        &self,
        services: &Services,
        caller: &Caller,
    ) -> impl Future<Output = Result<Sight, Status>> + Send;
    /// Reads what a look needs beside the index.
    fn prepare(&mut self, services: &Services) -> impl Future<Output = ()> + Send;
    /// All there are, seen or not.
    fn keys(index: &FleetIndex) -> Vec<Self::Key>;
    /// Whether the index has marked something of it as changed after this version.
    fn is_touched(index: &FleetIndex, key: &Self::Key, after: u64) -> bool;
    /// Whether its own labels may have changed after this version: it may have left the filter.
    fn is_edited(index: &FleetIndex, key: &Self::Key, after: u64) -> bool;
    /// Whether its name may be said.
    fn may_name(sight: &Sight, key: &Self::Key) -> bool;
    /// As it is shown; `None`: it is gone, or not in the filter, or not to be seen.
    fn show(
        &self,
        index: &FleetIndex,
        key: &Self::Key,
        sight: &Sight,
        now: Timestamp,
    ) -> Option<Self::Item>;
    /// Equal for equal items, whatever the order of their maps.
    fn fingerprint(item: &Self::Item) -> u64;
    /// One that is gone: only its name.
    fn gone(key: &Self::Key) -> Self::Item;
    /// An event.
    fn response(event: EventType, item: Option<Self::Item>, resume_token: String)
    -> Self::Response;
    /// Those that were deleted, newest last, with their place in the history.
    fn deleted(history: &history::History, after: history::Place) -> (Vec<Self::Key>, u64);
}

/// Starts a watch. `filter`: digest of the request.
async fn start<K: Kind>(
    services: &Services,
    caller: Caller,
    kind: K,
    filter: u64,
    resume_token: &str,
) -> Result<Watched<K::Response>, Status> {
    let place = services.watches.clone().try_acquire_owned().map_err(|_| {
        let message = format!(
            "{} watches are open on this hub: end some, or list instead",
            super::state::WATCHES
        );
        errors::exhausted(Reason::TooManyWatches, "watches", message)
    })?;
    let sight = kind.sight(services, &caller).await?;
    let engine = Engine::new(
        services.clone(),
        caller,
        kind,
        sight,
        filter,
        resume_token,
        place,
    )?;
    Ok(Box::pin(futures::stream::unfold(
        engine,
        |mut engine| async move {
            let event = engine.next().await?;
            Some((event, engine))
        },
    )))
}
