//! What waits for one stream.
//!
//! In: desired values, orders to run. Out: all of it, when the stream can take it. Law: the last value of a segment wins,
//! and so does the last list of open runs: a slow agent costs one pointer for each. Not: what is sent (`core::sync::hub`).

use segment_core::assignment::Desired;
use segment_core::ids::KeyHash;
use segment_core::run_order::RunOrder;
use segment_core::sync::frame::LogsWanted;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Requests for logs that wait.
const LOGS: usize = 64;

/// What waits for one stream.
#[derive(Debug, Default)]
pub struct Slots {
    waiting: Mutex<Waiting>,
    notify: Notify,
}

/// What was waiting.
#[derive(Debug, Default)]
pub struct Waiting {
    /// Desired values by segment.
    pub desired: BTreeMap<KeyHash, Option<Desired>>,
    /// Every order to run that has not ended, where there is news of that.
    pub runs: Option<Vec<Arc<RunOrder>>>,
    /// Requests for logs.
    pub logs: Vec<LogsWanted>,
}

impl Slots {
    fn change(&self, change: impl FnOnce(&mut Waiting)) {
        change(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        self.notify.notify_one();
    }

    /// Puts desired values.
    pub fn put(&self, values: impl IntoIterator<Item = (KeyHash, Option<Desired>)>) {
        self.change(|waiting| waiting.desired.extend(values));
    }

    /// Puts the open orders to run.
    pub fn put_runs(&self, open: Vec<Arc<RunOrder>>) {
        self.change(|waiting| waiting.runs = Some(open));
    }

    /// Puts a request for logs. Who is not answered asks again.
    pub fn put_logs(&self, wanted: LogsWanted) {
        self.change(|waiting| {
            if waiting.logs.len() < LOGS {
                waiting.logs.push(wanted);
            }
        });
    }

    /// Waits until there is something, and takes all of it.
    pub async fn take(&self) -> Waiting {
        loop {
            let taken =
                std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            if !taken.desired.is_empty() || taken.runs.is_some() || !taken.logs.is_empty() {
                return taken;
            }
            self.notify.notified().await;
        }
    }
}
