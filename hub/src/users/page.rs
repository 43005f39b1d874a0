//! Pages: sizes, and tokens that go on where the page before ended.
//!
//! In: a request's size and token. Out: how many, and after what. Law: a token belongs to its filter (the request without
//! size and token) and is refused with another; things that come and go between two pages shift nothing, as a token
//! names the last thing that was shown. Not: what is listed.

use super::errors::{self, Reason};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost::Message;
use segment_proto::limits::USERS_MESSAGE_MAX_BYTES;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tonic::Status;

/// Longest token that is looked at, in bytes: ours have some 300.
const TOKEN_MAX_BYTES: usize = 1024;

/// Bytes of items after which a page ends: three quarters of a message, whatever clusters have said.
const BYTES: usize = USERS_MESSAGE_MAX_BYTES / 4 * 3;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageToken {
    /// Digest of the filter.
    f: u64,
    /// How many there are in all, where that is too dear to count for each page.
    t: u32,
    /// Place of the last one in an order that is not by name.
    r: u32,
    /// Name of the last one.
    a: String,
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// How many at most.
    pub size: usize,
    filter: u64,
    after: Option<PageToken>,
}

impl Start {
    /// Reads size and token. `filter` is the request without both.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a negative size, and for a token that is damaged or of another filter.
    pub fn new(
        size: i32,
        token: &str,
        filter: &impl Message,
        (default, max): (usize, usize),
    ) -> Result<Self, Status> {
        let size = usize::try_from(size).map_err(|_| {
            errors::invalid(Reason::InvalidValue, "page_size", "must not be negative")
        })?;
        let size = if size == 0 { default } else { size.min(max) };
        let filter = digest_of(filter, &[]);
        let after = if token.is_empty() {
            None
        } else {
            Some(read(token, filter)?)
        };
        Ok(Self {
            size,
            filter,
            after,
        })
    }

    /// Name of the last one that was shown.
    pub fn after(&self) -> Option<&str> {
        self.after.as_ref().map(|after| after.a.as_str())
    }

    /// Place of the last one that was shown.
    pub fn rank(&self) -> u32 {
        self.after.as_ref().map_or(0, |after| after.r)
    }

    /// How many there are in all, as the first page has counted.
    pub fn total(&self) -> Option<u32> {
        self.after.as_ref().map(|after| after.t)
    }

    /// The token of the next page.
    pub fn next(&self, last: &str, rank: u32, total: u32) -> String {
        encode(&PageToken {
            f: self.filter,
            t: total,
            r: rank,
            a: last.to_owned(),
        })
    }
}

/// Digest of a filter, with what else it depends on.
pub fn digest_of(filter: &impl Message, more: &[&str]) -> u64 {
    let mut sha = Sha256::new();
    sha.update(filter.encode_to_vec());
    for part in more {
        sha.update((part.len() as u64).to_be_bytes());
        sha.update(part.as_bytes());
    }
    let mut first = [0; 8];
    first.copy_from_slice(&sha.finalize()[..8]);
    u64::from_be_bytes(first)
}

/// A token as text.
pub fn encode(token: &impl Serialize) -> String {
    // Numbers and strings always are JSON.
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(token).unwrap_or_default())
}

/// A token of text, if it is one.
pub fn decode<T: DeserializeOwned>(text: &str) -> Option<T> {
    if text.len() > TOKEN_MAX_BYTES {
        return None;
    }
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

fn read(token: &str, filter: u64) -> Result<PageToken, Status> {
    let wrong = |message| errors::invalid(Reason::InvalidPageToken, "page_token", message);
    let token: PageToken = decode(token).ok_or_else(|| wrong("is not one of this hub"))?;
    if token.f != filter {
        return Err(wrong(
            "belongs to a request with another filter: send the filter of the page before",
        ));
    }
    Ok(token)
}

/// A page being filled.
#[derive(Debug)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    size: usize,
    bytes: usize,
    limit: usize,
}

impl<T: Message> Page<T> {
    /// An empty page.
    pub fn new(start: &Start) -> Self {
        Self {
            items: Vec::new(),
            size: start.size,
            bytes: 0,
            limit: BYTES,
        }
    }

    /// An empty page that ends after these bytes at the latest.
    pub fn of_bytes(start: &Start, limit: usize) -> Self {
        Self {
            limit: limit.min(BYTES),
            ..Self::new(start)
        }
    }

    /// Whether one more may be put on it.
    pub fn is_full(&self) -> bool {
        self.items.len() >= self.size || self.bytes >= self.limit
    }

    /// Puts one on it.
    pub fn push(&mut self, item: T) {
        self.bytes += item.encoded_len();
        self.items.push(item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use segment_proto::v1::{ListSegmentsRequest, Orphan};

    fn filter(namespace: &str) -> ListSegmentsRequest {
        ListSegmentsRequest {
            namespace: namespace.to_owned(),
            ..ListSegmentsRequest::default()
        }
    }

    #[test]
    fn a_token_goes_on_where_the_page_ended_and_belongs_to_its_filter() {
        let limits = (500, 1000);
        let first = Start::new(2, "", &filter("a"), limits).unwrap();
        assert_eq!((first.after(), first.total(), first.size), (None, None, 2));
        let token = first.next("a/b", 3, 7);
        let second = Start::new(5, &token, &filter("a"), limits).unwrap();
        assert_eq!(
            (second.after(), second.rank(), second.total()),
            (Some("a/b"), 3, Some(7))
        );
        for (token, namespace) in [
            (token.as_str(), "b"),
            ("%%", "a"),
            ("AAAA", "a"),
            (&"A".repeat(2000), "a"),
        ] {
            let status = Start::new(0, token, &filter(namespace), limits).unwrap_err();
            assert_eq!(status.code(), tonic::Code::InvalidArgument);
            assert!(
                status.message().starts_with("page_token: "),
                "{}",
                status.message()
            );
        }
    }

    #[test]
    fn a_size_has_a_default_and_a_cap() {
        for (asked, size) in [(0, 500), (1, 1), (1000, 1000), (i32::MAX, 1000)] {
            assert_eq!(
                Start::new(asked, "", &filter(""), (500, 1000))
                    .unwrap()
                    .size,
                size
            );
        }
        let status = Start::new(-1, "", &filter(""), (500, 1000)).unwrap_err();
        assert_eq!(status.message(), "page_size: must not be negative");
    }

    #[test]
    fn a_page_ends_at_its_size_or_at_its_bytes() {
        let start = Start::new(2, "", &filter(""), (500, 1000)).unwrap();
        let orphan = || Orphan {
            cluster: "eu-1".to_owned(),
            ..Orphan::default()
        };
        let mut page = Page::new(&start);
        page.push(orphan());
        assert!(!page.is_full());
        page.push(orphan());
        assert!(page.is_full());
        let mut small = Page::of_bytes(&start, 1);
        small.push(orphan());
        assert!(small.is_full());
    }
}
