//! Who is calling.
//!
//! In: a client certificate that TLS has verified by the API server's client CA, or a bearer token. Out: [`User`].
//! Law: a certificate counts before a token, as in the API server; a token is asked for under our own audience first,
//! then under the API server's; an answer is believed for at most [`super::cache::LIFE`], and no token is kept.
//! Not: what they may.

use super::User;
use super::cache::{Cache, ENTRIES, key};
use crate::store::CALL_LIMIT;
use crate::users::errors::{self, Reason};
use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use kube::api::PostParams;
use kube::{Api, Client};
use rustls_pki_types::CertificateDer;
use segment_core::names::HUB_AUDIENCE;
use segment_runtime::backoff;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tonic::Status;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Longest token that is asked about, in bytes: what fits a header list of 16 KiB.
const TOKEN_MAX_BYTES: usize = 12 * 1024;

/// Group of whoever is logged in.
const AUTHENTICATED: &str = "system:authenticated";

/// What a client certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Subject: the last CN is the name, each O a group.
    pub user: User,
    /// Until when it is good.
    pub not_after: Timestamp,
}

impl Certificate {
    /// Reads a certificate; `None` where it names nobody.
    pub fn parse(der: &CertificateDer<'_>) -> Option<Self> {
        let (_, cert) = X509Certificate::from_der(der).ok()?;
        let subject = cert.subject();
        let name = subject.iter_common_name().last()?.as_str().ok()?.to_owned();
        if name.is_empty() {
            return None;
        }
        let mut groups: Vec<String> = subject
            .iter_organization()
            .filter_map(|group| group.as_str().ok().map(str::to_owned))
            .collect();
        if !groups.iter().any(|group| group == AUTHENTICATED) {
            groups.push(AUTHENTICATED.to_owned());
        }
        Some(Self {
            user: User {
                name,
                groups,
                ..User::default()
            },
            not_after: Timestamp::from_second(cert.validity().not_after.timestamp()).ok()?,
        })
    }
}

/// By what a caller is known.
#[derive(Clone)]
pub enum Credentials {
    /// A certificate that TLS has verified; `None`: it names nobody.
    Certificate(Option<Arc<Certificate>>),
    /// A bearer token.
    Token(Arc<str>),
    /// By nothing.
    None,
}

impl fmt::Debug for Credentials {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate(_) => "Certificate",
            Self::Token(_) => "Token",
            Self::None => "None",
        })
    }
}

impl Credentials {
    /// Of a header `authorization`, where no certificate came with the connection.
    pub fn of_header(header: Option<&http::HeaderValue>) -> Self {
        let token = header
            .and_then(|header| header.to_str().ok())
            .and_then(|text| {
                let (scheme, token) = text.trim().split_once(' ')?;
                scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
            });
        match token {
            Some(token) if !token.is_empty() => Self::Token(token.into()),
            _ => Self::None,
        }
    }
}

/// Asks the API server who a token's holder is.
#[derive(Debug)]
pub struct Authenticator {
    reviews: Api<TokenReview>,
    seats: Arc<Semaphore>,
    cache: Cache<Result<Arc<User>, String>>,
}

impl Authenticator {
    /// Asks this API server.
    pub fn new(client: Client, seats: Arc<Semaphore>) -> Self {
        Self {
            reviews: Api::all(client),
            seats,
            cache: Cache::new(ENTRIES),
        }
    }

    /// Who that is.
    ///
    /// # Errors
    /// UNAUTHENTICATED with what to do; UNAVAILABLE when the API server can't be asked.
    pub async fn user(
        &self,
        credentials: &Credentials,
        now: Timestamp,
    ) -> Result<Arc<User>, Status> {
        match credentials {
            Credentials::None => Err(errors::no_credentials()),
            Credentials::Certificate(None) => Err(errors::unauthenticated(
                Reason::CertificateRefused,
                "the client certificate names nobody: its subject needs a CN",
            )),
            Credentials::Certificate(Some(certificate)) if certificate.not_after < now => {
                Err(errors::unauthenticated(
                    Reason::CertificateRefused,
                    format!(
                        "the client certificate of {} ended at {}",
                        certificate.user.name, certificate.not_after
                    ),
                ))
            }
            Credentials::Certificate(Some(certificate)) => Ok(Arc::new(certificate.user.clone())),
            Credentials::Token(token) => self.token(token).await,
        }
    }

