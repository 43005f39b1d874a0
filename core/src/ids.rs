//! Ids: names, uids and digests as types, parsed once at the edge.
//!
//! In: strings and bytes from outside. Out: values that cannot be wrong.
//! Law: parse ∘ display = identity.
//! Not: what they identify.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Why a string is not the id it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {value:?} {problem}")]
pub struct InvalidId {
    /// Which id was expected: "cluster name".
    pub what: &'static str,
    /// The offending string, shortened to 80 characters.
    pub value: String,
    /// What is wrong with it.
    pub problem: String,
}

fn invalid(what: &'static str, value: &str, problem: impl Into<String>) -> InvalidId {
    InvalidId {
        what,
        value: value.chars().take(80).collect(),
        problem: problem.into(),
    }
}

/// A DNS-1123 subdomain of at most `max` bytes, as the API server checks object names.
///
/// Source: Kubernetes, `validation.IsDNS1123Subdomain`.
fn check_subdomain(what: &'static str, value: &str, max: usize) -> Result<(), InvalidId> {
    if value.is_empty() {
        return Err(invalid(what, value, "is empty"));
    }
    if value.len() > max {
        return Err(invalid(
            what,
            value,
            format!("has {} characters, at most {max} are allowed", value.len()),
        ));
    }
    let label_ok = |label: &str| {
        let bytes = label.as_bytes();
        let alnum = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        !bytes.is_empty()
            && bytes.iter().all(|&b| alnum(b) || b == b'-')
            && alnum(bytes[0])
            && alnum(bytes[bytes.len() - 1])
    };
    if value.split('.').all(label_ok) {
        Ok(())
    } else {
        Err(invalid(
            what,
            value,
            "must be lower case letters, digits, '-' and '.', and start and end with a letter or digit",
        ))
    }
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:expr, $dots:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The longest allowed, in bytes.
            pub const MAX_BYTES: usize = $max;

            /// Parses and checks.
            ///
            /// # Errors
            /// When the string is empty, too long or not a DNS-1123 name.
            pub fn new(value: impl AsRef<str>) -> Result<Self, InvalidId> {
                let value = value.as_ref();
                check_subdomain($what, value, $max)?;
                if !$dots && value.contains('.') {
                    return Err(invalid($what, value, "may not contain '.'"));
                }
                Ok(Self(Arc::from(value)))
            }

            /// The name as a string slice.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(value: &str) -> Result<Self, InvalidId> {
                Self::new(value)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(value: String) -> Result<Self, InvalidId> {
                Self::new(value)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0.as_ref().to_owned()
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name_type!(
    /// Name of a `Cluster`: DNS-1123, at most 63 characters, so that it fits a label's value.
    ClusterName, "cluster name", 63, true
);
name_type!(
    /// Name of a namespace: a DNS-1123 label.
    Namespace, "namespace", 63, false
);
name_type!(
    /// Name of a `Segment`: at most 134 characters (Granary's segment ids); 53 to 134 are shortened on the spoke.
    SegmentName, "segment name", 134, true
);
name_type!(
    /// Name of a CronJob on a spoke: at most 52 characters, because the controller appends 11.
    CronJobName, "CronJob name", 52, true
);

/// Which Segment: `namespace/name`. With the hub id it is the identity of an assignment.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SegmentKey {
    /// Namespace of the Segment on the hub.
    pub namespace: Namespace,
    /// Name of the Segment.
    pub name: SegmentName,
}

impl SegmentKey {
    /// Parses both parts.
    ///
    /// # Errors
    /// When one of them is not a name.
    pub fn new(namespace: &str, name: &str) -> Result<Self, InvalidId> {
        Ok(Self {
            namespace: Namespace::new(namespace)?,
            name: SegmentName::new(name)?,
        })
    }

    /// The key's hash, as inventories carry it.
    pub fn hash(&self) -> KeyHash {
        KeyHash::of(&self.to_string())
    }
}

impl fmt::Display for SegmentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl fmt::Debug for SegmentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl FromStr for SegmentKey {
    type Err = InvalidId;
    fn from_str(value: &str) -> Result<Self, InvalidId> {
        let (namespace, name) = value
            .split_once('/')
            .ok_or_else(|| invalid("segment", value, "must have the form namespace/name"))?;
        Self::new(namespace, name)
    }
}

impl TryFrom<String> for SegmentKey {
    type Error = InvalidId;
    fn try_from(value: String) -> Result<Self, InvalidId> {
        value.parse()
    }
}

impl From<SegmentKey> for String {
    fn from(value: SegmentKey) -> Self {
        value.to_string()
    }
}

macro_rules! bytes_type {
    ($(#[$doc:meta])* $name:ident, $len:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// Takes exactly [`Self::LEN`] bytes.
            ///
            /// # Errors
            /// When there are more or fewer.
            pub fn from_slice(bytes: &[u8]) -> Result<Self, InvalidId> {
                <[u8; $len]>::try_from(bytes).map(Self).map_err(|_| {
                    invalid($what, "", format!("has {} bytes, {} are expected", bytes.len(), $len))
                })
            }

            /// The bytes.
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(value: &str) -> Result<Self, InvalidId> {
                let bytes = hex::decode(value).map_err(|_| invalid($what, value, "is not hexadecimal"))?;
                Self::from_slice(&bytes)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(value: String) -> Result<Self, InvalidId> {
                value.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    };
}

bytes_type!(
    /// First 16 bytes of the SHA-256 of `namespace/name`: a segment in an inventory.
    KeyHash, 16, "segment hash"
);
bytes_type!(
    /// Revision of a Segment: first 8 bytes of the SHA-256 of what renders (see `revision.rs`). One per Segment.
    Revision, 8, "revision"
);
bytes_type!(
    /// First 16 bytes of the SHA-256 of the bytes rendered for one cluster.
    Digest, 16, "digest"
);
bytes_type!(
    /// Digest over a whole set: all entries of a cluster, or all its reports. Opaque where it is a reports token.
    RootDigest, 16, "root digest"
);
bytes_type!(
    /// Digest of a cluster's own policy (see `admit/text.rs`): equal digests, equal policies.
    PolicyDigest, 16, "policy digest"
);
bytes_type!(
    /// Id of an ordered run (see `run_order.rs`): the same order sent again has the same.
    RunId, 8, "run id"
);
bytes_type!(
    /// Random id of a process (hub instance or agent process).
    InstanceId, 16, "instance id"
);

/// First 16 bytes of SHA-256.
pub(crate) fn sha256_16(bytes: &[u8]) -> [u8; 16] {
    let mut out = [0; 16];
    out.copy_from_slice(&Sha256::digest(bytes)[..16]);
    out
}

impl KeyHash {
    /// Hash of `namespace/name`.
    pub fn of(key: &str) -> Self {
        Self(sha256_16(key.as_bytes()))
    }
}

impl Digest {
    /// Digest of rendered bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha256_16(bytes))
    }
}

impl RunId {
    /// Id of what an order is about: first 8 bytes of its SHA-256.
    pub fn of(bytes: &[u8]) -> Self {
        let mut out = [0; 8];
        out.copy_from_slice(&Sha256::digest(bytes)[..8]);
        Self(out)
    }
}

impl Revision {
    /// Revision of canonical bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut out = [0; 8];
        out.copy_from_slice(&Sha256::digest(bytes)[..8]);
        Self(out)
    }

    /// As tables show it: seven hexadecimal digits, as git does.
    pub fn short(&self) -> String {
        self.to_string()[..7].to_owned()
    }
}

/// A Kubernetes uid: 16 bytes, written as a UUID (RFC 9562).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Uid(pub [u8; 16]);

impl Uid {
    /// Takes exactly 16 bytes.
    ///
    /// # Errors
    /// When there are more or fewer.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, InvalidId> {
        <[u8; 16]>::try_from(bytes).map(Self).map_err(|_| {
            invalid(
                "uid",
                "",
                format!("has {} bytes, 16 are expected", bytes.len()),
            )
        })
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = hex::encode(self.0);
        write!(
            f,
            "{}-{}-{}-{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..]
        )
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uid({self})")
    }
}

impl FromStr for Uid {
    type Err = InvalidId;
    fn from_str(value: &str) -> Result<Self, InvalidId> {
        let well_formed =
            value.len() == 36 && [8, 13, 18, 23].iter().all(|&i| value.as_bytes()[i] == b'-');
        let hex: String = value.chars().filter(|&c| c != '-').collect();
        if !well_formed || hex.len() != 32 {
            return Err(invalid("uid", value, "is not a UUID"));
        }
        let bytes = hex::decode(hex).map_err(|_| invalid("uid", value, "is not a UUID"))?;
        Self::from_slice(&bytes)
    }
}

impl TryFrom<String> for Uid {
    type Error = InvalidId;
    fn try_from(value: String) -> Result<Self, InvalidId> {
        value.parse()
    }
}

impl From<Uid> for String {
    fn from(value: Uid) -> Self {
        value.to_string()
    }
}

/// The id of a hub: random, kept in its identity Secret, survives CA rotation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HubId(Arc<str>);

impl HubId {
    /// Checks the form: 8 to 63 lower-case letters, digits and `-` (it stands in URIs and annotations).
    ///
    /// # Errors
    /// When the form is another.
    pub fn new(value: impl AsRef<str>) -> Result<Self, InvalidId> {
        let value = value.as_ref();
        check_subdomain("hub id", value, 63)?;
        if value.len() < 8 || value.contains('.') {
            return Err(invalid(
                "hub id",
                value,
                "must have 8 to 63 characters and no '.'",
            ));
        }
        Ok(Self(Arc::from(value)))
    }

    /// The id as a string slice.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HubId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for HubId {
    type Err = InvalidId;
    fn from_str(value: &str) -> Result<Self, InvalidId> {
        Self::new(value)
    }
}

impl TryFrom<String> for HubId {
    type Error = InvalidId;
    fn try_from(value: String) -> Result<Self, InvalidId> {
        Self::new(value)
    }
}

impl From<HubId> for String {
    fn from(value: HubId) -> Self {
        value.0.as_ref().to_owned()
    }
}

/// The name a CronJob gets on the spoke for a Segment's name.
///
/// It is the name itself up to 52 characters; else its first 41 (without a trailing `-` or `.`), `-`, and ten
/// hexadecimal digits of the name's SHA-256. 52 because Kubernetes' CronJob controller appends 11 characters to a
/// Job's name, and 63 is the limit there (`validation.DNS1035LabelMaxLength - 11`).
pub fn cronjob_name(segment: &SegmentName) -> CronJobName {
    let name = segment.as_str();
    if name.len() <= CronJobName::MAX_BYTES {
        return CronJobName(Arc::from(name));
    }
    let hash = hex::encode(Sha256::digest(name.as_bytes()));
    let head = name[..41].trim_end_matches(['-', '.']);
    CronJobName(Arc::from(format!("{head}-{}", &hash[..10])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_refused_as_the_api_server_refuses_them() {
        for (name, ok) in [
            ("eu-21", true),
            ("a.b-c.9", true),
            ("", false),
            ("Eu", false),
            ("a.", false),
            ("-a", false),
            ("a-", false),
            ("a..b", false),
            ("a_b", false),
            ("ä", false),
        ] {
            assert_eq!(ClusterName::new(name).is_ok(), ok, "{name:?}");
        }
        assert!(ClusterName::new("a".repeat(63)).is_ok());
        assert!(ClusterName::new("a".repeat(64)).is_err());
        assert!(Namespace::new("a.b").is_err());
        assert!(SegmentName::new("a".repeat(134)).is_ok());
        assert!(SegmentName::new("a".repeat(135)).is_err());
    }

    #[test]
    fn a_uid_is_read_and_written_as_kubernetes_writes_it() {
        let text = "7b0d9c3e-2f51-4c1f-9d55-0f6d1a3a9b11";
        assert_eq!(text.parse::<Uid>().unwrap().to_string(), text);
        for bad in [
            "",
            "7b0d9c3e2f514c1f9d550f6d1a3a9b11",
            "7b0d9c3e-2f51-4c1f-9d55-0f6d1a3a9b1x",
            "ääää9c3e-2f51-4c1f-9d55-0f6d1a3a9b",
        ] {
            assert!(bad.parse::<Uid>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_name_over_52_characters_is_shortened_with_its_hash() {
        let check = |name: &str, expected: &str| {
            let got = cronjob_name(&SegmentName::new(name).unwrap());
            assert_eq!(got.as_str(), expected);
            assert!(CronJobName::new(got.as_str()).is_ok());
        };
        check("demo", "demo");
        check(&"a".repeat(52), &"a".repeat(52));
        let long = "a".repeat(53);
        let hash = hex::encode(Sha256::digest(long.as_bytes()));
        check(&long, &format!("{}-{}", "a".repeat(41), &hash[..10]));
        let dashed = format!("{}-.{}", "b".repeat(39), "c".repeat(30)).replace("-.", "-x.");
        let hash = hex::encode(Sha256::digest(dashed.as_bytes()));
        check(&dashed, &format!("{}-x-{}", "b".repeat(39), &hash[..10]));
    }
}
