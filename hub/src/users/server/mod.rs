//! The users' port: our own TLS acceptor, HTTP/2 and HTTP/1.1, the services behind the gate.
//!
//! ```text
//! listener ─► (at most 512 that have asked nothing) ─► TLS 1.2, 1.3 ─► hyper ─► deadline ─► gate ─► services
//!   the rest waits in accept                             within 5 s      age 1 h ± 10 %
//! ```
//! In: a listener, a key, the services. Out: nothing; it serves until the shutdown.
//! Law: nobody costs more than a place before TLS is done and a first request has come; every connection ends.
//! Not: who is asking (`access`), what is answered (`services`).

mod accept;
mod deadline;
mod routes;

pub use accept::{Door, USERS, serve};
pub use routes::routes;

use super::access::authn::Certificate;
use super::access::client_ca::ClientCa;
use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use segment_runtime::tls::{ALPN_H2, ReloadingKey, TlsError, provider};
use std::net::SocketAddr;
use std::sync::Arc;

/// Who is at the other end of a connection. In the extensions of each of its requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Where it comes from.
    pub addr: SocketAddr,
    /// The certificate it has shown, if any.
    pub certificate: Option<Shown>,
}

/// A certificate that TLS has verified; `None` inside: it names nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown(pub Option<Arc<Certificate>>);

/// TLS of the users' port. Nothing is resumed: a resumed session checks no certificate.
///
/// # Errors
/// When rustls refuses the combination.
pub fn server_config(
    key: Arc<ReloadingKey>,
    clients: Arc<ClientCa>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(TlsError::Config)?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(key);
    config.alpn_protocols = vec![ALPN_H2.to_vec(), b"http/1.1".to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}
