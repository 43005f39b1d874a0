//! Golden vectors: what is a stable contract, or must equal what users know.
//!
//! `UPDATE_EXPECT=1 cargo test -p segment-core --test golden` rewrites `tests/golden/*.json`. A change in `h.json` moves
//! every run of a fleet; one in `revisions.json` rolls every Segment out again: neither happens by accident.

#![allow(clippy::unwrap_used, reason = "a test shall fail at once")]

use segment_core::assignment::{Assignment, Controls, Entry, Modes, OrderNumber, Owner};
use segment_core::cronjob::cronjob_json;
use segment_core::ids::{ClusterName, HubId, SegmentKey, SegmentName, cronjob_name};
use segment_core::placement::ClusterView;
use segment_core::render::{ParsedSegment, parse, render};
use segment_core::revision::{canonical_bytes, revision};
use segment_core::segment::HouseDefaults;
use segment_core::segment::schedule::{Schedule, replace_h, time_zone};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/examples")
}

fn golden_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

#[track_caller]
fn check(name: &str, actual: &Value) {
    let path = golden_file(name);
    let actual = format!("{actual:#}\n");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert!(
        actual == expected,
        "{} differs; got:\n{actual}",
        path.display()
    );
}

fn example(name: &str) -> ParsedSegment {
    let text = std::fs::read_to_string(examples().join(name)).unwrap();
    let mut segment: segment_crds::Segment = serde_saphyr::from_str(&text).unwrap();
    segment.metadata.uid = Some("7b0d9c3e-2f51-4c1f-9d55-0f6d1a3a9b11".to_owned());
    segment.metadata.generation = Some(1);
    parse(&segment).unwrap()
}

fn defaults_1_1() -> HouseDefaults {
    let text = std::fs::read_to_string(examples().join("hub-defaults-1.1.env")).unwrap();
    let pairs = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    HouseDefaults::from_env(pairs).unwrap()
}

fn cluster() -> ClusterView {
    let cluster: segment_crds::Cluster = serde_json::from_value(json!({
        "apiVersion": "segment.grnry.io/v1alpha1",
        "kind": "Cluster",
        "metadata": {"name": "eu-1", "labels": {"env": "prod", "region": "eu-west"}},
        "spec": {},
    }))
    .unwrap();
    ClusterView::from_cluster(&cluster).unwrap()
}

fn entry(segment: &ParsedSegment, defaults: &HouseDefaults) -> Entry {
    Entry {
        assignment: Assignment {
            key: segment.key.clone(),
            uid: segment.uid,
            number: OrderNumber {
                generation: segment.generation,
                order: 0,
            },
            revision: revision(segment, defaults),
            rendered: render(segment, defaults, &cluster()).unwrap(),
            modes: Modes::default(),
        },
        controls: Controls::default(),
        removing: None,
    }
}

/// Template and `CronJob` of an example, with the digest of the one in the other.
#[track_caller]
fn check_rendered(name: &str, segment: &ParsedSegment, defaults: &HouseDefaults) {
    let entry = entry(segment, defaults);
    let owner = Owner {
        hub: HubId::new("hub-0123456789").unwrap(),
    };
    let rendered = &entry.assignment.rendered;
    let template: Value = serde_json::from_slice(rendered.bytes()).unwrap();
    check(&format!("template-{name}.json"), &template);
    let suspend = rendered.template().suspend;
    check(
        &format!("cronjob-{name}.json"),
        &cronjob_json(&entry, &owner, suspend),
    );
}

#[test]
fn the_pivot_example_renders_to_its_cronjob() {
    check_rendered(
        "pivot",
        &example("segment-pivot.yaml"),
        &HouseDefaults::default(),
    );
}

#[test]
fn the_generic_example_renders_to_its_cronjob() {
    check_rendered(
        "generic",
        &example("segment-generic.yaml"),
        &HouseDefaults::default(),
    );
}

#[test]
fn the_generic_example_renders_with_the_defaults_of_granary_1_1() {
    check_rendered(
        "generic-1.1",
        &example("segment-generic.yaml"),
        &defaults_1_1(),
    );
}

#[test]
fn a_segment_that_sets_every_field_renders_to_its_cronjob() {
    let text = std::fs::read_to_string(golden_file("segment-full.yaml")).unwrap();
    let mut segment: segment_crds::Segment = serde_saphyr::from_str(&text).unwrap();
    segment.metadata.uid = Some("7b0d9c3e-2f51-4c1f-9d55-0f6d1a3a9b12".to_owned());
    segment.metadata.generation = Some(3);
    let defaults =
        HouseDefaults::from_env([("POD_SECURITY".to_owned(), "restricted".to_owned())].into_iter())
            .unwrap();
    check_rendered("full", &parse(&segment).unwrap(), &defaults);
}

