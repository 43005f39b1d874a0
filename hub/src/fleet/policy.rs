//! What streams tell of their clusters' own policies, on its way through the fleet task.
//!
//! In: [`PolicyEvent`]s. Out: the index, and whether a text is to be asked for. Law: that is decided where the index is
//! written, so that no cluster's policy stays unknown because another one's was dropped meanwhile.
//! Not: which policy is whose (`core::index`), when to ask (`core::sync::hub`).

use super::{Event, Fleet, FleetGone};
use segment_core::admit::Policy;
use segment_core::ids::{ClusterName, PolicyDigest};
use segment_core::index::{Changed, FleetIndex};
use std::sync::Arc;
use tokio::sync::oneshot;

/// What a stream tells of its cluster's own policy.
#[derive(Debug)]
pub enum PolicyEvent {
    /// Which one it is.
    Told {
        /// Whose.
        cluster: ClusterName,
        /// On which stream.
        session: u64,
        /// Its digest; none where no policy can be told.
        digest: Option<PolicyDigest>,
        /// Takes whether its text is to be asked for.
        wanted: oneshot::Sender<bool>,
    },
    /// What it says.
    Read {
        /// Whose.
        cluster: ClusterName,
        /// On which stream.
        session: u64,
        /// Its digest.
        digest: PolicyDigest,
        /// None where this hub can't read it.
        policy: Option<Arc<Policy>>,
    },
}

impl PolicyEvent {
    /// Applies it to the index. Nothing that is ordered or shown in a status hangs on it.
    pub(super) fn apply(self, index: &mut FleetIndex) -> Changed {
        match self {
            Self::Told {
                cluster,
                session,
                digest,
                wanted,
            } => {
                // The session may have gone meanwhile.
                let _gone = wanted.send(index.policy_told(&cluster, session, digest));
            }
            Self::Read {
                cluster,
                session,
                digest,
                policy,
            } => {
                if policy.is_none() {
                    // Its words stay out of the log: they are the cluster's own.
                    tracing::warn!(%cluster, %digest, "this hub can't read the policy of this cluster");
                }
                index.policy_read(&cluster, session, digest, policy);
            }
        }
        Changed::default()
    }
}

impl Fleet {
    /// A stream tells its cluster's policy. Answers with its digest when the text is to be asked for.
    ///
    /// # Errors
    /// When the task has ended.
    pub async fn policy_told(
        &self,
        cluster: &ClusterName,
        session: u64,
        digest: Option<PolicyDigest>,
    ) -> Result<Option<PolicyDigest>, FleetGone> {
        let (wanted, answer) = oneshot::channel();
        let told = PolicyEvent::Told {
            cluster: cluster.clone(),
            session,
            digest,
            wanted,
        };
        self.tell(Event::Policy(told)).await?;
        let wanted = answer.await.map_err(|_| FleetGone)?;
        Ok(digest.filter(|_| wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{FleetEnds, SeenCluster, StreamEvent, fleet};
    use crate::metrics::FleetMetrics;
    use segment_core::ids::HubId;
    use segment_core::index::Settings;
    use segment_core::segment::HouseDefaults;
    use segment_core::sync::frame::Hello;
    use segment_core::testing::{self, view};
    use tokio_util::sync::CancellationToken;

    const DIGEST: PolicyDigest = PolicyDigest([1; 16]);

    fn cluster(name: &str) -> SeenCluster {
        SeenCluster {
            view: view(name, &[]),
            generation: 1,
            created: None,
            bound_uid: None,
            status: None,
        }
    }

    fn hello() -> Hello {
        Hello {
            policy: Some(DIGEST),
            ..testing::hello()
        }
    }

    async fn greeted(fleet: &Fleet, cluster: &ClusterName, session: u64) {
        let event = Event::Stream {
            cluster: cluster.clone(),
            session,
            what: StreamEvent::Greeted(Box::new(hello()), None),
        };
        fleet.tell(event).await.unwrap();
    }

    /// What sessions do, one after the other.
    async fn two_sessions(fleet: &Fleet) {
        let names = ["eu-1", "eu-2"];
        let clusters = names.map(cluster).into();
        fleet.tell(Event::Clusters(clusters)).await.unwrap();
        let [first, second] = names.map(|name| ClusterName::new(name).unwrap());
        greeted(fleet, &first, 1).await;
        let wanted = fleet.policy_told(&first, 1, Some(DIGEST)).await.unwrap();
        assert_eq!(wanted, Some(DIGEST));
        let read = PolicyEvent::Read {
            cluster: first.clone(),
            session: 1,
            digest: DIGEST,
            policy: Some(Arc::new(Policy::default())),
        };
        fleet.tell(Event::Policy(read)).await.unwrap();
        greeted(fleet, &second, 2).await;
        let wanted = fleet.policy_told(&second, 2, Some(DIGEST)).await.unwrap();
        assert_eq!(wanted, None, "the first one has told it");
        let policy = |name| fleet.index().clusters()[name].policy.clone().unwrap();
        assert!(Arc::ptr_eq(&policy(&first), &policy(&second)));
        // It changes, and can't be told any more.
        let wanted = fleet.policy_told(&second, 2, None).await.unwrap();
        assert_eq!(wanted, None);
        assert_eq!(fleet.index().clusters()[&second].policy, None);
    }

    #[tokio::test]
    async fn a_policy_is_asked_of_the_first_cluster_that_tells_it_and_shared() {
        let hub = HubId::new("hub-0123456789").unwrap();
        let defaults = HouseDefaults::from_env(std::iter::empty()).unwrap();
        let index = FleetIndex::new(hub, defaults, Settings::default(), jiff::Timestamp::now());
        let (task, ends) = fleet(index, Vec::new(), Vec::new(), FleetMetrics::default());
        let FleetEnds {
            fleet,
            listed: _listed,
            effects: _effects,
            status: _status,
        } = ends;
        tokio::select! {
            () = task.run(CancellationToken::new()) => panic!("the task ends before its events"),
            () = two_sessions(&fleet) => {}
        }
    }
}
