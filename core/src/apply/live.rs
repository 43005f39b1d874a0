//! A CronJob as the API server shows it, kept as small as its decisions allow.
//!
//! In: untyped JSON (a typed read would hide fields newer than our types). Out: [`Live`].
//! Law: the digest covers the whole spec, all labels and all annotations, whatever the order of their keys.
//! Not: what to do about it (`apply.rs`).

use super::{Place, Suspension};
use crate::ids::{CronJobName, Digest, Namespace, Uid, sha256_16};
use crate::names;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// Where a view of a CronJob comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The observer's watch: good enough to write upon (a write carries the resourceVersion), not to delete upon.
    Watch,
    /// A live read or the answer to a write, with the server's clock (`Date`, whole seconds) where it told it.
    Read(Option<Timestamp>),
}

/// A CronJob on the spoke.
#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    /// Where this view comes from.
    pub source: Source,
    /// Where it is.
    pub place: Place,
    /// Its uid.
    pub uid: Uid,
    /// Its version.
    pub resource_version: String,
    /// Counts changes of its spec.
    pub generation: i64,
    /// Someone deletes it already.
    pub deleting: bool,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Digest of spec, labels and annotations.
    pub digest: Digest,
    /// Id of the hub that it carries.
    pub hub: Option<String>,
    /// `namespace/name` of the Segment that it carries.
    pub segment: Option<String>,
    /// Digest annotation: of what was rendered.
    pub rendered: Option<String>,
    /// Until when on-call holds it.
    pub hold_until: Option<Timestamp>,
    /// For which Job of an ordered run it is suspended, and until when.
    pub suspended_for: Option<Suspension>,
    /// `spec.schedule`.
    pub schedule: String,
    /// `spec.timeZone`.
    pub time_zone: Option<String>,
    /// `spec.suspend`.
    pub suspend: bool,
    /// `spec.startingDeadlineSeconds`.
    pub starting_deadline: Option<i64>,
    /// `spec.concurrencyPolicy`.
    pub concurrency: String,
    /// `status.lastScheduleTime`.
    pub last_schedule: Option<Timestamp>,
    /// `status.lastSuccessfulTime`.
    pub last_successful: Option<Timestamp>,
    /// Metadata that a replacement must keep: names, uid, version, labels, annotations, finalizers, owners.
    pub kept: Box<str>,
    /// The whole object; only in a live read.
    pub whole: Option<Box<Value>>,
}

