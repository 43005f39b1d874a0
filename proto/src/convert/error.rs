//! Why a message is not a value, with the path of the field.

use segment_core::ids::InvalidId;

/// A field that can't be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct ConvertError {
    /// Path of the field, as in the .proto files: `orders[3].put.uid`.
    pub path: String,
    /// What is wrong with it: printed with the path, so no source.
    pub problem: Problem,
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It must be there.
    #[error("is missing")]
    Missing,
    /// It must not be there.
    #[error("must not be set here")]
    Unexpected,
    /// It is an id or a name, and not a good one.
    #[error("{0}")]
    Id(InvalidId),
    /// A value of an enum that this version does not know.
    #[error("has the value {0}, which this version does not know")]
    Unknown(i32),
    /// More items than the limit.
    #[error("has {count} items, at most {limit} are allowed")]
    TooMany {
        /// Items there are.
        count: usize,
        /// Items allowed.
        limit: usize,
    },
    /// More bytes than the limit.
    #[error("has {bytes} bytes, at most {limit} are allowed")]
    TooLong {
        /// Bytes there are.
        bytes: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Packed items do not fill it.
    #[error("has {bytes} bytes, which is no multiple of {item}")]
    Ragged {
        /// Bytes there are.
        bytes: usize,
        /// Bytes of one item.
        item: usize,
    },
    /// Not a time.
    #[error("is not a time between the years -9999 and 9999")]
    Time,
    /// A rendered CronJob that can't be read.
    #[error("{0}")]
    Rendered(String),
}

impl ConvertError {
    /// A problem with the field of this name.
    pub fn new(field: &str, problem: Problem) -> Self {
        Self {
            path: field.to_owned(),
            problem,
        }
    }

    /// A field that must be there.
    pub fn missing(field: &str) -> Self {
        Self::new(field, Problem::Missing)
    }

    /// Puts the name of the message that the field stands in before its path.
    #[must_use]
    pub fn within(mut self, parent: &str) -> Self {
        self.path = format!("{parent}.{}", self.path);
        self
    }

    /// Puts the name and place of the list that the field stands in before its path.
    #[must_use]
    pub fn within_item(mut self, list: &str, index: usize) -> Self {
        self.path = format!("{list}[{index}].{}", self.path);
        self
    }
}

/// Takes a message that must be there.
pub(crate) fn required<T>(field: &str, value: Option<T>) -> Result<T, ConvertError> {
    value.ok_or_else(|| ConvertError::missing(field))
}

/// Refuses a list over its limit.
pub(crate) fn at_most(field: &str, count: usize, limit: usize) -> Result<(), ConvertError> {
    if count > limit {
        return Err(ConvertError::new(field, Problem::TooMany { count, limit }));
    }
    Ok(())
}

/// Refuses text or bytes over their limit.
pub(crate) fn bytes_at_most(field: &str, bytes: usize, limit: usize) -> Result<(), ConvertError> {
    if bytes > limit {
        return Err(ConvertError::new(field, Problem::TooLong { bytes, limit }));
    }
    Ok(())
}

/// Text for people: cut to a limit at a character's end, as it must not cost a report its life.
pub(crate) fn cut(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        let mut end = limit;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    text
}

/// Reads an enum; 0 is never a value.
pub(crate) fn known<W: TryFrom<i32>>(field: &str, value: i32) -> Result<W, ConvertError> {
    W::try_from(value).map_err(|_| ConvertError::new(field, Problem::Unknown(value)))
}

/// 0 of an enum: not said.
pub(crate) fn unsaid(field: &str) -> ConvertError {
    ConvertError::new(field, Problem::Unknown(0))
}
