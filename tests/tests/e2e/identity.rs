//! Who a cluster is comes from its certificate alone; everybody else is refused with one clear line, and the hub has an
//! audit line of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use segment_tests::fleet::Stage;
use segment_tests::objects::Objects;
use segment_tests::tools::{Printed, Tool};
use segment_tests::{paths, run, wait};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const SYNC: &str = "grnry.segment.agent.v1.SyncService/Sync";
const ENROL: &str = "grnry.segment.agent.v1.EnrolmentService/Enrol";
/// grpcurl's exit status is 64 and the gRPC code.
const UNAUTHENTICATED: i32 = 64 + 16;
const PERMISSION_DENIED: i32 = 64 + 7;

/// A certificate and its key in files.
struct Pair {
    certificate: PathBuf,
    key: PathBuf,
}

impl Pair {
    fn write(dir: &Path, name: &str, certificate: &[u8], key: &[u8]) -> Result<Self> {
        let pair = Self {
            certificate: dir.join(format!("{name}.crt")),
            key: dir.join(format!("{name}.key")),
        };
        std::fs::write(&pair.certificate, certificate)?;
        std::fs::write(&pair.key, key)?;
        Ok(pair)
    }

    /// What an agent has in its Secret now.
    async fn of_agent(stage: &Stage, index: usize) -> Result<Self> {
        let agent = &stage.agents[index];
        let secret = Objects::secrets(agent.client(), &agent.system)
            .get("segment-agent-identity")
            .await?;
        let data = |key: &str| -> Result<Vec<u8>> {
            Ok(STANDARD.decode(
                secret["data"][key]
                    .as_str()
                    .with_context(|| format!("no {key}"))?,
            )?)
        };
        Self::write(
            stage.hub.plane.dir(),
            &agent.cluster,
            &data("tls.crt")?,
            &data("tls.key")?,
        )
    }
}

/// A call on the agents' port. It has no reflection: the schema is the project's own.
async fn call(
    stage: &Stage,
    pair: Option<&Pair>,
    method: &str,
    request: &Value,
) -> Result<Printed> {
    let ca = stage.hub.ca_file().await?.display().to_string();
    let protos = paths::root().join("proto/proto").display().to_string();
    let mut tool =
        Tool::grpcurl()?.with(&["-cacert", &ca, "-max-time", "5", "-import-path", &protos]);
    tool = tool.with(&[
        "-proto",
        "grnry/segment/agent/v1/sync.proto",
        "-proto",
        "grnry/segment/agent/v1/enrolment.proto",
    ]);
    if let Some(pair) = pair {
        let (certificate, key) = (
            pair.certificate.display().to_string(),
            pair.key.display().to_string(),
        );
        tool = tool.with(&["-cert", &certificate, "-key", &key]);
    }
    tool.run(&[
        "-d",
        &request.to_string(),
        &stage.hub.agents_address(),
        method,
    ])
    .await
}

/// Audit lines of the hub that name an action and contain a text.
async fn audited(stage: &Stage, action: &str, text: &str) -> Result<Value> {
    wait::until(
        &format!("an audit line {action}, {text}"),
        wait::SOON,
        || async {
            let log = stage.hub.process.log();
            let found = log
                .lines()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok())
                .find(|line| {
                    line["action"] == action
                        && line["result"] == "refused"
                        && line.to_string().contains(text)
                });
            found.context("no such line")
        },
    )
    .await
}

#[test]
fn without_a_certificate_or_with_another_authoritys_nobody_gets_a_stream() -> Result<()> {
    run(async {
        let stage = Stage::shared("strangers", &[]).await?;
        let none = call(&stage, None, SYNC, &json!({})).await?;
        ensure!(
            none.status == UNAUTHENTICATED && none.err.contains("certificate"),
            "{none:?}"
        );

        let stranger = rcgen::generate_simple_self_signed(vec!["spiffe".to_owned()])?;
        let (certificate, key) = (stranger.cert.pem(), stranger.signing_key.serialize_pem());
        let pair = Pair::write(
            stage.hub.plane.dir(),
            "stranger",
            certificate.as_bytes(),
            key.as_bytes(),
        )?;
        let foreign = call(&stage, Some(&pair), SYNC, &json!({})).await?;
        ensure!(foreign.status != 0, "{foreign:?}");
        let line = audited(&stage, "handshake", "127.0.0.1").await?;
        println!("{line}");
        Ok(())
    })
}

#[test]
fn tls_1_2_is_refused() -> Result<()> {
    run(async {
        let stage = Stage::shared("old-tls", &[]).await?;
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(stage.hub.ca_file().await?)? {
            roots.add(certificate?)?;
        }
        let connect = async |version: &'static rustls::SupportedProtocolVersion| -> Result<()> {
            let mut config = rustls::ClientConfig::builder_with_protocol_versions(&[version])
                .with_root_certificates(roots.clone())
                .with_no_client_auth();
            config.alpn_protocols = vec![b"h2".to_vec()];
            let stream = TcpStream::connect(stage.hub.agents_address()).await?;
            let mut stream = TlsConnector::from(Arc::new(config))
                .connect(ServerName::try_from("127.0.0.1")?, stream)
                .await?;
            // An HTTP/2 preface with empty settings gets settings: the handshake was complete on the hub's side too.
            stream
                .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
                .await?;
            stream.read_exact(&mut [0; 9]).await?;
            Ok(())
        };
        connect(&rustls::version::TLS13).await.context("TLS 1.3")?;
        let refused = connect(&rustls::version::TLS12)
            .await
            .err()
            .context("TLS 1.2 is refused")?;
        ensure!(
            format!("{refused:#}").to_lowercase().contains("version"),
            "{refused:#}"
        );
        audited(&stage, "handshake", "127.0.0.1").await.map(drop)
    })
}

