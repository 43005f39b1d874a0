//! Key and roots behind one pointer each: the next handshake sees the new ones, live connections keep theirs.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::client::ResolvesClientCert;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{TlsError, provider};

/// A key with its chain, or none yet (an agent before its enrolment).
#[derive(Debug, Default)]
pub struct ReloadingKey {
    current: ArcSwapOption<CertifiedKey>,
}

impl ReloadingKey {
    /// No key: a client offers no certificate, a server refuses the handshake.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Starts with this key.
    pub fn new(key: CertifiedKey) -> Self {
        Self {
            current: ArcSwapOption::from_pointee(key),
        }
    }

    /// From the next handshake on, this key.
    pub fn replace(&self, key: CertifiedKey) {
        self.current.store(Some(Arc::new(key)));
    }

    /// From the next handshake on, none.
    pub fn clear(&self) {
        self.current.store(None);
    }

    /// The key in use.
    pub fn current(&self) -> Option<Arc<CertifiedKey>> {
        self.current.load_full()
    }
}

impl ResolvesServerCert for ReloadingKey {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current()
    }
}

impl ResolvesClientCert for ReloadingKey {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.current()
    }

    fn has_certs(&self) -> bool {
        self.current.load().is_some()
    }
}

/// The roots that are trusted now. Several while an authority is being rotated.
#[derive(Debug)]
pub struct ReloadingRoots {
    current: ArcSwap<Roots>,
}

#[derive(Debug)]
struct Roots {
    store: Arc<RootCertStore>,
    verifier: Arc<WebPkiServerVerifier>,
}

impl Roots {
    fn new(certs: &[CertificateDer<'static>]) -> Result<Self, TlsError> {
        let mut store = RootCertStore::empty();
        for cert in certs {
            store.add(cert.clone()).map_err(TlsError::Root)?;
        }
        let store = Arc::new(store);
        let verifier = WebPkiServerVerifier::builder_with_provider(store.clone(), provider())
            .build()
            .map_err(|error| TlsError::Root(rustls::Error::General(error.to_string())))?;
        Ok(Self { store, verifier })
    }
}

impl ReloadingRoots {
    /// Starts with these roots.
    ///
    /// # Errors
    /// When there is none, or one cannot be a root.
    pub fn new(certs: &[CertificateDer<'static>]) -> Result<Self, TlsError> {
        Ok(Self {
            current: ArcSwap::from_pointee(Roots::new(certs)?),
        })
    }

    /// From the next handshake on, these roots.
    ///
    /// # Errors
    /// As [`ReloadingRoots::new`]; the old ones then stay.
    pub fn replace(&self, certs: &[CertificateDer<'static>]) -> Result<(), TlsError> {
        self.current.store(Arc::new(Roots::new(certs)?));
        Ok(())
    }

    /// The roots in use.
    pub fn current(&self) -> Arc<RootCertStore> {
        self.current.load().store.clone()
    }
}

/// As a verifier of servers: rustls' own, over the roots of the moment.
impl ServerCertVerifier for ReloadingRoots {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.current
            .load()
            .verifier
            .verify_server_cert(leaf, intermediates, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.current
            .load()
            .verifier
            .verify_tls12_signature(message, cert, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.current
            .load()
            .verifier
            .verify_tls13_signature(message, cert, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.current.load().verifier.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{certified_key, parse_certs, tests::self_signed};
    use super::*;

    #[test]
    fn the_next_handshake_sees_the_new_key() {
        let key = ReloadingKey::empty();
        assert!(!key.has_certs());
        let (cert, pem) = self_signed("a");
        key.replace(certified_key(cert.as_bytes(), pem.as_bytes()).unwrap());
        assert_eq!(
            key.current().unwrap().cert,
            parse_certs(cert.as_bytes()).unwrap()
        );
        key.clear();
        assert!(key.current().is_none());
    }

    #[test]
    fn bad_roots_leave_the_good_ones() {
        let (cert, _) = self_signed("a");
        let roots = ReloadingRoots::new(&parse_certs(cert.as_bytes()).unwrap()).unwrap();
        assert!(roots.replace(&[]).is_err());
        assert!(
            roots
                .replace(&[CertificateDer::from(vec![1, 2, 3])])
                .is_err()
        );
        assert_eq!(roots.current().len(), 1);
    }
}
