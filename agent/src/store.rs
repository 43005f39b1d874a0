//! What must outlive a restart, in ConfigMaps of the agent's namespace.
//!
//! One for the state, eight for entries (by the first byte of their key's hash), eight for the ledger; made empty by the
//! chart, so that the right to get and update them by name is enough.
//! In: content to keep. Out: what was kept. Law: every write carries the resourceVersion of the one before; a conflict
//! means that another agent writes, and ends the process. Not: when something is written (`held.rs`).

pub mod format;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use format::{
    Damage, EntriesContent, Kind, LedgerContent, StateContent, StoredEntry, pack, unpack,
};
use futures::future::join_all;
use segment_core::apply::Record;
use segment_core::assignment::Entry;
use segment_core::ids::{KeyHash, Namespace};
use segment_core::names;
use segment_core::sync::agent::Stored;
use segment_runtime::error::ApiError;
use segment_runtime::raw::{self, WriteOptions};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Largest shard, in bytes: 8 MiB over 16 shards (rule 16); as base64 it stays under the 1 MiB of a ConfigMap.
pub const SHARD_MAX_BYTES: usize = 512 * 1024;

/// Key of the bytes in a ConfigMap.
const SHARD_KEY: &str = "shard";

/// The store can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Someone else wrote it.
    #[error("ConfigMap {name} was written by someone else: another agent works here")]
    Conflict {
        /// Which.
        name: String,
        /// The API server's words.
        #[source]
        source: Box<ApiError>,
    },
    /// The API server did not take or give it.
    #[error("ConfigMap {name} can't be used")]
    Api {
        /// Which.
        name: String,
        /// Why.
        #[source]
        source: Box<ApiError>,
    },
    /// It was not there, and is there again with content that has to be read first.
    #[error("ConfigMap {name} is there again, with content that was not read")]
    CameBack {
        /// Which.
        name: String,
    },
    /// The content does not fit.
    #[error("ConfigMap {name} would have {bytes} bytes, at most {SHARD_MAX_BYTES} are allowed")]
    TooLarge {
        /// Which.
        name: String,
        /// How large it would be.
        bytes: usize,
    },
    /// The content can't be packed.
    #[error("the content of ConfigMap {name} can't be packed")]
    Pack {
        /// Which.
        name: String,
        /// Why.
        #[source]
        source: Damage,
    },
}

impl StoreError {
    /// Whether the process has to end.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Conflict { .. } | Self::CameBack { .. })
    }
}

struct Shard {
    kind: Kind,
    name: String,
    /// As last read or written; null while it does not exist.
    object: Value,
    /// Number of the newest content that was written.
    number: u64,
}

