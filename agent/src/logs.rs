//! Logs of runs, for the hub, where the cluster's own policy says so.
//!
//! In: requests of the stream. Out: chunks, the last with a reason where something was missing. Law: nothing is read that
//! the policy's rule `logs` does not admit; a few requests at a time, each with an end. Not: who may ask (the hub).

use crate::held::Event;
use crate::shared::Shared;
use bytes::Bytes;
use futures::AsyncReadExt as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;
use segment_core::admit::admit_logs;
use segment_core::apply::target;
use segment_core::observe::pod_seen;
use segment_core::report::cut_message;
use segment_core::run_order::job::job_name;
use segment_core::sync::frame::{LOG_BYTES, LOG_CHUNK_BYTES, LogChunk, LogEnd, LogsWanted};
use segment_runtime::error::ApiError;
use segment_runtime::tasks::with_causes;
use segment_runtime::{Tasks, raw};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

/// Requests that are answered at a time.
const AT_ONCE: usize = 4;
/// Requests that wait to be looked at.
const WAITING: usize = 32;
/// Between two chunks: acks and reports go between them.
const PACE: Duration = Duration::from_millis(20);
/// Longest time that logs are followed.
const FOLLOWED: Duration = Duration::from_hours(1);

/// Requests, and those that are being answered.
#[derive(Debug, Default)]
pub struct LogRequests {
    waiting: Mutex<VecDeque<LogsWanted>>,
    open: Mutex<HashMap<u64, CancellationToken>>,
    notify: Notify,
}

