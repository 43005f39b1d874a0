//! Real handshakes over loopback.

use super::*;
use crate::enrolment::ca::{AgentIdentity, CertificateAuthority, LEAF_LIFE};
use crate::enrolment::csr::CsrKey;
use futures::StreamExt;
use jiff::SignedDuration;
use rcgen::{CertificateParams, KeyPair};
use rustls::client::danger::ServerCertVerifier;
use rustls_pki_types::ServerName;
use segment_core::ids::{ClusterName, HubId, Uid};
use segment_runtime::audit::AuditLayer;
use segment_runtime::tls::{PinnedRoot, ReloadingRoots, certified_key, client_config};
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsConnector;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

fn hub() -> HubId {
    HubId::new("hub-0123456789").unwrap()
}

/// Three days old: older than the certificates that it has issued.
fn authority() -> CertificateAuthority {
    let made = Timestamp::now() - SignedDuration::from_hours(72);
    let pems = CertificateAuthority::create(&hub(), made).unwrap();
    CertificateAuthority::load(&pems.root.cert, &pems.intermediate).unwrap()
}

/// An agent's key with a certificate that was issued `ago`.
fn agent_key(authority: &CertificateAuthority, ago: SignedDuration) -> Arc<ReloadingKey> {
    let key = KeyPair::generate().unwrap();
    let request = CertificateParams::default()
        .serialize_request(&key)
        .unwrap();
    let csr = CsrKey::parse(request.der()).unwrap();
    let (hub, cluster) = (hub(), ClusterName::new("eu-1").unwrap());
    let identity = AgentIdentity {
        hub: &hub,
        cluster: &cluster,
        cluster_uid: Uid([7; 16]),
    };
    let issued = authority
        .issue_agent(&csr, &identity, Timestamp::now() - ago, LEAF_LIFE)
        .unwrap();
    let pair = certified_key(issued.chain_pem.as_bytes(), key.serialize_pem().as_bytes());
    Arc::new(ReloadingKey::new(pair.unwrap()))
}

struct Port {
    addr: SocketAddr,
    connections: ReceiverStream<std::io::Result<AgentStream>>,
    authority: CertificateAuthority,
    audit: Audit,
    tasks: Tasks,
}

async fn port(limits: AcceptLimits) -> Port {
    let authority = authority();
    let server = authority
        .issue_server(&["hub".to_owned()], Timestamp::now(), LEAF_LIFE)
        .unwrap();
    let key = certified_key(
        server.chain_pem.as_bytes(),
        server.key_pem.unwrap().as_bytes(),
    );
    let key = Arc::new(ReloadingKey::new(key.unwrap()));
    let verifier = Arc::new(AgentVerifier::new(&[authority.root().clone()]).unwrap());
    let config = server_config(key, verifier).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (audit, tasks) = (Audit::start(), Tasks::new());
    let connections = incoming(listener, config, limits, &tasks);
    Port {
        addr,
        connections,
        authority,
        audit,
        tasks,
    }
}

impl Port {
    fn roots(&self) -> Arc<dyn ServerCertVerifier> {
        Arc::new(ReloadingRoots::new(&[self.authority.root().clone()]).unwrap())
    }

    fn config(&self, key: Arc<ReloadingKey>) -> rustls::ClientConfig {
        client_config(self.roots(), key).unwrap()
    }

    /// The peer of the next connection, which is closed once all that the client sent has been read.
    async fn peer(&mut self) -> PeerIdentity {
        let next = tokio::time::timeout(Duration::from_secs(10), self.connections.next());
        let mut stream = next
            .await
            .expect("a connection within 10 s")
            .unwrap()
            .unwrap();
        let mut sent = [0; PREFACE.len() + MORE.len()];
        stream.read_exact(&mut sent).await.unwrap();
        assert_eq!(sent.as_slice(), [PREFACE.as_slice(), MORE].concat());
        stream.shutdown().await.unwrap();
        stream.peer().clone()
    }

    /// The reason of the next refusal in the audit; the line names the peer's address and nothing else.
    async fn refusal(&mut self) -> String {
        let line: serde_json::Value = serde_json::from_str(&self.audit.line().await).unwrap();
        assert!(
            line["actor"].as_str().unwrap().starts_with("127.0.0.1:"),
            "{line}"
        );
        assert_eq!(
            (&line["action"], &line["result"]),
            (&"handshake".into(), &"refused".into())
        );
        line["reason"].as_str().unwrap().to_owned()
    }
}

const MORE: &[u8] = b"after the preface";

