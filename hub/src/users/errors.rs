//! What users are told when a call does not succeed.
//!
//! In: a situation. Out: a gRPC status with one clear sentence and `google.rpc` details; every error has an
//! `ErrorInfo` with a reason of the closed list [`Reason`].
//! Law: never INTERNAL for a user's mistake; refusals are worded as kubectl words them. Not: who may do what (`access`).

use super::access::table::Right;
use segment_core::finding::Finding;
use segment_runtime::ApiError;
use std::collections::HashMap;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// Domain of every reason.
pub const DOMAIN: &str = "segment.grnry.io";

/// API group of Segments and Clusters, as refusals name it.
const GROUP: &str = "segment.grnry.io";

/// How long a caller should wait before it tries again, when nothing better is known.
const RETRY: Duration = Duration::from_secs(1);

/// Why a call did not succeed: one word for programs. The text is stable API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Neither token nor client certificate.
    NoCredentials,
    /// The API server does not know the token.
    TokenRefused,
    /// The client certificate has ended, or names nobody.
    CertificateRefused,
    /// Kubernetes' authorisation says no.
    Forbidden,
    /// No such thing.
    NotFound,
    /// A name is none.
    InvalidName,
    /// A selector can't be read.
    InvalidSelector,
    /// A value is not allowed.
    InvalidValue,
    /// A page token is damaged, or of another filter.
    InvalidPageToken,
    /// A watch can't go on from there.
    ResumeTokenTooOld,
    /// Too many watches.
    TooManyWatches,
    /// Logs can't be had from that cluster.
    LogsNotAvailable,
    /// Too many logs are read at a time.
    TooManyLogs,
    /// Too many requests to run at a time.
    TooManyRuns,
    /// Too many join tokens.
    TooManyTokens,
    /// The Cluster is there and has other labels.
    LabelsDiffer,
    /// The name is enrolled, banned or revoked: a token could not be used.
    NotJoinable,
    /// It makes no sense as things stand: nothing to pause, nothing to approve, no revision to go back to.
    NotNow,
    /// The API server did not answer.
    ApiServerUnavailable,
    /// The hub lacks a right on its own API server.
    HubLacksRights,
    /// The process is ending.
    ShuttingDown,
    /// Not finished in time.
    DeadlineExceeded,
    /// No such method.
    UnknownMethod,
    /// The hub itself is at fault.
    Internal,
}

impl Reason {
    /// As it stands in `ErrorInfo.reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoCredentials => "NO_CREDENTIALS",
            Self::TokenRefused => "TOKEN_REFUSED",
            Self::CertificateRefused => "CERTIFICATE_REFUSED",
            Self::Forbidden => "FORBIDDEN",
            Self::NotFound => "NOT_FOUND",
            Self::InvalidName => "INVALID_NAME",
            Self::InvalidSelector => "INVALID_SELECTOR",
            Self::InvalidValue => "INVALID_VALUE",
            Self::InvalidPageToken => "INVALID_PAGE_TOKEN",
            Self::ResumeTokenTooOld => "RESUME_TOKEN_TOO_OLD",
            Self::TooManyWatches => "TOO_MANY_WATCHES",
            Self::LogsNotAvailable => "LOGS_NOT_AVAILABLE",
            Self::TooManyLogs => "TOO_MANY_LOGS",
            Self::TooManyRuns => "TOO_MANY_RUNS",
            Self::TooManyTokens => "TOO_MANY_TOKENS",
            Self::LabelsDiffer => "LABELS_DIFFER",
            Self::NotJoinable => "NOT_JOINABLE",
            Self::NotNow => "NOT_NOW",
            Self::ApiServerUnavailable => "API_SERVER_UNAVAILABLE",
            Self::HubLacksRights => "HUB_LACKS_RIGHTS",
            Self::ShuttingDown => "SHUTTING_DOWN",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::UnknownMethod => "UNKNOWN_METHOD",
            Self::Internal => "INTERNAL",
        }
    }
}

fn info(reason: Reason, metadata: &[(&str, &str)]) -> ErrorDetails {
    let metadata: HashMap<String, String> = metadata
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    ErrorDetails::with_error_info(reason.as_str(), DOMAIN, metadata)
}

fn status(code: Code, reason: Reason, message: impl Into<String>) -> Status {
    Status::with_error_details(code, message, info(reason, &[]))
}

