//! Frames of the stream: `sync.proto` ↔ `segment_core::sync::frame`.
//!
//! In: one message. Out: one frame, or nothing for a frame that this version does not know.
//! Law: one item that can't be read is left out (reports, acks) or refused by name (orders), and never costs the others
//! of its frame. Not: the order of frames.

use super::error::{ConvertError, Problem, at_most, bytes_at_most, cut, required};
use super::{assignment, delta, fence, ids, policy, report, run, run_order};
use crate::agent::v1;
use crate::limits::{CAPABILITIES_MAX, CAPABILITY_MAX_BYTES, REASON_MAX_BYTES, VERSION_MAX_BYTES};
use bytes::{Bytes, BytesMut};
use segment_core::assignment::EntryId;
use segment_core::ids::{KeyHash, RunId};
use segment_core::report::MAX_MESSAGE_BYTES;
use segment_core::sync::frame::{
    Ack, AckVerdict, AgentFrame, AgentHealth, Hello, HubFrame, INVENTORY_CHUNK_ENTRIES,
    LOG_CHUNK_BYTES, LogChunk, LogEnd, LogsWanted, NAMES_CHUNK, ORDERS_CHUNK, Orders,
    REPORTS_CHUNK, RUN_EVENTS_CHUNK, RUN_ORDERS_CHUNK, ReportBatch, RunOrders, Welcome,
};
use std::sync::Arc;

/// What came from an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FromAgent {
    /// The frame, without what could not be read.
    pub frame: AgentFrame,
    /// Reports and acks that were left out, with the reason: to be logged.
    pub left_out: Vec<ConvertError>,
}

/// What came from a hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FromHub {
    /// The frame, without orders that could not be read.
    pub frame: HubFrame,
    /// Refusals of these orders: to be sent back as [`AgentFrame::Acks`].
    pub refused: Vec<Ack>,
    /// Orders to run that could not be read, with the reason: to be answered as refused.
    pub unreadable_runs: Vec<UnreadableRun>,
}

/// An order to run that can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableRun {
    /// Which run.
    pub id: RunId,
    /// Of which Segment.
    pub key: KeyHash,
    /// What is wrong with it.
    pub message: String,
}

// === agent → hub ===

/// A frame of the agent, for the wire.
pub fn agent_frame_to_wire(frame: AgentFrame) -> v1::SyncRequest {
    use v1::sync_request::Frame;
    let frame = match frame {
        AgentFrame::Hello(hello) => Frame::Hello(hello_to_wire(hello)),
        AgentFrame::Inventory { entries, last } => Frame::Inventory(v1::Inventory {
            entries: assignment::entry_ids_to_wire(&entries),
            last,
        }),
        AgentFrame::Names(keys) => Frame::Names(v1::Names {
            keys: keys.iter().map(ids::segment_to_wire).collect(),
        }),
        AgentFrame::Acks(acks) => Frame::Acks(v1::Acks {
            acks: acks.into_iter().map(ack_to_wire).collect(),
        }),
        AgentFrame::Reports(batch) => Frame::Reports(v1::ReportBatch {
            token: ids::bytes(batch.token.as_bytes()),
            complete: batch.complete,
            reports: batch
                .reports
                .into_iter()
                .map(report::report_to_wire)
                .collect(),
        }),
        AgentFrame::Health(health) => Frame::Health(v1::AgentHealth {
            api_unavailable: cut_maybe(health.api_unavailable),
            no_rights: cut_maybe(health.no_rights),
            clock_skew_seconds: health.clock_skew_seconds,
            policy_error: cut_maybe(health.policy_error),
            store_error: cut_maybe(health.store_error),
        }),
        AgentFrame::Policy(digest) => Frame::Policy(v1::PolicyReport {
            digest: policy::digest_to_wire(digest),
            text: None,
        }),
        AgentFrame::Runs(batch) => Frame::Runs(run::batch_to_wire(batch)),
        AgentFrame::PolicyText { digest, text } => Frame::Policy(v1::PolicyReport {
            digest: policy::digest_to_wire(Some(digest)),
            text: Some(policy::text_to_wire(&text)),
        }),
        AgentFrame::RunEvents(events) => Frame::RunEvents(v1::RunEvents {
            events: events.into_iter().map(run_order::event_to_wire).collect(),
        }),
        AgentFrame::LogChunk(chunk) => Frame::LogChunk(v1::LogChunk {
            id: chunk.id,
            data: chunk.data,
            end: chunk.end.map(|end| v1::LogEnd {
                reason: cut(end.reason, REASON_MAX_BYTES),
                message: cut(end.message, MAX_MESSAGE_BYTES),
            }),
        }),
    };
    v1::SyncRequest { frame: Some(frame) }
}

