//! Orders to run on one stream: what has been sent, in frames of bounded size.
//!
//! In: all open orders of a cluster, the leader's fence. Out: frames with those that this stream has not carried.
//! Law: an order is sent once per stream, and only to an agent that knows such orders. Not: which runs are ordered
//! (`index`).

use super::frame::{HubFrame, ORDERS_CHUNK_BYTES, RUN_ORDERS_CHUNK, RUNS_NOW, RunOrders};
use crate::fence::Fence;
use crate::ids::RunId;
use crate::run_order::RunOrder;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What one stream has carried.
#[derive(Debug, Default)]
pub(super) struct Ordering {
    takes_runs: bool,
    /// Of the orders that are open: as many as the index keeps of a cluster.
    sent: BTreeSet<RunId>,
}

impl Ordering {
    pub(super) fn new(capabilities: &[String]) -> Self {
        Self {
            takes_runs: capabilities.iter().any(|name| name == RUNS_NOW),
            sent: BTreeSet::new(),
        }
    }

    pub(super) fn next(&mut self, open: Vec<Arc<RunOrder>>, fence: Fence) -> Vec<HubFrame> {
        if !self.takes_runs {
            return Vec::new();
        }
        let before = std::mem::take(&mut self.sent);
        self.sent = open.iter().map(|order| order.id).collect();
        let mut frames = Vec::new();
        let mut orders: Vec<Arc<RunOrder>> = Vec::new();
        let mut bytes = 0;
        for order in open.into_iter().filter(|order| !before.contains(&order.id)) {
            let size = order.rendered.bytes().len();
            if orders.len() >= RUN_ORDERS_CHUNK
                || (bytes + size > ORDERS_CHUNK_BYTES && !orders.is_empty())
            {
                let orders = std::mem::take(&mut orders);
                frames.push(HubFrame::RunOrders(RunOrders { fence, orders }));
                bytes = 0;
            }
            bytes += size;
            orders.push(order);
        }
        if !orders.is_empty() {
            frames.push(HubFrame::RunOrders(RunOrders { fence, orders }));
        }
        frames
    }
}

#[cfg(test)]
mod tests;
