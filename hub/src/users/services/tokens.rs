//! `ListTokens`, `RevokeToken`.

use super::{audit_change, reason};
use crate::enrolment::book::{self, TokenRecord};
use crate::store::enrolment::EnrolmentStoreError;
use crate::users::access::Caller;
use crate::users::errors::{self, Reason};
use crate::users::filter;
use crate::users::state::Services;
use crate::users::view::{count, total};
use jiff::Timestamp;
use segment_proto::convert::time::to_wire;
use segment_proto::v1::{
    ListTokensRequest, ListTokensResponse, RevokeTokenRequest, RevokeTokenResponse, Token,
    TokenState,
};
use segment_runtime::tasks::with_causes;
use tonic::Status;

impl Services {
    pub(super) async fn tokens(
        &self,
        caller: &Caller,
        request: ListTokensRequest,
    ) -> Result<ListTokensResponse, Status> {
        let cluster = filter::maybe_cluster("cluster", &request.cluster)?;
        let named = cluster.as_ref().map(segment_core::ids::ClusterName::as_str);
        self.access
            .authz()
            .require(&caller.user, &caller.row.right, None, named)
            .await?;
        let now = Timestamp::now();
        let tokens: Vec<Token> = self.handle.book.read(|book| {
            book.list(now)
                .into_iter()
                .filter(|(_, record, _)| {
                    cluster
                        .as_ref()
                        .is_none_or(|cluster| record.cluster == *cluster)
                })
                .map(|(id, record, _)| token(id, record, now))
                .collect()
        });
        let all = total(count(tokens.len()));
        Ok(ListTokensResponse {
            tokens,
            total_size: Some(all),
        })
    }

    pub(super) async fn revoke_token(
        &self,
        caller: &Caller,
        request: RevokeTokenRequest,
    ) -> Result<RevokeTokenResponse, Status> {
        let outcome = self.revoke(caller, &request).await;
        let shown: String = request.id.chars().take(16).collect();
        audit_change(
            caller,
            "token.revoke",
            format!("token/{shown}"),
            &request.reason,
            request.validate_only,
            &outcome,
        );
        outcome
    }

    async fn revoke(
        &self,
        caller: &Caller,
        request: &RevokeTokenRequest,
    ) -> Result<RevokeTokenResponse, Status> {
        reason(&request.reason)?;
        let id = request.id.as_str();
        // Someone may paste the whole token: what stands in logs and errors is its public part.
        if id.is_empty() || id.len() > 16 || id.contains('.') {
            let message = "must be the token's public part, as ListTokens shows it";
            return Err(errors::invalid(Reason::InvalidValue, "id", message));
        }
        self.access
            .authz()
            .require(&caller.user, &caller.row.right, None, None)
            .await?;
        let now = Timestamp::now();
        let missing = || errors::not_found("token", id);
        let known = self
            .handle
            .book
            .read(|book| book.tokens.get(id).map(|record| token(id, record, now)));
        let token = known.ok_or_else(missing)?;
        if !request.validate_only {
            let revoked = self.handle.book.change(|book| book.revoke_token(id)).await;
            revoked
                .map_err(|error| of_store("the token can't be revoked", &error))?
                .ok_or_else(missing)?;
        }
        Ok(RevokeTokenResponse { token: Some(token) })
    }
}

fn token(id: &str, record: &TokenRecord, now: Timestamp) -> Token {
    let state = match record.state(now) {
        book::TokenState::Unused => TokenState::Unused,
        book::TokenState::Used => TokenState::Used,
        book::TokenState::Expired => TokenState::Expired,
    };
    Token {
        id: id.to_owned(),
        cluster: record.cluster.to_string(),
        state: state.into(),
        create_time: Some(to_wire(record.created)),
        expire_time: Some(to_wire(record.expires)),
        created_by: record.created_by.clone(),
    }
}

/// The book could not be changed.
pub(super) fn of_store(what: &str, error: &EnrolmentStoreError) -> Status {
    match error {
        EnrolmentStoreError::Api(error) => errors::api(what, error),
        other => errors::internal(format!("{what}: {}", with_causes(other))),
    }
}