/// The store.
pub struct Store {
    client: kube::Client,
    namespace: Namespace,
    limit: Duration,
    shards: BTreeMap<Kind, Mutex<Shard>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// What the store held.
#[derive(Debug, Default)]
pub struct Loaded {
    /// For the protocol.
    pub stored: Stored,
    /// What was done with the entries.
    pub records: BTreeMap<KeyHash, Record>,
    /// The rest of the state shard, kept as it is.
    pub state: StateContent,
    /// Bytes of each entries shard.
    pub bytes: BTreeMap<Kind, usize>,
    /// The ledger's shards.
    pub ledger: Vec<LedgerContent>,
    /// Shards of the ledger that are damaged, with the reason: an empty ledger stands for what they held.
    pub damaged_ledgers: BTreeMap<Kind, String>,
}

/// The entries shard of a key.
pub fn shard_of(key: KeyHash) -> Kind {
    Kind::Entries(u8::try_from(usize::from(key.0[0]) % names::AGENT_SHARDS).unwrap_or_default())
}

/// The ledger shard of a key.
pub fn ledger_shard_of(key: KeyHash) -> Kind {
    Kind::Ledger(u8::try_from(usize::from(key.0[0]) % names::AGENT_SHARDS).unwrap_or_default())
}

/// Bytes that an entry needs in its shard at most: packed by itself, which is never better than with others.
pub fn packed_len(entry: &Entry, record: Record) -> usize {
    let content = EntriesContent {
        entries: vec![StoredEntry::new(entry, record)],
    };
    pack(Kind::Entries(0), &content).map_or(usize::MAX / 2, |bytes| bytes.len())
}

fn all_kinds() -> impl Iterator<Item = (Kind, String)> {
    let indexes = || 0..u8::try_from(names::AGENT_SHARDS).unwrap_or_default();
    let entries = indexes().map(|i| {
        (
            Kind::Entries(i),
            format!("{}{i}", names::AGENT_ENTRIES_PREFIX),
        )
    });
    let ledger = indexes().map(|i| {
        (
            Kind::Ledger(i),
            format!("{}{i}", names::AGENT_LEDGER_PREFIX),
        )
    });
    std::iter::once((Kind::State, names::AGENT_STATE.to_owned()))
        .chain(entries)
        .chain(ledger)
}

fn bytes_of(object: &Value) -> Result<Vec<u8>, Damage> {
    let text = object["binaryData"][SHARD_KEY]
        .as_str()
        .ok_or(Damage::Empty)?;
    STANDARD
        .decode(text)
        .map_err(|error| Damage::Content(error.to_string()))
}

impl Store {
    /// Reads all shards. `enrolled`: an empty one is *unknown* then, and *empty* before.
    ///
    /// # Errors
    /// When the API server does not give one of them; one that does not exist is an empty one.
    pub async fn load(
        client: kube::Client,
        namespace: Namespace,
        limit: Duration,
        enrolled: bool,
    ) -> Result<(Self, Loaded), StoreError> {
        let reads = all_kinds().map(|(kind, name)| {
            let path = raw::path("v1", "configmaps", Some(namespace.as_str()), Some(&name));
            let client = client.clone();
            async move {
                match raw::get_json(&client, &path, limit).await {
                    Ok(answer) => Ok(Shard {
                        kind,
                        name,
                        object: answer.body,
                        number: 0,
                    }),
                    Err(error) if error.is_not_found() => {
                        tracing::error!(
                            name,
                            "a ConfigMap of the store does not exist: the chart makes it"
                        );
                        Ok(Shard {
                            kind,
                            name,
                            object: Value::Null,
                            number: 0,
                        })
                    }
                    Err(error) => Err(StoreError::Api {
                        name,
                        source: Box::new(error),
                    }),
                }
            }
        });
        let shards: Vec<Shard> = join_all(reads)
            .await
            .into_iter()
            .collect::<Result<_, _>>()?;
        let mut loaded = Loaded::default();
        for shard in &shards {
            let bytes = bytes_of(&shard.object);
            let size = bytes.as_ref().map_or(0, Vec::len);
            loaded.bytes.insert(shard.kind, size);
            let taken = bytes.and_then(|bytes| take(shard.kind, &bytes, &mut loaded));
            match taken {
                Ok(()) => {}
                Err(Damage::Empty) if !enrolled => {}
                Err(damage) => {
                    tracing::error!(name = shard.name, %damage, "a shard of the store is damaged: what it held is unknown");
                    // The ledger tells what was; nothing is ordered or removed upon it.
                    if matches!(shard.kind, Kind::Ledger(_)) {
                        let words = format!("{}: {damage}; its runs are forgotten", shard.name);
                        loaded.damaged_ledgers.insert(shard.kind, words);
                    } else {
                        loaded.stored.damaged = true;
                    }
                }
            }
        }
        loaded.stored.damaged |= loaded.state.incomplete;
        let shards = shards
            .into_iter()
            .map(|shard| (shard.kind, Mutex::new(shard)))
            .collect();
        Ok((
            Self {
                client,
                namespace,
                limit,
                shards,
            },
            loaded,
        ))
    }

    /// Writes every shard that has never been written: from now on an empty one is a damaged one. Done before the
    /// certificate is stored.
    ///
    /// # Errors
    /// When one of them can't be written.
    pub async fn initialise(&self) -> Result<(), StoreError> {
        for (kind, _) in all_kinds() {
            let untouched = match self.shards.get(&kind) {
                Some(shard) => bytes_of(&shard.lock().await.object) == Err(Damage::Empty),
                None => false,
            };
            if untouched {
                match kind {
                    Kind::State => self.write(kind, &StateContent::default(), 0).await?,
                    Kind::Entries(_) => self.write(kind, &EntriesContent::default(), 0).await?,
                    Kind::Ledger(_) => self.write(kind, &LedgerContent::default(), 0).await?,
                };
            }
        }
        Ok(())
    }

