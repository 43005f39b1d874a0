//! `GetRollout`, `ListRevisions`, `ControlRollout`, `ApproveRollout`.

use super::{audit_change, reason};
use crate::fleet::{Commands, Event, OperationEvent};
use crate::store::revisions;
use crate::users::access::Caller;
use crate::users::errors::{self, Reason};
use crate::users::filter;
use crate::users::state::Services;
use crate::users::view::{self, count, source};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ControllerRevision;
use segment_core::ids::{Revision, SegmentKey, Uid};
use segment_core::names::{ANNOTATION_AUTHOR, ANNOTATION_CHANGE_CAUSE};
use segment_core::rollout::{By, Command, NotNow};
use segment_core::segment::ParsedSegment;
use segment_proto::convert::time::to_wire;
use segment_proto::v1;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tonic::Status;

/// How long a command may take to be stored.
const STORE_LIMIT: Duration = Duration::from_secs(15);

/// A stored revision that an undo may go to.
type Found = (Revision, Arc<ParsedSegment>);

impl Services {
    pub(super) async fn rollout(
        &self,
        caller: &Caller,
        request: v1::GetRolloutRequest,
    ) -> Result<v1::GetRolloutResponse, Status> {
        let key = filter::segment("segment", &request.segment)?;
        self.may_see(caller, &key).await?;
        let now = Timestamp::now();
        Ok(v1::GetRolloutResponse {
            rollout: Some(self.shown_rollout(&key, now).await?),
            source: Some(source(&self.handle, now)),
        })
    }

    async fn shown_rollout(&self, key: &SegmentKey, now: Timestamp) -> Result<v1::Rollout, Status> {
        let mut shown = view::rollout::rollout(&self.fleet().index(), key, now)
            .ok_or_else(|| errors::not_found("segment", &key.to_string()))?;
        if let Ok(uid) = self.uid_of(key) {
            let stored = self.stored_revisions(key, uid).await?;
            let current = stored.iter().rev().find(|stored| {
                revisions::revision_of(stored)
                    .is_some_and(|revision| revision.to_string() == shown.revision)
            });
            if let Some(current) = current {
                shown.author = annotation(current, ANNOTATION_AUTHOR);
                shown.change_cause = annotation(current, ANNOTATION_CHANGE_CAUSE);
            }
        }
        Ok(shown)
    }

    async fn stored_revisions(
        &self,
        key: &SegmentKey,
        uid: Uid,
    ) -> Result<Vec<ControllerRevision>, Status> {
        revisions::list(&self.handle.client, key, uid)
            .await
            .map_err(|error| errors::api("the stored revisions can't be read", &error))
    }

    pub(super) async fn revisions(
        &self,
        caller: &Caller,
        request: v1::ListRevisionsRequest,
    ) -> Result<v1::ListRevisionsResponse, Status> {
        let key = filter::segment("segment", &request.segment)?;
        self.may_see(caller, &key).await?;
        let now = Timestamp::now();
        let uid = self.uid_of(&key)?;
        let stored = self.stored_revisions(&key, uid).await?;
        let index = self.fleet().index();
        let segment = index
            .segments()
            .get(&key)
            .ok_or_else(|| errors::not_found("segment", &key.to_string()))?;
        let shown = stored.iter().rev().filter_map(|stored| {
            let revision = revisions::revision_of(stored)?;
            let holders = segment
                .members
                .values()
                .filter(|member| member.held.is_some_and(|held| held.revision == revision))
                .count();
            Some(v1::Revision {
                revision: revision.to_string(),
                generation: Some(stored.revision),
                created: stored
                    .metadata
                    .creation_timestamp
                    .as_ref()
                    .map(|time| to_wire(time.0)),
                author: annotation(stored, ANNOTATION_AUTHOR),
                change_cause: annotation(stored, ANNOTATION_CHANGE_CAUSE),
                current: Some(segment.revision() == Some(revision)),
                completed: Some(segment.ops.completed == Some(revision)),
                clusters: Some(count(holders)),
                can_undo: Some(revisions::read(stored, &key, uid).is_some()),
            })
        });
        Ok(v1::ListRevisionsResponse {
            revisions: shown.collect(),
            source: Some(source(&self.handle, now)),
        })
    }

