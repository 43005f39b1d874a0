//! The way to the hub: TCP (through a proxy where the environment says so), TLS 1.3, HTTP/2.
//!
//! In: the hub's address, a TLS configuration. Out: a channel that is open. Law: every step has a deadline; the hub's
//! name is checked; nothing is resumed. Not: when to dial again (`session.rs`), what is said (`enrolment.rs`, `session.rs`).

use crate::config::HubAddress;
use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};
use tower::Service as _;

/// Longest wait for a TCP connection (each step of it), in seconds: a slow link and a lost packet or two.
const TCP_DEADLINE: Duration = Duration::from_secs(10);
/// Longest wait for a TLS handshake, in seconds.
const TLS_DEADLINE: Duration = Duration::from_secs(10);
/// What the hub may send before the agent has read it, per stream and in all, in bytes: a frame of orders in few
/// round trips, without holding much for a slow reader.
const WINDOW_BYTES: u32 = 512 * 1024;

/// No connection to the hub.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// TCP.
    #[error("{0} can't be reached")]
    Tcp(String, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// No answer in time.
    #[error("{hub}: no {what} within {} s", limit.as_secs())]
    Late {
        /// The hub's address.
        hub: String,
        /// What did not come.
        what: &'static str,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The host is no name for TLS.
    #[error("{0} is no name that a certificate can have")]
    Name(String),
    /// TLS.
    #[error("{0}: TLS handshake failed")]
    Tls(String, #[source] std::io::Error),
    /// HTTP/2.
    #[error("{0}: no HTTP/2 connection")]
    Http2(String, #[source] tonic::transport::Error),
}

/// Opens a connection.
///
/// # Errors
/// As [`ConnectError`] tells.
pub async fn connect(
    hub: &HubAddress,
    tls: Arc<rustls::ClientConfig>,
    keepalive: Duration,
) -> Result<Channel, ConnectError> {
    let authority = hub.authority();
    // TLS is ours; with `https` here tonic would want to make it.
    let endpoint = Endpoint::from_shared(format!("http://{authority}"))
        .map(|endpoint| {
            let origin = Uri::builder()
                .scheme("https")
                .authority(authority.as_str())
                .path_and_query("/")
                .build();
            origin.map_or(endpoint.clone(), |origin| endpoint.origin(origin))
        })
        .map_err(|error| ConnectError::Http2(authority.clone(), error))?
        .http2_keep_alive_interval(keepalive)
        .keep_alive_timeout(keepalive)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES);
    // Dialled here and handed over, so that the error is ours and not wrapped twice.
    let mut stream = Some(dial(hub, tls).await?);
    let connector = tower::service_fn(move |_: Uri| {
        let stream = stream.take();
        async move { stream.ok_or_else(|| std::io::Error::other("the connection was used already")) }
    });
    endpoint
        .connect_with_connector(connector)
        .await
        .map_err(|error| ConnectError::Http2(authority, error))
}

type Tls = TokioIo<tokio_rustls::client::TlsStream<TcpStream>>;

async fn dial(hub: &HubAddress, tls: Arc<rustls::ClientConfig>) -> Result<Tls, ConnectError> {
    let authority = hub.authority();
    let name =
        ServerName::try_from(hub.host.clone()).map_err(|_| ConnectError::Name(hub.host.clone()))?;
    let tcp = tokio::time::timeout(TCP_DEADLINE, tcp(&authority))
        .await
        .map_err(|_| ConnectError::Late {
            hub: authority.clone(),
            what: "TCP connection",
            limit: TCP_DEADLINE,
        })?
        .map_err(|error| ConnectError::Tcp(authority.clone(), error))?;
    let stream = tokio::time::timeout(TLS_DEADLINE, TlsConnector::from(tls).connect(name, tcp))
        .await
        .map_err(|_| ConnectError::Late {
            hub: authority.clone(),
            what: "TLS handshake",
            limit: TLS_DEADLINE,
        })?
        .map_err(|error| ConnectError::Tls(authority, error))?;
    Ok(TokioIo::new(stream))
}

/// A TCP connection, through the proxy of `HTTPS_PROXY` unless `NO_PROXY` names the host. TLS goes inside the tunnel.
async fn tcp(authority: &str) -> Result<TcpStream, Box<dyn std::error::Error + Send + Sync>> {
    let target: Uri = format!("https://{authority}").parse()?;
    let mut direct = HttpConnector::new();
    direct.enforce_http(false);
    direct.set_nodelay(true);
    direct.set_connect_timeout(Some(TCP_DEADLINE));
    let stream = match Matcher::from_env().intercept(&target) {
        None => direct.call(target).await?,
        Some(proxy) => {
            let mut tunnel = Tunnel::new(proxy.uri().clone(), direct);
            if let Some(auth) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(auth.clone());
            }
            tunnel.call(target).await?
        }
    };
    Ok(stream.into_inner())
}
