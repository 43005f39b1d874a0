//! `HoldSegments`, `ReleaseSegments`, `ListHolds`.

use super::{audit, audit_change};
use crate::users::access::Caller;
use crate::users::errors::{self, Reason};
use crate::users::filter;
use crate::users::state::Services;
use crate::users::view::{self, source};
use jiff::Timestamp;
use segment_core::assignment::OnScheduleChange;
use segment_core::ids::{Namespace, SegmentKey};
use segment_core::rollout::Command;
use segment_proto::convert::time::from_wire;
use segment_proto::v1;
use tonic::Status;

/// Segments that one call holds or releases. Each is a write that is waited for.
const AT_ONCE: usize = 10_000;

/// Which Segments are meant.
struct Meant<'a> {
    segment: &'a str,
    selector: &'a str,
    all: bool,
    namespace: &'a str,
}

impl Services {
    pub(super) async fn hold_segments(
        &self,
        caller: &Caller,
        request: v1::HoldSegmentsRequest,
    ) -> Result<v1::HoldSegmentsResponse, Status> {
        let outcome = self.hold(caller, &request).await;
        if outcome.is_err() {
            let subject = format!("segment/{}", request.segment);
            audit(caller, "segment.hold", subject, &request.reason, &outcome);
        }
        outcome
    }

    async fn hold(
        &self,
        caller: &Caller,
        request: &v1::HoldSegmentsRequest,
    ) -> Result<v1::HoldSegmentsResponse, Status> {
        let now = Timestamp::now();
        let until = match &request.until {
            None => None,
            Some(until) => {
                let until = from_wire("until", *until).map_err(|error| {
                    errors::invalid(Reason::InvalidValue, "until", error.to_string())
                })?;
                if until <= now {
                    let message = format!("{until} is past");
                    return Err(errors::invalid(Reason::InvalidValue, "until", message));
                }
                Some(until)
            }
        };
        let keys = self
            .meant(
                caller,
                &Meant {
                    segment: &request.segment,
                    selector: &request.segment_selector,
                    all: request.all,
                    namespace: &request.namespace,
                },
            )
            .await?;
        let mut holds = Vec::with_capacity(keys.len());
        for key in keys {
            let why = &request.reason;
            let done = self
                .command(
                    caller,
                    &key,
                    Command::Hold(until),
                    why,
                    None,
                    request.validate_only,
                )
                .await;
            holds.push(self.held(
                caller,
                "segment.hold",
                &key,
                why,
                request.validate_only,
                done,
            )?);
        }
        Ok(v1::HoldSegmentsResponse {
            holds,
            source: Some(source(&self.handle, now)),
        })
    }

    pub(super) async fn release_segments(
        &self,
        caller: &Caller,
        request: v1::ReleaseSegmentsRequest,
    ) -> Result<v1::ReleaseSegmentsResponse, Status> {
        let outcome = self.release(caller, &request).await;
        if outcome.is_err() {
            let subject = format!("segment/{}", request.segment);
            audit(
                caller,
                "segment.release",
                subject,
                &request.reason,
                &outcome,
            );
        }
        outcome
    }

    async fn release(
        &self,
        caller: &Caller,
        request: &v1::ReleaseSegmentsRequest,
    ) -> Result<v1::ReleaseSegmentsResponse, Status> {
        let now = Timestamp::now();
        let named = !request.segment.is_empty();
        let keys = self
            .meant(
                caller,
                &Meant {
                    segment: &request.segment,
                    selector: &request.segment_selector,
                    all: request.all,
                    namespace: &request.namespace,
                },
            )
            .await?;
        let mut holds = Vec::new();
        for key in keys {
            let (is_held, spread) = {
                let index = self.fleet().index();
                let segment = index.segments().get(&key);
                (
                    segment.is_some_and(|segment| segment.ops.held(now).is_some()),
                    segment
                        .and_then(|segment| segment.good.as_ref())
                        .is_some_and(|good| {
                            good.modes.on_schedule_change == OnScheduleChange::RunOnce
                        }),
                )
            };
            if !is_held && !named {
                continue;
            }
            let why = &request.reason;
            let command = Command::Release { spread };
            let done = self
                .command(caller, &key, command, why, None, request.validate_only)
                .await;
            let shown = self.held(
                caller,
                "segment.release",
                &key,
                why,
                request.validate_only,
                done,
            );
            holds.push(shown?);
        }
        Ok(v1::ReleaseSegmentsResponse {
            holds,
            source: Some(source(&self.handle, now)),
        })
    }

