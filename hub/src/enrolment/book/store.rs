//! The book as bytes: JSON under zstd, so that the largest fleet's fits into a Secret.

use super::EnrolmentBook;

/// Longest book, bytes as stored. A Secret takes 1 MiB in all.
pub const MAX_BOOK_BYTES: usize = 1_000_000;

/// Longest book, bytes of JSON: a bound for what is unpacked.
const MAX_JSON_BYTES: usize = 16 * 1024 * 1024;

/// The book cannot be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// Too many tokens and names.
    #[error("the enrolment book has {bytes} bytes, at most {MAX_BOOK_BYTES} fit: revoke tokens")]
    TooLong {
        /// Its length, packed.
        bytes: usize,
    },
    /// Not written by us, or damaged. Never taken for an empty one: that would let go of every binding and ban.
    #[error("the enrolment book cannot be read: restore its Secret")]
    Damaged(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl EnrolmentBook {
    /// As stored.
    ///
    /// # Errors
    /// When it is too long for a Secret.
    pub fn to_bytes(&self) -> Result<Vec<u8>, BookError> {
        let json = serde_json::to_vec(self).map_err(|error| BookError::Damaged(error.into()))?;
        let bytes =
            zstd::bulk::compress(&json, 3).map_err(|error| BookError::Damaged(error.into()))?;
        if bytes.len() > MAX_BOOK_BYTES {
            return Err(BookError::TooLong { bytes: bytes.len() });
        }
        Ok(bytes)
    }

    /// Of what was stored. Nothing at all is an empty book: the chart makes the Secret so.
    ///
    /// # Errors
    /// When it is not a whole book.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BookError> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let json = zstd::bulk::decompress(bytes, MAX_JSON_BYTES)
            .map_err(|error| BookError::Damaged(error.into()))?;
        serde_json::from_slice(&json).map_err(|error| BookError::Damaged(error.into()))
    }
}
