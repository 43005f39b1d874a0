//! A finding: what is wrong with one object, as a value.
//!
//! In: a rule's verdict. Out: [`Finding`], shown in conditions, in `segctl` and over gRPC.
//! Law: a user's mistake is a value, not an error; one bad object stops no other.
//! Not: errors of I/O, which are `thiserror` enums where they happen.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest piece of a user's text in a message, in characters.
const SHOWN_CHARS: usize = 40;

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
    /// A transformation has no result type.
    MissingType,
    /// A transformation has no name, or nothing after its name.
    MissingDefinition,
    /// A transformation names a path (or alias) that the segment does not have.
    UnlistedPath,
    /// An index has no name.
    UnnamedIndex,
    /// An index definition lists no columns.
    InvalidIndex,
    /// Indexes on a segment that is a view.
    IndexOnView,
    /// A view has no name.
    UnnamedView,
    /// A view has no condition.
    ViewWithoutCondition,
    /// Two columns of the segment have one name.
    DuplicateColumn,
    /// Two paths have one alias.
    DuplicateAlias,
    /// A column is transformed twice.
    DuplicateTransformation,
    /// Two indexes have one name.
    DuplicateIndex,
    /// Two views have one name.
    DuplicateView,
    /// A view or index has the name of another relation of the segment.
    NameCollision,
    /// There are more or fewer aliases than paths.
    AliasCount,
    /// Aliases for paths that are not listed.
    AliasesWithoutPaths,
    /// A name is longer than `PostgreSQL` keeps it.
    LongIdentifier,
    /// A name has characters that `PostgreSQL` takes only in quotes.
    OddName,
    /// A separator is empty, or only white space.
    EmptySeparator,
    /// Two separators of one list can't be told apart.
    AmbiguousSeparator,
    /// A separator stands inside a definition, so that the list is split there.
    SeparatorInText,
    /// A list has a member with nothing in it.
    EmptyMember,
    /// Something refers to a column that the segment does not create.
    UnknownColumn,
    /// A result type is none that `PostgreSQL` has.
    UnknownType,
    /// A pivot transformation does not use the path's column.
    NoPlaceholder,
    /// A generic segment takes no columns.
    NoColumns,
    /// A condition begins with the word WHERE.
    WhereKeyword,
    /// A % in a query is not written as these images need it.
    LonePercent,
    /// A comment mark cuts off the rest of an SQL text.
    SqlComment,
    /// A quote, bracket or comment in an SQL text is not closed.
    UnterminatedText,
    /// An SQL text has a semicolon between statements.
    SeveralStatements,
    /// An SQL text can't be parsed.
    SqlSyntax,
    /// A variable that this TYPE does not read.
    UnusedVariable,
    /// A value is neither True nor False.
    NotABoolean,
    /// A password or token stands in plain text.
    PlainSecret,
    /// A variable that the image is too old for.
    NewerImage,
    /// The schedule is legal and never due.
    NeverDue,
    /// The clocks go back over the schedule: a run starts twice.
    RunsTwice,
    /// The clocks go forward over the schedule: a run is left out.
    NeverRuns,
    /// Two Segments write one table.
    SharedTable,
    /// A field that the resource does not have.
    UnknownField,
    /// A value of another type than the field's.
    WrongType,
    /// A Segment stands twice in the files given.
    DuplicateSegment,
    /// A document that can't be read.
    Unreadable,
}

