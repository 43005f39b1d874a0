//! What they may: Kubernetes' own authorisation is asked, call by call.
//!
//! In: a user, a [`Right`], a place. Out: yes, a refusal in kubectl's wording, or a [`Sight`].
//! Law: no answer is no; an answer is believed for at most [`super::cache::LIFE`]. A list over all namespaces needs the
//! right in all of them, else it is kept to those where the user has it; nowhere is a refusal.
//! Not: which method needs what (`table.rs`).

use super::cache::{Cache, ENTRIES, key};
use super::table::Right;
use super::{Sight, User};
use crate::store::CALL_LIMIT;
use crate::users::errors;
use futures::stream::{self, StreamExt, TryStreamExt};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};
use segment_core::ids::Namespace;
use segment_runtime::backoff;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tonic::Status;

/// Namespaces that are asked about at once for one list.
const AT_ONCE: usize = 16;

/// API group of everything that is asked about.
const GROUP: &str = "segment.grnry.io";

/// Asks the API server what a user may.
#[derive(Debug)]
pub struct Authorizer {
    reviews: Api<SubjectAccessReview>,
    seats: Arc<Semaphore>,
    cache: Cache<Answer>,
}

/// Yes, or no and why, where the authoriser said why.
type Answer = Result<(), String>;

impl Authorizer {
    /// Asks this API server.
    pub fn new(client: Client, seats: Arc<Semaphore>) -> Self {
        Self {
            reviews: Api::all(client),
            seats,
            cache: Cache::new(ENTRIES),
        }
    }

    /// Refuses who may not. `namespace` absent: at the cluster scope, or in all namespaces.
    ///
    /// # Errors
    /// `PERMISSION_DENIED` in kubectl's wording; UNAVAILABLE when the API server can't be asked.
    pub async fn require(
        &self,
        user: &User,
        right: &Right,
        namespace: Option<&Namespace>,
        name: Option<&str>,
    ) -> Result<(), Status> {
        let namespace = namespace.map(Namespace::as_str);
        self.ask(user, right, namespace, name)
            .await?
            .map_err(|why| errors::forbidden(&user.name, right, namespace, name, &why))
    }

    /// Whether a user may.
    ///
    /// # Errors
    /// UNAVAILABLE when the API server can't be asked.
    pub async fn may(&self, user: &User, right: &Right) -> Result<bool, Status> {
        Ok(self.ask(user, right, None, None).await?.is_ok())
    }

    /// What of `asked` (absent: all namespaces) a user may see; `known` are the namespaces that there is something in.
    ///
    /// # Errors
    /// `PERMISSION_DENIED` where that is nothing; UNAVAILABLE when the API server can't be asked.
    pub async fn sight(
        &self,
        user: &User,
        right: &Right,
        asked: Option<&Namespace>,
        known: BTreeSet<Namespace>,
    ) -> Result<Sight, Status> {
        if let Some(namespace) = asked {
            self.require(user, right, Some(namespace), None).await?;
            return Ok(Sight::Some(BTreeSet::from([namespace.clone()])));
        }
        let Err(why) = self.ask(user, right, None, None).await? else {
            return Ok(Sight::All);
        };
        let seen: BTreeSet<Namespace> = stream::iter(known)
            .map(|namespace| async move {
                let answer = self
                    .ask(user, right, Some(namespace.as_str()), None)
                    .await?;
                Ok::<_, Status>(answer.is_ok().then_some(namespace))
            })
            .buffer_unordered(AT_ONCE)
            .try_filter_map(|seen| async move { Ok(seen) })
            .try_collect()
            .await?;
        if seen.is_empty() {
            return Err(errors::forbidden(&user.name, right, None, None, &why));
        }
        Ok(Sight::Some(seen))
    }

    /// As [`Authorizer::sight`] over all namespaces, for a part of an answer: nothing is nothing, not a refusal.
    ///
    /// # Errors
    /// UNAVAILABLE when the API server can't be asked.
    pub async fn sight_of_part(
        &self,
        user: &User,
        right: &Right,
        known: BTreeSet<Namespace>,
    ) -> Result<Sight, Status> {
        match self.sight(user, right, None, known).await {
            Err(status) if status.code() == tonic::Code::PermissionDenied => Ok(Sight::none()),
            other => other,
        }
    }

    async fn ask(
        &self,
        user: &User,
        right: &Right,
        namespace: Option<&str>,
        name: Option<&str>,
    ) -> Result<Answer, Status> {
        let key = cache_key(user, right, namespace, name);
        if let Some(known) = self.cache.get(&key) {
            return Ok(known);
        }
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(user.name.clone()),
                uid: (!user.uid.is_empty()).then(|| user.uid.clone()),
                groups: (!user.groups.is_empty()).then(|| user.groups.clone()),
                extra: (!user.extra.is_empty()).then(|| user.extra.clone().into_iter().collect()),
                resource_attributes: Some(ResourceAttributes {
                    group: Some(GROUP.to_owned()),
                    resource: Some(right.resource.to_owned()),
                    subresource: right.subresource.map(str::to_owned),
                    verb: Some(right.verb.to_owned()),
                    namespace: namespace.map(str::to_owned),
                    name: name.map(str::to_owned),
                    ..ResourceAttributes::default()
                }),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let _seat = self
            .seats
            .acquire()
            .await
            .map_err(|_| errors::internal("no more reviews"))?;
        let params = PostParams::default();
        let asked = self.reviews.create(&params, &review);
        let status = backoff::call(CALL_LIMIT, "POST subjectaccessreviews", asked)
            .await
            .map_err(|error| errors::api("what you may can't be asked for", &error))?
            .status
            .unwrap_or_default();
        let answer = if status.allowed && status.denied != Some(true) {
            Ok(())
        } else {
            Err(status.reason.unwrap_or_default())
        };
        self.cache.put(key, answer.clone());
        Ok(answer)
    }
}

