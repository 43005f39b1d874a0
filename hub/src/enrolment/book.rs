//! Who holds which name: tokens, bindings, bans. One value, kept in one Secret of the hub's namespace.
//!
//! **In:** what people and agents ask for, and the time. **Out:** the next book, grants, refusals.
//! **Law:** a token enrols one key of one spoke, once; the same key may ask again within the token's life and gets the
//! same grant; an enrolled name is nobody else's unless its Cluster allows re-enrolment; a leaf that was issued before
//! a name's `validFrom` is refused. To the outside all refusals are one; the audit knows which.
//! **Not:** storing it. Each change is written with the resourceVersion it was read with, before it is acted on.

mod admit;
mod store;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use rand::CryptoRng;
use segment_core::ids::{ClusterName, Uid};
use serde::{Deserialize, Serialize};

use super::csr::KeyDigest;
use super::token::{JoinToken, TokenDigest};

pub use admit::LeafRefusal;
pub use store::{BookError, MAX_BOOK_BYTES};

/// How long a token lives unless told otherwise.
pub const TOKEN_LIFE: SignedDuration = SignedDuration::from_hours(1);

/// How long a token may live at most: it lies about in shells and chat windows until then.
pub const MAX_TOKEN_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// Most tokens at a time. Used ones cannot be packed much (digests are random): as many, beside 10,000 names, still fit
/// into a Secret ([`MAX_BOOK_BYTES`]). Who enrols a larger fleet in one day makes the tokens in two goes.
pub const MAX_TOKENS: usize = 8_000;

/// How long after its end a leaf may still be renewed. Bans and `validFrom` outlast it.
pub const RENEWAL_GRACE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Tokens and names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnrolmentBook {
    /// By public part.
    pub tokens: BTreeMap<String, TokenRecord>,
    /// Names that are or were enrolled.
    pub names: BTreeMap<ClusterName, NameRecord>,
}

/// What is kept of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenRecord {
    /// The only name it is good for.
    pub cluster: ClusterName,
    /// Of the whole token.
    pub digest: TokenDigest,
    /// When it was made.
    pub created: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// When it ends.
    pub expires: Timestamp,
    /// Who used it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub used: Option<TokenUse>,
}

/// The one use of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenUse {
    /// The key that it was used with.
    pub key: KeyDigest,
    /// The spoke that it was used by.
    pub cluster_uid: Uid,
    /// When.
    pub at: Timestamp,
}

/// What is kept of a name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NameRecord {
    /// The spoke that holds it; none: evicted or never enrolled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_uid: Option<Uid>,
    /// Leaves issued earlier are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Timestamp>,
    /// Nobody may enrol under this name, since then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub banned: Option<Timestamp>,
}

/// A token to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// For which name.
    pub cluster: ClusterName,
    /// For how long; [`TOKEN_LIFE`] where the caller was given none.
    pub life: SignedDuration,
    /// By whom, as the API server knows them.
    pub created_by: String,
}

/// What a token is good for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenState {
    /// For one join.
    Unused,
    /// For the same key to ask again.
    Used,
    /// For nothing.
    Expired,
}

/// A request to join.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// The token as sent.
    pub token: &'a JoinToken,
    /// The key of the request.
    pub key: KeyDigest,
    /// The spoke it comes from, by its own word: the agent reads it, the identity is bound to it.
    pub cluster_uid: Uid,
}

/// What the Cluster of the token's name says about joining.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gate {
    /// `spec.reenrol`: until when an enrolled name may be enrolled anew.
    pub reenrol_until: Option<Timestamp>,
    /// `spec.access: Revoked`.
    pub revoked: bool,
}

/// A join that goes through. The certificate is issued for these values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The name.
    pub cluster: ClusterName,
    /// The spoke it is bound to.
    pub cluster_uid: Uid,
    /// The time of issue: of the first use, so that a repeated request gets the same certificate.
    pub issued: Timestamp,
    /// Whether the book has changed and must be stored before anything is answered.
    pub changed: bool,
    /// Whether the name was somebody's before.
    pub reenrolled: bool,
}

