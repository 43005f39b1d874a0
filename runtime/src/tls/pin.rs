//! The root as a join token names it: by the hash of its public key.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{ReloadingRoots, TlsError, provider};

/// `sha256:<hex>` of a certificate's `SubjectPublicKeyInfo`, as kubeadm's `--discovery-token-ca-cert-hash`.
/// The key is pinned, not the certificate: a root may be re-issued with the same key.
///
/// # Errors
/// When the certificate does not parse.
pub fn spki_pin(cert: &CertificateDer<'_>) -> Result<String, TlsError> {
    let (_, parsed) = X509Certificate::from_der(cert)
        .map_err(|error| TlsError::Certificate(error.to_string()))?;
    Ok(format!(
        "sha256:{}",
        hex::encode(Sha256::digest(parsed.public_key().raw))
    ))
}

/// Verifies the hub of a first join: its chain must carry a root whose key has the pinned hash, and everything else
/// (name, dates, signatures) must be right under that root alone.
#[derive(Debug)]
pub struct PinnedRoot {
    pin: String,
}

impl PinnedRoot {
    /// Trusts the root with this pin (`sha256:<hex>`) and no other.
    pub fn new(pin: impl Into<String>) -> Self {
        Self { pin: pin.into() }
    }

    fn root<'a>(&self, chain: &'a [CertificateDer<'a>]) -> Option<&'a CertificateDer<'a>> {
        // The pin is public: no need for a comparison in constant time.
        chain
            .iter()
            .find(|cert| spki_pin(cert).is_ok_and(|pin| pin.eq_ignore_ascii_case(&self.pin)))
    }
}

impl ServerCertVerifier for PinnedRoot {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let root = self
            .root(intermediates)
            .ok_or(CertificateError::UnknownIssuer)?
            .clone()
            .into_owned();
        let roots = ReloadingRoots::new(&[root]).map_err(|_| CertificateError::BadEncoding)?;
        roots.verify_server_cert(leaf, intermediates, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let provider: Arc<_> = provider();
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            signature,
            &provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

    fn root() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    #[test]
    fn only_the_pinned_root_is_trusted_and_the_name_still_counts() {
        let (ours, other) = (root(), root());
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(["hub".to_owned()])
            .unwrap()
            .signed_by(&key, &ours)
            .unwrap();
        let (ours, other) = (ours.der().clone(), other.der().clone());
        let pin = spki_pin(&ours).unwrap();
        let rows = [
            (
                vec![ours.clone()],
                "hub",
                true,
                "the pinned root is in the chain",
            ),
            (
                vec![other.clone(), ours.clone()],
                "hub",
                true,
                "other certificates do no harm",
            ),
            (vec![ours.clone()], "elsewhere", false, "another name"),
            (vec![other], "hub", false, "another root"),
            (vec![], "hub", false, "no root sent"),
        ];
        for (chain, name, accepted, why) in rows {
            let name = ServerName::try_from(name).unwrap();
            let verdict = PinnedRoot::new(pin.clone()).verify_server_cert(
                leaf.der(),
                &chain,
                &name,
                &[],
                UnixTime::now(),
            );
            assert_eq!(verdict.is_ok(), accepted, "{why}: {verdict:?}");
        }
    }
}
