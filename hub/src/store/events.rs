//! Events on Segments: what users did to them, as `kubectl describe` shows it.
//!
//! In: what happened. Out: `events.k8s.io` Events; repeats are counted, not written anew. Law: an Event is for people:
//! without it everything goes on. Not: the audit log, which is for judges (`segment_runtime::audit`).

use super::CALL_LIMIT;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource};
use segment_core::ids::{SegmentKey, Uid};
use segment_core::names::MANAGER_HUB;
use segment_core::report::cut_message;
use segment_crds::Segment;

/// Writes Events. Cheap to clone.
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "kube::Client has no Debug")]
pub struct SegmentEvents(Recorder);

impl SegmentEvents {
    /// As this process of the hub.
    pub fn new(client: Client, pod: String) -> Self {
        let reporter = Reporter {
            controller: MANAGER_HUB.to_owned(),
            instance: Some(pod),
        };
        Self(Recorder::new(client, reporter))
    }

    /// Tells of something that was done to a Segment.
    pub async fn tell(
        &self,
        key: &SegmentKey,
        uid: Uid,
        reason: &'static str,
        action: &'static str,
        note: &str,
    ) {
        let regarding = ObjectReference {
            api_version: Some(Segment::api_version(&()).into_owned()),
            kind: Some(Segment::kind(&()).into_owned()),
            namespace: Some(key.namespace.to_string()),
            name: Some(key.name.to_string()),
            uid: Some(uid.to_string()),
            ..ObjectReference::default()
        };
        let event = Event {
            type_: EventType::Normal,
            reason: reason.to_owned(),
            action: action.to_owned(),
            // At most 1 KiB; a longer one would be refused.
            note: Some(cut_message(note)),
            secondary: None,
        };
        let told = tokio::time::timeout(CALL_LIMIT, self.0.publish(&event, &regarding)).await;
        match told {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(segment = %key, %error, reason, "no Event written"),
            Err(_) => tracing::warn!(segment = %key, reason, "no Event written in time"),
        }
    }
}
