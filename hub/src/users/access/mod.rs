//! Who is asking, and what they may: Kubernetes' own idea of a user.
//!
//! ```text
//! call ─► layer (row of the table, or refused) ─► authn (certificate, else token) ─► Caller ─► handler ─► authz ─► Sight
//! ```
//! In: a call's path, its header, the certificate of its connection. Out: [`Caller`], [`Sight`], or a status.
//! Law: deny by default: a method without a row in [`table`] is refused before anyone looks at it (test
//! `every_method_of_the_descriptors_has_a_row`); what a handler shows, it asks a [`Sight`] for.
//! Not: agents (`crate::agents`), whose certificates are the hub's own.

pub mod authn;
pub mod authz;
pub mod cache;
pub mod client_ca;
pub mod layer;
pub mod table;

use authn::{Authenticator, Credentials};
use authz::Authorizer;
use kube::Client;
use segment_core::ids::Namespace;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use table::Row;
use tonic::{Request, Status};

/// Reviews that are asked for at once: a burst of users must not eat the API server's seats.
const REVIEWS_AT_ONCE: usize = 32;

/// A user, as the API server knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct User {
    /// User name.
    pub name: String,
    /// Uid; empty where there is none.
    pub uid: String,
    /// Groups.
    pub groups: Vec<String>,
    /// What authenticators added; authorisers may want it.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// Who calls what. In the extensions of every request that reaches a service of ours.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who.
    pub user: Arc<User>,
    /// By what they are known: asked for again while a watch lives.
    pub credentials: Credentials,
    /// The method's row.
    pub row: &'static Row,
}

/// Namespaces that a caller may see. Everything that is shown is asked for here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// All.
    All,
    /// These.
    Some(BTreeSet<Namespace>),
}

impl Sight {
    /// Nothing.
    pub fn none() -> Self {
        Self::Some(BTreeSet::new())
    }

    /// Whether what is in this namespace may be shown.
    pub fn sees(&self, namespace: &Namespace) -> bool {
        match self {
            Self::All => true,
            Self::Some(namespaces) => namespaces.contains(namespace),
        }
    }

    /// Whether nothing at all may be shown.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::Some(namespaces) if namespaces.is_empty())
    }
}

/// Authentication and authorisation by the hub's API server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Access {
    authn: Arc<Authenticator>,
    authz: Arc<Authorizer>,
}

impl Access {
    /// Asks this API server, as the hub's own service account.
    pub fn new(client: Client) -> Self {
        let seats = Arc::new(tokio::sync::Semaphore::new(REVIEWS_AT_ONCE));
        Self {
            authn: Arc::new(Authenticator::new(client.clone(), Arc::clone(&seats))),
            authz: Arc::new(Authorizer::new(client, seats)),
        }
    }

    /// Who that is.
    pub fn authn(&self) -> &Authenticator {
        &self.authn
    }

    /// What they may.
    pub fn authz(&self) -> &Authorizer {
        &self.authz
    }
}

/// Who calls. The layer put it there; without it nobody is let in.
///
/// # Errors
/// UNAUTHENTICATED.
pub fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    request
        .extensions()
        .get::<Caller>()
        .cloned()
        .ok_or_else(super::errors::no_credentials)
}

#[cfg(test)]
pub(super) mod testing {
    //! A stand-in for the API server's two reviews.

    use http::{Request, Response};
    use http_body_util::BodyExt;
    use kube::Client;
    use kube::client::Body;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Answers each POST with what `answer` makes of its path and body; counts them.
    pub(crate) fn api(
        answer: impl Fn(&str, serde_json::Value) -> serde_json::Value + Send + Sync + 'static,
    ) -> (Client, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let answer = Arc::new(answer);
        let service = tower::service_fn(move |request: Request<Body>| {
            let answer = Arc::clone(&answer);
            counted.fetch_add(1, Ordering::SeqCst);
            async move {
                let path = request.uri().path().to_owned();
                let bytes = request.into_body().collect().await.unwrap().to_bytes();
                let body = serde_json::from_slice(&bytes).unwrap_or_default();
                let said = serde_json::to_vec(&answer(&path, body)).unwrap();
                Ok::<_, std::io::Error>(
                    Response::builder()
                        .status(201)
                        .body(Body::from(said))
                        .unwrap(),
                )
            }
        });
        (Client::new(service, "default"), count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sight_shows_its_namespaces_only() {
        let (a, b): (Namespace, Namespace) = ("a".parse().unwrap(), "b".parse().unwrap());
        let some = Sight::Some(BTreeSet::from([a.clone()]));
        assert!(some.sees(&a) && !some.sees(&b) && !some.is_none());
        assert!(Sight::All.sees(&b) && !Sight::All.is_none());
        assert!(Sight::none().is_none() && !Sight::none().sees(&a));
    }
}
