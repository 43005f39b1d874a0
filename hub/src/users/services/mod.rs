//! The methods: read the request, ask what the caller may, read the index, answer.
//!
//! In: requests with their `Caller`. Out: answers. Law: the right is asked for before anything is looked up, so that
//! nobody learns from "not found" what they may not see; the index is never held over an await.
//! Not: how things are shown (`view`), streams (`watch`).

mod assignments;
mod cluster_service;
mod clusters;
mod forecast;
mod holds;
mod hub_service;
mod join;
mod logs;
mod orphans;
mod plan;
mod plan_service;
pub mod restore;
mod rollout;
mod rollout_service;
mod run_now;
mod run_service;
mod runs;
mod segment_service;
mod segments;
mod tokens;

use super::access::Caller;
use jiff::Timestamp;
use segment_runtime::AuditLine;
use segment_runtime::audit::AuditResult;
use tonic::Status;

/// Leaves the audit line of a change: done, refused, or failed.
fn audit<T>(
    caller: &Caller,
    action: &'static str,
    subject: String,
    reason: &str,
    outcome: &Result<T, Status>,
) {
    let result = match outcome {
        Ok(_) => AuditResult::Done,
        Err(status)
            if matches!(
                status.code(),
                tonic::Code::Unavailable | tonic::Code::Internal
            ) =>
        {
            AuditResult::Failed
        }
        Err(_) => AuditResult::Refused,
    };
    let reason = match outcome {
        Ok(_) => reason.to_owned(),
        Err(status) if reason.is_empty() => status.message().to_owned(),
        Err(status) => format!("{reason}: {}", status.message()),
    };
    AuditLine {
        time: Timestamp::now(),
        actor: caller.user.name.clone(),
        action: action.into(),
        subject,
        uid: None,
        reason: (!reason.is_empty()).then_some(reason),
        result,
    }
    .emit();
}

/// As [`audit`], for a method that can be asked to check only: a check that was not refused changed nothing, and leaves
/// no line.
fn audit_change<T>(
    caller: &Caller,
    action: &'static str,
    subject: String,
    reason: &str,
    validate_only: bool,
    outcome: &Result<T, Status>,
) {
    if !validate_only || outcome.is_err() {
        audit(caller, action, subject, reason, outcome);
    }
}

/// Longest reason that a user may give, in bytes: an audit line stays a line.
const REASON_MAX_BYTES: usize = 1024;

/// Checks a reason as given.
fn reason(text: &str) -> Result<(), Status> {
    if text.len() <= REASON_MAX_BYTES {
        return Ok(());
    }
    let message = format!(
        "has {} bytes, at most {REASON_MAX_BYTES} are allowed",
        text.len()
    );
    Err(super::errors::invalid(
        super::errors::Reason::InvalidValue,
        "reason",
        message,
    ))
}
