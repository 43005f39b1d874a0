//! A hub that is none: the users' API with made-up answers behind real TLS, and an API server that only knows where it
//! is. It checks who calls, as the hub does.

use rcgen::{CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use segment_proto::v1;
use segment_proto::v1::cluster_service_server::{ClusterService, ClusterServiceServer};
use segment_proto::v1::hub_service_server::{HubService, HubServiceServer};
use segment_proto::v1::run_service_server::{RunService, RunServiceServer};
use segment_proto::v1::segment_service_server::{SegmentService, SegmentServiceServer};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;
use tonic::{Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// The hub, for as long as the test runs.
pub(crate) struct FakeHub {
    address: String,
    folder: tempfile::TempDir,
}

impl FakeHub {
    /// Starts both servers and writes the kubeconfig.
    pub(crate) async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let (server, server_key) = leaf(&ca, "127.0.0.1", ExtendedKeyUsagePurpose::ServerAuth);
        let (client, client_key) = leaf(&ca, "alice", ExtendedKeyUsagePurpose::ClientAuth);

        let users = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = users.local_addr().unwrap().to_string();
        serve_users(users, &ca.pem(), &server, &server_key);
        let api = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", api.local_addr().unwrap());
        serve_api(api, &address, &ca.pem());

        let base64 =
            |text: &str| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text);
        let kubeconfig = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: token\n\
             clusters: [{{name: hub, cluster: {{server: '{server}'}}}}]\n\
             contexts:\n\
             - {{name: token, context: {{cluster: hub, user: token}}}}\n\
             - {{name: certificate, context: {{cluster: hub, user: certificate}}}}\n\
             - {{name: stranger, context: {{cluster: hub, user: stranger}}}}\n\
             - {{name: nobody, context: {{cluster: hub, user: nobody}}}}\n\
             users:\n\
             - {{name: token, user: {{token: good}}}}\n\
             - {{name: stranger, user: {{token: stranger}}}}\n\
             - {{name: nobody, user: {{}}}}\n\
             - {{name: certificate, user: {{client-certificate-data: {}, client-key-data: {}}}}}\n",
            base64(&client),
            base64(&client_key)
        );
        std::fs::write(folder.path().join("kubeconfig"), kubeconfig).unwrap();
        Self { address, folder }
    }

    /// Host and port of the users' API.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// A folder of this test alone.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The kubeconfig with the contexts token, certificate, stranger and nobody.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }
}

fn leaf(
    ca: &CertifiedIssuer<'_, KeyPair>,
    name: &str,
    usage: ExtendedKeyUsagePurpose,
) -> (String, String) {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![usage];
    let key = KeyPair::generate().unwrap();
    (
        params.signed_by(&key, ca).unwrap().pem(),
        key.serialize_pem(),
    )
}

/// Answers every request with the ConfigMap that says where the hub is.
fn serve_api(listener: TcpListener, users: &str, roots: &str) {
    let map = serde_json::json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "segment-hub", "namespace": "kube-public"},
        "data": {"users": users, "agents": "127.0.0.1:1", "ca.crt": roots, "hubId": "hub-0123456789"}
    })
    .to_string();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let map = map.clone();
            tokio::spawn(async move {
                let mut request = Vec::new();
                let mut buffer = [0; 1024];
                while let Ok(count) = tcp.read(&mut buffer).await {
                    request.extend_from_slice(&buffer[..count]);
                    if count == 0 || request.windows(4).any(|end| end == b"\r\n\r\n") {
                        break;
                    }
                }
                assert!(
                    request
                        .starts_with(b"GET /api/v1/namespaces/kube-public/configmaps/segment-hub")
                );
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{map}",
                    map.len()
                );
                let _ = tcp.write_all(answer.as_bytes()).await;
            });
        }
    });
}

fn serve_users(listener: TcpListener, ca: &str, certificate: &str, key: &str) {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap())
        .unwrap();
    let verifier = rustls::server::WebPkiClientVerifier::builder(Arc::new(roots))
        .allow_unauthenticated()
        .build()
        .unwrap();
    let mut config = rustls::ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let connections = async_stream(listener, acceptor);
    let answers = Answers::default();
    let server = tonic::transport::Server::builder()
        .add_service(SegmentServiceServer::new(answers.clone()))
        .add_service(ClusterServiceServer::new(answers.clone()))
        .add_service(HubServiceServer::new(answers.clone()))
        .add_service(RunServiceServer::new(answers.clone()))
        .serve_with_incoming(connections);
    tokio::spawn(server);
}

