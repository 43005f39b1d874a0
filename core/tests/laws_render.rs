//! Laws of selector, placement and render, for any Segment and cluster.

#![allow(clippy::unwrap_used, reason = "a test shall fail at once")]

use proptest::prelude::*;
use segment_core::assignment::Rendered;
use segment_core::finding::Finding;
use segment_core::placement::ClusterView;
use segment_core::render::{HouseDefaults, depends_on_cluster, parse, render, render_key};
use segment_core::revision::{revision, revision_data, spec_from_revision_data};
use segment_core::segment::template::{expand, references};
use segment_core::selector::Selector;
use segment_core::testing::{cluster_views, label_selectors, labels, segments, template_values};
use segment_crds::Segment;

fn bytes(result: Result<Rendered, Vec<Finding>>) -> Result<Vec<u8>, Vec<Finding>> {
    result.map(|rendered| rendered.bytes().to_vec())
}

/// The same object after it went through another representation, whose maps may be ordered otherwise.
fn reread(segment: &Segment) -> Segment {
    let text = serde_saphyr::to_string(segment).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

/// Whether every reference of the Segment, those of overrides that do not match included, names something that the
/// cluster has.
fn resolves(segment: &Segment, cluster: &ClusterView) -> bool {
    let spec = &segment.spec;
    let parts = std::iter::once((&spec.env, &spec.extra_env)).chain(
        spec.overrides
            .iter()
            .map(|change| (&change.env, &change.extra_env)),
    );
    parts
        .flat_map(|(env, extra)| {
            let env = env.iter().filter_map(|(_, value)| value);
            env.chain(extra.values().map(String::as_str))
        })
        .flat_map(|value| references(value, "").unwrap())
        .all(|reference| reference.value(cluster).is_some())
}

/// Matches as the API's documentation says it, without looking at ours.
fn naive(
    selector: &k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector,
    labels: &std::collections::BTreeMap<String, String>,
) -> bool {
    let mut all = true;
    for (key, value) in selector.match_labels.iter().flatten() {
        all &= labels.get(key) == Some(value);
    }
    for expression in selector.match_expressions.iter().flatten() {
        let value = labels.get(&expression.key);
        let listed = value.is_some_and(|value| {
            expression
                .values
                .iter()
                .flatten()
                .any(|listed| listed == value)
        });
        all &= match expression.operator.as_str() {
            "In" => listed,
            "NotIn" => !listed,
            "Exists" => value.is_some(),
            _ => value.is_none(),
        };
    }
    all
}

proptest! {
    #[test]
    fn a_selector_matches_as_a_naive_reading_does(selector in label_selectors(), labels in labels()) {
        let parsed = Selector::parse(Some(&selector), "f").unwrap();
        prop_assert_eq!(parsed.matches(&labels), naive(&selector, &labels));
        let text = parsed.to_string();
        prop_assert_eq!(Selector::parse_text(&text, "f").unwrap(), parsed, "{}", text);
    }

    #[test]
    fn render_is_a_function(segment in segments(), cluster in cluster_views(), other in cluster_views()) {
        let defaults = HouseDefaults::default();
        let parsed = parse(&segment).unwrap();
        let first = bytes(render(&parsed, &defaults, &cluster));
        // Nothing is remembered of another cluster.
        let _ = render(&parsed, &defaults, &other);
        prop_assert_eq!(&bytes(render(&parsed, &defaults, &cluster)), &first);

        let again = parse(&reread(&segment)).unwrap();
        prop_assert_eq!(&bytes(render(&again, &defaults, &cluster)), &first);
        prop_assert_eq!(revision(&again, &defaults), revision(&parsed, &defaults));

        let stored = spec_from_revision_data(&revision_data(&parsed, &defaults)).unwrap();
        let restored = stored.parse(parsed.key.clone(), parsed.uid, parsed.generation).unwrap();
        prop_assert_eq!(&bytes(render(&restored, &stored.defaults, &cluster)), &first);
    }

    #[test]
    fn what_parse_passes_renders(segment in segments(), cluster in cluster_views()) {
        let parsed = parse(&segment).unwrap();
        let rendered = render(&parsed, &HouseDefaults::default(), &cluster);
        if resolves(&segment, &cluster) {
            prop_assert!(rendered.is_ok(), "{:?}", rendered);
        }
        if let Ok(rendered) = rendered {
            let again = Rendered::from_bytes(rendered.bytes().clone()).unwrap();
            prop_assert_eq!(again.template(), rendered.template());
            prop_assert_eq!(again.digest(), rendered.digest());
        }
    }

    #[test]
    fn equal_keys_render_equal_bytes(segment in segments(), one in cluster_views(), two in cluster_views()) {
        let defaults = HouseDefaults::default();
        let parsed = parse(&segment).unwrap();
        let equal = render_key(&parsed, &one) == render_key(&parsed, &two);
        if equal {
            prop_assert_eq!(bytes(render(&parsed, &defaults, &one)), bytes(render(&parsed, &defaults, &two)));
        }
        if !depends_on_cluster(&parsed) {
            prop_assert!(equal);
        }
    }

    #[test]
    fn a_resolved_value_has_no_reference_left(value in template_values(), cluster in cluster_views()) {
        if let Ok(resolved) = expand(&value, &cluster, "f") {
            prop_assert_eq!(references(&resolved, "f"), Ok(Vec::new()));
            if references(&value, "f") == Ok(Vec::new()) {
                prop_assert_eq!(&*resolved, &*value);
            }
        }
    }
}
