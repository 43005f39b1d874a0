//! `JoinCluster`: the Cluster where it is missing, and a token that lets one spoke into it.

use super::tokens::of_store;
use super::{audit_change, reason};
use crate::enrolment::book::{NewToken, TokenError};
use crate::enrolment::token::JoinToken;
use crate::store::CALL_LIMIT;
use crate::users::access::Caller;
use crate::users::errors::{self, Reason};
use crate::users::filter;
use crate::users::state::Services;
use jiff::{SignedDuration, Timestamp};
use kube::Api;
use kube::api::PostParams;
use segment_core::ids::ClusterName;
use segment_core::names::{LABEL_CLUSTER, MANAGER_HUB};
use segment_core::placement::ClusterView;
use segment_crds::{Access, Cluster, ClusterSpec};
use segment_proto::convert::time::to_wire;
use segment_proto::limits::{TOKEN_LIFE_DEFAULT, TOKEN_LIFE_MAX};
use segment_proto::v1::{JoinClusterRequest, JoinClusterResponse};
use segment_runtime::backoff;
use std::time::Duration;
use tonic::Status;

/// How long the answer waits until lists show the new Cluster.
const SEEN_LIMIT: Duration = Duration::from_secs(5);

impl Services {
    pub(super) async fn join_cluster(
        &self,
        caller: &Caller,
        request: JoinClusterRequest,
    ) -> Result<JoinClusterResponse, Status> {
        let outcome = self.join(caller, &request).await;
        let shown: String = request.name.chars().take(ClusterName::MAX_BYTES).collect();
        audit_change(
            caller,
            "cluster.join",
            format!("cluster/{shown}"),
            &request.reason,
            request.validate_only,
            &outcome,
        );
        outcome
    }

    async fn join(
        &self,
        caller: &Caller,
        request: &JoinClusterRequest,
    ) -> Result<JoinClusterResponse, Status> {
        let name = filter::cluster("name", &request.name)?;
        reason(&request.reason)?;
        let life = life(request.ttl.as_ref())?;
        let wanted = wanted(&name, request)?;
        let api: Api<Cluster> = Api::all(self.handle.client.clone());
        let stands = self.stands(caller, &name, &api).await?;
        let created = match &stands {
            Some(cluster) => {
                self.joinable(&name, cluster, request)?;
                false
            }
            None => self.create(&api, &wanted, request.validate_only).await?,
        };
        let pin = self
            .handle
            .authority
            .root_pin()
            .map_err(|error| errors::internal(format!("the root has no pin: {error}")))?;
        let now = Timestamp::now();
        let mut answer = JoinClusterResponse {
            agents_address: self.handle.agents_address.clone(),
            ca_pin: pin.clone(),
            expire_time: Some(to_wire(now + life)),
            created: Some(created),
            hub_id: self.handle.hub.to_string(),
            ..JoinClusterResponse::default()
        };
        if request.validate_only {
            return Ok(answer);
        }
        let token = self.token(caller, &name, life, now).await?;
        token.id().clone_into(&mut answer.token_id);
        answer.token = token.with_pin(pin).reveal();
        if created {
            self.seen(&name).await;
        }
        Ok(answer)
    }

    /// The Cluster as it stands, once the right for what is to be done is there: to make it, or to let a spoke into it.
    async fn stands(
        &self,
        caller: &Caller,
        name: &ClusterName,
        api: &Api<Cluster>,
    ) -> Result<Option<Cluster>, Status> {
        let authz = self.access.authz();
        let (make, admit) = (
            &caller.row.right,
            caller.row.part.as_ref().unwrap_or(&caller.row.right),
        );
        let may_make = authz
            .require(&caller.user, make, None, Some(name.as_str()))
            .await;
        let may_admit = authz
            .require(&caller.user, admit, None, Some(name.as_str()))
            .await;
        if let (Err(refused), Err(_)) = (&may_make, &may_admit) {
            // Who may neither learns nothing of the Cluster.
            return Err(refused.clone());
        }
        let what = format!("GET cluster {name}");
        let stands = backoff::call(CALL_LIMIT, what, api.get_opt(name.as_str()))
            .await
            .map_err(|error| errors::api("the Cluster can't be read", &error))?;
        if stands.is_some() {
            may_admit?;
        } else {
            may_make?;
        }
        Ok(stands)
    }

    /// Whether a token for a Cluster that stands could be used, and its labels are those that are asked for.
    fn joinable(
        &self,
        name: &ClusterName,
        cluster: &Cluster,
        request: &JoinClusterRequest,
    ) -> Result<(), Status> {
        let subject = format!("cluster/{name}");
        let labels = cluster.metadata.labels.clone().unwrap_or_default();
        let differs = request
            .labels
            .iter()
            .find(|(key, value)| labels.get(*key) != Some(value));
        if let Some((key, value)) = differs {
            let found = labels.get(key).map_or_else(
                || "no such label".to_owned(),
                |found| format!("{key}={found}"),
            );
            let message = format!(
                "cluster {name} is there and has {found}, not {key}={value}: kubectl label segcl {name} {key}={value} \
                 --overwrite, or join without labels"
            );
            return Err(errors::precondition(
                Reason::LabelsDiffer,
                &subject,
                message,
            ));
        }
        if cluster.spec.access() == Access::Revoked {
            let message = format!(
                "access of cluster {name} is Revoked (spec.access): nobody can join under this name"
            );
            return Err(errors::precondition(Reason::NotJoinable, &subject, message));
        }
        let held = self
            .handle
            .book
            .read(|book| book.names.get(name).and_then(|record| record.cluster_uid));
        let reenrol = cluster
            .spec
            .reenrol
            .as_ref()
            .is_some_and(|until| until.0 > Timestamp::now());
        if let Some(uid) = held.filter(|_| !reenrol) {
            let message = format!(
                "cluster {name} is enrolled by the spoke with kube-system uid {uid}: to let another take its place, set \
                 spec.reenrol of the Cluster to a time until which it may, and join again"
            );
            return Err(errors::precondition(Reason::NotJoinable, &subject, message));
        }
        Ok(())
    }

