//! Client certificates: asked for, not required; of our authority, or an alert; ended or not, as the call sees.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use segment_runtime::tls::{TlsError, provider};

use super::LeafInfo;

/// rustls' own verifier over the roots of the moment, with a clock that stands still at a leaf's end.
#[derive(Debug)]
pub struct AgentVerifier {
    inner: ArcSwap<Inner>,
}

#[derive(Debug)]
struct Inner(Arc<dyn ClientCertVerifier>);

impl AgentVerifier {
    /// Trusts what these roots have issued.
    ///
    /// # Errors
    /// When there is none, or one cannot be a root.
    pub fn new(roots: &[CertificateDer<'static>]) -> Result<Self, TlsError> {
        Ok(Self {
            inner: ArcSwap::from_pointee(inner(roots)?),
        })
    }

    /// From the next handshake on, these roots: two while an authority is rotated.
    ///
    /// # Errors
    /// As [`AgentVerifier::new`]; the old ones then stay.
    pub fn replace(&self, roots: &[CertificateDer<'static>]) -> Result<(), TlsError> {
        self.inner.store(Arc::new(inner(roots)?));
        Ok(())
    }
}

fn inner(roots: &[CertificateDer<'static>]) -> Result<Inner, TlsError> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.clone()).map_err(TlsError::Root)?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider())
        .allow_unauthenticated()
        .build()
        .map_err(|error| TlsError::Root(rustls::Error::General(error.to_string())))?;
    Ok(Inner(verifier))
}

impl ClientCertVerifier for AgentVerifier {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // None: an agent has one certificate and sends it. The names could not be lent out of a pointer that changes.
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let info =
            LeafInfo::parse(leaf).map_err(|_| CertificateError::ApplicationVerificationFailure)?;
        let end = u64::try_from(info.not_after.as_second()).unwrap_or(0);
        // An agent that was away for weeks gets a status that says so, and may renew within the grace. An alert would
        // leave it with "connection closed".
        let now = now.min(UnixTime::since_unix_epoch(std::time::Duration::from_secs(
            end,
        )));
        self.inner
            .load()
            .0
            .verify_client_cert(leaf, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner
            .load()
            .0
            .verify_tls12_signature(message, cert, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner
            .load()
            .0
            .verify_tls13_signature(message, cert, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.load().0.supported_verify_schemes()
    }
}
