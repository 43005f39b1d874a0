use super::*;
use crate::fence::HubMemory;
use crate::ids::{HubId, Uid};
use crate::sync::frame::{AgentFrame, Hello};
use crate::sync::hub::{HubSync, Output, Remembered};
use crate::testing;

fn capable() -> Ordering {
    Ordering::new(&[RUNS_NOW.to_owned()])
}

fn orders(count: usize, bytes: usize) -> Vec<Arc<RunOrder>> {
    (0..count)
        .map(|n| Arc::new(testing::run_order(&format!("run {n}"), bytes)))
        .collect()
}

fn sizes(frames: &[HubFrame]) -> Vec<usize> {
    let size = |frame: &HubFrame| match frame {
        HubFrame::RunOrders(runs) => runs.orders.len(),
        _ => 0,
    };
    frames.iter().map(size).collect()
}

#[test]
fn an_order_goes_once_per_stream() {
    let mut stream = capable();
    let fence = Fence::default();
    assert_eq!(sizes(&stream.next(orders(2, 0), fence)), [2]);
    assert_eq!(sizes(&stream.next(orders(3, 0), fence)), [1]);
    assert!(stream.next(orders(3, 0), fence).is_empty());
    assert_eq!(sizes(&capable().next(orders(3, 0), fence)), [3]);
}

#[test]
fn frames_are_bounded_by_number_and_by_bytes() {
    let fence = Fence::default();
    assert_eq!(sizes(&capable().next(orders(40, 0), fence)), [16, 16, 8]);
    assert_eq!(
        sizes(&capable().next(orders(5, 90 * 1024), fence)),
        [2, 2, 1]
    );
}

#[test]
fn an_agent_that_does_not_know_them_gets_none() {
    let mut stream = Ordering::new(&["policy".to_owned()]);
    assert!(stream.next(orders(2, 0), Fence::default()).is_empty());
}

/// The hub's end after a Hello that has seen this era, and then the whole inventory.
fn greeted(era: u64) -> (HubSync, HubMemory) {
    let memory = HubMemory {
        fence: Fence {
            era: 1,
            term: 5,
            ..Fence::default()
        },
        n: 0,
        old_terms: std::collections::BTreeMap::default(),
    };
    let mut sync = HubSync::new(HubId::new("hub-0123456789").unwrap(), Uid([1; 16]));
    let hello = Hello {
        capabilities: vec![RUNS_NOW.to_owned()],
        fence: Some(Fence {
            era,
            term: 5,
            ..Fence::default()
        }),
        entries: crate::ids::RootDigest([9; 16]),
        ..testing::hello()
    };
    sync.on_frame(AgentFrame::Hello(hello), &memory, Remembered::default);
    assert!(
        sync.on_runs(orders(1, 0), &memory).is_empty(),
        "not before the inventory"
    );
    let inventory = AgentFrame::Inventory {
        entries: Vec::new(),
        last: true,
    };
    sync.on_frame(inventory, &memory, Remembered::default);
    (sync, memory)
}

#[test]
fn none_is_ordered_before_the_inventory_nor_where_the_hub_went_back() {
    let (mut sync, memory) = greeted(1);
    let outputs = sync.on_runs(orders(1, 0), &memory);
    assert!(
        matches!(&outputs[..], [Output::Send(HubFrame::RunOrders(runs))] if runs.fence == memory.fence)
    );
    let (mut sync, memory) = greeted(2);
    assert!(sync.on_runs(orders(1, 0), &memory).is_empty());
}