/// An object that is no CronJob that we can read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a CronJob without a readable {0}")]
pub struct UnreadableLive(&'static str);

const KEPT: [&str; 8] = [
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "labels",
    "annotations",
    "finalizers",
    "ownerReferences",
];

impl Live {
    /// As a live read or a write's answer shows it; keeps the whole object.
    ///
    /// # Errors
    /// When name, namespace or uid are missing.
    pub fn read(object: Value, date: Option<Timestamp>) -> Result<Self, UnreadableLive> {
        let mut live = Self::view(&object, Source::Read(date))?;
        live.whole = Some(Box::new(object));
        Ok(live)
    }

    /// As a watch shows it; keeps what decisions need.
    ///
    /// # Errors
    /// When name, namespace or uid are missing.
    pub fn watched(object: &Value) -> Result<Self, UnreadableLive> {
        Self::view(object, Source::Watch)
    }

    fn view(object: &Value, source: Source) -> Result<Self, UnreadableLive> {
        let metadata = &object["metadata"];
        let (spec, status) = (&object["spec"], &object["status"]);
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let time = |value: &Value| {
            value
                .as_str()
                .and_then(|text| text.parse::<Timestamp>().ok())
        };
        let annotation = |name: &str| metadata["annotations"][name].as_str();
        let place = Place {
            namespace: metadata["namespace"]
                .as_str()
                .and_then(|n| Namespace::new(n).ok())
                .ok_or(UnreadableLive("namespace"))?,
            name: metadata["name"]
                .as_str()
                .and_then(|n| CronJobName::new(n).ok())
                .ok_or(UnreadableLive("name"))?,
        };
        let kept: Map<String, Value> = KEPT
            .iter()
            .filter_map(|key| {
                metadata
                    .get(*key)
                    .map(|value| ((*key).to_owned(), value.clone()))
            })
            .collect();
        Ok(Self {
            source,
            place,
            uid: metadata["uid"]
                .as_str()
                .and_then(|uid| uid.parse().ok())
                .ok_or(UnreadableLive("uid"))?,
            resource_version: text(&metadata["resourceVersion"]).unwrap_or_default(),
            generation: metadata["generation"].as_i64().unwrap_or_default(),
            deleting: !metadata["deletionTimestamp"].is_null(),
            created: time(&metadata["creationTimestamp"]),
            digest: digest(object),
            hub: annotation(names::ANNOTATION_HUB).map(str::to_owned),
            segment: annotation(names::ANNOTATION_SEGMENT).map(str::to_owned),
            rendered: annotation(names::ANNOTATION_DIGEST).map(str::to_owned),
            hold_until: annotation(names::ANNOTATION_HOLD_UNTIL).and_then(|text| text.parse().ok()),
            suspended_for: annotation(names::ANNOTATION_SUSPENDED_FOR).and_then(Suspension::read),
            schedule: text(&spec["schedule"]).unwrap_or_default(),
            time_zone: text(&spec["timeZone"]),
            suspend: spec["suspend"].as_bool().unwrap_or(false),
            starting_deadline: spec["startingDeadlineSeconds"].as_i64(),
            concurrency: text(&spec["concurrencyPolicy"]).unwrap_or_default(),
            last_schedule: time(&status["lastScheduleTime"]),
            last_successful: time(&status["lastSuccessfulTime"]),
            kept: Value::Object(kept).to_string().into(),
            whole: None,
        })
    }

    /// The API server's clock when it told this; the agent's where it did not say.
    pub(super) fn server_now(&self, agents: Timestamp) -> Timestamp {
        match self.source {
            Source::Read(Some(date)) => date,
            Source::Read(None) | Source::Watch => agents,
        }
    }

    /// The metadata of a replacement, as it stands live.
    pub(super) fn kept_metadata(&self) -> Map<String, Value> {
        serde_json::from_str(&self.kept).unwrap_or_default()
    }

    /// The field manager of the newest change of the object itself that was not ours.
    pub fn last_manager(&self) -> Option<String> {
        let fields = self.whole.as_ref()?["metadata"]["managedFields"]
            .as_array()?
            .clone();
        fields
            .iter()
            .filter(|entry| entry["subresource"].as_str().unwrap_or_default().is_empty())
            .filter(|entry| {
                entry["manager"]
                    .as_str()
                    .is_some_and(|manager| manager != names::MANAGER_AGENT)
            })
            // RFC 3339 in UTC with whole seconds: the order of the texts is that of the times.
            .max_by_key(|entry| entry["time"].as_str().unwrap_or_default().to_owned())
            .and_then(|entry| entry["manager"].as_str())
            .map(str::to_owned)
    }
}

/// Digest of an object's spec, labels and annotations.
pub fn digest(object: &Value) -> Digest {
    let mut text = Vec::with_capacity(4096);
    let metadata = &object["metadata"];
    for part in [
        &object["spec"],
        &metadata["labels"],
        &metadata["annotations"],
    ] {
        canonical(part, &mut text);
        text.push(b'\n');
    }
    Digest(sha256_16(&text))
}

/// JSON with sorted keys. A map without entries and one that is absent are the same, as the API server has it for
/// labels and annotations.
fn canonical(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<_> = map.keys().collect();
            keys.sort_unstable();
            out.push(b'{');
            for key in keys {
                out.extend_from_slice(Value::from(key.as_str()).to_string().as_bytes());
                out.push(b':');
                canonical(&map[key], out);
                out.push(b',');
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for item in items {
                canonical(item, out);
                out.push(b',');
            }
            out.push(b']');
        }
        Value::Null => out.extend_from_slice(b"{}"),
        other => out.extend_from_slice(other.to_string().as_bytes()),
    }
}

/// Whether a live spec is what we would write (rule 19): compared with the dry-run's answer. Masked fields (our labels
/// and annotations on Job and Pod, `automountServiceAccountToken`, `securityContext`) may be absent or equal; anything
/// else must be equal.
pub fn same_as_ours(live: &Value, answer: &Value) -> bool {
    same(&live["spec"], &answer["spec"])
}

fn same(live: &Value, ours: &Value) -> bool {
    let (Value::Object(live_map), Value::Object(our_map)) = (live, ours) else {
        return match (live, ours) {
            (Value::Array(a), Value::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
            }
            _ => live == ours,
        };
    };
    let masked = |key: &str| matches!(key, "automountServiceAccountToken" | "securityContext");
    let kept = live_map.iter().all(|(key, value)| match our_map.get(key) {
        Some(ours) if masked(key) => is_empty(value) || value == ours,
        Some(ours) if key == "metadata" => same_marks(value, ours),
        Some(ours) => same(value, ours),
        None => is_empty(value),
    });
    let added = our_map
        .iter()
        .filter(|(key, _)| !live_map.contains_key(*key))
        .all(|(key, value)| {
            masked(key) || is_empty(value) || (key == "metadata" && same_marks(&json!({}), value))
        });
    kept && added
}

/// Metadata of the Job's and the Pod's template: what we put there may be absent live, what we do not may not be there.
fn same_marks(live: &Value, ours: &Value) -> bool {
    ["labels", "annotations"].iter().all(|kind| {
        let Some(live) = live[kind].as_object() else {
            return true;
        };
        // Which revision a Job ran is no part of what it does.
        live.iter().all(|(key, value)| {
            key == names::ANNOTATION_REVISION || ours[kind].get(key) == Some(value)
        })
    })
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_revision_of_jobs_makes_no_difference_to_what_is_taken_over() {
        let spec = |annotations: Value| json!({"spec": {"jobTemplate": {"metadata": {"annotations": annotations}}}});
        let ours = spec(json!({"segment.grnry.io/revision": "1", "a": "b"}));
        for (live, same) in [
            (json!({}), true),
            (json!({"segment.grnry.io/revision": "2"}), true),
            (json!({"segment.grnry.io/revision": "1", "a": "b"}), true),
            (json!({"a": "c"}), false),
        ] {
            assert_eq!(same_as_ours(&spec(live.clone()), &ours), same, "{live}");
        }
    }
}
