//! Logs on their way from an agent to one user.
//!
//! In: requests of users, chunks of streams. Out: requests into the slots of the cluster's stream, chunks to who asked.
//! Law: one request of a user per cluster at a time; a chunk of another cluster than the one that was asked is dropped; a
//! reader that is too slow, or leaves, ends its request. Not: who may ask (`users`).

use super::{Event, Fleet};
use segment_core::ids::{ClusterName, KeyHash, RunId};
use segment_core::sync::frame::{LogChunk, LogsWanted};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// Chunks that wait for a reader: all of a request that does not follow (1 MiB), and its end.
const CHUNKS: usize = 20;
/// Requests that are open at the hub: with their chunks 64 MiB.
const OPEN: usize = 64;

#[derive(Debug)]
struct Open {
    cluster: ClusterName,
    user: String,
    chunks: mpsc::Sender<LogChunk>,
}

/// Requests that are open.
#[derive(Debug, Default)]
pub struct LogRequests {
    next: AtomicU64,
    open: Mutex<HashMap<u64, Open>>,
}

impl LogRequests {
    fn open(&self) -> MutexGuard<'_, HashMap<u64, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, cluster: &ClusterName, user: &str) -> Option<(u64, mpsc::Receiver<LogChunk>)> {
        let mut open = self.open();
        let taken = open
            .values()
            .any(|other| other.cluster == *cluster && other.user == user);
        if taken || open.len() >= OPEN {
            return None;
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (chunks, receiver) = mpsc::channel(CHUNKS);
        let asked = Open {
            cluster: cluster.clone(),
            user: user.to_owned(),
            chunks,
        };
        open.insert(id, asked);
        Some((id, receiver))
    }

    /// A stream brought a chunk.
    pub fn chunk(&self, cluster: &ClusterName, chunk: LogChunk) {
        let mut open = self.open();
        let id = chunk.id;
        let Some(asked) = open.get(&id).filter(|asked| asked.cluster == *cluster) else {
            return;
        };
        // Without room its reader finds the channel closed, and says that it was too slow.
        if asked.chunks.try_send(chunk).is_err() {
            open.remove(&id);
        }
    }
}

/// A request that is open; its end when it is dropped.
#[derive(Debug)]
pub struct Logs {
    fleet: Fleet,
    cluster: ClusterName,
    wanted: LogsWanted,
    /// What comes.
    pub chunks: mpsc::Receiver<LogChunk>,
}

impl Fleet {
    /// Asks a cluster's agent for logs. `None`: this user has asked for others there, or too many are open.
    pub async fn logs(
        &self,
        cluster: &ClusterName,
        user: &str,
        (key, run): (KeyHash, Option<RunId>),
        follow: bool,
    ) -> Option<Logs> {
        let (id, chunks) = self.log_requests.begin(cluster, user)?;
        let wanted = LogsWanted {
            id,
            key,
            run,
            follow,
            stop: false,
        };
        let logs = Logs {
            fleet: self.clone(),
            cluster: cluster.clone(),
            wanted: wanted.clone(),
            chunks,
        };
        // The fleet task ends only with the process.
        let _ending = self.tell(Event::Logs(cluster.clone(), wanted)).await;
        Some(logs)
    }

    /// Where chunks go.
    pub fn log_requests(&self) -> &LogRequests {
        &self.log_requests
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        self.fleet.log_requests.open().remove(&self.wanted.id);
        let stop = LogsWanted {
            stop: true,
            ..self.wanted.clone()
        };
        // Without room the agent goes on to the end of what it reads; nobody takes it.
        let _ = self
            .fleet
            .events
            .try_send(Event::Logs(self.cluster.clone(), stop));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn chunk(id: u64) -> LogChunk {
        LogChunk {
            id,
            data: Bytes::from_static(b"x"),
            end: None,
        }
    }

    #[test]
    fn one_request_of_a_user_per_cluster_and_no_chunk_of_another_cluster() {
        let requests = LogRequests::default();
        let (a, b) = (
            ClusterName::new("a").unwrap(),
            ClusterName::new("b").unwrap(),
        );
        let (id, mut chunks) = requests.begin(&a, "anna").unwrap();
        assert!(requests.begin(&a, "anna").is_none());
        assert!(requests.begin(&b, "anna").is_some() && requests.begin(&a, "bob").is_some());
        requests.chunk(&b, chunk(id));
        assert!(chunks.try_recv().is_err(), "not of this cluster");
        for _ in 0..=CHUNKS {
            requests.chunk(&a, chunk(id));
        }
        while chunks.try_recv().is_ok() {}
        assert!(chunks.is_closed(), "too slow");
        assert!(requests.begin(&a, "anna").is_some());
    }
}
