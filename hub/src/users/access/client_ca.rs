//! The API server's client CA: by it users with a client certificate are known, as the API server knows them.
//!
//! In: ConfigMap `kube-system/extension-apiserver-authentication`. Out: a verifier for the TLS acceptor.
//! Law: no CA, no client certificates asked for; a damaged or unreadable ConfigMap leaves the CA that was there; a
//! certificate of another authority is an alert. Not: what a certificate says (`authn.rs`).

use crate::store::CALL_LIMIT;
use arc_swap::ArcSwapOption;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use segment_runtime::backoff;
use segment_runtime::tasks::with_causes;
use segment_runtime::tls::{TlsError, parse_certs, provider};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const NAMESPACE: &str = "kube-system";
const NAME: &str = "extension-apiserver-authentication";
const KEY: &str = "client-ca-file";

/// How often it is read again: as the API server's own extension servers do.
const PERIOD: Duration = Duration::from_mins(1);

/// The verifier of users' certificates, over the CA of the moment.
#[derive(Debug, Default)]
pub struct ClientCa {
    inner: ArcSwapOption<Inner>,
}

#[derive(Debug)]
struct Inner {
    pem: String,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl ClientCa {
    /// Reads it once. What goes wrong is logged: users with tokens need no CA.
    pub async fn load(client: &Client) -> Arc<Self> {
        let ca = Arc::new(Self::default());
        ca.refresh(client).await;
        if ca.inner.load().is_none() {
            tracing::warn!("no client CA: users can log in with tokens only");
        }
        ca
    }

    /// Reads it again each minute, until `shutdown`.
    pub async fn follow(self: Arc<Self>, client: Client, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(PERIOD) => self.refresh(&client).await,
            }
        }
    }

    async fn refresh(&self, client: &Client) {
        let api: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
        let what = "GET ConfigMap kube-system/extension-apiserver-authentication";
        let pem = match backoff::call(CALL_LIMIT, what, api.get_opt(NAME)).await {
            Ok(map) => map
                .and_then(|map| map.data)
                .and_then(|mut data| data.remove(KEY)),
            Err(error) => {
                tracing::warn!(error = %with_causes(&error), "the client CA can't be read; the one before stays");
                return;
            }
        };
        if let Err(error) = self.replace(pem.as_deref()) {
            tracing::warn!(error = %with_causes(&error), "the client CA can't be used; the one before stays");
        }
    }

    /// From the next handshake on, this CA, or none.
    ///
    /// # Errors
    /// When it is no CA; the one before stays.
    pub fn replace(&self, pem: Option<&str>) -> Result<(), TlsError> {
        let Some(pem) = pem.filter(|pem| !pem.trim().is_empty()) else {
            self.inner.store(None);
            return Ok(());
        };
        if self
            .inner
            .load()
            .as_ref()
            .is_some_and(|inner| inner.pem == pem)
        {
            return Ok(());
        }
        let mut store = RootCertStore::empty();
        for cert in parse_certs(pem.as_bytes())? {
            store.add(cert).map_err(TlsError::Root)?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider())
            .allow_unauthenticated()
            .build()
            .map_err(|error| TlsError::Root(rustls::Error::General(error.to_string())))?;
        self.inner.store(Some(Arc::new(Inner {
            pem: pem.to_owned(),
            verifier,
        })));
        Ok(())
    }

    fn verifier(&self) -> Result<Arc<dyn ClientCertVerifier>, rustls::Error> {
        self.inner
            .load()
            .as_ref()
            .map(|inner| Arc::clone(&inner.verifier))
            .ok_or_else(|| CertificateError::UnknownIssuer.into())
    }
}

impl ClientCertVerifier for ClientCa {
    fn offer_client_auth(&self) -> bool {
        self.inner.load().is_some()
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // None: they could not be lent out of a pointer that changes, and a kubeconfig has one certificate.
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.verifier()?
            .verify_client_cert(leaf, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier()?
            .verify_tls12_signature(message, cert, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier()?
            .verify_tls13_signature(message, cert, signature)
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
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose,
        IsCa, KeyPair,
    };

    fn ca() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    #[test]
    fn only_the_cas_users_are_let_in_and_a_damaged_ca_changes_nothing() {
        let (ours, other) = (ca(), ca());
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "alice");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let alice = params
            .signed_by(&KeyPair::generate().unwrap(), &ours)
            .unwrap();
        let verifier = ClientCa::default();
        let accepts = |verifier: &ClientCa| {
            verifier
                .verify_client_cert(alice.der(), &[], UnixTime::now())
                .is_ok()
        };
        assert!(
            !verifier.offer_client_auth() && !accepts(&verifier),
            "without a CA nobody is asked"
        );
        verifier.replace(Some(&ours.pem())).unwrap();
        assert!(verifier.offer_client_auth() && accepts(&verifier));
        verifier
            .replace(Some("-----BEGIN CERTIFICATE-----\nAA\n"))
            .unwrap_err();
        assert!(accepts(&verifier), "the one before stays");
        verifier.replace(Some(&other.pem())).unwrap();
        assert!(!accepts(&verifier));
        verifier.replace(None).unwrap();
        assert!(!verifier.offer_client_auth());
    }
}