    async fn token(&self, token: &str) -> Result<Arc<User>, Status> {
        let refused = |why: &str| {
            let why = if why.is_empty() {
                String::new()
            } else {
                format!(": {why}")
            };
            errors::unauthenticated(
                Reason::TokenRefused,
                format!(
                    "the API server does not accept this token{why}; is it over? kubectl create token NAME --audience \
                     {HUB_AUDIENCE} makes a new one"
                ),
            )
        };
        if token.len() > TOKEN_MAX_BYTES {
            return Err(refused("it is too long"));
        }
        let key = key([token]);
        if let Some(known) = self.cache.get(&key) {
            return known.map_err(|why| refused(&why));
        }
        // A token that is made for us alone can't be used elsewhere by whoever steals it here; others are taken too.
        let mut answer = self.review(token, Some(HUB_AUDIENCE)).await?;
        if answer.is_err() {
            answer = self.review(token, None).await?;
        }
        let answer = answer.map(Arc::new);
        self.cache.put(key, answer.clone());
        answer.map_err(|why| refused(&why))
    }

    /// The user, or the API server's word why there is none.
    async fn review(
        &self,
        token: &str,
        audience: Option<&str>,
    ) -> Result<Result<User, String>, Status> {
        let review = TokenReview {
            spec: TokenReviewSpec {
                audiences: audience.map(|audience| vec![audience.to_owned()]),
                token: Some(token.to_owned()),
            },
            ..TokenReview::default()
        };
        let _seat = self
            .seats
            .acquire()
            .await
            .map_err(|_| errors::internal("no more reviews"))?;
        let params = PostParams::default();
        let asked = self.reviews.create(&params, &review);
        let status = backoff::call(CALL_LIMIT, "POST tokenreviews", asked)
            .await
            .map_err(|error| errors::api("who you are can't be asked for", &error))?
            .status
            .unwrap_or_default();
        if status.authenticated != Some(true) {
            return Ok(Err(status.error.unwrap_or_default()));
        }
        // An authenticator that knows no audiences answers without them: then the token is the API server's.
        let meant = status.audiences.unwrap_or_default();
        if audience.is_some_and(|audience| !meant.iter().any(|one| one == audience)) {
            return Ok(Err(String::new()));
        }
        Ok(user(status.user.unwrap_or_default()).ok_or_else(|| "it names nobody".to_owned()))
    }
}

