//! Ids ↔ bytes and names ↔ strings.

use super::error::{ConvertError, Problem};
use crate::agent::v1;
use bytes::Bytes;
use segment_core::ids::{
    ClusterName, Digest, HubId, InstanceId, InvalidId, KeyHash, PolicyDigest, Revision, RootDigest,
    RunId, SegmentKey, Uid,
};

fn id<T>(field: &str, parsed: Result<T, InvalidId>) -> Result<T, ConvertError> {
    parsed.map_err(|error| ConvertError::new(field, Problem::Id(error)))
}

macro_rules! bytes_ids {
    ($($fn:ident $type:ident $doc:literal)*) => {$(
        #[doc = concat!("Reads ", $doc, ".")]
        ///
        /// # Errors
        /// When the length is another.
        pub fn $fn(field: &str, bytes: &[u8]) -> Result<$type, ConvertError> {
            id(field, $type::from_slice(bytes))
        }
    )*};
}

bytes_ids! {
    key_hash KeyHash "a segment hash"
    revision Revision "a revision"
    run RunId "a run id"
    digest Digest "a digest"
    root_digest RootDigest "a root digest"
    policy_digest PolicyDigest "the digest of a policy"
    instance InstanceId "an instance id"
    uid Uid "a uid"
}

/// Bytes of an id.
pub fn bytes(id: &[u8]) -> Bytes {
    Bytes::copy_from_slice(id)
}

/// Reads the id of a hub.
///
/// # Errors
/// When it has another form.
pub fn hub(field: &str, value: &str) -> Result<HubId, ConvertError> {
    id(field, HubId::new(value))
}

/// Reads the name of a Cluster.
///
/// # Errors
/// When it is none.
pub fn cluster(field: &str, value: &str) -> Result<ClusterName, ConvertError> {
    id(field, ClusterName::new(value))
}

/// Reads the name of a Segment.
///
/// # Errors
/// When a part of it is no name.
pub fn segment(field: &str, key: &v1::SegmentKey) -> Result<SegmentKey, ConvertError> {
    id(field, SegmentKey::new(&key.namespace, &key.name))
}

/// The name of a Segment for the wire.
pub fn segment_to_wire(key: &SegmentKey) -> v1::SegmentKey {
    v1::SegmentKey {
        namespace: key.namespace.to_string(),
        name: key.name.to_string(),
    }
}
