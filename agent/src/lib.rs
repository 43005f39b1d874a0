//! The agent: the thin shell around core's decisions on one spoke.
//!
//! ```text
//! hub ◄─ session ─► held (the one task that owns what is held, and the store) ─► queue ─► applier ─► API server
//!                                                                                 ▲            │
//! policy (watched) ───────────────────────────────────────────────────────────────┤            ▼
//! observer (CronJobs, Jobs, Pods) ────────────────────────────────────────────────┘   reports ─► session
//! held ─► runs (ordered runs, each once) ─► Jobs ─► what became of them ─► held ─► session
//! ```
//! The ledger of runs goes beside: observer ─► ledger ─► session, store.
//!
//! In: orders, the local policy, what the API server shows. Out: CronJobs, reports.
//! Law: every decision is made in `segment_core`; only the holder of the Lease writes; nothing waits for ever.
//! Not: what a Segment means; the agent sees rendered templates only.

pub mod args;
pub mod config;
pub mod logs;
pub mod run;
pub mod runs;

pub mod connection;
pub mod enrolment;
pub mod identity;
pub mod join;
pub mod session;

pub mod held;
pub mod store;

pub mod applier;
pub mod health;
pub mod ledger;
pub mod metrics;
pub mod observer;
pub mod policy;
pub mod queue;
pub mod reporter;
pub mod shared;
