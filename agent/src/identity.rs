//! The agent's identity, in its Secret: key, certificate, roots, names.
//!
//! In: the Secret `segment-agent-identity`, made empty by the chart (get and update by name are enough).
//! Out: [`Identity`]. Law: the key is stored before it is used; a write carries the resourceVersion that was read.
//! Not: how a certificate is got (`enrolment.rs`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rcgen::{CertificateParams, KeyPair};
use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;
use segment_core::ids::{ClusterName, HubId, Namespace};
use segment_core::names;
use segment_runtime::error::ApiError;
use segment_runtime::raw::{self, WriteOptions};
use segment_runtime::tls::{self, TlsError};
use serde_json::{Map, Value, json};
use std::time::Duration;
use x509_parser::prelude::{FromDer, X509Certificate};

const KEY: &str = "tls.key";
const CHAIN: &str = "tls.crt";
const ROOTS: &str = "ca.crt";
const CLUSTER: &str = "cluster";
const HUB: &str = "hubId";

/// The identity can't be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The Secret can't be read or written.
    #[error("Secret {0} can't be used")]
    Api(&'static str, #[source] ApiError),
    /// What is in it can't be used.
    #[error("what Secret {0} holds can't be used: delete its data and join again")]
    Unreadable(&'static str, #[source] TlsError),
    /// A name in it is none, or a key is missing.
    #[error("Secret {0} has no usable {1}: delete its data and join again")]
    Missing(&'static str, &'static str),
    /// No key or signing request could be made.
    #[error("no key could be made")]
    Key(#[source] rcgen::Error),
}

/// Who this agent is.
#[derive(Clone)]
pub struct Enrolled {
    /// Which Cluster.
    pub cluster: ClusterName,
    /// Of which hub.
    pub hub: HubId,
    /// Key and chain.
    pub key: CertifiedKey,
    /// Roots that are trusted.
    pub roots: Vec<CertificateDer<'static>>,
    /// Begin of the certificate's life.
    pub not_before: Timestamp,
    /// Its end.
    pub not_after: Timestamp,
}

impl std::fmt::Debug for Enrolled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Enrolled")
            .field("cluster", &self.cluster)
            .field("hub", &self.hub)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

/// The Secret, as last read or written.
pub struct IdentityStore {
    client: kube::Client,
    path: String,
    limit: Duration,
    object: Value,
}

impl std::fmt::Debug for IdentityStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IdentityStore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// A certificate as it comes from the hub.
#[derive(Clone, Debug)]
pub struct Issued {
    /// Which Cluster.
    pub cluster: ClusterName,
    /// Of which hub.
    pub hub: HubId,
    /// PEM, leaf first.
    pub chain_pem: String,
    /// PEM.
    pub roots_pem: String,
}

const SECRET: &str = names::AGENT_IDENTITY_SECRET;

impl IdentityStore {
    /// Reads the Secret.
    ///
    /// # Errors
    /// When it can't be read; the chart makes it.
    pub async fn open(
        client: kube::Client,
        namespace: &Namespace,
        limit: Duration,
    ) -> Result<Self, IdentityError> {
        let path = raw::path("v1", "secrets", Some(namespace.as_str()), Some(SECRET));
        let answer = raw::get_json(&client, &path, limit)
            .await
            .map_err(|error| IdentityError::Api(SECRET, error))?;
        Ok(Self {
            client,
            path,
            limit,
            object: answer.body,
        })
    }

    fn text(&self, key: &str) -> Option<String> {
        let bytes = STANDARD.decode(self.object["data"][key].as_str()?).ok()?;
        String::from_utf8(bytes)
            .ok()
            .filter(|text| !text.is_empty())
    }

    /// Whether a certificate is there: then a missing store is unknown, not empty.
    pub fn is_enrolled(&self) -> bool {
        self.text(CHAIN).is_some()
    }

    /// Who this agent is; `None` before it has joined.
    ///
    /// # Errors
    /// When what is there can't be used.
    pub fn enrolled(&self) -> Result<Option<Enrolled>, IdentityError> {
        let Some(chain) = self.text(CHAIN) else {
            return Ok(None);
        };
        let need = |key: &'static str| self.text(key).ok_or(IdentityError::Missing(SECRET, key));
        let unreadable = |error| IdentityError::Unreadable(SECRET, error);
        let key =
            tls::certified_key(chain.as_bytes(), need(KEY)?.as_bytes()).map_err(unreadable)?;
        let roots = tls::parse_certs(need(ROOTS)?.as_bytes()).map_err(unreadable)?;
        let (not_before, not_after) =
            validity(&key).ok_or(IdentityError::Missing(SECRET, CHAIN))?;
        Ok(Some(Enrolled {
            cluster: need(CLUSTER)?
                .parse()
                .map_err(|_| IdentityError::Missing(SECRET, CLUSTER))?,
            hub: need(HUB)?
                .parse()
                .map_err(|_| IdentityError::Missing(SECRET, HUB))?,
            key,
            roots,
            not_before,
            not_after,
        }))
    }

    /// The key, made and stored now if there is none: an answer that was lost can be asked for again with it.
    ///
    /// # Errors
    /// When it can't be made, read or stored.
    pub async fn key(&mut self) -> Result<KeyPair, IdentityError> {
        if let Some(pem) = self.text(KEY) {
            return KeyPair::from_pem(&pem).map_err(IdentityError::Key);
        }
        let key = KeyPair::generate().map_err(IdentityError::Key)?;
        self.write([(KEY, key.serialize_pem())]).await?;
        Ok(key)
    }

    /// Stores a certificate.
    ///
    /// # Errors
    /// When it does not fit the key, or can't be stored.
    pub async fn store(&mut self, issued: &Issued) -> Result<Enrolled, IdentityError> {
        let key = self.text(KEY).ok_or(IdentityError::Missing(SECRET, KEY))?;
        tls::certified_key(issued.chain_pem.as_bytes(), key.as_bytes())
            .map_err(|error| IdentityError::Unreadable(SECRET, error))?;
        self.write([
            (CHAIN, issued.chain_pem.clone()),
            (ROOTS, issued.roots_pem.clone()),
            (CLUSTER, issued.cluster.to_string()),
            (HUB, issued.hub.to_string()),
        ])
        .await?;
        self.enrolled()?
            .ok_or(IdentityError::Missing(SECRET, CHAIN))
    }

    async fn write<const N: usize>(
        &mut self,
        entries: [(&str, String); N],
    ) -> Result<(), IdentityError> {
        let mut object = self.object.clone();
        let mut data = object["data"].as_object().cloned().unwrap_or_else(Map::new);
        data.extend(entries.map(|(key, text)| (key.to_owned(), json!(STANDARD.encode(text)))));
        object["data"] = Value::Object(data);
        let options = WriteOptions {
            field_manager: Some(names::MANAGER_AGENT),
            ..WriteOptions::default()
        };
        let answer = raw::put_json(&self.client, &self.path, options, &object, self.limit)
            .await
            .map_err(|error| IdentityError::Api(SECRET, error))?;
        self.object = answer.body;
        Ok(())
    }
}

/// A signing request for this key. The hub takes nothing but the key from it.
///
/// # Errors
/// When it can't be made.
pub fn signing_request(key: &KeyPair) -> Result<Vec<u8>, IdentityError> {
    let request = CertificateParams::default()
        .serialize_request(key)
        .map_err(IdentityError::Key)?;
    Ok(request.der().to_vec())
}

fn validity(key: &CertifiedKey) -> Option<(Timestamp, Timestamp)> {
    let (_, leaf) = X509Certificate::from_der(key.cert.first()?).ok()?;
    let time = |time: &x509_parser::time::ASN1Time| Timestamp::from_second(time.timestamp()).ok();
    Some((
        time(&leaf.validity().not_before)?,
        time(&leaf.validity().not_after)?,
    ))
}