/// A frame of the agent, from the wire; nothing for a frame that this version does not know.
///
/// # Errors
/// Names the first field that can't be taken, where it costs the whole frame.
pub fn agent_frame_from_wire(request: v1::SyncRequest) -> Result<Option<FromAgent>, ConvertError> {
    use v1::sync_request::Frame;
    let mut left_out = Vec::new();
    let frame = match request.frame {
        None => return Ok(None),
        Some(Frame::Hello(hello)) => {
            AgentFrame::Hello(hello_from_wire(hello).map_err(|e| e.within("hello"))?)
        }
        Some(Frame::Inventory(inventory)) => AgentFrame::Inventory {
            entries: assignment::entry_ids_from_wire(
                "inventory.entries",
                &inventory.entries,
                INVENTORY_CHUNK_ENTRIES,
            )?,
            last: inventory.last,
        },
        Some(Frame::Names(names)) => {
            at_most("names.keys", names.keys.len(), NAMES_CHUNK)?;
            let keys = names.keys.iter().enumerate();
            AgentFrame::Names(
                keys.map(|(i, key)| ids::segment(&format!("names.keys[{i}]"), key))
                    .collect::<Result<_, _>>()?,
            )
        }
        Some(Frame::Acks(acks)) => {
            at_most("acks.acks", acks.acks.len(), ORDERS_CHUNK)?;
            AgentFrame::Acks(each("acks.acks", acks.acks, ack_from_wire, &mut left_out))
        }
        Some(Frame::Reports(batch)) => {
            at_most("reports.reports", batch.reports.len(), REPORTS_CHUNK)?;
            AgentFrame::Reports(ReportBatch {
                token: ids::root_digest("reports.token", &batch.token)?,
                complete: batch.complete,
                reports: each(
                    "reports.reports",
                    batch.reports,
                    report::report_from_wire,
                    &mut left_out,
                ),
            })
        }
        Some(Frame::Health(health)) => AgentFrame::Health(AgentHealth {
            api_unavailable: cut_maybe(health.api_unavailable),
            no_rights: cut_maybe(health.no_rights),
            clock_skew_seconds: health.clock_skew_seconds,
            policy_error: cut_maybe(health.policy_error),
            store_error: cut_maybe(health.store_error),
        }),
        Some(Frame::Runs(batch)) => AgentFrame::Runs(run::batch_from_wire(batch, &mut left_out)?),
        Some(Frame::Policy(report)) => {
            policy::report_from_wire(report).map_err(|e| e.within("policy"))?
        }
        Some(Frame::LogChunk(chunk)) => {
            bytes_at_most("log_chunk.data", chunk.data.len(), LOG_CHUNK_BYTES)?;
            AgentFrame::LogChunk(LogChunk {
                id: chunk.id,
                data: chunk.data,
                end: chunk.end.map(|end| LogEnd {
                    reason: cut(end.reason, REASON_MAX_BYTES),
                    message: cut(end.message, MAX_MESSAGE_BYTES),
                }),
            })
        }
        Some(Frame::RunEvents(events)) => {
            at_most("run_events.events", events.events.len(), RUN_EVENTS_CHUNK)?;
            AgentFrame::RunEvents(each(
                "run_events.events",
                events.events,
                run_order::event_from_wire,
                &mut left_out,
            ))
        }
    };
    Ok(Some(FromAgent { frame, left_out }))
}