    pub(super) async fn control_rollout(
        &self,
        caller: &Caller,
        request: v1::ControlRolloutRequest,
    ) -> Result<v1::ControlRolloutResponse, Status> {
        let action = v1::RolloutAction::try_from(request.action).unwrap_or_default();
        let word = match action {
            v1::RolloutAction::Unspecified => "rollout.unknown",
            v1::RolloutAction::Pause => "rollout.pause",
            v1::RolloutAction::Resume => "rollout.resume",
            v1::RolloutAction::Abort => "rollout.abort",
            v1::RolloutAction::Retry => "rollout.retry",
            v1::RolloutAction::Undo => "rollout.undo",
        };
        let outcome = self.control(caller, &request, action).await;
        let subject = format!("segment/{}", request.segment);
        audit_change(
            caller,
            word,
            subject,
            &request.reason,
            request.validate_only,
            &outcome,
        );
        outcome
    }

    async fn control(
        &self,
        caller: &Caller,
        request: &v1::ControlRolloutRequest,
        action: v1::RolloutAction,
    ) -> Result<v1::ControlRolloutResponse, Status> {
        let key = filter::segment("segment", &request.segment)?;
        self.may_see(caller, &key).await?;
        let mut note = String::new();
        let (command, found) = match action {
            v1::RolloutAction::Unspecified => {
                let message = "is not set: PAUSE, RESUME, ABORT, RETRY or UNDO";
                return Err(errors::invalid(Reason::InvalidValue, "action", message));
            }
            v1::RolloutAction::Pause => (Command::Pause, None),
            v1::RolloutAction::Resume => (Command::Resume, None),
            v1::RolloutAction::Abort => (Command::Abort, None),
            v1::RolloutAction::Retry => (Command::Retry, None),
            v1::RolloutAction::Undo => {
                let found = self.undo_to(&key, &request.to_revision).await?;
                note = self.note_of(&key, &found);
                (Command::Undo(Some(found.0)), Some(found))
            }
        };
        if action != v1::RolloutAction::Undo && !request.to_revision.is_empty() {
            let message = "only an undo goes to a revision";
            return Err(errors::invalid(
                Reason::InvalidValue,
                "to_revision",
                message,
            ));
        }
        self.command(
            caller,
            &key,
            command,
            &request.reason,
            found,
            request.validate_only,
        )
        .await?;
        Ok(v1::ControlRolloutResponse {
            rollout: Some(self.shown_rollout(&key, Timestamp::now()).await?),
            note,
        })
    }

    pub(super) async fn approve_rollout(
        &self,
        caller: &Caller,
        request: v1::ApproveRolloutRequest,
    ) -> Result<v1::ApproveRolloutResponse, Status> {
        let outcome = self.approve(caller, &request).await;
        let subject = format!("segment/{}", request.segment);
        audit_change(
            caller,
            "rollout.approve",
            subject,
            &request.reason,
            request.validate_only,
            &outcome,
        );
        outcome
    }

    async fn approve(
        &self,
        caller: &Caller,
        request: &v1::ApproveRolloutRequest,
    ) -> Result<v1::ApproveRolloutResponse, Status> {
        let key = filter::segment("segment", &request.segment)?;
        self.may_see(caller, &key).await?;
        let wave = (!request.wave.is_empty()).then(|| request.wave.clone());
        self.command(
            caller,
            &key,
            Command::Approve(wave),
            &request.reason,
            None,
            request.validate_only,
        )
        .await?;
        Ok(v1::ApproveRolloutResponse {
            rollout: Some(self.shown_rollout(&key, Timestamp::now()).await?),
        })
    }

