//! One HTTPS request, as a stranger makes it.
//!
//! In: an address, a CA, bytes. Out: status and body. Law: nothing is added to the bytes but a head; the whole ends
//! within [`LIMIT`]. Not: a client for tests of the API server (`kube`).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// From connect to the last byte.
const LIMIT: Duration = Duration::from_secs(20);

/// POSTs a body of JSON, so to say, and reads the answer.
pub async fn post(address: &str, ca: &Path, path: &str, body: &[u8]) -> Result<(u16, String)> {
    let asked = async {
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(ca)? {
            roots.add(certificate?)?;
        }
        let config = rustls::ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let host = address.rsplit_once(':').context("host:port")?.0.to_owned();
        let stream = TcpStream::connect(address).await?;
        let stream = TlsConnector::from(Arc::new(config))
            .connect(ServerName::try_from(host)?, stream)
            .await?;
        let (mut from, mut to) = tokio::io::split(stream);
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n",
            body.len()
        );
        let send = async {
            to.write_all(head.as_bytes()).await?;
            // Who is refused early may hear nothing of the rest being wanted.
            let _ = to.write_all(body).await;
            let _ = to.flush().await;
            anyhow::Ok(())
        };
        let receive = async {
            let mut bytes = Vec::new();
            // An answer that came before the connection broke is an answer.
            let ended = from.read_to_end(&mut bytes).await;
            if bytes.is_empty() {
                ended?;
            }
            anyhow::Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let ((), text) = tokio::try_join!(send, receive)?;
        let status = text
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .with_context(|| format!("an HTTP status in {text:?}"))?;
        let body = text
            .split_once("\r\n\r\n")
            .map_or(String::new(), |(_, body)| body.to_owned());
        anyhow::Ok((status, body))
    };
    tokio::time::timeout(LIMIT, asked)
        .await
        .context("no answer in time")?
}
