use super::*;
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
