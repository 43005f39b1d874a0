//! A channel to the hub that logs in as the kubeconfig does.
//!
//! In: a login, an address, roots. Out: a channel. A user with a client certificate shows it in the handshake; a user
//! with a token, also one that a plugin makes, sends it with each call. Law: only the hub's own roots are trusted.

use super::address::Address;
use super::kubeconfig::{Login, causes};
use super::unreachable;
use crate::exit::Failure;
use hyper_util::rt::TokioIo;
use kube::client::ConfigExt as _;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tower::util::{BoxCloneService, MapErrLayer};
use tower::{BoxError, Layer as _};

/// A channel to the hub.
pub(crate) type HubChannel = BoxCloneService<http::Request<Body>, http::Response<Body>, BoxError>;

/// TCP and TLS handshake: as long as a phone network takes, and no longer.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Load balancers cut idle connections after 60 to 350 s.
const PING_PERIOD: Duration = Duration::from_secs(20);
/// Without an answer to a ping for so long, the connection is dead.
const PING_LIMIT: Duration = Duration::from_secs(10);

/// Makes the channel. It connects with the first call, and again when it has to.
pub(super) fn channel(
    login: &Login,
    address: &Address,
    roots_pem: &str,
) -> Result<HubChannel, Failure> {
    let tls = TlsConnector::from(Arc::new(tls(login, roots_pem)?));
    let name = ServerName::try_from(address.host.clone())
        .map_err(|_| Failure::usage(format!("{:?} is no host name", address.host)))?;
    let target = (address.host.clone(), address.port);
    let connector = tower::service_fn(move |_: http::Uri| {
        let (tls, name, target) = (tls.clone(), name.clone(), target.clone());
        async move {
            let tcp = TcpStream::connect(target).await?;
            tcp.set_nodelay(true)?;
            Ok::<_, std::io::Error>(TokioIo::new(tls.connect(name, tcp).await?))
        }
    });
    let uri = |scheme: &str| {
        format!("{scheme}://{address}")
            .parse::<http::Uri>()
            .map_err(|error| Failure::usage(format!("address of the hub {address}: {error}")))
    };
    // The connector does TLS itself, so the endpoint must not want to: hence http here, and https as the origin.
    let channel = Endpoint::from(uri("http")?)
        .origin(uri("https")?)
        .connect_timeout(CONNECT_LIMIT)
        .http2_keep_alive_interval(PING_PERIOD)
        .keep_alive_timeout(PING_LIMIT)
        .keep_alive_while_idle(true)
        .connect_with_connector_lazy(connector);
    authorised(login, channel)
}

fn authorised(login: &Login, channel: Channel) -> Result<HubChannel, Failure> {
    let channel = MapErrLayer::new(BoxError::from).layer(channel);
    let auth = login.config.auth_layer().map_err(|error| {
        unreachable(format!(
            "the kubeconfig's user can't log in: {}",
            causes(&error)
        ))
    })?;
    Ok(match auth {
        Some(auth) => BoxCloneService::new(auth.layer(channel)),
        None => BoxCloneService::new(channel),
    })
}

fn tls(login: &Login, roots_pem: &str) -> Result<rustls::ClientConfig, Failure> {
    let roots = CertificateDer::pem_slice_iter(roots_pem.as_bytes())
        .map(|root| root.map(|root| root.to_vec()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| {
            unreachable(format!(
                "the hub's root certificates can't be read: {error}"
            ))
        })?;
    if roots.is_empty() {
        return Err(unreachable("the hub's root certificates are empty"));
    }
    // The user's certificate is the kubeconfig's; whom to trust, and under which name, is the hub's own affair.
    let mut config = login.config.clone();
    config.root_cert = Some(roots);
    config.root_cert_file = None;
    config.accept_invalid_certs = false;
    config.tls_server_name = None;
    let mut tls = config.rustls_client_config().map_err(|error| {
        unreachable(format!(
            "the kubeconfig's user can't log in: {}",
            causes(&error)
        ))
    })?;
    tls.alpn_protocols = vec![b"h2".to_vec()];
    Ok(tls)
}
