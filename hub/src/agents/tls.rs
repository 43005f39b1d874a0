//! The agents' port: our own TLS acceptor.
//!
//! ```text
//! listener ─► (at most 512 before TLS is done) ─► TLS 1.3 ─► HTTP/2 preface ─► AgentStream ─► tonic
//!   the rest waits in accept                        within 5 s together          with PeerIdentity
//! ```
//! **In:** a listener, a key, the roots. **Out:** a stream of connections that know who is at the other end.
//! **Law:** TLS 1.3 and HTTP/2 only; nothing is resumed (a resumed session checks neither expiry nor revocation); a
//! certificate of another authority is an alert and an audit line; none, or one that has ended, is let in, so that the
//! call can be answered with a status that says what to do.
//! **Not:** who may do what; every call judges the identity anew.

mod stream;
mod verifier;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use segment_runtime::audit::{AuditLine, AuditResult};
use segment_runtime::tasks::{Tasks, with_causes};
use segment_runtime::tls::{ALPN_H2, ReloadingKey, TlsError, provider};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;

use super::identity::LeafInfo;

pub use stream::{AgentStream, PeerIdentity};
pub use verifier::AgentVerifier;

/// What every HTTP/2 client sends first ([RFC 9113 §3.4](https://www.rfc-editor.org/rfc/rfc9113#section-3.4)).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Connections that are ready and that tonic has not yet taken. Each holds about 40 KiB; tonic takes them at once.
const READY_QUEUE: usize = 64;

/// Pause after a failed accept (no file descriptor left): long enough not to spin, short for a client to wait.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How much a stranger may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcceptLimits {
    /// From TCP's connect to the end of TLS and HTTP/2's first bytes.
    pub handshake: Duration,
    /// Connections at a time that have not come so far. More wait in the kernel's queue.
    pub pending: usize,
}

impl Default for AcceptLimits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            pending: 512,
        }
    }
}

/// TLS of the agents' port: 1.3, `h2`, client certificates asked for, no session kept on either side.
///
/// # Errors
/// When rustls refuses the combination.
pub fn server_config(
    key: Arc<ReloadingKey>,
    verifier: Arc<AgentVerifier>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Config)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(key);
    config.alpn_protocols = vec![ALPN_H2.to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// Accepts connections until the shutdown; the stream then ends. Items are never errors: what fails before HTTP/2 is
/// audited and dropped here.
pub fn incoming(
    listener: TcpListener,
    config: Arc<ServerConfig>,
    limits: AcceptLimits,
    tasks: &Tasks,
) -> ReceiverStream<std::io::Result<AgentStream>> {
    let (ready, connections) = mpsc::channel(READY_QUEUE);
    let children = tasks.clone();
    let stop = tasks.shutdown_token();
    tasks.spawn("agents-accept", async move {
        let acceptor = TlsAcceptor::from(config);
        tokio::select! {
            () = stop.cancelled() => {}
            () = accept(&listener, &acceptor, limits, &children, &ready) => {}
        }
    });
    ReceiverStream::new(connections)
}

type Ready = mpsc::Sender<std::io::Result<AgentStream>>;

/// Ends only when nobody takes connections any more.
async fn accept(
    listener: &TcpListener,
    acceptor: &TlsAcceptor,
    limits: AcceptLimits,
    tasks: &Tasks,
    ready: &Ready,
) {
    let places = Arc::new(Semaphore::new(limits.pending));
    let mut failing = false;
    while !ready.is_closed() {
        // The place first: who finds none waits in the kernel's queue and costs us nothing.
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((tcp, addr)) => {
                failing = false;
                let (acceptor, ready) = (acceptor.clone(), ready.clone());
                let greet = greet(tcp, addr, acceptor, limits.handshake, ready, place);
                tasks.spawn_child("agent-handshake", greet);
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "connections of agents cannot be accepted");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn greet(
    tcp: TcpStream,
    addr: SocketAddr,
    acceptor: TlsAcceptor,
    limit: Duration,
    ready: Ready,
    place: OwnedSemaphorePermit,
) {
    let stream = match tokio::time::timeout(limit, handshake(tcp, addr, acceptor)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(Failure::Probe)) => return,
        Ok(Err(failure)) => return refuse(addr, with_causes(&failure)),
        Err(_) => {
            return refuse(
                addr,
                format!("no handshake within {} s", limit.as_secs_f32()),
            );
        }
    };
    // The place is held until tonic has the connection: a hub that cannot keep up takes no more in.
    let _ = ready.send(Ok(stream)).await;
    drop(place);
}

fn refuse(addr: SocketAddr, reason: String) {
    let line = AuditLine {
        time: Timestamp::now(),
        actor: addr.to_string(),
        action: "handshake".into(),
        subject: "agents".to_owned(),
        uid: None,
        reason: Some(reason),
        result: AuditResult::Refused,
    };
    line.emit();
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    /// Connected and gone without a byte, as load balancers do to see whether the port is open.
    #[error("closed without a byte")]
    Probe,
    #[error("TLS handshake failed")]
    Tls(#[source] std::io::Error),
    #[error("HTTP/2 was not agreed on (ALPN h2)")]
    Alpn,
    #[error("closed before HTTP/2 began")]
    Closed(#[source] std::io::Error),
    #[error("the first bytes are not HTTP/2")]
    Preface,
    #[error("client certificate is not one of ours")]
    Identity(#[source] super::identity::IdentityError),
}

async fn handshake(
    tcp: TcpStream,
    addr: SocketAddr,
    acceptor: TlsAcceptor,
) -> Result<AgentStream, Failure> {
    let mut first = [0];
    if tcp.peek(&mut first).await.map_err(Failure::Tls)? == 0 {
        return Err(Failure::Probe);
    }
    // Acks are small and wait for nobody. A socket that refuses this is as good otherwise.
    let _ = tcp.set_nodelay(true);
    let mut tls = acceptor.accept(tcp).await.map_err(Failure::Tls)?;
    let connection = tls.get_ref().1;
    if connection.alpn_protocol() != Some(ALPN_H2) {
        return Err(Failure::Alpn);
    }
    let leaf = connection
        .peer_certificates()
        .and_then(<[_]>::first)
        .map(LeafInfo::parse);
    let leaf = leaf.transpose().map_err(Failure::Identity)?;
    // tonic waits for HTTP/2's first bytes without a deadline, so they are read here, under ours.
    let mut preface = [0; PREFACE.len()];
    tls.read_exact(&mut preface)
        .await
        .map_err(Failure::Closed)?;
    if &preface != PREFACE {
        return Err(Failure::Preface);
    }
    let peer = PeerIdentity {
        addr,
        leaf: leaf.map(Arc::new),
    };
    Ok(AgentStream::new(tls, peer, preface.to_vec()))
}

#[cfg(test)]
mod tests;
