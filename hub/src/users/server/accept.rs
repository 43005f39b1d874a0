//! Connections: accepted, greeted, served, ended.

use super::{Peer, Shown};
use crate::users::access::authn::Certificate;
use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rand::Rng;
use rustls::ServerConfig;
use segment_runtime::Tasks;
use segment_runtime::tls::ALPN_H2;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// From TCP's connect to the end of TLS.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// From TLS' end to the first request. Clients dial when they have something to ask.
const FIRST_REQUEST: Duration = Duration::from_secs(10);
/// Pause after a failed accept (no file descriptor left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Pings, also when idle: load balancers cut idle connections after 60 to 350 s.
const KEEPALIVE: Duration = Duration::from_secs(20);
/// How long a ping may wait for its answer.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Header list of one request, bytes: a token of a user in many groups has some 10 KiB.
const HEADERS: u32 = 16 * 1024;
/// Age at which a connection is asked to go, ± 10 %: clients spread over new replicas, not all at once.
const AGE: Duration = Duration::from_hours(1);
/// What calls that still run have then; watches end earlier by themselves.
const GRACE: Duration = Duration::from_mins(10);
/// What running calls have at the process' end.
const GOODBYE: Duration = Duration::from_secs(5);

/// A port: who comes there, and how many.
#[derive(Clone, Copy, Debug)]
pub struct Door {
    /// Name of a connection's task, and who is at its other end, in the log.
    pub who: &'static str,
    /// Connections that have asked nothing yet: each costs some 40 KiB.
    pub pending: usize,
    /// Connections in all, some 100 KiB each.
    pub connections: usize,
    /// Calls at a time on one connection.
    pub streams: u32,
    /// Whether a failed handshake is worth a warning: not where load balancers probe.
    pub warns_of_tls: bool,
}

/// The users' port: users and their watches.
pub const USERS: Door = Door {
    who: "user",
    pending: 512,
    connections: 4096,
    streams: 128,
    warns_of_tls: false,
};

/// Serves until `shutdown`.
pub async fn serve(
    door: Door,
    listener: TcpListener,
    config: Arc<ServerConfig>,
    router: Router,
    tasks: Tasks,
    shutdown: CancellationToken,
) {
    let acceptor = TlsAcceptor::from(config);
    let pending = Arc::new(Semaphore::new(door.pending));
    let all = Arc::new(Semaphore::new(door.connections));
    let mut failing = false;
    loop {
        // The places first: who finds none waits in the kernel's queue and costs us nothing.
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = async {
                let all = Arc::clone(&all).acquire_owned().await.ok()?;
                let pending = Arc::clone(&pending).acquire_owned().await.ok()?;
                Some((listener.accept().await, all, pending))
            } => accepted,
        };
        let Some((accepted, all, pending)) = accepted else {
            return;
        };
        match accepted {
            Ok((tcp, addr)) => {
                failing = false;
                let connection = Connection {
                    door,
                    acceptor: acceptor.clone(),
                    router: router.clone(),
                    shutdown: shutdown.clone(),
                    addr,
                };
                tasks.spawn_child(door.who, async move {
                    let _all = all;
                    connection.run(tcp, pending).await;
                });
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, who = door.who, "connections cannot be accepted");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

struct Connection {
    door: Door,
    acceptor: TlsAcceptor,
    router: Router,
    shutdown: CancellationToken,
    addr: SocketAddr,
}

impl Connection {
    async fn run(self, tcp: TcpStream, pending: OwnedSemaphorePermit) {
        let _ = tcp.set_nodelay(true);
        let tls = match tokio::time::timeout(HANDSHAKE, self.acceptor.accept(tcp)).await {
            Ok(Ok(tls)) => tls,
            // Load balancers' probes and wrong certificates: the alert has told the other side what is wrong.
            Ok(Err(error)) => return self.no_tls(&error),
            Err(_) => {
                return tracing::debug!(peer = %self.addr, who = self.door.who, "no handshake in time");
            }
        };
        self.serve(tls, pending).await;
    }

    fn no_tls(&self, error: &std::io::Error) {
        // An alert is the other side's verdict on our certificate; a connection that just ends is a probe.
        let is_alert = error.get_ref().is_some_and(|inner| {
            matches!(inner.downcast_ref(), Some(rustls::Error::AlertReceived(_)))
        });
        if self.door.warns_of_tls && is_alert {
            tracing::warn!(peer = %self.addr, who = self.door.who, %error, "the certificate is not trusted");
        } else {
            tracing::debug!(peer = %self.addr, who = self.door.who, %error, "no TLS");
        }
    }

    async fn serve(self, tls: TlsStream<TcpStream>, pending: OwnedSemaphorePermit) {
        let connection = tls.get_ref().1;
        let certificate = connection
            .peer_certificates()
            .and_then(<[_]>::first)
            .map(|der| Shown(Certificate::parse(der).map(Arc::new)));
        let is_h2 = connection.alpn_protocol() == Some(ALPN_H2);
        let peer = Peer {
            addr: self.addr,
            certificate,
        };
        let asked = Arc::new(Notify::new());
        let place = Arc::new(Mutex::new(Some(pending)));
        let service = {
            let (router, asked) = (self.router, Arc::clone(&asked));
            service_fn(move |request: http::Request<Incoming>| {
                // It has asked: the place is another's now.
                if place
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take()
                    .is_some()
                {
                    asked.notify_one();
                }
                let router = router.clone();
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(peer.clone());
                async move {
                    Ok::<_, Infallible>(
                        router
                            .oneshot(request)
                            .await
                            .unwrap_or_else(|never| match never {}),
                    )
                }
            })
        };
        let builder = builder(is_h2, self.door.streams);
        let who = self.door.who;
        let mut connection = pin!(builder.serve_connection(TokioIo::new(tls), service));
        let age = AGE.mul_f64(rand::rng().random_range(0.9..1.1));
        let end = tokio::select! {
            ended = connection.as_mut() => return ended_with(who, self.addr, ended),
            () = async {
                // A first request in time, then a long life.
                if tokio::time::timeout(FIRST_REQUEST, asked.notified()).await.is_ok() {
                    std::future::pending::<()>().await;
                }
            } => return tracing::debug!(peer = %self.addr, who, "connected and asked nothing"),
            () = tokio::time::sleep(age) => GRACE,
            () = self.shutdown.cancelled() => GOODBYE,
        };
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            ended = connection.as_mut() => ended_with(who, self.addr, ended),
            () = tokio::time::sleep(end) => {}
            () = async { self.shutdown.cancelled().await; tokio::time::sleep(GOODBYE).await; } => {}
        }
    }
}

fn builder(is_h2: bool, streams: u32) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .max_concurrent_streams(streams)
        .max_header_list_size(HEADERS);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HANDSHAKE);
    // Agreed on by ALPN: nothing has to be guessed from the first bytes.
    if is_h2 {
        builder.http2_only()
    } else {
        builder.http1_only()
    }
}

fn ended_with(
    who: &'static str,
    addr: SocketAddr,
    ended: Result<(), Box<dyn std::error::Error + Send + Sync>>,
) {
    if let Err(error) = ended {
        tracing::debug!(peer = %addr, who, %error, "a connection broke");
    }
}
