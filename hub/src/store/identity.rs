//! Who this hub is: hub id, era, fingerprint of its root, and how far earlier terms came.
//!
//! In: the Secret `segment-hub-identity`. Out: [`HubIdentity`]. Law: filled once; the era is raised only by
//! `accept_restore`; terms of the last 400 days are remembered. Not: the Lease.

use super::secret::{Data, StoredSecret};
use jiff::{SignedDuration, Timestamp};
use segment_core::fence::{Watermark, raised};
use segment_core::ids::HubId;
use segment_runtime::ApiError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const KEY: &str = "identity.json";

/// How long an earlier term is remembered; an agent that slept longer needs `accept-restore`.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(400 * 24);

/// The hub's identity. It survives CA rotation; a hub without it is a new hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HubIdentity {
    /// Random id.
    pub hub_id: HubId,
    /// Raised by `segctl hub accept-restore` alone.
    pub era: u64,
    /// SHA-256 of the root certificate, hexadecimal.
    pub root_fingerprint: String,
    /// Last n of earlier terms.
    #[serde(default)]
    pub old_terms: BTreeMap<u64, u64>,
}

/// The identity can't be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The API server.
    #[error("the hub's identity can't be read or written")]
    Api(#[from] ApiError),
    /// The Secret has something else in it.
    #[error("Secret segment-hub-identity can't be understood: {0}; restore it from a backup")]
    Damaged(String),
    /// It is empty where it must not be.
    #[error("Secret segment-hub-identity is empty")]
    Empty,
}

fn parse(data: &Data) -> Result<Option<HubIdentity>, IdentityError> {
    data.get(KEY)
        .map(|bytes| {
            serde_json::from_slice(bytes).map_err(|error| IdentityError::Damaged(error.to_string()))
        })
        .transpose()
}

fn written(data: &Data, identity: &HubIdentity) -> Result<Data, IdentityError> {
    let mut data = data.clone();
    let bytes =
        serde_json::to_vec(identity).map_err(|error| IdentityError::Damaged(error.to_string()))?;
    data.insert(KEY.to_owned(), bytes);
    Ok(data)
}

/// Reads the identity; `None` on the very first start.
///
/// # Errors
/// When it can't be read or understood.
pub async fn read(secret: &StoredSecret) -> Result<Option<HubIdentity>, IdentityError> {
    parse(&secret.read().await?)
}

/// Fills the Secret on the first start. Whoever was first wins; the winner's identity is returned.
///
/// # Errors
/// When it can't be written.
pub async fn fill(secret: &StoredSecret, new: &HubIdentity) -> Result<HubIdentity, IdentityError> {
    let data = secret
        .update(|data| match parse(data)? {
            Some(_) => Ok(None),
            None => written(data, new).map(Some),
        })
        .await??;
    parse(&data)?.ok_or(IdentityError::Empty)
}

/// Records how far earlier terms came, and forgets those of more than 400 days ago.
///
/// # Errors
/// When it can't be written.
pub async fn record_terms(
    secret: &StoredSecret,
    terms: &[Watermark],
    now: Timestamp,
) -> Result<HubIdentity, IdentityError> {
    let oldest = now.checked_sub(REMEMBERED).map_or(0, Timestamp::as_second);
    let data = secret
        .update(|data| {
            let mut identity = parse(data)?.ok_or(IdentityError::Empty)?;
            let before = identity.clone();
            for mark in terms {
                let n = identity.old_terms.entry(mark.term).or_default();
                *n = mark.n.max(*n);
            }
            identity
                .old_terms
                .retain(|term, _| i64::try_from(*term).is_ok_and(|term| term >= oldest));
            if identity == before {
                return Ok(None);
            }
            written(data, &identity).map(Some)
        })
        .await??;
    parse(&data)?.ok_or(IdentityError::Empty)
}

/// A human accepts the restore: the era is raised, which ends all comparisons with what clusters have seen.
///
/// # Errors
/// When it can't be written.
pub async fn accept_restore(
    secret: &StoredSecret,
    now: Timestamp,
) -> Result<HubIdentity, IdentityError> {
    let data = secret
        .update(|data| {
            let mut identity = parse(data)?.ok_or(IdentityError::Empty)?;
            identity.era = raised(Some(identity.era), now);
            identity.old_terms.clear();
            written(data, &identity).map(Some)
        })
        .await??;
    parse(&data)?.ok_or(IdentityError::Empty)
}
