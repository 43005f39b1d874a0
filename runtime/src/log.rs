//! Logs to stderr, the audit trail to stdout.
//!
//! **In:** [`LogArgs`]. **Out:** the process' tracing subscriber and panic hook.
//! **Law:** stdout carries audit lines and nothing else; a panic is a log line in the chosen format.
//! **Not:** traces to a collector.

use std::io::IsTerminal;

use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, fmt};

use crate::args::{LogArgs, LogFormat};
use crate::audit::{self, AuditLayer};

/// Logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter directives do not parse (the flag's parser refuses them first).
    #[error("log level {level:?} is not understood")]
    Level {
        /// What was given.
        level: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// The process has a subscriber already.
    #[error("logging was set up twice")]
    Twice(#[source] TryInitError),
}

/// Sets up logging for the whole process, once.
///
/// # Errors
/// When the level does not parse, or on a second call.
pub fn init(args: &LogArgs) -> Result<(), LogError> {
    let filter = EnvFilter::try_new(&args.log_level).map_err(|source| LogError::Level {
        level: args.log_level.clone(),
        source,
    })?;
    // kube logs each failed request as an error before we decide what it means; our own line says it with the call.
    let filter = match "kube_client::client::builder=off".parse() {
        Ok(quiet) => filter.add_directive(quiet),
        Err(_) => filter,
    };
    let logged = filter.and(filter_fn(|metadata| metadata.target() != audit::TARGET));
    let lines = match args.log_format {
        LogFormat::Plain => fmt::layer()
            .with_writer(std::io::stderr)
            // Colour is for people at a terminal; in a file or a collector it is noise.
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .boxed(),
        LogFormat::Json => fmt::layer()
            .with_writer(std::io::stderr)
            .json()
            .flatten_event(true)
            .boxed(),
    };
    let audited = filter_fn(|metadata| metadata.target() == audit::TARGET);
    tracing_subscriber::registry()
        .with(lines.with_filter(logged))
        .with(AuditLayer::new(std::io::stdout).with_filter(audited))
        .try_init()
        .map_err(LogError::Twice)?;
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("no message");
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        tracing::error!(message, place, "panic");
    }));
    Ok(())
}