    /// Writes a shard, unless newer content (a higher number) has been written meanwhile. Answers its size in bytes.
    ///
    /// # Errors
    /// As [`StoreError`] tells; a conflict is fatal.
    pub async fn write(
        &self,
        kind: Kind,
        content: &(impl serde::Serialize + Sync),
        number: u64,
    ) -> Result<usize, StoreError> {
        let Some(shard) = self.shards.get(&kind) else {
            return Ok(0);
        };
        let mut shard = shard.lock().await;
        if number < shard.number {
            return Ok(0);
        }
        let name = shard.name.clone();
        let bytes = pack(kind, content).map_err(|source| StoreError::Pack {
            name: name.clone(),
            source,
        })?;
        if bytes.len() > SHARD_MAX_BYTES {
            return Err(StoreError::TooLarge {
                name,
                bytes: bytes.len(),
            });
        }
        if shard.object.is_null() {
            shard.object = self.made_again(&name).await?;
        }
        let mut object = shard.object.clone();
        if let Some(object) = object.as_object_mut() {
            object.remove("data");
        }
        object["binaryData"] = json!({SHARD_KEY: STANDARD.encode(&bytes)});
        let path = raw::path(
            "v1",
            "configmaps",
            Some(self.namespace.as_str()),
            Some(&name),
        );
        let options = WriteOptions {
            field_manager: Some(names::MANAGER_AGENT),
            ..WriteOptions::default()
        };
        match raw::put_json(&self.client, &path, options, &object, self.limit).await {
            Ok(answer) => {
                shard.object = answer.body;
                shard.number = number;
                Ok(bytes.len())
            }
            Err(error) if error.is_conflict() => {
                self.conflict(&mut shard, name, error, &object, number, bytes.len())
                    .await
            }
            Err(error) => Err(StoreError::Api {
                name,
                source: Box::new(error),
            }),
        }
    }

    /// A ConfigMap that did not exist, as the chart has made it meanwhile.
    async fn made_again(&self, name: &str) -> Result<Value, StoreError> {
        let namespace = Some(self.namespace.as_str());
        let path = raw::path("v1", "configmaps", namespace, Some(name));
        let live = raw::get_json(&self.client, &path, self.limit).await;
        let live = live.map_err(|source| StoreError::Api {
            name: name.to_owned(),
            source: Box::new(source),
        })?;
        if bytes_of(&live.body) != Err(Damage::Empty) {
            return Err(StoreError::CameBack {
                name: name.to_owned(),
            });
        }
        Ok(live.body)
    }

    /// A conflict may be our own write, whose answer was lost: then the object holds exactly what we wrote.
    async fn conflict(
        &self,
        shard: &mut Shard,
        name: String,
        error: ApiError,
        wrote: &Value,
        number: u64,
        bytes: usize,
    ) -> Result<usize, StoreError> {
        let path = raw::path(
            "v1",
            "configmaps",
            Some(self.namespace.as_str()),
            Some(&name),
        );
        let live = raw::get_json(&self.client, &path, self.limit)
            .await
            .map_err(|source| StoreError::Api {
                name: name.clone(),
                source: Box::new(source),
            })?;
        if live.body["binaryData"] != wrote["binaryData"] {
            return Err(StoreError::Conflict {
                name,
                source: Box::new(error),
            });
        }
        shard.object = live.body;
        shard.number = number;
        Ok(bytes)
    }
}

fn take(kind: Kind, bytes: &[u8], loaded: &mut Loaded) -> Result<(), Damage> {
    match kind {
        Kind::State => {
            let state: StateContent = unpack(kind, bytes)?;
            loaded.stored.hub = state.hub.clone();
            loaded.stored.fence = state.fence;
            loaded.stored.watermark = state.watermark;
            loaded.state = state;
        }
        Kind::Entries(_) => {
            let content: EntriesContent = unpack(kind, bytes)?;
            let read: Vec<(Entry, Record)> = content
                .entries
                .into_iter()
                .map(StoredEntry::into_entry)
                .collect::<Result<_, _>>()?;
            for (entry, record) in read {
                let key = entry.assignment.key.hash();
                loaded.stored.entries.insert(key, Arc::new(entry));
                loaded.records.insert(key, record);
            }
        }
        Kind::Ledger(_) => {
            loaded.ledger.push(unpack::<LedgerContent>(kind, bytes)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
