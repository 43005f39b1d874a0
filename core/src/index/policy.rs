//! Which cluster has which policy of its own: each policy is kept once, whoever has it.
//!
//! In: digests as streams tell them, policies as streams answer. Out: whether a policy has to be asked for.
//! Law: a cluster's policy is the one that its agent told last, or unknown, never an older one; what the index keeps are
//! policies of its clusters. Not: texts (`admit/text.rs`), who was asked (`sync/policy.rs`).

use super::FleetIndex;
use crate::admit::Policy;
use crate::ids::{ClusterName, PolicyDigest};
use std::collections::BTreeSet;
use std::sync::Arc;

/// One policy and the clusters that have it.
#[derive(Debug, Default)]
pub(super) struct Shared {
    clusters: BTreeSet<ClusterName>,
    text: Text,
}

/// What came of a policy's text.
#[derive(Debug, Default)]
enum Text {
    /// It has not come.
    #[default]
    Awaited,
    /// This hub can't read it: asking another cluster would bring the same.
    Unreadable,
    /// It was read.
    Read(Arc<Policy>),
}

impl Text {
    fn policy(&self) -> Option<Arc<Policy>> {
        match self {
            Self::Read(policy) => Some(Arc::clone(policy)),
            Self::Awaited | Self::Unreadable => None,
        }
    }
}

impl FleetIndex {
    /// A stream has told the digest of its cluster's policy, or that none can be told. True when nobody has told the text
    /// yet: it is to be asked for.
    pub fn policy_told(
        &mut self,
        name: &ClusterName,
        session: u64,
        digest: Option<PolicyDigest>,
    ) -> bool {
        let Some(cluster) = self
            .clusters
            .get(name)
            .filter(|cluster| cluster.session == Some(session))
        else {
            return false;
        };
        let before = cluster.policy_digest;
        if before != digest {
            self.leave_policy(name, before);
        }
        let shared = digest.map(|digest| self.policies.entry(digest).or_default());
        let policy = shared.as_ref().and_then(|shared| shared.text.policy());
        let wanted = shared.is_some_and(|shared| {
            shared.clusters.insert(name.clone());
            matches!(shared.text, Text::Awaited)
        });
        if before != digest {
            let version = self.bump();
            if let Some(cluster) = self.clusters.get_mut(name) {
                cluster.policy_digest = digest;
                cluster.policy = policy;
                cluster.version = version;
            }
        }
        wanted
    }

    /// A stream has answered with the text of its cluster's policy; none where this hub can't read it.
    pub fn policy_read(
        &mut self,
        name: &ClusterName,
        session: u64,
        digest: PolicyDigest,
        policy: Option<Arc<Policy>>,
    ) {
        let told = self.clusters.get(name).is_some_and(|cluster| {
            cluster.session == Some(session) && cluster.policy_digest == Some(digest)
        });
        let Some(shared) = self.policies.get_mut(&digest).filter(|_| told) else {
            return;
        };
        if !matches!(shared.text, Text::Awaited) {
            // Asked of several at once: the first answer is kept, so that all of them share one.
            return;
        }
        shared.text = policy.map_or(Text::Unreadable, Text::Read);
        let policy = shared.text.policy();
        let clusters = shared.clusters.clone();
        let version = self.bump();
        for name in clusters {
            if let Some(cluster) = self.clusters.get_mut(&name) {
                cluster.policy.clone_from(&policy);
                cluster.version = version;
            }
        }
    }

    /// A cluster has this policy no longer; with the last one it is forgotten.
    pub(super) fn leave_policy(&mut self, name: &ClusterName, digest: Option<PolicyDigest>) {
        let Some(digest) = digest else { return };
        if let Some(shared) = self.policies.get_mut(&digest) {
            shared.clusters.remove(name);
            if shared.clusters.is_empty() {
                self.policies.remove(&digest);
            }
        }
    }
}

#[cfg(test)]
mod tests;