/// Why a join is refused. For the audit; the outside gets [`Refusal::PUBLIC`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No token has this id: a guess, or one that was revoked or has ended long ago.
    #[error("no such token")]
    Unknown,
    /// The id exists, the secret is another: a guess.
    #[error("wrong secret")]
    WrongSecret,
    /// Its life is over.
    #[error("token ended at {0}")]
    Expired(Timestamp),
    /// It was used with another key.
    #[error("token was used at {0} with another key")]
    OtherKey(Timestamp),
    /// It was used by another spoke.
    #[error("token was used by the spoke with uid {0}")]
    OtherSpoke(Uid),
    /// The name is enrolled, and its Cluster does not allow re-enrolment now.
    #[error("name is enrolled by the spoke with uid {0}, and spec.reenrol is not in the future")]
    AlreadyEnrolled(Uid),
    /// The name is banned.
    #[error("name is banned since {0}")]
    Banned(Timestamp),
    /// The Cluster's access is Revoked.
    #[error("access of the Cluster is Revoked")]
    Revoked,
    /// The grant was withdrawn after the token's use.
    #[error("what this token enrolled is not valid since {0}")]
    Withdrawn(Timestamp),
}

impl Refusal {
    /// What the outside is told, whatever the reason: a guesser learns nothing, an honest agent what to do.
    pub const PUBLIC: &'static str = "join refused: the token is unknown, used or over; make a new one with \
                                      `segctl cluster join`; the hub's audit log has the reason";
}

/// Why no token is made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Zero, negative or too long.
    #[error("a token lives between 1 second and {} hours", MAX_TOKEN_LIFE.as_hours())]
    Life,
    /// The name is banned.
    #[error("name {cluster} is banned since {since}")]
    Banned {
        /// The name.
        cluster: ClusterName,
        /// Since when.
        since: Timestamp,
    },
    /// There are [`MAX_TOKENS`].
    #[error("{MAX_TOKENS} tokens are in use: revoke some or wait for their end")]
    TooMany,
}

