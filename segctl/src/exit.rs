//! Exit codes and what they mean.
//!
//! In: what a command found, or why it could not. Out: one code. Law: the table in `--help` is this enum.

use std::process::ExitCode;

/// Printed under `--help`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0    yes, or done
  1    the answer is no (changes found, not ready, lint errors)
  2    usage, a bad value, or a file that can't be read
  3    hub not reachable, not logged in, not allowed
  4    not found
  5    timed out
  130  interrupted";

/// What a command comes out with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Yes, or done.
    Yes = 0,
    /// The answer is no.
    No = 1,
    /// Usage, or a bad value.
    Usage = 2,
    /// Hub not reachable, not logged in, not allowed.
    Unreachable = 3,
    /// Not found.
    NotFound = 4,
    /// Timed out.
    TimedOut = 5,
    /// Interrupted.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command could not answer: what and where in `message`, what to do in `help`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    /// What failed, where, and why.
    pub(crate) message: String,
    /// What to do.
    pub(crate) help: Vec<String>,
    /// Machine-readable reason where the hub gave one.
    pub(crate) reason: Option<String>,
    /// May be otherwise in a moment: a lost connection.
    pub(crate) transient: bool,
}

impl Failure {
    /// A failure without advice.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            help: Vec::new(),
            reason: None,
            transient: false,
        }
    }

    /// A mistake of the caller.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Adds what to do.
    #[must_use]
    pub(crate) fn help(mut self, line: impl Into<String>) -> Self {
        self.help.push(line.into());
        self
    }
}

/// What a gRPC status means for the exit code.
pub(crate) fn exit_of(code: tonic::Code) -> Exit {
    use tonic::Code;
    match code {
        Code::Ok => Exit::Yes,
        Code::InvalidArgument | Code::OutOfRange | Code::ResourceExhausted => Exit::Usage,
        Code::NotFound => Exit::NotFound,
        Code::DeadlineExceeded => Exit::TimedOut,
        Code::AlreadyExists | Code::FailedPrecondition | Code::Aborted => Exit::No,
        Code::Cancelled
        | Code::Unknown
        | Code::PermissionDenied
        | Code::Unimplemented
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss
        | Code::Unauthenticated => Exit::Unreachable,
    }
}

/// A status of the hub as a failure: its words, and its details as advice.
pub(crate) fn failure_of(status: &tonic::Status, hub: &str) -> Failure {
    use tonic_types::StatusExt as _;
    let exit = exit_of(status.code());
    let details = status.get_error_details();
    let message = match status.code() {
        tonic::Code::Unavailable | tonic::Code::Unknown | tonic::Code::Internal => {
            format!("hub {hub}: {}", crate::text::one_line(&words_of(status)))
        }
        tonic::Code::Unimplemented => {
            format!("hub {hub} does not know this call: it is older than this segctl")
        }
        tonic::Code::DeadlineExceeded => format!("hub {hub} did not answer in time"),
        _ => crate::text::one_line(status.message()),
    };
    let mut failure = Failure::new(exit, message);
    failure.transient = matches!(
        status.code(),
        tonic::Code::Unavailable
            | tonic::Code::Unknown
            | tonic::Code::Internal
            | tonic::Code::Cancelled
    );
    failure.reason = details.error_info().map(|info| info.reason.clone());
    for violation in details
        .bad_request()
        .map(|bad| &bad.field_violations[..])
        .unwrap_or_default()
    {
        failure = failure.help(format!(
            "{}: {}",
            violation.field,
            crate::text::one_line(&violation.description)
        ));
    }
    for violation in details
        .precondition_failure()
        .map(|failed| &failed.violations[..])
        .unwrap_or_default()
    {
        failure = failure.help(crate::text::one_line(&violation.description));
    }
    // What the message says already is no help.
    let said = failure.message.clone();
    failure.help.retain(|line| *line != said);
    match status.code() {
        tonic::Code::Unauthenticated => failure
            .help("the hub takes what your kubeconfig logs in with: a bearer token or a client certificate")
            .help("try: kubectl auth whoami"),
        tonic::Code::PermissionDenied => failure.help("ask for ClusterRole segment-viewer, or segment-admin to change things"),
        tonic::Code::DeadlineExceeded => failure.help("give it longer with --request-timeout"),
        _ => failure,
    }
}

/// A transport error hides its cause in its sources: all of them, without repeating.
fn words_of(status: &tonic::Status) -> String {
    let mut words = status.message().to_owned();
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        let next = error.to_string();
        if !words.contains(&next) {
            words = format!("{words}: {next}");
        }
        cause = error.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::{Code, Status};
    use tonic_types::{ErrorDetails, StatusExt as _};

    #[test]
    fn a_status_has_the_exit_code_of_its_kind() {
        for (code, exit) in [
            (Code::NotFound, Exit::NotFound),
            (Code::PermissionDenied, Exit::Unreachable),
            (Code::Unauthenticated, Exit::Unreachable),
            (Code::Unavailable, Exit::Unreachable),
            (Code::DeadlineExceeded, Exit::TimedOut),
            (Code::InvalidArgument, Exit::Usage),
            (Code::FailedPrecondition, Exit::No),
        ] {
            assert_eq!(
                failure_of(&Status::new(code, "words"), "hub:9443").exit,
                exit,
                "{code:?}"
            );
        }
    }

    #[test]
    fn the_details_of_an_error_say_what_to_do() {
        let mut details =
            ErrorDetails::with_bad_request_violation("label_selector", "at 4: expected a value");
        details.set_error_info(
            "SELECTOR_INVALID",
            "segment.grnry.io",
            [("a".to_owned(), "b".to_owned())],
        );
        let status = Status::with_error_details(
            Code::InvalidArgument,
            "the selector can't be read",
            details,
        );
        let failure = failure_of(&status, "hub:9443");
        assert_eq!(
            failure,
            Failure {
                exit: Exit::Usage,
                message: "the selector can't be read".into(),
                help: vec!["label_selector: at 4: expected a value".into()],
                reason: Some("SELECTOR_INVALID".into()),
                transient: false,
            }
        );
    }
}
