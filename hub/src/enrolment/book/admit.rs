//! Which leaves are still good, and what ends them.

use jiff::{SignedDuration, Timestamp};
use segment_core::ids::{ClusterName, Uid};

use super::{EnrolmentBook, RENEWAL_GRACE};

/// Why a valid certificate of ours is refused all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeafRefusal {
    /// The name is banned.
    #[error("cluster is banned since {0}")]
    Banned(Timestamp),
    /// It was issued before the name's `validFrom`: revoked, evicted or re-enrolled since.
    #[error("certificate was issued before {0}: join again")]
    BeforeValidFrom(Timestamp),
    /// The name is held by another spoke.
    #[error("name is bound to the spoke with uid {0}")]
    OtherSpoke(Uid),
}

impl EnrolmentBook {
    /// Whether a leaf that TLS has verified is still good, for orders and for renewal alike. `issued` is its
    /// `notBefore` plus [`BACKDATE`](super::super::ca::BACKDATE).
    ///
    /// A name that the book does not know is let in: the certificate is our own word, and a book restored from an
    /// older copy must not lock clusters out. What has been evicted stays in the book for longer than any leaf lives.
    ///
    /// # Errors
    /// As [`LeafRefusal`] tells.
    pub fn admit_leaf(
        &self,
        cluster: &ClusterName,
        cluster_uid: Uid,
        issued: Timestamp,
    ) -> Result<(), LeafRefusal> {
        let Some(name) = self.names.get(cluster) else {
            return Ok(());
        };
        if let Some(since) = name.banned {
            return Err(LeafRefusal::Banned(since));
        }
        if let Some(since) = name.valid_from.filter(|since| issued < *since) {
            return Err(LeafRefusal::BeforeValidFrom(since));
        }
        match name.cluster_uid {
            Some(holder) if holder != cluster_uid => Err(LeafRefusal::OtherSpoke(holder)),
            _ => Ok(()),
        }
    }

    /// Ends all that was issued to a name; a new token may enrol it again. Also what deleting a Cluster does.
    pub fn evict(&mut self, cluster: &ClusterName, now: Timestamp) {
        let name = self.names.entry(cluster.clone()).or_default();
        name.cluster_uid = None;
        // The next whole second: certificates know no parts of one, and what was issued in this one shall end too.
        name.valid_from = Some(whole_seconds(now) + SignedDuration::from_secs(1));
    }

    /// Ends all that was issued to a name, and lets nobody enrol it.
    pub fn ban(&mut self, cluster: &ClusterName, now: Timestamp) {
        self.evict(cluster, now);
        if let Some(name) = self.names.get_mut(cluster) {
            name.banned = name.banned.or(Some(now));
        }
    }

    /// Lets a banned name be enrolled again; what was issued before stays refused.
    pub fn unban(&mut self, cluster: &ClusterName) {
        if let Some(name) = self.names.get_mut(cluster) {
            name.banned = None;
        }
    }

    /// Drops what can have no effect any more: tokens that are over, and a `validFrom` once every leaf issued before
    /// it (living at most `leaf_life`) is past its grace, and a day more. Whether anything was dropped.
    pub fn compact(&mut self, now: Timestamp, leaf_life: SignedDuration) -> bool {
        let before = (self.tokens.len(), self.names.clone());
        self.tokens.retain(|_, token| now < token.expires);
        let keep = leaf_life + RENEWAL_GRACE + SignedDuration::from_hours(24);
        self.names.retain(|_, name| {
            if name.valid_from.is_some_and(|since| since + keep <= now) {
                name.valid_from = None;
            }
            name.cluster_uid.is_some() || name.valid_from.is_some() || name.banned.is_some()
        });
        before != (self.tokens.len(), self.names.clone())
    }
}

/// Certificates know whole seconds; so do the times that are compared with theirs.
pub(super) fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}