impl LogRequests {
    /// A request came, or the end of one.
    pub fn put(&self, wanted: LogsWanted) {
        if wanted.stop {
            if let Some(token) = self.open().remove(&wanted.id) {
                token.cancel();
            }
            return;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // Who is not answered asks again.
        if waiting.len() < WAITING {
            waiting.push_back(wanted);
        }
        drop(waiting);
        self.notify.notify_one();
    }

    /// The stream has ended, and with it all that was asked on it.
    pub fn stop_all(&self) {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        for (_, token) in self.open().drain() {
            token.cancel();
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, CancellationToken>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn next(&self) -> LogsWanted {
        loop {
            let next = self
                .waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop_front();
            match next {
                Some(wanted) => return wanted,
                None => self.notify.notified().await,
            }
        }
    }
}

/// Answers requests until the end.
pub async fn pass_logs(
    shared: Arc<Shared>,
    client: kube::Client,
    limit: Duration,
    held: mpsc::Sender<Event>,
    tasks: Tasks,
    stop: CancellationToken,
) {
    loop {
        let wanted = tokio::select! {
            () = stop.cancelled() => return,
            wanted = shared.logs.next() => wanted,
        };
        let token = stop.child_token();
        let full = {
            let mut open = shared.logs.open();
            let full = open.len() >= AT_ONCE;
            if !full {
                open.insert(wanted.id, token.clone());
            }
            full
        };
        let one = One {
            shared: Arc::clone(&shared),
            client: client.clone(),
            limit,
            held: held.clone(),
        };
        if full {
            let message = format!("the agent passes on {AT_ONCE} logs at a time");
            one.end(wanted.id, "TooManyLogs", &message).await;
            continue;
        }
        tasks.spawn_child("logs", async move {
            let id = wanted.id;
            tokio::select! {
                () = token.cancelled() => {}
                () = tokio::time::sleep(FOLLOWED) => one.end(id, "TooLong", "logs are followed for an hour").await,
                () = one.answer(&wanted) => {}
            }
            one.shared.logs.open().remove(&id);
        });
    }
}

/// One request.
struct One {
    shared: Arc<Shared>,
    client: kube::Client,
    limit: Duration,
    held: mpsc::Sender<Event>,
}

/// Why there are no logs.
struct Missing {
    reason: String,
    message: String,
}

fn missing(reason: impl Into<String>, message: impl Into<String>) -> Missing {
    Missing {
        reason: reason.into(),
        message: message.into(),
    }
}

fn of_api(error: &ApiError) -> Missing {
    let reason = error.status().map_or("ApiUnavailable", |status| {
        if status.reason.is_empty() {
            "Failed"
        } else {
            &status.reason
        }
    });
    missing(reason, with_causes(error))
}

impl One {
    async fn answer(&self, wanted: &LogsWanted) {
        let (reason, message) = match self.pass(wanted).await {
            Ok(()) => (String::new(), String::new()),
            Err(missing) => (missing.reason, missing.message),
        };
        self.end(wanted.id, &reason, &message).await;
    }

    async fn end(&self, id: u64, reason: &str, message: &str) {
        let end = LogEnd {
            reason: reason.to_owned(),
            message: cut_message(message),
        };
        self.send(id, Bytes::new(), Some(end)).await;
    }

    async fn send(&self, id: u64, data: Bytes, end: Option<LogEnd>) {
        let chunk = LogChunk { id, data, end };
        // It ends only with the process.
        let _ = self.held.send(Event::LogChunk(chunk)).await;
    }

    async fn pass(&self, wanted: &LogsWanted) -> Result<(), Missing> {
        let entry = self
            .shared
            .entry(wanted.key)
            .ok_or_else(|| missing("NotFound", "this cluster does not hold the Segment"))?;
        let place = target(&entry);
        let policy = self.shared.policy.borrow().policy().cloned();
        policy
            .and_then(|policy| {
                let from = &entry.assignment.key.namespace;
                admit_logs(&policy, &place.namespace, from)
            })
            .map_err(|refusal| missing(refusal.rule, refusal.message))?;
        let job = match wanted.run {
            Some(id) => job_name(&place.name, id),
            None => self
                .shared
                .cache
                .runs(&place, Timestamp::now())
                .last
                .map(|run| run.job)
                .ok_or_else(|| missing("NotFound", "no run by schedule is there"))?,
        };
        let pods = raw::path("v1", "pods", Some(place.namespace.as_str()), None);
        let path = format!("{pods}?labelSelector=batch.kubernetes.io%2Fjob-name%3D{job}&limit=100");
        let answer = raw::get_json(&self.client, &path, self.limit)
            .await
            .map_err(|error| of_api(&error))?;
        let pod = answer.body["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|pod| Some((pod_seen(pod)?.created, pod["metadata"]["name"].as_str()?)))
            .max()
            .map(|(_, name)| name.to_owned())
            .ok_or_else(|| missing("NotFound", format!("Job {job} has no Pod here")))?;
        self.read(wanted, place.namespace.as_str(), &pod).await
    }

    async fn read(&self, wanted: &LogsWanted, namespace: &str, pod: &str) -> Result<(), Missing> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let params = LogParams {
            follow: wanted.follow,
            limit_bytes: (!wanted.follow).then(|| i64::try_from(LOG_BYTES).unwrap_or(i64::MAX)),
            ..LogParams::default()
        };
        let opened = tokio::time::timeout(self.limit, api.log_stream(pod, &params));
        let mut stream = match opened.await {
            Ok(Ok(stream)) => Box::pin(stream),
            Ok(Err(kube::Error::Api(status))) => {
                return Err(missing(status.reason.clone(), status.message.clone()));
            }
            Ok(Err(error)) => return Err(missing("ApiUnavailable", with_causes(&error))),
            Err(_) => return Err(missing("ApiUnavailable", "no answer in time")),
        };
        let mut buffer = vec![0; LOG_CHUNK_BYTES];
        let mut left = LOG_BYTES;
        loop {
            let read = stream
                .read(&mut buffer)
                .await
                .map_err(|error| missing("Interrupted", error.to_string()))?;
            if read == 0 {
                return Ok(());
            }
            let taken = if wanted.follow { read } else { read.min(left) };
            left = left.saturating_sub(taken);
            let data = Bytes::copy_from_slice(buffer.get(..taken).unwrap_or_default());
            self.send(wanted.id, data, None).await;
            if !wanted.follow && left == 0 {
                return Ok(());
            }
            tokio::time::sleep(PACE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use segment_core::ids::KeyHash;

    fn wanted(id: u64, stop: bool) -> LogsWanted {
        LogsWanted {
            id,
            key: KeyHash([1; 16]),
            run: None,
            follow: true,
            stop,
        }
    }

    #[tokio::test]
    async fn requests_wait_in_turn_and_a_stop_ends_the_one_it_names() {
        let requests = LogRequests::default();
        for id in 0..WAITING as u64 + 5 {
            requests.put(wanted(id, false));
        }
        assert_eq!(requests.next().await.id, 0);
        let (one, two) = (CancellationToken::new(), CancellationToken::new());
        requests.open().insert(1, one.clone());
        requests.open().insert(2, two.clone());
        requests.put(wanted(1, true));
        assert!(one.is_cancelled() && !two.is_cancelled());
        requests.stop_all();
        assert!(two.is_cancelled());
    }
}