    /// Makes the Cluster; a race that another has won is as good.
    async fn create(
        &self,
        api: &Api<Cluster>,
        cluster: &Cluster,
        dry_run: bool,
    ) -> Result<bool, Status> {
        let params = PostParams {
            dry_run,
            field_manager: Some(MANAGER_HUB.to_owned()),
        };
        match backoff::call(CALL_LIMIT, "POST cluster", api.create(&params, cluster)).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_already_exists() => Err(errors::unavailable(
                Reason::ApiServerUnavailable,
                "the Cluster was made by someone else in this very moment: try again",
                None,
            )),
            Err(error) => Err(errors::api("the Cluster can't be made", &error)),
        }
    }

    async fn token(
        &self,
        caller: &Caller,
        name: &ClusterName,
        life: SignedDuration,
        now: Timestamp,
    ) -> Result<JoinToken, Status> {
        let new = NewToken {
            cluster: name.clone(),
            life,
            created_by: caller.user.name.clone(),
        };
        self.handle
            .book
            .change(|book| book.create_token(new.clone(), now, &mut rand::rng()))
            .await
            .map_err(|error| of_store("the token can't be stored", &error))?
            .map_err(|error| match error {
                TokenError::Life => errors::invalid(Reason::InvalidValue, "ttl", error.to_string()),
                TokenError::Banned { .. } => errors::precondition(
                    Reason::NotJoinable,
                    &format!("cluster/{name}"),
                    error.to_string(),
                ),
                TokenError::TooMany => {
                    errors::exhausted(Reason::TooManyTokens, "tokens", error.to_string())
                }
            })
    }

    /// Waits until lists show the Cluster: who joins asks for it next.
    async fn seen(&self, name: &ClusterName) {
        let mut version = self.fleet().version();
        let there = || self.fleet().index().clusters().contains_key(name);
        let wait = async { while !there() && version.changed().await.is_ok() {} };
        // Not seen yet is no failure: the Cluster is made and the token is good.
        let _late = tokio::time::timeout(SEEN_LIMIT, wait).await;
    }
}

/// The Cluster to be made.
fn wanted(name: &ClusterName, request: &JoinClusterRequest) -> Result<Cluster, Status> {
    if request.labels.contains_key(LABEL_CLUSTER) {
        let message = format!("{LABEL_CLUSTER} is implicit: every Cluster has it");
        return Err(errors::invalid(Reason::InvalidValue, "labels", message));
    }
    let mut cluster = Cluster::new(name.as_str(), ClusterSpec::default());
    if !request.labels.is_empty() {
        cluster.metadata.labels = Some(request.labels.clone().into_iter().collect());
    }
    ClusterView::from_cluster(&cluster)
        .map_err(|finding| errors::invalid(Reason::InvalidName, "name", finding.message))?;
    Ok(cluster)
}

fn life(asked: Option<&segment_proto::Duration>) -> Result<SignedDuration, Status> {
    let max = SignedDuration::try_from(TOKEN_LIFE_MAX).unwrap_or(SignedDuration::ZERO);
    let Some(asked) = asked else {
        return Ok(SignedDuration::try_from(TOKEN_LIFE_DEFAULT).unwrap_or(max));
    };
    let life = SignedDuration::from_secs(asked.seconds);
    if life < SignedDuration::from_secs(1) || life > max {
        let message = format!(
            "must be between 1 s and {} h: the token lies about in shells until then",
            max.as_hours()
        );
        return Err(errors::invalid(Reason::InvalidValue, "ttl", message));
    }
    Ok(life)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_lives_between_a_second_and_a_day() {
        let life = |seconds| life(Some(&segment_proto::Duration { seconds, nanos: 0 }));
        assert_eq!(super::life(None).unwrap(), SignedDuration::from_hours(1));
        assert_eq!(life(1).unwrap(), SignedDuration::from_secs(1));
        assert_eq!(life(86_400).unwrap(), SignedDuration::from_hours(24));
        for seconds in [0, -1, 86_401, i64::MAX, i64::MIN] {
            let status = life(seconds).unwrap_err();
            assert!(
                status
                    .message()
                    .starts_with("ttl: must be between 1 s and 24 h"),
                "{}",
                status.message()
            );
        }
    }

    #[test]
    fn a_reserved_name_and_the_implicit_label_are_refused() {
        let request = |labels: &[(&str, &str)]| JoinClusterRequest {
            labels: labels
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            ..JoinClusterRequest::default()
        };
        let name = |text: &str| text.parse::<ClusterName>().unwrap();
        let made = wanted(&name("eu-1"), &request(&[("env", "prod")])).unwrap();
        assert_eq!(made.metadata.labels.unwrap()["env"], "prod");
        assert_eq!(
            wanted(&name("hub"), &request(&[])).unwrap_err().message(),
            "name: the name hub is reserved"
        );
        assert!(wanted(&name("eu-1"), &request(&[(LABEL_CLUSTER, "x")])).is_err());
    }
}