pub(super) fn each<W, T>(
    list: &str,
    items: Vec<W>,
    convert: impl Fn(W) -> Result<T, ConvertError>,
    left_out: &mut Vec<ConvertError>,
) -> Vec<T> {
    let mut taken = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        match convert(item) {
            Ok(item) => taken.push(item),
            Err(error) => left_out.push(error.within_item(list, index)),
        }
    }
    taken
}

fn cut_maybe(text: Option<String>) -> Option<String> {
    text.map(|text| cut(text, MAX_MESSAGE_BYTES))
}

fn hello_to_wire(hello: Hello) -> v1::Hello {
    v1::Hello {
        protocol: hello.protocol,
        capabilities: hello.capabilities,
        fence: hello.fence.map(fence::to_wire),
        watermark: hello.watermark.map(fence::watermark_to_wire),
        cluster_uid: ids::bytes(&hello.cluster_uid.0),
        process: ids::bytes(hello.process.as_bytes()),
        entries: ids::bytes(hello.entries.as_bytes()),
        reports: ids::bytes(hello.reports.as_bytes()),
        store_known: hello.store_known,
        agent_version: cut(hello.agent_version, VERSION_MAX_BYTES),
        kubernetes_version: cut(hello.kubernetes_version, VERSION_MAX_BYTES),
        policy: policy::digest_to_wire(hello.policy),
        runs: hello.runs,
    }
}

fn hello_from_wire(hello: v1::Hello) -> Result<Hello, ConvertError> {
    if hello.protocol == 0 {
        return Err(ConvertError::missing("protocol"));
    }
    at_most("capabilities", hello.capabilities.len(), CAPABILITIES_MAX)?;
    for capability in &hello.capabilities {
        bytes_at_most("capabilities", capability.len(), CAPABILITY_MAX_BYTES)?;
    }
    Ok(Hello {
        protocol: hello.protocol,
        capabilities: hello.capabilities,
        fence: hello
            .fence
            .map(|fence| fence::from_wire(&fence).map_err(|e| e.within("fence")))
            .transpose()?,
        watermark: hello.watermark.map(fence::watermark_from_wire),
        cluster_uid: ids::uid("cluster_uid", &hello.cluster_uid)?,
        process: ids::instance("process", &hello.process)?,
        entries: ids::root_digest("entries", &hello.entries)?,
        reports: ids::root_digest("reports", &hello.reports)?,
        store_known: hello.store_known,
        agent_version: cut(hello.agent_version, VERSION_MAX_BYTES),
        kubernetes_version: cut(hello.kubernetes_version, VERSION_MAX_BYTES),
        policy: policy::digest_from_wire("policy", &hello.policy)?,
        runs: hello.runs,
    })
}

fn ack_to_wire(ack: Ack) -> v1::Ack {
    use v1::ack::Verdict;
    v1::Ack {
        key: ids::bytes(ack.key.as_bytes()),
        uid: ids::bytes(&ack.uid.0),
        number: Some(assignment::number_to_wire(ack.number)),
        verdict: Some(match ack.verdict {
            AckVerdict::Holds(entry) => Verdict::Holds(ids::bytes(&entry.to_bytes())),
            AckVerdict::HoldsNothing => Verdict::HoldsNothing(v1::HoldsNothing {}),
            AckVerdict::Refused { reason, message } => Verdict::Refused(v1::Refused {
                reason: cut(reason, REASON_MAX_BYTES),
                message: cut(message, MAX_MESSAGE_BYTES),
            }),
        }),
    }
}

fn ack_from_wire(ack: v1::Ack) -> Result<Ack, ConvertError> {
    use v1::ack::Verdict;
    Ok(Ack {
        key: ids::key_hash("key", &ack.key)?,
        uid: ids::uid("uid", &ack.uid)?,
        number: assignment::number_from_wire(required("number", ack.number)?),
        verdict: match required("verdict", ack.verdict)? {
            Verdict::Holds(entry) => {
                let entry = <&[u8; EntryId::LEN]>::try_from(entry.as_ref()).map_err(|_| {
                    let problem = Problem::Ragged {
                        bytes: entry.len(),
                        item: EntryId::LEN,
                    };
                    ConvertError::new("holds", problem)
                })?;
                AckVerdict::Holds(EntryId::from_bytes(entry))
            }
            Verdict::HoldsNothing(v1::HoldsNothing {}) => AckVerdict::HoldsNothing,
            Verdict::Refused(refused) => AckVerdict::Refused {
                reason: cut(refused.reason, REASON_MAX_BYTES),
                message: cut(refused.message, MAX_MESSAGE_BYTES),
            },
        },
    })
}

