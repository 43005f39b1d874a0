//! Keys, certificates and roots that can change while connections live.
//!
//! **In:** PEM. **Out:** what rustls needs, swapped in one step.
//! **Law:** a half-written or mismatched pair never replaces a good one; one crypto provider (ring) in the process;
//! no session is ever resumed (a resumed one checks neither expiry nor revocation).
//! **Not:** who may connect; the hub's acceptor decides that.

mod files;
mod pin;
mod reloading;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

pub use files::{FileKey, reload_files};
pub use pin::{PinnedRoot, spki_pin};
pub use reloading::{ReloadingKey, ReloadingRoots};

/// The only protocol spoken between hub and agents.
pub const ALPN_H2: &[u8] = b"h2";

/// Key material that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// No PEM block of that kind, or a damaged one.
    #[error("no readable {what} in PEM")]
    Pem {
        /// What was looked for.
        what: &'static str,
        /// What is wrong.
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    /// The list of certificates is empty.
    #[error("no certificate in PEM")]
    NoCertificate,
    /// Key and certificate do not belong together, or the kind of key is unknown.
    #[error("key and certificate cannot be used together")]
    Pair(#[source] rustls::Error),
    /// A certificate that should be a root is none.
    #[error("certificate cannot be used as a root")]
    Root(#[source] rustls::Error),
    /// A certificate does not parse.
    #[error("certificate cannot be parsed: {0}")]
    Certificate(String),
    /// A file cannot be read.
    #[error("cannot read {file}")]
    File {
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// rustls refuses the configuration.
    #[error("TLS configuration refused")]
    Config(#[source] rustls::Error),
}

/// Makes ring the process' TLS provider. Every binary calls it first; later calls do nothing.
pub fn install_provider() {
    // An error means that one is installed: by us, since the graph has no other.
    let _ = ring::default_provider().install_default();
}

/// The provider, for configurations that name theirs.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// All certificates of a PEM text, in order (leaf first, where it is a chain).
///
/// # Errors
/// When a block is damaged or there is none.
pub fn parse_certs(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certs: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|source| TlsError::Pem {
            what: "certificate",
            source,
        })?;
    if certs.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    Ok(certs)
}

/// The first private key of a PEM text (PKCS #8, PKCS #1 or SEC1).
///
/// # Errors
/// When there is none or it is damaged.
pub fn parse_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|source| TlsError::Pem {
        what: "private key",
        source,
    })
}

/// A chain and its key, checked to belong together.
///
/// # Errors
/// When either does not parse, or they do not match.
pub fn certified_key(chain_pem: &[u8], key_pem: &[u8]) -> Result<CertifiedKey, TlsError> {
    CertifiedKey::from_der(
        parse_certs(chain_pem)?,
        parse_key(key_pem)?,
        &ring::default_provider(),
    )
    .map_err(TlsError::Pair)
}

/// How an agent speaks to its hub: TLS 1.3 only, HTTP/2 only, nothing resumed, key and roots as they are at each dial.
///
/// # Errors
/// When rustls refuses the combination.
pub fn client_config(
    verifier: Arc<dyn rustls::client::danger::ServerCertVerifier>,
    key: Arc<ReloadingKey>,
) -> Result<rustls::ClientConfig, TlsError> {
    let mut config = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Config)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(key);
    config.alpn_protocols = vec![ALPN_H2.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    /// A self-signed certificate for `name` and its key, PEM.
    pub(crate) fn self_signed(name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn a_pair_that_does_not_match_is_refused() {
        let (cert, key) = self_signed("a");
        let (_, other) = self_signed("a");
        assert!(certified_key(cert.as_bytes(), key.as_bytes()).is_ok());
        let rows: [(&str, &str, &str); 4] = [
            (&cert, &other, "key and certificate cannot be used together"),
            ("", &key, "no certificate in PEM"),
            (&cert, "", "no readable private key in PEM"),
            (
                &cert[..cert.len() / 2],
                &key,
                "no readable certificate in PEM",
            ),
        ];
        for (cert, key, message) in rows {
            assert_eq!(
                certified_key(cert.as_bytes(), key.as_bytes())
                    .unwrap_err()
                    .to_string(),
                message
            );
        }
    }
}
