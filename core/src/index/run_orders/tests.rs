//! An order is kept until its run has ended or expired, and only an agent that knows it gets it.

use super::*;
use crate::ids::HubId;
use crate::index::Settings;
use crate::segment::HouseDefaults;
use crate::sync::frame::{Hello, RUNS_NOW};
use crate::testing::{self, view};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn name() -> ClusterName {
    ClusterName::new("c").unwrap()
}

fn index() -> FleetIndex {
    let hub = HubId::new("hub-0123456789").unwrap();
    let defaults = HouseDefaults::from_env(std::iter::empty()).unwrap();
    let mut index = FleetIndex::new(hub, defaults, Settings::default(), at(0));
    index.apply_cluster(view("c", &[]), 1, None, None, at(0));
    index
}

fn connect(index: &mut FleetIndex, session: u64, capable: bool) {
    let hello = Hello {
        capabilities: capable.then(|| RUNS_NOW.to_owned()).into_iter().collect(),
        ..testing::hello()
    };
    index.connected(&name(), session, &hello, None, at(1));
}

fn event(order: &RunOrder, phase: RunPhase) -> RunEvent {
    RunEvent {
        id: order.id,
        key: order.key.hash(),
        phase,
        job: String::new(),
        started: None,
        finished: None,
        exit_code: None,
        reason: String::new(),
        message: String::new(),
        at: at(2),
    }
}

fn phase(index: &FleetIndex, order: &RunOrder) -> RunPhase {
    index.ordered_run(&name(), order.id).unwrap().phase()
}

fn pass(index: &mut FleetIndex, now: Timestamp) {
    let mut changed = Changed::default();
    index.expire_run_orders(now, &mut changed);
}

#[test]
fn an_order_is_open_until_its_run_has_ended() {
    let mut index = index();
    connect(&mut index, 1, true);
    let order = testing::run_order("one", 0);
    let changed = index.order_run(&name(), order.clone(), at(1));
    assert!(changed.runs.contains(&name()));
    assert!(
        index.order_run(&name(), order.clone(), at(2)).is_empty(),
        "ordered again it stays"
    );
    index.run_events(&name(), 1, vec![event(&order, RunPhase::Running)], at(3));
    assert_eq!(index.open_run_orders(&name()).len(), 1);
    index.run_events(&name(), 1, vec![event(&order, RunPhase::Succeeded)], at(4));
    assert!(index.open_run_orders(&name()).is_empty());
    index.run_events(&name(), 1, vec![event(&order, RunPhase::Failed)], at(5));
    assert_eq!(
        phase(&index, &order),
        RunPhase::Succeeded,
        "what has ended has ended"
    );
}

#[test]
fn a_cluster_that_is_away_expires_and_one_that_waited_does_too() {
    let mut index = index();
    let order = testing::run_order("one", 0);
    index.order_run(&name(), order.clone(), at(1));
    pass(&mut index, at(3600));
    assert_eq!(phase(&index, &order), RunPhase::Waiting);
    pass(&mut index, at(3601));
    assert_eq!(phase(&index, &order), RunPhase::Expired);
    connect(&mut index, 1, true);
    assert!(
        index.open_run_orders(&name()).is_empty(),
        "it does not run tomorrow"
    );

    let other = testing::run_order("other", 0);
    index.order_run(&name(), other.clone(), at(1));
    index.run_events(&name(), 1, vec![event(&other, RunPhase::Waiting)], at(2));
    index.disconnected(&name(), 1, at(3));
    pass(&mut index, at(3601));
    assert_eq!(phase(&index, &other), RunPhase::Expired);
    // It had started before it went away.
    connect(&mut index, 2, true);
    index.run_events(&name(), 2, vec![event(&other, RunPhase::Running)], at(4000));
    assert_eq!(phase(&index, &other), RunPhase::Running);
}

#[test]
fn an_agent_that_does_not_know_runs_is_ordered_none() {
    let mut index = index();
    let before = testing::run_order("before", 0);
    index.order_run(&name(), before.clone(), at(1));
    connect(&mut index, 1, false);
    let after = testing::run_order("after", 0);
    index.order_run(&name(), after.clone(), at(1));
    for order in [&before, &after] {
        let run = index.ordered_run(&name(), order.id).unwrap();
        assert_eq!(run.phase(), RunPhase::Refused);
        assert_eq!(run.event.as_ref().unwrap().reason, "NotSupported");
    }
    assert!(index.open_run_orders(&name()).is_empty());
}