fn async_stream(
    listener: TcpListener,
    acceptor: TlsAcceptor,
) -> tokio_stream::wrappers::ReceiverStream<std::io::Result<Connection>> {
    let (send, receive) = tokio::sync::mpsc::channel(8);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (acceptor, send) = (acceptor.clone(), send.clone());
            tokio::spawn(async move {
                if let Ok(tls) = acceptor.accept(tcp).await {
                    let _ = send.send(Ok(Connection(tls))).await;
                }
            });
        }
    });
    tokio_stream::wrappers::ReceiverStream::new(receive)
}

struct Connection(TlsStream<TcpStream>);

#[derive(Clone)]
struct HasCertificate(bool);

impl Connected for Connection {
    type ConnectInfo = HasCertificate;
    fn connect_info(&self) -> HasCertificate {
        HasCertificate(self.0.get_ref().1.peer_certificates().is_some())
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

// === answers ===

#[derive(Clone, Default)]
struct Answers {
    /// Watches that were begun.
    watches: Arc<std::sync::atomic::AtomicUsize>,
}

fn known<T>(request: &Request<T>) -> Result<(), Status> {
    let header = request
        .metadata()
        .get("authorization")
        .map(|value| value.to_str().unwrap().to_owned());
    match header.as_deref() {
        Some("Bearer good") => Ok(()),
        Some(_) => Err(Status::permission_denied(
            r#"segments.segment.grnry.io is forbidden: User "stranger" cannot list resource "segments" in API group "segment.grnry.io" at the cluster scope"#,
        )),
        None if request
            .extensions()
            .get::<HasCertificate>()
            .is_some_and(|peer| peer.0) =>
        {
            Ok(())
        }
        None => Err(Status::unauthenticated(
            "neither a bearer token nor a client certificate was sent",
        )),
    }
}

fn at(seconds: i64) -> segment_proto::Timestamp {
    segment_proto::Timestamp { seconds, nanos: 0 }
}

fn source() -> v1::Source {
    v1::Source {
        as_of: Some(at(1_000)),
        hub: "segment-hub-0".into(),
        leader: Some(true),
    }
}

fn segment(name: &str, revision: &str, stale: u32) -> v1::Segment {
    v1::Segment {
        name: name.into(),
        revision: revision.into(),
        ready: Some(stale == 0),
        clusters: Some(v1::ClusterCounts {
            selected: Some(3),
            ready: Some(3 - stale),
            rolling: Some(0),
            failing: Some(0),
            stale: Some(stale),
            held: Some(0),
            updated: Some(3 - stale),
            owed: Some(stale),
        }),
        last_run: Some(at(880)),
        ..v1::Segment::default()
    }
}

fn all() -> Vec<v1::Segment> {
    vec![
        segment("granary/demo-segment", "7f3a91c0aabbccdd", 1),
        segment("test/other", "b1200de0aabbccdd", 0),
    ]
}

fn cluster(name: &str) -> v1::Cluster {
    let connected = name == "eu-21";
    v1::Cluster {
        name: name.into(),
        ready: if connected { "True" } else { "Unknown" }.into(),
        connected: Some(connected),
        segments: Some(v1::SegmentCounts {
            placed: Some(2),
            ready: Some(2),
            failing: Some(0),
            held: Some(0),
            ..v1::SegmentCounts::default()
        }),
        ..v1::Cluster::default()
    }
}

type Stream<T> = tokio_stream::wrappers::ReceiverStream<Result<T, Status>>;

fn refused<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("not here"))
}

#[tonic::async_trait]
impl SegmentService for Answers {
    async fn list_segments(
        &self,
        request: Request<v1::ListSegmentsRequest>,
    ) -> Result<Response<v1::ListSegmentsResponse>, Status> {
        known(&request)?;
        let request = request.into_inner();
        if request.label_selector.ends_with('=') {
            let details =
                ErrorDetails::with_bad_request_violation("label_selector", "expected a value");
            let message = "label_selector can't be read";
            return Err(Status::with_error_details(
                tonic::Code::InvalidArgument,
                message,
                details,
            ));
        }
        let mut segments = all();
        segments.retain(|segment| {
            request.namespace.is_empty() || segment.name.starts_with(&request.namespace)
        });
        let total = i32::try_from(segments.len()).unwrap();
        // Pages of one, so that whoever forgets the next page is found out.
        let begin = request.page_token.parse::<usize>().unwrap_or(0);
        let next = if begin + 1 < segments.len() {
            (begin + 1).to_string()
        } else {
            String::new()
        };
        Ok(Response::new(v1::ListSegmentsResponse {
            segments: segments.into_iter().skip(begin).take(1).collect(),
            next_page_token: next,
            total_size: Some(total),
            fleet: Some(v1::Fleet {
                clusters: Some(3),
                connected: Some(2),
                quiet: vec!["eu-17".into()],
                quiet_count: Some(1),
            }),
            source: Some(source()),
        }))
    }