/// A client's whole attempt: handshake, preface, and a read that shows an alert if there is one.
async fn dial(addr: SocketAddr, config: rustls::ClientConfig) -> std::io::Result<()> {
    let tcp = TcpStream::connect(addr).await?;
    let connector = TlsConnector::from(Arc::new(config));
    let mut tls = connector
        .connect(ServerName::try_from("hub").unwrap(), tcp)
        .await?;
    tls.write_all(PREFACE).await?;
    tls.write_all(MORE).await?;
    // In TLS 1.3 the client is done before the server has seen its certificate: an alert comes with the first read.
    tls.read(&mut [0]).await.map(|_| ())
}

/// The audit lines of this thread's tasks.
struct Audit {
    lines: mpsc::Receiver<String>,
    _guard: tracing::subscriber::DefaultGuard,
}

impl Audit {
    fn start() -> Self {
        let (sender, lines) = mpsc::channel(64);
        let layer = AuditLayer::new(move || Line(sender.clone()));
        let guard = tracing_subscriber::registry().with(layer).set_default();
        Self {
            lines,
            _guard: guard,
        }
    }

    async fn line(&mut self) -> String {
        let line = tokio::time::timeout(Duration::from_secs(10), self.lines.recv());
        line.await.expect("an audit line within 10 s").unwrap()
    }
}

struct Line(mpsc::Sender<String>);