    /// One Segment's part of the answer. What goes wrong with one of several is said, and stops no other.
    fn held(
        &self,
        caller: &Caller,
        action: &'static str,
        key: &SegmentKey,
        why: &str,
        validate_only: bool,
        done: Result<(), Status>,
    ) -> Result<v1::Hold, Status> {
        audit_change(
            caller,
            action,
            format!("segment/{key}"),
            why,
            validate_only,
            &done,
        );
        let error = match done {
            Err(status) if status.code() == tonic::Code::InvalidArgument => return Err(status),
            Err(status) => status.message().to_owned(),
            Ok(()) => String::new(),
        };
        let shown = view::rollout::hold(&self.fleet().index(), key, Timestamp::now());
        Ok(v1::Hold {
            segment: key.to_string(),
            error,
            ..shown.unwrap_or_default()
        })
    }

    /// The Segments that are meant and that the caller may hold.
    async fn meant(&self, caller: &Caller, meant: &Meant<'_>) -> Result<Vec<SegmentKey>, Status> {
        let segment = filter::maybe_segment("segment", meant.segment)?;
        let selector = filter::selector("segment_selector", meant.selector)?;
        let namespace = filter::maybe_namespace("namespace", meant.namespace)?;
        let ways = [segment.is_some(), !meant.selector.is_empty(), meant.all];
        if ways.iter().filter(|way| **way).count() != 1 {
            let message = "name a segment, or a segment_selector, or all: exactly one of them";
            return Err(errors::invalid(Reason::InvalidValue, "segment", message));
        }
        if let Some(key) = segment {
            self.may_see(caller, &key).await?;
            if !self.fleet().index().segments().contains_key(&key) {
                return Err(errors::not_found("segment", &key.to_string()));
            }
            return Ok(vec![key]);
        }
        let sight = self.sight_of(caller, namespace.as_ref()).await?;
        let index = self.fleet().index();
        let keys: Vec<SegmentKey> = index
            .segments()
            .values()
            .filter(|segment| sight.sees(&segment.key.namespace))
            .filter(|segment| selector.matches(&segment.labels))
            .map(|segment| segment.key.clone())
            .collect();
        if keys.len() > AT_ONCE {
            let message = format!("{} segments, at most {AT_ONCE} in one call", keys.len());
            return Err(errors::exhausted(Reason::InvalidValue, "segments", message));
        }
        Ok(keys)
    }

    pub(super) async fn holds(
        &self,
        caller: &Caller,
        request: v1::ListHoldsRequest,
    ) -> Result<v1::ListHoldsResponse, Status> {
        let now = Timestamp::now();
        let segment = filter::maybe_segment("segment", &request.segment)?;
        let namespace: Option<Namespace> =
            filter::maybe_namespace("namespace", &request.namespace)?;
        let holds = if let Some(key) = segment {
            self.may_see(caller, &key).await?;
            let shown = view::rollout::hold(&self.fleet().index(), &key, now)
                .ok_or_else(|| errors::not_found("segment", &key.to_string()))?;
            vec![shown]
        } else {
            let sight = self.sight_of(caller, namespace.as_ref()).await?;
            let index = self.fleet().index();
            index
                .segments()
                .values()
                .filter(|segment| sight.sees(&segment.key.namespace))
                .filter(|segment| segment.ops.held(now).is_some())
                .filter_map(|segment| view::rollout::hold(&index, &segment.key, now))
                .collect()
        };
        Ok(v1::ListHoldsResponse {
            holds,
            source: Some(source(&self.handle, now)),
        })
    }
}
