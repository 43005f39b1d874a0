//! The audit trail: one JSON line per enrolment, revocation, order to remove, approval or change by a user.
//!
//! **In:** an [`AuditLine`]. **Out:** that line on stdout, apart from the logs on stderr.
//! **Law:** who, what, which uid, why and with what result; never a value of a variable, a token or a key.
//! **Not:** Kubernetes Events, which their writers make.

use std::borrow::Cow;
use std::fmt;
use std::io::Write;

use jiff::Timestamp;
use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// The tracing target that carries audit lines.
pub const TARGET: &str = "audit";

/// One audited event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditLine {
    /// When it happened.
    pub time: Timestamp,
    /// Who did it: a user's name, a cluster's name, or the peer's address where nothing else is known.
    pub actor: String,
    /// What was done: a verb and an object, such as `enrol`, `renew`, `handshake`, `segment.hold`.
    pub action: Cow<'static, str>,
    /// What it was done to, such as `cluster/eu-1` or `segment/granary/customers`.
    pub subject: String,
    /// The uid of the subject or of the actor's cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Why: the rule that decided, or the cause that the user gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What came of it.
    pub result: AuditResult,
}

/// What came of an audited event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditResult {
    /// It was done.
    Done,
    /// It was refused.
    Refused,
    /// It was tried and failed.
    Failed,
}

impl AuditLine {
    /// Writes the line. Never blocks on anything but stdout.
    pub fn emit(&self) {
        match serde_json::to_string(self) {
            Ok(line) => tracing::info!(target: "audit", "{line}"),
            Err(error) => tracing::error!(%error, "an audit line could not be written as JSON"),
        }
    }
}

/// Writes the events of [`TARGET`] as they are, one line each.
#[derive(Debug)]
pub struct AuditLayer<W> {
    out: W,
}

impl<W> AuditLayer<W> {
    /// A layer that asks `out` for a writer per line.
    pub fn new<T: Write>(out: W) -> Self
    where
        W: Fn() -> T,
    {
        Self { out }
    }
}

impl<S, W, T> Layer<S> for AuditLayer<W>
where
    S: Subscriber,
    W: Fn() -> T + 'static,
    T: Write,
{
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        if event.metadata().target() != TARGET {
            return;
        }
        let mut line = Message::default();
        event.record(&mut line);
        line.0.push('\n');
        // A closed stdout must not stop the fleet: the event itself has happened already.
        let _ = (self.out)().write_all(line.0.as_bytes());
    }
}

#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::layer::SubscriberExt;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_audit_line_is_one_json_line_and_other_events_stay_out() {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber =
            tracing_subscriber::registry().with(AuditLayer::new(move || writer.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("not audited");
            AuditLine {
                time: Timestamp::UNIX_EPOCH,
                actor: "10.0.0.1:4711".into(),
                action: "enrol".into(),
                subject: "cluster/eu-1".into(),
                uid: None,
                reason: Some("a \"quoted\"\nreason".into()),
                result: AuditResult::Refused,
            }
            .emit();
        });
        let written = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        assert_eq!(
            written,
            "{\"time\":\"1970-01-01T00:00:00Z\",\"actor\":\"10.0.0.1:4711\",\"action\":\"enrol\",\
             \"subject\":\"cluster/eu-1\",\"reason\":\"a \\\"quoted\\\"\\nreason\",\"result\":\"refused\"}\n"
        );
    }
}
