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
    /// Someone else wrote it.
    #[error("Secret {0} was written by someone else: another agent works here")]
    Conflict(&'static str, #[source] ApiError),
    /// No key or signing request could be made.
    #[error("no key could be made")]
    Key(#[source] rcgen::Error),
}

impl IdentityError {
    /// Whether the process has to end: what is stored is not what it knows.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Conflict(..))
    }
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
    /// Data of the last write, whose answer may have been lost.
    tried: Value,
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
            tried: answer.body["data"].clone(),
            object: answer.body,
        })
    }

    /// The hub that gave the certificate.
    pub fn hub(&self) -> Option<HubId> {
        self.text(HUB)?.parse().ok()
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
        let entries = entries.map(|(key, text)| (key.to_owned(), json!(STANDARD.encode(text))));
        match self.put(&entries).await {
            Err(error) if error.is_conflict() => {
                self.refresh(error).await?;
                self.put(&entries).await
            }
            result => result,
        }
        .map_err(|error| IdentityError::Api(SECRET, error))
    }

    async fn put(&mut self, entries: &[(String, Value)]) -> Result<(), ApiError> {
        let mut object = self.object.clone();
        let mut data = object["data"].as_object().cloned().unwrap_or_else(Map::new);
        data.extend(entries.iter().cloned());
        object["data"] = Value::Object(data);
        let options = WriteOptions {
            field_manager: Some(names::MANAGER_AGENT),
            ..WriteOptions::default()
        };
        let answer = raw::put_json(&self.client, &self.path, options, &object, self.limit).await;
        // A conflict says that it was not written; what else went wrong does not say it.
        if !answer.as_ref().is_err_and(ApiError::is_conflict) {
            self.tried = object["data"].take();
        }
        self.object = answer?.body;
        Ok(())
    }

    /// After a conflict: somebody's label, or our own write whose answer was lost. Other data is another agent's.
    async fn refresh(&mut self, conflict: ApiError) -> Result<(), IdentityError> {
        let live = raw::get_json(&self.client, &self.path, self.limit)
            .await
            .map_err(|error| IdentityError::Api(SECRET, error))?;
        let data = &live.body["data"];
        if *data != self.object["data"] && *data != self.tried {
            return Err(IdentityError::Conflict(SECRET, conflict));
        }
        self.object = live.body;
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

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Method, Request, Response};
    use http_body_util::BodyExt as _;
    use kube::client::Body;
    use std::convert::Infallible;
    use std::sync::{Arc, Mutex};

    /// The Secret of an API server, which may lose the answer to a write.
    #[derive(Clone)]
    struct Server(Arc<Mutex<(Value, bool)>>);

    impl Server {
        fn new() -> Self {
            let object = json!({"metadata": {"resourceVersion": "1"}});
            Self(Arc::new(Mutex::new((object, false))))
        }

        fn change(&self, change: impl FnOnce(&mut Value)) {
            let object = &mut self.0.lock().unwrap().0;
            let version: u64 = object["metadata"]["resourceVersion"]
                .as_str()
                .and_then(|version| version.parse().ok())
                .unwrap();
            change(object);
            object["metadata"]["resourceVersion"] = json!((version + 1).to_string());
        }

        fn text(&self, key: &str) -> String {
            let text = self.0.lock().unwrap().0["data"][key].clone();
            String::from_utf8(STANDARD.decode(text.as_str().unwrap()).unwrap()).unwrap()
        }

        async fn open(&self) -> IdentityStore {
            let server = self.clone();
            let service = tower::service_fn(move |request: Request<Body>| {
                let server = server.clone();
                async move { Ok::<_, Infallible>(server.answer(request).await) }
            });
            let client = kube::Client::new(service, "default");
            let namespace = Namespace::new("a").unwrap();
            IdentityStore::open(client, &namespace, Duration::from_secs(1))
                .await
                .unwrap()
        }

        async fn answer(&self, request: Request<Body>) -> Response<Body> {
            let method = request.method().clone();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let reply = |code: u16, body: &Value| {
                let body = Body::from(body.to_string().into_bytes());
                Response::builder().status(code).body(body).unwrap()
            };
            if method == Method::GET {
                return reply(200, &self.0.lock().unwrap().0);
            }
            let new: Value = serde_json::from_slice(&body).unwrap();
            let status = |code: u16| json!({"kind": "Status", "code": code, "reason": "Conflict", "status": "Failure"});
            if new["metadata"]["resourceVersion"]
                != self.0.lock().unwrap().0["metadata"]["resourceVersion"]
            {
                return reply(409, &status(409));
            }
            self.change(|object| *object = new);
            let (object, loses) = &mut *self.0.lock().unwrap();
            if std::mem::take(loses) {
                return reply(504, &status(504));
            }
            reply(200, object)
        }
    }

    #[tokio::test]
    async fn a_touch_or_a_lost_answer_stops_no_renewal_and_other_data_ends_the_process() {
        let server = Server::new();
        let mut store = server.open().await;
        let chain = |text: &str| [(CHAIN, text.to_owned())];
        store.write(chain("first")).await.unwrap();

        server.change(|object| object["metadata"]["labels"] = json!({"touched": "yes"}));
        store.write(chain("second")).await.unwrap();
        assert_eq!(server.text(CHAIN), "second");

        server.0.lock().unwrap().1 = true;
        assert!(!store.write(chain("third")).await.unwrap_err().is_fatal());
        store.write(chain("fourth")).await.unwrap();
        assert_eq!(server.text(CHAIN), "fourth");

        server.change(|object| object["data"][CHAIN] = json!(STANDARD.encode("theirs")));
        assert!(store.write(chain("fifth")).await.unwrap_err().is_fatal());
        assert_eq!(server.text(CHAIN), "theirs");
    }
}