impl Code {
    /// Every code, in the order of declaration.
    pub const ALL: &'static [Self] = &[
        Self::RequiredVariable,
        Self::InvalidValue,
        Self::InvalidSchedule,
        Self::UnknownTimeZone,
        Self::InvalidName,
        Self::DuplicateVariable,
        Self::UnknownReference,
        Self::UnsafeReference,
        Self::SecretReference,
        Self::TooLarge,
        Self::NotYet,
        Self::InvalidSelector,
        Self::NoClusterSelected,
        Self::Collision,
        Self::OutOfRange,
        Self::MissingType,
        Self::MissingDefinition,
        Self::UnlistedPath,
        Self::UnnamedIndex,
        Self::InvalidIndex,
        Self::IndexOnView,
        Self::UnnamedView,
        Self::ViewWithoutCondition,
        Self::DuplicateColumn,
        Self::DuplicateAlias,
        Self::DuplicateTransformation,
        Self::DuplicateIndex,
        Self::DuplicateView,
        Self::NameCollision,
        Self::AliasCount,
        Self::AliasesWithoutPaths,
        Self::LongIdentifier,
        Self::OddName,
        Self::EmptySeparator,
        Self::AmbiguousSeparator,
        Self::SeparatorInText,
        Self::EmptyMember,
        Self::UnknownColumn,
        Self::UnknownType,
        Self::NoPlaceholder,
        Self::NoColumns,
        Self::WhereKeyword,
        Self::LonePercent,
        Self::SqlComment,
        Self::UnterminatedText,
        Self::SeveralStatements,
        Self::SqlSyntax,
        Self::UnusedVariable,
        Self::NotABoolean,
        Self::PlainSecret,
        Self::NewerImage,
        Self::NeverDue,
        Self::RunsTwice,
        Self::NeverRuns,
        Self::SharedTable,
        Self::UnknownField,
        Self::WrongType,
        Self::DuplicateSegment,
        Self::Unreadable,
    ];

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
            Self::MissingType => "MissingType",
            Self::MissingDefinition => "MissingDefinition",
            Self::UnlistedPath => "UnlistedPath",
            Self::UnnamedIndex => "UnnamedIndex",
            Self::InvalidIndex => "InvalidIndex",
            Self::IndexOnView => "IndexOnView",
            Self::UnnamedView => "UnnamedView",
            Self::ViewWithoutCondition => "ViewWithoutCondition",
            Self::DuplicateColumn => "DuplicateColumn",
            Self::DuplicateAlias => "DuplicateAlias",
            Self::DuplicateTransformation => "DuplicateTransformation",
            Self::DuplicateIndex => "DuplicateIndex",
            Self::DuplicateView => "DuplicateView",
            Self::NameCollision => "NameCollision",
            Self::AliasCount => "AliasCount",
            Self::AliasesWithoutPaths => "AliasesWithoutPaths",
            Self::LongIdentifier => "LongIdentifier",
            Self::OddName => "OddName",
            Self::EmptySeparator => "EmptySeparator",
            Self::AmbiguousSeparator => "AmbiguousSeparator",
            Self::SeparatorInText => "SeparatorInText",
            Self::EmptyMember => "EmptyMember",
            Self::UnknownColumn => "UnknownColumn",
            Self::UnknownType => "UnknownType",
            Self::NoPlaceholder => "NoPlaceholder",
            Self::NoColumns => "NoColumns",
            Self::WhereKeyword => "WhereKeyword",
            Self::LonePercent => "LonePercent",
            Self::SqlComment => "SqlComment",
            Self::UnterminatedText => "UnterminatedText",
            Self::SeveralStatements => "SeveralStatements",
            Self::SqlSyntax => "SqlSyntax",
            Self::UnusedVariable => "UnusedVariable",
            Self::NotABoolean => "NotABoolean",
            Self::PlainSecret => "PlainSecret",
            Self::NewerImage => "NewerImage",
            Self::NeverDue => "NeverDue",
            Self::RunsTwice => "RunsTwice",
            Self::NeverRuns => "NeverRuns",
            Self::SharedTable => "SharedTable",
            Self::UnknownField => "UnknownField",
            Self::WrongType => "WrongType",
            Self::DuplicateSegment => "DuplicateSegment",
            Self::Unreadable => "Unreadable",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that is wrong with one object, with its place and its cure.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
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

/// A user's text in a message: in quotes, and not longer than a reader needs to find it.
pub(crate) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{:?}", format!("{}…", &text[..end])),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(shown("a\"b"), r#""a\"b""#);
        assert_eq!(shown(&"ä".repeat(50)), format!("\"{}…\"", "ä".repeat(40)));
    }
}
