//! The agents' gRPC server: its services and its limits.

use super::enrol::Enrolment;
use super::gate::Gate;
use super::session::{OUT_QUEUE, Session};
use super::tls::{AgentStream, PeerIdentity};
use crate::fleet::Fleet;
use crate::metrics::AgentsMetrics;
use jiff::Timestamp;
use segment_core::fence::HubMemory;
use segment_core::ids::ClusterName;
use segment_proto::agent::v1;
use segment_proto::agent::v1::enrolment_service_server::EnrolmentServiceServer;
use segment_proto::agent::v1::sync_service_server::{SyncService, SyncServiceServer};
use segment_proto::limits::{MESSAGE_TO_AGENT_MAX_BYTES, MESSAGE_TO_HUB_MAX_BYTES};
use segment_runtime::Tasks;
use segment_runtime::audit::AuditResult;
use segment_runtime::lease::LeaseState;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

/// Both sides notice a dead link within keepalive plus its timeout, far below 30 s.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// Streams per connection: one sync stream and one unary call.
const STREAMS: u32 = 4;
/// HTTP/2 window of a stream: one full message.
const WINDOW: u32 = 256 * 1024;
/// Header list of one request, bytes.
const HEADERS: u32 = 16 * 1024;

/// Streams by cluster: the newest that has said Hello counts, the one before it is told to go.
#[derive(Debug, Default)]
pub struct Sessions {
    last: AtomicU64,
    newest: Mutex<HashMap<ClusterName, (u64, CancellationToken)>>,
}

impl Sessions {
    fn next(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A stream's Hello was accepted: an older one ends, and where a newer one is there already, this one does.
    pub fn greeted(&self, cluster: &ClusterName, number: u64, replaced: &CancellationToken) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        match newest.get(cluster) {
            Some((other, _)) if *other > number => replaced.cancel(),
            _ => {
                if let Some((_, old)) = newest.insert(cluster.clone(), (number, replaced.clone())) {
                    old.cancel();
                }
            }
        }
    }

    /// A stream has ended.
    pub fn ended(&self, cluster: &ClusterName, number: u64) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if newest
            .get(cluster)
            .is_some_and(|(newest, _)| *newest == number)
        {
            newest.remove(cluster);
        }
    }
}

/// `SyncService`.
#[derive(Debug)]
pub struct Sync {
    gate: Gate,
    fleet: Fleet,
    memory: watch::Receiver<HubMemory>,
    lease: watch::Receiver<LeaseState>,
    metrics: AgentsMetrics,
    tasks: Tasks,
    sessions: Arc<Sessions>,
}

impl Sync {
    /// The service.
    pub fn new(
        gate: Gate,
        memory: watch::Receiver<HubMemory>,
        lease: watch::Receiver<LeaseState>,
        metrics: AgentsMetrics,
        tasks: Tasks,
    ) -> Self {
        Self {
            fleet: gate.fleet.clone(),
            gate,
            memory,
            lease,
            metrics,
            tasks,
            sessions: Arc::default(),
        }
    }
}

#[tonic::async_trait]
impl SyncService for Sync {
    type SyncStream = ReceiverStream<Result<v1::SyncResponse, Status>>;

    async fn sync(
        &self,
        request: Request<Streaming<v1::SyncRequest>>,
    ) -> Result<Response<Self::SyncStream>, Status> {
        let peer = request.extensions().get::<PeerIdentity>().cloned();
        let leaf = self
            .gate
            .stream(peer.as_ref(), Timestamp::now())
            .inspect_err(|status| {
                self.metrics.refused.inc();
                segment_runtime::AuditLine {
                    time: Timestamp::now(),
                    actor: peer
                        .as_ref()
                        .map_or_else(|| "unknown".to_owned(), |peer| peer.addr.to_string()),
                    action: "stream".into(),
                    subject: peer
                        .as_ref()
                        .and_then(|peer| peer.leaf.as_ref())
                        .map_or_else(
                            || "agents".to_owned(),
                            |leaf| format!("cluster/{}", leaf.cluster),
                        ),
                    uid: None,
                    reason: Some(status.message().to_owned()),
                    result: AuditResult::Refused,
                }
                .emit();
            })?;
        let (out, frames) = mpsc::channel(OUT_QUEUE);
        let session = Session {
            number: self.sessions.next(),
            sessions: Arc::clone(&self.sessions),
            replaced: CancellationToken::new(),
            leaf,
            gate: self.gate.clone(),
            fleet: self.fleet.clone(),
            memory: self.memory.clone(),
            lease: self.lease.clone(),
            metrics: self.metrics.clone(),
            shutdown: self.tasks.shutdown_token(),
        };
        tracing::info!(cluster = %session.leaf.cluster, session = session.number, "stream opened");
        session.start(request.into_inner(), out, &self.tasks);
        Ok(Response::new(ReceiverStream::new(frames)))
    }
}

/// Serves agents until the shutdown.
///
/// # Errors
/// When the server breaks.
pub async fn serve(
    sync: Sync,
    enrolment: Enrolment,
    incoming: ReceiverStream<std::io::Result<AgentStream>>,
    shutdown: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .max_concurrent_streams(Some(STREAMS))
        .initial_stream_window_size(Some(WINDOW))
        .initial_connection_window_size(Some(WINDOW))
        .http2_max_header_list_size(Some(HEADERS))
        .tcp_nodelay(true)
        .add_service(
            SyncServiceServer::new(sync)
                .max_decoding_message_size(MESSAGE_TO_HUB_MAX_BYTES)
                .max_encoding_message_size(MESSAGE_TO_AGENT_MAX_BYTES),
        )
        .add_service(
            EnrolmentServiceServer::new(enrolment)
                .max_decoding_message_size(MESSAGE_TO_HUB_MAX_BYTES),
        )
        .serve_with_incoming_shutdown(incoming, shutdown.cancelled_owned())
        .await
}
