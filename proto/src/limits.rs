//! Limits of the wire, each with its reason. Entries per frame stand in `segment_core::sync::frame`, those of a policy in
//! `segment_core::admit::PolicyText`.
//!
//! In: nothing. Out: constants. Law: what fits the limits of a frame fits the limit of a message (checked below).
//! Not: rates and connections (`hub`).

use segment_core::admit::PolicyText;
use segment_core::assignment::{EntryId, MAX_RENDERED_BYTES};
use segment_core::runs::RUNS_CHUNK;
use segment_core::sync::frame::{
    INVENTORY_CHUNK_ENTRIES, LOG_CHUNK_BYTES, NAMES_CHUNK, ORDERS_CHUNK, ORDERS_CHUNK_BYTES,
    REPORTS_CHUNK, RUN_EVENTS_CHUNK, RUN_ORDERS_CHUNK,
};
use std::time::Duration;

/// Largest message to an agent, in bytes: a full frame of orders (256 KiB of CronJobs), or one of the largest
/// (96 KiB), with room for what is around them.
pub const MESSAGE_TO_AGENT_MAX_BYTES: usize = 1024 * 1024;

/// Largest message to the hub, in bytes: 64 reports with messages of 1 KiB twice over. Ten thousand agents share the
/// hub's memory, so this is the smaller one.
pub const MESSAGE_TO_HUB_MAX_BYTES: usize = 256 * 1024;

/// Largest message of the users' API, in bytes, both ways: what grpcurl and tonic take without being told.
pub const USERS_MESSAGE_MAX_BYTES: usize = 4 * 1024 * 1024;

/// Largest certificate signing request, in bytes: an RSA key of 8192 bits makes some 2 KiB.
pub const CSR_MAX_BYTES: usize = 8 * 1024;

/// Longest join token, in bytes: ours have some 60.
pub const TOKEN_MAX_BYTES: usize = 128;

/// Longest version string, in bytes: `v1.37.2+k3s1` and what vendors append.
pub const VERSION_MAX_BYTES: usize = 128;

/// Longest reason, in bytes: one word, or a policy rule with the name that it refused.
pub const REASON_MAX_BYTES: usize = 256;

/// Longest name of a Kubernetes object, in bytes (`validation.DNS1123SubdomainMaxLength`).
pub const OBJECT_NAME_MAX_BYTES: usize = 253;

/// Capabilities in a Hello.
pub const CAPABILITIES_MAX: usize = 32;

/// Longest name of a capability, in bytes.
pub const CAPABILITY_MAX_BYTES: usize = 64;

/// Items on a page of the users' API when nothing is asked for.
pub const PAGE_DEFAULT: usize = 500;

/// Most items on a page: a Segment with its ten worst clusters has under 4 KiB, so that a page stays under
/// [`USERS_MESSAGE_MAX_BYTES`].
pub const PAGE_MAX: usize = 1_000;

/// Assignments on a page with view FULL when nothing is asked for.
pub const PAGE_DEFAULT_FULL: usize = 100;

/// Most assignments on a page with view FULL; pages end earlier where rendered CronJobs are large.
pub const PAGE_MAX_FULL: usize = 250;

/// Bytes of rendered CronJobs after which a page with view FULL ends.
pub const PAGE_FULL_BYTES: usize = USERS_MESSAGE_MAX_BYTES / 4;

/// Deadline of a call of the users' API that brings none.
pub const UNARY_DEADLINE: Duration = Duration::from_secs(30);

/// How often a watch sends a bookmark.
pub const BOOKMARK_PERIOD: Duration = Duration::from_secs(30);

/// How often a watch asks again whether its user may.
pub const REAUTHORISE_PERIOD: Duration = Duration::from_mins(1);

/// Life of a join token when nothing is said.
pub const TOKEN_LIFE_DEFAULT: Duration = Duration::from_hours(1);

/// Longest life of a join token: it lies about in shells until then.
pub const TOKEN_LIFE_MAX: Duration = Duration::from_hours(24);

/// What stands around the rendered bytes of one order: names (198), ids (48), numbers and tags, generously.
const ORDER_OVERHEAD_BYTES: usize = 1024;
/// A report: two messages and three reasons at their limits, names, times.
const REPORT_MAX_BYTES: usize = 2 * 1024 + 3 * REASON_MAX_BYTES + OBJECT_NAME_MAX_BYTES + 256;

/// A run: a message and a reason at their limits, a name, ids, times.
const RUN_MAX_BYTES: usize = 1024 + REASON_MAX_BYTES + OBJECT_NAME_MAX_BYTES + 256;

/// A key of a policy: tags and lengths of the entry, of its key and of its value.
const POLICY_KEY_OVERHEAD_BYTES: usize = 16;

const _: () = {
    assert!(INVENTORY_CHUNK_ENTRIES * EntryId::LEN + 16 <= 4096);
    assert!(NAMES_CHUNK * 256 <= MESSAGE_TO_HUB_MAX_BYTES);
    assert!(REPORTS_CHUNK * REPORT_MAX_BYTES <= MESSAGE_TO_HUB_MAX_BYTES);
    assert!(RUNS_CHUNK * RUN_MAX_BYTES <= MESSAGE_TO_HUB_MAX_BYTES);
    assert!(
        PolicyText::MAX_BYTES + PolicyText::MAX_KEYS * POLICY_KEY_OVERHEAD_BYTES + 64
            <= MESSAGE_TO_HUB_MAX_BYTES
    );
    // An event of a run has less than a report.
    assert!(RUN_EVENTS_CHUNK * REPORT_MAX_BYTES <= MESSAGE_TO_HUB_MAX_BYTES);
    assert!(RUN_ORDERS_CHUNK <= ORDERS_CHUNK);
    assert!(LOG_CHUNK_BYTES + REPORT_MAX_BYTES <= MESSAGE_TO_HUB_MAX_BYTES);
    assert!(ORDERS_CHUNK_BYTES + ORDERS_CHUNK * ORDER_OVERHEAD_BYTES <= MESSAGE_TO_AGENT_MAX_BYTES);
    assert!(MAX_RENDERED_BYTES + ORDER_OVERHEAD_BYTES <= MESSAGE_TO_AGENT_MAX_BYTES);
};
