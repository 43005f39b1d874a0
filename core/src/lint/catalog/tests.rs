use super::*;
use crate::finding::Finding;
use crate::lint::{lint, lint_on};
use crate::segment::HouseDefaults;
use crate::testing;
use segment_crds::Segment;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Found by others than lint: in files (`segctl`), among Segments, or by size; each is tested there.
const ELSEWHERE: [Code; 8] = [
    Code::Collision,
    Code::DuplicateSegment,
    Code::NoClusterSelected,
    Code::SharedTable,
    Code::TooLarge,
    Code::UnknownField,
    Code::Unreadable,
    Code::WrongType,
];

/// A whole Segment with the excerpt in it.
fn segment(excerpt: &str) -> Segment {
    let excerpt: Value = serde_saphyr::from_str(excerpt).unwrap();
    let mut whole = json!({
        "apiVersion": "segment.grnry.io/v1alpha1", "kind": "Segment",
        "metadata": {"name": "demo", "namespace": "granary"},
        "spec": {
            "cronjob": {"schedule": "0 5 * * *"},
            "image": {"tag": "0.9.1"},
            "env": {
                "TYPE": "generic", "TARGET_SEGMENT_NAME": "demo", "CITUS_DIST_COL": "correlation_id",
                "SOURCE_WHERE_CLAUSE": "event_type = 'visit'",
                "TARGET_SEGMENT_INDEXES": "", "TARGET_SEGMENT_VIEWS": "",
            },
        },
    });
    let columns = match excerpt["spec"]["env"]["TYPE"].as_str() {
        None | Some("generic") => Some("event_id"),
        _ => None,
    };
    let env = &mut whole["spec"]["env"];
    if let Some(columns) = columns {
        env["GENERIC_COLUMNS"] = json!(columns);
    }
    if excerpt["spec"]["env"]["TYPE"] == "flexible" {
        env.as_object_mut().unwrap().remove("SOURCE_WHERE_CLAUSE");
    }
    merge(&mut whole, excerpt);
    serde_json::from_value(whole).unwrap()
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// What is found in a Segment, by itself or on a cluster that has a region, and an owner with blanks in the name.
fn found(excerpt: &str) -> Vec<Finding> {
    let now = "2026-11-25T12:00:00Z".parse().unwrap();
    let defaults = HouseDefaults::default();
    let verdict = lint(&segment(excerpt), &defaults, now);
    let mut findings = verdict.findings;
    if let Some(parsed) = verdict.parsed {
        let mut view = testing::view("eu-1", &[("region", "eu-west")]);
        view.annotations
            .insert("example.org/owner".to_owned(), "Data Team".to_owned());
        findings.extend(lint_on(&parsed, &defaults, &view, now));
    }
    findings
}

#[test]
fn every_code_has_one_entry() {
    let explained: Vec<Code> = entries().iter().map(|entry| entry.code).collect();
    let set: BTreeSet<Code> = explained.iter().copied().collect();
    assert_eq!(set.len(), explained.len());
    assert_eq!(set, Code::ALL.iter().copied().collect());
    for code in Code::ALL {
        let name = code.as_str().to_lowercase();
        assert_eq!(find(&name).map(|entry| entry.code), Some(*code));
    }
    assert_eq!(find("Nonsense"), None);
}

#[test]
fn every_entry_is_true() {
    for entry in entries() {
        assert!(
            !entry.title.ends_with('.') && entry.why.ends_with('.'),
            "{}",
            entry.code
        );
        if ELSEWHERE.contains(&entry.code) {
            continue;
        }
        let wrong = found(entry.wrong);
        let finding = wrong.iter().find(|finding| finding.code == entry.code);
        let Some(finding) = finding else {
            panic!("{} is not found in what is wrong: {wrong:?}", entry.code);
        };
        match entry.severity {
            Severities::Error => assert!(finding.is_error(), "{finding}"),
            Severities::Warning => assert!(!finding.is_error(), "{finding}"),
            Severities::Both => {}
        }
        assert_eq!(found(entry.right), [], "{} is not right", entry.code);
    }
}

#[test]
fn generated_documentation_is_current() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/lint.md");
    let wanted = markdown();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&file, &wanted).unwrap();
    }
    assert!(
        std::fs::read_to_string(&file).unwrap_or_default() == wanted,
        "docs/lint.md: run UPDATE_EXPECT=1 cargo test -p segment-core generated"
    );
}