/// Who calls is not known.
pub fn unauthenticated(reason: Reason, message: impl Into<String>) -> Status {
    status(Code::Unauthenticated, reason, message)
}

/// Neither token nor certificate came with the call.
pub fn no_credentials() -> Status {
    unauthenticated(
        Reason::NoCredentials,
        "log in as with kubectl: send the header 'authorization: Bearer TOKEN' (kubectl create token NAME \
         --audience segment-hub), or show a client certificate of the cluster's CA",
    )
}

/// The user may not, in kubectl's wording.
pub fn forbidden(
    user: &str,
    right: &Right,
    namespace: Option<&str>,
    name: Option<&str>,
    why: &str,
) -> Status {
    let resource = right.resource;
    let whole = right
        .subresource
        .map_or_else(|| resource.to_owned(), |sub| format!("{resource}/{sub}"));
    let object = name.map_or_else(String::new, |name| format!(" \"{name}\""));
    let place = namespace.map_or_else(
        || "at the cluster scope".to_owned(),
        |namespace| format!("in the namespace \"{namespace}\""),
    );
    let verb = right.verb;
    let mut message = format!(
        "{resource}.{GROUP}{object} is forbidden: User \"{user}\" cannot {verb} resource \"{whole}\" in API group \
         \"{GROUP}\" {place}"
    );
    if !why.is_empty() {
        message.push_str(": ");
        message.push_str(why);
    }
    let metadata = [
        ("user", user),
        ("verb", verb),
        ("group", GROUP),
        ("resource", whole.as_str()),
        ("namespace", namespace.unwrap_or_default()),
    ];
    Status::with_error_details(
        Code::PermissionDenied,
        message,
        info(Reason::Forbidden, &metadata),
    )
}

/// There is no such thing. `kind` is what kubectl calls it: `segment`, `cluster`, `token`.
pub fn not_found(kind: &'static str, name: &str) -> Status {
    let mut details = info(Reason::NotFound, &[]);
    let message = format!("{kind} {name} not found");
    details.set_resource_info(kind, name, "", message.clone());
    Status::with_error_details(Code::NotFound, message, details)
}

/// A field of the request has a value that is not allowed.
pub fn invalid(reason: Reason, field: &str, message: impl Into<String>) -> Status {
    let message = message.into();
    let mut details = info(reason, &[]);
    details.add_bad_request_violation(field, message.clone());
    Status::with_error_details(
        Code::InvalidArgument,
        format!("{field}: {message}"),
        details,
    )
}

/// A finding of core as an invalid field.
pub fn finding(reason: Reason, finding: &Finding) -> Status {
    let mut message = finding.message.clone();
    if let Some(offset) = finding.offset {
        message = format!("at {offset}: {message}");
    }
    if !finding.help.is_empty() {
        message = format!("{message} ({})", finding.help);
    }
    invalid(reason, &finding.field, message)
}

/// The state of things does not allow it. `subject` names the thing, as `cluster/eu-1`.
pub fn precondition(reason: Reason, subject: &str, message: impl Into<String>) -> Status {
    let message = message.into();
    let mut details = info(reason, &[]);
    details.add_precondition_failure_violation(reason.as_str(), subject, message.clone());
    Status::with_error_details(Code::FailedPrecondition, message, details)
}

/// A limit of the hub is reached.
pub fn exhausted(reason: Reason, subject: &str, message: impl Into<String>) -> Status {
    let message = message.into();
    let mut details = info(reason, &[]);
    details.add_quota_failure_violation(subject, message.clone());
    Status::with_error_details(Code::ResourceExhausted, message, details)
}

/// It may succeed in a moment.
pub fn unavailable(reason: Reason, message: impl Into<String>, retry: Option<Duration>) -> Status {
    let mut details = info(reason, &[]);
    details.set_retry_info(Some(retry.unwrap_or(RETRY)));
    Status::with_error_details(Code::Unavailable, message, details)
}

/// A watch can't go on from its token.
pub fn too_old() -> Status {
    status(
        Code::OutOfRange,
        Reason::ResumeTokenTooOld,
        "the resume_token is too old, or of another hub or filter: watch again without it",
    )
}

/// A call took too long.
pub fn late() -> Status {
    status(
        Code::DeadlineExceeded,
        Reason::DeadlineExceeded,
        "not finished within the deadline",
    )
}