fn user(info: UserInfo) -> Option<User> {
    let name = info.username.filter(|name| !name.is_empty())?;
    Some(User {
        name,
        uid: info.uid.unwrap_or_default(),
        groups: info.groups.unwrap_or_default(),
        extra: info
            .extra
            .unwrap_or_default()
            .into_iter()
            .collect::<BTreeMap<_, _>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::api;
    use super::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
    use serde_json::json;
    use std::sync::atomic::Ordering;
    use tonic::Code;

    fn authenticator() -> (Authenticator, Arc<std::sync::atomic::AtomicUsize>) {
        let (client, count) = api(|_, body| {
            let token = body["spec"]["token"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            let ours = body["spec"]["audiences"][0] == "segment-hub";
            let status = match (token.as_str(), ours) {
                ("ours", true) => {
                    json!({"authenticated": true, "audiences": ["segment-hub"], "user": {"username": "alice"}})
                }
                ("theirs", false) => json!({
                    "authenticated": true, "audiences": ["https://kubernetes.default.svc"],
                    "user": {"username": "bob", "uid": "7", "groups": ["g"], "extra": {"k": ["v"]}},
                }),
                // An authenticator that does not know audiences.
                ("plain", _) => json!({"authenticated": true, "user": {"username": "carol"}}),
                ("nobody", false) => json!({"authenticated": true, "user": {}}),
                _ => json!({"authenticated": false, "error": "invalid bearer token"}),
            };
            json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {}, "spec": {}, "status": status})
        });
        (
            Authenticator::new(client, Arc::new(Semaphore::new(1))),
            count,
        )
    }

    async fn asked(authenticator: &Authenticator, token: &str) -> Result<String, String> {
        let credentials = Credentials::Token(token.into());
        match authenticator
            .user(&credentials, Timestamp::UNIX_EPOCH)
            .await
        {
            Ok(user) => Ok(user.name.clone()),
            Err(status) => {
                assert_eq!(status.code(), Code::Unauthenticated);
                Err(status.message().to_owned())
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_asked_for_under_our_audience_first_and_remembered_for_ten_seconds() {
        let (authenticator, count) = authenticator();
        for (token, user, asked_times) in [
            ("ours", "alice", 1),
            ("theirs", "bob", 2),
            ("plain", "carol", 2),
            ("ours", "alice", 0),
        ] {
            let before = count.load(Ordering::SeqCst);
            assert_eq!(asked(&authenticator, token).await.as_deref(), Ok(user));
            assert_eq!(
                count.load(Ordering::SeqCst) - before,
                asked_times,
                "{token}"
            );
        }
        tokio::time::advance(super::super::cache::LIFE).await;
        let before = count.load(Ordering::SeqCst);
        asked(&authenticator, "ours").await.unwrap();
        assert_eq!(count.load(Ordering::SeqCst) - before, 1);
    }

    #[tokio::test]
    async fn a_token_that_is_not_accepted_is_refused_with_what_to_do() {
        let (authenticator, count) = authenticator();
        let why = asked(&authenticator, "bad").await.unwrap_err();
        assert_eq!(
            why,
            "the API server does not accept this token: invalid bearer token; is it over? kubectl create token NAME \
             --audience segment-hub makes a new one"
        );
        assert!(
            asked(&authenticator, "nobody")
                .await
                .unwrap_err()
                .contains("it names nobody")
        );
        let before = count.load(Ordering::SeqCst);
        asked(&authenticator, "bad").await.unwrap_err();
        asked(&authenticator, &"x".repeat(TOKEN_MAX_BYTES + 1))
            .await
            .unwrap_err();
        assert_eq!(
            count.load(Ordering::SeqCst),
            before,
            "a refusal is remembered, a monster never asked about"
        );
    }

    #[tokio::test]
    async fn a_certificate_is_a_user_until_it_ends() {
        let mut params = CertificateParams::default();
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, "alice");
        name.push(DnType::OrganizationName, "team-a");
        params.distinguished_name = name;
        params.not_after = rcgen::date_time_ymd(2030, 1, 1);
        let cert = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let parsed = Certificate::parse(cert.der()).unwrap();
        assert_eq!(parsed.user.name, "alice");
        assert_eq!(parsed.user.groups, ["team-a", "system:authenticated"]);
        let (authenticator, _) = authenticator();
        let credentials = Credentials::Certificate(Some(Arc::new(parsed.clone())));
        let user = authenticator
            .user(&credentials, parsed.not_after)
            .await
            .unwrap();
        assert_eq!(*user, parsed.user);
        let later = parsed.not_after + jiff::SignedDuration::from_secs(1);
        let refused = authenticator.user(&credentials, later).await.unwrap_err();
        assert_eq!(
            refused.message(),
            "the client certificate of alice ended at 2030-01-01T00:00:00Z"
        );

        let mut nobody = CertificateParams::default();
        nobody.distinguished_name = DistinguishedName::new();
        let nobody = nobody.self_signed(&KeyPair::generate().unwrap()).unwrap();
        assert_eq!(Certificate::parse(nobody.der()), None);
    }

    #[test]
    fn only_a_bearer_token_is_taken_from_the_header() {
        for (header, expected) in [
            ("Bearer abc", "Token"),
            ("bearer  abc ", "Token"),
            ("Bearer ", "None"),
            ("Basic abc", "None"),
            ("abc", "None"),
        ] {
            let value = http::HeaderValue::from_static(header);
            assert_eq!(
                format!("{:?}", Credentials::of_header(Some(&value))),
                expected,
                "{header:?}"
            );
        }
        assert_eq!(format!("{:?}", Credentials::of_header(None)), "None");
    }
}
