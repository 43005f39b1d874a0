//! What an agent takes from no hub; sessions that converge are in `tests/laws/sync.rs`.

use super::*;
use crate::assignment::{Assignment, Controls, Modes, Removal, RemoveOrder, Rendered};
use crate::ids::{Revision, SegmentKey};
use crate::sync::frame::RunOrders;

const TEMPLATE: &[u8] = include_bytes!("../../../tests/golden/template-generic.json");

fn hub(name: &str) -> HubId {
    HubId::new(name).unwrap()
}

fn entry(removing: Option<Removal>) -> Arc<Entry> {
    Arc::new(Entry {
        assignment: Assignment {
            key: SegmentKey::new("granary", "a").unwrap(),
            uid: Uid([1; 16]),
            number: OrderNumber {
                generation: 1,
                order: 0,
            },
            revision: Revision([1; 8]),
            rendered: Rendered::from_bytes(TEMPLATE.trim_ascii_end().into()).unwrap(),
            modes: Modes::default(),
        },
        controls: Controls::default(),
        removing,
    })
}

fn greeted(sync: &mut AgentSync) {
    sync.connected(About {
        cluster_uid: Uid([2; 16]),
        process: InstanceId([3; 16]),
        reports: RootDigest([0; 16]),
        runs: 0,
        agent_version: String::new(),
        kubernetes_version: String::new(),
    });
}

fn welcome(hub: HubId) -> HubFrame {
    HubFrame::Welcome(Welcome {
        protocol: PROTOCOL_VERSION,
        hub,
        fence: Fence::default(),
        watermark: Watermark::default(),
        want_inventory: false,
        want_reports: false,
        runs_after: None,
    })
}

fn orders(orders: Vec<Order>) -> HubFrame {
    HubFrame::Orders(Orders {
        fence: Fence::default(),
        watermark: Watermark::default(),
        orders,
    })
}

fn obeying() -> AgentSync {
    let mut sync = AgentSync::new(Stored::default());
    greeted(&mut sync);
    sync.on_frame(welcome(hub("hub-00000001")));
    sync
}

#[test]
fn an_empty_store_obeys_the_hub_that_the_cluster_has_joined_and_no_other() {
    for (name, obeys) in [("hub-00000001", true), ("hub-00000002", false)] {
        let mut sync = AgentSync::new(Stored::default());
        sync.joined(hub("hub-00000001"));
        greeted(&mut sync);
        let outputs = sync.on_frame(welcome(hub(name)));
        assert_eq!(sync.hub().is_some(), obeys, "{name}: {outputs:?}");
        let closes = |output: &Output| matches!(output, Output::Close { .. });
        assert_eq!(outputs.iter().any(closes), !obeys, "{name}");
    }
}

#[test]
fn an_order_to_hold_that_says_removing_is_refused() {
    let mut sync = obeying();
    let outputs = sync.on_frame(orders(vec![Order::Put(entry(Some(Removal::default())))]));
    let refused = |output: &Output| {
        matches!(output, Output::Send(AgentFrame::Acks(acks))
            if matches!(&acks[..], [Ack { verdict: AckVerdict::Refused { reason, .. }, .. }] if reason == "Unreadable"))
    };
    assert!(outputs.iter().any(refused), "{outputs:?}");
    assert!(sync.entries().is_empty());
}

#[test]
fn a_removal_that_was_not_stored_is_forgotten() {
    let mut sync = obeying();
    let held = entry(None);
    let key = held.assignment.key.hash();
    sync.on_frame(orders(vec![Order::Put(Arc::clone(&held))]));
    let order = RemoveOrder {
        uid: held.assignment.uid,
        number: held.assignment.number,
        removal: Removal::default(),
    };
    let outputs = sync.on_frame(orders(vec![Order::Remove { key, order }]));
    assert!(outputs.contains(&Output::PersistEntryNow(key)));
    sync.not_stored(key, Some(Arc::clone(&held)));
    assert_eq!(sync.entries(), &[(key, held)].into());
}

#[test]
fn runs_are_taken_under_the_fence_of_the_stream_only() {
    let order = Arc::new(crate::testing::run_order("r", 0));
    let runs = |term| {
        HubFrame::RunOrders(RunOrders {
            fence: Fence {
                term,
                ..Fence::default()
            },
            orders: vec![Arc::clone(&order)],
        })
    };
    let mut sync = obeying();
    assert_eq!(
        sync.on_frame(runs(0)),
        [Output::TakeRuns(vec![Arc::clone(&order)])]
    );
    for term in [1, 7] {
        assert!(matches!(
            &sync.on_frame(runs(term))[..],
            [Output::Close { .. }]
        ));
    }
    let mut sync = AgentSync::new(Stored::default());
    greeted(&mut sync);
    assert!(
        matches!(&sync.on_frame(runs(0))[..], [Output::Close { .. }]),
        "nothing is ordered before the Welcome"
    );
}