    async fn get_segment(
        &self,
        request: Request<v1::GetSegmentRequest>,
    ) -> Result<Response<v1::GetSegmentResponse>, Status> {
        known(&request)?;
        let name = &request.get_ref().name;
        let found = all().into_iter().find(|segment| segment.name == *name);
        Ok(Response::new(v1::GetSegmentResponse {
            segment: Some(
                found.ok_or_else(|| Status::not_found(format!("segment {name} not found")))?,
            ),
            source: Some(source()),
        }))
    }

    type WatchSegmentsStream = Stream<v1::WatchSegmentsResponse>;
    /// Breaks off after the snapshot, then says that the token is too old, then that the right is gone.
    async fn watch_segments(
        &self,
        request: Request<v1::WatchSegmentsRequest>,
    ) -> Result<Response<Self::WatchSegmentsStream>, Status> {
        use v1::EventType::{Added, Modified, Synced};
        known(&request)?;
        let told = |event: v1::EventType, segment: Option<v1::Segment>, token: &str| {
            Ok(v1::WatchSegmentsResponse {
                r#type: event.into(),
                segment,
                resume_token: token.to_owned(),
            })
        };
        let turn = self
            .watches
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let messages = match (turn, request.get_ref().resume_token.as_str()) {
            (0, "") => {
                let mut messages: Vec<_> = all()
                    .into_iter()
                    .map(|segment| told(Added, Some(segment), ""))
                    .collect();
                messages.push(told(Synced, None, "t1"));
                messages
            }
            (1, "t1") => vec![
                told(
                    Modified,
                    Some(segment("granary/demo-segment", "0000000aabbccdd0", 0)),
                    "",
                ),
                Err(Status::out_of_range("too old")),
            ],
            (2, "") => vec![Err(Status::permission_denied(
                "segments.segment.grnry.io is forbidden",
            ))],
            other => panic!("unexpected watch {other:?}"),
        };
        let (send, receive) = tokio::sync::mpsc::channel(8);
        for message in messages {
            send.try_send(message).unwrap();
        }
        Ok(Response::new(tokio_stream::wrappers::ReceiverStream::new(
            receive,
        )))
    }

    async fn list_assignments(
        &self,
        request: Request<v1::ListAssignmentsRequest>,
    ) -> Result<Response<v1::ListAssignmentsResponse>, Status> {
        known(&request)?;
        Ok(Response::new(v1::ListAssignmentsResponse::default()))
    }

    async fn get_assignment(
        &self,
        _: Request<v1::GetAssignmentRequest>,
    ) -> Result<Response<v1::GetAssignmentResponse>, Status> {
        refused()
    }

    async fn why(
        &self,
        request: Request<v1::WhyRequest>,
    ) -> Result<Response<v1::WhyResponse>, Status> {
        known(&request)?;
        let request = request.into_inner();
        Ok(Response::new(v1::WhyResponse {
            segment: request.segment,
            cluster: request.cluster,
            placed: Some(false),
            reason: "SelectorMismatch".into(),
            message: "label env is \"test\"; selector wants env=prod".into(),
            source: Some(source()),
            ..v1::WhyResponse::default()
        }))
    }

    async fn list_orphans(
        &self,
        _: Request<v1::ListOrphansRequest>,
    ) -> Result<Response<v1::ListOrphansResponse>, Status> {
        refused()
    }
}

#[tonic::async_trait]
impl ClusterService for Answers {
    async fn list_clusters(
        &self,
        request: Request<v1::ListClustersRequest>,
    ) -> Result<Response<v1::ListClustersResponse>, Status> {
        known(&request)?;
        Ok(Response::new(v1::ListClustersResponse {
            clusters: vec![cluster("eu-17"), cluster("eu-21")],
            total_size: Some(2),
            source: Some(source()),
            ..v1::ListClustersResponse::default()
        }))
    }

    async fn get_cluster(
        &self,
        request: Request<v1::GetClusterRequest>,
    ) -> Result<Response<v1::GetClusterResponse>, Status> {
        known(&request)?;
        let name = &request.get_ref().name;
        if !["eu-17", "eu-21", "eu-22"].contains(&name.as_str()) {
            return Err(Status::not_found(format!("cluster {name} not found")));
        }
        Ok(Response::new(v1::GetClusterResponse {
            cluster: Some(cluster(name)),
            source: Some(source()),
        }))
    }

    type WatchClustersStream = Stream<v1::WatchClustersResponse>;
    async fn watch_clusters(
        &self,
        _: Request<v1::WatchClustersRequest>,
    ) -> Result<Response<Self::WatchClustersStream>, Status> {
        refused()
    }

