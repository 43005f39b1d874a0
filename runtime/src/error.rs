//! What a call to an API server can come to.
//!
//! **In:** kube's errors and our deadlines. **Out:** [`ApiError`], which answers questions: conflict? transient?
//! **Law:** the server's own words are kept whole, and nobody has to match text.
//! **Not:** what to do about it.

use std::borrow::Cow;
use std::time::Duration;

use kube::core::Status;

/// A call to an API server that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The API server answered, and refused.
    #[error("{what}: {} {}: {}", status.code, status.reason, status.message)]
    Refused {
        /// The call, such as `PUT /apis/batch/v1/namespaces/a/cronjobs/b`.
        what: Cow<'static, str>,
        /// The server's Status: code, reason, message, causes.
        status: Box<Status>,
        /// How long the server asks us to wait (Retry-After header or Status).
        retry_after: Option<Duration>,
    },
    /// No answer within the deadline; whether the call was carried out is unknown.
    #[error("{what}: no answer within {} s", limit.as_secs_f32())]
    Deadline {
        /// The call.
        what: Cow<'static, str>,
        /// How long we waited.
        limit: Duration,
    },
    /// The server was not reached, or the connection broke.
    #[error("{what}: the API server cannot be reached")]
    Unreachable {
        /// The call.
        what: Cow<'static, str>,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
    /// The answer is not what the call promises (not JSON, another shape).
    #[error("{what}: the answer cannot be read")]
    Malformed {
        /// The call.
        what: Cow<'static, str>,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl ApiError {
    /// Sorts an error of kube's, with the call that met it.
    pub fn from_kube(what: impl Into<Cow<'static, str>>, error: kube::Error) -> Self {
        let what = what.into();
        match error {
            kube::Error::Api(status) => Self::refused(what, *status, None),
            kube::Error::SerdeError(source) => Self::Malformed {
                what,
                source: source.into(),
            },
            kube::Error::FromUtf8(source) => Self::Malformed {
                what,
                source: source.into(),
            },
            other => Self::Unreachable {
                what,
                source: Box::new(other),
            },
        }
    }

    /// A refusal, with the wait that the server asked for: by header if there was one, else in the Status.
    pub(crate) fn refused(
        what: Cow<'static, str>,
        status: Status,
        header: Option<Duration>,
    ) -> Self {
        let in_status = status
            .details
            .as_ref()
            .map_or(0, |details| details.retry_after_seconds);
        let in_status = (in_status > 0).then(|| Duration::from_secs(in_status.into()));
        Self::Refused {
            what,
            status: Box::new(status),
            retry_after: header.or(in_status),
        }
    }

    /// The server's Status, if it answered with one.
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::Refused { status, .. } => Some(status),
            _ => None,
        }
    }

    /// The HTTP code, if the server answered.
    pub fn code(&self) -> Option<u16> {
        self.status().map(|status| status.code)
    }

    /// How long the server asks us to wait before the next try.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// 404: the object or its namespace is not there.
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }

    /// 409 because of another resourceVersion or uid: read again, then decide again.
    pub fn is_conflict(&self) -> bool {
        self.code() == Some(409) && !self.is_already_exists()
    }

    /// 409 because an object of that name exists.
    pub fn is_already_exists(&self) -> bool {
        self.status()
            .is_some_and(|status| status.code == 409 && status.reason == "AlreadyExists")
    }

    /// 403: a right is missing, a quota is full, or a webhook said no.
    pub fn is_forbidden(&self) -> bool {
        self.code() == Some(403)
    }

    /// 422 or 400: the object itself is refused, and will be again.
    pub fn is_invalid(&self) -> bool {
        matches!(self.code(), Some(400 | 422))
    }

    /// Whether the same call may succeed later without anything being changed by us.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Deadline { .. } | Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => {
                matches!(status.code, 408 | 429 | 500 | 502 | 503 | 504)
            }
            Self::Malformed { .. } => false,
        }
    }

    /// A closed word for metrics' labels.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Deadline { .. } => "deadline",
            Self::Unreachable { .. } => "unreachable",
            Self::Malformed { .. } => "malformed",
            Self::Refused { status, .. } => match status.code {
                400 | 422 => "invalid",
                401 => "unauthorized",
                403 => "forbidden",
                404 => "not_found",
                409 => "conflict",
                410 => "expired",
                429 => "throttled",
                500.. => "server",
                _ => "refused",
            },
        }
    }
}

/// How long a kube error asks us to wait, where kube keeps it (typed calls drop the header, the Status stays).
pub fn retry_after(error: &kube::Error) -> Option<Duration> {
    match error {
        kube::Error::Api(status) => {
            let seconds = status
                .details
                .as_ref()
                .map_or(0, |details| details.retry_after_seconds);
            (seconds > 0).then(|| Duration::from_secs(seconds.into()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_answers_what_callers_ask() {
        let rows = [
            (404, "NotFound", "not_found", false),
            // A proxy's page has no reason: the code decides.
            (404, "", "not_found", false),
            (409, "Conflict", "conflict", false),
            (403, "Forbidden", "forbidden", false),
            (422, "Invalid", "invalid", false),
            (429, "TooManyRequests", "throttled", true),
            (500, "InternalError", "server", true),
            (503, "ServiceUnavailable", "server", true),
            (504, "Timeout", "server", true),
        ];
        for (code, reason, label, transient) in rows {
            let status = Status::failure("words", reason).with_code(code).boxed();
            let error = ApiError::from_kube("GET /x", kube::Error::Api(status));
            assert_eq!(
                (error.reason(), error.is_transient()),
                (label, transient),
                "{code}"
            );
            assert_eq!(error.to_string(), format!("GET /x: {code} {reason}: words"));
            assert_eq!(error.is_not_found(), code == 404);
            assert_eq!(error.is_conflict(), code == 409);
            assert_eq!(error.is_forbidden(), code == 403);
            assert_eq!(error.is_invalid(), code == 422);
        }
    }
}
