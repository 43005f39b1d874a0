//! The authority: root and intermediate in Secrets of their own, made on the first start.
//!
//! In: two Secrets that the chart made empty, and the root's fingerprint in the hub's identity. Out: an authority.
//! Law: a CA that is missing while its fingerprint is recorded is never made anew in silence. Not: rotation.

use super::identity::{self, HubIdentity, IdentityError};
use super::secret::{Data, StoredSecret};
use crate::enrolment::CertificateAuthority;
use crate::enrolment::ca::{CaError, PemPair};
use jiff::Timestamp;
use segment_core::fence::raised;
use segment_core::ids::HubId;
use segment_runtime::ApiError;
use std::collections::BTreeMap;
use std::convert::Infallible;

const CERT: &str = "tls.crt";
const KEY: &str = "tls.key";

/// The Secrets that make a hub what it is.
#[derive(Clone, Debug)]
pub struct HubSecrets {
    /// Hub id, era, fingerprint, old terms.
    pub identity: StoredSecret,
    /// Root certificate and key.
    pub root: StoredSecret,
    /// Intermediate certificate and key.
    pub intermediate: StoredSecret,
}

/// The hub has no usable authority.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The API server.
    #[error("the authority's Secrets can't be read or written")]
    Api(#[from] ApiError),
    /// The identity.
    #[error("the hub has no identity")]
    Identity(#[from] IdentityError),
    /// It was there and is not.
    #[error(
        "Secret {secret} is empty, but this hub's root is on record ({fingerprint}): restore the Secret from a backup; \
         a new root would lock every cluster out"
    )]
    Lost {
        /// Which Secret.
        secret: &'static str,
        /// The fingerprint on record.
        fingerprint: String,
    },
    /// Another root is in the Secret.
    #[error(
        "Secret segment-hub-ca-root has root {found}, on record is {recorded}: restore the right one from a backup"
    )]
    OtherRoot {
        /// In the Secret.
        found: String,
        /// In the identity.
        recorded: String,
    },
    /// What is in the Secrets can't be used.
    #[error("the authority can't be used")]
    Ca(#[from] CaError),
}

fn pair(data: &Data) -> Option<PemPair> {
    let text = |key| {
        data.get(key)
            .and_then(|bytes| String::from_utf8(bytes.clone()).ok())
    };
    Some(PemPair {
        cert: text(CERT)?,
        key: text(KEY).unwrap_or_default(),
    })
}

fn data(pair: &PemPair) -> Data {
    BTreeMap::from([
        (CERT.to_owned(), pair.cert.clone().into_bytes()),
        (KEY.to_owned(), pair.key.clone().into_bytes()),
    ])
}

/// Fills an empty Secret and returns what it holds then: whoever was first wins.
async fn fill(secret: &StoredSecret, new: &PemPair) -> Result<Option<PemPair>, ApiError> {
    let stored = secret
        .update(|old| Ok::<_, Infallible>(pair(old).is_none().then(|| data(new))))
        .await?
        .unwrap_or_else(|never| match never {});
    Ok(pair(&stored))
}

/// Loads identity and authority; makes both on the very first start. Only the leader calls it.
///
/// # Errors
/// As [`AuthorityError`] tells; the hub must not start then.
pub async fn load_or_create(
    secrets: &HubSecrets,
    now: Timestamp,
) -> Result<(HubIdentity, CertificateAuthority), AuthorityError> {
    let recorded = identity::read(&secrets.identity).await?;
    let root = pair(&secrets.root.read().await?);
    let intermediate = pair(&secrets.intermediate.read().await?);
    if let Some(identity) = recorded {
        let lost = |secret: &StoredSecret| AuthorityError::Lost {
            secret: secret.name(),
            fingerprint: identity.root_fingerprint.clone(),
        };
        let root = root.ok_or_else(|| lost(&secrets.root))?;
        let intermediate = intermediate.ok_or_else(|| lost(&secrets.intermediate))?;
        let authority = CertificateAuthority::load(&root.cert, &intermediate)?;
        let found = authority.root_fingerprint();
        if found != identity.root_fingerprint {
            return Err(AuthorityError::OtherRoot {
                found,
                recorded: identity.root_fingerprint,
            });
        }
        return Ok((identity, authority));
    }
    // The CA first: an identity is recorded only once its root is safe.
    let hub_id = new_hub_id();
    let pems = CertificateAuthority::create(&hub_id, now)?;
    let (root, intermediate) = match (root, intermediate) {
        (Some(root), Some(intermediate)) => (root, intermediate),
        // A start that was cut between the two: nothing was issued yet, so the intermediate is made anew.
        (Some(root), None) => {
            let next = CertificateAuthority::next_intermediate(&hub_id, &root, now)?;
            let kept = fill(&secrets.intermediate, &next).await?.unwrap_or(next);
            (root, kept)
        }
        (None, _) => {
            let root = fill(&secrets.root, &pems.root).await?.unwrap_or(pems.root);
            let intermediate = fill(&secrets.intermediate, &pems.intermediate)
                .await?
                .unwrap_or(pems.intermediate);
            (root, intermediate)
        }
    };
    let authority = CertificateAuthority::load(&root.cert, &intermediate)?;
    let new = HubIdentity {
        hub_id,
        era: raised(None, now),
        root_fingerprint: authority.root_fingerprint(),
        old_terms: BTreeMap::new(),
    };
    let identity = identity::fill(&secrets.identity, &new).await?;
    tracing::info!(hub = %identity.hub_id, "first start: identity and authority made");
    Ok((identity, authority))
}

#[allow(
    clippy::expect_used,
    reason = "32 hexadecimal digits after a letter are a name"
)]
fn new_hub_id() -> HubId {
    HubId::new(format!("hub-{}", uuid::Uuid::new_v4().simple())).expect("a UUID makes a hub id")
}
