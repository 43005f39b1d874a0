//! `/livez`, `/readyz` and `/metrics`, on a port of their own.
//!
//! **In:** readiness handles and a metrics registry. **Out:** an HTTP server.
//! **Law:** ready means every named part says so, and each part can take it back; the body names what is missing.
//! **Not:** anything about the fleet's state; sizes are read by collectors when scraped.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::future::BoxFuture;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Content type of [OpenMetrics](https://prometheus.io/docs/specs/om/open_metrics_spec/) text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What must be well before work may be sent here. Clones share everything.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    parts: Arc<Mutex<BTreeMap<&'static str, bool>>>,
}

/// One part's say in [`Readiness`]. Dropping it changes nothing.
#[derive(Debug, Clone)]
pub struct ReadyHandle {
    name: &'static str,
    readiness: Readiness,
}

impl Readiness {
    /// Nothing to wait for yet: ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a part, not ready yet. Called before the server starts, so that it is never ready too early.
    pub fn handle(&self, name: &'static str) -> ReadyHandle {
        self.set(name, false);
        ReadyHandle {
            name,
            readiness: self.clone(),
        }
    }

    /// The parts that are not ready, in order.
    pub fn missing(&self) -> Vec<&'static str> {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts
            .iter()
            .filter(|(_, ready)| !**ready)
            .map(|(name, _)| *name)
            .collect()
    }

    fn set(&self, name: &'static str, ready: bool) {
        let before = self
            .parts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name, ready);
        if before.is_some_and(|before| before != ready) {
            tracing::info!(part = name, ready, "readiness changed");
        }
    }
}

impl ReadyHandle {
    /// This part is ready.
    pub fn ready(&self) {
        self.readiness.set(self.name, true);
    }

    /// This part is not ready (any more).
    pub fn withdraw(&self) {
        self.readiness.set(self.name, false);
    }
}

/// Decides whether the holder of a bearer token (or nobody: `None`) may read the metrics.
pub type MetricsGuard =
    Arc<dyn Fn(Option<String>) -> BoxFuture<'static, MetricsAccess> + Send + Sync>;

/// What a [`MetricsGuard`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsAccess {
    /// May read.
    Allowed,
    /// No valid token: 401.
    Unauthenticated,
    /// A known user without the right: 403.
    Forbidden,
    /// The judge cannot be asked now: 503.
    Unknown,
}

/// The admin endpoints, bound to their port.
pub struct AdminServer {
    listener: TcpListener,
    readiness: Readiness,
    registry: Arc<Registry>,
    guard: Option<MetricsGuard>,
}

impl fmt::Debug for AdminServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminServer")
            .field("listener", &self.listener)
            .finish_non_exhaustive()
    }
}

/// The admin port could not be served.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address is taken or not ours.
    #[error("cannot listen on {addr} for health and metrics (--admin-addr)")]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The listener broke.
    #[error("the admin server stopped")]
    Serve(#[source] std::io::Error),
}

#[derive(Clone)]
struct Served {
    readiness: Readiness,
    registry: Arc<Registry>,
    guard: Option<MetricsGuard>,
    shutdown: CancellationToken,
}

impl AdminServer {
    /// Binds the port. The registry is complete by now; what changes later is read by collectors.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(
        addr: SocketAddr,
        readiness: Readiness,
        registry: Registry,
    ) -> Result<Self, AdminError> {
        let listener = TcpListener::bind(addr)
            .await
            .map_err(|source| AdminError::Bind { addr, source })?;
        Ok(Self {
            listener,
            readiness,
            registry: Arc::new(registry),
            guard: None,
        })
    }

    /// Asks `guard` before metrics are shown. Without one, whoever reaches the port may read them.
    #[must_use]
    pub fn guarded(mut self, guard: MetricsGuard) -> Self {
        self.guard = Some(guard);
        self
    }

    /// The address bound, with the port that the system chose when 0 was asked for.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown`; `/readyz` says no from the moment it is cancelled.
    ///
    /// # Errors
    /// When the listener breaks.
    pub async fn serve(self, shutdown: CancellationToken) -> Result<(), AdminError> {
        let served = Served {
            readiness: self.readiness,
            registry: self.registry,
            guard: self.guard,
            shutdown: shutdown.clone(),
        };
        let router = Router::new()
            .route("/livez", get(|| async { "ok\n" }))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .with_state(served);
        axum::serve(self.listener, router)
            .with_graceful_shutdown(shutdown.cancelled_owned())
            .await
            .map_err(AdminError::Serve)
    }
}

