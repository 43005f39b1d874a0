//! A shard's bytes: header, checksum, zstd.
//!
//! ```text
//! "SGAS" | version 2 | kind 1 | index 1 | SHA-256 of the payload 32 | payload: zstd of JSON
//! ```
//! In, Out: bytes and typed content. Law: what does not add up is [`Damage`], never an empty shard.
//! Not: where shards are kept (`store.rs`).

use bytes::Bytes;
use segment_core::apply::Record;
use segment_core::assignment::{
    Assignment, Controls, Entry, Modes, OrderNumber, Removal, Rendered,
};
use segment_core::fence::{Fence, Watermark};
use segment_core::ids::{HubId, KeyHash, Revision, SegmentKey, Uid};
use segment_core::run_order::known::KnownRun;
use segment_core::runs::{LEAST_RUNS, MAX_RUNS, SegmentRuns};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::io::Read as _;

const MAGIC: &[u8; 4] = b"SGAS";
const VERSION: u16 = 1;
const HEADER: usize = 4 + 2 + 1 + 1 + 32;
/// zstd's own default: a third of the bytes at some 300 MB/s.
const LEVEL: i32 = 3;
/// Most that a shard may be once it is unpacked, in bytes: 512 KiB of anything sensible is far below; a bomb is not.
const UNPACKED_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// What a shard is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Hub, fence, watermark, brake.
    State,
    /// Entries and what was done with them.
    Entries(u8),
    /// Newest runs.
    Ledger(u8),
}

impl Kind {
    fn tag(self) -> [u8; 2] {
        match self {
            Self::State => [0, 0],
            Self::Entries(index) => [1, index],
            Self::Ledger(index) => [2, index],
        }
    }
}

/// Why a shard can't be used: what it held is unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// There is nothing where something must be.
    #[error("it is empty")]
    Empty,
    /// Not a shard, or another one.
    #[error("its header is not the one of this shard")]
    Header,
    /// Of a later version of the agent.
    #[error("it has version {0}, this agent knows {VERSION}")]
    Version(u16),
    /// The bytes are not those that were written.
    #[error("its checksum does not add up")]
    Checksum,
    /// The content can't be read.
    #[error("its content can't be read: {0}")]
    Content(String),
}

/// Something that counted towards the brake (rule 12).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BrakeEvent {
    /// When.
    pub at: jiff::Timestamp,
    /// Which Segment.
    pub key: KeyHash,
    /// `removal`, `suspension`, `neverFires` or `replacement`.
    pub what: String,
}

/// Content of the state shard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct StateContent {
    /// The hub whose orders are obeyed.
    pub hub: Option<HubId>,
    /// Highest fence obeyed.
    pub fence: Option<Fence>,
    /// Highest watermark seen.
    pub watermark: Option<Watermark>,
    /// The brake's window.
    pub brake: Vec<BrakeEvent>,
    /// A shard was damaged, and not all that runs here is covered by an entry again.
    pub incomplete: bool,
    /// The newest runs that were ordered, so that none runs twice.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<KnownRun>,
}

/// Content of an entries shard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntriesContent {
    /// The entries.
    pub entries: Vec<StoredEntry>,
}

/// Content of a ledger shard: the newest runs per segment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerContent {
    /// At most 40 per segment, newest last, with what was dropped.
    pub segments: BTreeMap<KeyHash, SegmentRuns>,
}

impl LedgerContent {
    /// Makes it fit into so many bytes, packed: fewer runs of each Segment, but never fewer than three; then fewer words.
    /// One that fits stays as it is.
    pub fn shrink_to(&mut self, kind: Kind, bytes: usize) {
        let mut keep = MAX_RUNS;
        while pack(kind, self).is_ok_and(|packed| packed.len() > bytes) {
            if keep <= LEAST_RUNS {
                self.segments
                    .values_mut()
                    .for_each(SegmentRuns::without_words);
                return;
            }
            keep = (keep / 2).max(LEAST_RUNS);
            self.segments
                .values_mut()
                .for_each(|runs| runs.shrink(keep));
        }
    }
}

