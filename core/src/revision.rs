//! The revision of a Segment: what renders, as canonical bytes, as a digest.
//!
//! In: [`ParsedSegment`], [`HouseDefaults`]. Out: [`Revision`]; what a `ControllerRevision` stores, and back.
//! Law: same inputs, same revision (golden vectors in `revisions.json`). Not: which revision a cluster may have
//! (`rollout.rs`).
//!
//! The stable contract: a revision is the first 8 bytes of SHA-256 over
//!
//! ```text
//! {"defaults":{…},"inputs":{"cronjob":{…},"env":{…},"envFromSecrets":{…},"extraEnv":{…},"image":{…},
//!  "overrides":[…],"targetNamespace":"…"},"renderer":1}
//! ```
//!
//! as JSON without white space, keys of every object sorted by their bytes, absent and empty fields left out, strings
//! escaped as `serde_json` does. `inputs` holds the fields of the spec as written; `defaults` is [`HouseDefaults`]. A field
//! that is added to the API later is absent in older specs, so that their revisions stay.

use crate::ids::{Revision, SegmentKey, Uid};
use crate::segment::{HouseDefaults, ParsedSegment, parse_spec};
use segment_crds::SegmentSpec;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Version of the renderer: raised when the same inputs render to other bytes. Part of every revision.
pub const RENDERER_VERSION: u32 = 1;

/// Fields of the spec that render. Selector, rollout, paused, removal, names for people and agent modes do not.
const INPUTS: [&str; 7] = [
    "cronjob",
    "env",
    "envFromSecrets",
    "extraEnv",
    "image",
    "overrides",
    "targetNamespace",
];

/// Why stored data is not a revision that this hub can render.
#[derive(Debug, thiserror::Error)]
pub enum RevisionDataError {
    /// Not the layout that [`revision_data`] writes.
    #[error("the stored revision can't be read: {0}")]
    Unreadable(String),
    /// Written by a renderer that this hub does not have.
    #[error(
        "the stored revision was made by renderer {0}, this hub has renderer {RENDERER_VERSION}"
    )]
    OtherRenderer(u64),
}

/// What [`revision_data`] stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRevision {
    /// The whole spec, that of what does not render included.
    pub spec: Arc<SegmentSpec>,
    /// The defaults that were in force.
    pub defaults: HouseDefaults,
}

/// The revision of a Segment under these defaults.
pub fn revision(segment: &ParsedSegment, defaults: &HouseDefaults) -> Revision {
    Revision::of(&canonical_bytes(segment, defaults))
}

/// The bytes that a revision is the digest of.
pub fn canonical_bytes(segment: &ParsedSegment, defaults: &HouseDefaults) -> Vec<u8> {
    let mut inputs = Map::new();
    if let Value::Object(spec) = value_of(&*segment.spec) {
        inputs.extend(
            spec.into_iter()
                .filter(|(field, _)| INPUTS.contains(&field.as_str())),
        );
    }
    canonical_json(&json!({
        "renderer": RENDERER_VERSION,
        "defaults": value_of(defaults),
        "inputs": inputs,
    }))
}

/// A spec with all that renders taken from an earlier one: selector, strategy, modes and the rest stay.
pub fn with_inputs_of(newest: &SegmentSpec, earlier: &SegmentSpec) -> SegmentSpec {
    SegmentSpec {
        cronjob: earlier.cronjob.clone(),
        env: earlier.env.clone(),
        env_from_secrets: earlier.env_from_secrets.clone(),
        extra_env: earlier.extra_env.clone(),
        image: earlier.image.clone(),
        overrides: earlier.overrides.clone(),
        target_namespace: earlier.target_namespace.clone(),
        ..newest.clone()
    }
}

/// What a `ControllerRevision` stores: all that is needed to render this revision again, and the whole spec to fall back
/// to when a later one is invalid.
pub fn revision_data(segment: &ParsedSegment, defaults: &HouseDefaults) -> Value {
    json!({
        "renderer": RENDERER_VERSION,
        "defaults": value_of(defaults),
        "spec": value_of(&*segment.spec),
    })
}

/// Reads what [`revision_data`] wrote.
///
/// # Errors
/// When it has another layout or is another renderer's.
pub fn spec_from_revision_data(data: &Value) -> Result<StoredRevision, RevisionDataError> {
    let part = |name: &str| {
        data.get(name)
            .cloned()
            .ok_or_else(|| RevisionDataError::Unreadable(format!("{name} is missing")))
    };
    let unreadable = |error: serde_json::Error| RevisionDataError::Unreadable(error.to_string());
    let renderer = part("renderer")?.as_u64().unwrap_or(0);
    if renderer != u64::from(RENDERER_VERSION) {
        return Err(RevisionDataError::OtherRenderer(renderer));
    }
    Ok(StoredRevision {
        spec: serde_json::from_value(part("spec")?).map_err(unreadable)?,
        defaults: serde_json::from_value(part("defaults")?).map_err(unreadable)?,
    })
}