#[test]
fn an_expired_certificate_gets_no_stream() -> Result<()> {
    run(async {
        let stage =
            Stage::own_with("expired", &[("a", &[])], &[("--certificate-life", "8s")]).await?;
        stage.apply(&stage.segment("visits")).await?;
        stage.ready("visits").await?;
        let pair = Pair::of_agent(&stage, 0).await?;
        stage.agents[0].process.kill().await?;
        let refused = wait::until("the certificate has ended", wait::SOON, || async {
            let printed = call(&stage, Some(&pair), SYNC, &json!({})).await?;
            ensure!(printed.status == UNAUTHENTICATED, "{printed:?}");
            Ok(printed)
        })
        .await?;
        println!("{}", refused.err);
        ensure!(
            refused.err.contains("end") || refused.err.contains("expire"),
            "{}",
            refused.err
        );
        // Renewal alone has a grace: the agent comes back by itself.
        stage.agents[0].process.start()?;
        stage.agents[0].connected(&stage.hub).await
    })
}

fn request(token: &str, uid: u8) -> Result<Value> {
    let key = rcgen::KeyPair::generate()?;
    let csr = rcgen::CertificateParams::default().serialize_request(&key)?;
    Ok(json!({
        "token": token, "csrDer": STANDARD.encode(csr.der()), "clusterUid": STANDARD.encode([uid; 16]), "agentVersion": "test",
    }))
}

#[test]
fn a_join_token_is_good_once_for_one_key_and_one_name() -> Result<()> {
    run(async {
        let stage = Stage::shared("tokens", &[("taken", &[])]).await?;
        let hub = &stage.hub;

        // Twice: with the same key it is the same certificate, with another it is refused.
        let token = hub.join("tokens-fresh", &[]).await?;
        let first = request(&token, 1)?;
        let granted = call(&stage, None, ENROL, &first).await?.json()?;
        ensure!(
            granted["identity"]["cluster"] == "tokens-fresh",
            "{granted}"
        );
        call(&stage, None, ENROL, &first)
            .await?
            .ok()
            .context("a lost answer can be asked for again")?;
        let refused = call(&stage, None, ENROL, &request(&token, 1)?).await?;
        ensure!(refused.status == PERMISSION_DENIED, "{refused:?}");
        audited(&stage, "enrol", "tokens-fresh").await?;

        // For a name that a spoke has: another spoke does not get it.
        let token = hub.join("tokens-taken", &[]).await;
        match token {
            Ok(token) => {
                let refused = call(&stage, None, ENROL, &request(&token, 2)?).await?;
                ensure!(refused.status == PERMISSION_DENIED, "{refused:?}");
                audited(&stage, "enrol", "tokens-taken").await?;
            }
            Err(error) => println!("no token for a taken name: {error:#}"),
        }

        // Expired, revoked, guessed: the same words for all.
        let short = hub
            .segctl()?
            .run(&[
                "cluster",
                "join",
                "tokens-short",
                "--ttl",
                "1s",
                "--wait=false",
                "-o",
                "json",
            ])
            .await?
            .json()?;
        let token = short["token"].as_str().context("a token")?.to_owned();
        let first = request(&token, 3)?;
        let expired = wait::until("the token has expired", wait::SOON, || async {
            let printed = call(&stage, None, ENROL, &request(&token, 3)?).await?;
            ensure!(printed.status == PERMISSION_DENIED, "{printed:?}");
            Ok(printed)
        })
        .await?;
        drop(first);

        let token = hub.join("tokens-revoked", &[]).await?;
        let id = token.split('.').next().context("an id")?.to_owned();
        hub.segctl()?.run(&["token", "revoke", &id]).await?.ok()?;
        let revoked = call(&stage, None, ENROL, &request(&token, 4)?).await?;
        let guessed = token.replace(&id, &"0".repeat(id.len()));
        let guessed = call(&stage, None, ENROL, &request(&guessed, 5)?).await?;
        ensure!(
            refused.err == expired.err && expired.err == revoked.err && revoked.err == guessed.err,
            "{refused:?}\n{expired:?}\n{revoked:?}\n{guessed:?}"
        );
        Ok(())
    })
}

#[test]
fn a_cluster_never_receives_anothers_assignment() -> Result<()> {
    run(async {
        let stage =
            Stage::shared("apart", &[("a", &[("side", "a")]), ("b", &[("side", "b")])]).await?;
        for side in ["a", "b"] {
            let mut segment = stage.segment(&format!("only-{side}"));
            segment["spec"]["clusterSelector"] =
                json!({"matchLabels": {"stage": stage.name, "side": side}});
            stage.apply(&segment).await?;
        }
        stage.ready("only-a").await?;
        stage.ready("only-b").await?;
        for (index, own) in ["only-a", "only-b"].iter().enumerate() {
            let names = stage.agents[index].cron_jobs().names().await?;
            ensure!(names == [*own], "{names:?}");
        }
        // A certificate is good for its own name only: what a stream of `a` gets says nothing of `b`.
        let pair = Pair::of_agent(&stage, 0).await?;
        stage.agents[0].process.kill().await?;
        let printed = call(&stage, Some(&pair), SYNC, &json!({"cluster": "apart-b"})).await?;
        ensure!(!printed.out.contains("only-b"), "{printed:?}");
        Ok(())
    })
}