/// An entry with what was done with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StoredEntry {
    key: SegmentKey,
    uid: Uid,
    number: OrderNumber,
    revision: Revision,
    /// The canonical bytes as they came: their digest is part of the inventory.
    rendered: String,
    modes: Modes,
    controls: Controls,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    removing: Option<Removal>,
    #[serde(default)]
    record: Record,
}

impl StoredEntry {
    /// For the store.
    pub fn new(entry: &Entry, record: Record) -> Self {
        let assignment = &entry.assignment;
        Self {
            key: assignment.key.clone(),
            uid: assignment.uid,
            number: assignment.number,
            revision: assignment.revision,
            rendered: String::from_utf8_lossy(assignment.rendered.bytes()).into_owned(),
            modes: assignment.modes,
            controls: entry.controls.clone(),
            removing: entry.removing,
            record,
        }
    }

    /// From the store.
    ///
    /// # Errors
    /// When the template can't be read.
    pub fn into_entry(self) -> Result<(Entry, Record), Damage> {
        let rendered = Rendered::from_bytes(Bytes::from(self.rendered))
            .map_err(|e| Damage::Content(e.to_string()))?;
        let assignment = Assignment {
            key: self.key,
            uid: self.uid,
            number: self.number,
            revision: self.revision,
            rendered,
            modes: self.modes,
        };
        Ok((
            Entry {
                assignment,
                controls: self.controls,
                removing: self.removing,
            },
            self.record,
        ))
    }
}

/// A shard's bytes.
///
/// # Errors
/// When the content can't be packed.
pub fn pack(kind: Kind, content: &impl Serialize) -> Result<Vec<u8>, Damage> {
    let json = serde_json::to_vec(content).map_err(|error| Damage::Content(error.to_string()))?;
    let payload =
        zstd::bulk::compress(&json, LEVEL).map_err(|error| Damage::Content(error.to_string()))?;
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(&kind.tag());
    bytes.extend_from_slice(&Sha256::digest(&payload));
    bytes.extend_from_slice(&payload);
    Ok(bytes)
}

/// A shard's content.
///
/// # Errors
/// When anything about it does not add up.
pub fn unpack<T: DeserializeOwned>(kind: Kind, bytes: &[u8]) -> Result<T, Damage> {
    let (header, payload) = bytes.split_at_checked(HEADER).ok_or(Damage::Header)?;
    let (magic, rest) = header.split_at(4);
    let (version, rest) = rest.split_at(2);
    let (tag, checksum) = rest.split_at(2);
    if magic != MAGIC || tag != kind.tag() {
        return Err(Damage::Header);
    }
    let version = u16::from_be_bytes([version[0], version[1]]);
    if version != VERSION {
        return Err(Damage::Version(version));
    }
    if Sha256::digest(payload).as_slice() != checksum {
        return Err(Damage::Checksum);
    }
    let unreadable = |error: std::io::Error| Damage::Content(error.to_string());
    let mut json = Vec::new();
    let decoder = zstd::stream::read::Decoder::new(payload).map_err(unreadable)?;
    decoder
        .take(UNPACKED_MAX_BYTES)
        .read_to_end(&mut json)
        .map_err(unreadable)?;
    serde_json::from_slice(&json).map_err(|error| Damage::Content(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_what_was_written_or_damaged() {
        let content = StateContent {
            hub: Some(HubId::new("hub-00000001").unwrap()),
            fence: Some(Fence {
                era: 1,
                ..Fence::default()
            }),
            ..StateContent::default()
        };
        let bytes = pack(Kind::State, &content).unwrap();
        assert_eq!(unpack::<StateContent>(Kind::State, &bytes), Ok(content));
        assert_eq!(
            unpack::<StateContent>(Kind::Entries(0), &bytes),
            Err(Damage::Header)
        );
        assert_eq!(
            unpack::<StateContent>(Kind::State, &bytes[..20]),
            Err(Damage::Header)
        );
        for at in HEADER - 32..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert_eq!(
                unpack::<StateContent>(Kind::State, &flipped),
                Err(Damage::Checksum),
                "byte {at}"
            );
        }
        let mut newer = bytes.clone();
        newer[5] = 2;
        assert_eq!(
            unpack::<StateContent>(Kind::State, &newer),
            Err(Damage::Version(2))
        );
    }
}
