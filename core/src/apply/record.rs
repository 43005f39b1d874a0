//! What an agent remembers of what it did, per entry; kept in the store, behind.
//!
//! In: our writes and the server's answers. Out: [`Record`].
//! Law: what the server answered to our write is the reference; a lost record costs dry-runs, never a write too many.
//! Not: how it is stored (the agent's `store.rs`).

use super::{Live, Place, Settings, Why};
use crate::ids::{Digest, Uid};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

/// Newest corrections that are kept: as many as make a CronJob contested, and some more.
const CORRECTIONS_KEPT: usize = 16;

/// The CronJob as the server answered our last write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reference {
    /// Where it is.
    pub place: Place,
    /// Its uid.
    pub uid: Uid,
    /// Digest of what we asked for.
    pub wrote: Digest,
    /// Digest of what the server made of it.
    pub live: Digest,
    /// Labels and annotations that we put there, beside those that every CronJob of ours has: `labels/…`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
}

impl Reference {
    /// Of a live object that is as desired.
    pub(super) fn new(live: &Live, wrote: Digest, desired: &Value) -> Self {
        let keys = ["labels", "annotations"]
            .iter()
            .flat_map(|kind| {
                let map = desired["metadata"][*kind].as_object();
                map.into_iter()
                    .flat_map(|map| map.keys())
                    .map(move |key| format!("{kind}/{key}"))
            })
            .filter(|key| !key.contains("segment.grnry.io/") && !key.contains("app.kubernetes.io/"))
            .collect();
        Self {
            place: live.place.clone(),
            uid: live.uid,
            wrote,
            live: live.digest,
            keys,
        }
    }

    pub(super) fn wrote_key(&self, kind: &str, key: &str) -> bool {
        self.keys.iter().any(|wrote| {
            wrote
                .strip_prefix(kind)
                .and_then(|rest| rest.strip_prefix('/'))
                == Some(key)
        })
    }
}

/// What is remembered of an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Record {
    /// The CronJob that we wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied: Option<Reference>,
    /// The old place of a move, until its CronJob is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaving: Option<Place>,
    /// When we suspended it for a removal or a move, or found it suspended (the API server's clock).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspended_at: Option<Timestamp>,
    /// When its removal began (the API server's clock).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removing_since: Option<Timestamp>,
    /// Corrections of drift in all.
    pub corrections: u32,
    /// The newest of them (the agent's clock).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub corrected: Vec<Timestamp>,
    /// Field manager of the last change that was corrected.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub drifted_by: String,
}

impl Record {
    /// After a create that the server answered with `live`; `moves_from` is the step's.
    pub fn after_create(
        &mut self,
        live: &Live,
        wrote: Digest,
        body: &Value,
        moves_from: Option<Place>,
    ) {
        self.applied = Some(Reference::new(live, wrote, body));
        self.suspended_at = None;
        self.leaving = moves_from.or(self.leaving.take());
    }

    /// After a replacement that the server answered with `live`. `before` is the object that was replaced; `now` is the
    /// agent's clock, with which corrections are compared.
    pub fn after_put(
        &mut self,
        why: Why,
        live: &Live,
        wrote: Digest,
        body: &Value,
        before: Option<&Live>,
        now: Timestamp,
    ) {
        match why {
            Why::Update | Why::Adopt | Why::Resume | Why::Drift => {
                self.applied = Some(Reference::new(live, wrote, body));
                self.suspended_at = None;
            }
            Why::Suspend => {
                self.suspended_at = Some(live.server_now(now));
                // Should the removal be taken back, lifting the suspension is an update and no drift.
                if let Some(applied) = self
                    .applied
                    .as_mut()
                    .filter(|applied| applied.uid == live.uid)
                {
                    applied.wrote = wrote;
                    applied.live = live.digest;
                }
            }
            Why::Orphan => self.applied = None,
        }
        if why == Why::Drift {
            self.corrections = self.corrections.saturating_add(1);
            self.corrected.push(now);
            if self.corrected.len() > CORRECTIONS_KEPT {
                self.corrected.remove(0);
            }
            self.drifted_by = before.and_then(Live::last_manager).unwrap_or_default();
        }
    }

    /// Whether someone keeps changing it (rule 20).
    pub fn is_contested(&self, now: Timestamp, settings: &Settings) -> bool {
        let recent = |at: &&Timestamp| elapsed(**at, now) < settings.contested_window;
        self.corrected.iter().filter(recent).count() >= settings.contested_after
    }
}

/// Time between two readings of a clock; none when it was set back meanwhile.
pub(super) fn elapsed(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}