// === hub → agent ===

/// A frame of the hub, for the wire.
pub fn hub_frame_to_wire(frame: HubFrame) -> v1::SyncResponse {
    use v1::sync_response::Frame;
    let frame = match frame {
        HubFrame::Welcome(welcome) => Frame::Welcome(v1::Welcome {
            protocol: welcome.protocol,
            hub: welcome.hub.into(),
            fence: Some(fence::to_wire(welcome.fence)),
            watermark: Some(fence::watermark_to_wire(welcome.watermark)),
            want_inventory: welcome.want_inventory,
            want_reports: welcome.want_reports,
            runs_after: welcome.runs_after,
        }),
        HubFrame::Orders(orders) => Frame::Orders(v1::Orders {
            fence: Some(fence::to_wire(orders.fence)),
            watermark: Some(fence::watermark_to_wire(orders.watermark)),
            orders: orders.orders.iter().map(delta::order_to_wire).collect(),
        }),
        HubFrame::NamesWanted(keys) => Frame::NamesWanted(v1::NamesWanted {
            keys: pack_keys(&keys),
        }),
        HubFrame::InventoryWanted => Frame::InventoryWanted(v1::InventoryWanted {}),
        HubFrame::ReportsWanted => Frame::ReportsWanted(v1::ReportsWanted {}),
        HubFrame::PolicyWanted(digest) => Frame::PolicyWanted(v1::PolicyWanted {
            digest: policy::digest_to_wire(Some(digest)),
        }),
        HubFrame::RunOrders(runs) => Frame::RunOrders(v1::RunOrders {
            fence: Some(fence::to_wire(runs.fence)),
            orders: runs
                .orders
                .iter()
                .map(|order| run_order::order_to_wire(order))
                .collect(),
        }),
        HubFrame::LogsWanted(wanted) => Frame::LogsWanted(v1::LogsWanted {
            id: wanted.id,
            key: ids::bytes(wanted.key.as_bytes()),
            run: wanted
                .run
                .map_or_else(Bytes::new, |run| ids::bytes(run.as_bytes())),
            follow: wanted.follow,
            stop: wanted.stop,
        }),
        HubFrame::Goodbye {
            reason,
            retry_after_ms,
        } => Frame::Goodbye(v1::Goodbye {
            reason: cut(reason, MAX_MESSAGE_BYTES),
            retry_after_ms,
        }),
    };
    v1::SyncResponse { frame: Some(frame) }
}