/// A path that is no method of ours.
pub fn unknown_method(path: &str) -> Status {
    let shown: String = path.chars().take(120).collect();
    status(
        Code::Unimplemented,
        Reason::UnknownMethod,
        format!("the hub has no method {shown}: grpcurl ADDRESS list shows those it has"),
    )
}

/// The hub is at fault.
pub fn internal(message: impl Into<String>) -> Status {
    status(Code::Internal, Reason::Internal, message)
}

/// A call of the hub's to its API server did not succeed; `what` says what it was for.
pub fn api(what: &str, error: &ApiError) -> Status {
    let words = segment_runtime::tasks::with_causes(error);
    if error.is_transient() {
        return unavailable(
            Reason::ApiServerUnavailable,
            format!("{what}: {words}"),
            error.retry_after(),
        );
    }
    if error.is_forbidden() {
        return status(
            Code::Internal,
            Reason::HubLacksRights,
            format!("{what}: the hub may not: {words}"),
        );
    }
    if error.is_invalid() {
        let said = error
            .status()
            .map_or(words, |status| status.message.clone());
        return status(Code::InvalidArgument, Reason::InvalidValue, said);
    }
    internal(format!("{what}: {words}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::access::table::Right;

    #[test]
    fn a_refusal_reads_as_kubectl_words_it_and_has_its_reason() {
        let list = Right {
            verb: "list",
            resource: "segments",
            subresource: None,
        };
        let update = Right {
            verb: "update",
            resource: "clusters",
            subresource: Some("access"),
        };
        for (right, namespace, name, why, expected) in [
            (
                &list,
                Some("granary"),
                None,
                "",
                "segments.segment.grnry.io is forbidden: User \"bob\" cannot list resource \"segments\" in API group \
                 \"segment.grnry.io\" in the namespace \"granary\"",
            ),
            (
                &list,
                None,
                None,
                "no opinion",
                "segments.segment.grnry.io is forbidden: User \"bob\" cannot list resource \"segments\" in API group \
                 \"segment.grnry.io\" at the cluster scope: no opinion",
            ),
            (
                &update,
                None,
                Some("eu-1"),
                "",
                "clusters.segment.grnry.io \"eu-1\" is forbidden: User \"bob\" cannot update resource \
                 \"clusters/access\" in API group \"segment.grnry.io\" at the cluster scope",
            ),
        ] {
            let status = forbidden("bob", right, namespace, name, why);
            assert_eq!(
                (status.code(), status.message()),
                (Code::PermissionDenied, expected)
            );
            let details = status.get_error_details();
            let info = details.error_info().unwrap();
            assert_eq!(
                (info.reason.as_str(), info.domain.as_str()),
                ("FORBIDDEN", "segment.grnry.io")
            );
            assert_eq!(info.metadata["verb"], right.verb);
        }
    }

    #[test]
    fn every_error_has_a_reason_and_the_details_of_its_kind() {
        let bad = finding(
            Reason::InvalidSelector,
            &segment_core::selector::Selector::parse_text("a=1,", "label_selector").unwrap_err(),
        );
        assert_eq!(
            bad.message(),
            "label_selector: at 4: expected a label's key"
        );
        assert_eq!(
            bad.get_error_details()
                .bad_request()
                .unwrap()
                .field_violations[0]
                .field,
            "label_selector"
        );
        let missing = not_found("segment", "granary/demo");
        assert_eq!(missing.message(), "segment granary/demo not found");
        assert_eq!(
            missing
                .get_error_details()
                .resource_info()
                .unwrap()
                .resource_name,
            "granary/demo"
        );
        let later = unavailable(Reason::ShuttingDown, "x", None);
        assert_eq!(
            later.get_error_details().retry_info().unwrap().retry_delay,
            Some(RETRY)
        );
        for status in [
            bad,
            missing,
            later,
            no_credentials(),
            too_old(),
            late(),
            unknown_method("/x/y"),
            internal("x"),
            exhausted(Reason::TooManyWatches, "watches", "x"),
            precondition(Reason::NotJoinable, "cluster/a", "x"),
        ] {
            let details = status.get_error_details();
            assert_eq!(details.error_info().unwrap().domain, DOMAIN, "{status}");
        }
    }
}
