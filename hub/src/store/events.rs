//! Events on Segments: what `kubectl describe` and `kubectl events` show of rollouts and operations.
//!
//! In: [`News`]. Out: `events.k8s.io/v1`, repeats joined. Law: never one per cluster and Segment; an Event that can't be
//! written is a line in the log and stops nothing. Not: the audit line (it is the record; an Event lasts an hour).

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource as _};
use segment_core::ids::{SegmentKey, Uid};
use segment_core::index::News;
use segment_core::names::MANAGER_HUB;
use segment_core::report::cut;
use segment_crds::Segment;
use segment_runtime::tasks::with_causes;
use segment_runtime::{ApiError, backoff};

/// Longest note of an Event that the API server takes, in bytes.
const NOTE_MAX_BYTES: usize = 1024;
/// Longest action, in bytes.
const ACTION_MAX_BYTES: usize = 128;

/// Writes Events. Cheap to clone.
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "kube::Client has no Debug")]
pub struct Events {
    recorder: Recorder,
}

impl Events {
    /// As this Pod of the hub.
    pub fn new(client: Client, pod: &str) -> Self {
        let reporter = Reporter {
            controller: MANAGER_HUB.to_owned(),
            instance: Some(pod.to_owned()),
        };
        Self {
            recorder: Recorder::new(client, reporter),
        }
    }

    /// Tells of something that a user did. What can't be written is a line in the log.
    pub async fn tell(
        &self,
        key: &SegmentKey,
        uid: Uid,
        reason: &'static str,
        about: &str,
        message: &str,
    ) {
        let news = News {
            key: key.clone(),
            uid,
            reason,
            about: about.to_owned(),
            message: message.to_owned(),
            warning: false,
        };
        if let Err(error) = self.publish(&news).await {
            tracing::warn!(segment = %key, error = %with_causes(&error), reason, "no Event written");
        }
    }

    /// Writes one.
    ///
    /// # Errors
    /// When the API server refuses or does not answer.
    pub async fn publish(&self, news: &News) -> Result<(), ApiError> {
        let event = Event {
            type_: if news.warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: news.reason.to_owned(),
            note: Some(cut(&news.message, NOTE_MAX_BYTES)),
            action: cut(&news.about, ACTION_MAX_BYTES),
            secondary: None,
        };
        let on = ObjectReference {
            api_version: Some(Segment::api_version(&()).into_owned()),
            kind: Some(Segment::kind(&()).into_owned()),
            namespace: Some(news.key.namespace.to_string()),
            name: Some(news.key.name.to_string()),
            uid: Some(news.uid.to_string()),
            ..ObjectReference::default()
        };
        let what = format!("POST event on segment {}", news.key);
        backoff::call(super::CALL_LIMIT, what, self.recorder.publish(&event, &on)).await
    }
}