impl EnrolmentBook {
    /// Makes a token for a name. The text is shown once; the book keeps a digest.
    ///
    /// # Errors
    /// When the life is out of bounds, the name is banned, or there are too many.
    pub fn create_token(
        &mut self,
        new: NewToken,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<JoinToken, TokenError> {
        if new.life < SignedDuration::from_secs(1) || new.life > MAX_TOKEN_LIFE {
            return Err(TokenError::Life);
        }
        if let Some(since) = self.names.get(&new.cluster).and_then(|name| name.banned) {
            return Err(TokenError::Banned {
                cluster: new.cluster,
                since,
            });
        }
        self.tokens.retain(|_, token| now < token.expires);
        if self.tokens.len() >= MAX_TOKENS {
            return Err(TokenError::TooMany);
        }
        let token = loop {
            let token = JoinToken::generate(rng);
            if !self.tokens.contains_key(token.id()) {
                break token;
            }
        };
        let record = TokenRecord {
            cluster: new.cluster,
            digest: token.digest(),
            created: now,
            created_by: new.created_by,
            expires: now + new.life,
            used: None,
        };
        self.tokens.insert(token.id().to_owned(), record);
        Ok(token)
    }

    /// Which name a token is for, so that its Cluster can be read before [`EnrolmentBook::redeem`].
    ///
    /// # Errors
    /// When it is not a token of ours, or over.
    pub fn cluster_of(&self, token: &JoinToken, now: Timestamp) -> Result<&ClusterName, Refusal> {
        self.known(token, now).map(|record| &record.cluster)
    }

    /// Uses a token. On a grant with `changed` the book is stored first; if that write conflicts, everything is read
    /// and asked again: of two that race, one wins.
    ///
    /// # Errors
    /// As [`Refusal`] tells; the book is then as it was.
    pub fn redeem(
        &mut self,
        attempt: &Attempt<'_>,
        gate: &Gate,
        now: Timestamp,
    ) -> Result<Grant, Refusal> {
        let record = self.known(attempt.token, now)?;
        let cluster = record.cluster.clone();
        let used = record.used;
        if gate.revoked {
            return Err(Refusal::Revoked);
        }
        let name = self.names.get(&cluster).copied().unwrap_or_default();
        if let Some(since) = name.banned {
            return Err(Refusal::Banned(since));
        }
        if let Some(used) = used {
            return again(cluster, &name, &used, attempt);
        }
        let reenrolled = match name.cluster_uid {
            Some(holder) if gate.reenrol_until.is_none_or(|until| until <= now) => {
                return Err(Refusal::AlreadyEnrolled(holder));
            }
            holder => holder.is_some(),
        };
        let issued = admit::whole_seconds(now);
        let used = TokenUse {
            key: attempt.key,
            cluster_uid: attempt.cluster_uid,
            at: issued,
        };
        if let Some(record) = self.tokens.get_mut(attempt.token.id()) {
            record.used = Some(used);
        }
        let name = self.names.entry(cluster.clone()).or_default();
        name.cluster_uid = Some(attempt.cluster_uid);
        if reenrolled {
            // What the holder before has is not worth anything from now on.
            name.valid_from = Some(issued);
        }
        let cluster_uid = attempt.cluster_uid;
        Ok(Grant {
            cluster,
            cluster_uid,
            issued,
            changed: true,
            reenrolled,
        })
    }

    /// All tokens, newest first.
    pub fn list(&self, now: Timestamp) -> Vec<(&str, &TokenRecord, TokenState)> {
        let mut tokens: Vec<_> = self
            .tokens
            .iter()
            .map(|(id, token)| (id.as_str(), token, token.state(now)))
            .collect();
        tokens.sort_by_key(|(_, token, _)| std::cmp::Reverse(token.created));
        tokens
    }

    /// Makes a token void. Whoever enrolled with it stays enrolled. The name it was for, or `None` if there is none.
    pub fn revoke_token(&mut self, id: &str) -> Option<ClusterName> {
        self.tokens.remove(id).map(|token| token.cluster)
    }

    fn known(&self, token: &JoinToken, now: Timestamp) -> Result<&TokenRecord, Refusal> {
        // The digest is computed for unknown ids as well: the time of the answer does not tell which ids exist.
        let digest = token.digest();
        let record = self.tokens.get(token.id()).ok_or(Refusal::Unknown)?;
        if !record.digest.matches(&digest) {
            return Err(Refusal::WrongSecret);
        }
        if now >= record.expires {
            return Err(Refusal::Expired(record.expires));
        }
        Ok(record)
    }
}

/// A token that was used: the same key from the same spoke gets the same grant, for an answer that was lost.
fn again(
    cluster: ClusterName,
    name: &NameRecord,
    used: &TokenUse,
    attempt: &Attempt<'_>,
) -> Result<Grant, Refusal> {
    if used.key != attempt.key {
        return Err(Refusal::OtherKey(used.at));
    }
    if used.cluster_uid != attempt.cluster_uid {
        return Err(Refusal::OtherSpoke(used.cluster_uid));
    }
    if let Some(since) = name.valid_from.filter(|since| used.at < *since) {
        return Err(Refusal::Withdrawn(since));
    }
    let cluster_uid = used.cluster_uid;
    Ok(Grant {
        cluster,
        cluster_uid,
        issued: used.at,
        changed: false,
        reenrolled: false,
    })
}

impl TokenRecord {
    /// What it is good for.
    pub fn state(&self, now: Timestamp) -> TokenState {
        match self.used {
            _ if now >= self.expires => TokenState::Expired,
            Some(_) => TokenState::Used,
            None => TokenState::Unused,
        }
    }
}

#[cfg(test)]
mod tests;