#[test]
fn with_pod_security_chart_nothing_is_added_to_the_chart() {
    let defaults =
        HouseDefaults::from_env([("POD_SECURITY".to_owned(), "chart".to_owned())].into_iter())
            .unwrap();
    let entry = entry(&example("segment-pivot.yaml"), &defaults);
    let owner = Owner {
        hub: HubId::new("hub-0123456789").unwrap(),
    };
    let body = cronjob_json(&entry, &owner, true);
    let pod = &body["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    assert_eq!(body["spec"]["suspend"], json!(true));
    assert_eq!(pod.get("automountServiceAccountToken"), None);
    assert_eq!(pod.get("securityContext"), None);
    assert_eq!(pod["containers"][0].get("securityContext"), None);
}

#[test]
fn revisions_are_a_stable_contract() {
    let pivot = example("segment-pivot.yaml");
    let generic = example("segment-generic.yaml");
    let built_in = HouseDefaults::default();
    let vector = |segment: &ParsedSegment, defaults: &HouseDefaults| {
        json!({
            "canonical": String::from_utf8(canonical_bytes(segment, defaults)).unwrap(),
            "revision": revision(segment, defaults).to_string(),
        })
    };
    check(
        "revisions.json",
        &json!({
            "pivot": vector(&pivot, &built_in),
            "generic": vector(&generic, &built_in),
            "generic-1.1": vector(&generic, &defaults_1_1()),
        }),
    );
}

#[test]
fn h_is_a_stable_contract() {
    let mut rows = Vec::new();
    for segment in ["granary/newsletter-readers", "granary/demo", "crm/demo"] {
        for cluster in ["eu-1", "eu-2", "us-1"] {
            for schedule in [
                "H H H H H",
                "H 3 * * *",
                "H(0-29) H(2-5) * * *",
                "H/15 * * * *",
                "H(30-59)/10,H(0-9) * * * MON-FRI",
            ] {
                let key: SegmentKey = segment.parse().unwrap();
                let name: ClusterName = cluster.parse().unwrap();
                let replaced = replace_h(schedule, &key, &name).unwrap();
                assert!(Schedule::parse(&replaced).is_ok());
                rows.push(json!([segment, cluster, schedule, replaced]));
            }
        }
    }
    check("h.json", &Value::from(rows));
}

#[test]
fn names_on_the_spoke_are_a_stable_contract() {
    let names = [
        "a".repeat(52),
        "a".repeat(53),
        format!("{}-tail-of-a-name", "a".repeat(40)),
        format!("{}.tail.of.a.name", "a".repeat(39)),
        "z".repeat(134),
    ];
    let rows: Vec<Value> = names
        .iter()
        .map(|name| {
            json!([
                name,
                cronjob_name(&SegmentName::new(name).unwrap()).as_str()
            ])
        })
        .collect();
    check("names.json", &Value::from(rows));
}

#[test]
fn schedules_are_judged_and_computed_as_robfig_cron_does() {
    let text = std::fs::read_to_string(golden_file("schedules.jsonl")).unwrap();
    let mut differences = Vec::new();
    let mut runs = 0;
    for line in text.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let schedule = row["schedule"].as_str().unwrap();
        let parsed = Schedule::parse(schedule);
        if json!(parsed.is_ok()) != row["valid"] {
            differences.push(format!("{schedule:?} is valid: {}", row["valid"]));
        }
        let Ok(parsed) = parsed else { continue };
        for run in row["runs"].as_array().into_iter().flatten() {
            runs += 1;
            let zone = time_zone(run["zone"].as_str().unwrap()).unwrap();
            let mut after = run["after"].as_str().unwrap().parse().unwrap();
            let mut next = Vec::new();
            while next.len() < 3
                && let Some(due) = parsed.next_after(&zone, after)
            {
                next.push(due.to_string());
                after = due;
            }
            if json!(next) != run["next"] {
                differences.push(format!("{schedule:?} {run}: got {next:?}"));
            }
        }
    }
    assert!(runs > 500);
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

/// The file is written by hand from the tables of variables and defaults, as the older chart would render these values; no
/// run rewrites it.
#[test]
fn imported_helm_values_render_to_what_the_chart_made_of_them() {
    let text = std::fs::read_to_string(examples().join("helm-values.yaml")).unwrap();
    let values: Value = serde_saphyr::from_str(&text).unwrap();
    let naming = segment_core::import::Naming {
        name: None,
        namespace: Some("granary".to_owned()),
    };
    let imported = segment_core::import::import(&values, &naming).unwrap();
    let defaults = HouseDefaults {
        pod_security: segment_core::assignment::PodSecurity::Chart,
        ..HouseDefaults::default()
    };
    let entry = entry(&parse(&imported.segment).unwrap(), &defaults);
    let owner = Owner {
        hub: HubId::new("hub-0123456789").unwrap(),
    };
    let mut spec = cronjob_json(&entry, &owner, false)["spec"].take();
    // Labels and annotations of Job and Pod are all ours.
    let job = spec["jobTemplate"].as_object_mut().unwrap();
    job.remove("metadata");
    let pod = job["spec"]["template"].as_object_mut().unwrap();
    pod.remove("metadata");
    let text = std::fs::read_to_string(golden_file("chart-helm-values.json")).unwrap();
    let chart: Value = serde_json::from_str(&text).unwrap();
    assert!(spec == chart, "got:\n{spec:#}");
}
