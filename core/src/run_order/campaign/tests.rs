//! Never more at a time than allowed; who is away expires; a request is known by its id.

use super::*;
use std::cell::RefCell;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn name(n: usize) -> ClusterName {
    ClusterName::new(format!("c{n}")).unwrap()
}

fn campaign(clusters: usize, parallel: usize) -> Campaign {
    let runs = (0..clusters).map(|n| (name(n), run_id("r", Uid([1; 16]), &name(n)), None));
    Campaign::new(runs, parallel, SignedDuration::from_secs(60), at(0))
}

fn seen(connected: bool, phase: Option<RunPhase>) -> Seen {
    Seen {
        there: true,
        connected,
        phase,
        event: None,
    }
}

#[test]
fn never_more_at_a_time_than_allowed_and_all_in_the_end() {
    let mut campaign = campaign(7, 3);
    let phases: RefCell<BTreeMap<ClusterName, RunPhase>> = RefCell::default();
    let mut orders = 0;
    for second in 0..20 {
        let look = |name: &ClusterName, _| seen(true, phases.borrow().get(name).copied());
        for name in campaign.advance(at(second), look) {
            orders += 1;
            phases.borrow_mut().insert(name, RunPhase::Running);
        }
        let counts = campaign.counts();
        assert!(counts.waiting + counts.running <= 3, "{counts:?}");
        let running = phases
            .borrow()
            .iter()
            .find(|(_, p)| **p == RunPhase::Running)
            .map(|(n, _)| n.clone());
        if let Some(name) = running {
            phases.borrow_mut().insert(name, RunPhase::Succeeded);
        }
    }
    assert_eq!((orders, campaign.counts().succeeded), (7, 7));
    assert!(campaign.is_over());
}

#[test]
fn who_is_away_takes_no_turn_and_does_not_run_tomorrow() {
    let mut campaign = campaign(3, 1);
    let away = |n: &ClusterName, _| {
        seen(
            *n != name(0),
            (*n == name(1)).then_some(RunPhase::Succeeded),
        )
    };
    assert_eq!(campaign.advance(at(1), away), [name(1)]);
    assert_eq!(campaign.turns()[&name(0)].reason, "Offline");
    assert_eq!(campaign.advance(at(2), away), [name(2)]);
    campaign.advance(at(61), away);
    assert_eq!(campaign.turns()[&name(0)].phase, Some(RunPhase::Expired));
    let all = |_: &ClusterName, _| seen(true, Some(RunPhase::Succeeded));
    assert!(campaign.advance(at(100), all).is_empty());
    let counts = campaign.counts();
    assert_eq!((counts.succeeded, counts.expired), (2, 1));
}

#[test]
fn a_cluster_that_is_deleted_ends_its_run_and_a_change_has_a_version() {
    let mut campaign = campaign(1, 1);
    let before = campaign.version();
    campaign.advance(at(0), |_, _| seen(true, None));
    let ordered = campaign.version();
    assert!(ordered > before);
    campaign.advance(at(1), |_, _| seen(true, None));
    assert_eq!(campaign.version(), ordered, "nothing changed");
    campaign.advance(at(2), |_, _| Seen::default());
    assert!(campaign.is_over() && campaign.version() > ordered);
}

#[test]
fn a_run_is_known_by_request_segment_and_cluster() {
    let one = run_id("r", Uid([1; 16]), &name(1));
    assert_eq!(one, run_id("r", Uid([1; 16]), &name(1)));
    for other in [
        run_id("s", Uid([1; 16]), &name(1)),
        run_id("r", Uid([2; 16]), &name(1)),
        run_id("r", Uid([1; 16]), &name(2)),
    ] {
        assert_ne!(one, other);
    }
}