impl StoredRevision {
    /// The Segment of this revision.
    ///
    /// # Errors
    /// Findings, when today's rules refuse what was accepted then.
    pub fn parse(
        &self,
        key: SegmentKey,
        uid: Uid,
        generation: i64,
    ) -> Result<ParsedSegment, Vec<crate::finding::Finding>> {
        parse_spec(key, uid, generation, self.spec.clone())
    }
}

/// A value of ours as JSON. Our types have string keys only, so that they always are JSON.
fn value_of(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// JSON without white space, keys sorted. `serde_json` sorts only as long as no crate in the graph asks it not to.
fn canonical_json(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write_canonical(value, &mut out);
    out
}

fn write_canonical(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
            out.push(b'{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(Value::from(key.as_str()).to_string().as_bytes());
                out.push(b':');
                write_canonical(value, out);
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_canonical(item, out);
            }
            out.push(b']');
        }
        scalar => out.extend_from_slice(scalar.to_string().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::parse;
    use crate::testing;

    fn revision_of(change: impl Fn(&mut SegmentSpec)) -> Revision {
        let mut segment = testing::segment("granary/demo");
        change(&mut segment.spec);
        revision(&parse(&segment).unwrap(), &HouseDefaults::default())
    }

    #[test]
    fn what_renders_makes_a_revision_and_nothing_else_does() {
        let base = revision_of(|_| {});
        for (name, same, changed) in [
            ("same", true, revision_of(|_| {})),
            (
                "displayName",
                true,
                revision_of(|s| s.display_name = Some("x".into())),
            ),
            (
                "description",
                true,
                revision_of(|s| s.description = Some("x".into())),
            ),
            ("paused", true, revision_of(|s| s.paused = Some(true))),
            (
                "removal",
                true,
                revision_of(|s| s.removal = Some(segment_crds::Removal::default())),
            ),
            (
                "clusterSelector",
                true,
                revision_of(|s| s.cluster_selector = Some(testing::label_selector(&[("a", "b")]))),
            ),
            (
                "drift",
                true,
                revision_of(|s| s.drift = Some(segment_crds::Drift::Correct)),
            ),
            (
                "cronjob",
                false,
                revision_of(|s| s.cronjob.suspend = Some(true)),
            ),
            (
                "env",
                false,
                revision_of(|s| s.env.debug = Some("True".into())),
            ),
            (
                "extraEnv",
                false,
                revision_of(|s| s.extra_env = [("A".into(), "b".into())].into()),
            ),
            (
                "image",
                false,
                revision_of(|s| s.image.tag = Some("1".into())),
            ),
            (
                "overrides",
                false,
                revision_of(|s| s.overrides = vec![segment_crds::Override::default()]),
            ),
            (
                "targetNamespace",
                false,
                revision_of(|s| s.target_namespace = Some("x".into())),
            ),
        ] {
            assert_eq!(changed == base, same, "{name}");
        }
    }

    #[test]
    fn what_renders_of_an_earlier_spec_gives_its_revision_again() {
        let mut earlier = testing::segment("granary/demo");
        earlier.spec.image.tag = Some("1".into());
        earlier.spec.overrides = vec![segment_crds::Override::default()];
        let mut newest = testing::segment("granary/demo");
        newest.spec.paused = Some(true);
        newest.spec.cluster_selector = Some(testing::label_selector(&[("a", "b")]));
        let mut back = newest.clone();
        back.spec = with_inputs_of(&newest.spec, &earlier.spec);
        let defaults = HouseDefaults::default();
        assert_eq!(
            revision(&parse(&back).unwrap(), &defaults),
            revision(&parse(&earlier).unwrap(), &defaults)
        );
        assert_eq!(back.spec.cluster_selector, newest.spec.cluster_selector);
    }

    #[test]
    fn other_defaults_are_another_revision() {
        let segment = testing::parsed("granary/demo");
        let mut defaults = HouseDefaults::default();
        let before = revision(&segment, &defaults);
        defaults.image_tag = "0.9.1".to_owned();
        assert_ne!(revision(&segment, &defaults), before);
    }

    #[test]
    fn a_stored_revision_gives_back_what_it_was_made_of() {
        let segment = testing::parsed("granary/demo");
        let defaults = HouseDefaults::default();
        let data = revision_data(&segment, &defaults);
        let stored = spec_from_revision_data(&data).unwrap();
        let again = stored
            .parse(segment.key.clone(), segment.uid, segment.generation)
            .unwrap();
        assert_eq!(again, segment);
        assert_eq!(
            revision(&again, &stored.defaults),
            revision(&segment, &defaults)
        );

        let other = json!({"renderer": 2, "defaults": data["defaults"], "spec": data["spec"]});
        assert!(matches!(
            spec_from_revision_data(&other),
            Err(RevisionDataError::OtherRenderer(2))
        ));
        assert!(matches!(
            spec_from_revision_data(&json!({})),
            Err(RevisionDataError::Unreadable(_))
        ));
    }
}
