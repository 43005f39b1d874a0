//! Builders (feature `builders`) and proptest strategies (feature `testing`) for the tests of this and other crates.
//!
//! In: little. Out: valid Segments and Clusters. Law: what a builder makes passes `parse`.
//! Not: for production code; a builder panics where a test is wrong.

#![allow(
    clippy::unwrap_used,
    reason = "a test that asks for what can't be made shall fail at once"
)]

use crate::assignment::Rendered;
use crate::ids::{InstanceId, Revision, RootDigest, RunId, SegmentKey, Uid};
use crate::index::SeenSegment;
use crate::placement::ClusterView;
use crate::render::render;
use crate::run_order::{RunOrder, RunPurpose};
use crate::segment::{HouseDefaults, ParsedSegment, parse};
use crate::sync::frame::{Hello, PROTOCOL_VERSION};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use segment_crds::{Cluster, Segment, SegmentSpec};
use std::collections::BTreeMap;
use std::sync::Arc;

mod stored;
#[cfg(any(test, feature = "testing"))]
mod strategies;
mod worst;
pub use stored::StoredRollouts;
#[cfg(any(test, feature = "testing"))]
pub use strategies::{cluster_views, label_selectors, labels, segments, template_values};
pub use worst::{Worst, worst};

/// A valid Segment of type pivot with generation 1, a uid made from its name, and nothing optional.
/// `key` is `namespace/name`.
pub fn segment(key: &str) -> Segment {
    let (namespace, name) = key.split_once('/').unwrap();
    let mut segment = Segment::new(name, SegmentSpec::default());
    segment.metadata.namespace = Some(namespace.to_owned());
    segment.metadata.uid = Some(crate::ids::Uid(crate::ids::sha256_16(key.as_bytes())).to_string());
    segment.metadata.generation = Some(1);
    segment.spec.cronjob.schedule = Some("0 3 * * *".to_owned());
    let text = |value: &str| Some(value.to_owned());
    let env = &mut segment.spec.env;
    env.type_ = text("pivot");
    env.target_segment_name = text("demo");
    env.citus_dist_col = text("correlation_id");
    env.source_where_clause = text("profile_type = 'crm'");
    env.target_segment_indexes = text("");
    env.target_segment_views = text("");
    segment
}

/// [`segment`], parsed.
pub fn parsed(key: &str) -> ParsedSegment {
    parse(&segment(key)).unwrap()
}

/// A Segment, judged, as the reflector hands it to the index.
pub fn seen(segment: &Segment) -> SeenSegment {
    let metadata = &segment.metadata;
    let text = |text: &Option<String>| text.clone().unwrap();
    SeenSegment {
        key: SegmentKey::new(&text(&metadata.namespace), &text(&metadata.name)).unwrap(),
        uid: text(&metadata.uid).parse().unwrap(),
        generation: metadata.generation.unwrap(),
        created: None,
        labels: BTreeMap::new(),
        deleting: false,
        finalizer: true,
        parsed: parse(segment).map(Arc::new),
    }
}

/// What a new agent says first, of a store that is empty.
pub fn hello() -> Hello {
    Hello {
        protocol: PROTOCOL_VERSION,
        capabilities: Vec::new(),
        fence: None,
        watermark: None,
        cluster_uid: Uid([1; 16]),
        process: InstanceId([1; 16]),
        entries: RootDigest([0; 16]),
        reports: RootDigest([0; 16]),
        store_known: true,
        agent_version: String::new(),
        kubernetes_version: String::new(),
        policy: None,
        runs: 0,
    }
}

/// An order to run Segment `n/s`, to be started within the first hour of 1970; `more` bytes larger than it has to be.
pub fn run_order(id: &str, more: usize) -> RunOrder {
    let parsed = parsed("n/s");
    let defaults = HouseDefaults::from_env(std::iter::empty()).unwrap();
    let rendered = render(&parsed, &defaults, &view("c", &[])).unwrap();
    let mut template = rendered.template().clone();
    if more > 0 {
        template.env.insert("MORE".to_owned(), "x".repeat(more));
    }
    RunOrder {
        id: RunId::of(id.as_bytes()),
        purpose: RunPurpose::Manual,
        key: parsed.key,
        uid: parsed.uid,
        revision: Revision([7; 8]),
        rendered: Rendered::new(template).unwrap(),
        start_before: jiff::Timestamp::from_second(3600).unwrap(),
        deadline: None,
    }
}

/// A Cluster with these labels.
pub fn cluster(name: &str, labels: &[(&str, &str)]) -> Cluster {
    let mut cluster = Cluster::new(name, segment_crds::ClusterSpec::default());
    cluster.metadata.labels = Some(owned(labels));
    cluster
}

/// [`cluster`], as decisions see it.
pub fn view(name: &str, labels: &[(&str, &str)]) -> ClusterView {
    ClusterView::from_cluster(&cluster(name, labels)).unwrap()
}

/// A selector with `matchLabels` only.
pub fn label_selector(labels: &[(&str, &str)]) -> LabelSelector {
    LabelSelector {
        match_labels: Some(owned(labels)),
        match_expressions: None,
    }
}

fn owned(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|&(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}
