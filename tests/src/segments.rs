//! Segments for tests.
//!
//! In: a name and what is special about it. Out: a whole Segment as JSON. Law: what is not said is small and valid.
//! Not: examples for people (`tests/examples`).

use serde_json::{Value, json};

/// A Segment that never comes due by itself: for all that is not about runs.
pub fn segment(namespace: &str, name: &str, selector: &Value) -> Value {
    json!({
        "apiVersion": "segment.grnry.io/v1alpha1",
        "kind": "Segment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "clusterSelector": selector,
            "cronjob": {"schedule": "0 3 1 1 *"},
            "env": env(name),
        },
    })
}

/// The same, due each minute.
pub fn each_minute(namespace: &str, name: &str, selector: &Value) -> Value {
    let mut segment = segment(namespace, name, selector);
    segment["spec"]["cronjob"] = json!({"schedule": "* * * * *", "concurrencyPolicy": "Forbid"});
    segment
}

fn env(name: &str) -> Value {
    json!({
        "TYPE": "generic",
        "TARGET_SEGMENT_NAME": name.replace(['-', '.'], "_"),
        "CITUS_DIST_COL": "correlation_id",
        "SOURCE_WHERE_CLAUSE": "event_type = 'visit'",
        "TARGET_SEGMENT_INDEXES": "",
        "TARGET_SEGMENT_VIEWS": "",
        "GENERIC_COLUMNS": "event_id,inserted",
    })
}