async fn readyz(State(served): State<Served>) -> Response {
    let mut missing = served.readiness.missing();
    if served.shutdown.is_cancelled() {
        missing.push("shutting-down");
    }
    if missing.is_empty() {
        return "ok\n".into_response();
    }
    (
        StatusCode::SERVICE_UNAVAILABLE,
        format!("not ready: {}\n", missing.join(", ")),
    )
        .into_response()
}

async fn metrics(State(served): State<Served>, headers: HeaderMap) -> Response {
    if let Some(guard) = &served.guard {
        match guard(bearer(&headers)).await {
            MetricsAccess::Allowed => {}
            MetricsAccess::Unauthenticated => {
                return (StatusCode::UNAUTHORIZED, "a bearer token is needed\n").into_response();
            }
            MetricsAccess::Forbidden => {
                return (StatusCode::FORBIDDEN, "get on /metrics is needed\n").into_response();
            }
            MetricsAccess::Unknown => {
                return (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "access cannot be checked now\n",
                )
                    .into_response();
            }
        }
    }
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &served.registry) {
        Ok(()) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use prometheus_client::metrics::counter::Counter;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn ask(addr: SocketAddr, path: &str, headers: &str) -> (u16, String) {
        let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.to_owned())
    }

    async fn start(guard: Option<MetricsGuard>) -> (SocketAddr, Readiness, CancellationToken) {
        let mut registry = Registry::default();
        let counter: Counter = Counter::default();
        registry.register("segment_runtime_tests", "Tests run", counter);
        let readiness = Readiness::new();
        let mut server = AdminServer::bind(([127, 0, 0, 1], 0).into(), readiness.clone(), registry)
            .await
            .unwrap();
        if let Some(guard) = guard {
            server = server.guarded(guard);
        }
        let addr = server.local_addr().unwrap();
        let stop = CancellationToken::new();
        let tasks = crate::Tasks::new();
        tasks.spawn("admin", server.serve(stop.clone()));
        (addr, readiness, stop)
    }

    #[tokio::test]
    async fn ready_means_every_part_and_each_may_take_it_back() {
        let (addr, readiness, _stop) = start(None).await;
        assert_eq!(ask(addr, "/readyz", "").await, (200, "ok\n".into()));
        let (index, lease) = (readiness.handle("index"), readiness.handle("lease"));
        assert_eq!(
            ask(addr, "/readyz", "").await,
            (503, "not ready: index, lease\n".into())
        );
        index.ready();
        lease.ready();
        assert_eq!(ask(addr, "/readyz", "").await, (200, "ok\n".into()));
        lease.withdraw();
        assert_eq!(
            ask(addr, "/readyz", "").await,
            (503, "not ready: lease\n".into())
        );
        assert_eq!(ask(addr, "/livez", "").await, (200, "ok\n".into()));
    }

    #[tokio::test]
    async fn metrics_are_open_metrics_text() {
        let (addr, _, _stop) = start(None).await;
        let (code, body) = ask(addr, "/metrics", "").await;
        assert_eq!(code, 200);
        assert!(
            body.contains("segment_runtime_tests_total 0") && body.trim_end().ends_with("# EOF"),
            "{body}"
        );
    }

    #[tokio::test]
    async fn guarded_metrics_need_the_right() {
        let guard: MetricsGuard = Arc::new(|token| {
            async move {
                match token.as_deref() {
                    Some("good") => MetricsAccess::Allowed,
                    Some("other") => MetricsAccess::Forbidden,
                    _ => MetricsAccess::Unauthenticated,
                }
            }
            .boxed()
        });
        let (addr, _, _stop) = start(Some(guard)).await;
        let rows = [
            ("", 401),
            ("Authorization: Bearer other\r\n", 403),
            ("Authorization: bearer good\r\n", 200),
        ];
        for (header, code) in rows {
            assert_eq!(ask(addr, "/metrics", header).await.0, code, "{header}");
        }
    }
}