    /// Carries a command out, and waits until it is stored.
    pub(super) async fn command(
        &self,
        caller: &Caller,
        key: &SegmentKey,
        command: Command,
        why: &str,
        found: Option<Found>,
        validate_only: bool,
    ) -> Result<(), Status> {
        reason(why)?;
        let by = By {
            who: caller.user.name.clone(),
            reason: why.trim().to_owned(),
            at: Timestamp::now(),
        };
        self.uid_of(key)?;
        if validate_only {
            let revision = found.as_ref().map(|(revision, _)| *revision);
            return self
                .fleet()
                .index()
                .judge_command(key, &command, by, revision)
                .map(drop)
                .map_err(|error| not_now(key, &error));
        }
        let (reply, answer) = oneshot::channel();
        let commands = Commands {
            key: key.clone(),
            command,
            by,
            found,
            reply,
        };
        let gone = |_| errors::unavailable(Reason::ShuttingDown, "the hub is stopping", None);
        self.fleet()
            .tell(Event::Operation(OperationEvent::Command(Box::new(
                commands,
            ))))
            .await
            .map_err(|error| gone(error.to_string()))?;
        match tokio::time::timeout(STORE_LIMIT, answer).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => Err(not_now(key, &error)),
            Ok(Err(_)) => Err(gone(String::new())),
            Err(_) => Err(errors::unavailable(
                Reason::ApiServerUnavailable,
                "it was taken, but the API server has not stored it yet: it is tried on, look again",
                None,
            )),
        }
    }

    /// The stored revision that an undo names: by its first digits, or the last good one before what goes out.
    async fn undo_to(&self, key: &SegmentKey, named: &str) -> Result<Found, Status> {
        let uid = self.uid_of(key)?;
        let stored = self.stored_revisions(key, uid).await?;
        let (target, completed) = {
            let index = self.fleet().index();
            let segment = index.segments().get(key);
            (
                segment.and_then(segment_core::index::SegmentState::revision),
                segment.and_then(|segment| segment.ops.completed),
            )
        };
        let newest_first: Vec<(Revision, &ControllerRevision)> = stored
            .iter()
            .rev()
            .filter_map(|stored| Some((revisions::revision_of(stored)?, stored)))
            .collect();
        let named = named.trim().to_ascii_lowercase();
        let meant: Vec<&(Revision, &ControllerRevision)> = newest_first
            .iter()
            .filter(|(revision, _)| {
                if named.is_empty() {
                    Some(*revision) != target
                } else {
                    revision.to_string().starts_with(&named)
                }
            })
            .collect();
        let chosen = match meant.as_slice() {
            [] => None,
            [one] => Some(*one),
            [first, ..] if named.is_empty() => meant
                .iter()
                .find(|(revision, _)| Some(*revision) == completed)
                .copied()
                .or(Some(*first)),
            several => {
                let same = several
                    .iter()
                    .all(|(revision, _)| *revision == several[0].0);
                if !same {
                    let message = format!(
                        "{named} begins {} revisions: write more of it",
                        several.len()
                    );
                    return Err(errors::invalid(
                        Reason::InvalidValue,
                        "to_revision",
                        message,
                    ));
                }
                Some(several[0])
            }
        };
        let Some((revision, stored)) = chosen else {
            let words = if named.is_empty() {
                "there is no earlier revision to go back to (segctl rollout history lists them)"
                    .to_owned()
            } else {
                format!(
                    "revision {named} is not stored (segctl rollout history lists those that are)"
                )
            };
            return Err(not_now(key, &NotNow::NoRevision(words)));
        };
        revisions::read(stored, key, uid)
            .map(|(_, parsed)| (*revision, Arc::new(parsed)))
            .ok_or_else(|| {
                let words = format!(
                    "revision {} can't be used by today's hub: another renderer made it, or today's rules refuse it",
                    revision.short()
                );
                not_now(key, &NotNow::NoRevision(words))
            })
    }

    /// Whether today's defaults make another revision of it.
    fn note_of(&self, key: &SegmentKey, found: &Found) -> String {
        let index = self.fleet().index();
        let today = segment_core::revision::revision(&found.1, index.defaults());
        if today == found.0 {
            return String::new();
        }
        format!(
            "the house defaults have changed since revision {} of {key}: by today's it is {}",
            found.0.short(),
            today.short()
        )
    }
}

fn annotation(stored: &ControllerRevision, name: &str) -> String {
    stored
        .metadata
        .annotations
        .as_ref()
        .and_then(|annotations| annotations.get(name))
        .cloned()
        .unwrap_or_default()
}

/// A command that makes no sense now.
pub(super) fn not_now(key: &SegmentKey, error: &NotNow) -> Status {
    errors::precondition(
        Reason::NotNow,
        &format!("segment/{key}"),
        format!("segment {key}: {error}"),
    )
}
