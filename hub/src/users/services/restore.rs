//! `AcceptRestore`: a human says that this hub's older state shall stand.

use super::{audit_change, reason};
use crate::store::identity::IdentityError;
use crate::users::access::Caller;
use crate::users::errors::{self, Reason};
use crate::users::state::Services;
use jiff::Timestamp;
use segment_proto::v1::{AcceptRestoreRequest, AcceptRestoreResponse};
use segment_runtime::tasks::with_causes;
use std::collections::VecDeque;
use tokio::sync::Mutex;
use tonic::Status;

/// Longest request id, in characters.
const ID_MAX_CHARS: usize = 64;
/// Requests that are remembered: a restore is accepted a few times in a hub's life.
const REMEMBERED: usize = 64;

/// Requests that were carried out by this process, with who asked; one is carried out at a time.
#[derive(Debug, Default)]
pub struct Accepted(Mutex<VecDeque<((String, String), AcceptRestoreResponse)>>);

impl Services {
    pub(super) async fn accept_restore(
        &self,
        caller: &Caller,
        request: AcceptRestoreRequest,
    ) -> Result<AcceptRestoreResponse, Status> {
        let outcome = self.accept(caller, &request).await;
        audit_change(
            caller,
            "hub.accept-restore",
            format!("hub/{}", self.handle.hub),
            &request.reason,
            request.validate_only,
            &outcome,
        );
        outcome
    }

    async fn accept(
        &self,
        caller: &Caller,
        request: &AcceptRestoreRequest,
    ) -> Result<AcceptRestoreResponse, Status> {
        reason(&request.reason)?;
        if request.reason.trim().is_empty() {
            let message = "must say why: this lets the hub roll clusters back";
            return Err(errors::invalid(Reason::InvalidValue, "reason", message));
        }
        if request.request_id.chars().count() > ID_MAX_CHARS {
            let message = format!("has more than {ID_MAX_CHARS} characters");
            return Err(errors::invalid(Reason::InvalidValue, "request_id", message));
        }
        self.access
            .authz()
            .require(&caller.user, &caller.row.right, None, None)
            .await?;
        let went_back = self.went_back();
        if request.validate_only {
            let era = self.handle.memory.borrow().fence.era;
            return Ok(AcceptRestoreResponse {
                previous_era: Some(era),
                era: None,
                went_back,
            });
        }
        let mut accepted = self.accepted.0.lock().await;
        let id = (caller.user.name.clone(), request.request_id.clone());
        if !request.request_id.is_empty()
            && let Some((_, answer)) = accepted.iter().find(|(known, _)| *known == id)
        {
            return Ok(answer.clone());
        }
        let (previous, era) =
            self.handle
                .accept_restore(Timestamp::now())
                .await
                .map_err(|error| match error {
                    IdentityError::Api(error) => errors::api("the era can't be raised", &error),
                    other => errors::internal(format!(
                        "the era can't be raised: {}",
                        with_causes(&other)
                    )),
                })?;
        let answer = AcceptRestoreResponse {
            previous_era: Some(previous),
            era: Some(era),
            went_back,
        };
        if accepted.len() >= REMEMBERED {
            accepted.pop_front();
        }
        accepted.push_back((id, answer.clone()));
        Ok(answer)
    }

    /// Clusters that have seen a newer state than this hub knows.
    pub(super) fn went_back(&self) -> Vec<String> {
        self.fleet()
            .index()
            .clusters()
            .iter()
            .filter(|(_, cluster)| cluster.went_back.is_some())
            .map(|(name, _)| name.to_string())
            .collect()
    }
}