/// A frame of the hub, from the wire; nothing for a frame that this version does not know.
///
/// # Errors
/// Names the first field that can't be taken, where it costs the whole frame: fences above all.
pub fn hub_frame_from_wire(response: v1::SyncResponse) -> Result<Option<FromHub>, ConvertError> {
    use v1::sync_response::Frame;
    let mut refused = Vec::new();
    let mut unreadable_runs = Vec::new();
    let frame = match response.frame {
        None => return Ok(None),
        Some(Frame::Welcome(welcome)) => {
            HubFrame::Welcome(welcome_from_wire(welcome).map_err(|e| e.within("welcome"))?)
        }
        Some(Frame::Orders(orders)) => HubFrame::Orders(
            orders_from_wire(orders, &mut refused).map_err(|e| e.within("orders"))?,
        ),
        Some(Frame::NamesWanted(wanted)) => HubFrame::NamesWanted(unpack_keys(&wanted.keys)?),
        Some(Frame::InventoryWanted(v1::InventoryWanted {})) => HubFrame::InventoryWanted,
        Some(Frame::ReportsWanted(v1::ReportsWanted {})) => HubFrame::ReportsWanted,
        Some(Frame::PolicyWanted(wanted)) => {
            HubFrame::PolicyWanted(ids::policy_digest("policy_wanted.digest", &wanted.digest)?)
        }
        Some(Frame::LogsWanted(wanted)) => HubFrame::LogsWanted(LogsWanted {
            id: wanted.id,
            key: ids::key_hash("logs_wanted.key", &wanted.key)?,
            run: (!wanted.run.is_empty())
                .then(|| ids::run("logs_wanted.run", &wanted.run))
                .transpose()?,
            follow: wanted.follow,
            stop: wanted.stop,
        }),
        Some(Frame::RunOrders(runs)) => HubFrame::RunOrders(
            runs_from_wire(runs, &mut unreadable_runs).map_err(|e| e.within("run_orders"))?,
        ),
        Some(Frame::Goodbye(goodbye)) => HubFrame::Goodbye {
            reason: cut(goodbye.reason, MAX_MESSAGE_BYTES),
            retry_after_ms: goodbye.retry_after_ms,
        },
    };
    Ok(Some(FromHub {
        frame,
        refused,
        unreadable_runs,
    }))
}

fn runs_from_wire(
    runs: v1::RunOrders,
    unreadable: &mut Vec<UnreadableRun>,
) -> Result<RunOrders, ConvertError> {
    at_most("orders", runs.orders.len(), RUN_ORDERS_CHUNK)?;
    let mut orders = Vec::with_capacity(runs.orders.len());
    for (index, order) in runs.orders.into_iter().enumerate() {
        match run_order::order_from_wire(order).map_err(|e| e.within_item("orders", index))? {
            Ok(order) => orders.push(Arc::new(order)),
            Err(run) => unreadable.push(run),
        }
    }
    Ok(RunOrders {
        fence: fence::required_fence(runs.fence)?,
        orders,
    })
}

fn welcome_from_wire(welcome: v1::Welcome) -> Result<Welcome, ConvertError> {
    if welcome.protocol == 0 {
        return Err(ConvertError::missing("protocol"));
    }
    Ok(Welcome {
        protocol: welcome.protocol,
        hub: ids::hub("hub", &welcome.hub)?,
        fence: fence::required_fence(welcome.fence)?,
        watermark: fence::watermark_from_wire(required("watermark", welcome.watermark)?),
        want_inventory: welcome.want_inventory,
        want_reports: welcome.want_reports,
        runs_after: welcome.runs_after,
    })
}

fn orders_from_wire(orders: v1::Orders, refused: &mut Vec<Ack>) -> Result<Orders, ConvertError> {
    at_most("orders", orders.orders.len(), ORDERS_CHUNK)?;
    let mut taken = Vec::with_capacity(orders.orders.len());
    for (index, order) in orders.orders.into_iter().enumerate() {
        match delta::order_from_wire(order).map_err(|e| e.within_item("orders", index))? {
            Ok(order) => taken.push(order),
            Err(ack) => refused.push(ack),
        }
    }
    Ok(Orders {
        fence: fence::required_fence(orders.fence)?,
        watermark: fence::watermark_from_wire(required("watermark", orders.watermark)?),
        orders: taken,
    })
}

fn pack_keys(keys: &[KeyHash]) -> Bytes {
    let mut packed = BytesMut::with_capacity(keys.len() * KeyHash::LEN);
    for key in keys {
        packed.extend_from_slice(key.as_bytes());
    }
    packed.freeze()
}

fn unpack_keys(packed: &[u8]) -> Result<Vec<KeyHash>, ConvertError> {
    let (keys, rest) = packed.as_chunks::<{ KeyHash::LEN }>();
    if !rest.is_empty() {
        let problem = Problem::Ragged {
            bytes: packed.len(),
            item: KeyHash::LEN,
        };
        return Err(ConvertError::new("names_wanted.keys", problem));
    }
    at_most("names_wanted.keys", keys.len(), NAMES_CHUNK)?;
    Ok(keys.iter().copied().map(KeyHash).collect())
}