fn cache_key(
    user: &User,
    right: &Right,
    namespace: Option<&str>,
    name: Option<&str>,
) -> super::cache::Key {
    let count = |n: usize| n.to_string();
    let mut parts = vec![
        user.name.clone(),
        user.uid.clone(),
        right.verb.to_owned(),
        right.resource.to_owned(),
        right.subresource.unwrap_or_default().to_owned(),
        namespace.map_or_else(String::new, |namespace| format!("/{namespace}")),
        name.map_or_else(String::new, |name| format!("/{name}")),
        count(user.groups.len()),
    ];
    parts.extend(user.groups.iter().cloned());
    for (field, values) in &user.extra {
        parts.extend([field.clone(), count(values.len())]);
        parts.extend(values.iter().cloned());
    }
    key(parts.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::super::testing::api;
    use super::*;
    use serde_json::{Value, json};
    use std::sync::atomic::Ordering;
    use tonic::Code;

    const LIST: Right = Right {
        verb: "list",
        resource: "segments",
        subresource: None,
    };

    fn ns(name: &str) -> Namespace {
        name.parse().unwrap()
    }

    fn user(name: &str) -> User {
        User {
            name: name.to_owned(),
            groups: vec!["g".to_owned()],
            ..User::default()
        }
    }

    /// admin: everywhere; anna: in a; nobody else.
    fn authorizer() -> (Authorizer, Arc<std::sync::atomic::AtomicUsize>) {
        let (client, count) = api(|_, body| {
            let attributes = &body["spec"]["resourceAttributes"];
            assert_eq!(attributes["group"], "segment.grnry.io");
            assert_eq!(body["spec"]["groups"], json!(["g"]));
            let allowed = match body["spec"]["user"].as_str() {
                Some("admin" | "odd") => true,
                Some("anna") => attributes["namespace"] == "a",
                _ => false,
            };
            let denied: Value = if body["spec"]["user"] == "odd" {
                json!(true)
            } else {
                Value::Null
            };
            json!({
                "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": {}, "spec": {},
                "status": {"allowed": allowed, "denied": denied, "reason": if allowed { "" } else { "no rule" }},
            })
        });
        (Authorizer::new(client, Arc::new(Semaphore::new(4))), count)
    }

    #[tokio::test]
    async fn a_list_is_kept_to_what_the_user_may_see_and_nothing_is_a_refusal() {
        let (authorizer, _) = authorizer();
        let known = BTreeSet::from([ns("a"), ns("b")]);
        let sight = |name: &'static str, asked: Option<&'static str>| {
            let (authorizer, known) = (&authorizer, known.clone());
            async move {
                let asked = asked.map(ns);
                authorizer
                    .sight(&user(name), &LIST, asked.as_ref(), known)
                    .await
            }
        };
        assert_eq!(sight("admin", None).await.unwrap(), Sight::All);
        let only_a = Sight::Some(BTreeSet::from([ns("a")]));
        assert_eq!(sight("anna", None).await.unwrap(), only_a);
        assert_eq!(sight("anna", Some("a")).await.unwrap(), only_a);
        for (name, asked, place) in [
            ("anna", Some("b"), "in the namespace \"b\": no rule"),
            ("bob", None, "at the cluster scope: no rule"),
            ("odd", None, "at the cluster scope"),
        ] {
            let status = sight(name, asked).await.unwrap_err();
            assert_eq!(status.code(), Code::PermissionDenied);
            assert!(status.message().ends_with(place), "{}", status.message());
        }
        let part = authorizer
            .sight_of_part(&user("bob"), &LIST, known)
            .await
            .unwrap();
        assert!(part.is_none());
    }

    #[tokio::test]
    async fn an_answer_is_remembered_for_this_user_and_place_only() {
        let (authorizer, count) = authorizer();
        let (a, b) = (ns("a"), ns("b"));
        for (name, namespace, calls) in [
            ("anna", &a, 1),
            ("anna", &a, 0),
            ("anna", &b, 1),
            ("bob", &a, 1),
        ] {
            let before = count.load(Ordering::SeqCst);
            let _ = authorizer
                .require(&user(name), &LIST, Some(namespace), None)
                .await;
            assert_eq!(
                count.load(Ordering::SeqCst) - before,
                calls,
                "{name} {namespace}"
            );
        }
        assert!(authorizer.may(&user("admin"), &LIST).await.unwrap());
    }
}
