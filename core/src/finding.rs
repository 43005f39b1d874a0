//! A finding: what is wrong with one object, as a value.
//!
//! In: a rule's verdict. Out: [`Finding`], shown in conditions, in `segctl` and over gRPC.
//! Law: a user's mistake is a value, not an error; one bad object stops no other.
//! Not: errors of I/O, which are `thiserror` enums where they happen.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// Legal, but probably not meant.
    Warning,
    /// Refused.
    Error,
}

/// The closed list of rules that core can report. `as_str` is stable API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Code {
    /// A required variable is absent, or empty where it must not be.
    RequiredVariable,
    /// A value is not one of those allowed.
    InvalidValue,
    /// The schedule is not one that Kubernetes accepts.
    InvalidSchedule,
    /// The time zone is unknown.
    UnknownTimeZone,
    /// A name is too long or not of the right form.
    InvalidName,
    /// A variable stands in two places.
    DuplicateVariable,
    /// `$(cluster.…)` names something that this cluster does not have.
    UnknownReference,
    /// The value of a `$(cluster.…)` reference has characters that are not allowed.
    UnsafeReference,
    /// `$(NAME)` refers to a variable that comes from a Secret.
    SecretReference,
    /// The rendered assignment is larger than an assignment may be.
    TooLarge,
    /// The field is known but not served by this version.
    NotYet,
    /// A selector can't be read.
    InvalidSelector,
    /// Nothing is selected.
    NoClusterSelected,
    /// Two Segments want the same CronJob of one cluster.
    Collision,
    /// A quantity or a number is out of its range.
    OutOfRange,
}

impl Code {
    /// The code as users see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RequiredVariable => "RequiredVariable",
            Self::InvalidValue => "InvalidValue",
            Self::InvalidSchedule => "InvalidSchedule",
            Self::UnknownTimeZone => "UnknownTimeZone",
            Self::InvalidName => "InvalidName",
            Self::DuplicateVariable => "DuplicateVariable",
            Self::UnknownReference => "UnknownReference",
            Self::UnsafeReference => "UnsafeReference",
            Self::SecretReference => "SecretReference",
            Self::TooLarge => "TooLarge",
            Self::NotYet => "NotYet",
            Self::InvalidSelector => "InvalidSelector",
            Self::NoClusterSelected => "NoClusterSelected",
            Self::Collision => "Collision",
            Self::OutOfRange => "OutOfRange",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that is wrong with one object, with its place and its cure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Which rule.
    pub code: Code,
    /// Path of the field in the resource, as kubectl writes it: `spec.env.TYPE`.
    pub field: String,
    /// Byte offset inside the field's value, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u32>,
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// What to do about it; empty where the message says it already.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub help: String,
}

impl Finding {
    /// An error at a field.
    pub fn error(code: Code, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code,
            field: field.into(),
            offset: None,
            severity: Severity::Error,
            message: message.into(),
            help: String::new(),
        }
    }

    /// A warning at a field.
    pub fn warning(code: Code, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, field, message)
        }
    }

    /// The same finding with the byte offset inside the value.
    #[must_use]
    pub fn at(mut self, offset: usize) -> Self {
        self.offset = u32::try_from(offset).ok();
        self
    }

    /// The same finding with its cure.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    /// True where the object is refused.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.field)?;
        if let Some(offset) = self.offset {
            write!(f, ":{offset}")?;
        }
        write!(f, " {}", self.message)?;
        if !self.help.is_empty() {
            write!(f, " ({})", self.help)?;
        }
        Ok(())
    }
}
