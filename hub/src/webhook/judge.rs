//! The judgement of one request.
//!
//! In: an `AdmissionReview`, house defaults, the time. Out: the review with its answer. Law: pure; whatever the bytes
//! are, there is an answer or an error, never a panic; an update that leaves the spec as it is passes, whatever the
//! spec, and so does everything on the way out. Not: how a request comes in (`routes`).

use super::words::{one_line, refusal, warnings};
use crate::read;
use kube::core::admission::{AdmissionRequest, AdmissionResponse, AdmissionReview, Operation};
use kube::core::response::StatusSummary;
use kube::core::{DynamicObject, Resource, Status};
use segment_core::finding::{Code, Finding};
use segment_core::lint::lint;
use segment_core::segment::HouseDefaults;
use segment_crds::Segment;
use serde_json::Value;

/// No `AdmissionReview` with a request: there is nothing that could be answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum Malformed {
    /// Not JSON, or not the type.
    #[error("no AdmissionReview of admission.k8s.io/v1: {0}")]
    Json(#[from] serde_json::Error),
    /// A version that is not spoken here.
    #[error("the AdmissionReview is not of admission.k8s.io/v1")]
    Version,
    /// No request in it.
    #[error("the AdmissionReview has no request")]
    NoRequest,
}

/// Answers a request.
///
/// # Errors
/// When there is none.
pub(super) fn judge(
    body: &[u8],
    defaults: &HouseDefaults,
    now: jiff::Timestamp,
) -> Result<AdmissionReview<DynamicObject>, Malformed> {
    let review: AdmissionReview<DynamicObject> = serde_json::from_slice(body)?;
    if review.types.api_version != kube::core::admission::META_API_VERSION_V1 {
        return Err(Malformed::Version);
    }
    let request: AdmissionRequest<DynamicObject> =
        review.try_into().map_err(|_| Malformed::NoRequest)?;
    let mut response = AdmissionResponse::from(&request);
    let findings = if is_ours(&request) {
        if asks_nothing(&request) {
            Vec::new()
        } else {
            findings(request.object.as_ref(), defaults, now)
        }
    } else {
        response.warnings = Some(vec![one_line(&format!(
            "segment-hub judges segments.segment.grnry.io, not {}.{}: its webhook configuration has a rule too many",
            request.resource.resource, request.resource.group
        ))]);
        Vec::new()
    };
    if findings.iter().any(Finding::is_error) {
        response.allowed = false;
        // No details: kubectl would print those instead of the message.
        response.result = Status {
            status: Some(StatusSummary::Failure),
            code: 422,
            message: refusal(&findings),
            reason: "Invalid".to_owned(),
            metadata: None,
            details: None,
        };
    }
    let warnings = warnings(&findings);
    if !warnings.is_empty() {
        response.warnings = Some(warnings);
    }
    Ok(response.into_review())
}

fn is_ours(request: &AdmissionRequest<DynamicObject>) -> bool {
    request.kind.group == Segment::group(&())
        && request.kind.kind == Segment::kind(&())
        && request.resource.resource == Segment::plural(&())
}

/// Whether there is nothing new to judge.
fn asks_nothing(request: &AdmissionRequest<DynamicObject>) -> bool {
    if request
        .sub_resource
        .as_deref()
        .is_some_and(|s| !s.is_empty())
    {
        return true;
    }
    let (new, old) = (request.object.as_ref(), request.old_object.as_ref());
    match request.operation {
        Operation::Create => false,
        Operation::Update => {
            new.is_some_and(|new| new.metadata.deletion_timestamp.is_some())
                || spec(new).is_some() && spec(new) == spec(old)
        }
        Operation::Delete | Operation::Connect => true,
    }
}

fn spec(object: Option<&DynamicObject>) -> Option<&Value> {
    object.and_then(|object| object.data.get("spec"))
}

