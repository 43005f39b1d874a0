//! The harness of demo, end-to-end tests and figures, as a library: real control planes, real processes, real TLS.
//!
//! In: the programs that `cargo e2e` and `cargo demo` build. Out: a [`Stage`](fleet::Stage) for each test: a hub, spokes
//! with an agent each, a namespace.
//! Law: nothing that was started here outlives the process that started it; a failed wait says what it last saw.
//! Not: promises (`tests/e2e`), figures.
//!
//! One thing is not real: there is no kubelet. [`kubelet`] stands in for it by writing Pod statuses, and does nothing else.

#![allow(
    clippy::missing_errors_doc,
    reason = "the harness reports through anyhow: an error ends the test and tells its own story"
)]

pub mod audit;
pub mod control_plane;
pub mod figures;
pub mod fleet;
pub mod https;
pub mod hub;
pub mod install;
pub mod kubelet;
pub mod objects;
pub mod paths;
pub mod ports;
pub mod processes;
pub mod proxy;
pub mod rollouts;
pub mod runs;
pub mod segments;
pub mod spoke;
pub mod tools;
pub mod wait;

use std::future::Future;
use std::sync::OnceLock;

use tokio::runtime::{Handle, Runtime};

/// The one runtime of the process. Tests share control planes, hubs and proxies, and those must outlive the test that
/// came first; so tests run on it with [`run`] instead of bringing one each.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        // Two providers are not in the graph, but the choice is made once and by name all the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime can be made")
    })
}

/// Runs a test, the demo or a figure.
pub fn run<T>(body: impl Future<Output = T>) -> T {
    runtime().block_on(body)
}

/// For background tasks of the harness, each kept by the value that owns it.
pub(crate) fn handle() -> Handle {
    runtime().handle().clone()
}