impl std::io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let line = String::from_utf8_lossy(bytes).into_owned();
        self.0.try_send(line).map_err(std::io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn nobody() -> Arc<ReloadingKey> {
    Arc::new(ReloadingKey::empty())
}

#[tokio::test]
async fn a_valid_certificate_is_an_identity() {
    let mut port = port(AcceptLimits::default()).await;
    let config = port.config(agent_key(&port.authority, SignedDuration::ZERO));
    let (dialled, peer) = tokio::join!(dial(port.addr, config), port.peer());
    dialled.unwrap();
    let leaf = peer.leaf.unwrap();
    assert_eq!((leaf.cluster.as_str(), &leaf.hub_id), ("eu-1", &hub()));
    assert_eq!(leaf.cluster_uid, Uid([7; 16]));
    assert!(!leaf.is_expired(Timestamp::now()));
}

#[tokio::test]
async fn without_a_certificate_one_is_let_in_as_nobody() {
    let mut port = port(AcceptLimits::default()).await;
    let (dialled, peer) = tokio::join!(dial(port.addr, port.config(nobody())), port.peer());
    dialled.unwrap();
    assert_eq!(peer.leaf, None);
}

#[tokio::test]
async fn an_ended_certificate_is_let_in_so_that_a_status_can_say_so() {
    let mut port = port(AcceptLimits::default()).await;
    let ago = LEAF_LIFE + SignedDuration::from_hours(1);
    let config = port.config(agent_key(&port.authority, ago));
    let (dialled, peer) = tokio::join!(dial(port.addr, config), port.peer());
    dialled.unwrap();
    assert!(peer.leaf.unwrap().is_expired(Timestamp::now()));
}

#[tokio::test]
async fn a_first_join_trusts_the_pinned_root_out_of_the_chain() {
    let mut port = port(AcceptLimits::default()).await;
    let pinned = Arc::new(PinnedRoot::new(port.authority.root_pin().unwrap()));
    let config = client_config(pinned, nobody()).unwrap();
    let (dialled, _) = tokio::join!(dial(port.addr, config), port.peer());
    dialled.unwrap();
    let other = Arc::new(PinnedRoot::new(authority().root_pin().unwrap()));
    let error = dial(port.addr, client_config(other, nobody()).unwrap())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
}

#[tokio::test]
async fn another_authoritys_certificate_is_an_alert_and_an_audit_line() {
    let mut port = port(AcceptLimits::default()).await;
    let config = port.config(agent_key(&authority(), SignedDuration::ZERO));
    let error = dial(port.addr, config).await.unwrap_err();
    assert!(error.to_string().contains("alert"), "{error}");
    let reason = port.refusal().await;
    assert!(
        reason.starts_with("TLS handshake failed: invalid peer certificate"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_servers_certificate_of_ours_is_no_agent() {
    let mut port = port(AcceptLimits::default()).await;
    let server = port
        .authority
        .issue_server(&["hub".to_owned()], Timestamp::now(), LEAF_LIFE);
    let server = server.unwrap();
    let pair = certified_key(
        server.chain_pem.as_bytes(),
        server.key_pem.unwrap().as_bytes(),
    );
    let config = port.config(Arc::new(ReloadingKey::new(pair.unwrap())));
    assert!(dial(port.addr, config).await.is_err());
    port.refusal().await;
}

#[tokio::test]
async fn tls_1_2_is_refused() {
    let mut port = port(AcceptLimits::default()).await;
    let mut config = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(port.roots())
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN_H2.to_vec()];
    let error = dial(port.addr, config).await.unwrap_err();
    assert!(error.to_string().contains("ProtocolVersion"), "{error}");
    let reason = port.refusal().await;
    assert!(
        reason.contains("Tls12NotOfferedOrEnabled") || reason.contains("13"),
        "{reason}"
    );
}

#[tokio::test]
async fn who_does_not_speak_http_2_is_refused() {
    let mut port = port(AcceptLimits::default()).await;
    let mut config = port.config(nobody());
    config.alpn_protocols.clear();
    let _ = dial(port.addr, config).await;
    assert_eq!(port.refusal().await, "HTTP/2 was not agreed on (ALPN h2)");

    let tcp = TcpStream::connect(port.addr).await.unwrap();
    let connector = TlsConnector::from(Arc::new(port.config(nobody())));
    let mut tls = connector
        .connect(ServerName::try_from("hub").unwrap(), tcp)
        .await
        .unwrap();
    tls.write_all(b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(port.refusal().await, "the first bytes are not HTTP/2");

    let mut tcp = TcpStream::connect(port.addr).await.unwrap();
    tcp.write_all(b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n")
        .await
        .unwrap();
    let reason = port.refusal().await;
    assert!(reason.starts_with("TLS handshake failed"), "{reason}");
}

#[tokio::test]
async fn a_resumed_session_is_never_offered() {
    let mut port = port(AcceptLimits::default()).await;
    let mut config = port.config(nobody());
    config.resumption = rustls::client::Resumption::in_memory_sessions(8);
    let config = Arc::new(config);
    for _ in 0..2 {
        let tcp = TcpStream::connect(port.addr).await.unwrap();
        let connector = TlsConnector::from(config.clone());
        let name = ServerName::try_from("hub").unwrap();
        let mut tls = connector.connect(name, tcp).await.unwrap();
        tls.write_all(PREFACE).await.unwrap();
        tls.write_all(MORE).await.unwrap();
        port.peer().await;
        // Tickets would have come before the close.
        let mut rest = Vec::new();
        tls.read_to_end(&mut rest).await.unwrap();
        let kind = tls.get_ref().1.handshake_kind();
        assert_eq!(kind, Some(rustls::HandshakeKind::Full));
        assert_eq!(tls.get_ref().1.tls13_tickets_received(), 0);
    }
}

#[tokio::test]
async fn silence_is_closed_at_the_deadline_before_and_after_tls() {
    let limits = AcceptLimits {
        handshake: Duration::from_millis(200),
        pending: 1,
    };
    let mut port = port(limits).await;
    let mut silent = TcpStream::connect(port.addr).await.unwrap();
    assert_eq!(silent.read(&mut [0]).await.unwrap(), 0, "closed by the hub");
    assert_eq!(port.refusal().await, "no handshake within 0.2 s");

    let tcp = TcpStream::connect(port.addr).await.unwrap();
    let connector = TlsConnector::from(Arc::new(port.config(nobody())));
    let mut tls = connector
        .connect(ServerName::try_from("hub").unwrap(), tcp)
        .await
        .unwrap();
    let _ = tls.read(&mut [0]).await;
    assert_eq!(port.refusal().await, "no handshake within 0.2 s");
}

#[tokio::test]
async fn those_over_the_limit_wait_and_are_served_when_a_place_is_free() {
    let limits = AcceptLimits {
        handshake: Duration::from_millis(300),
        pending: 1,
    };
    let mut port = port(limits).await;
    let _silent = TcpStream::connect(port.addr).await.unwrap();
    let (dialled, _) = tokio::join!(dial(port.addr, port.config(nobody())), port.peer());
    dialled.unwrap();
    assert_eq!(port.refusal().await, "no handshake within 0.3 s");
}

#[tokio::test]
async fn a_port_probe_leaves_no_audit_line() {
    let mut port = port(AcceptLimits::default()).await;
    drop(TcpStream::connect(port.addr).await.unwrap());
    let mut tcp = TcpStream::connect(port.addr).await.unwrap();
    tcp.write_all(b"not TLS at all").await.unwrap();
    assert!(port.refusal().await.starts_with("TLS handshake failed"));
    assert!(port.audit.lines.try_recv().is_err());
}

#[tokio::test]
async fn the_stream_of_connections_ends_with_the_shutdown() {
    let mut port = port(AcceptLimits::default()).await;
    port.tasks.shut_down();
    assert!(port.connections.next().await.is_none());
}
