//! `WatchSegments`.

use super::history::{History, Place};
use super::{Kind, Watched, start};
use crate::users::access::{Caller, Sight};
use crate::users::filter;
use crate::users::page::digest_of;
use crate::users::state::Services;
use crate::users::stored;
use crate::users::view::segment::segment;
use jiff::Timestamp;
use prost::Message;
use segment_core::ids::{Namespace, SegmentKey};
use segment_core::index::FleetIndex;
use segment_core::selector::Selector;
use segment_proto::v1::{EventType, Segment, WatchSegmentsRequest, WatchSegmentsResponse};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use tonic::Status;

impl Services {
    pub(in crate::users) async fn watch_segments(
        &self,
        caller: Caller,
        request: WatchSegmentsRequest,
    ) -> Result<Watched<WatchSegmentsResponse>, Status> {
        let kind = Segments {
            namespace: filter::maybe_namespace("namespace", &request.namespace)?,
            selector: filter::selector("label_selector", &request.label_selector)?,
            stored: filter::is_full(request.view)?.then(stored::Segments::default),
        };
        let digest = digest_of(
            &WatchSegmentsRequest {
                resume_token: String::new(),
                ..request.clone()
            },
            &[],
        );
        start(self, caller, kind, digest, &request.resume_token).await
    }
}

struct Segments {
    namespace: Option<Namespace>,
    selector: Selector,
    /// With view FULL.
    stored: Option<stored::Segments>,
}

impl Kind for Segments {
    type Key = SegmentKey;
    type Item = Segment;
    type Response = WatchSegmentsResponse;
    const NAME: &'static str = "segments";

    async fn sight(&self, services: &Services, caller: &Caller) -> Result<Sight, Status> {
        services.sight_of(caller, self.namespace.as_ref()).await
    }

    async fn prepare(&mut self, services: &Services) {
        if let Some(stored) = &mut self.stored {
            *stored = services.stored.segments().await;
        }
    }

    fn keys(index: &FleetIndex) -> Vec<SegmentKey> {
        index.segments().keys().cloned().collect()
    }

    fn is_touched(index: &FleetIndex, key: &SegmentKey, after: u64) -> bool {
        index.segments().get(key).is_some_and(|segment| {
            segment.version > after
                || segment.members.iter().any(|(name, member)| {
                    member.version > after
                        || index
                            .clusters()
                            .get(name)
                            .is_some_and(|cluster| cluster.version > after)
                })
        })
    }

    fn is_edited(index: &FleetIndex, key: &SegmentKey, after: u64) -> bool {
        index
            .segments()
            .get(key)
            .is_some_and(|segment| segment.version > after)
    }

    fn may_name(sight: &Sight, key: &SegmentKey) -> bool {
        sight.sees(&key.namespace)
    }

    fn show(
        &self,
        index: &FleetIndex,
        key: &SegmentKey,
        sight: &Sight,
        now: Timestamp,
    ) -> Option<Segment> {
        let state = index.segments().get(key)?;
        if !sight.sees(&key.namespace) || !self.selector.matches(&state.labels) {
            return None;
        }
        segment(
            index,
            key,
            self.stored.as_ref().map(|stored| stored.get(key)),
            now,
        )
    }

    fn fingerprint(item: &Segment) -> u64 {
        let mut item = item.clone();
        let labels: BTreeMap<_, _> = item.labels.drain().collect();
        fingerprint(&item, &labels)
    }

    fn gone(key: &SegmentKey) -> Segment {
        Segment {
            name: key.to_string(),
            ..Segment::default()
        }
    }

    fn response(
        event: EventType,
        item: Option<Segment>,
        resume_token: String,
    ) -> WatchSegmentsResponse {
        WatchSegmentsResponse {
            r#type: event.into(),
            segment: item,
            resume_token,
        }
    }

    fn deleted(history: &History, after: Place) -> (Vec<SegmentKey>, u64) {
        history.segments(after)
    }
}

/// Of a message without maps, and its labels in order.
pub(super) fn fingerprint(message: &impl Message, labels: &BTreeMap<String, String>) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(&message.encode_to_vec());
    for (key, value) in labels {
        for text in [key, value] {
            hasher.write_usize(text.len());
            hasher.write(text.as_bytes());
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_segments_have_one_fingerprint_whatever_the_order_of_their_labels() {
        let made = |labels: &[(&str, &str)]| Segment {
            name: "a/b".to_owned(),
            labels: labels
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            ..Segment::default()
        };
        let pairs = [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")];
        let reversed: Vec<_> = pairs.iter().rev().copied().collect();
        let one = Segments::fingerprint(&made(&pairs));
        assert_eq!(one, Segments::fingerprint(&made(&reversed)));
        assert_ne!(one, Segments::fingerprint(&made(&pairs[1..])));
    }
}
