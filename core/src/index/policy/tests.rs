//! Policies are shared, wanted until one answer has come, and forgotten with the last cluster.

use super::*;
use crate::ids::HubId;
use crate::index::Settings;
use crate::segment::HouseDefaults;
use crate::testing::{hello, view};
use jiff::Timestamp;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;
const ONE: PolicyDigest = PolicyDigest([1; 16]);
const TWO: PolicyDigest = PolicyDigest([2; 16]);

fn name(i: u64) -> ClusterName {
    ClusterName::new(format!("c{i}")).unwrap()
}

/// Clusters `c0`, `c1`, …, each on a stream of its own number.
fn index(clusters: u64) -> FleetIndex {
    let hub = HubId::new("hub-0123456789").unwrap();
    let defaults = HouseDefaults::from_env(std::iter::empty()).unwrap();
    let mut index = FleetIndex::new(hub, defaults, Settings::default(), NOW);
    for i in 0..clusters {
        index.apply_cluster(view(name(i).as_str(), &[]), 1, None, None, NOW);
        connect(&mut index, i, i);
    }
    index
}

fn connect(index: &mut FleetIndex, i: u64, session: u64) {
    index.connected(&name(i), session, &hello(), None, NOW);
}

fn policy() -> Arc<Policy> {
    Arc::new(Policy::default())
}

fn of(index: &FleetIndex, i: u64) -> Option<&Arc<Policy>> {
    index.clusters()[&name(i)].policy.as_ref()
}

#[test]
fn a_thousand_clusters_share_one_policy_that_is_wanted_until_the_first_answer() {
    let mut index = index(1_000);
    for i in 0..10 {
        assert!(index.policy_told(&name(i), i, Some(ONE)), "no answer yet");
    }
    index.policy_read(&name(3), 3, ONE, Some(policy()));
    // Of those that were asked too.
    index.policy_read(&name(4), 4, ONE, Some(policy()));
    let wanted = (10..1_000)
        .filter(|i| index.policy_told(&name(*i), *i, Some(ONE)))
        .count();
    assert_eq!(wanted, 0);
    let first = of(&index, 0).unwrap();
    assert!((0..1_000).all(|i| of(&index, i).is_some_and(|policy| Arc::ptr_eq(policy, first))));
    assert_eq!(index.policies.len(), 1);
}

#[test]
fn a_policy_that_changes_is_unknown_until_it_is_read_and_the_old_one_is_forgotten() {
    let mut index = index(1);
    assert!(index.policy_told(&name(0), 0, Some(ONE)));
    index.policy_read(&name(0), 0, ONE, Some(policy()));
    let version = index.version();
    assert!(index.policy_told(&name(0), 0, Some(TWO)));
    assert_eq!(of(&index, 0), None, "never an older one");
    assert!(index.version() > version);
    // Too late.
    index.policy_read(&name(0), 0, ONE, Some(policy()));
    assert_eq!(of(&index, 0), None);
    index.policy_read(&name(0), 0, TWO, Some(policy()));
    assert!(of(&index, 0).is_some());
    assert!(
        index.policy_told(&name(0), 0, Some(ONE)),
        "it was forgotten: it has to be asked for again"
    );
    assert!(!index.policy_told(&name(0), 0, None));
    assert!(index.policies.is_empty());
    assert_eq!(index.clusters()[&name(0)].policy_digest, None);
}

#[test]
fn what_this_hub_cannot_read_is_unknown_and_not_asked_for_again() {
    let mut index = index(2);
    assert!(index.policy_told(&name(0), 0, Some(ONE)));
    index.policy_read(&name(0), 0, ONE, None);
    assert!(!index.policy_told(&name(1), 1, Some(ONE)));
    assert_eq!(of(&index, 1), None);
}

#[test]
fn it_outlives_the_stream_and_not_the_cluster() {
    let mut index = index(1);
    index.policy_told(&name(0), 0, Some(ONE));
    index.policy_read(&name(0), 0, ONE, Some(policy()));
    index.disconnected(&name(0), 0, NOW);
    assert!(of(&index, 0).is_some(), "the last known one stays");
    connect(&mut index, 0, 7);
    assert!(!index.policy_told(&name(0), 7, Some(ONE)));
    index.delete_cluster(&name(0));
    assert!(index.policies.is_empty());
}

#[test]
fn an_old_stream_tells_nothing() {
    let mut index = index(1);
    connect(&mut index, 0, 7);
    assert!(!index.policy_told(&name(0), 0, Some(ONE)));
    assert!(
        !index.policy_told(&name(1), 0, Some(ONE)),
        "nor an unknown cluster"
    );
    assert!(index.policies.is_empty());
    assert!(index.policy_told(&name(0), 7, Some(ONE)));
    index.policy_read(&name(0), 0, ONE, Some(policy()));
    assert_eq!(of(&index, 0), None);
}
