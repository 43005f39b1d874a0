//! An HTTP proxy before an API server: it can hold a request, delay it, or answer it itself.
//!
//! ```text
//! client ──TLS (our CA)──► rules ──TLS (the API server's CA)──► API server
//! ```
//! In: requests with bearer tokens (a client certificate does not pass a proxy that ends TLS). Out: the same requests
//! with the same headers, unless a rule says otherwise.
//! Law: bodies stream, so that watches pass. Not: HTTP/2.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::task::AbortOnDropHandle;

use crate::control_plane::ControlPlane;
use crate::{handle, ports};

type Body = BoxBody<Bytes, hyper::Error>;

/// What happens to a request that a rule matches.
#[derive(Clone, Debug)]
pub enum Action {
    /// It waits until the rules change, and is judged again.
    Hold,
    /// It is passed on after a time.
    Delay(Duration),
    /// It is answered by the proxy: status and `Retry-After` in seconds.
    Answer(u16, Option<u32>),
    /// The connection is closed.
    Cut,
}

/// A rule: requests whose method and URI (path and query) contain these.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Method, or empty for any.
    pub method: &'static str,
    /// Parts of path and query that must all be there.
    pub contains: Vec<String>,
    /// Parts of path and query that must not be there.
    pub lacks: Vec<String>,
    /// What happens to it.
    pub action: Action,
}

impl Rule {
    /// A rule for lists of a resource: GETs that are no watches.
    pub fn lists(resource: &str, action: Action) -> Self {
        Self {
            method: "GET",
            contains: vec![format!("/{resource}?")],
            lacks: vec!["watch=true".to_owned(), "watch=1".to_owned()],
            action,
        }
    }

    fn matches<B>(&self, request: &Request<B>) -> bool {
        let uri = request.uri().to_string();
        (self.method.is_empty() || request.method() == self.method)
            && self.contains.iter().all(|part| uri.contains(part))
            && !self.lacks.iter().any(|part| uri.contains(part))
    }
}

/// A proxy.
#[derive(Debug)]
pub struct HttpProxy {
    port: u16,
    ca_pem: String,
    shared: Arc<Shared>,
    _task: AbortOnDropHandle<()>,
}

#[derive(Debug)]
struct Shared {
    rules: watch::Sender<Vec<Rule>>,
    seen: Mutex<Vec<String>>,
    server: String,
    client: Arc<rustls::ClientConfig>,
}

impl HttpProxy {
    /// Starts one before a control plane's API server.
    pub async fn start(plane: &ControlPlane) -> Result<Self> {
        let certified = rcgen::generate_simple_self_signed(vec![
            "127.0.0.1".to_owned(),
            "localhost".to_owned(),
        ])?;
        let ca_pem = certified.cert.pem();
        let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der())
            .map_err(anyhow::Error::msg)?;
        let mut server = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(server));

        let shared = Arc::new(Shared {
            rules: watch::Sender::new(Vec::new()),
            seen: Mutex::default(),
            server: plane.server().trim_start_matches("https://").to_owned(),
            client: Arc::new(towards(plane)?),
        });
        let port = ports::free();
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
        let task = handle().spawn({
            let shared = shared.clone();
            async move {
                let mut connections = JoinSet::new();
                loop {
                    let Ok((stream, _)) = listener.accept().await else {
                        return;
                    };
                    connections.spawn(connection(stream, acceptor.clone(), shared.clone()));
                    while connections.try_join_next().is_some() {}
                }
            }
        });
        Ok(Self {
            port,
            ca_pem,
            shared,
            _task: AbortOnDropHandle::new(task),
        })
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// What clients trust.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Replaces all rules. What is held is judged by the new ones.
    pub fn set(&self, rules: Vec<Rule>) {
        self.shared.rules.send_replace(rules);
    }

    /// `METHOD URI` of every request so far.
    pub fn seen(&self) -> Vec<String> {
        self.shared
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// TLS towards the API server: its own CA, no certificate of ours.
fn towards(plane: &ControlPlane) -> Result<rustls::ClientConfig> {
    use base64::Engine as _;
    let kubeconfig = kube::config::Kubeconfig::read_from(plane.kubeconfig())?;
    let ca = kubeconfig
        .clusters
        .first()
        .and_then(|cluster| cluster.cluster.as_ref()?.certificate_authority_data.clone())
        .context("a CA in the kubeconfig")?;
    let pem = base64::engine::general_purpose::STANDARD.decode(ca)?;
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        roots.add(certificate?)?;
    }
    let mut config = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    let service = hyper::service::service_fn(move |request| {
        let shared = shared.clone();
        async move { answer(request, &shared).await }
    });
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(request: Request<Incoming>, shared: &Shared) -> Result<Response<Body>> {
    shared
        .seen
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(format!("{} {}", request.method(), request.uri()));
    let mut rules = shared.rules.subscribe();
    loop {
        let action = rules
            .borrow_and_update()
            .iter()
            .find(|rule| rule.matches(&request))
            .map(|rule| rule.action.clone());
        match action {
            None => break,
            Some(Action::Delay(time)) => {
                tokio::time::sleep(time).await;
                break;
            }
            Some(Action::Hold) => rules.changed().await?,
            Some(Action::Answer(status, retry_after)) => return own_answer(status, retry_after),
            Some(Action::Cut) => anyhow::bail!("cut"),
        }
    }
    pass_on(request, shared).await
}

fn own_answer(status: u16, retry_after: Option<u32>) -> Result<Response<Body>> {
    let body = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status,
        "reason": if status == 429 { "TooManyRequests" } else { "InternalError" }, "message": "answered by the test's proxy",
    });
    let body = Full::new(Bytes::from(body.to_string()))
        .map_err(|never: Infallible| match never {})
        .boxed();
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status)?;
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    if let Some(seconds) = retry_after {
        response
            .headers_mut()
            .insert(HeaderName::from_static("retry-after"), seconds.into());
    }
    Ok(response)
}

async fn pass_on(request: Request<Incoming>, shared: &Shared) -> Result<Response<Body>> {
    let stream = TcpStream::connect(&shared.server).await?;
    let connector = TlsConnector::from(shared.client.clone());
    let stream = connector
        .connect(ServerName::try_from("127.0.0.1")?, stream)
        .await?;
    let (mut sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the connection: when the answer's body has been read or dropped.
    drop(handle().spawn(driver));
    let response = sender.send_request(request).await?;
    // The sender must live as long as the answer's body, or hyper closes the connection under it.
    let (parts, body) = response.into_parts();
    let body = body.map_frame(move |frame| {
        let _ = &sender;
        frame
    });
    Ok(Response::from_parts(parts, body.boxed()))
}
