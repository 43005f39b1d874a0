//! A policy as it travels: the ConfigMap's data, bounded, with its digest.
//!
//! In: the ConfigMap's data, of this cluster or as an agent told it. Out: [`PolicyText`]. Law: the digest is a function of
//! the data alone; two data that differ have different ones; nothing of the data is printed, logs included.
//! Not: what the data means (`policy.rs`), who tells it when (`sync/policy.rs`).

use super::{Policy, PolicyError};
use crate::ids::{PolicyDigest, sha256_16};
use std::collections::BTreeMap;
use std::fmt;

/// The ConfigMap's data.
#[derive(Clone, PartialEq, Eq)]
pub struct PolicyText {
    data: BTreeMap<String, String>,
    digest: PolicyDigest,
}

/// More than is told to a hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the policy has {keys} keys and {bytes} bytes, told are at most {} and {}",
    PolicyText::MAX_KEYS,
    PolicyText::MAX_BYTES
)]
pub struct PolicyTextTooLarge {
    /// Keys there are.
    pub keys: usize,
    /// Bytes of keys and values.
    pub bytes: usize,
}

impl PolicyText {
    /// Most bytes of keys and values together: rules for each of some hundred namespaces. Ten thousand agents share the
    /// hub's memory.
    pub const MAX_BYTES: usize = 64 * 1024;
    /// Most keys: three times the rules that there are.
    pub const MAX_KEYS: usize = 64;

    /// Takes data within the bounds.
    ///
    /// # Errors
    /// When there is more.
    pub fn new(data: BTreeMap<String, String>) -> Result<Self, PolicyTextTooLarge> {
        let keys = data.len();
        let bytes = data
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .fold(0, usize::saturating_add);
        if keys > Self::MAX_KEYS || bytes > Self::MAX_BYTES {
            return Err(PolicyTextTooLarge { keys, bytes });
        }
        let digest = digest(&data);
        Ok(Self { data, digest })
    }

    /// The data.
    pub fn data(&self) -> &BTreeMap<String, String> {
        &self.data
    }

    /// Its digest.
    pub fn digest(&self) -> PolicyDigest {
        self.digest
    }

    /// What it means.
    ///
    /// # Errors
    /// As [`Policy::from_data`]; the words quote the text.
    pub fn policy(&self) -> Result<Policy, PolicyError> {
        Policy::from_data(&self.data)
    }
}

impl fmt::Debug for PolicyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PolicyText({})", self.digest)
    }
}

/// Keys in their order, each key and value after its length: so that no two data have the same bytes.
fn digest(data: &BTreeMap<String, String>) -> PolicyDigest {
    let mut bytes = Vec::with_capacity(PolicyText::MAX_BYTES);
    for text in data.iter().flat_map(|(key, value)| [key, value]) {
        // A length fits eight bytes on every machine there is.
        bytes.extend_from_slice(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    PolicyDigest(sha256_16(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(data: &[(&str, &str)]) -> PolicyText {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        PolicyText::new(data.iter().map(owned).collect()).unwrap()
    }

    proptest! {
        #[test]
        fn other_data_has_another_digest(
            a in prop::collection::btree_map("[ab]{0,2}", "[ab]{0,3}", 0..4),
            b in prop::collection::btree_map("[ab]{0,2}", "[ab]{0,3}", 0..4),
        ) {
            let same = a == b;
            let (a, b) = (PolicyText::new(a).unwrap(), PolicyText::new(b).unwrap());
            prop_assert_eq!(a.digest() == b.digest(), same);
        }
    }

    /// Hubs and agents of different versions compare it: it may never change.
    #[test]
    fn the_digest_is_what_it_always_was() {
        assert_eq!(
            text(&[]).digest().to_string(),
            "e3b0c44298fc1c149afbf4c8996fb924",
            "SHA-256 of nothing"
        );
        assert_eq!(
            text(&[("namespaces", "granary: {}"), ("logs", "false")])
                .digest()
                .to_string(),
            "1ff644e417cf8771f095751ea3e0f039"
        );
    }

    #[test]
    fn what_is_too_large_is_refused_whole() {
        let of = |key: usize, value: usize| {
            PolicyText::new([("k".repeat(key), "v".repeat(value))].into())
        };
        assert!(of(10, PolicyText::MAX_BYTES - 10).is_ok());
        assert_eq!(
            of(10, PolicyText::MAX_BYTES - 9),
            Err(PolicyTextTooLarge {
                keys: 1,
                bytes: PolicyText::MAX_BYTES + 1
            })
        );
        let many = |count: usize| {
            PolicyText::new((0..count).map(|i| (i.to_string(), String::new())).collect())
        };
        assert!(many(PolicyText::MAX_KEYS).is_ok());
        assert!(many(PolicyText::MAX_KEYS + 1).is_err());
    }

    #[test]
    fn the_data_is_not_printed() {
        let text = text(&[("dbHosts", "'*': [db.internal]")]);
        assert!(!format!("{text:?}").contains("internal"));
        assert!(!format!("{text:#?}").contains("dbHosts"));
    }

    /// A value of two dozen bytes per level that would be a million strings.
    #[test]
    fn what_anchors_repeat_without_end_is_no_policy() {
        let mut value = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for (from, to) in ["ab", "bc", "cd", "de", "ef"].map(|pair| pair.split_at(1)) {
            let aliases = vec![format!("*{from}"); 10].join(", ");
            value.extend([to, ": &", to, " [", &aliases, "]\n"]);
        }
        assert!(text(&[("nodeSelectors", &value)]).policy().is_err());
        // The same list said once is what anchors are for.
        let value = "a: &hosts [db-1, db-2]\nb: *hosts\nc: *hosts\n";
        let policy = text(&[("dbHosts", value)]).policy().unwrap();
        assert_eq!(policy.db_hosts["c"], ["db-1", "db-2"]);
    }
}