fn findings(
    object: Option<&DynamicObject>,
    defaults: &HouseDefaults,
    now: jiff::Timestamp,
) -> Vec<Finding> {
    let Some(object) = object else {
        let missing = Finding::error(Code::InvalidValue, "spec", "the request has no object");
        return vec![missing];
    };
    match read::segment(object) {
        Ok(segment) => lint(&segment, defaults, now).findings,
        Err(finding) => vec![finding],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn segment(schedule: &str) -> Value {
        json!({
            "apiVersion": "segment.grnry.io/v1alpha1", "kind": "Segment",
            "metadata": {"name": "visits", "namespace": "granary"},
            "spec": {
                "clusterSelector": {},
                "cronjob": {"schedule": schedule},
                "env": {
                    "TYPE": "generic", "TARGET_SEGMENT_NAME": "visits", "GENERIC_COLUMNS": "event_id",
                    "CITUS_DIST_COL": "event_id", "SOURCE_WHERE_CLAUSE": "event_type = 'visit'",
                    "TARGET_SEGMENT_INDEXES": "", "TARGET_SEGMENT_VIEWS": "",
                },
            },
        })
    }

    fn review(operation: &str, object: &Value, old: &Value) -> Value {
        json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": "5b1", "operation": operation,
                "kind": {"group": "segment.grnry.io", "version": "v1alpha1", "kind": "Segment"},
                "resource": {"group": "segment.grnry.io", "version": "v1alpha1", "resource": "segments"},
                "name": "visits", "namespace": "granary", "userInfo": {"username": "alice"},
                "object": object, "oldObject": old, "dryRun": false,
            },
        })
    }

    fn answer(review: &Value) -> AdmissionResponse {
        let review = judge(
            review.to_string().as_bytes(),
            &HouseDefaults::default(),
            jiff::Timestamp::UNIX_EPOCH,
        )
        .unwrap();
        assert_eq!(review.types.kind, "AdmissionReview");
        assert_eq!(review.types.api_version, "admission.k8s.io/v1");
        let response = review.response.unwrap();
        assert_eq!(response.uid, "5b1");
        response
    }

    #[test]
    fn a_broken_segment_is_refused_with_field_and_cure_and_a_good_one_is_not() {
        let good = answer(&review("CREATE", &segment("0 3 * * *"), &Value::Null));
        assert!(good.allowed, "{}", good.result.message);
        let broken = answer(&review("CREATE", &segment("0 3 * * 7"), &Value::Null));
        assert!(!broken.allowed);
        assert_eq!(
            (broken.result.code, broken.result.reason.as_str()),
            (422, "Invalid")
        );
        let expected: Vec<_> =
            segment_core::segment::parse(&serde_json::from_value(segment("0 3 * * 7")).unwrap())
                .unwrap_err()
                .iter()
                .filter(|finding| finding.is_error())
                .map(ToString::to_string)
                .collect();
        assert_eq!(broken.result.message, expected.join("\n"));
        assert!(
            broken.result.message.starts_with("spec.cronjob.schedule"),
            "{}",
            broken.result.message
        );
    }

    #[test]
    fn what_is_not_new_passes_whatever_it_is() {
        let (good, broken) = (segment("0 3 * * *"), segment("0 3 * * 7"));
        let mut leaving = broken.clone();
        leaving["metadata"]["deletionTimestamp"] = json!("2026-11-01T00:00:00Z");
        let mut labelled = broken.clone();
        labelled["metadata"]["labels"] = json!({"a": "b"});
        labelled["status"] = json!({"conditions": 7});
        let mut status = review("UPDATE", &broken, &good);
        status["request"]["subResource"] = json!("status");
        for (what, review, allowed) in [
            ("a label", review("UPDATE", &labelled, &broken), true),
            ("a finalizer", review("UPDATE", &leaving, &good), true),
            ("a deletion", review("DELETE", &Value::Null, &broken), true),
            ("the status", status, true),
            ("a cure", review("UPDATE", &good, &broken), true),
            ("a break", review("UPDATE", &broken, &good), false),
            (
                "no old object",
                review("UPDATE", &broken, &Value::Null),
                false,
            ),
            (
                "no object",
                review("UPDATE", &Value::Null, &Value::Null),
                false,
            ),
        ] {
            let answer = answer(&review);
            assert_eq!(answer.allowed, allowed, "{what}: {}", answer.result.message);
        }
    }

    #[test]
    fn another_kind_is_allowed_and_said() {
        let mut other = review("CREATE", &segment("0 3 * * 7"), &Value::Null);
        other["request"]["kind"]["kind"] = json!("Pod");
        other["request"]["resource"]["resource"] = json!("p\n".repeat(100_000));
        let answer = answer(&other);
        assert!(answer.allowed);
        let warnings = answer.warnings.unwrap();
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].len() <= 256 && !warnings[0].contains('\n'));
    }

    #[test]
    fn an_object_that_cant_be_read_is_refused_by_field() {
        let mut odd = segment("0 3 * * *");
        odd["spec"]["cronjob"]["schedule"] = json!({"a": 1});
        let answer = answer(&review("CREATE", &odd, &Value::Null));
        assert!(!answer.allowed);
        assert!(
            answer
                .result
                .message
                .starts_with("spec.cronjob.schedule can't be read"),
            "{}",
            answer.result.message
        );
    }

    #[test]
    fn whatever_the_bytes_are_there_is_no_panic() {
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        let mut nested = review("CREATE", &segment("0 3 * * *"), &Value::Null).to_string();
        nested = nested.replace("\"event_type = 'visit'\"", &deep);
        let old = json!({"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview"});
        let empty = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"});
        for body in [
            &b""[..],
            b"null",
            b"{}",
            b"[]",
            b"\xff\xfe",
            b"{\"request\":",
            nested.as_bytes(),
            deep.as_bytes(),
            old.to_string().as_bytes(),
            empty.to_string().as_bytes(),
        ] {
            let judged = judge(body, &HouseDefaults::default(), jiff::Timestamp::MAX);
            let error = judged.unwrap_err().to_string();
            assert!(error.contains("AdmissionReview"), "{error}");
        }
    }
}