    async fn join_cluster(
        &self,
        request: Request<v1::JoinClusterRequest>,
    ) -> Result<Response<v1::JoinClusterResponse>, Status> {
        known(&request)?;
        Ok(Response::new(v1::JoinClusterResponse {
            token: "k3f9ab.secret.sha256:9cfa".into(),
            token_id: "k3f9ab".into(),
            agents_address: "hub.corp:8443".into(),
            ca_pin: "sha256:9cfa".into(),
            created: Some(true),
            ..v1::JoinClusterResponse::default()
        }))
    }

    async fn list_tokens(
        &self,
        _: Request<v1::ListTokensRequest>,
    ) -> Result<Response<v1::ListTokensResponse>, Status> {
        refused()
    }

    async fn revoke_token(
        &self,
        _: Request<v1::RevokeTokenRequest>,
    ) -> Result<Response<v1::RevokeTokenResponse>, Status> {
        refused()
    }
}

#[tonic::async_trait]
impl HubService for Answers {
    async fn get_hub(
        &self,
        _: Request<v1::GetHubRequest>,
    ) -> Result<Response<v1::GetHubResponse>, Status> {
        refused()
    }

    async fn accept_restore(
        &self,
        request: Request<v1::AcceptRestoreRequest>,
    ) -> Result<Response<v1::AcceptRestoreResponse>, Status> {
        known(&request)?;
        assert!(
            request.get_ref().validate_only,
            "nothing is done before someone agreed"
        );
        Ok(Response::new(v1::AcceptRestoreResponse::default()))
    }
}

/// Three runs, one of them on the second page.
fn run_records() -> Vec<v1::RunRecord> {
    let record = |result: v1::RunResult, due: i64, reason: &str, message: &str| v1::RunRecord {
        segment: "granary/demo-segment".into(),
        cluster: "eu-21".into(),
        run: Some(v1::Run {
            scheduled: Some(at(due)),
            result: result.into(),
            reason: reason.into(),
            message: message.into(),
            revision: "7f3a91c0aabbccdd".into(),
            ..v1::Run::default()
        }),
        ..v1::RunRecord::default()
    };
    vec![
        record(
            v1::RunResult::Missed,
            940,
            "NotCreated",
            "exceeded quota: small",
        ),
        record(v1::RunResult::Failed, 880, "Error", "no relation"),
        record(v1::RunResult::Succeeded, 820, "", ""),
    ]
}

#[tonic::async_trait]
impl RunService for Answers {
    type RunStream = Stream<v1::RunResponse>;
    type LogsStream = Stream<v1::LogsResponse>;

    async fn run(&self, _: Request<v1::RunRequest>) -> Result<Response<Self::RunStream>, Status> {
        Err(Status::unimplemented("no run is ordered here"))
    }

    async fn logs(
        &self,
        _: Request<v1::LogsRequest>,
    ) -> Result<Response<Self::LogsStream>, Status> {
        Err(Status::unimplemented("no log is read here"))
    }

    async fn list_runs(
        &self,
        request: Request<v1::ListRunsRequest>,
    ) -> Result<Response<v1::ListRunsResponse>, Status> {
        known(&request)?;
        let request = request.into_inner();
        if request.segment == "granary/nosuch" {
            return Err(Status::not_found("segment granary/nosuch not found"));
        }
        let mut runs = run_records();
        if request.missed || request.failed {
            runs.retain(|record| {
                let result = record.run.as_ref().unwrap().result();
                (request.missed && result == v1::RunResult::Missed)
                    || (request.failed && result == v1::RunResult::Failed)
            });
        }
        if request.group_by == i32::from(v1::RunGrouping::Cause) {
            let group = v1::RunGroup {
                name: "exit 1: relation \"…\" does not exist".into(),
                segments: Some(1),
                clusters: Some(38),
                runs: Some(38),
                first: Some(at(640)),
                last: Some(at(940)),
                since_revision: "7f3a91c0aabbccdd".into(),
                example: runs.pop(),
            };
            return Ok(Response::new(v1::ListRunsResponse {
                groups: vec![group],
                left_over: Some(2),
                source: Some(source()),
                ..v1::ListRunsResponse::default()
            }));
        }
        let total_size = i32::try_from(runs.len()).ok();
        let mut next_page_token = String::new();
        if request.page_token == "second" {
            runs.drain(..2);
        } else if runs.len() > 2 {
            runs.truncate(2);
            "second".clone_into(&mut next_page_token);
        }
        Ok(Response::new(v1::ListRunsResponse {
            runs,
            next_page_token,
            total_size,
            source: Some(source()),
            ..v1::ListRunsResponse::default()
        }))
    }
}
