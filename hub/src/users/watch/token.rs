//! Where a watch can go on.

use crate::users::page::{decode, encode};
use serde::{Deserialize, Serialize};

/// What a resume token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ResumeToken {
    /// Kind.
    k: String,
    /// Process: versions of another mean nothing here.
    p: u64,
    /// Digest of filter and rights.
    f: u64,
    /// Version of the index.
    v: u64,
}

impl ResumeToken {
    /// For this kind, process, filter and version.
    pub(super) fn new(kind: &str, process: u64, filter: u64, version: u64) -> Self {
        Self {
            k: kind.to_owned(),
            p: process,
            f: filter,
            v: version,
        }
    }

    /// As text.
    pub(super) fn text(&self) -> String {
        encode(self)
    }

    /// The version, where the token is of this kind, process and filter.
    pub(super) fn version(text: &str, kind: &str, process: u64, filter: u64) -> Option<u64> {
        let token: Self = decode(text)?;
        (token.k == kind && token.p == process && token.f == filter).then_some(token.v)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_kind_process_and_filter_only() {
        let text = ResumeToken::new("segments", 1, 2, 3).text();
        assert_eq!(ResumeToken::version(&text, "segments", 1, 2), Some(3));
        for (kind, process, filter) in [("clusters", 1, 2), ("segments", 9, 2), ("segments", 1, 9)]
        {
            assert_eq!(ResumeToken::version(&text, kind, process, filter), None);
        }
        assert_eq!(ResumeToken::version("no token", "segments", 1, 2), None);
    }
}
